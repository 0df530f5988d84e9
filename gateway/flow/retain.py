"""Retain: what is kept, for how long, and how; what is over its time is put away.

Putting away goes in small transactions, each whole: a run that is ended anywhere is taken up by the next one. Each
looks at holds and at what is at work again, in the very transaction that puts away.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from gateway.flow.context import Context
from gateway.ledger import moved, retention_purge, retention_records
from gateway.ledger.archive import insert
from gateway.ledger.holds import wait_for_holds
from gateway.ledger.key_life import empty_transit, wipe
from gateway.ledger.leases import holding
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.retention_links import NOT_OVER, going
from gateway.ledger.retention_policy import DAY, Policies, Rule, Spans
from gateway.ledger.retention_purge import Gone
from gateway.ledger.retention_units import START, Cursor, Judge, Key, Unit, page
from gateway.ledger.tables import content, exchange, message, retention_mark
from gateway.settings import Kept, Settings
from gateway.settings.retention import say_kept
from gateway.values import asdict
from partners.directory import Directory

T = TypeVar("T")

PAGE = 200  # units that are judged, and put away, at once
_MARK = "nightly"
_OVERLAP = DAY  # that two nights look at both: nothing falls between them
_AGAIN = 30 * DAY  # after this everything is looked at again, whatever was looked at before


def encrypting(directory: Directory) -> frozenset[str]:
    """The partners whose raw bytes lie encrypted."""
    return frozenset(each.key for each in directory if each.storage.encrypt)


# ---------------------------------------------------------------- policies


def policies(settings: Settings, directory: Directory, *, whole_months: bool = False) -> Policies:
    """What gateway.toml and the profiles say, as they stand now."""
    said = settings.retention
    agreements: dict[tuple[str, str, str], list[Rule]] = defaultdict(list)
    for partner in directory:
        for agreement in partner.agreements:
            for each in agreement.sets:
                agreements[partner.key, agreement.direction.value, each].append(_rule(agreement.retention))
    return Policies(
        default=Spans(_ms(said.ledger), _ms(said.payload)),
        types={name: _rule(kept) for name, kept in said.types},
        partners={each.key: _rule(each.retention) for each in directory},
        agreements={key: tuple(rules) for key, rules in agreements.items()},
        window=_ms(settings.duplicate_window),
        whole_months=whole_months,
    )


def _rule(kept: Kept) -> Rule:
    return Rule(None if kept.ledger is None else _ms(kept.ledger), None if kept.payload is None else _ms(kept.payload))


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def said(span: int) -> str:
    """A span in ms as gateway.toml writes it."""
    return say_kept(timedelta(milliseconds=span))


# ---------------------------------------------------------------- what would go


class Line(Struct, frozen=True):
    """What would go of one partner and type: ``what`` is ledger or payload; ``size`` is in bytes."""

    what: str
    partner: str
    types: str
    exchanges: int = 0
    messages: int = 0
    contents: int = 0
    size: int = 0
    policy: str = ""

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)


class Plan(Struct, frozen=True):
    """What is over its time: what would go, and what stays all the same, by reason."""

    lines: tuple[Line, ...]
    staying: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {"goes": [line.as_dict() for line in self.lines], "stays": self.staying}


def plan(context: Context, *, whole_months: bool = False) -> Plan:
    """What would go now, changing nothing. ``whole_months``: as it goes into archives."""
    rules, now = policies(context.settings, context.directory, whole_months=whole_months), context.clock()
    counts = _Counts()

    def leaving(connection: Connection, judge: Judge, keys: Sequence[Key]) -> None:
        found = going(connection, judge, [key for key in keys if key not in counts.leaving], now)
        for unit in found.units:
            counts.leaves(unit, retention_purge.size_of(connection, [unit]))
        counts.stays([why for key, why in found.staying.items() if key in keys])

    def away(connection: Connection, judge: Judge, keys: Sequence[Key]) -> None:
        units = [unit for unit in judge.units(keys).values() if unit.key not in counts.leaving]
        names = retention_purge.over_names(connection, judge, units, now)
        sizes = retention_purge.sizes_of(connection, list(names))
        for name, unit in names.items():
            counts.goes(unit, sizes.get(name, 0))

    for what, look in (("ledger", leaving), ("payload", away)):
        for _ in _pages(context, rules, what, now, look):
            pass
    return counts.plan()


class _Counts:
    """What a plan counts, by partner and type."""

    def __init__(self) -> None:
        self.leaving: set[Key] = set()
        self._lines: dict[tuple[str, str, str, str], Line] = {}
        self._staying: Counter[str] = Counter()

    def leaves(self, unit: Unit, size: int) -> None:
        """A unit leaves the ledger."""
        if unit.key not in self.leaving:
            self.leaving.add(unit.key)
            mails = int(unit.message is not None)
            self._add(unit, "ledger", said(unit.spans.ledger), Line("", "", "", len(unit.exchanges), mails, 0, size))

    def goes(self, unit: Unit, size: int) -> None:
        """One content of a unit goes."""
        self._add(unit, "payload", said(unit.spans.payload), Line("", "", "", 0, 0, 1, size))

    def stays(self, reasons: Iterable[str]) -> None:
        """Units stay although their time is over."""
        self._staying.update(_in_short(why) for why in reasons if why != NOT_OVER)

    def plan(self) -> Plan:
        """All of it, in order."""
        lines = sorted(self._lines.values(), key=lambda line: (line.what, line.partner, line.types, line.policy))
        return Plan(tuple(lines), dict(sorted(self._staying.items())))

    def _add(self, unit: Unit, what: str, policy: str, more: Line) -> None:
        key = (what, unit.partner, unit.types, policy)
        line = self._lines.get(key, Line(what, unit.partner, unit.types, policy=policy))
        self._lines[key] = replace(
            line,
            exchanges=line.exchanges + more.exchanges,
            messages=line.messages + more.messages,
            contents=line.contents + more.contents,
            size=line.size + more.size,
        )


def _in_short(why: str) -> str:
    """Reasons that differ by a number alone are one."""
    return why.partition(" (hold")[0] if why.startswith("it is held") else why.partition(" exchange ")[0]


# ---------------------------------------------------------------- putting away


def apply(context: Context, *, move_to: Path | None = None, since: int | None = None) -> Gone:
    """Puts away what is over its time, in small transactions, until nothing is left or we are asked to stop.

    Args:
        context: the ledger, the profiles; its reporter is told of the progress.
        move_to: a directory; what leaves the ledger is first written into an archive there, whole months at a time.
        since: when everything that was over its time had been looked at, ms since 1970 UTC; None: look at all.

    Raises:
        MovedArchiveUnwritable: nothing of that archive's month was put away.
        NotAsRecorded: a legal hold was changed past the gateway; nothing more is put away.
    """
    with retention_purge.purging(context.ledger.engine) as engine:
        ledger = Ledger(engine, context.ledger.clock, context.ledger.actor)
        rules = policies(context.settings, context.directory, whole_months=move_to is not None)
        work = _Work(replace(context, ledger=ledger), rules, context.clock())
        if move_to is None:
            total = work.leave() + work.payload(since)
        else:  # bytes whose own time is over go first: no archive may keep them for longer
            total = work.payload(since)
            total += work.move(move_to)
        if since is None:
            work.records()
    if total != Gone() or context.ledger.engine.dialect.name == "sqlite":  # an earlier run may have been killed before
        wipe(context.ledger.engine)
    return total


class _Work(Struct, frozen=True):
    """One run over what is over its time at a moment."""

    context: Context
    rules: Policies
    now: int

    def leave(self) -> Gone:
        """What leaves the ledger, a page to a transaction."""
        self.context.reporter.step("put away: exchanges and mails")
        total = Gone()
        while True:
            before = total
            for leaving in _pages(self.context, self.rules, "ledger", self.now, self._leaving):
                if leaving:
                    with self.context.ledger.transaction() as recorder:
                        total += self.purge(recorder, leaving)
                    self.context.reporter.advance(len(leaving))
            if total == before or self.context.stopping():
                break  # what waited for another one that went in the same pass went in the next
        self._tell(total)
        return total

    def move(self, directory: Path) -> Gone:
        """The same, each month written into an archive first; what an earlier run left half done goes before."""
        self.context.reporter.step("move out: exchanges and mails")
        total = moved.finish(self.context.ledger, self.purge, self.context.stopping, self.context.reporter.trouble)
        while not self.context.stopping():
            keys = self._next_month()
            if not keys:
                break
            gone = moved.move(self.context.ledger, directory, keys, self.purge, self.context.stopping)
            self.context.reporter.advance(len(keys))
            total += gone
            if gone == Gone():
                break  # all of it is at work again
        self._tell(total)
        return total

    def _next_month(self) -> list[Key]:
        """All that leaves the ledger of the first month that has anything."""
        month, found = "", dict[Key, Unit]()
        for leaving in _pages(self.context, self.rules, "ledger", self.now, self._going):
            of = {f"{datetime.fromtimestamp(unit.at / 1000, UTC):%Y-%m}" for unit in leaving}
            if month and of and month not in of:
                break
            month = month or min(of, default="")
            found |= {unit.key: unit for unit in leaving}
        return list(found)

    def payload(self, since: int | None) -> Gone:
        """Raw bytes, a page to a transaction."""
        self.context.reporter.step("put away: raw bytes")
        total = Gone()
        for over in _pages(self.context, self.rules, "payload", self.now, self._over, since):
            if over:
                total += self._put_away(over)
                self.context.reporter.advance(len(over))
        self._tell(total)
        return total

    def records(self) -> None:
        """What only told of rows that are gone."""
        spent, total = retention_records.Spent(self.now - self.rules.shortest().ledger), 0
        following: int | None = 0
        while following is not None and not self.context.stopping():
            with self.context.ledger.reading() as connection:
                found, following = spent.page(connection, following)
            if found:
                with self.context.ledger.transaction() as recorder:
                    total += retention_records.forget(recorder, found)
        self.context.reporter.happened("records put away", total)

    def purge(self, recorder: Recorder, keys: Sequence[Key], only: Collection[Key] | None = None) -> Gone:
        """Puts away those of some units that go, looked at again within the transaction."""
        wait_for_holds(recorder.connection)
        judge = Judge(recorder.connection, self.rules)
        found = going(recorder.connection, judge, keys, self.now, only=only)
        spans = sorted({unit.spans.ledger for unit in found.units})
        return retention_purge.purge_ledger(recorder, found.units, "ledger " + ", ".join(map(said, spans)))

    def _put_away(self, keys: Sequence[Key]) -> Gone:
        with self.context.ledger.transaction() as recorder:
            wait_for_holds(recorder.connection)
            judge = Judge(recorder.connection, self.rules)
            units = judge.units(keys).values()
            names = retention_purge.over_names(recorder.connection, judge, units, self.now)
            spans = sorted({unit.spans.payload for unit in names.values()})
            return retention_purge.purge_payload(recorder, names, "payload " + ", ".join(map(said, spans)))

    def _going(self, connection: Connection, judge: Judge, keys: Sequence[Key]) -> list[Unit]:
        return list(going(connection, judge, keys, self.now).units)

    def _leaving(self, connection: Connection, judge: Judge, keys: Sequence[Key]) -> list[Key]:
        return [unit.key for unit in self._going(connection, judge, keys)]

    def _over(self, connection: Connection, judge: Judge, keys: Sequence[Key]) -> list[Key]:
        found = retention_purge.over_names(connection, judge, judge.units(keys).values(), self.now)
        return sorted({unit.key for unit in found.values()})

    def _tell(self, gone: Gone) -> None:
        self.context.reporter.happened("exchanges put away", gone.exchanges)
        self.context.reporter.happened("mails put away", gone.messages)
        self.context.reporter.happened("contents put away", gone.contents)


def _pages(
    context: Context,
    rules: Policies,
    what: str,
    now: int,
    look: Callable[[Connection, Judge, Sequence[Key]], T],
    since: int | None = None,
) -> Iterator[T]:
    """What ``look`` says of units that may be over their time, a page at a time, each in a transaction of its own."""
    shortest = rules.shortest()
    before = now - (shortest.ledger if what == "ledger" else shortest.payload)
    which = _has_bytes() if what == "payload" else None
    if which is not None and since is not None:
        spans = rules.payload_spans()
        which = and_(which, or_(*(message.c.at.between(since - span - _OVERLAP, now - span) for span in spans)))
    after: Cursor | None = START
    while after is not None and not context.stopping():
        found = None
        with context.ledger.reading() as connection:
            keys, after = page(connection, after, before, PAGE, which=which)
            if keys:
                found = look(connection, Judge(connection, rules), keys)
        if found is not None:
            yield found


def _has_bytes() -> ColumnElement[bool]:
    """Whether anything is left of a mail's bytes or of those of its exchanges."""
    inner = select(exchange.c.id).join(content, content.c.sha256 == exchange.c.sha256)
    return or_(
        exists().where(content.c.sha256 == message.c.sha256), inner.where(exchange.c.message == message.c.id).exists()
    )


# ---------------------------------------------------------------- by itself


def retain(context: Context) -> None:
    """The night's part: keys of days that are over go, and once a day what is over its time, where that is settled."""
    empty_transit(context.ledger)
    settings = context.settings.retention
    if not settings.nightly:
        return
    with holding(context.leases, "retention") as lease:
        if lease is None:
            return
        mark = _mark(context)
        rules = policies(context.settings, context.directory)
        now = context.clock()
        if mark.get("day") == now // DAY:
            return
        is_known = mark.get("digest") == rules.digest() and now - int(mark.get("full", 0)) < _AGAIN
        apply(context, move_to=settings.move_to, since=int(mark["now"]) if is_known else None)
        if not context.stopping():
            full = mark["full"] if is_known else now
            _note(context, {"day": now // DAY, "now": now, "full": full, "digest": rules.digest()})


def look_again(recorder: Recorder) -> None:
    """What was held is held no longer: the next night looks at everything."""
    recorder.connection.execute(retention_mark.delete().where(retention_mark.c.name == _MARK))


def _mark(context: Context) -> dict[str, Any]:
    with context.ledger.reading() as connection:
        found = connection.execute(select(retention_mark.c.value).where(retention_mark.c.name == _MARK)).scalar()
    mark: dict[str, Any] = json.loads(found) if found else {}
    return mark


def _note(context: Context, mark: dict[str, Any]) -> None:
    with context.ledger.transaction() as recorder:
        offer = insert(recorder.connection, retention_mark)
        offer = offer.on_conflict_do_update(
            index_elements=[retention_mark.c.name], set_={"value": offer.excluded.value}
        )
        recorder.connection.execute(offer, {"name": _MARK, "value": json.dumps(mark)})
