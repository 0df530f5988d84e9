"""No interactive question reads more the longer the ledger is: neither database may scan, sort or guess."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders import ledger_rows as make
from builders.overheard import overheard
from sqlalchemy import Connection, Engine, Table, select, update

from gateway.ledger import bulk, marks, search_limits, tables, text
from gateway.ledger.database import reading, writing
from gateway.ledger.search import parse_query, search, search_messages

pytestmark = pytest.mark.integration

START = make.START
MINUTE = 60_000
SMALL, BIG = 1_500, 9_000  # exchanges


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """Limits that are to these ledgers what the real ones are to big ones."""
    for name, value in (("FEW", 40), ("VERY_FEW", 5), ("SOME", 200), ("MANY", 300), ("NEAR", 60)):
        monkeypatch.setattr(search_limits, name, value)


def fill(connection: Connection, count: int) -> None:
    """Some exchanges over thirty months: rare and common words, few open ones, some mails of their own."""
    chance = random.Random(5)
    pace = 30 * 30 * 24 * 60 * MINUTE // count
    rows: dict[Table, list[dict[str, Any]]] = {tables.exchange: [], tables.message: [], tables.expectation: []}
    rows |= {tables.functional_group: [], tables.transaction_set: [], tables.business_key: []}
    known = []
    for number in range(1, count + 1):
        at = START - (count - number) * pace
        po = f"45{chance.randrange(10**8):08}"
        said = (" weekly" if chance.random() < 0.05 else "") + (" rarity" if number % 700 == 5 else "")
        said += " flood" if 0.30 < number / count < 0.35 else ""  # in few months, and much of it
        is_open = number > count - 4
        row = make.EXCHANGE | {
            "id": number,
            "at": at,
            "partner": f"p{min(chance.randrange(12), chance.randrange(12)):02}",
            "to_addresses": "[]",
            "message_id": f"<{number}@x>",
            "control_number": f"{number // 8:09}",
            "file_name": f"{po}.edi",
            "subject": f"Order {po}{said}",
            "state": "overdue" if is_open else "rejected" if chance.random() < 0.02 else "delivered",
            "settled_at": None if is_open else at,
        }
        rows[tables.exchange].append(row)
        if is_open:
            awaited = {"exchange": number, "kind": "997", "partner": row["partner"], "within": 1, "due_at": at}
            rows[tables.expectation].append(awaited)
        rows[tables.functional_group].append({"id": number, "exchange": number, "ordinal": 1})
        rows[tables.transaction_set].append(
            {"id": number, "functional_group": number, "exchange": number, "ordinal": 1}
        )
        rows[tables.business_key].append({"value": po, "name": "po", "transaction_set": number, "exchange": number})
        known.append(marks.of_exchange(row, [po]))
        if number % 50 == 0:
            said = "Returned" + (" rarity" if number % 3_000 == 0 else "")
            lists = {"to_addresses": "[]", "cc_addresses": "[]"}
            mail = make.MESSAGE | lists | {"id": number, "at": at, "state": "noted", "subject": said}
            rows[tables.message].append(mail)
            known.append(marks.of_mail(mail, []))
    for table in (tables.message, tables.exchange, tables.functional_group, tables.transaction_set):
        connection.execute(table.insert(), rows[table])
    for table in (tables.business_key, tables.expectation):
        connection.execute(table.insert(), rows[table])
    text._add(connection, known)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory, request):
    """Gives a small and a big ledger of a kind of database, filled once."""
    from gateway.ledger.database import open_engine, upgrade

    made: dict[str, tuple[Engine, Engine]] = {}

    def of(kind: str) -> tuple[Engine, Engine]:
        if kind not in made:
            directory = tmp_path_factory.mktemp("plans")
            fresh = request.getfixturevalue("postgres").fresh_database if kind == "postgres" else None
            found = []
            for count in (SMALL, BIG):
                engine = open_engine(fresh() if fresh else f"sqlite:///{directory / str(count)}.db")
                upgrade(engine)
                with writing(engine) as connection:
                    fill(connection, count)
                if fresh:
                    with writing(engine) as connection:
                        connection.exec_driver_sql("ANALYZE")
                found.append(engine)
            made[kind] = (found[0], found[1])
        return made[kind]

    yield of
    for engines in made.values():
        for engine in engines:
            engine.dispose()


WEEK = ["since=2026-09-01T00:00Z", "until=2026-09-07T23:59Z"]
QUESTIONS = {
    "newest": [],
    "oldest": ["sort=oldest"],
    "partner": ["partner=p01"],
    "partner and week": ["partner=p01", *WEEK],
    "partner and type": ["partner=p01", "type=850"],
    "partners": ["partner=p01,p09"],
    "week": WEEK,
    "control number": ["control=77"],
    "Message-ID": ["message-id=77@x"],
    "PO number": ["po=4500012345"],
    "PO number, infix": ["po=*50001*"],
    "PO number, prefix": ["po=45000*"],
    "overdue": ["overdue"],
    "unacknowledged by partner": ["unacknowledged", "partner=p01"],
    "attention": ["attention"],
    "a rare word": ["rarity"],
    "a common word": ["order"],
    "two words": ["order", "weekly"],
    "words that are never together": ["weekly", "nothing"],
    "a word of a partner": ["weekly", "partner=p01"],
    "a word in a week": ["weekly", *WEEK],
    "rejected": ["state=rejected"],
    "settled": ["settled"],
    "what is not there": ["duplicate"],
    "no fault": ["fault=x"],
    "late": ["late"],
}
FIRST = 5  # rows of a page: so that even a rare thing fills it


@pytest.mark.parametrize("name", QUESTIONS)
def test_on_sqlite_a_question_takes_no_more_steps_in_a_ledger_six_times_as_big(ledgers, name):
    query = parse_query([*QUESTIONS[name], f"limit={FIRST}"])
    small, big = (steps(engine, lambda engine: search(engine, query, now=START)) for engine in ledgers("sqlite"))
    assert big < 2 * small + 4_000, (small, big)


@pytest.mark.parametrize("words", [[], ["rarity"], ["returned"], ["state=noted"], ["partner=acme"], WEEK])
def test_on_sqlite_mails_take_no_more_steps_in_a_ledger_six_times_as_big(ledgers, words):
    query = parse_query([*words, f"limit={FIRST}"])
    small, big = (
        steps(engine, lambda engine: search_messages(engine, query, now=START)) for engine in ledgers("sqlite")
    )
    assert big < 2 * small + 4_000, (small, big)


@pytest.fixture
def waiting(ledgers):
    """More than few exchanges of each ledger, here and there in all its time, are awaited and overdue for now."""
    engines = ledgers("sqlite")
    for engine, count in zip(engines, (SMALL, BIG), strict=True):
        ids = range(7, count - 10, count // 70)
        with writing(engine) as connection:
            awaited = {"kind": "997", "partner": "p01", "within": 1, "due_at": START - 1}
            connection.execute(tables.expectation.insert(), [awaited | {"exchange": number} for number in ids])
    yield engines
    for engine, count in zip(engines, (SMALL, BIG), strict=True):
        with writing(engine) as connection:
            connection.execute(tables.expectation.delete().where(tables.expectation.c.exchange < count - 10))


@pytest.mark.parametrize("flag", ["overdue", "unacknowledged"])
def test_what_waits_is_found_without_walking_to_it_also_where_it_is_more_than_few(waiting, flag):
    query = parse_query([flag, "limit=30"])
    assert all(len(search(engine, query, now=START)) == 30 for engine in waiting)
    small, big = (steps(engine, lambda engine: search(engine, query, now=START)) for engine in waiting)
    assert big < 1.3 * small, (small, big)


@pytest.fixture
def turned(ledgers):
    """One exchange of long ago has the newest moment of all: its id tells nothing."""
    _, engine = ledgers("sqlite")
    x = tables.exchange
    with writing(engine) as connection:
        at = connection.execute(x.select().where(x.c.id == 205)).one().at
        connection.execute(x.update().where(x.c.id == 205).values(at=START + MINUTE))
        text.reindex(connection, [205])
    yield engine
    with writing(engine) as connection:
        connection.execute(x.update().where(x.c.id == 205).values(at=at))


@pytest.mark.parametrize("words", [["order"], ["order", "4*"], ["overdue"]])
def test_an_old_id_may_be_the_newest_exchange(turned, words):
    """Ids lead to the newest of many only where it is sure that they do."""
    with writing(turned) as connection:
        ids = [205, *range(1_000, 2_400, 9)]
        awaited = {"kind": "TA1", "partner": "p01", "within": 1, "due_at": START - 1}
        connection.execute(tables.expectation.insert(), [awaited | {"exchange": number} for number in ids])
    found = search(turned, parse_query([*words, "limit=5"]), now=START)
    with writing(turned) as connection:
        connection.execute(tables.expectation.delete().where(tables.expectation.c.kind == "TA1"))
    assert found[0].id == 205
    assert len(found) == 5


def test_the_steps_of_a_scan_would_show(ledgers):
    query = parse_query(["agreement=nothing", "user=*x*", f"limit={FIRST}"])
    small, big = (steps(engine, lambda engine: search(engine, query, now=START)) for engine in ledgers("sqlite"))
    assert big > 4 * small


def steps(engine: Engine, ask: Any) -> int:
    """Instructions of SQLite's machine that a question takes, in hundreds."""
    count = 0

    def told() -> int:
        nonlocal count
        count += 100
        return 0

    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(told, 100)
    try:
        ask(engine)
        count = 0
        ask(engine)
    finally:
        driver.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("name", QUESTIONS)
def test_on_postgresql_no_question_scans_a_table_or_sorts_what_it_walks(ledgers, name):
    _, engine = ledgers("postgres")
    query = parse_query([*QUESTIONS[name], f"limit={FIRST}"])
    plans = explained(engine, lambda: search(engine, query, now=START))
    assert plans
    for statement, rows, kinds in plans:
        assert not any(kind == "Seq Scan" and number > 100 for kind, number in kinds), (statement, kinds)
        assert rows <= 1_200, (statement, kinds)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_month_without_a_word_is_not_walked_because_the_months_beside_it_have_many(ledgers, kind):
    """What else is asked no index knows, and nothing meets it: the months of the word are walked, and no others."""
    _, engine = ledgers(kind)
    query = parse_query(["flood", "agreement=nothing", f"limit={FIRST}"])
    with overheard(engine) as statements:
        assert search(engine, query, now=START) == []
    walked = [values for statement, values in statements if "exchange.agreement" in statement and "ORDER" in statement]
    # SQLite walks a month in two parts; PostgreSQL compares a month of not too many rows.
    least, most = {"sqlite": (2, 4), "postgres": (1, 3)}[kind]
    assert least <= len(walked) <= most


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("sort", ["-at", "at"])
def test_months_without_any_row_are_not_stepped_through_where_a_clock_was_centuries_wrong(ledgers, kind, sort):
    """The same is found, with few statements more than where every clock was right."""
    _, engine = ledgers(kind)
    asked = ["weekly", "agreement=nothing", f"sort={sort}", f"limit={FIRST}"]
    usual = asked_for(engine, asked)
    ends = [row(engine, last=last) for last in (False, True)]
    with at(engine, ends[0], 1_000_000), at(engine, ends[1], 253_400_000_000_000):  # in 1970, in 9999
        assert asked_for(engine, asked) <= usual + 20


def asked_for(engine: Engine, words: list[str]) -> int:
    """How many statements a search takes that finds nothing."""
    with overheard(engine) as statements:
        assert search(engine, parse_query(words), now=START) == []
    return len(statements)


def row(engine: Engine, *, last: bool) -> int:
    """The id of the newest exchange, or of the oldest."""
    x = tables.exchange.c
    with reading(engine) as connection:
        return int(connection.execute(select(x.id).order_by(x.at.desc() if last else x.at).limit(1)).scalar_one())


@contextmanager
def at(engine: Engine, number: int, moment: int) -> Iterator[None]:
    """Within it an exchange is of another moment."""
    x = tables.exchange.c
    with reading(engine) as connection:
        before = connection.execute(select(x.at).where(x.id == number)).scalar_one()
    dated(engine, number, moment)
    try:
        yield
    finally:
        dated(engine, number, before)


def dated(engine: Engine, number: int, moment: int) -> None:
    with writing(engine) as connection:
        text.unindex(connection, [number])
        connection.execute(update(tables.exchange).where(tables.exchange.c.id == number).values(at=moment))
        text.reindex(connection, [number])


def explained(engine: Engine, ask: Any) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """The statements of a question about tables: each with the rows that its plan reads, and the plan's nodes."""
    found: list[tuple[str, int, list[tuple[str, int]]]] = []
    with overheard(engine) as statements:
        ask()
    with reading(engine) as connection:
        for statement, values in statements:
            if statement.startswith("SET"):
                bulk.run(connection, statement)
            elif any(f"FROM {name}" in statement for name in ("exchange", "search_text", "business_key")):
                told = connection.exec_driver_sql("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, values).scalar_one()
                nodes = list(walk((told if isinstance(told, list) else json.loads(told))[0]["Plan"]))
                kinds = [(node["Node Type"], read(node)) for node in nodes]
                found.append((statement, sum(number for _, number in kinds), kinds))
    return found


def read(node: dict[str, Any]) -> int:
    """Rows that a scan looked at."""
    if "Scan" not in node["Node Type"] or "Relation Name" not in node:
        return 0
    gone = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + gone) * node["Actual Loops"])


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", []):
        yield from walk(each)
