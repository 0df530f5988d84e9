"""The power goes at any moment: what was called done is there when it is back."""

from __future__ import annotations

import random

import pytest

from faults.home import Options
from faults.powercut import Disks, cut_trial

pytestmark = pytest.mark.integration

SEED = 4


def test_the_power_is_cut_at_any_moment(make_bench, tmp_path):
    chance = random.Random(SEED)
    with Disks(tmp_path) as disks, disks.bench(Options(), make_bench) as bench:
        verdicts = [cut_trial(bench, disks, chance) for _ in range(5)]
    assert [each.violations for each in verdicts] == [()] * 5, verdicts
    assert any(each.disturbed for each in verdicts)
