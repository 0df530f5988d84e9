"""The files of a home that a backup holds, put back: one that differs is kept under another name, or refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from gateway.errors import BackupDamaged, FileInTheWay, RestoreFailed
from gateway.ledger import backup_files
from gateway.ledger.backup_manifest import HOME, KeptFile, Manifest


class Written(Struct, frozen=True):
    """What was put back, what was there already, and what was kept under another name; paths within the home."""

    files: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def restore_home(home: Path, backup: Path, manifest: Manifest, now: int, *, replace: bool, dry_run: bool) -> Written:
    """Puts the files back, each whole or not at all.

    Args:
        home: made where it is not there.
        backup: the backup's directory.
        manifest: of the backup.
        now: ms since 1970 UTC, for the names of what is kept.
        replace: also in the place of a file with other content, which is kept.
        dry_run: only tell.

    Raises:
        FileInTheWay: a file differs, and ``replace`` was not said; nothing was changed.
        BackupDamaged: a file is not what was backed up.
        RestoreFailed: with the reason; what was put back before stays.
    """
    try:
        differs = {each.name: _differs(home / _within(each), each) for each in manifest.home_files}
        if not replace:
            _refuse_in_the_way(home, manifest, differs)
        stamp = f"replaced_{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d_%H%M%S}"
        wanted = [each for each in manifest.home_files if differs[each.name] is not False]
        kept = [each for each in wanted if differs[each.name]]
        if not dry_run:
            for each in wanted:
                _put(home / _within(each), backup, each, stamp)
    except OSError as problem:
        raise RestoreFailed(path=backup, reason=f"{problem.filename}: {problem.strerror or problem}") from problem
    return Written(
        files=tuple(_within(each) for each in wanted),
        same=tuple(_within(each) for each in manifest.home_files if differs[each.name] is False),
        kept=tuple(f"{_within(each)}.{stamp}" for each in kept),
    )


def _within(kept: KeptFile) -> str:
    return kept.name.removeprefix(f"{HOME}/")


def _differs(place: Path, kept: KeptFile) -> bool | None:
    """Whether what is there is something else; None where nothing is there."""
    if not os.path.lexists(place):
        return None
    if place.is_symlink() or not place.is_file():
        return True
    return backup_files.hashed(place) != (kept.size, kept.sha256)


def _refuse_in_the_way(home: Path, manifest: Manifest, differs: dict[str, bool | None]) -> None:
    for each in manifest.home_files:
        if differs[each.name]:
            raise FileInTheWay(path=home / _within(each))


def _put(place: Path, backup: Path, kept: KeptFile, stamp: str) -> None:
    place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    made = place.with_name(f".{place.name}.restoring")
    made.unlink(missing_ok=True)
    if backup_files.copy(backup / kept.name, made) != (kept.size, kept.sha256):
        made.unlink()
        raise BackupDamaged(path=backup, reason=f"{kept.name} is not what was backed up")
    if os.path.lexists(place):
        place.rename(place.with_name(f"{place.name}.{stamp}"))
    made.rename(place)
    backup_files.sync(place.parent)
