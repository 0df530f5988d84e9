"""Words for numbers: for every sentence that counts something."""

from __future__ import annotations


def count(number: int, thing: str, things: str = "") -> str:
    """``1 message``, ``2 messages``, ``20,000 messages``; ``things`` where an s at the end does not do."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
