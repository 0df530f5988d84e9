"""Writes the generated pages of docs/reference from the code: faults, states, templates, commands, doctor, metrics.

Run it with ``make reference``. With ``--check`` it writes nothing, names the pages that are out of date, and ends
with 1 if there are any.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.main import root
from gateway.console.api import OPERATIONS
from gateway.console.api.declared import Operation
from gateway.console.api.openapi import TAGS as API_TAGS
from gateway.console.api.serving import ROOT as API_ROOT
from gateway.errors import GatewayError, all_faults
from gateway.errors.causes import cause_of
from gateway.flow.check_catalog import SECTIONS
from gateway.flow.metric_names import METRICS
from gateway.ledger.api_tokens import SCOPES
from gateway.ledger.states import EXCHANGE_ATTENTION, EXCHANGE_MEANING, MESSAGE_ATTENTION, MESSAGE_MEANING
from partners.model import MailSettings
from partners.profile_values import TEMPLATE_NAMES

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make reference` from {source}; edit that, not this. -->\n"
WIDTH = 100  # of help texts, whatever terminal this runs in


def faults_page() -> str:
    """Every failure the gateway can name: one entry a class, branch by branch."""
    lines = [
        "# Faults",
        "",
        NOTE.format(source="gateway/errors/"),
        "Whatever goes wrong has a code that stays the same from release to release, a sentence, a cause that is",
        "usually behind it, the side it is on, and a next step. A command that ends with a fault says them on stderr",
        "(with `--json` as one JSON document); in the ledger they stand at the event; `gateway fault CODE` prints an",
        "entry of this page. `{names}` are filled in when it happens. *Permanent* means that the same attempt can",
        "never succeed; other faults are tried again by themselves.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | unexpected: a defect, please report it |",
        "| 2 | usage: an option, a name or a state does not fit |",
        "| 65 | some documents were rejected or quarantined |",
        "| 69 | a mailbox, SMTP host, database or delivery target is unavailable |",
        "| 75 | try again later |",
        "| 78 | configuration |",
    ]
    branches: list[type[GatewayError]] = [GatewayError, *GatewayError.__subclasses__()]
    for branch in branches:
        members = [branch] if branch is GatewayError else [f for f in all_faults() if issubclass(f, branch)]
        lines += ["", f"## {_words(branch)}"]
        if branch is not GatewayError and branch.__doc__:
            lines += ["", _first_paragraph(branch.__doc__)]
        for fault in members:
            lines += _fault_entry(fault)
    return "\n".join(lines) + "\n"


def _fault_entry(fault: type[GatewayError]) -> Iterator[str]:
    yield ""
    yield f"### `{fault.code}`"
    yield ""
    yield f"> {fault.sentence}"
    yield ""
    yield f"Cause: {cause_of(fault)}"
    yield ""
    yield (
        f"`{fault.__name__}` · exit code {fault.exit_code} · side: {fault.side.value} · "
        f"{'permanent' if fault.permanent else 'tried again'}"
    )
    yield ""
    yield f"What to do: {fault.advice}"


def states_page() -> str:
    """Every state of a message and of an exchange, with the sentence an operator reads."""
    lines = [
        "# States",
        "",
        NOTE.format(source="gateway/ledger/states.py"),
        "The state says where something stands, and only the ledger holds it. States marked ● need a person and are",
        "listed by `gateway status`. The verdict on the content (accepted, accepted with errors, partially accepted,",
        "rejected) is kept beside the state.",
    ]
    kinds: tuple[tuple[str, Mapping[str, str], frozenset[str]], ...] = (
        ("Messages: one mail, received or sent", dict(MESSAGE_MEANING), frozenset(MESSAGE_ATTENTION)),
        ("Exchanges: one interchange, in or out", dict(EXCHANGE_MEANING), frozenset(EXCHANGE_ATTENTION)),
    )
    for title, meaning, attention in kinds:
        lines += ["", f"## {title}", "", "| state | needs a person | meaning |", "|---|---|---|"]
        lines += [f"| {state} | {'●' if state in attention else ''} | {said} |" for state, said in meaning.items()]
    return "\n".join(lines) + "\n"


# What a name means in the templates of a profile, and an example; complete by TEMPLATE_NAMES.
TEMPLATE_MEANING: dict[str, tuple[str, str]] = {
    "sets": ("the transaction sets, each once, in order; TA1 for a TA1 alone", "855"),
    "control_number": ("the interchange control number (ISA13)", "000000201"),
    "group_control_number": ("the control number of the first group (GS06); empty for a TA1 alone", "201"),
    "our_name": ("our name, from gateway.toml", "Example Co"),
    "partner": ("the partner's key", "birch"),
    "partner_name": ("the partner's name", "Birch Retail"),
    "date": ("the interchange date (ISA09, YYMMDD)", "261102"),
    "time": ("the interchange time (ISA10, HHMM)", "1045"),
    "usage": ("the usage indicator (ISA15): P production, T test", "P"),
}


def templates_page() -> str:
    """The names that subjects, file names and bodies of an agreement's mail may use."""
    lines = [
        "# Templates",
        "",
        NOTE.format(source="tools/generate_reference.py"),
        "An agreement's `mail` settings `subject`, `file_name` and `body` are text in which `{name}` stands for a",
        "value of the interchange that is sent. A name that is not in this list is refused when the profile is",
        "applied.",
        "A literal brace is written twice: `{{` or `}}`.",
        "",
        "| name | stands for | example |",
        "|---|---|---|",
    ]
    for name in TEMPLATE_NAMES:
        meaning, example = TEMPLATE_MEANING[name]
        lines.append(f"| `{{{name}}}` | {meaning} | {example} |")
    sample = MailSettings()
    values = {name: example for name, (_, example) in TEMPLATE_MEANING.items()}
    lines += [
        "",
        "Where a profile says nothing:",
        "",
        "| setting | template | gives |",
        "|---|---|---|",
        *(
            f"| `{key}` | `{text}` | {text.format_map(values)} |"
            for key, text in (("subject", sample.subject), ("file_name", sample.file_name))
        ),
    ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help of every command, the deepest included."""
    lines = [
        "# Commands",
        "",
        NOTE.format(source="the commands' own help"),
        "Data goes to stdout, messages go to stderr. `--json` prints one document, or one a line for listings.",
        "`--home DIR` (before the command) or `GATEWAY_HOME` names the directory with gateway.toml.",
    ]
    for path, command in _walk(("gateway",), root):
        context = click.Context(command, info_name=" ".join(path), terminal_width=WIDTH, max_content_width=WIDTH)
        # Its own where it has some: the option that is made from them stays with the command.
        context.help_option_names = command.context_settings.get("help_option_names", ["-h", "--help"])
        text = re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE)
        lines += ["", f"{'#' * min(len(path) + 1, 4)} {' '.join(path)}", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _walk(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _walk((*path, name), found)


def doctor_page() -> str:
    """Everything that the doctor can find, part by part."""
    lines = [
        "# What the doctor finds",
        "",
        NOTE.format(source="gateway/flow/check_catalog.py"),
        "`gateway doctor` looks at everything that must be right and says of each thing how it is, and what to do.",
        "It changes nothing, sends nothing and fetches nothing; `--offline` leaves the hosts alone, `--ledger` reads",
        "the whole ledger too. What it finds has a code that stays the same from release to release (`code` with",
        "`--json`). A check that failed makes the exit code 78 (something must be corrected) or 69 (something is not",
        "available); a warning leaves it at 0. A code that is not in these tables is that of a [fault](faults.md).",
    ]
    for title, entries in SECTIONS.items():
        lines += ["", f"## {title}", "", "| code | what it finds | what to do |", "|---|---|---|"]
        lines += [f"| `{code}` | {entry.finds} | {entry.advice} |" for code, entry in entries.items()]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Every operation of the API, by what it is for."""
    lines = [
        "# The API",
        "",
        NOTE.format(source="gateway/console/api/"),
        f"JSON over HTTP below `{API_ROOT}`. Every request shows a token (`Authorization: Bearer …`) with the",
        "scope that the operation needs. The description for machines (OpenAPI 3.1) is at",
        f"`{API_ROOT}/openapi.json` and needs none.",
        "[The API by task](../api.md) shows how it is used.",
        "",
        "| scope | a token with it may |",
        "|---|---|",
        *(f"| `{name}` | {meaning} |" for name, meaning in SCOPES.items()),
        "",
        "A fault is a problem (RFC 9457, `application/problem+json`) with `code`, `detail`, `advice`, `side` and",
        "`permanent`; [the faults](faults.md) lists the codes. Every operation may also answer 400 (it cannot be",
        "understood), 401 (no good token), 403 (the scope is missing) and 429 (asked too often; `Retry-After` says",
        "when to come again).",
    ]
    for tag, meaning in API_TAGS.items():
        lines += ["", f"## {meaning}"]
        for each in (one for one in OPERATIONS if one.tag == tag):
            lines += _operation_entry(each)
    return "\n".join(lines) + "\n"


def _operation_entry(each: Operation) -> Iterator[str]:
    yield from ("", f"### {each.summary}", "", f"`{each.method} {each.path}` · scope `{each.scope}`")
    if each.more:
        yield from ("", each.more)
    if each.parameters:
        yield from ("", "| parameter | in | holds | meaning |", "|---|---|---|---|")
        for one in each.parameters:
            needed = " (needed)" if one.required else ""
            yield f"| `{one.name}` | {one.where} | {_held(one.schema)} | {one.meaning}{needed} |"
    if each.body is not None:
        kinds = " or ".join(f"`{kind}`" for kind in each.body.content)
        yield from ("", f"Body: {kinds}. {each.body.meaning}")
        for schema in each.body.content.values():
            yield from _fields(schema)
    yield ""
    for answer in each.answers:
        yield f"- {answer.status}: {answer.meaning}" + "".join(
            f" `{name}`: {meaning}." for name, meaning in answer.headers.items()
        )
    if each.faults:
        yield f"- {', '.join(str(status) for status in each.faults)}: refused, with the fault."


def _held(schema: Mapping[str, Any]) -> str:
    kind = {"integer": "number", "boolean": "`true`, `false`"}.get(str(schema["type"]), "text")
    if schema["type"] == "integer" and schema["maximum"] < 10**9:
        kind = f"{schema['minimum']} to {schema['maximum']}"
    default = schema.get("default")
    return kind + (f", `{default}` by default" if default not in {None, "", False} else "")


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        return
    yield from ("", "| field | holds |", "|---|---|")
    for name, one in schema["properties"].items():
        kind = "text" if one["type"] == "string" else "true or false"
        yield f"| `{name}` | {kind}{', needed' * (name in schema['required'])} |"


def metrics_page() -> str:
    """Every figure for Prometheus."""
    lines = [
        "# Metrics",
        "",
        NOTE.format(source="gateway/flow/metric_names.py"),
        "What `metrics_file` and `GET /metrics` tell ([Running it](../running.md#metrics)). All are gauges; names that",
        "end with `_timestamp_seconds` are moments, in seconds since 1970, so that `time() - …` is their age, however",
        "old the file is. Of a label `partner` the hundred with the highest figures are named, `(others)` are the rest",
        "together, and `(strangers)` are nobody we know.",
        "",
        "| name | labels | what it is |",
        "|---|---|---|",
    ]
    for name, each in METRICS.items():
        lines.append(f"| `{name}` | {', '.join(f'`{label}`' for label in each.labels)} | {each.help_} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "faults.md": faults_page,
    "states.md": states_page,
    "templates.md": templates_page,
    "commands.md": commands_page,
    "doctor.md": doctor_page,
    "metrics.md": metrics_page,
    "api.md": api_page,
}


def outdated(directory: Path = REFERENCE) -> list[str]:
    """The names of the pages in ``directory`` that differ from what the code says now."""
    return [name for name, page in PAGES.items() if _read(directory / name) != page()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _words(fault: type[GatewayError]) -> str:
    """``MessageFault`` as ``Message fault``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", fault.__name__).capitalize()


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().split("\n\n")[0].split())


def main() -> int:
    """Writes all pages, or with ``--check`` only says which would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page is out of date")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="only these pages")
    arguments = parser.parse_args()
    if arguments.check:
        late = outdated()
        for name in late:
            print(f"docs/reference/{name} is out of date: run `make reference`")
        return 1 if late else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in arguments.pages or PAGES:
        (REFERENCE / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
