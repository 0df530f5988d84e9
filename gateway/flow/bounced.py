"""Bounced: what the mail system says of a mail of ours is tied to its exchange, and believed only where it is proven.

Anybody can write a bounce. One that carries our token, in the address that it came to or in the envelope id that it
gives back, can only be about the mail that the token was made for. Where mails go out without a token in their sender,
our Message-ID has to do: nobody who has not seen the mail can know it. Everything else is noted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, select

from gateway.flow import deadlines
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.flow.telling import returned
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.mail.model import Bounce, Letter

# The partner spoke after all, or a person did: a bounce changes nothing of that.
_FINAL = (ExchangeState.ACKNOWLEDGED, ExchangeState.REFUSED, ExchangeState.CANCELLED, ExchangeState.SUPERSEDED)
# It goes (again) as it is: if it comes back while the host still takes it, that shows when the outcome is kept.
_GOES_AGAIN = (ExchangeState.READY, ExchangeState.SENDING)


class _Named(Struct, frozen=True):
    """The exchange that a bounce is about, and whether that is proven."""

    exchange: Row[*tuple[Any, ...]]
    proven: bool


def bounced(context: Context, recorder: Recorder, case: Case) -> None:
    """Records what a bounce says of each recipient; with a proven failure nobody owes us an acknowledgment any more."""
    letter = case.letter
    assert letter is not None
    recorder.flush()
    for bounce in letter.bounces or (_unread(letter),):
        named = _named(context, recorder.connection, letter, bounce)
        told = {
            "recipient": bounce.recipient,
            "status": bounce.status,
            "reason": bounce.diagnostic or letter.subject,
        }
        if named is None and bounce.action in {"failed", ""} and _of_alert(recorder, bounce, told["reason"]):
            continue
        if named is None:
            told["names"] = bounce.original_message_id or bounce.envelope_id
            recorder.event("bounce-unmatched", message=case.message.id, **told)  # type: ignore[arg-type]
            continue
        _record(context, recorder, case, bounce, named, told)


def _unread(letter: Letter) -> Bounce:
    """A bounce that says nothing which can be read: its address may still tell what it is about."""
    return Bounce(original_message_id=letter.in_reply_to, recipient="", action="", status="", diagnostic="")


def whose(context: Context, connection: Connection, cases: Iterable[Case]) -> set[str]:
    """The partners whose mails came back: a bounce tells nothing of them itself."""
    found = set()
    for letter in (case.letter for case in cases if case.letter is not None and case.letter.kind == "bounce"):
        for bounce in letter.bounces or (_unread(letter),):
            named = _named(context, connection, letter, bounce)
            found |= {named.exchange.partner} if named is not None else set()
    return found


def _named(context: Context, connection: Connection, letter: Letter, bounce: Bounce) -> _Named | None:
    tokens = context.tokens
    if tokens is not None:
        number = tokens.exchange_of((*letter.delivered_to, *letter.to)) or tokens.exchange(bounce.envelope_id)
        if number is not None:
            row = _exchange(connection, tables.exchange.c.id == number)
            if row is not None:
                return _Named(row, proven=True)
    if not bounce.original_message_id:
        return None
    row = _exchange(connection, tables.message.c.message_id == bounce.original_message_id)
    smtp = context.settings.smtp
    return _Named(row, proven=smtp is None or not smtp.verp) if row is not None else None


def _of_alert(recorder: Recorder, bounce: Bounce, reason: str) -> bool:
    """Whether a mail came back that told people of alerts: its rule is shown as failing, and no mail tells of it."""
    return returned(recorder, bounce.original_message_id, bounce.recipient, reason)


def _exchange(connection: Connection, which: Any) -> Row[*tuple[Any, ...]] | None:
    m, x = tables.message, tables.exchange
    return connection.execute(
        select(x.c.id, x.c.partner, x.c.state)
        .join(m, m.c.id == x.c.message)
        .where(which, x.c.direction == "out", m.c.direction == "out")
        .limit(1)
    ).one_or_none()


def _record(
    context: Context, recorder: Recorder, case: Case, bounce: Bounce, named: _Named, told: dict[str, Any]
) -> None:
    exchange = named.exchange
    recorder.entrust(case.message.sha256, exchange.partner)  # it comes from a mail host, and returns the document
    failed = bounce.action == "failed"
    kind = "bounce-unproven" if not named.proven else "bounced" if failed else "bounce-notice"
    recorder.event(kind, exchange=exchange.id, message=case.message.id, partner=exchange.partner, **told)
    if not (failed and named.proven) or exchange.state in _FINAL or exchange.state in _GOES_AGAIN:
        return
    if exchange.state == ExchangeState.IN_DOUBT:  # what comes back was taken
        recorder.connection.execute(delete(tables.outgoing).where(tables.outgoing.c.exchange == exchange.id))
    deadlines.stop(recorder, exchange.id)
    recorder.change(tables.exchange, exchange.id, state=ExchangeState.BOUNCED, updated_at=recorder.now, settled_at=None)
    context.reporter.happened("mails bounced")
