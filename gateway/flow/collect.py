"""Collect: take mail from every mailbox and make it ours, durably, before anything is deleted.

POP3 in groups: download a group, commit it (raw bytes, sighting and event in one transaction), mark it for deletion,
and so on; only at the end is the session committed (POP3 QUIT). A UID is never an identity: the same bytes
under another UID are the same message, other bytes under a known UID are a new one. So nothing is deleted
that was not downloaded in this very session.

Only where mail is left on the server does a UID that we know save the download, and it is believed little: it must
stand once in the listing, with the size that it had, and have been there in every listing since; in each run some
of them are asked for their header block, which must be the one that we keep. When its time on the server is over
(``keep_for``), a mail is downloaded once more and deleted only if its bytes are those that we keep; a mail that took
over a known UID is found then at the latest.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from msgspec import Struct, field

from gateway.errors import GatewayError, MessageNotGiven, MessageTooLarge, unexpected
from gateway.flow.context import Context
from gateway.flow.login_pause import check_login
from gateway.ledger import tables
from gateway.ledger.leases import holding
from gateway.ledger.mailboxes import (
    NotTaken,
    Sighted,
    head_of,
    left_on_server,
    mark_deleted,
    messages_of,
    note_not_taken,
)
from gateway.ledger.recording import Fence, Recorder
from gateway.ledger.states import MessageState
from gateway.mail.model import Fetched, HeadReader, Listed, Mailbox, MailboxSession

GROUP_BYTES = 8_000_000  # a group is committed when it is this big, whatever its count
HEADS = 250  # of the mails left on a server, how many show their header block in one run
_VOLATILE = (b"status:", b"x-status:", b"x-keywords:", b"x-uid:", b"x-uidl:", b"content-length:")


class _Visit(Struct):
    """One session with one mailbox: what was listed, what we know of it, what came of it."""

    context: Context
    mailbox: Mailbox
    session: MailboxSession
    keep_on_server: bool
    keep_for: timedelta | None
    fences: tuple[Fence, ...] = ()
    listing: Sequence[Listed] = ()
    doubled: frozenset[str] = frozenset()  # UIDs that stand for several messages
    known: dict[str, list[Sighted]] = field(default_factory=dict)  # only where mail is left on the server
    deleted: list[str] = field(default_factory=list)
    refused: list[tuple[Listed, GatewayError]] = field(default_factory=list)


def collect(context: Context, only: str | None = None) -> None:
    """Empties every mailbox into the ledger, or the one of a name. One that fails is reported; the others go on."""
    settings = {box.name: box for box in context.settings.mailboxes}
    for mailbox in context.mailboxes:
        if only is not None and mailbox.name != only:
            continue
        box = settings.get(mailbox.name)
        kept, span = (box.keep_on_server, box.keep_for) if box is not None else (False, None)
        try:
            with holding(context.leases, f"mailbox:{mailbox.name}") as lease:
                if lease is None:
                    context.reporter.happened("mailboxes left to another worker")
                else:
                    check_login(context, mailbox)
                    fences = () if context.leases.alone else (lease,)
                    collect_from(context, mailbox, keep_on_server=kept, keep_for=span, fences=fences)
        except GatewayError as fault:
            context.reporter.trouble(fault, f"mailbox {mailbox.name}")
        except Exception as problem:  # noqa: BLE001 - one mailbox must not stop the night
            context.reporter.trouble(unexpected(f"mailbox {mailbox.name}", problem), f"mailbox {mailbox.name}")


def collect_from(
    context: Context,
    mailbox: Mailbox,
    *,
    keep_on_server: bool = False,
    keep_for: timedelta | None = None,
    fences: tuple[Fence, ...] = (),
) -> int:
    """Collects one mailbox and returns how many new messages were stored.

    Args:
        context: the ledger, the limits, the reporter.
        mailbox: where from.
        keep_on_server: leave what was taken there.
        keep_for: how long; None is for ever.
        fences: what must be ours whenever a group is committed.

    Raises:
        LeaseLost: somebody else collects this mailbox now; what was committed before is safe.
        Unavailable: the mailbox or the database failed; what was committed before is safe.
    """
    stored = 0
    with mailbox.session() as session:
        visit = _Visit(context, mailbox, session, keep_on_server, keep_for, fences)
        visit.listing = list(session.listing())
        visit.doubled = frozenset(uid for uid, n in Counter(each.uid for each in visit.listing).items() if n > 1)
        context.reporter.step(f"collect {mailbox.name}", len(visit.listing))
        if keep_on_server:
            with context.ledger.reading() as connection:
                visit.known = left_on_server(connection, mailbox.name)
        wanted = _without_giants(visit, _wanted(visit))
        for group in _groups(session, wanted, context.settings.batch_size):
            stored += _take(visit, group)
            context.reporter.advance(len(group))
            if context.stopping():
                break  # what was taken may go; the rest stays for the next run
        _note_left_out(visit)
        session.commit()
        _forget(visit)
    return stored


# ---------------------------------------------------------------- what to download


def _wanted(visit: _Visit) -> list[Listed]:
    """What has to be downloaded: everything, or where mail is left what we do not know and what may go."""
    if not visit.keep_on_server:
        return list(visit.listing)
    left = {each.number: each for each in visit.listing if _is_known(visit, each)}
    due = {number for number, each in left.items() if _is_over(visit, visit.known[each.uid][0])}
    changed = _changed(visit, [each for number, each in left.items() if number not in due])
    return [each for each in visit.listing if each.number not in left or each.number in due | changed]


def _is_known(visit: _Visit, listed: Listed) -> bool:
    sighted = visit.known.get(listed.uid, [])
    alone = bool(listed.uid) and listed.uid not in visit.doubled and len(sighted) == 1
    return alone and sighted[0].size == listed.size


def _is_over(visit: _Visit, sighted: Sighted) -> bool:
    """Whether a mail has been on the server for as long as it may."""
    return visit.keep_for is not None and sighted.at + visit.keep_for.total_seconds() * 1000 <= visit.context.clock()


def _changed(visit: _Visit, left: list[Listed]) -> set[int]:
    """The numbers of those, of some at random, whose header block is not the one that we keep under their UID."""
    session = visit.session
    if not isinstance(session, HeadReader) or not left:
        return set()
    some = random.sample(left, min(len(left), HEADS))  # nothing secret: over the runs, each has its turn
    now = dict(session.heads(some))
    found = set()
    with visit.context.ledger.reading() as connection:
        for listed, head in now.items():
            kept = head_of(connection, visit.known[listed.uid][0].sha256, len(head) + 1_000)
            if _fields(kept) != _fields(head):
                found.add(listed.number)
    return found


def _fields(head: bytes) -> list[bytes]:
    """The lines of a header block, without those that servers change by themselves."""
    lines = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0].strip(b"\n").split(b"\n")
    return [line.rstrip() for line in lines if not line.lower().startswith(_VOLATILE)]


def _without_giants(visit: _Visit, wanted: Sequence[Listed]) -> list[Listed]:
    """A message over the limit is never downloaded and never deleted: it stays on its server, and people are told."""
    limit = visit.context.limits.message_size
    for listed in visit.listing:
        if listed.size > limit:
            visit.refused.append((listed, MessageTooLarge(size=listed.size, limit=limit)))
    if visit.refused:
        _note(visit, finished=False)
    return [each for each in wanted if each.size <= limit]


def _groups(session: MailboxSession, wanted: Sequence[Listed], count: int) -> Iterator[list[Fetched]]:
    """Downloads in groups that are committed together: by count, and by size to bound the memory."""
    group: list[Fetched] = []
    size = 0
    for fetched in session.fetch(wanted):
        group.append(fetched)
        size += fetched.size
        if len(group) >= count or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


# ---------------------------------------------------------------- making it ours


def _take(visit: _Visit, group: Sequence[Fetched]) -> int:
    """Commits a group, then marks what may go from the server. Returns how many messages are new."""
    names = [_name(each) for each in group]
    new = _store(visit, group, names)
    done = [each.listed for each, name in zip(group, names, strict=True) if _may_go(visit, each.listed, name)]
    visit.session.delete(done)
    visit.deleted += [each.uid for each in done]
    return new


def _name(fetched: Fetched) -> str:
    body = fetched.body
    return hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else body.sha256


def _may_go(visit: _Visit, listed: Listed, name: str) -> bool:
    if not visit.keep_on_server:
        return True
    return any(each.sha256 == name and _is_over(visit, each) for each in visit.known.get(listed.uid, ()))


def _store(visit: _Visit, group: Sequence[Fetched], names: Sequence[str]) -> int:
    """One commit: the raw bytes, the message rows, the sightings."""
    mailbox, reporter = visit.mailbox, visit.context.reporter
    with visit.context.ledger.transaction(None, *visit.fences) as recorder:
        seen = messages_of(recorder.connection, names)
        new = 0
        for fetched, name in zip(group, names, strict=True):
            if name in seen:
                recorder.event("resighted", message=seen[name], mailbox=mailbox.name, uid=fetched.listed.uid)
            else:
                seen[name] = _store_message(recorder, mailbox, fetched, name)
                new += 1
            recorder.put(
                tables.sighting,
                mailbox=mailbox.name,
                uid=fetched.listed.uid,
                sha256=name,
                message=seen[name],
                at=recorder.now,
                size=fetched.listed.size,
                state="stored",
            )
            if _took_over(visit, fetched.listed.uid, name):
                mark_deleted(recorder.connection, mailbox.name, [fetched.listed.uid])
        if new:
            recorder.wake("process")
    reporter.happened("collected", new)
    if len(group) > new:
        reporter.happened("seen before", len(group) - new)
    return new


def _took_over(visit: _Visit, uid: str, name: str) -> bool:
    """Whether the UID stood for another mail until now."""
    return uid not in visit.doubled and any(each.sha256 != name for each in visit.known.get(uid, ()))


def _store_message(recorder: Recorder, mailbox: Mailbox, fetched: Fetched, name: str) -> int:
    body = fetched.body
    if isinstance(body, bytes):
        recorder.keep(body, name)
    else:
        recorder.keep_pieces(body.pieces(), name, body.size)
    message = recorder.add(
        tables.message,
        at=recorder.now,
        direction="in",
        state=MessageState.STORED,
        mailbox=mailbox.name,
        host=mailbox.host,
        user=mailbox.user,
        sha256=name,
        size=fetched.size,
    )
    recorder.event("received", message=message, mailbox=mailbox.name, uid=fetched.listed.uid, size=fetched.size)
    return message


# ---------------------------------------------------------------- what stays, and what is gone


def _note_left_out(visit: _Visit) -> None:
    """What the server would not give stays there, and people are told."""
    for listed, reason in visit.session.left_out:
        uid = listed.uid or listed.number
        visit.refused.append(
            (listed, MessageNotGiven(mailbox=visit.mailbox.name, host=visit.mailbox.host, uid=uid, reason=reason))
        )
    for listed, fault in visit.refused:
        where = f"mailbox {visit.mailbox.name}, message {listed.uid or listed.number}"
        visit.context.reporter.trouble(fault, where)
    _note(visit, finished=True)


def _note(visit: _Visit, *, finished: bool) -> None:
    faults = [NotTaken(each.uid or f"number {each.number}", each.size, fault) for each, fault in visit.refused]
    note_not_taken(visit.context.ledger, visit.mailbox.name, faults, finished=finished)


def _forget(visit: _Visit) -> None:
    """The server confirmed the deletions, and some mails have gone by themselves: their UIDs tell nothing any more."""
    listed = {each.uid for each in visit.listing}
    gone = [uid for uid in visit.known if uid not in listed]
    if not visit.deleted and not gone:
        return
    with visit.context.ledger.transaction(None, *visit.fences) as recorder:
        mark_deleted(recorder.connection, visit.mailbox.name, [*visit.deleted, *gone])
