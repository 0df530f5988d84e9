"""Archives that were moved out, from both databases: complete, searched like the ledger, brought back as they were."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from builders.stage import HOUR, Stage, acknowledgment, empty_ledger, invoice, orders, ta1
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, text

from gateway.errors import (
    MovedArchiveAltered,
    MovedArchiveLost,
    MovedArchiveUnreadable,
    MovedArchiveUnwritable,
    NotAllowedNow,
    NotFound,
)
from gateway.flow import lost_archive, recall, retain
from gateway.flow.seal import seal
from gateway.flow.submit import submit
from gateway.ledger import daily, database, holds, moved, moved_write, retention_purge, tables, tree
from gateway.ledger.damage import damage
from gateway.ledger.moved_file import opened, sha256_of
from gateway.ledger.moved_rows import rows_of
from gateway.ledger.moved_verify import verify
from gateway.ledger.query import Query
from gateway.ledger.retention_policy import Policies, Spans
from gateway.ledger.retention_units import Judge
from gateway.ledger.search import parse_query, search
from gateway.ledger.story import raw_bytes, story
from gateway.ledger.verify import Verification
from gateway.settings import RetentionSettings

pytestmark = pytest.mark.integration

DAY = 24 * HOUR


@pytest.fixture
def stage(tmp_path, ledger_engine):
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=400), payload=timedelta(days=400))
    )
    return stage


@pytest.fixture(autouse=True)
def archives_copied_from_one(monkeypatch):
    """To migrate an empty ledger for every archive takes longer than most tests; those of the commands do."""
    monkeypatch.setattr(moved_write, "upgrade", lambda engine: shutil.copyfile(empty_ledger(), engine.url.database))


def life(stage, number=1):
    stage.mail(orders(2 * number - 1))
    submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.run()
    ours = [row for row in stage.rows("exchange") if row["types"] == "810"][-1]
    group = next(row for row in stage.rows("functional_group") if row["exchange"] == ours["id"])
    stage.mail(acknowledgment(2 * number, int(str(group["control_number"]))))
    stage.run()


def old(stage):
    """A life in November 2026, another that keeps the newest numbers, and a time when the first one is over."""
    life(stage)
    stage.now += 360 * DAY
    life(stage, 2)
    stage.now += 75 * DAY


def everything(engine, x, m):
    with database.reading(engine) as connection:
        return {table.name: rows for table, rows in rows_of(connection, x, m)}


def numbers(stage):
    x = [int(str(row["id"])) for row in stage.rows("exchange")]
    return x, [int(str(row["id"])) for row in stage.rows("message")]


def assert_whole(stage):
    with database.reading(stage.engine) as connection:
        assert [each.sentence for each in Verification(connection).full()] == []
        assert daily.check(connection) == []
    assert list(damage(stage.engine)) == []


def moved_out(stage):
    """The one archive that was written."""
    (written,) = moved.archives(stage.ledger)
    return stage.directory / "old" / "ledger-2026-11.db", written


def test_an_archive_has_all_that_left_and_comes_back_as_it_was(stage):
    old(stage)
    x, m = numbers(stage)
    before = everything(stage.engine, x, m)
    contents = {str(row["sha256"]): row["bytes"] for row in stage.rows("content")}
    gone = retain.apply(stage.context(), move_to=stage.directory / "old")
    assert (gone.exchanges, gone.messages) == (4, 4)
    path, written = moved_out(stage)
    assert (written.exchanges, written.messages, written.events) == (4, 4, gone.events)
    assert written.moved_at is not None
    assert_whole(stage)
    left = set(numbers(stage)[0])
    assert search(stage.engine, parse_query(["INV-1"])) == []
    with opened(path) as archive:
        assert {row.id for row in search(archive, Query(type="850"))} == {x[1]} - left
        assert story(archive, x[0]).events
        assert [row.id for row in search(archive, parse_query(["INV-1"]))] == [x[0]]
        for row in before["exchange"][:4]:
            assert raw_bytes(archive, row["sha256"]) == contents[row["sha256"]]
    back = recall.recall(stage.context(), path, None, actor="the auditor", reason="an audit")
    assert (back.exchanges, back.messages, back.events) == (4, 4, gone.events)
    assert [row.id for row in search(stage.engine, parse_query(["INV-1"]))] == [x[0]]
    after = everything(stage.engine, x, m)
    after["event"] = [row for row in after["event"] if row["kind"] != "recalled"]
    assert after == before
    assert {str(row["sha256"]): row["bytes"] for row in stage.rows("content")} == contents
    assert_whole(stage)
    again = recall.recall(stage.context(), path, None, actor="the auditor", reason="an audit")
    assert (again.exchanges, again.messages, again.hold) == (0, 0, None)


def test_an_acknowledgment_gets_no_number_of_one_that_left(stage):
    """The exchange that it spoke of left, and its row with it: the next got its number, and nothing brought it back."""
    life(stage)
    stage.now += 500 * DAY
    submit(stage.context(), "acme", invoice("INV-2"))
    stage.mail(orders(3))
    stage.run()
    x, m = numbers(stage)
    before = everything(stage.engine, x, m)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    (group,) = (row["control_number"] for row in before["functional_group"] if row["exchange"] == x[4])
    stage.mail(acknowledgment(4, int(str(group))))
    stage.run()
    for each in moved.archives(stage.ledger):
        recall.recall(stage.context(), Path(each.file), None, actor="me", reason="x")
    found = everything(stage.engine, x, m)
    kept = [row["id"] for row in before["acknowledgment"]]
    assert [row["id"] for row in found["acknowledgment"]][: len(kept)] == kept
    assert len(found["acknowledgment"]) == 2 * len(kept)
    assert_whole(stage)


def test_a_receipt_keeps_the_mail_that_it_speaks_of_while_its_number_is_the_newest(stage):
    life(stage)
    x, m = numbers(stage)
    with stage.ledger.transaction() as recorder:
        recorder.add(tables.receipt, at=stage.now, direction="in", message=m[3], exchange=x[0], original=m[0])
    stage.now += 500 * DAY
    life(stage, 2)
    retain.apply(stage.context())
    on_sqlite = stage.engine.dialect.name == "sqlite"
    assert {m[0], m[3]} & set(numbers(stage)[1]) == ({m[0], m[3]} if on_sqlite else set())


def test_an_alert_whose_number_another_has_by_now_comes_back_under_a_new_one(stage):
    """As SQLite gives numbers of what left again; PostgreSQL gives none."""
    old(stage)
    x, _ = numbers(stage)
    raised = {"kind": "overdue", "partner": "acme", "topic": "x", "state": "closed", **of_alert(stage)}
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(insert(tables.alert), {**raised, "exchange": x[0]})
    retain.apply(stage.context(), move_to=stage.directory / "old")
    assert stage.rows("alert") == []
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(insert(tables.alert), {**raised, "exchange": x[4], "at": stage.now + 1})
    path, _ = moved_out(stage)
    for each in (Query(type="850"), None, None):
        recall.recall(stage.context(), path, each, actor="the auditor", reason="an audit")
    assert sorted(row["exchange"] for row in stage.rows("alert")) == [x[0], x[4]]


def of_alert(stage):
    return {
        "at": stage.now,
        "last_at": stage.now,
        "reference": "1",
        "subject": "s",
        "side": "ours",
        "next_command": "n",
    }


def test_bytes_whose_own_time_is_over_are_in_no_archive(stage):
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=400), payload=timedelta(days=30))
    )
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, written = moved_out(stage)
    assert (written.exchanges, written.messages) == (4, 4)
    with opened(path) as archive, database.reading(archive) as connection:
        assert connection.execute(select(tables.content.c.sha256)).all() == []
        assert len(connection.execute(select(tables.put_away.c.sha256)).all()) == 8
    assert list(verify(stage.engine, path)) == []
    assert_whole(stage)


def test_bytes_that_are_kept_as_long_as_the_ledger_are_in_the_archive_of_their_month(stage):
    life(stage)
    stage.now += 28 * DAY  # on the last day of the month; the acknowledgment comes in the next one
    submit(stage.context(), "acme", invoice("INV-2"))
    stage.run()
    group = max(
        int(str(row["control_number"])) for row in stage.rows("functional_group") if row["functional_id"] == "IN"
    )
    stage.now += DAY
    stage.mail(acknowledgment(3, group))
    stage.run()
    assert stage.states("out")[-1] == "acknowledged"
    stage.now += 340 * DAY
    contents = {str(row["sha256"]): row["bytes"] for row in stage.rows("content")}
    life(stage, 3)  # keeps the newest numbers
    for _ in range(4):
        stage.now += 31 * DAY
        for _ in range(2):
            stage.now += DAY
            retain.apply(stage.context(), move_to=stage.directory / "old")
    kept = set()
    for path in sorted((stage.directory / "old").iterdir()):
        with opened(path) as archive, database.reading(archive) as connection:
            kept |= set(connection.execute(select(tables.content.c.sha256)).scalars())
    assert kept == contents.keys()
    assert_whole(stage)


@pytest.mark.parametrize("kind", ["997", "TA1"])
def test_an_acknowledgment_of_what_was_put_away_names_the_archive(stage, kind):
    """It was called one of something that we never sent."""
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    for number, named in ((91, 1), (92, 77)):
        stage.mail(acknowledgment(number, named) if kind == "997" else ta1(number, named))
    stage.run()
    faults = [json.loads(str(row["fault"])) for row in stage.rows("exchange") if row["state"] == "unmatched"]
    assert [each["code"] for each in faults] == ["acknowledgment.of-gone", "acknowledgment.unmatched"]
    assert str(path) in faults[0]["message"]
    word = "group=1" if kind == "997" else "control=000000001"
    assert f"search {word} --archive" in faults[0]["advice"]
    with opened(path) as archive:
        assert search(archive, parse_query([word, "direction=out"]))
    path.unlink()
    lost_archive.say_lost(stage.context(), 1, actor="ann", reason="the disk broke")
    stage.mail(acknowledgment(93, 1) if kind == "997" else ta1(93, 1))
    stage.run()
    assert f"{path} (lost)" in str(stage.rows("exchange")[-1]["fault"])


def test_what_came_back_stays_until_it_is_released(stage):
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    back = recall.recall(stage.context(), path, Query(type="850"), actor="the auditor", reason="an audit")
    assert back.exchanges == 1
    assert retain.apply(stage.context()) == retain.Gone()
    with stage.ledger.transaction("the auditor") as recorder:
        holds.release(recorder, back.hold, reason="done")
    assert retain.apply(stage.context()).exchanges == 1
    assert_whole(stage)


def test_an_archive_is_checked_against_the_ledger_and_the_seals(stage):
    from gateway.ledger.seals import new_key

    key = new_key()
    old(stage)
    stage_context = replace(stage.context(), seal_key=lambda: key)
    sealed = seal(stage_context)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    assert list(verify(stage.engine, path, sealed.key)) == []
    for statement, said in (
        ("UPDATE event SET body = '{}' WHERE seq = (SELECT min(seq) FROM event)", "is not the one"),
        ("UPDATE content SET bytes = x'00'", "are not what they were"),
        ("DELETE FROM content", "which are missing"),
        ("UPDATE exchange SET partner = 'globex'", "none of the archives"),
    ):
        altered = stage.directory / "altered.db"
        altered.unlink(missing_ok=True)
        shutil.copy(path, altered)
        altered.chmod(0o600)
        with closing(sqlite3.connect(altered)) as connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement)
            connection.commit()
        found = list(verify(stage.engine, altered, sealed.key))
        assert any("none of the archives" in each for each in found)
        assert any(said in each for each in found), found
        with pytest.raises(MovedArchiveAltered, match="never wrote one"):
            recall.recall(stage.context(), altered, None, actor="me", reason="x")


ROWS = [
    (
        "UPDATE exchange SET partner = 'globex' WHERE id = (SELECT max(id) FROM exchange)",
        ["exchange {x} in", "not what"],
    ),
    ("UPDATE business_key SET value = 'PO-2'", ["business key of exchange", "not what"]),
    ("DELETE FROM transaction_set", ["transaction set", "is missing"]),
    ("INSERT INTO payload VALUES (9999, 1, 9, '', '', '', 'none', 1, '')", ["payload 9999", "was added"]),
    ("UPDATE retention_mark SET value = replace(value, '1', '2')", ["not those that the ledger recorded"]),
    ("DELETE FROM retention_mark", ["holds no digests"]),
]


@pytest.mark.parametrize(
    ("statement", "said"), ROWS, ids=[statement.partition(" SET")[0][:30] for statement, _ in ROWS]
)
def test_of_an_archive_that_was_altered_the_row_is_named(stage, statement, said):
    """Only the SHA-256 of the file was told, and nobody knew what was wrong in it."""
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    altered = shutil.copy(path, stage.directory / "altered.db")
    altered.chmod(0o600)
    with closing(sqlite3.connect(altered)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        (x,) = connection.execute("SELECT max(id) FROM exchange").fetchone()
        connection.execute(statement)
        connection.commit()
    first, second, *_ = verify(stage.engine, altered)
    assert "none of the archives" in first
    assert all(each.format(x=x) in second.lower() for each in said), second


@pytest.mark.parametrize("carried", [False, True])
def test_the_same_month_twice_makes_two_archives_of_two_names(stage, carried):
    """Also where the first was carried away: the second would replace it there."""
    old(stage)
    with stage.ledger.transaction() as recorder:
        number = holds.add(recorder, ["type=850"], Query(type="850"), reason="a dispute")
    retain.apply(stage.context(), move_to=stage.directory / "old")
    if carried:
        (stage.directory / "old" / "ledger-2026-11.db").rename(stage.directory / "on another disk.db")
    with stage.ledger.transaction() as recorder:
        holds.release(recorder, number, reason="over")
    retain.apply(stage.context(), move_to=stage.directory / "old")
    names = sorted(each.name for each in (stage.directory / "old").iterdir())
    assert names == ["ledger-2026-11-2.db", "ledger-2026-11.db"][: 1 if carried else 2]
    assert_whole(stage)


def test_a_month_leaves_when_its_last_day_is_over(stage):
    life(stage)
    stage.now += 30 * DAY
    life(stage, 2)
    stage.now += 375 * DAY  # 405 days after 2 November 2026, but the month ended 375 days ago
    told = retain.plan(stage.context(), whole_months=True)
    assert [line for line in told.lines if line.what == "ledger"] == []
    assert [line for line in retain.plan(stage.context()).lines if line.what == "ledger"] != []


def test_what_changed_after_it_was_written_into_the_archive_stays(stage, monkeypatch):
    old(stage)
    original = moved_write.write

    def write(engine, directory, units):
        written = original(engine, directory, units)
        with stage.ledger.transaction() as recorder:
            recorder.event("settled", exchange=units[0].exchanges[0], reason="meanwhile")
        return written

    monkeypatch.setattr(moved, "write", write)
    gone = retain.apply(stage.context(), move_to=stage.directory / "old")
    monkeypatch.undo()
    assert 0 < gone.exchanges < 4
    gone += retain.apply(stage.context(), move_to=stage.directory / "old")
    assert gone.exchanges == 4
    with opened(stage.directory / "old" / "ledger-2026-11.db") as first, database.reading(first) as connection:
        assert "settled" not in connection.execute(select(tables.event.c.kind)).scalars().all()
    assert_whole(stage)


@pytest.mark.parametrize("after", range(6))
def test_a_run_that_is_ended_anywhere_is_taken_up_by_the_next(stage, after, monkeypatch):
    """The process dies at one of its commits: at the end everything left once, and nothing is lost."""
    old(stage)
    x, m = numbers(stage)
    before = everything(stage.engine, x, m)
    monkeypatch.setattr(moved, "_AT_ONCE", 1)
    commits = 0

    class DiedError(BaseException):
        pass

    from gateway.ledger.recording import Recorder

    finish = Recorder.finish

    def dying(recorder):
        nonlocal commits
        commits += 1
        if commits > after:
            raise DiedError
        finish(recorder)

    monkeypatch.setattr(Recorder, "finish", dying)
    with pytest.raises(DiedError):
        retain.apply(stage.context(), move_to=stage.directory / "old")
    monkeypatch.setattr(Recorder, "finish", finish)
    assert_whole(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    assert_whole(stage)
    assert all(each.moved_at for each in moved.archives(stage.ledger))
    for each in moved.archives(stage.ledger):
        recall.recall(stage.context(), Path(each.file), None, actor="me", reason="x")
    found = everything(stage.engine, x, m)
    found["event"] = [row for row in found["event"] if row["kind"] != "recalled"]
    assert found == before
    assert_whole(stage)


@pytest.fixture
def half(stage, monkeypatch):
    """A stage with an archive that is being put away: the run was asked to end after the first two of its mails."""
    old(stage)
    monkeypatch.setattr(moved, "_AT_ONCE", 1)
    before = len(numbers(stage)[1])
    context = replace(stage.context(), stopping=lambda: len(numbers(stage)[1]) < before)
    assert retain.apply(context, move_to=stage.directory / "old").messages == 2
    return stage


def put_away_on(stage):
    """What the next run puts away, and what it complains of."""
    context = stage.context()
    gone = retain.apply(context, move_to=stage.directory / "old")
    return gone, context.reporter.troubles


def test_of_an_archive_that_is_known_to_be_lost_no_batch_asks_and_the_rest_goes_into_another(half):
    path, _ = moved_out(half)
    gone_to = path.rename(path.with_suffix(".carried-off"))
    _, troubles = put_away_on(half)
    assert [(where, type(fault)) for where, fault in troubles] == [("archive", MovedArchiveUnreadable)]
    act = lost_archive.say_lost(half.context(), 1, actor="ann", reason="the disk broke")
    assert act.done
    assert put_away_on(half)[1] == []
    first, second = moved.archives(half.ledger)
    assert (first.moved_at, second.moved_at is not None) == (None, True)
    for ask in (verify(half.engine, path), recalled(half, path)):
        with pytest.raises(MovedArchiveLost, match=r"archive 1, .* is lost: ann said so on .* \(the disk broke\)\."):
            list(ask)
    gone_to.rename(path)
    assert lost_archive.say_found(half.context(), 1, actor="ben", reason="a copy").done
    assert put_away_on(half)[1] == []
    assert all(each.moved_at for each in moved.archives(half.ledger))
    assert list(verify(half.engine, path)) == []
    assert_whole(half)


def recalled(stage, path):
    yield recall.recall(stage.context(), path, None, actor="me", reason="x")


def test_that_an_archive_is_lost_or_found_is_said_once_and_not_where_it_is_not_so(half):
    path, _ = moved_out(half)
    written = path.read_bytes()

    def said():
        return [each for each in half.kinds() if each.startswith("archive-")]

    def act(verb, number=1, **options):
        return verb(half.context(), number, actor="ann", reason="so it is", **options).sentence

    with pytest.raises(NotAllowedNow, match="archive 1 is at its place"):
        act(lost_archive.say_lost)
    with pytest.raises(NotFound, match="2"):
        act(lost_archive.say_lost, 2)
    assert act(lost_archive.say_found) == "done before: nobody says that it is lost; nothing was changed"
    path.chmod(0o600)
    path.write_bytes(written[:-1] + b"!")
    act(lost_archive.say_lost, dry_run=True)
    assert said() == []
    assert "it had 4 exchanges and 4 mails, and what of them has not left" in act(lost_archive.say_lost)
    assert act(lost_archive.say_lost).startswith("done before: ann said on ")
    with pytest.raises(MovedArchiveAltered):
        act(lost_archive.say_found)
    assert said() == ["archive-lost"]
    path.write_bytes(written)
    act(lost_archive.say_found, dry_run=True)
    assert said() == ["archive-lost"]
    assert act(lost_archive.say_found).endswith("is what was written, and counts again")
    assert said() == ["archive-lost", "archive-found"]


def test_what_a_run_that_was_killed_left_of_an_archive_is_gone_after_the_next(stage, monkeypatch):
    old(stage)
    place = stage.directory / "old"
    died = os.fork()
    if not died:
        stage.engine.dispose(close=False)
        monkeypatch.setattr(moved_write, "_read_back", lambda *_: os._exit(9))
        retain.apply(stage.context(), move_to=place)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(died, 0)[1]) == 9
    left = list(place.iterdir())
    assert any(b"ACMERETAIL" in each.read_bytes() for each in left)
    assert {each.stat().st_mode & 0o077 for each in left} == {0}
    retain.apply(stage.context(), move_to=place)
    assert [each.name for each in place.iterdir()] == ["ledger-2026-11.db"]
    assert_whole(stage)


def test_two_gateways_that_write_into_one_directory_give_no_name_twice(stage, monkeypatch):
    """What was written first was lost: the second one was renamed over it."""
    old(stage)
    place = stage.directory / "old"
    read_back, others = moved_write._read_back, []

    def another(*arguments):
        read_back(*arguments)
        if not others:
            others.append(None)
            others[0] = moved_write.write(stage.engine, place, units)

    with database.reading(stage.engine) as connection:
        units = list(Judge(connection, Policies(Spans(0, 0))).units([("m", numbers(stage)[1][0])]).values())
    monkeypatch.setattr(moved_write, "_read_back", another)
    mine = moved_write.write(stage.engine, place, units)
    assert mine.path != others[0].path
    for each in (mine, *others):
        assert sha256_of(each.path) == each.sha256


def test_where_no_archive_can_be_written_nothing_goes(stage):
    old(stage)
    (stage.directory / "old").write_text("a file in the way")
    with pytest.raises(MovedArchiveUnwritable):
        retain.apply(stage.context(), move_to=stage.directory / "old")
    assert len(stage.rows("exchange")) == 8
    assert stage.rows("event_leaf") == []


def test_what_is_no_archive_is_said(stage, tmp_path):
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"no such thing")
    with pytest.raises(MovedArchiveUnreadable, match="not an SQLite file"), opened(junk):
        pass
    with pytest.raises(MovedArchiveUnreadable, match="No such file"), opened(tmp_path / "gone.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE x (y)")
    with pytest.raises(MovedArchiveUnreadable, match="no such table"), opened(tmp_path / "empty.db"):
        pass
    os.mkfifo(tmp_path / "pipe.db")
    writer = os.open(tmp_path / "pipe.db", os.O_RDWR | os.O_NONBLOCK)
    for each in (tmp_path, tmp_path / "pipe.db"):
        with pytest.raises(MovedArchiveUnreadable, match="it is no file"), opened(each):
            pass
        with pytest.raises(MovedArchiveUnreadable, match="it is no file"):
            recall.recall(stage.context(), each, None, actor="me", reason="x")
    os.close(writer)


@pytest.mark.parametrize(
    "statement", ["DROP TABLE event", "DROP TABLE exchange", "DELETE FROM tree_head", "UPDATE tree_head SET size = 'x'"]
)
def test_what_somebody_wrote_into_an_archive_ends_no_verification(stage, statement):
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()
    first, *_, last = verify(stage.engine, path)
    assert "none of the archives" in first
    assert "cannot be looked at to its end" in last
    if statement.startswith("DROP"):
        table = statement.rpartition(" ")[2]
        assert last.endswith(f": it has no table {table}.")
        said = f"{path} is not what was written: it has no table {table}"
        with pytest.raises(MovedArchiveAltered, match=said), opened(path) as archive:
            story(archive, 1)


def test_an_archive_of_an_earlier_version_is_read_from_a_copy(stage, monkeypatch):
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, written = moved_out(stage)
    from gateway.ledger import moved_file

    called = []
    monkeypatch.setattr(moved_file, "_revision", lambda _: "0001")
    monkeypatch.setattr(moved_file, "upgrade", called.append)
    with opened(path) as archive, database.reading(archive) as connection:
        assert len(connection.execute(select(tables.exchange.c.id)).all()) == 4
    assert called
    assert moved_file.sha256_of(path) == written.sha256


def test_what_came_back_from_an_archive_does_not_pass_as_put_away_again(stage):
    """Until it is put away again in order."""
    old(stage)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path, _ = moved_out(stage)
    recall.recall(stage.context(), path, None, actor="the auditor", reason="an audit")
    assert_whole(stage)
    with stage.ledger.transaction("the auditor") as recorder:
        holds.release(recorder, 1, reason="over")
    retain.apply(stage.context(), move_to=stage.directory / "old")
    assert_whole(stage)
    recall.recall(stage.context(), path, Query(type="850"), actor="the auditor", reason="once more")
    assert_whole(stage)
    with stage.ledger.reading() as connection:
        mine = select(tables.event).where(tables.event.c.exchange.is_not(None)).order_by(tables.event.c.seq)
        row = connection.execute(mine.limit(1)).mappings().one()
    on_sqlite = stage.engine.dialect.name == "sqlite"
    with retention_purge.purging(stage.engine) as engine, database.writing(engine) as connection:
        for trigger in ("event_no_update", "event_no_delete") if on_sqlite else ("event_append_only",):
            connection.execute(text(f"DROP TRIGGER {trigger}" + ("" if on_sqlite else " ON event")))
        connection.execute(delete(tables.event).where(tables.event.c.seq == row["seq"]))
        connection.execute(insert(tables.event_leaf).values(seq=row["seq"], leaf=tree.leaf(row)))
    assert list(damage(stage.engine)) == [
        f"Event {row['seq']} is gone, and no event tells that it was put away.",
    ]
