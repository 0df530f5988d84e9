"""``gateway serve``: batches for ever, on a schedule, and when a mailbox calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.errors import GatewayError
    from gateway.jobs.watch import Attempt
    from gateway.mail.imap_idle import ImapWatch


@click.command("serve")
@click.option("--once", is_flag=True, help="Run one batch and end: for trying the service's surroundings.")
@click.pass_context
def command(ctx: click.Context, once: bool) -> int:
    """Run a batch every interval (gateway.toml, [gateway] interval) until SIGTERM or SIGINT.

    A mailbox with idle = true calls for a batch as soon as new mail is there, and so does the console's button.

    Where gateway.toml has a table [console], the web console runs beside in a process of its own; one that ends is
    started again.

    A batch that is running when the signal comes is finished first. Profiles and settings, but for the interval,
    are read anew for each batch, so a `gateway partner apply` takes effect with the next one; between batches
    the home is free for other commands.
    """
    from gateway.cli.serving import ConsoleBeside
    from gateway.jobs.bell import listening
    from gateway.jobs.schedule import Pacer
    from gateway.jobs.watch import Watches
    from gateway.settings import read_settings

    home: Path = ctx.obj["home"]
    interval = read_settings(home).interval
    click.echo(f"serving {home}: a batch every {interval}", err=True)
    with (
        closing(Pacer()) as pacer,
        pacer.signals(),
        closing(Watches(_say)) as watches,
        listening(home) as bell,
        closing(ConsoleBeside(home, partial(click.echo, err=True))) as console,
    ):
        if bell is not None:
            pacer.hear(bell)
        if not once:
            console.look()
        called: dict[str, Attempt] = {}
        for _ in pacer.runs(interval, lambda: datetime.now(UTC)):
            _batch(home)
            if once:
                break
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


def _say(name: str, fault: GatewayError) -> None:
    from gateway.cli.main import say_fault

    click.echo(f"mailbox {name} is not watched for now:", err=True)
    say_fault(fault)


def _batch(home: Path) -> None:
    """One batch; what fails is said, and the service goes on with the next."""
    from gateway.app import open_app, telling_without_ledger
    from gateway.cli.main import say_fault
    from gateway.cli.reporting import ConsoleReporter
    from gateway.errors import GatewayError, unexpected
    from gateway.flow.log import logged
    from gateway.flow.metrics import write_metrics
    from gateway.flow.night import night

    try:
        with (
            logged(home) as log,
            telling_without_ledger(home),
            open_app(home, lock=True, actor="serve") as app,
            ConsoleReporter() as reporter,
        ):
            app.ledger.listener = log.heard
            summary = night(app.context, *((log,) if log.on_stderr else (reporter, log)))
            log.batch_ended(summary)
            if app.settings.metrics_file is not None:
                write_metrics(app.settings.metrics_file, app.context())
    except GatewayError as fault:
        say_fault(fault)
        return
    except Exception as problem:  # noqa: BLE001 - a service goes on with the next batch
        say_fault(unexpected("the batch", problem))
        return
    if log.on_stderr:
        return
    done = ", ".join(f"{number} {name}" for name, number in summary.counts.items()) or "nothing to do"
    click.echo(f"batch {summary.batch}: {done}", err=True)
