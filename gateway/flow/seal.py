"""Seal: how far the ledger's tree has come is signed and kept where the ledger cannot be rewritten: a file, a mail.

First the note goes outside, then the ledger says so: a seal that the ledger forgot is a seal all the same. A mail with
the newest seal is tried again by every batch until the SMTP host took it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from gateway.errors import SealUnwritable, SecretMissing
from gateway.flow.context import Context
from gateway.flow.own_mail import record_own_mail
from gateway.ledger import seals, tables, tree
from gateway.ledger.archive import insert
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.seals import Seal, SealKey
from gateway.ledger.states import MessageState
from gateway.mail.compose import compose, message_id
from gateway.mail.model import Attachment, Draft, OutgoingMail
from gateway.settings import Settings
from gateway.values import asdict

_OWN = 2  # leaves that a seal itself adds to the tree: a tree that grew by no more has nothing new in it
_MAIL_KIND = "seal"


class Sealed(Struct, frozen=True):
    """A seal that was made: its signed note, the key that signed it, and the file that it was appended to."""

    seal: Seal
    note: str
    key: SealKey
    file: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the root in hexadecimal."""
        told = asdict(self.seal) | {"root": self.seal.root.hex()}
        return told | {"note": self.note, "key": str(self.key), "file": str(self.file)}


def origin(domain: str) -> str:
    """The name of a ledger in its seals, and of the key that signs them: it follows the domain, the key stays."""
    return f"{domain}/ledger"


def seals_file(settings: Settings) -> Path:
    """The file that seals are appended to."""
    return settings.seal.file or settings.home / "seals.txt"


def public_key(context: Context) -> SealKey:
    """The public half of the key that signs our seals; made where there is none yet.

    Raises:
        SecretMissing, SecretUnreadable, ConfigurationFault: the private half cannot be read or kept.
    """
    return seals.public_key(origin(context.settings.domain), _private(context))


def seal_when_due(context: Context) -> None:
    """Seals when the time of the setting has passed since the last seal, and mails what is still to be mailed."""
    if context.seal_key is None:
        return
    every = context.settings.seal.every
    with context.ledger.reading() as connection:
        last = _newest(connection)
        grown = tree.head_of(connection).size - (last.size if last else 0)
    if every is not None and grown > _OWN:
        waited = context.clock() - (last.at if last else 0)
        if waited >= int(every.total_seconds() * 1000):
            seal(context)
            context.reporter.happened("seals")
    mail_newest(context)


def seal(context: Context, file: Path | None = None) -> Sealed:
    """Signs the tree as it stands, appends the note to the file of the setting (or to ``file``), and records it.

    Raises:
        SealUnwritable: the file cannot be written; nothing was recorded.
        SecretUnreadable, ConfigurationFault: the key cannot be read or kept.
        DatabaseUnavailable: with the reason.
    """
    name = origin(context.settings.domain)
    private = _private(context)
    with context.ledger.reading() as connection:
        head = tree.head_of(connection)
    made = seals.make_seal(name, head.size, head.root, head.seq, context.clock())
    note = seals.sign(made, name, private)
    target = file or seals_file(context.settings)
    _append(target, note)

    def record(recorder: Recorder) -> None:
        row = {"size": made.size, "seq": made.seq, "at": recorder.now, "note": note, "by": recorder.actor}
        recorder.connection.execute(insert(recorder.connection, tables.seal).on_conflict_do_nothing(), row)
        recorder.event("sealed", size=made.size, root=made.root.hex(), newest=made.seq, file=str(target))

    context.ledger.write(record)
    return Sealed(made, note, seals.public_key(name, private), target)


def mail_newest(context: Context) -> bool:
    """Mails the newest seal to the addresses of the setting, unless that was done; says whether it was done now.

    Raises:
        GatewayError: the SMTP host did not take it; the next batch tries again.
    """
    settings = context.settings
    if not settings.seal.to or context.transport is None or settings.smtp is None:
        return False
    with context.ledger.reading() as connection:
        newest = _newest(connection)
        if newest is None:
            return False
        draft = _letter(context, newest.note, newest.size, newest.at)
        m = tables.message.c
        known = connection.execute(select(m.id, m.state).where(m.message_id == draft.message_id)).first()
    if known is not None and known.state == MessageState.SENT:
        return False
    raw = compose(draft)
    row = known.id if known is not None else context.ledger.write(_queued(context, draft, raw))
    with context.transport.session() as session:
        taken = session.send(OutgoingMail(settings.smtp.sender, settings.seal.to, raw))
    with context.ledger.transaction() as recorder:
        recorder.change(tables.message, row, state=MessageState.SENT)
        to = ", ".join(settings.seal.to)
        recorder.event("seal-mailed", message=row, size=newest.size, to=to, reply=taken.reply)
    return True


def _private(context: Context) -> bytes:
    if context.seal_key is None:
        raise SecretMissing(name="seal")
    return context.seal_key()


def _queued(context: Context, draft: Draft, raw: bytes) -> Callable[[Recorder], int]:
    def work(recorder: Recorder) -> int:
        smtp = context.settings.smtp
        assert smtp is not None
        return record_own_mail(recorder, smtp, draft, raw, _MAIL_KIND)

    return work


def _letter(context: Context, note: str, size: int, at: int) -> Draft:
    """The mail with a seal: the same whenever the seal is the same."""
    settings = context.settings
    assert settings.smtp is not None
    key = public_key(context)
    body = (
        f"The attached file is a seal of the EDI ledger of {settings.name}, made on {iso(at)} over {size} events.\n"
        "Keep it: with it, and with the key of the seals, `gateway ledger verify --full --seals FILE --key KEY` shows\n"
        "whether anything that was recorded before was changed or removed later.\n\n"
        f"The key, to be compared with the one that you were given: {key}\n"
    )
    return Draft(
        sender=settings.smtp.sender,
        sender_name=settings.smtp.sender_name,
        to=settings.seal.to,
        subject=f"[{settings.name}] Seal of the EDI ledger over {size} events",
        message_id=message_id(settings.domain, f"seal {size} {at}"),
        body=body,
        attachments=(Attachment(f"seal-{size}.txt", "text/plain; charset=utf-8", note.encode()),),
        date=at / 1000,
        headers=(("Precedence", "list"), ("X-Auto-Response-Suppress", "All")),
    )


def _newest(connection: Connection) -> Any:
    """The row of the newest seal; None where there is none."""
    return connection.execute(select(tables.seal).order_by(tables.seal.c.size.desc()).limit(1)).first()


def _append(file: Path, note: str) -> None:
    """The note is at the end of the file, and on the disk, when this returns."""
    try:
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            data = (("" if new else "\n") + note).encode()
            if os.write(descriptor, data) != len(data):
                raise SealUnwritable(path=file, reason="it was not written to its end")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_directory(file.parent)
    except OSError as problem:
        raise SealUnwritable(path=file, reason=problem.strerror or problem) from problem


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
