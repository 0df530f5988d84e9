"""Documents: one business across types, found by its number: what came and went, what was answered, what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from starlette.responses import Response

from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import QueryInvalid
from gateway.ledger.chain import follow_written
from gateway.ledger.chain_missing import Missing, missing
from gateway.ledger.chain_values import Chain
from gateway.ledger.chain_words import became
from gateway.ledger.query import Query
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.search import search
from gateway.ledger.words import KEY_NAMES

LONGEST = 500  # characters of a key
KEYS = 100  # numbers that a pattern may find
_LOOKED_AT = 200  # exchanges that they are gathered from, the newest first
_RECENT = 15  # numbers that are offered where none was asked for
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,39})=(.*)", re.DOTALL)


class Number(Struct):
    """One business key that a pattern found: the newest exchange with it, and the types that have it."""

    name: str
    value: str
    partner: str
    at: int
    types: list[str]
    exchanges: int = 1

    @property
    def link(self) -> str:
        """To its story."""
        return f"/documents?{urlencode({'key': f'{self.name}={self.value}', 'partner': self.partner})}"


def documents(visit: Visit) -> Response:
    """The story of one number, or the numbers that a pattern finds."""
    key, partner = visit.asked("key").strip(), visit.asked("partner").strip()
    everybody = visit.asked("everybody") == "1"
    values: dict[str, Any] = {
        "key": key,
        "partner": partner,
        "everybody": everybody,
        "names": sorted(KEY_NAMES),
        "chain": None,
        "missing": (),
        "numbers": None,
        "became": became,
        "fault": "",
    }
    status = 200
    try:
        if not key:
            values["numbers"] = _numbers(visit, None, partner, _RECENT)
        elif "*" in key:
            values["numbers"] = _numbers(visit, _bounded(key), partner, KEYS)
        else:
            values |= _story(visit, _bounded(key), partner, everybody=everybody)
    except QueryInvalid as fault:
        status, values["fault"] = 400, str(fault)
    return visit.page("documents.html", status, **values)


def _bounded(key: str) -> str:
    if len(key) > LONGEST:
        raise QueryInvalid(where="key", reason=f"it has {len(key)} characters; {LONGEST} are allowed")
    return key


def _story(visit: Visit, key: str, partner: str, *, everybody: bool) -> dict[str, Any]:
    chain = follow_written(visit.app.engine, key, partner=partner or None, all_partners=everybody)
    found: dict[str, Any] = {"chain": chain, "missing": _missing(visit, chain)}
    if not chain.documents:  # perhaps it is the beginning of one, or stands in the middle of it
        name, value = _named(key)
        pattern = f"{name}=*{value}*" if name else f"*{value}*"
        found["numbers"] = _numbers(visit, pattern, partner, KEYS)
    return found


def _missing(visit: Visit, chain: Chain) -> tuple[Missing, ...]:
    """What should have come by now, where the partner's agreements know of it."""
    directory = visit.app.directory()
    if chain.partner not in directory:
        return missing(chain, ())
    agreements = directory.get(chain.partner).agreements
    return missing(chain, {(each.direction.value, set_id) for each in agreements for set_id in each.sets})


def _numbers(visit: Visit, pattern: str | None, partner: str, most: int) -> list[Number]:
    """The numbers that a pattern finds in the newest exchanges, each with what has it."""
    query = Query(business_key=pattern, partner=partner or None, kind=None if pattern else "document", limit=_LOOKED_AT)
    rows = search(visit.app.engine, query, visit.app.now())
    found: dict[tuple[str, str, str], Number] = {}
    meets = _matcher(pattern) if pattern else None
    for row in rows:
        for name, value in _keys(row):
            if meets is not None and not meets(name, value):
                continue
            known = found.get((row.partner, name, value))
            if known is not None:
                known.exchanges += 1
                known.types.extend(each for each in row.types if each not in known.types)
            elif len(found) < most:
                found[row.partner, name, value] = Number(name, value, row.partner, row.at, list(row.types))
    return list(found.values())


def _keys(row: ExchangeRow) -> Iterator[tuple[str, str]]:
    yield from row.keys


def _named(key: str) -> tuple[str, str]:
    matched = _NAMED.fullmatch(key)
    return (matched[1].lower(), matched[2]) if matched and matched[1].lower() in KEY_NAMES else ("", key)


def _matcher(pattern: str) -> Any:
    """Whether a key meets a pattern in which ``*`` stands for anything."""
    name, value = _named(pattern)
    expression = re.compile(".*".join(re.escape(each) for each in value.split("*")), re.DOTALL)

    def meets(of: str, found: str) -> bool:
        return (not name or of == name) and expression.fullmatch(found) is not None

    return meets


PAGES = (view("/documents", documents),)
