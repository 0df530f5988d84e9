"""Constants of our own written into a statement, never a value from outside.

With bound parameters the same expression twice is not the same to GROUP BY; and division is whole where both sides are
known to be.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, Text, literal_column


def whole(number: int) -> ColumnElement[int]:
    """A whole number."""
    return literal_column(str(int(number)), BigInteger())


def word(text: str) -> ColumnElement[str]:
    """A word or sign; it holds no quotation mark."""
    assert "'" not in text, "a constant of ours has none"
    return literal_column(f"'{text}'", Text())
