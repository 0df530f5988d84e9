"""What ``gateway doctor`` says of backups: whether one is young enough, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.flow.backup import lateness, newest_backup
from gateway.flow.check_result import UNAVAILABLE, Check
from gateway.ledger.moments import spoken
from gateway.settings import Settings


def check_backup(settings: Settings, now: int) -> Iterator[Check]:
    """There is a backup that is young enough. ``now``: ms since 1970 UTC."""
    directory = settings.backup.directory
    if directory is None:
        said = "No backup is made by the gateway: gateway.toml has no [backup]."
        yield Check(
            "backup",
            None,
            said,
            "Add one, or let something else run `gateway ledger backup`; docs/backup.md.",
            code="backup.none",
        )
        return
    late = lateness(settings, now)
    if late:
        yield Check(
            "backup", False, late, "Run `gateway ledger backup`; it says what is wrong.", UNAVAILABLE, "backup.late"
        )
        return
    newest = newest_backup(settings)
    if newest is not None:
        yield Check("backup", True, f"The newest backup in {directory} is of {spoken(newest.at).strip()}.")
    if directory.is_dir() and directory.stat().st_dev == settings.home.stat().st_dev:
        said = f"{directory} lies on the same file system as the home: one disk that fails takes both."
        yield Check("backup", None, said, "Keep backups on another disk or machine.", code="backup.same-disk")
