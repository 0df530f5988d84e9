"""Checkpoint: what this home last knew of its ledger, kept beside it, so that an older ledger put back is noticed.

A ledger restored from a backup gives control numbers out again that partners have seen, and takes for new what it
answered long ago. It cannot know that by itself. So a small file says how far the ledger had come: its newest event,
and the next number of every series. It is written, durably, before anything is sent and when a command has ended;
nothing is collected or sent with a ledger that is behind it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field
from sqlalchemy import Connection, func, select, update

from gateway.errors import CheckpointUnreadable, CheckpointUnwritable, LedgerBehind
from gateway.ledger import tables
from gateway.ledger.archive import insert
from gateway.ledger.moments import spoken
from gateway.ledger.reached import marked, newest, numbers
from gateway.ledger.recording import Ledger, Recorder
from gateway.values import asdict
from partners.numbering import LAST, distance

FILE_NAME = ".checkpoint"
AHEAD = 1_000  # numbers skipped in each series when an older ledger is accepted
_ACCEPTED = "restore-accepted"  # the event
_RESTORED = "ledger-restored"  # the event; its own machine has finished once its checkpoint is written
WRAPPED = 10_000_000  # two counts that are further apart are not one of them after its wrap


class Checkpoint(Struct, frozen=True):
    """How far a ledger had come. ``mark`` is the hash of event ``seq``: another history has another one."""

    seq: int = 0
    at: int = 0  # of that event, ms since 1970 UTC
    mark: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)  # JSON list of partner, ours, theirs, level → next


class Jump(Struct, frozen=True):
    """A series of control numbers that was moved ahead: ``before`` was the next one, ``after`` is it now."""

    partner: str
    ours: str
    theirs: str
    level: str
    before: int
    after: int


def verify(home: Path, ledger: Ledger) -> None:
    """Says nothing when the ledger is at the checkpoint of this home or further, or there is none yet.

    An older one that somebody accepted or restored since, on another machine that shares it, is the newest there is.

    Raises:
        LedgerBehind: it is older, or has another history.
        CheckpointUnreadable: the file is there and tells nothing.
        DatabaseUnavailable: with the reason.
    """
    known = read(home)
    if known is None or not known.seq:
        return
    with ledger.reading() as connection:
        found = marked(connection, known.seq)
        if found.mark == known.mark:
            return
        if _accepted(connection, known, place_of(home)):
            return
        last = newest(connection)
        oldest = connection.execute(select(func.min(tables.event.c.seq))).scalar() or 0
    if found.seq or oldest <= known.seq:  # else it was put away in order: history is kept for so long only
        raise LedgerBehind(
            newest=f"event {last.seq} ({spoken(last.at).strip()})" if last.seq else "no event",
            known=f"event {known.seq} ({spoken(known.at).strip()})",
        )


def place_of(home: Path) -> str:
    """What tells this home from those on other machines that share its ledger."""
    return hashlib.sha256(f"{socket.gethostname()} {home.resolve()}".encode()).hexdigest()[:24]


def _accepted(connection: Connection, known: Checkpoint, place: str) -> bool:
    """Whether an older ledger was accepted since, and its numbers are past all that were known here.

    A restore here that did not come to its end is none: nothing goes out before somebody has looked.
    """
    e = tables.event.c
    told = select(e.kind, e.body).where(e.at > known.at, e.kind.in_((_ACCEPTED, _RESTORED)))
    if all(row.kind == _RESTORED and json.loads(row.body).get("place") == place for row in connection.execute(told)):
        return False
    found = numbers(connection)
    return all(ahead_of((found.get(name, 1), known.numbers[name]), 0) == found.get(name) for name in known.numbers)


def keep(home: Path, ledger: Ledger) -> None:
    """Writes down how far the ledger has come; durable when this returns.

    Raises:
        CheckpointUnwritable: with the reason.
        DatabaseUnavailable: with the reason.
    """
    with ledger.reading() as connection:
        last = newest(connection)
        current = Checkpoint(last.seq, last.at, last.mark, numbers(connection))
    with suppress(CheckpointUnreadable):
        if read(home) == current:
            return
    try:
        _write(home / FILE_NAME, json.dumps(asdict(current), sort_keys=True).encode())
    except OSError as problem:
        raise CheckpointUnwritable(path=home / FILE_NAME, reason=problem.strerror or problem) from problem


def accepted_before(home: Path, ledger: Ledger) -> bool:
    """Whether the newest thing that this home has seen is that the ledger was accepted: nothing was used since."""
    try:
        verify(home, ledger)
    except (LedgerBehind, CheckpointUnreadable):
        return False
    e = tables.event.c
    with ledger.reading() as connection:
        kind = connection.execute(select(e.kind).order_by(e.seq.desc()).limit(1)).scalar()
    return kind == _ACCEPTED


class _UndoneError(Exception):
    """A dry run has seen what it wanted."""


def accept(
    home: Path, ledger: Ledger, *, actor: str, reason: str, ahead: int = AHEAD, dry_run: bool = False
) -> tuple[Jump, ...]:
    """Takes an older ledger as the newest there is: its numbers jump past all that may be in use.

    The jump is counted from the highest next number that is known of a series, since numbers may have been taken
    after the checkpoint was written.

    Raises:
        CheckpointUnreadable, CheckpointUnwritable, DatabaseUnavailable: with the reason.
    """
    known = read(home) or Checkpoint()
    jumps: tuple[Jump, ...] = ()
    with suppress(_UndoneError), ledger.transaction(actor) as recorder:
        found = numbers(recorder.connection)
        after = {
            name: ahead_of((each[name] for each in (found, known.numbers) if name in each), ahead)
            for name in found.keys() | known.numbers.keys()
        }
        jumps = put_numbers(recorder, after, reason=reason)
        if dry_run:
            raise _UndoneError
        recorder.event(_ACCEPTED, found=newest(recorder.connection).seq, known=known.seq, reason=reason)
    if not dry_run:
        keep(home, ledger)
    return jumps


def ahead_of(known: Iterable[int], ahead: int) -> int:
    """The number that lies ``ahead`` of the furthest of some next numbers, counted across the wrap at 999999999."""
    first, *rest = known
    furthest = first
    for each in rest:
        way = distance(furthest, each)
        if way > 0 if abs(way) <= WRAPPED else each > furthest:
            furthest = each
    return (furthest + ahead - 1) % LAST + 1


def put_numbers(recorder: Recorder, after: Mapping[str, int], *, reason: str) -> tuple[Jump, ...]:
    """Series of control numbers go on elsewhere, each with an event that says so; those that stand there are left.

    Args:
        recorder: of the transaction.
        after: JSON list of partner, ours, theirs, level → the next number from now on.
        reason: why.
    """
    table, connection = tables.control_number, recorder.connection
    found = numbers(connection)
    jumps = []
    for name in sorted(after):
        partner, ours, theirs, level = json.loads(name)
        jump = Jump(partner, ours, theirs, level, found.get(name, 1), after[name])
        if jump.before == jump.after:
            continue
        key = {"partner": partner, "ours": ours, "theirs": theirs, "level": level}
        connection.execute(insert(connection, table).on_conflict_do_nothing(), key | {"next": 1})
        same = (table.c[column] == value for column, value in key.items())
        connection.execute(update(table).where(*same).values(next=jump.after))
        recorder.event("numbers-jumped", partner=partner, ours=ours, theirs=theirs, level=level,
                       before=jump.before, after=jump.after, reason=reason)  # fmt: skip
        jumps.append(jump)
    return tuple(jumps)


def read(home: Path) -> Checkpoint | None:
    """The checkpoint of a home; None where there is none yet.

    Raises:
        CheckpointUnreadable: the file is there and tells nothing.
    """
    file = home / FILE_NAME
    try:
        return Checkpoint(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as problem:
        raise CheckpointUnreadable(path=file, reason=problem) from problem


def _write(file: Path, data: bytes) -> None:
    """The file whole and durable, or as it was before."""
    temporary = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(_alone(temporary), "wb") as out:
            out.truncate()
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
            temporary.rename(file)
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _alone(file: Path) -> int:
    """The file, opened for writing by nobody else: workers may share a home."""
    while True:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # it became the checkpoint while we waited
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        os.close(descriptor)
