"""Revision 0007 on a filled ledger: what was kept is there and read as before, and can be put away and encrypted."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import text

from gateway.ledger import database, key_life, tables
from gateway.ledger.damage import damage
from gateway.ledger.payload_keys import Vault
from gateway.ledger.recording import Ledger
from gateway.ledger.retention_links import going
from gateway.ledger.retention_policy import Policies, Spans
from gateway.ledger.retention_purge import purge_ledger, purging
from gateway.ledger.retention_units import START, Judge, page
from gateway.ledger.secrets import make_key
from gateway.ledger.story import raw_bytes
from gateway.ledger.verify import Verification

pytestmark = pytest.mark.integration

COUNT = 30
BIG = bytes(range(256)) * 20_000


SIGHTING = "('orders', CAST(:id AS TEXT), :mail, :id, :at, 1, 'deleted')"
EXCHANGE = "(:id, :at, :at, 'in', 'document', 'delivered', 'a', :id, :name, '850', CAST(:id AS TEXT), :twin)"
# What a revision before 0007 has: table, columns and values.
ROWS = (
    ("message", "id, at, direction, state, partner, sha256", "(:id, :at, 'in', 'processed', 'a', :mail)"),
    ("sighting", "mailbox, uid, sha256, message, at, size, state", SIGHTING),
    (
        "exchange",
        "id, at, updated_at, direction, kind, state, partner, message, sha256, types, control_number, duplicate_of",
        EXCHANGE,
    ),
    ("functional_group", "id, exchange, ordinal", "(:id, :id, 1)"),
    ("transaction_set", "id, functional_group, exchange, ordinal, set_id", "(:id, :id, :id, 1, '850')"),
    ("business_key", "value, name, transaction_set, exchange", "('PO', 'po', :id, :id)"),
    ("event", "seq, at, kind, exchange, message", "(:id, :at, 'received', :id, :id)"),
)


@pytest.fixture
def filled(ledger_url):
    """A ledger of the revision before, with mails, exchanges, duplicates, sets, keys, events and big content."""
    engine = database.open_engine(ledger_url)
    database.upgrade(engine, "0006")
    with database.writing(engine) as connection:
        for number in range(1, COUNT + 1):
            write(connection, number)
        name = hashlib.sha256(BIG).hexdigest()
        pieces = -(-len(BIG) // 1_000_000)
        connection.execute(
            text("INSERT INTO content (sha256, size, at, bytes, pieces) VALUES (:n, :s, 1, :b, :p)"),
            {"n": name, "s": len(BIG), "b": b"", "p": pieces},
        )
        for ordinal in range(pieces):
            piece = BIG[ordinal * 1_000_000 : (ordinal + 1) * 1_000_000]
            connection.execute(
                text("INSERT INTO content_piece (sha256, ordinal, bytes) VALUES (:n, :o, :b)"),
                {"n": name, "o": ordinal, "b": piece},
            )
        if engine.dialect.name == "postgresql":
            for table in ("message", "exchange", "functional_group", "transaction_set", "event"):
                key = "seq" if table == "event" else "id"
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), (SELECT max({key}) FROM {table}))")
                )
    yield engine
    engine.dispose()


def write(connection, number):
    mail, interchange = f"mail {number}".encode(), f"ISA {number}".encode()
    for data in (mail, interchange):
        connection.execute(
            text("INSERT INTO content (sha256, size, at, bytes) VALUES (:n, :s, :a, :b)"),
            {"n": hashlib.sha256(data).hexdigest(), "s": len(data), "a": number, "b": data},
        )
    values = {"id": number, "at": number * 1000, "mail": hashlib.sha256(mail).hexdigest()}
    values["name"] = hashlib.sha256(interchange).hexdigest()
    values["twin"] = number - 1 if number % 10 == 0 else None
    for table, columns, row in ROWS:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES {row}"), values)


def assert_whole(engine):
    with database.reading(engine) as connection:
        assert [each.sentence for each in Verification(connection).full()] == []
    assert list(damage(engine)) == []


def test_what_was_kept_is_read_as_before_and_verifies(filled):
    database.upgrade(filled)
    assert raw_bytes(filled, hashlib.sha256(b"ISA 7").hexdigest()) == b"ISA 7"
    assert raw_bytes(filled, hashlib.sha256(BIG).hexdigest()) == BIG
    assert_whole(filled)


def test_what_was_there_before_can_be_put_away(filled):
    database.upgrade(filled)
    rules = Policies(Spans(0, 0))
    with purging(filled) as engine, Ledger(engine, lambda: 10**12).transaction() as recorder:
        keys, _ = page(recorder.connection, START, 10_000, 100)
        found = going(recorder.connection, Judge(recorder.connection, rules), keys, 10**12)
        gone = purge_ledger(recorder, found.units, "a test")
    assert (gone.exchanges, gone.messages, gone.events) == (10, 10, 10)  # the tenth repeats the ninth
    with database.reading(filled) as connection:
        assert connection.execute(text("SELECT min(id), count(*) FROM exchange")).one() == (11, COUNT - 10)
    assert_whole(filled)


def test_what_was_there_before_can_be_encrypted_when_it_comes_again(filled, tmp_path):
    database.upgrade(filled)
    make_key(tmp_path / "secret.key")
    Vault(tmp_path / "secret.key", lambda: {"a"}).attach(filled)
    ledger = Ledger(filled, lambda: 10**12)
    key_life.ready(ledger, {"a"})
    with ledger.transaction() as recorder:
        small, big = recorder.keep(b"ISA 7", owner="a"), recorder.keep(BIG, owner="a")
    assert raw_bytes(filled, small) == b"ISA 7"
    assert raw_bytes(filled, big) == BIG
    with database.reading(filled) as connection:
        ciphers = connection.execute(text("SELECT count(*) FROM content WHERE cipher <> ''")).scalar_one()
        in_clear = connection.execute(tables.content_piece.select()).all()
    assert ciphers == 2
    assert all(BIG[:1000] not in bytes(row.bytes) for row in in_clear)
    assert_whole(filled)
