"""The MIME tree of a received mail, split in bytes with every bound checked on the way (RFC 2045, 2046)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct, field

from gateway.errors import MessageMalformed, StructureTooDeep, TooManyParts
from gateway.mail.addresses import single_sender
from gateway.mail.decode import Raw, decode_span, encoding_name
from gateway.mail.headers import Headers, content_type, parameters, split_entity
from gateway.mail.labels import label
from gateway.mail.model import Part
from gateway.settings.model import Limits

_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_NEVER_READ = {
    "message/partial": "it is one piece of a message that was split",
    "message/external-body": "it only points to content elsewhere, which is never fetched",
}
_REPORTS = frozenset({"multipart/report", "multipart/signed"})
_FOOTERS = frozenset({"text/plain", "text/html"})
_INNER = "?"
_FALSE_BOUNDARIES = 100_000
_DEEPEST = 100  # whatever the settings say: Python's own stack is a bound too
_WORD = re.compile(r"[a-z0-9-]{1,40}")


class Span(NamedTuple):
    """A stretch of bytes, not copied."""

    raw: Raw
    start: int
    end: int


class Entity(Struct):
    """One node: its headers, its body as it came, and either children or a decoded leaf."""

    path: str
    headers: Headers
    content_type: str
    parameters: dict[str, str]
    body: Span
    children: list[Entity] = field(default_factory=list)
    part: Part | None = None
    forwarded: str = ""

    def leaves(self) -> Iterator[Part]:
        """The decoded leaves under this node, in order."""
        if self.part is not None:
            yield self.part
        for child in self.children:
            yield from child.leaves()  # as deep as limits.depth at most


class Splitter:
    """Splits one message; counts its parts on the way."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._depth = min(limits.depth, _DEEPEST)
        self._parts = 0

    def entity(self, span: Span, path: str = "", depth: int = 0, within: str = "", forwarded: str = "") -> Entity:
        """A whole message (RFC 5322), or one part of it.

        ``forwarded`` is who wrote the message within the message that it stands in; ``?`` for that message itself.

        Raises:
            HeadersTooLarge, StructureTooDeep, TooManyParts, MessageMalformed
        """
        if depth > self._depth:
            raise StructureTooDeep(limit=self._depth)
        self._parts += 1
        # The outermost node is the message itself and no part of it.
        if self._parts > self._limits.parts + 1:
            raise TooManyParts(limit=self._limits.parts)
        raw, start, end = span
        headers, start = split_entity(raw, start, end, self._limits)
        if forwarded == _INNER:
            forwarded = single_sender(headers.all("from"))[0] or "unknown"
        declared = headers.only("content-type")
        kind, given = content_type(declared) if declared else (_default_type(within), {})
        entity = Entity(path, headers, kind, given, Span(raw, start, end), forwarded=forwarded)
        if kind.startswith("multipart/"):
            self._split(entity, depth)
        elif kind in _MESSAGE_TYPES:
            self._open_message(entity, depth, within)
        else:
            entity.part = _leaf(entity, within)
        return entity

    def _split(self, entity: Entity, depth: int) -> None:
        boundary = entity.parameters.get("boundary", "").rstrip()
        if not boundary or len(boundary) > self._limits.boundary:
            raise MessageMalformed(reason="a multipart without a boundary, or with one past its bounds")
        prefix = f"{entity.path}." if entity.path else ""
        inside, forwarded = entity.content_type, entity.forwarded
        for number, span in enumerate(spans(entity.body, boundary.encode("utf-8", "replace")), 1):
            entity.children.append(self.entity(span, f"{prefix}{number}", depth + 1, inside, forwarded))
        if not entity.children:
            raise MessageMalformed(reason="the boundary of a multipart never appears")

    def _open_message(self, entity: Entity, depth: int, within: str) -> None:
        prefix = f"{entity.path}.1" if entity.path else "1"
        encoding = encoding_name(entity.headers.only("content-transfer-encoding"))
        span = entity.body
        if encoding in {"base64", "quoted-printable"}:  # against RFC 2046 section 5.2.1, but done
            raw, damage = decode_span(*span, encoding)
            if damage:
                entity.part = _leaf(entity, within)
                return
            span = Span(raw, 0, len(raw))
        entity.children.append(self.entity(span, prefix, depth + 1, forwarded=_INNER))


def below_layers(entity: Entity) -> Entity:
    """What is under the signature of a mail, and beside the footer that a host on the way put behind a report."""
    if entity.content_type == "multipart/mixed":
        inner = [each for each in entity.children if each.content_type in _REPORTS]
        if len(inner) == 1 and all(each is inner[0] or _is_footer(each) for each in entity.children):
            entity = inner[0]
    while entity.content_type == "multipart/signed" and entity.children:
        entity = entity.children[0]
    return entity


def _is_footer(entity: Entity) -> bool:
    part = entity.part
    return part is not None and part.content_type in _FOOTERS and not part.file_name and b"ISA" not in part.data


def _leaf(entity: Entity, within: str) -> Part:
    headers, kind = entity.headers, entity.content_type
    encoding = encoding_name(headers.only("content-transfer-encoding"))
    data, damage = decode_span(*entity.body, encoding)
    word, _, rest = headers.first("content-disposition").partition(";")
    word = word.strip().lower()
    name = (parameters(f";{rest}").get("filename") if rest else "") or entity.parameters.get("name", "")
    return Part(
        path=entity.path or "1",
        content_type=kind,
        file_name=label(name) if name else "",
        charset=_plain(entity.parameters.get("charset", "")),
        encoding=encoding,
        data=data,
        damage=damage or _NEVER_READ.get(kind, ""),
        disposition=word if word in {"attachment", "inline"} else "",
        within=within,
        parameters=tuple(entity.parameters.items()),
        forwarded=entity.forwarded,
        encoded=_bytes(entity.body) if damage else b"",
    )


def _bytes(span: Span) -> bytes:
    return span.raw[span.start : span.end]


def _default_type(within: str) -> str:
    """What a part without a Content-Type is (RFC 2046 section 5.1.5)."""
    return "message/rfc822" if within == "multipart/digest" else "text/plain"


def _plain(text: str) -> str:
    if not text:
        return ""
    found = _WORD.match(text.lower().replace("_", "-"))
    return found[0] if found else ""


def spans(body: Span, boundary: bytes) -> Iterator[Span]:
    """Where the parts of a multipart lie, the line end before each boundary not included.

    A missing closing boundary is tolerated: the last part then runs to the end.
    """
    raw, start, end = body
    delimiter = b"--" + boundary
    opened = -1
    false_ones = 0
    position = start
    while True:
        found = raw.find(delimiter, position, end)
        if found < 0:
            break
        position = found + len(delimiter)
        line_end = _delimiter_end(raw, found, start, position, end)
        if line_end is None:
            false_ones += 1
            if false_ones > _FALSE_BOUNDARIES:
                raise MessageMalformed(reason="a boundary that its content imitates again and again")
            continue
        if opened >= 0:
            yield Span(raw, opened, max(opened, _before_line_end(raw, found)))
        opened = line_end
        if raw[position : position + 2] == b"--":
            return
        position = max(position, line_end - 1)
    if 0 <= opened < end:
        yield Span(raw, opened, end)


def _delimiter_end(raw: Raw, found: int, start: int, after: int, end: int) -> int | None:
    """Where the line of a delimiter ends; None where it is not alone on its line."""
    if found > start and raw[found - 1] != 0x0A:
        return None
    newline = raw.find(b"\n", after, min(end, after + 1_000))
    stop = newline if newline >= 0 else end
    if stop - after > 1_000:
        return None
    rest = raw[after:stop].strip(b" \t\r")
    if rest not in {b"", b"--"}:
        return None
    return newline + 1 if newline >= 0 else end


def _before_line_end(raw: Raw, position: int) -> int:
    if raw[position - 2 : position] == b"\r\n":
        return position - 2
    return position - 1
