"""Arrivals: files that partners send by an hour. The next one is opened ahead, and what does not come is raised, once.

A file counts when it was collected. What comes after its hour closes it too, as late, until the next one opens; the
first batch after a pause believes that what it collects came in time for what was due meanwhile.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, func, select

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow.context import Context
from gateway.flow.record import GOOD
from gateway.ledger import tables
from gateway.ledger.missing import Arrival
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from partners.calendar import NeverWorksError
from partners.model import Expected, Partner, Status
from partners.schedule import Slot, next_slot, rule

MOST = 7  # files of one rule that are raised after a pause, the newest ones
_REMEMBERED = 60 * 86_400_000  # ms: an older file is not looked for any more
_ACTIVE = (Status.TESTING, Status.LIVE)
_TAKEN = (ExchangeState.ACCEPTED, ExchangeState.DELIVERED)

_Key = tuple[str, str, str]  # partner, agreement, rule


@dataclass(slots=True)
class _Watch:
    """One rule of a partner, with its files of the last weeks, the oldest first. ``looked_at``: the batch before."""

    partner: Partner
    expected: Expected
    looked_at: int
    files: list[Arrival] = field(default_factory=list)


def expect(context: Context) -> None:
    """Finds what came of the files that are expected, raises what did not come, and opens the next ones."""
    with context.ledger.reading() as connection:
        known = _known(connection, context.clock() - _REMEMBERED)
        looked_at = _looked_at(connection)
    watches = {
        (partner.key, each.agreement, rule(each)): _Watch(partner, each, looked_at)
        for partner in context.directory
        if partner.status in _ACTIVE
        for each in partner.expected
    }
    gone = [each for key, files in known.items() if key not in watches for each in files if each.state == "expected"]
    if not watches and not gone:
        return
    with context.ledger.transaction() as recorder:
        for each in gone:
            recorder.change(tables.arrival, each.id, settled_at=recorder.now)
        for key, watch in watches.items():
            watch.files = known[key]
            _open(recorder, key, watch)
            _judge(context, recorder, watch)


def _known(connection: Connection, since: int) -> defaultdict[_Key, list[Arrival]]:
    table = tables.arrival
    found: defaultdict[_Key, list[Arrival]] = defaultdict(list)
    for row in connection.execute(select(table).where(table.c.due_at > since).order_by(table.c.due_at, table.c.id)):
        found[row.partner, row.agreement, row.rule].append(Arrival(*row))
    return found


def _looked_at(connection: Connection) -> int:
    """When the last batch before this one began to collect."""
    table = tables.batch
    return connection.execute(select(func.max(table.c.started_at)).where(table.c.ended_at.is_not(None))).scalar() or 0


# ---------------------------------------------------------------- opened ahead


def _open(recorder: Recorder, key: _Key, watch: _Watch) -> None:
    """Adds what became due since the last batch, and the next one; one that is not due yet follows the profile."""
    now = recorder.now
    past = [each.due_at for each in watch.files if each.due_at <= now]
    ahead = [each for each in watch.files if each.due_at > now]
    slots = _slots(watch, past[-1] if past else now, now)
    for each in ahead:
        if (
            each.state == "expected"
            and slots
            and (each.opens_at, each.due_at) != (slots[-1].opens_at, slots[-1].due_at)
        ):
            recorder.change(tables.arrival, each.id, opens_at=slots[-1].opens_at, due_at=slots[-1].due_at)
            watch.files[watch.files.index(each)] = replace(each, opens_at=slots[-1].opens_at, due_at=slots[-1].due_at)
    for slot in slots[:-1] if ahead else slots:
        values = {"partner": key[0], "agreement": key[1], "rule": key[2]}
        moments = {"opens_at": slot.opens_at, "due_at": slot.due_at}
        number = recorder.add(tables.arrival, **values, **moments)
        watch.files.append(Arrival(number, *key, slot.opens_at, slot.due_at, None, None, None, None))
    watch.files.sort(key=lambda each: each.due_at)


def _slots(watch: _Watch, after: int, now: int) -> list[Slot]:
    """The slots after a moment that are due, the newest ones of many, and at the end the next one."""
    found: deque[Slot] = deque(maxlen=MOST + 1)
    try:
        while not found or found[-1].due_at <= now:
            found.append(next_slot(watch.expected, watch.partner.calendar, found[-1].due_at if found else after))
    except NeverWorksError:
        pass
    return list(found)


# ---------------------------------------------------------------- came, or did not


def _judge(context: Context, recorder: Recorder, watch: _Watch) -> None:
    used = {each.exchange for each in watch.files if each.exchange is not None}
    for place, each in enumerate(watch.files):
        if each.state not in {"expected", "missed"} or each.opens_at > recorder.now:
            continue
        following = watch.files[place + 1].opens_at if place + 1 < len(watch.files) else recorder.now
        came = _came(recorder.connection, watch, each, _until(each, following, watch.looked_at, recorder.now), used)
        if came is not None:
            used.add(came[0])
            _arrived(context, recorder, each, *came)
        elif each.missed_at is None and each.due_at < recorder.now:
            recorder.change(tables.arrival, each.id, missed_at=recorder.now)
            recorder.event(
                "expected-missed", partner=each.partner, rule=each.rule, due_at=each.due_at, expected=each.id
            )
            context.reporter.happened("expected files missed")


def _until(file: Arrival, following: int, looked_at: int, now: int) -> int:
    """What comes up to then is this file: until its hour, or, late, until the next one opens."""
    if now <= file.due_at:
        return file.due_at
    return max(file.due_at, following if looked_at > file.due_at else now)


def _came(
    connection: Connection, watch: _Watch, file: Arrival, until: int, used: Sequence[int] | set[int]
) -> tuple[int, int] | None:
    """The first accepted exchange that is the file, and when it was collected."""
    x, t = tables.exchange, tables.transaction_set
    inside = select(t.c.id).where(t.c.exchange == x.c.id, t.c.status.in_([each.value for each in GOOD]))
    if watch.expected.sets != ("*",):
        inside = inside.where(t.c.set_id.in_(watch.expected.sets))
    if watch.expected.agreement:
        inside = inside.where(t.c.agreement == watch.expected.agreement)
    row = connection.execute(
        select(x.c.id, x.c.at)
        .where(x.c.partner == file.partner, x.c.at.between(file.opens_at, until), x.c.id.not_in(sorted(used)))
        .where(x.c.direction == "in", x.c.kind == "document", x.c.state.in_(_TAKEN), inside.exists())
        .order_by(x.c.at, x.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.id, row.at)


def _arrived(context: Context, recorder: Recorder, file: Arrival, exchange: int, at: int) -> None:
    recorder.change(tables.arrival, file.id, exchange=exchange, arrived_at=at)
    if file.missed_at is not None:
        recorder.event(
            "expected-late", exchange=exchange, partner=file.partner, rule=file.rule, due_at=file.due_at,
            expected=file.id,
        )  # fmt: skip
        context.reporter.happened("expected files late")


def settle(context: Context, number: int, *, actor: str, reason: str) -> Arrival:
    """A person says that a file need not come any more.

    Raises:
        NotFound: there is no such expected file.
        NotAllowedNow: it came, or was put to rest.
    """
    table = tables.arrival
    with context.ledger.transaction(actor) as recorder:
        row = recorder.connection.execute(select(table).where(table.c.id == number)).one_or_none()
        if row is None:
            raise NotFound(what="expected file", key=number)
        file = Arrival(*row)
        if file.state not in {"expected", "missed"}:
            raise NotAllowedNow(
                what="expected file", key=number, state=file.state, reason="nothing is awaited any more"
            )
        recorder.change(table, number, settled_at=recorder.now)
        recorder.event(
            "expected-settled", partner=file.partner, rule=file.rule, due_at=file.due_at, expected=number, reason=reason
        )
    return file
