"""The ledger under load: whole lives of exchanges recorded, then asked for.

Exchanges of 500 partners and seven years (orders, invoices, ship notices, claims, each with its 997; some rejected,
duplicates, strangers, bounces, overdue) go through the recording code in group commits, as the flow records them. What
a running gateway computes before it records (reading X12, writing mails) is made beforehand and counts apart. Then
twelve questions are asked on one connection, each with 40 different values, again and again.

Beside the load, the same rows (of the first 20,000 exchanges) by the bare driver into empty tables of the same kind,
with as many commits; beside the questions, a bare look-up by primary key. The bytes of raw mails are kept tiny and
counted apart, as are the rows that hold them.

    python benchmarks/ledger.py [--exchanges 1000000] [--database sqlite|postgresql] [--quick] [--json]
        [--group 100] [--processes 2] [--work DIR] [--keep] [--reuse] [--explain]
        [--multiply 40 --of DIR [--lean]]

``--keep`` leaves the database under ``--work``; ``--reuse`` asks it again, and loads more where it is short of
``--exchanges``. A load that is interrupted with ^C ends in order, and ``--reuse`` goes on from there. Ten million
exchanges take about 35 GB on SQLite, 60 on PostgreSQL, and hours.

``--multiply`` gets there in an hour: it copies what was loaded into SQLite and kept (``--of`` its ``--work``) so many
times into a fresh database of either kind, and asks that. Its tree holds none of the copies: nothing is verified, nor
are those two questions asked. ``--reuse --exchanges`` records more on top of it (see _ledger_multiply).
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import pickle
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT), str(ROOT / "tests")]

import _ledger_multiply as multiplying  # noqa: E402
import _ledger_questions as asking  # noqa: E402
import _ledger_store as store  # noqa: E402
from _ledger_life import Clocks, Life  # noqa: E402
from _ledger_world import World  # noqa: E402

from gateway.ledger.database import open_engine  # noqa: E402

QUICK = 10_000  # exchanges
GROUPS = (1, 10, 1000)  # measured beside --group, in short loads of their own
SHORT = 4_000  # exchanges of such a load, at most
FLOOR = 20_000  # exchanges whose rows the bare driver writes, into empty tables
LOADED = "load-{}-{}.pickle"  # what a share of a load kept, beside its database
SLOW = 25  # ms: what --explain explains
_EVERY = 10.0  # seconds between lines of progress


def main() -> None:
    """Measures and prints."""
    words = _arguments()
    if words.quick:
        words.exchanges = min(words.exchanges, QUICK)
    with tempfile.TemporaryDirectory(prefix="ledger") as scratch:
        work = Path(words.work or scratch)
        found = measure(words, work)
    if words.json:
        print(json.dumps(found))
        return
    _print(found)


def measure(words: argparse.Namespace, work: Path) -> dict[str, Any]:
    """One run: the load, its floor, the sizes, the questions."""
    found: dict[str, Any] = {"database": words.database, "group": words.group}
    with store.database(words.database, work, reuse=words.reuse, keep=words.keep or words.reuse) as url:
        place = work / words.database
        if words.multiply:
            multiply(url, place, words)
        # A copy without what a load goes on from is only asked.
        alone = (place / multiplying.MARK).exists() and not (place / LOADED.format(0, 1)).exists()
        clocks = load(url, place, words) if not (words.multiply or alone) else Clocks()
        engine = open_engine(url)
        whole = not (place / multiplying.MARK).exists()
        found |= {"load": _rates(clocks)}
        if words.floor and clocks.exchanges > clocks.found:
            found["load"] |= _floor(engine, clocks, place)
        if words.sizes:
            found |= _sizes(engine)
        found |= _questions(engine, words, whole=whole)
        engine.dispose()
    if words.groups and not words.reuse and not words.multiply:
        found["groups"] = {str(group): _short(words, group, work) for group in GROUPS}
    return found


# ---------------------------------------------------------------- load


def multiply(url: str, place: Path, words: argparse.Namespace) -> None:
    """Copies another load many times over, so that it can go on here."""
    other = Path(words.of) / "sqlite"
    engine = open_engine(url)
    made = multiplying.multiply(other / "ledger.db", engine, words.multiply, lean=words.lean)
    engine.dispose()
    (place / multiplying.MARK).write_text(str(words.multiply))
    kept = other / LOADED.format(0, 1)
    if kept.exists() and not words.lean:
        goes_on = multiplying.continued(pickle.loads(kept.read_bytes()), made)
        (place / kept.name).write_bytes(pickle.dumps(goes_on))


def load(url: str, place: Path, words: argparse.Namespace) -> Clocks:
    """Loads what is missing, by one process or several."""
    if words.processes == 1:
        return load_share(url, place, words, (0, 1))
    context = multiprocessing.get_context("spawn")
    with context.Pool(words.processes) as pool:
        shares = [(url, place, words, (share, words.processes)) for share in range(words.processes)]
        found = pool.starmap(load_share, shares, 1)
    # Of several at work together only the whole tells: what one makes keeps the others from recording.
    wall = max(each.making + each.asking + each.recording for each in found)
    return Clocks(
        sum(each.making for each in found),
        sum(each.asking for each in found),
        wall,
        sum(each.recording_cpu for each in found),
        sum(each.commits for each in found),
        sum(each.exchanges for each in found),
        found=sum(each.found for each in found),
    )


def load_share(url: str, place: Path, words: argparse.Namespace, share: tuple[int, int]) -> Clocks:
    """Loads one process's share, or the rest of it, and keeps where it stopped."""
    kept = place / LOADED.format(*share)
    wanted = words.exchanges // share[1]
    if kept.exists():
        world, made, turns, before = pickle.loads(kept.read_bytes())
    else:
        world, made, turns, before = World(wanted, words.seed, share), None, 0, Clocks()
    if before.exchanges >= wanted:
        return before
    engine = open_engine(url)
    life = Life(engine, world, words.group, words.payload, alone=share[1] == 1)
    life.turns, life.clocks = turns, before
    if made is not None:
        life.made.remembered(made)
    moved = _moved()
    with _interruptible() as stopped:
        life.run(wanted, _progress(wanted, before.exchanges), lambda: stopped)
    engine.dispose()
    life.clocks.read += _moved()[0] - moved[0]
    life.clocks.written += _moved()[1] - moved[1]
    if words.keep or words.reuse:
        kept.write_bytes(pickle.dumps((world, life.made.memory(), life.turns, life.clocks)))
    if stopped:
        raise SystemExit(f"stopped after {life.clocks.exchanges} exchanges; --reuse goes on from there")
    return life.clocks


def _moved() -> tuple[int, int]:
    """Bytes that this process has read from files and written to them, from the page cache or not; Linux tells."""
    told = Path("/proc/self/io")
    found = dict(line.split(": ") for line in told.read_text().splitlines()) if told.exists() else {}
    return int(found.get("rchar", 0)), int(found.get("wchar", 0))


class _interruptible:  # noqa: N801 - reads as a phrase
    """Within it ^C and SIGTERM only ask to stop: what it gives is true from then on."""

    def __enter__(self) -> list[int]:
        asked: list[int] = []
        self._before = [
            (each, signal.signal(each, lambda number, _frame: asked.append(number)))
            for each in (signal.SIGINT, signal.SIGTERM)
        ]
        return asked

    def __exit__(self, *_: object) -> None:
        for each, before in self._before:
            signal.signal(each, before)


def _progress(total: int, before: int) -> Any:
    start = last = time.perf_counter()

    def tell(clocks: Clocks) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _EVERY:
            last = now
            rate = (clocks.exchanges - before) / (now - start)
            print(f"{clocks.exchanges:,} of {total:,} exchanges, {rate:,.0f}/s in all", file=sys.stderr, flush=True)

    return tell


def _rates(clocks: Clocks) -> dict[str, Any]:
    count = max(1, clocks.exchanges - clocks.found)
    moved = {
        "read_kb_per_exchange": round(clocks.read / 1000 / count, 1),
        "written_kb_per_exchange": round(clocks.written / 1000 / count, 1),
    }
    return {
        "exchanges": clocks.exchanges - clocks.found,
        "commits": clocks.commits,
        "exchanges_per_second": round(count / clocks.recording) if clocks.recording else 0,
        "cpu_us_per_exchange": round(clocks.recording_cpu * 1e6 / count, 1),
        "making_us_per_exchange": round(clocks.making * 1e6 / count, 1),
        "asking_us_per_exchange": round(clocks.asking * 1e6 / count, 1),
    } | (moved if clocks.written else {})


def _floor(engine: Any, clocks: Clocks, place: Path) -> dict[str, Any]:
    recorded = clocks.exchanges - clocks.found
    count = min(FLOOR, recorded)
    commits = max(1, clocks.commits * count // recorded)
    seconds, cpu = store.floor(engine, commits, count, place)
    bare = count / seconds
    return {
        "floor_exchanges_per_second": round(bare),
        "floor_cpu_us_per_exchange": round(cpu * 1e6 / count, 1),
        "ratio_to_floor": round(recorded / clocks.recording / bare, 3),
    }


def _short(words: argparse.Namespace, group: int, work: Path) -> dict[str, Any]:
    """A load of its own with another size of groups."""
    count = min(SHORT, words.exchanges // 3, group * 100)  # after a third of it, in which the partners are new
    with store.database(words.database, work / f"group-{group}", reuse=False, keep=False) as url:
        engine = open_engine(url)
        life = Life(engine, World(words.exchanges, words.seed), group, words.payload)
        life.run(max(1, count // 3))
        life.clocks = Clocks()
        life.run(max(1, count))
        engine.dispose()
        return _rates(life.clocks)


# ---------------------------------------------------------------- sizes and questions


def _sizes(engine: Any) -> dict[str, Any]:
    found = store.sizes(engine)
    with asking.reading(engine) as connection:
        count = connection.execute(asking.select(asking.func.count()).select_from(asking.tables.exchange)).scalar_one()
    each = {
        table: {name: round(size / count, 1) for name, size in parts.items()}
        for table, parts in sorted(found.items(), key=lambda item: -sum(item[1].values()))
        if sum(parts.values()) / count >= 0.5
    }
    raw = sum(found[store.RAW].values())
    content = sum(size for table in ("content", "content_piece") for size in found.get(table, {}).values())
    total = sum(size for parts in found.values() for size in parts.values())
    return {
        "bytes_per_exchange": round((total - raw - content) / count, 1),
        "content_bytes_per_exchange": round(content / count, 1),
        "raw_bytes_per_exchange": round(raw / count, 1),
        "sizes": each,
    }


def _questions(engine: Any, words: argparse.Namespace, *, whole: bool) -> dict[str, Any]:
    given = asking.sample(engine, words.parameters, words.seed, sealed=whole)
    asked = asking.questions(given)
    bare = asking.lookup(engine, given, 12)
    gc.collect()
    gc.freeze()  # as the console does before its first page
    answers = asking.ask_all(engine, asked, 3 if words.quick else words.repeats, 0.8 if words.quick else words.seconds)
    found: dict[str, Any] = {}
    for answer in answers:
        figures = answer.figures()
        if answer.times:
            figures["ratio_to_lookup"] = round(figures["p50_ms"] / bare, 1)
        found[answer.name] = figures
    if words.explain:
        for question, answer in zip(asked, answers, strict=True):
            if answer.times and answer.figures()["p95_ms"] > words.explain:
                print(f"== {question.name}", *asking.explain(engine, question), sep="\n", file=sys.stderr)
    told = {"lookup_ms": round(bare, 4), "questions": found}
    if not whole:
        return told | {"verify": "copies of exchanges are not in the tree: there is nothing to verify"}
    events, rows, seconds, differences = asking.verify_all(engine)
    return told | {
        "verify": {
            "events": events,
            "rows": rows,
            "seconds": round(seconds, 1),
            "events_per_second": round(events / seconds),
            "differences": differences,
        },
    }


def _print(found: dict[str, Any]) -> None:
    for name, value in found.items():
        if not isinstance(value, dict):
            print(f"{name:>28}  {value}")
            continue
        print(f"{name}:")
        for inner, figures in value.items():
            told = "  ".join(f"{k} {v}" for k, v in figures.items()) if isinstance(figures, dict) else figures
            print(f"{inner:>36}  {told}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--group", type=int, default=100, help="mails or documents a commit")
    parser.add_argument("--processes", type=int, default=1, help="loaders on PostgreSQL, each with partners of its own")
    parser.add_argument("--groups", action=argparse.BooleanOptionalAction, default=True, help="also 1, 10 and 1000")
    parser.add_argument(
        "--floor", action=argparse.BooleanOptionalAction, default=True, help="the bare driver beside it"
    )
    parser.add_argument("--payload", type=int, default=24, help="bytes of each mail; no two are alike")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--parameters", type=int, default=40, help="different values for each question")
    parser.add_argument("--repeats", type=int, default=12, help="times that each question is asked with each of them")
    parser.add_argument("--seconds", type=float, default=60, help="at most for one question")
    parser.add_argument("--work", default="", help="where databases lie (default: a temporary directory)")
    parser.add_argument("--keep", action="store_true", help="leave the database there")
    parser.add_argument("--reuse", action="store_true", help="ask the database that is there, or load the rest of it")
    parser.add_argument("--explain", type=float, nargs="?", const=SLOW, help="plans of questions over so many ms")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} exchanges: under 50 seconds")
    parser.add_argument("--multiply", type=int, default=0, help="copies of the load that --of names, into a fresh one")
    parser.add_argument("--of", default="", help="the --work of a load into SQLite that was kept")
    parser.add_argument("--lean", action="store_true", help="copies without what no question looks at")
    parser.add_argument(
        "--sizes", action=argparse.BooleanOptionalAction, default=True, help="of each table: reads the whole database"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    words = parser.parse_args()
    if words.multiply and (not words.of or words.reuse):
        parser.error("--multiply copies --of a load into a fresh database")
    if words.database == "sqlite" and words.processes > 1:
        parser.error("SQLite has one writer at a time: --processes is for PostgreSQL")
    return words


if __name__ == "__main__":
    main()
