"""Writing an archive: a file beside its name until it is whole, durable and read back; then it has its name.

An archive is a ledger of its own on SQLite, of the same tables and migrations, with the rows of what was moved, under
their own numbers, and their events and raw bytes. Bytes that lie encrypted stay so; their payload keys stay in the
ledger, so that forgetting a key erases in archives too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, event, select

from gateway.errors import DatabaseUnavailable, MovedArchiveAltered, MovedArchiveUnwritable
from gateway.ledger import archive as contents
from gateway.ledger import daily, text
from gateway.ledger.database import open_engine, reading, upgrade, writing
from gateway.ledger.moved_digests import write_digests
from gateway.ledger.moved_file import opened, sha256_of, sync
from gateway.ledger.moved_place import reserved
from gateway.ledger.moved_proof import problems_of, seqs_in, write_proof
from gateway.ledger.moved_rows import are_same, numbers, rows_of
from gateway.ledger.payload_keys import archive_vault
from gateway.ledger.retention_units import Unit, ask
from gateway.ledger.tables import content, content_key, content_piece, moved_archive, put_away

_AT_ONCE = 100  # units that are copied at once


class Written(Struct, frozen=True):
    """An archive that was written. ``first_at`` and ``last_at``: of the oldest and the newest unit in it.

    ``digests``: the hash of the digests of its rows (see ``moved_digests``).
    """

    path: Path
    sha256: str
    size: int
    exchanges: int
    messages: int
    events: int
    first_at: int
    last_at: int
    digests: str


def write(engine: Engine, directory: Path, units: Sequence[Unit]) -> Written:
    """Writes units of a ledger into a new archive; durable, and read back, when this returns.

    Args:
        engine: the ledger's.
        directory: where; it is made where it is missing.
        units: what goes into it.

    Raises:
        MovedArchiveUnwritable: with the reason; nothing is left of it.
    """
    first, last = min(unit.at for unit in units), max(unit.at for unit in units)
    with reading(engine) as connection:
        known = {Path(file).name for file in connection.execute(select(moved_archive.c.file)).scalars()}
    with _unfinished(directory, first, known) as (work, target):
        with _blank(work) as archive:
            seqs, digests = _copy(engine, archive, units)
        _read_back(engine, work, units, target)
        work.chmod(0o400)
        sync(work)
        sha256, size = sha256_of(work), work.stat().st_size  # takes its time: what has its name is recorded at once
        work.rename(target)
        sync(directory)
        x, m = numbers(units)
        return Written(target, sha256, size, len(x), len(m), seqs, first, last, digests)


@contextmanager
def _unfinished(directory: Path, at: int, known: Collection[str]) -> Iterator[tuple[Path, Path]]:
    """The file that is written, and the name that it gets, which is of the month of ``at``."""
    month = f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m}"
    try:
        with reserved(directory, month, known) as (work, target):
            yield work, target
    except OSError as problem:
        raise MovedArchiveUnwritable(path=directory, reason=problem.strerror or problem) from problem
    except (DatabaseUnavailable, MovedArchiveAltered) as problem:
        raise MovedArchiveUnwritable(path=directory, reason=problem) from problem


@contextmanager
def _blank(path: Path) -> Iterator[Engine]:
    """An empty ledger in a new file, whose rows may point to what stayed behind; one file when the block ends."""
    engine = open_engine(f"sqlite:///{path}")
    try:
        upgrade(engine)
        engine.dispose()
        event.listen(engine, "connect", _for_writing)
        yield engine
        engine.dispose()
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        engine.dispose()


def _for_writing(connection: Any, _record: object) -> None:
    for pragma in ("foreign_keys = OFF", "synchronous = OFF"):  # it is synced, and read back, when it is whole
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _copy(engine: Engine, archive: Engine, units: Sequence[Unit]) -> tuple[int, str]:
    """Copies everything; returns the number of events, and the hash of the digests of the rows."""
    for start in range(0, len(units), _AT_ONCE):
        some = units[start : start + _AT_ONCE]
        with reading(engine) as home, writing(archive) as target:
            _copy_units(home, target, some)
    with reading(engine) as home, writing(archive) as target:
        seqs = seqs_in(target)
        write_proof(home, target, seqs)
        for month in daily.months(target):
            daily.rebuild(target, month)
        return len(seqs), write_digests(target)


def _copy_units(home: Connection, target: Connection, units: Sequence[Unit]) -> None:
    x, m = numbers(units)
    indexed: dict[str, list[dict[str, Any]]] = {}
    for table, rows in rows_of(home, x, m):
        if rows:
            offer = contents.insert(target, table).on_conflict_do_nothing()  # a row may belong to two units
            target.execute(offer, rows)
            indexed[table.name] = rows
    text.index_rows(target, indexed)
    copy_contents(home, target, list(dict.fromkeys(name for unit in units for name in unit.names)))


def copy_contents(home: Connection, target: Connection, names: Sequence[str]) -> None:
    """Copies raw bytes as they lie, with the keys of their own; of those that were put away, that they were."""
    for table in (content_key, put_away):
        rows = [dict(row._mapping) for row in ask(home, select(table), table.c.sha256, names)]  # noqa: SLF001
        if rows:
            target.execute(contents.insert(target, table).on_conflict_do_nothing(), rows)
    offer = contents.insert(target, content).on_conflict_do_nothing()
    pieces = contents.insert(target, content_piece).on_conflict_do_nothing()
    for row in ask(home, select(content), content.c.sha256, names):
        target.execute(offer, dict(row._mapping) | {"bytes": bytes(row.bytes)})  # noqa: SLF001
        for ordinal in range(row.pieces):
            p = content_piece.c
            piece = home.execute(select(p.bytes).where(p.sha256 == row.sha256, p.ordinal == ordinal)).scalar_one()
            target.execute(pieces, {"sha256": row.sha256, "ordinal": ordinal, "bytes": bytes(piece)})


def _read_back(engine: Engine, work: Path, units: Sequence[Unit], target: Path) -> None:
    """The file says what the ledger says, its tree adds up, and its bytes have the hashes that are their names.

    Raises:
        MovedArchiveUnwritable: it does not.
    """
    with opened(work, archive_vault(engine)) as archive:
        for start in range(0, len(units), _AT_ONCE):
            some = units[start : start + _AT_ONCE]
            with reading(engine) as home, reading(archive) as written:
                if not are_same(home, written, *numbers(some)):
                    raise MovedArchiveUnwritable(path=target, reason="what is in it is not what the ledger says now")
                _same_contents(home, written, some, target)
        with reading(archive) as written:
            for problem in problems_of(written, seqs_in(written)):
                raise MovedArchiveUnwritable(path=target, reason=problem)


def _same_contents(home: Connection, written: Connection, units: Sequence[Unit], target: Path) -> None:
    names = [name for unit in units for name in unit.names]
    wanted = select(content.c.sha256, content.c.cipher)
    there = {row.sha256: row.cipher for row in ask(home, wanted, content.c.sha256, names)}
    for name, cipher in there.items():
        if not _is_as_named(home, written, name, cipher):
            raise MovedArchiveUnwritable(path=target, reason=f"the bytes {name} in it are not what they were")


def _is_as_named(home: Connection, written: Connection, name: str, cipher: str) -> bool:
    if cipher and contents.is_erased(home, name):
        return True
    hashed = hashlib.sha256()
    for piece in contents.pieces_of(written, name):
        hashed.update(piece)
    return hashed.hexdigest() == name
