"""A backup takes the ledger's place: what is kept, what is refused, what goes on, and what nobody does twice unseen."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders.backups import rows_of
from builders.stage import HOUR, Stage, invoice, orders
from msgspec.structs import replace
from sqlalchemy import inspect, text

from gateway.errors import (
    BackupDamaged,
    BackupUnfit,
    HomeInUse,
    LedgerBehind,
    LedgerNewer,
    RestoredUnprocessed,
    RestoreFailed,
)
from gateway.flow import checkpoint, operate_inbound
from gateway.flow.checkpoint import AHEAD
from gateway.flow.restore import Wish, restore
from gateway.flow.restore_evidence import Outcome
from gateway.flow.submit import submit
from gateway.ledger import backup_manifest, holds, key_life, tables
from gateway.ledger.backup import Order, back_up
from gateway.ledger.backup_files import Nobody
from gateway.ledger.database import newest, open_engine, revision, upgrade
from gateway.ledger.key_life import Month
from gateway.ledger.leases import SharedLeases
from gateway.ledger.query import Query
from gateway.ledger.recording import Ledger
from gateway.mail.memory import MemoryTransport

pytestmark = pytest.mark.integration


class Place:
    """A gateway with a home, whose ledger is backed up, lost and put back."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.home = stage.directory
        self.url = stage.engine.url.render_as_string(hide_password=False)
        self.on_sqlite = stage.engine.dialect.name == "sqlite"
        self.file = Path(stage.engine.url.database or "")  # of SQLite

    def send(self, name: str) -> None:
        """One invoice, submitted and sent, as one command does it."""
        submit(self.stage.context(), "acme", invoice(name), name=name)
        self.stage.run()
        checkpoint.keep(self.home, self.stage.ledger)

    def back_up(self, name: str = "backup") -> Path:
        target = self.home.parent / name
        back_up(self.stage.engine, Order(target, self.home, self.stage.now), Nobody())
        return target

    def lose(self) -> None:
        """The disk died: the ledger is gone."""
        if self.on_sqlite:
            self.stage.engine.dispose()
            for file in self.file.parent.glob("ledger.db*"):
                file.unlink()
            return
        with self.stage.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")

    def restore(self, backup: Path, **options):
        wish = Wish(backup, "ann", "the disk died", **options)
        self.stage.engine.dispose()
        return restore(self.stage.settings, self.url, wish, self.opened, Nobody())

    @contextmanager
    def opened(self, url: str):
        engine = open_engine(url)
        try:
            yield replace(self.stage.context(), ledger=Ledger(engine, lambda: self.stage.now))
        finally:
            engine.dispose()

    def numbers(self) -> dict[str, int]:
        return {row["level"]: row["next"] for row in self.stage.rows("control_number") if row["partner"] == "acme"}

    def told(self, kind: str) -> list[dict[str, object]]:
        return [
            json.loads(row["body"]) | {"by": row["actor"]} for row in self.stage.rows("event") if row["kind"] == kind
        ]

    def kept_engine(self, kept: str):
        """The ledger that was replaced."""
        if self.on_sqlite:
            return open_engine(f"sqlite:///{kept}")
        return open_engine(f"{self.url}?options=-c%20search_path%3D{kept}")


@pytest.fixture
def place(ledger_engine, tmp_path):
    """A gateway that took an order and sent two invoices."""
    home = tmp_path / "home"
    home.mkdir()
    place = Place(Stage(home, engine=ledger_engine))
    place.stage.mail(orders(1))
    place.send("INV-1")
    place.send("INV-2")
    return place


# ---------------------------------------------------------------- what is there afterwards


def test_every_row_is_back_and_the_replaced_ledger_is_kept(place):
    wanted = rows_of(place.stage.engine)
    backup = place.back_up()
    place.stage.now += HOUR
    place.send("INV-3")
    replaced = rows_of(place.stage.engine)
    done = place.restore(backup, replace=True)
    found = rows_of(place.stage.engine)
    own = {"event", "tree_head", "tree_node", "control_number"}  # what the restore itself writes to
    assert {name: rows for name, rows in found.items() if name not in own} == {
        name: rows for name, rows in wanted.items() if name not in own
    }
    assert not wanted["event"] - found["event"]
    engine = place.kept_engine(done.kept)
    assert rows_of(engine) == replaced
    engine.dispose()


def test_who_restored_what_and_why_is_in_the_ledger(place):
    backup = place.back_up()
    place.send("INV-3")
    done = place.restore(backup, replace=True)
    (told,) = place.told("ledger-restored")
    assert (told["by"], told["reason"], told["backup"]) == ("ann", "the disk died", "backup")
    assert told["newest"] == backup_manifest.read(backup).reached.newest.seq < told["found"]
    assert told["kept"] == Path(done.kept).name
    assert any("Lost is what was recorded between 2 Nov 2026" in line for line in done.lines())


def test_a_backup_whose_rows_are_not_as_recorded_is_restored_only_without_full(place):
    with place.stage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchange SET subject = 'altered' WHERE id = 1")
    backup = place.back_up()
    wanted = rows_of(place.stage.engine)
    with pytest.raises(BackupDamaged, match="Exchange 1 is not what was recorded"):
        place.restore(backup, full=True, replace=True)
    assert rows_of(place.stage.engine) == wanted
    place.restore(backup, replace=True)


def test_the_home_works_on_with_the_restored_ledger(place):
    backup = place.back_up()
    place.send("INV-3")
    place.restore(backup, replace=True)
    checkpoint.verify(place.home, place.stage.ledger)
    place.send("INV-4")
    assert place.stage.states("out")[-1] == "sent"


def test_an_older_schema_is_migrated(tmp_path, ledger_url):
    home = tmp_path / "home"
    home.mkdir()
    engine = open_engine(ledger_url)
    upgrade(engine, "0004")
    stage = Stage(home, engine=engine)
    place = Place(stage)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO event (at, kind, partner, actor, body) VALUES (1, 'secret-set', '', 'ann', '{}')"
        )
        connection.exec_driver_sql("INSERT INTO control_number VALUES ('acme', 'ZZ:US', 'ZZ:THEM', 'group', 7)")
    backup = place.back_up()
    upgrade(engine)
    done = place.restore(backup, replace=True)
    assert done.revision == ("0004", newest())
    assert revision(engine) == newest()
    assert [row["kind"] for row in stage.rows("event") if row["kind"] == "secret-set"] == ["secret-set"]
    engine.dispose()


# ---------------------------------------------------------------- numbers


def test_numbers_go_on_exactly_where_the_replaced_ledger_tells_them(place):
    backup = place.back_up()
    place.send("INV-3")
    place.send("INV-4")
    done = place.restore(backup, replace=True)
    assert done.outcome is Outcome.NUMBERS_KNOWN
    assert {(each.level, each.before, each.after) for each in done.settled.jumps} == {
        ("interchange", 4, 6),
        ("group", 4, 6),
    }
    assert dict(done.lost) == {"submitted": 2, "sent": 2}
    place.send("INV-5")
    assert place.stage.sent_edi[-1][0][13] == "000000006"


def test_holds_and_erasures_since_the_backup_are_named_to_be_done_again(place):
    with place.stage.ledger.transaction("olga") as recorder:
        first = holds.add(recorder, ["partner=acme"], Query(partner="acme"), reason="an audit")
    backup = place.back_up()
    with place.stage.ledger.transaction("olga") as recorder:
        holds.release(recorder, first, reason="it is over")
        second = holds.add(recorder, ["type=850"], Query(type="850"), reason="Acme v. us")
        month = Month(7, "2024-05", 0)
        key_life.forget(recorder, "clinic", month, "the law")
    done = place.restore(backup, replace=True)
    assert done.again == (
        f"hold {first} was released (it is over)",
        f"hold {second} on type=850 was made (Acme v. us)",
        "the key of clinic for 2024-05 was forgotten (the law)",
    )
    lines = list(done.lines())
    assert all(f"  {each}" in lines for each in done.again)
    assert done.as_dict()["again"] == done.again
    assert place.restore(place.back_up("second"), replace=True).again == ()


def test_nothing_moves_where_nothing_was_lost(place):
    backup = place.back_up()
    before = place.numbers()
    done = place.restore(backup)  # --replace is not needed
    assert done.outcome is Outcome.NOTHING_LOST
    assert done.settled.jumps == ()
    assert place.numbers() == before
    assert "Nothing was lost" in "\n".join(done.lines())


def test_numbers_jump_past_the_checkpoint_where_the_ledger_is_gone(place):
    backup = place.back_up()
    place.send("INV-3")
    place.lose()
    done = place.restore(backup)
    assert done.outcome is Outcome.UNKNOWN
    assert set(place.numbers().values()) == {5 + AHEAD}
    assert {each["after"] for each in place.told("numbers-jumped") if "acme" in json.dumps(each)} <= {
        5 + AHEAD,
        1 + AHEAD,
    }


def test_numbers_jump_where_there_is_no_checkpoint_either_and_series_begin_past_what_may_be_used(place):
    backup = place.back_up()
    place.lose()
    (place.home / checkpoint.FILE_NAME).unlink()
    done = place.restore(backup, ahead=50)
    assert set(place.numbers().values()) == {4 + 50}
    begun = {each.partner for each in done.settled.jumps if each.before == 1}
    assert begun == {"globex"}  # nothing went there before the backup: perhaps since


def test_an_older_backup_jumps_further(place):
    """One number for every second since anything was known: by the checkpoint, or by the note beside the backup."""
    backup = place.back_up()
    place.stage.now += HOUR
    place.send("INV-3")
    place.lose()
    place.stage.now += 2 * HOUR
    place.restore(backup)
    assert set(place.numbers().values()) == {5 + AHEAD + 2 * 3600}
    place.lose()
    (place.home / checkpoint.FILE_NAME).unlink()
    place.restore(backup)
    first = 5 + AHEAD + 2 * 3600  # where the first restore began; of what came then nothing is left
    assert set(place.numbers().values()) == {first + AHEAD + 3 * 3600}


def test_a_damaged_ledger_is_replaced_and_its_numbers_are_not_trusted(place):
    if not place.on_sqlite:
        return
    backup = place.back_up()
    place.send("INV-3")
    place.stage.engine.dispose()
    ledger = place.file
    data = ledger.read_bytes()
    ledger.write_bytes(data[:8192] + bytes(len(data) - 8192))
    with pytest.raises(LedgerNewer, match="it cannot be read"):
        place.restore(backup)
    assert ledger.read_bytes()[8192:] == bytes(len(data) - 8192)
    done = place.restore(backup, replace=True)
    assert done.outcome is Outcome.UNKNOWN
    assert Path(done.kept).read_bytes()[8192:] == bytes(len(data) - 8192)
    assert set(place.numbers().values()) == {5 + AHEAD}


# ---------------------------------------------------------------- what may have gone since


def waiting_home(place) -> Path:
    """A backup of a ledger in which an invoice and a 997 wait for the wire, and an order was not processed."""
    place.stage.transport.away = True
    submit(place.stage.context(), "acme", invoice("INV-W"), name="INV-W")
    place.stage.mail(orders(2))
    place.stage.run()
    place.stage.settings = replace(place.stage.settings, batch_size=1)
    raw = place.stage.mail(orders(3))
    with place.stage.ledger.transaction() as recorder:
        recorder.add(
            tables.message, at=recorder.now, direction="in", state="stored", kind="letter", mailbox="orders",
            sha256=recorder.keep(raw), size=len(raw), message_id="<3@acme.example>", from_address="edi@acme.example",
            to_addresses='["edi@us.example"]', partner="",
        )  # fmt: skip
    checkpoint.keep(place.home, place.stage.ledger)
    return place.back_up()


class AwayTransport(MemoryTransport):
    """A host that can be away."""

    away = False

    def sessions(self, count: int):
        if self.away:
            from gateway.errors import SmtpUnavailable

            raise SmtpUnavailable(host="memory", reason="away")
        return super().sessions(count)


@pytest.fixture
def waiting(place):
    place.stage.transport = AwayTransport()
    return place, waiting_home(place)


def states_of(place, names: set[str]) -> dict[str, str]:
    return {str(row["control_number"]): str(row["state"]) for row in place.stage.rows("exchange")
            if row["direction"] == "out" and str(row["control_number"]) in names}  # fmt: skip


def test_documents_that_may_have_gone_are_in_doubt_and_acknowledgments_go_again(waiting):
    place, backup = waiting
    place.lose()
    done = place.restore(backup)
    assert (done.settled.held, done.settled.resent) == (1, 1)
    documents = [row for row in place.stage.rows("exchange") if row["direction"] == "out" and row["kind"] == "document"]
    assert documents[-1]["state"] == "in doubt"
    reasons = [each["reason"] for each in place.told("in-doubt")]
    assert len(reasons) == 2
    assert all("an older ledger was put back" in str(each) for each in reasons)
    place.stage.transport.away = False
    before = len(place.stage.sent)
    place.stage.run()
    assert len(place.stage.sent) == before + 1  # the acknowledgment, announced; the invoice waits for a person
    assert "in doubt" in place.stage.states("out")


def test_messages_that_may_have_been_processed_wait_for_a_person(waiting):
    place, backup = waiting
    place.lose()
    done = place.restore(backup)
    (number,) = done.settled.unprocessed
    row = next(row for row in place.stage.rows("message") if row["id"] == number)
    assert (row["state"], row["fault_code"]) == ("quarantined", RestoredUnprocessed.code)
    place.stage.run()
    assert not any("000000003" in name for name in place.stage.delivered)
    operate_inbound.release(place.stage.context(), f"m{number}", actor="ann", reason="the business has it not")
    place.stage.run()
    assert any("000000003" in name for name in place.stage.delivered)


def test_what_the_replaced_ledger_says_did_not_go_stays_as_it_is(waiting):
    place, backup = waiting
    place.stage.ledger.record("secret-set", name="smtp")  # newer, and nothing went
    checkpoint.keep(place.home, place.stage.ledger)
    done = place.restore(backup, replace=True)
    assert done.outcome is Outcome.NUMBERS_KNOWN
    assert (done.settled.held, done.settled.resent, done.settled.unprocessed) == (0, 0, ())
    assert place.told("in-doubt") == []


def test_what_the_replaced_ledger_says_did_go_is_in_doubt(waiting):
    place, backup = waiting
    place.stage.transport.away = False
    place.stage.run()
    checkpoint.keep(place.home, place.stage.ledger)
    done = place.restore(backup, replace=True)
    assert done.outcome is Outcome.NUMBERS_KNOWN
    assert (done.settled.held, done.settled.resent, len(done.settled.unprocessed)) == (1, 1, 1)


def test_due_documents_go_under_the_same_name_and_key(place):
    place.stage.mail(orders(2))
    shutil.rmtree(place.stage.settings.inbox)
    place.stage.settings.inbox.write_text("in the way")  # the business cannot be given anything
    place.stage.run()
    checkpoint.keep(place.home, place.stage.ledger)
    backup = place.back_up()
    place.stage.settings.inbox.unlink()
    place.stage.run()
    first = place.stage.delivered
    place.lose()
    done = place.restore(backup)
    assert done.settled.due == 1
    assert "under the same name and idempotency key" in "\n".join(done.lines())
    place.stage.run()
    assert place.stage.delivered == first


def test_files_that_were_submitted_since_are_named(place):
    backup = place.back_up()
    done_before = place.stage.settings.outbox / "acme" / ".submitted"
    done_before.mkdir(parents=True)
    place.stage.now = 0  # the clock of the stage is not the file system's
    (done_before / "late.edi").write_bytes(invoice("LATE"))
    manifest = backup_manifest.read(backup)
    (backup / "manifest.json").unlink()
    backup_manifest.write(replace(manifest, at=1), backup)
    done = place.restore(backup)
    assert done.submitted == ("acme/.submitted/late.edi",)


# ---------------------------------------------------------------- refused


def test_a_newer_ledger_is_not_replaced_unasked(place):
    backup = place.back_up()
    place.send("INV-3")
    before = rows_of(place.stage.engine)
    with pytest.raises(LedgerNewer, match="it ends at event"):
        place.restore(backup)
    assert rows_of(place.stage.engine) == before


def test_an_older_ledger_is_replaced_unasked_and_proves_nothing(place):
    """The one that is there is the beginning of the backup: somebody put it there by hand."""
    early = place.back_up("early")
    place.send("INV-3")
    late = place.back_up("late")
    place.send("INV-4")
    place.lose()
    if place.on_sqlite:
        shutil.copy(early / "ledger.db", place.file)
    done = place.restore(late)
    assert done.outcome is Outcome.UNKNOWN
    assert set(place.numbers().values()) == {6 + AHEAD}


def test_what_a_restore_wrote_makes_another_history(place):
    early = place.back_up("early")
    place.send("INV-3")
    late = place.back_up("late")
    place.restore(early, replace=True)
    with pytest.raises(LedgerNewer, match="it ends at event"):
        place.restore(late)


def test_the_batch_that_made_the_backup_is_not_missed(place):
    with place.stage.engine.begin() as connection:
        connection.execute(tables.batch.insert().values(id=99, started_at=place.stage.now))
    backup = place.back_up()
    place.lose()
    place.restore(backup)
    place.stage.run()
    assert [row["kind"] for row in place.stage.rows("alert") if row["kind"] == "night"] == []


def test_an_empty_file_that_a_command_made_is_no_ledger(place):
    if not place.on_sqlite:
        return
    backup = place.back_up()
    place.lose()
    engine = open_engine(place.url)
    assert revision(engine) is None
    assert not place.file.exists()  # a look makes none
    engine.connect().close()
    engine.dispose()
    assert place.file.exists()
    assert place.restore(backup).outcome is Outcome.UNKNOWN


def test_another_history_is_not_replaced_unasked(place):
    backup = place.back_up()
    place.send("INV-3")
    place.restore(backup, replace=True)
    place.send("INV-4")
    other = place.back_up("other")
    place.lose()
    place.restore(backup)
    place.stage.ledger.record("secret-set", name="smtp")
    with pytest.raises(LedgerNewer):
        place.restore(other)
    place.restore(other, replace=True)


@pytest.mark.parametrize("what", ["ledger", "manifest"])
def test_a_damaged_backup_is_not_restored(place, what):
    backup = place.back_up()
    file = backup / ("manifest.json" if what == "manifest" else backup_manifest.read(backup).ledger.name)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    before = rows_of(place.stage.engine)
    with pytest.raises(BackupDamaged):
        place.restore(backup, replace=True)
    assert rows_of(place.stage.engine) == before


def test_a_backup_of_a_newer_gateway_is_refused(place):
    backup = place.back_up()
    manifest = backup_manifest.read(backup)
    (backup / "manifest.json").unlink()
    backup_manifest.write(replace(manifest, revision="9999"), backup)
    with pytest.raises(BackupUnfit, match="9999"):
        place.restore(backup)


def test_a_backup_of_another_kind_of_database_is_refused(place, tmp_path):
    backup = place.back_up()
    other = "postgresql://nobody@127.0.0.1:1/none" if place.on_sqlite else f"sqlite:///{tmp_path / 'x.db'}"
    wish = Wish(backup, "ann", "x")
    with pytest.raises(BackupUnfit, match="it is of "):
        restore(place.stage.settings, other, wish, place.opened, Nobody())


def test_a_dry_run_tells_all_and_changes_nothing(waiting):
    place, backup = waiting
    place.stage.transport.away = False
    place.send("INV-9")
    before = rows_of(place.stage.engine)
    done = place.restore(backup, replace=True, dry_run=True)
    assert done.settled.held == 1
    assert rows_of(place.stage.engine) == before
    if place.on_sqlite:
        beside = {each.name for each in place.file.parent.iterdir() if each.name.startswith((".ledger", "ledger"))}
        assert beside <= {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    else:
        with place.stage.engine.connect() as connection:
            assert [each for each in inspect(connection).get_schema_names() if each.startswith("ledger_")] == []


def test_a_restore_that_fails_in_the_middle_changes_nothing(place, monkeypatch):
    backup = place.back_up()
    place.send("INV-3")
    before = rows_of(place.stage.engine)

    def fail(*_, **__):
        raise RestoreFailed(path=backup, reason="in the middle")

    monkeypatch.setattr("gateway.flow.restore.settle", fail)
    with pytest.raises(RestoreFailed):
        place.restore(backup, replace=True)
    assert rows_of(place.stage.engine) == before
    monkeypatch.undo()
    place.restore(backup, replace=True)


def test_a_restored_ledger_without_its_checkpoint_is_not_sent_with(place, monkeypatch):
    """Killed between the change-over and the checkpoint: the next command refuses to work."""
    backup = place.back_up()
    place.send("INV-3")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "keep", die)
    with pytest.raises(KeyboardInterrupt):
        place.restore(backup, replace=True)
    monkeypatch.undo()
    with pytest.raises(LedgerBehind):
        checkpoint.verify(place.home, place.stage.ledger)
    assert set(place.numbers().values()) == {5}  # and its numbers were put ahead before


def test_somebody_who_has_the_ledger_open_is_waited_for_and_then_refused(place, monkeypatch):
    """On SQLite: who reads the old file would go on with it, and who writes would write into it."""
    if not place.on_sqlite:
        return
    monkeypatch.setattr("gateway.ledger.restore_sqlite._PATIENCE", 100)
    backup = place.back_up()
    place.send("INV-3")
    reader = open_engine(place.url)
    with reader.connect() as connection, connection.begin():
        connection.execute(text("SELECT count(*) FROM event")).scalar()
        with pytest.raises(HomeInUse, match="has its ledger open, such as the console"):
            place.restore(backup, replace=True)
    reader.dispose()
    assert len(place.told("sent")) == 4
    place.restore(backup, replace=True)
    assert not [each for each in place.file.parent.iterdir() if each.name.endswith("-journal")]


# ---------------------------------------------------------------- PostgreSQL


def test_a_worker_that_is_at_work_holds_a_restore_up(place):
    if place.on_sqlite:
        return
    backup = place.back_up()
    leases = SharedLeases(place.stage.engine)
    held = leases.take("partner:acme:send")
    with pytest.raises(HomeInUse, match="a worker"):
        place.restore(backup, replace=True)
    leases.release(held)
    leases.close()
    place.restore(backup, replace=True)


def test_tables_of_others_in_the_schema_are_not_moved_about(place):
    if place.on_sqlite:
        return
    backup = place.back_up()
    with place.stage.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (what text)")
    with pytest.raises(BackupUnfit, match=r"holds tables that are not the gateway's: theirs"):
        place.restore(backup, replace=True)


def test_readers_see_the_old_ledger_or_the_new_one_and_never_none(place):
    if place.on_sqlite:
        return
    backup = place.back_up()
    place.send("INV-3")
    seen, stop, wrong = set(), threading.Event(), []

    def look() -> None:
        engine = open_engine(place.url)
        while not stop.is_set():
            try:
                with engine.connect() as connection:
                    seen.add(connection.execute(text("SELECT count(*) FROM event WHERE kind = 'sent'")).scalar())
            except Exception as problem:  # noqa: BLE001 - told by the assertion below
                wrong.append(problem)
        engine.dispose()

    looking = threading.Thread(target=look)
    looking.start()
    place.restore(backup, replace=True)
    stop.set()
    looking.join()
    assert wrong == []
    assert seen <= {3, 4}


def test_a_dump_that_breaks_off_is_not_committed(place, monkeypatch):
    """pg_restore dies in the middle: psql must not commit what it got."""
    if place.on_sqlite:
        return
    backup = place.back_up()
    place.send("INV-3")
    before = rows_of(place.stage.engine)
    real = shutil.which("pg_restore")
    fake = place.home.parent / "pg_restore"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *--file=-*) {real} "$@" | head -c 40000; exit 3;; *) exec {real} "$@";; esac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{Path('/usr/bin')}:/bin:/usr/local/bin")
    with pytest.raises(RestoreFailed):
        place.restore(backup, replace=True)
    monkeypatch.undo()
    assert rows_of(place.stage.engine) == before
    place.restore(backup, replace=True)
