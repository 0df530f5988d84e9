"""Raw bytes at rest, write-once under their SHA-256: small ones as one value, big ones in pieces.

Pieces are written and read one at a time, so that a message of gigabytes needs memory for a megabyte, and stays
below what one value of a database may hold (SQLite 1 GB by default).

Bytes may lie encrypted (see ``at_rest``); whoever reads gets them as they were. Bytes that were put away by policy, or
whose key was forgotten, are told apart from those that were never kept.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.dialects import sqlite

from gateway.errors import ContentErased, ContentPutAway, DatabaseUnavailable
from gateway.ledger import on_postgres
from gateway.ledger.moments import spoken
from gateway.ledger.payload_keys import secret_of
from gateway.ledger.tables import content, content_piece, put_away

WHOLE = 4_000_000  # bytes up to which content is one value
PIECE = 1_000_000
Raw = bytes | mmap.mmap
"""Bytes to look at: those of big content lie in a file, read as they are touched. Both slice to ``bytes``."""


COLUMNS = (content.c.sha256, content.c.bytes, content.c.pieces, content.c.cipher)
"""What the functions below want to know of a content; a query that joins it asks for these."""

_CHUNK = 500  # names in one question


class Sealer(Protocol):
    """What encrypts big content (see ``at_rest``)."""

    def pieces(self, name: str, pieces: Iterable[bytes], owner: str | None) -> tuple[str, Iterator[bytes]]:
        """The cipher, and the pieces as they are written."""
        ...

    def again(self, name: str, owner: str | None) -> bool:
        """It is there already; whether it can stay as it is."""
        ...

    def clear(self, name: str) -> None:
        """It is about to be written anew."""
        ...


def insert(connection: Connection, table: Any) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else on_postgres).insert(table)


def keep_pieces(
    connection: Connection,
    name: str,
    size: int,
    at: int,
    pieces: Iterable[bytes],
    sealer: Sealer | None = None,
    owner: str | None = None,
) -> None:
    """Keeps big content under its SHA-256 unless it is there already; ``pieces`` is asked one at a time.

    Args:
        connection: within a writing transaction.
        name: their SHA-256.
        size: in bytes.
        at: now, ms since 1970 UTC.
        pieces: of any length each.
        sealer: encrypts, where anything is encrypted.
        owner: the partner, "" for nobody, None where it is not known yet.

    Raises:
        ValueError: the pieces do not come to ``size`` bytes; the transaction must not be committed.
    """
    if connection.execute(select(content.c.sha256).where(content.c.sha256 == name)).first() is not None:
        if sealer is None or sealer.again(name, owner):
            return
        sealer.clear(name)
    cipher, cut = sealer.pieces(name, _cut(pieces), owner) if sealer is not None else ("", _cut(pieces))
    count = -(-size // PIECE)
    row = {"sha256": name, "size": size, "at": at, "bytes": b"", "pieces": count, "cipher": cipher}
    connection.execute(insert(connection, content).on_conflict_do_nothing(), row)
    statement = insert(connection, content_piece).on_conflict_do_nothing()
    written = 0
    for ordinal, piece in enumerate(cut):
        connection.execute(statement, {"sha256": name, "ordinal": ordinal, "bytes": piece})
        written += len(piece) - (TAG if cipher else 0)
    if written != size:
        raise ValueError(f"{written} bytes came for content of {size}")


def slices(data: Raw) -> Iterator[bytes]:
    """``data`` in pieces."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def read(connection: Connection, names: Sequence[str]) -> dict[str, bytes]:
    """The kept bytes of several names, in memory; those that were never kept are left out.

    Raises:
        ContentPutAway, ContentErased: some of them were, in order.
        PayloadKeyUnreadable: they are encrypted, and the home's key is not at hand.
    """
    found: dict[str, bytes] = {}
    for start in range(0, len(names), _CHUNK):
        wanted: Select[Any] = select(*COLUMNS).where(content.c.sha256.in_(names[start : start + _CHUNK]))
        for row in connection.execute(wanted).all():
            found[row.sha256] = b"".join(_all(connection, row))
    _refuse_put_away(connection, [name for name in names if name not in found])
    return found


def pieces_of(connection: Connection, name: str) -> Iterator[bytes]:
    """The kept bytes of one name, a piece at a time; nothing where they were never kept.

    Raises:
        ContentPutAway, ContentErased, PayloadKeyUnreadable: as ``read``.
    """
    row = connection.execute(_of(name)).first()
    if row is None:
        _refuse_put_away(connection, [name])
    else:
        yield from _all(connection, row)


def head(connection: Connection, name: str, size: int) -> bytes:
    """The first bytes of kept content, ``size`` of them where there are so many and they fit one piece."""
    row = connection.execute(_of(name)).first()
    return next(_all(connection, row), b"")[:size] if row is not None else b""


def at_hand(connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of the names whose bytes can be had: kept, and not erased."""
    found: set[str] = set()
    for name in set(names):
        row = connection.execute(select(content.c.sha256, content.c.cipher).where(content.c.sha256 == name)).first()
        if row is not None and (not row.cipher or not is_erased(connection, name)):
            found.add(name)
    return found


def refuse_gone(connection: Connection, name: str) -> None:
    """Says nothing where bytes are kept, before something is done that will need them.

    Raises:
        ContentPutAway, ContentErased: they were, in order.
    """
    row = connection.execute(select(content.c.cipher).where(content.c.sha256 == name)).first()
    if row is None:
        _refuse_put_away(connection, [name])
    elif row.cipher:
        secret_of(connection, name)


def is_erased(connection: Connection, name: str) -> bool:
    """Whether the keys of encrypted content were forgotten."""
    try:
        secret_of(connection, name)
    except ContentErased:
        return True
    return False


def raw(connection: Connection, row: Row[Any], directory: Path | None = None) -> Raw:
    """The bytes of a content from its row with ``COLUMNS``: big ones as a view of a nameless file in ``directory``."""
    if row.pieces:
        return view(connection, row.sha256, row.pieces, directory, row.cipher)
    return b"".join(_all(connection, row))


def view(connection: Connection, name: str, pieces: int, directory: Path | None = None, cipher: str = "") -> mmap.mmap:
    """Big content as a read-only view of a nameless file in ``directory``, which is gone when the view is."""
    with guarded_file(directory) as file:
        for piece in _pieces(connection, name, pieces, cipher):
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


TAG = 16  # bytes that encryption adds to each piece


def encrypted_piece(secret: bytes, name: str, ordinal: int, piece: bytes) -> bytes:
    """A piece, encrypted. Its place is the nonce, which a key that serves one content alone never uses twice."""
    return AESGCM(secret).encrypt(ordinal.to_bytes(12, "big"), piece, name.encode())


def _opened_piece(secret: bytes, name: str, ordinal: int, piece: bytes) -> bytes:
    """A piece as it was; nothing where it was damaged, so that it has another SHA-256."""
    try:
        return AESGCM(secret).decrypt(ordinal.to_bytes(12, "big"), piece, name.encode())
    except InvalidTag:
        return b""


def _of(name: str) -> Select[Any]:
    return select(*COLUMNS).where(content.c.sha256 == name)


def _all(connection: Connection, row: Row[Any]) -> Iterator[bytes]:
    if row.pieces:
        yield from _pieces(connection, row.sha256, row.pieces, row.cipher)
    elif row.cipher:
        yield _opened_piece(secret_of(connection, row.sha256), row.sha256, 0, _stored(row.bytes))
    else:
        yield _stored(row.bytes)


def _pieces(connection: Connection, name: str, count: int, cipher: str) -> Iterator[bytes]:
    secret = secret_of(connection, name) if cipher else b""
    # One question a piece: a driver may fetch all rows of an answer at once.
    for ordinal in range(count):
        wanted = select(content_piece.c.bytes).where(content_piece.c.sha256 == name, content_piece.c.ordinal == ordinal)
        piece = _stored(connection.execute(wanted).scalar_one())
        yield _opened_piece(secret, name, ordinal, piece) if secret else piece


def _stored(value: object) -> bytes:
    if not isinstance(value, bytes | memoryview):  # a number would be as many zeros
        raise TypeError("what is kept is no bytes")
    return bytes(value)


def _refuse_put_away(connection: Connection, missing: Sequence[str]) -> None:
    if not missing:
        return
    wanted = select(put_away).where(put_away.c.sha256.in_(missing[:_CHUNK])).limit(1)
    found = connection.execute(wanted).one_or_none()
    if found is not None:
        raise ContentPutAway(key=found.sha256, at=spoken(found.at).strip(), policy=found.policy)


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
