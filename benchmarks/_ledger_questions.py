"""Twelve questions to a ledger, asked through its public functions, each many times on one connection.

The parameters come out of the ledger itself, at random and always the same. What a gateway cannot be asked yet is
named as missing.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from _ledger_world import DAY, HOUR, rare_words
from builders.overheard import overheard
from sqlalchemy import Connection, Engine, func, select

from gateway.ledger import tables
from gateway.ledger.database import reading
from gateway.ledger.search import parse_query, search
from gateway.ledger.story import story

Ask = Callable[[Engine, Any], int]  # gives the number of things that were answered


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask, with parameters; ``ask`` None: it cannot be asked yet."""

    name: str
    ask: Ask | None
    parameters: Sequence[Any] = ()


@dataclass(slots=True)
class Answer:
    """How long it took, in ms."""

    name: str
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of this process: on SQLite all there is, whoever else is at work
    first: list[float] = field(default_factory=list)  # those with a parameter for the first time
    answered: int = 0
    plans: list[str] = field(default_factory=list)
    fault: str = ""

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        if not self.times:
            return {"missing": self.fault or "cannot be asked yet"}
        return {
            "p50_ms": round(statistics.median(self.times), 3),
            "p95_ms": round(percentile(self.times, 0.95), 3),
            "max_ms": round(max(self.times), 3),
            "cpu_p95_ms": round(percentile(self.cpu, 0.95), 3),
            "first_p95_ms": round(percentile(self.first, 0.95), 3),
            "calls": len(self.times),
            "mean_answers": round(self.answered / len(self.times), 1),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# ---------------------------------------------------------------- parameters


@dataclass(frozen=True, slots=True)
class Sample:
    """What the ledger holds that can be asked for."""

    now: int
    exchanges: list[Any]  # rows of exchange
    pos: list[str]
    chains: list[str]  # PO numbers of documents that several others followed
    stories: list[int]
    seals: list[Any]  # made within the last day: as a batch makes them without other settings
    late_seals: list[Any]  # within the last hour


def sample(engine: Engine, count: int, seed: int, *, sealed: bool = True) -> Sample:
    """Takes parameters out of a ledger; not ``sealed``: its tree tells nothing, so that there are no seals."""
    chance = random.Random(seed)
    with reading(engine) as connection:
        x, b = tables.exchange, tables.business_key
        now = connection.execute(select(func.max(x.c.at))).scalar_one()
        exchanges = list(_some(connection, chance, count, x.c.kind == "document", x.c.partner != ""))
        key = select(b.c.value).where(b.c.name == "po").order_by(b.c.value).limit(1)
        ordered = [
            str(connection.execute(key.where(b.c.exchange == row.id)).scalar())
            for row in _some(connection, chance, 2 * count, x.c.types == "850", x.c.partner != "")
        ]
        return Sample(
            now,
            exchanges,
            ordered[:count],
            ordered[count:],
            [row.id for row in exchanges],
            list(_seals(connection, chance, count, DAY)) if sealed else [],
            list(_seals(connection, chance, count, HOUR)) if sealed else [],
        )


def _some(connection: Connection, chance: random.Random, count: int, *which: Any) -> Iterator[Any]:
    x = tables.exchange
    highest = connection.execute(select(func.max(x.c.id))).scalar() or 1
    found = 0
    while found < count:
        start = chance.randint(1, highest)
        row = connection.execute(
            select(x).where(x.c.id.between(start, start + 500), *which).order_by(x.c.id).limit(1)
        ).first()
        if row is not None:
            found += 1
            yield row


def _seals(connection: Connection, chance: random.Random, count: int, span: int) -> Iterator[Any]:
    """Seals as they would have been made within the last ``span`` ms."""
    from gateway.ledger import tree
    from gateway.ledger.seals import make_seal

    head = tree.head_of(connection)
    e = tables.event.c
    newest = select(e.seq, e.at).order_by(e.seq.desc()).limit(1)
    last = connection.execute(newest).one().at
    before = connection.execute(newest.where(e.at < last - span)).scalar() or 0
    nodes = tree.Nodes(connection, head.size)
    # A seal covers whole transactions.
    ended = connection.execute(select(e.seq).where(e.kind == "recorded", e.seq > before)).scalars().all() or [head.seq]
    for _ in range(count):
        seq = chance.choice(ended)
        size = nodes.index_of(seq) + 1
        yield make_seal("bench.example/ledger", size, nodes.root(size), seq, last)


# ---------------------------------------------------------------- questions


def questions(given: Sample) -> list[Question]:
    """The questions with their parameters."""
    now = datetime.fromtimestamp(given.now / 1000, UTC)

    def found(*words: str) -> Ask:
        """A search, the words filled with the parameters."""

        def ask(engine: Engine, values: dict[str, str]) -> int:
            return len(search(engine, parse_query([word.format(**values) for word in words], now, UTC), given.now))

        return ask

    weeks = [
        {"partner": row.partner, "since": _iso(row.at - 3 * DAY), "until": _iso(row.at + 4 * DAY)}
        for row in given.exchanges
    ]
    partners = [{"partner": row.partner} for row in given.exchanges]
    rare = [{"word": word} for word in rare_words()[: len(partners)]]
    common = [
        {"word": first, "other": second}
        for first in ("Purchase", "Invoice", "Notice", "Ship", "Remittance", "Claims", "Acknowledgment", "Example")
        for second in ("weekly", "urgent", "Retail", "Foods", "EDI", "Northwind")
    ]
    months = [datetime.fromtimestamp(row.at / 1000, UTC) for row in given.exchanges]
    return [
        Question("partner and week", found("partner={partner}", "since={since}", "until={until}"), weeks),
        Question("control number", found("control={n}"), [{"n": row.control_number} for row in given.exchanges]),
        Question("Message-ID", found("message_id={id}"), [{"id": row.message_id} for row in given.exchanges]),
        Question("PO number, exact", found("po={po}"), [{"po": po} for po in given.pos]),
        Question("PO number, infix", found("po=*{po}*"), [{"po": po[1:-1]} for po in given.pos]),
        Question("overdue now", found("overdue"), partners),
        Question("free text, a rare word", found("{word}"), rare),
        Question("free text, common words", found("{word}", "{other}"), common),
        Question("unacknowledged by partner", found("partner={partner}", "unacknowledged"), partners),
        Question("one timeline", lambda engine, number: len(story(engine, number).events), given.stories),
        Question("counts by day and partner, a month", _daily, months),
        Question("newest 50", found("limit=50") if _knows_limit() else found(), partners),
        Question("all of a document chain", _chain, [{"po": po} for po in given.chains]),
        Question("verify since the last seal, a day", _since, given.seals),
        Question("verify since the last seal, an hour", _since, given.late_seals),
    ]


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _knows_limit() -> bool:
    try:
        parse_query(["limit=50"])
    except Exception:  # noqa: BLE001 - then 50 is the limit that there is
        return False
    return True


def _daily(engine: Engine, moment: datetime) -> int:
    """The lines of a month's volumes by day and partner."""
    from gateway.ledger.reports.scope import Scope, month_of
    from gateway.ledger.reports.volumes import volumes

    with reading(engine) as connection:
        return len(volumes(connection, Scope(*month_of(moment, UTC)), by=("day", "partner")).rows)


def _chain(engine: Engine, values: dict[str, str]) -> int:
    from gateway.ledger.chain import follow

    return len(follow(engine, values["po"]).documents)


def _since(engine: Engine, seal: Any) -> int:
    from gateway.ledger.verify import Verification

    with reading(engine) as connection:
        look = Verification(connection)
        differences = list(look.since(seal))
        assert not differences, differences[0]
        return look.extent.events


def verify_all(engine: Engine) -> tuple[int, int, float, int]:
    """Events and rows read by a full verification, its seconds, and how many differences it found.

    With as many processes as `gateway ledger verify --full` uses.
    """
    from gateway.ledger.verify import Verification

    start = time.perf_counter()
    with reading(engine) as connection:
        look = Verification(connection, processes=os.cpu_count() or 1)
        differences = sum(1 for _ in look.full())
        return look.extent.events, look.extent.rows, time.perf_counter() - start, differences


# ---------------------------------------------------------------- asking


def ask_all(engine: Engine, asked: Sequence[Question], repeats: int, seconds: float) -> list[Answer]:
    """Every question with all its parameters, again and again: ``repeats`` times, or until its seconds are over."""
    return [_ask(engine, question, repeats, seconds) for question in asked]


def _ask(engine: Engine, question: Question, repeats: int, seconds: float) -> Answer:
    answer = Answer(question.name)
    if question.ask is None or not question.parameters:
        return answer
    until = time.perf_counter() + seconds
    try:
        for turn in range(repeats):
            for parameter in question.parameters:
                start, cpu = time.perf_counter(), time.process_time()
                answer.answered += question.ask(engine, parameter)
                answer.times.append((time.perf_counter() - start) * 1000)
                answer.cpu.append((time.process_time() - cpu) * 1000)
                if turn == 0:
                    answer.first.append(answer.times[-1])
                if time.perf_counter() > until and len(answer.times) > 12:
                    return answer
    except Exception as problem:  # noqa: BLE001 - one question that fails must not stop the others
        answer.fault = f"{type(problem).__name__}: {problem}"
        answer.times.clear()
    return answer


def lookup(engine: Engine, given: Sample, repeats: int) -> float:
    """Milliseconds of a bare look-up by primary key through the driver, the median of many."""
    times = []
    with reading(engine) as connection:
        driver: Any = connection.connection.driver_connection
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        for _ in range(repeats):
            for number in given.stories:
                start = time.perf_counter()
                driver.execute(f"SELECT id, at, partner, subject FROM exchange WHERE id = {mark}", (number,)).fetchone()
                times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def explain(engine: Engine, question: Question) -> list[str]:
    """The statements of a question and how the database goes about them."""
    told: list[str] = []
    with overheard(engine) as statements:
        assert question.ask is not None
        question.ask(engine, question.parameters[0])
    with reading(engine) as connection:
        prefix = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS) "
        for statement, values in statements:
            if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                continue
            told.append(" ".join(statement.split()))
            told += [f"    {row[-1]}" for row in connection.exec_driver_sql(prefix + statement, values)]
    return told
