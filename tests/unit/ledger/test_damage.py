"""Reading the whole ledger: what the disk did to it is named; and what a failed disk means for a handle."""

from __future__ import annotations

import sqlite3

import pytest
from builders.stage import Stage, orders
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway.errors import DatabaseUnavailable, DiskFailed
from gateway.flow import checkpoint
from gateway.flow.check_ledger import check_newest, check_whole
from gateway.ledger import damage as damage_module
from gateway.ledger.archive import PIECE, WHOLE
from gateway.ledger.damage import damage
from gateway.ledger.database import guarded, settle, writing


@pytest.fixture
def stage(tmp_path):
    """A gateway that has processed an order."""
    stage = Stage(tmp_path)
    stage.mail(orders(1))
    stage.run()
    yield stage
    while Stage.opened:
        Stage.opened.pop().dispose()


def spoil(stage, statement, **values):
    """Writes what only a disk would do."""
    with writing(stage.engine) as connection:
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement), values)


def test_a_whole_ledger_has_no_damage(stage):
    assert list(damage(stage.engine)) == []
    (check,) = check_whole(stage.engine)
    assert check.ok


def test_changed_bytes_are_named_with_their_mail(stage):
    name = stage.rows("message")[0]["sha256"]
    spoil(stage, "UPDATE content SET bytes = x'00' WHERE sha256 = :name", name=name)
    assert list(damage(stage.engine)) == [f"The kept bytes {name} are not what they were (mail m1)."]
    (check,) = check_whole(stage.engine)
    assert not check.ok
    assert "backup" in check.advice


def test_a_missing_piece_of_something_big_is_named(stage):
    with stage.ledger.transaction() as recorder:
        name = recorder.keep(bytes(WHOLE + PIECE))
    assert list(damage(stage.engine)) == []
    spoil(stage, "UPDATE content_piece SET bytes = x'' WHERE sha256 = :name AND ordinal = 2", name=name)
    assert list(damage(stage.engine)) == [f"The kept bytes {name} are not what they were."]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("pieces = 9", "are not what they were"),
        ("pieces = 'x'", "are not what they were"),
        ("bytes = 70000000000", "are not what they were"),
        ("bytes = 'text'", "are not what they were"),
        ("cipher = 'aes-256-gcm'", "are said to be encrypted, and no key opens them"),
        ("cipher = 'nonsense'", "are said to be encrypted, and no key opens them"),
    ],
)
def test_kept_bytes_whose_row_says_what_cannot_be_are_named_and_all_others_are_looked_at(stage, spoilt, said):
    mail, other = stage.rows("message")[0]["sha256"], stage.rows("exchange")[0]["sha256"]
    spoil(stage, "UPDATE content SET bytes = x'00' WHERE sha256 = :name", name=other)
    spoil(stage, f"UPDATE content SET {spoilt} WHERE sha256 = :name", name=mail)
    assert set(damage(stage.engine)) == {
        f"The kept bytes {mail} {said} (mail m1).",
        f"The kept bytes {other} are not what they were (exchange 1).",
    }


def test_a_row_that_points_nowhere_is_named(stage):
    with sqlite3.connect(stage.directory / "ledger.db") as connection:
        connection.execute("UPDATE exchange SET payload = 999 WHERE id = 1")
    connection.close()
    assert list(damage(stage.engine)) == ["A row of exchange points to a row of payload that is not there."]


def test_the_doctor_tells_of_the_checkpoint(stage):
    checkpoint.keep(stage.directory, stage.ledger)
    (check,) = check_newest(stage.directory, stage.ledger)
    assert check.ok
    assert "the newest that this home has seen" in check.sentence


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, DiskFailed),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFailed),
        (sqlite3.SQLITE_CORRUPT, DiskFailed),
        (sqlite3.SQLITE_FULL, DatabaseUnavailable),
        (sqlite3.SQLITE_BUSY, DatabaseUnavailable),
    ],
)
def test_a_handle_is_dropped_only_when_the_disk_failed(stage, code, fault):
    with stage.ledger.reading():
        pass
    before = stage.engine.pool
    problem = sqlite3.OperationalError("disk I/O error")
    problem.sqlite_errorcode = code
    with pytest.raises(DatabaseUnavailable) as caught, guarded(stage.engine):
        raise OperationalError("COMMIT", None, problem)
    assert type(caught.value) is fault
    assert (stage.engine.pool is not before) == (fault is DiskFailed)


def test_what_a_dead_process_left_in_the_log_goes_into_the_database(stage):
    stage.ledger.record("secret-set", name="smtp")
    log = stage.directory / "ledger.db-wal"
    assert log.stat().st_size > 0
    before = (stage.directory / "ledger.db").read_bytes()
    settle(stage.engine)
    assert (stage.directory / "ledger.db").read_bytes() != before
    assert stage.kinds()[-1] == "secret-set"


@pytest.mark.parametrize("together", [1, 40, 4_000_000])
def test_of_many_small_contents_exactly_those_that_changed_are_named_however_many_are_read_at_once(
    stage, monkeypatch, together
):
    monkeypatch.setattr(damage_module, "_BYTES", together)
    monkeypatch.setattr(damage_module, "_AT_ONCE", 7)
    with stage.ledger.transaction() as recorder:
        names = sorted(recorder.keep(b"%02d" % each * (each % 9)) for each in range(1, 30))
    names = list(dict.fromkeys(names))
    assert list(damage(stage.engine)) == []
    spoil(stage, "UPDATE content SET bytes = 'text' WHERE sha256 = :name", name=names[2])
    spoil(stage, "UPDATE content SET size = size + 1 WHERE sha256 = :name", name=names[9])
    spoil(stage, "UPDATE content SET bytes = x'00' WHERE sha256 = :name", name=names[-1])
    said = [f"The kept bytes {names[each]} are not what they were." for each in (2, 9, -1)]
    assert list(damage(stage.engine)) == said
