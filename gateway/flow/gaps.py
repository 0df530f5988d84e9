"""Gaps: what is missing in partners' numbers is raised when its time to come is over; a person can explain it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, select, update

from gateway.errors import NotFound
from gateway.flow.acts import Act, acting, before
from gateway.flow.context import Context
from gateway.flow.not_missing import explain
from gateway.flow.series import GROUP, INTERCHANGE, Key, keep_irregularities, numbering_of, series_of
from gateway.ledger import tables
from gateway.ledger.missing import Gap
from gateway.ledger.recording import Recorder, insisting
from partners.model import Numbering
from partners.series import ARRIVED, DECLARED, GAP, IRREGULAR, STEP_BACK, Series, is_consecutive

Found = Row[*tuple[Any, ...]]

MANY = 10  # open findings of one series after which one says it all
FEW = 2  # … where most of its numbers do not follow each other anyway
_ENOUGH = 8  # numbers of a series to judge it by
_SAMPLE = 50  # of a series' highest numbers, to see whether they follow each other


def raise_gaps(context: Context) -> None:
    """Raises, once, what is still missing after the time that the profile gives it."""
    table = tables.number_gap
    with context.ledger.reading() as connection:
        rows = connection.execute(select(table).where(table.c.closed_at.is_(None)).order_by(table.c.id)).all()
    now = context.clock()
    due = {_key(row) for row in rows if _is_due(context, row, now) or _means_nothing(context, row)}
    # Interchanges first: their gaps can explain those of the groups in them.
    for key in sorted(due, key=lambda each: (each[3] != INTERCHANGE, each)):
        with context.ledger.transaction() as recorder:
            _raise(context, recorder, key)


def _is_due(context: Context, row: Found, now: int) -> bool:
    return row.raised_at is None and row.at + _grace(context, row.partner) <= now


def _means_nothing(context: Context, row: Found) -> bool:
    """Whether the profile has changed and says not to mind it any more."""
    numbering = numbering_of(context.directory, _key(row))
    return numbering is Numbering.ANY or (numbering is Numbering.INCREASING and row.kind != STEP_BACK)


def _grace(context: Context, partner: str) -> int:
    known = partner in context.directory
    return int(context.directory.get(partner).gap_grace.total_seconds() * 1000) if known else 0


def _key(row: Found) -> Key:
    return row.partner, row.theirs, row.ours, row.level


def _raise(context: Context, recorder: Recorder, key: Key) -> None:
    rows = _locked(recorder, key)
    series = series_of(context.directory, key, rows, open_ := _open(recorder, key))
    exchange = max(row.exchange for row in open_) if open_ else 0
    if numbering_of(context.directory, key) is not Numbering.CONSECUTIVE:
        _forget(series)
    else:
        explain(recorder, key, series, rows)
        if _hopeless(recorder, key, series):
            series.give_up()
    keep_irregularities(recorder, key, series, exchange)
    recorder.flush()
    _tell(context, recorder, key)


def _locked(recorder: Recorder, key: Key) -> list[Found]:
    """The epochs of a series; nobody else changes it meanwhile."""
    table = tables.number_epoch
    wanted = select(table).where(*_is(table, key)).order_by(table.c.epoch).with_for_update()
    return list(recorder.connection.execute(wanted))


def _is(table: Any, key: Key) -> list[Any]:
    return [table.c[name] == value for name, value in zip(("partner", "theirs", "ours", "level"), key, strict=True)]


def _open(recorder: Recorder, key: Key) -> list[Found]:
    table = tables.number_gap
    wanted = select(table).where(*_is(table, key), table.c.closed_at.is_(None)).order_by(table.c.id)
    return list(recorder.connection.execute(wanted))


def _forget(series: Series) -> None:
    """What the profile says not to mind any more."""
    for each in series.open:
        if each.kind != STEP_BACK or series.numbering is Numbering.ANY:
            each.open, each.changed, each.why = False, True, f"the profile says {series.numbering}"


def _hopeless(recorder: Recorder, key: Key, series: Series) -> bool:
    """Whether the numbers mean so little that one finding says it all."""
    if any(each.kind == IRREGULAR for each in series.open):
        return False
    if len(series.open) > MANY:
        return True
    table = tables.received_number
    highest = select(table.c.number).where(*_is(table, key)).order_by(table.c.epoch.desc(), table.c.number.desc())
    sample = recorder.connection.execute(highest.limit(_SAMPLE)).scalars().all()
    return len(series.open) >= FEW and len(sample) >= _ENOUGH and not is_consecutive(sample)


def _tell(context: Context, recorder: Recorder, key: Key) -> None:
    now, table = recorder.now, tables.number_gap
    for row in _open(recorder, key):
        gap = Gap(*row)
        if gap.raised_at is not None or not (gap.kind == IRREGULAR or _is_due(context, row, now)):
            continue
        if _spoken_for(recorder, gap):
            continue
        recorder.change(table, gap.id, raised_at=now)
        recorder.event(
            "number-missing",
            exchange=gap.exchange,
            partner=gap.partner,
            what=gap.what,
            gap=gap.id,
            level=gap.level,
            first=gap.first,
            last=gap.last,
        )
        context.reporter.happened("findings about partners' numbers")


def _spoken_for(recorder: Recorder, gap: Gap) -> bool:
    """A missing interchange takes the numbers of its groups with it: that is said once."""
    table = tables.number_gap
    lost = select(table.c.id).where(
        table.c.partner == gap.partner,
        table.c.level == INTERCHANGE,
        table.c.exchange == gap.exchange,
        table.c.closed_at.is_(None),
    )
    return gap.level != INTERCHANGE and recorder.connection.execute(lost).first() is not None


# ---------------------------------------------------------------- what a person says


@insisting
def close(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """A person says why numbers are missing; the groups of missing interchanges are explained with them.

    Raises:
        NotFound: there is no such finding.
    """
    table = tables.number_gap
    with acting(context, actor, dry_run=dry_run) as recorder:
        row = recorder.connection.execute(select(table).where(table.c.id == number)).one_or_none()
        if row is None:
            raise NotFound(what="finding about numbers", key=f"g{number}", see="gateway partner numbers show KEY")
        if row.closed_at is not None:
            said = "they came" if row.closed_by == ARRIVED else f"{row.closed_by} said why: {row.reason}"
            return before(f"g{number}", said)
        _close(recorder, table.c.id == number, reason)
        if row.level == INTERCHANGE:
            silent = and_(table.c.exchange == row.exchange, table.c.level != INTERCHANGE, table.c.raised_at.is_(None))
            _close(recorder, silent, reason)
        recorder.event(
            "number-explained",
            exchange=row.exchange,
            partner=row.partner,
            gap=number,
            what=Gap(*row).what,
            reason=reason,
        )
    return Act(f"g{number}", f"{Gap(*row).what}: explained")


def _close(recorder: Recorder, which: Any, reason: str) -> None:
    table = tables.number_gap
    recorder.connection.execute(
        update(table)
        .where(which, table.c.closed_at.is_(None))
        .values(closed_at=recorder.now, closed_by=recorder.actor, reason=reason)
    )


@insisting
def reset(
    context: Context, partner: str, first: int, *, groups: bool, actor: str, reason: str, dry_run: bool = False
) -> list[Act]:
    """The partner told us that its numbers begin anew: at ``first``, of interchanges or of groups.

    Numbers that were used before may come again from now on. Safe to repeat: what was declared and has not begun is
    not declared again. One act for each series.

    Raises:
        NotFound: nothing of that partner came yet, so that there is nothing to begin anew.
    """
    table = tables.number_epoch
    levels = table.c.level.like(f"{GROUP}%") if groups else table.c.level == INTERCHANGE
    with acting(context, actor, dry_run=dry_run) as recorder:
        wanted = select(table).where(table.c.partner == partner, levels).order_by(table.c.epoch).with_for_update()
        newest = {_key(row): row for row in recorder.connection.execute(wanted)}
        if not newest:
            raise NotFound(
                what="series of numbers of partner", key=partner, see=f"gateway partner numbers show {partner}"
            )
        acts = []
        for key, row in newest.items():
            whose = f"{key[3]} numbers of {key[1]} to {key[2]}"
            if _declared_so(row, first):
                acts.append(before(whose, f"they are to begin at {first}"))
                continue
            _declare(recorder, key, row.epoch + 1, first, reason)
            acts.append(Act(whose, f"begin anew at {first}; numbers that were used before may come again"))
    return acts


def _declared_so(row: Found, first: int) -> bool:
    """Whether a series waits for that very number already."""
    return bool(row.reason == DECLARED and row.first == first and row.highest == first - 1)


def _declare(recorder: Recorder, key: Key, epoch: int, first: int, reason: str) -> None:
    table = tables.number_gap
    row = dict(zip(("partner", "theirs", "ours", "level"), key, strict=True))
    recorder.put(
        tables.number_epoch, **row, epoch=epoch, at=recorder.now, first=first, reason=DECLARED, actor=recorder.actor,
        lowest=first, highest=first - 1,
    )  # fmt: skip
    for each in [each for each in _open(recorder, key) if each.kind != GAP]:
        _close(recorder, table.c.id == each.id, reason)
    recorder.event("numbers-reset", partner=key[0], level=key[3], theirs=key[1], first=first, reason=reason)
