"""What a report is about: a time window in a zone, and whom and what it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.errors import QueryInvalid
from gateway.ledger.moments import at_zone, iso, milliseconds, parse_span
from gateway.ledger.query import stored_partner
from gateway.ledger.words import parse_query

CRITERIA = ("partner", "direction", "kind", "type", "usage", "since", "until")
_INT64 = 2**63 - 1


class Scope(Struct, frozen=True):
    """Exchanges from ``since`` (included) to ``until`` (excluded; ms since 1970 UTC), as recorded at that time.

    ``zone`` is that of days, months and hours; None is the local zone. ``partner``, ``direction`` (in, out), ``kind``
    (document, acknowledgment, receipt), ``type`` (one of the transaction sets in it) and ``usage`` (ISA15) narrow it;
    None asks nothing, the partner "" is that of strangers.

    Raises:
        QueryInvalid: the window ends before it begins.
    """

    since: int
    until: int
    zone: tzinfo | None = UTC
    partner: str | None = None
    direction: str | None = None
    kind: str | None = None
    type: str | None = None
    usage: str | None = None

    def __post_init__(self) -> None:
        """Refuses what is no window."""
        if not 0 <= self.since < self.until <= _INT64:
            raise QueryInvalid(where="since and until", reason="the time window ends before it begins")

    @property
    def zone_name(self) -> str:
        """The zone for people; the local one by its names within the window."""
        if self.zone is not None:
            return getattr(self.zone, "key", None) or str(self.zone)
        return "/".join(dict.fromkeys(f"{at_zone(at, None):%Z}" for at in (self.since, self.until - 1)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, in the zone."""
        told = {name: getattr(self, name) for name in CRITERIA[:-2] if getattr(self, name) is not None}
        return {"since": iso(self.since, self.zone), "until": iso(self.until, self.zone), "zone": self.zone_name} | told


def parse_scope(words: Sequence[str], now: datetime, zone: tzinfo | None = None) -> Scope:
    """The scope that words of the query language say, such as ``partner=acme on=2026-10 zone=Europe/Berlin``.

    Without a time it is the month that is now; without ``until`` it ends now.

    Args:
        words: each a field and its value; see ``CRITERIA``, and ``on`` and ``zone``.
        now: aware.
        zone: where no word names one; None is the local zone.

    Raises:
        QueryInvalid: a word says nothing, or what reports do not ask for.
    """
    zone = _zone_of(words, zone)
    query = parse_query(words, now, zone)
    for name in sorted(query.asked - set(CRITERIA)):
        allowed = ", ".join((*CRITERIA, "on", "zone"))
        raise QueryInvalid(where=name.replace("_", "-"), reason=f"a report takes {allowed}")
    for each in query.criteria():
        if each.negated or len(each.values) > 1 or "*" in each.values[0]:
            raise QueryInvalid(where=each.field, reason="a report takes one value or all: no alternatives, no stars")
    if query.also or query.sort or query.before is not None:
        raise QueryInvalid(where="words", reason="a report takes each field once, and neither sort nor before")
    since, until = query.since, query.until
    if since is None and until is None:
        since, until = month_of(now, zone)
    return Scope(
        since or 0,
        milliseconds(now) + 1 if until is None else until,
        zone,
        None if query.partner is None else stored_partner(query.partner),
        *(getattr(query, name) for name in CRITERIA[1:-2]),
    )


def month_of(moment: datetime, zone: tzinfo | None) -> tuple[int, int]:
    """The month that a moment lies in, as the two ends of a window."""
    written = f"{moment.astimezone(zone):%Y-%m}"
    start, end = parse_span(written, moment, zone)
    return milliseconds(start), milliseconds(end)


def _zone_of(words: Sequence[str], zone: tzinfo | None) -> tzinfo | None:
    """The zone that a word names; whether it is one, ``parse_query`` says."""
    for word in words:
        name, mark, value = word.partition("=") if "=" in word else word.partition(":")
        if name.lower() == "zone" and mark:
            try:
                return ZoneInfo(value.strip())
            except (OSError, ValueError, KeyError):
                return zone
    return zone


# ---------------------------------------------------------------- the calendar of a zone


class Stretch(Struct, frozen=True):
    """A part of a window in which local time differs from UTC by ``offset`` ms; ``month`` is "2026-10" or ""."""

    since: int
    until: int
    offset: int
    month: str = ""


def stretches(scope: Scope, *, months: bool, offsets: bool) -> list[Stretch]:
    """The window, cut where months begin and where the clocks change, as far as that is asked for."""
    cuts = {scope.since, scope.until}
    if months:
        cuts.update(_months(scope))
    if offsets:
        cuts.update(_changes(scope))
    ordered = sorted(cuts)
    return [
        Stretch(since, until, offset_at(since, scope.zone), f"{at_zone(since, scope.zone):%Y-%m}" if months else "")
        for since, until in pairwise(ordered)
    ]


def offset_at(at: int, zone: tzinfo | None) -> int:
    """How far local time is ahead of UTC, in ms."""
    return (at_zone(at, zone).utcoffset() or timedelta()) // timedelta(milliseconds=1)


def _months(scope: Scope) -> list[int]:
    """The beginnings of months within the window."""
    found = []
    moment = at_zone(scope.since, scope.zone)
    _, at = month_of(moment, scope.zone)
    while at < scope.until:
        found.append(at)
        _, at = month_of(at_zone(at, scope.zone), scope.zone)
    return found


def _changes(scope: Scope) -> list[int]:
    """The moments within the window at which the clocks change."""
    found, step = [], 6 * 3_600_000
    before, known = scope.since, offset_at(scope.since, scope.zone)
    while before < scope.until:
        after = min(before + step, scope.until)
        now = offset_at(after, scope.zone)
        if now != known:
            found.append(_change(before, after, scope.zone))
        before, known = after, now
    return [each for each in found if each < scope.until]


def _change(before: int, after: int, zone: tzinfo | None) -> int:
    """The first moment at which the offset is that of ``after``."""
    wanted = offset_at(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if offset_at(middle, zone) == wanted:
            after = middle
        else:
            before = middle
    return after
