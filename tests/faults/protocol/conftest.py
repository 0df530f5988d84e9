"""Homes and hosts for protocol trials."""

from __future__ import annotations

import pytest
from builders.pair import Gateway

from faults.protocol.home import HOUR, Home, mailbox, smtp
from faults.protocol.hosts import PASSWORD, Pop3Host, SmtpHost
from faults.protocol.truth import violations


class Stand:
    """A home between its two hosts."""

    def __init__(self, directory, **more):
        self.box, self.post = Pop3Host(), SmtpHost()
        settings = mailbox(self.box.port, **more.pop("mailbox", {})) + smtp(self.post.port, **more.pop("smtp", {}))
        self.home = Home(directory, settings + more.pop("settings", ""), **more)

    def nights(self, count=1, **more):
        """Undisturbed nights; the last one's summary."""
        self.home.patience = dict.fromkeys(self.home.patience, 10.0)
        self.box.behave()
        self.post.behave()
        return [self.home.night(**more) for _ in range(count)][-1]

    def violations(self, *orders, stays=0):
        """What does not hold."""
        return violations(self.home, self.box, self.post.taken, orders, stays=stays)

    def close(self):
        self.box.go_away()
        self.post.go_away()
        self.home.close()


@pytest.fixture
def stand(tmp_path):
    """Makes stands; ``stand(mailbox={…}, smtp={…}, on_doubt=…)``."""
    made = []

    def make(**more):
        directory = tmp_path / f"home{len(made)}"
        directory.mkdir()
        made.append(Stand(directory, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


OUT = '[[agreement]]\nname = "out"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\non_doubt = "resend"\n'
ALL_IN = '[[agreement]]\nname = "in"\ndirection = "in"\nsets = ["*"]\nacknowledgment.ta1 = "always"\n'
RECEIPTS = '[agreement.security]\nreceipt = "unsigned"\n'


@pytest.fixture
def facing(tmp_path):
    """Two gateways whose mail hosts carry to each other; ``facing(doubles=True)``: each mail arrives twice."""
    hosts = []

    def make(*, doubles=False, receipts=False):
        boxes, posts = [Pop3Host(), Pop3Host()], [SmtpHost(), SmtpHost()]
        hosts.extend([*boxes, *posts])
        pair = []
        for name, box, post in zip(("buyer", "seller"), boxes, posts, strict=True):
            text = mailbox(box.port) + smtp(post.port).replace("edi@us.example", f"edi@{name}.example")
            made = Gateway(tmp_path, name, f"edi@{name}.example", kind="ec", hosts=text)
            made.app.secrets.set("mailbox.orders", PASSWORD, "tester", 1)
            pair.append(made)
        for one, other, post, box in ((*pair, posts[0], boxes[1]), (*reversed(pair), posts[1], boxes[0])):
            security = RECEIPTS if receipts else ""
            one.knows(other, ALL_IN + security + OUT + security)
            post.reply = lambda taken, box=box: [
                box.put(b"X-Copy: %d\r\n" % copy + taken.raw) for copy in range(1 + doubles)
            ]
        return *pair, posts, boxes

    yield make
    for each in hosts:
        each.go_away()


def silence(buyer, seller, posts, boxes):
    """Nights in turns until two rounds move nothing; how many mails went."""
    quiet = 0
    for _ in range(12):
        before = sum(len(each.taken) for each in posts)
        for each in (buyer, seller):
            each.run()
            each.now += HOUR
        quiet = quiet + 1 if sum(len(each.taken) for each in posts) == before else 0
        if quiet == 2:
            assert not any(each.box for each in boxes)
            return before
    raise AssertionError("they do not fall silent")
