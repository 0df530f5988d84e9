"""The [[alert]] tables: the kinds of things that people are told of, and what does not fit together in a rule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from gateway.settings.model import AlertSettings
from gateway.settings.values import address, name, text

EVERYTHING = "*"
OTHER = "other"
NOT_TOLD = "not told"
REPLY = "reply"

# What a rule may name. A kind is the state of the thing where it has one.
KINDS: Mapping[str, str] = {
    "quarantined": "a message or interchange that cannot be processed",
    "conflict": "a control number that came again with other content",
    "rejected": "an interchange that we rejected",
    "partially accepted": "an interchange of which some documents were rejected, by us or by the partner",
    "not delivered": "accepted, but the business could not be given it",
    "unmatched": "an acknowledgment for nothing that we sent, or for what we sent to somebody else",
    "repeated": "the same business document under another number",
    "in doubt": "nobody knows whether the SMTP host took it",
    "failed": "a mail that was given up",
    "not to all": "a mail that not all recipients got",
    "bounced": "a mail that came back",
    "refused": "a document that the partner rejected",
    "contradicted": "an acknowledgment that says another thing than the one before",
    "overdue": "an acknowledgment that did not come in time",
    "escalated": "an acknowledgment that is overdue for long",
    "gap": "numbers of a partner that did not come",
    "step back": "a partner's numbers went back",
    "missed": "a file that was expected by an hour and did not come",
    "not taken": "a message that its mailbox does not give, or that is too large",
    "document refused": "a document in the outbox that cannot be sent",
    "mailbox": "a mailbox that cannot be read",
    "smtp": "the SMTP host does not take mail",
    "login": "a login or a connection that was refused",
    "no access": "access tokens that are refused",
    "ends soon": "a certificate, key or client secret that ends soon",
    "ended": "a certificate, key or client secret that has ended",
    "configuration": "settings or profiles that do not work",
    "database": "the ledger's database cannot be used, so that no batch runs",
    "night": "a batch that did not end, or did not run for long",
    "disk": "little space left",
    "backup": "a backup that could not be made, or is older than it should be",
    "defect": "a defect of the gateway",
    REPLY: "somebody, or a machine, answered a mail of an alert; no mail tells of it",
    NOT_TOLD: "a rule of these whose mail, webhook or command does not work",
    OTHER: "everything else",
}
_CHANNELS = ("to", "webhook", "command")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)")


class AlertTableError(ValueError):
    """What is wrong with a rule; ``key`` says where."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def kinds(value: object) -> tuple[str, ...]:
    """A list of kinds, or ``"*"`` for all."""
    found = _list(value, "kinds")
    for each in found:
        if each != EVERYTHING and each not in KINDS:
            raise ValueError(f"{each[:40]!r} is no kind of alert; there are {', '.join(KINDS)}, and * for all")
    return found


def partners(value: object) -> tuple[str, ...]:
    """A list of partners' keys, or ``"*"`` for all."""
    return tuple(each if each == EVERYTHING else name(each) for each in _list(value, "partners"))


def addresses(value: object) -> tuple[str, ...]:
    """Email addresses, one or a list."""
    return tuple(address(each) for each in _list(value, "addresses"))


def hours(value: object) -> tuple[int, int]:
    """``22:00-06:00`` as minutes of the day: from, to."""
    found = _HOURS.fullmatch(text(value))
    if found is None:
        raise ValueError('hours such as "22:00-06:00" are wanted')
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if begin == end:
        raise ValueError("the hours end when they begin")
    return begin, end


def complete(found: dict[str, Any], *, has_smtp: bool) -> AlertSettings:
    """The rule that a table says, checked as a whole.

    Raises:
        AlertTableError: for the first thing that is missing or does not fit.
    """
    if "name" not in found:
        raise AlertTableError("name", "the key is missing; it names the rule")
    named = [key for key in _CHANNELS if key in found]
    if len(named) != 1:
        raise AlertTableError(
            named[1] if named else "to", "a rule tells by one of to, webhook and command; write a rule for each"
        )
    if "to" in found and not has_smtp:
        raise AlertTableError("to", "mail needs a host to send through: there is no [smtp]")
    for key in ("secret", "signature"):
        if key in found and "webhook" not in found:
            raise AlertTableError(key, "this key is for rules with a webhook")
    if "signature" in found and "secret" not in found:
        raise AlertTableError("secret", "the key is missing; it names the secret that signature uses")
    _check_command(found.get("command"))
    return AlertSettings(**found)


def _check_command(written: str | None) -> None:
    if written is None:
        return
    try:
        words = shlex.split(written)
    except ValueError as problem:
        raise AlertTableError("command", f"its words cannot be told apart: {problem}") from None
    if not words or not words[0]:
        raise AlertTableError("command", "it names no program")


def _list(value: object, what: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ValueError(f"at least one is wanted, or leave the key out; this list of {what} is empty")
    found = tuple(text(each) for each in listed)
    if len(set(found)) != len(found):
        raise ValueError("one stands in the list twice")
    return found
