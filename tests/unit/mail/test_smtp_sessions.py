"""SMTP sessions side by side, and what delivery status notifications ask of the host."""

from __future__ import annotations

import pytest

from gateway.errors import Refused, SmtpCrowded, SmtpInterrupted, SmtpUnavailable
from gateway.mail.model import OutgoingMail
from gateway.mail.smtp import SmtpTransport

RAW = b"Subject: x\r\n\r\nhello\r\n"
MAIL = OutgoingMail("us@example.com", ("one@example.com",), RAW, "7-abc")


def transport(port, **changes):
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5.0, "dot_timeout": 5.0}
    return SmtpTransport(**settings | changes)


def greet(talk, *extensions):
    talk.say("220 ready")
    talk.hear("EHLO ")
    lines = ["hello", *extensions]
    talk.say(*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}")


def take(talk, reply="250 2.0.0 Ok: queued as ABC123"):
    for answer in ("250 OK", "250 OK", "354 go on"):
        talk.hear()
        talk.say(answer)
    talk.hear_until_dot()
    talk.say(reply)


def test_a_host_that_knows_notifications_is_asked_for_failures_and_delays(scripted):
    def script(talk):
        greet(talk, "DSN")
        take(talk)

    server = scripted(script)
    with transport(server.port).session() as session:
        assert session.send(MAIL).queue_id == "ABC123"
    assert server.heard[1:3] == [
        "MAIL FROM:<us@example.com> RET=HDRS ENVID=7-abc",
        "RCPT TO:<one@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;one@example.com",
    ]


@pytest.mark.parametrize(
    ("extensions", "mail"), [((), MAIL), (("DSN",), OutgoingMail(*(MAIL.envelope_sender, MAIL.recipients, RAW)))]
)
def test_without_notifications_or_an_envelope_id_nothing_is_asked_for(scripted, extensions, mail):
    def script(talk):
        greet(talk, *extensions)
        take(talk)

    server = scripted(script)
    with transport(server.port).session() as session:
        session.send(mail)
    assert server.heard[1:3] == ["MAIL FROM:<us@example.com>", "RCPT TO:<one@example.com>"]


def test_an_address_with_odd_characters_is_written_as_xtext(scripted):
    def script(talk):
        greet(talk, "DSN")
        take(talk)

    server = scripted(script)
    with transport(server.port).session() as session:
        session.send(OutgoingMail("us@example.com", ("a+b=c@example.com",), RAW, "7"))
    assert server.heard[2].endswith("ORCPT=rfc822;a+2Bb+3Dc@example.com")


def test_an_envelope_id_never_breaks_out_of_its_command(scripted):
    with transport(scripted(greet).port).session() as session, pytest.raises(Refused):
        session.send(OutgoingMail("us@example.com", ("one@example.com",), RAW, "7\r\nRCPT TO:<evil@example.com>"))


def test_what_the_first_session_met_the_others_meet_without_asking(scripted):
    server = scripted(lambda talk: talk.say("554 no service"))
    with transport(server.port).sessions(3) as sessions:
        for session in sessions:
            with pytest.raises(SmtpUnavailable):
                session.send(MAIL)
    assert server.connections == 1


def test_a_later_run_asks_again(scripted):
    def good(talk):
        greet(talk)
        take(talk)

    server = scripted(lambda talk: talk.say("554 no service"), good)
    way = transport(server.port)
    with way.session() as session, pytest.raises(SmtpUnavailable):
        session.send(MAIL)
    with way.session() as session:
        assert session.send(MAIL).reply


def test_a_refused_connection_beside_one_that_serves_is_a_crowd_and_stops_nobody(scripted):
    """Scripted servers serve one connection at a time, so that the first ends before the next comes."""

    def first(talk):
        greet(talk)
        take(talk)

    server = scripted(first, lambda talk: talk.say("421 4.7.0 too many connections"))
    with transport(server.port).sessions(2) as (one, other):
        one.send(MAIL)
        with pytest.raises(SmtpCrowded):
            other.send(MAIL)


def test_a_connection_that_breaks_inside_a_mail_is_no_host_that_is_away(scripted):
    def script(talk):
        greet(talk)
        talk.hear("MAIL")
        talk.reset()

    with transport(scripted(script).port).session() as session, pytest.raises(SmtpInterrupted):
        session.send(MAIL)


def test_any_number_of_mails_goes_through_one_connection_where_no_share_is_set(scripted):
    def script(talk):
        greet(talk)
        for _ in range(5):
            take(talk)

    server = scripted(script)
    with transport(server.port, mails_per_connection=0).session() as session:
        for _ in range(5):
            session.send(MAIL)
    assert server.connections == 1


def test_a_large_mail_on_a_slow_line_is_no_silence(scripted):
    """Each slice has the timeout for itself: the whole takes longer than one timeout, and that is no fault."""

    def script(talk):
        greet(talk)
        for answer in ("250 OK", "250 OK", "354 go on"):
            talk.hear()
            talk.say(answer)
        talk.hear_slowly(0.15)
        talk.say("250 OK")

    large = OutgoingMail("us@example.com", ("one@example.com",), (b"x" * 70 + b"\r\n") * 100_000)
    with transport(scripted(script).port, timeout=1.0).session() as session:
        assert session.send(large).reply == "250 OK"
