"""Coroutines in tests that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Given = TypeVar("_Given")


def run(coroutine: Coroutine[Any, Any, _Given]) -> _Given:
    """What it gives, in a thread of its own: in that of the tests the loop of a browser may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
