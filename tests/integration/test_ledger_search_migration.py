"""The migration that brings the text index finds everything that was there before it."""

from __future__ import annotations

from typing import Any

import pytest
from builders import ledger_rows as make
from builders.script import load
from sqlalchemy import Connection, MetaData, func, select

from gateway.ledger import marks, search_limits, tables, text
from gateway.ledger.clauses import TextIndex, clauses_of_exchanges, clauses_of_mails
from gateway.ledger.database import open_engine, reading, upgrade, writing
from gateway.ledger.query import Query
from gateway.ledger.search import search, search_messages

pytestmark = pytest.mark.integration

BEFORE = "0005"
COUNT = 4_100  # more than two batches of the migration


@pytest.fixture
def filled(ledger_url):
    """A ledger that was filled before the text index came."""
    engine = open_engine(ledger_url)
    upgrade(engine, BEFORE)
    with writing(engine) as connection:
        fill(connection)
    upgrade(engine)
    yield engine
    engine.dispose()


def fill(connection: Connection) -> None:
    known = MetaData()
    known.reflect(connection)
    table = known.tables
    mail = make.MESSAGE | {"to_addresses": "[]", "cc_addresses": "[]"}
    order = make.EXCHANGE | {"to_addresses": "[]"}
    states = ("processed", "noted", "quarantined", "stored", "sent")
    mails = [
        mail | {"id": n, "state": states[n % 5], "subject": f"Letter {n:06}", "message_id": f"<{n}@x>"}
        for n in range(1, 101)
    ]
    exchanges: list[dict[str, Any]] = [
        order
        | {"id": n, "at": make.START + n, "subject": f"Größe {n:07}", "partner": f"p{n % 7}", "usage": "PT"[n % 2]}
        | {"message": n if n <= 100 and n % 5 in {0, 4} else None, "types": "850 860" if n % 3 else "997"}
        for n in range(1, COUNT + 1)
    ]
    connection.execute(table["message"].insert(), mails)
    parts = {"message": 1, "ordinal": 1, "file_name": "report.pdf", "sha256": "0" * 64}
    connection.execute(table["payload"].insert(), [parts])
    connection.execute(table["exchange"].insert(), exchanges)
    groups = [{"id": n, "exchange": n, "ordinal": 1} for n in range(1, COUNT + 1)]
    connection.execute(table["functional_group"].insert(), groups)
    sets = [{"id": n, "functional_group": n, "exchange": n, "ordinal": 1} for n in range(1, COUNT + 1)]
    connection.execute(table["transaction_set"].insert(), sets)
    keys = [{"value": f"45{n:08}", "name": "po", "transaction_set": n, "exchange": n} for n in range(COUNT, 0, -1)]
    connection.execute(table["business_key"].insert(), keys)


def test_everything_that_was_there_is_found(filled, monkeypatch):
    monkeypatch.setattr(search_limits, "FEW", 3)
    for number in (1, 2_000, 2_001, COUNT):
        found = [row.id for row in search(filled, Query(subject=f"{number:07}"))]
        assert found == [number], number
        (row,) = search(filled, Query(business_key=f"*{number:08}*"))
        assert (row.id, row.keys) == (number, (("po", f"45{number:08}"),))
    assert len(search(filled, Query(type="860", partner="p3", text="größe", limit=None))) > 100
    assert [row.id for row in search_messages(filled, Query(text="000002"))] == [2]
    assert [row.id for row in search_messages(filled, Query(text="letter", limit=None))] == sorted(
        (n for n in range(1, 101) if n % 5 not in {0, 4}), reverse=True
    )


def test_the_index_is_what_it_would_be_had_it_been_there_from_the_beginning(filled):
    with writing(filled) as connection:
        queries = (Query(text="größe"), Query(usage="T"), Query(text="0000"), Query(type="997"), Query(partner="p4"))
        before = [indexed(connection, query) for query in queries]
        mails = indexed(connection, Query(text="letter"), mails=True)
        rows = list(map(tuple, connection.execute(select(text.search_text)))) if on_postgresql(connection) else []
        text.unindex(connection, range(1, COUNT + 1), range(1, 101))
        assert [indexed(connection, query) for query in queries] == [[]] * len(queries)
        text.reindex(connection, range(1, COUNT + 1))
        text.index_mails(connection, range(1, 101))
        assert [indexed(connection, query) for query in queries] == before
        assert indexed(connection, Query(text="letter"), mails=True) == mails
        if rows:
            assert sorted(map(tuple, connection.execute(select(text.search_text)))) == sorted(rows)


def test_business_keys_came_over_whole(filled):
    with reading(filled) as connection:
        key = tables.business_key
        assert connection.execute(select(func.count()).select_from(key)).scalar_one() == COUNT
        wrong = select(key).where(key.c.transaction_set != key.c.exchange)
        assert connection.execute(wrong).first() is None


def test_the_migration_writes_as_the_gateway_does():
    """Where a later version writes the index otherwise, it needs a migration of its own."""
    from gateway.ledger.database import migrations_directory

    (path,) = (migrations_directory() / "versions").glob("0006_*.py")
    module = load(path)
    indexed = marks.of_exchange(make.EXCHANGE | {"id": 7, "usage": "T", "types": "850 855"}, ["4500012345", "x"])
    row = type("Row", (), make.EXCHANGE | {"id": 7, "usage": "T", "types": "850 855"})
    frozen = module._exchange(row, ["4500012345", "x"])
    assert module._columns(*frozen) == marks.as_columns(indexed)
    assert module._text_and_marks(*frozen)[1:] == marks.as_text_and_marks(indexed)


def indexed(connection: Connection, query: Query, *, mails: bool = False) -> list[int]:
    index = TextIndex(connection)
    clauses = index.useful(clauses_of_mails(query) if mails else clauses_of_exchanges(query))
    return sorted(connection.execute(index.ids(clauses, mails=mails)).scalars())


def on_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def test_where_pg_trgm_may_not_be_made_the_index_knows_what_it_can_without(postgres):
    import psycopg
    from sqlalchemy.engine import make_url

    url = postgres.fresh_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
        connection.execute("GRANT ALL ON SCHEMA public TO plain")
        connection.execute(f"REVOKE ALL ON DATABASE {make_url(url).database} FROM plain, PUBLIC")
        connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {make_url(url).database} TO plain")
    plain = make_url(url).set(username="plain", password="x").render_as_string(hide_password=False)
    engine = open_engine(plain)
    upgrade(engine)
    with reading(engine) as connection:
        made = connection.exec_driver_sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_search_text'")
        assert "USING gin (marks)" in made.scalar_one()
    with writing(engine) as connection:
        numbers = [make.exchange(connection, subject=f"Order 45000123{each}") for each in range(4)]
    assert [row.id for row in search(engine, Query(text="00123"))] == numbers[::-1]
    assert [row.id for row in search(engine, Query(text="rder"))] == numbers[::-1]
    engine.dispose()
