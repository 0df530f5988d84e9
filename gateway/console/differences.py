"""What is different between two texts, line by line, as pages show it."""

from __future__ import annotations

from difflib import SequenceMatcher

from msgspec import Struct

_MOST = 20_000  # lines of a text that are compared; beyond, comparing takes too long for a page
_QUICK = 2_000  # lines up to which the shortest difference is looked for


class Line(Struct, frozen=True):
    """A line of the picture: ``kind`` is same, added, removed or between (lines that are left out).

    ``before`` and ``after`` are its numbers in the two texts, None where it is not in that one.
    """

    kind: str
    before: int | None
    after: int | None
    text: str


def differences(before: str, after: str, context: int = 3) -> tuple[Line, ...]:
    """The lines that differ, with some around them; nothing where the texts are the same.

    Args:
        before: the earlier text.
        after: the later one.
        context: how many lines that are the same are shown around each place.
    """
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > _MOST:
        said = f"These texts are too long to be compared here: {len(old):,} and {len(new):,} lines."
        return () if old == new else (Line("between", None, None, said),)
    found: list[Line] = []
    reached = 0  # lines of the earlier text that are shown or passed
    for group in SequenceMatcher(None, old, new, autojunk=len(old) > _QUICK).get_grouped_opcodes(context):
        first = group[0][1]
        if first > reached:
            left_out = first - reached
            found.append(Line("between", None, None, f"{left_out} line{'s' * (left_out > 1)} the same"))
        for kind, old_from, old_to, new_from, new_to in group:
            if kind == "equal":
                shift = new_from - old_from
                found += [Line("same", at + 1, at + 1 + shift, old[at]) for at in range(old_from, old_to)]
                continue
            found += [Line("removed", at + 1, None, old[at]) for at in range(old_from, old_to)]
            found += [Line("added", None, at + 1, new[at]) for at in range(new_from, new_to)]
        reached = group[-1][2]
    if found and reached < len(old):
        left_out = len(old) - reached
        found.append(Line("between", None, None, f"{left_out} line{'s' * (left_out > 1)} the same"))
    return tuple(found)
