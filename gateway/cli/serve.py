"""``gateway serve``: batches for ever, on a schedule, and when a mailbox calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.errors import GatewayError
    from gateway.flow.log import Log
    from gateway.jobs.watch import Attempt
    from gateway.mail.imap_idle import ImapWatch


@click.command("serve")
@click.option("--once", is_flag=True, help="Run one batch, and end with its exit code: to try the surroundings.")
@click.pass_context
def command(ctx: click.Context, once: bool) -> int:
    """Run a batch every interval (gateway.toml, [gateway] interval) until SIGTERM or SIGINT.

    A mailbox with idle = true calls for a batch as soon as new mail is there, and so does the console's button.

    Where gateway.toml has a table [console], the web console runs beside in a process of its own; one that ends is
    started again.

    A batch that is running when the signal comes is finished first. Profiles and settings, but for the interval,
    are read anew for each batch, so a `gateway partner apply` takes effect with the next one; between batches
    the home is free for other commands, but for a second service: it is refused, and told of the first.
    """
    from gateway.jobs.lock import SERVICE, HomeLock
    from gateway.settings import read_settings

    home: Path = ctx.obj["home"]
    interval = read_settings(home).interval
    with nullcontext() if once else HomeLock(home, file_name=SERVICE):
        return _serve(home, interval, once=once)


def _serve(home: Path, interval: timedelta, *, once: bool) -> int:
    from gateway.cli.reporting import is_debugging
    from gateway.cli.serving import ConsoleBeside
    from gateway.jobs.bell import listening
    from gateway.jobs.schedule import Pacer
    from gateway.jobs.watch import Watches

    _tell(home, f"serving {home}: a batch every {interval}")
    with (
        closing(Pacer()) as pacer,
        pacer.signals(),
        closing(Watches(partial(_say, home, is_debugging()))) as watches,
        listening(home) as bell,
        closing(ConsoleBeside(home, partial(_tell, home))) as console,
    ):
        if bell is not None:
            pacer.hear(bell)
        if not once:
            console.look()
        called: dict[str, Attempt] = {}
        for _ in pacer.runs(interval, lambda: datetime.now(UTC)):
            code = _batch(home)
            if once:
                return code
            called = _watched(home, called, pacer.call)
            watches.keep(called)
            console.look()
    return 0


def _watched(home: Path, before: dict[str, Attempt], call: Callable[[], None]) -> dict[str, Attempt]:
    """The mailboxes that call for a batch, as gateway.toml names them now; ``before`` where it cannot be read."""
    from gateway.errors import GatewayError
    from gateway.mail.imap_idle import ImapWatch
    from gateway.settings import read_settings

    try:
        names = [box.name for box in read_settings(home).mailboxes if box.idle]
    except GatewayError:
        return before  # the batch has said it
    return {name: before.get(name) or partial(_watch, home, name, ImapWatch(call)) for name in names}


def _watch(home: Path, name: str, watch: ImapWatch, interrupt: int) -> None:
    """Logs in with the settings and secrets of now, and watches; the ledger is closed by then."""
    from gateway.app import open_app
    from gateway.mail.imap import ImapMailbox

    with ExitStack() as stack:
        with open_app(home, actor="serve") as app:
            mailbox = next((each for each in app.mailboxes if each.name == name), None)
            if not isinstance(mailbox, ImapMailbox):
                return
            session = stack.enter_context(mailbox.session())
        watch.run(session, interrupt)


@contextmanager
def _log(home: Path) -> Iterator[Log]:
    """The log for one line; where its file cannot be written now, one that writes nothing: the service goes on."""
    from gateway.errors import GatewayError
    from gateway.flow.log import logging_to, settings_of

    with ExitStack() as stack:
        try:
            log = stack.enter_context(logging_to(settings_of(home)))
        except GatewayError:
            log = stack.enter_context(logging_to(None))
        yield log


def _tell(home: Path, said: str) -> None:
    """What the service itself has to say: as a line of the log where that is on standard error, so that all are."""
    with _log(home) as log:
        log.say("service", said=said)
        if not log.on_stderr:
            click.echo(said, err=True)


def _say(home: Path, debug: bool, name: str, fault: GatewayError) -> None:
    """In the thread that watches."""
    _say_fault(home, fault, f"mailbox {name}", f"mailbox {name} is not watched for now:", debug=debug)


def _say_fault(home: Path, fault: GatewayError, where: str, before: str = "", *, debug: bool | None = None) -> None:
    """A line of the log, where ``where`` is given; and on the screen, where the log is elsewhere."""
    from gateway.cli.main import say_fault
    from gateway.cli.reporting import say_tracebacks

    say_tracebacks([fault.behind], debug=debug)
    with _log(home) as log:
        if where:
            log.trouble(fault, where)
        if not log.on_stderr:
            if before:
                click.echo(before, err=True)
            say_fault(fault)


def _batch(home: Path) -> int:
    """One batch, and its exit code; what fails is said, and the service goes on with the next."""
    from gateway.app import open_app, telling_without_ledger
    from gateway.cli.reporting import ConsoleReporter, say_tracebacks
    from gateway.errors import GatewayError, unexpected
    from gateway.flow.log import logged
    from gateway.flow.metrics import write_metrics
    from gateway.flow.night import night

    on_stderr = False
    try:
        with (
            logged(home) as log,
            telling_without_ledger(home),
            open_app(home, lock=True, actor="serve") as app,
            ConsoleReporter() as reporter,
        ):
            on_stderr = log.on_stderr
            app.ledger.listener = log.heard
            summary = night(app.context, *((log,) if log.on_stderr else (reporter, log)))
            log.batch_ended(summary)
            say_tracebacks(fault.behind for _, fault in summary.troubles)
            if app.settings.metrics_file is not None:
                write_metrics(app.settings.metrics_file, app.context())
    except GatewayError as fault:
        _say_fault(home, fault, "")  # it is in the log
        return fault.exit_code
    except Exception as problem:  # noqa: BLE001 - a service goes on with the next batch
        found = unexpected("the batch", problem)
        _say_fault(home, found, "batch")
        return found.exit_code
    if on_stderr:
        return summary.exit_code
    done = ", ".join(f"{number} {name}" for name, number in summary.counts.items()) or "nothing to do"
    click.echo(f"batch {summary.batch}: {done}", err=True)
    return summary.exit_code
