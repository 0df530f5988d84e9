"""CompressedData (RFC 3274, RFC 5402): zlib within bounds."""

from __future__ import annotations

import zlib

from gateway.errors import CompressionBomb, DecompressionFailed
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.reading import read_compressed
from gateway.settings.model import Limits

_LEVEL = 6
_SMALL = 1_000_000  # bytes that anything may unpack to, whatever the ratio: a short entity packs well


def compress(content: bytes) -> bytes:
    """A CMS message with ``content`` compressed, in DER."""
    inner = {"content_type": asn1.DATA, "content": zlib.compress(content, _LEVEL)}
    compressed = asn1.CompressedData({"version": 0, "algorithm": {"algorithm": asn1.ZLIB}, "content": inner})
    return bytes(asn1.Content({"content_type": asn1.COMPRESSED_DATA, "content": compressed}).dump())


def allowance(size: int, limits: Limits) -> int:
    """To how many bytes a mail of ``size`` may unpack, all its layers together."""
    return min(limits.decompressed, max(_SMALL, size * limits.decompression_ratio))


def decompress(der: bytes, bound: int) -> bytes:
    """What a compressed CMS message (as ``read_kind`` gives it) holds.

    Raises:
        CompressionBomb: when it grows past ``bound``; at most that much is ever held.
        DecompressionFailed: when it is damaged, cut off, or has something behind its end.
        AlgorithmRefused, SecurityMalformed: see ``read_compressed``.
    """
    packed = read_compressed(der)
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, bound + 1)
    except zlib.error as problem:
        raise DecompressionFailed(reason="the zlib stream is damaged") from problem
    if len(found) > bound:
        raise CompressionBomb(reason=f"{len(packed)} bytes unpack to more than {bound}")
    if not unpacker.eof:
        raise DecompressionFailed(reason="the zlib stream is cut off")
    if unpacker.unused_data:
        raise DecompressionFailed(reason="something follows the end of the zlib stream")
    return found
