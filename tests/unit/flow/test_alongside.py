"""A big batch has a second process that delivers and sends; whatever becomes of it, nothing is lost or done twice."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest
from builders.stage import ACME, Stage, invoice, orders
from msgspec.structs import replace

from gateway.errors import DeliveryFailed
from gateway.flow import alongside, night
from gateway.flow.deliver import deliver
from gateway.flow.inbound import process
from gateway.flow.submit import submit
from gateway.ledger.waiting import deliveries_waiting, mails_waiting

BIG = 6


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def big(stage, monkeypatch):
    """A stage on which six messages are a big batch, delivered by the second process; the twin of SMTP is not."""
    monkeypatch.setattr(alongside, "WORTH_IT", BIG)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    use(stage, monkeypatch, deliver)
    for number in range(1, BIG + 1):
        stage.mail(orders(number))
    return stage


def use(stage, monkeypatch, step, least=1):
    hand = alongside.Hand("hand over", step, lambda connection, _: deliveries_waiting(connection), least)
    monkeypatch.setattr(alongside.Alongside.__init__, "__defaults__", ((hand,),))
    context = stage.context
    monkeypatch.setattr(stage, "context", lambda reporter=None: replace(context(reporter), alongside=True))


def test_the_second_process_delivers_everything_once(big, monkeypatch):
    reported = []
    tell = alongside._Report.tell
    monkeypatch.setattr(
        alongside._Report, "tell", lambda self, context: reported.append(self.count) or tell(self, context)
    )
    summary = big.run()
    assert sum(reported) == BIG
    assert summary.counts["documents delivered"] == BIG
    assert len(big.delivered) == BIG
    assert big.states("in") == ["delivered"] * BIG
    assert summary.exit_code == 0


def test_when_it_is_killed_the_first_process_finishes_the_work_and_says_so(big, monkeypatch):
    parent = os.getpid()

    def die(context):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        deliver(context)

    use(big, monkeypatch, die)
    summary = big.run()
    assert [str(fault) for _, fault in summary.troubles] == [
        "The second process of the batch failed in a way that the gateway does not know: RuntimeError: signal 9"
    ]
    assert len(big.delivered) == BIG
    assert big.states("in") == ["delivered"] * BIG


def test_a_defect_in_its_step_is_reported_and_the_step_is_done_by_the_first(big, monkeypatch):
    def broken(context):
        raise ZeroDivisionError("a defect")

    use(big, monkeypatch, broken)
    summary = big.run()
    assert [where for where, _ in summary.troubles] == ["hand over"]
    assert len(big.delivered) == BIG


def test_what_is_away_is_asked_once_there_and_told_once(big, monkeypatch):
    asked = big.settings.home / "asked"

    def away(context):
        with asked.open("a") as file:
            file.write(".")
        raise DeliveryFailed(what="a document", target="inbox", reason="away")

    use(big, monkeypatch, away)
    summary = big.run()
    assert asked.read_text() == "."
    assert summary.troubles == ()
    assert len(big.delivered) == BIG


def both(monkeypatch, **delivering):
    """The second process delivers as given, and sends until somebody has put a file where it looks."""
    deliver = replace(alongside.DELIVER, **delivering)

    def send(context):
        place = context.settings.home / "delivered"
        for _ in range(500):
            context.stopping()
            if place.exists():
                return
            time.sleep(0.02)
        raise ZeroDivisionError("nobody delivered meanwhile")

    sending = alongside.Hand("dispatch", send, lambda *_: 1, 1)
    monkeypatch.setattr(alongside.Alongside.__init__, "__defaults__", ((deliver, sending),))


def test_what_is_left_is_delivered_by_the_first_process_while_the_second_sends(big, monkeypatch):
    def delivering(context):
        deliver(context)
        (context.settings.home / "delivered").touch()

    both(monkeypatch, least=BIG + 1)
    monkeypatch.setattr(alongside, "deliver", delivering)
    summary = big.run()
    assert summary.troubles == ()
    assert summary.counts["documents delivered"] == len(big.delivered) == BIG


def test_what_the_second_could_not_deliver_is_left_to_the_step_that_follows(big, monkeypatch):
    def broken(context):
        (context.settings.home / "delivered").touch()
        raise ZeroDivisionError("a defect")

    def slow(*arguments):
        time.sleep(0.5)
        process(*arguments)

    both(monkeypatch, step=broken, waiting=lambda *_: 1, least=1)
    monkeypatch.setattr(night, "process", slow)
    monkeypatch.setattr(alongside, "deliver", lambda _: pytest.fail("delivered within the step of processing"))
    summary = big.run()
    assert [where for where, _ in summary.troubles] == ["deliver"]
    assert len(big.delivered) == BIG


def test_a_small_batch_needs_no_second_process(big, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    monkeypatch.setattr(alongside, "WORTH_IT", BIG + 1)
    big.run()
    assert len(big.delivered) == BIG


class Looks:
    """Stands for the event by which the second process is asked to end: it is, after so many looks at the ledger."""

    def __init__(self, *meanwhile):
        self.meanwhile = list(meanwhile)

    def wait(self, _):
        if not self.meanwhile:
            return True
        self.meanwhile.pop(0)()
        return False


def nothing():
    """What happens between most looks."""


@pytest.fixture
def kept_back(stage):
    """A stage where three mails wait for a partner that was suspended, and two mails are worth a round of sending."""
    stage.rounds = []

    def write(number, partner="acme"):
        submit(stage.context(), partner, invoice(f"INV-{number}"), name=f"{number}.edi")

    def send(context):
        alongside.DISPATCH.step(context)
        with context.ledger.reading() as connection:
            stage.rounds.append(mails_waiting(connection, stage.now))

    def look(*meanwhile):
        hand = replace(alongside.DISPATCH, step=send, least=2)
        alongside._Worker(stage.context(), hand, Looks(*meanwhile)).run()
        return stage.rounds

    for number in (1, 2, 3):
        write(number)
    stage.profiles[0] = ACME.replace('"live"', '"suspended"')
    stage.write, stage.look = write, look
    return stage


def test_mails_that_are_kept_back_call_for_no_round_after_round(kept_back):
    assert kept_back.look(*[nothing] * 5) == [3]
    assert kept_back.sent == []


def test_what_comes_beside_mails_that_are_kept_back_goes_as_soon_as_it_is_worth_a_round(kept_back):
    first, second = (partial(kept_back.write, number, "globex") for number in (4, 5))
    assert kept_back.look(nothing, first, second, nothing, nothing) == [3, 3]
    assert [each["To"] for each in kept_back.sent] == ["edi@globex.example"] * 2


def test_what_is_less_than_a_round_goes_at_the_end(kept_back):
    assert kept_back.look(nothing, partial(kept_back.write, 4, "globex"), nothing) == [3, 3]
    assert len(kept_back.sent) == 1
