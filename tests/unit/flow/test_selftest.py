"""Self-tests: a partner's file is judged and reported on, and nothing else; strangers and loops get no answer."""

import pytest
from builders.stage import ACME, GLOBEX, HOUR, WHEN, Stage, orders
from msgspec.structs import replace

from gateway.demo import documents
from gateway.errors import SettingsInvalid
from gateway.flow.case import Case
from gateway.flow.unpack import unpack
from gateway.ledger.work import StoredMessage
from gateway.settings import SelftestSettings, parse_settings

TEST = "test@us.example"
DRAFT = ACME.replace('"live"', '"draft"')


@pytest.fixture
def stage(tmp_path):
    return ready(Stage(tmp_path, [ACME, GLOBEX]), 10)


def ready(stage, per_hour):
    stage.settings = replace(stage.settings, selftest=SelftestSettings(TEST, per_hour))
    return stage


def mail(stage, *files, to=TEST, **options):
    """A mail to the test address."""
    deliver = stage.mailbox.deliver
    stage.mailbox.deliver = lambda raw: deliver(raw.replace(b"To: edi@us.example", b"To: " + to.encode()))
    stage.mail(*files, **options)
    del stage.mailbox.deliver


def reports(stage):
    """The texts of the reports that went out."""
    found = []
    for sent in stage.sent:
        if sent["Subject"].startswith("Report on your test"):
            part = next(each for each in sent.walk() if each.get_content_type() == "text/plain")
            found.append(part.get_payload(decode=True).decode())
    return found


def listing(stage):
    """The last part of the last mail: what would answer."""
    return stage.sent[-1].get_payload()[-1].get_payload(decode=True).decode()


def flat(text):
    return " ".join(text.split())


def test_what_is_no_interchange_beside_a_good_one_is_reported_too(stage):
    mail(stage, orders(7), orders(8)[1:])
    stage.run()
    (text,) = reports(stage)
    assert "WOULD BE ACCEPTED" in flat(text)
    assert "2. file2.edi WOULD NOT BE TAKEN, and not be answered: The payload file2.edi is not X12" in flat(text)


def test_a_good_file_is_reported_on_and_nothing_of_it_is_taken(stage):
    mail(stage, orders(7))
    stage.run()
    (text,) = reports(stage)
    for words in (
        "Report of Example Co on a test",
        "You are ACME Retail (live), known by the address alone.",
        "Interchange 000000007 from ZZ:ACMERETAIL to ZZ:EXAMPLECO, production (ISA15 P), version 00401",
        "WOULD BE ACCEPTED; an answer is shown in the attachment.",
        "850 0001: accepted, judged by",
    ):
        assert words in flat(text)
    assert stage.states("in") == []
    assert stage.delivered == {}
    assert stage.rows("control_number") == []
    assert stage.rows("received_number") == []
    (received, sent) = stage.rows("message")
    assert (received["state"], received["kind"], received["partner"]) == ("noted", "self-test", "acme")
    assert (sent["state"], sent["kind"]) == ("sent", "test-report")
    assert [(row["kind"], row["state"]) for row in stage.rows("exchange")] == [("test-report", "complete")]
    assert {"self-test", "self-test-answered"} <= set(stage.kinds())
    assert "noted" not in stage.kinds()
    assert stage.sent[0]["To"] == "edi@acme.example"
    assert stage.sent[0]["In-Reply-To"] == "<1@acme.example>"


def test_the_same_file_in_earnest_afterwards_is_no_duplicate(stage):
    mail(stage, orders(7))
    stage.mail(orders(7))
    stage.run()
    assert stage.states("in") == ["delivered"]


def test_what_is_wrong_is_told_by_segment_with_the_answer_that_it_would_get(stage):
    mail(stage, orders(7, documents.order("PO-1", WHEN, quantity="many"), documents.order("PO-2", WHEN, control=2)))
    stage.run()
    (text,) = reports(stage)
    assert "WOULD BE PARTIALLY ACCEPTED" in text
    assert "error: PO102 (Quantity Ordered), segment 8: 'many' is not a number." in text
    shown = listing(stage)
    assert "AK5 * R" in shown
    assert "AK9 * P * 2 * 2 * 1" in shown
    assert "000000000" in shown


def test_the_report_holds_nothing_that_a_machine_would_take_for_an_interchange(stage):
    mail(stage, orders(7))
    stage.run()
    raw = stage.transport.sent[0].raw
    case = Case(StoredMessage(1, 0, "", "", "", "", 0, raw))
    unpack(case, stage.limits)
    assert case.letter.kind == "auto-reply"
    assert case.payloads == []


def test_a_refused_envelope_shows_its_ta1(stage):
    mail(stage, orders(7).replace(b"IEA*1*000000007", b"IEA*1*000000008"))
    stage.run()
    assert "WOULD BE REFUSED as a whole, with TA1 R 001." in reports(stage)[0]
    assert "TA1 * 000000007" in listing(stage)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (orders(1, sender="ZZ:SOMEBODY"), "its sender ZZ:SOMEBODY is none of your identities with us (ZZ:ACMERETAIL)"),
        (orders(1, sender="14:0700000000001"), "is none of your identities with us (ZZ:ACMERETAIL)"),
        (orders(1, receiver="ZZ:OTHER"), "its receiver ZZ:OTHER is not us (ZZ:EXAMPLECO)"),
        (orders(1).replace(b"*004010~", b"*003040~"), "it was not agreed on that you send us 850 in 003040"),
        (b"order;amount\n1;2\n", "What we could not read: The payload file1.edi is not X12"),
    ],
)
def test_what_would_not_be_taken_is_explained_without_naming_others(stage, data, said):
    mail(stage, data)
    stage.run()
    (text,) = reports(stage)
    assert said in flat(text)
    assert "globex" not in text.lower()


def test_a_mail_without_a_file_is_answered_too(stage):
    mail(stage, body="hello")
    stage.run()
    assert "The message carries no X12 interchange." in reports(stage)[0]


@pytest.mark.parametrize("status", ["draft", "testing"])
def test_a_partner_that_is_not_live_yet_may_test(tmp_path, status):
    stage = ready(Stage(tmp_path, [ACME.replace('"live"', f'"{status}"')]), 10)
    mail(stage, orders(1))
    mail(stage, orders(2).replace(b"*0*P*:", b"*0*T*:"))
    stage.run()
    first, second = reports(stage)
    assert "WOULD BE ACCEPTED" in first
    assert "test (ISA15 T)" in second
    assert "WOULD BE ACCEPTED" in second


@pytest.mark.parametrize(
    ("profile", "sender"),
    [
        (ACME, "stranger@elsewhere.example"),
        (ACME.replace('"live"', '"suspended"'), "edi@acme.example"),
        (ACME.replace('"live"', '"ended"'), "edi@acme.example"),
        (ACME.replace('name = "ACME Retail"', 'evidence = "dkim"'), "edi@acme.example"),
    ],
)
def test_who_is_no_partner_or_not_proven_gets_no_answer(tmp_path, profile, sender):
    stage = ready(Stage(tmp_path, [profile]), 10)
    mail(stage, orders(1), sender=sender)
    stage.run()
    assert stage.sent == []
    assert stage.rows("message")[0]["state"] == "quarantined"


def test_an_automatic_answer_and_our_own_mail_are_never_answered(stage):
    mail(stage, body="I am away", **{"Auto-Submitted": "auto-replied"})
    stage.mailbox.deliver(
        b"From: edi@us.example\r\nTo: test@us.example\r\nSubject: x\r\nMessage-ID: <"
        + b"a" * 40
        + b"@us.example>\r\n\r\n"
        b"hello\r\n"
    )
    stage.run()
    assert stage.sent == []


def test_a_report_that_comes_back_to_a_test_address_ends_there(stage):
    mail(stage, orders(1))
    stage.run()
    sent = stage.transport.sent[0].raw.replace(b"To: edi@acme.example", b"To: test@us.example")
    stage.mailbox.deliver(sent.replace(b"From: edi@us.example", b"From: edi@acme.example"))
    stage.run()
    assert len(stage.sent) == 1


def test_a_mail_to_another_address_of_ours_too_is_in_earnest(stage):
    mail(stage, orders(1), to="test@us.example, edi@us.example")
    stage.run()
    assert stage.states("in") == ["delivered"]
    assert reports(stage) == []


def test_an_envelope_recipient_counts_where_the_header_names_none_of_ours(stage):
    mail(stage, orders(1), to="undisclosed@acme.example", **{"Delivered-To": TEST})
    stage.run()
    assert len(reports(stage)) == 1


def test_a_partner_gets_so_many_reports_in_an_hour(tmp_path):
    stage = ready(Stage(tmp_path, [ACME, GLOBEX]), 2)
    for number in range(4):
        mail(stage, orders(number + 1))
    stage.run()
    assert len(reports(stage)) == 2
    assert [row["state"] for row in stage.rows("message") if row["direction"] == "in"] == ["noted"] * 4
    stage.now += HOUR + 1
    mail(stage, orders(9))
    stage.run()
    assert len(reports(stage)) == 3


def test_without_the_setting_the_address_is_like_any_other(tmp_path):
    stage = Stage(tmp_path, [ACME])
    mail(stage, orders(1))
    stage.run()
    assert stage.states("in") == ["delivered"]


def test_a_hostile_file_cannot_write_control_characters_or_a_book_into_the_report(stage):
    data = orders(7).replace(b"PO-7", b"PO\x1b[2J\x07")
    mail(stage, data, subject="=?utf-8?q?a=0D=0ABcc:_x?=")
    mail(stage, orders(8, *[documents.order(f"PO-{n}", WHEN, control=n, quantity="many") for n in range(1, 400)]))
    stage.run()
    first, second = reports(stage)
    assert "\x1b" not in first
    assert "\nBcc" not in first
    assert "more transaction sets" in second
    assert len(second) < 200_000


def test_the_address_must_not_be_the_sender_of_our_mails(tmp_path):
    text = (
        '[gateway]\nname = "Us"\ndomain = "us.example"\nidentities = ["ZZ:US"]\n[smtp]\nhost = "h.example"\n'
        'sender = "edi@us.example"\n[selftest]\naddress = "{}"\n'
    )
    assert parse_settings(text.format(TEST).encode(), home=tmp_path).selftest.address == TEST
    for same in ("edi@us.example", "EDI@us.example"):
        with pytest.raises(SettingsInvalid, match="answers to them"):
            parse_settings(text.format(same).encode(), home=tmp_path)
    box = '[mailbox.x]\nhost = "h.example"\nuser = "Orders@us.example"\n'
    with pytest.raises(SettingsInvalid, match="would only be judged"):
        parse_settings((text.format("orders@us.example") + box).encode(), home=tmp_path)
    other = box.replace("mailbox.x", "mailbox.y").replace("Orders", "more")
    parse_settings((text.format("orders@us.example") + box + other).encode(), home=tmp_path)
    with pytest.raises(SettingsInvalid, match=r"\[smtp\]"):
        parse_settings(
            text.replace("[smtp]", "[mailbox.x]\n").replace("sender", "user").format(TEST).encode(), home=tmp_path
        )
