"""Checks of what was agreed with partners: terms that contradict each other, or that nobody can keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.flow.check_result import Check
from gateway.settings import Settings
from gateway.settings.values import say_duration
from partners.model import Agreement, Direction, FunctionalAck, Partner, Status

_TRADING = {Status.TESTING, Status.LIVE}


def check_terms(partners: Sequence[Partner], settings: Settings) -> Iterator[Check]:
    """What the profiles of those we trade with say can be kept."""
    ours = _our_addresses(settings)
    for partner in partners:
        if partner.status not in _TRADING:
            continue
        yield from _addresses(partner, ours)
        yield from _zone(partner)
        for agreement in partner.agreements:
            name = f"agreement {partner.key}/{agreement.name}"
            yield from _guideline(name, partner, agreement)
            if agreement.direction is Direction.OUT:
                yield from _deadline(name, agreement)
                yield from _usage(name, partner, agreement)
                yield from _kept(name, partner, agreement, settings)


def _our_addresses(settings: Settings) -> set[str]:
    found = {each.user.lower() for each in settings.mailboxes if "@" in each.user}
    return found | ({settings.smtp.sender.lower()} if settings.smtp else set())


def _addresses(partner: Partner, ours: set[str]) -> Iterator[Check]:
    for address in partner.addresses:
        if address.lower() in ours:
            said = f"Its address {address} is our own: what we send to it comes back to us."
            advice = "Correct addresses in the profile and run `gateway partner apply FILE`."
            yield Check(f"partner {partner.key}", False, said, advice, code="partner.our-address")


def _zone(partner: Partner) -> Iterator[Check]:
    try:
        ZoneInfo(partner.calendar.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        said = f"The time zone {partner.calendar.time_zone} of its calendar is not known on this machine."
        advice = "Correct time_zone in the profile, or update the package tzdata."
        yield Check(f"partner {partner.key}", False, said, advice, code="partner.unknown-zone")


def _guideline(name: str, partner: Partner, agreement: Agreement) -> Iterator[Check]:
    if agreement.guideline and agreement.guideline not in dict(partner.guidelines):
        said = f"Its guideline {agreement.guideline} is not kept with the profile: its documents cannot be judged."
        advice = "Put the file beside the profile and run `gateway partner apply FILE` again."
        yield Check(name, False, said, advice, code="agreement.no-guideline")


def _deadline(name: str, agreement: Agreement) -> Iterator[Check]:
    policy = agreement.acknowledgment
    wanted = policy.functional is not FunctionalAck.NONE or agreement.envelope.request_ta1
    if wanted and policy.within is None:
        said = "It wants an acknowledgment but gives no time for it: nobody hears of one that does not come."
        advice = 'Set within, such as "24h", in its [acknowledgment]; or functional = "none" if that is meant.'
        yield Check(name, None, said, advice, code="agreement.no-deadline")


def _usage(name: str, partner: Partner, agreement: Agreement) -> Iterator[Check]:
    """While a partner is in testing, what we send it is marked as a test whatever the agreement says."""
    usage = agreement.envelope.usage
    if partner.status is Status.LIVE and usage == "T":
        said = f"{partner.key} is live, but what we send it is marked as a test (ISA15 T): it may be thrown away."
        yield Check(name, None, said, 'Set usage = "P" in its [envelope].', code="agreement.test-indicator")


def _kept(name: str, partner: Partner, agreement: Agreement, settings: Settings) -> Iterator[Check]:
    kept = agreement.retention.ledger or partner.retention.ledger or settings.retention.ledger
    policy, security = agreement.acknowledgment, agreement.security
    waits = [(policy.within or timedelta()) + (policy.escalate_after or policy.within or timedelta())]
    if security.receipt != "none":
        waits.append(security.receipt_within or timedelta())
    if max(waits) > kept:
        said = f"What is sent is kept for {say_duration(kept)}; its acknowledgment may take {say_duration(max(waits))}."
        yield Check(
            name, None, said, "Keep it longer (retention), or wait less (within).", code="agreement.kept-too-short"
        )
