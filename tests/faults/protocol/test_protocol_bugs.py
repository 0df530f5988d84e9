"""Bugs seeded into the gateway: a trial must find each of them, by the letter of the promise that it breaks."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from msgspec.structs import replace

from faults.protocol import mails
from gateway.errors import OutcomeUnknown, TemporarilyRefused
from gateway.flow import collect, outcome
from gateway.flow.case import InterchangeCase
from gateway.flow.duplicates import Known
from gateway.flow.lanes import Sender
from gateway.ledger.recording import Recorder
from gateway.mail.model import Handover


class KilledError(BaseException):
    """Ends a night where it stands, as a signal does."""


# ---------------------------------------------------------------- the bugs


def deleted_before_commit(patch):
    """Mails go from their server before they are in the ledger."""

    def late(visit, group, names):
        visit.session.delete([each.listed for each in group])
        visit.session.commit()
        raise KilledError

    patch.setattr(collect, "_store", late)


def uid_as_identity(patch):
    """A UIDL that was seen is a mail that we have."""

    def wanted(visit):
        visit.session.delete(visit.listing)
        return list({each.uid: each for each in visit.listing}.values())

    patch.setattr(collect, "_wanted", wanted)


def no_interchange_key(patch):
    """Only the bytes of the mail tell whether it was here before."""
    patch.setattr(Known, "earlier", lambda *_: None)


def lost_reply_is_sent(patch):
    """Who says nothing has no objection."""
    patch.setattr(outcome, "record", _instead(outcome.record, lambda each: replace(each, fault=None, taken=_HANDOVER)))


def lost_reply_is_a_refusal(patch):
    """Who says nothing has not taken it."""
    later = TemporarilyRefused(host="host", recipient="all", reply="none")
    patch.setattr(outcome, "record", _instead(outcome.record, lambda each: replace(each, fault=later)))


def rendered_anew(patch):
    """Each attempt writes the mail again."""
    outgoing = Sender.outgoing
    tries = Counter()

    def again(self, mail, raw):
        tries[mail.exchange] += 1
        return outgoing(self, mail, raw + b"%d\r\n" % tries[mail.exchange])

    patch.setattr(Sender, "outgoing", again)


def acknowledgments_are_answered(patch):
    """A 997 is a document like any other."""
    patch.setattr(InterchangeCase, "only_acknowledges", False)
    everything = property(lambda self: tuple(enumerate(self.report.groups)))
    patch.setattr(InterchangeCase, "document_groups", everything)


def numbers_begin_again(patch):
    """A control number is drawn without looking what was drawn before."""
    patch.setattr(Recorder, "take_number", lambda *_: 1)


_HANDOVER = Handover("host", "250 surely", (), "")


def _instead(record, change):
    def recorded(context, recorder, attempts):
        lost = (change(each) if isinstance(each.fault, OutcomeUnknown) else each for each in attempts)
        record(context, recorder, list(lost))

    return recorded


# ---------------------------------------------------------------- the trials


def orders_and_a_kill(stand):
    """Mails wait; the night is killed while it keeps them; the next ones are calm."""
    _orders(stand)


def one_name_for_all(stand):
    """A host that calls every mail the same."""
    stand.box.uids = lambda names: ["same"] * len(names)
    _orders(stand)


def other_bytes_each_time(stand):
    """QUIT is lost, and the host adds header fields as it likes."""
    stand.box.hook = lambda talk, verb, _: verb == "QUIT" and talk.reset()
    _orders(stand)
    stand.box.show = lambda raw: b"Status: RO\r\n" + raw


def reply_lost(*, taken):
    """The reply to the final dot of an invoice is lost."""

    def trial(stand):
        def lose(talk, verb, _):
            if verb == ".":
                if taken:
                    stand.post.take(talk)
                talk.reset()
            return False

        stand.post.hook = lose
        stand.home.submit(1)
        stand.home.night()

    return trial


def acknowledged(stand):
    """Two invoices go, and a 997 for one of them comes."""
    stand.home.submit(1)
    stand.home.submit(2)
    stand.home.night()
    stand.box.put(mails.mail(mails.functional(501, 1)))


def _orders(stand):
    for number in (1, 2, 3):
        stand.box.put(mails.order_mail(number))
    with contextlib.suppress(KilledError):
        stand.home.night()


ORDERS = ("PO-1", "PO-2", "PO-3")
ALL = '[[agreement]]\nname = "all"\ndirection = "in"\nsets = ["*"]\n'


@pytest.mark.parametrize(
    ("bug", "trial", "orders", "letter"),
    [
        (deleted_before_commit, orders_and_a_kill, ORDERS, "L"),
        (uid_as_identity, one_name_for_all, ORDERS, "L"),
        (no_interchange_key, other_bytes_each_time, ORDERS, "D"),
        (lost_reply_is_sent, reply_lost(taken=False), (), "S"),
        (lost_reply_is_a_refusal, reply_lost(taken=True), (), "S"),
        (rendered_anew, reply_lost(taken=True), (), "A"),
        (acknowledgments_are_answered, acknowledged, (), "A"),
        (numbers_begin_again, acknowledged, (), "C"),
    ],
)
def test_a_seeded_bug_is_found(stand, monkeypatch, bug, trial, orders, letter):
    """The same trial, nights and checker as everywhere: with the bug they find it, without it they find nothing."""
    good, bad = (stand(on_doubt="resend", more=ALL) for _ in range(2))
    trial(good)
    good.nights(2)
    assert good.violations(*orders) == []
    with monkeypatch.context() as patched:
        bug(patched)
        trial(bad)
        if letter != "L":
            bad.nights(2)
    bad.nights(2)
    assert letter in {each[0] for each in bad.violations(*orders)}
