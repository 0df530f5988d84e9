"""``gateway x12``: the engine alone, on files. No home and no ledger is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gateway.cli.output import json_option, print_rows
from gateway.cli.x12_generate import generate

if TYPE_CHECKING:
    from gateway.x12 import InterchangeReport
    from gateway.x12.guideline.model import Guideline

REJECTED = 65

_file = click.Path(path_type=Path, dir_okay=False, allow_dash=True, exists=True)


@click.group()
def command() -> None:
    """The X12 engine alone, on files. A file named - is standard input."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=_file)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="How many files at a time.")
@click.option(
    "--guideline",
    default="",
    metavar="NAME|FILE.toml",
    help="Judge by this guideline, such as 004010 or 005010X222A1, or by a partner guideline in a file.",
)
@json_option
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], jobs: int, guideline: str, as_json: bool) -> None:
    """Judges every interchange in FILES and says what is wrong, and where.

    With --json one document for each file, one a line. Ends with code 65 if anything is rejected.
    """
    if guideline:
        _must_be_known(guideline)
    work = [(str(each), guideline, as_json, sys.stdout.isatty()) for each in files]
    rejected = False
    for text, bad in _in_turn(work, jobs):
        click.echo(text)
        rejected = rejected or bad
    if rejected:
        ctx.exit(REJECTED)


def _in_turn(work: Sequence[tuple[str, str, bool, bool]], jobs: int) -> Iterator[tuple[str, bool]]:
    """Checks files in their order, several at a time if that is asked for. Standard input stays with us."""
    if jobs == 1 or len(work) == 1 or any(name == "-" for name, *_ in work):
        yield from map(_check_one, work)
        return
    import gateway.cli.x12_words  # noqa: F401 - once here, not once in each process
    from gateway.cli.x12_jobs import in_order

    yield from in_order(_check_one, [(each[0], each) for each in work], jobs)


def _check_one(task: tuple[str, str, bool, bool]) -> tuple[str, bool]:
    from gateway.cli.x12_words import GOOD, file_document, file_lines, plain
    from gateway.x12 import ExaminePolicy, examine

    name, guideline, as_json, colour = task
    policy = ExaminePolicy(guidelines=_Everywhere(_named(guideline))) if guideline else ExaminePolicy()
    with _opened(name) as stream:
        reports = list(examine(stream, policy))
    bad = any(each.status not in GOOD for each in reports)
    if as_json:
        return json.dumps(file_document(name, reports), ensure_ascii=False), bad
    return "\n".join(file_lines(name, reports, _coloured if colour else plain)), bad


class _Everywhere(dict[tuple[str, str], "str | Guideline"]):
    """Names the same guideline for every set and version."""

    def __init__(self, named: str | Guideline) -> None:
        super().__init__()
        self._named = named

    def get(self, _key: object, _default: object = None) -> str | Guideline:
        """The guideline, whatever is asked for."""
        return self._named


def _named(name: str) -> str | Guideline:
    """A guideline's name, or what a partner guideline in a file says."""
    if not name.endswith(".toml"):
        return name
    from gateway.flow.guideline_files import read_guideline_file
    from gateway.x12.guideline.partner import read_partner_guideline

    return read_partner_guideline(read_guideline_file(Path(name)), name)


def _must_be_known(name: str) -> None:
    from gateway.x12.guideline import known_sets

    if not isinstance(_named(name), str):
        return
    words = {word for word in name.split() if word != "X12"}
    if not any(words <= {each.version, each.set_id} and each.version in words for each in known_sets()):
        raise click.BadParameter(f"{name!r} is not known; `gateway x12 sets` lists all.", param_hint="--guideline")


@command.command()
@click.argument("file", type=_file)
@click.option("--elements", is_flag=True, help="Each element on a line of its own, with its name.")
@json_option
def show(file: Path, elements: bool, as_json: bool) -> None:
    """Prints FILE segment by segment, indented by loop, with findings where they stand."""
    from gateway.cli.x12_words import file_lines, plain, segment_documents, shown_lines
    from gateway.x12 import examine, sniff

    with _opened(str(file)) as stream:
        data = stream.read()
    style = _coloured if sys.stdout.isatty() else plain
    if sniff(data) < 0:
        for line in file_lines(str(file), list(examine(data)), style):
            click.echo(line, err=True)
        sys.exit(REJECTED)
    if as_json:
        for document in segment_documents(data):
            click.echo(json.dumps(document, ensure_ascii=False))
        return
    for line in shown_lines(data, style, elements=elements):
        click.echo(line)


@command.command()
@click.argument("file", type=_file)
@click.option(
    "--kind",
    type=click.Choice(["auto", "ta1", "997", "999"]),
    default="auto",
    show_default=True,
    help="auto: a TA1 if the interchange asks for one or is rejected, a 999 for HIPAA guides of 5010, else a 997.",
)
def ack(file: Path, kind: str) -> None:
    """Writes the acknowledgment of every interchange in FILE to standard output, numbered from 1.

    It goes from receiver to sender, in the separators of what it answers.
    """
    from gateway.x12 import examine

    with _opened(str(file)) as stream:
        reports = list(examine(stream))
    written = 0
    for report in reports:
        answer = _answer(report, kind, written + 1)
        if answer:
            written += 1
            sys.stdout.buffer.write(answer)
        else:
            reason = report.findings[0].message if report.header is None else "nothing in it is to be acknowledged."
            click.echo(f"{file}: {reason}", err=True)
    if any(report.header is None for report in reports):
        sys.exit(REJECTED)


def _answer(report: InterchangeReport, kind: str, number: int) -> bytes:
    """The acknowledgment interchange for one received interchange, or nothing where none is due."""
    from gateway.x12 import (
        DraftGroup,
        DraftInterchange,
        Header,
        acknowledgment_separators,
        acknowledgment_version,
        functional_acknowledgment,
        interchange_acknowledgment,
        wants_acknowledgment,
        write_interchange,
    )

    received = report.header
    if received is None:
        return b""
    refused = report.ta1[0] == "R"
    wants_ta1 = kind == "ta1" or (kind == "auto" and (received.acknowledgment_requested or refused))
    groups: list[DraftGroup] = []
    for group in report.groups if kind != "ta1" and not refused else ():
        if wants_acknowledgment(group):
            form = _form(group.version) if kind == "auto" else kind
            draft = functional_acknowledgment(group, form, "set")
            version = acknowledgment_version(group, form)
            groups.append(DraftGroup("FA", group.receiver, group.sender, len(groups) + 1, version, (draft,)))
    if not wants_ta1 and not groups:
        return b""
    header = Header(
        received.receiver, received.sender, "", "", received.version, str(number), False, received.usage or "P"
    )
    acks = (interchange_acknowledgment(report),) if wants_ta1 else ()
    now = datetime.now(UTC).astimezone()
    return write_interchange(DraftInterchange(header, tuple(groups), acks, now), acknowledgment_separators(report))


def _form(version: str) -> str:
    """999 for the guides of 005010 and later (``005010X222A1``), 997 for everything else."""
    return "999" if version >= "005010" and "X" in version[6:7] else "997"


command.add_command(generate)


@command.command()
@click.option("--version", default="", help="Only this version, for example 004010.")
@json_option
def sets(version: str, as_json: bool) -> None:
    """What transaction sets are known, where from, and how far to trust it.

    "enforced" guidelines reject; "advisory" ones only warn.
    """
    from gateway.values import asdict
    from gateway.x12.guideline import known_sets

    rows = [asdict(each) for each in known_sets() if each.version.startswith(version)]
    columns = ("set_id", "version", "functional_id", "source", "trust")
    print_rows(rows, columns, as_json=as_json, empty=f"No set of version {version} is known.")


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as stream:
        yield stream


def _coloured(text: str, colour: str) -> str:
    return click.style(text, bold=True) if colour == "bold" else click.style(text, fg=colour)
