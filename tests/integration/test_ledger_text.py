"""The text index follows what is recorded: nothing that is there is missing in it, whatever a search box is given."""

from __future__ import annotations

import pytest
from builders import ledger_rows as make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from gateway.ledger import search_limits, tables, text
from gateway.ledger.clauses import TextIndex, clauses_of_exchanges, clauses_of_mails
from gateway.ledger.database import open_engine, reading, upgrade, writing
from gateway.ledger.query import Query
from gateway.ledger.recording import Ledger
from gateway.ledger.search import count, search, search_messages

pytestmark = pytest.mark.integration

START = make.START


@pytest.fixture(autouse=True)
def by_the_index(monkeypatch):
    """A few rows, too, are found by the index and not one by one."""
    monkeypatch.setattr(search_limits, "FEW", 3)


def indexed(connection: Connection, query: Query, *, mails: bool = False) -> list[int]:
    """What the index gives for a query."""
    index = TextIndex(connection)
    clauses = index.useful(clauses_of_mails(query) if mails else clauses_of_exchanges(query))
    assert clauses
    return sorted(connection.execute(index.ids(clauses, mails=mails)).scalars())


def recorded(recorder, **values) -> int:
    """An exchange as the flow records it."""
    return recorder.add(tables.exchange, **{**make.EXCHANGE, "to_addresses": "[]", **values})


def keyed(recorder, exchange: int, *values: str) -> None:
    """Business keys of it."""
    group = recorder.add(tables.functional_group, exchange=exchange, ordinal=1)
    owner = recorder.add(tables.transaction_set, functional_group=group, exchange=exchange, ordinal=1)
    for value in values:
        recorder.put(tables.business_key, value=value, name="po", transaction_set=owner, exchange=exchange)


def test_what_is_recorded_is_found_by_its_texts_keys_and_marks_at_once(ledger_engine):
    ledger = Ledger(ledger_engine, lambda: START)
    with ledger.transaction() as recorder:
        number = recorded(recorder, subject="Gr\u00f6\u00dfe 42", partner="beta", types="850 860", usage="T")
        keyed(recorder, number, "4500012345", "AB-17")
        for each in range(5):
            recorded(recorder, subject=f"other {each}", file_name="")
    for query in (
        Query(text="größ"),
        Query(text="öße 42"),
        Query(text="50001"),
        Query(text="0001234"),
        Query(text="b-17"),
        Query(business_key="*00123*"),
        Query(business_key="po=*45*12345"),
        Query(partner="beta"),
        Query(type="860"),
        Query(usage="T"),
        Query(file_name="po_4711*", partner="beta"),
    ):
        assert [row.id for row in search(ledger_engine, query)] == [number], query


def test_keys_that_come_later_are_found(ledger_engine):
    ledger = Ledger(ledger_engine, lambda: START)
    with ledger.transaction() as recorder:
        number = recorded(recorder)
    with ledger.transaction() as recorder:
        keyed(recorder, number, "4500099999")
    with reading(ledger_engine) as connection:
        assert indexed(connection, Query(text="45000999")) == [number]
        assert indexed(connection, Query(text="Sunday")) == [number]


def test_a_mail_is_found_once_it_is_known_that_no_exchange_speaks_for_it(ledger_engine):
    ledger = Ledger(ledger_engine, lambda: START)
    with ledger.transaction() as recorder:
        known = {"at": START, "direction": "in", "state": "stored", "sha256": "0" * 64}
        mails = [recorder.add(tables.message, **known) for _ in range(3)]
    with ledger.transaction() as recorder:
        recorder.change(tables.message, mails[0], state="processed", subject="Orders")
        recorded(recorder, message=mails[0], subject="Orders")
        recorder.change(tables.message, mails[1], state="noted", kind="bounce", subject="Returned Orders")
        recorder.add(tables.payload, message=mails[1], ordinal=1, file_name="report.txt", sha256="0" * 64)
    with reading(ledger_engine) as connection:
        assert indexed(connection, Query(text="Orders"), mails=True) == [mails[1]]
        assert indexed(connection, Query(text="report"), mails=True) == [mails[1]]
    assert [row.id for row in search_messages(ledger_engine, Query())] == [mails[2], mails[1]]


def test_what_is_taken_out_is_gone_and_can_be_put_back(ledger_engine):
    with writing(ledger_engine) as connection:
        one, other = (make.exchange(connection, subject=f"Order 12345{each}") for each in range(2))
        mail = make.message(connection, state="noted", subject="Returned 123456")
        make.exchange(connection, message=make.message(connection, subject="never indexed"))
        text.unindex(connection, [one, 999], [mail, mail + 1, 999])
        assert indexed(connection, Query(text="12345")) == [other]
        assert indexed(connection, Query(text="Returned"), mails=True) == []
        text.unindex(connection, [one], [mail])
        text.reindex(connection, [one])
        text.index_mails(connection, [mail])
        assert indexed(connection, Query(text="12345")) == [one, other]
        assert indexed(connection, Query(text="Returned"), mails=True) == [mail]
        text.unindex(connection, [one, other], [mail])
        assert indexed(connection, Query(text="12345")) == []


def test_an_exchange_with_very_many_keys_is_found_by_each(ledger_engine):
    ledger = Ledger(ledger_engine, lambda: START)
    values = [f"PO{number:07}" for number in range(500)]
    with ledger.transaction() as recorder:
        number = recorded(recorder)
        keyed(recorder, number, *values)
    with reading(ledger_engine) as connection:
        for value in values[::50]:
            assert indexed(connection, Query(business_key=f"*{value[1:]}*")) == [number]


HOSTILE = [
    *('"', '""', "'", "NEAR(", "NEAR(a b, 3)", "a AND", "AND", "OR", "NOT x", "c0:", "c0 : abc", "col:*", "*", "**"),
    *("{c0 c1}: abc", "^abc", "abc*", "-abc", "+abc", "(", ")", "\\", "%", "_", "%%%", "a%b_c\\d", "[abc]", "?", "{"),
    *("\x7f\x01\x02", "\u0301\u0301\u0301", "\U0001f4e6\U0001f4e6\U0001f4e6", "\ue000\ue001\ue002", "\t\n", "}"),
    *("'; DROP TABLE exchange; --", "$1", ":expression", '12345"67890'),
]
ODD = st.text(st.sampled_from("ab1230\"'*%_\\()[]{}:^-+ \u00e9\u0130\u0301\U0001f4e6\x01"), min_size=1, max_size=10)


@pytest.mark.parametrize("box", HOSTILE)
def test_nothing_in_a_search_box_is_an_error(ledger_engine, box):
    with writing(ledger_engine) as connection:
        ids = [make.exchange(connection, subject=f"x{box}y", file_name=f"{box}.edi") for _ in range(5)]
    for name in ("text", "subject", "file_name", "business_key"):
        if box.strip():
            query = Query(**{name: f"*{box}*" if box.count("*") < 3 else box})
            assert count(ledger_engine, query) == (len(ids) if name != "business_key" else 0)
            assert len(search(ledger_engine, query)) == (len(ids) if name != "business_key" else 0)
            search_messages(ledger_engine, query)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(subject=st.lists(ODD, min_size=1, max_size=3).map("".join), start=st.integers(0, 30), length=st.integers(1, 12))
def test_the_index_never_misses_a_piece_of_a_text(ledger_engine, subject, start, length):
    piece = subject[start : start + length].replace("*", "").strip()
    if not piece or subject.count(piece) == 0:
        return
    with ledger_engine.connect() as connection, connection.begin() as transaction:
        ids = [make.exchange(connection, subject=subject) for _ in range(2)]
        index = TextIndex(connection)
        clauses = index.useful(clauses_of_exchanges(Query(subject=piece)))
        if clauses:
            assert sorted(connection.execute(index.ids(clauses)).scalars()) == ids
        transaction.rollback()


def test_without_pg_trgm_numbers_and_marks_are_found_by_the_index_and_words_in_the_rows(postgres, monkeypatch):
    from gateway.ledger import clauses

    engine = open_engine(postgres.fresh_database())
    upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP INDEX ix_search_text")
        connection.exec_driver_sql("CREATE INDEX ix_search_text ON search_text USING gin (marks)")
        ids = [make.exchange(connection, subject=f"Order 45000123{each}") for each in range(6)]
    assert [row.id for row in search(engine, Query(text="0001234"))] == ids[4:5]
    assert [row.id for row in search(engine, Query(text="rder"))] == ids[::-1]
    with reading(engine) as connection:
        assert not clauses._has_trigrams(connection)
        assert TextIndex(connection).useful(clauses_of_exchanges(Query(text="rder"))) == []
    with writing(engine) as connection:
        text.rebuild(connection)
    clauses.forget_trigrams(engine)
    assert [row.id for row in search(engine, Query(text="rder"))] == ids[::-1]
    with reading(engine) as connection:
        assert indexed(connection, Query(text="rder")) == ids
    engine.dispose()


def test_the_index_can_be_made_anew(ledger_engine):
    with writing(ledger_engine) as connection:
        ids = [make.exchange(connection, subject=f"Order 12345{each}") for each in range(7)]
        mail = make.message(connection, state="noted", subject="Order that came back")
        text.unindex(connection, ids[:3])
        told: list[int] = []
        text.rebuild(connection, told.append)
        assert sum(told) == len(ids) + 1
        assert indexed(connection, Query(text="12345")) == ids
        assert indexed(connection, Query(text="Order"), mails=True) == [mail]
        text.unindex(connection, ids, [mail])
        assert indexed(connection, Query(text="Order")) == []
