"""Profile files: TOML text ↔ Partner. docs/reference/profile.md lists every key.

A file says who the partner is, what holds for all its agreements ([envelope], [acknowledgment], [delivery],
[mail], [security]), and one [[agreement]] for each direction and family of transaction sets, which overrides those
tables key by key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import ProfileInvalid
from gateway.settings.lines import KeyPath, key_lines, line_of
from gateway.settings.model import Kept
from partners.calendar import Calendar
from partners.model import (
    AcknowledgmentPolicy,
    Agreement,
    Delivery,
    EnvelopeSettings,
    Expected,
    MailSettings,
    Partner,
    Security,
    Separators,
    Status,
    Storage,
)
from partners.profile_keys import (
    AGREEMENT,
    CALENDAR,
    EXPECTED,
    PARTNER,
    REQUIRED,
    SECTIONS,
    SEPARATORS,
    STORAGE,
    Reader,
)
from partners.profile_rules import agreement_problems, partner_problems
from partners.profile_values import WrongItemError, show
from partners.profile_writer import guidelines_table, write_profile

__all__ = [
    "Problem",
    "check_profile",
    "read_profile",
    "says_status",
    "with_guidelines",
    "with_one_more",
    "with_status",
    "write_profile",
]

Table = Mapping[str, Any]


class Problem(Struct, frozen=True, order=True):
    """One thing wrong with a profile: the line (from 1), the key as a person would name it, and what is allowed."""

    line: int
    key: str
    reason: str


def read_profile(text: str, file: str = "profile") -> Partner:
    """The partner that a profile file describes.

    Raises:
        ProfileInvalid: for the first thing wrong; its reason goes on, one line each, with all the others.
    """
    partner, problems = check_profile(text)
    if partner is None:
        first, *others = problems
        more = "".join(f"\n{file}, line {each.line}, key {each.key}: {each.reason}" for each in others)
        raise ProfileInvalid(file=file, line=first.line, key=first.key, reason=first.reason + more)
    return partner


def check_profile(text: str) -> tuple[Partner | None, Sequence[Problem]]:
    """The partner, or everything that is wrong with the text, in the order of its lines."""
    text = text.removeprefix("\ufeff")
    try:
        table = tomllib.loads(text)
        lines = key_lines(text)
    except (ValueError, RecursionError) as problem:
        return None, [_syntax_problem(text, problem)]
    reading = _Reading(table, lines)
    partner = reading.partner()
    return (None, sorted(set(reading.problems))) if reading.problems else (partner, [])


def says_status(text: str) -> bool:
    """Whether a valid profile text has a status of its own."""
    return "status" in tomllib.loads(text.removeprefix("\ufeff"))


def with_status(text: str, status: Status) -> str:
    """A valid profile text with another status; every other line, comments too, stays as it is."""
    text = text.removeprefix("\ufeff")
    lines = key_lines(text)
    rows = text.split("\n")
    line = f'status = "{status.value}"'
    end = "\r" if rows[0].endswith("\r") else ""
    if ("status",) in lines:
        at = lines[("status",)] - 1
        rows[at] = re.sub(r"""(["']?)status\1\s*=\s*("[^"]*"|'[^']*')""", lambda _: line, rows[at], count=1)
    else:
        rows.insert(lines[("key",)], line + end)
    changed = "\n".join(rows)
    wanted = replace(read_profile(text), status=status)
    # A value spread over lines (""" """) is beyond a change of one line: then the comments are lost.
    return changed if check_profile(changed)[0] == wanted else write_profile(wanted)


def with_one_more(text: str, key: str, value: str) -> str | None:
    """A profile text with one more address or identity; every other line, comments too, stays as it is.

    ``key`` is ``addresses`` or ``identities``. None where that cannot be done without losing anything, as in a list
    over several lines; the value may be wrong: that is told when the text is read.
    """
    text = text.removeprefix("\ufeff")
    try:
        before, at = tomllib.loads(text)[key], key_lines(text)[(key,)]
    except (ValueError, KeyError, RecursionError):
        return None
    rows = text.split("\n")
    written = json.dumps(value, ensure_ascii=False)
    found = re.fullmatch(r"(\s*[^=#]+=\s*\[[^\]#]*[^\],#\s])(?:\s*,)?(\s*\].*)", rows[at - 1], re.DOTALL)
    if found is None:
        return None
    rows[at - 1] = f"{found[1]}, {written}{found[2]}"
    changed = "\n".join(rows)
    try:
        after = tomllib.loads(changed)[key]
    except ValueError:
        return None
    return changed if after == [*before, value] else None


def with_guidelines(text: str, texts: Mapping[str, str]) -> str:
    """A valid profile text that also keeps these guideline files (path to content); nothing else changes.

    It must not keep any of them yet.
    """
    if not texts:
        return text
    partner = read_profile(text)
    wanted = replace(partner, guidelines=(*partner.guidelines, *texts.items()))
    if partner.guidelines:
        return write_profile(wanted)
    note = "# The guidelines that the agreements name, as they were when this profile was applied.\n"
    return f"{text.removeprefix(chr(0xFEFF)).rstrip()}\n\n{note}{guidelines_table(texts).lstrip()}"


def _syntax_problem(text: str, problem: Exception) -> Problem:
    if isinstance(problem, RecursionError):
        return Problem(1, "(file)", "the TOML is nested too deep")
    place = re.search(r" \(at line (\d+), column \d+\)$", str(problem))
    line = int(place.group(1)) if place else text.rstrip("\n").count("\n") + 1
    said = re.sub(r" \(at [^()]*\)$", "", str(problem))
    return Problem(line, "(file)", f"this is not TOML: {said}")


class _Reading:
    """One walk through a parsed file; whatever is wrong is noted, and the walk goes on."""

    def __init__(self, table: Table, lines: Mapping[KeyPath, int]) -> None:
        self.table = table
        self.lines = dict(lines)
        self.problems: list[Problem] = []

    def partner(self) -> Partner | None:
        own = self.take(self.table, (), PARTNER, also=(*SECTIONS, "agreement", "calendar", "expected", "storage"))
        self.require(own, (), REQUIRED["partner"])
        shared = self.sections(self.table, ())
        agreements = self.agreements(shared)
        calendar = self.take(self.subtable(self.table, ("calendar",)), ("calendar",), CALENDAR)
        storage = self.take(self.subtable(self.table, ("storage",)), ("storage",), STORAGE)
        expected = self.expected()
        if self.problems:
            return None
        own = {"name": own["key"], "status": Status.DRAFT, **own}
        own |= {"calendar": Calendar(**calendar), "expected": tuple(Expected(**each) for each in expected)}
        own |= {"retention": Kept(**shared["retention"]), "storage": Storage(**storage)}
        partner = Partner(agreements=tuple(agreements), **own)
        for path, reason in partner_problems(partner):
            self.wrong(path, reason)
        for index, agreement in enumerate(agreements):
            for path, reason in agreement_problems(partner, agreement):
                self.wrong(self.written(index, path), reason)
        return partner

    def agreements(self, shared: Mapping[str, dict[str, Any]]) -> list[Agreement]:
        tables = self.table.get("agreement")
        if tables is None:
            self.wrong(("agreement",), "an [[agreement]] is missing; each has a direction and sets")
        elif not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            self.wrong(("agreement",), "write [[agreement]] in two pairs of brackets: a partner may have several")
        elif not tables:
            self.wrong(("agreement",), "the list is empty; at least one agreement is needed")
        else:
            found = [self.agreement(each, index, shared) for index, each in enumerate(tables)]
            return [each for each in found if each is not None]
        return []

    def agreement(self, table: Table, index: int, shared: Mapping[str, dict[str, Any]]) -> Agreement | None:
        path: KeyPath = ("agreement", index)
        own = self.take(table, path, AGREEMENT, also=tuple(SECTIONS))
        sections = _overridden(shared, self.sections(table, path))
        if not self.require(own, path, REQUIRED["agreement"]):
            return None
        own.setdefault("name", _name_of(own))
        return Agreement(
            envelope=_envelope(sections["envelope"]),
            acknowledgment=replace(AcknowledgmentPolicy(), **sections["acknowledgment"]),
            delivery=replace(Delivery(), **sections["delivery"]),
            test_delivery=replace(Delivery(), **sections["test_delivery"]),
            mail=replace(MailSettings(), **sections["mail"]),
            security=replace(Security(), **sections["security"]),
            retention=Kept(**sections["retention"]),
            **own,
        )

    def expected(self) -> list[dict[str, Any]]:
        tables = self.table.get("expected", [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            self.wrong(("expected",), "write [[expected]] in two pairs of brackets: several files may be expected")
            return []
        found = [self.take(each, ("expected", index), EXPECTED) for index, each in enumerate(tables)]
        complete = [self.require(each, ("expected", index), REQUIRED["expected"]) for index, each in enumerate(found)]
        return [each for each, whole in zip(found, complete, strict=True) if whole]

    def sections(self, table: Table, path: KeyPath) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, keys in SECTIONS.items():
            also = ("separators",) if name == "envelope" else ()
            own = self.subtable(table, (*path, name))
            found[name] = self.take(own, (*path, name), keys, also=also)
            if also:
                separators = self.subtable(own, (*path, name, "separators"))
                found[name]["separators"] = self.take(separators, (*path, name, "separators"), SEPARATORS)
        return found

    def subtable(self, table: Table, path: KeyPath) -> Table:
        found = table.get(str(path[-1]), {})
        if isinstance(found, dict):
            return found
        self.wrong(path, f"{show(found)} is not a table; write its keys below [{_words(path)}]")
        return {}

    def take(
        self, table: Table, path: KeyPath, readers: Mapping[str, Reader], also: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The values of the keys that ``readers`` know; a key that nobody knows is wrong."""
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key in readers:
                try:
                    found[key] = readers[key](value)
                except WrongItemError as problem:
                    self.wrong((*path, key, problem.part), str(problem))
                except ValueError as problem:
                    self.wrong((*path, key), str(problem))
            elif key not in also:
                self.wrong((*path, key), _unknown(key, [*readers, *also]))
        return found

    def require(self, found: Table, path: KeyPath, keys: Mapping[str, str]) -> bool:
        complete = True
        for key, example in keys.items():
            if key not in found:
                complete = False
                if (*path, key) not in self.lines:  # else its value was wrong, and that is noted already
                    self.wrong((*path, key), f"is missing; write {example}")
        return complete

    def written(self, index: int, path: KeyPath) -> KeyPath:
        """Where a setting of an agreement is written: in the agreement, or for the whole partner."""
        for end in range(len(path), 0, -1):
            if ("agreement", index, *path[:end]) in self.lines:
                break
            if path[:end] in self.lines:
                return path
        return ("agreement", index, *path)

    def wrong(self, path: KeyPath, reason: str) -> None:
        self.problems.append(Problem(line_of(self.lines, path), _words(path), reason))


def _envelope(settings: dict[str, Any]) -> EnvelopeSettings:
    separators = replace(Separators(), **settings["separators"])
    return replace(EnvelopeSettings(), **{**settings, "separators": separators})


def _overridden(shared: Mapping[str, dict[str, Any]], own: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    merged = {name: {**shared[name], **own[name]} for name in shared}
    merged["envelope"]["separators"] = {**shared["envelope"]["separators"], **own["envelope"]["separators"]}
    return merged


def _name_of(own: Mapping[str, Any]) -> str:
    """``in-850-860``, with the versions where some are named."""
    words = ["all" if each == "*" else each for each in own["sets"]]
    return "-".join([own["direction"].value, *words, *own.get("versions", ())])


def _unknown(key: str, allowed: Sequence[str]) -> str:
    near = get_close_matches(key, allowed, n=1, cutoff=0.6)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"there is no such key; {guess}allowed are {', '.join(allowed)}"


def _words(path: KeyPath) -> str:
    """``agreement[0].sets[1]``: how a person names a key."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(file)"
