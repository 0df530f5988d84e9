"""POP3 hosts that break off, forget, repeat and change: nothing is lost, nothing is delivered twice.

Each trial is a disturbed night or some, nights that nothing disturbs, and then the books compared. What is allowed to
be uncertain stands in the trial's docstring; where nothing does, nothing is.
"""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from servers import certificates

from faults.protocol.choice import some
from faults.protocol.home import HOUR, SHORT
from faults.protocol.hosts import PASSWORD
from faults.protocol.mails import mail, order_mail, orders


def fill(stand, count=3):
    for number in range(1, count + 1):
        stand.box.put(order_mail(number))
    return [f"PO-{number}" for number in range(1, count + 1)]


# ---------------------------------------------------------------- connections that end


@pytest.mark.parametrize("tenth", some([0, 1, 5, 9, 10], [2, 3, 4, 6, 7, 8]))
def test_cut_in_retr_at_every_tenth(stand, tenth):
    """The mail that was cut is never half read; what came before it is safe, and comes once."""
    stand = stand()
    expected = fill(stand)

    def cut(talk, verb, argument):
        if (verb, argument) != ("RETR", "2"):
            return False
        answer = stand.box.answer(talk, 2)
        talk.say(answer[: len(answer) * tenth // 10 - (tenth == 10)])
        return talk.reset()

    stand.box.hook = cut
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert len(stand.box.box) == 3
    assert not [each for each in stand.home.delivered if b"PO-2" in each]
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


def test_cut_after_dele_before_quit(stand):
    """RFC 1939: without QUIT nothing is deleted; the mails come again and are known."""
    stand = stand()
    expected = fill(stand)
    stand.box.hook = lambda talk, verb, _: verb == "QUIT" and talk.reset()
    stand.home.night()
    assert len(stand.box.box) == 3
    assert sorted(stand.home.states("in")) == ["delivered"] * 3
    assert stand.nights(2).troubles == ()
    assert stand.home.count("resighted") == 3
    assert stand.violations(*expected) == []


def test_cut_inside_the_deles(stand):
    """A host that breaks off while it is told what to delete has deleted nothing."""
    stand = stand()
    expected = fill(stand)
    stand.box.hook = lambda talk, verb, argument: (verb, argument) == ("DELE", "2") and talk.reset()
    stand.home.night()
    assert len(stand.box.box) == 3
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


def test_quit_done_and_its_reply_lost(stand):
    """The mails are gone and nobody said so: they were safe before they were marked."""
    stand = stand()
    expected = fill(stand)

    def lose(talk, verb, _):
        if verb == "QUIT":
            stand.box.delete(talk, talk.marked)
            talk.reset()
        return False

    stand.box.hook = lose
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert stand.box.box == {}
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


def test_quit_refused_with_some_deleted(stand):
    """RFC 1939 section 6: some mails may be gone after -ERR; those that are left come again and are known."""
    stand = stand()
    expected = fill(stand)

    def some(talk, verb, _):
        if verb != "QUIT":
            return False
        stand.box.delete(talk, talk.marked[:1])
        talk.say("-ERR some deleted messages not removed")
        return talk.hang_up()

    stand.box.hook = some
    summary = stand.home.night()
    assert "some deleted messages not removed" in str(summary.troubles[0][1])
    assert len(stand.box.box) == 2
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


# ---------------------------------------------------------------- names that mean nothing


@pytest.mark.parametrize("kept", [False, True], ids=["emptied", "left on the server"])
def test_all_uidls_change(stand, kept):
    """A move to another server gives every mail another name: its bytes are known, nothing is delivered again."""
    stand = stand(mailbox={"keep_on_server": kept})
    expected = fill(stand)
    if not kept:
        stand.box.hook = lambda talk, verb, _: verb == "QUIT" and talk.reset()
    stand.home.night()
    stand.box.uids = lambda names: [f"moved-{name}" for name in names]
    stand.nights(3)
    assert stand.home.count("resighted") == 3
    assert stand.violations(*expected, stays=3 * kept) == []


@pytest.mark.parametrize("kept", [False, True], ids=["emptied", "left on the server"])
@pytest.mark.parametrize(
    "uids",
    [
        pytest.param(lambda names: ["same"] * len(names), id="one for all"),
        pytest.param(lambda names: [f"n{place // 2}" for place, _ in enumerate(names)], id="one for two"),
        pytest.param(lambda _: None, id="none"),
    ],
)
def test_uidls_that_tell_no_mails_apart(stand, uids, kept):
    """Different mails under one UIDL, or under none, are different mails: each is taken, once."""
    stand = stand(mailbox={"keep_on_server": kept})
    expected = fill(stand, 4)
    stand.box.uids = uids
    stand.nights(3)
    assert stand.violations(*expected, stays=4 * kept) == []


def test_a_uidl_that_comes_again_for_another_mail(stand):
    """A host that counts anew gives a new mail the UIDL of one that is gone, or left: it is taken all the same."""
    for kept in (False, True):
        trial = stand(mailbox={"keep_on_server": kept})
        trial.box.uids = lambda names: [f"{place}" for place, _ in enumerate(names)]
        trial.box.put(order_mail(1))
        trial.nights()
        trial.box.box.clear()  # a person moved it away
        trial.box.put(order_mail(22))
        trial.nights(2)
        assert trial.violations("PO-1", "PO-22", stays=int(kept)) == []


def test_the_same_mail_with_other_bytes_at_each_retr(stand):
    """Hosts add X-UIDL and Status as they like: to us another mail, with an interchange that is known by its number."""
    stand = stand()
    expected = fill(stand)
    stand.box.hook = lambda talk, verb, _: verb == "QUIT" and talk.reset()
    stand.home.night()
    stand.box.show = lambda raw: b"X-UIDL: 77\r\nStatus: RO\r\n" + raw
    assert stand.nights(2).troubles == ()
    assert stand.home.count("resighted") == 0
    assert sorted(stand.home.states("in")) == ["delivered"] * 3 + ["duplicate"] * 3
    # The partner gets each acknowledgment once more, the same mail: the ledger tells of it.
    assert stand.home.count("resent") == 3
    assert len(stand.post.taken) == 6
    assert len({each.raw for each in stand.post.taken}) == 3
    assert stand.violations(*expected) == []


# ---------------------------------------------------------------- hosts that say nothing, or no


@pytest.mark.parametrize("verb", some(["CONNECT", "RETR", "QUIT"], ["CAPA", "USER", "PASS", "LIST", "UIDL", "DELE"]))
def test_a_host_that_hangs_at_each_verb(stand, verb):
    """It costs one timeout and is said; what is due besides goes its way the same night."""
    stand = stand()
    expected = fill(stand)
    stand.home.submit(1)
    stand.home.patience["mailbox"] = SHORT
    stand.box.hook = lambda talk, heard, _: heard == verb and talk.hang()
    summary = stand.home.night()
    assert [(where, fault.code) for where, fault in summary.troubles] == [("mailbox orders", "mailbox.unavailable")]
    assert stand.home.states("out") == ["sent"]
    assert len(stand.box.box) == 3
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


ALERT = """
[[alert]]
name = "ops"
command = "./tell"
every = "1s"
"""


def told(stand):
    """How often people were told anything."""
    file = stand.home.directory / "told"
    return len(file.read_text().splitlines()) if file.exists() else 0


def telling(stand):
    """A stand with a rule that tells of everything at once."""
    made = stand(settings=ALERT)
    script = made.home.directory / "tell"
    script.write_text('#!/bin/sh\ncat > /dev/null\necho told >> "$(dirname "$0")/told"\n')
    script.chmod(0o755)
    return made


@pytest.mark.parametrize("verb", ["RETR", "DELE"])
def test_a_host_that_refuses_one_mail(stand, verb):
    """What it does not give stays and is told of; what it does not delete comes again and is known."""
    stand = stand()
    expected = fill(stand)
    stand.box.hook = lambda talk, heard, argument: (heard, argument) == (verb, "2") and not talk.say("-ERR no")
    summary = stand.home.night()
    assert [each.state for each in summary.attention] == ["not taken"] * (verb == "RETR")
    assert len(stand.box.box) == 1
    assert stand.home.states("in").count("delivered") == 2 + (verb == "DELE")
    summary = stand.nights(2)
    assert (summary.troubles, summary.attention) == ((), ())
    assert stand.violations(*expected) == []


@pytest.mark.parametrize("verb", some(["RETR"], ["CONNECT", "UIDL"]))
def test_a_host_that_drips(stand, verb):
    """A byte now and then is never silence, and never an end: it does not hold the night for ever."""
    stand = stand()
    expected = fill(stand)

    def drip(talk, heard, _):
        while heard == verb:
            talk.say(b"+")
            time.sleep(SHORT / 10)
        return False

    stand.box.hook = drip
    stand.home.patience["mailbox"] = SHORT
    began = time.monotonic()
    summary = stand.home.night()
    assert time.monotonic() - began < 40 * SHORT
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


def test_different_mails_with_one_message_id(stand):
    """A sender that counts badly: the interchanges are what counts, and each is delivered."""
    stand = stand()
    for number in (1, 2):
        stand.box.put(mail(orders(number), message_id="<always@acme.example>"))
    stand.nights(2)
    assert stand.violations("PO-1", "PO-2") == []


def test_a_mailbox_in_use_is_said_once_a_night_and_raises_no_storm(stand):
    """[IN-USE] (RFC 2449): one line a night, one alert in all, no login repeated, no mail touched."""
    stand = telling(stand)
    expected = fill(stand)
    stand.box.hook = lambda talk, verb, _: verb == "PASS" and not talk.say("-ERR [IN-USE] another session")
    for night in range(1, 6):
        summary = stand.home.night()
        assert [fault.code for _, fault in summary.troubles] == ["mailbox.busy"]
        assert summary.attention == ()
        assert stand.box.connections == night
    assert told(stand) == 1
    assert stand.nights(2).troubles == ()
    assert stand.violations(*expected) == []


@pytest.mark.parametrize("offer", ["USER", "SASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"])
def test_a_refused_login_is_tried_once_a_night(stand, offer):
    """A host may lock an account after some wrong passwords: one attempt a night, one trouble, whatever it offers."""
    stand = stand(password="wrong")
    stand.box.capabilities.append(offer)
    stand.box.hook = lambda talk, verb, _: verb == "AUTH" and not talk.say("-ERR [AUTH] no")
    fill(stand)
    for night in range(1, 4):
        summary = stand.home.night()
        assert [fault.code for _, fault in summary.troubles] == ["mail.login-refused"]
        assert sum(each.startswith(("PASS", "AUTH")) for each in stand.box.heard) == night
    assert len(stand.box.box) == 3
    assert stand.violations(stays=3) == []


def test_a_refused_password_is_offered_ever_more_seldom(stand):
    """With a batch every five minutes, a wrong password must not be tried 288 times a day: accounts get locked."""
    stand = stand(password="wrong")
    fill(stand)
    for _ in range(12):
        stand.home.night(later=HOUR // 12)
    assert sum(each.startswith("PASS") for each in stand.box.heard) <= 6


def test_stripped_starttls_gets_no_password(stand):
    """Who takes STLS out of CAPA on the way learns nothing, and the mails stay where they are."""
    stand = stand(mailbox={"security": "starttls"})
    fill(stand)
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mail.insecure"]
    assert not any(PASSWORD in each or each.startswith(("USER", "AUTH")) for each in stand.box.heard)
    assert stand.violations(stays=3) == []


@pytest.mark.parametrize("wrong", ["name", "expired", "authority"])
def test_a_wrong_certificate_gets_no_password(stand, tmp_path, wrong):
    """Another name, one that has ended, an authority that nobody trusts: no password, no mail, one trouble."""
    changes = {
        "name": {"addresses": ("127.0.0.9",), "names": ("other.example",)},
        "expired": {"valid": -timedelta(days=1)},
        "authority": {},
    }[wrong]
    made = certificates.make(tmp_path / "shown", **changes)
    trusted = certificates.make(tmp_path / "trusted") if wrong == "authority" else made
    stand = stand(mailbox={"security": "starttls", "ca_file": str(trusted.ca_file)})
    stand.box.tls = made.context()
    stand.box.capabilities.append("STLS")
    fill(stand)
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mail.insecure"]
    assert not any(PASSWORD in each or each.startswith(("USER", "AUTH")) for each in stand.box.heard)
    assert stand.violations(stays=3) == []


# ---------------------------------------------------------------- mails that are too much


def test_poison_first_and_the_rest_comes_through(stand):
    """A mail that nobody can read is put aside with its bytes; those behind it are delivered the same night."""
    stand = stand()
    poison = [
        b"Subject: " + b"x" * 70_000 + b"\r\n\r\nno\r\n",
        b"From: a@b.example\r\n" * 1_001 + b"\r\n",
        mail(orders(9)[:200]),
        b"\0\0\0\r\n\r\n",
        b"\r\n",
        b"From: edi@acme.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 10_000,
    ]
    for raw in poison:
        stand.box.put(raw)
    expected = fill(stand)
    summary = stand.home.night()
    assert summary.exit_code == 65
    assert sorted(each for each in stand.home.states("in") if each == "delivered") == ["delivered"] * 3
    assert stand.violations(*expected) == []
    kept = {row["bytes"] for row in stand.home.rows("SELECT c.bytes FROM content c")}
    assert set(poison) <= kept
    put_aside = stand.home.rows("SELECT fault_code FROM message WHERE state = 'quarantined'")
    assert len(put_aside) + stand.home.states("in").count("quarantined") >= len(poison) - 1
    assert all(row["fault_code"] not in {"", "unexpected"} for row in put_aside)


def test_a_mail_past_the_limit_stays_and_is_told_of(stand):
    """It is known by its size before it is downloaded: never asked for, never deleted, shown until it is gone."""
    stand = stand(settings="[limits]\nmessage_size = 20000\n")
    huge = stand.box.put(mail(orders(50), body="x" * 70 + ("\r\n" + "x" * 70) * 400))
    expected = fill(stand)
    summary = stand.nights(2)
    assert [fault.code for _, fault in summary.troubles] == ["message.too-large"]
    assert [(each.state, each.reference) for each in summary.attention] == [("not taken", "orders")]
    assert "RETR 1" not in stand.box.heard
    assert stand.violations(*expected, stays=1) == []
    del stand.box.box[huge]  # a person took it
    summary = stand.nights(1)
    assert (summary.troubles, summary.attention) == ((), ())


def test_a_mail_that_is_larger_than_its_host_said(stand):
    """A size that was a lie: the rest is read away, not kept, and the mail stays and is told of."""
    stand = stand(settings="[limits]\nmessage_size = 20000\n")
    stand.box.put(mail(orders(50), body="x" * 70 + ("\r\n" + "x" * 70) * 400))
    expected = fill(stand)

    def lie(talk, verb, _):
        if verb == "LIST":
            talk.say("+OK", *(f"{place} 1000" for place, _ in enumerate(talk.mails, 1)), ".")
        return verb == "LIST"

    for _ in range(3):
        stand.box.hook = lie
        summary = stand.home.night()
        assert [fault.code for _, fault in summary.troubles] == ["mailbox.message-not-given"]
        assert [each.state for each in summary.attention] == ["not taken"]
    assert stand.violations(*expected, stays=1) == []


@pytest.mark.faults
def test_ten_thousand_mails_behind_a_poison_mail(stand):
    """One mail that cannot be read, 10,000 that can: all of these are delivered, in one night, once."""
    stand = stand()
    stand.box.put(b"Subject: " + b"x" * 70_000 + b"\r\n\r\nno\r\n")
    expected = fill(stand, 10_000)
    stand.nights(2)
    assert stand.violations(*expected) == []
