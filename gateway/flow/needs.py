"""Everything that needs a person, wherever it is known: the ledger, what ends with time, the outbox, the machine."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.errors import (
    AlertNotTold,
    BackupFailed,
    ConfigurationFault,
    DatabaseUnavailable,
    DeliveryFailed,
    DocumentFault,
    GatewayError,
    InsecureConnection,
    LeaseLost,
    LoginRefused,
    MailboxBusy,
    MailboxUnavailable,
    NotAuthorized,
    ProgramMissing,
    ProgramTooOld,
    SmtpUnavailable,
    TokenRefused,
    TokenUnavailable,
    Unexpected,
)
from gateway.flow import expiry, logins
from gateway.flow.backup import lateness
from gateway.flow.context import Context
from gateway.flow.outbox import refused_documents
from gateway.flow.outbox_files import FAILED_DIRECTORY, spelt
from gateway.ledger.alerts import last_batches, replies
from gateway.ledger.attention import Attention, attention
from gateway.ledger.events import one_line
from gateway.ledger.leases import SharedLeases
from gateway.ledger.moments import duration, spoken
from gateway.settings import Settings
from gateway.settings.alerts import KINDS, OTHER, REPLY

LIMIT = 20_000  # things that are looked at; with more of them nothing counts as gone
_MB = 1_000_000
_LONGEST = 600  # characters of a sentence

# Kinds of things that only a batch can meet; a look at the ledger alone says nothing about them.
MET = frozenset(
    {"mailbox", "smtp", "login", "no access", "configuration", "database", "defect", "document refused", "night", OTHER}
)
MACHINE = frozenset({"disk"})
_KINDS: tuple[tuple[str, tuple[type[GatewayError], ...]], ...] = (
    ("defect", (Unexpected,)),
    ("backup", (BackupFailed, ProgramMissing, ProgramTooOld)),
    ("no access", (TokenRefused, TokenUnavailable, NotAuthorized)),
    ("login", (LoginRefused, InsecureConnection)),
    ("database", (DatabaseUnavailable,)),
    ("smtp", (SmtpUnavailable,)),
    ("mailbox", (MailboxUnavailable, MailboxBusy)),
    ("not delivered", (DeliveryFailed,)),
    ("document refused", (DocumentFault,)),
    ("configuration", (ConfigurationFault,)),
)
_SPOKEN_FOR = re.compile(r"exchange \d+|message m\d+|mailbox .*, message .*")  # what the ledger's own rows tell
_OUTBOX = "outbox/"
_STATES = {"refused by the partner": "refused", "receipt overdue": "overdue"}  # states with another name as a kind

# Faults that say more than the state.
_CODES = {"document.repeated": "repeated"}


class Need(Struct, frozen=True):
    """One thing that somebody is to be told of. Equal topics are one thing, however often it is met.

    ``subject`` is one sentence that quotes nothing of any document; ``again`` says that each batch meets it anew.
    """

    kind: str
    topic: str
    partner: str
    subject: str
    next_command: str
    side: str
    reference: str
    exchange: int | None = None
    message: int | None = None
    again: bool = False


class Needs(Struct, frozen=True):
    """What there is now. ``whole``: nothing was left out, so that what is absent is gone."""

    found: tuple[Need, ...]
    whole: bool


def needs(context: Context, connection: Connection) -> Needs:
    """Everything that needs a person now; of troubles those of the batch that ``context`` belongs to."""
    listed = attention(connection, LIMIT)
    whole = len(listed) < LIMIT
    listed += logins.attention_for(context.settings.oauth, context.clock())
    listed += expiry.attention_for(context.directory, context.keys.keys, context.clock())
    answers = replies(connection)
    found = [_as_reply(need) if need.message in answers else need for need in map(_of_attention, listed)]
    found += _refused(context)
    found += _of_troubles(context, context.troubles or ())
    found += _disk(context)
    found += _backup(context)
    found += _batches(context, connection)
    return Needs(tuple(found), whole)


def met_by_unit(context: Context, unit: str, troubles: Sequence[tuple[str, GatewayError]]) -> list[Need]:
    """What one unit of a worker met that needs a person."""
    return [*(_refused(context) if unit == "submit" else ()), *_of_troubles(context, troubles)]


def outbox_of(settings: Settings, *, shared: bool) -> str:
    """What a reference to a file of this machine's outbox begins with; machines that share a ledger have one each."""
    return f"{socket.gethostname()}:{spelt(settings.outbox)}/" if shared else _OUTBOX


def is_shared(context: Context) -> bool:
    """Whether other machines may be at work on the same ledger."""
    return isinstance(context.leases, SharedLeases)


def kind_of(thing: Attention) -> str:
    """The kind under which a rule names something that needs a person."""
    if thing.urgent:
        return "escalated"
    for kind in ("not to all", "contradicted"):
        if thing.state.endswith(kind):
            return kind
    if thing.code in _CODES:
        return _CODES[thing.code]
    kind = _STATES.get(thing.state, thing.state)
    return kind if kind in KINDS else OTHER


def topic_of(thing: Attention) -> str:
    """Under which topic something that needs a person is one alert."""
    return f"{kind_of(thing)}/{thing.partner}/{thing.reference}"


def _of_attention(thing: Attention) -> Need:
    return Need(
        kind=kind_of(thing),
        topic=topic_of(thing),
        partner=thing.partner,
        subject=sentence(f"{thing.state.capitalize()}, {thing.what}: {thing.plain or thing.reason}"),
        next_command=thing.next_command,
        side=thing.side,
        reference=thing.reference,
        exchange=thing.exchange,
        message=thing.message,
    )


def _as_reply(need: Need) -> Need:
    """Somebody answered a mail of an alert: were that told by mail again, two machines might never fall silent."""
    return replace(need, kind=REPLY, topic=f"{REPLY}/{need.reference}")


def sentence(text: str) -> str:
    """One line, not too long, without what a terminal would obey."""
    line = " ".join(one_line(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _refused(context: Context) -> Iterator[Need]:
    shared = is_shared(context)
    outbox = outbox_of(context.settings, shared=shared)
    on = f" on {socket.gethostname()}" if shared else ""
    for file in refused_documents(context.settings.outbox):
        partner, name = spelt(file.parent.parent.name), spelt(file.name)
        reason = _place(context.settings) / partner / FAILED_DIRECTORY / f"{name}.why.txt"
        yield Need(
            kind="document refused",
            topic=f"document refused/{outbox}{partner}/{name}",
            partner=partner,
            subject=sentence(f"{name} in the outbox of {partner}{on} could not be sent; beside it lies the reason."),
            next_command=f"cat {shlex.quote(str(reason))}",
            side="ours",
            reference=f"{outbox}{partner}/{name}",
        )


def _place(settings: Settings) -> Path:
    """The outbox as it is typed in the home."""
    outbox, home = settings.outbox, settings.home
    return outbox.relative_to(home) if outbox.is_relative_to(home) else outbox


# ---------------------------------------------------------------- what a batch met


def _of_troubles(context: Context, troubles: Sequence[tuple[str, GatewayError]]) -> Iterator[Need]:
    outbox = outbox_of(context.settings, shared=is_shared(context))
    for where, fault in troubles:
        if _is_spoken_for(where, fault) or not fault.exit_code:  # which is only said
            continue
        reference = f"{outbox}{where.removeprefix(_OUTBOX)}" if where.startswith(_OUTBOX) else where
        kind = next((name for name, classes in _KINDS if isinstance(fault, classes)), OTHER)
        yield Need(
            kind=kind,
            topic=f"{kind}/{reference}",
            partner=where.split("/")[1] if where.count("/") == 2 else "",
            subject=sentence(str(fault)),
            next_command=_command(context.settings, kind, where),
            side=fault.side.value,
            reference=reference,
            again=True,
        )


def _is_spoken_for(where: str, fault: GatewayError) -> bool:
    """Whether the ledger tells of it: an exchange that is not delivered, a rule that fails, who has a lease."""
    told = isinstance(fault, AlertNotTold | LeaseLost) or (where == "deliver" and isinstance(fault, DeliveryFailed))
    return told or _SPOKEN_FOR.fullmatch(where) is not None


def _command(settings: Settings, kind: str, where: str) -> str:
    if kind == "defect":
        return "gateway --debug night"
    if where.startswith("mailbox "):
        return f"gateway mailbox test {where.removeprefix('mailbox ')}"
    if not where.startswith(_OUTBOX):
        return f"ls {shlex.quote(where)}" if kind == "document refused" else "gateway doctor"
    rest = where.removeprefix(_OUTBOX)
    file = shlex.quote(str(_place(settings) / rest))
    if kind == "document refused":
        return f"ls {file}"
    partner = rest.partition("/")[0]
    return f"gateway send {shlex.quote(partner)} {file} --dry-run" if partner else "gateway doctor"


# ---------------------------------------------------------------- the machine


def _disk(context: Context) -> Iterator[Need]:
    least = context.settings.low_disk * _MB
    places: dict[int, Path] = {}
    for place in (context.settings.home, context.settings.inbox):
        with suppress(OSError):  # an inbox that is not there yet
            places.setdefault(place.stat().st_dev, place)
    for place in places.values():
        free = shutil.disk_usage(place).free
        if free < least:
            said = f"Only {free // _MB:,} MB are left on the disk of {place}; without space no mail is taken."
            yield Need("disk", f"disk/{place}", "", sentence(said), f"df -h '{place}'", "ours", str(place))


def _backup(context: Context) -> Iterator[Need]:
    """A scheduled backup failed, or is late; by the same topic as the fault that a batch meets."""
    said = lateness(context.settings, context.clock())
    if said:
        yield Need("backup", "backup/backup", "", sentence(said), "gateway ledger backup", "ours", "backup")


def _batches(context: Context, connection: Connection) -> Iterator[Need]:
    """The batch before this one did not end, or this one began long after it."""
    if context.troubles is None:
        return
    batches = last_batches(connection)
    if len(batches) < 2:
        return
    this, before = batches
    if before.ended_at is None:
        said = f"Batch {before.id}, begun {spoken(before.started_at)}, did not end: it was interrupted."
        yield _night(f"batch {before.id}", said)
    longest = context.settings.batch_expected
    silence = this.started_at - before.started_at
    if longest is not None and silence > longest.total_seconds() * 1000:
        said = f"No batch ran for {duration(silence)} before {spoken(this.started_at)}; one every "
        yield _night("silence", said + f"{duration(int(longest.total_seconds() * 1000))} is expected.")


def _night(name: str, said: str) -> Need:
    return Need("night", f"night/{name}", "", sentence(said), "gateway status", "ours", name)
