"""Many partners from a table (CSV): each row a profile, or what is wrong with it by line and column. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import ProfileInvalid, UsageFault
from partners import profile_keys, profile_values
from partners.learning_draft import Answers, draft_text, read_types
from partners.model import Evidence, FunctionalAck, TA1Policy

COLUMNS: Mapping[str, str] = {
    "key": "names the partner for ever; made from the name where it is empty",
    "name": "the company, for people",
    "identities": "QUALIFIER:ID, several with blanks or semicolons between",
    "addresses": "mail addresses, several with blanks or semicolons between",
    "types": "sets and directions seen from us: 850:in;810:out",
    "version": "GS08 of all of them, such as 004010; empty for any",
    "contact": "whom to call",
    "notes": "whatever else",
    "evidence": f"what proves a sender: {', '.join(each.value for each in Evidence)}",
    "functional": f"the functional acknowledgment, both ways: {', '.join(each.value for each in FunctionalAck)}",
    "ta1": f"when we send a TA1: {', '.join(each.value for each in TA1Policy)}",
    "within": "how long an acknowledgment may take: 24h",
}
Progress = Callable[[Sequence[Any]], Iterable[Any]]  # gives the same, and shows on the way how far it has come
_NEEDED = ("identities", "addresses", "types")
_MARKS = ";\t|"


class CellProblem(Struct, frozen=True):
    """What is wrong in one place of a table; ``column`` is "" where it is the row as a whole."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f", column {self.column}" if self.column else ""
        return f"line {self.line}{place}: {self.reason}"


class Row(Struct, frozen=True):
    """A row of the table: the text of its profile, or "" with its problems."""

    line: int
    key: str
    text: str
    problems: tuple[CellProblem, ...] = ()


def read_table(text: str, progress: Progress = list) -> list[Row]:
    """The rows of a CSV file; comma, semicolon, tab or bar between its cells. ``progress`` shows how far it has come.

    Raises:
        UsageFault: the first line does not name the columns, or there is no row.
    """
    head = text.partition("\n")[0]
    counts = {mark: head.count(mark) for mark in f",{_MARKS}"}
    rows = csv.reader(io.StringIO(text), delimiter=max(counts, key=lambda mark: counts[mark]), skipinitialspace=True)
    try:
        names = [each.strip().lower().replace(" ", "_") for each in next(rows, [])]
        _check_names(names)
        listed = [(rows.line_num, cells) for cells in rows if any(each.strip() for each in cells)]
    except csv.Error as problem:
        raise UsageFault(reason=f"Line {rows.line_num} is no CSV: {problem}") from None
    if not listed:
        raise UsageFault(reason="The file has no rows.")
    return [_row(line, names, cells) for line, cells in progress(listed)]


def _check_names(names: list[str]) -> None:
    strange = [each for each in names if each not in COLUMNS]
    missing = [each for each in _NEEDED if each not in names]
    if strange or missing or len(set(names)) != len(names):
        said = f"unknown: {', '.join(strange)}; " if strange else ""
        said += f"missing: {', '.join(missing)}; " if missing else ""
        raise UsageFault(reason=f"The first line must name the columns ({said}allowed are {', '.join(COLUMNS)}).")


def _row(line: int, names: list[str], cells: list[str]) -> Row:
    values = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
    key = values.get("key") or _key(values.get("name", ""))
    if len(cells) > len(names):
        return Row(line, key, "", (CellProblem(line, "", f"it has {len(cells)} cells, the first line {len(names)}"),))
    problems = [CellProblem(line, name, said) for name, said in _wrong(values | {"key": key})]
    if problems:
        return Row(line, key, "", tuple(problems))
    try:
        return Row(line, key, draft_text(_answers(key, values)))
    except ProfileInvalid as fault:
        said = f"{fault.details['key']}: {fault.details['reason']}"
        return Row(line, key, "", (CellProblem(line, "", said),))


def _wrong(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is wrong with each cell, by the rules of profiles."""
    found = []
    for name, read in _READERS.items():
        text = values.get(name, "")
        needed = name in {"key", *_NEEDED}
        if not text and not needed:
            continue
        if not text:
            found.append((name, "is empty"))
            continue
        try:
            read(text)
        except ValueError as problem:
            found.append((name, str(problem)))
    return found


def _each(read: Callable[[object], object]) -> Callable[[str], object]:
    return lambda text: [read(word) for word in _words(text)]


_READERS: Mapping[str, Callable[[str], object]] = {
    "key": profile_values.read_key,
    "name": profile_values.read_line,
    "identities": _each(profile_values.read_identity),
    "addresses": _each(profile_values.read_address),
    "types": read_types,
    "version": profile_values.read_version,
    "contact": profile_values.read_text,
    "notes": profile_values.read_text,
    "evidence": profile_keys.PARTNER["evidence"],
    "functional": profile_keys.ACKNOWLEDGMENT["functional"],
    "ta1": profile_keys.ACKNOWLEDGMENT["ta1"],
    "within": profile_values.read_deadline,
}


def _answers(key: str, values: Mapping[str, str]) -> Answers:
    acknowledgment = {name: values[name] for name in ("functional", "ta1", "within") if values.get(name)}
    return Answers(
        key=key,
        name=values.get("name", ""),
        addresses=tuple(_words(values["addresses"])),
        identities=tuple(_words(values["identities"])),
        types=read_types(values["types"]),
        version=values.get("version", ""),
        contact=values.get("contact", ""),
        notes=values.get("notes", ""),
        evidence=values.get("evidence", ""),
        tables={"acknowledgment": acknowledgment},
    )


def _words(text: str) -> list[str]:
    return [each for each in re.split(r"[;,|\s]+", text) if each]


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
