"""Damages mails at random and opens them as received: no exception, bounded time, nothing mended that is not whole.

    python tests/fuzz/mail_fuzz.py [--seconds 20] [--seed N]

Each round has a seed of its own, which is printed with a failure; ``--seed`` with ``--rounds 1`` repeats it.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the builders, when run as a script

from builders.hostile import MAILS

from gateway import x12
from gateway.flow.case import Case
from gateway.flow.intact import is_intact
from gateway.flow.unpack import examine, unpack
from gateway.ledger.work import StoredMessage
from gateway.settings.model import Limits
from gateway.x12.model import ExaminePolicy

SLOWEST = 2.0  # CPU seconds for one mail of at most LARGEST bytes, on a slow machine
LARGEST = 200_000
MOST_MEMORY = 400  # MB of the process
# Small, so that an archive cannot make a round long.
LIMITS = Limits(decompressed=4_000_000)
KINDS = {"letter", "bounce", "receipt", "auto-reply"}
MENDED = ("rejoined", "undone", "foreign")
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"=", b"==", b"=\r\n", b"=20", b"--=_b\r\n", b"--=_b--\r\n", b"\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary==_b\r\n", b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html\r\n", b"\t", b" ",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"; format=flowed",
    b"Content-Disposition: attachment; filename*0*=utf-8''%", b"From: edi@acme.example\r\n", b"=?utf-8?b?", b"?=",
    b'"', b"(", b"<", b">", b";", b":", b",", b"ISA*00*", b"IEA*1*000000001~", b"~", b"*", b"PK\x03\x04", b"PK\x05\x06",
    b"\x1f\x8b\x08", b"\x78\x9f\x3e\x22", b"\xff\xfe", b"\xef\xbb\xbf", b"&nbsp;", b"\xc2\xa0",
    b"Auto-Submitted: no\r\n",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary==_b\r\n",
)  # fmt: skip


def seeds() -> list[bytes]:
    """The mails of the suite that are of common size."""
    return [each.raw for each in MAILS.values() if 0 < len(each.raw) < 20_000]


def damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The same with a few random changes: bytes, runs of bytes, tokens of mail, pieces of other mails, lines moved."""
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
                other[cut : cut + rng.choice((10, 80, 1000))],
            )
        )
    return bytes(held[:LARGEST])


def survive(data: bytes) -> str:
    """Does with the bytes whatever is done with those of strangers; returns what became of them."""
    case = Case(StoredMessage(1, 0, "orders", "host", "user", "", 0, data))
    unpack(case, LIMITS, "edi@us.example")
    examine(case, ExaminePolicy())
    letter = case.letter
    assert case.fault is not None or letter is not None
    assert letter is None or (letter.kind in KINDS and bool(letter.from_address) != bool(letter.sender_problem))
    for payload in case.payloads:
        assert (x12.sniff(payload.data) >= 0) is (payload.fault is None)
        assert payload.interchanges
        assert all((each.report.header is None) <= (each.fault is not None) for each in payload.interchanges)
        if any(word in each for each in payload.repairs for word in MENDED):
            assert is_intact(payload.data), payload.repairs
    return case.fault.code if case.fault else str(len(case.payloads))


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
            survive(data)
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
    print(f"{done} damaged mails survived, from seed {seed} on; peak memory {peak} MB")  # noqa: T201
    if peak > MOST_MEMORY:
        sys.exit(f"that is more than {MOST_MEMORY} MB")


if __name__ == "__main__":
    main()
