"""Alongside: a second process that delivers and sends while the first still processes a big batch.

The ledger is the queue, so the two need nothing from each other: whatever the first commits is due for the
second. Python computes in one thread at a time; two processes use two cores. When the first has nothing left to process
it takes over what is left to deliver, while the second sends. If the second one dies, nothing is lost either: the steps
that follow in the first find what is due.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from types import TracebackType
from typing import Self

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.errors import Behind, ConfigurationFault, GatewayError, Unavailable, made_again, unexpected
from gateway.flow.context import Context
from gateway.flow.deliver import deliver, deliver_some
from gateway.flow.dispatch import dispatch
from gateway.flow.forked import ended, forked
from gateway.ledger.turns import take_turns
from gateway.ledger.waiting import deliveries_waiting, mails_waiting, messages_waiting

Step = Callable[[Context], None]

WORTH_IT = 200  # messages; a smaller batch is done before a second process has begun
PAUSE = 0.05  # seconds between two looks at the ledger


class Hand(Struct, frozen=True):
    """A step of the second process: how much waits for it, and how much must wait before it is worth a round.

    ``thorough``: a round does all that can be done, so what it leaves waits for something else, and calls for no other.
    """

    name: str
    step: Step
    waiting: Callable[[Connection, int], int]
    least: int
    thorough: bool = False


DELIVER = Hand("deliver", deliver_some, lambda connection, _: deliveries_waiting(connection), 50)
DISPATCH = Hand("dispatch", dispatch, mails_waiting, 500, thorough=True)  # each round is a login
HANDS = (DELIVER, DISPATCH)
_YOURS, _NOBODYS = b"\1", b"\0"  # what the child says of ``DELIVER`` when it is to end


def worth_it(context: Context) -> bool:
    """Whether enough messages wait that a second process pays."""
    if not context.alongside or os.cpu_count() == 1:
        return False
    with context.ledger.reading() as connection:
        return messages_waiting(connection) >= WORTH_IT


class Alongside:
    """The second process. It works from the beginning of the block to its end, and then both finish what is due.

    What it has to report is told to the context's reporter at the end of the block.
    """

    def __init__(self, context: Context, hands: Sequence[Hand] = HANDS) -> None:
        self._context = context
        self._hands = hands
        self._pid = 0
        self._stop = -1
        self._reports = -1
        self._turns = ExitStack()

    def __enter__(self) -> Self:
        self._turns.enter_context(take_turns(self._context.ledger.engine))
        stop_read, self._stop = os.pipe()
        self._reports, reports_write = os.pipe()
        work = partial(self._child, stop_read, reports_write)
        self._pid = forked(work, self._context.ledger.engine, (self._stop, self._reports))
        os.close(stop_read)
        os.close(reports_write)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._stop)
        if self._context.stopping():
            os.kill(self._pid, signal.SIGTERM)  # it is asked as we were: to finish what is begun
        with os.fdopen(self._reports, "rb") as pipe:
            if pipe.read(1) == _YOURS and kind is None and not self._context.stopping():
                _round(self._context, replace(DELIVER, step=deliver), finishing=True)
            said = pipe.read()
        died = ended(self._pid)
        self._turns.close()
        try:
            reports: list[_Report] = pickle.loads(said) if said else []  # noqa: S301 - our own child wrote it
        except (pickle.UnpicklingError, EOFError):
            reports = []
        for each in reports:
            each.tell(self._context)
        if died:
            problem = unexpected("The second process of the batch", RuntimeError(died))
            self._context.reporter.trouble(problem, "alongside")

    # ------------------------------------------------------------ the child

    def _child(self, stop: int, reports: int) -> int:
        asked = Event()
        workers = [_Worker(self._context, each, asked) for each in self._hands]
        for each in workers:
            each.start()
        select.select([stop], [], [])  # a signal does not end it
        asked.set()
        delivering = [each for each in workers if each.delivers]
        for each in delivering:
            each.join()
        os.write(reports, _YOURS if any(each.well for each in delivering) else _NOBODYS)
        for each in workers:
            each.join()
        with os.fdopen(reports, "wb") as pipe:
            pipe.write(pickle.dumps([one for each in workers for one in each.notes.reports]))
        return 0


class _Worker(Thread):
    """A hand at work, in a thread of its own: each waits for its turns to write, and nobody waits for that.

    Once it was asked to end it finishes what is due; who delivers leaves that to the first process, which waits for it.
    """

    def __init__(self, context: Context, hand: Hand, asked: Event) -> None:
        super().__init__(name=hand.name)
        self.notes = _Notes()
        self.delivers = hand.name == DELIVER.name
        self.well = True  # False: its step is not to be tried again here
        self._context = replace(context, reporter=self.notes)
        self._hand = hand
        self._asked = asked
        self._left = 0  # of what waits: so much was left by the last round

    def run(self) -> None:
        """Rounds, until it was asked to end or one came to nothing."""
        finishing = False
        while self.well and not finishing:
            finishing = self._asked.wait(PAUSE)
            if finishing and self.delivers:
                return
            hand = replace(self._hand, waiting=self._new, step=self._thoroughly)
            self.well = _round(self._context, hand, finishing=finishing)

    def _new(self, connection: Connection, now: int) -> int:
        waiting = self._hand.waiting(connection, now)
        self._left = min(self._left, waiting)
        return waiting - self._left

    def _thoroughly(self, context: Context) -> None:
        self._hand.step(context)
        if self._hand.thorough:
            with context.ledger.reading() as connection:
                self._left = self._hand.waiting(connection, context.clock())


def _round(context: Context, hand: Hand, *, finishing: bool) -> bool:
    """One round of a step, if enough waits for it; False where it is not to be tried again here.

    A host or directory that is away is not asked again: the parent's own step asks once more, and tells of it.
    """
    heard = _Notes()
    try:
        with context.ledger.reading() as connection:
            waiting = hand.waiting(connection, context.clock())
        if waiting >= (1 if finishing else hand.least):
            hand.step(replace(context, reporter=heard))
    except (Unavailable, ConfigurationFault):
        return False
    except GatewayError as fault:
        heard.trouble(fault, hand.name)
    except Exception as problem:  # noqa: BLE001 - one step must not stop the others
        heard.trouble(unexpected(f"the step {hand.name}", problem), hand.name)
    away = [each for each in heard.reports if each.fault and issubclass(each.fault, (Unavailable, ConfigurationFault))]
    for each in heard.reports:
        if each not in away:
            each.tell(context)
    return not any(each.fault for each in heard.reports)


@dataclass(frozen=True, slots=True)
class _Report:
    """One thing that the child's steps told, in a form that goes through a pipe."""

    what: str
    count: int = 0
    fault: type[GatewayError] | None = None
    details: tuple[tuple[str, str], ...] = ()
    behind: Behind | None = field(default=None, compare=False)

    def tell(self, context: Context) -> None:
        """Tells it to the parent's reporter."""
        if self.fault is not None:
            context.reporter.trouble(made_again(self.fault, dict(self.details), self.behind), self.what)
        else:
            context.reporter.happened(self.what, self.count)


class _Notes:
    """The child's reporter: it writes down what to tell at the end."""

    def __init__(self) -> None:
        self.reports: list[_Report] = []

    def step(self, name: str, total: int = 0) -> None:
        """The parent shows its own steps."""

    def advance(self, amount: int = 1) -> None:
        """The parent's bar is about the parent's step."""

    def happened(self, what: str, count: int = 1) -> None:
        """Writes it down."""
        self.reports.append(_Report(what, count))

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Writes it down, once: a host that is away is away in every round."""
        details = tuple((key, str(value)) for key, value in fault.details.items())
        found = _Report(where, fault=type(fault), details=details, behind=fault.behind)
        if found not in self.reports:
            self.reports.append(found)
