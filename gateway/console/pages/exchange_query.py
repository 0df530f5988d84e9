"""The line of a search: read, explained where it cannot be, and made into links that ask for a little more or less."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, tzinfo
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound, QueryInvalid
from gateway.ledger.query import Query
from gateway.ledger.saved import expanded
from gateway.ledger.words import field_of, named, parse_query
from gateway.ledger.written import as_line, split_line

LONGEST = 4_000  # characters of a line
PATH = "/exchanges"


class Asked(Struct, frozen=True):
    """What somebody asked for: the line as written, its words, and what it means.

    ``query`` is None where it has none; then ``fault`` says why. ``zone`` is that of times, None: the machine's.
    ``limited``: the line, or a saved query in it, says how many are wanted.
    """

    line: str
    words: tuple[str, ...]
    zone_name: str
    zone: tzinfo | None
    tab: str  # exchanges, mails
    query: Query | None = None
    fault: GatewayError | None = None
    limited: bool = False

    def link(self, words: Sequence[str] | None = None, path: str = PATH, **parameters: str) -> str:
        """A link to the same page (or to ``path``), with other words."""
        line = self.line if words is None else as_line(words)
        tab = "" if self.tab == "exchanges" else self.tab
        wanted = {"q": line, "zone": self.zone_name, "tab": tab} | parameters
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"{path}?{query}" if query else path

    def but(self, *fields: str) -> tuple[str, ...]:
        """The words without those that ask for one of these fields or flags."""
        return tuple(word for word in self.words if field_of(word) not in fields)

    def has(self, word: str) -> bool:
        """Whether it is asked so, word for word."""
        return word in self.words


def read(visit: Visit, tabs: Collection[str] = ("exchanges", "mails")) -> Asked:
    """What the address of a page asks for; a fault in it is kept, not raised."""
    line = visit.asked("q").strip()
    tab = visit.asked("tab", "exchanges")
    asked = Asked(
        line=line[:LONGEST],
        words=tuple(split_line(line[:LONGEST])),
        zone_name=visit.asked("zone").strip()[:100],
        zone=None,
        tab=tab if tab in tabs else "exchanges",
    )
    try:
        check_length(line)
        zone = _zone(zone_in(asked.words) or asked.zone_name)
        words = _expanded(visit, asked.words)
        zone = _zone(zone_in(words)) or zone
        limited = any(field_of(word) == "limit" for word in words)
        return replace(asked, zone=zone, query=parse_query(words, _now(visit), zone), limited=limited)
    except (QueryInvalid, NotFound) as fault:
        return replace(asked, fault=fault)


def check_length(line: str) -> None:
    """Refuses what nobody writes.

    Raises:
        QueryInvalid: the line is too long.
    """
    if len(line) > LONGEST:
        raise QueryInvalid(where="the line", reason=f"it has {len(line)} characters; {LONGEST} are allowed")


def zone_in(words: Sequence[str]) -> str:
    """The zone that a word names; "" where none does."""
    return next((re.split(r"[=:]", word, maxsplit=1)[1].strip() for word in words if field_of(word) == "zone"), "")


def _expanded(visit: Visit, words: Sequence[str]) -> Sequence[str]:
    if not any(named(word) for word in words):
        return words
    with visit.app.ledger.reading() as connection:
        return expanded(connection, words)


def _zone(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise QueryInvalid(
            where=f"zone={name}", reason="there is no such time zone; write for example Europe/Berlin"
        ) from None


def _now(visit: Visit) -> datetime:
    return datetime.fromtimestamp(visit.app.now() / 1000, UTC)
