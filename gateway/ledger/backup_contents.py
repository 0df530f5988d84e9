"""The kept bytes in a copy of a ledger, hashed again: their name is their SHA-256.

The copy may be of an earlier revision, so nothing is asked for that was not always there.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from sqlalchemy import Connection, func, inspect, literal_column, select

from gateway.ledger.backup_files import Watcher
from gateway.ledger.tables import content, content_piece

_SAMPLE = 200  # contents that are looked at where not all are


def odd_contents(connection: Connection, watcher: Watcher, *, full: bool) -> Iterator[str]:
    """Kept bytes that are not what they were, a sentence each. Those that are kept encrypted are not opened.

    Args:
        connection: to the copy.
        watcher: is told of how many were looked at.
        full: all of them, instead of a sample.
    """
    c = content.c
    columns = {each["name"] for each in inspect(connection).get_columns(content.name)}
    pieces = c.pieces if "pieces" in columns else literal_column("0").label("pieces")
    wanted = select(c.sha256, pieces).order_by(c.sha256).limit(1)
    if "cipher" in columns:
        wanted = wanted.where(c.cipher == "")
    count = connection.execute(select(func.count()).select_from(content)).scalar_one() if full else _SAMPLE
    watcher.step("check kept bytes", count)
    after = ""
    for _ in range(count):
        after = after if full else random.randbytes(32).hex()  # noqa: S311 - a sample
        row = connection.execute(wanted.where(c.sha256 > after)).first()
        if row is None and not full:
            row = connection.execute(wanted).first()  # past the last one
        if row is None:
            return
        after = row.sha256
        if _hash(connection, row.sha256, row.pieces) != row.sha256:
            yield f"the kept bytes {row.sha256} are not what they were"
        watcher.advance()


def _hash(connection: Connection, name: str, pieces: int) -> str:
    hashed = hashlib.sha256()
    hashed.update(connection.execute(select(content.c.bytes).where(content.c.sha256 == name)).scalar_one())
    piece = content_piece.c
    for ordinal in range(pieces):
        wanted = select(piece.bytes).where(piece.sha256 == name, piece.ordinal == ordinal)
        hashed.update(connection.execute(wanted).scalar() or b"")
    return hashed.hexdigest()
