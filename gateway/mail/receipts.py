"""Receipts for mails (MDN, RFC 8098; for EDI RFC 3335): what one says, and what a mail asks for. Values only.

``receipt_reader`` reads them out of mails, ``receipt_writer`` writes them. A receipt is a claim like any other: who
sent it, and whether a signature covers it, is for the flow to decide.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from msgspec import Struct

# The spellings that are met: RFC 3335 sha1, RFC 5751 sha-256, Mendelson sha256, Sterling SHA1.
_DIGEST = re.compile(r"(?:rsa-?|id-?)?(md|sha)[-_ ]?(\d{1,3})", re.IGNORECASE)
_DIGESTS = frozenset({"md5", "sha-1", "sha-224", "sha-256", "sha-384", "sha-512"})

PROCESSED, FAILED = "processed", "failed"
# What goes after "error:" or "failure:" in a disposition (RFC 3335 section 7.5, RFC 4130 section 7.5.3).
AUTHENTICATION_FAILED = "authentication-failed"
DECRYPTION_FAILED = "decryption-failed"
DECOMPRESSION_FAILED = "decompression-failed"
INTEGRITY_FAILED = "integrity-check-failed"
INSUFFICIENT_SECURITY = "insufficient-message-security"
UNEXPECTED = "unexpected-processing-error"
UNSUPPORTED_FORMAT = "unsupported format"
UNSUPPORTED_DIGESTS = "unsupported MIC-algorithms"


def digest_name(written: str) -> str:
    """A digest's name as we say it (``sha-256``), whatever way it is written; "" for one that we do not know."""
    found = _DIGEST.fullmatch(written.strip().strip("\"'"))
    if found is None:
        return ""
    family, size = found[1].lower(), found[2]
    name = f"{family}{size}" if family == "md" else f"{family}-{size}"
    return name if name in _DIGESTS else ""


class Mic(Struct, frozen=True):
    """A message integrity check (RFC 3335 section 2.3): the digest in base64, and its algorithm as written."""

    value: str
    algorithm: str

    @classmethod
    def of(cls, digest: bytes, algorithm: str) -> Mic:
        """The MIC of a digest that was computed."""
        return cls(base64.b64encode(digest).decode("ascii"), algorithm)

    @classmethod
    def parse(cls, text: str) -> Mic | None:
        """From ``w7AguNJEmhF/qIjJw6LnnA==, sha1``; None where it is none."""
        value, comma, algorithm = text.partition(",")
        value = "".join(value.split())
        if not comma or not value or len(value) > 200 or not _decoded(value):
            return None
        return cls(value, algorithm.split(";")[0].strip().strip("\"'")[:40])

    @property
    def digest(self) -> str:
        """The algorithm's name as we say it, or ""."""
        return digest_name(self.algorithm)

    def matches(self, other: Mic) -> bool:
        """Whether both are of one known algorithm and the same bytes."""
        mine, theirs = _decoded(self.value), _decoded(other.value)
        if mine is None or theirs is None or not self.digest or self.digest != other.digest:
            return False
        return hmac.compare_digest(mine, theirs)

    def __str__(self) -> str:
        return f"{self.value}, {self.algorithm}"


class Receipt(Struct, frozen=True):
    """What a receipt says of one mail of ours.

    ``disposition`` is processed, displayed, deleted, dispatched, denied or failed, or "" where it cannot be read;
    ``modifiers`` are what follows it: ``error``, ``error: authentication-failed``, ``warning: duplicate-document``.
    """

    original_message_id: str = ""  # with angle brackets
    final_recipient: str = ""
    original_recipient: str = ""
    action: str = ""  # automatic-action or manual-action
    sending: str = ""  # mdn-sent-automatically or mdn-sent-manually
    disposition: str = ""
    modifiers: tuple[str, ...] = ()
    mic: Mic | None = None
    errors: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reporting_ua: str = ""
    text: str = ""  # what the part for people says, its beginning

    @property
    def processed(self) -> bool:
        """Whether the partner says that its system took the mail without an error; warnings are none."""
        return self.disposition == PROCESSED and not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """The errors and failures in it; empty where it tells of none."""
        told = tuple(each for each in self.modifiers if not each.startswith("warning"))
        return told or self.errors + self.failures


class ReceiptRequest(Struct, frozen=True):
    """What a mail asks for (Disposition-Notification-To and -Options). Names are as the partner wrote them.

    A receipt goes only to addresses that are the partner's: ``to`` is what anybody could have written there.
    """

    to: tuple[str, ...]
    protocols: tuple[str, ...] = ()  # signed-receipt-protocol; empty: an unsigned receipt is asked for
    protocol_required: bool = False
    digests: tuple[str, ...] = ()  # signed-receipt-micalg, the best liked first
    digest_required: bool = False
    unknown_required: tuple[str, ...] = ()  # options marked required that nobody here knows (RFC 8098 section 2.2)

    @property
    def signed(self) -> bool:
        """Whether a signed receipt is wanted, in the one form that there is (RFC 3335 section 4.2)."""
        return any(each.lower() in {"pkcs7-signature", "x-pkcs7-signature"} for each in self.protocols)

    def digest(self, supported: tuple[str, ...]) -> str:
        """The first algorithm asked for that we can do, as the partner spells it; "" where there is none."""
        return next((each for each in self.digests if digest_name(each) in supported), "")

    def refusal(self, supported: tuple[str, ...]) -> str:
        """Why it cannot be met as it must be: what goes after ``failed/failure:``; "" where it can."""
        if self.unknown_required or (self.protocol_required and self.protocols and not self.signed):
            return UNSUPPORTED_FORMAT
        if self.digest_required and self.digests and not self.digest(supported):
            return UNSUPPORTED_DIGESTS
        return ""


def _decoded(value: str) -> bytes | None:
    """The bytes of a base64 text; padding may be missing, as in RFC 3335's own example."""
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
