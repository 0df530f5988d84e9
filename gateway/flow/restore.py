"""Restore: a backup takes the ledger's place; no number comes twice, and no mail goes twice without being announced.

Everything is made ready beside the present ledger: the copy, its migration, its numbers, what is in doubt, and the
event that says who did it and why. Then the two change over at once. A restore that ends on the way changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from sqlalchemy import Engine, make_url

from gateway.errors import BackupDamaged, BackupUnfit, CheckpointUnreadable, GatewayError, LedgerNewer
from gateway.flow import checkpoint, restored_numbers
from gateway.flow.checkpoint import Checkpoint
from gateway.flow.context import Context
from gateway.flow.restore_evidence import Outcome, Present, judge, look, why_newer
from gateway.flow.restore_report import Restored, left_on_server, submitted_since
from gateway.flow.restore_settle import Since, settle
from gateway.ledger.backup import not_as_recorded, require_whole
from gateway.ledger.backup_files import Watcher
from gateway.ledger.backup_manifest import SQLITE, Manifest
from gateway.ledger.database import newest, open_engine, reading, revisions, upgrade
from gateway.ledger.reached import numbers
from gateway.ledger.recording import Ledger
from gateway.ledger.restore_postgres import PostgresPlace
from gateway.ledger.restore_sqlite import SqlitePlace
from gateway.settings import Settings

Opened = Callable[[str], AbstractContextManager[Context]]  # url of a database → the steps' context upon it


class Place(Protocol):
    """Where a ledger is put, by the kind of database."""

    def present(self) -> AbstractContextManager[Engine | None]:
        """The ledger that is there; None where there is none."""
        ...

    def stage(self, manifest: Manifest, watcher: Watcher) -> str:
        """Puts the backup's database beside it; gives the url."""
        ...

    def aside(self, stamp: str) -> str:
        """Where the one that is there is to be kept; empty where there is none."""
        ...

    def take(self, kept: str) -> None:
        """Changes the two over; the one that was there goes to ``kept``."""
        ...

    def discard(self) -> None:
        """What was staged goes."""
        ...

    def close(self) -> None:
        """Lets go of the database."""
        ...


class Wish(Struct, frozen=True):
    """What a person wants: which backup, who and why.

    ``replace``: also in the place of a ledger that is newer, or not known to be older. ``ahead``: how many numbers to
    skip where nobody knows how far they came; None: a thousand, and one a second since. ``full``: look at all of it
    first, and verify its events and rows.
    """

    backup: Path
    actor: str
    reason: str
    replace: bool = False
    ahead: int | None = None
    full: bool = False
    dry_run: bool = False


def restore(settings: Settings, url: str, wish: Wish, opened: Opened, watcher: Watcher) -> Restored:
    """Puts a backup in the place of the ledger; the caller has the home's lock.

    Args:
        settings: of the home.
        url: of its database, with the password.
        wish: what to do.
        opened: gives a context upon another database; its clock is the one that counts.
        watcher: is told how far it is.

    Raises:
        BackupDamaged, BackupUnfit: the backup cannot be used.
        DatabaseEncoding: the database cannot hold every text; nothing was changed.
        LedgerNewer: the present ledger is not known to be older, and ``replace`` was not said.
        HomeInUse: a worker is at work, or somebody has the ledger open.
        ProgramMissing, ProgramTooOld, RestoreFailed, DatabaseUnavailable: with the reason; nothing was changed.
        CheckpointUnwritable: the ledger is restored; the next command refuses to work until it can be written.
    """
    manifest = require_whole(wish.backup, watcher, full=wish.full)
    _refuse_unfit(wish.backup, manifest, url)
    known = _known(settings.home)
    with closing(_place(url, settings.home, wish.backup)) as place:
        with place.present() as engine:
            present = look(engine, manifest.reached, known)
        if not wish.replace and (reason := why_newer(present, None, manifest.reached)):
            raise LedgerNewer(path=wish.backup, reason=reason)
        with _staged(place, manifest, watcher) as staged_url:
            with _engine(staged_url) as engine:
                upgrade(engine)
                if wish.full:
                    _refuse_altered(engine, wish.backup, watcher)
            with opened(staged_url) as context:
                kept = place.aside(_stamp(context.clock()))
                done = _settle(context, wish, manifest, present, known, kept)
            if wish.dry_run:
                return done
            place.take(kept)
    with _engine(url) as engine:
        checkpoint.keep(settings.home, Ledger(engine, lambda: manifest.at))
        with reading(engine) as connection:
            restored_numbers.note(wish.backup, numbers(connection))
    return done


def _refuse_unfit(backup: Path, manifest: Manifest, url: str) -> None:
    kind = make_url(url).get_backend_name()
    if kind != manifest.kind:
        names = {SQLITE: "SQLite"}
        said = (
            f"it is of {names.get(manifest.kind, 'PostgreSQL')}, this home's ledger of {names.get(kind, 'PostgreSQL')}"
        )
        raise BackupUnfit(path=backup, reason=said)
    if manifest.revision not in revisions():
        said = f"its tables are of revision {manifest.revision}, which this gateway does not know: a newer one wrote it"
        raise BackupUnfit(path=backup, reason=said)


def _refuse_altered(engine: Engine, backup: Path, watcher: Watcher) -> None:
    with reading(engine) as connection:
        found = not_as_recorded(connection, watcher)
    if found:
        raise BackupDamaged(path=backup, reason=" ".join(found[:3]).removesuffix("."))


def _known(home: Path) -> Checkpoint | None:
    try:
        return checkpoint.read(home)
    except CheckpointUnreadable:
        return None


def _place(url: str, home: Path, backup: Path) -> Place:
    if make_url(url).get_backend_name() == SQLITE:
        return SqlitePlace(url, home, backup)
    return PostgresPlace(url, home, backup)


@contextmanager
def _staged(place: Place, manifest: Manifest, watcher: Watcher) -> Iterator[str]:
    """The backup's database beside the present one; gone at the end unless it was taken."""
    try:
        yield place.stage(manifest, watcher)
    except BaseException:
        with suppress(GatewayError, OSError):  # the next restore clears it away
            place.discard()
        raise
    place.discard()


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _settle(
    context: Context, wish: Wish, manifest: Manifest, present: Present, known: Checkpoint | None, kept: str
) -> Restored:
    """Makes the staged ledger fit to go on with, and says in it what was done."""
    with reading(context.ledger.engine) as connection:
        if not wish.replace and (reason := why_newer(present, connection, manifest.reached)):
            raise LedgerNewer(path=wish.backup, reason=reason)
    outcome = judge(present, manifest.reached)
    since = Since(manifest.at, present, known, outcome, restored_numbers.noted(wish.backup), wish.ahead)
    with context.ledger.transaction(wish.actor) as recorder:
        settled = settle(context, recorder, since, reason=wish.reason)
        found = present.reached.newest.seq if present.reached else None
        recorder.event(
            "ledger-restored", backup=wish.backup.name, made_at=manifest.at, newest=manifest.reached.newest.seq,
            found=found or None, known=known.seq if known else None, outcome=outcome, kept=Path(kept).name,
            reason=wish.reason, place=checkpoint.place_of(context.settings.home),
        )  # fmt: skip
        now = recorder.now
    return Restored(
        backup=str(wish.backup),
        made_at=manifest.at,
        newest=manifest.reached.newest.seq,
        outcome=outcome,
        settled=settled,
        lost_until=_lost_until(outcome, present, now),
        lost=present.lost if outcome is Outcome.NUMBERS_KNOWN else {},
        kept=kept,
        revision=(manifest.revision, newest()),
        submitted=submitted_since(context.settings.outbox, manifest.at),
        left_on_server=left_on_server(context.settings),
        again=present.again,
        dry_run=wish.dry_run,
    )


def _lost_until(outcome: Outcome, present: Present, now: int) -> int:
    if outcome is Outcome.NUMBERS_KNOWN and present.reached is not None:
        return present.reached.newest.at
    return now


def _stamp(now: int) -> str:
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d_%H%M%S}"
