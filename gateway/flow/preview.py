"""Preview: a mail as a person may look at it, whatever it holds: its headers, its words, and what its parts are.

Nothing is obeyed: markup is shown as the words in it, control characters as dots, and passwords of an ISA are masked.
What is past a bound is not shown; the raw mail is still there to be downloaded.
"""

from __future__ import annotations

from html.parser import HTMLParser

from msgspec import Struct
from sqlalchemy import select

from gateway.errors import MessageFault, NotFound
from gateway.ledger import tables
from gateway.ledger.recording import Ledger
from gateway.mail.headers import decoded, split_entity, to_text
from gateway.mail.letters import open_letter
from gateway.mail.model import Part
from gateway.settings.model import Limits
from gateway.x12.isa import LONGEST
from gateway.x12.masking import masked, masked_text

OPENED = 10_000_000  # bytes of a mail that is opened for a look; of a bigger one its headers are shown
SHOWN = 8_000  # characters of a part
PARTS = 100
HEADERS = 200
_HEADER = 2_000  # characters of one
_FIRST = ("from", "to", "cc", "subject", "date", "message-id", "in-reply-to")
_WORDS = frozenset({"text/plain", "text/html"})
_UNSEEN = frozenset({"script", "style"})
_BLOCKS = frozenset({"p", "div", "br", "tr", "li", "table", "h1", "h2", "h3", "h4", "blockquote", "pre"})


class PartPreview(Struct, frozen=True):
    """One part. ``text`` is what can be read of it, "" where that is nothing for people; ``more``: there is more."""

    path: str
    content_type: str
    file_name: str
    size: int
    damage: str
    text: str
    more: bool
    origin: str


class MailPreview(Struct, frozen=True):
    """A mail: ``kind`` is letter, bounce, receipt, auto-reply, or "" where it could not be opened; then ``fault``."""

    size: int
    kind: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[PartPreview, ...]
    fault: str = ""


def preview(ledger: Ledger, number: int, limits: Limits) -> MailPreview:
    """A mail to look at.

    Args:
        ledger: where it is.
        number: the mail's.
        limits: as for any mail that is opened.

    Raises:
        NotFound: there is no such mail, or its bytes were never kept.
        ContentPutAway, ContentErased, PayloadKeyUnreadable: they cannot be had any more, or not here.
    """
    m = tables.message.c
    with ledger.reading() as connection:
        row = connection.execute(select(m.sha256, m.size).where(m.id == number)).one_or_none()
    if row is None:
        raise NotFound(what="message", key=f"m{number}")
    raw = _beginning(ledger, row.sha256, OPENED)
    if not raw:
        raise NotFound(what="content of message", key=f"m{number}")
    headers, fault = _headers(raw, limits)
    if row.size > OPENED:
        return MailPreview(
            row.size, "", headers, (), fault or f"It has {row.size:,} bytes: too many to look into here."
        )
    try:
        letter = open_letter(raw, limits)
    except MessageFault as problem:
        return MailPreview(row.size, "", headers, (), str(problem))
    plain = any(each.content_type == "text/plain" for each in letter.parts)
    parts = tuple(_part(each, html=not plain) for each in letter.parts[:PARTS])
    return MailPreview(row.size, letter.kind, headers, parts, fault)


def shown(text: str) -> str:
    """Text with its line ends, and without anything that a screen would obey."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each if each.isprintable() or each in "\n\t" else "·" for each in text)


def _beginning(ledger: Ledger, sha256: str, most: int) -> bytes:
    found = bytearray()
    for piece in ledger.pieces(sha256):
        found += piece
        if len(found) >= most:
            break
    return bytes(found)


def _headers(raw: bytes, limits: Limits) -> tuple[tuple[tuple[str, str], ...], str]:
    """The headers, those that everybody looks for first, and why there are none."""
    try:
        found, _ = split_entity(raw, 0, len(raw), limits)
    except MessageFault as problem:
        return (), str(problem)
    names = [*(each for each in _FIRST if each in found.values), *(each for each in found.values if each not in _FIRST)]
    pairs = [(name, value) for name in names for value in found.all(name)]
    return tuple((name, shown(masked_text(decoded(value, _HEADER)))) for name, value in pairs[:HEADERS]), ""


def _part(part: Part, *, html: bool) -> PartPreview:
    text, more = _text(part, html=html)
    return PartPreview(
        part.path, part.content_type, part.file_name, len(part.data), part.damage, text, more, part.origin
    )


def _text(part: Part, *, html: bool) -> tuple[str, bool]:
    """What of a part is for people, and whether there is more of it."""
    edi = "edi" in part.content_type or part.data[:200].lstrip().startswith((b"ISA", b"ST", b"\xef\xbb\xbfISA"))
    if not edi and part.content_type not in _WORDS:
        return "", False
    if part.content_type == "text/html" and not html:
        return "", False
    # An ISA that is cut in the middle could not be masked: a little more is masked than is shown.
    text = to_text(masked(part.data[: 4 * SHOWN + LONGEST]), part.charset)
    if part.content_type == "text/html":
        text = _without_markup(text)
    text = masked_text(shown(text))
    return text[:SHOWN].strip("\n"), len(text) > SHOWN or len(part.data) > 4 * SHOWN + LONGEST


def _without_markup(text: str) -> str:
    reader = _Words()
    reader.feed(text)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.found).split("\n"))
    return "\n".join(line for line in lines if line)


class _Words(HTMLParser):
    """Gathers what a reader of the page would read."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found.append(data)
