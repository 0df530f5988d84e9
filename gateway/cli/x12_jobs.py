"""Works on many files with several processes, and gives the answers in the order of the files."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

BATCH = 1 << 18  # bytes; small files go to a process together
MOST = 64  # files of a batch
AHEAD = 4  # batches for each process that may be under way or wait to be fetched

Answer = TypeVar("Answer")


def in_order(work: Callable[[Any], Answer], tasks: Sequence[tuple[str, Any]], jobs: int) -> Iterator[Answer]:
    """The answers of ``work`` to tasks, in their order.

    Args:
        work: what is done with a task; a function at the top of a module.
        tasks: each a path and what ``work`` gets.
        jobs: how many processes.
    """
    # Forked processes have the engine and its tables at once; nothing here runs a thread.
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
    batches = _batches(tasks)
    with ProcessPoolExecutor(min(jobs, len(tasks)), context) as pool:
        waiting: deque[Future[list[Answer]]] = deque()
        while True:
            fresh = islice(batches, jobs * AHEAD - len(waiting))
            waiting.extend(pool.submit(_each, work, batch) for batch in fresh)
            if not waiting:
                return
            yield from waiting.popleft().result()


def _each(work: Callable[[Any], Any], batch: list[Any]) -> list[Any]:
    return [work(each) for each in batch]


def _batches(tasks: Sequence[tuple[str, Any]]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    held = 0
    for path, task in tasks:
        batch.append(task)
        held += Path(path).stat().st_size
        if held >= BATCH or len(batch) >= MOST:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
