"""Segments of an exchange on a terminal: numbered, indented by loop, with what is wrong beneath them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.flow.segments import ElementView, Page, SegmentView
    from gateway.ledger.story_values import FindingStory

Style = Callable[[str, str], str]  # (text, colour) -> text
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def plain(text: str, _colour: str) -> str:
    """No colour at all."""
    return text


def segment_lines(page: Page, style: Style = plain, *, elements: bool = False) -> Iterator[str]:
    """The page line by line.

    The first number counts the segments of the interchange, the second one those of the set. Elements are told one by
    one, with their names, where something is wrong with them, or all of them with ``elements``. Nothing that a partner
    wrote can carry a line break or a control character.
    """
    yield from (_finding(found, "", style) for found in page.unplaced)
    width = len(f"{max((each.number for each in page.segments), default=1)}")
    before = 0
    inside = ""
    for each in page.segments:
        if before and each.number != before + 1:
            yield f"{'⋮':>{width}}"
        if each.set_name and inside != f"{each.group} {each.set}":
            inside = f"{each.group} {each.set}"
            if each.tag != "ST":
                yield style(
                    f"{'':>{width}}        in {each.set_name}, set {each.set} of group {each.group}", "bright_black"
                )
        before = each.number
        yield from _segment(each, width, style, elements=elements)


def _segment(each: SegmentView, width: int, style: Style, *, elements: bool) -> Iterator[str]:
    position = f"{each.position}" if each.position else ""
    indent = "  " * each.depth
    about = ", ".join(part for part in (each.name, f"loop {each.loop}" if each.loop else "") if part)
    text = printable(each.text)
    note = style(f"   {about}", "bright_black") if about else ""
    tag, rest = style(text[: len(each.tag)], "bold"), text[len(each.tag) :]
    yield f"{each.number:>{width}} {position:>6}  {indent}{tag}{rest}{note}"
    margin = f"{'':>{width}} {'':>6}  {indent}    "
    for element in each.elements:
        if element.findings or (elements and element.value.strip()):
            yield from _element(each.tag, element, margin, style)
    yield from (_finding(found, margin, style) for found in each.findings)


def _element(tag: str, each: ElementView, margin: str, style: Style) -> Iterator[str]:
    name = style(f"   {each.name}", "bright_black") if each.name else ""
    yield f"{margin}{tag}{each.number:02}  {printable(each.value)}{name}"
    for part in each.parts:
        if part.value and part.name:
            yield f"{margin}  {tag}{each.number:02}-{part.number}  {printable(part.value)}" + style(
                f"   {part.name}", "bright_black"
            )
    yield from (_finding(found, f"{margin}  ", style) for found in each.findings)


def _finding(each: FindingStory, margin: str, style: Style) -> str:
    code = f"{each.code}, X12 code {each.x12}" if each.x12 else each.code
    said = printable(each.message or f"{each.segment} at segment {each.position}")
    return f"{margin}" + style(f"^ {each.level}: {said} [{code}]", _COLOURS.get(each.level, "red"))


def printable(text: str) -> str:
    """Text that cannot move the cursor of a terminal: control characters become dots."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "·" for sign in text)
