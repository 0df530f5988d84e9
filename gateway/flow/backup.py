"""Backups of a home: made when a person or a setting says so, kept in number, and missed when they do not come."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.errors import (
    BackupDamaged,
    BackupFailed,
    ConfigurationFault,
    GatewayError,
    MigrationsBehind,
    UsageFault,
)
from gateway.flow.context import Context
from gateway.ledger import backup, backup_files, backup_manifest, database
from gateway.ledger.backup import Checked, Order
from gateway.ledger.backup_files import Watcher
from gateway.ledger.backup_manifest import KEY, Manifest
from gateway.ledger.moments import spoken
from gateway.ledger.recording import Ledger
from gateway.settings import FILE_NAME, Settings

NOTE = ".backup-failed.json"  # in the home: when and why the last scheduled backup failed, until one succeeds
_NAME = re.compile(r"ledger-\d{8}T\d{6}Z(\.\d+)?")  # of backups that go by themselves when there are enough
_SOON = 0.9  # of ``every``: a batch at the same hour each night does not wait for the next one
LATE = 1.25  # of ``every``: then somebody should know
_PAUSE = timedelta(hours=1)  # after a failure, if ``every`` is not shorter
_LARGEST = 50_000_000  # bytes of a file of the home


class HomeFiles(Struct, frozen=True):
    """What belongs to a home beside its database: files with their names in a backup, and what is left out and why."""

    files: tuple[tuple[str, Path], ...] = ()
    left_out: tuple[str, ...] = ()


class Wanted(Struct, frozen=True):
    """What a backup is to hold beside the ledger, and how it is made. ``key``: the key file, if it is to be in it."""

    with_home: bool = False
    key: Path | None = None
    full: bool = False
    overwrite: bool = False


def make(ledger: Ledger, settings: Settings, target: Path, wanted: Wanted, watcher: Watcher) -> Checked:
    """Makes a backup, checks it, and says so in the ledger.

    Raises:
        BackupExists, BackupFailed, ProgramMissing, ProgramTooOld, DatabaseUnavailable: none was made.
        UsageFault: it would lie where the gateway takes documents from, or puts them.
    """
    _refuse_inside(settings, target)
    home = home_files(settings).files if wanted.with_home else ()
    if wanted.key is not None:
        home = (*home, (KEY.partition("/")[2], wanted.key))
    order = Order(target, settings.home, ledger.clock(), home, wanted.full, wanted.overwrite)
    made = backup.back_up(ledger.engine, order, watcher)
    if target.parent == settings.backup.directory:
        (settings.home / NOTE).unlink(missing_ok=True)
    with suppress(MigrationsBehind):  # a backup before an upgrade: the old tables have no room for the event
        database.check(ledger.engine)
        manifest = made.manifest
        ledger.record(
            "backup-made", backup=target.name, verified=manifest.verified, newest=manifest.reached.newest.seq,
            sha256=manifest.ledger.sha256, size=manifest.size, key=manifest.holds_key,
        )  # fmt: skip
    return made


def _refuse_inside(settings: Settings, target: Path) -> None:
    for place in (settings.inbox, settings.outbox, settings.partners_directory):
        if target.is_relative_to(place):
            raise UsageFault(reason=f"{target} lies in {place}, which is no place for backups")


def place_for(settings: Settings, target: Path | None, now: int) -> Path:
    """Where a backup goes: the name that was given, or a dated one in the directory that was given or set.

    Args:
        settings: of the home.
        target: a new name, an earlier backup, or a directory for backups; None: the directory of the settings.
        now: ms since 1970 UTC.

    Raises:
        UsageFault: none was given, and none is set.
    """
    directory = target or settings.backup.directory
    if directory is None:
        raise UsageFault(reason="name a directory for the backup, or set [backup] directory in gateway.toml")
    if target is not None and (not target.is_dir() or (target / backup_manifest.FILE_NAME).exists()):
        return target
    stamp = f"ledger-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}"
    found, number = directory / stamp, 1
    while os.path.lexists(found):
        number += 1
        found = directory / f"{stamp}.{number}"
    return found


def home_files(settings: Settings) -> HomeFiles:
    """gateway.toml, the profiles with their guidelines, and certificates of authorities that the settings name.

    The key file is not among them, nor is ``.checkpoint``: it bears witness to what came after a backup.
    """
    found, left_out = {FILE_NAME: settings.home / FILE_NAME}, []
    authorities = [*(each.ca_file for each in settings.mailboxes), *(each.ca_file for each in settings.oauth)]
    authorities += [settings.smtp.ca_file] if settings.smtp else []
    wanted = [Path(each) for each in dict.fromkeys(authorities) if each]
    if settings.partners_directory.is_dir():
        wanted += sorted(settings.partners_directory.rglob("*"))
    for file in wanted:
        if file.is_dir() and not file.is_symlink():
            continue
        reason = _why_not(settings.home, file)
        if reason:
            left_out.append(f"{file}: {reason}")
        else:
            found[file.relative_to(settings.home).as_posix()] = file
    return HomeFiles(tuple(found.items()), tuple(left_out))


def _why_not(home: Path, file: Path) -> str:
    if not file.is_relative_to(home):
        return "it lies outside of the home"
    if file.is_symlink() or not file.is_file():
        return "it is no regular file"
    return "it is too big" if file.stat().st_size > _LARGEST else ""


# ---------------------------------------------------------------- by the setting


class _Stopped(Exception):  # noqa: N818 - not a failure
    """We were asked to end; the next batch makes the backup."""


class _Heeding:
    """A watcher that ends the backup when we are asked to end."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def step(self, name: str, total: int = 0) -> None:
        """Passes it on."""
        self._heed()
        self._context.reporter.step(name, total)

    def advance(self, amount: int = 1) -> None:
        """Passes it on."""
        self._heed()
        self._context.reporter.advance(amount)

    def _heed(self) -> None:
        if self._context.stopping():
            raise _Stopped


def keep_backups(context: Context) -> None:
    """The step of a batch: a backup where one is due, and those that are too many go. What fails stops nothing."""
    settings = context.settings
    directory = settings.backup.directory
    if directory is None or not _is_due(settings, context.clock()):
        return
    target = place_for(settings, None, context.clock())
    try:
        make(context.ledger, settings, target, Wanted(settings.backup.with_home), _Heeding(context))
        _rotate(context, directory)
    except _Stopped:
        return
    except (GatewayError, OSError) as problem:
        fault = problem if isinstance(problem, GatewayError) else BackupFailed(path=target, reason=problem.strerror)
        _note(settings.home, context.clock(), fault)
        context.reporter.trouble(fault, "backup")
        return
    context.reporter.happened("backups made")


def _is_due(settings: Settings, now: int) -> bool:
    every = settings.backup.every / timedelta(milliseconds=1)
    failed = failure(settings.home)
    if failed is not None and 0 <= now - failed["at"] < min(every, _PAUSE / timedelta(milliseconds=1)):
        return False
    newest = newest_backup(settings)
    return newest is None or not 0 <= now - newest.at < every * _SOON


def _rotate(context: Context, directory: Path) -> None:
    url = database.shown(context.ledger.engine.url)
    ours = [path for manifest, path in backups(directory) if manifest.url == url and _NAME.fullmatch(path.name)]
    for each in ours[context.settings.backup.keep :]:
        backup_files.remove(each)
        context.reporter.happened("old backups removed")


def backups(directory: Path) -> list[tuple[Manifest, Path]]:
    """The backups in a directory, the newest first; what is none is left out."""
    return sorted(_found(directory), key=lambda each: each[0].at, reverse=True)


def _found(directory: Path) -> Iterator[tuple[Manifest, Path]]:
    for place in directory.iterdir() if directory.is_dir() else ():
        if place.name.startswith(".") or not (place / backup_manifest.FILE_NAME).is_file():
            continue
        with suppress(BackupDamaged):
            yield backup_manifest.read(place), place


def newest_backup(settings: Settings) -> Manifest | None:
    """The newest backup where the settings keep them; None where there is none."""
    directory = settings.backup.directory
    try:
        return next((manifest for manifest, _ in backups(directory)), None) if directory else None
    except OSError as problem:
        raise ConfigurationFault(reason=f"{directory} cannot be read: {problem.strerror}") from problem


# ---------------------------------------------------------------- what is wrong with them


def lateness(settings: Settings, now: int) -> str:
    """Why somebody should look at the backups; empty where they are in order, or none are wanted."""
    if settings.backup.directory is None:
        return ""
    failed = failure(settings.home)
    if failed is not None:
        return str(failed["message"])
    try:
        newest = newest_backup(settings)
    except ConfigurationFault as fault:
        return str(fault)
    if newest is None:
        return f"There is no backup in {settings.backup.directory}."
    if now - newest.at > settings.backup.every / timedelta(milliseconds=1) * LATE:
        return f"The newest backup in {settings.backup.directory} is of {spoken(newest.at).strip()}."
    return ""


def failure(home: Path) -> dict[str, Any] | None:
    """When (``at``, ms since 1970 UTC) and why (``message``) the last scheduled backup failed; None: it did not."""
    try:
        found = json.loads((home / NOTE).read_bytes())
        return {"at": int(found["at"]), "message": str(found["message"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(home: Path, now: int, fault: GatewayError) -> None:
    note = {"at": now, "code": fault.code, "message": str(fault)}
    with suppress(OSError):  # a full disk: it is tried again by the next batch, and told by this one
        (home / NOTE).write_text(json.dumps(note), "utf-8")
