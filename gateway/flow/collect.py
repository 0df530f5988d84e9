"""Collect: mail leaves its server only after its bytes and its ledger row are durable.

List, fetch a group, commit it (raw bytes, sighting and event in one transaction), mark it for deletion,
and so on; only at the end is the session committed (POP3 QUIT). A UID is never an identity: the same bytes
under another UID are the same message, other bytes under a known UID are a new one. So nothing is deleted
that was not downloaded in this very session; only where mail is left on the server does a UID that we know
save the download.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import update

from gateway.errors import GatewayError, MessageNotGiven, MessageTooLarge, unexpected
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import MessageState
from gateway.ledger.work import known_uids, messages_of
from gateway.mail.model import Fetched, Listed, Mailbox, MailboxSession

GROUP_BYTES = 8_000_000  # a group is committed when it is this big, whatever its count


def collect(context: Context) -> None:
    """Empties every mailbox into the ledger. A mailbox that fails is reported; the others go on."""
    kept = {box.name for box in context.settings.mailboxes if box.keep_on_server}
    for mailbox in context.mailboxes:
        try:
            collect_from(context, mailbox, keep_on_server=mailbox.name in kept)
        except GatewayError as fault:
            context.reporter.trouble(fault, f"mailbox {mailbox.name}")
        except Exception as problem:  # noqa: BLE001 - one mailbox must not stop the night
            context.reporter.trouble(unexpected(f"mailbox {mailbox.name}", problem), f"mailbox {mailbox.name}")


def collect_from(context: Context, mailbox: Mailbox, *, keep_on_server: bool = False) -> int:
    """Collects one mailbox and returns how many new messages were stored.

    Raises:
        Unavailable: the mailbox or the database failed; what was committed before is safe.
    """
    stored = 0
    with mailbox.session() as session:
        listing = list(session.listing())
        context.reporter.step(f"collect {mailbox.name}", len(listing))
        with context.ledger.reading() as connection:
            known = known_uids(connection, mailbox.name, [each.uid for each in listing])
        fresh = [each for each in listing if not keep_on_server or known.get(each.uid) != each.size]
        _refuse_giants(context, mailbox, [each for each in fresh if _too_large(context, each)])
        wanted = [each for each in fresh if not _too_large(context, each)]
        for group in _groups(session, wanted, context.settings.batch_size):
            stored += _store(context, mailbox, group)
            if not keep_on_server:
                session.delete([each.listed for each in group])
            context.reporter.advance(len(group))
        _report_left_out(context, mailbox, session)
        session.commit()
        if not keep_on_server:
            _forget(context, mailbox, listing)
    return stored


def _too_large(context: Context, listed: Listed) -> bool:
    return listed.size > context.limits.message_size


def _groups(session: MailboxSession, wanted: Sequence[Listed], count: int) -> Iterator[list[Fetched]]:
    """Downloads in groups that are committed together: by count, and by size to bound the memory."""
    downloads = session.fetch(wanted)
    group: list[Fetched] = []
    size = 0
    for fetched in downloads:
        group.append(fetched)
        size += len(fetched.raw)
        if len(group) >= count or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _store(context: Context, mailbox: Mailbox, group: Sequence[Fetched]) -> int:
    """One commit: the raw bytes, the message rows, the sightings. Returns how many messages are new."""
    names = [hashlib.sha256(each.raw).hexdigest() for each in group]
    with context.ledger.transaction() as recorder:
        seen = messages_of(recorder.connection, names)
        new = 0
        for fetched, name in zip(group, names, strict=True):
            if name in seen:
                recorder.event("resighted", message=seen[name], mailbox=mailbox.name, uid=fetched.listed.uid)
            else:
                seen[name] = _store_message(recorder, mailbox, fetched)
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
    context.reporter.happened("collected", new)
    if len(group) > new:
        context.reporter.happened("seen before", len(group) - new)
    return new


def _store_message(recorder: Recorder, mailbox: Mailbox, fetched: Fetched) -> int:
    message = recorder.add(
        tables.message,
        at=recorder.now,
        direction="in",
        state=MessageState.STORED,
        mailbox=mailbox.name,
        host=mailbox.host,
        user=mailbox.user,
        sha256=recorder.keep(fetched.raw),
        size=len(fetched.raw),
    )
    recorder.event("received", message=message, mailbox=mailbox.name, uid=fetched.listed.uid, size=len(fetched.raw))
    return message


def _report_left_out(context: Context, mailbox: Mailbox, session: MailboxSession) -> None:
    """What the server would not give stays there, and people are told."""
    for listed, reason in session.left_out:
        fault = MessageNotGiven(mailbox=mailbox.name, host=mailbox.host, uid=listed.uid, reason=reason)
        context.reporter.trouble(fault, f"mailbox {mailbox.name}")


def _refuse_giants(context: Context, mailbox: Mailbox, giants: Sequence[Listed]) -> None:
    """A message over the limit is never downloaded and never deleted: it stays on its server, and people are told."""
    for listed in giants:
        fault = MessageTooLarge(size=listed.size, limit=context.limits.message_size)
        context.reporter.trouble(fault, f"mailbox {mailbox.name}, message {listed.uid}")


def _forget(context: Context, mailbox: Mailbox, listing: Sequence[Listed]) -> None:
    """The server confirmed the deletions: the sightings say so. Their absence would be harmless."""
    uids = iter([each.uid for each in listing])
    table = tables.sighting
    with context.ledger.transaction() as recorder:
        while chunk := list(islice(uids, 500)):
            recorder.connection.execute(
                update(table).where(table.c.mailbox == mailbox.name, table.c.uid.in_(chunk)).values(state="deleted")
            )
