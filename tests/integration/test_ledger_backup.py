"""Backups of a ledger in use: what is in them, what a dying process leaves, and what the disk does to them."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from builders.backups import TESTS, rows_of, stuck_backup, wait_for, writer
from builders.stage import Stage, invoice, orders
from msgspec.structs import replace
from sqlalchemy import func, select

from gateway.errors import BackupDamaged, BackupExists, BackupFailed, ProgramMissing, ProgramTooOld
from gateway.flow.submit import submit
from gateway.ledger import backup_manifest, backup_postgres, backup_sqlite, postgres_programs, postgres_scratch, tables
from gateway.ledger.backup import NOT_ALLOWED, NOT_TRIED, Order, back_up, check, require_whole
from gateway.ledger.backup_files import Nobody, hashed
from gateway.ledger.backup_manifest import LEDGER, KeptFile, Manifest
from gateway.ledger.database import open_engine
from gateway.ledger.postgres_programs import Program

pytestmark = pytest.mark.integration

AT = 1_793_656_800_000


@pytest.fixture
def stage(ledger_engine, tmp_path):
    """A gateway that took an order, answered it, and sent an invoice, on both databases."""
    home = tmp_path / "home"
    home.mkdir()
    stage = Stage(home, engine=ledger_engine)
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice("INV-1"), name="INV-1")
    stage.run()
    return stage


def made(engine, target: Path, **options) -> Manifest:
    return back_up(engine, Order(target, Path("/home"), AT, **options), Nobody()).manifest


def url_of(engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@contextmanager
def looked_into(backup: Path, manifest: Manifest, engine):
    """An engine upon what a backup holds; a dump is restored into a scratch database."""
    ledger = backup / manifest.ledger.name
    if manifest.kind == "sqlite":
        with backup_sqlite.opened(ledger) as found:
            yield found
    else:
        with postgres_scratch.scratch(engine, ledger, manifest.schema, Nobody()) as found:
            yield found


def left_in(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


# ---------------------------------------------------------------- what is in it


def test_a_backup_holds_every_row(stage, tmp_path):
    manifest = made(stage.engine, tmp_path / "backup")
    wanted = rows_of(stage.engine)
    with looked_into(tmp_path / "backup", manifest, stage.engine) as engine:
        assert rows_of(engine) == wanted
    assert sum(wanted["event"].values()) == manifest.reached.newest.seq == manifest.reached.size


def test_the_manifest_says_what_it_is(stage, tmp_path):
    made(stage.engine, tmp_path / "backup", full=True)
    said = json.loads((tmp_path / "backup" / "manifest.json").read_bytes())
    kind = {"sqlite": "sqlite", "postgresql": "postgresql"}[stage.engine.dialect.name]
    assert (said["kind"], said["at"], said["verified"]) == (kind, AT, "full")
    assert {(each["level"], each["next"]) for each in said["numbers"]} == {("interchange", 3), ("group", 3)}
    assert [each["name"] for each in said["files"]] == [LEDGER[kind]]
    assert "not%20a%20secret" not in json.dumps(said)
    assert "not a secret" not in json.dumps(said)


def test_a_backup_beside_a_writer_is_of_one_moment(ledger_engine, tmp_path):
    """Every commit of the writer is whole in it or not at all, and it does not wait for the writer to rest."""
    with writer(url_of(ledger_engine)):
        manifest = made(ledger_engine, tmp_path / "backup", full=True)
    with looked_into(tmp_path / "backup", manifest, ledger_engine) as engine, engine.connect() as connection:
        e, m = tables.event, tables.message
        events = [
            json.loads(row) for row in connection.execute(select(e.c.body).where(e.c.kind == "received")).scalars()
        ]
        numbers = [each["number"] for each in events]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 5
        assert connection.execute(select(func.count()).select_from(m)).scalar_one() == len(numbers)
        assert connection.execute(select(func.count()).select_from(tables.content)).scalar_one() == len(numbers)
        following = set(connection.execute(select(tables.control_number.c.next)).scalars())
        assert following == set(manifest.reached.numbers.values()) == {len(numbers) + 1}
        kept = connection.execute(select(e).where(e.c.seq <= manifest.reached.newest.seq).order_by(e.c.seq)).all()
    with ledger_engine.connect() as connection:
        live = connection.execute(select(e).where(e.c.seq <= manifest.reached.newest.seq).order_by(e.c.seq)).all()
        assert connection.execute(select(func.max(e.c.seq))).scalar_one() > manifest.reached.newest.seq
    assert kept == live


def test_an_earlier_backup_is_overwritten_only_when_that_is_said(stage, tmp_path):
    first = made(stage.engine, tmp_path / "backup")
    stage.ledger.record("secret-set", name="smtp")
    with pytest.raises(BackupExists):
        made(stage.engine, tmp_path / "backup")
    assert backup_manifest.read(tmp_path / "backup") == first
    second = made(stage.engine, tmp_path / "backup", overwrite=True)
    assert second.reached.newest.seq > first.reached.newest.seq
    assert require_whole(tmp_path / "backup", Nobody()) == second
    assert set(left_in(tmp_path)) <= {"backup", "home", "ledger.db", "ledger.db-wal", "ledger.db-shm"}


# ---------------------------------------------------------------- what goes wrong while it is made


def test_a_backup_killed_at_any_point_leaves_nothing_that_looks_finished(ledger_engine, tmp_path):
    """At every point at which it says something, one after the other, until it comes to its end."""
    backups = tmp_path / "backups"
    backups.mkdir()
    killed, step = 0, 1 if ledger_engine.dialect.name == "sqlite" else 6  # of a dump it tells table by table
    while True:
        process = stuck_backup(url_of(ledger_engine), backups / "b", killed * step + 1)
        if wait_for(process, "here")[-1] == "done":
            process.communicate()
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
        (left,) = left_in(backups)  # what the one before left is gone
        assert left.startswith(".b.")
        assert left.endswith(".unfinished")
        with pytest.raises(BackupDamaged):
            check(backups / left, Nobody(), full=False)
    assert killed >= 5
    assert left_in(backups) == ["b"]
    assert require_whole(backups / "b", Nobody()).at == 1


def test_what_another_process_is_writing_is_left_alone(ledger_engine, tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir()
    process = stuck_backup(url_of(ledger_engine), backups / "b", 2)
    assert wait_for(process, "here")[-1] == "here"
    made(ledger_engine, backups / "other")
    assert len(left_in(backups)) == 2
    process.kill()
    process.communicate()


def test_files_that_may_not_grow_end_a_backup_and_leave_nothing(stage, tmp_path):
    """As a full disk does, but without one."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from pathlib import Path; from gateway.ledger.backup import *; from gateway.ledger.backup_files import Nobody;"
        "from gateway.ledger.database import open_engine; from gateway.errors import BackupFailed\n"
        "try: back_up(open_engine(sys.argv[1]), Order(Path(sys.argv[2]), Path('/home'), 1), Nobody())\n"
        "except BackupFailed as fault: print(fault)"
    )
    backups = tmp_path / "backups"
    backups.mkdir()
    words = [sys.executable, "-c", program, url_of(stage.engine), str(backups / "b")]
    done = subprocess.run(words, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    assert f"No backup was made at {backups / 'b'}" in done.stdout
    assert left_in(backups) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_without_room_it_is_not_begun(stage, tmp_path, monkeypatch):
    if stage.engine.dialect.name != "sqlite":
        return  # how big a dump is, nobody knows before
    full = os.statvfs_result((4096, 4096, 100, 10, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(BackupFailed, match="there is no room"):
        made(stage.engine, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_an_end_that_is_asked_for_leaves_nothing(stage, tmp_path):
    class Impatient(Nobody):
        def step(self, name: str, total: int = 0) -> None:
            super().step(name, total)
            if name == "read it back (MB)":
                raise KeyboardInterrupt

    backups = tmp_path / "backups"
    with pytest.raises(KeyboardInterrupt):
        back_up(stage.engine, Order(backups / "b", Path("/home"), AT), Impatient())
    assert left_in(backups) == []


# ---------------------------------------------------------------- what goes wrong afterwards


@pytest.fixture
def kept(stage, tmp_path):
    """A backup with a file of the home."""
    (tmp_path / "gateway.toml").write_text("[gateway]\n")
    made(stage.engine, tmp_path / "backup", home=[("gateway.toml", tmp_path / "gateway.toml")])
    return tmp_path / "backup"


def test_a_whole_backup_is_called_whole(kept, stage):
    assert check(kept, Nobody(), full=True, engine=stage.engine).problems == ()
    assert check(kept, Nobody(), full=False).unproven == ""


@pytest.mark.parametrize("seed", range(5))
def test_a_flipped_bit_is_found_wherever_it_is(kept, seed):
    chance = random.Random(seed)
    file = chance.choice(sorted(each for each in kept.rglob("*") if each.is_file() and each.name != "manifest.json"))
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    found = check(kept, Nobody(), full=False)
    assert len(found.problems) == 1
    assert file.name in found.problems[0]
    with pytest.raises(BackupDamaged):
        require_whole(kept, Nobody())


def test_a_flipped_bit_anywhere_in_the_manifest_is_found(kept):
    file = kept / "manifest.json"
    data = file.read_bytes()
    for at in range(len(data) - 1):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(BackupDamaged):
            backup_manifest.read(kept)


@pytest.mark.parametrize("what", ["missing", "short", "link", "a directory"])
def test_a_file_that_is_another_one_is_found(kept, what, tmp_path):
    file = kept / "home" / "gateway.toml"
    data = file.read_bytes()
    file.unlink()
    if what == "short":
        file.write_bytes(data[:-1])
    elif what == "link":
        (tmp_path / "same").write_bytes(data)
        file.symlink_to(tmp_path / "same")
    elif what == "a directory":
        file.mkdir()
    (problem,) = check(kept, Nobody(), full=False).problems
    assert problem.startswith("home/gateway.toml")


def test_a_database_that_is_another_than_the_manifest_says_is_found(kept, stage, tmp_path):
    """Both may be whole by themselves: a backup put together from two is none."""
    stage.ledger.record("secret-set", name="smtp")
    other = made(stage.engine, tmp_path / "other")
    before = backup_manifest.read(kept)
    shutil.copy(tmp_path / "other" / other.ledger.name, kept / other.ledger.name)
    (kept / "manifest.json").unlink()
    mixed = tuple(other.ledger if each.name == other.ledger.name else each for each in before.files)
    backup_manifest.write(replace(before, files=mixed), kept)
    problems = check(kept, Nobody(), full=True, engine=stage.engine).problems
    assert any("it ends at event" in each for each in problems)


def alter(backup: Path, sql: str) -> None:
    """Changes the SQLite database of a backup, and makes the manifest fit it: anybody can, who can write there."""
    before = backup_manifest.read(backup)
    file = backup / before.ledger.name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(sql)
        connection.commit()
    (backup / "manifest.json").unlink()
    now = KeptFile(file.name, *hashed(file, lambda _: None))
    files = tuple(now if each.name == file.name else each for each in before.files)
    backup_manifest.write(replace(before, files=files), backup)


def test_a_row_that_was_altered_in_a_backup_is_named_although_its_manifest_was_made_to_fit(kept, stage):
    if stage.engine.dialect.name == "sqlite":
        alter(kept, "UPDATE exchange SET subject = 'altered' WHERE id = 1")
        found = check(kept, Nobody(), full=True)
        assert found.problems == ("Exchange 1 is not what was recorded.",)
        assert check(kept, Nobody(), full=False).problems == ()


def test_a_dump_of_an_altered_ledger_is_restored_for_trial_and_the_row_is_named(stage, tmp_path):
    """A copy of it is made all the same: what is wrong with the ledger itself shall not leave it without backups."""
    with stage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchange SET subject = 'altered' WHERE id = 1")
    made(stage.engine, tmp_path / "backup", full=True)
    found = check(tmp_path / "backup", Nobody(), full=True, engine=stage.engine)
    assert found.problems == ("Exchange 1 is not what was recorded.",)


def test_names_that_lead_out_of_the_backup_are_refused(kept):
    manifest = backup_manifest.read(kept)
    for name in ("../ledger.db", "/etc/passwd", "home/../../x", "", "home//x", "home/./x"):
        (kept / "manifest.json").unlink()
        files = (*manifest.files, replace(manifest.files[0], name=name))
        backup_manifest.write(replace(manifest, files=files), kept)
        with pytest.raises(BackupDamaged, match="is no name of a file"):
            backup_manifest.read(kept)


def test_what_is_no_backup_is_called_none(tmp_path):
    with pytest.raises(BackupDamaged, match=r"it has no manifest\.json"):
        check(tmp_path, Nobody(), full=False)


def test_contents_that_are_not_what_they_were_are_found_with_full(stage, tmp_path):
    """A disk under the ledger that lied is not found by comparing the backup with itself."""
    if stage.engine.dialect.name != "sqlite":
        return
    name = stage.rows("message")[0]["sha256"]
    with stage.engine.begin() as connection:
        for trigger in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger[0]}")
        connection.exec_driver_sql("UPDATE content SET bytes = x'00' WHERE sha256 = ?", (name,))
    with pytest.raises(BackupFailed, match=f"the kept bytes {name} are not what they were"):
        made(stage.engine, tmp_path / "backup", full=True)
    assert not (tmp_path / "backup").exists()


# ---------------------------------------------------------------- PostgreSQL's programs


@pytest.fixture
def on_postgres(postgres, migrated_template):
    engine = open_engine(postgres.fresh_database(migrated_template))
    yield engine
    engine.dispose()


def test_a_missing_program_is_named(on_postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(postgres_programs, "_DEBIAN", tmp_path)
    with pytest.raises(ProgramMissing, match="pg_dump is needed to dump the database"):
        made(on_postgres, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_program_that_is_older_than_the_server_is_refused(on_postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_programs, "_program", lambda path: Program(path, "9.6"))
    with pytest.raises(ProgramTooOld, match=r"is of version 9\.6; to dump the database of a server 15"):
        made(on_postgres, tmp_path / "backup")


def test_the_password_stands_on_no_command_line_and_in_no_other_environment(on_postgres, tmp_path, monkeypatch):
    seen = []
    real = subprocess.Popen

    def spy(words, **options):
        seen.append((words, options["env"]))
        return real(words, **options)

    monkeypatch.setenv("GATEWAY_SECRET_DATABASE", "canary")
    monkeypatch.setattr(postgres_programs.subprocess, "Popen", spy)
    made(on_postgres, tmp_path / "backup", full=True)
    assert seen
    assert not any("not a secret" in word for words, _ in seen for word in words)
    assert not any("GATEWAY_SECRET_DATABASE" in environment for _, environment in seen)
    assert "not a secret" not in os.environ.values()
    told = [words[0] for words, environment in seen if "PGPASSWORD" in environment]
    assert [Path(each).name for each in told] == ["pg_dump", "pg_restore"]  # the trial of --full


def test_a_dump_that_may_not_be_tried_says_so(on_postgres, postgres, tmp_path):
    import psycopg

    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    made(on_postgres, tmp_path / "backup")
    engine = open_engine(on_postgres.url.set(username="plain", password="plain").render_as_string(hide_password=False))
    assert check(tmp_path / "backup", Nobody(), full=True, engine=engine).unproven == NOT_TRIED + NOT_ALLOWED
    engine.dispose()


def test_tables_of_others_in_the_same_schema_are_not_in_the_dump(on_postgres, tmp_path):
    with on_postgres.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs AS SELECT 'canary' AS what")
        assert backup_postgres.strangers(connection) == ["theirs"]
    made(on_postgres, tmp_path / "backup")
    assert b"canary" not in (tmp_path / "backup" / "ledger.dump").read_bytes()
    listed = postgres_programs.run([shutil.which("pg_restore"), "--list", str(tmp_path / "backup/ledger.dump")], {})
    assert "theirs" not in listed
    assert " event " in listed


def test_every_table_of_ours_is_known(on_postgres):
    with on_postgres.connect() as connection:
        assert backup_postgres.strangers(connection) == []


def test_a_dump_that_takes_longer_than_a_transaction_may_be_idle_is_made(on_postgres, tmp_path, monkeypatch):
    """The transaction whose moment is dumped asks nothing meanwhile; an administrator may have such ended."""
    with on_postgres.connect() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = 400")
        connection.commit()
    on_postgres.dispose()
    run = postgres_programs.run

    def slowly(words, *more):
        time.sleep(0.8 if "--format=custom" in words else 0)
        return run(words, *more)

    monkeypatch.setattr(postgres_programs, "run", slowly)
    assert made(on_postgres, tmp_path / "backup").ledger.name == "ledger.dump"
