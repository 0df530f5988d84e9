"""Whatever is changed, removed, added or moved past the recorder is named by a verification, on both databases."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import Any

import pytest
from builders.by_hand import by_hand
from builders.recorded import fill, ledger_of
from sqlalchemy import Engine, Text, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from gateway.ledger import database, encoding, helpers, prints, scanning, tables, tree
from gateway.ledger.seals import make_seal
from gateway.ledger.verify import Difference, Verification

pytestmark = pytest.mark.integration
COUNT = 150  # exchanges: more than two tiles of events
FILLED = (
    *("message", "payload", "exchange", "interchange_key", "functional_group", "transaction_set", "business_key"),
    *("finding", "acknowledgment", "receipt", "received_number"),
)  # the audited tables that ``fill`` writes


def some(engine: Engine) -> None:
    fill(engine, COUNT)


@pytest.fixture
def filled(ledger_with):
    return ledger_with(some)


def differences(engine: Engine) -> list[Difference]:
    with database.reading(engine) as connection:
        return list(Verification(connection).full())


def sentences(engine: Engine) -> list[str]:
    return [each.sentence for each in differences(engine)]


def seal_of(engine: Engine) -> Any:
    with database.reading(engine) as connection:
        head = tree.head_of(connection)
    return make_seal("us.example/ledger", head.size, head.root, head.seq, 1_795_312_800_000)


# ---------------------------------------------------------------- as it should be


def test_what_was_recorded_verifies_and_all_of_it_was_looked_at(filled):
    with database.reading(filled) as connection:
        look = Verification(connection)
        assert list(look.full()) == []
        events = connection.execute(select(tables.event.c.seq).order_by(tables.event.c.seq)).scalars().all()
    assert events == list(range(1, len(events) + 1))
    assert look.extent.events == look.extent.size == len(events) > 2 * tree.TILE
    assert look.extent.rows == COUNT * len(FILLED)


def test_a_row_that_the_database_encodes_otherwise_is_looked_at_again(filled, monkeypatch):
    """What SQLite's JSON says of a row is a shortcut: where it differs, the row is read as it was recorded."""
    monkeypatch.setattr(encoding.Encoding, "each_digest", lambda own, rows: [b"x" * own.length for _ in rows])
    assert sentences(filled) == []


def test_an_empty_ledger_verifies(ledger_engine):
    assert sentences(ledger_engine) == []


def test_each_transaction_ends_with_the_digests_of_what_it_wrote(filled):
    with database.reading(filled) as connection:
        kinds = connection.execute(select(tables.event.c.kind).order_by(tables.event.c.seq)).scalars().all()
    assert kinds[-1] == "recorded"
    assert kinds.count("recorded") == 2 * -(-COUNT // 7)


def test_a_transaction_that_is_undone_leaves_no_trace_in_the_tree(filled):
    before = seal_of(filled)

    class UndoneError(Exception): ...

    with suppress(UndoneError), ledger_of(filled).transaction() as recorder:
        recorder.event("accepted", exchange=1)
        recorder.change(tables.exchange, 1, state="delivered")
        recorder.finish()
        raise UndoneError
    assert seal_of(filled) == before
    assert sentences(filled) == []


# ---------------------------------------------------------------- events


def test_a_changed_event_is_named(filled):
    with database.reading(filled) as connection:
        wanted = select(tables.event.c.seq).where(tables.event.c.kind == "examined", tables.event.c.exchange == 40)
        seq = connection.execute(wanted).scalar_one()
    by_hand(filled, update(tables.event).where(tables.event.c.seq == seq).values(body='{"verdict": "rejected"}'))
    assert sentences(filled) == [f"Event {seq} is not what was recorded."]


@pytest.mark.parametrize("column", [*tree.LEAF[1:], "rows"])
def test_no_column_of_an_event_can_be_changed_unseen(filled, column):
    values = {"at": 1, "exchange": 2, "message": 2, "rows": b"0123456789abcdef"}
    with database.reading(filled) as connection:
        kind = tables.event.c.kind == ("recorded" if column == "rows" else "examined")
        seq = connection.execute(select(tables.event.c.seq).where(kind, tables.event.c.seq > 20).limit(1)).scalar_one()
    by_hand(filled, update(tables.event).where(tables.event.c.seq == seq).values({column: values.get(column, "{}x")}))
    assert f"Event {seq} is not what was recorded." in sentences(filled)


@pytest.mark.parametrize("value", ["x'00ff'", "CAST(x'c328' AS TEXT)", "1e400", "'a' || char(0)", "-1.5"])
def test_what_no_ledger_ever_writes_is_named_and_hides_nothing_else(request, tmp_path, value):
    """SQLite keeps any value in any column: blobs, bytes that are no text and endless numbers stop no verification."""
    shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "ledger.db")
    engine = database.open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    fill(engine, 3)
    by_hand(
        engine,
        text(f"UPDATE exchange SET subject = {value} WHERE id = 1"),
        text(f"UPDATE business_key SET value = {value} WHERE exchange = 2"),
        text(f"UPDATE event SET body = {value} WHERE seq = 3"),
        text(f"UPDATE event SET rows = {value}, actor = {value} WHERE seq = 5"),
        text("UPDATE exchange SET subject = 'other' WHERE id = 3"),
    )
    said = [each for each in sentences(engine) if not each.startswith(("Node", "The tree"))]
    engine.dispose()
    for named in ("Exchange 1 ", "exchange 2 ", "Event 3 ", "Event 5 ", "Exchange 3 "):
        assert [each for each in said if named in each], (named, said)


@pytest.mark.parametrize("seq", [1, 256, 257, 400])
def test_a_removed_event_is_missed(filled, seq):
    by_hand(filled, delete(tables.event).where(tables.event.c.seq == seq))
    found = differences(filled)
    assert found[0].kind == "event"
    assert "missing" in found[0].sentence
    before = {1: "at its beginning", 257: "at its beginning"}.get(seq, f"after event {seq - 1}")
    assert before in found[0].sentence


def test_events_that_changed_places_are_named(filled):
    e = tables.event
    by_hand(
        filled,
        update(e).where(e.c.seq == 30).values(seq=99_999),
        update(e).where(e.c.seq == 31).values(seq=30),
        update(e).where(e.c.seq == 99_999).values(seq=31),
    )
    assert sentences(filled)[0] == "Event 30 is not what was recorded."


def test_an_event_that_was_added_at_the_end_is_named(filled):
    row = tree.recorded(0, "{}", b"") | {"seq": 5_000, "kind": "accepted", "exchange": 1, "rows": None}
    by_hand(filled, insert(tables.event).values(row))
    assert sentences(filled) == ["Event 5000 was never recorded: it is not in the tree."]


def test_a_shortened_ledger_whose_tree_was_left_alone_is_noticed(filled):
    newest = seal_of(filled).seq
    by_hand(filled, delete(tables.event).where(tables.event.c.seq > newest - 5))
    found = sentences(filled)
    assert any("5 event(s)" in each and "missing" in each for each in found)


def test_a_changed_tile_and_a_changed_upper_node_are_named(filled):
    n = tables.tree_node
    by_hand(filled, update(n).where(n.c.position == 1).values(hash=bytes(32)))
    found = differences(filled)
    assert [each.reference for each in found] == ["tile 1", "head"]
    by_hand(filled, delete(n).where(n.c.position == 1))
    assert "Tile 1 of the tree is missing." in sentences(filled)


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("name", FILLED)
def test_a_changed_a_removed_and_an_added_row_of_every_audited_table_is_named(filled, name):
    audited = prints.AUDITED[name]
    table = audited.table
    owner = table.c[audited.owner]
    changed = next(each for each in table.columns if isinstance(each.type, Text) and not each.foreign_keys)
    with database.reading(filled) as connection:
        extra = dict(connection.execute(select(table).where(owner == 5)).mappings().first() or {})
    extra |= {"id": 900_000} if audited.one_by_one else {audited.owner: 900_000}
    if "id" in extra:
        extra["id"] = 900_000
    if name in {"interchange_key", "business_key"}:
        extra[changed.name] = "another"
    by_hand(
        filled,
        update(table).where(owner == 3).values({changed.name: table.c[changed.name] + "x"}),
        delete(table).where(owner == 4),
        insert(table).values(extra),
    )
    found = {each.reference: each.sentence for each in differences(filled)}
    words = name.replace("_", " ") if audited.one_by_one else f"{name.replace('_', ' ')} of exchange"
    assert set(found) == {f"{words} 3", f"{words} 4", f"{words} 900000"}
    assert "is not what was recorded" in found[f"{words} 3"]
    assert "is missing" in found[f"{words} 4"]
    assert "was never recorded" in found[f"{words} 900000"]


def test_every_column_of_an_exchange_counts(filled):
    x = tables.exchange
    with database.reading(filled) as connection:
        before = connection.execute(select(x).where(x.c.id == 5)).mappings().one()
    for column in x.columns:
        if column.name == "id":
            continue
        value: Any = "changed" if isinstance(column.type, Text) else 424_242
        by_hand(filled, update(x).where(x.c.id == 5).values({column.name: value}))
        assert [each.reference for each in differences(filled)] == ["exchange 5"], column.name
        by_hand(filled, update(x).where(x.c.id == 5).values({column.name: before[column.name]}))
    assert differences(filled) == []


def test_a_row_put_back_to_what_it_was_before_its_last_change_is_named(filled):
    x = tables.exchange
    by_hand(filled, update(x).where(x.c.id == 7).values(state="accepted", updated_at=x.c.at))
    assert sentences(filled) == ["Exchange 7 is not what was recorded."]


def test_many_wrong_rows_are_said_one_by_one_up_to_a_number_and_then_counted(filled):
    by_hand(filled, update(tables.exchange).values(partner="globex"))
    found = sentences(filled)
    assert len(found) == 21
    assert found[-1] == f"{COUNT - 20} more rows of exchange are not what was recorded."


def test_processes_side_by_side_see_the_same_and_what_is_recorded_meanwhile_is_no_difference(filled, monkeypatch):
    monkeypatch.setattr(scanning, "WORTH_IT", 1)
    with database.reading(filled) as connection:
        connection.execute(select(tables.tree_head)).all()  # our moment begins here
        fill(filled, 5, first=COUNT + 1)
        with ledger_of(filled).transaction() as recorder:
            recorder.change(tables.exchange, 5, state="rejected")
            recorder.event("rejected", exchange=5)
        look = Verification(connection, processes=3)
        assert list(look.full()) == []
    assert look.extent.rows == COUNT * len(FILLED)
    by_hand(filled, update(tables.exchange).where(tables.exchange.c.id == 5).values(state="delivered"))
    with database.reading(filled) as connection:
        found = [each.sentence for each in Verification(connection, processes=3).full()]
    assert found == ["Exchange 5 is not what was recorded."]


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_process_beside_cannot_do_is_done_all_the_same(filled, monkeypatch, killed):
    """It may die, or meet bytes where a text should be, which no JSON can hold."""
    on_sqlite = filled.dialect.name == "sqlite"
    monkeypatch.setattr(scanning, "WORTH_IT", 1)
    wrong = text("x'C3'") if on_sqlite else "altered"
    by_hand(filled, update(tables.exchange).where(tables.exchange.c.id == 5).values(subject=wrong))
    begun = helpers.Helper.__init__
    started = []

    def begin(helper, *what):
        begun(helper, *what)
        started.append(helper)
        if killed:
            helper.process.kill()

    monkeypatch.setattr(helpers.Helper, "__init__", begin)
    with database.reading(filled) as connection:
        look = Verification(connection, processes=3)
        found = [each.sentence for each in look.full()]
    assert found == ["Exchange 5 is not what was recorded."]
    assert look.extent.rows == COUNT * len(FILLED)
    assert len(started) == (2 if on_sqlite else 0)
    assert all(each.process.poll() is not None for each in started)  # none is left behind


# ---------------------------------------------------------------- removal in order


def test_events_and_rows_that_were_put_away_in_order_are_not_missed_and_come_back_only_as_they_were(filled):
    with database.reading(filled) as connection:
        e = tables.event
        mine = select(e).where(e.c.exchange == 3).order_by(e.c.seq)
        gone = [dict(row) for row in connection.execute(mine).mappings()]
    seqs = [row["seq"] for row in gone]
    with ledger_of(filled).transaction() as recorder:
        recorder.remove(tables.finding, [3])
        recorder.remove(tables.received_number, [3])
        recorder.event("purged", what="1 exchange", policy="policy", exchanges=[[3, 3]])
        with tree.permit(recorder.connection, "policy"):
            assert tree.forget_events(recorder.connection, seqs) == len(seqs) == 3
    assert sentences(filled) == []
    with ledger_of(filled).transaction() as recorder, tree.permit(recorder.connection, "restore"):
        changed = [gone[0] | {"kind": "rejected"}, *gone[1:]]
        assert tree.recall_events(recorder.connection, changed) == [seqs[0]]
        assert tree.recall_events(recorder.connection, gone) == seqs[1:]
    assert sentences(filled) == []
    with database.reading(filled) as connection:
        again = connection.execute(mine).mappings().all()
    assert [dict(row) for row in again] == gone


def test_a_row_that_was_removed_in_order_and_is_there_again_is_named(filled):
    with database.reading(filled) as connection:
        found = tables.finding
        row = dict(connection.execute(select(found).where(found.c.exchange == 3)).mappings().one())
    with ledger_of(filled).transaction() as recorder:
        recorder.remove(found, [3])
        recorder.event("purged", what="1 exchange", policy="policy", exchanges=[[3, 3]])
    by_hand(filled, insert(found).values(row))
    assert sentences(filled) == ["Finding of exchange 3 was never recorded, or was removed and has come back."]


@pytest.mark.parametrize("name", ["event", "content", "content_piece", "event_leaf", "seal"])
def test_nothing_is_changed_and_without_a_permit_nothing_is_removed(filled, name):
    table = tables.metadata.tables[name]
    rows = {
        "content_piece": {"sha256": "ab" * 32, "ordinal": 0, "bytes": b"x"},
        "event_leaf": {"seq": 9_999, "leaf": bytes(32)},
        "seal": {"size": 1, "seq": 1, "at": 1, "note": "x"},
    }
    if name == "content_piece":
        with database.writing(filled) as connection:
            whole = {"sha256": "ab" * 32, "size": 1, "at": 1, "bytes": b"", "pieces": 1}
            connection.execute(insert(tables.content).values(whole))
    if name in rows:
        with database.writing(filled) as connection:
            connection.execute(insert(table).values(rows[name]))
    key = next(iter(table.primary_key.columns))
    for statement in (update(table).values({key.name: key}), delete(table)):
        with pytest.raises((DBAPIError, Exception), match="append-only"), database.writing(filled) as connection:
            connection.execute(statement)
    if name in rows:
        with database.writing(filled) as connection, tree.permit(connection, "test"):
            connection.execute(delete(table).where(*(table.c[each] == rows[name][each] for each in _keys(table))))


def _keys(table: Any) -> list[str]:
    return [each.name for each in table.primary_key.columns]


# ---------------------------------------------------------------- since a seal


def test_since_a_seal_only_later_events_and_their_rows_are_read(filled):
    seal = seal_of(filled)
    fill(filled, 10, first=COUNT + 1)
    with database.reading(filled) as connection:
        look = Verification(connection)
        assert list(look.since(seal)) == []
    assert look.extent.events == look.extent.size - seal.size
    assert look.extent.rows == 10 * len(FILLED)


def test_since_a_seal_a_later_event_or_row_that_was_changed_is_named(filled):
    seal = seal_of(filled)
    fill(filled, 10, first=COUNT + 1)
    with database.reading(filled) as connection:
        newest = connection.execute(select(func.max(tables.exchange.c.id))).scalar_one()
    by_hand(
        filled,
        update(tables.event).where(tables.event.c.seq == seal.seq + 2).values(partner="globex"),
        update(tables.exchange).where(tables.exchange.c.id == newest).values(partner="globex"),
    )
    with database.reading(filled) as connection:
        found = [each.sentence for each in Verification(connection).since(seal)]
    assert f"Exchange {newest} is not what was recorded." in found
    assert any(f"Event {seal.seq + 2} is not" in each or "not the one over" in each for each in found)


def test_a_tree_that_was_made_anew_over_other_events_does_not_fit_the_seal_that_was_kept_outside(filled):
    """Whoever may write to the database can make everything agree with itself; the seal outside does not."""
    seal = seal_of(filled)
    e = tables.event
    empty = {"size": 0, "next_seq": 1, "frontier": b"", "checks": b"", "first_seq": 1, "adopted": 0}
    by_hand(
        filled,
        update(e).where(e.c.seq == 5).values(partner="globex"),
        update(tables.exchange).where(tables.exchange.c.id == 2).values(partner="globex"),
        update(e).where(e.c.kind == "recorded").values(rows=None),  # which tell that the exchange was another one
        delete(tables.tree_node),
        update(tables.tree_head).values(empty),
    )
    with database.writing(filled) as connection:
        tree.adopt(connection, 0)
    assert sentences(filled) == []
    with database.reading(filled) as connection:
        found = list(Verification(connection).since(seal))
    assert found[0].kind == "seal"
    assert "are not those that were sealed" in found[0].sentence


def test_a_seal_over_more_than_there_is_does_not_verify(filled):
    seal = seal_of(filled)
    beyond = make_seal(seal.origin, seal.size + 300, seal.root, seal.seq + 300, 0)
    with database.reading(filled) as connection:
        assert [each.kind for each in Verification(connection).since(beyond)] == ["seal"]


# ---------------------------------------------------------------- ledgers from before


def test_what_was_written_before_there_was_a_tree_is_taken_into_it(ledger_url):
    engine = database.open_engine(ledger_url)
    database.upgrade(engine, "0004")
    with database.writing(engine) as connection:
        for number in range(1, 301):
            statement = "INSERT INTO event (seq, at, kind, body) VALUES (:seq, 1, 'received', '{}')"
            connection.execute(text(statement), {"seq": number * 3})  # with gaps, as a sequence leaves them
        mail = "INSERT INTO message (id, at, direction, state, sha256) VALUES (:id, 1, 'in', 'stored', 'x')"
        for number in (1, 2, 5):
            connection.execute(text(mail), {"id": number})
    if engine.dialect.name == "postgresql":
        with database.writing(engine) as connection:
            connection.execute(text("SELECT setval(pg_get_serial_sequence('message', 'id'), 5)"))
    database.upgrade(engine)
    assert sentences(engine) == []
    fill(engine, 3)
    assert sentences(engine) == []
    by_hand(engine, update(tables.event).where(tables.event.c.seq == 300).values(kind="noted"))
    by_hand(engine, delete(tables.message).where(tables.message.c.id == 5))
    found = sentences(engine)
    assert "Event 300 is not what was recorded." in found
    assert "Message 5 is missing: it was recorded, and never removed in order." in found
    engine.dispose()


def test_proofs_and_places_of_events_come_from_the_kept_nodes(filled):
    from gateway.ledger import merkle

    with database.reading(filled) as connection:
        head = tree.head_of(connection)
        nodes = tree.Nodes(connection, head.size)
        assert nodes.root(head.size) == head.root
        rows = connection.execute(select(tables.event).order_by(tables.event.c.seq)).mappings().all()
        leaves = [tree.leaf(row) for row in rows]
        for index in (0, 1, 255, 256, 300, 511, 512, head.size - 1):
            assert nodes.index_of(rows[index]["seq"]) == index
            assert nodes.seq_of(index) == rows[index]["seq"]
            proof = merkle.inclusion(index, head.size, nodes.subtree)
            assert merkle.root_from_inclusion(index, head.size, leaves[index], proof) == head.root
        old = merkle.root_of(300, nodes.subtree)
        assert old == tree.root_over(leaves[:300])


def test_two_writers_on_postgresql_never_give_a_number_twice(request):
    """Transactions that end at the same time append one after the other, in the order of their commits."""
    import threading

    server = request.getfixturevalue("postgres")
    url = server.fresh_database(request.getfixturevalue("migrated_template"))
    engine = database.open_engine(url)
    ledger = ledger_of(engine)

    def work(name: str) -> None:
        for number in range(25):
            ledger.record("secret-set", partner=name, name=f"{name}.{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with database.reading(engine) as connection:
        seqs = connection.execute(select(tables.event.c.seq).order_by(tables.event.c.seq)).scalars().all()
    assert seqs == list(range(1, 76))
    assert sentences(engine) == []
    engine.dispose()
