"""The X12 engine: generated 837P (5010), 850 (4010) and 835 (5010), clean and with 1 % of bad segments.

In one run: bare ``bytes.split`` (the floor), splitting into segments and elements, our reader, our full validation
with acknowledgment, and beside it pyx12's reader and its validation with acknowledgment (on a smaller file, its time
is linear). CPU seconds, the median of the repetitions, which take turns so that a busy moment hits all alike. Then
the cost of one small interchange in a warm process, the memory of a long stream of small sets, and what ``gateway x12
check --jobs 2`` gains on a directory of files (wall time: measure it on an idle machine).

    python benchmarks/x12.py [--quick] [--json] [--documents 10000] [--stream 1000] [--without-pyx12]

``--json`` prints one line.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pyx12.params import params
from pyx12.x12file import X12Reader
from pyx12.x12n_document import x12n_document

from gateway.x12 import functional_acknowledgment
from gateway.x12.examine import examine
from gateway.x12.model import Status
from gateway.x12.reader import Reader

EACH = 5  # repetitions
VALIDATION, PYX12 = "validation and acknowledgment", "pyx12 validation"


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    version: str
    functional_id: str
    make: Callable[[int, random.Random], list[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    kind: str
    what: str
    megabytes: float
    segments: int
    seconds: float
    mb_per_second: float
    segments_per_second: int
    spread: float  # the slowest run by the fastest


def orders(count: int, rng: random.Random) -> list[str]:
    out: list[str] = []
    for number in range(1, count + 1):
        one = [
            f"ST*850*{number:04d}",
            f"BEG*00*NE*PO{number:07d}**202401{rng.randint(10, 28)}",
            "CUR*BY*USD",
            "REF*DP*038",
            "PER*BD*Pat Buyer*TE*5555550100",
            f"DTM*002*202402{rng.randint(10, 28)}",
            "TD5*O*2*UPSN*M*Ground",
            "N9*L1*Notes",
            "MSG*Please ship complete",
            "N1*BY*Example Stores*92*1234",
            f"N1*ST*Store {number}*92*{number:05d}",
            "N3*1 Main Street",
            "N4*Springfield*IL*62701*US",
        ]
        lines = rng.randint(4, 7)
        for line in range(1, lines + 1):
            price, item = rng.randint(1, 9999) / 100, rng.randint(0, 9_999_999)
            one += [
                f"PO1*{line}*{rng.randint(1, 500)}*EA*{price}**VP*A{item:07d}*UP*{rng.randint(10**11, 10**12 - 1)}",
                f"PID*F****Widget number {rng.randint(0, 999)}",
                f"PO4*{rng.randint(1, 48)}",
            ]
        one.append(f"CTT*{lines}")
        out += [*one, f"SE*{len(one) + 1}*{number:04d}"]
    return out


def claims(count: int, rng: random.Random) -> list[str]:
    out = [
        "ST*837*0001*005010X222A1",
        "BHT*0019*00*244579*20240115*1023*CH",
        "NM1*41*2*EXAMPLE BILLING*****46*TGJ23",
        "PER*IC*PAT*TE*5555550100*EX*231",
        "NM1*40*2*EXAMPLE INSURANCE*****46*66783JJT",
        "HL*1**20*1",
        "PRV*BI*PXC*203BF0100Y",
        "NM1*85*2*EXAMPLE CLINIC*****XX*9876543210",
        "N3*234 SEAWAY ST",
        "N4*MIAMI*FL*331110001",
        "REF*EI*587654321",
    ]
    for number in range(1, count + 1):
        out += [
            f"HL*{number + 1}*1*22*0",
            f"SBR*P*18*{rng.randint(1000, 99999)}******CI",
            f"NM1*IL*1*SAMPLE{number}*JANE****MI*JS{number:07d}",
            "N3*236 N MAIN ST",
            "N4*MIAMI*FL*33413",
            f"DMG*D8*19{rng.randint(40, 99)}0501*F",
            "NM1*PR*2*EXAMPLE INSURANCE*****PI*999996666",
            f"CLM*{number}A*{rng.randint(50, 900)}***11:B:1*Y*A*Y*I",
            "REF*D9*17312345600006351",
            "HI*ABK:J0300*ABF:Z1159",
            "NM1*82*1*SAMPLE*BEN****XX*9876543210",
            "PRV*PE*PXC*204C00000X",
            "NM1*77*2*EXAMPLE ASSOCIATES*****XX*1581234567",
            "N3*2345 OCEAN BLVD",
            "N4*MIAMI*FL*33111",
            "LX*1",
            f"SV1*HC:99213*{rng.randint(30, 90)}*UN*1***1",
            f"DTP*472*D8*202401{rng.randint(10, 31)}",
            "LX*2",
            "SV1*HC:87070*15*UN*1***1:2",
            f"DTP*472*D8*202401{rng.randint(10, 31)}",
        ]
    return [*out, f"SE*{len(out) + 1}*0001"]


def payments(count: int, rng: random.Random) -> list[str]:
    out = [
        "ST*835*0001",
        "BPR*I*1500.5*C*ACH*CCP*01*999999992*DA*123456*1512345678**01*999988880*DA*98765*20240301",
        "TRN*1*12345*1512345678",
        "DTM*405*20240227",
        "N1*PR*EXAMPLE INSURANCE",
        "N3*100 MAIN",
        "N4*ORLANDO*FL*32801",
        "PER*BL*HELP*TE*5555550100",
        "N1*PE*EXAMPLE CLINIC*XX*1234567893",
        "LX*1",
    ]
    for number in range(1, count + 1):
        out += [
            f"CLP*C{number:06d}*1*{rng.randint(50, 900)}*{rng.randint(20, 50)}*10*12*EA{number:08d}*11",
            "CAS*CO*45*30.5",
            "NM1*QC*1*SAMPLE*JOHN****MI*123456789",
            "NM1*82*1*SAMPLE*SAM****XX*1234567893",
            "REF*EA*6666",
            f"DTM*232*202402{rng.randint(10, 29)}",
            "AMT*AU*150",
        ]
        for code in (1, 2):
            out += [f"SVC*HC:9921{code}*100*80", "DTM*472*20240211", "CAS*PR*1*20", "AMT*B6*80"]
    return [*out, f"SE*{len(out) + 1}*0001"]


KINDS = (
    Kind("837P", "005010X222A1", "HC", claims),
    Kind("850", "004010", "PO", orders),
    Kind("835", "005010X221A1", "HP", payments),
)


def interchange(kind: Kind, count: int, bad: float = 0.0) -> bytes:
    """One interchange with so many documents; ``bad`` is the share of segments that get an element too long."""
    rng = random.Random(count)
    segments = kind.make(count, rng)
    if bad:
        segments = [
            f"{each}*{'X' * 90}" if rng.random() < bad and each[:3] not in ("ST*", "SE*") else each for each in segments
        ]
    new = kind.version >= "005"
    isa = (
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240115*1023*"
        f"{'^' if new else 'U'}*{'00501' if new else '00401'}*000000001*0*T*:"
    )
    sets = sum(each.startswith("ST*") for each in segments)
    group = f"GS*{kind.functional_id}*SENDER*RECEIVER*20240115*1023*1*X*{kind.version}"
    return ("~".join([isa, group, *segments, f"GE*{sets}*1", "IEA*1*000000001"]) + "~").encode()


def split(data: bytes) -> object:
    return data.split(b"~")


def split_elements(data: bytes) -> object:
    return [each.split(b"*") for each in data.split(b"~")]


def reader(data: bytes) -> None:
    """Our reader alone: whole segments, no elements."""
    source = Reader(io.BytesIO(data))
    opening, _ = source.seek()
    assert opening is not None
    while source.window(opening.separators) is not None:
        pass


def ours(data: bytes) -> Status:
    (report,) = examine(io.BytesIO(data))
    for group in report.groups:
        functional_acknowledgment(group, "999" if "X" in group.version else "997", "set")
    return report.status


def pyx12_reader(data: bytes) -> None:
    for _ in X12Reader(io.StringIO(data.decode("latin-1"))):
        pass


def pyx12(data: bytes) -> object:
    return x12n_document(params(), io.StringIO(data.decode("latin-1")), io.StringIO(), None, None)


def spent(data: bytes, work: Callable[[bytes], object]) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    work(data)
    return max(time.process_time() - began, 1e-9)


def measure(kind: str, works: list[tuple[str, bytes, Callable[[bytes], object]]], times: int) -> list[Figure]:
    """The medians of works that take turns."""
    runs: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for held, (_, data, work) in zip(runs, works, strict=True):
            held.append(spent(data, work))
    found = []
    for held, (what, data, _) in zip(runs, works, strict=True):
        middle, size, segments = statistics.median(held), len(data) / 1e6, data.count(b"~")
        found.append(
            Figure(
                kind,
                what,
                round(size, 3),
                segments,
                round(middle, 5),
                round(size / middle, 2),
                round(segments / middle),
                round(max(held) / min(held), 2),
            )
        )
    return found


def run(documents: int, times: int, *, with_pyx12: bool) -> list[Figure]:
    """All figures of single files."""
    figures = []
    for kind in KINDS:
        data = interchange(kind, documents)
        works: list[tuple[str, bytes, Callable[[bytes], object]]] = [
            ("bytes.split (floor)", data, split),
            ("split segments and elements", data, split_elements),
            ("our reader", data, reader),
            (VALIDATION, data, ours),
            ("the same, 1 % bad segments", interchange(kind, documents, 0.01), ours),
        ]
        figures += measure(kind.name, works, times)
        if kind.name == "850":
            figures += measure(kind.name, [("one small interchange", interchange(kind, 12), ours)], 51)
        if with_pyx12:
            small = interchange(kind, min(max(documents // 5, 200), 1000))
            figures += measure(kind.name, [("pyx12 reader", small, pyx12_reader)], 3)
            if kind.name != "850":  # pyx12 has no 850
                figures += measure(kind.name, [(PYX12, small, pyx12)], 3)
    return figures


class Stream:
    """An interchange of 850s that is made while it is read; never held as a whole."""

    def __init__(self, megabytes: float) -> None:
        self._parts = self._made(megabytes * 1e6)
        self._held = b""

    def _made(self, size: float) -> Iterator[bytes]:
        head, _, tail = interchange(KINDS[1], 1).partition(b"ST*")
        body = b"ST*" + tail.partition(b"GE*")[0]
        yield head
        count = 0
        while size > 0:
            count += 1
            part = body.replace(b"*0001~", b"*%09d~" % count)
            size -= len(part)
            yield part
        yield b"GE*%d*1~IEA*1*000000001~" % count

    def read(self, size: int = -1) -> bytes:
        """As a file does."""
        parts = [self._held]
        held = len(self._held)
        while held < size and (part := next(self._parts, b"")):
            parts.append(part)
            held += len(part)
        data = b"".join(parts)
        self._held = data[size:]
        return data[:size]


def stream_memory(megabytes: float) -> int:
    """Peak MB of a fresh process that examines so long a stream of sets of some 800 bytes."""
    out = subprocess.run(
        [sys.executable, __file__, "--only-stream", str(megabytes)], check=True, capture_output=True, text=True
    )
    return int(out.stdout)


def peak_rss() -> int:
    """Peak MB of this process since it was started; getrusage would also count the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def jobs(files: int, documents: int, times: int) -> dict[str, float]:
    """Wall seconds of ``gateway x12 check`` on a directory, with one process and with two; medians, in turns."""
    walls: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{number:03}.edi" for number in range(files)]
        for number, path in enumerate(paths):
            path.write_bytes(interchange(KINDS[number % 3], documents))
        for _ in range(times):
            for count, held in walls.items():
                command = [
                    sys.executable,
                    "-m",
                    "gateway",
                    "x12",
                    "check",
                    "--jobs",
                    str(count),
                    "--json",
                    *map(str, paths),
                ]
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                held.append(time.perf_counter() - began)
        size = sum(path.stat().st_size for path in paths) / 1e6
    one, two = (statistics.median(held) for held in walls.values())
    gains = [first / second for first, second in zip(walls[1], walls[2], strict=True)]
    return {
        "files": files,
        "megabytes": round(size, 1),
        "seconds_1": round(one, 2),
        "seconds_2": round(two, 2),
        "gain_median": round(statistics.median(gains), 2),
        "gain_best": round(max(gains), 2),
    }


def ratios(figures: list[Figure]) -> dict[str, float]:
    """How many times as fast as pyx12 our validation with acknowledgment is, by kind."""
    speed = {(each.kind, each.what): each.mb_per_second for each in figures}
    return {
        kind.name: round(speed[kind.name, VALIDATION] / speed[kind.name, PYX12], 1)
        for kind in KINDS
        if (kind.name, PYX12) in speed
    }


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--documents", type=int, default=10_000)
    options.add_argument("--stream", type=float, default=200, metavar="MB", help="length of the stream of small sets")
    options.add_argument("--quick", action="store_true", help="1,000 documents, a stream of 20 MB, three repetitions")
    options.add_argument("--json", action="store_true", dest="as_json")
    options.add_argument("--without-pyx12", action="store_true")
    options.add_argument("--only-stream", type=float, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    if chosen.only_stream:
        for _ in examine(cast("BinaryIO", Stream(chosen.only_stream))):
            pass
        print(peak_rss())
        return
    documents, times, stream = (1_000, 3, 20.0) if chosen.quick else (chosen.documents, EACH, chosen.stream)
    figures = run(documents, times, with_pyx12=not chosen.without_pyx12)
    memory = {"stream_mb": stream, "peak_rss_mb": stream_memory(stream)}
    gain = jobs(48 if chosen.quick else 90, 1_000, times)
    if chosen.as_json:
        found = {"figures": [asdict(each) for each in figures], "times_pyx12": ratios(figures)}
        print(json.dumps({**found, "memory": memory, "jobs": gain}))
        return
    for each in figures:
        speed = f"{each.mb_per_second:9.2f} MB/s {each.segments_per_second:10,d} segments/s"
        took = f"{each.seconds * 1000:9.2f} ms (slowest {each.spread} x fastest)"
        print(f"{each.kind:5} {each.what:31} {each.megabytes:7.3f} MB {speed} {took}")
    for kind, times_faster in ratios(figures).items():
        print(f"{kind:5} validation with acknowledgment is {times_faster} times as fast as pyx12")
    print(f"a stream of {stream:g} MB of small sets: {memory['peak_rss_mb']} MB at most in memory")
    print("check --jobs 2 on {files} files, {megabytes} MB: {seconds_1} s, then {seconds_2} s".format(**gain), end="")
    print(", median gain {gain_median}, best {gain_best}".format(**gain))


if __name__ == "__main__":
    main()
