"""Disks that are full, read-only or lie; files that may not grow; an older ledger in the place of the newest."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from servers.need import program

from faults import checker
from faults.home import Options, environment
from faults.powercut import Disks

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def disks(make_bench, tmp_path_factory):
    """A bench on small disks of its own, and the disks."""
    with Disks(tmp_path_factory.mktemp("disks"), size="16M") as disks, disks.bench(Options(), make_bench) as bench:
        yield disks, bench


@pytest.mark.parametrize("left", [0, 20_000, 150_000])
@pytest.mark.parametrize("which", [0, 1], ids=["the ledger's", "the inbox's"])
def test_a_full_disk_loses_nothing_and_recovers_when_there_is_room(disks, which, left):
    disks, bench = disks
    disks.begin(bench)
    bench.found = []
    filler = disks.mounts[which] / "filler"
    try:
        _fill(filler, left)
        code, said = bench.batch()
        bench.found += checker.at_once(bench.world, bench.home)
    finally:
        filler.unlink()
    assert "Traceback" not in said
    if not left:
        assert code == 69, said
        assert re.search("disk is full|No space left|disk reports an error", said), said
        assert which == 1 or not bench.world.gone
    bench.recover()
    assert bench.verdict("full").violations == ()


def _fill(filler, left):
    """Fills the disk to the last block, then gives back ``left`` bytes."""
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 1_024):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    os.truncate(filler, max(0, filler.stat().st_size - left))


def test_a_read_only_disk_is_named_and_costs_nothing(disks):
    disks, bench = disks
    disks.begin(bench)
    bench.found = []
    mount = disks.mounts[0]
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    try:
        code, said = bench.batch()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)
    assert code in {69, 78}
    assert "read-only" in said.lower()
    assert bench.world.gone == []
    assert bench.world.taken == []
    bench.recover()
    assert bench.verdict("read-only").violations == ()


@pytest.mark.parametrize("bytes_", [3_000, 400_000, 800_000])
def test_files_that_may_not_grow_lose_nothing(bench, bytes_):
    def disturb():
        code, said = bench.batch(prefix=(program("prlimit"), f"--fsize={bytes_}"))
        assert "Traceback" not in said
        bench.found += checker.at_once(bench.world, bench.home)
        return [code]

    assert bench.trial(f"files of {bytes_} bytes at most", disturb).violations == ()


# ---------------------------------------------------------------- what the disk did to the ledger


def test_a_flipped_bit_of_what_is_kept_is_named(bench):
    bench.trial("nothing", list)
    assert _doctor(bench) == []
    with closing(sqlite3.connect(bench.home / "ledger.db")) as connection, connection:
        (name,) = connection.execute("SELECT sha256 FROM message WHERE direction = 'in' ORDER BY id").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = bench.home / "ledger.db"
    data = bytearray(file.read_bytes())
    place = data.index(b"Message-ID: <0@acme.example>")
    data[place] ^= 1
    file.write_bytes(data)
    assert _doctor(bench) == [f"The kept bytes {name} are not what they were (mail m1)."]


def test_a_damaged_page_of_the_ledger_is_named(bench):
    bench.trial("nothing", list)
    with closing(sqlite3.connect(bench.home / "ledger.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_event_exchange'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    file = bench.home / "ledger.db"
    data = bytearray(file.read_bytes())
    data[(root - 1) * size + size - 40 : root * size] = bytes(40)
    file.write_bytes(data)
    said = _doctor(bench)
    assert said, "nothing was noticed"
    assert all(re.match("The database file|The disk .* damaged", each) for each in said), said


def _doctor(bench) -> list[str]:
    """What the doctor finds wrong with the ledger."""
    command = [sys.executable, "-m", "gateway", "--home", str(bench.home), "doctor", "--offline", "--ledger", "--json"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    checks = json.loads(done.stdout)["checks"]
    return [each["sentence"] for each in checks if each["name"] == "whole" and each["result"] == "failed"]


# ---------------------------------------------------------------- an older ledger


def test_an_older_ledger_sends_nothing_until_a_person_accepts_it(bench):
    """Its numbers were used already: partners would take new documents for old ones."""
    bench.begin()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (bench.home / name).exists() and shutil.copy(bench.home / name, bench.place / name)
    assert bench.batch()[0] == 0
    used = {each.raw for each in bench.world.taken}
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (bench.home / name).unlink(missing_ok=True)
        (bench.place / name).exists() and shutil.copy(bench.place / name, bench.home / name)
    waiting = dict(bench.world.box)
    code, said = bench.batch()
    assert (code, "ledger.behind" in said) == (78, True), said
    assert (bench.world.box, len(bench.world.taken)) == (waiting, len(used))
    command = [sys.executable, "-m", "gateway", "--home", str(bench.home)]
    why = ["ledger", "accept-restore", "--reason", "the disk died", "--ahead", "50"]
    subprocess.run([*command, *why], env=environment(), check=True, capture_output=True)
    shutil.move(bench.home / "outbox/acme/.submitted/invoice.x12", bench.home / "outbox/acme/invoice.x12")
    assert bench.batch()[0] in {0, 65}  # the 997 of the lost invoice acknowledges nothing now
    (again,) = [each.raw for each in bench.world.taken if each.raw not in used]
    with checker.ledger(bench.home) as connection:
        numbers = [row[0] for row in connection.execute("SELECT control_number FROM exchange WHERE direction = 'out'")]
    assert numbers == ["000000054"]  # three were used of ACME's: 1, 2 and 3
    assert b"54" in again
