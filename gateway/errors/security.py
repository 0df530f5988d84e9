"""Faults of S/MIME layers (RFC 8551, AS1): of messages that we received, and of certificates that we were given.

Each fault of a message also carries its ``disposition``: the modifier with which a receipt answers it (RFC 3335
section 5.2, RFC 5402 section 5, after ``failed/Failure:`` or ``processed/Error:``).
"""

from __future__ import annotations

from typing import ClassVar

from gateway.errors.base import Side
from gateway.errors.received import MessageFault
from gateway.errors.setup import ConfigurationFault


class SecurityFault(MessageFault):
    """An S/MIME layer of a message cannot be opened or does not prove what it should."""

    code = "security"
    sentence = "The message's security layer cannot be opened: {reason}"
    advice = "Look at the raw message; ask the partner what it sent."
    disposition: ClassVar[str] = "unexpected-processing-error"


class SecurityMalformed(SecurityFault):
    code = "security.malformed"
    sentence = "The S/MIME layer cannot be read: {reason}"
    advice = "Ask the partner to send it again; if it comes the same, its S/MIME software is at fault."


class SignatureInvalid(SecurityFault):
    code = "signature.invalid"
    sentence = "The signature does not hold: {reason}"
    advice = "The content was changed on the way, or forged. Ask the partner to send it again; never release it unseen."
    disposition = "integrity-check-failed"


class SignerUnknown(SecurityFault):
    code = "signature.signer-unknown"
    sentence = "The message is signed by {signer}, which is no certificate that the partner's profile trusts."
    advice = (
        "Confirm the fingerprint with the partner by telephone, add the certificate "
        "(`gateway partner certificate`), and release the message."
    )
    disposition = "authentication-failed"


class SignerRefused(SecurityFault):
    code = "signature.signer-refused"
    sentence = "The certificate {signer} cannot vouch for the message: {reason}"
    advice = "Ask the partner for its current certificate."
    disposition = "authentication-failed"


class CannotDecrypt(SecurityFault):
    """One fault, in one wording, for a missing key, a wrong key and damaged content: the answer is no oracle."""

    code = "encryption.cannot-decrypt"
    sentence = "No key of ours opens the message; it names as recipients: {recipients}."
    advice = "Check that the partner encrypts for our current certificate and ask it to send the message again."
    disposition = "decryption-failed"


class KeysUnreadable(SecurityFault):
    code = "encryption.keys-unreadable"
    sentence = "The message is encrypted, and none of our keys can be read: {reason}"
    advice = "Mend that (`gateway doctor`) and release the message; the partner was told nothing."
    side = Side.OURS


class AlgorithmRefused(SecurityFault):
    code = "security.algorithm"
    sentence = "The message uses {algorithm}, which is {reason}."
    advice = "Ask the partner for a stronger algorithm, or allow weak ones in the agreement if you must."
    disposition = "insufficient-message-security"


class DecompressionFailed(SecurityFault):
    code = "compression.damaged"
    sentence = "The compressed content cannot be unpacked: {reason}"
    advice = "Ask the partner to send it again, without compression if need be."
    disposition = "decompression-failed"


class CompressionBomb(DecompressionFailed):
    code = "compression.past-bounds"
    sentence = "The compressed content grows past its bounds: {reason}"
    advice = "No honest EDI does this; if it is one, raise limits.decompressed or limits.decompression_ratio."


class InsufficientSecurity(SecurityFault):
    code = "security.insufficient"
    sentence = "The agreement {agreement} with {partner} wants mails that are {wanted}; this one is {found}."
    advice = (
        "Ask the partner to secure its mails as agreed, or change the agreement knowingly; then release the message."
    )
    disposition = "insufficient-message-security"


class AnswerNotSecured(SecurityFault):
    code = "security.answer"
    sentence = "The acknowledgment that {partner} would get cannot be secured as agreed: {reason}"
    advice = "Mend that and release the message: it is accepted and acknowledged then."
    side = Side.OURS


class ReceiptFault(MessageFault):
    """A receipt (MDN, RFC 8098) for a mail of ours does not say what it should."""

    code = "receipt"
    sentence = "The receipt for exchange {exchange} cannot be taken: {reason}"
    advice = "`gateway exchange show` tells what came back; ask the partner."


class ReceiptNegative(ReceiptFault):
    code = "receipt.negative"
    sentence = "{partner}'s system could not take the mail: its receipt says {reason}."
    advice = (
        "Find the cause with the partner (certificate, algorithm, agreement) and submit the document again: "
        "the same mail would fail the same way."
    )


class ReceiptMismatch(ReceiptFault):
    code = "receipt.mismatch"
    sentence = "{partner}'s receipt confirms other content than we sent: its integrity check is {mic}, ours {ours}."
    advice = "The mail was changed on its way, or the partner computes otherwise: compare with it what arrived."


class ReceiptUnproven(ReceiptFault):
    code = "receipt.unproven"
    sentence = "Nothing proves that a receipt for exchange {exchange} is {partner}'s: {reason}"
    advice = (
        "It counts for nothing. Ask the partner whether it sent it, and whether its certificate has changed: once that "
        "is trusted, `gateway exchange replay` with the receipt's mail (m12) judges it again."
    )


class CertificateUnusable(ConfigurationFault):
    code = "certificate.unusable"
    sentence = "The certificate {name} cannot be used: {reason}"
    advice = "Get a certificate that is valid and made for the purpose, or choose another key."
