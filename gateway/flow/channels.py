"""How people are told: a mail through the SMTP host, an HTTP POST of JSON, a command that reads JSON.

A channel is given bytes that are ready and says what it was answered. None of them runs in a transaction.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from gateway.errors import AlertNotTold, ConfigurationFault, DeliveryFailed, GatewayError
from gateway.flow.handover import Deliverable, Handover
from gateway.flow.hooks import CommandHandover, HttpHandover
from gateway.mail.model import OutgoingMail, Transport
from gateway.settings import AlertSettings

NAME = "alert.json"


class Message(Struct, frozen=True):
    """What is told, once: ``key`` is the same at every attempt, and so are the bytes."""

    rule: str
    key: str
    body: bytes  # a whole mail for the mail channel, else a JSON document
    facts: Mapping[str, str] = field(default_factory=dict)


class Answer(Struct, frozen=True):
    """What the other side said; ``missing`` names who could not be told although others were, and why."""

    reply: str
    missing: str = ""


class Channel(Protocol):
    """One way to tell people."""

    def tell(self, message: Message) -> Answer:
        """Tells.

        Raises:
            GatewayError: nobody was told, or nobody knows (OutcomeUnknown).
        """
        ...


class MailChannel(Struct, frozen=True):
    """A mail. Its envelope sender is our own address: what comes back is tied to the rule that sent it."""

    transport: Transport
    sender: str
    recipients: tuple[str, ...]

    def tell(self, message: Message) -> Answer:
        """Hands the mail to the SMTP host."""
        with self.transport.session() as session:
            taken = session.send(OutgoingMail(self.sender, self.recipients, message.body))
        return Answer(taken.reply, "; ".join(f"{who}: {reply}" for who, reply in taken.refused))


class WebhookChannel(Struct, frozen=True):
    """An HTTP POST. Any 2xx says that it was heard, 409 that it was heard before; ``Idempotency-Key`` is the key.

    With ``hmac`` the header X-Gateway-Signature is ``sha256=`` and the HMAC (RFC 2104) of the body in hexadecimal.
    """

    url: str
    target: str
    timeout: float  # seconds
    signature: str  # bearer, hmac
    secret: Callable[[], str]  # asked at each telling; gives "" where there is none

    def tell(self, message: Message) -> Answer:
        """Posts the document."""
        secret = self.secret()
        facts: dict[str, str] = {"rule": message.rule}
        if secret and self.signature == "hmac":
            digest = hmac.new(secret.encode(), message.body, hashlib.sha256).hexdigest()
            facts["signature"] = f"sha256={digest}"
        token = secret if self.signature == "bearer" else ""
        hook = HttpHandover(self.url, self.timeout, token, content_type="application/json; charset=utf-8")
        _deliver(hook, message, facts, self.target)
        return Answer("taken")


class CommandChannel(Struct, frozen=True):
    """A program that reads the document on its standard input and the facts in its environment. No shell."""

    command: str
    target: str
    timeout: float  # seconds
    home: Path

    def tell(self, message: Message) -> Answer:
        """Runs it; exit code 0 says that somebody was told."""
        _deliver(CommandHandover(self.command, self.timeout, self.home), message, message.facts, self.target)
        return Answer("exit code 0")


def channel_for(
    rule: AlertSettings, transport: Transport | None, sender: str, secrets: Callable[[str], str], home: Path
) -> Channel:
    """The channel of a rule.

    Raises:
        ConfigurationFault: the rule tells by mail, and there is no host to send through.
    """
    seconds = rule.timeout.total_seconds()
    if rule.webhook:
        return WebhookChannel(
            rule.webhook, rule.target, seconds, rule.signature, lambda: secrets(rule.secret) if rule.secret else ""
        )
    if rule.command:
        return CommandChannel(rule.command, rule.target, seconds, home)
    if transport is None:
        raise ConfigurationFault(reason=f"the alert rule {rule.name} tells by mail, and there is no [smtp]")
    return MailChannel(transport, sender, rule.to)


def not_told(rule: AlertSettings, fault: GatewayError) -> AlertNotTold:
    """A failure in the words of the rule, without anything that its URL or command line may hide."""
    return fault if isinstance(fault, AlertNotTold) else _fault(rule.name, rule.target, str(fault))


def _deliver(hook: Handover, message: Message, facts: Mapping[str, str], target: str) -> None:
    try:
        hook.deliver(Deliverable(NAME, message.key, message.body, facts))
    except DeliveryFailed as fault:
        raise _fault(message.rule, target, str(fault.details["reason"])) from None


def _fault(rule: str, target: str, reason: str) -> AlertNotTold:
    return AlertNotTold(rule=rule, target=target, reason=reason)
