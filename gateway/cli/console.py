"""``gateway console``: the pages alone, without batches."""

from __future__ import annotations

import click


@click.command("console")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input ends: for `gateway serve`.")
@click.pass_context
def command(ctx: click.Context, with_parent: bool) -> int:
    """Serve the web console and the API alone, without batches, until SIGTERM or SIGINT.

    `gateway serve` does the same beside its batches where gateway.toml has a table [console]. Here the table may be
    missing: then this machine alone reaches the pages, at http://127.0.0.1:8025/.

    Who comes signs in: `gateway user add NAME --role administrator` makes the first user.

    Example: gateway --home /srv/edi console
    """
    from gateway.console.server import serve
    from gateway.flow.log import logged

    if with_parent:
        _end_with_parent()
    home = ctx.obj["home"]
    with logged(home) as log:

        def say(sentence: str) -> None:
            log.say("service", said=sentence)
            if not log.on_stderr:
                click.echo(sentence, err=True)

        serve(home, log, say)
    return 0


def _end_with_parent() -> None:
    """A service that was killed takes its console with it: its end of our standard input closes with it."""
    import os
    import signal
    import threading

    def wait() -> None:
        while os.read(0, 1_024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
