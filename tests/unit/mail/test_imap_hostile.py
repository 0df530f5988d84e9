"""IMAP against servers that break the rules: always MailboxUnavailable, bounded in memory and time."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from servers import certificates

from gateway.errors import InsecureConnection, LoginRefused, MailboxUnavailable
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials, Listed

CAPABILITIES = "* CAPABILITY IMAP4rev1 UIDPLUS MOVE IDLE"


def mailbox(port, **changes):
    settings = {
        "name": "box", "host": "127.0.0.1", "port": port, "security": "none", "plaintext_password": True,
        "credentials": Credentials("edi", lambda: "s3cret"), "timeout": 5.0, "commit_timeout": 5.0,
    }  # fmt: skip
    return ImapMailbox(**settings | changes)


def log_in(talk, exists=2):
    talk.say("* OK ready")
    talk.hear("G1 CAPABILITY")
    talk.say(CAPABILITIES, "G1 OK")
    talk.hear("G2 LOGIN")
    talk.say("G2 OK")
    talk.hear("G3 CAPABILITY")
    talk.say(CAPABILITIES, "G3 OK")
    talk.hear('G4 SELECT "INBOX"')
    talk.say(f"* {exists} EXISTS", "* OK [UIDVALIDITY 7] valid", "G4 OK [READ-WRITE] open")


def list_two(talk):
    talk.hear("G5 UID FETCH")
    talk.say("* 1 FETCH (UID 1 RFC822.SIZE 4 FLAGS ())", "* 2 FETCH (UID 2 RFC822.SIZE 4 FLAGS ())", "G5 OK")


def download(port, **changes):
    """Fetches everything; returns what came before the fault that must come."""
    raws = []
    try:
        with mailbox(port, **changes).session() as session:
            for each in session.fetch(session.listing()):
                raws.append(each.raw)  # noqa: PERF401 - what came before the fault counts
    except MailboxUnavailable as fault:
        return raws, str(fault)
    pytest.fail("no fault came")


def saying(*answers):
    """A script that logs in, lists two mails, and answers the download with this."""

    def script(talk):
        log_in(talk)
        list_two(talk)
        talk.hear("G6 UID FETCH 1:2")
        talk.say(*answers)

    return script


FIRST = b"* 1 FETCH (UID 1 BODY[] {4}\r\none\n)\r\n"


SECOND = b"* 2 FETCH (UID 2 BODY[] "
OUT_OF_STEP = {
    "the tag of a command that was never given": (["G7 OK done"], "not asked"),
    "a continuation that nobody waits for": (["+ go on"], "not asked"),
    "no protocol at all": (["what is this?"], "not an answer of IMAP"),
    "an empty line": ([b"\r\n"], "not an answer of IMAP"),
    "goodbye in the middle": (["* BYE going down"], "going down"),
    "a literal said to be smaller": ([SECOND + b"{3}\r\ntwo\n)\r\nG6 OK\r\n"], "left open"),
    "a literal said to be larger": ([SECOND + b"{6}\r\ntwo\n)\r\nG6 OK\r\n"], "left open"),
    "a literal that never ends": ([SECOND + b"{99}\r\ntwo\n)\r\nG6 OK\r\n"], "closed"),
    "a literal past all bounds": ([SECOND + b"{999999999999999999}\r\n"], "literal of"),
    "a parenthesis left open": ([SECOND + b"{4}\r\ntwo\n\r\nG6 OK\r\n"], "left open"),
    "a FETCH without a list": (["* 2 FETCH UID 2", "G6 OK"], "list"),
    "parentheses too deep": (["* 2 FETCH (" + "(" * 100 + ")" * 100 + ")", "G6 OK"], "too deep"),
    "literals without end": (["* 2 FETCH (UID 2 X " + "{1}\r\nx " * 2_000 + ")", "G6 OK"], "too many literals"),
}


@pytest.mark.parametrize(("answers", "reason"), OUT_OF_STEP.values(), ids=OUT_OF_STEP)
def test_a_server_out_of_step_is_unavailable_and_only_complete_messages_came(scripted, answers, reason):
    raws, fault = download(scripted(saying(FIRST, *answers)).port)
    assert raws == [b"one\n"]
    assert reason in fault


def test_a_line_without_end_takes_no_memory(scripted):
    def script(talk):
        log_in(talk)
        list_two(talk)
        talk.hear("G6")
        for _ in range(200):
            talk.say(b"* 2 FETCH (FLAGS (" + b"x" * 100_000)

    tracemalloc.start()
    _, fault = download(scripted(script).port)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than" in fault
    assert peak < 8_000_000


def test_untagged_answers_without_end_are_given_up(scripted, monkeypatch):
    monkeypatch.setattr("gateway.mail.imap_connection._ANSWERS", 500_000)

    def script(talk):
        log_in(talk)
        talk.hear("G5")
        while True:
            talk.say(*["* 2 FETCH (FLAGS (\\Seen))"] * 1_000)

    raws, fault = download(scripted(script).port)
    assert raws == []
    assert "without end" in fault


def test_messages_without_end_that_nobody_asked_for_are_given_up_without_being_kept(scripted, monkeypatch):
    monkeypatch.setattr("gateway.mail.imap_fetch._ANSWERS", 500_000)

    def script(talk):
        log_in(talk)
        list_two(talk)
        talk.hear("G6")
        while True:
            talk.say(b"* 9 FETCH (UID 9 BODY[] {50000}\r\n" + b"x" * 50_000 + b")\r\n")

    tracemalloc.start()
    raws, fault = download(scripted(script).port, max_size=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raws == []
    assert "without end" in fault
    assert peak < 8_000_000


def test_small_messages_that_turn_out_huge_are_not_piled_up(scripted, monkeypatch):
    monkeypatch.setattr("gateway.mail.imap_fetch._BATCH_BYTES", 10_000)

    def script(talk):
        log_in(talk, exists=50)
        talk.hear("G5")
        talk.say(*[f"* {uid} FETCH (UID {uid} RFC822.SIZE 1 FLAGS ())" for uid in range(1, 51)], "G5 OK")
        talk.hear("G6")
        for uid in range(50, 0, -1):
            talk.say(f"* {uid} FETCH (UID {uid} BODY[] {{90000}}\r\n".encode() + b"x" * 90_000 + b")\r\n")

    raws, fault = download(scripted(script).port, max_size=100_000)
    assert raws == []
    assert "larger than listed" in fault


def test_a_server_that_drips_is_given_up(scripted):
    def script(talk):
        log_in(talk)
        talk.hear("G5")
        for _ in range(30):
            talk.say("* OK")
            time.sleep(0.1)

    began = time.monotonic()
    _, fault = download(scripted(script).port, timeout=0.15, commit_timeout=0.5)
    assert "without end" in fault
    assert time.monotonic() - began < 5


def test_a_silent_server_is_given_up(scripted):
    def script(talk):
        log_in(talk)
        time.sleep(1)

    assert "in time" in download(scripted(script).port, timeout=0.2)[1]


@pytest.mark.parametrize(
    "greeting", ["* BYE too many connections", "+OK POP3 ready", "220 smtp", "G1 OK", "* 3 EXISTS"]
)
def test_a_greeting_that_is_none_is_unavailable(scripted, greeting):
    server = scripted(lambda talk: talk.say(greeting))
    with pytest.raises(MailboxUnavailable), mailbox(server.port).session():
        pass
    assert server.heard == []


@pytest.mark.parametrize("uid", ["0x1", "99999999999", "(1)", "NIL", "-1"])
def test_a_uid_that_is_none_is_not_listed(scripted, uid):
    def script(talk):
        log_in(talk)
        talk.hear("G5")
        talk.say(f"* 1 FETCH (UID {uid} RFC822.SIZE 4)", "G5 OK")

    with mailbox(scripted(script).port).session() as session:
        assert session.listing() == []


@pytest.mark.parametrize("last", ["NO", "BAD"])
def test_a_listing_that_is_refused_is_unavailable(scripted, last):
    def script(talk):
        log_in(talk)
        talk.hear("G5")
        talk.say(f"G5 {last} not today")

    assert "not today" in download(scripted(script).port)[1]


def test_after_an_abandoned_download_the_next_answers_are_in_step(scripted):
    def script(talk):
        saying(FIRST)(talk)
        talk.say(b"* 2 FETCH (UID 2 BODY[] {4}\r\ntwo\n)\r\nG6 OK\r\n")
        talk.hear("G7 UID FETCH 2 ")
        talk.say(b'* 2 FETCH (UID 2 BODY[] "again")\r\nG7 OK\r\n')

    with mailbox(scripted(script).port).session() as session:
        first, second = session.listing()
        assert next(iter(session.fetch([first, second]))).raw == b"one\n"
        assert [each.raw for each in session.fetch([second])] == [b"again"]


def test_an_ended_session_says_so(scripted):
    def script(talk):
        log_in(talk)
        talk.hear("G5 LOGOUT")
        talk.say("* BYE", "G5 OK")

    with mailbox(scripted(script).port).session() as session:
        session.commit()
        for use in (session.listing, session.commit, lambda: list(session.fetch([Listed(1, "7.1", 1)]))):
            with pytest.raises(MailboxUnavailable, match="ended"):
                use()


# ---------------------------------------------------------------- TLS


def test_a_server_without_starttls_gets_no_password(scripted):
    def script(talk):
        talk.say("* OK [CAPABILITY IMAP4rev1] ready")
        talk.hear("G1 STARTTLS")
        talk.say("G1 BAD what?")

    server = scripted(script)
    with pytest.raises(InsecureConnection, match="stripped"), mailbox(server.port, security="starttls").session():
        pass
    assert server.heard == ["G1 STARTTLS"]


def test_a_server_that_calls_us_logged_in_before_tls_is_refused(scripted):
    server = scripted(lambda talk: talk.say("* PREAUTH welcome"))
    with pytest.raises(InsecureConnection, match="before TLS"), mailbox(server.port, security="starttls").session():
        pass
    assert server.heard == []


def test_answers_injected_before_tls_end_the_session(scripted):
    def script(talk):
        talk.say("* OK ready")
        talk.hear("G1 STARTTLS")
        talk.say("G1 OK begin", "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "G2 OK")

    server = scripted(script)
    with pytest.raises(InsecureConnection, match="more than"), mailbox(server.port, security="starttls").session():
        pass
    assert server.heard == ["G1 STARTTLS"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_ours_to_trust_gets_no_password(scripted, tmp_path, security):
    tls = certificates.make(tmp_path / "tls")

    def script(talk):
        if security == "starttls":
            talk.say("* OK ready")
            talk.hear("G1 STARTTLS")
            talk.say("G1 OK begin")
        with tls.context().wrap_socket(talk._connection, server_side=True):
            pass

    server = scripted(script)
    with pytest.raises(InsecureConnection), mailbox(server.port, security=security).session():
        pass
    assert server.heard in ([], ["G1 STARTTLS"])


def test_what_was_offered_before_tls_is_asked_again(scripted, tmp_path):
    tls = certificates.make(tmp_path / "tls")

    def script(talk):
        talk.say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] ready")
        talk.hear("G1 STARTTLS")
        talk.say("G1 OK begin")
        with tls.context().wrap_socket(talk._connection, server_side=True) as talk._connection:
            talk.hear("G2 CAPABILITY")
            talk.say("* CAPABILITY IMAP4rev1", "G2 OK")
            talk.hear('G3 LOGIN "edi" "s3cret"')
            talk.say("G3 NO done here")

    box = mailbox(scripted(script).port, security="starttls", ca_file=str(tls.ca_file), plaintext_password=False)
    with pytest.raises(LoginRefused, match="done here"), box.session():
        pass
