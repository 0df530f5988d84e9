"""The story of an exchange: all that belongs to it, in plain words, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from builders import ledger_rows as make

from gateway.errors import NotFound
from gateway.ledger import tables
from gateway.ledger.awaited import awaited
from gateway.ledger.database import writing
from gateway.ledger.story import (
    exchange_ids_for,
    mail_of,
    message_ids_for,
    message_story,
    raw_bytes,
    story,
)
from gateway.ledger.telling import tell, tell_message

pytestmark = pytest.mark.integration

START = make.START
UTC = ZoneInfo("UTC")
HOUR = 3_600_000


@pytest.fixture
def night(ledger_engine):
    """An order that came twice, the 997 we sent, an invoice of ours that waits, and the 997 that rejected another."""
    with writing(ledger_engine) as connection:
        make.insert(connection, tables.content, sha256="11" * 32, size=4, at=START, bytes=b"mail")
        make.insert(connection, tables.content, sha256="00" * 32, size=3, at=START, bytes=b"ISA")
        mail = make.message(connection)
        order = make.exchange(connection, message=mail, state="delivered", verdict="partially_accepted")
        group = make.group(connection, order, status="partially_accepted")
        good = make.transaction_set(
            connection, order, group, delivery="delivered", delivered_to="inbox/acme/1.edi", delivered_at=START + 2000
        )
        bad = make.transaction_set(connection, order, group, ordinal=2, control_number="0002", status="rejected")
        make.business_key(connection, order, "po", "4711", good)
        make.insert(
            connection, tables.finding, exchange=order, functional_group=group, transaction_set=bad, level="error",
            code="element.missing", segment="BEG", position=3, element=3, message="BEG03 is missing.",
        )  # fmt: skip
        make.event(connection, "received", message=mail, mailbox="orders", size=2048)
        make.event(connection, "examined", START + 1000, exchange=order, verdict="partially_accepted", sets=2)
        make.event(connection, "delivered", START + 2000, exchange=order, set="850", control_number="0001", target="x")
        twin = make.exchange(connection, state="duplicate", duplicate_of=order, at=START + HOUR, message_id="<2@x>")
        answer = make.exchange(
            connection, direction="out", kind="acknowledgment", types="997", answers=order, state="complete",
            control_number="000000005", message_id="<3@x>",
        )  # fmt: skip
        sent = make.message(connection, direction="out", state="sent", message_id="<4@x>", sha256="ee" * 32)
        invoice = make.exchange(
            connection, direction="out", types="810", state="overdue", verdict="", control_number="000000006",
            message=sent, message_id="<4@x>", handed_over_at=START, smtp_reply="250 ok",
        )  # fmt: skip
        expected = {"exchange": invoice, "partner": "acme", "within": HOUR}
        make.insert(connection, tables.expectation, kind="functional", due_at=START + HOUR, overdue_at=1, **expected)
        make.insert(connection, tables.expectation, kind="TA1", **expected)
        carrier = make.exchange(connection, types="997", state="reconciled", message_id="<5@x>", control_number="99")
        make.insert(
            connection, tables.acknowledgment, at=START + HOUR, carrier=carrier, exchange=answer, kind="997",
            status="rejected", codes="5", errors=["BIG is missing"], names="810 0001", relation="contradicting",
        )  # fmt: skip
    ids = {"mail": mail, "order": order, "twin": twin, "answer": answer, "invoice": invoice, "carrier": carrier}
    return ledger_engine, ids


def test_the_story_of_an_order_holds_its_groups_sets_findings_and_relations(night):
    engine, ids = night
    told = story(engine, ids["order"])
    (group,) = told.groups
    good, bad = group.sets
    assert (good.keys, good.delivery, good.findings) == ((("po", "4711"),), "delivered", ())
    assert [found.message for found in bad.findings] == ["BEG03 is missing."]
    assert {(each.relation, each.id) for each in told.related} == {
        ("repeated by", ids["twin"]),
        ("answered by", ids["answer"]),
    }
    assert [each.kind for each in told.events] == ["received", "examined", "delivered"]
    assert told.findings == ()


def test_what_happened_to_another_exchange_of_the_same_mail_is_not_told(night):
    engine, ids = night
    with writing(engine) as connection:
        other = make.exchange(connection, message=ids["mail"])
        make.event(connection, "delivered", exchange=other, message=ids["mail"])
    told = story(engine, ids["order"])
    assert other not in {each.exchange for each in told.events}
    assert ("came in the same mail as", other) in {(each.relation, each.id) for each in told.related}


def test_an_order_is_told_in_plain_words(night):
    engine, ids = night
    lines = tell(story(engine, ids["order"]), UTC)
    assert lines[0] == f"Exchange {ids['order']}: 850 from acme, partially accepted, delivered"
    assert lines[1] == "  The business has the documents."
    text = "\n".join(lines)
    for said in (
        "received:     22 Nov 2026 02:00:00",
        "interchange:  000000017, version 00401, production",
        "identities:   01:123456789 → ZZ:EXAMPLECO",
        "keys:         po 4711",
        "Group PO 17 (004010): partially accepted",
        "  850 0001: accepted; delivered to inbox/acme/1.edi on 22 Nov 2026 02:00:02; po 4711",
        "  850 0002: rejected\n    error: BEG03 is missing.",
        f"repeated by exchange {ids['twin']}: in 850 000000017, duplicate on 22 Nov 2026 03:00:00",
        "22 Nov 2026 02:00:00  received from edi@acme.example in mailbox orders as <1.orders@acme.example> (2048",
        "22 Nov 2026 02:00:01  examined: partially accepted, 2 sets",
        "22 Nov 2026 02:00:02  delivered 850 0001 to x",
    ):
        assert said in text


def test_times_are_told_in_the_zone_that_is_asked_for(night):
    engine, ids = night
    assert "received:     22 Nov 2026 03:00:00" in "\n".join(
        tell(story(engine, ids["order"]), ZoneInfo("Europe/Paris"))
    )


def test_what_is_awaited_is_told_with_its_due_time(night):
    engine, ids = night
    text = "\n".join(tell(story(engine, ids["invoice"]), UTC))
    assert "awaiting 997 or 999: due 22 Nov 2026 03:00:00, overdue" in text
    assert "awaiting TA1: not handed over yet" in text


def test_an_acknowledgment_is_told_on_both_sides(night):
    engine, ids = night
    line = (
        f"997 says 810 0001 of exchange {ids['answer']} is rejected [5] (contradicting), "
        f"in exchange {ids['carrier']}: BIG is missing"
    )
    for side in ("answer", "carrier"):
        assert line in "\n".join(tell(story(engine, ids[side]), UTC))


def test_a_duplicate_names_its_original(night):
    engine, ids = night
    (related,) = story(engine, ids["twin"]).related
    assert (related.relation, related.id) == ("duplicate of", ids["order"])


def test_a_mail_tells_what_it_carried(night):
    engine, ids = night
    told = message_story(engine, ids["mail"])
    assert [each.id for each in told.exchanges] == [ids["order"]]
    text = "\n".join(tell_message(told, UTC))
    assert f"Message m{ids['mail']}: letter, processed" in text
    assert "cc:           copy@example.com" in text
    assert f"carries exchange {ids['order']}" in text


def test_the_json_form_is_json_with_iso_times(night):
    engine, ids = night
    for told in (story(engine, ids["order"]), story(engine, ids["invoice"]), message_story(engine, ids["mail"])):
        assert json.loads(json.dumps(told.as_dict()))
    document = story(engine, ids["order"]).as_dict()
    assert document["groups"][0]["sets"][0]["delivered_at"].startswith("2026-11-2")
    assert document["events"][0]["sentence"].startswith("received")


def test_what_partners_wrote_cannot_command_a_terminal_or_break_a_line(ledger_engine):
    with writing(ledger_engine) as connection:
        number = make.exchange(
            connection, subject="a\x1b[31mred\nExchange 99: forged", fault="not json", fault_code="x"
        )
        make.event(connection, "rejected", exchange=number, reason="{partner} [x] \r\n\x07")
    lines = tell(story(ledger_engine, number), UTC)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("Exchange 99") for line in lines)
    assert lines[-1].endswith("rejected: {partner} [x]    ")


def test_a_story_of_thousands_of_sets_stays_readable_and_complete_as_json(ledger_engine):
    with writing(ledger_engine) as connection:
        number = make.exchange(connection)
        group = make.group(connection, number, sets=3000)
        rows = [
            {
                "exchange": number,
                "functional_group": group,
                "ordinal": each,
                "set_id": "850",
                "control_number": str(each),
            }
            for each in range(1, 3001)
        ]
        connection.execute(tables.transaction_set.insert(), rows)
    told = story(ledger_engine, number)
    assert len(told.as_dict()["groups"][0]["sets"]) == 3000
    lines = tell(told, UTC)
    assert len(lines) < 100
    assert any("… and 2,950 more sets" in line for line in lines)


def test_raw_bytes_and_mails_can_be_had(night):
    engine, ids = night
    assert raw_bytes(engine, "00" * 32) == b"ISA"
    assert mail_of(engine, ids["order"]) == b"mail"
    with pytest.raises(NotFound):
        raw_bytes(engine, "ff" * 32)
    with pytest.raises(NotFound):
        mail_of(engine, ids["invoice"])


def test_what_is_not_there_is_said(ledger_engine):
    with pytest.raises(NotFound, match="no exchange 404"):
        story(ledger_engine, 404)
    with pytest.raises(NotFound, match="no message m404"):
        message_story(ledger_engine, 404)


def test_what_a_person_types_is_resolved(night):
    engine, ids = night
    assert exchange_ids_for(engine, str(ids["order"])) == [ids["order"]]
    assert exchange_ids_for(engine, "000000006") == [ids["invoice"]]
    assert exchange_ids_for(engine, " 000000017 ") == [ids["twin"], ids["order"]]
    assert exchange_ids_for(engine, "<4@x>") == exchange_ids_for(engine, "4@x") == [ids["invoice"]]
    assert exchange_ids_for(engine, "4711") == [ids["order"]]
    assert message_ids_for(engine, "1.orders@acme.example") == [ids["mail"]]


@pytest.mark.parametrize("text", ["", " ", "a\0b", "\udcff", "' OR 1=1 --", "9" * 400, "%", "²"])
def test_nonsense_resolves_to_nothing(night, text):
    engine, _ = night
    assert exchange_ids_for(engine, text) == []
    assert message_ids_for(engine, text) == []


def test_awaited_lists_the_longest_due_first_and_what_is_not_handed_over_last(night):
    engine, ids = night
    with writing(engine) as connection:
        later = make.exchange(connection, direction="out", partner="beta", message_id="<6@x>")
        expected = {"exchange": later, "partner": "beta", "within": HOUR}
        make.insert(connection, tables.expectation, kind="997", due_at=START + 5 * HOUR, **expected)
    now = START + 3 * HOUR
    found = awaited(engine, now=now)
    assert [(each.exchange, each.kind, each.how_long) for each in found] == [
        (ids["invoice"], "functional", "2 h late"),
        (later, "997", "in 2 h"),
        (ids["invoice"], "TA1", "not handed over yet"),
    ]
    assert [each.overdue for each in found] == [True, False, False]
    assert [each.partner for each in awaited(engine, partner="beta", now=now)] == ["beta"]
    assert [each.kind for each in awaited(engine, only_overdue=True, now=now)] == ["functional"]
    assert json.loads(json.dumps(found[0].as_dict()))["left"] == -2 * HOUR
