"""Damages X12 interchanges at random and gives them to the engine: no exception, bounded time, bounded memory.

    python tests/fuzz/x12_fuzz.py [--seconds 20] [--seed N]

Each round has a seed of its own, which is printed with a failure; ``--seed`` with ``--rounds 1`` repeats it.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the builders, when run as a script

from builders.x12 import group, interchange, retold, transaction_set

from gateway.errors import DocumentUnreadable
from gateway.x12 import (
    DEFAULT_KEYS,
    ExaminePolicy,
    InterchangeReport,
    Level,
    Separators,
    acknowledgment_separators,
    examine,
    extract,
    functional_acknowledgment,
    interchange_acknowledgment,
    leftovers,
    looks_like,
    read_document,
    sniff,
)
from gateway.x12.guideline.catalog import guideline_named
from gateway.x12.guideline.sample import SampleMaker

SLOWEST = 2.0  # CPU seconds for one input of at most LARGEST bytes, on a slow machine
LARGEST = 200_000
MOST_MEMORY = 300  # MB of the process
SAMPLES = (
    ("850", "004010", "PO"),
    ("856", "005010", "SH"),
    ("997", "004010", "FA"),
    ("999", "005010X231A1", "FA"),
    ("837", "005010X222A1", "HC"),
    ("835", "005010X221A1", "HP"),
    ("271", "004010X092A1", "HB"),
)
TOKENS = (
    b"ISA*00*", b"IEA*1*000000001~", b"GS*PO*", b"GE*1*1~", b"ST*850*0001~", b"SE*2*0001~", b"BIN*9999999*", b"HL*",
    b"BDS*ASC*5*", b"TA1*000000001*261101*1200*R*001~", b"ISB*1~", b"CTX*CLM01:1~", b"AK9*A*1*1*1~", b"UNB+UNOC:3+",
    b"~~", b"**", b"::", b"^^", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc9\xe2\xc1", b"0" * 40, b"*" * 40,
)  # fmt: skip


def seeds() -> list[bytes]:
    """Sound interchanges of many kinds to begin with."""
    found = [interchange(), interchange(group(transaction_set(), transaction_set("0002")), asked="1")]
    for set_id, version, functional_id in SAMPLES:
        modern = version >= "005"
        marks = Separators("*", ">", "~", "^" if modern else "")
        guideline = guideline_named(version, set_id)
        assert guideline is not None
        text = "~".join(SampleMaker(guideline, marks, 1, 0.3).segments()) + "~"
        envelope = {"version": "00501", "repetition": "^"} if modern else {}
        found.append(interchange(group(text, kind=functional_id, version=version), **envelope))
    found += [retold(found[0]), retold(found[1], "\x1d", "\x1f", "\x1c"), found[0].replace("~", "~\r\n")]
    return [each.encode("latin-1") for each in found]


def damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The same with a few random changes: bytes, runs of bytes, tokens of X12, pieces of other interchanges."""
    held = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8, 30))):
        at = rng.randrange(len(held) + 1)
        upto = min(len(held), at + rng.choice((1, 1, 2, 5, 40, 400)))
        other = rng.choice(others)
        cut = rng.randrange(len(other))
        held[at:upto] = rng.choice(
            (
                b"",
                bytes([rng.randrange(256)]),
                rng.randbytes(rng.randrange(12)),
                rng.choice(TOKENS),
                held[at:upto] * rng.choice((2, 2, 50)),
                other[cut : cut + rng.choice((10, 106, 1000))],
            )
        )
    return bytes(held[:LARGEST])


def survive(data: bytes, rng: random.Random) -> None:
    """Does with the bytes whatever is done with those of strangers."""
    policy = ExaminePolicy(reject_from=rng.choice(list(Level)), enforce_advisory=rng.random() < 0.5)
    reports = list(examine(data, policy, chunk=rng.choice((1 << 18, 4096, 97))))
    assert reports, "there is always a report"
    for report in reports:
        _answer(report, data)
    for left in leftovers(data, reports):
        assert data[left.start : left.end].strip(), "something is left"
        assert all(left.end <= each.start or each.end <= left.start for each in reports), "beside all interchanges"
    sniff(data)
    looks_like(data)
    with suppress(DocumentUnreadable):
        read_document(data)


def _answer(report: InterchangeReport, data: bytes) -> None:
    interchange_acknowledgment(report)
    acknowledgment_separators(report)
    assert 0 <= report.start <= report.end <= len(data)
    for one in report.groups:
        for kind in ("997", "999"):
            functional_acknowledgment(one, kind, "set")
        for each in one.sets:
            paths = DEFAULT_KEYS.get(each.id)
            if paths:
                extract(data[each.start : each.end].decode("latin-1"), report.separators, paths)


def fuzz(seconds: float, seed: int, rounds: int = 1 << 60) -> int:
    """Rounds that were survived in so many seconds.

    Raises:
        AssertionError: with the seed of the round that raised, took too long or too much.
    """
    sound = seeds()
    until = time.monotonic() + seconds
    for number in range(seed, seed + rounds):
        if time.monotonic() > until:
            return number - seed
        rng = random.Random(number)
        data = damaged(rng.choice(sound), sound, rng)
        began = time.process_time()
        try:
            survive(data, rng)
        except Exception as fault:
            raise AssertionError(f"seed {number}: {fault!r}") from fault
        took = time.process_time() - began
        assert took < SLOWEST, f"seed {number}: {took:.1f} s for {len(data)} bytes"
    return rounds


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--seed", type=int, default=None, help="of the first round; by default another every time")
    options.add_argument("--rounds", type=int, default=1 << 60)
    chosen = options.parse_args()
    seed = random.SystemRandom().randrange(1 << 40) if chosen.seed is None else chosen.seed
    done = fuzz(chosen.seconds, seed, chosen.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{done} damaged interchanges survived, from seed {seed} on; peak memory {peak} MB")  # noqa: T201
    if peak > MOST_MEMORY:
        sys.exit(f"that is more than {MOST_MEMORY} MB")


if __name__ == "__main__":
    main()
