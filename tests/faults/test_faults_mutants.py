"""The suite can fail: each seeded bug is found, and for the right reason."""

from __future__ import annotations

import random

import pytest

from faults.home import Options
from faults.injector import Injection
from faults.mutants import MUTANTS
from faults.powercut import Disks, cut_trial

pytestmark = pytest.mark.integration

TRIALS = 12  # at most; most are found in two or three
BY_KILL = [name for name, each in MUTANTS.items() if each.by == "kill"]
BY_CUT = [name for name, each in MUTANTS.items() if each.by == "cut"]


@pytest.mark.parametrize("name", BY_KILL)
def test_a_kill_finds(make_bench, name):
    mutant = MUTANTS[name]
    with make_bench(Options(mutant=name)) as bench:
        found = set(bench.trial("nothing", list).violations) if not mutant.near else set()
        points = mutant.order(bench.count(mutant.near)) if mutant.near else []
        for at in points[:TRIALS]:
            found |= set(bench.injected(Injection(at, calls=mutant.near)).violations)
            if mutant.breaks in {each[0] for each in found}:
                break
    assert mutant.breaks in {each[0] for each in found}


@pytest.mark.parametrize("name", BY_CUT)
def test_a_power_cut_finds(make_bench, tmp_path, name):
    chance, found = random.Random(1), set()
    with Disks(tmp_path) as disks, disks.bench(Options(mutant=name), make_bench) as bench:
        for _ in range(TRIALS):
            found |= set(cut_trial(bench, disks, chance).violations)
            if MUTANTS[name].breaks in {each[0] for each in found}:  # a file cut short may show in another way first
                break
    assert MUTANTS[name].breaks in {each[0] for each in found}
