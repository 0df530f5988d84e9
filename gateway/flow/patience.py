"""Patience: where many workers share a database server, a connection that breaks is no reason to forget what was done.

Nobody knows whether a commit that got no answer was made. So only what may be done twice comes here: work that looks,
within its transaction, whether it was done already.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from gateway.errors import DatabaseUnavailable
from gateway.flow.context import Context

T = TypeVar("T")

LONGEST = 20.0  # seconds; a server that is started anew is there again by then


def patiently(context: Context, work: Callable[[bool], T]) -> T:
    """Does ``work``, and again while the database is away for a moment.

    ``work`` is told whether it may have been done before. Where one process has the whole home it is tried once: its
    database is a file, and does not come back by waiting.

    Raises:
        DatabaseUnavailable: it stayed away.
    """
    until = time.monotonic() + LONGEST
    unsure = False
    while True:
        try:
            return work(unsure)
        except DatabaseUnavailable:
            if context.leases.alone or time.monotonic() > until:
                raise
            unsure = True
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - jitter, no secret
