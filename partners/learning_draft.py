"""A profile from a few answers, as a wizard or a row of a table gives them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from partners.learning_text import Block, Line, profile_text
from partners.model import Direction
from partners.profile_values import read_set

_TYPE = re.compile(r"([0-9A-Za-z]{3}|\*)\s*[:=/ ]\s*(in|out|both)", re.IGNORECASE)


class Answers(Struct, frozen=True):
    """What a person said of a partner. ``types`` are (set, direction); ``tables`` are more keys by table."""

    key: str
    name: str
    addresses: tuple[str, ...]
    identities: tuple[str, ...]
    types: tuple[tuple[str, Direction], ...]
    version: str = ""
    contact: str = ""
    notes: str = ""
    evidence: str = ""
    tables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # "envelope", "envelope.separators" …


def read_types(text: str) -> tuple[tuple[str, Direction], ...]:
    """``850:in, 810:out``: a transaction set and its direction, seen from us; ``both`` is two of them.

    Raises:
        ValueError: with what is allowed.
    """
    found: list[tuple[str, Direction]] = []
    for word in re.split(r"[,;]\s*", text.strip().strip(",;")):
        match = _TYPE.fullmatch(word.strip())
        if match is None:
            raise ValueError(f"{word!r} is no transaction set with a direction; write for example 850:in,810:out")
        name = read_set(match[1].upper())
        ways = [Direction.IN, Direction.OUT] if match[2].lower() == "both" else [Direction(match[2].lower())]
        found += [(name, way) for way in ways]
    return tuple(dict.fromkeys(found))


def draft_text(answers: Answers) -> str:
    """The profile: one agreement for each direction.

    Raises:
        ProfileInvalid: an answer that no profile may have.
    """
    lines = [
        Line("key", answers.key),
        Line("name", answers.name or answers.key),
        Line("addresses", list(answers.addresses)),
        Line("identities", list(answers.identities)),
    ]
    more = (("contact", answers.contact), ("notes", answers.notes), ("evidence", answers.evidence))
    lines += [Line(key, value) for key, value in more if value]
    blocks = [Block("", tuple(lines))]
    for name, table in answers.tables.items():
        if table:
            blocks.append(Block(f"[{name}]", tuple(Line(key, value) for key, value in table.items())))
    for direction in (Direction.IN, Direction.OUT):
        sets = [name for name, way in answers.types if way is direction]
        if sets:
            blocks.append(_agreement(direction, sets, answers.version))
    text, wrong = profile_text(blocks)
    return text if not wrong else _refuse(text)


def _refuse(text: str) -> str:
    """A person gave the answers: what cannot be taken is told, not left out."""
    from partners.profile import read_profile  # noqa: PLC0415 - for this alone

    kept = re.sub(r"^# (\w+ = .*?)(?:  # CHECK: left out.*)$", r"\1", text, flags=re.MULTILINE)
    read_profile(kept, "the answers")
    return kept


def _agreement(direction: Direction, sets: Sequence[str], version: str) -> Block:
    chosen = ["*"] if "*" in sets else list(sets)
    lines = [Line("direction", direction.value), Line("sets", chosen)]
    return Block("[[agreement]]", tuple([*lines, Line("versions", [version])] if version else lines))
