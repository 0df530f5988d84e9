"""Strange: parts of a mail that hold no X12: what each is instead, and which of them a person must see. Pure.

Beside a file that is good a mail may carry a logo, a signature, a picture of the order, and nobody wants to hear of
it. What was meant as EDI, or cannot be looked into, is another matter: nothing that may be an order goes unseen.
"""

from __future__ import annotations

import re
from itertools import islice

from gateway import x12
from gateway.errors import NotX12
from gateway.flow.mend import WORDS
from gateway.mail import tnef
from gateway.mail.archives import unread_kind
from gateway.mail.model import Part
from gateway.x12.sniff import holds_segments, what_instead

DECORATION = ("image/", "text/html")  # a damaged logo is nobody's order
LOOK = 20_000  # bytes that tell what a file is instead
_SEARCHED = 1_000_000  # bytes in which segments are looked for
_BEGINNING = 8  # bytes that are quoted: of an ISA none of its secrets
_EDI_TYPES = ("application/edi", "application/x12")
_EDI_WORDS = frozenset({"edi", "edifact", "x12"})  # of a content type
_EDI_NAME = re.compile(r"(?<![a-z0-9])(?:edi(?![a-z])|(?:ansi[_-]?)?x12(?!\d)|edifact)|\.[1-9]\d\d\Z")  # orders.850
_COMPANIONS = (
    *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".rtf", ".htm", ".html"),
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".webp", ".ico", ".heic", ".emf", ".wmf"),
    *(".vcf", ".ics", ".eml", ".msg", ".mp3", ".mp4", ".mov", ".wav", ".asc", ".sig", ".p7s", ".p7c"),
    *(".p7b", ".cer", ".crt", ".der", "winmail.dat"),
)
_COMPANION_NAMES = tuple(each.encode("ascii") for each in _COMPANIONS)
_COMPANION_DATA = (
    *(b"%PDF", b"{\\rtf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),  # the last: an older text or sheet of Microsoft's
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\1\0", b"\xd7\xcd\xc6\x9a"),
    *(b"\0\5\x16\0", b"\0\5\x16\7", b"\0\0\0\1Bud1"),  # what a Mac packs beside a file
    *(b"-----BEGIN PGP SIGNATURE", b"BEGIN:V", tnef.SIGNATURE),
)


# A file that was written into a text; the first of them says its name.
_WRITTEN_INTO_TEXT = re.compile(
    rb"^(?:begin [0-7]{3,4} ([^\r\n]{1,300})|=ybegin [^\r\n]*line=\d|SVNB[A-Za-z0-9+/]{20}|-----BEGIN PGP MESSAGE)",
    re.MULTILINE,
)
_SIGNS = (b"begin ", b"=ybegin ", b"SVNB", b"-----BEGIN PGP MESSAGE")
_FILES = 20  # of them in one text that are looked at


def not_x12(name: str, data: bytes) -> NotX12:
    """What bytes are instead, and how they begin."""
    archive = unread_kind(data)
    reason = f"it is {archive}, which is not opened; zip and gzip are" if archive else what_instead(data[:LOOK])
    begins = f" ({_beginning(data[:_BEGINNING])})" if data else ""
    return NotX12(name=name, reason=f"{reason}{begins}.")


def is_told(part: Part) -> bool:
    """Whether a part without X12, in a mail without any, is what the mail is about: no words, no decoration."""
    if is_missed(part) or x12.looks_like(part.data[:LOOK]):
        return True
    return bool(part.file_name) and part.content_type not in WORDS and not part.content_type.startswith(DECORATION)


def is_missed(part: Part) -> bool:
    """Whether a part without X12 beside others that have some was meant as EDI, or cannot be looked into."""
    if part.content_type.startswith("image/"):
        return False
    if is_disguised(part.data):
        return True
    if part.content_type.startswith(DECORATION) or _is_letter(part):
        return False
    if _has_edi_type(part) or _held(part) or unread_kind(part.data):
        return True
    name = part.file_name.lower()
    if name.endswith(_COMPANIONS) or part.data.startswith(_COMPANION_DATA):
        return False
    return _EDI_NAME.search(name) is not None or _is_opaque(part)


def is_disguised(data: bytes) -> bool:
    """Whether what may be EDI was written into a text: by uuencode, by yEnc, by PGP, or an ISA in base64."""
    if not any(sign in data for sign in _SIGNS):
        return False
    names = (found[1] for found in islice(_WRITTEN_INTO_TEXT.finditer(data, 0, _SEARCHED), _FILES))
    return any(not name or not name.strip().lower().endswith(_COMPANION_NAMES) for name in names)


def _beginning(data: bytes) -> str:
    printable = (32 <= each < 127 and each not in b"'\\" for each in data)
    shown = "".join(chr(each) if plain else f"\\x{each:02x}" for each, plain in zip(data, printable, strict=True))
    return f"its first bytes: '{shown}'"


def _is_letter(part: Part) -> bool:
    """Words that somebody wrote into the mail, not a file."""
    return part.content_type in WORDS and not part.file_name and part.disposition != "attachment"


def _has_edi_type(part: Part) -> bool:
    words = re.split(r"[^a-z0-9]+", part.content_type)
    return part.content_type.startswith(_EDI_TYPES) or not _EDI_WORDS.isdisjoint(words)


def _held(part: Part) -> bool:
    """Whether it holds EDI that is not read: another syntax or encoding, or X12 whose ISA was lost."""
    return x12.looks_like(part.data[:LOOK]) in {"edifact", "ebcdic-x12"} or holds_segments(part.data[:_SEARCHED])


def _is_opaque(part: Part) -> bool:
    """Bytes of which nothing tells what they are; what an archive holds beside EDI is its maker's affair."""
    return part.content_type == "application/octet-stream" and not part.origin and b"\0" in part.data[:LOOK]
