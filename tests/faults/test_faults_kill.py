"""Killed at any call to the kernel, stopped, asked to stop: nothing lost, nothing twice, nothing silent."""

from __future__ import annotations

import itertools
import random
import signal
import time

import pytest
from servers.need import absent, program

from faults import checker
from faults.home import Options
from faults.injector import Injection
from faults.points import compound, kills

pytestmark = pytest.mark.integration

OF_FILES = ("fsync", "rename", "mkdir", "unlink")
SEED = 2  # `make faults` takes another each time, and all points


def test_the_traffic_of_a_trial_is_what_it_should_be(bench):
    """Without any fault everything arrives, once; and the checker can tell."""
    verdict = bench.trial("nothing", list)
    assert verdict.violations == ()
    assert len(bench.world.gone) == 5  # three orders, one of them twice, and a 997
    assert len(bench.world.taken) == 4  # three 997s and an invoice
    (bench.home / "inbox" / "acme" / "another.edi").write_bytes(b"BEG*00*SA*PO-acme-1*")
    bench.world.take(bench.world.taken[0].raw, ["edi@acme.example"])
    bench.world.gone.append(b"Message-ID: <lost@acme.example>\r\n")
    found = {each[0] for each in checker.in_the_end(bench.world, bench.home)}
    assert found >= {"D", "S", "L"}


@pytest.mark.parametrize("on_doubt", ["resend", "hold"])
def test_killed_at_any_call(make_bench, on_doubt):
    with make_bench(Options(on_doubt)) as bench:
        for injections in itertools.islice(kills(bench, SEED), 5):
            verdict = bench.injected(*injections)
            assert verdict.violations == (), verdict
            assert verdict.disturbed


def test_killed_at_any_change_of_the_outbox(bench):
    """The file is claimed, submitted and moved: wherever that ends, the invoice goes once and its file is put away."""
    calls = bench.count(OF_FILES)
    mine = [at for at, each in enumerate(calls, 1) if "/outbox/" in each]
    assert len(mine) > 5, calls
    for at in mine:
        verdict = bench.injected(Injection(at, calls=OF_FILES))
        assert verdict.violations == (), verdict
        assert verdict.disturbed


def test_killed_again_while_it_recovers(bench):
    for injections in itertools.islice(compound(bench, SEED), 2):
        verdict = bench.injected(*injections)
        assert verdict.violations == (), verdict


def test_killed_while_a_second_process_delivers_and_sends(make_bench):
    with make_bench(Options(alongside=True)) as bench:
        for injections in itertools.islice(kills(bench, SEED), 3):
            verdict = bench.injected(*injections)
            assert verdict.violations == (), verdict


def test_killed_by_strace_at_calls_of_the_unprepared_command(bench):
    """The gateway's own command, with nothing preloaded: the kernel's tracer kills it."""
    strace = program("strace")
    chance = random.Random(SEED)
    for call in ("fdatasync", "sendto"):
        inject = f"inject={call}:signal=KILL:when={chance.randint(2, 6)}"
        prefix = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
        exits = []

        def disturb(prefix=prefix, exits=exits):
            code, said = bench.batch(prefix=prefix)
            if "PTRACE" in said or "ptrace" in said:
                absent(f"strace may not trace here: {said}")
            bench.found += checker.at_once(bench.world, bench.home)
            exits.append(code)
            return exits

        verdict = bench.trial(inject, disturb)
        assert verdict.violations == (), verdict
        assert exits == [-signal.SIGKILL]


def test_stopped_and_continued_it_goes_on_as_if_nothing_had_been(bench):
    for at in (60, 300):

        def disturb(at=at):
            batch = bench.start(bench.injector.environment(Injection(at, "stop")))
            until = time.monotonic() + 20
            while not bench.injector.fired and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.3)
            assert batch.wait(0) is None
            code, said = bench.batch(prefix=())
            assert code == 75, said  # the home is in use, and by whom
            assert "in use by gateway night" in said
            batch.signal(signal.SIGCONT)
            return [batch.end(30)[0]]

        verdict = bench.trial(f"stopped at {at}", disturb)
        assert verdict.violations == (), verdict
        assert verdict.exits == (0,)


@pytest.mark.parametrize("alongside", [False, True], ids=["alone", "alongside"])
def test_asked_to_stop_it_ends_in_order_within_seconds(make_bench, alongside):
    """SIGTERM, at the calls of the mail hosts, where it would hurt most: nothing is left in doubt, and it says 0."""
    chance = random.Random(SEED)
    with make_bench(Options("hold", alongside=alongside)) as bench:
        for at in chance.sample(range(1, 45), 2):
            running = []

            def look(_protocol, _command, at=at, running=running, seen=itertools.count(1)):  # noqa: B008
                if next(seen) == at:
                    running[0].signal(signal.SIGTERM)

            def disturb(look=look, running=running):
                bench.world.spoil = look
                running.append(bench.start())
                code, said = running[0].end(15)
                bench.world.spoil = lambda _protocol, _command: None
                assert "Traceback" not in said
                with checker.ledger(bench.home) as connection:
                    in_doubt = "SELECT count(*) FROM outgoing WHERE state != 'ready'"
                    assert connection.execute(in_doubt).fetchone()[0] == 0
                return [code]

            verdict = bench.trial(f"SIGTERM at command {at}", disturb)
            assert verdict.violations == (), verdict
            assert verdict.exits == (0,), verdict
            assert (verdict.held, verdict.copies) == (0, 0)
