"""What every judge of a set knows of segments: what may stand before one, which are an envelope's, how one is shown."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.x12.guideline.model import Segment
from gateway.x12.guideline.plan import Node

BLANKS: Final = "\r\n\t \x00"
ENVELOPE: Final = frozenset({"ISA", "GS", "ST", "GE", "IEA"})


class Step(NamedTuple):
    """One segment as it was placed, for showing a set to people."""

    position: int  # 1 for ST
    depth: int  # how many loops it stands in
    loop: str  # id of the innermost loop, "" at the top
    name: str  # the segment's name, where the guideline has one
    segment: Segment | None  # its definition, None where it could not be placed


def step_to(position: int, node: Node | None) -> Step:
    """The step that a segment made; ``node`` is None where it could not be placed."""
    if node is None or node.parent is None:
        return Step(position, 0, "", "", None)
    depth, above = 0, node.parent
    while above.parent is not None:
        depth, above = depth + 1, above.parent
    return Step(position, depth, node.loop_id, node.segment.name, node.segment)
