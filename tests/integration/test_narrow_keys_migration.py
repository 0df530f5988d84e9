"""Revision 0012 on a filled ledger: all is found by Message-ID and by its bytes as before, and verifies."""

from __future__ import annotations

import pytest
from builders.recorded import fill
from sqlalchemy import select, text

from gateway.ledger import bulk, database, tables, tree
from gateway.ledger.mailboxes import messages_of
from gateway.ledger.query import Query
from gateway.ledger.references import exchange_ids_for, message_ids_for
from gateway.ledger.search import search
from gateway.ledger.verify import Verification

pytestmark = pytest.mark.integration

COUNT = 40


@pytest.fixture
def filled(ledger_url):
    engine = database.open_engine(ledger_url)
    database.upgrade(engine, "0011")
    with database.writing(engine) as connection:
        tree.adopt(connection, 1)  # as an upgrade does to the newest revision, which that was then
    fill(engine, COUNT)
    database.upgrade(engine)
    yield engine
    engine.dispose()


def test_everything_is_found_by_its_message_id(filled):
    with database.reading(filled) as connection:
        m = tables.message.c
        mails = dict(connection.execute(select(m.id, m.message_id).where(m.message_id != "")).all())
        x = tables.exchange.c
        exchanges = connection.execute(select(x.id, x.message_id, x.message).where(x.message_id != "")).all()
    assert mails
    assert exchanges
    for number, name in mails.items():
        assert number in message_ids_for(filled, name)
    for row in exchanges:
        assert mails[row.message] == row.message_id
        assert row.id in exchange_ids_for(filled, row.message_id)
        assert row.id in [each.id for each in search(filled, Query(message_id=row.message_id))]


def test_mails_are_found_by_their_bytes_alone_not_by_the_beginning_of_the_name(filled):
    with database.reading(filled) as connection:
        m = tables.message.c
        mails = connection.execute(select(m.id, m.sha256).where(m.direction == "in")).all()
        names = [row.sha256 for row in mails]
        assert mails
        assert messages_of(connection, names) == {row.sha256: row.id for row in mails}
        assert messages_of(connection, [f"{name[:12]}{'0' * 52}" for name in names]) == {}


def test_mails_are_looked_for_by_an_index(filled):
    with database.reading(filled) as connection:
        if filled.dialect.name != "sqlite":  # with so few rows PostgreSQL reads them all: that it could use one
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            wanted = select(tables.message.c.id).where(tables.message.c.sha256 == "0" * 64)
            sql = wanted.compile(connection, compile_kwargs={"literal_binds": True})
            assert "ix_message_sha256" in str(connection.exec_driver_sql(f"EXPLAIN {sql}").all())
            return
        messages_of(connection, ["0" * 64])
        sql = bulk._compiled["sqlite", "mails by name"][0]  # the very statement
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]", "[]")).all()
    assert "ix_message_sha256_start" in str(plan)


def test_what_was_recorded_before_verifies(filled):
    with database.reading(filled) as connection:
        assert list(Verification(connection).full()) == []
