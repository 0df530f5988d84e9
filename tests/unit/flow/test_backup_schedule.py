"""Backups that a batch makes: when one is due, how many stay, and who is told when none comes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders.stage import HOUR, Stage
from msgspec.structs import replace

from gateway.errors import BackupFailed, UsageFault
from gateway.flow import backup
from gateway.flow.backup import LATE, NOTE, Wanted, backups, home_files, lateness, make, newest_backup, place_for
from gateway.flow.check_backup import check_backup
from gateway.flow.check_result import UNAVAILABLE
from gateway.ledger import backup_manifest
from gateway.ledger.backup_files import Nobody
from gateway.settings import BackupSettings, MailboxSettings

DAY = 24 * HOUR


@pytest.fixture
def stage(tmp_path):
    """A gateway that is to keep three backups, one a day."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "gateway.toml").write_text("[gateway]\n")
    stage = Stage(home)
    set_backup(stage, directory=tmp_path / "backups", keep=3)
    return stage


def set_backup(stage, **values) -> None:
    stage.settings = replace(stage.settings, backup=replace(stage.settings.backup, **values))


def kept(stage) -> list[str]:
    return sorted(each.name for each in stage.settings.backup.directory.iterdir())


def alerts(stage) -> list[tuple[str, str]]:
    return [(row["state"], row["subject"]) for row in stage.rows("alert") if row["kind"] == "backup"]


def test_the_first_batch_makes_one_and_says_so(stage):
    summary = stage.run()
    assert summary.counts["backups made"] == 1
    assert kept(stage) == ["ledger-20261102T220000Z"]
    assert "backup-made" in stage.kinds()
    assert summary.exit_code == 0


def test_without_the_setting_none_is_made(stage, tmp_path):
    stage.settings = replace(stage.settings, backup=BackupSettings())
    stage.run()
    assert not (tmp_path / "backups").exists()


def test_a_batch_at_the_same_hour_each_night_makes_one_each_night(stage):
    """Although the one before was made a little later in its batch than this one begins."""
    for night in range(3):
        stage.now = stage.now - stage.now % DAY + 22 * HOUR + night * DAY - night * 600_000
        assert stage.run().counts["backups made"] == 1


def test_between_two_of_them_none_is_made(stage):
    stage.run()
    for _ in range(3):
        stage.now += 7 * HOUR
        assert "backups made" not in stage.run().counts
    stage.now += HOUR
    assert stage.run().counts["backups made"] == 1


def test_no_more_than_that_stay_and_the_newest_do(stage):
    for _ in range(5):
        stage.run()
        stage.now += DAY
    assert kept(stage) == ["ledger-20261104T220000Z", "ledger-20261105T220000Z", "ledger-20261106T220000Z"]


def test_what_a_person_made_and_what_others_keep_there_stays(stage):
    directory = stage.settings.backup.directory
    make(stage.ledger, stage.settings, directory / "before-the-move", Wanted(), Nobody())
    make(stage.ledger, stage.settings, directory / "ledger-20200101T000000Z", Wanted(), Nobody())
    other = backup_manifest.read(directory / "ledger-20200101T000000Z")
    (directory / "ledger-20200101T000000Z" / "manifest.json").unlink()
    backup_manifest.write(replace(other, url="sqlite:////elsewhere/ledger.db"), directory / "ledger-20200101T000000Z")
    (directory / "notes.txt").write_text("mine")
    stage.now += 2 * DAY
    for _ in range(5):
        stage.run()
        stage.now += DAY
    assert {"before-the-move", "ledger-20200101T000000Z", "notes.txt"} < set(kept(stage))
    assert len(kept(stage)) == 6


@pytest.fixture
def failing(stage, monkeypatch):
    """Backups that cannot be made."""

    def fail(_engine, order, _watcher):
        raise BackupFailed(path=order.target, reason="the disk is full")

    monkeypatch.setattr(backup.backup, "back_up", fail)
    return stage


def test_a_failure_stops_nothing_and_is_told_once(failing):
    summary = failing.run()
    assert [type(fault) for _, fault in summary.troubles] == [BackupFailed]
    assert summary.exit_code == 69
    assert failing.rows("batch")[-1]["ended_at"] is not None
    ((state, subject),) = alerts(failing)
    assert state in {"open", "told"}
    assert subject.endswith("the disk is full")


def test_a_failure_is_tried_again_after_an_hour_and_stays_an_alert_meanwhile(failing, monkeypatch):
    failing.run()
    failing.now += HOUR // 2
    assert failing.run().troubles == ()
    assert [state for state, _ in alerts(failing)] == ["open"]
    failing.now += HOUR // 2
    assert len(failing.run().troubles) == 1
    monkeypatch.undo()
    failing.now += HOUR
    assert failing.run().counts["backups made"] == 1
    assert [state for state, _ in alerts(failing)] == ["closed"]
    assert not (failing.directory / NOTE).exists()


def test_a_failure_leaves_the_older_backups(failing, monkeypatch):
    monkeypatch.undo()
    for _ in range(3):
        failing.run()
        failing.now += DAY
    before = kept(failing)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.backup, "back_up", fail)
    assert "No space left" in str(failing.run().troubles[0][1])
    assert kept(failing) == before


def test_asked_to_end_a_batch_leaves_no_half_backup(stage):
    asked = []
    context = replace(stage.context(), stopping=lambda: bool(asked))

    class Asks:
        def step(self, name: str, total: int = 0) -> None:
            asked.append((name, total))

        def advance(self, amount: int = 1) -> None:
            """Nothing."""

        happened = trouble = advance

    backup.keep_backups(replace(context, reporter=Asks()))
    assert kept(stage) == []
    assert not (stage.directory / NOTE).exists()


# ---------------------------------------------------------------- doctor


def test_the_doctor_tells_of_a_backup_that_is_too_old(stage):
    (none,) = check_backup(stage.settings, stage.now)
    assert (none.ok, none.exit_code) == (False, UNAVAILABLE)
    assert none.sentence.startswith("There is no backup in ")
    stage.run()
    young = [each.ok for each in check_backup(stage.settings, stage.now + DAY)]
    assert young == [True, None]  # and it lies on the same file system
    (late, *_) = check_backup(stage.settings, stage.now + int(LATE * DAY) + 1)
    assert not late.ok
    assert "is of 2 Nov 2026" in late.sentence


def test_the_doctor_tells_why_the_last_one_failed(failing):
    failing.run()
    (check,) = check_backup(failing.settings, failing.now)
    assert "the disk is full" in check.sentence


def test_the_doctor_warns_where_nothing_is_scheduled(stage):
    (check,) = check_backup(replace(stage.settings, backup=BackupSettings()), stage.now)
    assert check.ok is None


def test_a_backup_that_is_late_needs_a_person(stage):
    assert lateness(stage.settings, stage.now) != ""
    stage.run()
    assert lateness(stage.settings, stage.now) == ""
    assert lateness(stage.settings, stage.now + 2 * DAY) != ""


def test_a_backup_made_by_hand_counts(failing, monkeypatch):
    failing.run()
    monkeypatch.undo()
    target = place_for(failing.settings, None, failing.now)
    make(failing.ledger, failing.settings, target, Wanted(), Nobody())
    assert lateness(failing.settings, failing.now) == ""


# ---------------------------------------------------------------- where, and what else


def test_where_a_backup_goes(stage, tmp_path):
    directory = stage.settings.backup.directory
    assert place_for(stage.settings, None, stage.now) == directory / "ledger-20261102T220000Z"
    assert place_for(stage.settings, tmp_path / "new", stage.now) == tmp_path / "new"
    assert place_for(stage.settings, tmp_path, stage.now) == tmp_path / "ledger-20261102T220000Z"
    stage.run()
    assert place_for(stage.settings, None, stage.now) == directory / "ledger-20261102T220000Z.2"
    one = directory / "ledger-20261102T220000Z"
    assert place_for(stage.settings, one, stage.now) == one
    with pytest.raises(UsageFault):
        place_for(replace(stage.settings, backup=BackupSettings()), None, stage.now)


def test_no_backup_goes_where_documents_are_looked_for(stage):
    for place in (stage.settings.inbox, stage.settings.outbox / "acme", stage.settings.partners_directory):
        with pytest.raises(UsageFault):
            make(stage.ledger, stage.settings, place / "b", Wanted(), Nobody())


def test_what_belongs_to_a_home_goes_in_and_nothing_else(stage, tmp_path):
    home = stage.directory
    (home / "secret.key").write_text("canary")
    (home / ".checkpoint").write_text("canary")
    (home / "partners" / "lines").mkdir(parents=True)
    (home / "partners" / "acme.toml").write_text("acme")
    (home / "partners" / "lines" / "850.toml").write_text("850")
    (home / "partners" / "away.toml").symlink_to("/etc/hostname")
    (home / "ca.pem").write_text("ca")
    boxes = tuple(
        MailboxSettings(name, "pop3", ca_file=str(file))
        for name, file in (("a", home / "ca.pem"), ("b", tmp_path / "outside.pem"))
    )
    found = home_files(replace(stage.settings, mailboxes=boxes))
    assert {name for name, _ in found.files} == {
        "gateway.toml",
        "ca.pem",
        "partners/acme.toml",
        "partners/lines/850.toml",
    }
    assert len(found.left_out) == 2
    set_backup(stage, with_home=True, every=timedelta(hours=1))
    stage.run()
    manifest = newest_backup(stage.settings)
    assert manifest is not None
    assert {each.name for each in manifest.home_files} == {
        "home/gateway.toml",
        "home/partners/acme.toml",
        "home/partners/lines/850.toml",
    }
    assert not manifest.holds_key


def test_a_directory_with_odd_things_in_it_is_looked_through(stage, tmp_path):
    directory = tmp_path / "odd"
    (directory / "empty").mkdir(parents=True)
    (directory / "broken").mkdir()
    (directory / "broken" / "manifest.json").write_text("{")
    (directory / ".hidden").mkdir()
    (directory / "file").write_text("")
    assert backups(directory) == []
    assert backups(tmp_path / "none") == []
