"""Which trials run with every test run, and which are left to ``make faults``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(quick: Iterable[object], more: Iterable[object]) -> list[Any]:
    """Parameters: ``quick`` always, ``more`` in the whole suite."""
    return [*quick, *(pytest.param(each, marks=pytest.mark.faults) for each in more)]
