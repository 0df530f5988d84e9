"""A process opens and judges the next mails of a big batch; what is recorded is the same as without it."""

from __future__ import annotations

import json
import os
import pickle
import signal

import pytest
from builders.hostile import MAILS
from builders.pair import Gateway, order
from builders.stage import Stage, acknowledgment, orders
from msgspec.structs import replace

from gateway.errors import DatabaseUnavailable, SenderUnproven
from gateway.flow import ahead as ahead_module
from gateway.flow import inbound
from gateway.flow.ahead import Ahead
from gateway.flow.collect import collect
from gateway.flow.inbound import prepare, process
from gateway.flow.reporter import Tally
from gateway.ledger.work import fresh_messages, stored_message

SECURED = "[agreement.security]\nsign = true\nencrypt = true\n"
OUT = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n' + SECURED
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n' + SECURED


@pytest.fixture
def stage(tmp_path):
    found = Stage(tmp_path)
    found.settings = replace(found.settings, batch_size=2)
    return found


def run(stage, preparing=prepare):
    """Collects and processes with a process ahead; what was told."""
    tally = Tally()
    context = stage.context(tally)
    collect(context)
    with Ahead(context, preparing) as ahead:
        process(context, ahead)
    return tally


def in_child(what):
    """``prepare``, but in the process ahead ``what`` comes first."""
    parent = os.getpid()

    def preparing(context, message):
        if os.getpid() != parent:
            what(message)
        return prepare(context, message)

    return preparing


def through_pipe(context, case):
    """A case as the first process gets it."""
    sent = pickle.loads(pickle.dumps(ahead_module._unbound(case)))
    return ahead_module._bound(context, sent)


def attempts(stage):
    return [row["attempts"] for row in stage.rows("message") if row["direction"] == "in"]


def test_whatever_a_mail_is_like_the_same_is_recorded(tmp_path):
    recorded = []
    writer = Stage(tmp_path)
    mails = [mail.raw for mail in MAILS.values()]
    mails += [writer.mail(orders(1), orders(2)), writer.mail(orders(1)), writer.mail(acknowledgment(5, "PO", 7))]
    for name, with_process in (("ahead", True), ("alone", False)):
        (tmp_path / name).mkdir()
        stage = Stage(tmp_path / name)
        stage.settings = replace(stage.settings, batch_size=7)
        for raw in mails:
            stage.mailbox.deliver(raw)
        if with_process:
            run(stage)
        else:
            context = stage.context()
            collect(context)
            process(context)
        tables = ("message", "payload", "exchange", "transaction_set", "finding", "business_key", "outgoing", "receipt")
        recorded.append([
            *[json.dumps(stage.rows(table), default=repr).replace(str(tmp_path / name), "") for table in tables],
            *[(row["kind"], row["message"], row["body"]) for row in stage.rows("event") if row["kind"] != "recorded"],
        ])  # fmt: skip
    assert recorded[0] == recorded[1]


def test_it_is_the_other_process_that_opens_them(stage):
    for number in range(1, 6):
        stage.mail(orders(number))
    pids = stage.directory / "pids"

    def note(_):
        with pids.open("a") as file:
            file.write(f"{os.getpid()}\n")

    run(stage, in_child(note))
    assert len(pids.read_text().split()) == 5
    assert stage.states("in") == ["accepted"] * 5
    assert attempts(stage) == [1] * 5


def test_a_secured_mail_comes_through_the_pipe_as_it_is(tmp_path):
    buyer, seller = Gateway(tmp_path, "buyer", "edi@buyer.example"), Gateway(tmp_path, "seller", "edi@seller.example")
    buyer.knows(seller, OUT)
    seller.knows(buyer, IN)
    buyer.trusts(seller)
    seller.trusts(buyer)
    buyer.submit("seller", "one.edi", order())
    buyer.run()
    seller.mailbox.deliver(buyer.transport.sent[0].raw)
    context = seller.app.context()
    collect(context)
    with seller.app.ledger.reading() as connection:
        message = stored_message(connection, 1)
    case = prepare(context, message)
    assert case.opened is not None
    assert case.interchanges[0][1].agreements
    sent = through_pipe(context, prepare(context, message))
    assert sent.letter == replace(case.letter, parts=())
    assert replace(sent, letter=case.letter) == case
    buyer.app.close()
    seller.app.close()


def test_the_bytes_of_interchanges_go_through_the_pipe_once_and_are_whole_behind_it(stage):
    stage.mail(orders(1) + b"\r\nwords\r\n" + orders(2))
    stage.mail(orders(3), b"ISA no EDI", orders(4)[:150])
    context = stage.context()
    collect(context)
    for number in (1, 2):
        with stage.ledger.reading() as connection:
            message = stored_message(connection, number)
        case, sent = prepare(context, message), prepare(context, message)
        first = case.interchanges[0][1].raw
        assert pickle.dumps(ahead_module._unbound(sent)).count(first) == 1
        behind = through_pipe(context, prepare(context, message))
        assert [each.raw for _, each in behind.interchanges] == [each.raw for _, each in case.interchanges]


def test_a_fault_comes_through_the_pipe_with_all_that_it_tells(stage):
    stage.mail(orders(1))
    context = stage.context()
    collect(context)
    with stage.ledger.reading() as connection:
        message = stored_message(connection, 1)
    case = prepare(context, message)
    case.fault = SenderUnproven(address="a@b.example", partner="acme", wanted="a signature", found="no", evidence="x")
    told = case.fault.as_dict()
    assert through_pipe(context, case).fault.as_dict() == told


def test_a_mail_that_kills_it_is_taken_by_the_first_process_alone_like_those_beside_it(stage):
    for number in range(1, 8):
        stage.mail(orders(number))

    def die(message):
        if message.id == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    tally = run(stage, in_child(die))
    (trouble,) = tally.troubles
    assert "signal 9" in str(trouble[1])
    assert stage.states("in") == ["accepted"] * 7
    assert attempts(stage)[:4] == [1, 1, 2, 2]


def test_what_is_too_big_for_the_pipe_is_opened_by_the_first_process(stage, monkeypatch):
    monkeypatch.setattr("gateway.ledger.archive.WHOLE", 2_000)
    stage.mail(orders(1))
    stage.mail(orders(2), body="x" * 70 + "\r\n" + ("words " * 10 + "\r\n") * 90)
    stage.mail(orders(3))
    tried = []

    def preparing(context, message):
        tried.append(message.id)
        return prepare(context, message)

    run(stage, preparing)
    assert tried == [2]
    assert stage.states("in") == ["accepted"] * 3


def test_when_the_database_is_away_nothing_is_held_against_those_that_wait(stage, monkeypatch):
    for number in range(1, 6):
        stage.mail(orders(number))

    def away(*_):
        raise DatabaseUnavailable(reason="away")

    monkeypatch.setattr(inbound, "_record", away)
    with pytest.raises(DatabaseUnavailable):
        run(stage)
    assert attempts(stage) == [0] * 5


def test_when_it_goes_away_while_the_next_are_asked_for_nothing_is_held_against_any(stage, monkeypatch):
    for number in range(1, 8):
        stage.mail(orders(number))
    asked = []

    def fresh(*words):
        asked.append(words)
        if len(asked) == 3:
            raise DatabaseUnavailable(reason="away")
        return fresh_messages(*words)

    monkeypatch.setattr(inbound, "fresh_messages", fresh)
    with pytest.raises(DatabaseUnavailable):
        run(stage)
    assert stage.states("in") == ["accepted"] * 2
    assert attempts(stage) == [1, 1, 0, 0, 0, 0, 0]


def test_asked_to_end_it_finishes_what_is_begun_and_begins_no_more(stage):
    for number in range(1, 8):
        stage.mail(orders(number))
    context = stage.context()
    collect(context)
    asked = iter([False, False])  # before the first group and the second
    context = replace(context, stopping=lambda: next(asked, True))
    with Ahead(context, prepare) as ahead:
        process(context, ahead)
    assert stage.states("in") == ["accepted"] * 4
    assert attempts(stage) == [1] * 4 + [0] * 3


def test_fresh_messages_are_those_nobody_has_tried_beginning_behind_a_number(stage):
    for number in range(1, 6):
        stage.mail(orders(number))
    context = stage.context()
    collect(context)
    inbound._count_attempts(context, [2])
    with stage.ledger.reading() as connection:
        assert fresh_messages(connection, 2, 1 << 30) == [1, 3]
        assert fresh_messages(connection, 9, 1 << 30, after=3) == [4, 5]
        assert fresh_messages(connection, 9, 1) == [1]
