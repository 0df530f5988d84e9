"""The command line as a whole: every command has an example and JSON, misspelt words are understood, tables fit."""

import fcntl
import io
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import examples
from gateway.cli.main import COMMANDS, main, root
from gateway.cli.output import print_rows
from gateway.cli.suggesting import suggestion

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "interchanges"


def leaves(path=(), command=root):
    """Every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        if not found.hidden:
            yield from leaves((*path, name), found)


LEAVES = dict(leaves())
# What prints a file format of its own, or runs until it is stopped: JSON would be another thing.
OTHER_FORMS = {
    ("serve",): "runs until it is stopped",
    ("console",): "runs until it is stopped",
    ("completion",): "prints a shell's script",
    ("partner", "export"): "prints a profile (TOML)",
    ("key", "export"): "prints a certificate (PEM)",
    ("ledger", "export"): "prints the form that --format names, of which JSON Lines is one",
    ("exchange", "proof"): "writes files",
    ("x12", "ack"): "prints X12",
    ("x12", "generate"): "prints X12",
}


def help_of(path):
    context = click.Context(LEAVES[path], info_name=" ".join(("gateway", *path)), terminal_width=100)
    context.help_option_names = LEAVES[path].context_settings.get("help_option_names", ["-h", "--help"])
    return LEAVES[path].get_help(context)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_help_of_every_command_has_an_example_that_can_be_typed(path):
    """The example names this very command, and options that it has."""
    text = help_of(path)
    assert "Example" in text
    shown = re.findall(rf"gateway (?:--home \S+ |--debug )*{' '.join(path)}\b([^\n]*)", text.partition("Example")[2])
    assert shown, text
    known = {
        name
        for each in (*LEAVES[path].get_params(click.Context(LEAVES[path])), *root.params)
        for name in (*each.opts, *each.secondary_opts)
    }
    for rest in shown:
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:
            continue  # the help folded the line
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{path}: {word}"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_that_prints_data_has_json(path):
    """Or prints a form of its own, and says which."""
    has = any("--json" in each.opts for each in LEAVES[path].params)
    assert has != (path in OTHER_FORMS)


def test_the_table_of_examples_has_no_example_of_nothing():
    """A command that was renamed, or got an example of its own, leaves none behind."""
    paths = {" ".join(path) for path in LEAVES}
    assert set(examples.EXAMPLES) <= paths
    for name, lines in examples.EXAMPLES.items():
        assert all(line.split(" ")[: len(name.split(" "))] == name.split(" ") for line in lines)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_and_command_says_what_it_does(path):
    """A help without words helps nobody."""
    assert (LEAVES[path].help or "").strip()
    for each in LEAVES[path].params:
        if (
            isinstance(each, click.Option)
            and not each.hidden
            and "--kind" not in each.opts
            and "--form" not in each.opts
        ):
            assert (each.help or "").strip(), each.opts


# ---------------------------------------------------------------- misspelt words


def said(*words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_with_a_letter_too_many_is_understood(name, capsys):
    """At the top, where commands are loaded only when they are asked for."""
    assert f"`gateway {name}`" in said(f"{name}x", capsys=capsys)


# Groups that take what is no command of theirs for a partner's key.
WITH_KEYS = {("partner", "numbers"), ("partner", "expected")}


@pytest.mark.parametrize(
    "path", [each for each in LEAVES if len(each) > 1 and each[:-1] not in WITH_KEYS], ids=" ".join
)
def test_a_command_below_with_a_letter_too_many_is_understood(path, capsys):
    """At every level."""
    text = said(*path[:-1], f"{path[-1]}q", capsys=capsys)
    assert "Did you mean" in text
    assert path[-1] in text


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_an_option_with_a_letter_too_few_is_understood(path, capsys):
    """Of every command."""
    options = [name for each in LEAVES[path].params for name in each.opts if name.startswith("--") and len(name) > 5]
    if not options or LEAVES[path].context_settings.get("ignore_unknown_options"):
        return
    text = said(*path, f"{options[0][:-1]}", capsys=capsys)
    assert "Did you mean" in text
    assert options[0] in text


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["search", "acme"], "Did you mean `gateway ledger search`?"),
        (["resend", "3"], "Did you mean `gateway exchange resend`?"),
        (["secret", "delete", "smtp"], "Did you mean `gateway secret remove`?"),
        (["ledger", "search", "--home", "x"], None),
        (["night", "--home", "x"], "--home stands before the command: gateway --home DIR night"),
        (["status", "--debug"], "--debug stands before the command: gateway --debug status"),
        (["wheelbarrow"], "`gateway --help` lists the commands."),
        (["status", "--wheelbarrow"], "`gateway status --help` lists the options."),
    ],
)
def test_a_word_at_the_wrong_place_is_understood(words, wanted, capsys):
    """A command that stands elsewhere, an option of the whole, and words that mean nothing."""
    if wanted is not None:
        assert wanted in said(*words, capsys=capsys)


def test_other_mistakes_get_no_suggestion():
    """Nothing is guessed where nothing was misspelt."""
    context = click.Context(root, info_name="gateway")
    assert suggestion(click.UsageError("Missing argument 'KEY'.", context)) == ""
    assert suggestion(click.UsageError("No such command 'x'.")) == ""
    assert suggestion(click.UsageError("No such command 'x'.", click.Context(LEAVES["status",]))) == ""


# ---------------------------------------------------------------- tables

ROWS = [
    {"exchange": number, "partner": "acme", "subject": "a very long subject " * 9, "state": "quarantined"}
    for number in range(3)
]
SHOW = (
    "import json, sys\n"
    "from gateway.cli.output import print_rows\n"
    "print_rows(json.loads(sys.argv[1]), ['exchange', 'partner', 'subject', 'state'], as_json=False)\n"
)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_the_terminal(columns):
    """Long cells are folded within their column; no line is wider than the screen."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(
        [sys.executable, "-c", SHOW, json.dumps(ROWS)],
        stdout=follower,
        stdin=follower,
        env={**environment, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        text = b""
        while True:
            try:
                piece = os.read(leader, 65_536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        assert process.wait() == 0
    os.close(leader)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode()).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum("quarantined" in line.replace(" ", "") or "quaran" in line for line in lines) >= 3


def test_a_table_in_a_pipe_has_one_line_a_row(capsys):
    """However long a cell is, and whatever it holds."""
    rows = [*ROWS, {"exchange": 9, "partner": "x" * 3_000, "subject": "two\nlines \x1b[2J", "state": ["a", "b"]}]
    assert print_rows(rows, ["exchange", "partner", "subject", "state"], as_json=False) == 4
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 2 + len(rows)  # titles and a rule
    assert "\x1b" not in "".join(lines)
    assert "x" * 3_000 in lines[-1]
    assert lines[-1].rstrip().endswith("a, b")


def test_no_rows_are_said_beside_the_data(capsys):
    """A program that reads the table gets nothing."""
    assert print_rows([], ["a"], as_json=False, empty="There is nothing.") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "There is nothing.\n")


# ---------------------------------------------------------------- bars


def test_a_bar_is_for_terminals_alone(capsys, monkeypatch):
    """In a pipe or a log nothing of it is written."""
    from gateway.cli.reporting import counting

    with counting("rows", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with counting("rows", 3) as advance:
        advance(3)
    assert "rows" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


# ---------------------------------------------------------------- the engine's segments as JSON


def test_the_segments_of_a_file_are_json_documents():
    """One a line, in their order, with what is wrong where it stands."""
    file = SAMPLES / "850_purchase_order.edi"
    done = CliRunner().invoke(root, ["x12", "show", str(file), "--json"])
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    tags = [each["segment"] for each in found]
    assert (tags[0], tags[1], tags[-1]) == ("ISA", "GS", "IEA")
    assert next(each for each in found if each["segment"] == "BEG")["elements"][0]
    assert max(each["depth"] for each in found) >= 2
    assert not any(each["findings"] for each in found)
    broken = file.read_bytes().replace(b"BEG*", b"BEG*XX")
    done = CliRunner().invoke(root, ["x12", "show", "-", "--json"], input=broken)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["segment"] for each in found if each["findings"]] == ["BEG"]


# ---------------------------------------------------------------- a pipe that nobody reads any more


@pytest.mark.parametrize(
    "words", ["--help", "x12 sets", "x12 sets --json", "x12 generate 850 --version 004010", "completion bash"]
)
def test_a_reader_that_has_enough_ends_a_command_quietly(words, capfd, monkeypatch):
    """As ``gateway … | head`` does: exit code 0 and no word, for help, tables, lines of JSON and raw bytes."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as ended:
            main(words.split())
    assert ended.value.code == 0
    assert capfd.readouterr() == ("", "")
