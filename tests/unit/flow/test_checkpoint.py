"""The checkpoint beside the ledger: an older ledger put back is noticed, and accepted only by a person."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from contextlib import closing

import pytest
from builders.stage import Stage, invoice
from sqlalchemy import text

from gateway.errors import CheckpointUnreadable, CheckpointUnwritable, LedgerBehind
from gateway.flow import checkpoint
from gateway.flow.submit import submit
from gateway.ledger.database import open_engine, writing
from gateway.ledger.recording import Ledger
from partners.numbering import LAST


@pytest.fixture
def stage(tmp_path):
    """A gateway that has sent one invoice."""
    stage = Stage(tmp_path)
    send(stage, "INV-1")
    yield stage
    while Stage.opened:
        Stage.opened.pop().dispose()


def send(stage: Stage, number: str) -> None:
    """One invoice, submitted and sent."""
    submit(stage.context(), "acme", invoice(number), name=number)
    stage.run()
    checkpoint.keep(stage.directory, stage.ledger)


def backup(stage: Stage, of: str = "ledger.db", name: str = "backup.db"):
    """A copy of a ledger as it is now."""
    copy = stage.directory / name
    with closing(sqlite3.connect(stage.directory / of)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restored(stage: Stage, copy) -> Ledger:
    """The ledger of a backup, put in the place of the newest."""
    engine = open_engine(f"sqlite:///{copy}")
    Stage.opened.append(engine)
    return Ledger(engine, lambda: stage.now)


def test_a_ledger_that_went_on_is_in_order(stage):
    checkpoint.verify(stage.directory, stage.ledger)
    send(stage, "INV-2")
    checkpoint.verify(stage.directory, stage.ledger)


def test_a_home_without_checkpoint_is_in_order(tmp_path):
    checkpoint.verify(tmp_path, Stage(tmp_path).ledger)


def test_an_older_ledger_is_noticed(stage):
    copy = backup(stage)
    send(stage, "INV-2")
    with pytest.raises(LedgerBehind) as caught:
        checkpoint.verify(stage.directory, restored(stage, copy))
    assert caught.value.code == "ledger.behind"


def test_an_older_ledger_that_grew_meanwhile_is_noticed_too(stage):
    copy = backup(stage)
    send(stage, "INV-2")
    ledger = restored(stage, copy)
    for _ in range(50):
        ledger.record("secret-set", name="smtp")
    with pytest.raises(LedgerBehind):
        checkpoint.verify(stage.directory, ledger)


def test_an_empty_ledger_is_noticed(stage, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(LedgerBehind):
        checkpoint.verify(stage.directory, Stage(tmp_path / "other").ledger)


def test_history_that_was_put_away_in_order_is_no_older_ledger(stage):
    for _ in range(3):
        stage.ledger.record("secret-set", name="smtp")
    with writing(stage.engine) as connection:
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("DELETE FROM event WHERE seq <= (SELECT max(seq) - 1 FROM event)"))
    checkpoint.verify(stage.directory, stage.ledger)


def test_accepted_the_numbers_jump_past_what_partners_have_seen(stage):
    copy = backup(stage)
    for number in range(2, 6):
        send(stage, f"INV-{number}")
    ledger = restored(stage, copy)
    jumps = checkpoint.accept(stage.directory, ledger, actor="ann", reason="disk died", ahead=100)
    assert {(each.level, each.before, each.after) for each in jumps} == {("interchange", 2, 106), ("group", 2, 106)}
    checkpoint.verify(stage.directory, ledger)
    stage.ledger, stage.engine = ledger, ledger.engine
    send(stage, "INV-6")
    assert stage.sent_edi[-1][0][13] == "000000106"
    said = {row["kind"]: (row["actor"], json.loads(str(row["body"])).get("reason")) for row in stage.rows("event")}
    assert said["restore-accepted"] == said["numbers-jumped"] == ("ann", "disk died")


def test_what_was_accepted_on_another_machine_is_no_older_ledger_here(stage):
    """Machines that share a ledger have a checkpoint each, and one person accepts what was put back for all."""
    copy = backup(stage)
    send(stage, "INV-2")
    ledger = restored(stage, copy)
    elsewhere = stage.directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / checkpoint.FILE_NAME).write_bytes((stage.directory / checkpoint.FILE_NAME).read_bytes())
    stage.now += 60_000
    checkpoint.accept(elsewhere, ledger, actor="anna", reason="the disk died", ahead=0)
    checkpoint.verify(stage.directory, ledger)
    with writing(ledger.engine) as connection:
        connection.execute(text("UPDATE control_number SET next = next - 1"))
    with pytest.raises(LedgerBehind):
        checkpoint.verify(stage.directory, ledger)


def test_processes_that_share_a_home_keep_a_whole_checkpoint(tmp_path, monkeypatch):
    """One that has its file open while another one's becomes the checkpoint takes a new one."""
    file = tmp_path / checkpoint.FILE_NAME
    short, long = b"1", b"2" * 100
    lock = fcntl.flock

    def late(descriptor, how):
        monkeypatch.setattr(checkpoint.fcntl, "flock", lock)
        checkpoint._write(file, short)
        lock(descriptor, how)

    monkeypatch.setattr(checkpoint.fcntl, "flock", late)
    checkpoint._write(file, long)
    assert file.read_bytes() == long
    assert list(tmp_path.iterdir()) == [file]


def test_accepting_can_be_tried_and_is_safe_to_repeat(stage):
    copy = backup(stage)
    send(stage, "INV-2")
    ledger = restored(stage, copy)
    assert not checkpoint.accepted_before(stage.directory, ledger)
    tried = checkpoint.accept(stage.directory, ledger, actor="ann", reason="disk died", ahead=100, dry_run=True)
    with pytest.raises(LedgerBehind):
        checkpoint.verify(stage.directory, ledger)
    assert checkpoint.accept(stage.directory, ledger, actor="ann", reason="disk died", ahead=100) == tried
    assert checkpoint.accepted_before(stage.directory, ledger)
    stage.ledger, stage.engine = ledger, ledger.engine
    accepted = backup(stage, of="backup.db", name="accepted.db")
    send(stage, "INV-6")
    assert not checkpoint.accepted_before(stage.directory, ledger)
    assert not checkpoint.accepted_before(stage.directory, restored(stage, accepted))  # behind again


def test_a_series_that_the_backup_did_not_know_yet_jumps_too(tmp_path):
    stage = Stage(tmp_path)
    copy = backup(stage)
    send(stage, "INV-1")
    jumps = checkpoint.accept(tmp_path, restored(stage, copy), actor="ann", reason="disk died", ahead=10)
    assert {(each.before, each.after) for each in jumps} == {(1, 12)}
    while Stage.opened:
        Stage.opened.pop().dispose()


def test_numbers_jump_across_the_wrap(stage):
    with writing(stage.engine) as connection:
        connection.execute(text("UPDATE control_number SET next = :last"), {"last": LAST})
    checkpoint.keep(stage.directory, stage.ledger)
    jumps = checkpoint.accept(stage.directory, stage.ledger, actor="ann", reason="test", ahead=10)
    assert {each.after for each in jumps} == {10}


@pytest.mark.parametrize(
    ("known", "after"),
    [
        ([5], 1005),
        ([5, 90], 1090),
        ([90, 5], 1090),
        ([LAST, 5_000], 6_000),  # it wrapped meanwhile
        ([5_000, LAST - 3], 6_000),
        ([5, 600_000_000], 600_001_000),  # somebody put it forward
        ([LAST], 1_000),
    ],
)
def test_the_jump_begins_at_the_furthest_that_is_known(known, after):
    assert checkpoint.ahead_of(known, 1_000) == after


def test_an_unchanged_ledger_writes_nothing(stage):
    before = (stage.directory / checkpoint.FILE_NAME).stat().st_ino
    checkpoint.keep(stage.directory, stage.ledger)
    assert (stage.directory / checkpoint.FILE_NAME).stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"surprise": 1}', b"\xff"])
def test_a_spoiled_checkpoint_is_named(stage, content):
    (stage.directory / checkpoint.FILE_NAME).write_bytes(content)
    with pytest.raises(CheckpointUnreadable):
        checkpoint.verify(stage.directory, stage.ledger)


def test_what_cannot_be_noted_is_not_sent(stage):
    (stage.directory / f"{checkpoint.FILE_NAME}.part").mkdir()
    submit(stage.context(), "acme", invoice("INV-2"), name="INV-2")
    summary = stage.run()
    assert [type(fault) for _, fault in summary.troubles] == [CheckpointUnwritable]
    assert len(stage.sent) == 1
    (stage.directory / f"{checkpoint.FILE_NAME}.part").rmdir()
    stage.run()
    assert len(stage.sent) == 2
