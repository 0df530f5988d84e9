"""How POP3 and SMTP carry SASL: what goes over the wire, what the answers mean, and what hosts get wrong."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from gateway.errors import (
    InsecureConnection,
    LoginRefused,
    MailboxBusy,
    MailboxUnavailable,
    SmtpUnavailable,
    TokenNotTaken,
)
from gateway.mail.model import Credentials, OutgoingMail
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

PASSWORD = Credentials("edi", lambda: "s3cret-and-long-enough")
TOKEN = Credentials("edi@example.com", token=lambda: "t0ken-" + "x" * 1_200)
FAILURE = json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"})


def coded(text):
    return base64.b64encode(text.encode()).decode()


PLAIN = coded("\0edi\0s3cret-and-long-enough")
XOAUTH2 = coded("user=edi@example.com\x01auth=Bearer t0ken-" + "x" * 1_200 + "\x01\x01")


# ---------------------------------------------------------------- POP3


def open_box(server, credentials, **changes):
    settings = {
        "name": "box", "host": "127.0.0.1", "port": server.port, "security": "none", "credentials": credentials,
        "plaintext_password": True, "timeout": 5.0,
    }  # fmt: skip
    with Pop3Mailbox(**settings | changes).session():
        pass


def pop3(*conversation, sasl="PLAIN XOAUTH2", greeting="+OK ready", user=False):
    """A server that offers ``sasl`` and then goes through pairs of what it hears and says."""

    def script(talk):
        talk.say(greeting)
        talk.hear("CAPA")
        talk.say("+OK", "PIPELINING", f"SASL {sasl}", *(["USER"] if user else []), ".")
        for heard, said in conversation:
            talk.hear(heard)
            talk.say(said)

    return script


def test_pop3_sends_a_token_on_a_line_of_its_own(scripted):
    """The form that Microsoft takes; and RFC 5034 bounds the AUTH line to 255 bytes."""
    server = scripted(pop3(("AUTH XOAUTH2", "+ "), (XOAUTH2, "+OK")))
    open_box(server, TOKEN)
    assert "AUTH XOAUTH2" in server.heard


def test_pop3_reads_the_error_object_of_a_refused_token(scripted):
    server = scripted(pop3(("AUTH", "+ "), (XOAUTH2, f"+ {coded(FAILURE)}"), ("", "-ERR [AUTH] no")))
    with pytest.raises(TokenNotTaken, match="status 401, scope mail"):
        open_box(server, TOKEN)


def test_pop3_gives_the_renewed_token_on_the_same_connection(scripted):
    credentials = Credentials(TOKEN.user, token=TOKEN.token, renew=lambda _: "renewed")
    new = coded("user=edi@example.com\x01auth=Bearer renewed\x01\x01")
    server = scripted(pop3(("AUTH", "+ "), (XOAUTH2, "-ERR [AUTH] old"), ("AUTH", "+ "), (new, "+OK")))
    open_box(server, credentials)
    assert server.connections == 1


@pytest.mark.parametrize(
    "refusal", ["-ERR Unsupported authentication mechanism", "-ERR unrecognized auth method", "-ERR unknown command"]
)
def test_pop3_goes_on_to_the_next_mechanism_where_one_is_not_known(scripted, refusal):
    server = scripted(
        pop3(
            ("AUTH PLAIN", refusal),
            ("AUTH LOGIN", "+ VXNlcjo="),
            (coded("edi"), "+ UGFzczo="),
            (coded("s3cret-and-long-enough"), "+OK"),
            sasl="PLAIN LOGIN",
        )
    )
    open_box(server, PASSWORD)


@pytest.mark.parametrize(
    ("refusal", "fault"),
    [
        ("-ERR [AUTH] unknown user or bad password", LoginRefused),
        ("-ERR Logon failure: unknown user name or bad password.", LoginRefused),
        ("-ERR [IN-USE] locked", MailboxBusy),
        ("-ERR [SYS/TEMP] later", MailboxUnavailable),
        ("-ERR [LOGIN-DELAY] minimum time between mail checks", MailboxUnavailable),
    ],
)
def test_pop3_refusals_after_the_password_are_told_apart_and_never_tried_again(scripted, refusal, fault):
    server = scripted(pop3(("AUTH PLAIN", "+ "), (PLAIN, refusal), sasl="PLAIN LOGIN"))
    with pytest.raises(fault):
        open_box(server, PASSWORD)
    assert not any(each.startswith("AUTH LOGIN") for each in server.heard)


@pytest.mark.parametrize("mechanisms", ["", "GSSAPI NTLM"])
def test_a_server_that_tells_of_no_way_is_asked_by_user_and_pass(scripted, mechanisms):
    conversation = (("USER edi", "+OK"), ("PASS s3cret-and-long-enough", "+OK"))
    open_box(scripted(pop3(*conversation, sasl=mechanisms)), PASSWORD)


def test_apop_digests_the_timestamp_of_the_greeting(scripted):
    """The example of RFC 1939 section 7."""
    stamp = "<1896.697170952@dbc.mtview.ca.us>"
    server = scripted(pop3(("APOP mrose c4c9334bac560ecc979e58001b3e22fb", "+OK"), greeting=f"+OK POP3 server {stamp}"))
    open_box(server, Credentials("mrose", lambda: "tanstaaf", mechanism="APOP"), plaintext_password=False)


def test_apop_is_taken_without_tls_before_a_password_in_clear(scripted):
    digest = hashlib.md5(b"<1.2@x>s3cret-and-long-enough", usedforsecurity=False).hexdigest()
    server = scripted(pop3((f"APOP edi {digest}", "+OK"), greeting="+OK <1.2@x>", sasl="PLAIN", user=True))
    open_box(server, PASSWORD)


def test_apop_needs_a_timestamp(scripted):
    with pytest.raises(LoginRefused, match="timestamp"):
        open_box(scripted(pop3(greeting="+OK <not a stamp>")), Credentials("edi", lambda: "x", mechanism="APOP"))


def test_a_mechanism_that_reveals_the_password_is_refused_before_anything_is_sent(scripted):
    server = scripted(pop3())
    for mechanism in ("", "PLAIN", "USER", "XOAUTH2"):
        with pytest.raises(InsecureConnection):
            open_box(server, Credentials("edi", lambda: "x", mechanism=mechanism), plaintext_password=False)
    assert server.heard == []
    assert server.connections == 0


def test_a_server_that_hangs_up_on_the_token_tells_no_token(scripted):
    def script(talk):
        pop3()(talk)
        talk.hear("AUTH")
        talk.say("+ ")
        talk.hear(XOAUTH2)
        talk.say(b"* " + XOAUTH2.encode()[:700] + b"\r\n")

    with pytest.raises((TokenNotTaken, MailboxUnavailable)) as caught:
        open_box(scripted(script), TOKEN)
    assert XOAUTH2[:60] not in str(caught.value.as_dict())
    assert "xxxxxxxxxxxx" not in str(caught.value.as_dict())


# ---------------------------------------------------------------- SMTP


def send(server, credentials, **changes):
    settings = {
        "host": "127.0.0.1", "port": server.port, "security": "none", "credentials": credentials,
        "plaintext_password": True, "timeout": 5.0,
    }  # fmt: skip
    with SmtpTransport(**settings | changes).session() as session:
        return session.send(OutgoingMail("a@example.com", ("b@example.com",), b"Subject: x\r\n\r\nx\r\n"))


def smtp(*conversation, auth="PLAIN LOGIN XOAUTH2", mail=True):
    def script(talk):
        talk.say("220 mx")
        talk.hear("EHLO")
        talk.say("250-mx", f"250 AUTH {auth}")
        for heard, said in conversation:
            talk.hear(heard)
            talk.say(said)
        if mail:
            for heard, said in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on")):
                talk.hear(heard)
                talk.say(said)
            talk.hear_until_dot()
            talk.say("250 taken")

    return script


def test_smtp_sends_the_initial_response_with_the_command(scripted):
    assert send(scripted(smtp((f"AUTH XOAUTH2 {XOAUTH2}", "235 ok"))), TOKEN).reply == "250 taken"


def test_smtp_sends_a_token_of_any_length(scripted):
    """Past the length of a command (RFC 4954 section 4.5.3) the token waits for the host's challenge."""
    long = "x" * 20_000
    whole = coded(f"user=edi\x01auth=Bearer {long}\x01\x01")
    server = scripted(smtp(("AUTH XOAUTH2", "334 "), (whole, "235 ok")))
    assert send(server, Credentials("edi", token=lambda: long)).reply
    assert "AUTH XOAUTH2" in server.heard


def test_smtp_reads_a_long_error_object_and_answers_it_as_it_must(scripted):
    failure = json.dumps({"status": "invalid_token", "scope": "mail " + "read " * 200})
    server = scripted(
        smtp(("AUTH OAUTHBEARER", f"334 {coded(failure)}"), ("AQ==", "535 no"), auth="OAUTHBEARER", mail=False)
    )
    with pytest.raises(TokenNotTaken, match="status invalid_token, scope mail"):
        send(server, TOKEN)


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
def test_smtp_goes_on_to_the_next_mechanism_where_one_is_not_known(scripted, code):
    server = scripted(
        smtp(
            ("AUTH PLAIN", f"{code} what?"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            (coded("edi"), "334 UGFzc3dvcmQ6"),
            (coded("s3cret-and-long-enough"), "235 ok"),
        )
    )
    assert send(server, PASSWORD).reply


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("535 5.7.8 wrong", LoginRefused),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", LoginRefused),
        ("534 5.7.9 Application-specific password required", LoginRefused),
        ("454 4.7.0 later", SmtpUnavailable),
        ("421 4.3.0 bye", SmtpUnavailable),
    ],
)
def test_smtp_refusals_are_told_apart_and_never_tried_again(scripted, reply, fault):
    server = scripted(smtp(("AUTH PLAIN", reply), mail=False))
    with pytest.raises(fault):
        send(server, PASSWORD)
    assert not any(each.startswith("AUTH LOGIN") for each in server.heard)


def test_a_host_that_knows_cram_md5_gets_no_password_in_clear(scripted):
    """Even where the setting allows it: what is offered decides."""
    server = scripted(
        smtp(
            ("AUTH CRAM-MD5", "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"),
            ("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "235 ok"),
            auth="PLAIN CRAM-MD5",
        )
    )
    assert send(server, Credentials("tim", lambda: "tanstaaftanstaaf")).reply


def test_a_host_that_says_no_base64_is_told_to_stop(scripted):
    server = scripted(smtp(("AUTH CRAM-MD5", "334 !!!"), ("*", "501 cancelled"), auth="CRAM-MD5", mail=False))
    with pytest.raises(LoginRefused):
        send(server, PASSWORD)
    assert "*" in server.heard


def test_a_host_that_echoes_the_login_does_not_bring_it_into_the_ledger(scripted):
    server = scripted(smtp(("AUTH PLAIN", f"535 cannot decode {PLAIN}"), mail=False))
    with pytest.raises(LoginRefused) as caught:
        send(server, PASSWORD)
    assert PLAIN not in str(caught.value.as_dict())
    assert "cannot decode ***" in str(caught.value)
