"""Not missing: numbers of a gap whose interchange is here, but was not accepted, or that other groups used.

An arrival says something about the gap of its own count only: the same two identities, and the epoch that it came in.
What the partner used before its numbers began anew does not explain what is missing now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import func, select

from gateway.flow.series import GROUP, INTERCHANGE, Key
from gateway.ledger import tables
from gateway.ledger.events import one_line
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import taken_as_test
from partners.model import Identity
from partners.numbering import LAST, format_number
from partners.series import DECLARED, GAP, Series, reach

_HERE = "it is here, but was not accepted"
_ELSEWHERE = "another kind of group used the number"
# Not a duplicate: its bytes came before. Nor what took its number: acknowledgments, empty envelopes.
_NOT_ACCEPTED = (
    ExchangeState.QUARANTINED,
    ExchangeState.CONFLICT,
    ExchangeState.REJECTED,
    ExchangeState.DISCARDED,
)


def explain(recorder: Recorder, key: Key, series: Series, epochs: Sequence[Any]) -> None:
    """Numbers that are not missing leave their gaps.

    Args:
        recorder: the transaction, which has locked the series.
        key: whose gaps these are.
        series: the series as it stands.
        epochs: its rows, the oldest first.
    """
    gaps = [each for each in series.open if each.kind == GAP]
    if not gaps:
        return
    runs = _runs(recorder, key, epochs)
    for gap in gaps:
        numbers = range(gap.first, gap.last + 1)
        if here := _of_epoch(runs, gap.epoch, _not_accepted(recorder, key, numbers)):
            series.explain(here, _HERE, gap.epoch)
        if key[3] != INTERCHANGE and (other := _of_epoch(runs, gap.epoch, _in_other_groups(recorder, key, numbers))):
            series.explain(other, _ELSEWHERE, gap.epoch)


class _Run(Struct, frozen=True):
    """One epoch, with the moment from which an arrival may belong to it: ms since 1970 UTC."""

    epoch: int
    since: int
    lowest: int
    highest: int  # past LAST where it may have wrapped

    def may_hold(self, number: int, at: int) -> bool:
        """Whether a number that came then may belong to it."""
        return self.since <= at and (self.lowest <= number <= self.highest or number <= self.highest - LAST)


def _runs(recorder: Recorder, key: Key, epochs: Sequence[Any]) -> list[_Run]:
    found: list[_Run] = []
    for before, row in zip([None, *epochs], epochs, strict=False):
        if row.lowest is not None:
            since = 0 if before is None else row.at if row.reason == DECLARED else _after(recorder, key, before, row)
            # What is not accepted may be the newest of a count that began after another, which it does not stretch.
            ahead = 0 if before is None else reach(row.reason, row.lowest, row.highest)
            found.append(_Run(row.epoch, since, row.lowest, row.highest + ahead))
    return found


def _after(recorder: Recorder, key: Key, before: Any, row: Any) -> int:
    """When the count before had its last number: the new one showed only by the first number that was accepted."""
    n, x = tables.received_number, tables.exchange
    last = (
        select(func.coalesce(x.c.at, n.c.at))
        .outerjoin_from(n, x, x.c.id == n.c.exchange)
        .where(*(n.c[name] == value for name, value in zip(("partner", "theirs", "ours", "level"), key, strict=True)))
        .where(n.c.epoch == before.epoch)
        .order_by(n.c.number.desc())
        .limit(1)
    )
    at = recorder.connection.execute(last).scalar()
    return int(row.at) if at is None else min(int(at), int(row.at))


def _of_epoch(runs: Sequence[_Run], epoch: int, came: Iterable[tuple[int, int]]) -> set[int]:
    """The numbers, each with the time of its arrival, that belong to an epoch: the newest which it may belong to."""
    return {
        number
        for number, at in came
        if epoch == max((each.epoch for each in runs if each.may_hold(number, at)), default=None)
    }


def _not_accepted(recorder: Recorder, key: Key, numbers: range) -> list[tuple[int, int]]:
    x, g = tables.exchange, tables.functional_group
    partner, theirs, ours, level = key
    texts = [form for each in numbers for form in (str(each), format_number(each))]
    # Not the partner column itself: SQLite would read all exchanges of the partner by its index, not the few numbers.
    theirs_all = (x.c.partner + "") == partner
    # A test that is not accepted explains nothing: the numbers of tests count apart.
    here = (theirs_all, x.c.direction == "in", x.c.state.in_(_NOT_ACCEPTED), x.c.usage != "T", ~taken_as_test())
    if level == INTERCHANGE:
        parties: tuple[Any, ...] = (x.c.sender_qualifier, x.c.sender_id, x.c.receiver_qualifier, x.c.receiver_id)
        wanted = select(x.c.control_number, x.c.at, *parties).where(*here, x.c.control_number.in_(texts))
    else:
        parties = (g.c.application_sender, g.c.application_receiver)
        wanted = select(g.c.control_number, x.c.at, *parties).join(x, x.c.id == g.c.exchange).where(*here)
        wanted = wanted.where(g.c.control_number.in_(texts), g.c.functional_id == level.removeprefix(GROUP))
    rows = recorder.connection.execute(wanted).all()
    return [(int(number), at) for number, at, *pair in rows if _pair(pair) == (theirs, ours)]


def _pair(parties: Sequence[str]) -> tuple[str, ...]:
    """Two parties as a series names them: with qualifiers those of an interchange, without those of a group."""
    if len(parties) == 4:
        parties = str(Identity.of(*parties[:2])), str(Identity.of(*parties[2:]))
    return tuple(one_line(each) for each in parties)


def _in_other_groups(recorder: Recorder, key: Key, numbers: range) -> list[tuple[int, int]]:
    """Many partners count all their groups together, whatever their kind."""
    table = tables.received_number
    partner, theirs, ours, level = key
    same = (table.c.partner == partner, table.c.theirs == theirs, table.c.ours == ours)
    other = (table.c.level.like(f"{GROUP}%"), table.c.level != level)
    between = table.c.number.between(numbers.start, numbers.stop - 1)
    rows = recorder.connection.execute(select(table.c.number, table.c.at).where(*same, *other, between)).all()
    return [(number, at) for number, at in rows]
