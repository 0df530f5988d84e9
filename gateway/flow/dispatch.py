"""Dispatch: what is due goes to the SMTP host, and what the host said is kept.

A mail is marked ``sending``, durably, before its first byte; a process that dies meanwhile leaves it so,
and the next one knows that nobody can say whether the host took it: in doubt. Acknowledgments are sent
again then (the partner recognises their number); documents as their agreement says.

Every attempt sends the same bytes with the same Message-ID and control numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from gateway.errors import (
    ConfigurationFault,
    GatewayError,
    OutcomeUnknown,
    Refused,
    TemporarilyRefused,
    Unavailable,
    UnknownPartner,
)
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.work import DueMail, due_mails, interrupted_mails
from gateway.mail.model import Handover, OutgoingMail, TransportSession

ACKNOWLEDGMENTS_AT_ONCE = 50  # marked and settled with one commit each; a document always goes alone
FIRST_PAUSE = 60_000  # ms
LONGEST_PAUSE = 6 * 3_600_000
_NOT_THE_MAILS = (Unavailable, ConfigurationFault)  # faults that any mail would have met


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One mail and what came of it: the host's word, or a fault."""

    mail: DueMail
    taken: Handover | None
    fault: GatewayError | None


def dispatch(context: Context) -> None:
    """Sends everything that is due. An SMTP host that is away is reported; its mails wait."""
    context.reporter.step("send")
    settle_interrupted(context)
    if context.transport is None:
        _complain_without_transport(context)
        return
    tried: set[int] = set()
    with context.transport.session() as session:
        while group := _claim(context, tried):
            attempts = _send(context, session, group)
            # What is sent is no longer due; what is not sent is not asked for again in this run.
            tried.update(each.mail.exchange for each in attempts if each.taken is None)
            _settle(context, attempts)
            context.reporter.advance(len(attempts))
            away = next((each.fault for each in attempts if isinstance(each.fault, _NOT_THE_MAILS)), None)
            if away is not None:
                context.reporter.trouble(away, "smtp")
                return


def _complain_without_transport(context: Context) -> None:
    with context.ledger.reading() as connection:
        waiting = due_mails(connection, context.clock(), 1)
    if waiting:
        fault = ConfigurationFault(reason="gateway.toml has no [smtp] section, so nothing can be sent")
        context.reporter.trouble(fault, "smtp")


def settle_interrupted(context: Context) -> None:
    """What a process was sending when it died is in doubt; the home's lock says that nobody sends it now."""
    with context.ledger.reading() as connection:
        interrupted = interrupted_mails(connection)
    if not interrupted:
        return
    with context.ledger.transaction() as recorder:
        for mail in interrupted:
            _doubt(context, recorder, mail, "the process ended while it was handing the mail over")


def _claim(context: Context, tried: set[int]) -> list[DueMail]:
    """Marks the next mails as ``sending``: several acknowledgments, or one document."""
    with context.ledger.transaction() as recorder:
        due = due_mails(recorder.connection, recorder.now, ACKNOWLEDGMENTS_AT_ONCE, tried)
        if not due:
            return []
        group = due[:1] if due[0].kind == "document" else _leading_acknowledgments(due)
        recorder.connection.execute(
            update(tables.outgoing)
            .where(tables.outgoing.c.exchange.in_([each.exchange for each in group]))
            .values(state="sending", attempts=tables.outgoing.c.attempts + 1)
        )
        for each in group:
            recorder.change(tables.exchange, each.exchange, state=ExchangeState.SENDING, updated_at=recorder.now)
            recorder.event("sending", exchange=each.exchange, partner=each.partner, attempt=each.attempts + 1)
    return group


def _leading_acknowledgments(due: list[DueMail]) -> list[DueMail]:
    first_document = next((n for n, each in enumerate(due) if each.kind == "document"), len(due))
    return due[:first_document]


def _send(context: Context, session: TransportSession, group: Sequence[DueMail]) -> list[_Attempt]:
    """Hands the mails over, one after the other; a host that is away is not asked again."""
    contents = context.ledger.contents([each.raw_sha256 for each in group])
    attempts: list[_Attempt] = []
    away: GatewayError | None = None
    for mail in group:
        if away is not None:
            attempts.append(_Attempt(mail, None, away))
            continue
        try:
            taken = session.send(OutgoingMail(mail.envelope_sender, mail.recipients, contents[mail.raw_sha256]))
        except GatewayError as fault:
            attempts.append(_Attempt(mail, None, fault))
            if isinstance(fault, _NOT_THE_MAILS):
                away = fault
        else:
            attempts.append(_Attempt(mail, taken, None))
    return attempts


def _settle(context: Context, attempts: Sequence[_Attempt]) -> None:
    with context.ledger.transaction() as recorder:
        _record_sent(context, recorder, [(each.mail, each.taken) for each in attempts if each.taken is not None])
        for each in attempts:
            if isinstance(each.fault, OutcomeUnknown):
                context.reporter.trouble(each.fault, f"exchange {each.mail.exchange}")
                _doubt(context, recorder, each.mail, str(each.fault))
            elif isinstance(each.fault, (TemporarilyRefused, *_NOT_THE_MAILS)):
                _later(context, recorder, each.mail, each.fault)
            elif each.fault is not None:
                _give_up(context, recorder, each.mail, each.fault)


def _record_sent(context: Context, recorder: Recorder, sent: Sequence[tuple[DueMail, Handover]]) -> None:
    """The host took them: from now on the partners' acknowledgments are awaited, where some were agreed."""
    exchanges = [mail.exchange for mail, _ in sent]
    recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange.in_(exchanges)))
    table = tables.expectation
    recorder.connection.execute(
        update(table)
        .where(table.c.exchange.in_(exchanges))
        .values(due_at=recorder.now + table.c.within, overdue_at=None)
    )
    awaited = set(
        recorder.connection.execute(select(table.c.exchange).where(table.c.exchange.in_(exchanges))).scalars()
    )
    verdicts = _verdicts(recorder, exchanges)
    for mail, taken in sent:
        state = ExchangeState.SENT if mail.exchange in awaited else ExchangeState.COMPLETE
        if verdicts[mail.exchange]:
            # A resent exchange has its acknowledgment already; sending it again changes nothing of that.
            refused = verdicts[mail.exchange] == "rejected"
            state = ExchangeState.REFUSED if refused else ExchangeState.ACKNOWLEDGED
        recorder.change(
            tables.exchange,
            mail.exchange,
            state=state,
            handed_over_at=recorder.now,
            updated_at=recorder.now,
            smtp_reply=taken.reply,
        )
        recorder.change(tables.message, mail.message, state=MessageState.SENT)
        recorder.event("sent", exchange=mail.exchange, partner=mail.partner, host=taken.host, reply=taken.reply)
        for recipient, reply in taken.refused:
            fault = Refused(host=taken.host, recipient=recipient, reply=reply)
            recorder.event("recipient-refused", exchange=mail.exchange, recipient=recipient, reply=reply)
            context.reporter.trouble(fault, f"exchange {mail.exchange}")
    context.reporter.happened("mails sent", len(sent))


def _verdicts(recorder: Recorder, exchanges: Sequence[int]) -> dict[int, str]:
    table = tables.exchange
    rows = recorder.connection.execute(select(table.c.id, table.c.verdict).where(table.c.id.in_(exchanges)))
    return {row.id: row.verdict for row in rows}


def _later(context: Context, recorder: Recorder, mail: DueMail, fault: GatewayError) -> None:
    """Nothing was taken: the same bytes again after a pause that grows; at the end a person is called.

    A host that is away, or a password that is missing, says nothing about the mail, so it uses up no attempt.
    """
    blameless = isinstance(fault, _NOT_THE_MAILS)
    attempts = mail.attempts if blameless else mail.attempts + 1
    if attempts >= context.settings.attempts:
        _give_up(context, recorder, mail, fault)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts, 12))
    if blameless:
        pause = 0  # the next run asks the host again, and stops at once if it is still away
    next_at = recorder.now + int(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
    _work(recorder, mail, state="ready", next_at=next_at, attempts=attempts)
    recorder.change(tables.exchange, mail.exchange, state=ExchangeState.READY, updated_at=recorder.now)
    recorder.event(
        "deferred", exchange=mail.exchange, partner=mail.partner, code=fault.code, reason=str(fault), next_at=next_at
    )
    context.reporter.happened("mails deferred")


def _give_up(context: Context, recorder: Recorder, mail: DueMail, fault: GatewayError) -> None:
    _drop_work(recorder, mail)
    recorder.change(
        tables.exchange,
        mail.exchange,
        state=ExchangeState.FAILED,
        updated_at=recorder.now,
        settled_at=None,
        **recorder.fault(fault),
    )
    recorder.event("failed", exchange=mail.exchange, partner=mail.partner, code=fault.code, reason=str(fault))
    context.reporter.happened("mails failed")
    context.reporter.trouble(fault, f"exchange {mail.exchange}")


def _doubt(context: Context, recorder: Recorder, mail: DueMail, reason: str) -> None:
    """Nobody can say whether the host took it; said so in the ledger, and resolved by policy or by a person."""
    resend = mail.kind == "acknowledgment" or _policy(context, mail) == "resend"
    recorder.event(
        "in-doubt",
        exchange=mail.exchange,
        partner=mail.partner,
        reason=reason,
        policy="resend" if resend else "hold",
    )
    context.reporter.happened("mails in doubt, sent again" if resend else "mails held in doubt")
    if resend:
        _work(recorder, mail, state="ready", next_at=recorder.now)
        recorder.change(tables.exchange, mail.exchange, state=ExchangeState.READY, updated_at=recorder.now)
    else:
        _work(recorder, mail, state="held")
        recorder.change(
            tables.exchange, mail.exchange, state=ExchangeState.IN_DOUBT, updated_at=recorder.now, settled_at=None
        )


def _policy(context: Context, mail: DueMail) -> str:
    try:
        partner = context.directory.get(mail.partner)
    except UnknownPartner:
        return "hold"
    return next((each.on_doubt for each in partner.agreements if each.name == mail.agreement), "hold")


def _work(recorder: Recorder, mail: DueMail, **values: object) -> None:
    table = tables.outgoing
    recorder.connection.execute(update(table).where(table.c.exchange == mail.exchange).values(**values))


def _drop_work(recorder: Recorder, mail: DueMail) -> None:
    recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == mail.exchange))
