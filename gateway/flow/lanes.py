"""Lanes: what is due, shared out among sessions so that no partner waits for another, and each keeps its order.

One lane is one session with what it has in hand: one document, or some acknowledgments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event

from msgspec import Struct

from gateway.errors import (
    ConfigurationFault,
    GatewayError,
    SmtpCrowded,
    SmtpInterrupted,
    Unavailable,
)
from gateway.ledger.work import DueMail
from gateway.mail.model import Handover, OutgoingMail, TransportSession
from gateway.mail.verp import Tokens, with_token

LONGEST = 10.0  # seconds after which a lane gives back what it has not begun, for others to take


class Attempt(Struct, frozen=True):
    """One mail and what came of it: the host's word, or a fault; neither where it was not begun."""

    mail: DueMail
    taken: Handover | None = None
    fault: GatewayError | None = None


def is_away(fault: GatewayError | None) -> bool:
    """Whether any other mail would have met the same fault: the host, the login, or the configuration."""
    return isinstance(fault, (Unavailable, ConfigurationFault)) and not isinstance(
        fault, (SmtpInterrupted, SmtpCrowded)
    )


def next_lane(due: Sequence[DueMail], lanes: int) -> list[DueMail]:
    """What goes next through one of ``lanes`` free sessions: the first document alone, or acknowledgments.

    ``due`` is in order. A partner's later mails never overtake its document; of the acknowledgments a lane takes its
    share, and of a partner all that are due.
    """
    if not due or due[0].kind == "document":
        return list(due[:1])
    share = -(-sum(each.kind != "document" for each in due) // lanes)
    chosen: list[DueMail] = []
    inside: set[str] = set()
    waiting: set[str] = set()  # partners with a document before what follows
    for each in due:
        if each.kind == "document" or (each.partner not in inside and len(chosen) >= share):
            waiting.add(each.partner)
        if each.partner not in waiting:
            chosen.append(each)
            inside.add(each.partner)
    return chosen


class Sender(Struct, frozen=True):
    """What every lane needs to write an envelope. ``verp``: each mail has an envelope sender of its own."""

    tokens: Tokens | None
    verp: bool
    may_send: Callable[[str], bool] = bool  # by the partner's key: is it ours still?

    def outgoing(self, mail: DueMail, raw: bytes) -> OutgoingMail:
        """The mail with its envelope."""
        if self.tokens is None:
            return OutgoingMail(mail.envelope_sender, mail.recipients, raw)
        token = self.tokens.token(mail.exchange)
        sender = with_token(mail.envelope_sender, token) if self.verp else mail.envelope_sender
        return OutgoingMail(sender, mail.recipients, raw, token)

    def hand_over(
        self, session: TransportSession, lane: Sequence[DueMail], contents: Mapping[str, bytes], stop: Event
    ) -> list[Attempt]:
        """Hands the mails over, one after the other. ``stop`` is set, and heeded, where the host is away."""
        until = time.monotonic() + LONGEST
        attempts: list[Attempt] = []
        for mail in lane:
            if stop.is_set() or (attempts and time.monotonic() > until) or not self.may_send(mail.partner):
                break
            try:
                taken = session.send(self.outgoing(mail, contents[mail.raw_sha256]))
            except GatewayError as fault:
                attempts.append(Attempt(mail, fault=fault))
                if is_away(fault):
                    stop.set()
                if is_away(fault) or isinstance(fault, SmtpCrowded):
                    break
            else:
                attempts.append(Attempt(mail, taken))
        return [*attempts, *(Attempt(mail) for mail in lane[len(attempts) :])]
