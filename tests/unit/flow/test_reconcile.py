"""What a partner says of ours in odd circumstances: too early, of what was given up, twice, in part, miscounted."""

from __future__ import annotations

import pytest
from builders.stage import ACME, HOUR, OURS, WHEN, Stage, acknowledgment, ta1

from gateway.demo import documents
from gateway.errors import OutcomeUnknown, SmtpUnavailable
from gateway.flow import operate
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.flow.start_numbers import start, start_numbers
from gateway.flow.submit import submit

RESENDS = ACME.replace('name = "invoices"', 'name = "invoices"\non_doubt = "resend"')
ORDERED = ACME.replace('name = "invoices"', 'name = "invoices"\nordered = true\non_doubt = "hold"')


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def submitted(stage, *numbers, partner="acme"):
    data = documents.bare(*(documents.invoice(each, "PO-1", WHEN) for each in numbers or ("INV-1",)))
    return submit(stage.context(), partner, data).exchanges[0]


def hears(stage, *mails):
    for each in mails:
        stage.mail(each)
    return stage.run()


def said(number, *lines):
    """A partner's 997, line by line."""
    return documents.interchange("ZZ:ACMERETAIL", OURS, number, WHEN, [("FA", "004010", [["ST*997*0001", *lines]])])


def relations(stage):
    return [row["relation"] for row in stage.rows("acknowledgment")]


def lose_once(stage):
    """The host takes the first mail, and its answer is lost."""

    def lost(mail):
        if len(stage.transport.sent) == 1:
            raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lost


# ---------------------------------------------------------------- before it can have it


@pytest.mark.parametrize(
    "answer", [acknowledgment(1, 1), ta1(1, 1), ta1(1, 1, "R", "022")], ids=["997", "TA1", "TA1 R"]
)
@pytest.mark.parametrize("tried", [False, True])
def test_what_never_went_cannot_be_acknowledged_and_still_goes(stage, answer, tried):
    """It may answer another system, or an earlier count: taking it for ours would take ours off the wire."""

    def down(mail):
        raise SmtpUnavailable(host="memory", reason="down")

    submitted(stage)
    if tried:
        stage.transport.answer = down
        stage.run()
        stage.transport.answer = None
        stage.now += HOUR
    summary = hears(stage, answer)
    assert len(stage.sent_edi) == 1
    assert stage.states("out") == ["sent"]
    assert stage.states("in") == ["unmatched"]
    assert relations(stage) == ["orphan"]
    assert [each.state for each in summary.attention] == ["unmatched"]
    hears(stage, acknowledgment(2, 1))
    assert stage.states("out") == ["acknowledged"]


def test_an_acknowledgment_of_an_earlier_count_answers_the_earlier_one(stage):
    submitted(stage)
    stage.run()
    start_numbers(stage.context(), [start("acme", 1, 1)], actor="anna", reason="they began anew", force=True)
    submitted(stage, "INV-2")
    hears(stage, acknowledgment(1, 1))
    assert stage.states("out") == ["acknowledged", "sent"]
    assert len(stage.sent_edi) == 2


def test_a_ta1_names_the_one_whose_date_and_time_it_repeats(stage):
    submitted(stage)
    stage.run()
    start_numbers(stage.context(), [start("acme", 1, 1)], actor="anna", reason="they began anew", force=True)
    stage.now += 24 * HOUR
    submitted(stage, "INV-2")
    stage.run()
    hears(stage, ta1(1, 1, "R", "022"))  # of the first day
    assert stage.states("out") == ["refused by the partner", "sent"]


# ---------------------------------------------------------------- under another key


def test_the_count_of_an_identity_pair_goes_on_under_another_key_and_so_do_acknowledgments(stage):
    submitted(stage)
    stage.run()
    stage.profiles[0] = ACME.replace('key = "acme"', 'key = "acme-retail"')
    submitted(stage, "INV-2", partner="acme-retail")
    stage.run()
    assert [(each[0][13], each[1][6]) for each in stage.sent_edi] == [("000000001", "1"), ("000000002", "2")]
    hears(stage, acknowledgment(1, 1))
    assert stage.states("out") == ["acknowledged", "sent"]
    assert relations(stage) == ["matched", "matched"]


# ---------------------------------------------------------------- while the host has not answered


@pytest.mark.parametrize("profile", [ORDERED, RESENDS], ids=["hold", "resend"])
@pytest.mark.parametrize("fault", [OutcomeUnknown(host="memory"), SmtpUnavailable(host="memory", reason="gone")])
def test_what_is_acknowledged_while_its_host_answers_stays_acknowledged_whatever_the_answer(tmp_path, profile, fault):
    stage = Stage(tmp_path, [profile])

    def faster(mail):
        if len(stage.transport.sent) == 1:
            stage.mail(acknowledgment(1, 1))
            context = stage.context()
            collect(context)
            process(context)
            raise fault

    stage.transport.after_taking = faster
    submitted(stage)
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert stage.rows("outgoing") == []
    stage.now += 24 * HOUR
    assert stage.run().attention == ()
    assert len(stage.transport.sent) == 1


# ---------------------------------------------------------------- a TA1 that refuses


def test_a_refusing_ta1_ends_a_doubt_and_lets_the_next_one_go(tmp_path):
    stage = Stage(tmp_path, [ORDERED])
    lose_once(stage)
    submitted(stage)
    stage.run()
    submitted(stage, "INV-2")
    hears(stage, ta1(1, 1, "R", "022"))
    stage.run()
    assert stage.states("out") == ["refused by the partner", "sent"]
    assert stage.rows("outgoing") == []


def test_what_a_ta1_refuses_is_not_sent_again(tmp_path):
    stage = Stage(tmp_path, [RESENDS])
    lose_once(stage)
    submitted(stage)
    stage.run()
    hears(stage, ta1(1, 1, "R", "022"))
    stage.now += HOUR
    stage.run()
    assert stage.states("out") == ["refused by the partner"]
    assert len(stage.transport.sent) == 1


@pytest.mark.parametrize("first", ["997", "025"])
def test_a_refused_repetition_says_that_the_partner_has_it(tmp_path, first):
    """We sent the same number twice: TA1 025 refuses the second one, and the first one's 997 counts."""
    stage = Stage(tmp_path, [RESENDS])
    lose_once(stage)
    submitted(stage)
    stage.run()
    stage.run()
    assert len(stage.transport.sent) == 2
    both = (acknowledgment(1, 1), ta1(2, 1, "R", "025"))
    if first == "997":
        hears(stage, both[0])
        summary = hears(stage, both[1])
    else:
        hears(stage, both[1])
        assert stage.states("out") == ["sent"]
        summary = hears(stage, both[0])
    assert stage.states("out") == ["acknowledged"]
    assert summary.attention == ()


def test_a_number_that_was_sent_once_and_is_refused_as_used_is_refused(stage):
    submitted(stage)
    stage.run()
    hears(stage, ta1(1, 1, "R", "025"))
    assert stage.states("out") == ["refused by the partner"]


# ---------------------------------------------------------------- what was given up


@pytest.mark.parametrize("answer", [acknowledgment(1, 1), ta1(1, 1)], ids=["997", "TA1"])
def test_what_was_cancelled_in_doubt_and_is_acknowledged_calls_a_person(stage, answer):
    """Its documents may have been submitted again: then the partner has them twice."""
    lose_once(stage)
    exchange = submitted(stage)
    stage.run()
    operate.cancel(stage.context(), exchange, actor="anna", reason="they have nothing")
    summary = hears(stage, answer)
    assert stage.states("out") == ["cancelled"]
    (need,) = summary.attention
    assert (need.exchange, need.state, need.code) == (exchange, "cancelled, contradicted", "acknowledgment.cancelled")
    operate.settle(stage.context(), exchange, actor="anna", reason="they cancelled one")
    assert stage.run().attention == ()


# ---------------------------------------------------------------- in part


BOTH = ("AK1*IN*1", "AK2*810*0001", "AK5*A", "AK2*810*0002", "AK5*R*5")


@pytest.mark.parametrize("group", ["AK9*P*2*2*1", "AK9*A*2*2*1", "AK9*E*2*2*1"])
def test_a_document_that_the_partner_rejects_calls_a_person_whatever_it_says_of_the_group(stage, group):
    submitted(stage, "INV-1", "INV-2")
    stage.run()
    summary = hears(stage, said(1, *BOTH, group))
    assert stage.rows("exchange")[0]["verdict"] == "partially_accepted"
    assert [row["acknowledged"] for row in stage.rows("transaction_set") if row["exchange"] == 1] == [
        "accepted",
        "rejected",
    ]
    (need,) = summary.attention
    assert (need.exchange, need.state, need.side) == (1, "partially accepted", "ours")
    assert "810 0002" in need.reason
    assert "partially accepted" in {row["kind"] for row in stage.rows("alert")}
    operate.settle(stage.context(), 1, actor="anna", reason="submitted again")
    assert stage.run().attention == ()


@pytest.mark.parametrize("other", ["A", "E"])
def test_a_rejected_document_in_one_of_several_groups_calls_a_person(stage, other):
    """One group is accepted in part, the other one wholly: the interchange is no better than its worst group."""
    data = documents.bare(*(documents.invoice(each, "PO-1", WHEN) for each in ("INV-1", "INV-2")))
    submit(stage.context(), "acme", data + documents.bare(documents.confirmation("PO-1", WHEN)))
    stage.run()
    first = said(1, *BOTH, "AK9*P*2*2*1")
    second = said(2, "AK1*PR*2", "AK2*855*0001", f"AK5*{other}", f"AK9*{other}*1*1*1")
    summary = hears(stage, first, second)
    assert stage.rows("exchange")[0]["verdict"] == "partially_accepted"
    (need,) = summary.attention
    assert (need.exchange, need.state) == (1, "partially accepted")


@pytest.mark.parametrize(("last", "state", "verdict"), [("A", "acknowledged", "partially_accepted"), ("R", "", "")])
def test_a_rejected_group_calls_a_person_before_the_others_are_answered(stage, last, state, verdict):
    data = documents.bare(documents.invoice("INV-1", "PO-1", WHEN))
    submit(stage.context(), "acme", data + documents.bare(documents.confirmation("PO-1", WHEN)))
    stage.run()
    first = said(1, "AK1*IN*1", "AK2*810*0001", "AK5*R*5", "AK9*R*1*1*0")
    (need,) = hears(stage, first).attention
    assert (need.exchange, need.state, need.code) == (1, "partially accepted", "acknowledgment.partly")
    assert "group IN 1 is rejected" in need.reason
    assert stage.states("out") == ["sent"]
    assert [row["kind"] for row in stage.rows("expectation")] == ["functional"]
    second = said(2, "AK1*PR*2", "AK2*855*0001", f"AK5*{last}", f"AK9*{last}*1*1*1")
    (need,) = hears(stage, second).attention
    row = stage.rows("exchange")[0]
    assert (row["state"], row["verdict"]) == (state or "refused by the partner", verdict or "rejected")
    assert (need.exchange, need.code) == (1, "")


def test_a_group_is_rejected_where_all_its_documents_are(stage):
    submitted(stage)
    stage.run()
    hears(stage, said(1, "AK1*IN*1", "AK2*810*0001", "AK5*R*5", "AK9*A*1*1*1"))
    assert stage.states("out") == ["refused by the partner"]


@pytest.mark.parametrize("counts", ["1*1*1", "2*1*1"])
def test_a_partner_that_counts_fewer_documents_than_it_was_sent_is_asked(stage, counts):
    submitted(stage, "INV-1", "INV-2")
    stage.run()
    summary = hears(stage, said(1, "AK1*IN*1", "AK2*810*0001", "AK5*A", f"AK9*A*{counts}"))
    (need,) = summary.attention
    assert (need.exchange, need.code) == (1, "acknowledgment.counts")
    assert "1 of its 2 sets" in need.reason


@pytest.mark.parametrize("counts", ["2*2*2", "0*0*0", "3*2*2"])
def test_other_counts_call_nobody(stage, counts):
    submitted(stage, "INV-1", "INV-2")
    stage.run()
    assert hears(stage, said(1, "AK1*IN*1", f"AK9*A*{counts}")).attention == ()


def test_a_set_that_is_not_in_the_group_is_named(stage):
    submitted(stage)
    stage.run()
    summary = hears(stage, said(1, "AK1*IN*1", "AK2*810*0007", "AK5*R*5", "AK9*A*1*1*1"))
    (need,) = summary.attention
    assert need.state == "unmatched"
    assert "997 for a set that is not in group IN 1" in need.reason


# ---------------------------------------------------------------- other zeros


@pytest.mark.parametrize(("first", "second"), [("000000001", "000000002"), ("0001", "00002")])
def test_set_numbers_that_come_back_with_other_zeros_are_the_same(stage, first, second):
    """A translator keeps ST02 as a number: the set that it rejects is ours, and no stranger's."""
    submitted(stage, "INV-1", "INV-2")
    stage.run()
    mail = said(1, "AK1*IN*1", f"AK2*810*{first}", "AK5*A", f"AK2*810*{second}", "AK5*R*5", "AK9*P*2*2*1")
    (need,) = hears(stage, mail).attention
    assert (need.exchange, need.state) == (1, "partially accepted")
    assert set(relations(stage)) == {"matched"}
    hears(stage, said(2, "AK1*IN*1", f"AK2*810*{first}", "AK5*A", f"AK2*810*{second}", "AK5*R*5", "AK9*P*2*2*1"))
    assert relations(stage)[3:] == ["duplicate"]


def test_a_ta1_without_zeros_before_its_number_answers_the_same_interchange(stage):
    submitted(stage)
    stage.run()
    hears(stage, ta1(1, 1, "R", "022").replace(b"TA1*000000001*", b"TA1*1*"))
    assert stage.states("out") == ["refused by the partner"]


# ---------------------------------------------------------------- another partner's


@pytest.mark.parametrize("kind", ["997", "TA1"])
def test_a_number_that_went_to_another_partner_is_forged_and_moves_nothing(stage, kind):
    submitted(stage)
    stage.run()
    stage.profiles = [ACME, ACME.replace("acme", "other").replace("ACME Retail", "Other").replace("ACME", "OTHR")]
    mail = acknowledgment(1, 1) if kind == "997" else ta1(1, 1)
    mail = mail.replace(b"ACME", b"OTHR")
    stage.mail(mail, sender="edi@other.example")
    (need,) = stage.run().attention
    assert (need.state, need.code) == ("unmatched", "acknowledgment.forged")
    assert "never went to it, but to acme" in need.reason
    assert relations(stage) == ["forged"]
    assert stage.states("out")[0] == "sent"
