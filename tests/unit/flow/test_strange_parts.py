"""What came beside good interchanges and is none: the good are taken, the rest asks for a person until one decides."""

from __future__ import annotations

import pytest
from builders.stage import Stage, orders

from gateway.errors import NotAllowedNow
from gateway.flow import operate
from gateway.flow.learn_sources import Seen, read_bytes
from gateway.flow.showing import interchange_bytes
from gateway.ledger.standing import quarantined

BY = {"actor": "anna", "reason": "asked ACME"}
CUT = orders(2)[1:]
EDIFACT = b"UNB+UNOA:2+A+B+261102:2200+1'UNH+1+ORDERS:D:96A:UN'UNT+2+1'UNZ+1+1'"
SEVEN = b"7z\xbc\xaf\x27\x1c" + b"\0" * 200
DAMAGED = orders(2).replace(b"ISA*", b"IXA*", 1)
FIRST = len(orders(1))
CASES = [
    ((orders(1), CUT), CUT, "The payload file2.edi is not X12: segments stand in it", "SA*00*  "),
    ((orders(1), EDIFACT), EDIFACT, "The payload file2.edi is not X12: it is EDIFACT", "UNB+UNOA"),
    ((orders(1), SEVEN), SEVEN, "The payload file2.edi is not X12: it is a 7-Zip archive", "7z\\xbc\\xaf\\x27\\x1c"),
    ((orders(1), b""), b"", "The payload file2.edi is not X12: there is nothing in it", ""),
    ((orders(1) + DAMAGED,), DAMAGED.rstrip(), f"The payload file1.edi (bytes {FIRST + 1} to", "IXA*00* "),
    ((orders(1) + orders(2)[106:],), orders(2)[106:].strip(), "without the ISA that should surround it", "GS*PO*AC"),
]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def held(stage):
    """The number of the one exchange that waits for a person."""
    (row,) = [row for row in stage.rows("exchange") if row["state"] == "quarantined"]
    return int(row["id"])


@pytest.mark.parametrize(("files", "raw", "words", "begins"), CASES)
def test_the_good_is_taken_and_the_rest_asks_for_a_person(stage, files, raw, words, begins):
    """With a stable code, the part, its first bytes, whose side and what to do; its bytes are at hand."""
    stage.mail(*files)
    summary = stage.run()
    assert summary.exit_code == 65
    assert len(stage.delivered) == 1
    (edi,) = stage.sent_edi
    assert [each for each in edi if each[0] == "AK9"] == [["AK9", "A", "1", "1", "1"]]
    (thing,) = summary.attention
    assert (thing.state, thing.code, thing.side, thing.partner) == ("quarantined", "payload.not-x12", "partner", "acme")
    assert thing.what == f"from acme: file{len(files)}.edi"
    assert words in thing.reason
    assert begins in thing.reason
    assert thing.next_command == f"gateway quarantine show {held(stage)}"
    assert b"".join(interchange_bytes(stage.ledger, held(stage), unmasked=True)) == raw
    (alert,) = stage.rows("alert")
    assert (alert["kind"], alert["reference"], alert["state"]) == ("quarantined", str(held(stage)), "open")
    assert words in alert["subject"]
    with stage.ledger.reading() as connection:
        assert "send it again" in quarantined(connection, exchange=held(stage), message=None)["fault"]["advice"]


@pytest.mark.parametrize(("files", "raw", "words", "begins"), CASES)
def test_a_person_settles_it_by_the_usual_verbs(stage, files, raw, words, begins):
    """Released it is looked at again and nothing is done twice; discarded it is over, and stays so."""
    stage.mail(*files)
    stage.run()
    first = held(stage)
    with pytest.raises(NotAllowedNow):
        operate.settle(stage.context(), first, **BY)
    with pytest.raises(NotAllowedNow):
        operate.accept(stage.context(), first, **BY)
    operate.release(stage.context(), str(first), **BY)
    assert stage.run().exit_code == 65
    second = held(stage)
    assert second != first
    assert len(stage.sent) == len(stage.delivered) == 1
    operate.discard(stage.context(), str(second), **BY)
    summary = stage.run()
    assert (summary.exit_code, summary.attention) == (0, ())
    assert {row["state"] for row in stage.rows("alert")} <= {"closed"}
    stage.mail(orders(2))
    assert stage.run().counts["interchanges accepted"] == 1


def test_a_replayed_mail_says_the_same_once(stage):
    """A mail that an earlier version processed is replayed, and what it dropped is found."""
    stage.mail(orders(1), CUT)
    stage.run()
    first = held(stage)
    operate.replay(stage.context(), "m1", **BY)
    assert held(stage) != first
    assert len(stage.delivered) == 1


def test_what_a_stranger_sends_beside_goes_with_the_mail(stage):
    """The whole mail waits, and is taken apart once the sender is known."""
    stage.mail(orders(1), CUT, sender="new@acme.example")
    stage.run()
    assert {row["fault_code"] for row in stage.rows("exchange")} == {"sender.unknown"}
    stage.profiles[0] = stage.profiles[0].replace('"edi@acme.example"', '"edi@acme.example", "new@acme.example"')
    operate.release(stage.context(), "m1", **BY)
    stage.run()
    assert len(stage.delivered) == 1
    assert [row["fault_code"] for row in stage.rows("exchange") if row["state"] == "quarantined"] == ["payload.not-x12"]


def test_a_footer_behind_the_interchange_stays_a_warning(stage):
    stage.mail(orders(1) + b"\r\n-- \r\nACME Retail, ISA* of all orders\r\n\x1a")
    summary = stage.run()
    assert (summary.exit_code, summary.attention) == (0, ())
    assert [(row["level"], row["code"]) for row in stage.rows("finding")] == [("warning", "interchange.text-after")]


def test_a_profile_is_learned_from_the_good_part_of_a_mail(stage):
    raw = stage.mail(orders(1), CUT)
    seen = Seen()
    read_bytes(seen, raw, "one.eml", stage.limits)
    assert len(seen.interchanges) == 1
    ((label, why),) = seen.skipped
    assert label == "one.eml"
    assert "file2.edi is not X12" in why
