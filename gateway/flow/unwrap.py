"""Unwrap: the S/MIME layers of a received mail are taken off, and what they prove is noted (RFC 8551, RFC 3335).

Only the partner whose address the mail bears can be proved by a signature, only by certificates that a person
confirmed, and only for the bytes that the signature covers: what lies beside them is not looked at.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.errors import CannotDecrypt, ConfigurationFault, InsufficientSecurity, KeysUnreadable, MessageFault
from gateway.flow.case import Case, InterchangeCase
from gateway.flow.context import Context
from gateway.flow.identify import sender_of
from gateway.mail.letters import open_letter
from gateway.mail.model import Letter, Proof
from gateway.mail.smime.certificates import KeyPair
from gateway.mail.smime.layers import Opened, is_secured, open_layers
from partners.certificates import trusted
from partners.model import Agreement, Direction, Partner

_TYPES = frozenset({
    "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pkcs7-signature",
    "application/x-pkcs7-signature",
})  # fmt: skip
_NAMES = (".p7m", ".p7s", ".p7z")


def unwrap(context: Context, case: Case) -> None:
    """Replaces the letter's parts by what its S/MIME layers hold; a mail without any stays as it is.

    Raises:
        SenderAmbiguous, SenderUnknown, PartnerNotActive: nobody knows whose signature it should be.
        SecurityFault, MessageFault: a layer does not open, or a signature does not prove what it should.
    """
    letter = case.letter
    if letter is None or letter.kind not in {"letter", "receipt"} or not _looks_secured(letter):
        return
    raw = case.message.raw[:]
    if not is_secured(raw, context.limits):
        return
    case.secured = True
    if letter.kind == "receipt":
        _unwrap_receipt(context, case, raw)
        return
    partner = sender_of(letter.from_address, letter.sender_problem, context.directory)
    opened = _opened(context, case, raw, partner)
    inner = open_letter(opened.entity, context.limits)
    _note(case, opened)
    case.letter = replace(letter, kind=inner.kind, parts=inner.parts, bounces=inner.bounces)


def check_security(case: Case, interchange: InterchangeCase) -> None:
    """Sets the interchange's fault where the mail is secured less than an agreement about its documents insists on."""
    partner = interchange.partner
    if interchange.fault is not None or partner is None:
        return
    for agreement in interchange.agreements.values() or _for_acknowledgments(partner):
        if fault := _insufficient(case, partner, agreement):
            interchange.fault = fault
            return


def _for_acknowledgments(partner: Partner) -> tuple[Agreement, ...]:
    """What all agreements about the partner's mails insist on holds for its acknowledgments too."""
    inbound = [each for each in partner.agreements if each.direction is Direction.IN]
    return tuple(inbound[:1]) if len({(a.security.sign, a.security.encrypt) for a in inbound}) == 1 else ()


def _insufficient(case: Case, partner: Partner, agreement: Agreement) -> InsufficientSecurity | None:
    security, kinds = agreement.security, {layer.kind for layer in case.layers}
    missing = [
        word
        for word, wanted in (("signed", security.sign), ("encrypted", security.encrypt))
        if wanted and word not in kinds
    ]
    weak = [layer for layer in case.layers if layer.weak] if not security.weak else []
    if not missing and not weak:
        return None
    wanted = [word for word, is_so in (("signed", security.sign), ("encrypted", security.encrypt)) if is_so]
    found = [f"{layer.kind}{' weakly' if layer.weak else ''} ({layer.algorithm})" for layer in case.layers]
    return InsufficientSecurity(
        agreement=agreement.name,
        partner=partner.key,
        wanted=" and ".join(wanted) or "secured without weak algorithms",
        found=", ".join(found) or "neither signed nor encrypted",
    )


def _unwrap_receipt(context: Context, case: Case, raw: bytes) -> None:
    """A receipt is read in any case; whether a signature proves it decides on what it is worth."""
    assert case.letter is not None
    partner = context.directory.by_address(case.letter.from_address)
    if partner is None or case.letter.sender_problem:
        return
    try:
        _note(case, _opened(context, case, raw, partner))
    except MessageFault as fault:
        case.security_fault = fault


def _opened(context: Context, case: Case, raw: bytes, partner: Partner) -> Opened:
    problem: ConfigurationFault | None = None
    keys: tuple[KeyPair, ...] = ()
    try:
        keys = context.keys.opening()
    except ConfigurationFault as fault:
        problem = fault  # what is only signed can still be read
    try:
        return open_layers(
            raw,
            limits=context.limits,
            keys=keys,
            trusted=tuple(each.der for each in trusted(partner)),
            addresses=partner.addresses,
            weak=any(each.security.weak for each in partner.agreements),
            at=case.message.at / 1000,
        )
    except CannotDecrypt:
        if problem is not None:
            raise KeysUnreadable(reason=str(problem)) from problem
        raise


def _note(case: Case, opened: Opened) -> None:
    case.opened = opened
    case.layers = opened.layers
    signed = [layer for layer in opened.layers if layer.kind == "signed"]
    if opened.signed and signed:
        innermost = signed[-1]
        case.proof = Proof("signed", (("fingerprint", innermost.fingerprint), ("digest", innermost.algorithm)))


def _looks_secured(letter: Letter) -> bool:
    """Cheaply, and true too often rather than too seldom: the exact look reads the headers again."""
    return any(
        part.content_type in _TYPES
        or part.within == "multipart/signed"
        or (part.content_type == "application/octet-stream" and part.file_name.lower().endswith(_NAMES))
        for part in letter.parts
    )
