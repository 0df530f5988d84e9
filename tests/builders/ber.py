"""DER written anew as streaming software writes BER: indefinite lengths, and strings in chunks."""

from __future__ import annotations


def streamed(der: bytes, chunk: int = 5, *, definite_strings: bool = False) -> bytes:
    """The same structure in BER. ``definite_strings`` gives the chunked strings a definite length."""
    return b"".join(_element(*each, chunk, definite_strings) for each in elements(der))


def elements(data: bytes):
    """(tag, content) of the elements that stand behind each other in ``data``."""
    at = 0
    while at < len(data):
        tag, first, body = data[at], data[at + 1], at + 2
        if first > 0x80:
            first, body = int.from_bytes(data[body : body + first - 0x80], "big"), body + first - 0x80
        yield tag, data[body : body + first]
        at = body + first


def tlv(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    octets = len(content).to_bytes(4, "big").lstrip(b"\0")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _element(tag, content, chunk, definite_strings):
    if tag in {0x04, 0x80}:
        pieces = b"".join(tlv(0x04, content[at : at + chunk]) for at in range(0, len(content), chunk))
        constructed = 0x24 if tag == 0x04 else 0xA0
        return tlv(constructed, pieces) if definite_strings else bytes([constructed, 0x80]) + pieces + b"\0\0"
    if not tag & 0x20:
        return tlv(tag, content)
    return bytes([tag, 0x80]) + streamed(content, chunk, definite_strings=definite_strings) + b"\0\0"
