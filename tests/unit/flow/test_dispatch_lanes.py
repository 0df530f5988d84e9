"""Sending side by side: nobody waits for a neighbour, a partner's mails keep their order, a host is asked once."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, invoice, orders
from msgspec.structs import replace

from gateway.errors import OutcomeUnknown, SmtpCrowded, SmtpInterrupted, SmtpUnavailable, TemporarilyRefused
from gateway.flow.lanes import next_lane
from gateway.flow.pace import Pace
from gateway.flow.submit import submit
from gateway.ledger.work import DueMail
from gateway.mail.memory import MemoryTransport

INITECH = GLOBEX.replace("globex", "initech").replace("Globex", "Initech").replace("0700000000001", "0700000000002")
PATIENCE = 10.0


@pytest.fixture
def stage(tmp_path):
    found = Stage(tmp_path, [ACME, GLOBEX, INITECH])
    found.settings = replace(found.settings, smtp=replace(found.settings.smtp, connections=4))
    return found


def send(stage, number, partner="acme"):
    return submit(stage.context(), partner, invoice(number), name=number)


def partner_of(mail):
    return mail.recipients[0].partition("@")[2].removesuffix(".example")


def test_no_partner_waits_for_a_slow_answer_to_another(stage):
    for partner in ("acme", "globex", "initech"):
        for number in range(3):
            send(stage, f"{partner}-{number}", partner)
    others = threading.Semaphore(0)
    first = iter([True])

    def answer(mail):
        if partner_of(mail) != "acme":
            others.release()
        elif next(first, False):
            for _ in range(6):  # the first mail to ACME is taken when all of the others are
                assert others.acquire(timeout=PATIENCE)

    stage.transport.answer = answer
    assert stage.run().exit_code == 0
    assert stage.states("out") == ["sent"] * 9


def test_a_partners_mails_go_in_the_order_of_their_exchanges(stage):
    for number in range(8):
        for partner in ("acme", "globex"):
            send(stage, f"{partner}-{number}", partner)
    stage.run()
    for partner in ("acme", "globex"):
        numbers = [edi[0][13] for edi, mail in zip(stage.sent_edi, stage.transport.sent, strict=True)
                   if partner_of(mail) == partner]  # fmt: skip
        assert numbers == sorted(numbers)
        assert len(numbers) == 8


def test_only_one_document_a_session_is_ever_marked_as_being_sent(stage):
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, connections=2))
    marked = []
    for number in range(4):
        for partner in ("acme", "globex", "initech"):
            send(stage, f"{partner}-{number}", partner)
    stage.transport.answer = lambda _mail: marked.append(stage.states("out").count("sending"))
    stage.run()
    assert len(marked) == 12
    assert max(marked) <= 2


def test_a_partner_has_one_lane_at_a_time(stage):
    inside, most = [], []

    def answer(mail):
        inside.append(partner_of(mail))
        most.append(inside.count("acme"))

    stage.transport.answer = answer
    stage.transport.after_taking = lambda mail: inside.remove(partner_of(mail))
    for number in range(6):
        send(stage, f"A-{number}")
        send(stage, f"G-{number}", "globex")
    stage.run()
    assert max(most) == 1


def test_a_broken_connection_costs_the_mail_an_attempt_and_stops_no_other(stage):
    """A mail that breaks the connection each time must not keep all others from going."""
    send(stage, "INV-1")
    send(stage, "INV-2", "globex")
    seen = []

    def answer(mail):
        seen.append(partner_of(mail))
        if partner_of(mail) == "acme":
            raise SmtpInterrupted(host="memory", reason="reset")

    stage.transport.answer = answer
    stage.run()
    assert stage.states("out") == ["ready", "sent"]
    assert stage.rows("outgoing")[0]["attempts"] == 1
    stage.now += 1
    stage.run()
    assert seen.count("acme") == 1  # not before its pause is over


def test_a_host_that_breaks_every_connection_counts_as_away(stage):
    for number in range(10):
        send(stage, f"INV-{number}")
    seen = []

    def answer(mail):
        seen.append(mail)
        raise TemporarilyRefused(host="memory", reply="421 4.3.2 shutting down")

    stage.transport.answer = answer
    summary = stage.run()
    assert len(seen) == 3
    assert [where for where, _ in summary.troubles] == ["smtp"]
    assert stage.states("out") == ["ready"] * 10


def test_a_host_that_is_away_is_told_once_and_costs_no_attempt(stage):
    for partner in ("acme", "globex", "initech"):
        send(stage, partner, partner)

    def answer(mail):
        raise SmtpUnavailable(host="memory", reason="no route")

    stage.transport.answer = answer
    summary = stage.run()
    assert [(where, fault.code) for where, fault in summary.troubles] == [("smtp", "smtp.unavailable")]
    assert {row["attempts"] for row in stage.rows("outgoing")} == {0}
    assert stage.states("out") == ["ready"] * 3


class Crowded(MemoryTransport):
    """A host that takes one connection only."""

    @contextmanager
    def sessions(self, count):
        with super().sessions(count) as found:
            for each in found[:-1]:
                each.send = self.refuse
            yield found

    def refuse(self, _mail):
        raise SmtpCrowded(host="memory", reason="too many connections")


def test_what_a_crowded_host_takes_no_connection_for_goes_through_the_others(stage):
    stage.transport = Crowded()
    for number in range(3):
        for partner in ("acme", "globex", "initech"):
            send(stage, f"{partner}-{number}", partner)
    summary = stage.run()
    assert summary.exit_code == 0
    assert stage.states("out") == ["sent"] * 9
    assert summary.counts["smtp connections refused"] == 3


def test_when_one_lane_dies_what_the_others_sent_is_kept(stage):
    send(stage, "INV-1")
    send(stage, "INV-2", "globex")
    both = threading.Barrier(2, timeout=PATIENCE)

    def after(mail):
        both.wait()
        if partner_of(mail) == "acme":
            raise KeyboardInterrupt

    stage.transport.after_taking = after
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert stage.states("out") == ["sending", "sent"]
    stage.transport.after_taking = None
    stage.run()
    assert stage.states("out") == ["in doubt", "sent"]
    assert len(stage.sent) == 2


def test_acknowledgments_of_many_partners_go_in_groups(stage):
    for number in range(1, 4):
        stage.mail(orders(number))
        stage.mail(orders(number, sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    assert stage.states("out") == ["complete"] * 6
    assert len(stage.sent) == 6


@pytest.mark.parametrize("lost", [False, True])
def test_an_acknowledgment_in_doubt_is_sent_again_with_the_same_bytes(stage, lost):
    stage.mail(orders(1))
    faults = iter([OutcomeUnknown(host="memory")] if lost else [])

    def after(mail):
        fault = next(faults, None)
        if fault:
            raise fault

    stage.transport.after_taking = after
    stage.run()
    stage.now += HOUR
    stage.run()
    assert stage.states("out") == ["complete"]
    assert len(stage.sent) == 1 + lost
    assert len({each.raw for each in stage.transport.sent}) == 1


# ---------------------------------------------------------------- what goes into a lane


def due(*mails):
    kinds = {"d": "document", "a": "acknowledgment"}
    return [
        DueMail(number, number, partner, "", kinds[kind], "", 0, "us@example.com", ("x@example.com",), "")
        for number, (partner, kind) in enumerate(mails, 1)
    ]


@pytest.mark.parametrize(
    ("mails", "lanes", "chosen"),
    [
        ([], 4, []),
        (["Ad", "Ad", "Bd"], 4, [1]),  # a document goes alone
        (["Aa", "Aa", "Ad", "Aa"], 1, [1, 2]),  # what follows a document does not overtake it
        (["Aa", "Bd", "Ba", "Ca"], 1, [1, 4]),
        (["Aa", "Ba", "Ca", "Da"], 2, [1, 2]),  # shared out
        (["Aa", "Ba", "Aa", "Ba"], 2, [1, 3, 2, 4]),
        (["Aa", "Ba", "Ca", "Aa", "Ba", "Ca"], 3, [1, 2, 4, 5]),
    ],
)
def test_a_lane_takes_one_document_or_its_share_of_acknowledgments(mails, lanes, chosen):
    found = next_lane(due(*mails), lanes)
    assert [each.exchange for each in found] == sorted(chosen)


# ---------------------------------------------------------------- pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_no_minute_sees_more_mails_than_the_rate():
    clock = Clock()
    pace = Pace(30, clock=clock)
    gone = []
    while clock.now < 600:
        if pace.room(7):
            gone += [clock.now] * pace.room(7)
            pace.take(pace.room(7))
        else:
            assert pace.delay() > 0
        clock.now += 1.0
    assert len(gone) >= 290
    for start in gone:
        assert sum(start <= each < start + 60 for each in gone) <= 30


def test_mails_of_the_run_before_count_and_without_a_rate_everything_goes():
    clock = Clock()
    pace = Pace(10, used=10, clock=clock)
    assert (pace.room(5), pace.delay()) == (0, 60.0)
    clock.now = 60.0
    assert (pace.room(5), pace.delay()) == (5, 0.0)
    assert Pace(0).room(1_000) == 1_000


def test_a_rate_holds_mails_back_and_all_go_in_the_end(stage, monkeypatch):
    monkeypatch.setattr("gateway.flow.pace._MINUTE", 0.2)
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, rate=2))
    for number in range(5):
        send(stage, f"INV-{number}")
    stage.run()
    assert stage.states("out") == ["sent"] * 5
