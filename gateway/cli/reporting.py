"""Reporters for the command line: a progress bar on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from gateway.cli.output import printable
from gateway.errors import Behind, GatewayError

if TYPE_CHECKING:  # rich costs start-up time that a cron job need not pay
    from rich.progress import Progress, TaskID


def is_debugging() -> bool:
    """Whether --debug was given. Only the thread that runs the command knows: others are told by it."""
    context = click.get_current_context(silent=True)
    return context is not None and bool((context.obj or {}).get("debug"))


def say_tracebacks(behind: Iterable[Behind | None], *, debug: bool | None = None) -> None:
    """With --debug: the exceptions behind faults that nobody foresaw, on stderr.

    Args:
        behind: of each fault what is behind it.
        debug: what ``is_debugging`` said, in threads that the command began.
    """
    if not (is_debugging() if debug is None else debug):
        return
    for each in behind:
        if each is not None:
            click.echo(each.traceback, err=True)


@contextmanager
def counting(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal while something long is done, on stderr; elsewhere nothing.

    Args:
        label: what is counted.
        total: how much there is, where that is known.

    Yields:
        a function that takes how much more is done.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda amount: progress.advance(task, amount)


class ConsoleReporter:
    """Shows steps and trouble while they happen. Use as a context manager.

    Args:
        quiet: say nothing but trouble.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._step = ""

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, name: str, total: int = 0) -> None:
        """A bar for the step, or a line where there is something to do."""
        self._step = name
        if self._progress is not None:
            self._task = self._progress.add_task(name, total=total or None)
        elif total and not self._quiet:
            click.echo(f"{name}: {total}", err=True)

    def advance(self, amount: int = 1) -> None:
        """Moves the bar."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, amount)

    def happened(self, what: str, count: int = 1) -> None:
        """Counts are shown at the end."""

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Trouble is said at once."""
        line = printable(f"! {where}: {fault} [{fault.code}]")
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)
        else:
            click.echo(line, err=True)
