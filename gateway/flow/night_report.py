"""The mail after a night: who is named in [report] reads what it did and what there is to do.

The mail is recorded before it is sent, bytes and all, and is sent once: where it may have been taken it counts as sent.
One that the host did not take for now is offered again, the same bytes, after the next night.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.errors import (
    ConfigurationFault,
    GatewayError,
    OutcomeUnknown,
    SendingFault,
    SmtpUnavailable,
    unexpected,
)
from gateway.flow.context import Context
from gateway.flow.night import Summary
from gateway.flow.night_report_words import NightReport, PartnerNight, as_html, as_text
from gateway.flow.own_mail import record_own_mail
from gateway.ledger import batches, figures, tables
from gateway.ledger.states import MessageState
from gateway.mail.alternative import alternative
from gateway.mail.compose import letter, message_id
from gateway.mail.model import Draft, OutgoingMail

KIND = "report"  # of the mail, in the ledger
PARTNERS = 100  # rows of the table
_AGAIN = 7  # mails of earlier nights that are offered again at once
_NOT_TAKEN = "report-not-mailed"


def report(context: Context, summary: Summary) -> tuple[GatewayError, ...]:
    """Mails what a batch did, if the settings want it, and what could not be mailed before.

    Args:
        context: of the batch, or a new one.
        summary: of the batch.

    Returns:
        What went wrong, each told in the ledger too: a mail that cannot be sent is never a reason to fail.
    """
    settings = context.settings
    if not settings.report.to:
        return ()
    try:
        waiting = _left(context)
        made = night_report(context, summary)
        if settings.report.when == "always" or not made.is_good:
            waiting.append(_kept(context, made))
        return _offer(context, waiting)
    except GatewayError as fault:
        return (fault,)
    except Exception as problem:  # noqa: BLE001 - the night is over, and was what it was
        return (unexpected("the mail after the night", problem),)


def night_report(context: Context, summary: Summary) -> NightReport:
    """What the mail would say.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    with context.ledger.reading() as connection:
        batch = batches.one(connection, summary.batch)
        partners = _partners(connection, summary.started_at, context.clock())
    settings = context.settings
    return NightReport(settings.name, str(settings.home), batch, summary.attention, partners, summary.left_out)


def _partners(connection: Connection, since: int, now: int) -> tuple[PartnerNight, ...]:
    """Documents since then by partner, and what each owes; the busiest first."""
    x = tables.exchange.c
    wanted = select(x.partner, x.direction, func.count()).where(x.at >= since, x.kind == "document", x.partner != "")
    moved = {(row[0], row[1]): row[2] for row in connection.execute(wanted.group_by(x.partner, x.direction))}
    owed, late = figures.awaited_by_partner(connection, now)
    found = Counter(dict.fromkeys((*owed, *late), 0))
    for (partner, _), number in moved.items():
        found[partner] += number
    return tuple(
        PartnerNight(
            each, moved.get((each, "in"), 0), moved.get((each, "out"), 0), owed.get(each, 0), late.get(each, 0)
        )
        for each, _ in found.most_common(PARTNERS)
    )


# ---------------------------------------------------------------- sending


def _kept(context: Context, made: NightReport) -> int:
    """The mail, recorded before anybody gets it; the number of its row."""
    settings = context.settings
    if settings.smtp is None:
        raise ConfigurationFault(reason="[report] names addresses, and there is no [smtp]")
    draft = Draft(
        sender=settings.smtp.sender,
        sender_name=settings.smtp.sender_name,
        to=settings.report.to,
        subject=made.subject,
        message_id=message_id(settings.domain, f"report {made.batch.id} {made.batch.started_at}"),
        body="",
        date=context.clock() / 1000,
        headers=(("Precedence", "list"), ("X-Auto-Response-Suppress", "All")),
    )
    raw = letter(draft, alternative(as_text(made), as_html(made), draft.message_id))
    with context.ledger.transaction() as recorder:
        return record_own_mail(recorder, settings.smtp, draft, raw, KIND)


def _left(context: Context) -> list[int]:
    """Mails of earlier nights that are to be offered again; those that may have gone count as sent."""
    m, e = tables.message.c, tables.event.c
    with context.ledger.reading() as connection:
        queued = select(m.id).where(m.state == MessageState.QUEUED, m.kind == KIND).order_by(m.id.desc()).limit(_AGAIN)
        found = sorted(connection.execute(queued).scalars())
        last = {
            number: connection.execute(
                select(e.kind).where(e.message == number).order_by(e.seq.desc()).limit(1)
            ).scalar()
            for number in found
        }
    doubtful = [number for number in found if last[number] != _NOT_TAKEN]
    if doubtful:  # the process ended between sending and recording
        with context.ledger.transaction() as recorder:
            for number in doubtful:
                recorder.change(tables.message, number, state=MessageState.SENT)
                recorder.event("report-in-doubt", message=number)
    return [number for number in found if number not in doubtful]


def _offer(context: Context, numbers: Sequence[int]) -> tuple[GatewayError, ...]:
    """Offers mails one after the other; a host that is away is asked once a night, for it may let us wait long."""
    faults: list[GatewayError] = []
    for number in numbers:
        if faults and isinstance(faults[-1], SmtpUnavailable):
            with context.ledger.transaction() as recorder:
                recorder.event(_NOT_TAKEN, message=number, code=faults[-1].code, reason=str(faults[-1]))
        elif fault := _send(context, number):
            faults.append(fault)
    return tuple(faults)


def _send(context: Context, number: int) -> GatewayError | None:
    """Offers one mail; what went wrong."""
    mail = _row(context, number)
    recipients = tuple(json.loads(mail.to_addresses))
    fault: GatewayError | None = None
    reply = ""
    try:
        if context.transport is None:
            raise ConfigurationFault(reason="[report] names addresses, and there is no [smtp]")
        with context.transport.session() as session:
            outgoing = OutgoingMail(mail.from_address, recipients, context.ledger.content(mail.sha256))
            reply = session.send(outgoing).reply
    except GatewayError as problem:
        fault = problem
    with context.ledger.transaction() as recorder:
        if fault is None or isinstance(fault, OutcomeUnknown):
            recorder.change(tables.message, number, state=MessageState.SENT)
        elif isinstance(fault, SendingFault) and fault.permanent:  # it would be refused again
            recorder.change(tables.message, number, state=MessageState.DISCARDED)
        if fault is None:
            recorder.event("report-mailed", message=number, to=", ".join(recipients), reply=reply)
        elif isinstance(fault, OutcomeUnknown):
            recorder.event("report-in-doubt", message=number, code=fault.code)
        else:
            recorder.event(_NOT_TAKEN, message=number, code=fault.code, reason=str(fault))
    return fault


def _row(context: Context, number: int) -> Row[*tuple[Any, ...]]:
    m = tables.message.c
    with context.ledger.reading() as connection:
        return connection.execute(select(m.from_address, m.to_addresses, m.sha256).where(m.id == number)).one()
