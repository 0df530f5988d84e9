"""The diary of a batch: which step took how long, what it counted, and what did not work in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from gateway.errors import GatewayError
from gateway.flow.context import Context
from gateway.flow.reporter import Tally
from gateway.ledger import batches
from gateway.ledger.batches import Batch, BatchStep, Trouble
from gateway.ledger.events import one_line

_EVERY = 1_000  # ms between two notes while a batch runs: who looks sees where it is, and short batches write once
_MOST = 20  # troubles of one step that are told in words
_LONGEST = 600  # characters of a sentence


class Diary:
    """Keeps what each step did, and writes it beside the batch: now and then while it runs, and at its end.

    Args:
        context: of the batch.
        tally: what the steps report to.
        batch: its number.
        started_at: when it began, ms since 1970 UTC.
    """

    def __init__(self, context: Context, tally: Tally, batch: int, started_at: int) -> None:
        self._context = context
        self._tally = tally
        self._told = Batch(batch, started_at, None, None, context.ledger.actor)
        self._noted_at = started_at

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The time in which a step runs; what is counted and reported meanwhile is its own."""
        clock = self._context.clock
        counted, troubled = Counter(self._tally.counts), len(self._tally.troubles)
        begun = BatchStep(name, clock())
        before = self._told.steps
        self._told = replace(self._told, steps=(*before, begun))
        self._note_now_and_then()
        yield
        counts = {what: number - counted[what] for what, number in self._tally.counts.items() if number > counted[what]}
        troubles = self._tally.troubles[troubled:]
        words = tuple(_trouble(where, fault) for where, fault in troubles[:_MOST])
        ended = replace(begun, ended_at=clock(), counts=counts, troubles=words, more=max(0, len(troubles) - _MOST))
        self._told = replace(self._told, steps=(*before, ended))

    def end(self, ended_at: int, exit_code: int, counts: dict[str, int], troubles: Sequence[object]) -> None:
        """Writes all of it."""
        self._told = replace(self._told, ended_at=ended_at, exit_code=exit_code, counts=counts, troubles=len(troubles))
        self._note()

    def _note_now_and_then(self) -> None:
        now = self._context.clock()
        if now - self._noted_at >= _EVERY:
            self._told = replace(self._told, counts=dict(self._tally.counts), troubles=len(self._tally.troubles))
            with suppress(GatewayError):  # the step itself will say that the database is away
                self._note()
            self._noted_at = now

    def _note(self) -> None:
        with self._context.ledger.transaction() as recorder:
            batches.note(recorder, self._told.id, self._told)


def _trouble(where: str, fault: GatewayError) -> Trouble:
    return Trouble(_short(where), _short(str(fault)), fault.code, fault.side.value, _short(fault.next_step))


def _short(text: str) -> str:
    line = " ".join(one_line(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
