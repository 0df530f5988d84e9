"""The whole suite by hand: ``python -m faults.suite`` (``make faults``). A seed makes a run again; numbers at the end.

kills     kill -9 at every call of a batch that writes, syncs, renames, sends or receives; also in recoveries
compound  two to four kills one after the other, at calls that matter
failures  EIO, ENOSPC and EFBIG at every sync and write, once or for ever
cuts      the power is cut at random moments (ext4 on loop devices; needs root)
mutants   after how many runs each seeded bug is found
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.home import Options
from faults.mutants import MUTANTS
from faults.points import NETWORK_AND_SYNC, WAYS
from faults.trial import Bench, Verdict

POLICIES = (Options("resend"), Options("hold"), Options("resend", alongside=True), Options("hold", alongside=True))


@dataclass
class Tally:
    """What a series of trials came to."""

    name: str
    trials: int = 0
    disturbed: int = 0
    violations: int = 0
    copies: int = 0
    held: int = 0

    def count(self, verdict: Verdict) -> None:
        """One more; a violation is told at once."""
        self.trials += 1
        self.disturbed += verdict.disturbed
        self.violations += bool(verdict.violations)
        self.copies += verdict.copies
        self.held += verdict.held
        if verdict.violations:
            _say(f"VIOLATION {self.name}: {verdict.name}: {'; '.join(verdict.violations)}")

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.trials} trials, {self.disturbed} disturbed, {self.violations} with violations,"
            f" {self.copies} announced copies, {self.held} held in doubt"
        )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def injected(way: str, options: Options, seed: int, trials: int) -> Tally:
    """A series of trials with one gateway."""
    kind = f"{way}, {options.on_doubt}{', alongside' if options.alongside else ''}, seed {seed}"
    tally, begun = Tally(kind), time.monotonic()
    with tempfile.TemporaryDirectory() as place, Bench(Path(place), options) as bench:
        for injections in itertools.islice(WAYS[way](bench, seed), trials):
            tally.count(bench.injected(*injections))
    _say(f"{tally}, {time.monotonic() - begun:.0f} s")
    return tally


def cuts(mutant: str, seed: int, trials: int, *, until_found: bool = False) -> Tally:
    """A series of power cuts."""
    from faults.powercut import Disks, cut_trial

    tally, begun = Tally(f"cuts{f' with {mutant}' if mutant else ''}, seed {seed}"), time.monotonic()
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as place,
        Disks(Path(place)) as disks,
        disks.bench(Options(mutant=mutant)) as bench,
    ):
        for _ in range(trials):
            tally.count(cut_trial(bench, disks, chance))
            if until_found and tally.violations:
                break
    _say(f"{tally}, {time.monotonic() - begun:.0f} s")
    return tally


def mutants(seed: int, trials: int) -> Iterator[Tally]:
    """Every seeded bug, until it is found or the trials are used up; found is what is wanted."""
    for name, mutant in MUTANTS.items():
        tally = cuts(name, seed, trials, until_found=True) if mutant.by == "cut" else _hunt(name, seed, trials)
        told = f"found after {tally.trials} trials" if tally.violations else f"NOT FOUND in {tally.trials} trials"
        _say(f"mutant {name}: {told}")
        tally.violations = not tally.violations
        yield tally


def _hunt(name: str, seed: int, trials: int) -> Tally:
    tally = Tally(name)
    with tempfile.TemporaryDirectory() as place, Bench(Path(place), Options(mutant=name)) as bench:
        for verdict in itertools.islice(hunt(bench, seed), trials):
            tally.count(verdict)
            if verdict.violations:
                break
    return tally


def hunt(bench: Bench, seed: int) -> Iterator[Verdict]:
    """Trials that look for a bug: an undisturbed one, then a kill at each call that matters, in random order."""
    from faults.injector import Injection

    yield bench.trial("nothing", list)
    number = len(bench.count(NETWORK_AND_SYNC))
    for at in random.Random(seed).sample(range(1, number + 1), number):
        yield bench.injected(Injection(at, calls=NETWORK_AND_SYNC))


def main() -> int:
    """Runs what was asked for; 1 where a promise was broken or a seeded bug not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["kills", "compound", "failures", "cuts", "mutants"])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 10**6))
    parser.add_argument("--trials", type=int, default=10**9, help="at most so many of each kind")
    wanted = parser.parse_args()
    _say(f"seed {wanted.seed}")
    tallies: list[Tally] = []
    for part in wanted.parts:
        tallies += _part(part, wanted.seed, wanted.trials)
    bad = sum(each.violations for each in tallies)
    _say(f"\n{sum(each.trials for each in tallies)} trials, seed {wanted.seed}: {bad} violations")
    return int(bad > 0)


def _part(part: str, seed: int, trials: int) -> Iterable[Tally]:
    if part == "cuts":
        return [cuts("", seed, min(trials, 120))]
    if part == "mutants":
        return list(mutants(seed, min(trials, 100)))
    policies = POLICIES if part == "kills" else POLICIES[1:3]
    return [injected(part, each, seed, min(trials, 100) if part == "compound" else trials) for each in policies]


if __name__ == "__main__":
    sys.exit(main())
