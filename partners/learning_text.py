"""A profile as commented text: each line with where it is from, and ``CHECK:`` where a person has to look. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import tomli_w
from msgspec import Struct, field
from msgspec.structs import replace

from gateway.errors import ProfileInvalid
from partners.profile import check_profile

CHECK = "CHECK: "
_LONGEST = 200  # characters of a comment
_NEEDED = frozenset({"key", "addresses", "identities", "direction", "sets"})


class Line(Struct, frozen=True):
    """One key with its value as TOML has it. ``source`` says from what it was inferred; ``check`` what is unsure."""

    key: str
    value: object
    source: str = ""
    check: str = ""
    off: str = ""  # why the line is only a comment

    def text(self) -> str:
        """As it stands in the file."""
        words = [self.source] if self.source else []
        words += [f"{CHECK}{self.off or self.check}"] if self.off or self.check else []
        comment = comment_of("; ".join(words)) if words else ""
        return f"{'# ' if self.off else ''}{self.key} = {toml_value(self.value)}{f'  # {comment}' if comment else ''}"


class Block(Struct, frozen=True):
    """A table of the file: its head in brackets (empty at the top), sentences before it, and its lines."""

    head: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = field(default=())

    def text(self) -> Iterator[str]:
        """Its lines."""
        if self.head:
            yield ""
        yield from (f"# {comment_of(each)}" for each in self.notes)
        if self.head:
            yield self.head
        yield from (each.text() for each in self.lines)


def profile_text(blocks: Sequence[Block]) -> tuple[str, tuple[str, ...]]:
    """The text of a profile that can be applied, and what is to be checked in it.

    A line with a value that no profile may have is left in as a comment that says why.

    Raises:
        ProfileInvalid: what cannot be left out is wrong.
    """
    current = list(blocks)
    for _ in range(sum(len(each.lines) for each in blocks) + 1):
        text = "\n".join(line for each in current for line in each.text()) + "\n"
        partner, problems = check_profile(text)
        if partner is not None:
            return text, tuple(_checks(current))
        problem = problems[0]
        if not _switched_off(current, problem.line, problem.reason):
            raise ProfileInvalid(file="the proposal", line=problem.line, key=problem.key, reason=problem.reason)
    raise AssertionError("every round switches a line off")


def _switched_off(blocks: list[Block], number: int, reason: str) -> bool:
    """Turns the line with that number into a comment, or all lines of a table that is wrong as a whole.

    False where it must stand, or is none.
    """
    at = 0
    for index, block in enumerate(blocks):
        rows = list(block.text())
        place = number - at - 1 - (len(rows) - len(block.lines))
        if at < number <= at + len(rows):
            chosen = range(len(block.lines)) if place < 0 else range(place, place + 1)
            off = [each for each in chosen if not block.lines[each].off and block.lines[each].key not in _NEEDED]
            lines = list(block.lines)
            for each in off:
                lines[each] = replace(lines[each], off=f"left out, for {reason}")
            blocks[index] = replace(block, lines=tuple(lines))
            return bool(off)
        at += len(rows)
    return False


def _checks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield from (each.removeprefix(CHECK) for each in block.notes if each.startswith(CHECK))
        where = f"{block.head} " if block.head else ""
        yield from (f"{where}{each.key}: {each.off or each.check}" for each in block.lines if each.off or each.check)


def toml_value(value: object) -> str:
    """A value as TOML writes it, lists on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def comment_of(text: str) -> str:
    """Text from anywhere as one line of a comment: TOML allows no control characters there."""
    plain = re.sub(r"\s+", " ", "".join(each if each.isprintable() else " " for each in text)).strip()
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
