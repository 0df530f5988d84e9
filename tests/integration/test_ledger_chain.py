"""A business document followed across types, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import ledger_rows as make
from builders.overheard import overheard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from gateway.ledger import chain, tables
from gateway.ledger.chain import follow
from gateway.ledger.chain_words import row_of, tell_chain
from gateway.ledger.database import writing
from gateway.ledger.key_value import key_value

pytestmark = pytest.mark.integration

START = make.START
DAY = 86_400_000
UTC = ZoneInfo("UTC")


def document(connection, set_id: str, at: int, *keys: tuple[str, str], direction: str = "in", **values) -> int:
    """An exchange with one set and its keys; the exchange's id."""
    number = make.exchange(connection, at=at, types=set_id, direction=direction, **values)
    group = make.group(connection, number)
    made = make.transaction_set(
        connection, number, group, set_id=set_id, status="accepted" if direction == "in" else ""
    )
    for name, value in keys:
        make.business_key(connection, number, name, value, made)
    return number


def copied(connection, number: int, times: int) -> None:
    """So many more like the newest document, each with a set and keys of its own."""
    of = {tables.exchange: "id", tables.functional_group: "exchange", tables.transaction_set: "exchange"}
    numbers = {"id", "exchange", "functional_group", "transaction_set"}
    for table, owner in (of | {tables.business_key: "exchange"}).items():
        (row,) = connection.execute(select(table).where(table.c[owner] == number)).mappings()
        rows = [{k: v + n if k in numbers else v for k, v in row.items()} for n in range(1, times + 1)]
        connection.execute(table.insert(), rows)


@pytest.fixture
def order(ledger_engine):
    """An order from the 850 to the 820 that pays it and another invoice, and what has nothing to do with it."""
    with writing(ledger_engine) as connection:
        made = {
            "850": document(connection, "850", START, ("po", "4711")),
            "855": document(connection, "855", START + DAY, ("po", "4711"), direction="out"),
            "856": document(connection, "856", START + 2 * DAY, ("po", "4711"), ("po", "4712"), ("shipment", "SH-9"),
                            direction="out"),
            "861": document(connection, "861", START + 3 * DAY, ("shipment", "SH-9"), ("receipt", "RC-1")),
            "810": document(connection, "810", START + 4 * DAY, ("po", "4711"), ("invoice", "INV-7"), direction="out"),
            "820": document(connection, "820", START + 30 * DAY, ("invoice", "INV-7"), ("invoice", "INV-8"),
                            ("trace", "PAY-1")),
            "other order": document(connection, "850", START, ("po", "4712")),
            "other invoice": document(connection, "810", START, ("po", "4712"), ("invoice", "INV-8"), direction="out"),
            "other partner": document(connection, "850", START, ("po", "4711"), partner="globex"),
            "years ago": document(connection, "810", START - 2_000 * DAY, ("invoice", "INV-7"), direction="out"),
        }  # fmt: skip
        make.exchange(
            connection, types="997", kind="acknowledgment", direction="out", answers=made["850"], at=START + 9
        )
        sent = made["810"]
        row = connection.execute(
            text("SELECT id, functional_group FROM transaction_set WHERE exchange = :number"), {"number": sent}
        ).one()
        carrier = make.exchange(connection, types="997", kind="acknowledgment", state="reconciled")
        said = {"at": START + 5 * DAY, "carrier": carrier, "exchange": sent, "kind": "997", "relation": "matched"}
        make.insert(
            connection, tables.acknowledgment, **said, functional_group=row[1], status="rejected", names="IN 17"
        )
        make.insert(connection, tables.acknowledgment, **said, functional_group=row[1], transaction_set=row[0],
                    status="rejected", names="810 0001", errors=["BIG is wrong"])  # fmt: skip
        make.insert(connection, tables.acknowledgment, at=START + 5 * DAY - 1, carrier=carrier, exchange=sent,
                    kind="TA1", status="accepted", names="000000017", relation="matched")  # fmt: skip
    return ledger_engine, made


def types(found) -> list[str]:
    """The sets of a chain in their order."""
    return [each.set_id for each in found.documents]


def test_an_order_is_followed_to_its_payment_in_time_order(order):
    engine, made = order
    found = follow(engine, "4711", partner="acme")
    assert types(found) == ["850", "855", "856", "861", "810", "820"]
    assert [each.exchange for each in found.documents] == [made[each] for each in types(found)]
    assert [each.depth for each in found.documents] == [0, 0, 0, 1, 0, 1]
    assert found.documents[3].via == ("shipment", "SH-9")
    assert found.documents[5].via == ("invoice", "INV-7")
    assert {("po", "4711"), ("shipment", "SH-9"), ("invoice", "INV-7")} <= set(found.followed)
    assert not {("po", "4712"), ("invoice", "INV-8")} & set(found.followed)


@pytest.mark.parametrize(
    ("asked", "name", "expected"),
    [
        (
            "INV-7",
            "invoice",
            ["810", "850", "855", "856", "861", "810", "820"],
        ),  # the old invoice has the number itself
        ("SH-9", None, ["850", "850", "810", "855", "856", "861", "810", "820"]),  # two orders went in this shipment
        (
            "PAY-1",
            "trace",
            ["850", "850", "810", "855", "856", "861", "810", "820"],
        ),  # what was paid, and what led to it
        ("RC-1", "receipt", ["850", "850", "810", "855", "856", "861", "810", "820"]),
        ("nobody has it", None, []),
    ],
)
def test_the_same_story_is_found_from_its_other_ends(order, asked, name, expected):
    engine, _ = order
    assert sorted(types(follow(engine, asked, name=name, partner="acme"))) == sorted(expected)


def test_each_document_has_what_was_answered_to_it(order):
    engine, _ = order
    by_type = {each.set_id: each for each in follow(engine, "4711", partner="acme").documents}
    (ours,) = by_type["850"].answers
    assert (ours.kind, ours.direction, ours.status, ours.at) == ("997", "out", "accepted", START + 9)
    ta1, theirs = by_type["810"].answers
    assert (ta1.kind, ta1.status) == ("TA1", "accepted")
    assert (theirs.kind, theirs.status, theirs.errors) == ("997", "rejected", ("BIG is wrong",))
    assert by_type["820"].answers == ()


def test_it_is_the_story_of_the_partner_that_had_the_number_last_and_the_others_are_named(order):
    engine, _ = order
    found = follow(engine, "4711")
    assert (found.partner, found.others) == ("acme", ("globex",))
    assert {each.partner for each in found.documents} == {"acme"}
    assert types(follow(engine, "4711", partner="globex")) == ["850"]
    assert len(follow(engine, "4711", all_partners=True).documents) == 7


def test_a_story_is_told_line_by_line(order):
    engine, made = order
    lines = tell_chain(follow(engine, "4711", partner="acme"), UTC)
    assert lines[0] == "4711 with acme: 6 documents, 850 → 855 → 856 → 861 → 810 → 820"
    told = "\n".join(lines)
    assert f"22 Nov 2026 02:00:00  ← 850  po 4711: accepted, delivered, exchange {made['850']}" in told
    assert "├─ the partner's TA1 of" in told
    assert "└─ the partner's 997 of 27 Nov 2026 02:00:00: rejected, exchange" in told
    assert "(by invoice INV-7)" in told


def test_the_forms_for_machines(order):
    engine, _ = order
    found = follow(engine, "4711", partner="acme")
    document = json.loads(json.dumps(found.as_dict()))
    assert document["documents"][0]["at"].startswith("2026-11-2")
    assert document["documents"][0]["answers"][0]["kind"] == "997"
    assert row_of(found.documents[0])["type"] == "850"


# ---------------------------------------------------------------- what must not join everything


def test_a_number_that_says_nothing_joins_nothing(ledger_engine):
    with writing(ledger_engine) as connection:
        document(connection, "850", START, ("po", "4711"), ("department", "1"), ("buyer", "NONE"), ("code", "000000"))
        document(connection, "850", START, ("po", "4712"), ("department", "1"), ("buyer", "none"), ("code", "000000"))
    found = follow(ledger_engine, "4711")
    assert len(found.documents) == 1
    assert {(each.name, each.value) for each in found.passed} == {
        ("department", "1"), ("buyer", "NONE"), ("code", "000000"),
    }  # fmt: skip


def test_names_that_are_not_unique_by_themselves_join_nothing(ledger_engine):
    with writing(ledger_engine) as connection:
        document(connection, "837", START, ("claim", "C-77"), ("reference", "BATCH-1"))
        document(connection, "837", START, ("claim", "C-78"), ("reference", "BATCH-1"))
        document(connection, "835", START, ("claim", "C-77"), ("check", "EFT-1"))
    assert types(follow(ledger_engine, "C-77")) == ["837", "835"]
    assert len(follow(ledger_engine, "BATCH-1").documents) == 3, "who asks for it gets it"


def test_what_stands_in_very_many_documents_is_not_followed_and_is_named(ledger_engine, monkeypatch):
    monkeypatch.setattr(chain, "COMMON", 5)
    with writing(ledger_engine) as connection:
        for number in range(8):
            document(connection, "850", START + number, ("po", f"PO-{number}"), ("store", "0042"))
    found = follow(ledger_engine, "PO-3")
    assert [each.keys for each in found.documents] == [(("po", "PO-3"), ("store", "0042"))]
    assert [(each.name, each.value) for each in found.passed] == [("store", "0042")]
    assert any("store 0042: it stands in 8 documents" in line for line in tell_chain(found, UTC))


def test_a_payment_of_very_many_claims_leads_to_none_of_the_others(ledger_engine):
    with writing(ledger_engine) as connection:
        document(connection, "837", START, ("claim", "C-1"))
        document(connection, "837", START, ("claim", "C-2"))
        document(connection, "835", START + DAY, ("check", "EFT-1"), *(("claim", f"C-{n}") for n in range(1, 500)))
        document(connection, "835", START + 2 * DAY, ("check", "EFT-1"), ("claim", "C-1"))
    found = follow(ledger_engine, "C-1")
    assert types(found) == ["837", "835", "835"]
    paid = follow(ledger_engine, "EFT-1")
    assert types(paid) == ["837", "835", "835"], "the second payment names one claim, which is followed"
    assert ("claim", "") in {(each.name, each.value) for each in paid.passed}
    assert all(len(each.keys) <= 401 for each in paid.documents)


def test_the_same_number_years_later_is_another_story(ledger_engine):
    with writing(ledger_engine) as connection:
        document(connection, "850", START, ("po", "4711"), ("contract", "K-1"))
        document(connection, "850", START + 100 * DAY, ("po", "4712"), ("contract", "K-1"))
        document(connection, "850", START + 900 * DAY, ("po", "4713"), ("contract", "K-1"))
    assert [each.keys[1][1] for each in follow(ledger_engine, "4711").documents] == ["4711", "4712"]


def test_no_more_documents_than_are_wanted_are_read(ledger_engine):
    with writing(ledger_engine) as connection:
        for number in range(30):
            document(connection, "850", START + number, ("po", "4711"))
    found = follow(ledger_engine, "4711", most=10)
    assert (len(found.documents), found.cut) == (10, True)
    assert found.documents[-1].at == START + 29, "the newest are kept"
    assert "There are more documents than these." in tell_chain(found, UTC)


def test_a_number_of_any_length_is_followed(ledger_engine):
    value = "X" * 5_000
    with writing(ledger_engine) as connection:
        document(connection, "850", START, ("po", key_value(value)))
    assert types(follow(ledger_engine, value)) == ["850"]


@pytest.mark.parametrize("value", ["", "   ", "\0", "a\0b", "\ud800", "%", "'; DROP TABLE exchange; --", "x" * 10**6])
def test_hostile_values_find_nothing_and_break_nothing(order, value):
    engine, _ = order
    assert follow(engine, value).documents == ()
    assert follow(engine, "4711", name=value or "nothing", partner="acme").documents == ()
    assert follow(engine, "4711", partner=value or "nobody").documents == ()


def test_what_partners_wrote_cannot_break_a_line(ledger_engine):
    with writing(ledger_engine) as connection:
        document(connection, "850", START, ("po", "a\x1b[2J\nb"), ("k", "x\r\n999"))
    lines = tell_chain(follow(ledger_engine, "a\x1b[2J\nb"), UTC)
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


# ---------------------------------------------------------------- against a simple search, and by indexes only

NAMES = st.sampled_from(["po", "invoice", "shipment", "reference"])
VALUES = st.sampled_from(["4711", "4712", "INV-1", "INV-2", "SH-1", "1"])
WORLD = st.lists(
    st.tuples(st.sampled_from(["acme", "globex"]), st.lists(st.tuples(NAMES, VALUES), max_size=3)), max_size=12
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(WORLD, VALUES)
def test_it_finds_what_a_search_through_everything_finds(ledger_engine, world, asked):
    """In a small world nothing is common: the chain is the closure by the rules that the module names."""
    with writing(ledger_engine) as connection:
        for table in ("business_key", "transaction_set", "functional_group", "exchange"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        made = {document(connection, "850", START, *set(keys), partner=who): (who, set(keys)) for who, keys in world}
    found = follow(ledger_engine, asked, partner="acme")
    assert {each.exchange for each in found.documents} == simple(made, asked)


def simple(made: dict[int, tuple[str, set[tuple[str, str]]]], asked: str) -> set[int]:
    """The same by going through all documents again and again."""
    mine = {number: keys for number, (who, keys) in made.items() if who == "acme"}
    names = {number: {name for name, value in keys if value == asked} for number, keys in mine.items()}
    layer = {number for number, by in names.items() if by}
    started = set().union(*(names[number] for number in layer)) if layer else set()
    found = {number: set(names[number]) for number in layer}
    followed = {(name, asked) for name in started}
    for _ in range(chain.DEPTH):
        leading = {
            (name, value)
            for number in layer
            for name, value in mine[number]
            if name not in found[number] | started | chain.WEAK and len(value) >= chain.SHORTEST
        } - followed
        followed |= leading
        layer = set()
        for number, keys in mine.items():
            by = {name for name, value in keys & leading}
            if by and number not in found:
                layer.add(number)
            if by:
                found.setdefault(number, set()).update(by)
    return set(found)


def test_every_question_is_answered_by_an_index(order):
    """At ten million exchanges no question may go through a table."""
    engine, _ = order
    with overheard(engine) as asked:
        follow(engine, "4711", partner="acme")
    questions = [each for each in asked if "FROM" in each[0]]
    assert len(questions) < 25
    assert [plan for each in questions for plan in plans(engine, *each) if goes_through_a_table(plan)] == []


def plans(engine, statement: str, parameters: Any) -> list[str]:
    """How the database answers a question, line by line."""
    on_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if not on_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a small table would be read as a whole
        explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
        return [str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]


def goes_through_a_table(plan: str) -> bool:
    """Whether a line of a plan is a scan of a table, not of what an index gave before."""
    return "Seq Scan" in plan or (plan.startswith("SCAN") and plan.split()[1] in tables.metadata.tables)


def test_what_others_have_under_the_same_number_hides_no_partners_documents(ledger_engine):
    """A number as plain as 1001 is everybody's; the one partner that was asked for is found behind them."""
    with writing(ledger_engine) as connection:
        mine = document(connection, "850", START, ("po", "1001"), partner="old")
        copied(connection, document(connection, "850", START, ("po", "1001"), partner="new"), chain._LOOKED_AT)
    found = follow(ledger_engine, "1001", partner="old")
    assert [each.exchange for each in found.documents] == [mine]


def test_a_document_with_very_many_numbers_leads_on_by_its_others(ledger_engine):
    """A payment of five hundred invoices still leads to its advice, and says how many it names."""
    many = [("invoice", f"INV{number:05}") for number in range(500)]
    with writing(ledger_engine) as connection:
        document(connection, "810", START, ("invoice", "INV00007"), direction="out")
        document(connection, "820", START + DAY, *many, ("trace", "TRC-777"), ("po", "PO-XYZ"))
        document(connection, "824", START + 2 * DAY, ("trace", "TRC-777"))
        document(connection, "850", START - DAY, ("po", "PO-XYZ"))
    assert types(follow(ledger_engine, "INV00007")) == ["850", "810", "820", "824"]
    found = follow(ledger_engine, "PO-XYZ")
    assert [each.reason for each in found.passed if each.name == "invoice"] == ["one 820 names 500 of them"]
