"""Arrivals: files that partners send by an hour. The next one is opened ahead, and what does not come is raised, once.

A file counts when it was collected. What comes after its hour closes it too, until the next one opens; it is late if
it was raised before. The first look after a pause gives what was due meanwhile the benefit of the doubt: what is then
collected, outside of the time of another file, stands for it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow.acts import Act, acting, before
from gateway.flow.context import Context
from gateway.flow.record import GOOD
from gateway.ledger import tables
from gateway.ledger.missing import Arrival
from gateway.ledger.recording import Recorder, insisting
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import taken_as_test
from partners.calendar import NeverWorksError
from partners.model import Expected, Partner, Status
from partners.schedule import Slot, next_slot, rule

MOST = 7  # files of one rule that are raised after a pause, the newest ones
_REMEMBERED = 60 * 86_400_000  # ms: an older file is not looked for any more
_ACTIVE = (Status.TESTING, Status.LIVE)
_TAKEN = (ExchangeState.ACCEPTED, ExchangeState.DELIVERED)

_Key = tuple[str, str, str]  # partner, agreement, rule


class _Watch(Struct):
    """One rule of a partner, with its files of the last weeks, the oldest first."""

    partner: Partner
    expected: Expected
    files: list[Arrival] = field(default_factory=list)


def expect(context: Context) -> None:
    """Finds what came of the files that are expected, raises what did not come, and opens the next ones."""
    with context.ledger.reading() as connection:
        known = _known(connection, context.clock() - _REMEMBERED)
    watches = {
        (partner.key, each.agreement, rule(each)): _Watch(partner, each)
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
        came = _came(recorder, watch, each, watch.files[place + 1 :], used)
        if came is not None:
            used.add(came[0])
            _arrived(context, recorder, each, *came)
        elif each.missed_at is None and each.due_at < recorder.now:
            recorder.change(tables.arrival, each.id, missed_at=recorder.now)
            recorder.event(
                "expected-missed", partner=each.partner, rule=each.rule, due_at=each.due_at, expected=each.id
            )
            context.reporter.happened("expected files missed")


def _came(
    recorder: Recorder, watch: _Watch, file: Arrival, others: Sequence[Arrival], used: AbstractSet[int | None]
) -> tuple[int, int] | None:
    """The first accepted exchange that is the file, and when it was collected. ``others`` are those due later."""
    x, t = tables.exchange, tables.transaction_set
    inside = select(t.c.id).where(t.c.exchange == x.c.id, t.c.status.in_([each.value for each in GOOD]))
    if watch.expected.sets != ("*",):
        inside = inside.where(t.c.set_id.in_(watch.expected.sets))
    if watch.expected.agreement:
        inside = inside.where(t.c.agreement == watch.expected.agreement)
    late = [x.c.at > file.due_at, *(~x.c.at.between(each.opens_at, each.due_at) for each in others)]
    if file.missed_at is not None and others:
        late.append(x.c.at < others[0].opens_at)
    row = recorder.connection.execute(
        select(x.c.id, x.c.at)
        .where(x.c.partner == file.partner, x.c.at.between(file.opens_at, recorder.now), x.c.id.not_in(used))
        .where(or_(x.c.at <= file.due_at, and_(*late)))
        .where(x.c.direction == "in", x.c.kind == "document", x.c.state.in_(_TAKEN), inside.exists())
        .where(*_in_earnest(watch.partner))
        .order_by(x.c.at, x.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.id, row.at)


def _in_earnest(partner: Partner) -> list[ColumnElement[bool]]:
    """A test is no file of a live partner, unless tests are what was agreed on."""
    tests = partner.status is Status.TESTING or any(each.envelope.usage == "T" for each in partner.agreements)
    return [] if tests else [tables.exchange.c.usage != "T", ~taken_as_test()]


def _arrived(context: Context, recorder: Recorder, file: Arrival, exchange: int, at: int) -> None:
    recorder.change(tables.arrival, file.id, exchange=exchange, arrived_at=at)
    if file.missed_at is not None:
        recorder.event(
            "expected-late", exchange=exchange, partner=file.partner, rule=file.rule, due_at=file.due_at,
            expected=file.id,
        )  # fmt: skip
        context.reporter.happened("expected files late")


@insisting
def settle(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """A person says that a file need not come any more.

    Raises:
        NotFound: there is no such expected file.
        NotAllowedNow: it came.
    """
    table = tables.arrival
    with acting(context, actor, dry_run=dry_run) as recorder:
        row = recorder.connection.execute(select(table).where(table.c.id == number)).one_or_none()
        if row is None:
            raise NotFound(what="expected file", key=f"e{number}", see="gateway partner expected show KEY")
        file = Arrival(*row)
        if file.state == "settled":
            return before(f"e{number}", "it was put to rest")
        if file.exchange is not None:
            raise NotAllowedNow(what="expected file", key=f"e{number}", state=file.state, reason="there it is")
        recorder.change(table, number, settled_at=recorder.now)
        recorder.event(
            "expected-settled", partner=file.partner, rule=file.rule, due_at=file.due_at, expected=number, reason=reason
        )
    return Act(f"e{number}", f"{file.rule}: nobody waits for it any more")
