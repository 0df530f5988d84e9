"""``gateway serve``: batches for ever, on a schedule."""

from __future__ import annotations

import click


@click.command("serve")
@click.option("--once", is_flag=True, help="Run one batch and end: for trying the service's surroundings.")
@click.pass_context
def command(ctx: click.Context, once: bool) -> int:
    """Run a batch every interval (gateway.toml, [gateway] interval) until SIGTERM or SIGINT.

    A batch that is running when the signal comes is finished first. Profiles and settings are read anew for
    each batch, so a `gateway partner apply` takes effect with the next one.
    """
    from gateway.app import open_app
    from gateway.cli.reporting import ConsoleReporter
    from gateway.flow.metrics import write_metrics
    from gateway.flow.night import night
    from gateway.jobs.schedule import Pacer, next_run

    last: int | None = None
    with Pacer() as pacer:
        while True:
            with open_app(ctx.obj["home"], lock=True, actor="serve") as app, ConsoleReporter() as reporter:
                interval = app.settings.interval
                if last is None:
                    click.echo(f"serving {app.home}: a batch every {interval}", err=True)
                last = app.now()
                summary = night(app.context, reporter)
                if app.settings.metrics_file is not None:
                    write_metrics(app.settings.metrics_file, summary, app.ledger)
                done = ", ".join(f"{number} {name}" for name, number in summary.counts.items()) or "nothing to do"
                click.echo(f"batch {summary.batch}: {done}", err=True)
                wait = next_run(app.now(), interval, last) - app.now()
            if once or not pacer.sleep(wait / 1000):
                return 0
