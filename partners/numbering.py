"""Control-number rules (X12 elements I12, 28): nine digits, from 1, and after 999999999 again 1.

Pure arithmetic; who hands numbers out, and remembers them, is the ledger.
"""

from __future__ import annotations

from gateway.errors import ConfigurationFault

LAST = 999_999_999
WINDOW = 1_000


def next_number(current: int) -> int:
    """The number after ``current``; 0 stands for "none used yet".

    Raises:
        ValueError: when ``current`` is no control number.
    """
    if not 0 <= current <= LAST:
        raise ValueError(f"{current} is not a control number (0 to {LAST})")
    return 1 if current == LAST else current + 1


def format_number(number: int, width: int = 9) -> str:
    """The number as written: nine digits in ISA13, ``width=1`` for GS06 without leading zeros.

    Raises:
        ValueError: when it is no control number.
    """
    if not 1 <= number <= LAST:
        raise ValueError(f"{number} is not a control number (1 to {LAST})")
    return f"{number:0{width}d}"


def check_start(value: object) -> int:
    """A first number as an operator gave it (a number or its digits), for example when leaving a VAN.

    Raises:
        ConfigurationFault: with what is allowed.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 1 <= int(text[:20]) <= LAST:
        raise ConfigurationFault(reason=f"{text!r} is not a control number; use 1 to {LAST}")
    return int(text)


def distance(previous: int, seen: int) -> int:
    """How far ``seen`` is ahead of ``previous``, counted across the wrap; negative where it is behind."""
    ahead = (seen - previous) % LAST
    return ahead if ahead <= LAST // 2 else ahead - LAST


def gap(previous: int, seen: int, window: int = WINDOW) -> tuple[int, ...]:
    """The numbers missing between ``previous`` and ``seen``, in their order, counted across the wrap.

    Nothing is missing where ``seen`` is the next number, the same, late (behind ``previous``) or so far
    away (``window`` or more) that the partner must have started anew.
    """
    ahead = distance(previous, seen)
    if not 1 < ahead <= window:
        return ()
    missing = []
    number = previous
    for _ in range(ahead - 1):
        number = next_number(number)
        missing.append(number)
    return tuple(missing)
