"""The disk fails in the middle: EIO, ENOSPC and EFBIG at any sync and write, once or from then on."""

from __future__ import annotations

import itertools

import pytest

from faults import checker
from faults.injector import Injection
from faults.points import failures

pytestmark = pytest.mark.integration

SEED = 3


def test_the_disk_fails_at_any_write_or_sync(bench):
    for injections in itertools.islice(failures(bench, SEED), 6):
        verdict = bench.injected(*injections)
        assert verdict.violations == (), verdict
        assert verdict.disturbed


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_a_batch_ends_where_a_sync_of_the_ledger_fails(bench, for_ever):
    """A failed sync is not tried again: nothing is deleted, delivered or sent after it, and the next run recovers."""
    syncs = bench.count(("fdatasync",))
    of_the_log = [at for at, each in enumerate(syncs, 1) if each.endswith("ledger.db-wal")]
    verdicts = []
    for at in of_the_log[:2]:

        def disturb(at=at):
            injection = Injection(at, "EIO", ("fdatasync",), for_ever)
            code, said = bench.batch(bench.injector.environment(injection))
            assert "disk I/O error" in said
            assert bench.world.gone == []
            assert bench.world.taken == []
            assert not list((bench.home / "inbox").rglob("*.edi"))
            bench.found += checker.at_once(bench.world, bench.home)
            return [code]

        verdicts.append(bench.trial(f"EIO at fdatasync {at}", disturb))
    assert [each.violations for each in verdicts] == [(), ()]
    assert {code for each in verdicts for code in each.exits} == {69}
