"""Inbound: from a mail to a delivered document, an acknowledgment and a ledger record, whatever the mail is like."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from builders.stage import ACME, OURS, US, WHEN, Stage, invoice, orders
from msgspec.structs import replace

from gateway.demo.documents import interchange, order
from gateway.errors import MailboxUnavailable
from gateway.flow import operate
from gateway.settings.model import Limits, MailboxSettings


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_an_order_is_delivered_acknowledged_and_recorded_with_every_tracked_property(stage):
    stage.mail(orders(7), subject="Order 7")
    summary = stage.run()
    assert summary.exit_code == 0
    (name, data), *more = stage.delivered.items()
    assert not more
    assert name.startswith("acme/850_ACMERETAIL_000000007_7_0001")
    assert b"BEG*00*SA*PO-7*" in data
    assert data.startswith(b"ISA*")
    assert data.rstrip().endswith(b"IEA*1*000000007~")
    inbound, answer = stage.rows("exchange")
    assert inbound["state"] == "delivered"
    assert inbound["from_address"] == "edi@acme.example"
    assert json.loads(inbound["to_addresses"]) == [US]
    assert (inbound["subject"], inbound["file_name"]) == ("Order 7", "file1.edi")
    assert (inbound["host"], inbound["user"]) == ("memory", US)
    assert inbound["message_id"] == "<1@acme.example>"
    assert (inbound["control_number"], inbound["types"], inbound["versions"]) == ("000000007", "850", "004010")
    assert answer["answers"] == inbound["id"]
    assert ("PO-7", "po") in [(row["value"], row["name"]) for row in stage.rows("business_key")]
    assert stage.mailbox.messages == {}


def test_the_997_goes_back_to_the_sender_with_reversed_identities_and_our_numbers(stage):
    stage.mail(orders(7))
    stage.run()
    (mail,), (edi,) = stage.sent, stage.sent_edi
    assert mail["To"] == "edi@acme.example"
    assert mail["In-Reply-To"] == "<1@acme.example>"
    isa = edi[0]
    assert [isa[6].strip(), isa[8].strip(), isa[13]] == ["EXAMPLECO", "ACMERETAIL", "000000001"]
    assert ["AK1", "PO", "7"] in edi
    assert ["AK9", "A", "1", "1", "1"] in edi


def test_several_payloads_interchanges_and_sets_are_each_delivered_and_answered(stage):
    two = orders(2) + orders(3, order("PO-3", WHEN), order("PO-3B", WHEN, 2))
    stage.mail(orders(1), two)
    summary = stage.run()
    assert summary.counts["interchanges accepted"] == 3
    assert summary.counts["documents delivered"] == 4
    assert len(stage.sent) == 3
    assert [next(each for each in edi if each[0] == "AK1") for edi in stage.sent_edi] == [
        ["AK1", "PO", "1"],
        ["AK1", "PO", "2"],
        ["AK1", "PO", "3"],
    ]
    assert [edi[0][13] for edi in stage.sent_edi] == ["000000001", "000000002", "000000003"]


def test_one_bad_set_is_rejected_alone(stage):
    stage.mail(orders(5, order("PO-5", WHEN), order("PO-6", WHEN, 2, quantity="MANY")))
    summary = stage.run()
    assert summary.exit_code == 65
    assert len(stage.delivered) == 1
    (edi,) = stage.sent_edi
    assert ["AK9", "P", "2", "2", "1"] in edi
    assert any(segment[0] == "AK4" and segment[1] == "2" for segment in edi)
    assert [row["status"] for row in stage.rows("transaction_set")][:2] == ["accepted", "rejected"]


def test_the_same_interchange_in_another_mail_is_not_delivered_again_and_gets_the_same_acknowledgment(stage):
    stage.mail(orders(7))
    stage.run()
    stage.mail(orders(7), subject="again")
    summary = stage.run()
    assert summary.exit_code == 0
    assert stage.states("in") == ["delivered", "duplicate"]
    assert len(stage.delivered) == 1
    first, second = stage.transport.sent
    assert first.raw == second.raw


def test_the_same_interchange_twice_in_one_mail_is_delivered_once(stage):
    stage.mail(orders(7), orders(7))
    stage.run()
    assert stage.states("in") == ["delivered", "duplicate"]
    assert len(stage.delivered) == 1
    assert len(stage.sent) == 1


def test_a_used_number_with_other_content_gets_ta1_025_and_is_not_delivered(stage):
    stage.mail(orders(7))
    stage.run()
    stage.mail(orders(7, order("PO-OTHER", WHEN)))
    summary = stage.run()
    assert summary.exit_code == 65
    assert stage.states("in") == ["delivered", "conflict"]
    assert len(stage.delivered) == 1
    assert stage.sent_edi[1][1][:2] == ["TA1", "000000007"]
    assert stage.sent_edi[1][1][4:] == ["R", "025"]


def test_the_very_same_mail_seen_again_is_recognised_and_only_deleted(stage):
    raw = stage.mail(orders(7))
    stage.run()
    stage.mailbox.deliver(raw)
    summary = stage.run()
    assert summary.counts == {"seen before": 1}
    assert "resighted" in stage.kinds()
    assert len(stage.rows("message")) == 2  # the order, and our 997
    assert stage.mailbox.messages == {}


def test_nothing_is_lost_when_the_end_of_the_session_is_not_confirmed(stage):
    stage.mail(orders(7))
    stage.mailbox.faults["commit"] = MailboxUnavailable(mailbox="orders", host="memory", reason="cut")
    assert stage.run().exit_code == 69
    assert len(stage.delivered) == 1
    stage.mailbox.faults.clear()
    summary = stage.run()
    assert summary.exit_code == 0
    assert stage.mailbox.messages == {}
    assert len(stage.delivered) == 1
    assert len(stage.sent) == 1


def test_a_mailbox_that_is_away_does_not_stop_the_rest_of_the_night(stage):
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="no route")
    file = stage.settings.outbox / "acme" / "invoice.edi"
    file.parent.mkdir(parents=True)
    file.write_bytes(invoice())
    summary = stage.run()
    assert summary.exit_code == 69
    assert len(stage.sent) == 1


@pytest.mark.parametrize(
    ("sender", "data", "code"),
    [
        ("sales@stranger.example", orders(1), "sender.unknown"),
        ("edi@acme.example", orders(1, sender="ZZ:NOBODY"), "identity.unknown"),
        ("edi@acme.example", orders(1, sender="14:0700000000001"), "identity.mismatch"),
        ("edi@acme.example", orders(1, receiver="ZZ:SOMEBODYELSE"), "receiver.not-us"),
        ("edi@acme.example", orders(1).replace(b"*0*P*:", b"*0*T*:"), "usage.test-while-live"),
        ("edi@acme.example", orders(1).replace(b"*0*P*:", b"*0*I*:"), "usage.mismatch"),
        (
            "edi@acme.example",
            interchange(
                "ZZ:ACMERETAIL", OURS, 1, WHEN, [("PC", "004010", [["ST*860*0001", "BCH*01*SA*1***20261102"]])]
            ),
            "agreement.unexpected-type",
        ),
    ],
)
def test_what_is_not_proven_or_agreed_is_quarantined_with_its_keys_and_gets_no_answer(stage, sender, data, code):
    stage.mail(data, sender=sender)
    summary = stage.run()
    assert summary.exit_code == 65
    (exchange,) = stage.rows("exchange")
    assert (exchange["state"], exchange["fault_code"]) == ("quarantined", code)
    assert exchange["control_number"] == "000000001"
    assert stage.sent == []
    assert stage.delivered == {}
    assert [each.reference for each in summary.attention] == [str(exchange["id"])]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"UNA:+.? 'UNB+UNOA:1+A+B+261102:2200+1'UNZ+0+1'", "payload.not-x12"),
        (b"", "payload.not-x12"),
        (b"just a letter", "payload.not-x12"),
    ],
)
def test_a_file_that_is_no_x12_is_quarantined(stage, data, code):
    stage.mail(data)
    assert stage.run().exit_code == 65
    message = stage.rows("message")[0]
    assert (message["state"], message["fault_code"]) == ("quarantined", code)


def test_a_letter_without_any_edi_is_quarantined_for_a_person(stage):
    stage.mail(body="Dear EDI team, please call me.")
    stage.run()
    assert stage.rows("message")[0]["fault_code"] == "content.missing"


def test_an_unreadable_interchange_among_good_ones_is_quarantined_alone(stage):
    stage.mail(orders(1), orders(2)[:60])
    stage.run()
    assert len(stage.delivered) == 1
    assert sorted(stage.states("in")) == ["delivered", "quarantined"]
    assert stage.rows("message")[0]["state"] == "processed"


def test_an_auto_reply_is_noted_and_never_answered(stage):
    message = (
        b"From: edi@acme.example\r\nTo: edi@us.example\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nBye\r\n"
    )
    stage.mailbox.deliver(message)
    summary = stage.run()
    assert summary.exit_code == 0
    assert stage.rows("message")[0]["state"] == "noted"
    assert stage.sent == []


def test_garbage_never_stops_the_batch(stage):
    stage.mailbox.deliver(b"\xff\xfe\x00garbage without any header")
    stage.mailbox.deliver(b"")
    stage.mail(orders(1))
    stage.run()
    assert len(stage.delivered) == 1
    assert [row["state"] for row in stage.rows("message") if row["direction"] == "in"] == [
        "quarantined",
        "quarantined",
        "processed",
    ]


def test_a_ta1_is_sent_when_isa14_asks_for_it(stage):
    stage.mail(orders(1, ask_ta1=True))
    stage.run()
    (edi,) = stage.sent_edi
    assert edi[1][0] == "TA1"
    assert edi[1][4:] == ["A", "000"]


def test_a_truncated_interchange_is_refused_by_ta1_and_may_come_again_with_its_number(stage):
    stage.mail(orders(9)[: -len(b"IEA*1*000000009~\r\n")])
    stage.run()
    assert stage.states("in") == ["rejected"]
    assert stage.sent_edi[0][1][4:] == ["R", "023"]
    stage.mail(orders(9))
    stage.run()
    assert stage.states("in") == ["rejected", "delivered"]
    assert len(stage.delivered) == 1


def test_poison_that_ends_the_process_is_put_aside_and_nobody_else_is_blamed(stage, monkeypatch):
    from gateway.flow import inbound

    for number in range(1, 8):
        stage.mail(orders(number))
    real = inbound.unpack

    def die_of_four(case, *rest):
        if b"Subject: EDI 4\r\n" in case.message.raw:
            raise KeyboardInterrupt
        real(case, *rest)

    monkeypatch.setattr(inbound, "unpack", die_of_four)
    for _ in range(inbound.POISON):
        with pytest.raises(KeyboardInterrupt):
            stage.run()
    summary = stage.run()
    assert summary.exit_code == 65
    inbound_messages = [row for row in stage.rows("message") if row["direction"] == "in"]
    assert [row["state"] for row in inbound_messages].count("quarantined") == 1
    assert inbound_messages[3]["fault_code"] == "message.processing-failed"
    assert len(stage.delivered) == 6


def test_a_process_that_is_killed_again_and_again_quarantines_nobody(stage, monkeypatch):
    from gateway.flow import inbound

    for number in range(1, 6):
        stage.mail(orders(number))
    real = inbound.acknowledge

    def die(*_):
        raise KeyboardInterrupt

    for _ in range(3):
        monkeypatch.setattr(inbound, "acknowledge", die)
        with pytest.raises(KeyboardInterrupt):
            stage.run()
    monkeypatch.setattr(inbound, "acknowledge", real)
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 5


def test_another_mail_of_equal_length_under_a_used_uid_is_not_taken_for_the_old_one(stage):
    first, second = stage.mail(orders(1)), stage.mail(orders(2))
    assert len(first) == len(second)
    stage.mailbox.messages.clear()
    stage.mailbox.messages["1"] = first
    stage.run()
    stage.mailbox.messages["1"] = second
    stage.run()
    assert len(stage.delivered) == 2


@pytest.mark.parametrize("message_id", ["<a,b@c>", '<"q"@c>', "<x(1)@c>", "<x;1@c>", "<a>", "no brackets", "<é@c>"])
def test_an_odd_message_id_keeps_no_order_from_being_answered(stage, message_id):
    raw = f"From: edi@acme.example\r\nTo: {US}\r\nMessage-ID: {message_id}\r\n\r\n".encode() + orders(1)
    stage.mailbox.deliver(raw)
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 1
    assert len(stage.sent) == 1


def test_the_same_number_to_two_of_our_identities_is_delivered_twice(stage):
    from partners.directory import Directory
    from partners.model import Identity

    real = stage.context

    def context(reporter=None):
        made = real(reporter)
        ours = [Identity.parse(OURS), Identity.parse("ZZ:SECOND")]
        return replace(made, directory=Directory(list(made.directory), ours))

    stage.context = context
    stage.mail(orders(7))
    stage.mail(orders(7, receiver="ZZ:SECOND"))
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 2


def test_a_delivery_that_fails_is_shown_until_it_succeeds(stage):
    stage.settings.inbox.mkdir()
    (stage.settings.inbox / "acme").write_text("")
    stage.mail(orders(1))
    (shown,) = stage.run().attention
    assert (shown.reference, shown.state) == ("1", "not delivered")
    (stage.settings.inbox / "acme").unlink()
    assert stage.run().attention == ()


def test_a_release_repeats_nothing_that_was_decided(stage):
    stage.mail(orders(1), orders(1), orders(2, sender="ZZ:NOBODY"), orders(3, sender="ZZ:NOBODY"))
    stage.run()
    assert stage.states("in") == ["delivered", "duplicate", "quarantined", "quarantined"]
    operate.discard(stage.context(), "5", actor="anna", reason="not ours")
    stage.profiles[0] = ACME.replace('["ZZ:ACMERETAIL"]', '["ZZ:ACMERETAIL", "ZZ:NOBODY"]')
    operate.release(stage.context(), "4", actor="anna", reason="identity added")
    stage.run()
    states = [row["state"] for row in stage.rows("exchange") if row["direction"] == "in"]
    assert states == ["delivered", "duplicate", "discarded", "discarded", "delivered"]
    assert len(stage.delivered) == 2
    assert len(stage.sent) == 2
    assert len([each for each in stage.rows("payload") if each["path"]]) == 4  # ours have no path


def test_discarding_the_last_of_a_quarantined_mail_discards_the_mail(stage):
    stage.mail(orders(1), sender="sales@stranger.example")
    stage.run()
    operate.discard(stage.context(), "1", actor="anna", reason="spam")
    assert stage.run().attention == ()


def test_a_defect_in_a_step_stops_no_other_step(stage, monkeypatch):
    from gateway.flow import night

    def broken(context):
        raise RuntimeError("a defect")

    steps = tuple((name, broken if name == "submit" else step) for name, step in night.STEPS)
    monkeypatch.setattr(night, "STEPS", steps)
    stage.mail(orders(1))
    summary = stage.run()
    assert summary.exit_code == 1
    assert len(stage.sent) == 1
    assert "unexpected" in {fault.code for _, fault in summary.troubles}


def test_what_a_group_that_failed_would_have_told_is_not_told(stage, monkeypatch):
    from gateway.flow import inbound

    real = inbound.acknowledge

    def fail_in_groups(context, recorder, cases):
        real(context, recorder, cases)
        if len(cases) > 1:
            raise ZeroDivisionError("a defect")

    monkeypatch.setattr(inbound, "acknowledge", fail_in_groups)
    for number in (1, 2, 3):
        stage.mail(orders(number))
    assert stage.run().counts["interchanges accepted"] == 3


def test_an_empty_interchange_stays_nowhere_open(stage):
    stage.mail(interchange("ZZ:ACMERETAIL", OURS, 1, WHEN, []))
    stage.run()
    assert stage.states("in") == ["empty"]


def test_a_defect_in_one_message_quarantines_that_message_only(stage, monkeypatch):
    from gateway.flow import inbound

    real = inbound.acknowledge

    def fail_for_two(context, recorder, cases):
        if any(b"PO-2" in case.payloads[0].data for case in cases):
            raise ZeroDivisionError("a defect")
        real(context, recorder, cases)

    monkeypatch.setattr(inbound, "acknowledge", fail_for_two)
    for number in (1, 2, 3):
        stage.mail(orders(number))
    stage.run()
    assert len(stage.delivered) == 2
    assert [row["state"] for row in stage.rows("message") if row["direction"] == "in"] == [
        "processed",
        "quarantined",
        "processed",
    ]


def test_a_target_that_fails_is_tried_again_by_the_next_night_under_the_same_name(stage):
    stage.settings.inbox.mkdir()
    (stage.settings.inbox / "acme").write_text("a file where the directory should be")
    stage.mail(orders(1))
    summary = stage.run()
    assert summary.exit_code == 69
    assert stage.states("in") == ["accepted"]
    assert len(stage.sent) == 1  # it was accepted: the partner is told
    (stage.settings.inbox / "acme").unlink()
    assert stage.run().exit_code == 0
    assert stage.states("in") == ["delivered"]
    assert len(stage.delivered) == 1


def test_the_profile_decides_what_is_sent_back(tmp_path):
    silent = ACME.replace(
        '[[agreement]]\nname = "orders"',
        '[acknowledgment]\nfunctional = "none"\nta1 = "never"\n[[agreement]]\nname = "orders"',
    )
    stage = Stage(tmp_path, [silent])
    stage.mail(orders(1, ask_ta1=True))
    stage.run()
    assert len(stage.delivered) == 1
    assert stage.sent == []


def test_a_whole_interchange_can_be_delivered_without_its_rejected_sets(tmp_path):
    whole = ACME.replace(
        '[[agreement]]\nname = "orders"', '[delivery]\nunit = "interchange"\n[[agreement]]\nname = "orders"'
    )
    stage = Stage(tmp_path, [whole])
    stage.mail(orders(5, order("PO-5", WHEN), order("PO-6", WHEN, 2, quantity="MANY"), order("PO-7", WHEN, 3)))
    stage.run()
    (data,) = stage.delivered.values()
    assert b"PO-5" in data
    assert b"PO-7" in data
    assert b"PO-6" not in data
    assert b"GE*2*5~" in data


def test_raw_bytes_are_kept_for_everything(stage):
    raw = stage.mail(orders(1))
    stage.mailbox.deliver(b"junk")
    stage.run()
    kept = {bytes(row["bytes"]) for row in stage.rows("content")}
    assert {raw, b"junk", orders(1).rstrip(b"\r\n")} <= {
        each.rstrip(b"\r\n") if each.startswith(b"ISA") else each for each in kept
    }


def test_a_message_that_the_server_does_not_give_stays_there_and_is_said(stage):
    stage.mail(orders(1))
    stage.mail(orders(2))
    stage.mailbox.refused.add("000001")
    summary = stage.run()
    assert summary.exit_code == 69
    assert "mailbox.message-not-given" in {fault.code for _, fault in summary.troubles}
    assert list(stage.mailbox.messages) == ["000001"]
    assert len(stage.delivered) == 1
    stage.mailbox.refused.clear()
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 2


def alternative(first: bytes, second: bytes) -> bytes:
    """A mail whose two alternative forms carry EDI."""
    return (
        b"From: edi@acme.example\r\nTo: edi@us.example\r\nMessage-ID: <alt@acme.example>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\n" + first + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + second
    ) + b"\r\n--b--\r\n"


def test_the_same_edi_in_two_alternative_forms_is_one_interchange(stage):
    stage.mailbox.deliver(alternative(orders(1), orders(1)))
    stage.run()
    assert stage.states("in") == ["delivered"]


def test_different_edi_in_two_alternative_forms_is_quarantined(stage):
    stage.mailbox.deliver(alternative(orders(1), orders(2)))
    stage.run()
    assert stage.rows("message")[0]["fault_code"] == "message.malformed"
    assert stage.delivered == {}


def test_text_that_a_database_refuses_is_recorded_all_the_same(stage):
    stage.mailbox.deliver(
        b"From: edi@acme.example\r\nTo: edi@us.example\r\nSubject: a =?utf-8?q?=00=ED=A0=80?= b \xff\r\n"
        b"Message-ID: <nul@acme.example>\r\n\r\n" + orders(1)
    )
    stage.run()
    assert len(stage.delivered) == 1
    assert "\0" not in str(stage.rows("message")[0]["subject"])


def test_the_acknowledgment_goes_to_the_address_that_the_mail_came_from(stage):
    stage.mail(orders(1), sender="edi2@acme.example")
    stage.run()
    assert [mail["To"] for mail in stage.sent] == ["edi2@acme.example"]


def test_an_agreement_may_want_its_acknowledgments_elsewhere(tmp_path):
    stage = Stage(tmp_path, [ACME.replace('sets = ["850"]', 'sets = ["850"]\nmail.to = ["acks@acme.example"]')])
    stage.mail(orders(1))
    stage.run()
    assert [mail["To"] for mail in stage.sent] == ["acks@acme.example"]


def test_an_interchange_that_cannot_be_answered_is_quarantined_and_the_others_go_on(stage, monkeypatch):
    from gateway import x12
    from gateway.errors import SeparatorInData

    real = x12.functional_acknowledgment

    def refuse(group, kind, detail):
        if group.control_number == "2":
            raise SeparatorInData(name="997", position="AK102", separator="*")
        return real(group, kind, detail)

    monkeypatch.setattr(x12, "functional_acknowledgment", refuse)
    for number in (1, 2, 3):
        stage.mail(orders(number))
    stage.run()
    assert len(stage.delivered) == 2
    assert stage.rows("message")[1]["state"] == "quarantined"


def test_a_disk_that_fails_at_the_sync_leaves_nothing_marked_as_delivered(stage, monkeypatch):
    real = os.fsync

    def broken(descriptor):
        if "inbox" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "Input/output error")
        real(descriptor)

    stage.mail(orders(1))
    monkeypatch.setattr(os, "fsync", broken)
    assert stage.run().exit_code == 69
    assert stage.states("in") == ["accepted"]
    assert stage.delivered == {}
    monkeypatch.undo()
    assert stage.run().exit_code == 0
    assert stage.states("in") == ["delivered"]
    assert len(stage.delivered) == 1


def test_mail_that_is_left_on_the_server_is_downloaded_once(stage):
    kept = MailboxSettings(name="orders", protocol="pop3", keep_on_server=True)
    stage.settings = replace(stage.settings, mailboxes=(kept,))
    stage.mail(orders(1))
    stage.run()
    assert stage.run().counts == {}
    stage.mail(orders(2))
    assert stage.run().counts["collected"] == 1
    assert len(stage.mailbox.messages) == 2
    assert len(stage.delivered) == 2


def test_a_message_over_the_limit_stays_on_its_server_and_is_said_every_night(stage):
    stage.limits = Limits(message_size=600)
    stage.mail(orders(1))
    for _ in range(2):
        summary = stage.run()
        assert summary.exit_code == 65
        assert [fault.code for _, fault in summary.troubles] == ["message.too-large"]
    assert len(stage.mailbox.messages) == 1


def test_mail_waits_unblamed_while_the_configuration_is_incomplete(stage):
    complete = stage.settings
    stage.settings = replace(complete, smtp=None)
    stage.mail(orders(1))
    for _ in range(8):
        assert stage.run().exit_code == 78
    assert stage.rows("message")[0]["state"] == "stored"
    stage.settings = complete
    assert stage.run().exit_code == 0
    assert len(stage.delivered) == 1
    assert len(stage.sent) == 1


def test_a_stranger_does_not_fill_the_ledger_with_what_a_small_mail_unpacks_to(stage):
    """Two kB of gzip hold 5,000 sets of nothing; released, they are all examined and recorded."""
    whole = orders(1).replace(b"\r\n", b"")
    end = whole.index(b"GE*")
    stage.mail(gzip.compress(whole[:end] + b"ST*850*0002~SE*2*0002~" * 5_000 + whole[end:]), sender="edi@who.example")
    stage.run()
    (exchange,) = stage.rows("exchange")
    assert (exchange["state"], exchange["fault_code"], exchange["types"]) == ("quarantined", "sender.unknown", "850")
    assert exchange["findings"] > 5_000
    assert len(stage.rows("transaction_set")) == 100
    assert len(stage.rows("finding")) <= 100
    stage.profiles[0] = ACME.replace("edi2@acme.example", "edi@who.example")
    operate.release(stage.context(), "m1", actor="tester", reason="it is theirs")
    stage.run()
    assert len(stage.rows("transaction_set")) > 5_000


def test_what_waits_for_the_business_is_delivered_when_its_agreement_has_another_name_by_now(stage):
    """A name that is made of the sets changes when a set is added; what was accepted is the business's."""
    failing = '\n[agreement.delivery]\nkind = "command"\ntarget = "/bin/false"\n'
    orders_only = 'name = "orders"\ndirection = "in"\nsets = ["850"]\nversions = ["004010"]\n'
    stage.profiles = [ACME.replace(orders_only, orders_only + failing)]
    stage.mail(orders(1))
    stage.run()
    assert stage.states("in") == ["accepted"]
    more = 'direction = "in"\nsets = ["850", "860"]\nversions = ["004010"]\n'
    stage.profiles = [ACME.replace(orders_only, more.replace('"850", "860"', '"860"'))]
    (attention,) = stage.run().attention
    assert "nor another one on 850" in attention.reason
    stage.profiles = [ACME.replace(orders_only, more)]
    assert stage.run().attention == ()
    assert stage.states("in") == ["delivered"]
    assert len(stage.delivered) == 1
