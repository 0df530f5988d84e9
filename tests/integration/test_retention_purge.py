"""Putting away on both databases: what goes, what stays, and that a verification finds nothing wrong afterwards."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import ContentPutAway, DatabaseUnavailable, NotAsRecorded, NotFound
from gateway.flow import operate, retain
from gateway.flow.submit import submit
from gateway.ledger import daily, database, holds, retention_purge, tables, tree
from gateway.ledger.damage import damage
from gateway.ledger.query import Query
from gateway.ledger.recording import Recorder
from gateway.ledger.story import raw_bytes, story
from gateway.ledger.verify import Verification
from gateway.settings import Kept, RetentionSettings

pytestmark = pytest.mark.integration

DAY = 24 * HOUR
YEAR = timedelta(days=366)


@pytest.fixture
def stage(tmp_path, ledger_engine):
    """A gateway on either database, with short memory: 2 days of bytes, 400 days of history."""
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=400), payload=timedelta(days=2))
    )
    return stage


def life(stage, number=1):
    """An order that came and was answered, an invoice that went and was acknowledged."""
    stage.mail(orders(2 * number - 1))
    submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.run()
    (ours,) = [row for row in stage.rows("exchange") if row["types"] == "810"][-1:]
    group = next(row for row in stage.rows("functional_group") if row["exchange"] == ours["id"])
    stage.mail(acknowledgment(2 * number, int(str(group["control_number"]))))
    stage.run()


def count(stage, table):
    with stage.ledger.reading() as connection:
        return connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one()


def assert_whole(stage):
    """Nothing is wrong: tree, rows, bytes, and no row points to one that is gone."""
    with database.reading(stage.engine) as connection:
        assert [each.sentence for each in Verification(connection).full()] == []
        assert daily.check(connection) == []
    assert list(damage(stage.engine)) == []


def test_nothing_goes_before_its_time(stage):
    life(stage)
    assert retain.plan(stage.context()).lines == ()
    before = {name: stage.rows(name) for name in ("exchange", "message", "event", "content")}
    assert retain.apply(stage.context()) == retain.Gone()
    assert {name: stage.rows(name) for name in before} == before


def test_raw_bytes_go_first_and_their_story_stays(stage):
    life(stage)
    stage.now += 3 * DAY
    told = retain.plan(stage.context())
    assert {line.what for line in told.lines} == {"payload"}
    gone = retain.apply(stage.context())
    assert gone.contents == sum(line.contents for line in told.lines) > 0
    assert gone.size == sum(line.size for line in told.lines)
    assert count(stage, "content") == 0
    name = stage.rows("exchange")[0]["sha256"]
    with pytest.raises(ContentPutAway, match=r"put away on 5 Nov 2026 .* by policy"):
        raw_bytes(stage.engine, str(name))
    with pytest.raises(NotFound, match="There is no content ff"):
        raw_bytes(stage.engine, "ff" * 32)
    assert story(stage.engine, 1).exchange.sha256 == name
    assert_whole(stage)
    assert retain.apply(stage.context()) == retain.Gone()


def test_history_goes_and_the_tree_still_adds_up(stage):
    life(stage)
    stage.now += 401 * DAY
    life(stage, 2)
    events = count(stage, "event")
    told = retain.plan(stage.context())
    gone = retain.apply(stage.context())
    assert (gone.exchanges, gone.messages) == (4, 4)
    assert sum(line.exchanges for line in told.lines) == 4
    assert sorted(str(row["types"]) for row in stage.rows("exchange")) == ["810", "850", "997", "997"]
    assert all(int(str(row["at"])) > stage.now - DAY for row in stage.rows("exchange"))
    assert count(stage, "event_leaf") >= gone.events > 0
    assert count(stage, "event") < events
    assert count(stage, "sighting") == 2
    assert_whole(stage)
    life(stage, 3)
    assert_whole(stage)


def test_what_is_held_never_goes_nor_what_comes_later_and_meets_the_hold(stage):
    life(stage)
    with stage.ledger.transaction("the lawyer") as recorder:
        number = holds.add(recorder, ["type=850"], Query(type="850"), reason="a dispute")
    stage.now += DAY
    stage.mail(orders(3))
    stage.run()
    stage.now += 500 * DAY
    retain.apply(stage.context())
    kept = {row["types"] for row in stage.rows("exchange")}
    assert "850" in kept
    held = [row for row in stage.rows("exchange") if row["types"] == "850"]
    assert [row["control_number"] for row in held] == ["000000001", "000000003"]
    for row in held:
        assert raw_bytes(stage.engine, str(row["sha256"]))
    with stage.ledger.transaction("the lawyer") as recorder:
        assert holds.release(recorder, number, reason="settled")
    retain.apply(stage.context())
    assert [row for row in stage.rows("exchange") if row["types"] == "850" and row["id"] == 1] == []
    assert_whole(stage)


@pytest.mark.parametrize("ended", ["payload", "ledger"])
def test_what_belongs_to_something_held_stays_with_its_bytes(stage, ended):
    """The acknowledgments both ways and a repetition; not what came beside."""
    life(stage)
    stage.mail(orders(1), subject="once more")
    stage.run()
    belongs, mails = stage.rows("exchange"), stage.rows("message")
    assert sorted(str(row["state"]) for row in belongs) == [
        *("acknowledged", "complete", "delivered", "duplicate", "reconciled")
    ]
    stage.mail(orders(3))
    stage.run()
    beside = [row for row in stage.rows("exchange") if row["id"] not in {each["id"] for each in belongs}]
    with stage.ledger.transaction("the lawyer") as recorder:
        held = [int(str(row["id"])) for row in belongs if row["state"] in {"acknowledged", "delivered"}]
        holds.add(recorder, [], None, exchanges=held, reason="a dispute")
    stage.now += {"payload": 3, "ledger": 401}[ended] * DAY
    stage.mail(orders(4))
    stage.run()
    retain.apply(stage.context())
    for row in (*belongs, *mails):
        assert raw_bytes(stage.engine, str(row["sha256"]))
    for row in beside:
        with pytest.raises(ContentPutAway if ended == "payload" else NotFound):
            raw_bytes(stage.engine, str(row["sha256"]))
    assert_whole(stage)


def test_what_still_waits_stays_whatever_its_age(stage):
    stage.mail(b"ISA no such thing", sender="stranger@nowhere.example")
    submit(stage.context(), "acme", invoice("INV-9"))
    stage.run()
    stage.now += 1000 * DAY
    told = retain.plan(stage.context())
    assert told.lines == ()
    assert set(told.staying) == {"it waits for a person", "an answer is awaited"}
    assert retain.apply(stage.context()) == retain.Gone()


def test_the_proof_of_an_exchange_lives_as_long_as_the_exchange(stage):
    """The 997 of an invoice has a shorter time than the invoice, and stays with it."""
    stage.settings = replace(
        stage.settings,
        retention=replace(stage.settings.retention, ledger=10 * YEAR, types=(("997", Kept(ledger=YEAR)),)),
    )
    life(stage)
    stage.now += 800 * DAY
    retain.apply(stage.context())
    assert sorted(str(row["types"]) for row in stage.rows("exchange")) == ["810", "850", "997", "997"]


def test_a_partner_and_a_type_have_policies_of_their_own(stage):
    stage.settings = replace(
        stage.settings,
        retention=RetentionSettings(payload=timedelta(days=30), types=(("850", Kept(payload=timedelta(days=10))),)),
    )
    stage.profiles = [ACME, GLOBEX.replace("identities", 'retention = { payload = "60d" }\nidentities')]
    stage.mail(orders(1))
    stage.mail(orders(1, sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    names = {str(row["partner"]): str(row["sha256"]) for row in stage.rows("exchange") if row["types"] == "850"}
    start = stage.now
    for day, gone in ((9, set()), (11, {"acme"}), (59, {"acme"}), (61, {"acme", "globex"})):
        stage.now = start + day * DAY
        retain.apply(stage.context())
        with stage.ledger.reading() as connection:
            there = set(connection.execute(select(tables.content.c.sha256)).scalars())
        assert {partner for partner, name in names.items() if name not in there} == gone, day
    assert_whole(stage)


def test_bytes_that_another_exchange_needs_stay(stage):
    """The same interchange comes again later: its bytes are kept as long as the later one needs them."""
    stage.mail(orders(1))
    stage.run()
    stage.now += DAY
    stage.mail(orders(1), sender="edi2@acme.example")
    stage.run()
    first, *_ = [row for row in stage.rows("exchange") if row["types"] == "850"]
    stage.now += DAY + HOUR
    retain.apply(stage.context())
    assert raw_bytes(stage.engine, str(first["sha256"]))
    stage.now += 2 * DAY
    retain.apply(stage.context())
    with pytest.raises(ContentPutAway):
        raw_bytes(stage.engine, str(first["sha256"]))
    assert_whole(stage)


def test_a_repetition_after_the_bytes_went_is_known_and_its_bytes_are_kept_again(stage):
    stage.mail(orders(1))
    stage.run()
    stage.now += 3 * DAY
    retain.apply(stage.context())
    stage.mail(orders(1), sender="edi2@acme.example")
    summary = stage.run()
    assert [str(fault) for _, fault in summary.troubles] == []
    assert "duplicate" in stage.states("in")
    name = str(stage.rows("exchange")[0]["sha256"])
    assert raw_bytes(stage.engine, name)
    assert "answer-put-away" in stage.kinds()
    assert_whole(stage)


def test_the_same_mail_after_the_bytes_of_its_receipt_went_gets_a_new_one(stage):
    stage.profiles[0] = ACME + '\n[security]\nreceipt = "unsigned"\n'
    mail = stage.mail(orders(1), **{"Disposition-Notification-To": "edi@acme.example"})
    stage.run()
    stage.now += 3 * DAY
    retain.apply(stage.context())
    stage.mailbox.deliver(b"Received: from a by b; Mon, 2 Nov 2026 22:00:00 +0000\r\n" + mail)
    summary = stage.run()
    assert (summary.troubles, summary.attention) == ((), ())
    given = [row for row in stage.rows("exchange") if row["kind"] == "receipt"]
    assert [row["state"] for row in given] == ["complete", "complete"]
    assert_whole(stage)


@pytest.mark.parametrize("statement", ["DELETE FROM event", "DELETE FROM content", "DELETE FROM content_piece"])
def test_without_a_permit_nothing_goes(stage, statement):
    life(stage)
    with stage.ledger.transaction() as recorder:
        recorder.keep(bytes(5_000_000))
    refused = pytest.raises((DatabaseUnavailable, DBAPIError), match="append-only")
    with refused, database.writing(stage.engine) as connection:
        connection.execute(text(statement))


def sentences(stage):
    """What a verification and a look at all bytes say."""
    with database.reading(stage.engine) as connection:
        found = [each.sentence for each in Verification(connection).full()]
    return found + list(damage(stage.engine))


def meddle(stage, *statements, **values):
    """What somebody with the database's password does."""
    on_sqlite = stage.engine.dialect.name == "sqlite"
    with retention_purge.purging(stage.engine) as engine, database.writing(engine) as connection:
        for table in ("event", "content", "event_leaf"):
            for trigger in (f"{table}_no_update", f"{table}_no_delete") if on_sqlite else (f"{table}_append_only",):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}" + ("" if on_sqlite else f" ON {table}")))
        for statement in statements:
            connection.execute(text(statement), values)


def test_an_event_whose_leaf_was_put_in_its_place_by_hand_is_named(stage):
    life(stage)
    victim = next(row for row in stage.rows("event") if row["kind"] == "delivered")
    meddle(
        stage,
        "INSERT INTO event_leaf (seq, leaf) VALUES (:seq, :leaf)",
        "DELETE FROM event WHERE seq = :seq",
        seq=victim["seq"],
        leaf=tree.leaf(victim),
    )
    assert sentences(stage) == [f"Event {victim['seq']} is gone, and no event tells that it was put away."]


def test_bytes_that_were_taken_away_by_hand_are_named_also_with_a_note_that_a_policy_did_it(stage):
    life(stage)
    name = stage.rows("exchange")[0]["sha256"]
    meddle(stage, "DELETE FROM content WHERE sha256 = :name", name=name)
    assert any(str(name) in each and "missing" in each for each in sentences(stage))
    with database.writing(stage.engine) as connection:
        connection.execute(tables.put_away.insert().values(sha256=name, at=1, policy="payload 2y"))
    assert sentences(stage) == [f"The bytes {name} are said to be put away, and no event tells of it."]


@pytest.mark.parametrize("table", ["business_key", "acknowledgment", "interchange_key"])
def test_a_row_that_goes_without_being_recorded_is_named(stage, table):
    life(stage)
    meddle(stage, f"DELETE FROM {table}")
    assert any("is missing: it was recorded, and never removed in order" in each for each in sentences(stage))


def test_bytes_that_came_again_after_they_were_put_away_and_are_taken_away_by_hand_are_named(stage):
    life(stage)
    stage.now += 3 * DAY
    retain.apply(stage.context())
    stage.mail(orders(1), subject="once more")
    stage.run()
    again = next(row for row in stage.rows("exchange") if row["state"] == "duplicate")
    assert_whole(stage)
    meddle(stage, "DELETE FROM content WHERE sha256 = :name", name=again["sha256"])
    assert sentences(stage) == [
        f"Exchange {again['id']} came with the bytes {again['sha256']} after they were put away, and they are missing."
    ]


@pytest.mark.parametrize("change", ["policy = 'by order of the auditor'", "at = 5"])
def test_a_note_of_what_was_put_away_that_differs_from_its_event_is_named(stage, change):
    life(stage)
    stage.now += 3 * DAY
    retain.apply(stage.context())
    assert_whole(stage)
    meddle(stage, f"UPDATE put_away SET {change}")
    said = sentences(stage)
    assert len(said) == count(stage, "put_away")
    assert all("The note of when and why" in each for each in said)


def test_a_hold_that_is_released_by_hand_is_named(stage):
    with stage.ledger.transaction("the lawyer") as recorder:
        number = holds.add(recorder, ["partner=acme"], Query(partner="acme"), reason="a dispute")
    meddle(stage, "UPDATE hold SET released_at = 1")
    assert sentences(stage) == [f"Hold {number} is not what was recorded."]


CHANGES = {
    "released": ("UPDATE hold SET released_at = 1", "UPDATE hold SET released_at = NULL"),
    "on less": ("UPDATE hold SET exchanges = '[]'", "UPDATE hold SET exchanges = '[' || :number || ']'"),
    "gone": ("DELETE FROM hold", None),
}


def order_of(stage):
    """The number of the first order that came."""
    return next(int(str(row["id"])) for row in stage.rows("exchange") if row["types"] == "850")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ended", ["payload", "ledger"])
def test_where_a_hold_was_changed_by_hand_nothing_is_put_away(stage, ended, change):
    """Or it could be released for a moment, and made again as it was, and no verification would find anything."""
    life(stage)
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.add(recorder, [], None, exchanges=[number := order_of(stage)], reason="a dispute")
    stage.now += {"payload": 3, "ledger": 401}[ended] * DAY
    stage.mail(orders(5))
    stage.run()
    before = [stage.rows(name) for name in ("exchange", "content")]
    by_hand, again = CHANGES[change]
    meddle(stage, by_hand)
    with pytest.raises(NotAsRecorded, match="legal hold 1 is not as recorded"):
        retain.apply(stage.context())
    assert [stage.rows(name) for name in ("exchange", "content")] == before
    if again:
        meddle(stage, again, **({"number": str(number)} if ":number" in again else {}))
        assert retain.apply(stage.context()) != retain.Gone()
        assert_whole(stage)


def test_a_hold_that_was_extended_and_released_in_order_stops_nothing(stage):
    life(stage)
    one, two, three, *_ = (int(str(row["id"])) for row in stage.rows("exchange"))
    for number in (one, two):
        with stage.ledger.transaction("the lawyer") as recorder:
            holds.add(recorder, [], None, exchanges=[number], reason="a dispute")
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.extend(recorder, 1, [three], [], "more of it")
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.release(recorder, 2, reason="settled")
    stage.now += 3 * DAY
    retain.apply(stage.context())
    meddle(
        stage, "UPDATE hold SET exchanges = '[' || :one || ']' WHERE id = 1", one=str(one)
    )  # as it was made, but not what it is
    stage.now += 400 * DAY
    stage.mail(orders(5))
    stage.run()
    with pytest.raises(NotAsRecorded, match="legal hold 1"):
        retain.apply(stage.context())


@pytest.mark.parametrize("ended", ["payload", "ledger"])
def test_what_was_put_away_while_a_hold_named_it_is_named(stage, ended, monkeypatch):
    life(stage)
    number = order_of(stage)
    mail = next(int(str(row["message"])) for row in stage.rows("exchange") if row["id"] == number)
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.add(recorder, [], None, exchanges=[number], messages=[mail], reason="a dispute")
    stage.now += {"payload": 3, "ledger": 401}[ended] * DAY
    stage.mail(orders(5))
    stage.run()
    monkeypatch.setattr(holds, "refuse_what_differs", lambda _: None)
    meddle(stage, "UPDATE hold SET released_at = 1")
    retain.apply(stage.context())
    meddle(stage, "UPDATE hold SET released_at = NULL")
    said = " ".join(sentences(stage))
    assert "while hold 1 kept it" in said
    if ended == "ledger":
        assert f"Exchange {number} was put away" in said
        assert f"Mail m{mail} was put away" in said
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.release(recorder, 1, reason="settled")
    assert "while hold 1 kept it" in " ".join(sentences(stage))


def test_what_would_need_bytes_that_were_put_away_is_refused_and_nothing_is_stuck(stage):
    life(stage)
    stage.now += 3 * DAY
    retain.apply(stage.context())
    by_type = {str(row["types"]): int(str(row["id"])) for row in stage.rows("exchange") if row["kind"] == "document"}
    with pytest.raises(ContentPutAway):
        operate.resend(stage.context(), by_type["810"], actor="ann", reason="asked")
    with pytest.raises(ContentPutAway):
        operate.resend_anew(stage.context(), by_type["810"], actor="ann", reason="asked")
    with pytest.raises(ContentPutAway):
        operate.redeliver(stage.context(), by_type["850"], actor="ann", reason="asked")
    with pytest.raises(ContentPutAway):
        operate.replay(stage.context(), str(by_type["850"]), actor="ann", reason="asked")
    stage.mail(orders(3))
    assert [str(fault) for _, fault in stage.run().troubles] == []
    assert_whole(stage)


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_dies_at_any_commit_is_taken_up_by_the_next(stage, after, monkeypatch):
    """What is left is whole after each death, and what goes in the end is what goes at once."""
    for number in (1, 2, 3):
        life(stage, number)
    stage.now += 401 * DAY
    life(stage, 4)
    monkeypatch.setattr(retain, "PAGE", 2)
    commits, finish = iter([False] * after + [True] * 100), Recorder.finish

    class DiedError(BaseException):
        pass

    def dying(recorder):
        finish(recorder)
        if next(commits):
            raise DiedError

    monkeypatch.setattr(Recorder, "finish", dying)
    with suppress(DiedError):
        retain.apply(stage.context())
    monkeypatch.setattr(Recorder, "finish", finish)
    assert_whole(stage)
    retain.apply(stage.context())
    assert_whole(stage)
    assert sorted(str(row["types"]) for row in stage.rows("exchange")) == ["810", "850", "997", "997"]


def test_that_rows_went_is_told_as_long_as_anything_speaks_of_them(stage):
    """What came with one commit as something held is gone; years later the ledger is whole still."""
    for number in (1, 2):
        stage.mail(orders(number))
    stage.run()
    first = {row["seq"] for row in stage.rows("event") if row["kind"] == "recorded"}
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.add(recorder, [], None, exchanges=[order_of(stage)], reason="a dispute")
    for number in (3, 4, 5):
        stage.now += 401 * DAY
        stage.mail(orders(number))
        stage.run()
        retain.apply(stage.context())
        assert_whole(stage)
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.release(recorder, 1, reason="over")
    stage.now += 401 * DAY
    for number in (6, 7):
        stage.mail(orders(number))
        stage.run()
        retain.apply(stage.context())
        assert_whole(stage)
    left = {row["seq"] for row in stage.rows("event") if row["kind"] == "recorded"}
    assert not left & first


def test_records_of_rows_that_are_gone_go_too_and_those_of_others_stay(stage):
    life(stage)
    first = [int(str(row["seq"])) for row in stage.rows("event") if row["kind"] == "recorded"]
    stage.now += 401 * DAY
    life(stage, 2)
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.add(recorder, [], None, messages=[int(str(stage.rows("message")[0]["id"]))], reason="x")
    retain.apply(stage.context())
    left = {int(str(row["seq"])) for row in stage.rows("event") if row["kind"] == "recorded"}
    assert 0 < len(left & set(first)) < len(first)
    assert_whole(stage)
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.release(recorder, 1, reason="over")
    retain.apply(stage.context())
    left = {int(str(row["seq"])) for row in stage.rows("event") if row["kind"] == "recorded"}
    assert not left & set(first)
    assert_whole(stage)
