"""Identify: who sent this, and under which agreements. Pure: the directory is a value.

The address leads to a partner; the interchange's own identities must belong to that partner and to us.
``From`` alone is a claim: whether it is proven by what the profile asks for is decided in ``prove``.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from gateway.errors import (
    IdentityMismatch,
    IdentityUnknown,
    MessageFault,
    NotX12,
    PartnerNotActive,
    ProductionWhileTesting,
    ReceiverNotUs,
    SenderAmbiguous,
    SenderUnknown,
    TestWhileLive,
    UnexpectedType,
    UsageMismatch,
)
from gateway.flow.case import Case, InterchangeCase
from gateway.x12.model import Finding, Header, Level, Party
from gateway.x12.model import Status as Verdict
from partners.directory import Directory
from partners.model import Agreement, Direction, Identity, Partner, Status

_ACTIVE = (Status.TESTING, Status.LIVE)
_TEST, _PRODUCTION = "T", "P"  # ISA15
_REFUSED = {
    _TEST: "ISA15 is T (a test), and only documents in earnest (P) are taken now.",
    _PRODUCTION: "ISA15 is P (in earnest), and only tests (T) are taken yet.",
}
_TEST_INDICATOR = "020"  # TA105: invalid test indicator value


def identify_sender(case: Case, directory: Directory) -> None:
    """From the letter's sender to the partner; a stranger, a riddle or a sleeping partner is a fault."""
    assert case.letter is not None
    try:
        case.partner = sender_of(case.letter.from_address, case.letter.sender_problem, directory)
    except MessageFault as fault:
        case.fault = fault


def sender_of(address: str, problem: str, directory: Directory) -> Partner:
    """The active partner who has that address.

    Raises:
        SenderAmbiguous: the From header does not name exactly one sender.
        SenderUnknown: no profile has the address.
        PartnerNotActive: its profile is a draft, suspended or ended.
    """
    if problem:
        raise SenderAmbiguous(reason=problem)
    partner = directory.by_address(address)
    if partner is None:
        raise SenderUnknown(address=address)
    if partner.status not in _ACTIVE:
        raise PartnerNotActive(partner=partner.key, status=partner.status)
    return partner


def owner_of(case: Case, directory: Directory) -> str:
    """The partner under whose key the bytes of a mail lie; "" where it is nobody's.

    Also of what was quarantined before its sender was asked for, or because nothing is exchanged with the partner now.
    """
    if case.partner is not None:
        return case.partner.key
    letter = case.letter
    known = directory.by_address(letter.from_address) if letter is not None and not letter.sender_problem else None
    return known.key if known is not None else ""


def identify_interchange(case: InterchangeCase, partner: Partner, address: str, directory: Directory) -> None:
    """Binds an interchange to its partner and every document in it to an agreement, or says why not."""
    case.partner = partner
    if case.fault is not None:  # what is no interchange names nobody
        return
    try:
        header = case.report.header
        if header is None:
            reason = case.report.findings[0].message if case.report.findings else "its ISA cannot be read"
            raise NotX12(name="interchange", reason=reason)
        _check_parties(header, partner, address, directory)
        case.agreements = dict(_agreements(case, partner))
        _check_usage(case, header, partner)
    except MessageFault as fault:
        case.fault = fault


@lru_cache(maxsize=1024)
def identity(party: Party) -> Identity:
    """A party of an ISA segment as a normalised identity."""
    return Identity.of(party.qualifier, party.id)


def _check_parties(header: Header, partner: Partner, address: str, directory: Directory) -> None:
    sender = identity(header.sender)
    if sender not in partner.identities:
        owner = directory.by_identity(sender)
        if owner is not None:
            raise IdentityMismatch(
                address=address,
                partner=partner.key,
                control_number=header.control_number,
                identity=sender,
                owner=owner.key,
            )
        raise IdentityUnknown(partner=partner.key, identity=sender, control_number=header.control_number)
    receiver = identity(header.receiver)
    if not directory.is_ours(receiver):
        raise ReceiverNotUs(control_number=header.control_number, identity=receiver)


def _agreements(case: InterchangeCase, partner: Partner) -> list[tuple[tuple[int, int], Agreement]]:
    found = []
    for place, each in case.document_sets:
        version = case.report.groups[place[0]].version
        agreement = partner.agreement_for(Direction.IN, each.id, each.implementation or version)
        agreement = agreement or partner.agreement_for(Direction.IN, each.id, version)
        if agreement is None:
            raise UnexpectedType(partner=partner.key, set=each.id, version=version)
        found.append((place, agreement))
    return found


def _check_usage(case: InterchangeCase, header: Header, partner: Partner) -> None:
    """ISA15: a test interchange must not reach a live business, nor a live one a test."""
    agreement = case.first_agreement
    if agreement is None:
        return
    testing, wanted = partner.status is Status.TESTING, agreement.envelope.usage
    facts = {"control_number": header.control_number, "partner": partner.key}
    if testing and header.usage == _PRODUCTION:
        _other_usage(case, partner.on_production, ProductionWhileTesting(**facts))
        case.as_test = partner.on_production == "accept"
    elif header.usage == wanted or (testing and header.usage == _TEST):
        return
    elif header.usage == _TEST:
        _other_usage(case, partner.on_test, TestWhileLive(**facts))
    else:
        raise UsageMismatch(found=header.usage, wanted=wanted, **facts)


def _other_usage(case: InterchangeCase, wanted: str, fault: MessageFault) -> None:
    """What the profile says of an interchange whose ISA15 does not fit where the partner stands."""
    if wanted == "quarantine":
        raise fault
    if wanted == "reject":
        # The partner may read it: it says nothing of what we call whom.
        usage = case.report.header.usage if case.report.header is not None else ""
        found = Finding(Level.ERROR, "interchange.usage-refused", _REFUSED[usage], "interchange", x12=_TEST_INDICATOR)
        report = case.report
        case.report = replace(
            report, status=Verdict.REJECTED, ta1=("R", _TEST_INDICATOR), findings=(*report.findings, found)
        )
