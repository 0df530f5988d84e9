"""Downloads: bytes as a browser keeps them, streamed, under names of ours; nothing that a browser would show."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from starlette.responses import Response, StreamingResponse

PIECE = 256 * 1024  # bytes that are sent at once
_IN_MEMORY = 4_000_000  # bytes
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def download(pieces: Iterable[bytes], name: str, media_type: str = "application/octet-stream") -> Response:
    """An attachment. The first piece is read at once, so that what cannot be read is a fault and not half a file.

    Args:
        pieces: the bytes.
        name: of the file: letters, digits, dots and minuses of ours.
        media_type: what it is.
    """
    pieces = iter(pieces)
    first = list(islice(pieces, 1))
    headers = _HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chain(first, pieces), media_type=media_type, headers=headers)


def spooled(pieces: Iterable[bytes], directory: Path) -> Iterator[bytes]:
    """All pieces, read to their end before the first one is given.

    Who downloads slowly must not keep a transaction of the ledger open. What is big lies in a nameless file meanwhile.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(directory)) as file:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def encoded(lines: Iterable[str], at_once: int = 200) -> Iterator[bytes]:
    """Lines as bytes, many in a piece."""
    lines = iter(lines)
    while some := list(islice(lines, at_once)):
        yield "".join(some).encode("utf-8", "replace")
