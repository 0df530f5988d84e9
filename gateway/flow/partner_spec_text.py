"""A page as plain text of a width that mails and terminals have."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gateway.ledger.reports.page import Page, Section, Table

WIDTH = 78
_NARROWEST = 16  # columns of the last cell


def as_text(page: Page) -> str:
    """The page as text, lines of at most ``WIDTH`` columns but for what cannot be broken."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    title = f"{page.title} {page.subtitle}"
    yield title
    yield "=" * min(len(title), WIDTH)
    yield ""
    for label, value in page.facts:
        yield from _hanging(f"{label}:", value, 12)
    for figure in page.figures:
        yield from _hanging(f"{figure.label}:", f"{figure.value}{f' ({figure.note})' if figure.note else ''}", 22)
    for section in page.sections:
        yield from _section(section)
    yield ""
    yield from textwrap.wrap(page.footer, WIDTH)


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield section.title
    yield "-" * min(len(section.title), WIDTH)
    for sentence in section.sentences:
        yield from textwrap.wrap(sentence, WIDTH)
    for table in section.tables:
        yield ""
        yield from _table(table)
    for note in section.notes:
        yield from textwrap.wrap(note, WIDTH)


def _table(table: Table) -> Iterator[str]:
    yield f"{table.caption}:"
    heads = [table.columns] if any(table.columns) else []
    rows = [*heads, *table.rows]
    if len(table.columns) == 1:
        yield from (f"  {row[0]}" for row in table.rows)
        return
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns) - 1)]
    widths = _fitted(widths)
    for number, row in enumerate(rows):
        yield from _row(row, widths)
        if heads and number == 0:
            yield "  " + "-" * min(WIDTH - 2, sum(widths) + 2 * len(widths) + _NARROWEST)


def _fitted(widths: list[int]) -> list[int]:
    """Narrower columns, the widest first, until the last one has room."""
    widths = list(widths)
    while sum(widths) + 2 * len(widths) + 2 > WIDTH - _NARROWEST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _row(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    room = max(_NARROWEST, WIDTH - 2 - sum(widths) - 2 * len(widths))
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, [*widths, room], strict=True)]
    for at in range(max(map(len, cells))):
        parts = [cell[at] if at < len(cell) else "" for cell in cells]
        padded = [part.ljust(width) for part, width in zip(parts, widths, strict=False)]
        yield ("  " + "  ".join([*padded, parts[-1]])).rstrip()


def _hanging(label: str, value: str, indent: int) -> Iterator[str]:
    yield from textwrap.wrap(value or "-", WIDTH, initial_indent=label.ljust(indent), subsequent_indent=" " * indent)
