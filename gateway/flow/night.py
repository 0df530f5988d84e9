"""Night: one whole batch. The tuple below is the way of a message."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import func, select

from gateway.errors import DiskFailed, GatewayError, unexpected
from gateway.flow import checkpoint, configuration, logins
from gateway.flow.ahead import Ahead
from gateway.flow.alerts import alert
from gateway.flow.alongside import Alongside, worth_it
from gateway.flow.arrivals import expect
from gateway.flow.backup import keep_backups
from gateway.flow.collect import collect
from gateway.flow.context import Context
from gateway.flow.deliver import deliver
from gateway.flow.diary import Diary
from gateway.flow.dispatch import dispatch
from gateway.flow.expiry import attention_for
from gateway.flow.gaps import raise_gaps
from gateway.flow.inbound import prepare, process
from gateway.flow.outbox import submit_outbox
from gateway.flow.overdue import overdue
from gateway.flow.reporter import Chorus, HearsBatches, Reporter, Tally
from gateway.flow.retain import retain
from gateway.flow.seal import seal_when_due
from gateway.ledger import tables
from gateway.ledger.attention import Attention, attention, left_out
from gateway.ledger.leases import SharedLeases, take_turns_over

Step = Callable[[Context], None]

_LISTED = 1000  # things that need a person; the others are counted
_TWO = 2  # processes: this one, and one that delivers and sends


def process_all(context: Context) -> None:
    """Processes what is stored; of a big batch one more process opens the next mails, and one sends what is done."""
    if not worth_it(context):
        process(context)
        return
    checkpoint.keep(context.settings.home, context.ledger)  # another process sends too
    with Alongside(context), _ahead(context) as ahead:
        process(context, ahead)


def _ahead(context: Context) -> AbstractContextManager[Ahead | None]:
    shared = isinstance(context.leases, SharedLeases)  # there each worker opens what it claims
    return Ahead(context, prepare) if context.settings.processes > _TWO and not shared else nullcontext()


def send(context: Context) -> None:
    """Sends what is due, once it stands beside the ledger how far its numbers have come."""
    checkpoint.keep(context.settings.home, context.ledger)
    dispatch(context)


STEPS: tuple[tuple[str, Step], ...] = (
    ("collect", collect),  # mail → the ledger, then off the server
    ("process", process_all),  # unpack → identify → examine → acknowledge
    ("deliver", deliver),  # → the business
    ("submit", submit_outbox),  # the business's documents → numbers and envelope
    ("dispatch", send),  # → the SMTP host
    ("reconcile", overdue),  # what should have come by now
    ("numbers", raise_gaps),  # what is missing in partners' numbers
    ("expected", expect),  # files that should have come by an hour
    ("backup", keep_backups),  # a copy of the ledger, where one is due
    ("alert", alert),  # who should know of what needs a person
    ("retain", retain),  # what is over its time, where gateway.toml says that the night puts it away
    ("seal", seal_when_due),  # how far the ledger has come, signed, to where it cannot be rewritten
)

# What counts as a document or message that needs a person, for the exit code.
_BAD = (
    "messages quarantined",
    "interchanges quarantined",
    "interchanges rejected",
    "interchanges partially accepted",
    "interchanges conflict",
    "documents refused",
    "mails failed",
    "mails held in doubt",
)


class Summary(Struct, frozen=True):
    """What one batch did, in numbers and in words."""

    batch: int
    started_at: int
    ended_at: int
    counts: dict[str, int]
    troubles: tuple[tuple[str, GatewayError], ...]
    attention: tuple[Attention, ...] = field(default=())
    left_out: int = 0  # how many more things need a person

    @property
    def exit_code(self) -> int:
        """The gravest of what happened.

        1 for a defect of ours, 69 when a mailbox, host or database was away, 78 for the configuration, 65 for
        documents or messages that need a person, else 0.
        """
        codes = {fault.exit_code for _, fault in self.troubles}
        bad = any(self.counts.get(name) for name in _BAD)
        for code in (1, 69, 78):
            if code in codes:
                return code
        if 2 in codes:
            return 78  # an unknown partner or the like: not what somebody typed, but what is set up
        return 65 if bad or 65 in codes else 0

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "batch": self.batch,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "seconds": (self.ended_at - self.started_at) / 1000,
            "counts": self.counts,
            "troubles": [{"where": where, **fault.as_dict()} for where, fault in self.troubles],
            "attention": [each.as_dict() for each in self.attention],
            "left_out": self.left_out,
            "exit_code": self.exit_code,
        }


def night(make_context: Callable[[Reporter], Context], *reporters: Reporter) -> Summary:
    """Runs every step once, in order. A step that fails is reported; the steps after it still run.

    Only a ledger whose disk fails ends the batch at once; asked to stop, it begins no further step.

    Args:
        make_context: gives the context for a reporter (``App.context``).
        reporters: who else wants to hear of it.
    """
    tally = Tally()
    context = replace(make_context(Chorus(tally, *reporters)), troubles=tally.troubles)
    configuration.note(context.ledger, context.settings)
    batch, started_at = _begin(context)
    diary = Diary(context, tally, batch, started_at)
    hearing = [each for each in reporters if isinstance(each, HearsBatches)]
    for each in hearing:
        each.begin(batch)
    for name, step in STEPS:
        if context.stopping():
            break
        for each in hearing:
            each.enter(name)
        with diary.step(name):
            _run(context, name, step)
        if any(isinstance(fault, DiskFailed) for _, fault in tally.troubles):
            break  # nothing is built upon a disk that failed: the next run begins with what is really there
    return _end(context, tally, batch, started_at, diary)


def _run(context: Context, name: str, step: Step) -> None:
    try:
        step(context)
    except GatewayError as fault:
        context.reporter.trouble(fault, name)
    except Exception as problem:  # noqa: BLE001 - one step must not stop the others
        context.reporter.trouble(unexpected(f"the step {name}", problem), name)


def _begin(context: Context) -> tuple[int, int]:
    table = tables.batch
    with context.ledger.transaction() as recorder:
        take_turns_over(recorder.connection, ["a batch"])  # on PostgreSQL another machine may begin one too
        highest = recorder.connection.execute(select(func.max(table.c.id))).scalar() or 0
        recorder.connection.execute(table.insert().values(id=highest + 1, started_at=recorder.now))
        return highest + 1, recorder.now


def _end(context: Context, tally: Tally, batch: int, started_at: int, diary: Diary) -> Summary:
    with context.ledger.reading() as connection:
        waiting = tuple(attention(connection, _LISTED))
        more = left_out(connection, len(waiting), _LISTED)
    waiting += tuple(logins.attention_for(context.settings.oauth, context.clock()))
    waiting += tuple(attention_for(context.directory, context.keys.keys, context.clock()))
    summary = Summary(batch, started_at, context.clock(), dict(tally.counts), tuple(tally.troubles), waiting, more)
    diary.end(summary.ended_at, summary.exit_code, summary.counts, summary.troubles)
    return summary
