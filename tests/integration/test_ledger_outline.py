"""The tree of an exchange and the bounds of a story, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from builders import ledger_rows as make
from sqlalchemy import select

from gateway.errors import NotFound
from gateway.ledger import tables
from gateway.ledger.database import writing
from gateway.ledger.drawing import draw
from gateway.ledger.outline import Branch, message_tree, tree
from gateway.ledger.story import story
from gateway.ledger.telling import tell

pytestmark = pytest.mark.integration

START = make.START
UTC = ZoneInfo("UTC")


def kinds(branch: Branch) -> list[str]:
    """The kinds on the way down the first branches."""
    return [branch.kind, *(kinds(branch.children[0]) if branch.children else [])]


@pytest.fixture
def mail(ledger_engine):
    """A mail with two files; the first holds an order that we answered, the second a duplicate of an older one."""
    with writing(ledger_engine) as connection:
        letter = make.message(connection, subject="Orders\x1b[31m of Sunday\nm99")
        first = make.insert(connection, tables.payload, message=letter, ordinal=1, path="2", file_name="a.edi",
                            content_type="application/edi-x12", sha256="aa" * 32, size=500)  # fmt: skip
        second = make.insert(
            connection, tables.payload, message=letter, ordinal=2, path="3", file_name="b.edi",
            content_type="text/plain", sha256="bb" * 32, size=9, repairs="line ends mended",
        )  # fmt: skip
        order = make.exchange(connection, message=letter, payload=first, verdict="partially_accepted")
        group = make.group(connection, order, status="partially_accepted", sets=2)
        good = make.transaction_set(
            connection, order, group, delivery="delivered", delivered_to="inbox/1.edi", delivered_at=START
        )
        make.business_key(connection, order, "po", "4711", good)
        bad = make.transaction_set(connection, order, group, ordinal=2, control_number="0002", status="rejected")
        make.insert(connection, tables.finding, exchange=order, functional_group=group, transaction_set=bad,
                    level="error", code="x", message="BEG03 is missing.")  # fmt: skip
        twin = make.exchange(connection, message=letter, payload=second, state="duplicate", duplicate_of=order)
        answer = make.exchange(
            connection, direction="out", kind="acknowledgment", types="997", answers=order, state="complete",
            control_number="000000005",
        )  # fmt: skip
    return ledger_engine, {"mail": letter, "order": order, "twin": twin, "answer": answer}


@pytest.fixture
def invoice(ledger_engine):
    """An invoice of ours that the partner rejected, set and all, with the receipt that it gave."""
    with writing(ledger_engine) as connection:
        letter = make.message(connection, direction="out", state="sent", to_addresses=[f"a{n}@x" for n in range(9)])
        part = make.insert(connection, tables.payload, message=letter, ordinal=1, file_name="810.edi",
                           content_type="application/EDI-X12", sha256="cc" * 32, size=300)  # fmt: skip
        sent = make.exchange(
            connection, direction="out", types="810", message=letter, payload=part, state="overdue", verdict=""
        )
        group = make.group(connection, sent, functional_id="IN", acknowledged="rejected", acknowledged_at=START)
        made = make.transaction_set(connection, sent, group, set_id="810", status="", acknowledged="rejected")
        carrier = make.exchange(connection, types="997", kind="acknowledgment", state="reconciled")
        said = {"at": START, "carrier": carrier, "exchange": sent, "kind": "997", "relation": "matched"}
        make.insert(connection, tables.acknowledgment, **said, functional_group=group, status="rejected", names="IN 17")
        make.insert(
            connection, tables.acknowledgment, **said, functional_group=group, transaction_set=made, status="rejected",
            codes="5", names="810 0001", errors=["segment BIG at position 2: wrong"],
        )  # fmt: skip
        make.insert(connection, tables.acknowledgment, at=START, carrier=carrier, exchange=sent, kind="TA1",
                    status="accepted", names="000000017", relation="contradicting")  # fmt: skip
        make.insert(connection, tables.expectation, exchange=sent, partner="acme", kind="functional", within=1,
                    due_at=START, overdue_at=START)  # fmt: skip
        make.insert(connection, tables.receipt, at=START, direction="in", message=letter, exchange=sent,
                    disposition="processed", relation="matched")  # fmt: skip
    return ledger_engine, sent, carrier


def test_what_came_is_a_tree_from_the_mail_to_the_set(mail):
    engine, ids = mail
    root = tree(engine, ids["order"])
    assert kinds(root) == ["message", "payload", "interchange", "group", "set"]
    first, second = root.children
    assert (first.title, second.said) == ("a.edi (application/edi-x12, 500 bytes)", "mended: line ends mended")
    interchange = first.children[0]
    assert [(each.kind, each.reference) for each in interchange.children] == [
        ("group", ""), ("acknowledgment", str(ids["answer"])), ("exchange", str(ids["twin"])),
    ]  # fmt: skip
    good, bad = interchange.children[0].children
    assert (good.title, good.said) == ("850 0001, po 4711", "accepted, delivered to inbox/1.edi")
    assert bad.said == "rejected, 1 finding"
    assert second.children[0].reference == str(ids["twin"])


def test_what_went_has_its_acknowledgments_where_they_speak(invoice):
    engine, sent, carrier = invoice
    root = tree(engine, sent)
    assert [each.kind for each in root.children] == ["payload", "receipt"]
    interchange = root.children[0].children[0]
    ta1, group, awaited = interchange.children
    assert (ta1.title, ta1.said, ta1.reference) == ("TA1 on 000000017", "accepted, contradicting", str(carrier))
    assert (awaited.kind, awaited.said) == ("awaited", "overdue")
    on_group, made = group.children
    assert (on_group.title, made.children[0].title) == ("997 on IN 17", "997 on 810 0001")
    assert made.children[0].said == "rejected [5]; segment BIG at position 2: wrong"
    assert root.title.startswith("letter to a0@x, a1@x, a2@x …")


def test_a_tree_is_drawn_with_box_characters_that_join(mail):
    engine, ids = mail
    lines = draw(tree(engine, ids["order"]), UTC)
    assert lines[1].startswith("├─ a.edi")
    assert lines[2].startswith("│  └─ interchange 000000017, 850: partially accepted, delivered")
    assert lines[3].startswith("│     ├─ group PO 17 (004010)")
    assert lines[4].startswith("│     │  ├─ 850 0001")
    assert lines[5].startswith("│     │  └─ 850 0002")
    assert lines[-2].startswith("└─ b.edi")
    assert lines[-1].startswith("   └─ interchange")


def test_what_partners_wrote_cannot_break_the_drawing(mail):
    engine, ids = mail
    lines = draw(tree(engine, ids["order"]), UTC)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("m99") for line in lines)


def test_the_tree_of_a_mail_holds_all_its_exchanges_whole(mail):
    engine, ids = mail
    root = message_tree(engine, ids["mail"])
    first, second = root.children
    assert [each.children[0].kind for each in (first, second)] == ["interchange", "interchange"]
    assert first.children[0].children[0].kind == "group"
    with pytest.raises(NotFound):
        message_tree(engine, 404)
    with pytest.raises(NotFound):
        tree(engine, 404)


def test_a_tree_is_json_nested_with_iso_times(mail):
    engine, ids = mail
    document = json.loads(json.dumps(tree(engine, ids["order"]).as_dict()))
    assert document["at"].startswith("2026-11-2")
    assert document["children"][0]["children"][0]["children"][0]["children"][0]["title"] == "850 0001, po 4711"


def test_an_exchange_without_a_mail_is_a_tree_of_its_own(mail):
    engine, ids = mail
    assert tree(engine, ids["answer"]).kind == "interchange"


# ---------------------------------------------------------------- bounds


@pytest.fixture
def giant(ledger_engine):
    """An interchange of 3,000 sets in two groups, among others; the last set is rejected, every set was delivered."""
    with writing(ledger_engine) as connection:
        make.exchange(connection)
        number = make.exchange(connection, size=10**9)
        groups = [make.group(connection, number, ordinal=each, sets=1_500) for each in (1, 2)]
        rows = [
            {"exchange": number, "functional_group": groups[each >= 1_500], "ordinal": each % 1_500 + 1,
             "set_id": "850", "control_number": f"{each:04}", "status": "accepted"}
            for each in range(3_000)
        ]  # fmt: skip
        connection.execute(tables.transaction_set.insert(), rows)
        table = tables.transaction_set.c
        mine = select(table.id).where(table.exchange == number).order_by(table.id)
        ids = list(connection.execute(mine).scalars())
        make.insert(connection, tables.finding, exchange=number, functional_group=groups[1], transaction_set=ids[-1],
                    level="error", code="x", message="the last one is bad")  # fmt: skip
        connection.execute(
            tables.business_key.insert(),
            [{"exchange": number, "transaction_set": each, "name": "po", "value": f"PO{each}"} for each in ids],
        )
        connection.execute(
            tables.event.insert(),
            [
                {"exchange": number, "kind": "delivered", "at": START + n, "body": json.dumps({"set": n})}
                for n in range(3_000)
            ],
        )
    return ledger_engine, number


def test_of_a_giant_the_first_sets_are_told_and_the_one_that_is_bad(giant):
    engine, number = giant
    told = story(engine, number, 50)
    shown = [each.control_number for group in told.groups for each in group.sets]
    assert len(shown) == 51
    assert shown[0] == "0000"
    assert shown[-1] == "2999"
    assert told.groups[1].sets[0].findings[0].message == "the last one is bad"
    assert (told.sets, {"sets", "events"} <= set(told.cut)) == (3_000, True)
    assert len(told.exchange.keys) == 50
    lines = tell(told, UTC)
    assert len(lines) < 120
    assert any("the last one is bad" in line for line in lines)
    assert any("… and 1,499 more sets" in line for line in lines)
    assert any("3,000 sets" in line for line in lines)


def test_of_very_many_events_the_first_and_the_last_are_read(giant):
    engine, number = giant
    bodies = [each.body["set"] for each in story(engine, number, 50).events]
    assert bodies[:2] == [0, 1]
    assert bodies[-1] == 2_999
    assert bodies == sorted(bodies)
    assert len(bodies) == 75


def test_many_events_of_one_kind_in_a_row_are_one_line(giant):
    engine, number = giant
    lines = tell(story(engine, number, None), UTC)
    assert any("… and 2,999 more like it, until" in line for line in lines)


def test_without_a_limit_all_of_it_is_there(giant):
    engine, number = giant
    told = story(engine, number, None)
    assert sum(len(group.sets) for group in told.groups) == 3_000
    assert (len(told.events), told.cut) == (3_000, ())
    assert len(story(engine, number, 500).as_dict()["groups"][0]["sets"]) == 500


def test_a_tree_of_a_giant_says_how_much_it_leaves_out(giant):
    engine, number = giant
    first, second = tree(engine, number, 50).children
    assert (len(first.children), first.left_out) == (50, 1_450)
    assert (len(second.children), second.left_out) == (1, 1_499)
    assert any("… and 1,450 more" in line for line in draw(tree(engine, number, 50), UTC))
