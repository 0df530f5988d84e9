"""The checklist of a partner: what must be before documents in earnest flow, and where each thing stands. Pure.

Nothing is ticked off by hand: an item is done when the profile or the ledger shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from gateway.values import asdict
from partners.certificates import describe, for_encryption, trusted, valid_at
from partners.model import Agreement, CertificateState, Direction, Evidence, FunctionalAck, Partner, Status, TA1Policy

DONE, MISSING, NOT_NEEDED = "done", "missing", "not needed"
UNKNOWN_HOST = ".invalid"  # RFC 2606: the end of an address that nobody knows yet


class Fact(Struct, frozen=True):
    """Something that happened: when (ms since 1970 UTC), in which exchange, and what a person should know of it."""

    at: int
    exchange: int | None = None
    words: str = ""


class Facts(Struct, frozen=True):
    """What the ledger shows of a partner; None where it shows nothing.

    ``received`` and ``sent`` are tests, or documents in earnest where there were no tests; ``acknowledged_us`` is the
    partner's acceptance of ours, ``acknowledged_them`` our answer that went out. ``numbers``: somebody decided with
    which numbers we begin, or the partner took them. ``refused`` says by item what was tried and failed.
    ``unguided`` are sets that no guideline at hand judges.
    """

    now: int
    proven: Fact | None = None
    received: Fact | None = None
    delivered: Fact | None = None
    acknowledged_them: Fact | None = None
    sent: Fact | None = None
    acknowledged_us: Fact | None = None
    numbers: Fact | None = None
    refused: dict[str, Fact] = field(default_factory=dict)
    unguided: tuple[str, ...] = ()


class Item(Struct, frozen=True):
    """One item. ``since`` and ``exchange`` say by what it is done; ``next_command`` what to do where it is missing."""

    name: str
    title: str
    state: str
    sentence: str
    since: int | None = None
    exchange: int | None = None
    next_command: str = ""

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        return asdict(self)


class Checklist(Struct, frozen=True):
    """All items of a partner, in the order in which they are best done."""

    partner: str
    status: Status
    items: tuple[Item, ...]

    @property
    def missing(self) -> tuple[Item, ...]:
        """What is to be done yet."""
        return tuple(each for each in self.items if each.state == MISSING)

    @property
    def summary(self) -> str:
        """One sentence."""
        done = sum(each.state == DONE for each in self.items)
        needed = sum(each.state != NOT_NEEDED for each in self.items)
        missing = ", ".join(each.title for each in self.missing)
        return f"{done} of {needed} done{f'; missing: {missing}' if missing else ''}."

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        return {
            "partner": self.partner,
            "status": self.status.value,
            "ready": not self.missing,
            "items": [each.as_dict() for each in self.items],
        }


def checklist(partner: Partner, facts: Facts) -> Checklist:
    """Where a partner stands, from its profile and what the ledger shows."""
    inbound = [each for each in partner.agreements if each.direction is Direction.IN]
    outbound = [each for each in partner.agreements if each.direction is Direction.OUT]
    items = [
        _addresses(partner),
        *_agreements(partner),
        _guidelines(facts),
        _certificate(partner, facts.now),
        _numbers(partner, facts),
        _identity(partner, facts),
        *_from_them(partner, facts, inbound),
        *_to_them(partner, facts, outbound),
    ]
    return Checklist(partner.key, partner.status, tuple(items))


def unknown_addresses(partner: Partner) -> list[str]:
    """The addresses that only keep the place of one."""
    return [each for each in partner.addresses if each.lower().endswith(UNKNOWN_HOST)]


def _addresses(partner: Partner) -> Item:
    unknown = unknown_addresses(partner)
    if unknown:
        said = f"{', '.join(unknown)} only keeps the place; write the real address into the profile."
        return Item("addresses", "addresses", MISSING, said, next_command=f"gateway partner export {partner.key}")
    return Item("addresses", "addresses", DONE, f"Mail comes from {', '.join(partner.addresses)}.")


def _agreements(partner: Partner) -> Iterator[Item]:
    said = "; ".join(_agreed(each) for each in partner.agreements)
    yield Item("agreements", "agreements", DONE, f"{said[:1].upper()}{said[1:]}.")


def _agreed(agreement: Agreement) -> str:
    sets = "every set" if agreement.sets == ("*",) else ", ".join(agreement.sets)
    versions = f" in {', '.join(agreement.versions)}" if agreement.versions else ""
    who = "they send" if agreement.direction is Direction.IN else "we send"
    return f"{who} {sets}{versions}"


def _guidelines(facts: Facts) -> Item:
    if not facts.unguided:
        return Item("guideline", "guideline", DONE, "Every set that was agreed on can be judged.")
    said = f"Nothing at hand judges {', '.join(facts.unguided)}: only envelopes and counts are looked at."
    return Item("guideline", "guideline", MISSING, said, next_command="gateway x12 sets")


def _certificate(partner: Partner, now: int) -> Item:
    proves, encrypts = _wants_proof(partner), _wants_encryption(partner)
    if not proves and not encrypts:
        return Item("certificate", "certificate", NOT_NEEDED, "No agreement asks for S/MIME.")
    usable = [each for each in trusted(partner) if valid_at(each, now)]
    lacking = []
    if proves and not any(describe(each.der).proves for each in usable):
        lacking.append("verify its signatures")
    if encrypts and not for_encryption(partner, now):
        lacking.append("encrypt for it")
    if not lacking:
        since = max(each.not_before for each in usable)
        return Item("certificate", "certificate", DONE, f"Trusted until {_day(usable[0].not_after)}.", since=since)
    waiting = any(each.state is CertificateState.PENDING for each in partner.certificates)
    command = "trust" if waiting else "add"
    hint = "; one waits for its fingerprint to be confirmed" if waiting else ""
    said = f"There is no trusted certificate to {' or '.join(lacking)}{hint}."
    more = "" if waiting else " FILE"
    following = f"gateway partner certificate {command} {partner.key}{more}"
    return Item("certificate", "certificate", MISSING, said, next_command=following)


def _wants_proof(partner: Partner) -> bool:
    signed = any(each.security.sign for each in partner.agreements if each.direction is Direction.IN)
    receipts = any(each.security.receipt == "signed" for each in partner.agreements if each.direction is Direction.OUT)
    return partner.evidence is Evidence.SIGNED or signed or receipts


def _wants_encryption(partner: Partner) -> bool:
    return any(each.security.encrypt for each in partner.agreements if each.direction is Direction.OUT)


def _day(milliseconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - for this alone

    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def _numbers(partner: Partner, facts: Facts) -> Item:
    name, title = "numbers", "control numbers"
    if facts.numbers is not None:
        return _done(name, title, facts.numbers)
    said = "Nobody said with which control numbers we begin; a partner that knows earlier ones refuses ours."
    following = f"gateway partner start {partner.key} --interchange N --group N (or --leave --why …)"
    return Item(name, title, MISSING, said, next_command=following)


def _identity(partner: Partner, facts: Facts) -> Item:
    name, title = "identity", "identity proven"
    if facts.proven is not None:
        return _done(name, title, facts.proven)
    said = f"No mail with one of its identities has come that was proven by {partner.evidence.value} or better."
    return _missing(partner, facts, name, title, said, f"gateway partner check {partner.key}")


def _from_them(partner: Partner, facts: Facts, inbound: list[Agreement]) -> Iterator[Item]:
    titles = {
        "test-received": "test received",
        "delivery": "delivery tried",
        "answered": "acknowledgment sent",
    }
    if not inbound:
        yield from (Item(name, title, NOT_NEEDED, "They send us nothing.") for name, title in titles.items())
        return
    check = f"gateway partner check {partner.key}"
    sheet = f"gateway partner spec {partner.key}"
    if facts.received is not None:
        yield _done("test-received", titles["test-received"], facts.received)
    else:
        said = "No test of theirs was accepted yet; send them the specification."
        yield _missing(partner, facts, "test-received", titles["test-received"], said, sheet)
    if facts.delivered is not None:
        yield _done("delivery", titles["delivery"], facts.delivered)
    else:
        said = "No document of theirs was handed to the business yet."
        yield _missing(partner, facts, "delivery", titles["delivery"], said, check)
    if all(_answers_nothing(each) for each in inbound):
        yield Item("answered", titles["answered"], NOT_NEEDED, "It was agreed that we acknowledge nothing.")
    elif facts.acknowledged_them is not None:
        yield _done("answered", titles["answered"], facts.acknowledged_them)
    else:
        said = "No acknowledgment of ours has gone to them yet."
        yield _missing(partner, facts, "answered", titles["answered"], said, check)


def _to_them(partner: Partner, facts: Facts, outbound: list[Agreement]) -> Iterator[Item]:
    sent, matched = "test sent", "acknowledgment matched"
    if not outbound:
        yield Item("test-sent", sent, NOT_NEEDED, "We send them nothing.")
        yield Item("acknowledged", matched, NOT_NEEDED, "We send them nothing.")
        return
    test = f"gateway partner test {partner.key}"
    if facts.sent is not None:
        yield _done("test-sent", sent, facts.sent)
    else:
        yield _missing(partner, facts, "test-sent", sent, "No test of ours was handed over to them yet.", test)
    if all(_awaits_nothing(each) for each in outbound):
        yield Item("acknowledged", matched, NOT_NEEDED, "It was agreed that they acknowledge nothing.")
    elif facts.acknowledged_us is not None:
        yield _done("acknowledged", matched, facts.acknowledged_us)
    else:
        said = "They have accepted nothing of ours yet."
        yield _missing(partner, facts, "acknowledged", matched, said, f"{test} --result")


def _answers_nothing(agreement: Agreement) -> bool:
    policy = agreement.acknowledgment
    return policy.functional is FunctionalAck.NONE and policy.ta1 is TA1Policy.NEVER


def _awaits_nothing(agreement: Agreement) -> bool:
    policy = agreement.acknowledgment
    nothing = policy.functional is FunctionalAck.NONE and not agreement.envelope.request_ta1
    return policy.within is None or nothing


def _done(name: str, title: str, fact: Fact) -> Item:
    return Item(name, title, DONE, fact.words, since=fact.at, exchange=fact.exchange)


def _missing(partner: Partner, facts: Facts, name: str, title: str, said: str, following: str) -> Item:
    """What is to be done; before anything can be tried, the partner must be in testing."""
    failed = facts.refused.get(name)
    if failed is not None:
        command = f"gateway exchange show {failed.exchange}" if failed.exchange is not None else following
        return Item(name, title, MISSING, failed.words, failed.at, failed.exchange, command)
    if partner.status is Status.DRAFT:
        following = f"gateway partner activate {partner.key} --testing"
    return Item(name, title, MISSING, said, next_command=following)
