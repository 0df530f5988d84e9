"""What the embedded mail host can be told to do wrong."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Fault(Struct, frozen=True):
    """What happens to the answer of one command.

    ``reply`` is said in place of carrying the command out (without its CR LF); ``cut_after`` bytes of the answer
    still go out before the connection is dropped (the command *is* carried out); ``delay`` is waited before, in
    seconds.
    """

    reply: str = ""
    cut_after: int | None = None
    delay: float = 0.0


Hook = Callable[[str, str], Fault | None]
"""Asked before each command with its verb (upper case) and argument; None lets it be."""


def no_fault(verb: str, argument: str) -> Fault | None:  # noqa: ARG001 - the signature of a Hook
    """The hook of a host that does nothing wrong."""
    return None
