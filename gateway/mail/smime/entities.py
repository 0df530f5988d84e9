"""MIME entities around CMS (RFC 8551 section 3): recognised and taken apart without changing a byte, and written."""

from __future__ import annotations

import base64
import hashlib
import re

from msgspec import Struct

from gateway.errors import ContentDamaged, GatewayError, SecurityMalformed
from gateway.mail.decode import decode, encoding_name
from gateway.mail.headers import Headers, content_type, parameters, split_entity
from gateway.mail.structure import Span, spans
from gateway.settings.model import Limits

_MIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_NAMES = (".p7m", ".p7z")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIRST_HEADER = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_BARE_X12 = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}ISA[^A-Za-z0-9]")
_BARE_EDIFACT = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}(?:UNA....[ *]|UNB[+:])", re.DOTALL)
# What any host hands on byte for byte (RFC 1847 section 2.1): 7-bit lines that end in CR LF, no blank at their end.
_SAFE = re.compile(
    rb"(?:(?!From |\.)(?:[\t\x20-\x7e]{0,997}[\x21-\x7e])?\r\n)*+(?!From |\.)(?:[\t\x20-\x7e]{0,997}[\x21-\x7e])?"
)


class Entity(Struct, frozen=True):
    """An entity with its headers read. ``body`` is where its body begins in ``raw``."""

    raw: bytes
    headers: Headers
    content_type: str
    parameters: dict[str, str]
    body: int

    def decoded(self) -> bytes:
        """The body with its transfer encoding undone.

        Raises:
            ContentDamaged: when that would need a guess.
        """
        content, damage = decode(self.raw[self.body :], encoding_name(self.headers.only("content-transfer-encoding")))
        if damage:
            raise ContentDamaged(part=self.content_type, reason=damage)
        return content

    @property
    def kind(self) -> str:
        """``detached`` for multipart/signed, ``cms`` for a whole CMS message, "" for anything else."""
        if self.content_type == "multipart/signed":
            protocol = self.parameters.get("protocol", "").strip().lower()
            return "detached" if protocol in _SIGNATURE_TYPES or not protocol else ""
        if self.content_type in _MIME_TYPES:
            return "cms"
        return "cms" if self.content_type == "application/octet-stream" and self._is_named_cms() else ""

    def _is_named_cms(self) -> bool:
        given = parameters(self.headers.first("content-disposition"))
        names = (given.get("filename", ""), self.parameters.get("name", ""))
        return any(name.strip().lower().endswith(_NAMES) for name in names)


def read_entity(raw: bytes, limits: Limits) -> Entity:
    """Reads an entity's headers.

    Raises:
        HeadersTooLarge, MessageMalformed: see ``split_entity``.
    """
    headers, body = split_entity(raw, 0, len(raw), limits)
    kind, given = content_type(headers.only("content-type"))
    return Entity(raw, headers, kind, given, body)


def is_secured(raw: bytes, limits: Limits | None = None) -> bool:
    """Whether an entity (or a whole mail) is an S/MIME layer; False too where its headers cannot be read."""
    try:
        return read_entity(raw, limits or Limits()).kind != ""
    except GatewayError:
        return False


def signed_parts(entity: Entity, limits: Limits) -> tuple[bytes, bytes]:
    """The covered part of a multipart/signed exactly as it came, headers included, and the signature (CMS).

    The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).

    Raises:
        SecurityMalformed: when there are not exactly these two parts: what lies beside them nobody signed.
        ContentDamaged: when the signature cannot be decoded.
    """
    boundary = entity.parameters.get("boundary", "").rstrip()
    if not boundary or len(boundary) > limits.boundary:
        raise SecurityMalformed(reason="a multipart/signed without a boundary, or with one past its bounds")
    span = Span(entity.raw, entity.body, len(entity.raw))
    parts: list[Span] = []
    for each in spans(span, boundary.encode("utf-8", "replace")):
        parts.append(each)
        if len(parts) > 2:
            raise SecurityMalformed(reason="a multipart/signed with more than two parts; only the first is signed")
    if len(parts) != 2:
        raise SecurityMalformed(reason=f"a multipart/signed with {len(parts)} parts instead of two")
    covered, signature = (each.raw[each.start : each.end] for each in parts)
    around = read_entity(signature, limits)
    if around.content_type not in _SIGNATURE_TYPES and around.content_type != "application/octet-stream":
        raise SecurityMalformed(reason=f"the signature of a multipart/signed has the type {around.content_type[:80]}")
    return covered, around.decoded()


def canonical(raw: bytes) -> bytes:
    """Bytes with every line ending in CR LF, as they were signed before a host took the CRs away."""
    return _BARE_LF.sub(b"\r\n", raw)


def with_headers(content: bytes) -> bytes:
    """Opened content as an entity: bare EDI, as some products encrypt it, gets the headers that it lacks."""
    if _BARE_X12.match(content):
        kind = b"application/EDI-X12"
    elif _BARE_EDIFACT.match(content):
        kind = b"application/EDIFACT"
    elif content.startswith((b"\r\n", b"\n")) or _FIRST_HEADER.match(content):
        return content
    else:
        kind = b"application/octet-stream"
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: binary\r\n\r\n" + content


# ---------------------------------------------------------------- writing


def survives_transport(raw: bytes) -> bool:
    """Whether an entity reaches the other side byte for byte through any mail host, so that a signature holds."""
    return _SAFE.fullmatch(raw) is not None


def multipart_signed(covered: bytes, signature: bytes, digest: str) -> bytes:
    """An entity and its detached signature as multipart/signed (RFC 8551 section 3.5.3)."""
    boundary = b"=_" + hashlib.sha256(b"signed" + covered).hexdigest()[:40].encode("ascii")
    head = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n micalg='
        + digest.encode("ascii")
        + b';\r\n boundary="'
        + boundary
        + b'"\r\n\r\n'
    )
    pieces = [head, b"--", boundary, b"\r\n", covered, b"\r\n--", boundary, b"\r\n"]
    pieces += [_named(b"application/pkcs7-signature", b"", b"smime.p7s"), _base64(signature)]
    return b"".join([*pieces, b"--", boundary, b"--\r\n"])


def pkcs7_mime(cms: bytes, smime_type: str) -> bytes:
    """A CMS message as application/pkcs7-mime (RFC 8551 section 3.2)."""
    name = b"smime.p7z" if smime_type == "compressed-data" else b"smime.p7m"
    given = b" smime-type=" + smime_type.encode("ascii") + b";"
    return _named(b"application/pkcs7-mime", given, name) + _base64(cms)


def _named(kind: bytes, given: bytes, name: bytes) -> bytes:
    return (
        b"Content-Type: " + kind + b";" + given + b"\r\n name=" + name + b"\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=" + name + b"\r\n\r\n"
    )


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
