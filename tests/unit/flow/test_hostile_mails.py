"""Every mail of ``builders.hostile`` through unpack, identify and examine: taken, mended or quarantined as it must."""

from __future__ import annotations

import time

import pytest
from builders.hostile import EDI, MAILS, from_stranger
from builders.stage import Stage

from gateway.flow.inbound import prepare
from gateway.ledger.work import StoredMessage


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("hostile"))
    return stage.context()


def prepared(context, raw):
    """What becomes of a mail, which must not take longer than a moment."""
    began = time.process_time()
    case = prepare(context, StoredMessage(1, 0, "orders", "host", "user", "", 0, raw))
    assert time.process_time() - began < 5
    return case


def test_there_are_many():
    assert len(MAILS) >= 80


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_from_a_partner_meets_its_fate(context, name):
    mail = MAILS[name]
    case = prepared(context, mail.raw)
    code = case.fault.code if case.fault else ""
    assert code in mail.code.split("|"), case.fault
    assert len(case.payloads) == mail.payloads
    if case.letter is not None:
        assert case.letter.kind == mail.kind
    held = [] if case.fault else [each.fault for _, each in case.interchanges if each.fault is not None]
    assert [each.code for each in held] == ["payload.not-x12"] * len(mail.held)
    assert all(words in str(fault) for fault, words in zip(held, mail.held, strict=True)), held
    told = " ".join(each for payload in case.payloads for each in payload.repairs)
    assert all(words in told for words in mail.repairs), told
    assert mail.repairs or code or not told.replace("counts once", "").strip() or "text before" in told, told


@pytest.mark.parametrize("name", MAILS)
def test_the_same_mail_from_a_stranger_is_never_taken(context, name):
    case = prepared(context, from_stranger(MAILS[name].raw))
    assert case.fault is not None or (case.letter is not None and case.letter.kind != "letter")
    assert case.fault is None or case.fault.code != "message.processing-failed", case.fault
    assert all(each.partner is None for _, each in case.interchanges)


@pytest.mark.parametrize("name", [name for name, mail in MAILS.items() if mail.payloads and not mail.code])
def test_what_is_taken_is_what_was_written(context, name):
    """However it came: the first interchange of a mail that is taken says what the one that was sent says."""
    case = prepared(context, MAILS[name].raw)
    if "collapsed" in name:
        return  # here the partner's own file is wrong, and is rejected by its acknowledgment
    raw = next(each.raw for _, each in case.interchanges if each.fault is None)
    got = raw.replace(b"\r", b"").replace(b"\n", b"").replace(b"~ ", b"~")
    assert got == EDI.replace(b"\r\n", b"")
