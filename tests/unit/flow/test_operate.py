"""Operator's verbs: each is recorded with who and why, and a repetition says so and changes nothing."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest
from builders.stage import ACME, GLOBEX, HOUR, OURS, WHEN, Stage, acknowledgment, invoice, orders, ta1
from sqlalchemy import update

from gateway.demo import documents
from gateway.errors import (
    DatabaseConflict,
    NotAllowedNow,
    NotFound,
    OutcomeUnknown,
    PartnerNotActive,
    TemporarilyRefused,
)
from gateway.flow import operate
from gateway.flow.acts import acting
from gateway.flow.possible import with_exchange
from gateway.flow.submit import submit
from gateway.ledger import tables
from gateway.x12.model import Status


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def act(stage, verb, *names, reason="because", **options):
    return getattr(operate, verb)(stage.context(), *names, actor="anna", reason=reason, **options)


def submitted(stage, number="INV-1", **options):
    return submit(stage.context(), "acme", invoice(number), name=f"{number}.edi", **options).exchanges[0]


def sent(stage, number="INV-1"):
    exchange = submitted(stage, number)
    stage.run()
    return exchange


def in_doubt(stage):
    def lose(mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lose
    exchange = sent(stage)
    stage.transport.after_taking = None
    return exchange


def everything(stage):
    """All that an act could change."""
    names = ("exchange", "message", "outgoing", "expectation", "transaction_set", "control_number", "event")
    return {name: stage.rows(name) for name in (*names, "interchange_key", "functional_group", "business_key")}


def used_number(stage):
    """An interchange under a number that other content had before: refused with TA1 025."""
    stage.mail(orders(7, documents.order("PO-A", WHEN)))
    stage.run()
    stage.mail(orders(7, documents.order("PO-B", WHEN)))
    stage.run()
    (conflict,) = [row["id"] for row in stage.rows("exchange") if row["state"] == "conflict"]
    return conflict


def quarantined(stage):
    stage.mail(orders(1), sender="sales@stranger.example")
    stage.run()
    return "m1"


def delivered(stage):
    stage.mail(orders(1))
    stage.run()
    return 1


ACTS = {
    "release": (quarantined, "release", {}, "released"),
    "discard": (quarantined, "discard", {}, "discarded"),
    "resend": (sent, "resend", {}, "resent"),
    "resend under a new number": (sent, "resend_anew", {}, "superseded"),
    "resolve as sent": (in_doubt, "resolve", {"sent": True}, "resolved"),
    "resolve as not sent": (in_doubt, "resolve", {"sent": False}, "resolved"),
    "cancel": (submitted, "cancel", {}, "cancelled"),
    "settle": (in_doubt, "settle", {}, "settled"),
    "accept": (used_number, "accept", {}, "accepted-by-hand"),
    "redeliver": (delivered, "redeliver", {}, "redelivered"),
    "acknowledged by hand": (sent, "acknowledge_by_hand", {"verdict": Status.ACCEPTED}, "acknowledged-by-hand"),
}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_recorded_with_who_and_why_and_a_repetition_changes_nothing(stage, name):
    made, verb, options, kind = ACTS[name]
    reference = made(stage)
    first = act(stage, verb, reference, **options)
    assert first.done
    (event,) = [row for row in stage.rows("event") if row["kind"] == kind]
    assert event["actor"] == "anna"
    assert json.loads(str(event["body"]))["reason"] == "because"
    before = everything(stage)
    again = act(stage, verb, reference, **options)
    assert not again.done
    assert again.sentence.startswith("done before")
    assert everything(stage) == before


@pytest.mark.parametrize("name", ACTS)
def test_a_dry_run_changes_nothing_and_says_what_would_happen(stage, name):
    made, verb, options, _ = ACTS[name]
    reference = made(stage)
    before = everything(stage)
    assert act(stage, verb, reference, dry_run=True, **options).done
    assert everything(stage) == before


@pytest.mark.parametrize("verb", ["resend", "resend_anew", "cancel"])
def test_what_came_from_a_partner_cannot_be_sent(stage, verb):
    delivered(stage)
    with pytest.raises(NotAllowedNow):
        act(stage, verb, 1)
    with pytest.raises(NotFound):
        act(stage, verb, 99)


# ---------------------------------------------------------------- resend under a new number


def test_documents_sent_anew_have_new_numbers_a_new_message_id_and_a_link(stage):
    old = sent(stage)
    done = act(stage, "resend_anew", old, reason="lost by their translator")
    stage.run()
    first, second = stage.sent_edi
    assert (first[0][13], second[0][13]) == ("000000001", "000000002")
    assert (first[1][6], second[1][6]) == ("1", "2")
    assert first[2:4] == second[2:4]
    assert stage.sent[0]["Message-ID"] != stage.sent[1]["Message-ID"]
    assert stage.states("out") == ["superseded", "sent"]
    assert {row["exchange"] for row in stage.rows("expectation")} == {done.exchange}
    assert {row["exchange"] for row in stage.rows("event") if row["kind"] == "supersedes"} == {done.exchange}
    assert stage.run().attention == ()


TESTING = ACME.replace('status = "live"', 'status = "testing"')
USAGE_T = ACME.replace('sets = ["810", "855"]', 'sets = ["810", "855"]\nenvelope.usage = "T"')


@pytest.mark.parametrize(
    ("first", "then", "options", "usages", "said"),
    [
        (ACME, ACME, {}, ["P", "P"], "under new numbers; the next batch"),
        (ACME, ACME, {"test": True}, ["T", "T"], "under new numbers, as a test (ISA15 T) as before; the next batch"),
        (TESTING, ACME, {}, ["T", "T"], "as a test (ISA15 T) as before"),
        (USAGE_T, ACME, {}, ["T", "T"], "as a test (ISA15 T) as before"),
        (ACME, USAGE_T, {}, ["P", "P"], "with ISA15 P as before"),
        (ACME, TESTING, {}, ["P", "T"], "as a test (ISA15 T in place of P) because the partner is in testing"),
    ],
)
def test_documents_sent_anew_stay_the_tests_or_documents_in_earnest_that_they_were(
    stage, first, then, options, usages, said
):
    """Whatever the profile says by now; only to a partner in testing everything is a test, and that is told."""
    stage.profiles = [first]
    old = submitted(stage, **options)
    stage.run()
    stage.profiles = [then]
    assert said in act(stage, "resend_anew", old, dry_run=True).sentence
    assert said in act(stage, "resend_anew", old).sentence
    stage.run()
    assert [edi[0][15] for edi in stage.sent_edi] == usages
    assert [row["usage"] for row in stage.rows("exchange")] == usages


def test_the_business_that_submits_it_once_more_hears_that_it_was_submitted(stage):
    old = sent(stage)
    act(stage, "resend_anew", old)
    assert submit(stage.context(), "acme", invoice("INV-1")).repeated


def test_an_acknowledgment_keeps_its_number(stage):
    delivered(stage)
    with pytest.raises(NotAllowedNow, match="keeps its number"):
        act(stage, "resend_anew", 2)


def test_what_cannot_go_again_says_what_can(stage):
    first, second = submitted(stage), submitted(stage, "INV-2")
    act(stage, "cancel", first)
    with pytest.raises(NotAllowedNow, match=r"submit its documents again, under new ones \(gateway send\)"):
        act(stage, "resend", first)
    stage.run()
    anew = act(stage, "resend_anew", second).exchange
    with pytest.raises(NotAllowedNow, match=f"exchange {anew} went in its place"):
        act(stage, "resend", second)


def test_nothing_is_superseded_when_the_documents_cannot_be_sent_any_more(stage):
    old = sent(stage)
    stage.profiles[0] = ACME.replace('"live"', '"suspended"')
    with pytest.raises(PartnerNotActive):
        act(stage, "resend_anew", old)
    assert stage.states("out") == ["sent"]


def test_a_partner_that_takes_what_was_superseded_calls_a_person(stage):
    old = sent(stage)
    act(stage, "resend_anew", old)
    stage.mail(acknowledgment(1, 1))
    (attention,) = stage.run().attention
    assert (attention.reference, attention.state) == (str(old), "superseded, contradicted")
    assert "sent again as exchange 2" in attention.reason
    act(stage, "settle", old)
    assert stage.run().attention == ()


def test_a_partner_that_refuses_what_was_superseded_calls_nobody(stage):
    act(stage, "resend_anew", sent(stage))
    stage.mail(acknowledgment(1, 1, "R"))
    assert stage.run().attention == ()
    assert stage.states("out") == ["superseded", "sent"]


# ---------------------------------------------------------------- acknowledged by hand


def test_a_word_on_the_telephone_ends_the_wait_down_to_the_set(stage):
    exchange = sent(stage)
    stage.now += 25 * HOUR
    stage.run()
    act(stage, "acknowledge_by_hand", exchange, Status.ACCEPTED, reason="Ms Berg on the telephone")
    assert stage.run().attention == ()
    assert stage.states("out") == ["acknowledged"]
    assert stage.rows("expectation") == []
    assert stage.rows("transaction_set")[0]["acknowledged"] == "accepted"
    stage.mail(acknowledgment(1, 1))
    stage.run()
    assert [row["relation"] for row in stage.rows("acknowledgment")] == ["matched", "matched"]


@pytest.mark.parametrize(
    ("by_hand", "verdict", "state"),
    [(Status.ACCEPTED, "R", "refused by the partner"), (Status.REJECTED, "A", "acknowledged, contradicted")],
)
def test_a_997_that_says_the_opposite_later_calls_a_person(stage, by_hand, verdict, state):
    exchange = sent(stage)
    act(stage, "acknowledge_by_hand", exchange, by_hand)
    stage.mail(acknowledgment(1, 1, verdict))
    (attention,) = stage.run().attention
    assert attention.state == state
    assert f"said {by_hand.value}" in attention.reason


def test_what_was_never_sent_cannot_be_acknowledged(stage):
    with pytest.raises(NotAllowedNow):
        act(stage, "acknowledge_by_hand", submitted(stage), Status.ACCEPTED)


# ---------------------------------------------------------------- accept, redeliver, replay


def test_a_used_number_that_is_accepted_is_delivered_and_answered_and_known(stage):
    conflict = used_number(stage)
    acknowledged = len(stage.sent)
    act(stage, "accept", conflict, reason="their counter was reset")
    stage.run()
    assert stage.states("in") == ["delivered", "delivered"]
    assert {b"PO-A" in each for each in stage.delivered.values()} == {True, False}
    assert stage.sent_edi[acknowledged][2][:2] == ["ST", "997"]
    for name in ("PO-A", "PO-B"):  # from now on both are known
        stage.mail(orders(7, documents.order(name, WHEN)))
    stage.run()
    assert stage.states("in")[2:] == ["duplicate", "duplicate"]
    assert len(stage.delivered) == 2


def test_an_accepted_number_is_known_also_where_its_date_was_another(stage):
    stage.mail(orders(7, documents.order("PO-A", WHEN)))
    stage.run()
    other = orders(7, documents.order("PO-B", WHEN)).replace(b"*261102*2200*U", b"*261103*2200*U")
    stage.mail(other)
    stage.run()
    assert stage.states("in") == ["delivered", "conflict"]
    act(stage, "accept", 3)
    stage.run()
    stage.mail(other)
    stage.run()
    assert stage.states("in") == ["delivered", "delivered", "duplicate"]


def test_an_acknowledgment_under_a_used_number_counts_when_it_is_accepted(stage):
    """A partner that resets its counter uses numbers again, for its 997s too."""
    stage.mail(orders(7))
    stage.run()
    exchange = sent(stage)
    stage.mail(acknowledgment(7, 2))
    stage.run()
    (conflict,) = [row["id"] for row in stage.rows("exchange") if row["state"] == "conflict"]
    mails = len(stage.sent)
    act(stage, "accept", conflict)
    states = {row["id"]: row["state"] for row in stage.rows("exchange")}
    assert (states[exchange], states[conflict]) == ("acknowledged", "reconciled")
    assert not act(stage, "accept", conflict).done
    stage.run()
    assert len(stage.sent) == mails  # an acknowledgment is never acknowledged


def test_only_what_was_refused_for_its_number_or_held_can_be_accepted(stage):
    delivered(stage)
    with pytest.raises(NotAllowedNow):
        act(stage, "accept", 1)


def test_documents_handed_over_again_have_the_same_name_and_content(stage):
    delivered(stage)
    before = stage.delivered
    for file in before:
        (stage.settings.inbox / file).unlink()
    act(stage, "redeliver", 1, reason="disk of the ERP died")
    assert stage.states("in") == ["accepted"]
    stage.run()
    assert stage.delivered == before
    assert stage.states("in") == ["delivered"]


def test_a_replayed_mail_is_recognised_and_not_delivered_again(stage):
    delivered(stage)
    before = stage.delivered
    done = act(stage, "replay", "1")
    assert done.sentence == f"replayed: exchange {done.exchange} is duplicate of exchange 1"
    stage.run()
    assert stage.delivered == before
    first, second = stage.transport.sent  # its acknowledgment, again
    assert first.raw == second.raw


def test_a_replayed_mail_of_somebody_who_is_known_now_is_taken(tmp_path):
    stage = Stage(tmp_path, [GLOBEX])
    stage.mail(orders(1))
    stage.run()
    stage.profiles.append(ACME)
    done = act(stage, "replay", "m1")
    assert "is accepted" in done.sentence
    stage.run()
    assert stage.states("in") == ["discarded", "delivered"]
    assert [row["state"] for row in stage.rows("message") if row["direction"] == "in"] == ["processed"]


def test_a_dry_replay_tells_what_would_become_of_it(stage):
    delivered(stage)
    before = everything(stage)
    assert "duplicate of exchange 1" in act(stage, "replay", "m1", dry_run=True).sentence
    assert everything(stage) == before


def test_replay_takes_letters_that_are_at_rest(stage):
    stage.mail(orders(1))
    stage.run()
    with stage.ledger.transaction() as recorder:
        recorder.change(tables.message, 1, state="stored")
    with pytest.raises(NotAllowedNow, match="waits to be processed"):
        act(stage, "replay", "m1")


def test_a_range_of_mails_is_replayed_one_by_one_of_one_partner_in_a_time(stage):
    for number in (1, 2):
        stage.mail(orders(number))
        stage.run()
        stage.now += HOUR
    globex = documents.interchange(
        "14:0700000000001", OURS, 1, WHEN, [("PO", "004010", [documents.order("PO-9", WHEN)])]
    )
    stage.mail(globex, sender="edi@globex.example")
    stage.run()
    start = stage.now - 2 * HOUR
    everybody = list(
        operate.replay_range(stage.context(), start, stage.now + 1, actor="anna", reason="restore", dry_run=True)
    )
    assert len(everybody) == 3
    one = list(operate.replay_range(stage.context(), start, start + HOUR, partner="acme", actor="anna", reason="x"))
    assert [(reference, outcome.sentence.split(" is ")[1]) for reference, outcome in one] == [
        ("m1", "duplicate of exchange 1")
    ]


# ---------------------------------------------------------------- contradictions


def test_a_ta1_that_refuses_what_a_997_accepts_calls_a_person_in_either_order(tmp_path):
    for number, mails in enumerate(
        ((ta1(1, 1, "R", "009"), acknowledgment(2, 1)), (acknowledgment(1, 1), ta1(2, 1, "R", "009")))
    ):
        place = tmp_path / str(number)
        place.mkdir()
        stage = Stage(place)
        sent(stage)
        for mail in mails:
            stage.mail(mail)
            summary = stage.run()
        assert [row["relation"] for row in stage.rows("acknowledgment") if row["transaction_set"] is None] == [
            "matched",
            "contradicting",
        ]
        (attention,) = summary.attention
        assert attention.reference == "1"
        assert attention.reason.startswith("acme said ")


def test_accepted_then_rejected_and_the_other_way_round_both_call_a_person(tmp_path):
    for first, second, state in (("A", "R", "refused by the partner"), ("R", "A", "acknowledged, contradicted")):
        place = tmp_path / first
        place.mkdir()
        stage = Stage(place)
        sent(stage)
        stage.mail(acknowledgment(1, 1, first))
        stage.mail(acknowledgment(2, 1, second))
        (attention,) = stage.run().attention
        assert attention.state == state
        operate.acknowledge_by_hand(stage.context(), 1, Status.ACCEPTED, actor="anna", reason="asked them")
        assert stage.run().attention == ()


def test_an_acknowledgment_that_overtakes_our_own_record_of_the_sending_counts(stage):
    """A 997 can be in the mailbox before the commit that says the host took our mail."""
    exchange = submitted(stage)
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(update(tables.outgoing).values(state="sending"))
        recorder.change(tables.exchange, exchange, state="sending")
        recorder.event("sending", exchange=exchange, partner="acme", attempt=1)
    stage.mail(acknowledgment(1, 1))
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert stage.rows("outgoing") == []
    assert stage.sent == []


# ---------------------------------------------------------------- put to rest, and taken off the wire again


def states_and_awaited(stage):
    return stage.states("out"), [row["kind"] for row in stage.rows("expectation")]


@pytest.mark.parametrize("again", [False, True])
def test_what_waits_for_the_wire_is_not_put_to_rest_and_its_answer_is_awaited(stage, again):
    exchange = submitted(stage)
    if again:
        stage.run()
        act(stage, "resend", exchange)
    with pytest.raises(NotAllowedNow) as refused:
        act(stage, "settle", exchange)
    with stage.ledger.reading() as connection:
        (settle,) = [each for each in with_exchange(connection, exchange) if each.verb == "settle"]
    assert settle.why_not
    assert settle.why_not in str(refused.value)
    stage.run()
    assert states_and_awaited(stage) == (["sent"], ["functional"])


def test_what_was_put_to_rest_and_is_sent_again_is_awaited_again(stage):
    exchange = sent(stage)
    stage.now += 72 * HOUR
    stage.run()
    act(stage, "settle", exchange)
    assert states_and_awaited(stage) == (["overdue"], [])
    act(stage, "resend", exchange)
    stage.run()
    assert states_and_awaited(stage) == (["sent"], ["functional"])
    stage.now += 72 * HOUR
    assert [each.state for each in stage.run().attention] == ["overdue"]


@pytest.mark.parametrize("outcome", [True, False])
def test_a_doubt_that_was_put_to_rest_and_is_ended_later_is_awaited_as_any_other(stage, outcome):
    exchange = in_doubt(stage)
    act(stage, "settle", exchange)
    act(stage, "resolve", exchange, sent=outcome)
    stage.run()
    assert states_and_awaited(stage) == (["sent"], ["functional"])
    assert stage.rows("exchange")[0]["settled_at"] is None


def test_what_was_answered_since_it_was_put_to_rest_is_not_awaited_when_it_goes_again(stage):
    exchange = sent(stage)
    act(stage, "settle", exchange)
    stage.mail(acknowledgment(1, 1))
    stage.run()
    act(stage, "resend", exchange)
    stage.run()
    assert states_and_awaited(stage) == (["acknowledged"], [])


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("was", ["sent", "overdue", "acknowledged"])
def test_cancelling_that_something_goes_again_leaves_it_as_it_stood(stage, was, deferred):
    exchange = sent(stage)
    if was == "acknowledged":
        stage.mail(acknowledgment(1, 1))
    stage.now += 72 * HOUR if was == "overdue" else 0
    stage.run()
    before = states_and_awaited(stage)
    assert before[0] == [was]
    act(stage, "resend", exchange)
    if deferred:
        stage.transport.answer = lambda _mail: (_ for _ in ()).throw(TemporarilyRefused(host="memory", reply="451"))
        stage.run()
        stage.transport.answer = None
    assert act(stage, "cancel", exchange).done
    assert not act(stage, "cancel", exchange).done
    assert states_and_awaited(stage) == before
    assert len(stage.sent) == 1
    stage.run()
    assert len(stage.sent) == 1
    assert act(stage, "resend", exchange).done
    stage.run()
    assert len(stage.sent) == 2
    with pytest.raises(NotAllowedNow):
        act(stage, "cancel", exchange)


def test_a_mail_is_named_as_it_is_typed_where_an_act_does_not_fit(stage):
    delivered(stage)
    with pytest.raises(NotAllowedNow, match="message m1 is processed"):
        act(stage, "release", "m1")


@pytest.mark.parametrize("status", ["suspended", "ended"])
def test_nothing_is_sent_to_a_partner_that_was_suspended_until_it_is_active_again(stage, status):
    """It may have been suspended because strangers read its mail; what waits is told by the doctor."""
    live = stage.profiles[0]
    waits, went = submitted(stage), sent(stage, "INV-2")
    other = submitted(stage, "INV-3")
    stage.profiles[0] = live.replace('status = "live"', f'status = "{status}"')
    before = len(stage.sent)
    stage.run()
    assert len(stage.sent) == before
    assert stage.states("out") == ["sent", "sent", "ready"]
    rows = len(stage.rows("event"))
    for verb, options in (("resend", {}), ("resend_anew", {})):
        with pytest.raises(PartnerNotActive):
            act(stage, verb, went, **options)
    assert len(stage.rows("event")) == rows
    stage.profiles[0] = live
    stage.run()
    assert stage.states("out") == ["sent", "sent", "sent"]
    assert {waits, went, other} == {row["id"] for row in stage.rows("exchange")}


def test_what_waits_in_earnest_does_not_go_while_its_partner_is_in_testing_again(stage):
    """Its bytes say ISA15 P; tests, and what answers the partner, go on."""
    went, waits = sent(stage, "INV-0"), submitted(stage)
    submitted(stage, "INV-2", test=True)
    stage.profiles[0] = TESTING
    stage.mail(orders(7).replace(b"*0*P*:", b"*0*T*:"))
    stage.run()
    assert stage.states("out") == ["sent", "ready", "sent", "complete"]
    assert [edi[0][15] for edi in stage.sent_edi][1:] == ["T", "T"]
    with pytest.raises(NotAllowedNow, match="in testing; `--new-number` sends it as a test"):
        act(stage, "resend", went)
    stage.profiles[0] = ACME
    stage.run()
    assert stage.states("out") == ["sent", "sent", "sent", "complete"]
    assert stage.sent_edi[-1][0][15] == "P"
    assert waits == 2


def test_nothing_that_waits_goes_to_a_partner_that_is_a_draft_again(stage):
    went = sent(stage, "INV-0")
    submitted(stage)
    submitted(stage, "INV-2", test=True)
    stage.profiles[0] = ACME.replace('status = "live"', 'status = "draft"')
    stage.run()
    assert stage.states("out") == ["sent", "ready", "ready"]
    with pytest.raises(PartnerNotActive):
        act(stage, "resend", went)
    stage.profiles[0] = ACME
    stage.run()
    assert stage.states("out") == ["sent"] * 3


def test_a_doubt_about_what_went_to_a_partner_that_was_suspended_is_ended_but_not_by_sending(stage):
    exchange = in_doubt(stage)
    stage.profiles[0] = stage.profiles[0].replace('status = "live"', 'status = "suspended"')
    with pytest.raises(PartnerNotActive):
        act(stage, "resolve", exchange, sent=False)
    assert act(stage, "resolve", exchange, sent=True).done


def test_every_act_of_a_person_is_done_again_where_another_transaction_was_in_its_way(stage, monkeypatch):
    exchange = sent(stage)
    refuses = iter([DatabaseConflict(reason="deadlock"), DatabaseConflict(reason="deadlock")])
    begins = stage.ledger.transaction

    def transaction(*names):
        for fault in refuses:
            raise fault
        return begins(*names)

    monkeypatch.setattr(stage.ledger, "transaction", transaction)
    assert act(stage, "resend", exchange).done
    names = sorted(path.stem for path in Path(operate.__file__).parent.glob("*.py") if " acting(" in path.read_text())
    modules = [import_module(f"gateway.flow.{name}") for name in names]
    verbs = [verb for module in modules for _, verb in inspect.getmembers(module, inspect.isfunction)]
    acts = {verb for verb in verbs if "    with acting(" in inspect.getsource(verb) and verb is not acting}
    assert len(acts) > 15
    assert [verb.__name__ for verb in acts if not hasattr(verb, "__wrapped__")] == []
