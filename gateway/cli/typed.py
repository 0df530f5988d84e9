"""What is given on standard input: a password or token in its first line."""

from __future__ import annotations

import sys

import click


def first_line(what: str, *, required: bool = True) -> str:
    """The first line of standard input, without its end.

    Args:
        what: what is given there, for people: ``password``.
        required: whether a blank line is refused.

    Raises:
        click.UsageError: there is none, or it is not UTF-8 and so none that could ever be sent as it is meant.
    """
    try:
        value = sys.stdin.readline().rstrip("\r\n")
        value.encode()  # by locale Python reads other bytes as surrogates, which nothing can write again
    except UnicodeError:
        raise click.UsageError(
            f"The {what} on standard input is not UTF-8: give it in UTF-8, as a terminal does."
        ) from None
    if required and not value.strip():
        raise click.UsageError(f"Give the {what} on standard input, in its first line.")
    return value
