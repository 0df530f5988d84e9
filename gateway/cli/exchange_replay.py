"""``gateway exchange replay``: received mail takes the whole way again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from gateway.cli.acting import act_options, each_act, say, say_fault
from gateway.cli.reporting import counting
from gateway.errors import GatewayError, UsageFault
from gateway.words import count

if TYPE_CHECKING:
    from gateway.app import App

_MOST = 1_000


@click.command("replay")
@click.argument("references", nargs=-1)
@click.option("--from", "since", metavar="TIME", help="Mail received from then on: 2026-11-22, today, 12h (ago) …")
@click.option("--to", "until", metavar="TIME", default="now", show_default=True, help="… until then; a day is whole.")
@click.option("--partner", default="", help="With --from: only mail of this partner (its key).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=_MOST, show_default=True, help="At most so many.")
@act_options
@click.pass_context
def command(
    ctx: click.Context,
    references: tuple[str, ...],
    since: str | None,
    until: str,
    partner: str,
    limit: int,
    reason: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Take received mail the whole way again, as if it had come now; a reference is 34 (exchange) or m12 (message).

    The duplicate check is on: an interchange that was taken before is recognised, gets its acknowledgment again and
    is not delivered again. One that was not taken (its sender was unknown then, a key was missing) is taken now.
    Of each mail it is told what became of it.
    """
    from gateway.flow import operate

    if bool(references) == (since is not None):
        raise UsageFault(reason="name exchanges or messages, or a time with --from")
    if since is None:
        return each_act(
            ctx.obj["home"],
            references,
            lambda app, each: operate.replay(app.context(), each, actor=app.actor, reason=reason, dry_run=dry_run),
            by=by,
            dry_run=dry_run,
            as_json=as_json,
        )
    from gateway.app import open_app

    with open_app(ctx.obj["home"], lock=True, actor=by) as app:
        start, end = _times(app, since, until)
        return _range(app, start, end, partner, limit=limit, reason=reason, dry_run=dry_run, as_json=as_json)


def _times(app: App, since: str, until: str) -> tuple[int, int]:
    from gateway.ledger.moments import milliseconds, parse_span

    now = datetime.fromtimestamp(app.now() / 1000, UTC)
    found = []
    for name, written in (("--from", since), ("--to", until)):
        try:
            found.append(parse_span(written, now)[name == "--to"])
        except ValueError as problem:
            raise UsageFault(reason=f"{name} {written}: {problem}") from None
    return milliseconds(found[0]), milliseconds(found[1])


def _range(
    app: App, start: int, end: int, partner: str, *, limit: int, reason: str, dry_run: bool, as_json: bool
) -> int:
    from gateway.flow import operate

    context = app.context()
    if partner:
        context.directory.get(partner)
    total = len(operate.replayable(context, start, end, partner))
    if total > limit:
        raise UsageFault(reason=f"{count(total, 'mail')} came then; choose a shorter time, or --limit {total}")
    click.echo(f"{total} mail{'' if total == 1 else 's'} to replay", err=True)
    code = 0
    outcomes = operate.replay_range(
        context, start, end, partner=partner, actor=app.actor, reason=reason, dry_run=dry_run
    )
    with counting("replay", total) as advance:
        for reference, outcome in outcomes:
            if isinstance(outcome, GatewayError):
                code = max(code, outcome.exit_code)
                say_fault(reference, outcome, as_json=as_json)
            else:
                say(outcome, dry_run=dry_run, as_json=as_json)
            advance(1)
    return code
