"""Whatever a host says in a login, it raises nothing but our own faults, and never learns more than it may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.mail import sasl
from gateway.mail.model import Credentials
from gateway.mail.sasl import Answer, Line, authenticate, without_secrets
from gateway.mail.sasl_mechanisms import SaslError
from gateway.mail.sasl_scram import saslprep

SECRET = "correct-horse-battery"
ANSWERS = st.builds(
    Answer,
    st.sampled_from([sasl.CHALLENGE, sasl.GOOD, sasl.REFUSED, sasl.UNKNOWN, sasl.LATER]),
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda nonce, salt, count: f"r={nonce},s={salt},i={count}".encode(),
            st.text(max_size=10),
            st.sampled_from(["QUJD", "!", ""]),
            st.integers(-1, 5_000),
        ),
    ),
    st.text(max_size=40),
)
MECHANISMS = (*sasl.REVEALING, *sasl.SECRET_KEEPING, *sasl.BEARER)


class Host:
    """Says what it likes, and notes what it hears."""

    def __init__(self, answers):
        self._answers = iter(answers)
        self.heard = []

    def begin(self, _, initial):
        return self.respond(initial or b"")

    def respond(self, data):
        self.heard.append(data)
        return next(self._answers, Answer(sasl.REFUSED))

    def cancel(self):
        return self.respond(b"*")


@given(st.lists(ANSWERS, max_size=8), st.lists(st.sampled_from(MECHANISMS), unique=True), st.booleans(), st.booleans())
def test_a_host_can_say_what_it_likes(answers, offered, protected, token):
    host = Host(answers)
    credentials = Credentials("edi", token=lambda: SECRET) if token else Credentials("edi", lambda: SECRET)
    try:
        found = authenticate(host, offered, credentials, Line("mx.example", protected))
    except GatewayError as fault:
        kind, told = "", str(fault.as_dict())
    else:
        kind, told = found.kind, found.text
    assert kind in {"", sasl.GOOD, sasl.LATER}
    assert SECRET not in told
    if not protected:
        assert not any(SECRET.encode() in each for each in host.heard)
    assert len(host.heard) < 8 * (len(offered) + 1)


@given(st.text(max_size=20))
def test_prepared_text_has_nothing_that_would_break_out(text):
    try:
        prepared = saslprep(text)
    except SaslError:
        return
    assert not any(each in prepared for each in "\r\n\0\x01\x7f")


@given(st.text(max_size=30), st.integers(12, len(SECRET)), st.text(max_size=30))
def test_no_long_beginning_of_a_secret_is_left(before, length, after):
    shown = without_secrets(f"{before} {SECRET[:length]} {after}", [SECRET])
    assert SECRET[:length] not in shown
