"""Lost archive: a person says that what was moved out is lost, or that it was found after all."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import MovedArchiveAltered, MovedArchiveUnreadable, NotAllowedNow, NotFound
from gateway.flow.acts import Act, acting, before
from gateway.flow.context import Context
from gateway.ledger.leases import take_turns_over
from gateway.ledger.moved import Archive, archives, check_file
from gateway.ledger.moved_lost import FOUND, LOST, lost
from gateway.ledger.recording import insisting
from gateway.words import count

_TURN = "moved archives"


@insisting
def say_lost(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """From now on an archive is known to be lost, and no batch asks for it; what was recorded of it stays.

    Raises:
        NotFound: there is none of that number.
        NotAllowedNow: it lies at its place, and is what was written.
    """
    archive = _archive(context, number)
    if _is_whole(archive):
        reason = f"{archive.file} is what was written; take it away first, if nobody may have it any more"
        raise NotAllowedNow(what="archive", key=number, state="at its place", reason=reason)
    with acting(context, actor, dry_run=dry_run) as recorder:
        take_turns_over(recorder.connection, [_TURN])
        said = lost(recorder.connection).get(number)
        if said is not None:
            return before(number, said.words)
        recorder.event(LOST, archive=number, file=Path(archive.file).name, sha256=archive.sha256, reason=reason)
    held = f"{count(archive.exchanges, 'exchange')} and {count(archive.messages, 'mail')}"
    sentence = f"{archive.file} is known to be lost; it had {held}"
    if archive.moved_at is None:
        sentence += ", and what of them has not left the ledger goes into another archive"
    return Act(str(number), sentence)


@insisting
def say_found(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """An archive that was known to be lost lies at its place again, whole, and counts as before.

    Raises:
        NotFound: there is none of that number.
        MovedArchiveUnreadable, MovedArchiveAltered: what was written does not lie at its place.
    """
    archive = _archive(context, number)
    with context.ledger.reading() as connection:
        known = number in lost(connection)
    if known:  # hashed outside of the transaction: it may be big
        check_file(Path(archive.file), archive.sha256)
    with acting(context, actor, dry_run=dry_run) as recorder:
        take_turns_over(recorder.connection, [_TURN])
        if not known or number not in lost(recorder.connection):
            return before(number, "nobody says that it is lost")
        recorder.event(FOUND, archive=number, file=Path(archive.file).name, sha256=archive.sha256, reason=reason)
    return Act(str(number), f"{archive.file} is what was written, and counts again")


def _archive(context: Context, number: int) -> Archive:
    for each in archives(context.ledger):
        if each.id == number:
            return each
    raise NotFound(what="archive", key=number, see="gateway ledger archive list")


def _is_whole(archive: Archive) -> bool:
    try:
        check_file(Path(archive.file), archive.sha256)
    except (MovedArchiveAltered, MovedArchiveUnreadable):
        return False
    return True
