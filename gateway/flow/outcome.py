"""Outcome: what the SMTP host said of each mail becomes history, and decides what happens to the mail next.

Taken by all: sent. Taken by some: sent, and those who were refused for a time are asked again with the same bytes,
while a refusal for good is shown to a person. Refused for a time: the same bytes again after a pause that grows.
Refused for good, or too often: given up. No answer to the final dot: in doubt.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Delete, Select, delete, func, select, update

from gateway.errors import GatewayError, GivenUp, OutcomeUnknown, Refused, SmtpCrowded
from gateway.flow import deadlines
from gateway.flow.context import Context
from gateway.flow.lanes import Attempt, is_away
from gateway.flow.terms import terms_of
from gateway.ledger import bulk, tables
from gateway.ledger.literals import word
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.work import DueMail, interrupted_mails
from gateway.mail.model import Handover

FIRST_PAUSE = 60_000  # ms
LONGEST_PAUSE = 6 * 3_600_000
_NOT_BEGUN = "an earlier mail held the connection up, or ended it"


def record(context: Context, recorder: Recorder, attempts: Sequence[Attempt]) -> None:
    """Keeps what came of each attempt, in the transaction of ``recorder``."""
    _sent(context, recorder, [(each.mail, each.taken) for each in attempts if each.taken is not None])
    failed = [each for each in attempts if each.taken is None]
    # What is not marked any more was settled meanwhile: the partner acknowledged it before its host had answered.
    for each in not_yet(recorder, failed) if failed else ():
        fault = each.fault
        if fault is None:
            _back(recorder, each.mail, _NOT_BEGUN)
        elif isinstance(fault, OutcomeUnknown):
            context.reporter.trouble(fault, f"exchange {each.mail.exchange}")
            doubt(context, recorder, each.mail, str(fault))
        elif is_blameless(fault):
            _back(recorder, each.mail, str(fault), code=fault.code)
            context.reporter.happened("mails deferred")
        elif not fault.permanent:
            _later(context, recorder, each.mail, fault)
        else:
            _give_up(context, recorder, each.mail, fault)


def not_yet(recorder: Recorder, attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts whose mails are marked still: no commit that got no answer kept their outcome, nor did a partner."""
    table = tables.outgoing
    rows = recorder.connection.execute(
        select(table.c.exchange, table.c.attempts)
        .where(table.c.exchange.in_([each.mail.exchange for each in attempts]), table.c.state == "sending")
        .order_by(table.c.exchange)
        .with_for_update()
    )
    marked = {(row.exchange, row.attempts) for row in rows}
    return [each for each in attempts if (each.mail.exchange, each.mail.attempts + 1) in marked]


def unmark(recorder: Recorder, partners: Sequence[str], but: Collection[int]) -> None:
    """Mails of partners that are ours, marked by a commit that got no answer: ``but`` for some, none was begun."""
    for mail in (mail for partner in partners for mail in interrupted_mails(recorder.connection, partner)):
        if mail.exchange not in but:
            _back(recorder, replace(mail, attempts=mail.attempts - 1), "the database broke the connection before it")


def is_blameless(fault: GatewayError) -> bool:
    """Whether a fault says nothing about the mail, so that it uses up no attempt."""
    return is_away(fault) or isinstance(fault, SmtpCrowded)


# ---------------------------------------------------------------- taken


def _sent(context: Context, recorder: Recorder, sent: Sequence[tuple[DueMail, Handover]]) -> None:
    """The host took them: from now on the partners' acknowledgments are awaited, where some were agreed."""
    connection = recorder.connection
    first = [(mail, taken) for mail, taken in sent if not mail.rest]
    exchanges = [mail.exchange for mail, _ in first]
    standing = _states(recorder, exchanges)
    returned = [each for each in exchanges if standing[each][0] is ExchangeState.BOUNCED]
    deadlines.begin(context, recorder, [each for each in exchanges if each not in returned])
    for exchange in returned:
        deadlines.stop(recorder, exchange)
        context.reporter.happened("mails bounced")
    for mail, taken in first:
        state, before = standing[mail.exchange]
        recorder.change(
            tables.exchange,
            mail.exchange,
            state=state,
            # An acknowledgment goes again when its interchange comes again; the partner was answered the first time.
            handed_over_at=before if mail.kind != "document" and before is not None else recorder.now,
            updated_at=recorder.now,
            smtp_reply=taken.reply,
            fault_code="",
            fault="",
        )
        recorder.change(tables.message, mail.message, state=MessageState.SENT)
    for mail, taken in sent:
        more: dict[str, Any] = {"queue_id": taken.queue_id} if taken.queue_id else {}
        if mail.rest or mail.redirected:
            more["recipients"] = ", ".join(mail.recipients)
        recorder.event("sent", exchange=mail.exchange, partner=mail.partner, host=taken.host, reply=taken.reply, **more)
    complete = {"exchanges": bulk.listed(connection, [mail.exchange for mail, taken in sent if not taken.refused])}
    bulk.write(connection, "mails that are sent", partial(_complete, connection), [complete])
    for mail, taken in sent:
        if taken.refused:
            _left_out(context, recorder, mail, taken)
    context.reporter.happened("mails sent", len(sent))


def _states(recorder: Recorder, exchanges: Sequence[int]) -> dict[int, tuple[ExchangeState, int | None]]:
    """Where each exchange stands now that the host took it, and when a host took it before."""
    connection = recorder.connection
    of = {"exchanges": bulk.listed(connection, exchanges)}
    found: dict[int, tuple[ExchangeState, int | None]] = {}
    rows = bulk.asked(connection, "mails that go", partial(_standing, connection), of)
    for exchange, verdict, before, awaited, returned in rows:
        state = ExchangeState.SENT if awaited else ExchangeState.COMPLETE
        if returned:
            state = ExchangeState.BOUNCED
        if verdict:
            # What was taken and is sent again has its acknowledgment; of what was refused that is a new one (``anew``).
            state = ExchangeState.REFUSED if verdict == "rejected" else ExchangeState.ACKNOWLEDGED
        found[exchange] = state, before
    return found


def _standing(connection: Connection) -> Select[Any]:
    """Exchanges with the verdict on each, whether something is awaited for it, and whether it came back already.

    Hosts are quick: a bounce may be here before we have noted that the host took the mail.
    """
    x, e, b = tables.exchange.c, tables.expectation.c, tables.event.c
    awaited = select(e.exchange).where(e.exchange == x.id).exists()
    marked = tables.event.alias("marked").c
    begun = select(func.max(marked.seq)).where(marked.exchange == b.exchange, marked.kind == word("sending"))
    back = select(b.seq).where(b.exchange == x.id, b.kind == word("bounced"), b.seq > begun.scalar_subquery())
    columns = (x.id, x.verdict, x.handed_over_at, awaited, back.exists())
    return select(*columns).where(bulk.among(connection, x.id, "exchanges"))


def _complete(connection: Connection) -> Delete:
    table = tables.outgoing
    return delete(table).where(bulk.among(connection, table.c.exchange, "exchanges"))


def _left_out(context: Context, recorder: Recorder, mail: DueMail, taken: Handover) -> None:
    """Some recipients have it. Those refused for a time are asked again; the others are shown to a person."""
    attempts = mail.attempts + 1
    again = [who for who, reply in taken.refused if reply.startswith("4") and attempts < context.settings.attempts]
    next_at = recorder.now + _pause(attempts)
    if again:
        _work(recorder, mail, state="ready", next_at=next_at, attempts=attempts, recipients=json.dumps(again))
    else:
        _drop_work(recorder, mail)
    for who, reply in taken.refused:
        if who in again:
            recorder.event(
                "recipient-deferred", exchange=mail.exchange, partner=mail.partner, recipient=who, reply=reply,
                next_at=next_at,
            )  # fmt: skip
        else:
            _never(context, recorder, mail, who, Refused(host=taken.host, recipient=who, reply=reply), reply)


def _never(context: Context, recorder: Recorder, mail: DueMail, who: str, fault: GatewayError, reply: str) -> None:
    """A recipient who will not get it, of a mail that others have: the exchange goes on, and a person is told."""
    recorder.event("recipient-refused", exchange=mail.exchange, partner=mail.partner, recipient=who, reply=reply)
    recorder.change(tables.exchange, mail.exchange, settled_at=None, **recorder.fault(fault))
    context.reporter.trouble(fault, f"exchange {mail.exchange}")


# ---------------------------------------------------------------- not taken


def _back(recorder: Recorder, mail: DueMail, reason: str, **body: Any) -> None:
    """Not begun, or no fault of the mail's: it is due as before."""
    _work(recorder, mail, state="ready", attempts=mail.attempts)
    _ready(recorder, mail)
    recorder.event("deferred", exchange=mail.exchange, partner=mail.partner, reason=reason, **body)


def _later(context: Context, recorder: Recorder, mail: DueMail, fault: GatewayError) -> None:
    """Nothing was taken: the same bytes again after a pause that grows; at the end a person is called."""
    attempts = mail.attempts + 1
    if attempts >= context.settings.attempts:
        _give_up(context, recorder, mail, GivenUp(attempts=attempts, reason=str(fault)))
        return
    next_at = recorder.now + _pause(attempts)
    _work(recorder, mail, state="ready", next_at=next_at, attempts=attempts)
    _ready(recorder, mail)
    recorder.event(
        "deferred",
        exchange=mail.exchange,
        partner=mail.partner,
        code=fault.code,
        reason=str(fault),
        next_at=next_at,
        attempt=attempts,
        **_answer(fault),
    )
    context.reporter.happened("mails deferred")


def _pause(attempts: int) -> int:
    """Milliseconds until the next attempt: doubled each time, and never quite the same."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts, 12))
    return int(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret


def _give_up(context: Context, recorder: Recorder, mail: DueMail, fault: GatewayError) -> None:
    _drop_work(recorder, mail)
    if mail.rest:
        for who in mail.recipients:
            _never(context, recorder, mail, who, fault, str(fault.details.get("reply", fault)))
        return
    recorder.change(
        tables.exchange,
        mail.exchange,
        state=ExchangeState.FAILED,
        updated_at=recorder.now,
        settled_at=None,
        **recorder.fault(fault),
    )
    recorder.event(
        "failed", exchange=mail.exchange, partner=mail.partner, code=fault.code, reason=str(fault), **_answer(fault)
    )
    context.reporter.happened("mails failed")
    context.reporter.trouble(fault, f"exchange {mail.exchange}")


def _answer(fault: GatewayError) -> dict[str, Any]:
    """What the host said word for word, where it said something, and to whose address."""
    return {name: str(fault.details[name]) for name in ("host", "recipient", "reply") if name in fault.details}


def doubt(context: Context, recorder: Recorder, mail: DueMail, reason: str) -> None:
    """Nobody can say whether the host took it; said so in the ledger, and resolved by policy or by a person."""
    resend = mail.kind != "document" or _policy(context, mail) == "resend"
    recorder.event(
        "in-doubt",
        exchange=mail.exchange,
        partner=mail.partner,
        reason=reason,
        policy="resend" if resend else "hold",
    )
    context.reporter.happened("mails in doubt, sent again" if resend else "mails held in doubt")
    if resend:
        _work(recorder, mail, state="ready", next_at=recorder.now, attempts=mail.attempts)
        _ready(recorder, mail)
    elif mail.rest:
        # The first recipient has it: the exchange is no doubt, only these are. A person decides on sending it again.
        _drop_work(recorder, mail)
        for who in mail.recipients:
            _never(context, recorder, mail, who, OutcomeUnknown(host=context.settings.smtp.host), reason)  # type: ignore[union-attr]
    else:
        _work(recorder, mail, state="held")
        recorder.change(
            tables.exchange, mail.exchange, state=ExchangeState.IN_DOUBT, updated_at=recorder.now, settled_at=None
        )


def _policy(context: Context, mail: DueMail) -> str:
    terms = terms_of(context.directory, mail.partner, mail.agreement, mail.types, mail.versions)
    return terms.on_doubt if terms is not None else "hold"


def _ready(recorder: Recorder, mail: DueMail) -> None:
    if not mail.rest:
        recorder.change(tables.exchange, mail.exchange, state=ExchangeState.READY, updated_at=recorder.now)


def _work(recorder: Recorder, mail: DueMail, **values: object) -> None:
    table = tables.outgoing
    recorder.connection.execute(update(table).where(table.c.exchange == mail.exchange).values(**values))


def _drop_work(recorder: Recorder, mail: DueMail) -> None:
    recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == mail.exchange))
