"""The doctor looks at the machine, at who may read what, and at whether the gateway really runs."""

import json
import sqlite3
import time
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.flow import check_machine
from gateway.flow.check_home import check_settings_file
from gateway.flow.check_running import check_nights, check_seal, check_stopped, check_told
from gateway.jobs.lock import HomeLock, held_since
from gateway.ledger import database, tables
from gateway.ledger.database import open_engine, upgrade, writing
from gateway.ledger.stops import Stops
from gateway.settings import AlertSettings, Settings

HOUR = 3_600_000
NOW = 1_800_000_000_000


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "gateway.toml").write_text("[gateway]\n")
    (tmp_path / "gateway.toml").chmod(0o644)
    return Settings(tmp_path, "Ours", "ours.example", (("ZZ", "OURCO"),), "sqlite://", outbox=tmp_path / "outbox")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    """A transaction that is undone."""
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def codes(found):
    made = list(found)
    assert all(each.advice for each in made)
    return [(each.code, each.ok) for each in made]


# ---------------------------------------------------------------- who may read


@pytest.mark.parametrize(
    ("url", "webhook", "told"),
    [
        ("postgresql://gateway:canary@db/gateway", "", True),
        ("postgresql://gateway:{password}@db/gateway", "", False),
        ("sqlite:///ledger.db", "https://chat.example/hooks/T0123456789ABCDEFGH", True),
        ("sqlite:///ledger.db", "https://chat.example/say?token=x", True),
        ("sqlite:///ledger.db", "https://chat.example/alerts", False),
    ],
)
def test_settings_that_hold_a_secret_and_that_everybody_may_read_are_told(settings, url, webhook, told):
    """A password in the url, or an address that lets everybody write, is for the gateway alone."""
    rules = (AlertSettings("chat", webhook=webhook),) if webhook else ()
    changed = replace(settings, database_url=url, alerts=rules)
    made = list(check_settings_file(changed))
    assert codes(made) == ([("settings.readable", False)] if told else [])
    assert not any("canary" in each.sentence or "T0123" in each.sentence for each in made)
    (settings.home / "gateway.toml").chmod(0o640)
    assert codes(check_settings_file(changed)) == []


# ---------------------------------------------------------------- clock, lock, disk


@pytest.mark.parametrize(
    ("zone", "told"), [("Mars/Olympus", True), ("Europe/Berlin", False), ("EST5EDT", False), ("", False)]
)
def test_a_time_zone_that_nobody_knows_is_told(monkeypatch, zone, told):
    """Local hours would be those of UTC, without a word."""
    monkeypatch.setenv("TZ", zone)
    assert codes(check_machine.check_zone()) == ([("clock.unknown-zone", None)] if told else [])


def test_a_command_that_has_been_at_work_for_half_a_day_is_told(tmp_path):
    """Whoever holds the lock for so long is stuck, or somebody should know."""
    assert held_since(tmp_path) is None
    assert codes(check_machine.check_held(tmp_path, NOW)) == []
    with HomeLock(tmp_path, "gateway night"):
        since = held_since(tmp_path)
        assert since is not None
        assert abs(since - time.time() * 1000) < 60_000
        assert codes(check_machine.check_held(tmp_path, since + HOUR)) == []
        found = list(check_machine.check_held(tmp_path, since + 13 * HOUR))
    assert codes(found) == [("lock.long-held", None)]
    assert found[0].sentence.startswith("Gateway night (pid ")
    assert held_since(tmp_path) is None


def test_a_lock_whose_note_says_nothing_tells_no_time(tmp_path):
    """The disk was full when the note was to be written."""
    with HomeLock(tmp_path, "gateway night"):
        (tmp_path / ".lock").write_text("{}")
        assert held_since(tmp_path) is None


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:40 / {nfs} rw,relatime - nfs4 server:/srv rw
23 21 0:41 / {local} rw - tmpfs tmpfs rw
broken line
"""


def test_a_ledger_on_a_network_file_system_is_wrong(engine, tmp_path):
    """Its locks and syncs may mean nothing there."""
    here = Path(engine.url.database).resolve().parent
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(nfs=here, local="/elsewhere"))
    assert codes(check_machine.check_filesystem(engine, mounts)) == [("database.network-disk", False)]
    mounts.write_text(MOUNTS.format(nfs=here.parent, local=here))
    assert codes(check_machine.check_filesystem(engine, mounts)) == []
    assert codes(check_machine.check_filesystem(engine, tmp_path / "absent")) == []
    assert codes(check_machine.check_filesystem(engine)) == []  # as it is on this machine


def test_a_mount_point_with_a_space_is_understood(engine, tmp_path):
    """The kernel writes it as an octal number."""
    mounts = f"22 21 0:40 / {tmp_path}/a\\040b rw - cifs //server rw\n"
    assert check_machine._file_system(tmp_path / "a b" / "ledger.db", mounts) == "cifs"


def test_an_sqlite_without_trigrams_is_wrong(engine, monkeypatch):
    """An old SQLite knows no FTS5, or not this way to index."""
    assert codes(check_machine.check_trigrams(engine)) == []

    class Old:
        def execute(self, _):
            raise sqlite3.OperationalError("no such tokenizer: trigram")

        def close(self):
            pass

    monkeypatch.setattr(check_machine.sqlite3, "connect", lambda _: Old())
    assert codes(check_machine.check_trigrams(engine)) == [("database.no-trigrams", False)]


# ---------------------------------------------------------------- whether it runs


def batch(connection, number, started_at, ended_at):
    connection.execute(tables.batch.insert().values(id=number, started_at=started_at, ended_at=ended_at))


def test_a_gateway_with_partners_that_never_ran_is_told(connection, settings):
    """With nobody to trade with there is nothing to run for yet."""
    assert codes(check_nights(connection, settings, NOW, partners=False)) == []
    assert codes(check_nights(connection, settings, NOW, partners=True)) == [("night.never", None)]


@pytest.mark.parametrize(
    ("hours", "expected", "told"),
    [
        (1, None, False),
        (25, None, False),
        (27, None, True),
        (3, timedelta(hours=2), True),
        (40, timedelta(days=2), False),
    ],
)
def test_a_night_that_did_not_come_is_told(connection, settings, hours, expected, told):
    """By the time that the settings give, else by a day and a little."""
    batch(connection, 1, NOW - hours * HOUR, NOW - hours * HOUR + 1)
    found = check_nights(connection, replace(settings, batch_expected=expected), NOW, partners=True)
    assert codes(found) == ([("night.late", None)] if told else [])


def test_a_night_that_did_not_end_is_told_unless_it_is_at_work(connection, settings):
    """Whoever has the home's lock may be that very batch."""
    batch(connection, 1, NOW - HOUR, None)
    assert codes(check_nights(connection, settings, NOW, partners=True)) == [("night.interrupted", None)]
    with HomeLock(settings.home):
        assert codes(check_nights(connection, settings, NOW, partners=True)) == []


def test_a_ledger_that_nobody_seals_is_told(connection, settings):
    """Before the first batch there is nothing to seal; a late seal counts when more has happened since."""
    assert codes(check_seal(connection, settings, NOW)) == []
    batch(connection, 1, NOW - HOUR, NOW)
    assert codes(check_seal(connection, settings, NOW)) == [("seal.never", None)]
    size = connection.execute(tables.tree_head.select()).one().size
    connection.execute(tables.seal.insert().values(size=max(size, 1), seq=1, at=NOW - 72 * HOUR, note="-"))
    assert codes(check_seal(connection, settings, NOW)) == []
    connection.execute(tables.tree_head.update().values(size=size + 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.flow.check_running._grown", lambda *_: True)
        assert codes(check_seal(connection, settings, NOW)) == [("seal.late", None)]
        unsealed = replace(settings, seal=replace(settings.seal, every=None))
        assert codes(check_seal(connection, unsealed, NOW)) == []
        assert codes(check_seal(connection, settings, NOW - 60 * HOUR)) == []


def test_a_ledger_that_workers_fill_and_nobody_seals_is_told(connection, settings, monkeypatch):
    monkeypatch.setattr("gateway.flow.check_running.workers_at_work", lambda *_: True)
    assert codes(check_seal(connection, settings, NOW)) == [("seal.never", None)]


def test_a_gateway_that_tells_nobody_is_told(connection, settings):
    """A rule is wanted, and one that worked."""
    assert codes(check_told(connection, settings)) == [("alerts.none", None)]
    ruled = replace(settings, alerts=(AlertSettings("ops", to=("a@b.example",)),))
    assert codes(check_told(connection, ruled)) == []
    row = {"at": 1, "kind": "rule", "topic": "rule/ops", "reference": "ops", "count": 1, "last_at": 1, "told": "{}"}
    connection.execute(tables.alert.insert().values(**row, state="failing", subject="Nobody was there."))
    found = list(check_told(connection, ruled))
    assert codes(found) == [("alerts.failing", False)]
    assert found[0].sentence == "Nobody was there."


def test_documents_that_wait_for_a_suspended_partner_are_told(connection, settings):
    """In the ledger, and in the outbox."""
    stops = Stops(everything=frozenset({"acme", "globex"}))
    assert codes(check_stopped(connection, stops, settings)) == []
    (settings.outbox / "acme" / "failed").mkdir(parents=True)
    (settings.outbox / "acme" / "order.edi").write_text("x")
    (settings.outbox / "acme" / ".submitting" / "7").mkdir(parents=True)
    (settings.outbox / "acme" / ".submitting" / "7" / "left.edi").write_text("x")
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    row = {"message": 1, "state": "ready", "next_at": 1, "recipients": json.dumps([])}
    for number, partner in enumerate(("acme", "globex", "other"), 1):
        connection.execute(tables.outgoing.insert().values(exchange=number, partner=partner, **row))
    found = list(check_stopped(connection, stops, settings))
    assert codes(found) == [("partner.stopped-waiting", None)] * 2
    assert "3 documents" in found[0].sentence
    assert "1 document for it waits" in found[1].sentence


def test_a_database_of_a_newer_gateway_is_wrong(tmp_path):
    """It was upgraded, and the program was put back."""
    from gateway.flow.checks import check_database

    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert codes(check_database(engine)) == [("database.newer", False)]
    engine.dispose()
    assert "9999" not in database.revisions()
