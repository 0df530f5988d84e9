"""Which points of a batch are disturbed: all of them by hand, a seeded sample in the tests."""

from __future__ import annotations

import random
from collections.abc import Iterator

from faults.injector import CALLS, Injection
from faults.trial import Bench

NETWORK_AND_SYNC = ("fdatasync", "fsync", "rename", "send", "recv")  # between these, nothing that matters changes


def kills(bench: Bench, seed: int) -> Iterator[tuple[Injection, ...]]:
    """A kill at every call of a batch, in random order; for each third one more in the batch after it."""
    chance = random.Random(seed)
    first, second = len(bench.count()), len(bench.count(batches=2))
    for at in chance.sample(range(1, first + 1), first):
        do = "group" if bench.options.alongside and chance.random() < 0.5 else "kill"
        again = (Injection(chance.randint(1, max(first, second)), do),) if chance.random() < 0.33 else ()
        yield (Injection(at, do), *again)


def compound(bench: Bench, seed: int) -> Iterator[tuple[Injection, ...]]:
    """Kills at points that matter, and another at every point that matters of the recovery; without end."""
    chance = random.Random(seed)
    number = len(bench.count(NETWORK_AND_SYNC))
    while True:
        yield tuple(Injection(chance.randint(1, number), calls=NETWORK_AND_SYNC) for _ in range(chance.randint(2, 4)))


def failures(bench: Bench, seed: int) -> Iterator[tuple[Injection, ...]]:
    """The disk fails at every sync and every write, once or from then on, in random order."""
    chance = random.Random(seed)
    found = []
    for error, calls in (
        ("EIO", ("fsync", "fdatasync")),
        ("EIO", ("write", "pwrite")),
        ("ENOSPC", ("write", "pwrite", "mkdir", "rename")),
        ("EFBIG", ("write", "pwrite", "ftruncate")),
    ):
        number = len(bench.count(calls))
        found += [Injection(at, error, calls, for_ever=chance.random() < 0.5) for at in range(1, number + 1)]
    chance.shuffle(found)
    yield from ((each,) for each in found)


WAYS = {"kills": kills, "compound": compound, "failures": failures}

__all__ = ["CALLS", "NETWORK_AND_SYNC", "WAYS", "compound", "failures", "kills"]
