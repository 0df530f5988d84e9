"""Backups of a whole home as an operator makes them and puts them back: the command line, locks, another machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from builders.backups import TESTS, rows_of, wait_for
from builders.shared_home import SharedHome
from builders.stage import ACME, invoice

from gateway.app import KEY_FILE, open_app
from gateway.cli.main import main
from gateway.jobs.lock import HomeLock
from gateway.ledger import backup_manifest
from gateway.ledger.database import open_engine, upgrade
from gateway.ledger.secrets import make_key
from gateway.mail.host import MailHost
from partners.profile import read_profile

pytestmark = pytest.mark.integration

SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.com"
identities = ["ZZ:EXAMPLECO"]
[mailbox.orders]
protocol = "maildir"
path = "Maildir"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "edi@example.com"
"""

# A restore that stops dead before or after one of its functions is called.
_RESTORE = """
import signal, sys
from importlib import import_module
where, when, *words = sys.argv[1:]
module, _, path = where.partition(":")
owner = import_module(module)
*parents, name = path.split(".")
for each in parents:
    owner = getattr(owner, each)
real = getattr(owner, name)
def stop(*args, **named):
    found = real(*args, **named) if when == "after" else None
    print("here", flush=True)
    signal.pause()
setattr(owner, name, stop)
from gateway.cli.main import main
main(words)
"""


@pytest.fixture
def home(tmp_path):
    """A home that has sent an invoice, and the mail host that took it."""
    with MailHost({"edi@acme.example": "x"}) as host:
        place = tmp_path / "home"
        for folder in ("new", "cur", "tmp"):
            (place / "Maildir" / folder).mkdir(parents=True)
        (place / "gateway.toml").write_text(SETTINGS.format(port=host.smtp_port))
        make_key(place / KEY_FILE)
        (place / "partners").mkdir()
        (place / "partners" / "acme.toml").write_text(ACME)
        engine = open_engine(f"sqlite:///{place}/ledger.db")
        upgrade(engine)
        engine.dispose()
        with open_app(place) as app:
            app.partners.apply([(read_profile(ACME), ACME, "acme.toml")], by="test", at=app.now())
        send(place, "INV-1")
        yield place


@pytest.fixture
def run(capsys):
    def call(home: Path, *words: object, wanted: int = 0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(home), *map(str, words)])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    return call


def send(home: Path, name: str) -> None:
    """One invoice through the outbox, as cron does it."""
    place = home / "outbox" / "acme"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.edi").write_bytes(invoice(name))
    with pytest.raises(SystemExit) as caught:
        main(["--home", str(home), "night", "--quiet"])
    assert caught.value.code == 0


def numbers(home: Path) -> list[int]:
    with closing(sqlite3.connect(home / "ledger.db")) as connection:
        return [row[0] for row in connection.execute("SELECT next FROM control_number ORDER BY level")]


def rows(home: Path):
    engine = open_engine(f"sqlite:///{home}/ledger.db")
    try:
        return rows_of(engine)
    finally:
        engine.dispose()


def test_an_operator_makes_checks_and_restores_a_backup(home, run, tmp_path):
    out, _ = run(home, "ledger", "backup", tmp_path / "backup", "--quiet")
    assert out == ""
    out, _ = run(home, "ledger", "backup", "--check", "--full", tmp_path / "backup")
    assert "is what was written" in out
    send(home, "INV-2")
    _, err = run(home, "ledger", "restore", tmp_path / "backup", "--why", "wrong update", wanted=78)
    assert "code: ledger.newer" in err
    out, _ = run(home, "ledger", "restore", tmp_path / "backup", "--why", "wrong update", "--replace")
    assert "The ledger that was there is kept: " in out
    assert "1 document submitted, 1 mail sent" in out
    assert "acme/.submitted/INV-2.edi" in out
    assert numbers(home) == [3, 3]
    out, _ = run(home, "ledger", "search", "--json")
    assert len(out.splitlines()) == 1
    send(home, "INV-3")
    assert numbers(home) == [4, 4]


def test_json_says_the_same(home, run, tmp_path):
    made = json.loads(run(home, "ledger", "backup", tmp_path / "backup", "--json")[0])
    assert (made["backup"], made["problems"], made["manifest"]["kind"]) == (str(tmp_path / "backup"), [], "sqlite")
    (tmp_path / "backup" / "ledger.db").write_bytes(b"x" * made["manifest"]["size"])
    found = json.loads(run(home, "ledger", "backup", "--check", tmp_path / "backup", "--json", wanted=69)[0])
    assert len(found["problems"]) == 1
    run(home, "ledger", "backup", tmp_path / "backup", "--overwrite", "--quiet")
    words = ("ledger", "restore", tmp_path / "backup", "--why", "x", "--replace", "--json")
    tried = json.loads(run(home, *words, "--dry-run")[0])
    assert tried["dry_run"] is True
    done = json.loads(run(home, *words)[0])
    assert (done["outcome"], done["newest"], done["dry_run"]) == ("numbers known", tried["newest"], False)
    assert Path(done["kept"]).exists()


def test_a_dry_run_of_a_backup_writes_nothing(home, run, tmp_path):
    out, _ = run(home, "ledger", "backup", tmp_path / "backup", "--dry-run", "--with-home")
    assert "home/partners/acme.toml" in out
    assert not (tmp_path / "backup").exists()


def test_a_backup_is_made_beside_a_night_and_a_restore_is_refused(home, run, tmp_path):
    with HomeLock(home, "gateway night"):
        run(home, "ledger", "backup", tmp_path / "backup")
        before = rows(home)
        _, err = run(home, "ledger", "restore", tmp_path / "backup", "--why", "x", "--replace", wanted=75)
    assert "is in use by gateway night" in err
    assert rows(home) == before


def test_a_backup_before_an_upgrade_of_the_tables(tmp_path, run):
    place = tmp_path / "old"
    place.mkdir()
    (place / "gateway.toml").write_text(SETTINGS.format(port=1))
    make_key(place / KEY_FILE)
    engine = open_engine(f"sqlite:///{place}/ledger.db")
    upgrade(engine, "0004")
    engine.dispose()
    run(place, "ledger", "backup", tmp_path / "backup")
    assert backup_manifest.read(tmp_path / "backup").revision == "0004"


# ---------------------------------------------------------------- another machine


def test_a_home_rises_again_on_another_machine(home, run, tmp_path):
    run(home, "secret", "list")
    with open_app(home) as app:
        app.secrets.set("smtp", "canary", by="test", at=1)
    _, err = run(home, "ledger", "backup", tmp_path / "backup", "--with-home", "--with-key")
    assert "with key and database together everything in it can be read" in err
    assert (tmp_path / "backup" / "home" / KEY_FILE).stat().st_mode & 0o077 == 0
    send(home, "INV-2")
    shutil.rmtree(home)
    out, _ = run(home, "ledger", "restore", tmp_path / "backup", "--with-home", "--why", "a new machine", "--dry-run")
    assert not home.exists()
    out, _ = run(home, "ledger", "restore", tmp_path / "backup", "--with-home", "--why", "a new machine")
    assert "written: gateway.toml" in out
    assert "every series jumps ahead" in out
    with open_app(home) as app:
        assert app.secrets.get("smtp") == "canary"
    for folder in ("new", "cur", "tmp"):
        (home / "Maildir" / folder).mkdir(parents=True)
    assert all(each > 1_001 for each in numbers(home))
    send(home, "INV-3")
    assert (home / "partners" / "acme.toml").read_text() == ACME


def test_files_in_the_way_are_kept_or_refused(home, run, tmp_path):
    run(home, "ledger", "backup", tmp_path / "backup", "--with-home")
    (home / "partners" / "acme.toml").write_text("newer")
    words = ("ledger", "restore", tmp_path / "backup", "--with-home", "--why", "x")
    _, err = run(home, *words, wanted=78)
    assert "code: restore.file-in-the-way" in err
    out, _ = run(home, *words, "--replace")
    assert "written: partners/acme.toml" in out
    assert (home / "partners" / "acme.toml").read_text() == ACME
    (kept,) = [each for each in (home / "partners").iterdir() if "replaced" in each.name]
    assert kept.read_text() == "newer"


def test_a_backup_without_the_home_gives_none_back(home, run, tmp_path):
    run(home, "ledger", "backup", tmp_path / "backup")
    _, err = run(tmp_path / "new", "ledger", "restore", tmp_path / "backup", "--with-home", "--why", "x", wanted=78)
    assert "it holds nothing of the home" in err


# ---------------------------------------------------------------- killed


@pytest.mark.parametrize(
    ("where", "when", "restored"),
    [
        ("gateway.ledger.restore_sqlite:SqlitePlace.stage", "after", False),
        ("gateway.flow.restore:_settle", "after", False),
        ("gateway.ledger.restore_sqlite:SqlitePlace._settle_staged", "after", False),
        ("gateway.ledger.restore_sqlite:SqlitePlace._set_aside", "before", False),
        ("gateway.ledger.restore_sqlite:SqlitePlace._set_aside", "after", False),
        ("gateway.ledger.restore_sqlite:SqlitePlace.take", "after", True),
    ],
)
def test_a_killed_restore_leaves_the_old_ledger_or_the_new_one(home, run, tmp_path, where, when, restored):
    run(home, "ledger", "backup", tmp_path / "backup", "--quiet")
    send(home, "INV-2")
    before = rows(home)
    words = ["--home", str(home), "ledger", "restore", str(tmp_path / "backup"), "--why", "x", "--replace"]
    program = [sys.executable, "-c", _RESTORE, where, when, *words]
    process = subprocess.Popen(program, cwd=TESTS.parent, stdout=subprocess.PIPE, text=True)
    assert wait_for(process, "here")[-1] == "here"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if restored:
        _, err = run(home, "night", wanted=78)  # nothing goes out before somebody has looked
        assert "ledger.behind" in err
        assert numbers(home) == [3, 3]
        run(home, "ledger", "accept-restore", "--reason", "it was killed")
    else:
        assert rows(home) == before
        run(home, *words[2:])
    send(home, "INV-3")
    assert not [each.name for each in home.iterdir() if each.name.startswith(".ledger")]


# ---------------------------------------------------------------- PostgreSQL


@pytest.fixture
def shared(tmp_path, postgres, migrated_template, monkeypatch):
    """A home on PostgreSQL, which workers share, with an invoice sent."""
    monkeypatch.setenv("GATEWAY_SECRET_DATABASE", "to be put back")
    with MailHost({"edi@acme.example": "x", "edi@globex.example": "x"}) as host:
        place = tmp_path / "shared"
        place.mkdir()
        home = SharedHome(place, postgres.fresh_database(migrated_template), host)
        home.invoice(1)
        subprocess.run(home.command("worker", "--once"), check=True, capture_output=True)
        yield home


def test_a_shared_ledger_is_backed_up_and_restored_beside_its_workers_queue(shared, run, tmp_path):
    """No worker of it keeps a checkpoint: the database itself says how far it had come."""
    run(shared.path, "ledger", "backup", tmp_path / "backup", "--full")
    shared.invoice(2)
    subprocess.run(shared.command("worker", "--once"), check=True, capture_output=True)
    assert len(shared.sent) == 2
    out, _ = run(shared.path, "ledger", "restore", tmp_path / "backup", "--why", "try", "--replace")
    assert "is kept: the schema ledger_replaced_" in out
    assert "they go on from there" in out
    shared.invoice(3)
    subprocess.run(shared.command("worker", "--once"), check=True, capture_output=True)
    assert sorted(number for _, number in shared.sent) == [1, 2, 3]
    assert {len(each) for each in shared.sent.values()} == {1}


def test_a_shared_ledger_rises_again_in_an_empty_database(shared, run, tmp_path, postgres):
    run(shared.path, "ledger", "backup", tmp_path / "backup")
    fresh = postgres.fresh_database()
    shared.write_settings(fresh, "2s", 20)
    out, _ = run(shared.path, "ledger", "restore", tmp_path / "backup", "--why", "the server died")
    assert "every series jumps ahead" in out
    shared.invoice(2)
    subprocess.run(shared.command("worker", "--once"), check=True, capture_output=True)
    assert max(number for _, number in shared.sent) > 1_001


def test_no_password_stands_in_a_backup_or_on_the_screen(shared, run, tmp_path):
    out, err = run(shared.path, "ledger", "backup", tmp_path / "backup", "--with-home", "--json")
    assert "not a secret" not in out + err
    text = b"".join(each.read_bytes() for each in (tmp_path / "backup").rglob("*") if each.is_file())
    assert b"not a secret" not in text
    assert os.environ["GATEWAY_SECRET_DATABASE"] == "not a secret"
