"""The same business document under another control number is told, or held where the agreement says so."""

from __future__ import annotations

import json

import pytest
from builders.stage import ACME, GLOBEX, OURS, WHEN, Stage, invoice, orders

from gateway.demo import documents
from gateway.errors import NotAllowedNow, Refused, SubmittedBefore
from gateway.flow import operate
from gateway.flow.submit import submit

HOLDING = ACME.replace('sets = ["850"]', 'sets = ["850"]\non_repeat = "hold"').replace(
    'sets = ["810", "855"]', 'sets = ["810"]\non_repeat = "hold"'
)
YEAR = 366 * 86_400_000


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def holding(tmp_path):
    return Stage(tmp_path, [HOLDING, GLOBEX])


def order(number, po="PO-1"):
    return orders(number, documents.order(po, WHEN))


def repeats(stage, direction="in"):
    return [row["repeats"] for row in stage.rows("exchange") if row["direction"] == direction]


def test_the_same_order_under_a_new_number_is_told_and_delivered_nevertheless(stage):
    stage.mail(order(1))
    stage.run()
    stage.mail(order(2))
    stage.mail(order(3, "PO-2"))
    stage.run()
    assert repeats(stage) == [None, 1, None]
    assert stage.states("in") == ["delivered"] * 3
    (event,) = [json.loads(str(row["body"])) for row in stage.rows("event") if row["kind"] == "repeats-document"]
    assert event == {"earlier": 1, "set": "850", "value": "PO-1"}


def test_two_in_one_batch_are_told_apart_too(stage):
    stage.mail(order(1))
    stage.mail(order(2))
    stage.run()
    assert repeats(stage) == [None, 1]


def test_another_partner_another_usage_and_another_year_do_not_repeat(stage):
    stage.mail(order(1))
    stage.run()
    group = ("PO", "004010", [documents.order("PO-1", WHEN)])
    stage.mail(documents.interchange("14:0700000000001", OURS, 1, WHEN, [group]), sender="edi@globex.example")
    stage.run()
    stage.now += YEAR
    stage.mail(order(2))
    stage.run()
    assert repeats(stage) == [None, None, None]


def test_what_was_refused_before_is_not_repeated(stage):
    bad = order(1).replace(b"BEG*00*SA*PO-1*", b"BEG*XX*SA*PO-1*")
    stage.mail(bad)
    stage.run()
    stage.mail(order(2))
    stage.run()
    assert stage.states("in") == ["rejected", "delivered"]
    assert repeats(stage) == [None, None]


def test_a_held_repetition_is_not_delivered_nor_answered_until_a_person_accepts_it(holding):
    holding.mail(order(1))
    holding.run()
    holding.mail(order(2))
    summary = holding.run()
    (attention,) = summary.attention
    assert attention.next_command == "gateway quarantine show 3"
    assert "PO-1 before, in exchange 1" in attention.reason
    assert (len(holding.delivered), len(holding.sent)) == (1, 1)
    done = operate.accept(holding.context(), 3, actor="anna", reason="they want two")
    assert done.exchange == 3
    holding.run()
    assert holding.states("in") == ["delivered", "delivered"]
    assert (len(holding.delivered), len(holding.sent)) == (2, 2)
    assert holding.run().attention == ()
    assert [row["number"] for row in holding.rows("received_number") if row["level"] == "interchange"] == [1, 2]
    assert not operate.release(holding.context(), "3", actor="anna", reason="again").done


def test_a_held_repetition_can_be_released_or_discarded_from_quarantine(holding):
    holding.mail(order(1))
    holding.mail(order(2))
    holding.mail(order(3))
    holding.run()
    held = [row["id"] for row in holding.rows("exchange") if row["state"] == "quarantined"]
    operate.release(holding.context(), str(held[0]), actor="anna", reason="they want two")
    operate.discard(holding.context(), str(held[1]), actor="anna", reason="but not three")
    holding.run()
    assert holding.states("in") == ["delivered", "delivered", "discarded"]


@pytest.mark.parametrize("act", ["accept", "release"])
def test_a_held_repetition_whose_number_was_used_meanwhile_becomes_a_conflict_and_is_taken_knowingly(holding, act):
    holding.mail(order(1))
    holding.mail(order(2))
    holding.run()
    holding.mail(order(2, "PO-7"))  # its number was never taken: the held one has no say
    holding.run()
    assert holding.states("in") == ["delivered", "quarantined", "delivered"]
    _, held, taken = [row["id"] for row in holding.rows("exchange") if row["direction"] == "in"]
    named = held if act == "accept" else str(held)
    for dry_run in (True, False):
        by = {"actor": "anna", "reason": "they want two", "dry_run": dry_run}
        said = getattr(operate, act)(holding.context(), named, **by).sentence
        assert said.startswith(f"its number was used meanwhile, by exchange {taken}: not accepted")
    (attention,) = holding.run().attention
    assert (attention.reference, attention.state) == (str(held), "conflict")
    assert f"(exchange {taken})" in attention.reason
    assert len(holding.delivered) == 2
    assert holding.sent_edi[-1][1][4:] == ["R", "025"]

    operate.accept(holding.context(), held, actor="anna", reason="both are right")
    holding.run()
    assert holding.states("in") == ["delivered"] * 3
    assert holding.sent_edi[-1][2][:2] == ["ST", "997"]
    assert [row["number"] for row in holding.rows("received_number") if row["level"] == "interchange"] == [1, 2]
    assert holding.run().attention == ()


def test_the_same_held_mail_twice_is_accepted_once(holding):
    holding.mail(order(1))
    holding.mail(order(2))
    holding.mail(order(2))
    holding.run()
    first, second = [row["id"] for row in holding.rows("exchange") if row["state"] == "quarantined"]
    operate.accept(holding.context(), first, actor="anna", reason="they want two")
    with pytest.raises(NotAllowedNow, match=f"were taken as exchange {first}"):
        operate.accept(holding.context(), second, actor="anna", reason="they want two")


def test_only_a_used_number_or_a_held_repetition_can_be_accepted(stage):
    stage.mail(order(1), sender="sales@stranger.example")
    stage.run()
    with pytest.raises(NotAllowedNow):
        operate.accept(stage.context(), 1, actor="anna", reason="no")


def test_an_invoice_number_that_went_before_is_told(stage):
    submit(stage.context(), "acme", invoice("INV-1"))
    submit(stage.context(), "acme", invoice("INV-1").replace(b"~", b"~\r\n"))
    submit(stage.context(), "globex", invoice("INV-1"))
    assert repeats(stage, "out") == [None, 1, None]


def test_an_invoice_number_that_went_before_is_refused_where_the_agreement_holds_until_it_is_meant(holding):
    first = invoice("INV-1")
    other = first.replace(b"~", b"~\r\n")
    submit(holding.context(), "acme", first)
    with pytest.raises(SubmittedBefore, match="INV-1 went to acme before, as exchange 1"):
        submit(holding.context(), "acme", other)
    assert len(holding.rows("exchange")) == 1
    submit(holding.context(), "acme", other, again=True)
    assert repeats(holding, "out") == [None, 1]


def test_an_invoice_that_never_arrived_may_go_again(holding):
    def refuse(mail):
        raise Refused(host="memory", recipient="x", reply="550 no")

    holding.transport.answer = refuse
    submit(holding.context(), "acme", invoice("INV-1"))
    holding.run()
    submit(holding.context(), "acme", invoice("INV-1").replace(b"~", b"~\r\n"))
    assert repeats(holding, "out") == [None, None]


def test_a_message_id_that_comes_again_with_other_bytes_is_noted(stage):
    first = stage.mail(order(1))
    stage.run()
    stage.mailbox.deliver(first.replace(b"Subject: EDI 1", b"Subject: EDI once more"))
    stage.run()
    (noted,) = [row for row in stage.rows("event") if row["kind"] == "same-message-id"]
    assert (noted["message"], json.loads(str(noted["body"]))) == (3, {"earlier": 1})
    assert stage.states("in") == ["delivered", "duplicate"]


# ---------------------------------------------------------------- the same content


def test_the_same_content_is_submitted_once_within_the_window_and_knowingly_again(stage):
    first = submit(stage.context(), "acme", invoice())
    stage.now += YEAR // 2
    assert submit(stage.context(), "acme", invoice()).exchanges == first.exchanges
    meant = submit(stage.context(), "acme", invoice(), again=True)
    assert not meant.repeated
    stage.now += YEAR
    later = submit(stage.context(), "acme", invoice())
    assert (later.repeated, later.control_numbers) == (False, ("000000003",))
    assert submit(stage.context(), "acme", invoice()).exchanges == later.exchanges


def test_a_key_is_known_for_ever(stage):
    first = submit(stage.context(), "acme", invoice(), key="order-1")
    stage.now += 3 * YEAR
    assert submit(stage.context(), "acme", invoice(), key="order-1").exchanges == first.exchanges


def test_two_that_submit_the_same_at_once_queue_it_once(stage, monkeypatch):
    from gateway.flow import earlier
    from gateway.flow import submit as module

    real, asked = module._known, []

    def blind_at_first(*arguments, **options):
        asked.append(1)
        return earlier.Known((), False, {}) if len(asked) == 1 else real(*arguments, **options)

    first = submit(stage.context(), "acme", invoice())
    monkeypatch.setattr(module, "_known", blind_at_first)
    again = submit(stage.context(), "acme", invoice())
    assert (again.repeated, again.exchanges) == (True, first.exchanges)
    assert [row["next"] for row in stage.rows("control_number")] == [2, 2]


@pytest.mark.parametrize("terminator", [b"\n", b"\r", b"\r\n"])
def test_an_order_whose_segments_end_in_line_ends_is_a_repetition_too(holding, terminator):
    """Without its business key the second one would be delivered."""
    for number in (1, 2):
        holding.mail(order(number).replace(b"~\r\n", terminator))
        holding.run()
    assert holding.states("in") == ["delivered", "quarantined"]
    assert [(row["name"], row["value"]) for row in holding.rows("business_key")][:1] == [("po", "PO-1")]
