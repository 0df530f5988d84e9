"""SMTP hosts that refuse, break off, forget to answer and go away: nothing is lost, no doubt is silent, order is kept.

A trial sends three invoices to one partner, and one to another, which none of the first one's troubles may hold up.
"""

from __future__ import annotations

import threading
import time

import pytest
from servers import certificates

from faults.protocol import mails
from faults.protocol.choice import some
from faults.protocol.home import DAY, HOUR, SHORT
from faults.protocol.hosts import PASSWORD
from gateway.flow import operate

INVOICES = (1, 2, 3)
GOOD = ["sent"] * 4


def invoices(stand):
    """Three for acme, one for globex."""
    for number in INVOICES:
        stand.home.submit(number)
    stand.home.submit(4, "globex")


def got(stand, partner="acme"):
    """The control numbers that a partner got, in the order in which they came."""
    return [
        int(mails.value(each.raw, "ISA", 13))
        for each in stand.post.taken
        if f"edi@{partner}.example" in each.recipients
    ]


def at(verb, act):
    """A hook that acts each time a verb comes; it has answered then."""

    def hook(talk, heard, _):
        if heard != verb:
            return False
        act(talk)
        return True

    return hook


def at_once(verb, act):
    """A hook that acts the first time a verb comes."""
    left = [act]

    def hook(talk, heard, _):
        if heard != verb or not left:
            return False
        left.pop()(talk)
        return True

    return hook


def say(*lines):
    return lambda talk: talk.say(*lines)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("pipelining", some([True], [False]))
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."])
def test_a_4xx_at_each_verb_is_tried_again(stand, verb, pipelining):
    """Nothing was taken, so nothing is in doubt: the same bytes and numbers go later, in their order."""
    stand = stand(smtp={"user": "us"})
    if not pipelining:
        stand.post.extensions.remove("PIPELINING")
    invoices(stand)
    stand.post.hook = at(verb, say("451 4.3.0 later"))
    if verb == "EHLO":
        stand.post.hook = lambda talk, heard, _: heard in {"EHLO", "HELO"} and not talk.say("451 4.3.0 later")
    summary = stand.home.night()
    assert stand.post.taken == []
    assert stand.home.states("out") == ["ready"] * 4
    assert summary.attention == ()
    assert stand.nights(2).troubles == ()
    assert stand.home.states("out") == GOOD
    assert got(stand) == [1, 2, 3]
    assert stand.home.count("in-doubt") == 0
    assert stand.violations() == []


@pytest.mark.parametrize("pipelining", some([True], [False]))
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_a_5xx_for_a_mail_is_final_and_calls_a_person(stand, verb, pipelining):
    """The number stays used and is seen; the next mails go; sent again by a person it is the very same mail."""
    stand = stand()
    if not pipelining:
        stand.post.extensions.remove("PIPELINING")
    invoices(stand)
    stand.post.hook = at_once(verb, say("550 5.7.1 no"))
    summary = stand.home.night()
    assert sorted(stand.home.states("out")) == ["failed", "sent", "sent", "sent"]
    assert [each.state for each in summary.attention] == ["failed"]
    assert summary.exit_code == 65
    assert stand.violations() == []
    failed = int(summary.attention[0].reference)
    with stand.home.app() as app:
        operate.resend(app.context(), failed, actor="tester", reason="they mended it")
    stand.nights(2)
    assert stand.home.states("out") == GOOD
    assert stand.violations() == []


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "AUTH"])
def test_a_5xx_before_any_mail_says_nothing_about_the_mails(stand, verb):
    """A host that takes nobody in has not refused a mail: all wait, one trouble a night, no attempt used up."""
    stand = stand(smtp={"user": "us", "connections": 4})
    invoices(stand)
    stand.post.hook = lambda talk, heard, _: (
        heard in {verb, "HELO" if verb == "EHLO" else ""} and not talk.say("554 5.7.8 no")
    )
    for night in range(1, 11):
        summary = stand.home.night()
        assert len(summary.troubles) == 1
        assert stand.post.connections == night  # many wrong passwords could lock the account
        assert stand.home.states("out") == ["ready"] * 4
    assert stand.nights(2).troubles == ()
    assert got(stand) == [1, 2, 3]
    assert stand.violations() == []


def test_a_partial_refusal_of_recipients(stand):
    """Who was accepted has it once; who was refused for now gets the same bytes later; who never will is shown."""
    stand = stand(more='mail.to = ["edi@acme.example", "later@acme.example", "never@acme.example"]\n')
    stand.home.submit(1)

    def some(talk, verb, argument):
        for name, reply in (("later@", "450 4.2.1 full"), ("never@", "550 5.1.1 who?")):
            if verb == "RCPT" and name in argument:
                talk.say(reply)
                return True
        return False

    stand.post.hook = some
    summary = stand.home.night()
    assert [each.recipients for each in stand.post.taken] == [("edi@acme.example",)]
    assert [each.state for each in summary.attention] == ["sent, not to all"]
    stand.nights(2)
    assert [each.recipients for each in stand.post.taken] == [("edi@acme.example",), ("later@acme.example",)]
    assert len({each.raw for each in stand.post.taken}) == 1
    assert [each for each in stand.violations() if not each.startswith("A: a mail went to")] == []


def test_a_host_that_refuses_the_sender_and_takes_the_rest_gets_no_empty_mail(stand):
    """Some hosts answer pipelined RCPT and DATA as if MAIL had been taken: a lone dot would be a mail of nothing."""
    stand = stand()
    stand.post.strict = False
    stand.home.submit(1)
    stand.post.hook = at_once("MAIL", say("451 4.3.0 later"))
    stand.home.night()
    assert stand.post.taken == []
    stand.nights(2)
    assert stand.home.states("out") == ["sent"]
    assert stand.violations() == []


# ---------------------------------------------------------------- where the agreement asks for order

IN_ORDER = "ordered = true\n"


@pytest.mark.parametrize("verb", some(["RCPT", "."], ["MAIL", "DATA"]))
@pytest.mark.parametrize("what", ["451 later", "421 closing", "cut"])
def test_a_document_that_waits_holds_back_the_next_ones(stand, what, verb):
    """Refused for now, or broken off: what was submitted later does not overtake, and others do not wait."""
    stand = stand(more=IN_ORDER, on_doubt="resend")
    invoices(stand)
    stand.post.hook = at_once(verb, say(what) if what != "cut" else lambda talk: talk.reset())
    stand.home.night()
    stand.home.night(later=0)
    assert got(stand, "globex") == [1]
    stand.nights(3)
    assert got(stand) == [1, 2, 3]
    assert stand.violations() == []


def test_a_document_in_doubt_holds_back_the_next_ones_until_somebody_knows(stand):
    """Nobody knows whether the first one came; so the second cannot go, until a person or the partner tells."""
    stand = stand(more=IN_ORDER, on_doubt="hold")
    invoices(stand)
    stand.post.hook = lose_reply(stand, taken=True)
    stand.home.night()
    stand.nights(2)
    assert got(stand) == [1]
    assert got(stand, "globex") == [1]
    assert [each for each in stand.violations() if "mails wait" not in each] == []
    stand.box.put(mails.mail(mails.functional(501, mails.value(stand.post.taken[0].raw, "GS", 6))))
    stand.nights(2)
    assert got(stand) == [1, 2, 3]
    assert stand.violations() == []


# ---------------------------------------------------------------- connections that end


@pytest.mark.parametrize("how", some(["reset"], ["hang_up", "hang"]))
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_cut_before_the_content(stand, verb, how):
    """Before the dot there is no doubt: all waits, and goes the next night in its order."""
    stand = stand()
    invoices(stand)
    stand.home.patience["smtp"] = SHORT
    stand.post.hook = at(verb, lambda talk: getattr(talk, how)())
    stand.home.night()
    assert stand.home.states("out") == ["ready"] * 4
    assert stand.nights(2).troubles == ()
    assert got(stand) == [1, 2, 3]
    assert stand.home.count("in-doubt") == 0
    assert stand.violations() == []


@pytest.mark.parametrize("tenth", some([0, 9], range(1, 9)))
def test_cut_inside_the_content(stand, tenth):
    """A mail of which the host has seen no dot was not taken. Whether it saw one, a client cannot always know: the
    whole mail may be in flight when the connection breaks. So "in doubt" is allowed here, and no second copy is.
    """
    stand = stand(on_doubt="resend")
    invoices(stand)

    def cut(talk):
        talk.say("354 go")
        talk.lines.read(120 * tenth + 1)
        talk.reset()

    stand.post.hook = at_once("DATA", cut)
    stand.home.night()
    stand.nights(3)
    assert stand.home.states("out") == GOOD
    assert sorted(got(stand)) == [1, 2, 3]
    assert stand.violations() == []


# ---------------------------------------------------------------- the reply that does not come


def lose_reply(stand, *, taken, how="reset"):
    """The host loses its reply to the first mail, which it has taken or not."""

    def lose(talk):
        if taken:
            stand.post.take(talk)
        getattr(talk, how)()

    return at_once(".", lose)


@pytest.mark.parametrize("how", some(["reset"], ["hang_up", "hang"]))
@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_the_250_lost_with_the_policy_to_hold(stand, taken, how):
    """Announced: one exchange in doubt, one copy or none at the partner, a person asked; the others go their way."""
    stand = stand(on_doubt="hold")
    invoices(stand)
    stand.home.patience["smtp"] = SHORT if how == "hang" else 10.0
    stand.post.hook = lose_reply(stand, taken=taken, how=how)
    summary = stand.home.night()
    assert sorted(stand.home.states("out")) == ["in doubt", "sent", "sent", "sent"]
    assert [each.state for each in summary.attention] == ["in doubt"]
    assert "resolve" in summary.attention[0].next_command
    before = len(stand.post.taken)
    assert before == 3 + taken
    stand.nights(3)
    assert len(stand.post.taken) == before
    assert stand.violations() == []
    with stand.home.app() as app:
        number = int(summary.attention[0].reference)
        operate.resolve(app.context(), number, sent=taken, actor="tester", reason="asked them")
    stand.nights(2)
    assert len(stand.post.taken) == 4
    assert stand.home.states("out") == GOOD
    assert stand.violations() == []


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_the_250_lost_with_the_policy_to_resend(stand, taken):
    """Announced: the partner may have two copies, of one content, one Message-ID, one number; the ledger tells."""
    stand = stand(on_doubt="resend")
    invoices(stand)
    stand.post.hook = lose_reply(stand, taken=taken)
    stand.home.night()
    stand.nights(2)
    assert stand.home.states("out") == GOOD
    assert stand.home.count("in-doubt") == 1
    assert len(stand.post.taken) == 4 + taken
    assert len({each.raw for each in stand.post.taken}) == 4
    assert stand.violations() == []


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_the_250_for_an_acknowledgment_lost(stand, taken):
    """Acknowledgments go again by themselves: a second copy does no harm, a missing one does."""
    stand = stand()
    stand.box.put(mails.order_mail(1))
    stand.post.hook = lose_reply(stand, taken=taken)
    stand.home.night()
    stand.nights(2)
    assert len(stand.post.taken) == 1 + taken
    assert stand.violations("PO-1") == []


def test_a_slow_250_is_a_lost_one_and_a_late_acknowledgment_ends_the_doubt(stand):
    """The host takes the mail and answers after we have gone; the partner's 997 tells that it came."""
    stand = stand(on_doubt="hold")
    stand.home.submit(1)
    told = threading.Event()

    def slowly(talk):
        stand.post.take(talk)
        time.sleep(4 * SHORT)
        told.set()
        talk.say("250 there you are")

    stand.home.patience["smtp"] = SHORT
    stand.post.hook = at_once(".", slowly)
    stand.home.night()
    assert stand.home.states("out") == ["in doubt"]
    assert told.wait(5)
    group = mails.value(stand.post.taken[0].raw, "GS", 6)
    stand.box.put(mails.mail(mails.functional(501, group)))
    summary = stand.nights()
    assert stand.home.states("out") == ["acknowledged"]
    assert summary.attention == ()
    assert len(stand.post.taken) == 1
    assert stand.violations() == []


def test_a_250_and_then_a_bounce(stand):
    """Taken and returned: bounced, a person asked, no 997 awaited for nothing; sent again it is the same mail."""
    stand = stand()
    stand.home.submit(1)
    stand.post.reply = lambda taken: stand.box.put(mails.bounce(taken.raw))
    stand.home.night()
    stand.post.reply = lambda _: None
    summary = stand.nights()
    assert stand.home.states("out") == ["bounced"]
    assert [each.state for each in summary.attention] == ["bounced"]
    assert len(stand.post.taken) == 1  # a bounce is not answered
    assert stand.violations() == []
    with stand.home.app() as app:
        operate.resend(app.context(), int(summary.attention[0].reference), actor="tester", reason="address mended")
    stand.nights(2)
    assert stand.home.states("out") == ["sent"]
    assert len({each.raw for each in stand.post.taken}) == 1
    assert stand.violations() == []


def test_a_250_and_then_silence(stand):
    """The mail is lost behind the host: nobody can see it go, so the missing 997 is raised in its time, once."""
    stand = stand()
    stand.home.submit(1)
    stand.home.night(later=HOUR)
    assert stand.nights(later=2 * DAY).attention == ()
    for _ in range(3):
        summary = stand.nights(later=DAY)
        assert [each.state for each in summary.attention] == ["overdue"]
    assert stand.home.count("overdue") == 1
    assert stand.violations() == []


# ---------------------------------------------------------------- hosts out of step


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_421_inside_a_pipeline(stand, verb):
    """The host closes while more commands are on their way: none of their answers is taken for another's."""
    stand = stand()
    invoices(stand)

    def closing(talk):
        talk.say("421 4.3.2 closing")
        talk.hang_up()

    stand.post.hook = at_once(verb, closing)
    stand.home.night()
    stand.nights(3)
    assert stand.home.states("out") == GOOD
    assert sorted(got(stand)) == [1, 2, 3]
    assert stand.home.count("in-doubt") == 0
    assert stand.violations() == []


@pytest.mark.parametrize(
    "reply",
    some(
        [b"hello?\r\n", b"250-half\r\n251 other\r\n"],
        [b"25\r\n", b"\r\n", b"999 what\r\n", b"\xff\xfe\r\n", b"250" * 4_000],
    ),
)
@pytest.mark.parametrize("verb", ["MAIL", "."])
def test_garbage_for_a_reply(stand, verb, reply):
    """What is no reply ends the connection, and is never the reply to the next mail. To the dot it is a doubt."""
    stand = stand(on_doubt="hold")
    invoices(stand)
    stand.post.hook = at_once(verb, say(reply))
    stand.home.night()
    stand.nights(3)
    doubts = int(verb == ".")
    assert stand.home.count("in-doubt") == doubts
    assert stand.home.states("out").count("in doubt") == doubts
    assert stand.home.states("out").count("sent") == 4 - doubts
    assert len(stand.post.taken) == 4 - doubts
    assert stand.violations() == []


def test_an_answer_too_many_is_not_the_next_mails_answer(stand):
    """A host that says 250 twice: the second one must not count for the mail that it then refuses."""
    stand = stand()
    invoices(stand)

    def twice(talk):
        stand.post.take(talk)
        talk.say("250 ok", "250 ok")

    seen = []

    def hook(talk, verb, _):
        if verb != ".":
            return False
        seen.append(verb)
        if len(seen) == 1:
            twice(talk)
            return True
        if len(seen) == 2:
            talk.say("550 5.7.1 no")
            return True
        return False

    stand.post.hook = hook
    stand.home.night()
    assert sorted(stand.home.states("out")) == ["failed", "sent", "sent", "sent"]
    assert stand.violations() == []


# ---------------------------------------------------------------- a host that is away


@pytest.mark.parametrize("gone", some(["refuses connections"], ["accepts and says nothing"]))
def test_a_host_away_for_three_days(stand, gone):
    """Nothing is given up and nothing overtakes: when it is back, everything goes, in order, once."""
    stand = stand()
    if gone == "refuses connections":
        stand.post.go_away()
    else:
        stand.home.patience["smtp"] = SHORT
        stand.post.hook = at("CONNECT", lambda talk: talk.hang())
    for number in range(1, 10):
        stand.home.submit(number)
        stand.box.put(mails.order_mail(number))
        summary = stand.home.night(later=8 * HOUR)
        assert [where for where, _ in summary.troubles] == ["smtp"]
        assert summary.attention == ()
    assert stand.post.taken == []
    assert stand.home.states("out") == ["ready"] * 9
    if gone == "refuses connections":
        stand.post.come_back()
    assert stand.nights(2).troubles == ()
    assert got(stand) == list(range(1, 19))
    assert stand.home.states("out") == ["sent"] * 9
    assert stand.violations(*(f"PO-{each}" for each in range(1, 10))) == []


def test_stripped_starttls_gets_no_password_and_no_mail(stand):
    """Who takes STARTTLS out of EHLO on the way learns neither the password nor what we send."""
    stand = stand(smtp={"security": "starttls", "user": "us"})
    invoices(stand)
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mail.insecure"]
    assert not any(PASSWORD in each or each.startswith(("AUTH", "MAIL")) for each in stand.post.heard)
    assert stand.home.states("out") == ["ready"] * 4


def test_a_wrong_certificate_gets_no_password_and_no_mail(stand, tmp_path):
    """A host that cannot prove its name is not our host."""
    made = certificates.make(tmp_path / "tls", addresses=("127.0.0.9",))
    stand = stand(smtp={"security": "starttls", "user": "us", "ca_file": str(made.ca_file)})
    stand.post.extensions.append("STARTTLS")

    def encrypt(talk, verb, _):
        if verb == "STARTTLS":
            talk.say("220 go")
            talk.start_tls(made.context())
        return verb == "STARTTLS"

    stand.post.hook = encrypt
    invoices(stand)
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mail.insecure"]
    assert not any(PASSWORD in each or each.startswith(("AUTH", "MAIL")) for each in stand.post.heard)
    assert stand.home.states("out") == ["ready"] * 4
