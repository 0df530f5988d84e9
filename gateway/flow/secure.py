"""Secure: mails of ours get the S/MIME layers that an agreement names, and ask for its receipt (AS1, RFC 3335).

The bytes are fixed once, when the interchange is numbered; every attempt sends the same. What is encrypted is also
kept as it was before: only that proves later, together with the receipt, what the partner was given.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import AnswerNotSecured, CertificateMissing, ConfigurationFault
from gateway.flow.case import InterchangeCase
from gateway.flow.context import Context
from gateway.flow.keyring import Keyring
from gateway.mail.compose import entity, letter
from gateway.mail.model import Draft
from gateway.mail.receipt_writer import request_headers
from gateway.mail.smime.layers import Plan, secure
from partners.certificates import for_encryption
from partners.model import Agreement, Direction, Partner, Security

NO_SECURITY = Security()
SIGNED_RECEIPT, RECEIPT = "signed receipt asked for", "receipt asked for"


class Sealed(Struct, frozen=True):
    """A mail that is ready for the wire.

    ``words`` says how it is secured and which receipt it asks for; ``mic`` is what the receipt must state ("" where
    none is asked for); ``inner`` is the entity inside where the mail itself is encrypted, else empty.
    """

    raw: bytes
    words: str = ""
    mic: str = ""
    inner: bytes = b""


def seal(ring: Keyring, partner: Partner, security: Security, draft: Draft, now: int) -> Sealed:
    """The mail as the agreement wants it. A secured one carries the EDI alone (RFC 3335 section 3): no words beside it.

    Args:
        ring: our keys.
        partner: to whom it goes.
        security: what was agreed.
        draft: the mail.
        now: ms since 1970 UTC.

    Raises:
        OwnKeyMissing, OwnKeyUnusable, CertificateMissing, CertificateUnusable: it cannot be done now.
        DocumentFault: the mail cannot be written.
    """
    wanted = asks(security)
    if not (security.sign or security.encrypt or security.compress or wanted):
        return Sealed(letter(draft, entity(draft)))
    if wanted:
        digests = (security.digest,) if security.receipt == "signed" else ()
        draft = replace(draft, headers=(*draft.headers, *request_headers(draft.sender, digests=digests)))
    inner, outer = plans(ring, partner, security, now)
    first = secure(entity(replace(draft, place="body")), inner)
    second = secure(first.entity, outer) if outer.encrypt_for else None
    # Encrypted and nothing else: then the MIC is over the entity inside, headers included (RFC 3335 section 2.3).
    mic = second.mic if second and not first.words else first.mic
    words = [first.words, second.words if second else "", wanted]
    return Sealed(
        letter(draft, second.entity if second else first.entity),
        ", ".join(filter(None, words)),
        f"{mic}, {security.digest}" if wanted else "",
        first.entity if second else b"",
    )


def plans(ring: Keyring, partner: Partner, security: Security, now: int) -> tuple[Plan, Plan]:
    """What is done first (compress, sign) and then (encrypt).

    Raises:
        OwnKeyMissing, OwnKeyUnusable, CertificateMissing: a key or certificate is not there.
    """
    key = ring.pair(ring.signing(now, security.key)) if security.sign else None
    certificates = tuple(each.der for each in for_encryption(partner, now)) if security.encrypt else ()
    if security.encrypt and not certificates:
        raise CertificateMissing(partner=partner.key, use="encrypt for")
    inner = Plan(sign_with=key, digest=security.digest, compress=security.compress, at=now / 1000)
    outer = Plan(
        encrypt_for=certificates,
        digest=security.digest,
        cipher=security.cipher,
        key_transport=security.key_transport,
        at=now / 1000,
    )
    return inner, outer


def asks(security: Security) -> str:
    """Which receipt our mail asks for, in the words that the ledger keeps; "" for none."""
    return {"signed": SIGNED_RECEIPT, "unsigned": RECEIPT}.get(security.receipt, "")


def for_answers(partner: Partner, agreement: Agreement | None) -> Security:
    """How acknowledgments are secured: as the first agreement about what we send, else as the one they answer.

    They ask for no receipt: an acknowledgment of an acknowledgment has no end.
    """
    ours = next((each for each in partner.agreements if each.direction is Direction.OUT), agreement)
    return replace(ours.security, receipt="none") if ours is not None else NO_SECURITY


def check_answer(context: Context, interchange: InterchangeCase) -> None:
    """Sets the interchange's fault where the acknowledgment that it would get cannot be secured as agreed.

    What we cannot acknowledge we do not accept: it waits in quarantine until a certificate or key is there.
    """
    partner = interchange.partner
    if interchange.fault is not None or partner is None or interchange.only_acknowledges:
        return
    security = for_answers(partner, interchange.first_agreement)
    if not (security.sign or security.encrypt):
        return  # nothing that could be missing
    try:
        plans(context.keys, partner, security, context.clock())
    except ConfigurationFault as fault:
        interchange.fault = AnswerNotSecured(partner=partner.key, reason=str(fault))
