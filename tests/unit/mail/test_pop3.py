"""POP3 against servers that misbehave."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta

import pytest
from servers import certificates

from gateway.errors import AuthoritiesUnusable, InsecureConnection, LoginRefused, MailboxBusy, MailboxUnavailable
from gateway.mail.host import MailHost
from gateway.mail.host.faults import Fault
from gateway.mail.model import Credentials
from gateway.mail.pop3 import Pop3Mailbox

PIPELINING = ("+OK", "USER", "UIDL", "PIPELINING", ".")


def mailbox(port, **changes):
    settings = {
        "name": "box", "host": "127.0.0.1", "port": port, "security": "none", "plaintext_password": True,
        "credentials": Credentials("edi", lambda: "s3cret"), "timeout": 5.0, "commit_timeout": 5.0,
    }  # fmt: skip
    return Pop3Mailbox(**settings | changes)


def log_in(talk, capabilities=PIPELINING):
    talk.say("+OK ready")
    talk.hear("CAPA")
    talk.say(*capabilities)
    talk.hear("USER edi")
    talk.say("+OK")
    talk.hear("PASS s3cret")
    talk.say("+OK")


def list_mails(talk, sizes, uids=None):
    talk.hear("LIST")
    talk.say("+OK", *(f"{number} {size}" for number, size in enumerate(sizes, 1)), ".")
    talk.hear("UIDL")
    if uids is None:
        uids = [f"u{number}" for number in range(1, len(sizes) + 1)]
    talk.say("+OK", *(f"{number} {uid}" for number, uid in enumerate(uids, 1)), ".")


def collect(box):
    """Fetches everything; returns (raws, left out, the fault that ended it)."""
    raws, session = [], None
    try:
        with box.session() as session:
            listed = session.listing()
            for each in session.fetch(listed):
                raws.append(each.raw)  # noqa: PERF401 - what came before a fault must be kept
            session.delete(listed)
            session.commit()
    except MailboxUnavailable as fault:
        return raws, session, fault
    return raws, session, None


def test_a_connection_cut_in_the_middle_of_a_message_yields_only_complete_ones(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5])
        talk.hear("RETR 1")
        talk.say("+OK", "one", ".")
        talk.say("+OK", "tw")
        talk.reset()

    raws, _, fault = collect(mailbox(scripted(script).port))
    assert raws == [b"one\r\n"]
    assert fault.code == "mailbox.unavailable"


def test_a_message_that_ends_without_its_dot_is_never_yielded(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5])
        talk.hear("RETR 1")
        talk.say("+OK", "one", b".")

    raws, _, fault = collect(mailbox(scripted(script).port))
    assert raws == []
    assert fault is not None


def test_a_refused_retr_leaves_that_message_out_and_the_others_in_step(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5, 5])
        for _ in range(3):
            talk.hear("RETR")
        talk.say("+OK", "one", ".", "-ERR message 2 is locked", "+OK", "three", ".")
        for _ in range(3):
            talk.hear("DELE")
        talk.say("+OK", "+OK", "+OK")
        talk.hear("QUIT")
        talk.say("+OK")

    raws, session, fault = collect(mailbox(scripted(script).port))
    assert raws == [b"one\r\n", b"three\r\n"]
    assert fault is None
    assert [(listed.uid, why) for listed, why in session.left_out] == [("u2", "-ERR message 2 is locked")]


def test_retr_goes_one_by_one_where_pipelining_is_not_offered(scripted):
    def script(talk):
        log_in(talk, ("-ERR what is CAPA",))
        talk.hear("CAPA")  # asked again after login
        talk.say("-ERR")
        list_mails(talk, [5, 5])
        for word in ("one", "two"):
            talk.hear("RETR")
            assert talk.silence(0.05) == b""
            talk.say("+OK", word, ".")
        for _ in range(2):
            talk.hear("DELE")
            talk.say("+OK")
        talk.hear("QUIT")
        talk.say("+OK")

    raws, _, fault = collect(mailbox(scripted(script).port))
    assert (raws, fault) == ([b"one\r\n", b"two\r\n"], None)


@pytest.mark.parametrize("ending", [(), ("-ERR some deleted messages not removed",), ("nonsense",)])
def test_a_quit_that_is_not_confirmed_is_a_fault(scripted, ending):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5])
        talk.hear("RETR")
        talk.say("+OK", "one", ".")
        talk.hear("DELE")
        talk.say("+OK")
        talk.hear("QUIT")
        talk.say(*ending)

    raws, _, fault = collect(mailbox(scripted(script).port))
    assert raws == [b"one\r\n"]
    assert fault.code == "mailbox.unavailable"


def test_nothing_but_the_wire_bytes_between_dots_counts(scripted):
    """Byte by byte, with stuffed dots, a bare LF, a bare CR and a line of 5,000 characters."""
    raw = b".\r\n..\r\nlf\n.\nlf\rcr\r\n" + b"x" * 5_000 + b"\r\n.end\r\n"
    stuffed = b"+OK\r\n" + (b"." + raw).replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def script(talk):
        log_in(talk)
        list_mails(talk, [len(raw)])
        talk.hear("RETR")
        for place in range(len(stuffed)):
            talk.say(stuffed[place : place + 1])
        talk.hear("DELE")
        talk.say("+OK")
        talk.hear("QUIT")
        talk.say("+OK")

    assert collect(mailbox(scripted(script).port))[0] == [raw]


def test_an_empty_message_is_a_message(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [0])
        talk.hear("RETR")
        talk.say("+OK", ".")
        talk.hear("DELE")
        talk.say("+OK")
        talk.hear("QUIT")
        talk.say("+OK")

    assert collect(mailbox(scripted(script).port))[0] == [b""]


def test_after_an_abandoned_fetch_the_next_answers_are_still_in_step(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5, 5])
        for _ in range(3):
            talk.hear("RETR")
        talk.say("+OK", "one", ".", "-ERR gone", "+OK", "three", ".")
        list_mails(talk, [5, 5, 5])

    with mailbox(scripted(script).port).session() as session:
        listed = session.listing()
        assert next(iter(session.fetch(listed))).raw == b"one\r\n"
        assert list(session.listing()) == list(listed)


def test_a_message_past_the_limit_is_listed_but_never_asked_for(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [1_000_000, 5])
        talk.hear("RETR 2")
        talk.say("+OK", "two", ".")

    with mailbox(scripted(script).port, max_size=1_000).session() as session:
        listed = session.listing()
        assert [each.size for each in listed] == [1_000_000, 5]
        assert [each.raw for each in session.fetch(listed)] == [b"two\r\n"]
        assert [each.number for each, _ in session.left_out] == [1]


def test_a_message_larger_than_listed_is_thrown_away_and_the_next_is_in_step(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5])
        talk.hear("RETR")
        talk.say("+OK", *["x" * 998] * 3_000, ".", "+OK", "two", ".")

    with mailbox(scripted(script).port, max_size=100_000).session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [b"two\r\n"]
        assert [each.number for each, _ in session.left_out] == [1]


def test_a_message_just_past_the_limit_is_left_out_too(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5, 5])
        talk.hear("RETR")
        talk.say("+OK", "x" * 1_000, ".", "+OK", "x" * 998, ".")

    with mailbox(scripted(script).port, max_size=1_000).session() as session:
        assert [each.listed.number for each in session.fetch(session.listing())] == [2]


def test_a_message_without_end_takes_no_memory(scripted):
    def script(talk):
        log_in(talk)
        list_mails(talk, [5])
        talk.hear("RETR")
        talk.say("+OK")
        for _ in range(120):
            talk.say(b"x" * 99_998 + b"\r\n")
        talk.say(".")

    with mailbox(scripted(script).port, max_size=100_000).session() as session:
        listed = session.listing()
        tracemalloc.start()
        try:
            assert list(session.fetch(listed)) == []
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000, "12 MB came"


def test_a_slow_quit_has_a_timeout_of_its_own():
    def hook(verb, _argument):
        return Fault(delay=0.4) if verb == "QUIT" else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        host.deliver("edi", b"Subject: x\r\n\r\n")
        assert collect(mailbox(host.pop3_port, timeout=0.2))[2] is None
        host.deliver("edi", b"Subject: x\r\n\r\n")
        assert collect(mailbox(host.pop3_port, timeout=0.2, commit_timeout=0.1))[2] is not None


def test_what_was_offered_before_tls_is_asked_again(tmp_path):
    tls = certificates.make(tmp_path)
    seen = []

    def hook(verb, _argument):
        seen.append(verb)

    with MailHost({"edi": "s3cret"}, tls=tls.context(), pop3_hook=hook) as host:
        box = mailbox(host.pop3_port, security="starttls", ca_file=str(tls.ca_file), plaintext_password=False)
        with box.session() as session:
            session.commit()
    assert seen == ["CAPA", "STLS", "CAPA", "USER", "PASS", "QUIT"]


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("-ERR [IN-USE] locked by another session", MailboxBusy),
        ("-ERR maildrop already locked", MailboxBusy),
        ("-ERR [SYS/TEMP] try later", MailboxUnavailable),
        ("-ERR [AUTH] no", LoginRefused),
        ("-ERR account locked for abuse", LoginRefused),
    ],
)
def test_a_refused_login_says_why(scripted, reply, fault):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say(*PIPELINING)
        talk.hear("USER")
        talk.say("+OK")
        talk.hear("PASS")
        talk.say(reply)

    with pytest.raises(fault), mailbox(scripted(script).port).session():
        pass


@pytest.mark.parametrize(
    ("greeting", "fault"), [("-ERR [IN-USE] mailbox is locked", MailboxBusy), ("-ERR go away", MailboxUnavailable)]
)
def test_a_greeting_that_refuses_is_told(scripted, greeting, fault):
    with pytest.raises(fault), mailbox(scripted(lambda talk: talk.say(greeting)).port).session():
        pass


def test_a_password_that_the_server_echoes_is_masked(scripted):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say(*PIPELINING)
        talk.hear("USER")
        talk.say("+OK")
        talk.say(f"-ERR unknown: {talk.hear('PASS')}")

    with pytest.raises(LoginRefused) as caught, mailbox(scripted(script).port).session():
        pass
    assert "s3cret" not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_password_is_never_sent_in_clear_unless_the_setting_allows_it(scripted):
    server = scripted(lambda talk: talk.say("+OK ready"))
    with pytest.raises(InsecureConnection), mailbox(server.port, plaintext_password=False).session():
        pass
    assert server.connections == 0


def test_a_server_without_stls_gets_no_password(scripted):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say(*PIPELINING)
        talk.hear("STLS")
        talk.say("-ERR unknown command")
        talk.hear()

    server = scripted(script)
    with pytest.raises(InsecureConnection), mailbox(server.port, security="starttls").session():
        pass
    assert server.heard == ["CAPA", "STLS"]


def test_answers_injected_before_tls_end_the_session(scripted):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say("+OK", "STLS", ".")
        talk.hear("STLS")
        talk.say("+OK begin TLS", "+OK injected")
        talk.hear()

    with pytest.raises(InsecureConnection), mailbox(scripted(script).port, security="starttls").session():
        pass


@pytest.mark.parametrize(
    "made",
    [{"valid": timedelta(days=-1)}, {"addresses": (), "names": ("other.example",)}],
    ids=["expired", "other name"],
)
def test_a_wrong_certificate_gets_no_password(tmp_path, made):
    tls = certificates.make(tmp_path, **made)
    seen = []

    def hook(verb, _argument):
        seen.append(verb)

    with MailHost({"edi": "s3cret"}, tls=tls.context(), pop3_hook=hook) as host:
        box = mailbox(host.pop3_port, security="starttls", ca_file=str(tls.ca_file))
        with pytest.raises(InsecureConnection), box.session():
            pass
    assert seen == ["CAPA", "STLS"]


def test_a_missing_ca_file_is_told(tmp_path):
    tls = certificates.make(tmp_path)
    with MailHost({"edi": "s3cret"}, tls=tls.context()) as host:
        box = mailbox(host.pop3_port, security="starttls", ca_file=str(tmp_path / "none.pem"))
        with pytest.raises(AuthoritiesUnusable, match=r"none\.pem"), box.session():
            pass


def test_a_line_end_never_gets_into_a_command(scripted):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say(*PIPELINING)
        talk.hear()

    server = scripted(script)
    with pytest.raises(LoginRefused), mailbox(server.port, credentials=Credentials("edi\r\nDELE 1", str)).session():
        pass
    assert server.heard == ["CAPA"]


def test_auth_plain_is_used_where_user_is_not_offered(scripted):
    def script(talk):
        talk.say("+OK ready")
        talk.hear("CAPA")
        talk.say("+OK", "SASL PLAIN", "PIPELINING", ".")
        talk.hear("AUTH PLAIN")
        talk.say("+ ")
        talk.hear("AGVkaQBzM2NyZXQ=")
        talk.say("+OK")
        list_mails(talk, [])

    with mailbox(scripted(script).port).session() as session:
        assert list(session.listing()) == []


def test_a_server_without_uidl_gets_the_same_uids_each_time(scripted):
    def script(talk):
        log_in(talk)
        talk.hear("LIST")
        talk.say("+OK", "1 100", "2 100", ".")
        talk.hear("UIDL")
        talk.say("-ERR unknown")
        talk.hear("TOP 1 0")
        talk.say("+OK", "Message-ID: <1@example.com>", "", ".")
        talk.hear("TOP 2 0")
        talk.say("-ERR unknown")
        talk.hear("RETR 2")
        talk.say("+OK", "Message-ID: <2@example.com>", "", "body", ".")

    server = scripted(script, script)
    seen = []
    for _ in range(2):
        with mailbox(server.port).session() as session:
            seen.append([each.uid for each in session.listing()])
    assert seen[0] == seen[1]
    assert seen[0][0].startswith("sha256:")
    assert seen[0][0] != seen[0][1]


@pytest.mark.parametrize("answer", ["1 one two\r\nx y\r\n", "\xff\xfe\r\n", "-1 5\r\n"])
def test_a_listing_that_is_none_is_unavailable(scripted, answer):
    def script(talk):
        log_in(talk)
        talk.hear("LIST")
        talk.say("+OK", answer.encode("latin-1"), ".")
        talk.hear()

    with mailbox(scripted(script).port).session() as session, pytest.raises(MailboxUnavailable):
        session.listing()


def test_a_reply_line_without_end_is_unavailable(scripted):
    def script(talk):
        talk.say(b"+OK " * 10_000)
        talk.hear()

    box = mailbox(scripted(script).port)
    with pytest.raises(MailboxUnavailable, match="more than"), box.session():
        pass


def test_a_silent_server_is_given_up(scripted):
    with pytest.raises(MailboxUnavailable), mailbox(scripted(lambda talk: talk.hear()).port, timeout=0.2).session():
        pass


def test_nobody_listening_is_unavailable(scripted):
    server = scripted()
    server.finish()
    with pytest.raises(MailboxUnavailable), mailbox(server.port).session():
        pass


def test_an_ended_session_says_so():
    with MailHost({"edi": "s3cret"}) as host, mailbox(host.pop3_port).session() as session:
        session.commit()
        with pytest.raises(MailboxUnavailable):
            session.listing()


@pytest.mark.parametrize("place", range(0, 2_000, 250))
def test_a_cut_anywhere_in_a_message_loses_and_invents_nothing(place):
    """Whatever arrives before a cut is complete; a second run gets everything."""
    raws = [b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * 500) for number in range(3)]
    faults = {"RETR": Fault(cut_after=place)}

    def hook(verb, argument):
        return faults.pop("RETR", None) if (verb, argument) == ("RETR", "2") else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        for raw in raws:
            host.deliver("edi", raw)
        first, _, fault = collect(mailbox(host.pop3_port))
        assert fault is not None
        assert first == raws[: len(first)]
        assert collect(mailbox(host.pop3_port))[0] == raws
        assert host.waiting("edi") == ()


def test_a_lost_answer_to_quit_has_deleted_all_the_same():
    def hook(verb, _argument):
        return Fault(cut_after=0) if verb == "QUIT" else None

    with MailHost({"edi": "s3cret"}, pop3_hook=hook) as host:
        host.deliver("edi", b"Subject: x\r\n\r\n")
        raws, _, fault = collect(mailbox(host.pop3_port))
        assert len(raws) == 1
        assert fault is not None
        assert host.waiting("edi") == ()
