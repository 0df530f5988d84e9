"""Weeks in which everything goes wrong at random, from a seed, and the quiet nights after them.

Announced: with the policy to resend, a partner may get copies of one content. Nothing else may be uncertain in the end.
"""

from __future__ import annotations

import random

import pytest
from builders.pair import order

from faults import checker
from faults.protocol import mails
from faults.protocol.choice import some
from faults.protocol.conftest import silence
from faults.protocol.home import HOUR
from faults.protocol.hosts import Pop3Talk, SmtpTalk

NIGHTS = 8
TROUBLE = 0.08  # at each command


class Chaos:
    """What goes wrong at each command of both hosts, and what partners do."""

    def __init__(self, stand, seed):
        self.random = random.Random(seed)
        self.stand = stand
        self.orders = []
        self.invoices = 0
        stand.post.reply = self.partner
        self.counted = 500

    def evening(self):
        """What comes in before a night, and what goes wrong during it."""
        for _ in range(self.random.randrange(4)):
            self.orders.append(len(self.orders) + 1)
            raw = mails.order_mail(self.orders[-1])
            for copy in range(1 + (self.random.random() < 0.3)):
                self.stand.box.put(b"X-Copy: %d\r\n" % copy + raw)
        for _ in range(self.random.randrange(3)):
            self.invoices += 1
            self.stand.home.submit(self.invoices)
        if self.random.random() < 0.2:
            prefix = f"{self.random.randrange(1000)}-"
            self.stand.box.uids = lambda names: [prefix + name for name in names]
        if self.random.random() < 0.2:
            extra = b"Status: %d\r\n" % self.random.randrange(1000)
            self.stand.box.show = lambda raw: extra + raw
        self.stand.box.hook, self.stand.post.hook = self.pop3, self.smtp

    def partner(self, taken):
        """A translator that answers invoices, most of the time, and now and then twice."""
        group = mails.value(taken.raw, "GS", 6)
        if mails.value(taken.raw, "GS", 1) != "IN":
            return
        for _ in range(self.random.choice([0, 1, 1, 2])):
            self.counted += 1
            self.stand.box.put(mails.mail(mails.functional(self.counted, group)))

    def pop3(self, talk: Pop3Talk, verb, argument):
        """Cut at any command, after half an answer, after the deletion of some."""
        if self.random.random() >= TROUBLE:
            return False
        if verb == "RETR":
            answer = self.stand.box.answer(talk, int(argument))
            talk.say(answer[: self.random.randrange(len(answer))])
        if verb == "QUIT":
            self.stand.box.delete(talk, self.random.sample(talk.marked, self.random.randrange(len(talk.marked) + 1)))
            talk.say(*self.random.choice([(), ("-ERR some are left",)]))
        return talk.reset()

    def smtp(self, talk: SmtpTalk, verb, _):
        """Cut, refuse for now, or take and say nothing."""
        if self.random.random() >= TROUBLE * (1 + 2 * (verb == ".")):
            return False
        if verb == "." and self.random.random() < 0.5:
            self.stand.post.take(talk)
            talk.reset()
        if verb in {"MAIL", "RCPT", "."} and self.random.random() < 0.5:
            talk.say("451 later")
            return True
        return talk.reset()


@pytest.mark.parametrize("seed", some(range(2), range(2, 40)))
def test_some_weeks_of_trouble(stand, seed):
    """Whatever the order in which it goes wrong: after two quiet days the books agree."""
    stand = stand(on_doubt="resend", settings="")
    chaos = Chaos(stand, seed)
    for _ in range(NIGHTS):
        chaos.evening()
        stand.home.night()
        assert checker.at_once(stand.box, stand.home.directory) == []
    stand.post.reply = lambda _: None
    stand.nights(3, later=24 * 3_600_000)
    assert stand.violations(*(f"PO-{number}" for number in chaos.orders)) == []
    assert set(stand.home.states("out")) <= {"sent", "acknowledged", "overdue"}
    assert len(stand.home.states("out")) == chaos.invoices


def cuts(host, chance):
    """Ends connections at any command; an SMTP host has often taken the mail by then."""

    def spoil(talk, verb, _):
        if chance.random() >= TROUBLE:
            return False
        if verb == "." and chance.random() < 0.7:
            host.take(talk)
        return talk.reset()

    return spoil


@pytest.mark.parametrize("seed", some(range(1), range(1, 20)))
def test_two_gateways_between_bad_hosts_fall_silent(facing, seed):
    """Copies, lost replies and cuts on all four sides: each order arrives once, and then no mail moves any more."""
    chance = random.Random(seed)
    buyer, seller, posts, boxes = facing(doubles=True, receipts=bool(seed % 2))

    for number in range(1, 5):
        buyer.submit("seller", f"{number}.edi", order(number))
        seller.submit("buyer", f"{number}.edi", order(10 + number))
        for host in (*posts, *boxes):
            host.hook = cuts(host, chance)
        for each in (buyer, seller):
            each.run()
            each.now += HOUR
    for host in (*posts, *boxes):
        host.behave()
    silence(buyer, seller, posts, boxes)
    for each in (buyer, seller):
        assert each.states(direction="out", kind="document") == ["acknowledged"] * 4
        assert len(each.delivered) == 4
        each.app.close()
    assert "FA" not in [mails.value(taken.raw, "AK1", 1) for host in posts for taken in host.taken]
