"""Content of any size in the ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import hashlib
import mmap
import os

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from gateway.errors import DatabaseUnavailable, NotFound
from gateway.ledger import archive, database, tables
from gateway.ledger.recording import Ledger
from gateway.ledger.story import raw_bytes
from gateway.ledger.work import stored_messages

pytestmark = pytest.mark.integration

SIZES = (0, 1, archive.WHOLE, archive.WHOLE + 1, archive.WHOLE + archive.PIECE, 7_654_321)


@pytest.fixture
def ledger(ledger_url):
    engine = database.open_engine(ledger_url)
    database.upgrade(engine)
    yield Ledger(engine, lambda: 1_000)
    engine.dispose()


def name_of(data):
    return hashlib.sha256(data).hexdigest()


def test_content_of_any_size_comes_back_as_it_was(ledger):
    contents = {name_of(data): data for data in (os.urandom(size) for size in SIZES)}
    with ledger.transaction() as recorder:
        assert [recorder.keep(data) for data in contents.values()] == list(contents)
    assert ledger.contents(list(contents)) == contents
    for name, data in contents.items():
        assert raw_bytes(ledger.engine, name) == data
        with ledger.reading() as connection:
            assert b"".join(archive.pieces_of(connection, name)) == data


def test_big_content_is_in_pieces_and_kept_once(ledger):
    data = os.urandom(archive.WHOLE + 1)
    for _ in range(2):
        with ledger.transaction() as recorder:
            recorder.keep(data)
            recorder.keep(data)
    with ledger.reading() as connection:
        sizes = [len(row.bytes) for row in connection.execute(select(tables.content_piece.c.bytes))]
        whole = connection.execute(select(tables.content.c.bytes, tables.content.c.pieces)).all()
    assert sorted(sizes) == [1, *[archive.PIECE] * 4]
    assert [(bytes(row.bytes), row.pieces) for row in whole] == [(b"", 5)]


def test_a_big_stored_message_is_a_view_of_a_file_without_a_name(ledger, tmp_path):
    big, small = os.urandom(archive.WHOLE + 5), b"small"
    with ledger.transaction() as recorder:
        for data in (big, small):
            recorder.add(
                tables.message, at=1, direction="in", state="stored", sha256=recorder.keep(data), size=len(data)
            )
    place = tmp_path / "spool"
    place.mkdir()
    with ledger.reading() as connection:
        first, second = stored_messages(connection, 10, 100_000_000, 5, place)
    assert isinstance(first.raw, mmap.mmap)
    assert first.raw[:] == big
    assert second.raw == small
    assert list(place.iterdir()) == []


def test_no_room_for_a_view_is_no_fault_of_the_message(ledger, tmp_path):
    data = os.urandom(archive.WHOLE + 5)
    with ledger.transaction() as recorder:
        name = recorder.keep(data)
    with ledger.reading() as connection, pytest.raises(DatabaseUnavailable, match="no room"):
        archive.view(connection, name, 5, tmp_path / "gone")


def test_pieces_that_do_not_come_to_what_was_said_are_refused(ledger):
    with pytest.raises(ValueError, match="3 bytes came"), ledger.transaction() as recorder:
        recorder.keep_pieces(iter([b"abc"]), "0" * 64, 4)
    with pytest.raises(NotFound):
        raw_bytes(ledger.engine, "0" * 64)


@pytest.mark.parametrize("statement", [delete(tables.content_piece), update(tables.content_piece).values(bytes=b"")])
def test_pieces_can_neither_be_changed_nor_removed(ledger, statement):
    data = os.urandom(archive.WHOLE + 5)
    with ledger.transaction() as recorder:
        name = recorder.keep(data)
    with pytest.raises((DatabaseUnavailable, DBAPIError)), ledger.transaction() as recorder:
        recorder.connection.execute(statement)
    assert ledger.content(name) == data
