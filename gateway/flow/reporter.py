"""What the flow tells while it works. It prints nothing itself: progress bars, logs and counts are reporters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from gateway.errors import GatewayError


class Reporter(Protocol):
    """Empty hooks; a reporter fills those it cares for."""

    def step(self, name: str, total: int = 0) -> None:
        """A step begins; ``total`` is how much work it knows of, 0 where it cannot know."""

    def advance(self, amount: int = 1) -> None:
        """Some of the step's work is done."""

    def happened(self, what: str, count: int = 1) -> None:
        """Something countable happened: collected, accepted, sent, and so on."""

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Something did not work; the batch goes on."""


@runtime_checkable
class HearsBatches(Protocol):
    """A reporter that wants to know which batch it hears of."""

    def begin(self, batch: int) -> None:
        """The batch of that number begins."""

    def enter(self, step: str) -> None:
        """A step of the batch begins; what the step itself calls its parts comes by ``step``."""


class Tally:
    """A reporter that counts and remembers trouble: the summary of a night, and what tests look at."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.troubles: list[tuple[str, GatewayError]] = []

    def step(self, name: str, total: int = 0) -> None:
        """Steps are not counted."""

    def advance(self, amount: int = 1) -> None:
        """Progress is not counted."""

    def happened(self, what: str, count: int = 1) -> None:
        """Adds to the count of ``what``; nothing that did not happen is counted."""
        if count:
            self.counts[what] += count

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Remembers the fault and where it happened."""
        self.troubles.append((where, fault))


class Held:
    """Keeps what it hears until ``tell``: for work that may still be undone.

    Args:
        reporter: who is told in the end.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._heard: list[Callable[[], None]] = []

    def step(self, name: str, total: int = 0) -> None:
        """Keeps it."""
        self._heard.append(partial(self._reporter.step, name, total))

    def advance(self, amount: int = 1) -> None:
        """Keeps it."""
        self._heard.append(partial(self._reporter.advance, amount))

    def happened(self, what: str, count: int = 1) -> None:
        """Keeps it."""
        self._heard.append(partial(self._reporter.happened, what, count))

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Keeps it."""
        self._heard.append(partial(self._reporter.trouble, fault, where))

    def forget(self) -> None:
        """The work was undone, and is done again."""
        self._heard.clear()

    def tell(self) -> None:
        """Passes everything on, once."""
        for each in self._heard:
            each()
        self._heard.clear()


class Chorus:
    """Several reporters that hear the same."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def step(self, name: str, total: int = 0) -> None:
        """Passes it on."""
        for each in self._reporters:
            each.step(name, total)

    def advance(self, amount: int = 1) -> None:
        """Passes it on."""
        for each in self._reporters:
            each.advance(amount)

    def happened(self, what: str, count: int = 1) -> None:
        """Passes it on."""
        for each in self._reporters:
            each.happened(what, count)

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Passes it on."""
        for each in self._reporters:
            each.trouble(fault, where)
