"""Reading a query as people write it: ``partner=acme type=850 since=7d overdue 4500012345``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import QueryInvalid
from gateway.ledger.moments import milliseconds, parse_span
from gateway.ledger.query import Query
from gateway.ledger.states import ExchangeState, MessageState

# Short names that people write for a criterion.
ALIASES: Mapping[str, str] = {
    "set": "type",
    "st01": "type",
    "gs08": "version",
    "control": "control_number",
    "icn": "control_number",
    "isa13": "control_number",
    "group": "group_control_number",
    "gs06": "group_control_number",
    "st02": "set_control_number",
    "key": "business_key",
    "from": "from_address",
    "to": "to_address",
    "file": "file_name",
    "attention": "needs_attention",
    "fault_code": "fault",
}
# Business keys that every gateway extracts; their names may stand as a field: po=4711 is key=po=4711.
KEY_NAMES = frozenset(
    {
        *("acknowledgment", "adjustment", "bill_of_lading", "booking", "catalog", "check", "claim", "equipment"),
        *("forecast", "inquiry", "invoice", "order", "original", "po", "quotation", "receipt", "reference"),
        *("release", "report", "shipment", "trace"),
    }
)
FLAGS = ("needs_attention", "unacknowledged", "overdue", "duplicate")
FIELDS = (*(each.name for each in fields(Query)), "on", "zone")  # on: since and until of one day; zone: of the times

_WORD = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)([=:])(.*)", re.DOTALL)
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
_STATES = {state.value.replace(" ", "-"): state.value for state in (*ExchangeState, *MessageState)}
_VERDICTS = ("accepted", "accepted_with_errors", "partially_accepted", "rejected")
_KINDS = ("document", "acknowledgment", "letter", "bounce", "receipt", "auto-reply", "alert")
_CHOICES: Mapping[str, Mapping[str, str]] = {
    "direction": {"in": "in", "out": "out", "inbound": "in", "outbound": "out"},
    "kind": {each: each for each in _KINDS},
    "state": _STATES,
    "verdict": {each.replace("_", "-"): each for each in _VERDICTS},
    "usage": {"p": "P", "t": "T", "i": "I", "production": "P", "test": "T", "information": "I"},
}


def parse_query(
    words: Sequence[str],
    now: datetime | None = None,
    zone: tzinfo | None = None,
    key_names: Collection[str] = KEY_NAMES,
) -> Query:
    """The query that ``words`` say.

    Each word is ``field=value`` or ``field:value``, a flag (``overdue``), or free text; a name of ``key_names`` stands
    for the business key of that name. Times are in ``zone``, in the zone that a word ``zone=Europe/Berlin`` names, or
    else local.

    Raises:
        QueryInvalid: names the word, and what could stand there.
    """
    given: dict[str, tuple[str, str]] = {}
    texts: list[str] = []
    for word in words:
        field, value = _split(word, key_names)
        if field is None:
            texts.append(value)
        elif field in given:
            raise QueryInvalid(where=word, reason=f"{field} is asked twice (before: {given[field][0]})")
        else:
            given[field] = (word, value)
    if "zone" in given:
        zone = _zone(*given.pop("zone"))
    criteria: dict[str, Any] = {}
    for field, (word, value) in given.items():
        criteria |= _criterion(field, value, word, now or datetime.now(UTC), zone)
    if texts:
        criteria["text"] = " ".join([*texts, *([criteria["text"]] if "text" in criteria else [])])
    since, until = criteria.get("since"), criteria.get("until")
    if since is not None and until is not None and since >= until:
        raise QueryInvalid(where="since and until", reason="the time window ends before it begins")
    return Query(**criteria)


def _split(word: str, key_names: Collection[str]) -> tuple[str | None, str]:
    """Field and value of a word; no field where it is free text."""
    flag = _canonical(word)
    if flag in FLAGS:
        return flag, "yes"
    matched = _WORD.fullmatch(word)
    if matched is None:
        return None, word
    field = _canonical(matched[1])
    if field not in FIELDS and matched[1] in key_names and matched[3].strip():
        return "business_key", f"{matched[1]}={matched[3].strip()}"
    if field not in FIELDS:
        near = get_close_matches(field, [*FIELDS, *ALIASES], n=1)
        hint = f"did you mean {near[0].replace('_', '-')}? " if near else ""
        allowed = ", ".join(name.replace("_", "-") for name in FIELDS)
        raise QueryInvalid(
            where=word,
            reason=f"there is no field {matched[1]}; {hint}The fields are {allowed}; key={matched[1]}=… asks for a key",
        )
    if not matched[3].strip():
        raise QueryInvalid(where=word, reason=f"a value is missing after {matched[1]}{matched[2]}")
    return field, matched[3].strip()


def _canonical(name: str) -> str:
    name = name.lower().replace("-", "_")
    return ALIASES.get(name, name)


def _criterion(field: str, value: str, word: str, now: datetime, zone: tzinfo | None) -> dict[str, Any]:
    if field in {"since", "until", "on"}:
        return _times(field, value, word, now, zone)
    if field in FLAGS:
        return {field: _flag(value, word)}
    if field in _CHOICES:
        return {field: _choice(_CHOICES[field], value, word)}
    other: Callable[[str, str], Any] | None = {"limit": _limit, "before": _cursor}.get(field)
    if other is not None:
        return {field: other(value, word)}
    if field == "message_id":  # angle brackets belong to the header, not to the id (RFC 5322 section 3.6.4)
        value = value.removeprefix("<").removesuffix(">")
    return {field: value}


def _times(field: str, value: str, word: str, now: datetime, zone: tzinfo | None) -> dict[str, int]:
    try:
        start, end = parse_span(value, now, zone)
        span = milliseconds(start), milliseconds(end)
    except ValueError as problem:
        raise QueryInvalid(where=word, reason=str(problem)) from None
    if field != "on":
        return {field: span[0] if field == "since" else span[1]}
    if span[0] == span[1]:
        raise QueryInvalid(where=word, reason="a day, month or year is wanted here; use since= and until= for moments")
    return {"since": span[0], "until": span[1]}


def _zone(word: str, value: str) -> tzinfo:
    try:
        return ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise QueryInvalid(where=word, reason="there is no such time zone; write for example Europe/Berlin") from None


def _flag(value: str, word: str) -> bool:
    if value.lower() in _YES + _NO:
        return value.lower() in _YES
    raise QueryInvalid(where=word, reason="yes or no is wanted here")


def _choice(choices: Mapping[str, str], value: str, word: str) -> str:
    key = value.lower().replace("_", "-").replace(" ", "-")
    if key in choices:
        return choices[key]
    near = get_close_matches(key, choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise QueryInvalid(where=word, reason=f"{value} is not possible here; {hint}Possible are {', '.join(choices)}")


def _limit(value: str, word: str) -> int:
    if value.isascii() and value.isdigit() and 1 <= int(value[:20]) <= 10**9:
        return int(value)
    raise QueryInvalid(where=word, reason="a limit is a number from 1 on")


def _cursor(value: str, word: str) -> tuple[int, int]:
    matched = re.fullmatch(r"(\d{1,18})-(\d{1,18})", value, re.ASCII)
    if matched is None:
        raise QueryInvalid(where=word, reason="it is not the cursor of a page (two numbers with a dash)")
    return int(matched[1]), int(matched[2])
