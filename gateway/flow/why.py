"""Why: the reason of an act, the same whether it comes from the command line, the console or the API."""

from __future__ import annotations


def in_words(text: str) -> str:
    """A reason as it is kept: on one line, without blanks around it; empty where it says nothing."""
    return " ".join(text.split())
