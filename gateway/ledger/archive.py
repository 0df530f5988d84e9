"""Raw bytes at rest, write-once under their SHA-256: small ones as one value, big ones in pieces.

Pieces are written and read one at a time, so that a message of gigabytes needs memory for a megabyte, and stays
below what one value of a database may hold (SQLite 1 GB by default).
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import DatabaseUnavailable
from gateway.ledger.tables import content, content_piece

WHOLE = 4_000_000  # bytes up to which content is one value
PIECE = 1_000_000
Raw = bytes | mmap.mmap
"""Bytes to look at: those of big content lie in a file, read as they are touched. Both slice to ``bytes``."""


def insert(connection: Connection, table: Any) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def keep_pieces(connection: Connection, name: str, size: int, at: int, pieces: Iterable[bytes]) -> None:
    """Keeps big content under its SHA-256 unless it is there already; ``pieces`` is asked one at a time.

    Raises:
        ValueError: the pieces do not come to ``size`` bytes; the transaction must not be committed.
    """
    if connection.execute(select(content.c.sha256).where(content.c.sha256 == name)).first() is not None:
        return
    count = -(-size // PIECE)
    row = {"sha256": name, "size": size, "at": at, "bytes": b"", "pieces": count}
    connection.execute(insert(connection, content).on_conflict_do_nothing(), row)
    statement = insert(connection, content_piece).on_conflict_do_nothing()
    written = 0
    for ordinal, piece in enumerate(_cut(pieces)):
        connection.execute(statement, {"sha256": name, "ordinal": ordinal, "bytes": piece})
        written += len(piece)
    if written != size:
        raise ValueError(f"{written} bytes came for content of {size}")


def slices(data: Raw) -> Iterator[bytes]:
    """``data`` in pieces."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def read(connection: Connection, names: Sequence[str]) -> dict[str, bytes]:
    """The kept bytes of several names, in memory; absent ones are left out."""
    rows = connection.execute(
        select(content.c.sha256, content.c.bytes, content.c.pieces).where(content.c.sha256.in_(names))
    )
    return {
        row.sha256: b"".join(_pieces(connection, row.sha256, row.pieces)) if row.pieces else bytes(row.bytes)
        for row in rows.all()
    }


def pieces_of(connection: Connection, name: str) -> Iterator[bytes]:
    """The kept bytes of one name, a piece at a time; nothing where they are not kept."""
    row = connection.execute(select(content.c.bytes, content.c.pieces).where(content.c.sha256 == name)).first()
    if row is not None and not row.pieces:
        yield bytes(row.bytes)
    elif row is not None:
        yield from _pieces(connection, name, row.pieces)


def view(connection: Connection, name: str, pieces: int, directory: Path | None = None) -> mmap.mmap:
    """Big content as a read-only view of a nameless file in ``directory``, which is gone when the view is."""
    with guarded_file(directory) as file:
        for piece in _pieces(connection, name, pieces):
            file.write(piece)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def guarded_file(directory: Path | None) -> Iterator[IO[bytes]]:
    """A nameless file for what is too big for memory.

    Raises:
        DatabaseUnavailable: there is no room for it.
    """
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            yield file
    except OSError as problem:
        place = directory or tempfile.gettempdir()
        raise DatabaseUnavailable(reason=f"no room to read a big message in {place}: {problem.strerror}") from problem


def _pieces(connection: Connection, name: str, count: int) -> Iterator[bytes]:
    # One question a piece: a driver may fetch all rows of an answer at once.
    for ordinal in range(count):
        wanted = select(content_piece.c.bytes).where(content_piece.c.sha256 == name, content_piece.c.ordinal == ordinal)
        yield bytes(connection.execute(wanted).scalar_one())


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks of any size as pieces of PIECE bytes, the last one shorter."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)
