"""Spans of numbers as people write them: ``10k..2M``, ``10k..``, ``..2M``, ``1234``."""

from __future__ import annotations

import re

from gateway.errors import QueryInvalid

Span = tuple[int | None, int | None]  # lowest and highest, both included; None: no bound

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_NUMBER = re.compile(r"(\d{1,15})\s*([kmg]?)b?", re.ASCII | re.IGNORECASE)
_HIGHEST = 2**63 - 1


def parse_span_of_numbers(written: str, where: str) -> Span:
    """The lowest and the highest number of a span; ``k`` is 1,000, ``M`` 1,000,000.

    Raises:
        QueryInvalid: at ``where``; it is no span, or one that ends before it begins.
    """
    low, dots, high = (part.strip() for part in written.partition(".."))
    if not dots:
        number = _number(low, where)
        return number, number
    span = (_number(low, where) if low else None, _number(high, where) if high else None)
    if span == (None, None):
        raise _not_understood(where)
    if span[0] is not None and span[1] is not None and span[0] > span[1]:
        raise QueryInvalid(where=where, reason="the span ends before it begins")
    return span


def compared(sign: str, written: str, where: str) -> str:
    """``>10k`` and its like as a span.

    Raises:
        QueryInvalid: at ``where``; it is no number, or nothing is below it.
    """
    number = _number(written.strip(), where)
    if sign == "<" and number == 0:
        raise QueryInvalid(where=where, reason="nothing is below 0")
    return {">": f"{number + 1}..", ">=": f"{number}..", "<": f"..{number - 1}", "<=": f"..{number}"}[sign]


def normal_span(name: str, written: str) -> str:
    """The span written in the one way: ``10000..2000000``."""
    low, high = parse_span_of_numbers(written, f"{name}={written}")
    if low == high:
        return str(low)
    return f"{'' if low is None else low}..{'' if high is None else high}"


def _number(written: str, where: str) -> int:
    matched = _NUMBER.fullmatch(written)
    number = int(matched[1]) * _UNITS[matched[2].lower()] if matched else _HIGHEST + 1
    if number > _HIGHEST:
        raise _not_understood(where)
    return number


def _not_understood(where: str) -> QueryInvalid:
    return QueryInvalid(where=where, reason="a number or a span is wanted here: 1234, 10k.., ..2M, 10k..2M")
