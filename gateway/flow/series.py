"""Series: every number that a partner used is remembered, and what is missing is found.

Numbers are noted in the transaction that records their interchanges, with one question for the whole batch. A gap may
close by itself for as long as the profile says; what is still missing then is raised, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec import Struct, field
from sqlalchemy import Connection, Select, Update, bindparam, or_, select, update

from gateway.flow.context import Context
from gateway.flow.identify import identity
from gateway.flow.record import Entry
from gateway.ledger import archive, bulk, tables
from gateway.ledger.events import one_line
from gateway.ledger.literals import word
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from partners.directory import Directory
from partners.model import Numbering
from partners.numbering import LAST
from partners.series import ARRIVED, FIRST_SEEN, Epoch, Irregularity, Series

INTERCHANGE = "interchange"
GROUP = "group "  # and GS01
_CAME = (ExchangeState.ACCEPTED, ExchangeState.REJECTED)

Key = tuple[str, str, str, str]  # partner, theirs, ours, level
_KEY = ("partner", "theirs", "ours", "level")


class Number(Struct, frozen=True):
    """One control number that came."""

    key: Key
    number: int
    exchange: int


def record(context: Context, recorder: Recorder, came: Sequence[tuple[Entry, int]]) -> None:
    """Notes the numbers of a batch of interchanges, each with its exchange, and what is missing between them.

    Duplicates and conflicts use no number; an interchange that a TA1 refused did not either: it may come again.
    Test interchanges are not counted.
    """
    numbers = [number for entry, exchange in came for number in _numbers(entry, exchange)]
    if not numbers:
        return
    kept = _Kept(context.directory, recorder, numbers)
    for each in numbers:
        epoch = kept.series[each.key].see(each.number)
        partner, theirs, ours, level = each.key
        recorder.add(
            tables.received_number, at=recorder.now, partner=partner, theirs=theirs, ours=ours, level=level,
            epoch=epoch, number=each.number, exchange=each.exchange,
        )  # fmt: skip
        keep_irregularities(recorder, each.key, kept.series[each.key], each.exchange, each.number)
    _keep_epochs(recorder, kept)


def _numbers(entry: Entry, exchange: int) -> Iterator[Number]:
    report = entry.interchange.report
    header = report.header
    if (
        entry.state not in _CAME
        or header is None
        or header.usage == "T"
        or entry.interchange.as_test
        or report.ta1[0] == "R"
    ):
        return
    pair = (str(identity(header.sender)), str(identity(header.receiver)))
    yield from _number((entry.partner, *pair, INTERCHANGE), header.control_number, exchange)
    for group in report.groups:
        key = (entry.partner, group.sender, group.receiver, f"{GROUP}{group.functional_id}")
        yield from _number(key, group.control_number, exchange)


def _number(key: Key, text: str, exchange: int) -> Iterator[Number]:
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and 1 <= int(digits[:20]) <= LAST:
        partner, theirs, ours, level = (one_line(each) for each in key)  # no database must stumble over what they wrote
        yield Number((partner, theirs, ours, level), int(digits), exchange)


# ---------------------------------------------------------------- what is kept


class _Kept(Struct):
    """The series that a batch is about, as the ledger has them; locked, where the database has several writers."""

    directory: Directory
    recorder: Recorder
    numbers: Sequence[Number]
    series: dict[Key, Series] = field(default_factory=dict)
    known_epochs: set[tuple[Key, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        wanted = {each.key: each.number for each in reversed(self.numbers)}
        epochs = self._epochs()
        if new := {key: number for key, number in wanted.items() if key not in epochs}:
            self._begin(new)
            epochs = self._epochs()
        irregularities = self._irregularities()
        for key in wanted:
            self.known_epochs |= {(key, row.epoch) for row in epochs[key]}
            self.series[key] = series_of(self.directory, key, epochs[key], irregularities[key])

    def _epochs(self) -> dict[Key, list[_Epoch]]:
        connection = self.recorder.connection
        wanted = bulk.keys(connection, _KEY, sorted({each.key for each in self.numbers}))
        found: dict[Key, list[_Epoch]] = {}
        for partner, theirs, ours, level, *row in bulk.asked(
            connection, "epochs", partial(_epochs, connection), wanted
        ):
            found.setdefault((partner, theirs, ours, level), []).append(_Epoch(*row))
        return found

    def _begin(self, new: dict[Key, int]) -> None:
        """A row for each series that was never seen, so that whoever else meets it now waits for us."""
        recorder = self.recorder
        rows = [
            dict(zip(_KEY, key, strict=True))
            | {"epoch": 1, "at": recorder.now, "first": number, "reason": FIRST_SEEN, "actor": recorder.actor}
            for key, number in sorted(new.items())
        ]
        bulk.write(recorder.connection, "new series", partial(_new_series, recorder.connection), rows)

    def _irregularities(self) -> dict[Key, list[_Gap]]:
        connection = self.recorder.connection
        wanted = bulk.keys(connection, _KEY[:2], sorted({each.key[:2] for each in self.numbers}))
        found: dict[Key, list[_Gap]] = defaultdict(list)
        for partner, theirs, ours, level, *row in bulk.asked(connection, "gaps", partial(_gaps, connection), wanted):
            found[partner, theirs, ours, level].append(_Gap(*row))
        return found


class _Epoch(NamedTuple):
    """What ``series_of`` looks at in a row of ``number_epoch``."""

    epoch: int
    reason: str
    lowest: int | None
    highest: int | None


class _Gap(NamedTuple):
    """What ``series_of`` looks at in a row of ``number_gap``."""

    id: int
    kind: str
    epoch: int
    first: int
    last: int
    raised_at: int | None
    closed_at: int | None
    at: int
    exchange: int


def _new_series(connection: Connection) -> Any:
    return archive.insert(connection, tables.number_epoch).on_conflict_do_nothing()


def _epochs(connection: Connection) -> Select[Any]:
    table = tables.number_epoch
    key = [table.c[name] for name in _KEY]
    rows = select(*key, *(table.c[name] for name in _Epoch._fields)).order_by(*key, table.c.epoch)
    return bulk.beside(connection, rows, table, _KEY).with_for_update(of=table)


def _gaps(connection: Connection) -> Select[Any]:
    table = tables.number_gap
    by_hand = or_(table.c.closed_at.is_(None), table.c.closed_by != word(ARRIVED))
    columns = (*(table.c[name] for name in _KEY), *(table.c[name] for name in _Gap._fields))
    rows = select(*columns).where(by_hand).order_by(table.c.id)
    return bulk.beside(connection, rows, table, _KEY[:2])


def series_of(directory: Directory, key: Key, epochs: Iterable[Any], gaps: Iterable[Any]) -> Series:
    """A series from its rows; an epoch without numbers that was not declared is about to get its first."""
    return Series(
        numbering_of(directory, key),
        unique=key[3] == INTERCHANGE,
        epochs=[
            Epoch(row.epoch, row.reason, row.lowest, row.highest, changed=False)
            for row in epochs
            if row.lowest is not None
        ],
        irregularities=[
            Irregularity(
                row.kind,
                row.epoch,
                row.first,
                row.last,
                id=row.id,
                raised=row.raised_at is not None,
                open=row.closed_at is None,
                changed=False,
                at=row.at,
                shown_by=row.exchange,
            )
            for row in gaps
        ],
    )


def numbering_of(directory: Directory, key: Key) -> Numbering:
    """How the partner numbers this series, as its profile says."""
    if key[0] not in directory:
        return Numbering.CONSECUTIVE
    partner = directory.get(key[0])
    return partner.numbers if key[3] == INTERCHANGE else partner.group_numbers


def keep_irregularities(recorder: Recorder, key: Key, series: Series, exchange: int, arrived: int = 0) -> None:
    """Writes what changed in a series, by the number that ``arrived`` or otherwise.

    What was raised and came after all is told; what was not closes silently.
    """
    table = tables.number_gap
    row = dict(zip(_KEY, key, strict=True))
    for each in series.irregularities:
        if not each.changed:
            continue
        each.changed = False
        if each.id is None:
            each.id = recorder.add(
                table,
                at=each.at or recorder.now,
                **row,
                epoch=each.epoch,
                kind=each.kind,
                first=each.first,
                last=each.last,
                exchange=each.shown_by or exchange,
                raised_at=recorder.now if each.raised else None,
                **_closed(recorder, each),
            )
            continue
        recorder.change(table, each.id, first=each.first, last=each.last, **_closed(recorder, each))
        if each.raised and arrived:
            recorder.event(
                "number-arrived", exchange=exchange, partner=key[0], level=key[3], number=arrived, gap=each.id
            )


def _closed(recorder: Recorder, irregularity: Irregularity) -> dict[str, Any]:
    """The columns that say how it was closed; none where it is open."""
    if irregularity.open:
        return {}
    if irregularity.why:
        return {"closed_at": recorder.now, "closed_by": recorder.actor, "reason": irregularity.why}
    return {"closed_at": recorder.now, "closed_by": ARRIVED}


def _keep_epochs(recorder: Recorder, kept: _Kept) -> None:
    """The bounds of the counts that changed, all with one statement."""
    table = tables.number_epoch
    changed = []
    for key, series in kept.series.items():
        named = dict(zip(_KEY, key, strict=True))
        for each in series.epochs:
            if not each.changed:
                continue
            bounds = {"lowest": each.lowest, "highest": each.highest}
            if (key, each.number) in kept.known_epochs:
                changed.append({f"the_{name}": value for name, value in named.items()} | bounds | {"of": each.number})
            else:
                recorder.put(
                    table, **named, epoch=each.number, at=recorder.now, first=each.lowest, reason=each.reason,
                    actor=recorder.actor, **bounds,
                )  # fmt: skip
    if changed:
        bulk.write(recorder.connection, "bounds of numbers", _bounds, changed)


def _bounds() -> Update:
    table = tables.number_epoch
    this = (table.c[name] == bindparam(f"the_{name}") for name in _KEY)
    return (
        update(table)
        .where(*this, table.c.epoch == bindparam("of"))
        .values(lowest=bindparam("lowest"), highest=bindparam("highest"))
    )
