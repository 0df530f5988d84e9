"""winmail.dat: the files and the text in Outlook's own container (TNEF, [MS-OXTNEF]).

A small reader of our own: the one library for it is unmaintained and trusts the lengths that it reads. Every
length is checked against what is there, every checksum is checked, and nothing but attachments and the plain text
of the body is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct, field

from gateway.errors import ArchiveRefused, ContentDamaged
from gateway.settings.model import Limits

SIGNATURE = b"\x78\x9f\x3e\x22"
_BODY = 0x0002800C  # attBody
_MESSAGE_PROPERTIES = 0x00069003  # attMsgProps
_RENDERING = 0x00069002  # attAttachRendData: a new attachment begins
_TITLE = 0x00018010  # attAttachTitle
_DATA = 0x0006800F  # attAttachData
_ATTACHMENT_PROPERTIES = 0x00069005  # attAttachment
_PROPERTY_BODY, _PROPERTY_DATA = 0x1000, 0x3701
_PROPERTY_NAME, _PROPERTY_LONG_NAME = 0x3704, 0x3707
_FILLING = 11  # bytes before the value of an attribute, which are never all zero
_ATTRIBUTES, _PROPERTIES, _VALUES = 10_000, 10_000, 10_000
_FIXED = {0x0000: 0, 0x0001: 0, 0x0002: 4, 0x0003: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000A: 4, 0x000B: 4,
          0x0014: 8, 0x0040: 8, 0x0048: 16}  # fmt: skip
_STRING, _UNICODE, _OBJECT, _BINARY = 0x001E, 0x001F, 0x000D, 0x0102
_VARIABLE = frozenset({_STRING, _UNICODE, _OBJECT, _BINARY})
_MULTIPLE = 0x1000


class TnefFile(Struct):
    """One file in the container, or its body: then without a name and with ``is_body``."""

    name: str = ""
    data: bytes = b""
    is_body: bool = False
    is_message: bool = False


class _Lying(Exception):  # noqa: N818 - never leaves this module
    """A length points to where nothing is."""


class _Cursor(Struct):
    """Bytes read from front to back; every read is checked."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise _Lying
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little")


class _Found(Struct):
    files: list[TnefFile] = field(default_factory=list)
    body: bytes = b""


def read_tnef(data: bytes, name: str, limits: Limits) -> tuple[TnefFile, ...]:
    """The attachments in a TNEF stream, and its plain text, if any, as the last.

    Raises:
        ContentDamaged: a length or a checksum lies.
        ArchiveRefused: more attachments than ``limits.archive_files``, or a whole message as an attachment.
    """
    found = _Found()
    try:
        for attribute, value in _attributes(_Cursor(data, 6)):
            _note(found, attribute, value)
            if len(found.files) > limits.archive_files:
                raise ArchiveRefused(name=name, reason=f"it has more than {limits.archive_files} files.")
    except (_Lying, struct.error) as problem:
        raise ContentDamaged(part=name, reason="its lengths or checksums do not fit (TNEF)") from problem
    if any(each.is_message for each in found.files):
        raise ArchiveRefused(name=name, reason="a whole message is attached in it; such a one is not opened.")
    if found.body:
        found.files.append(TnefFile(data=found.body, is_body=True))
    return tuple(found.files)


def _attributes(cursor: _Cursor) -> Iterator[tuple[int, bytes]]:
    for _ in range(_ATTRIBUTES):
        if not any(cursor.data[cursor.at : cursor.at + _FILLING]):
            return  # the end, perhaps filled up with zeros
        level = cursor.take(1)
        attribute = cursor.number()
        value = cursor.take(cursor.number())
        if level not in {b"\x01", b"\x02"} or sum(value) & 0xFFFF != int.from_bytes(cursor.take(2), "little"):
            raise _Lying
        yield attribute, value
    raise _Lying


def _note(found: _Found, attribute: int, value: bytes) -> None:
    if attribute == _RENDERING:
        found.files.append(TnefFile())
    elif attribute == _BODY:
        found.body = value.rstrip(b"\0")
    elif attribute == _MESSAGE_PROPERTIES:
        for number, kind, each in _properties(_Cursor(value)):
            if number == _PROPERTY_BODY and not found.body:
                found.body = _text(kind, each).encode("utf-8", "replace")
    elif attribute in {_TITLE, _DATA, _ATTACHMENT_PROPERTIES}:
        if not found.files:
            raise _Lying
        _note_file(found.files[-1], attribute, value)


def _note_file(file: TnefFile, attribute: int, value: bytes) -> None:
    if attribute == _TITLE:
        file.name = file.name or _text(_STRING, value)
    elif attribute == _DATA:
        file.data = value
    else:
        for number, kind, each in _properties(_Cursor(value)):
            if number == _PROPERTY_LONG_NAME or (number == _PROPERTY_NAME and not file.name):
                file.name = _text(kind, each)
            elif number == _PROPERTY_DATA and kind == _OBJECT:
                file.is_message = each[16:20] == SIGNATURE
            elif number == _PROPERTY_DATA and not file.data:
                file.data = each


def _properties(cursor: _Cursor) -> Iterator[tuple[int, int, bytes]]:
    """MAPI properties as (number, type, value); of several values the first."""
    count = cursor.number()
    if count > _PROPERTIES:
        raise _Lying
    for _ in range(count):
        kind, number = struct.unpack("<HH", cursor.take(4))
        if number >= 0x8000:
            _skip_name(cursor)
        yield number, kind & ~_MULTIPLE, _value(cursor, kind)


def _skip_name(cursor: _Cursor) -> None:
    """The name of a property that has one: a GUID and a number or a text."""
    cursor.take(16)
    if cursor.number() == 0:
        cursor.take(4)
    else:
        _padded(cursor)


def _value(cursor: _Cursor, kind: int) -> bytes:
    single = kind & ~_MULTIPLE
    count = cursor.number() if kind & _MULTIPLE or single in _VARIABLE else 1
    size = _FIXED.get(single, -1)
    # Several values of no size do not exist, and would be counted without end.
    if count > _VALUES or (size < 0 and single not in _VARIABLE) or (size == 0 and kind & _MULTIPLE):
        raise _Lying
    values = [_padded(cursor) if single in _VARIABLE else cursor.take(size) for _ in range(count)]
    return values[0] if values else b""


def _padded(cursor: _Cursor) -> bytes:
    """A value with its length before it, filled up to a multiple of four bytes."""
    length = cursor.number()
    value = cursor.take(length)
    cursor.take(min(-length % 4, len(cursor.data) - cursor.at))
    return value


def _text(kind: int, value: bytes) -> str:
    if kind == _UNICODE:
        return value.decode("utf-16-le", "replace").rstrip("\0")
    return value.rstrip(b"\0").decode("cp1252", "replace")
