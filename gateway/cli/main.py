"""The root command: global options, lazy sub-commands, and the one place where a failure becomes words and a code.

A sub-command lives in ``gateway/cli/<name>.py`` as ``command`` and is imported only when it is asked for, so that
``gateway --help`` stays quick.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.cli import examples
from gateway.cli.streams import streams
from gateway.errors import GatewayError, OutputUnwritable

COMMANDS: dict[str, str] = {
    "init": "Make a gateway home: settings, key, ledger.",
    "demo": "The whole thing on one machine: a mail host, trading partners, a night of traffic.",
    "doctor": "Check settings, database, mailboxes, SMTP and partners, and say what to do.",
    "partner": "Trading partners: learn, add, apply, list, checklist, test, check, activate.",
    "mailbox": "The accounts we collect from: list, test.",
    "secret": "Passwords, encrypted at rest: set, list, remove.",
    "key": "Our own keys for S/MIME: generate, import, list, show, export, retire.",
    "night": "Run one batch: collect, process, acknowledge, send, reconcile.",
    "serve": "Run batches for ever, on a schedule; with [console] the web console too.",
    "console": "Serve the web console and the API alone.",
    "user": "Who may come into the console: add, list, role, password, disable, remove.",
    "token": "What programs show to the API: add, list, revoke.",
    "worker": "Work beside others on a ledger in PostgreSQL.",
    "send": "Submit documents for a partner.",
    "status": "What needs a person now.",
    "alert": "Who is told of what needs a person: list, show, mute, close, test.",
    "ledger": "The record of every exchange: search, show, export.",
    "ack": "Acknowledgments: list, overdue, received, settle.",
    "quarantine": "What could not be processed: list, show, release, discard.",
    "exchange": "One exchange: show, proof, resend, replay, resolve, cancel, accept, redeliver.",
    "x12": "The X12 engine alone, on files: check, show, ack, generate, sets.",
    "fault": "What a fault's code means, what is behind it, and what to do.",
    "completion": "Print the shell completion script.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line, and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gateway.cli.{cmd_name}").command
        return examples.add(cmd_name, command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="GATEWAY_HOME",
    help="The directory with gateway.toml (default: the current directory).",
)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an unexpected failure.")
@click.pass_context
def root(ctx: click.Context, home: Path | None, debug: bool) -> None:
    """A trading-partner gateway: ANSI X12 over email, acknowledged, tracked and kept.

    \b
    Exit codes: 0 done · 1 unexpected · 2 usage · 65 some documents rejected or quarantined
    69 a mailbox, SMTP host or database unavailable · 75 try again later · 78 configuration
    """  # noqa: D301 - click wants a real \b
    ctx.ensure_object(dict)
    ctx.obj["home"] = (home or Path()).resolve()
    ctx.obj["debug"] = debug or bool(os.environ.get("GATEWAY_DEBUG"))


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits. Every ``GatewayError`` becomes its sentence, its advice and its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words or bool(os.environ.get("GATEWAY_DEBUG"))
    as_json = "--json" in words
    with streams() as out:
        try:
            _run(words, debug=debug, as_json=as_json)
        except BrokenPipeError:  # whoever read has enough
            sys.exit(0)
        except OSError as problem:
            if problem is not out.problem:
                raise
            fault = OutputUnwritable(reason=problem.strerror)
            say_fault(fault, as_json=as_json)
            sys.exit(fault.exit_code)


def _run(words: list[str], *, debug: bool, as_json: bool) -> None:
    try:
        code = root.main(words, standalone_mode=False, prog_name="gateway")
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except click.ClickException as problem:
        problem.show()
        _suggest(problem)
        sys.exit(problem.exit_code)
    except GatewayError as fault:
        if debug:
            raise
        say_fault(fault, as_json=as_json)
        sys.exit(fault.exit_code)


def _suggest(problem: click.ClickException) -> None:
    """What may have been meant, where a word was misspelt."""
    if not isinstance(problem, click.UsageError):
        return
    from gateway.cli.suggesting import suggestion

    if found := suggestion(problem):
        click.echo(found, err=True)


def say_fault(fault: GatewayError, *, as_json: bool = False) -> None:
    """Writes a fault on stderr: for people in three lines, for machines as one JSON document."""
    if as_json:
        document: dict[str, Any] = {"error": fault.as_dict()}
        click.echo(json.dumps(document, ensure_ascii=False), err=True)
        return
    from gateway.cli.output import print_line

    for line in (*f"gateway: {fault}".split("\n"), *f"  what to do: {fault.next_step}".split("\n")):
        print_line(line, err=True)
    click.echo(f"  code: {fault.code} (on the side of: {fault.side.value})", err=True)
