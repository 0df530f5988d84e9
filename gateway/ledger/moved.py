"""Moving out: what leaves the ledger is first written into an archive, then put away from the archive's list.

An archive is recorded before anything of it is put away. A run that is ended between is taken up from the file: only
what the archive has, and has as the ledger says it now, is put away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, select

from gateway.errors import GatewayError, MovedArchiveAltered, MovedArchiveUnreadable
from gateway.ledger.database import reading
from gateway.ledger.moved_file import opened, sha256_of
from gateway.ledger.moved_lost import lost
from gateway.ledger.moved_rows import are_same, numbers
from gateway.ledger.moved_write import Written, write
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.retention_policy import Policies, Spans
from gateway.ledger.retention_purge import Gone
from gateway.ledger.retention_units import Judge, Key, Unit
from gateway.ledger.tables import exchange, message, moved_archive

Purge = Callable[[Recorder, Sequence[Key], Collection[Key]], Gone]
"""Puts away those of some units that go, and no others than a collection has (see ``flow.retain``)."""
Trouble = Callable[[GatewayError, str], None]
Stopping = Callable[[], bool]

_AT_ONCE = 100  # units that are put away with one commit
_ANYTHING = Policies(Spans(0, 0))  # where nothing is asked but what belongs together


class Archive(Struct, frozen=True):
    """An archive as the ledger remembers it. Times are ms since 1970 UTC; ``moved_at`` None: being put away."""

    id: int
    at: int
    actor: str
    file: str
    sha256: str
    size: int
    exchanges: int
    messages: int
    events: int
    first_at: int
    last_at: int
    moved_at: int | None


def archives(ledger: Ledger) -> list[Archive]:
    """Every archive that was written, the oldest first."""
    with ledger.reading() as connection:
        return [_archive(row) for row in connection.execute(select(moved_archive).order_by(moved_archive.c.id))]


def move(ledger: Ledger, directory: Path, keys: Sequence[Key], purge: Purge, stopping: Stopping) -> Gone:
    """Writes units into a new archive, records it, and puts them away.

    Args:
        ledger: to put away from (see ``retention_purge.purging``).
        directory: where the archive goes.
        keys: of the units.
        purge: see there.
        stopping: asked between two commits; the rest goes with the next run.

    Raises:
        MovedArchiveUnwritable: nothing was put away.
    """
    with ledger.reading() as connection:
        units = list(Judge(connection, _ANYTHING).units(keys).values())
    if not units:
        return Gone()
    written = write(ledger.engine, directory, units)
    with ledger.transaction() as recorder:
        number = _record(recorder, written)
    return _put_away(ledger, number, written.path, [unit.key for unit in units], purge, stopping)


def finish(ledger: Ledger, purge: Purge, stopping: Stopping, trouble: Trouble) -> Gone:
    """What earlier runs wrote into archives and did not put away goes now; an archive that is gone is told of.

    One that a person knows to be lost is not asked for (see ``moved_lost``).
    """
    total = Gone()
    with ledger.reading() as connection:
        known = lost(connection)
    for each in archives(ledger):
        if each.moved_at is not None or each.id in known or stopping():
            continue
        path = Path(each.file)
        try:
            check_file(path, each.sha256)
            total += _put_away(ledger, each.id, path, keys_in(path), purge, stopping)
        except (MovedArchiveAltered, MovedArchiveUnreadable) as fault:
            trouble(fault, "archive")
    return total


def check_file(path: Path, sha256: str) -> None:
    """Says nothing where an archive is the file that was written.

    Raises:
        MovedArchiveAltered, MovedArchiveUnreadable: it is another one, or is gone.
    """
    found = sha256_of(path)
    if found != sha256:
        raise MovedArchiveAltered(path=path, reason=f"its SHA-256 is {found}, and was {sha256}")


def keys_in(path: Path) -> list[Key]:
    """The units of an archive, the oldest first.

    Raises:
        MovedArchiveUnreadable: it cannot be read.
    """
    with opened(path) as engine, reading(engine) as connection:
        m, x = message.c, exchange.c
        mails = connection.execute(select(m.id).order_by(m.at, m.id)).scalars()
        alone = connection.execute(select(x.id).where(x.message.is_(None)).order_by(x.at, x.id)).scalars()
        return [*(("m", number) for number in mails), *(("x", number) for number in alone)]


def _put_away(ledger: Ledger, number: int, path: Path, keys: Sequence[Key], purge: Purge, stopping: Stopping) -> Gone:
    total = Gone()
    allowed = set(keys)
    with opened(path) as archive:
        for start in range(0, len(keys), _AT_ONCE):
            if stopping():
                return total
            with ledger.transaction() as recorder, reading(archive) as written:
                judge = Judge(recorder.connection, _ANYTHING)
                units = judge.units(keys[start : start + _AT_ONCE])
                same = {unit.key for unit in _unchanged(recorder, written, list(units.values()))}
                allowed -= units.keys() - same
                total += purge(recorder, sorted(same), allowed)
    with ledger.transaction() as recorder:
        recorder.change(moved_archive, number, moved_at=recorder.now)
    return total


def _unchanged(recorder: Recorder, written: Any, units: Sequence[Unit]) -> Iterator[Unit]:
    """The units that the ledger still tells as the archive does; what changed meanwhile stays for another archive."""
    if are_same(recorder.connection, written, *numbers(units)):
        yield from units
        return
    for unit in units:
        if are_same(recorder.connection, written, *numbers([unit])):
            yield unit


def _record(recorder: Recorder, written: Written) -> int:
    number = recorder.add(
        moved_archive,
        at=recorder.now,
        actor=recorder.actor,
        file=str(written.path),
        sha256=written.sha256,
        size=written.size,
        exchanges=written.exchanges,
        messages=written.messages,
        events=written.events,
        first_at=written.first_at,
        last_at=written.last_at,
    )
    recorder.event(
        "moved",
        archive=number,
        file=written.path.name,
        sha256=written.sha256,
        exchanges=written.exchanges,
        messages=written.messages,
        digests=written.digests,
    )
    return number


def _archive(row: Row[Any]) -> Archive:
    return Archive(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public accessor
