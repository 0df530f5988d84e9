"""Digests of the rows in an archive: where the file is another one, they tell which row is not what was written.

They stand in the archive itself, as marks; the event ``moved`` in the ledger holds their hash. So nobody who alters a
row alters its digest unseen. Archives of earlier versions have none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, text

from gateway.ledger import prints
from gateway.ledger.moved_rows import OWNED
from gateway.ledger.retold import words
from gateway.ledger.tables import CONFIGURATION, event, retention_mark

_AUDITED = [prints.AUDITED[table.name] for table, _ in OWNED if table.name in prints.AUDITED]
_MARK = "digests of "
_LENGTH = 8  # bytes of a digest
_END = 2**63 - 1
_AT_MOST = 10  # rows that are named


class Some(Struct, frozen=True, array_like=True):
    """The digests of some owners' rows, one after the other; the owners in their order."""

    owners: tuple[int, ...] = ()
    digests: bytes = b""

    def known(self) -> dict[int, bytes]:
        """By owner."""
        each = (self.digests[at : at + _LENGTH] for at in range(0, len(self.digests), _LENGTH))
        return dict(zip(self.owners, each, strict=True))


def write_digests(archive: Connection) -> str:
    """Writes the digests of all rows of an archive into it, and returns their hash.

    Args:
        archive: within a writing transaction.
    """
    for audited in _AUDITED:
        for place, (owners, wholes, _) in enumerate(prints.scan(archive, audited, 0, _END)):
            some = Some(tuple(owners), b"".join(each[:_LENGTH] for each in wholes))
            mark = {"name": f"{_MARK}{audited.table.name} {place:08}", "value": msgspec.json.encode(some).decode()}
            archive.execute(insert(retention_mark), mark)
    return _hash(archive)


def wrong_rows(home: Connection, archive: Connection) -> Iterator[str]:
    """Which rows of an archive are not those that were written, a sentence each, the first of each table first.

    Args:
        home: of the ledger that wrote it.
        archive: of the archive.
    """
    m = retention_mark.c
    if archive.execute(select(m.name).where(m.name.startswith(_MARK)).limit(1)).first() is None:
        yield "It holds no digests of its rows: which of them are others cannot be told."
        return
    if not _is_recorded(home, _hash(archive)):
        yield "The digests of its rows are not those that the ledger recorded: which rows are others cannot be told."
        return
    named = 0
    for name, owner, found, known in _differing(archive):
        named += 1
        if named <= _AT_MOST:
            what = words(name, owner)
            said = "is not what was written" if found and known else "was added" if found else "is missing"
            yield f"{what[0].upper()}{what[1:]} in the archive {said}."
    if named > _AT_MOST:
        yield f"{named - _AT_MOST} more rows in the archive are not what was written."


def _differing(archive: Connection) -> Iterator[tuple[str, int, bool, bool]]:
    """Table, owner, whether it is there, and whether it was written."""
    m = retention_mark.c
    for audited in _AUDITED:
        marks = select(m.value).where(m.name.startswith(f"{_MARK}{audited.table.name} ")).order_by(m.name)
        first = 0
        for each in (*(msgspec.json.decode(value, type=Some) for (value,) in archive.execute(marks)), Some()):
            last = each.owners[-1] if each.owners else _END
            known = each.known()
            for owner, there in _unlike(archive, audited, first, last, known):
                yield audited.table.name, owner, there, owner in known
            first = last + 1


def _unlike(
    archive: Connection, audited: prints.Audited, first: int, last: int, known: Mapping[int, bytes]
) -> Iterator[tuple[int, bool]]:
    """The owners from ``first`` to ``last`` whose rows are others, and whether they have any."""
    found = {
        owner: whole[:_LENGTH]
        for owners, wholes, _ in prints.scan(archive, audited, first, last)
        for owner, whole in zip(owners, wholes, strict=True)
    }
    unlike = sorted(each for each in known.keys() | found.keys() if known.get(each) != found.get(each))
    now = prints.read(archive, audited, unlike)  # with nobody's encoding but ours
    return ((each, each in found) for each in unlike if now[each][:_LENGTH] != known.get(each))


def _hash(archive: Connection) -> str:
    m = retention_mark.c
    hashed = hashlib.sha256()
    for name, value in archive.execute(select(m.name, m.value).where(m.name.startswith(_MARK)).order_by(m.name)):
        hashed.update(f"{name}\n{value}\n".encode())
    return hashed.hexdigest()


def _is_recorded(home: Connection, digests: str) -> bool:
    """Whether an archive was recorded whose digests have that hash."""
    e = event.c
    asked = select(e.body).where(text(CONFIGURATION), e.kind == "moved")
    return any(json.loads(body).get("digests") == digests for body in home.execute(asked).scalars())
