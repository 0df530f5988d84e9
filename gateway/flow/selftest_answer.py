"""The report on a self-test goes its way: recorded and queued as a mail of ours, unless the partner had enough."""

from __future__ import annotations

import json

from sqlalchemy import func, select

from gateway.flow.case import Case, SelfTest
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.mail.compose import compose, is_message_id, message_id, written_date
from gateway.mail.model import Attachment, Draft
from gateway.settings import SmtpSettings
from gateway.words import count
from partners.model import Partner

KIND = "test-report"  # of the mail and the exchange that carry one
_HOUR = 3_600_000
# Without a name: what answers by itself and carries a file might be EDI, and is not taken for an automatic answer.
_NO_NAME = ""


def answer_self_test(context: Context, recorder: Recorder, case: Case) -> None:
    """Queues the report on a judged mail; what comes beyond the hour's number is noted, and not answered."""
    told, partner, smtp = case.self_test, case.partner, context.settings.smtp
    assert told is not None
    assert partner is not None
    most = context.settings.selftest.per_hour
    given = _given(recorder, partner.key)
    outcome = told.outcome if given < most else f"not answered: {count(given, 'report')} went out within an hour"
    recorder.event("self-test", message=case.message.id, partner=partner.key, outcome=outcome)
    if given < most and smtp is not None:
        _queue(context, recorder, case, partner, smtp, told)
        context.reporter.happened("self-tests answered")
    else:
        context.reporter.happened("self-tests not answered")


def _given(recorder: Recorder, partner: str) -> int:
    """How many reports the partner got within the last hour, those of this transaction included."""
    recorder.flush()
    x = tables.exchange.c
    wanted = select(func.count()).where(x.partner == partner, x.at > recorder.now - _HOUR, x.kind == KIND)
    return int(recorder.connection.execute(wanted).scalar_one())


def _draft(context: Context, recorder: Recorder, case: Case, smtp: SmtpSettings, told: SelfTest) -> Draft:
    letter = case.letter
    assert letter is not None
    listing = Attachment(_NO_NAME, "text/plain", told.answers.encode("utf-8", "replace"))
    replied = letter.message_id if is_message_id(letter.message_id) else ""
    return Draft(
        sender=smtp.sender,
        sender_name=smtp.sender_name,
        to=(letter.from_address,),
        subject=f"Report on your test from {context.settings.name}",
        message_id=message_id(context.settings.domain, f"self-test {case.message.id} {case.message.sha256}"),
        body=told.text,
        attachments=(listing,) if told.answers else (),
        in_reply_to=replied,
        references=(replied,) if replied else (),
        date=recorder.now / 1000,
        auto_replied=True,
    )


def _queue(
    context: Context, recorder: Recorder, case: Case, partner: Partner, smtp: SmtpSettings, told: SelfTest
) -> None:
    """The report as an exchange of its own: the way of every mail of ours, with its attempts and bounces."""
    draft = _draft(context, recorder, case, smtp, told)
    raw = compose(draft)
    common = {
        "at": recorder.now,
        "direction": "out",
        "host": smtp.host,
        "user": smtp.user,
        "message_id": draft.message_id,
        "subject": draft.subject,
        "from_address": draft.sender,
        "to_addresses": json.dumps(draft.to),
        "partner": partner.key,
    }
    message = recorder.add(
        tables.message,
        **common,
        state=MessageState.QUEUED,
        kind=KIND,
        sha256=recorder.keep(raw, owner=partner.key),
        size=len(raw),
        in_reply_to=draft.in_reply_to,
        dated=written_date(draft),
    )
    text = told.text.encode("utf-8", "replace")
    exchange = recorder.add(
        tables.exchange,
        **common,
        updated_at=recorder.now,
        kind=KIND,
        state=ExchangeState.READY,
        message=message,
        types="REPORT",
        sha256=recorder.keep(text, owner=partner.key),
        size=len(text),
    )
    recorder.event("self-test-answered", exchange=exchange, message=case.message.id, partner=partner.key)
    recorder.put(
        tables.outgoing,
        exchange=exchange,
        message=message,
        partner=partner.key,
        state="ready",
        next_at=recorder.now,
        envelope_sender=smtp.sender,
        recipients=json.dumps(draft.to),
    )
    recorder.wake("dispatch")
