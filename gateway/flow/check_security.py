"""Checks of what S/MIME needs: partners' certificates and our keys, there, valid, and not about to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.errors import GatewayError
from gateway.flow.check_result import Check, failed
from gateway.flow.expiry import endings
from gateway.flow.keyring import Keyring
from gateway.ledger.keys import ACTIVE
from gateway.words import count
from partners.certificates import WARN_DAYS, describe, for_encryption, trusted, valid_at
from partners.model import Agreement, CertificateState, Direction, Evidence, Partner, Status

_TRADING = {Status.TESTING, Status.LIVE}


def check_keys(ring: Keyring) -> Iterator[Check]:
    """Every key of ours can be decrypted."""
    for key in ring.keys:
        try:
            ring.pair(key)
        except GatewayError as fault:
            yield failed(f"key {key.name}", fault)
    if ring.keys:
        active = sum(each.state == ACTIVE for each in ring.keys)
        yield Check("keys", True, f"{count(len(ring.keys), 'key')} for S/MIME, {active} of them active.")


def check_endings(partners: Iterable[Partner], ring: Keyring, now: int) -> Iterator[Check]:
    """No certificate or key ends soon without another one in its place: louder 60, 30 and 7 days ahead."""
    for each in endings(partners, ring.keys, now):
        urgent = each.days <= min(WARN_DAYS)
        code = "certificate.ended" if each.days < 0 else "certificate.ends-soon"
        said = _loud(each.sentence, urgent=urgent)
        yield Check("certificates", False if each.days < 0 else None, said, each.advice, code=code)


def check_needs(partners: Sequence[Partner], ring: Keyring, now: int) -> Iterator[Check]:
    """What agreements ask for can be done: there are keys to sign with, certificates to encrypt for or verify by."""
    for partner in partners:
        if partner.status not in _TRADING:
            continue
        missing = dict.fromkeys(_missing(partner, ring, now))
        for code, name, sentence, advice in missing:
            yield Check(name, False, sentence, advice, code=code)
        yield from _unknown(partner)
        waiting = sum(each.state is CertificateState.PENDING for each in partner.certificates)
        if waiting:
            advice = f"Confirm the fingerprint with the partner: `gateway partner certificate trust {partner.key}`."
            yield Check(
                f"partner {partner.key}",
                None,
                f"{count(waiting, 'certificate')} to be confirmed.",
                advice,
                code="certificate.unconfirmed",
            )


def _unknown(partner: Partner) -> Iterator[Check]:
    """Certificates in a state that the gateway never wrote: they count for nothing."""
    for each in partner.certificates:
        if each.state is CertificateState.UNKNOWN:
            named = each.fingerprint[:16]
            said = f"Certificate {named}… is in a state that is none of ours, and counts for nothing."
            tells = "`gateway ledger verify --full` tells what it was"
            advice = f"{tells}; then `gateway partner certificate trust {partner.key}`, or `retire`."
            yield Check(f"partner {partner.key}", False, said, advice, code="certificate.state-unknown")


def _missing(partner: Partner, ring: Keyring, now: int) -> Iterator[tuple[str, str, str, str]]:
    name = f"partner {partner.key}"
    add = f"Ask for it, and add it with `gateway partner certificate add {partner.key} FILE`."
    verified = partner.evidence is Evidence.SIGNED or any(_verifies(each) for each in partner.agreements)
    if verified and not any(describe(each.der).proves and valid_at(each, now) for each in trusted(partner)):
        said = "Its signatures cannot be verified: it has no trusted certificate that is valid."
        yield "certificate.missing", name, said, add
    for agreement in partner.agreements:
        out = agreement.direction is Direction.OUT
        if out and agreement.security.encrypt and not for_encryption(partner, now):
            said = f"{agreement.name} is to be encrypted, but there is no valid certificate for it."
            yield "certificate.missing", name, said, add
        if _signs(agreement):
            yield from _signing_key(f"agreement {partner.key}/{agreement.name}", agreement, ring, now)
        if not out and agreement.security.encrypt and not _opens(ring):
            advice = "Make one with `gateway key generate` (not ec-p256) and send the partner its certificate."
            yield (
                "key.missing",
                name,
                f"{agreement.name} wants encryption, but we have no RSA key that partners can encrypt for.",
                advice,
            )


def _signing_key(name: str, agreement: Agreement, ring: Keyring, now: int) -> Iterator[tuple[str, str, str, str]]:
    try:
        ring.signing(now, agreement.security.key)
    except GatewayError as fault:
        yield fault.code, name, str(fault), fault.next_step


def _signs(agreement: Agreement) -> bool:
    """Whether we sign something under this agreement: mails, or receipts."""
    security = agreement.security
    return security.sign if agreement.direction is Direction.OUT else security.receipt == "signed"


def _verifies(agreement: Agreement) -> bool:
    """Whether something of the partner's must be signed: its mails, or its receipts."""
    security = agreement.security
    return security.receipt == "signed" if agreement.direction is Direction.OUT else security.sign


def _opens(ring: Keyring) -> bool:
    return any(each.state == ACTIVE and describe(each.certificate).encrypts for each in ring.keys)


def _loud(sentence: str, *, urgent: bool) -> str:
    return f"{sentence} This is urgent." if urgent else sentence
