"""Text that every database takes. What partners write may hold what one refuses; the raw bytes keep what it was."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def storable(values: Row) -> Row:
    """The values with every text ``clean``; the same object where nothing had to be done."""
    for value in values.values():
        if isinstance(value, str) and not (value.isascii() and "\0" not in value):
            return {name: clean(value) if isinstance(value, str) else value for name, value in values.items()}
    return values


def make_storable(row: Row) -> None:
    """``storable`` in place."""
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = clean(value)


def clean(text: str) -> str:
    """Without NUL (PostgreSQL has none in text) and without halves of characters (UTF-8 has none)."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode("utf-8")
