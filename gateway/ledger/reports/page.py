"""What a report shows to people, before it is HTML or PDF: headings, sentences, tables and a picture, all as text.

Both renderings are made from one ``Page``, so that they say the same.
"""

from __future__ import annotations

from msgspec import Struct, field

from gateway.ledger.reports.chart import Chart


class Table(Struct, frozen=True):
    """A table. ``numeric`` are the columns that are set to the right; the first column names its row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    total: tuple[str, ...] = ()
    wide: frozenset[int] = frozenset()  # columns with sentences: they get what room is left
    tight: frozenset[int] = frozenset()  # columns that stay on one line


class Picture(Struct, frozen=True):
    """A chart with its title, and what it shows in a sentence."""

    title: str
    description: str
    chart: Chart


class Section(Struct, frozen=True):
    """A heading, sentences, and what follows them."""

    title: str
    sentences: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = field(default=())


class Figure(Struct, frozen=True):
    """One number that stands out at the top."""

    label: str
    value: str
    note: str = ""


class Page(Struct, frozen=True):
    """The whole document."""

    title: str
    subtitle: str
    author: str
    facts: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    footer: str
