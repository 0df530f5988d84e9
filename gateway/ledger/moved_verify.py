"""Is an archive what was written, and were its events in the ledger? Asked of the file, the ledger and the seals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import DatabaseUnavailable, SealInvalid
from gateway.ledger import damage, seals, tree
from gateway.ledger.database import reading
from gateway.ledger.moved_digests import wrong_rows
from gateway.ledger.moved_file import opened, reason_of, sha256_of
from gateway.ledger.moved_lost import refuse_lost
from gateway.ledger.moved_proof import leaves_at_home, problems_of, seqs_in
from gateway.ledger.payload_keys import archive_vault
from gateway.ledger.seals import SealKey
from gateway.ledger.tables import event, moved_archive, seal, tree_head

_AT_ONCE = 10_000
_NOT_AS_WRITTEN = (DatabaseUnavailable, SQLAlchemyError, LookupError, TypeError, ValueError)


def verify(home: Engine, path: Path, key: SealKey | None = None) -> Iterator[str]:
    """What is wrong with an archive, a sentence each; nothing where all is as it was written.

    Args:
        home: the ledger that it was moved out of.
        path: the archive.
        key: with which the seals in it were signed; None: they are compared, and their signatures not looked at.

    Raises:
        MovedArchiveUnreadable: it cannot be read at all.
        MovedArchiveLost: no file is there, and a person said that it is lost.
    """
    refuse_lost(home, path)
    with reading(home) as connection:
        known = connection.execute(select(moved_archive.c.id).where(moved_archive.c.sha256 == sha256_of(path))).first()
    if known is None:
        yield f"{path.name} is none of the archives that this ledger recorded: it was changed, or is another ledger's."
    with opened(path, archive_vault(home)) as engine:
        try:
            yield from _wrong(home, engine, key, known=known is not None)
        except _NOT_AS_WRITTEN as problem:  # whatever somebody wrote into it; what was found before stands
            yield f"The archive cannot be looked at to its end: {reason_of(problem)}."


def _wrong(home: Engine, engine: Engine, key: SealKey | None, *, known: bool) -> Iterator[str]:
    with reading(engine) as archive:
        for (said,) in archive.execute(text("PRAGMA integrity_check")):
            if said != "ok":
                yield f"The file: {said}"
        yield from damage.contents(archive, lambda _: True)  # the file is as recorded; its keys stayed at home
        yield from damage.missing(archive)
        if not known:
            with reading(home) as connection:
                yield from wrong_rows(connection, archive)
        yield from problems_of(archive, seqs_in(archive))
        yield from _at_home(home, archive)
        yield from _sealed(archive, key)


def _at_home(home: Engine, archive: Connection) -> Iterator[str]:
    """Each event must be the one whose leaf the ledger has."""
    seqs = seqs_in(archive)
    for start in range(0, len(seqs), _AT_ONCE):
        some = seqs[start : start + _AT_ONCE]
        with reading(home) as connection:
            there = leaves_at_home(connection, some)
        rows = archive.execute(select(event).where(event.c.seq.between(some[0], some[-1]))).mappings()
        for row in rows:
            if there.get(row["seq"]) != tree.leaf(row):
                yield f"Event {row['seq']} in the archive is not the one that the ledger put away."


def _sealed(archive: Connection, key: SealKey | None) -> Iterator[str]:
    """The tree in the archive must be the one that was sealed."""
    size = archive.execute(select(tree_head.c.size)).scalar_one()
    note = archive.execute(select(seal.c.note).order_by(seal.c.size.desc()).limit(1)).scalar()
    if note is None:
        return
    try:
        found = seals.opened(note, key) if key is not None else seals.read(note)
        if tree.Nodes(archive, size).root(found.size) != found.root:
            yield f"The tree in the archive is not the one that was sealed on {found.time}."
    except SealInvalid as fault:
        yield str(fault)
    except LookupError as problem:
        yield f"The tree in the archive does not reach to its newest seal: {problem}."
