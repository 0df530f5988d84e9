"""SMTP against hosts that misbehave: what was taken, what was not, and what nobody can know."""

from __future__ import annotations

import base64

import pytest

from gateway.errors import (
    InsecureConnection,
    LoginRefused,
    OutcomeUnknown,
    Refused,
    SmtpUnavailable,
    TemporarilyRefused,
)
from gateway.mail.model import Credentials, OutgoingMail
from gateway.mail.smtp import SmtpTransport, stuffed

RAW = b"Subject: x\r\n\r\nhello\r\n"
MAIL = OutgoingMail("us@example.com", ("one@example.com",), RAW)
TWO = OutgoingMail("us@example.com", ("one@example.com", "two@example.com"), RAW)


def transport(port, **changes):
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5.0, "dot_timeout": 5.0}
    return SmtpTransport(**settings | changes)


def greet(talk, *extensions):
    talk.say("220 ready")
    talk.hear("EHLO ")
    lines = ["hello", *extensions]
    talk.say(*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}")


def take(talk, reply="250 2.0.0 queued as 1"):
    """Takes one mail, one command at a time."""
    talk.hear("MAIL FROM:<us@example.com>")
    talk.say("250 OK")
    talk.hear("RCPT TO:<one@example.com>")
    talk.say("250 OK")
    talk.hear("DATA")
    talk.say("354 go on")
    content = talk.hear_until_dot()
    if reply:
        talk.say(reply)
    return content


def send(port, mail=MAIL, **changes):
    with transport(port, **changes).session() as session:
        return session.send(mail)


def test_the_reply_to_the_final_dot_is_the_proof(scripted):
    def script(talk):
        greet(talk)
        assert take(talk) == RAW
        talk.hear("QUIT")
        talk.say("221 bye")

    handover = send(scripted(script).port)
    assert (handover.reply, handover.refused) == ("250 2.0.0 queued as 1", ())


@pytest.mark.parametrize("ending", ["close", "reset", "silence", "garbage", "354 again", "250-yes\r\n550 no"])
def test_without_an_answer_to_the_final_dot_the_outcome_is_unknown(scripted, ending):
    def script(talk):
        greet(talk)
        take(talk, reply="")
        if ending == "reset":
            talk.reset()
        elif ending == "silence":
            talk.hear()
        elif ending != "close":
            talk.say(ending)

    with pytest.raises(OutcomeUnknown):
        send(scripted(script).port, dot_timeout=0.3)


def test_a_late_answer_is_never_read_as_the_answer_to_the_next_mail(scripted):
    def first(talk):
        greet(talk)
        take(talk, reply="")
        assert talk.silence(0.5) == b""
        talk.say("250 too late")

    def second(talk):
        greet(talk)
        take(talk, "250 2.0.0 queued as 2")

    server = scripted(first, second)
    with transport(server.port, dot_timeout=0.2).session() as session:
        with pytest.raises(OutcomeUnknown):
            session.send(MAIL)
        assert session.send(MAIL).reply.endswith("queued as 2")


@pytest.mark.parametrize(("code", "fault"), [("451", TemporarilyRefused), ("554", Refused)])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("pipelining", [False, True])
def test_a_refusal_at_any_verb_takes_nothing_and_leaves_the_session_usable(scripted, verb, code, fault, pipelining):
    def script(talk):
        greet(talk, *(["PIPELINING"] if pipelining else []))
        refused = False
        for each in ("MAIL", "RCPT", "DATA"):
            if refused and not pipelining:
                break
            talk.hear(each)
            if each == verb:
                talk.say(f"{code} no")
            elif refused:
                talk.say("503 5.5.1 bad sequence")
            else:
                talk.say("354 go on" if each == "DATA" else "250 OK")
            refused = refused or each == verb
        if verb == "dot":
            talk.hear_until_dot()
            talk.say(f"{code} no")
        else:
            talk.hear("RSET")
            talk.say("250 OK")
        for each in ("MAIL", "RCPT", "DATA"):
            talk.hear(each)
            talk.say("354 go on" if each == "DATA" else "250 OK")
        talk.hear_until_dot()
        talk.say("250 taken")

    server = scripted(script)
    with transport(server.port).session() as session:
        with pytest.raises(fault) as caught:
            session.send(MAIL)
        assert f"{code} no" in str(caught.value)
        assert session.send(MAIL).reply == "250 taken"
    assert server.connections == 1


def test_a_connection_lost_before_the_final_dot_has_sent_nothing(scripted):
    def script(talk):
        greet(talk)
        for verb in ("MAIL", "RCPT"):
            talk.hear(verb)
            talk.say("250 OK")
        talk.hear("DATA")
        talk.reset()

    with pytest.raises(SmtpUnavailable):
        send(scripted(script).port)


def test_a_connection_lost_inside_a_large_mail_has_sent_nothing(scripted):
    def script(talk):
        greet(talk)
        for verb in ("MAIL", "RCPT"):
            talk.hear(verb)
            talk.say("250 OK")
        talk.hear("DATA")
        talk.say("354 go on")
        talk.hear()
        talk.reset()

    large = OutgoingMail("us@example.com", ("one@example.com",), b"x" * 70 + b"\r\n" + b"y" * 20_000_000)
    with pytest.raises(SmtpUnavailable):
        send(scripted(script).port, large)


def test_the_envelope_is_pipelined_but_nothing_goes_past_data(scripted):
    def script(talk):
        greet(talk, "PIPELINING", "SIZE 1000000", "8BITMIME")
        talk.hear(f"MAIL FROM:<us@example.com> SIZE={len(RAW)} BODY=7BIT")
        talk.hear("RCPT TO:<one@example.com>")
        talk.hear("RCPT TO:<two@example.com>")
        talk.hear("DATA")
        assert talk.silence(0.1) == b""
        talk.say("250 OK", "250 OK", "250 OK", "354 go on")
        assert talk.hear_until_dot() == RAW
        talk.say("250 taken")

    assert send(scripted(script).port, TWO).reply == "250 taken"


def test_when_data_is_granted_without_a_recipient_a_lone_dot_ends_it(scripted):
    def script(talk):
        greet(talk, "PIPELINING")
        for _ in range(3):
            talk.hear()
        talk.say("250 OK", "550 5.1.1 unknown", "354 go on")
        talk.hear(".")
        talk.say("554 no valid recipients")
        talk.hear("RSET")
        talk.say("250 OK")

    with pytest.raises(Refused, match=r"5\.1\.1"):
        send(scripted(script).port)


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        (("550 no", "550 no"), Refused),
        (("450 later", "550 no"), TemporarilyRefused),
        (("450 later", "450 later"), TemporarilyRefused),
    ],
)
def test_only_when_all_recipients_are_refused_for_good_is_the_mail(scripted, replies, fault):
    def script(talk):
        greet(talk)
        talk.hear("MAIL")
        talk.say("250 OK")
        for reply in replies:
            talk.hear("RCPT")
            talk.say(reply)
        talk.hear("RSET")
        talk.say("250 OK")

    with pytest.raises(fault):
        send(scripted(script).port, TWO)


def test_a_partly_refused_mail_names_who_did_not_get_it(scripted):
    def script(talk):
        greet(talk)
        talk.hear("MAIL")
        talk.say("250 OK")
        talk.hear("RCPT")
        talk.say("450 4.2.2 mailbox full")
        talk.hear("RCPT")
        talk.say("250 OK")
        talk.hear("DATA")
        talk.say("354 go on")
        talk.hear_until_dot()
        talk.say("250 taken")

    assert send(scripted(script).port, TWO).refused == (("one@example.com", "450 4.2.2 mailbox full"),)


@pytest.mark.parametrize("ending", ["close", "421"])
def test_a_host_that_closed_between_mails_is_called_again(scripted, ending):
    def first(talk):
        greet(talk)
        take(talk)
        if ending == "421":
            talk.hear("MAIL")
            talk.say("421 idle for too long")

    def second(talk):
        greet(talk)
        take(talk, "250 2.0.0 queued as 2")

    server = scripted(first, second)
    with transport(server.port).session() as session:
        session.send(MAIL)
        assert session.send(MAIL).reply.endswith("queued as 2")
    assert server.connections == 2


def test_a_421_to_a_fresh_connection_is_temporary_and_not_tried_again_at_once(scripted):
    def script(talk):
        greet(talk)
        talk.hear("MAIL")
        talk.say("421 overloaded")

    server = scripted(script, script)
    with pytest.raises(TemporarilyRefused):
        send(server.port)
    assert server.connections == 1


def test_a_stray_reply_between_mails_is_never_read_as_the_answer_to_the_next(scripted):
    def first(talk):
        greet(talk)
        take(talk, "250 2.0.0 queued as 1\r\n250 stray")
        talk.hear()

    def second(talk):
        greet(talk)
        take(talk, "250 2.0.0 queued as 2")

    server = scripted(first, second)
    with transport(server.port).session() as session:
        assert session.send(MAIL).reply.endswith("queued as 1")
        assert session.send(MAIL).reply.endswith("queued as 2")
    assert server.connections == 2
    assert server.heard.count("MAIL FROM:<us@example.com>") == 2


def test_a_421_to_the_final_dot_takes_nothing_and_ends_the_connection(scripted):
    def first(talk):
        greet(talk)
        take(talk, "421 shutting down")
        talk.hear()

    def second(talk):
        greet(talk)
        take(talk)

    server = scripted(first, second)
    with transport(server.port).session() as session:
        with pytest.raises(TemporarilyRefused):
            session.send(MAIL)
        session.send(MAIL)
    assert server.connections == 2
    assert server.heard.count("MAIL FROM:<us@example.com>") == 2


def test_a_connection_is_renewed_after_its_share_of_mails(scripted):
    def script(talk):
        greet(talk)
        take(talk)
        take(talk)
        talk.hear("QUIT")
        talk.say("221 bye")

    server = scripted(script, script)
    with transport(server.port, mails_per_connection=2).session() as session:
        for _ in range(4):
            session.send(MAIL)
    assert server.connections == 2


@pytest.mark.parametrize("greeting", ["421 too busy", "554 no service", "nonsense", "220"])
def test_a_host_that_does_not_greet_takes_nothing(scripted, greeting):
    with pytest.raises(SmtpUnavailable):
        send(scripted(lambda talk: talk.say(greeting)).port)


def test_helo_is_said_to_a_host_that_knows_no_ehlo(scripted):
    def script(talk):
        talk.say("220 ready")
        talk.hear("EHLO")
        talk.say("500 what")
        talk.hear("HELO gateway.example.com")
        talk.say("250 hello")
        take(talk)

    assert send(scripted(script).port, helo="gateway.example.com").reply


def test_a_host_without_starttls_gets_neither_password_nor_mail(scripted):
    def script(talk):
        greet(talk, "AUTH PLAIN")
        talk.hear()

    server = scripted(script)
    with pytest.raises(InsecureConnection):
        send(server.port, security="starttls", credentials=Credentials("us", lambda: "s3cret"))
    assert [line.partition(" ")[0] for line in server.heard] == ["EHLO"]


def test_a_password_is_never_sent_in_clear_unless_the_setting_allows_it(scripted):
    server = scripted(lambda talk: greet(talk, "AUTH PLAIN"))
    with pytest.raises(InsecureConnection):
        send(server.port, credentials=Credentials("us", lambda: "s3cret"))
    assert server.connections == 0


@pytest.mark.parametrize("mechanism", ["PLAIN LOGIN", "LOGIN"])
def test_login_by_plain_or_login(scripted, mechanism):
    def script(talk):
        greet(talk, f"AUTH {mechanism}")
        if "PLAIN" in mechanism:
            talk.hear("AUTH PLAIN " + base64.b64encode(b"\0us\0s3cret").decode())
        else:
            talk.hear("AUTH LOGIN")
            talk.say("334 VXNlcm5hbWU6")
            talk.hear(base64.b64encode(b"us").decode())
            talk.say("334 UGFzc3dvcmQ6")
            talk.hear(base64.b64encode(b"s3cret").decode())
        talk.say("235 welcome")
        take(talk)

    assert send(scripted(script).port, credentials=Credentials("us", lambda: "s3cret"), plaintext_password=True).reply


@pytest.mark.parametrize(
    ("reply", "fault"), [("535 5.7.8 no: s3cret", LoginRefused), ("454 4.7.0 later", SmtpUnavailable)]
)
def test_a_refused_login_says_why_without_the_password(scripted, reply, fault):
    def script(talk):
        greet(talk, "AUTH PLAIN")
        talk.hear("AUTH")
        talk.say(reply)

    with pytest.raises(fault) as caught:
        send(scripted(script).port, credentials=Credentials("us", lambda: "s3cret"), plaintext_password=True)
    assert "s3cret" not in str(caught.value)


def test_a_host_that_offers_no_login_is_told(scripted):
    with pytest.raises(LoginRefused):
        send(scripted(greet).port, credentials=Credentials("us", lambda: "s3cret"), plaintext_password=True)


@pytest.mark.parametrize(
    ("extensions", "mail", "code"),
    [
        (["SIZE 10"], MAIL, "552"),
        ([], OutgoingMail("us@example.com", ("one@example.com",), "é".encode()), "8BITMIME"),
        ([], OutgoingMail("us@example.com", ("é@example.com",), RAW), "SMTPUTF8"),
    ],
)
def test_what_the_host_says_it_cannot_take_is_not_sent(scripted, extensions, mail, code):
    def script(talk):
        greet(talk, *extensions)
        talk.hear("QUIT")

    server = scripted(script)
    with pytest.raises(Refused, match=code):
        send(server.port, mail)
    assert len(server.heard) <= 2


@pytest.mark.parametrize(
    "address", ["a@example.com>\r\nRCPT TO:<b@example.com", "a b@example.com", "<a@example.com>", "a\0@b"]
)
def test_an_address_never_breaks_out_of_its_command(scripted, address):
    server = scripted(greet)
    with pytest.raises(Refused):
        send(server.port, OutgoingMail("us@example.com", (address,), RAW))
    with pytest.raises(Refused):
        send(server.port, OutgoingMail(address, ("one@example.com",), RAW))
    assert server.heard == []


def test_a_mail_for_nobody_is_refused(scripted):
    with pytest.raises(Refused):
        send(scripted().port, OutgoingMail("us@example.com", (), RAW))


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b".a", b"..a\r\n"),
        (b"a\n.\nMAIL FROM:<evil@example.com>\n", b"a\r\n..\r\nMAIL FROM:<evil@example.com>\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_nothing_in_a_mail_can_end_it_early(raw, wire):
    """SMTP smuggling: no bare CR or LF reaches the wire, and every leading dot is doubled."""
    assert stuffed(raw) == wire
