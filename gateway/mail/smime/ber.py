"""BER within bounds (X.690): what comes is walked once, and rewritten with definite lengths where it needs it.

CMS software that streams writes indefinite lengths and strings in chunks. asn1crypto reads those with recursion that
an attacker controls; it only ever sees what passed here. What is DER already comes through as the same bytes.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import SecurityMalformed

DEEPEST = 40  # levels; a signed message with a long certificate has about 15
MOST_ELEMENTS = 200_000  # a streamed content of 100 MB comes in about 25,000 to 100,000 chunks
LONGEST_IDENTIFIER = 100  # bytes of an object identifier; asn1crypto takes quadratic time for long ones
_CONSTRUCTED = 0x20
_OBJECT_IDENTIFIER = 0x06
_OCTET_STRING = 0x04
_SEQUENCE = 0x30
_CONTENT = 0xA0  # [0], constructed
_STRING_TAGS = frozenset({0x04, 0x24})


class _Element(Struct):
    tag: int  # the identifier octet
    start: int
    body: int
    stop: int  # where the content ends
    after: int  # where the next element begins
    children: list[_Element]
    plain: bool  # definite lengths all the way down and no string in chunks


def definite(data: bytes) -> bytes:
    """One BER element with definite lengths and strings in one piece, as DER has them.

    Line ends behind it, which a mail host may have put there, are left away.

    Raises:
        SecurityMalformed: when it is no BER, has something behind it, or is past the bounds.
    """
    walker = _Walker(data)
    top = walker.element(0, len(data), 0)
    if top.after != len(data):
        if not data[top.after :].strip(b"\r\n"):
            return definite(data[: top.after])
        raise SecurityMalformed(reason=f"{len(data) - top.after} bytes follow the end of the structure")
    if top.plain:
        return data
    pieces: list[bytes] = []
    _write(data, top, pieces)
    pieces.reverse()
    return b"".join(pieces)


class _Walker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MOST_ELEMENTS

    def element(self, at: int, end: int, depth: int) -> _Element:
        """The element at ``at``, which may not reach past ``end``."""
        self._left -= 1
        if self._left < 0:
            raise SecurityMalformed(reason=f"more than {MOST_ELEMENTS} ASN.1 elements")
        if depth > DEEPEST:
            raise SecurityMalformed(reason=f"ASN.1 nested deeper than {DEEPEST} levels")
        body, length = self._header(at, end)
        tag = self._data[at]
        if length is None:
            if not tag & _CONSTRUCTED:
                raise SecurityMalformed(reason="an indefinite length on a primitive ASN.1 element")
            children, stop = self._until_end_of_contents(body, end, depth)
            return _Element(tag, at, body, stop, stop + 2, children, plain=False)
        if tag == _OBJECT_IDENTIFIER and length > LONGEST_IDENTIFIER:
            raise SecurityMalformed(reason="an object identifier past its bounds")
        stop = body + length
        children = self._children(body, stop, depth) if tag & _CONSTRUCTED else []
        plain = tag != 0x24 and all(child.plain for child in children) and not _in_chunks(children)
        return _Element(tag, at, body, stop, stop, children, plain)

    def _children(self, at: int, stop: int, depth: int) -> list[_Element]:
        children: list[_Element] = []
        while at < stop:
            child = self.element(at, stop, depth + 1)
            children.append(child)
            at = child.after
        return children

    def _until_end_of_contents(self, at: int, end: int, depth: int) -> tuple[list[_Element], int]:
        children: list[_Element] = []
        while self._data[at : min(at + 2, end)] != b"\0\0":
            child = self.element(at, end, depth + 1)
            children.append(child)
            at = child.after
        return children, at

    def _header(self, at: int, end: int) -> tuple[int, int | None]:
        """Where the content begins, and its length; None for an indefinite one."""
        data = self._data
        if at + 2 > end:
            raise SecurityMalformed(reason="the ASN.1 structure is cut off")
        if data[at] & 0x1F == 0x1F or data[at] == 0:
            raise SecurityMalformed(reason="an ASN.1 tag that CMS does not have")
        first, body = data[at + 1], at + 2
        if first == 0x80:
            return body, None
        if first > 0x80:
            octets = first & 0x7F
            if octets > 8 or body + octets > end:
                raise SecurityMalformed(reason="an ASN.1 length past its bounds")
            first, body = int.from_bytes(data[body : body + octets], "big"), body + octets
        if body + first > end:
            raise SecurityMalformed(reason="the ASN.1 structure is cut off")
        return body, first


def _in_chunks(children: list[_Element]) -> bool:
    """Whether these are an EncryptedContentInfo with its content in chunks: OID, algorithm, [0] of octet strings.

    Its tag is implicit (RFC 5652 section 6.1), so that only the place tells it from a tagged structure.
    """
    return (
        len(children) == 3
        and children[0].tag == _OBJECT_IDENTIFIER
        and children[1].tag == _SEQUENCE
        and children[2].tag == _CONTENT
        and all(chunk.tag in _STRING_TAGS for chunk in children[2].children)
    )


def _write(data: bytes, element: _Element, pieces: list[bytes]) -> int:
    """Appends the element's pieces, the last first, and returns how long they are together."""
    if element.plain:
        pieces.append(data[element.start : element.after])
        return element.after - element.start
    if element.tag == 0x24:
        return _write_string(data, element, _OCTET_STRING, pieces)
    length = 0
    in_chunks = _in_chunks(element.children)
    for number in range(len(element.children) - 1, -1, -1):
        child = element.children[number]
        if in_chunks and number == 2:
            length += _write_string(data, child, _CONTENT & ~_CONSTRUCTED, pieces)
        else:
            length += _write(data, child, pieces)
    return length + _write_header(element.tag, length, pieces)


def _write_string(data: bytes, element: _Element, tag: int, pieces: list[bytes]) -> int:
    length = _write_chunks(data, element, pieces)
    return length + _write_header(tag, length, pieces)


def _write_chunks(data: bytes, element: _Element, pieces: list[bytes]) -> int:
    length = 0
    for chunk in reversed(element.children):
        if chunk.tag == _OCTET_STRING:
            pieces.append(data[chunk.body : chunk.stop])
            length += chunk.stop - chunk.body
        elif chunk.tag == 0x24:
            length += _write_chunks(data, chunk, pieces)
        else:
            raise SecurityMalformed(reason="a string in chunks that are no strings")
    return length


def _write_header(tag: int, length: int, pieces: list[bytes]) -> int:
    if length < 0x80:
        header = bytes([tag, length])
    else:
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        header = bytes([tag, 0x80 | len(octets)]) + octets
    pieces.append(header)
    return len(header)
