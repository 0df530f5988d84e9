"""Upper and lower case as both databases agree on it, whatever their locale: A–Z alone."""

from __future__ import annotations

_UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(text: str) -> str:
    """The text with A–Z as a–z, and nothing else changed."""
    return text.lower() if text.isascii() else text.translate(_UPPER_TO_LOWER)
