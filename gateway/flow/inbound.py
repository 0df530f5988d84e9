"""Inbound: stored messages through unpack, identify, examine and acknowledge, a group to a commit.

The first three are pure; only the last touches the ledger. An attempt is counted, durably, before the
parse, so that a message which kills the process is put aside after a few tries instead of killing every
night.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sqlalchemy import update

from gateway.errors import ConfigurationFault, DatabaseUnavailable, MessageFault, ProcessingFailed, Unavailable
from gateway.flow.acknowledge import acknowledge
from gateway.flow.case import Case, InterchangeCase
from gateway.flow.context import Context
from gateway.flow.identify import identify_interchange, identify_sender
from gateway.flow.prove import prove, try_again
from gateway.flow.reporter import Held
from gateway.flow.secure import check_answer
from gateway.flow.strictness import inbound_policy
from gateway.flow.unpack import examine, unpack
from gateway.flow.unwrap import check_security, unwrap
from gateway.ledger import tables
from gateway.ledger.states import MessageState
from gateway.ledger.work import StoredMessage, exhausted_messages, stored_messages
from gateway.x12.extract import DEFAULT_KEYS, ElementPath, extract

POISON = 5  # after so many attempts that ended the process, a message is quarantined unread
GROUP_BYTES = 16_000_000


def process(context: Context) -> None:
    """Processes every stored message, oldest first; a broken one never stops the others."""
    context.reporter.step("process")
    _put_poison_aside(context)
    try_again(context)
    while True:
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


def process_group(context: Context, waiting: Sequence[StoredMessage]) -> None:
    """One group: parsed outside of any transaction, recorded in one. If that fails, each message by itself."""
    _count_attempts(context, waiting)
    cases = [prepare(context, each) for each in waiting]
    held = Held(context.reporter)  # what a transaction that is undone would have told is not told
    try:
        with context.ledger.transaction() as recorder:
            acknowledge(replace(context, reporter=held), recorder, cases)
    except (Unavailable, ConfigurationFault):
        # Not the messages' fault: they wait, and nothing is held against them.
        with suppress(DatabaseUnavailable):
            _count_attempts(context, waiting, -1)
        raise
    except Exception as problem:  # noqa: BLE001 - what one message breaks must not stop the others
        if len(cases) == 1:
            _quarantine(context, waiting[0].id, ProcessingFailed(reason=f"{type(problem).__name__}: {problem}"))
            return
        for each in waiting:
            process_group(context, [each])
        return
    held.tell()
    context.reporter.advance(len(cases))


def prepare(context: Context, message: StoredMessage) -> Case:
    """Everything about a message that can be known without writing: its payloads, sender, findings. Never raises."""
    case = Case(message)
    try:
        unpack(case, context.limits, _our_address(context), partial(unwrap, context))
        if case.letter is not None and case.letter.kind == "letter":
            _judge(context, case)
        elif case.letter is not None and case.letter.kind == "receipt":
            _weigh(context, case)
    except MessageFault as fault:
        case.fault = fault
    except Exception as problem:  # noqa: BLE001 - whatever a parser does, the batch goes on
        case.payloads = []
        case.fault = ProcessingFailed(reason=f"{type(problem).__name__}: {problem}")
    return case


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
        paths = dict(DEFAULT_KEYS.get(each.id, {}))
        agreement = case.agreements.get(place)
        if agreement is not None:
            paths |= {name: ElementPath.parse(path) for name, path in agreement.business_keys}
        if paths:
            text = case.raw[each.start - base : each.end - base].decode("latin-1")
            case.business_keys[place] = extract(text, case.report.separators, paths)


def _count_attempts(context: Context, waiting: Sequence[StoredMessage], by: int = 1) -> None:
    table = tables.message
    with context.ledger.transaction() as recorder:
        recorder.connection.execute(
            update(table).where(table.c.id.in_([each.id for each in waiting])).values(attempts=table.c.attempts + by)
        )


def _put_poison_aside(context: Context) -> None:
    with context.ledger.reading() as connection:
        poison = exhausted_messages(connection, POISON)
    for message in poison:
        fault = ProcessingFailed(reason=f"processing it ended the gateway {POISON} times")
        _quarantine(context, message, fault)


def _quarantine(context: Context, message: int, fault: ProcessingFailed) -> None:
    with context.ledger.transaction() as recorder:
        recorder.change(tables.message, message, state=MessageState.QUARANTINED, **recorder.fault(fault))
        recorder.event("quarantined", message=message, code=fault.code, reason=str(fault))
    context.reporter.happened("messages quarantined")
    context.reporter.trouble(fault, f"message m{message}")
