"""``gateway ledger reindex``: make the text index anew."""

from __future__ import annotations

import sys

import click

from gateway.cli.output import json_option, print_document
from gateway.words import count


@click.command("reindex")
@json_option
@click.pass_context
def reindex(ctx: click.Context, as_json: bool) -> None:
    """Make the index anew by which texts and numbers are found.

    Needed only where it is damaged, or where PostgreSQL has got the extension pg_trgm since. Nothing of the ledger
    itself changes; whoever searches meanwhile waits.
    """
    from gateway.app import open_app
    from gateway.cli.reporting import counting
    from gateway.ledger.clauses import forget_trigrams
    from gateway.ledger.database import writing
    from gateway.ledger.text import rebuild

    done = 0
    with (
        open_app(ctx.obj["home"], lock=True) as app,
        writing(app.engine) as connection,
        counting("exchanges and mails") as advance,
    ):

        def tell(more: int) -> None:
            nonlocal done
            before, done = done, done + more
            advance(more)
            if before // 100_000 != done // 100_000 and not sys.stderr.isatty():
                click.echo(f"{done:,} rows …", err=True)

        rebuild(connection, tell)
        forget_trigrams(app.engine)
    if as_json:
        print_document({"looked_at": done})
        return
    click.echo(f"{count(done, 'exchange or mail', 'exchanges and mails')} looked at; the index is new.", err=True)
