"""``gateway serve``: batches for ever, on a schedule."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click


@click.command("serve")
@click.option("--once", is_flag=True, help="Run one batch and end: for trying the service's surroundings.")
@click.pass_context
def command(ctx: click.Context, once: bool) -> int:
    """Run a batch every interval (gateway.toml, [gateway] interval) until SIGTERM or SIGINT.

    A batch that is running when the signal comes is finished first. Profiles and settings, but for the interval,
    are read anew for each batch, so a `gateway partner apply` takes effect with the next one; between batches
    the home is free for other commands.
    """
    from gateway.jobs.schedule import Pacer
    from gateway.settings import read_settings

    home: Path = ctx.obj["home"]
    interval = read_settings(home).interval
    click.echo(f"serving {home}: a batch every {interval}", err=True)
    with closing(Pacer()) as pacer, pacer.signals():
        for _ in pacer.runs(interval, lambda: datetime.now(UTC)):
            _batch(home)
            if once:
                break
    return 0


def _batch(home: Path) -> None:
    """One batch; what fails is said, and the service goes on with the next."""
    from gateway.app import open_app
    from gateway.cli.main import say_fault
    from gateway.cli.reporting import ConsoleReporter
    from gateway.errors import GatewayError, unexpected
    from gateway.flow.metrics import write_metrics
    from gateway.flow.night import night

    try:
        with open_app(home, lock=True, actor="serve") as app, ConsoleReporter() as reporter:
            summary = night(app.context, reporter)
            if app.settings.metrics_file is not None:
                write_metrics(app.settings.metrics_file, summary, app.ledger)
    except GatewayError as fault:
        say_fault(fault)
        return
    except Exception as problem:  # noqa: BLE001 - a service goes on with the next batch
        say_fault(unexpected("the batch", problem))
        return
    done = ", ".join(f"{number} {name}" for name, number in summary.counts.items()) or "nothing to do"
    click.echo(f"batch {summary.batch}: {done}", err=True)
