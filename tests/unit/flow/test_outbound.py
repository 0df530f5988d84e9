"""Outbound: documents get envelopes and gapless numbers, go out once, and are followed to their acknowledgment."""

from __future__ import annotations

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, invoice, orders, ta1
from msgspec.structs import replace
from sqlalchemy import update

from gateway.demo import documents
from gateway.errors import (
    DocumentInvalid,
    DocumentMisaddressed,
    DocumentUnreadable,
    KeyReused,
    NoAgreement,
    NotAllowedNow,
    OutcomeUnknown,
    PartnerNotActive,
    Refused,
    SecretMissing,
    SmtpUnavailable,
    TemporarilyRefused,
    UnknownPartner,
)
from gateway.flow import operate
from gateway.flow.stops import stops_of
from gateway.flow.submit import submit
from gateway.ledger import tables
from gateway.ledger.states import EXCHANGE_MEANING, ExchangeState
from gateway.ledger.work import partners_to_mail
from gateway.settings import SmtpSettings
from partners.directory import Directory
from partners.model import Identity
from partners.profile import read_profile


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def send(stage, number="INV-1", partner="acme", **options):
    return submit(stage.context(), partner, invoice(number), name=f"{number}.edi", **options)


def raising(fault):
    def answer(mail):
        raise fault

    return answer


def test_a_bare_set_gets_the_envelope_of_the_agreement_and_goes_out_as_edi(stage):
    done = send(stage)
    stage.run()
    (mail,), (edi,) = stage.sent, stage.sent_edi
    assert done.control_numbers == ("000000001",)
    part = next(each for each in mail.walk() if each.get_filename())
    assert part.get_content_type() == "application/edi-x12"
    assert part.get_filename() == "810_000000001.edi"
    assert mail["Subject"] == "810 000000001 from Example Co"
    assert edi[1][:4] == ["GS", "IN", "EXAMPLECO", "ACMERETAIL"]
    assert edi[2] == ["ST", "810", "0001"]
    exchange = stage.rows("exchange")[0]
    assert (exchange["state"], exchange["host"]) == ("sent", "memory")
    assert exchange["smtp_reply"].startswith("250")
    assert {row["name"]: row["value"] for row in stage.rows("business_key")}["invoice"] == "INV-1"


def test_a_whole_interchange_is_enveloped_anew_with_our_numbers(stage):
    send(stage)
    stage.run()
    foreign = next(part for part in stage.sent[0].walk() if part.get_filename()).get_payload(decode=True)
    foreign = foreign.replace(b"INV-1", b"INV-2")
    submit(stage.context(), "acme", foreign)
    stage.run()
    assert stage.sent_edi[1][0][13] == "000000002"


def test_numbers_are_gapless_per_partner_and_a_refused_document_uses_none(stage):
    send(stage, "INV-1")
    with pytest.raises(DocumentInvalid):
        submit(stage.context(), "acme", invoice("INV-2").replace(b"TDS*11940", b"TDS*MUCH"))
    send(stage, "INV-3")
    send(stage, "INV-4", "globex")
    stage.run()
    sent = [(edi[0][8].strip(), edi[0][13]) for edi in stage.sent_edi]
    numbers = {partner: [number for receiver, number in sent if receiver == partner] for partner, _ in sent}
    assert numbers == {"ACMERETAIL": ["000000001", "000000002"], "0700000000001": ["000000001"]}


def test_sets_of_several_kinds_under_one_agreement_go_as_a_group_each(stage):
    order = documents.bare(["ST*855*0001", "BAK*00*AD*PO-1*20261102", "PO1*1*10*EA*5**VP*X", "CTT*1"])
    submit(stage.context(), "acme", invoice() + order)
    stage.run()
    (edi,) = stage.sent_edi
    assert [(each[1], each[6]) for each in edi if each[0] == "GS"] == [("IN", "1"), ("PR", "2")]


def test_a_control_number_wraps_after_999999999(stage):
    send(stage)
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(update(tables.control_number).values(next=999_999_999))
    assert send(stage, "INV-2").control_numbers == ("999999999",)
    assert send(stage, "INV-3").control_numbers == ("000000001",)


def test_the_same_document_or_key_is_submitted_once(stage):
    first = send(stage)
    again = send(stage)
    assert again.repeated
    assert again.exchanges == first.exchanges
    keyed = send(stage, "INV-2", key="order-2")
    assert send(stage, "INV-2", key="order-2").exchanges == keyed.exchanges
    with pytest.raises(KeyReused):
        send(stage, "INV-3", key="order-2")
    assert len(stage.rows("exchange")) == 2


@pytest.mark.parametrize(
    ("partner", "data", "fault"),
    [
        ("nobody", invoice(), UnknownPartner),
        ("acme", b"ST*850*0001~BEG*00*SA*1**20261102~SE*3*0001~", NoAgreement),
        ("acme", b"Dear colleague", DocumentUnreadable),
        ("acme", b"", DocumentUnreadable),
        ("acme", b"ST*810*0001~BIG*20261102*1~", DocumentUnreadable),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason_and_queues_nothing(stage, partner, data, fault):
    with pytest.raises(fault):
        submit(stage.context(), partner, data)
    assert stage.rows("exchange") == []
    assert stage.rows("control_number") == []


def test_a_set_without_an_envelope_is_named_without_a_version(stage):
    with pytest.raises(NoAgreement) as caught:
        submit(stage.context(), "acme", b"ST*850*0001~BEG*00*SA*1**20261102~SE*3*0001~")
    assert str(caught.value) == "acme has no agreement to send it 850."


def test_a_suspended_partner_gets_nothing(tmp_path):
    stage = Stage(tmp_path, [ACME.replace('"live"', '"suspended"')])
    with pytest.raises(PartnerNotActive, match="nothing is exchanged with it"):
        send(stage)


@pytest.mark.parametrize("status", ["suspended", "ended"])
def test_what_waits_for_a_partner_that_was_stopped_since_goes_when_it_is_active_again(stage, status):
    send(stage)
    stage.profiles[0] = ACME.replace('"live"', f'"{status}"')
    send(stage, partner="globex")
    stage.run()
    assert {each.recipients for each in stage.transport.sent} == {("edi@globex.example",)}
    with stage.ledger.reading() as connection:
        assert partners_to_mail(connection, stage.now, 9) == ["acme"]
        assert partners_to_mail(connection, stage.now, 9, stops=stops_of(stage.context().directory)) == []
    stage.profiles[0] = ACME
    stage.run()
    assert stage.transport.sent[-1].recipients == ("edi@acme.example",)


def test_the_outbox_is_emptied_into_submitted_and_refused(stage):
    box = stage.settings.outbox / "acme"
    box.mkdir(parents=True)
    (box / "good.edi").write_bytes(invoice())
    (box / "bad.edi").write_bytes(b"no x12")
    (box / ".half.edi").write_bytes(b"ST*810")
    (box / "half.tmp").write_bytes(b"ST*810")
    summary = stage.run()
    assert summary.exit_code == 65
    assert sorted(each.name for each in box.iterdir() if each.is_file()) == [".half.edi", "half.tmp"]
    assert [each.name for each in (box / ".submitted").iterdir()] == ["good.edi"]
    assert sorted(each.name for each in (box / ".refused").iterdir()) == ["bad.edi", "bad.edi.why.txt"]
    assert "document.unreadable" in (box / ".refused" / "bad.edi.why.txt").read_text()
    assert len(stage.sent) == 1


def test_a_host_that_is_away_keeps_the_mail_for_the_next_night(stage):
    send(stage)
    stage.transport.answer = raising(SmtpUnavailable(host="memory", reason="no route"))
    assert stage.run().exit_code == 69
    assert stage.states("out") == ["ready"]
    stage.transport.answer = None
    stage.now += 1
    assert stage.run().exit_code == 0
    assert stage.states("out") == ["sent"]


def test_a_4xx_is_tried_again_later_with_the_same_bytes_and_given_up_in_the_end(stage):
    send(stage)
    seen = []

    def answer(mail):
        seen.append(mail.raw)
        raise TemporarilyRefused(host="memory", reply="451 later")

    stage.transport.answer = answer
    stage.run()
    stage.run()
    assert len(seen) == 1  # not before its pause is over
    for _ in range(20):
        stage.now += 12 * HOUR
        summary = stage.run()
    assert len(seen) == stage.settings.attempts
    assert len(set(seen)) == 1
    assert stage.states("out") == ["failed"]
    (attention,) = summary.attention
    assert attention.reason == "Given up after 8 attempts. The last one: memory refuses for now: 451 later"
    assert attention.next_command == "gateway exchange resend 1 --why …"


@pytest.mark.parametrize("tried", [False, True])
def test_what_waits_does_not_wait_for_a_clock_that_was_set_back(stage, tried):
    submit(stage.context(), "acme", invoice(), name="INV-1")
    if tried:
        stage.transport.refused = {"edi@acme.example": "451 not now"}
        stage.run()
        stage.transport.refused = {}
    stage.now -= 24 * HOUR
    stage.run()
    assert stage.states("out") == ["sent"]


def test_a_5xx_is_final_and_a_person_is_called(stage):
    send(stage)
    stage.transport.answer = raising(Refused(host="memory", recipient="edi@acme.example", reply="550 unknown"))
    summary = stage.run()
    assert summary.exit_code == 65
    assert stage.states("out") == ["failed"]
    assert "550 unknown" in summary.attention[0].reason


def test_a_lost_reply_to_the_final_dot_is_in_doubt_and_a_person_resolves_it(stage):
    send(stage)
    stage.transport.after_taking = raising(OutcomeUnknown(host="memory"))
    stage.run()
    assert stage.states("out") == ["in doubt"]
    stage.transport.after_taking = None
    stage.run()
    assert len(stage.sent) == 1  # never silently again
    operate.resolve(stage.context(), 1, sent=False, actor="anna", reason="partner has nothing")
    stage.run()
    assert stage.states("out") == ["sent"]
    first, second = stage.transport.sent
    assert first.raw == second.raw


def test_what_is_in_doubt_says_so_in_a_sentence(stage):
    """Where nothing else tells why, the state's meaning does, in the list as in the alert."""
    send(stage)
    stage.transport.after_taking = raising(OutcomeUnknown(host="memory"))
    (need,) = stage.run().attention
    assert need.state == "in doubt"
    assert need.reason == EXCHANGE_MEANING[ExchangeState.IN_DOUBT]


def test_a_doubt_is_resolved_by_the_partners_acknowledgment(stage):
    send(stage)
    stage.transport.after_taking = raising(OutcomeUnknown(host="memory"))
    stage.run()
    stage.mail(acknowledgment(1, 1))
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert stage.rows("outgoing") == []


def test_a_doubt_is_sent_again_where_the_agreement_says_so(tmp_path):
    stage = Stage(tmp_path, [ACME.replace('name = "invoices"', 'name = "invoices"\non_doubt = "resend"')])
    send(stage)
    lost = iter([OutcomeUnknown(host="memory")])

    def after(mail):
        fault = next(lost, None)
        if fault:
            raise fault

    stage.transport.after_taking = after
    stage.run()
    stage.run()
    assert stage.states("out") == ["sent"]
    assert len({each.raw for each in stage.transport.sent}) == 1
    assert "in-doubt" in stage.kinds()


def test_a_process_that_dies_while_sending_leaves_a_doubt_not_a_silent_duplicate(stage):
    send(stage)

    def die(mail):
        raise KeyboardInterrupt

    stage.transport.after_taking = die
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert stage.states("out") == ["sending"]
    stage.transport.after_taking = None
    stage.run()
    assert stage.states("out") == ["in doubt"]
    assert len(stage.sent) == 1


@pytest.mark.parametrize(("verdict", "state"), [("A", "acknowledged"), ("R", "refused by the partner")])
def test_a_997_is_matched_down_to_the_transaction_set(stage, verdict, state):
    send(stage)
    stage.run()
    stage.mail(acknowledgment(1, 1, verdict))
    stage.run()
    assert stage.states("out") == [state]
    assert stage.states("in") == ["reconciled"]
    word = "accepted" if verdict == "A" else "rejected"
    assert stage.rows("transaction_set")[0]["acknowledged"] == word
    assert stage.rows("functional_group")[0]["acknowledged"] == word
    assert stage.rows("expectation") == []
    assert len(stage.sent) == 1  # an acknowledgment is never acknowledged


def test_a_ta1_that_refuses_ends_the_wait(stage):
    send(stage)
    stage.run()
    stage.mail(ta1(1, 1, "R", "009"))
    summary = stage.run()
    assert stage.states("out") == ["refused by the partner"]
    assert "receiver" in summary.attention[0].reason
    assert stage.rows("expectation") == []


def test_an_accepting_ta1_alone_does_not_replace_the_997(stage):
    send(stage)
    stage.run()
    stage.mail(ta1(1, 1))
    stage.run()
    assert stage.states("out") == ["sent"]
    assert stage.states("in") == ["reconciled"]


def test_silence_is_overdue_once_and_a_late_acknowledgment_closes_it(stage):
    send(stage)
    stage.run()
    stage.now += 25 * HOUR
    assert stage.run().counts == {"acknowledgments overdue": 1}
    assert stage.states("out") == ["overdue"]
    stage.now += HOUR
    assert stage.run().counts == {}
    stage.mail(acknowledgment(1, 1))
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert "late" in stage.kinds()


def test_an_acknowledgment_of_nothing_is_shown_to_a_person(stage):
    stage.mail(acknowledgment(1, 77))
    summary = stage.run()
    assert summary.exit_code == 65
    assert stage.states("in") == ["unmatched"]
    assert stage.rows("acknowledgment")[0]["relation"] == "orphan"


def test_another_partners_number_cannot_be_acknowledged(stage):
    send(stage, partner="globex")
    stage.run()
    stage.mail(acknowledgment(1, 1))  # ACME speaks of a group that went to Globex
    stage.run()
    assert stage.states("out") == ["sent"]
    assert stage.states("in") == ["unmatched"]


def test_a_repeated_and_a_contradicting_acknowledgment_are_told_apart(stage):
    send(stage)
    stage.run()
    stage.mail(acknowledgment(1, 1))
    stage.mail(acknowledgment(2, 1))
    stage.mail(acknowledgment(3, 1, "R"))
    stage.run()
    relations = [row["relation"] for row in stage.rows("acknowledgment") if row["transaction_set"] is None]
    assert relations == ["matched", "duplicate", "contradicting"]


def test_a_bounce_ends_the_wait_and_names_its_exchange(stage):
    send(stage)
    stage.run()
    own = stage.sent[0]["Message-ID"]
    bounce = (
        "From: MAILER-DAEMON@mx.example\r\nTo: edi@us.example\r\nSubject: failed\r\nAuto-Submitted: auto-replied\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; edi@acme.example\r\nAction: failed\r\n"
        "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n--b\r\n"
        "Content-Type: text/rfc822-headers\r\n\r\n"
        f"Message-ID: {own}\r\n\r\n--b--\r\n"
    )
    stage.mailbox.deliver(bounce.encode())
    summary = stage.run()
    assert stage.states("out") == ["bounced"]
    assert summary.attention[0].state == "bounced"
    assert len(stage.sent) == 1


def test_an_operator_resends_cancels_and_settles_and_the_ledger_knows_who(stage):
    send(stage)
    stage.run()
    operate.resend(stage.context(), 1, actor="anna", reason="they lost it")
    stage.run()
    first, second = stage.transport.sent
    assert first.raw == second.raw
    done = send(stage, "INV-2")
    operate.cancel(stage.context(), done.exchanges[0], actor="anna", reason="wrong price")
    stage.run()
    assert len(stage.sent) == 2
    assert stage.states("out") == ["sent", "cancelled"]
    operate.settle(stage.context(), 1, actor="ben", reason="called them")
    actors = {(row["kind"], row["actor"]) for row in stage.rows("event")}
    assert {("resent", "anna"), ("cancelled", "anna"), ("settled", "ben")} <= actors
    with pytest.raises(NotAllowedNow):
        operate.cancel(stage.context(), 1, actor="anna", reason="too late")


def test_a_released_message_is_processed_with_the_profiles_as_they_are_then(tmp_path):
    stage = Stage(tmp_path, [GLOBEX])
    stage.mail(orders(1))
    stage.run()
    assert stage.states("in") == ["quarantined"]
    stage.profiles.append(ACME)
    operate.release(stage.context(), "1", actor="anna", reason="profile added")
    stage.run()
    assert stage.states("in") == ["discarded", "delivered"]
    assert len(stage.delivered) == 1
    assert len(stage.sent) == 1


def test_a_discarded_message_needs_nobody_any_more(stage):
    stage.mail(orders(1), sender="sales@stranger.example")
    stage.run()
    operate.discard(stage.context(), "m1", actor="anna", reason="spam")
    assert stage.run().attention == ()
    assert stage.states("in") == ["discarded"]


def test_two_gateways_facing_each_other_fall_silent(tmp_path):
    mine, theirs = tmp_path / "a", tmp_path / "b"
    mine.mkdir()
    theirs.mkdir()
    ours = Stage(mine)
    mirror = """
key = "us"
name = "Example Co"
status = "live"
addresses = ["edi@us.example"]
identities = ["ZZ:EXAMPLECO"]
[[agreement]]
name = "in"
direction = "in"
sets = ["*"]
[agreement.acknowledgment]
ta1 = "always"
"""
    other = Stage(theirs, [mirror])
    other.settings = replace(
        other.settings,
        identities=(("ZZ", "ACMERETAIL"),),
        smtp=SmtpSettings(host="memory", sender="edi@acme.example"),
    )
    real = other.context

    def context(reporter=None):
        directory = Directory([read_profile(mirror)], [Identity.parse("ZZ:ACMERETAIL")])
        return replace(real(reporter), directory=directory)

    other.context = context
    send(ours)
    passed = 0
    for _ in range(10):
        ours.run()
        for mail in ours.transport.sent[:]:
            other.mailbox.deliver(mail.raw)
            passed += 1
        ours.transport.sent.clear()
        other.run()
        for mail in other.transport.sent[:]:
            ours.mailbox.deliver(mail.raw)
            passed += 1
        other.transport.sent.clear()
    assert passed == 2  # the invoice, and one mail with TA1 and 997
    assert ours.states("out") == ["acknowledged"]


def test_a_missing_password_keeps_the_mails_for_the_next_night(stage):
    send(stage)
    stage.transport.answer = raising(SecretMissing(name="smtp"))
    summary = stage.run()
    assert summary.exit_code == 78
    assert stage.states("out") == ["ready"]
    stage.transport.answer = None
    stage.now += 1
    assert stage.run().exit_code == 0
    assert stage.states("out") == ["sent"]


def test_a_document_that_names_another_partner_is_not_sent_to_this_one(stage):
    send(stage, partner="globex")
    stage.run()
    theirs = next(part for part in stage.sent[0].walk() if part.get_filename()).get_payload(decode=True)
    with pytest.raises(DocumentMisaddressed):
        submit(stage.context(), "acme", theirs)


def test_what_was_resent_can_be_overdue_again(stage):
    send(stage)
    stage.run()
    stage.now += 25 * HOUR
    stage.run()
    operate.resend(stage.context(), 1, actor="anna", reason="again")
    assert stage.run().attention == ()
    stage.now += 25 * HOUR
    assert [each.state for each in stage.run().attention] == ["overdue"]


def test_what_happens_after_it_was_settled_is_shown(stage):
    send(stage)
    stage.run()
    stage.now += 25 * HOUR
    stage.run()
    operate.settle(stage.context(), 1, actor="anna", reason="they called")
    assert stage.run().attention == ()
    stage.mail(acknowledgment(1, 1, "R"))
    assert [each.state for each in stage.run().attention] == ["refused by the partner"]


def test_a_997_that_we_refuse_says_nothing_about_ours(stage):
    send(stage)
    stage.run()
    stage.mail(acknowledgment(1, 1).replace(b"SE*6*", b"SE*9*"))
    stage.run()
    assert stage.states("out") == ["sent"]
    assert stage.states("in") == ["rejected"]


def test_the_last_word_of_a_partner_counts(stage):
    send(stage)
    stage.run()
    for number, verdict in ((1, "A"), (2, "R"), (3, "A")):
        stage.mail(acknowledgment(number, 1, verdict))
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    relations = [row["relation"] for row in stage.rows("acknowledgment") if row["transaction_set"] is None]
    assert relations == ["matched", "contradicting", "contradicting"]


def test_a_file_that_lies_beside_the_partners_directories_is_said(stage):
    stage.settings.outbox.mkdir()
    (stage.settings.outbox / "loose.edi").write_bytes(invoice())
    (stage.settings.outbox / "nobody").mkdir()
    (stage.settings.outbox / "nobody" / "a.edi").write_bytes(invoice())
    summary = stage.run()
    assert summary.exit_code == 78
    assert {fault.code for _, fault in summary.troubles} == {"document.misplaced", "partner.unknown"}


def test_a_file_that_cannot_be_moved_stops_no_other(stage):
    for partner, number in (("acme", "INV-1"), ("globex", "INV-2")):
        (stage.settings.outbox / partner).mkdir(parents=True)
        (stage.settings.outbox / partner / "a.edi").write_bytes(invoice(number))
    (stage.settings.outbox / "acme" / ".submitted").write_text("in the way")
    summary = stage.run()
    assert summary.exit_code == 65
    assert len(stage.sent) == 2
    assert stage.run().counts == {"documents submitted before": 1}  # it is still there, and is not sent again
    assert len(stage.sent) == 2


def test_an_acknowledgment_that_goes_again_was_given_the_first_time(stage):
    """Else a partner that sends an interchange twice would turn our answer within seconds into one after days."""
    raw = stage.mail(orders(1))
    stage.run()
    (first,) = [row["handed_over_at"] for row in stage.rows("exchange") if row["kind"] == "acknowledgment"]
    stage.now += 24 * HOUR
    stage.mailbox.deliver(raw.replace(b"Message-ID: <1@", b"Message-ID: <9@"))
    stage.run()
    assert len(stage.sent) == 2
    (again,) = [row["handed_over_at"] for row in stage.rows("exchange") if row["kind"] == "acknowledgment"]
    assert again == first


def test_what_was_settled_holds_also_when_the_agreement_has_another_name_by_now(tmp_path):
    """A name that is made of the sets is another one when a set is added: addresses and doubts are as settled."""
    settled = 'on_doubt = "resend"\nmail.to = ["{}"]\n'
    before = ACME.replace('name = "invoices"\n', settled.format("old@acme.example")).replace(
        '["810", "855"]', '["810"]'
    )
    stage = Stage(tmp_path, [before])
    send(stage)
    after = before.replace("old@acme.example", "new@acme.example").replace('["810"]', '["810", "855"]')
    stage.profiles[0] = after
    stage.transport.answer = raising(OutcomeUnknown(host="memory"))
    stage.run()
    assert stage.states("out") == ["ready"]
    stage.transport.answer = None
    stage.now += HOUR
    stage.run()
    assert [each.recipients for each in stage.transport.sent] == [("new@acme.example",)]
