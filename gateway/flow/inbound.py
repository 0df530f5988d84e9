"""Inbound: stored messages through unpack, identify, examine and acknowledge, a group to a commit.

The first three are pure; only the last touches the ledger. An attempt is counted, durably, before the
parse, so that a message which kills the process is put aside after a few tries instead of killing every
night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from msgspec.structs import replace
from sqlalchemy import Connection, Update, bindparam, update

from gateway.errors import (
    ConfigurationFault,
    DatabaseUnavailable,
    LeaseLost,
    MessageFault,
    MessageTooSlow,
    ProcessingFailed,
    Unavailable,
)
from gateway.flow import bounced
from gateway.flow.acknowledge import acknowledge
from gateway.flow.ahead import Ahead
from gateway.flow.case import Case, InterchangeCase
from gateway.flow.context import Context
from gateway.flow.identify import identify_interchange, identify_sender, owner_of
from gateway.flow.keys import business_keys
from gateway.flow.patience import patiently
from gateway.flow.prove import prove, try_again
from gateway.flow.reporter import Held
from gateway.flow.secure import check_answer
from gateway.flow.selftest import is_self_test, self_test
from gateway.flow.strictness import inbound_policy
from gateway.flow.time_limit import at_most
from gateway.flow.unpack import examine, unpack
from gateway.flow.unwrap import check_security, unwrap
from gateway.ledger import bulk, tables
from gateway.ledger.claims import Claims, Forsaken, claiming, forsaken, give_back
from gateway.ledger.leases import CAME, SENT, SharedLeases, holding, take_turns_over
from gateway.ledger.recording import Fence, Recorder
from gateway.ledger.states import MessageState
from gateway.ledger.work import StoredMessage, exhausted_messages, fresh_messages, stored_messages

POISON = 5  # after so many attempts that ended the process, a message is quarantined unread
GROUP_BYTES = 16_000_000


def process(context: Context, ahead: Ahead | None = None) -> None:
    """Processes every stored message, oldest first; a broken one never stops the others.

    Args:
        context: what every step is given.
        ahead: a process that opens and judges the next group while this one records the one before.
    """
    context.reporter.step("process")
    if isinstance(context.leases, SharedLeases):
        _process_shared(context, context.leases)
        return
    _put_poison_aside(context)
    try_again(context)
    if ahead is not None:
        _process_ahead(context, ahead)
    while not context.stopping():
        with context.ledger.reading() as connection:
            waiting = stored_messages(
                connection, context.settings.batch_size, GROUP_BYTES, POISON, context.settings.home
            )
        if not waiting:
            return
        # Who was there when a process ended is suspect: it goes alone, so that nobody else is blamed again.
        fresh = [each for each in waiting if each.attempts == 0]
        if fresh:
            process_group(context, fresh)
        for each in waiting:
            if each.attempts:
                process_group(context, [each])


def _process_ahead(context: Context, ahead: Ahead) -> None:
    """All that nobody has tried yet, until there is no more of it or the process ahead has died."""
    flying: list[int] = []  # counted as tried, and not recorded yet
    with _blameless(context, flying):
        asked = _ask(context, ahead, after=0)
        flying += asked
        while asked and (cases := ahead.cases()) is not None:
            following = _ask(context, ahead, after=asked[-1])
            flying += following
            _record_or_each(context, [case.message for case in cases], lambda: cases)
            del flying[: len(asked)]
            asked = following


def _ask(context: Context, ahead: Ahead, after: int) -> list[int]:
    """Has the next group prepared, unless we are to end; its messages."""
    if context.stopping():
        return []
    with context.ledger.reading() as connection:
        group = fresh_messages(connection, context.settings.batch_size, GROUP_BYTES, after)
    if group:
        _count_attempts(context, group)
        ahead.ask(group)
    return group


def process_group(context: Context, waiting: Sequence[StoredMessage]) -> None:
    """One group: parsed outside of any transaction, recorded in one. If that fails, each message by itself."""
    messages = [each.id for each in waiting]
    _count_attempts(context, messages)
    with _blameless(context, messages):
        _record_or_each(context, waiting, lambda: [prepare(context, each) for each in waiting])


@contextmanager
def _blameless(context: Context, messages: Sequence[int]) -> Iterator[None]:
    """What fails for no fault of the messages that are tried is not held against them: they wait."""
    try:
        yield
    except (Unavailable, ConfigurationFault):
        with suppress(DatabaseUnavailable):
            _count_attempts(context, messages, -1)
        raise


def _record_or_each(context: Context, waiting: Sequence[StoredMessage], cases: Callable[[], Sequence[Case]]) -> None:
    try:
        _record(context, waiting, cases())
    except (Unavailable, ConfigurationFault):
        raise
    except Exception as problem:  # noqa: BLE001 - what one message breaks must not stop the others
        if len(waiting) == 1:
            _quarantine(context, waiting[0].id, ProcessingFailed(reason=f"{type(problem).__name__}: {problem}"))
            return
        for each in waiting:
            process_group(context, [each])


def _record(context: Context, waiting: Sequence[StoredMessage], cases: Sequence[Case], *fences: Fence) -> None:
    """One commit for all of it; what a transaction that is undone would have told is not told."""

    def work(recorder: Recorder) -> Held:
        held = Held(context.reporter)
        if not context.leases.alone:
            _keep_bytes(recorder, cases)
        partners = _partners(cases) | bounced.whose(context, recorder.connection, cases)
        partners |= {owner for case in cases if (owner := owner_of(case, context.directory))}
        take_turns_over(recorder.connection, partners, *_turns(cases))
        for fence in fences:  # now: while we waited for our turn, it kept nobody waiting
            fence.hold(recorder.connection)
        acknowledge(replace(context, reporter=held), recorder, cases)
        return held

    context.ledger.write(work).tell()
    context.reporter.advance(len(waiting))


def _partners(cases: Sequence[Case]) -> set[str]:
    found = {case.partner for case in cases} | {each.partner for case in cases for _, each in case.interchanges}
    return {partner.key for partner in found if partner is not None}


def _keep_bytes(recorder: Recorder, cases: Sequence[Case]) -> None:
    """Before our turn comes: to write the interchanges takes long, and whatever is decided of them, they are kept.

    Not what is to be encrypted: it may need a key that others make just now, by turns.
    """
    for case in cases:
        for _, each in case.interchanges if case.self_test is None else ():
            partner = each.partner or case.partner
            owner = partner.key if partner else None
            if recorder.at_rest is None or not recorder.at_rest.wants(owner):
                recorder.keep(each.raw, owner=owner)
    recorder.flush()


def _turns(cases: Sequence[Case]) -> set[str]:
    """What the transaction decides about: while nothing speaks of what we sent, who sends need not wait for it."""
    speaks = any(case.letter is not None and case.letter.kind != "letter" for case in cases) or any(
        each.report.interchange_acks or each.report.group_acks for case in cases for _, each in case.interchanges
    )
    return {CAME, SENT} if speaks else {CAME}


# ---------------------------------------------------------------- many workers


def _process_shared(context: Context, leases: SharedLeases) -> None:
    """The same where others process too: each takes messages that nobody has, and records them only while they are its.

    After each group of fresh messages comes one that somebody has tried before: alone, for it is suspect.
    """
    with holding(leases, "poison") as lease:
        if lease is not None:
            _put_poison_aside(context)
            try_again(context)
    fresh = suspect = True
    while (fresh or suspect) and not context.stopping():
        fresh = _process_claimed(context, leases, suspect=False)
        suspect = _process_claimed(context, leases, suspect=True)


def _process_claimed(context: Context, leases: SharedLeases, *, suspect: bool) -> bool:
    """Claims and processes one group; false where there is none."""
    size, home = context.settings.batch_size, context.settings.home
    with claiming(context.ledger, leases, size, GROUP_BYTES, POISON, home, suspect=suspect) as (claims, waiting):
        if not waiting:
            return False
        try:
            _record_claimed(context, claims, waiting, [prepare(context, each) for each in waiting])
        except (Unavailable, ConfigurationFault):
            with suppress(DatabaseUnavailable):
                patiently(context, partial(_give_back, context, claims))
            raise
    return True


def _record_claimed(context: Context, claims: Claims, waiting: Sequence[StoredMessage], cases: Sequence[Case]) -> None:
    try:
        # Done twice does no harm: the commit takes the claims away.
        patiently(context, lambda _: _record(context, waiting, cases, claims))
    except LeaseLost:
        # Recorded already, by a commit whose answer was lost, or taken over by another worker.
        context.reporter.happened("messages left to another worker", len(waiting))
    except (Unavailable, ConfigurationFault):
        raise
    except Exception as problem:  # noqa: BLE001 - what one message breaks must not stop the others
        if len(waiting) == 1:
            fault = ProcessingFailed(reason=f"{type(problem).__name__}: {problem}")
            _quarantine(context, waiting[0].id, fault, claims)
            return
        for message, case in zip(waiting, cases, strict=True):
            # Prepared again, since what recording changed in a case is not undone.
            _record_claimed(context, claims.only([message.id]), [message], [prepare(context, case.message)])


def _give_back(context: Context, claims: Claims, _unsure: bool) -> None:
    with context.ledger.transaction() as recorder:
        give_back(recorder.connection, claims)


def prepare(context: Context, message: StoredMessage) -> Case:
    """Everything about a message that can be known without writing: its payloads, sender, findings. Never raises."""
    case = Case(message)
    try:
        with at_most(context.limits.processor_time):
            _open_and_judge(context, case)
    except MessageTooSlow as fault:
        case.payloads = []
        case.fault = fault
    except MessageFault as fault:
        case.fault = fault
    except Exception as problem:  # noqa: BLE001 - whatever a parser does, the batch goes on
        case.payloads = []
        case.fault = ProcessingFailed(reason=f"{type(problem).__name__}: {problem}")
    return case


def _open_and_judge(context: Context, case: Case) -> None:
    unpack(case, context.limits, _our_address(context), partial(unwrap, context))
    if case.letter is not None and case.letter.kind == "letter":
        _judge(context, case)
    elif case.letter is not None and case.letter.kind == "receipt":
        _weigh(context, case)


def _weigh(context: Context, case: Case) -> None:
    """Whether a receipt is the partner's, by the same evidence as its mails; what is not is noted and moves nothing."""
    if case.fault is None:
        identify_sender(case, context.directory)
    if case.fault is None and case.security_fault is None:
        prove(context, case)
    if case.fault is not None and case.fault.permanent:
        case.security_fault, case.fault = case.security_fault or case.fault, None


def _our_address(context: Context) -> str:
    smtp = context.settings.smtp
    return smtp.sender if smtp is not None else ""


def _judge(context: Context, case: Case) -> None:
    if is_self_test(context, case):
        self_test(context, case)
        return
    if case.fault is None:
        identify_sender(case, context.directory)
    if case.fault is None:
        prove(context, case)
    examine(case, inbound_policy(case.partner))
    if case.fault is not None or case.partner is None:
        return
    assert case.letter is not None
    for _, interchange in case.interchanges:
        identify_interchange(interchange, case.partner, case.letter.from_address, context.directory)
        if interchange.fault is None:
            _extract_keys(interchange)
        check_security(case, interchange)
        check_answer(context, interchange)


def _extract_keys(case: InterchangeCase) -> None:
    """The business keys that the agreement names, and the usual ones of well-known sets."""
    base = case.report.start
    for place, each in case.document_sets:
        text = case.raw[each.start - base : each.end - base].decode("latin-1")
        version = each.implementation or case.report.groups[place[0]].version
        keys = business_keys(text, case.report.separators, each.id, version, case.agreements.get(place))
        if keys:
            case.business_keys[place] = keys


def _count_attempts(context: Context, messages: Sequence[int], by: int = 1) -> None:
    with context.ledger.transaction() as recorder:
        connection = recorder.connection
        tried = {"messages": bulk.listed(connection, messages), "by": by}
        bulk.write(connection, "attempts", partial(_attempts, connection), [tried])


def _attempts(connection: Connection) -> Update:
    table = tables.message
    mine = bulk.among(connection, table.c.id, "messages")
    return update(table).where(mine).values(attempts=table.c.attempts + bindparam("by"))


def _put_poison_aside(context: Context) -> None:
    with context.ledger.reading() as connection:
        find = exhausted_messages if context.leases.alone else forsaken
        poison = find(connection, POISON)
    for message in poison:
        fault = ProcessingFailed(reason=f"processing it ended the gateway {POISON} times")
        _quarantine(context, message, fault, *(() if context.leases.alone else (Forsaken(message),)))


def _quarantine(context: Context, message: int, fault: ProcessingFailed, *fences: Fence) -> None:
    with context.ledger.transaction(None, *fences) as recorder:
        recorder.change(tables.message, message, state=MessageState.QUARANTINED, **recorder.fault(fault))
        recorder.event("quarantined", message=message, code=fault.code, reason=str(fault))
    context.reporter.happened("messages quarantined")
    context.reporter.trouble(fault, f"message m{message}")
