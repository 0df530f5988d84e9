"""A tree on a terminal, in box characters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from gateway.ledger.events import one_line
from gateway.ledger.moments import spoken
from gateway.ledger.outline import Branch


def draw(branch: Branch, zone: tzinfo | None = None) -> list[str]:
    """The tree line by line. Nothing that a partner wrote can carry a line break or a control character."""
    return [_label(branch, zone), *_below(branch, "", zone)]


def _below(branch: Branch, indent: str, zone: tzinfo | None) -> Iterator[str]:
    more = [f"… and {branch.left_out:,} more"] if branch.left_out else []
    last = len(branch.children) + len(more) - 1
    for number, child in enumerate(branch.children):
        end = number == last
        yield f"{indent}{'└─' if end else '├─'} {_label(child, zone)}"
        yield from _below(child, f"{indent}{'   ' if end else '│  '}", zone)
    yield from (f"{indent}└─ {each}" for each in more)


def _label(branch: Branch, zone: tzinfo | None) -> str:
    reference = ""
    if branch.reference:
        reference = f" ({branch.reference if branch.reference.startswith('m') else f'exchange {branch.reference}'})"
    said = f": {branch.said}" if branch.said else ""
    when = f", {spoken(branch.at, zone).strip()}" if branch.at is not None else ""
    return one_line(f"{branch.title}{said}{when}{reference}")
