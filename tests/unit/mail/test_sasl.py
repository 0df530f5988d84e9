"""SASL: the published examples of each mechanism, which one is chosen, and what a host cannot make us do."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

import pytest

from gateway.errors import InsecureConnection, LoginRefused, TokenNotTaken
from gateway.mail import sasl
from gateway.mail.model import Credentials
from gateway.mail.sasl import Answer, Line, authenticate, choose
from gateway.mail.sasl_mechanisms import CramMd5, OAuthBearer, SaslError, XOAuth2
from gateway.mail.sasl_scram import Scram, saslprep
from gateway.mail.wire import ConnectionLostError

SAFE, CLEAR = Line("mx.example", protected=True), Line("mx.example", protected=False)
PASSWORD = Credentials("edi", lambda: "pa55word-Long-Enough")
TOKEN = "ya29.token-" + "x" * 60
BEARER = Credentials("edi@example.com", token=lambda: TOKEN)
ALL = ("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "GSSAPI")


@dataclass
class Host:
    """A host that answers from a list and notes what it was told."""

    answers: list
    heard: list = field(default_factory=list)

    def begin(self, mechanism, initial):
        self.heard.append((mechanism, initial))
        return self._next()

    def respond(self, data):
        self.heard.append(data)
        return self._next()

    def cancel(self):
        self.heard.append("*")
        return Answer(sasl.REFUSED, text="cancelled")

    def _next(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


GOOD = Answer(sasl.GOOD, text="welcome")
REFUSED = Answer(sasl.REFUSED, text="[AUTH] wrong")
UNKNOWN = Answer(sasl.UNKNOWN, text="504 what is that")


def challenge(data):
    return Answer(sasl.CHALLENGE, data)


# ---------------------------------------------------------------- the published examples


def test_cram_md5_gives_the_example_of_rfc_2195():
    run = CramMd5("tim", "tanstaaftanstaaf")
    found = run.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert found == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_scram_sha_1_gives_the_example_of_rfc_5802():
    run = Scram("SCRAM-SHA-1", "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL")
    assert run.initial() == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    final = run.respond(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    assert final == b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    assert not run.complete
    assert run.respond(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""
    assert run.complete


def test_scram_sha_256_gives_the_example_of_rfc_7677():
    run = Scram("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    final = run.respond(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert run.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""


def test_xoauth2_gives_the_example_of_its_inventor():
    """The base64 example that Google and Microsoft both print."""
    run = XOAuth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    assert base64.b64encode(run.initial()) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk"
        b"SFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


def test_oauthbearer_escapes_the_user_as_gs2_wants_it():
    assert OAuthBearer("a,b=c", "t").initial() == b"n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01"


# ---------------------------------------------------------------- SCRAM and a host that is none


@pytest.mark.parametrize(
    "first",
    [
        b"r=other,s=QSXCR+Q6sek8bf92,i=4096",
        b"r=ours,s=QSXCR+Q6sek8bf92,i=4096",
        b"r=ours+,s=QSXCR+Q6sek8bf92,i=4095",
        b"r=ours+,s=QSXCR+Q6sek8bf92,i=1000001",
        b"r=ours+,s=QSXCR+Q6sek8bf92,i=-4096",
        b"r=ours+,s=***,i=4096",
        b"m=ext,r=ours+,s=QSXCR+Q6sek8bf92,i=4096",
        b"r=ours+,r=ours+,s=QSXC,i=4096",
        b"",
        b"\xff",
        b"r=ours+" + b"x" * 5_000 + b",s=QSXCR+Q6sek8bf92,i=4096",
    ],
)
def test_a_scram_host_that_breaks_the_rules_gets_no_proof(first):
    with pytest.raises(SaslError):
        Scram("SCRAM-SHA-256", "user", "pencil", "ours").respond(first)


def test_a_host_that_does_not_know_the_password_is_an_impostor():
    class Impostor(Host):
        def begin(self, _, initial):
            return challenge(b"r=" + initial.partition(b"r=")[2] + b"+,s=QUJD,i=4096")

    host = Impostor([challenge(b"v=" + base64.b64encode(b"x" * 32)), GOOD])
    with pytest.raises(InsecureConnection, match="did not prove"):
        authenticate(host, ["SCRAM-SHA-256"], PASSWORD, CLEAR)


def test_a_yes_without_the_hosts_signature_is_no_yes():
    with pytest.raises(InsecureConnection, match="too early"):
        authenticate(Host([GOOD]), ["SCRAM-SHA-256"], PASSWORD, CLEAR)


def test_scram_says_what_the_host_says_of_a_wrong_password():
    run = Scram("SCRAM-SHA-256", "user", "pencil", "ours")
    run.respond(b"r=ours+,s=QSXCR+Q6sek8bf92,i=4096")
    with pytest.raises(SaslError, match="invalid-proof"):
        run.respond(b"e=invalid-proof")


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [("I­X", "IX"), ("user", "user"), ("USER", "USER"), ("ª", "a"), ("Ⅸ", "IX"), ("a b", "a b"), ("é", "é")],
)
def test_passwords_are_prepared_as_rfc_4013_shows(typed, prepared):
    assert saslprep(typed) == prepared


@pytest.mark.parametrize("typed", ["\x07", "ا1", "é\n", "\ufffd", "\ue000"])
def test_what_rfc_4013_forbids_is_refused(typed):
    with pytest.raises(SaslError):
        saslprep(typed)


# ---------------------------------------------------------------- which mechanism


@pytest.mark.parametrize(
    ("offered", "credentials", "protected", "allowed", "chosen"),
    [
        (ALL, PASSWORD, True, False, "PLAIN"),
        (ALL[2:], PASSWORD, True, False, "SCRAM-SHA-256"),
        (ALL, PASSWORD, False, False, "SCRAM-SHA-256"),
        (ALL, PASSWORD, False, True, "SCRAM-SHA-256"),
        (("LOGIN", "CRAM-MD5", "SCRAM-SHA-1"), PASSWORD, False, False, "SCRAM-SHA-1"),
        (("PLAIN", "CRAM-MD5"), PASSWORD, False, False, "CRAM-MD5"),
        (("login", "plain"), PASSWORD, False, True, "PLAIN"),
        (ALL, BEARER, True, False, "OAUTHBEARER"),
        (("PLAIN", "XOAUTH2"), BEARER, True, False, "XOAUTH2"),
        (("PLAIN",), Credentials("edi", lambda: "x", mechanism="SCRAM-SHA-256"), False, False, "SCRAM-SHA-256"),
        ((), Credentials("edi", token=lambda: "t", mechanism="XOAUTH2"), True, False, "XOAUTH2"),
    ],
)
def test_the_best_mechanism_that_is_safe_here_is_chosen(offered, credentials, protected, allowed, chosen):
    assert choose(offered, credentials, protected=protected, plaintext_allowed=allowed).name == chosen


@pytest.mark.parametrize(
    ("offered", "credentials", "protected", "fault"),
    [
        (("PLAIN", "LOGIN"), PASSWORD, False, InsecureConnection),
        (("OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256"), BEARER, False, InsecureConnection),
        (("PLAIN", "CRAM-MD5"), BEARER, True, LoginRefused),
        (("GSSAPI", "OAUTHBEARER"), PASSWORD, True, LoginRefused),
        ((), PASSWORD, True, LoginRefused),
        (("PLAIN",), Credentials("edi", lambda: "x", mechanism="PLAIN"), False, InsecureConnection),
    ],
)
def test_where_nothing_safe_fits_nothing_is_sent(offered, credentials, protected, fault):
    with pytest.raises(fault):
        choose(offered, credentials, protected=protected, plaintext_allowed=False)


@pytest.mark.parametrize(
    ("offered", "advice"), [((), "take user out of [smtp]"), (("NTLM",), "A new password would not help.")]
)
def test_where_no_login_fits_nobody_is_told_to_set_the_password_again(offered, advice):
    with pytest.raises(LoginRefused) as caught:
        choose(offered, PASSWORD, protected=True, plaintext_allowed=False)
    assert advice in caught.value.next_step
    assert "secret set" not in caught.value.next_step


def test_where_the_password_is_refused_its_keeper_says_what_to_do():
    keeper = Credentials("edi", lambda: "x", advice=lambda: "Look into the variable.")
    for credentials, advice in ((keeper, "Look into the variable."), (PASSWORD, LoginRefused.advice)):
        with pytest.raises(LoginRefused) as caught:
            authenticate(Host([REFUSED]), ["PLAIN"], credentials, SAFE)
        assert caught.value.next_step == advice


def test_an_unknown_mechanism_leads_to_the_next():
    host = Host([UNKNOWN, challenge(b"User"), challenge(b"Pass"), GOOD])
    assert authenticate(host, ["PLAIN", "LOGIN"], PASSWORD, SAFE).kind == sasl.GOOD
    assert host.heard == [("PLAIN", b"\0edi\0pa55word-Long-Enough"), ("LOGIN", None), b"edi", b"pa55word-Long-Enough"]


def test_a_wrong_password_is_never_tried_twice():
    host = Host([REFUSED])
    with pytest.raises(LoginRefused, match="wrong"):
        authenticate(host, list(ALL), PASSWORD, SAFE)
    assert len(host.heard) == 1


def test_a_mechanism_that_is_set_is_not_left_for_another():
    host = Host([UNKNOWN])
    with pytest.raises(LoginRefused, match="504"):
        authenticate(host, ["PLAIN", "LOGIN"], Credentials("edi", lambda: "x", mechanism="PLAIN"), SAFE)


def test_a_host_that_cannot_serve_now_is_not_taken_for_a_refusal():
    assert authenticate(Host([Answer(sasl.LATER, text="451")]), ["PLAIN"], PASSWORD, SAFE).kind == sasl.LATER


# ---------------------------------------------------------------- tokens


def told(**fields):
    return challenge(json.dumps(fields).encode())


@pytest.mark.parametrize(("mechanism", "acknowledged"), [("XOAUTH2", b""), ("OAUTHBEARER", b"\x01")])
def test_the_hosts_error_object_is_read_and_told(mechanism, acknowledged):
    host = Host([told(status="401", scope="mail", schemes="Bearer"), REFUSED])
    with pytest.raises(TokenNotTaken, match="status 401, scope mail"):
        authenticate(host, [mechanism], BEARER, SAFE)
    assert host.heard[1] == acknowledged


def test_a_refused_token_is_renewed_once_and_tried_once_more():
    renewed = []
    given = Credentials("edi", token=lambda: TOKEN, renew=lambda old: renewed.append(old) or "new-token")
    host = Host([told(status="401"), REFUSED, GOOD])
    assert authenticate(host, ["XOAUTH2"], given, SAFE).kind == sasl.GOOD
    assert renewed == [TOKEN]
    assert b"new-token" in host.heard[-1][1]


def test_a_new_token_that_is_refused_too_ends_it():
    host = Host([REFUSED, REFUSED])
    with pytest.raises(TokenNotTaken):
        authenticate(host, ["XOAUTH2"], Credentials("edi", token=lambda: TOKEN, renew=lambda _: "new-token"), SAFE)
    assert len(host.heard) == 2


@pytest.mark.parametrize("token", ["", "a b", "a\x01auth=", "a\r\nQUIT", "é"])
def test_a_token_that_would_break_out_is_not_sent(token):
    host = Host([GOOD])
    with pytest.raises(LoginRefused):
        authenticate(host, ["XOAUTH2"], Credentials("edi", token=lambda: token), SAFE)
    assert host.heard == []


@pytest.mark.parametrize("error", [b"not json", b"[]", b"[" * 3_000, b"\xff\x00", b'{"status": {"a": 1}}', b""])
def test_an_error_object_that_is_none_does_no_harm(error):
    with pytest.raises(TokenNotTaken):
        authenticate(Host([challenge(error), REFUSED]), ["XOAUTH2"], BEARER, SAFE)


# ---------------------------------------------------------------- what a host cannot make us do


@pytest.mark.parametrize("bad", ["edi\r\nDELE 1", "edi\0", "edi\x01auth=Bearer", "a\nb"])
def test_control_characters_in_user_or_password_are_refused(bad):
    for credentials in (Credentials(bad, lambda: "x"), Credentials("edi", lambda: bad)):
        host = Host([GOOD])
        with pytest.raises(LoginRefused):
            authenticate(host, ["PLAIN"], credentials, SAFE)
        assert host.heard == []


@pytest.mark.parametrize("offered", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"])
def test_a_host_that_asks_for_ever_is_left(offered):
    credentials = BEARER if offered == "XOAUTH2" else PASSWORD
    host = Host([challenge(b"go on")] * 50)
    with pytest.raises(LoginRefused):
        authenticate(host, [offered], credentials, SAFE)
    assert host.heard[-1] == "*"
    assert len(host.heard) < 12


@pytest.mark.parametrize("secret", [b"\0edi\0pa55word-Long-Enough", b"pa55word-Long-Enough"])
@pytest.mark.parametrize("cut", [0, 5])
def test_a_secret_that_the_host_echoes_is_masked_even_when_cut_short(secret, cut):
    echoed = base64.b64encode(secret).decode()
    said = f"535 cannot use {echoed[: len(echoed) - cut]} here, pa55word-Long-Enough"
    with pytest.raises(LoginRefused) as caught:
        authenticate(Host([Answer(sasl.REFUSED, text=said)]), ["PLAIN"], PASSWORD, SAFE)
    told = str(caught.value.as_dict())
    assert "pa55word" not in told
    assert echoed[:20] not in told
    assert "535 cannot use" in told


def test_a_lost_connection_tells_no_secret():
    lost = ConnectionLostError(f"not a reply: {TOKEN}")
    with pytest.raises(ConnectionLostError) as caught:
        authenticate(Host([lost]), ["XOAUTH2"], BEARER, SAFE)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_password_of_other_letters_goes_as_utf_8():
    host = Host([GOOD])
    authenticate(host, ["PLAIN"], Credentials("jürgen", lambda: "größe"), SAFE)
    assert host.heard == [("PLAIN", "\0jürgen\0größe".encode())]
