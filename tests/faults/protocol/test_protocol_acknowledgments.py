"""Acknowledgments that come too early, twice, never, from the wrong one, or say two things; and what never gets any.

We answer documents, once, and nothing else: no acknowledgment, receipt, bounce or reply of a machine is ever answered,
so that two gateways that face each other fall silent.
"""

from __future__ import annotations

import pytest
from builders.pair import order

from faults.protocol import mails
from faults.protocol.conftest import ALL_IN, OUT, silence
from faults.protocol.home import DAY
from gateway.flow import outcome


class KilledError(BaseException):
    """Ends a night where it stands, as a signal does."""


def sent(stand, count=1):
    """Invoices that acme's host has taken; their group numbers."""
    for number in range(1, count + 1):
        stand.home.submit(number)
    stand.nights()
    assert stand.home.states("out") == ["sent"] * count
    return [mails.value(each.raw, "GS", 6) for each in stand.post.taken]


def hears(stand, *interchanges, partner="acme"):
    """A night in which these interchanges come, a mail each."""
    for each in interchanges:
        stand.box.put(mails.mail(each, partner))
    return stand.nights()


def relations(stand):
    return [row["relation"] for row in stand.home.rows("SELECT relation FROM acknowledgment ORDER BY id")]


def acknowledgments(stand):
    """The states of the exchanges that brought acknowledgments."""
    found = stand.home.rows("SELECT state FROM exchange WHERE direction = 'in' ORDER BY id")
    return [row["state"] for row in found]


# ---------------------------------------------------------------- in time, early, late, never


def test_an_acknowledgment_ends_the_wait_and_is_not_answered(stand):
    """The plain case, so that the others mean something."""
    stand = stand()
    (group,) = sent(stand)
    summary = hears(stand, mails.functional(501, group))
    assert stand.home.states("out") == ["acknowledged"]
    assert summary.attention == ()
    stand.nights(2, later=2 * DAY)
    assert stand.home.count("overdue") == 0
    assert len(stand.post.taken) == 1
    assert stand.violations() == []


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_an_acknowledgment_before_our_own_commit(stand, monkeypatch, policy):
    """Killed between the host's 250 and our commit: nobody here knows that it went; the partner's 997 tells."""
    stand = stand(on_doubt=policy)
    stand.home.submit(1)

    def die(*_):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(outcome, "record", die)
        with pytest.raises(KilledError):
            stand.home.night()
    assert len(stand.post.taken) == 1
    assert stand.home.states("out") == ["sending"]
    group = mails.value(stand.post.taken[0].raw, "GS", 6)
    summary = hears(stand, mails.functional(501, group))
    assert stand.home.states("out") == ["acknowledged"]
    assert summary.attention == ()
    stand.nights(2)
    assert len(stand.post.taken) == 1
    assert [each for each in stand.violations() if "batches have no end" not in each] == []


def test_a_bounce_before_our_own_commit(stand, monkeypatch):
    """Killed between the host's 250 and our commit, and then it comes back: a person is asked, nothing is silent."""
    stand = stand(on_doubt="hold")
    stand.home.submit(1)

    def die(*_):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(outcome, "record", die)
        with pytest.raises(KilledError):
            stand.home.night()
    stand.box.put(mails.bounce(stand.post.taken[0].raw))
    summary = stand.nights(2)
    assert [each.state for each in summary.attention] in (["bounced"], ["in doubt"])
    assert stand.home.count("bounced") == 1
    assert len(stand.post.taken) == 1
    assert [each for each in stand.violations() if "batches have no end" not in each] == []


def test_an_acknowledgment_of_what_the_host_refused(stand):
    """A host that takes a mail and says 554 all the same: the partner's 997 tells that it came."""
    stand = stand()
    stand.home.submit(1)

    def take_and_refuse(talk, verb, _):
        if verb == ".":
            stand.post.take(talk)
            talk.say("554 5.6.0 no")
        return verb == "."

    stand.post.hook = take_and_refuse
    assert [each.state for each in stand.home.night().attention] == ["failed"]
    summary = hears(stand, mails.functional(501, mails.value(stand.post.taken[0].raw, "GS", 6)))
    assert stand.home.states("out") == ["acknowledged"]
    assert summary.attention == ()
    assert stand.violations() == []


def test_an_acknowledgment_while_the_copy_waits(stand):
    """In doubt, to be sent again, and acknowledged before it is: nothing is sent any more."""
    stand = stand(on_doubt="resend")
    stand.home.submit(1)

    def lose(talk, verb, _):
        if verb == ".":
            stand.post.take(talk)
            talk.reset()
        return verb == "MAIL" and len(stand.post.taken) > 0 and not talk.say("451 later")

    stand.post.hook = lose
    stand.home.night()
    stand.home.night()
    assert stand.home.states("out") == ["ready"]
    hears(stand, mails.functional(501, mails.value(stand.post.taken[0].raw, "GS", 6)))
    assert stand.home.states("out") == ["acknowledged"]
    assert len(stand.post.taken) == 1
    assert stand.violations() == []


def test_a_late_acknowledgment_closes_what_was_overdue(stand):
    """It was raised, it came, it is remembered as late, and nobody is asked any more."""
    stand = stand()
    (group,) = sent(stand)
    stand.nights(later=3 * DAY)
    assert [each.state for each in stand.nights().attention] == ["overdue"]
    assert hears(stand, mails.functional(501, group)).attention == ()
    assert stand.home.states("out") == ["acknowledged"]
    assert stand.home.count("late") == 1
    assert stand.violations() == []


# ---------------------------------------------------------------- twice, and two things


def test_the_same_acknowledgment_again(stand):
    """The same interchange, and the same word under a new number: noted as repetitions, and that is all."""
    stand = stand()
    (group,) = sent(stand)
    hears(stand, mails.functional(501, group))
    hears(stand, mails.functional(501, group))
    summary = hears(stand, mails.functional(502, group))
    assert acknowledgments(stand) == ["reconciled", "duplicate", "reconciled"]
    assert relations(stand)[-1] == "duplicate"
    assert stand.home.states("out") == ["acknowledged"]
    assert summary.attention == ()
    assert len(stand.post.taken) == 1
    assert stand.violations() == []


@pytest.mark.parametrize(("first", "then", "state"), [("A", "R", "refused by the partner"), ("R", "A", "acknowledged")])
def test_a_partner_who_contradicts_itself(stand, first, then, state):
    """Both words are kept, the newer one counts, and a person is told, whichever came first."""
    stand = stand()
    (group,) = sent(stand)
    hears(stand, mails.functional(501, group, first))
    summary = hears(stand, mails.functional(502, group, then))
    assert "contradicting" in relations(stand)
    assert stand.home.states("out") == [state]
    assert len(summary.attention) == 1
    assert stand.violations() == []


@pytest.mark.parametrize("order_", ["TA1 first", "997 first"])
def test_a_ta1_that_refuses_and_a_997_that_accepts(stand, order_):
    """The interchange was refused and its group accepted: that cannot be, and a person is told."""
    stand = stand()
    (group,) = sent(stand)
    number = mails.value(stand.post.taken[0].raw, "ISA", 13)
    said = [mails.ta1(501, number, "R"), mails.functional(502, group)]
    hears(stand, said[order_ == "997 first"])
    summary = hears(stand, said[order_ == "TA1 first"])
    assert sorted(row["kind"] for row in stand.home.rows("SELECT DISTINCT kind FROM acknowledgment")) == ["997", "TA1"]
    assert len(summary.attention) == 1
    assert stand.violations() == []


# ---------------------------------------------------------------- of nothing, of somebody else's


def test_an_acknowledgment_of_nothing(stand):
    """Kept, shown to a person, never answered; what is really awaited stays awaited."""
    stand = stand()
    sent(stand)
    summary = hears(stand, mails.functional(501, 77), mails.ta1(502, 77, "A", "000"))
    assert relations(stand) == ["orphan", "orphan"]
    assert acknowledgments(stand) == ["unmatched", "unmatched"]
    assert stand.home.states("out") == ["sent"]
    assert len(summary.attention) == 2
    assert len(stand.post.taken) == 1
    assert stand.violations() == []


def test_a_forged_acknowledgment(stand):
    """One partner cannot speak for another: not under its own identity, nor under the other's."""
    stand = stand()
    groups = sent(stand, 2)
    summary = hears(
        stand,
        mails.functional(501, groups[1], partner="globex"),  # its own identity, the other's number
        mails.functional(502, groups[1], partner="acme"),  # the other's identity, from its own address
        partner="globex",
    )
    assert stand.home.states("out") == ["sent", "sent"]
    assert relations(stand) == ["forged"]
    assert acknowledgments(stand) == ["unmatched", "quarantined"]
    assert len(summary.attention) == 2
    assert len(stand.post.taken) == 2
    assert stand.violations() == []


# ---------------------------------------------------------------- what is never answered


def answer_of(stand):
    """Our 997 for an order, as the partner got it."""
    stand.box.put(mails.order_mail(1))
    stand.nights()
    (taken,) = stand.post.taken
    return taken.raw


def test_an_acknowledgment_of_our_acknowledgment_is_not_answered(stand):
    """A partner whose translator acknowledges everything does not draw us into a conversation."""
    stand = stand()
    raw = answer_of(stand)
    group, number = mails.value(raw, "GS", 6), mails.value(raw, "ISA", 13)
    hears(stand, mails.functional(501, group, functional_id="FA"), mails.ta1(502, number, "A", "000"))
    stand.nights(3)
    assert len(stand.post.taken) == 1
    assert stand.violations("PO-1") == []


@pytest.mark.parametrize("asks", [b"*0*P*", b"*1*P*"], ids=["no TA1 asked for", "TA1 asked for"])
def test_an_acknowledgment_with_errors_is_not_answered(stand, asks):
    """A 997 that we cannot read is shown to a person; even one that asks for a TA1 gets none."""
    stand = stand()
    (group,) = sent(stand)
    for number, (old, new) in enumerate([(b"AK9*A", b"AK9*?"), (b"AK1*", b"AK7*"), (b"SE*", b"SE*9")], 501):
        hears(stand, mails.functional(number, group).replace(old, new).replace(b"*0*P*", asks))
    assert len(stand.post.taken) == 1
    assert [each for each in stand.violations() if "answers" not in each] == []


def test_a_bounce_of_our_acknowledgment(stand):
    """A person is told that the partner did not get it; nothing goes to the mail system."""
    stand = stand()
    raw = answer_of(stand)
    stand.box.put(mails.bounce(raw))
    summary = stand.nights(2)
    assert stand.home.states("out", "acknowledgment") == ["bounced"]
    assert [each.state for each in summary.attention] == ["bounced"]
    assert len(stand.post.taken) == 1
    assert stand.violations("PO-1") == []


def test_an_auto_reply_to_our_acknowledgment(stand):
    """A person on holiday at the partner's EDI address is noted and not answered."""
    stand = stand()
    stand.box.put(mails.auto_reply(answer_of(stand)))
    summary = stand.nights(2)
    assert summary.attention == ()
    assert len(stand.post.taken) == 1
    assert stand.violations("PO-1") == []


def test_a_receipt_is_not_answered_even_where_it_asks_for_one(stand):
    """RFC 8098 section 2.1: a receipt is never sent for a receipt."""
    stand = stand(more='[agreement.security]\nreceipt = "unsigned"\n')
    raw = answer_of(stand)
    stand.box.put(mails.receipt(raw))
    stand.nights(3)
    assert len(stand.post.taken) == 1
    assert stand.violations("PO-1") == []


# ---------------------------------------------------------------- face to face


@pytest.mark.parametrize(
    ("doubles", "receipts", "mails_sent"),
    [
        pytest.param(False, False, 4, id="orders"),  # two orders, an answer each
        pytest.param(True, False, 4, id="every mail arrives twice"),  # what is still to go is not owed twice
        pytest.param(False, True, 6, id="receipts"),  # and a receipt for each order
    ],
)
def test_two_gateways_fall_silent(facing, doubles, receipts, mails_sent):
    """Both take everything, both always send TA1 and 997: after the answers to two orders no mail moves any more."""
    buyer, seller, posts, boxes = facing(doubles=doubles, receipts=receipts)
    buyer.submit("seller", "1.edi", order(1))
    seller.submit("buyer", "2.edi", order(2))
    assert silence(buyer, seller, posts, boxes) == mails_sent
    for each in (buyer, seller):
        assert each.states(direction="out", kind="document") == ["acknowledged"]
        assert len(each.delivered) == 1
        each.app.close()
    told = [mails.value(taken.raw, "AK1", 1) for post in posts for taken in post.taken]
    assert "FA" not in told


def test_two_gateways_fall_silent_where_one_refuses_everything(facing):
    """Refusals are answers too, and are not answered either."""
    buyer, seller, posts, boxes = facing()
    seller.knows(buyer, ALL_IN.replace('"*"', '"810"') + OUT)
    buyer.submit("seller", "1.edi", order(1))
    silence(buyer, seller, posts, boxes)
    assert sum(len(each.taken) for each in posts) <= 2
    for each in (buyer, seller):
        each.app.close()
