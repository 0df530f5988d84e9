"""Header blocks of received mail, in bytes and within bounds (RFC 5322, 2047, 2231).

Nothing here goes to ``email.policy.default``: 618 bytes of nested comments end it with a RecursionError, and
280 kB of encoded words take it past 3 GiB.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.errors import HeadersTooLarge, MessageMalformed
from gateway.mail.decode import Raw
from gateway.settings.model import Limits

_FOLD = re.compile(r"\n(?=[ \t])")
_HEADER = re.compile(r"^([!-9;-~]++)[ \t]*+:[ \t]*+(.*)$", re.MULTILINE)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z-]{1,40})?\?([bBqQ])\?([!->@-~]*+)\?=")
_WORDS = 500
_CHARSETS = re.compile(
    r"(?:utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?1|(?:windows|cp)-?\d{3,5}|koi8-[ru]|gb2312|gbk"
    r"|gb18030|big5|shift_?jis|euc-(?:jp|kr)|iso-2022-jp|mac-?roman)",
    re.IGNORECASE,
)
_TYPE = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]{1,127})\s*/\s*([A-Za-z0-9!#$&^_.+-]{1,127})\s*(?=[;(]|$)")
_PARAMETER = re.compile(r";\s*+([A-Za-z0-9!#$&^_.+*%'-]{1,100}+)\s*+=\s*+(\"(?:[^\"\\]|\\.)*+\"?|[^;]*+)", re.DOTALL)
_PARAMETERS = 300
_LABELS = frozenset({"name", "filename"})
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"(.+?)(?:\*(\d{1,4}))?(\*)?")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,996}+>")

_USUAL_HEAD = 8_192  # bytes: few header blocks are longer

EMPTY: tuple[str, ...] = ()


class Headers(Struct, frozen=True):
    """A header block: values by lower-case name, unfolded and in order, not decoded yet."""

    values: dict[str, list[str]]

    def first(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        found = self.values.get(name)
        return found[0] if found else ""

    def all(self, name: str) -> Sequence[str]:
        """All values of a header."""
        return self.values.get(name, EMPTY)

    def only(self, name: str) -> str:
        """The value of a header that steers how the message is read, or an empty text.

        Raises:
            MessageMalformed: when it is there twice with different values: readers would disagree.
        """
        found = self.values.get(name, EMPTY)
        if len(found) > 1 and len({_comparable(name, each) for each in found}) > 1:
            raise MessageMalformed(reason=f"{len(found)} different {name} headers in one part")
        return found[0] if found else ""


def _comparable(name: str, value: str) -> str:
    """A value without what does not count: upper and lower case, in an encoding (RFC 2045 section 6.1)."""
    return value.strip().lower() if name == "content-transfer-encoding" else value.strip()


def split_entity(raw: Raw, start: int, end: int, limits: Limits) -> tuple[Headers, int]:
    """Reads the header block that begins at ``start``; returns it and where the body begins.

    Raises:
        HeadersTooLarge: past the bounds of ``limits``.
        MessageMalformed: for a NUL, or a line that is no header.
    """
    opening = raw[start : min(end, start + 2)]
    if opening[:1] == b"\n" or opening == b"\r\n":  # an entity without headers
        return Headers({}), start + opening.index(b"\n") + 1
    reach = min(end, start + limits.header_block)
    blank, body = _blank_line(raw, start, min(end, reach + 4))
    if blank < 0:
        if end > reach:
            raise HeadersTooLarge(reason=f"more than {limits.header_block} bytes")
        blank = body = end
    return _parse(raw[start:blank], limits), body


def _blank_line(raw: Raw, start: int, end: int) -> tuple[int, int]:
    """Where the headers end and the body begins: the first empty line, whatever line ends are mixed; else -1.

    Nearby first: in a mail with bare LF nothing else would end the search for CR LF before ``end``.
    """
    near = min(end, start + _USUAL_HEAD)
    for reach in (near, end) if near < end else (end,):
        found = raw.find(b"\n\r\n", start, reach)
        bare = raw.find(b"\n\n", start, found if found >= 0 else reach)
        if bare >= 0:
            return bare, bare + 2
        if found >= 0:
            return found, found + 3
    return -1, -1


def _parse(block: bytes, limits: Limits) -> Headers:
    if b"\0" in block:
        raise MessageMalformed(reason="a NUL in the headers")
    text = _text(block).replace("\r\n", "\n")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub("", text)
    if "\r" in text:
        text = text.rstrip("\r").replace("\r", " ")  # a bare CR is no line end to us, whatever others think
    text = text.strip("\n")
    if not text or text.isspace():
        return Headers({})
    if text.startswith(("From ", ">From ")) and not _HEADER.match(text):
        text = text.partition("\n")[2]  # the envelope line of an mbox
    return Headers(_fields(text, limits))


def _fields(text: str, limits: Limits) -> dict[str, list[str]]:
    """The values by lower-case name, from unfolded lines."""
    count = text.count("\n") + 1
    if count > limits.headers:
        raise HeadersTooLarge(reason=f"more than {limits.headers} headers")
    if len(text) > limits.header_line and max(map(len, text.split("\n"))) > limits.header_line:
        raise HeadersTooLarge(reason=f"a header of more than {limits.header_line} characters")
    found = _HEADER.findall(text)
    if len(found) != count:
        line = next((each for each in text.split("\n") if not _HEADER.fullmatch(each)), "")
        raise MessageMalformed(reason=f"a header line without a name: {line[:60]!a}")
    values: dict[str, list[str]] = {}
    for name, value in found:
        key = name.lower()
        if key in values:
            values[key].append(value)
        else:
            values[key] = [value]
    return values


def _text(data: bytes) -> str:
    """Headers as text: UTF-8 where they are that, else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# ---------------------------------------------------------------- values for people


def decoded(value: str, limit: int = 2_000) -> str:
    """A header value for people: encoded words decoded (RFC 2047), control characters gone, at most ``limit`` long."""
    if "=?" in value:
        value = _decode_words(value)
    if value.isprintable() and len(value) <= limit and "  " not in value:
        return value.strip()
    text = _CONTROLS.sub(" ", value)
    return " ".join(text.split())[:limit]


def message_ids(value: str, limit: int = 100) -> tuple[str, ...]:
    """The message ids in a header, with their angle brackets; at most ``limit``."""
    found = _MESSAGE_ID.findall(value)
    if not found and value and len(value) <= 996 and not re.search(r"[\s<>]", value):
        found = [f"<{value}>"]  # written without brackets
    return tuple(_CONTROLS.sub("", each) for each in found[:limit])


def _decode_words(value: str) -> str:
    pieces: list[str] = []
    end = 0
    pending, charset = b"", ""  # adjacent words of one charset may share a character (against RFC 2047, but done)
    for match in _bounded(_WORD.finditer(value)):
        between = value[end : match.start()]
        if between.strip() or match[1].lower() != charset or not pieces:
            pieces.append(to_text(pending, charset))
            pending = b""
        if between.strip() or end == 0:
            pieces.append(between)
        charset, end = match[1].lower(), match.end()
        pending += _word_bytes(match[2], match[3])
    pieces.append(to_text(pending, charset))
    pieces.append(value[end:])
    return "".join(pieces)


def _bounded(matches: Iterable[re.Match[str]]) -> Iterable[re.Match[str]]:
    for count, match in enumerate(matches):
        if count >= _WORDS:
            return
        yield match


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(text.encode("ascii"), header=True)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return text.encode("ascii")


def to_text(data: bytes, charset: str) -> str:
    """Bytes in a named charset as text; an unknown charset is read as UTF-8, else Latin-1. Never fails."""
    if charset and _CHARSETS.fullmatch(charset):
        try:
            return data.decode(charset, "replace")
        except LookupError:
            pass  # a number that is no code page
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# ---------------------------------------------------------------- structured values


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """A Content-Type as (type/subtype in lower case, parameters). What cannot be read is text/plain (RFC 2045)."""
    found = _TYPE.match(value)
    if found is None:
        return "text/plain", {}
    return f"{found[1]}/{found[2]}".lower(), parameters(value) if ";" in value else {}


def parameters(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition, RFC 2231 pieces joined and decoded.

    Raises:
        MessageMalformed: when a parameter is there twice with different values, unless it is a name, a mere label.
    """
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value)):
        if count >= _PARAMETERS:
            break
        name, text = match[1].lower(), _unquoted(match[2])
        if "*" not in name:
            if name == "boundary" and "(" in text and not match[2].startswith('"'):
                text = text.partition("(")[0].rstrip()  # a comment: no token has a parenthesis
            if plain.setdefault(name, text) != text and name not in _LABELS:
                raise MessageMalformed(reason=f"two different parameters {name[:40]!r} in one header")
        elif found := _PIECE.fullmatch(name):
            pieces.setdefault(found[1], {}).setdefault(int(found[2] or 0), (text, found[3] is not None))
    for name, parts in pieces.items():
        plain[name] = _joined(parts)  # RFC 6266: the extended form wins
    return plain


def _unquoted(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        inner = text[1:].removesuffix('"')
        return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner
    return text


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 continuations in their numbered order; what comes after a gap is left away."""
    data = b""
    charset = ""
    for number in range(len(parts)):
        if number not in parts:
            break
        text, extended = parts[number]
        if extended:
            if number == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            data += _percent_decoded(text)
        else:
            data += text.encode("utf-8", "replace")
    return to_text(data, charset)


def _percent_decoded(text: str) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "replace"))
