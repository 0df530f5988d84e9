"""``gateway night``: one batch, as cron or a systemd timer calls it."""

from __future__ import annotations

import signal
from contextlib import closing

import click

from gateway.cli.output import json_option, moment, print_document, print_line
from gateway.flow.night import Summary


@click.command("night")
@json_option
@click.option("--quiet", is_flag=True, help="Say nothing but trouble.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, quiet: bool) -> int:
    """Run one batch: collect, process, acknowledge, deliver, send, reconcile.

    Ends with a summary. Exit code 0: all is well; 65: something was rejected or quarantined; 69: a mailbox
    or the SMTP host was away (the rest was done, the next run goes on); 75: another batch is running; 78: the
    configuration is wrong; 1: a defect, the rest was done.

    On SIGTERM no more is begun; what is begun is finished within seconds, and the next run goes on.

    Example (cron): 0 2 * * *  gateway --home /srv/edi night --quiet
    """
    from gateway.app import open_app, telling_without_ledger
    from gateway.cli.reporting import ConsoleReporter, say_tracebacks
    from gateway.flow.log import logged
    from gateway.flow.metrics import write_metrics
    from gateway.flow.night import night
    from gateway.flow.night_report import report
    from gateway.jobs.schedule import Pacer

    with (
        closing(Pacer()) as pacer,
        pacer.signals(signal.SIGTERM),
        logged(ctx.obj["home"]) as log,
        telling_without_ledger(ctx.obj["home"]),
        open_app(ctx.obj["home"], lock=True, actor="night") as app,
    ):
        app.stopping = lambda: pacer.stopped
        app.ledger.listener = log.heard
        with ConsoleReporter(quiet=quiet or as_json) as reporter:
            summary = night(app.context, *((log,) if log.on_stderr else (reporter, log)))
        log.batch_ended(summary)
        say_tracebacks(fault.behind for _, fault in summary.troubles)
        for fault in report(app.context(), summary):
            say_tracebacks([fault.behind])
            log.trouble(fault, "report")
            if not log.on_stderr:
                click.echo(f"! report: {fault} [{fault.code}]", err=True)
        try:
            if as_json:
                print_document(summary.as_dict())
            elif not quiet:
                print_summary(summary)
        finally:
            if app.settings.metrics_file is not None:
                write_metrics(app.settings.metrics_file, app.context())
    return summary.exit_code


def print_summary(summary: Summary) -> None:
    """What a batch did, for people: numbers first, then what needs a person."""
    seconds = (summary.ended_at - summary.started_at) / 1000
    click.echo(f"Batch {summary.batch}, {moment(summary.started_at)}, {seconds:.1f} s")
    if not summary.counts:
        click.echo("  nothing to do")
    for name, number in summary.counts.items():
        click.echo(f"  {number:>6}  {name}")
    if summary.attention:
        number = len(summary.attention) + summary.left_out
        click.echo(f"\n{number} {'needs' if number == 1 else 'need'} a person (gateway status tells it again):")
        for each in summary.attention[:20]:
            print_line(f"  {each.reference:>6}  {each.state}: {each.what}")
            print_line(f"          {each.reason}")
            click.echo(f"          → {each.next_command}")
        if number > 20:
            click.echo(f"          … and {number - 20} more")
