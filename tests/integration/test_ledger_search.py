"""Search finds what meets a query and nothing else, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from builders import ledger_rows as make

from gateway.errors import QueryInvalid
from gateway.ledger import search_limits, tables
from gateway.ledger.attention import attention
from gateway.ledger.database import reading, writing
from gateway.ledger.query import Query
from gateway.ledger.search import count, count_messages, parse_query, search, search_messages

pytestmark = pytest.mark.integration

START = make.START
HOUR = 3_600_000
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)


@pytest.fixture
def two(ledger_engine):
    """Two exchanges that differ in everything; the first is the one that each criterion must find."""
    with writing(ledger_engine) as connection:
        mail = make.message(connection)
        first = make.exchange(
            connection,
            message=mail,
            state="overdue",
            duplicate_of=None,
            fault_code="sending.deferred",
            file_name="PO_4711%.EDI",
            subject="50% off_er 'Größe' 📦",
            versions="004010 005010X222A1",
            types="850 837",
        )
        group = make.group(connection, first, control_number="000000042")
        owner = make.transaction_set(connection, first, group, control_number="0007")
        make.business_key(connection, first, "po", "4500012345", owner)
        make.business_key(connection, first, "sku", "A*B=C", owner)
        make.insert(
            connection,
            tables.expectation,
            exchange=first,
            kind="997",
            partner="acme",
            within=HOUR,
            due_at=START + HOUR,
        )
        original = make.exchange(
            connection,
            at=START - 48 * HOUR,
            direction="out",
            kind="acknowledgment",
            state="complete",
            verdict="rejected",
            partner="beta",
            file_name="invoice.edi",
            from_address="edi@beta.example",
            host="smtp.example.net",
            message_id="<2.invoices@beta.example>",
            subject="Invoices",
            to_addresses=["other@example.net"],
            user="invoices",
            sender_qualifier="ZZ",
            sender_id="BETA",
            receiver_qualifier="12",
            receiver_id="5551234",
            control_number="000000099",
            usage="T",
            types="997",
            versions="003050",
        )
        make.exchange(connection, at=START - 72 * HOUR, state="duplicate", duplicate_of=original, partner="gamma")
    return ledger_engine, first, original


# Criteria joined by &; each line must find the first exchange of the fixture and nothing else.
FINDS = """
partner=acme | partner=ac* | kind=document & state=overdue | direction=in & state=overdue | state=overdue
verdict=accepted & partner=acme | type=850 & partner=acme | type=837 | version=005010 | version=005010X222A1
version=00401 & partner=acme | usage=P & partner=acme | control=17 & partner=acme | isa13=000000017 & state=overdue
group=42 | gs06=000000042 | st02=7 | st02=0007 | message-id=1.orders@acme.example & partner=acme
message-id=<1.orders@* & partner=acme | from=EDI@acme.example & partner=acme | to=edi@EXAMPLE.com & partner=acme
to=copy@example.com | host=MAIL.example.com & partner=acme | user=orders & partner=acme | mailbox=orders
file=po_4711%.edi | file=PO_4711* & partner=acme | file=*%* | subject=50% | subject=off_er | subject='Größe'
subject=📦 | subject=OFF*größe | key=4500012345 | key=4500* | key=*2345 | key=po=4500012345 | key=po=45* | key=A*B=C
sender=01:123456789 & partner=acme | sender=1:123456789 & partner=acme | sender=123456789 & partner=acme
receiver=ZZ:EXAMPLE* & partner=acme | fault=sending.deferred | overdue | unacknowledged | attention
partner=ACME | type=837* | type=*37 | type=8*7 | version=*5010X | version=005010*A1 | fault=SENDING.*
duplicate=no & partner=acme | text=4711 OFF_ | 450001 | since=2026-11-22T01:00Z | on=2026-11-22 | since=36h
"""
# Each line must find nothing.
MISSES = """
key=A[*]B=C* | type=85*37 | type=*5 | version=0040*5010 | version=*4010X | partner=-
partner=acm | partner=zeta | partner=beta & state=overdue | state=bounced | type=85 | type=50
version=5010 | usage=I | control=1 | control=170 | group=4 | group=7 | st02=42 | message-id=1.Orders@acme.example
message-id=1.orders | from=acme.example | to=example.com | host=mail | user=order | mailbox=order | file=PO_4711
file=POX4711%.EDI | file=PO_4711?.EDI | file=?O_4711* | subject=off%er | subject=50_ | subject=offXer | subject=[5]0
key=450001234 | key=name=4500012345 | key=PO=4500012345 | key=*9999x | sender=ZZ:123456789 | sender=02:123456789
fault=sending | text=4711 absent | since=2026-11-23 | until=2026-11-18 | subject=' OR '1'='1 | subject=\\ | subject=?
key=';DROP TABLE event;-- | key=%' | partner=% | partner=_cme | partner=a\\* | version=%
"""


def lines(table: str) -> list[list[str]]:
    return [each.strip().split(" & ") for line in table.strip().splitlines() for each in line.split(" | ")]


def test_each_criterion_finds_what_meets_it_and_only_that(two):
    engine, first, _ = two
    wrong = []
    for words in lines(FINDS):
        query = parse_query(words, NOW, UTC)
        found = [row.id for row in search(engine, query, now=START + 2 * HOUR)]
        if found != [first] or count(engine, query, now=START + 2 * HOUR) != 1:
            wrong.append((words, found))
    assert wrong == []


def test_each_criterion_leaves_out_what_does_not_meet_it(two):
    engine, _, _ = two
    found = {" & ".join(words): search(engine, parse_query(words, NOW, UTC)) for words in lines(MISSES)}
    assert [words for words, rows in found.items() if rows] == []


@pytest.mark.parametrize(("flag", "partners"), [
    ("overdue", ["beta", "gamma"]), ("unacknowledged", ["beta", "gamma"]), ("needs_attention", ["beta", "gamma"]),
    ("duplicate", ["acme", "beta"]),
])  # fmt: skip
def test_a_flag_can_be_asked_to_be_absent(two, flag, partners):
    engine, _, _ = two
    assert sorted(row.partner for row in search(engine, Query(**{flag: False}), now=START + 2 * HOUR)) == partners


def test_overdue_is_what_is_due_now_even_before_anybody_said_so(ledger_engine):
    with writing(ledger_engine) as connection:
        waiting = make.exchange(connection, state="sent", direction="out")
        expected = {"exchange": waiting, "kind": "997", "partner": "acme", "within": HOUR}
        make.insert(connection, tables.expectation, due_at=START + HOUR, **expected)
    assert search(ledger_engine, Query(overdue=True), now=START + HOUR - 1) == []
    assert len(search(ledger_engine, Query(overdue=True), now=START + HOUR)) == 1


def test_what_a_person_put_to_rest_needs_no_attention(ledger_engine):
    with writing(ledger_engine) as connection:
        make.exchange(connection, state="failed", settled_at=START)
        open_one = make.exchange(connection, state="failed")
    assert [row.id for row in search(ledger_engine, Query(needs_attention=True))] == [open_one]


def test_what_needs_a_person_is_the_same_for_a_search_and_for_the_status(ledger_engine, monkeypatch):
    """An order that never reached the business, or of which half was refused, stood in the status and in no search."""
    partly = {"verdict": "partially_accepted"}
    ours = {"direction": "out", "verdict": "accepted"}
    with writing(ledger_engine) as connection:
        needed = [
            make.exchange(connection, **facts)
            for facts in (
                {"state": "rejected"},
                {"state": "delivered", **partly},
                {"state": "accepted", **partly},
                {"state": "accepted", "fault_code": "delivery.command"},
                {"state": "acknowledged", **ours, **partly},
                {"state": "sent", **ours, "fault_code": "sending.partly"},
                {"state": "acknowledged", **ours, "fault_code": "acknowledgment.counts"},
                {"state": "cancelled", **ours, "fault_code": "acknowledgment.cancelled"},
                {"state": "acknowledged", **ours},
            )
        ]
        expected = {"exchange": needed[-1], "kind": "receipt", "partner": "acme", "within": HOUR}
        make.insert(connection, tables.expectation, due_at=START, overdue_at=START, **expected)
        for facts in (
            {"state": "delivered"},
            {"state": "delivered", **partly, "settled_at": START},
            {"state": "sent", **ours, **partly},
            {"state": "failed", "settled_at": START},
            {"state": "acknowledged", **ours},
            {"state": "cancelled", **ours, "fault_code": "sending.partly"},
        ):
            make.exchange(connection, **facts)
    with reading(ledger_engine) as connection:
        assert sorted(each.exchange for each in attention(connection)) == needed
    for name in ("FEW", "SOME"):  # as where they are thousands, the second time
        newest = [row.id for row in search(ledger_engine, Query(needs_attention=True))]
        assert newest == sorted(needed, reverse=True)
        page = search(ledger_engine, Query(needs_attention=True, limit=4))
        rest = search(ledger_engine, Query(needs_attention=True, limit=50, before=page[-1].cursor))
        assert [row.id for row in (*page, *rest)] == newest
        by_state = Query(needs_attention=True, sort="state", partner="acme")
        assert sorted(row.id for row in search(ledger_engine, by_state)) == needed
        assert count(ledger_engine, Query(needs_attention=True)) == len(needed)
        assert count(ledger_engine, Query(needs_attention=False)) == 6
        monkeypatch.setattr(search_limits, name, 1)


def test_a_row_tells_all_properties_and_keys(two):
    engine, first, _ = two
    row = search(engine, Query(partner="acme"))[0]
    assert (row.sender, row.receiver, row.mailbox) == ("01:123456789", "ZZ:EXAMPLECO", "orders")
    assert (row.to_addresses, row.cc_addresses) == (("edi@example.com",), ("copy@example.com",))
    assert (row.types, row.versions) == (("850", "837"), ("004010", "005010X222A1"))
    assert row.keys == (("po", "4500012345"), ("sku", "A*B=C"))
    assert row.cursor == (START, first)
    told = row.as_dict()
    assert told["record"] == "exchange"
    assert told["at"].startswith("2026-11-22T")
    assert json.loads(json.dumps(told))["keys"] == [["po", "4500012345"], ["sku", "A*B=C"]]


# ---------------------------------------------------------------- mails without an exchange


@pytest.fixture
def mails(ledger_engine):
    with writing(ledger_engine) as connection:
        make.exchange(connection, message=make.message(connection))
        strange = make.message(
            connection,
            state="quarantined",
            message_id="<strange@unknown.example>",
            from_address="someone@unknown.example",
            subject="Hello there",
            partner="",
            fault_code="sender.unknown",
            fault={"message": "No trading partner has the address someone@unknown.example."},
        )
        make.insert(connection, tables.payload, message=strange, ordinal=1, file_name="letter.doc", sha256="22" * 32)
        bounce = make.message(connection, at=START - HOUR, state="noted", kind="bounce", message_id="<b@mta.example>")
    return ledger_engine, strange, bounce


@pytest.mark.parametrize("words", [
    ["message-id=strange@unknown.example"], ["from=*unknown.example"], ["fault=sender.unknown"], ["attention"],
    ["state=quarantined"], ["subject=hello"], ["hello", "LETTER"], ["file=letter.*"],
    ["to=copy@example.com", "fault=*.*"], ["mailbox=orders", "state=quarantined"],
])  # fmt: skip
def test_a_quarantined_mail_is_found(mails, words):
    engine, strange, _ = mails
    query = parse_query(words)
    assert [row.id for row in search_messages(engine, query)] == [strange]
    assert count_messages(engine, query) == 1


def test_a_bounce_is_found_by_its_kind(mails):
    engine, _, bounce = mails
    assert [row.id for row in search_messages(engine, Query(kind="bounce"))] == [bounce]
    assert search(engine, Query(kind="bounce")) == []


@pytest.mark.parametrize("criterion", [
    {"control_number": "17"}, {"overdue": True}, {"business_key": "x"}, {"partner": "beta"}, {"kind": "document"},
    {"message_id": "1.orders@acme.example", "kind": "letter"}, {"to_address": "nobody@example.com"},
])  # fmt: skip
def test_mails_that_do_not_meet_the_query_or_have_an_exchange_are_left_out(mails, criterion):
    engine, _, _ = mails
    assert search_messages(engine, Query(**criterion)) == []


def test_a_mail_in_quarantine_is_listed_beside_good_exchanges_but_not_beside_a_quarantined_one(ledger_engine):
    with writing(ledger_engine) as connection:
        half_good = make.message(connection, state="quarantined")
        make.exchange(connection, message=half_good)
        make.exchange(connection, message=make.message(connection, state="quarantined"), state="quarantined")
    assert [row.id for row in search_messages(ledger_engine, Query())] == [half_good]


def test_a_mail_tells_its_fault_and_its_files(mails):
    engine, _, _ = mails
    row = search_messages(engine, Query(needs_attention=True))[0]
    assert row.fault == "No trading partner has the address someone@unknown.example."
    assert row.file_names == ("letter.doc",)
    assert row.as_dict()["record"] == "message"


# ---------------------------------------------------------------- pages


def test_pages_together_are_the_whole_in_order_whatever_their_size(ledger_engine):
    with writing(ledger_engine) as connection:
        for number in range(23):
            make.exchange(connection, at=START + number // 4, control_number=str(number))  # many share a moment
    whole = [row.id for row in search(ledger_engine, Query(limit=None))]
    assert len(whole) == 23
    for size in (1, 2, 5, 23, 24):
        paged, before = [], None
        while (page := search(ledger_engine, Query(limit=size, before=before))) and len(paged) < 50:
            paged += [row.id for row in page]
            before = page[-1].cursor
        assert paged == whole
    assert count(ledger_engine, Query(limit=3, before=(START, 3))) == 23


def test_what_comes_in_while_somebody_turns_pages_moves_nothing(ledger_engine):
    with writing(ledger_engine) as connection:
        old = [make.exchange(connection, at=START + number) for number in range(4)]
    first = search(ledger_engine, Query(limit=2))
    with writing(ledger_engine) as connection:
        make.exchange(connection, at=START + 100)
    second = search(ledger_engine, Query(limit=2, before=first[-1].cursor))
    assert [row.id for row in (*first, *second)] == old[::-1]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 1001, "*a*b*c*"])
def test_what_could_hurt_the_database_is_refused_before_it_gets_there(text):
    with pytest.raises(QueryInvalid):
        Query(subject=text + "*")
