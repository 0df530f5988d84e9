"""Whole numbers that a database can be asked about. Nothing has a number longer than that, on whichever database."""

from __future__ import annotations

from typing import Any

import click

_MOST = 2**63 - 1


class _Bounded(click.ParamType):  # type: ignore[type-arg]  # older releases of click have none
    """What follows in the order of methods reads the number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, where it is not too long."""
        number = int(super().convert(value, param, ctx))
        if abs(number) > _MOST:
            self.fail(f"{number} is longer than any number that there is.", param, ctx)
        return number


class _Number(_Bounded, click.types.IntParamType):
    """An exchange or alert by its number."""


class _Natural(_Bounded, click.IntRange):
    """From 1 on."""


NUMBER = _Number()
NATURAL = _Natural(min=1)
