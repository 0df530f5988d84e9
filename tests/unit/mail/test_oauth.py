"""OAuth2 tokens against a provider on loopback: what is asked, kept, renewed and refused, and that nothing leaks."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from servers import certificates, tokens
from servers.tokens import CLIENT, SECRET

from gateway.errors import NotAuthorized, TokenRefused, TokenUnavailable
from gateway.mail.oauth import BrowserFlow, Client, DeviceFlow, Permission, TokenClient, TokenSource
from gateway.mail.oauth.http import EndpointError, poster


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


class Kept:
    """A vault in memory."""

    def __init__(self, text=None):
        self.text = text
        self.saved = 0
        self.alone = contextlib.nullcontext

    def load(self):
        return self.text

    def save(self, text):
        self.text = text
        self.saved += 1


@pytest.fixture
def clock():
    return Clock()


def client(provider, **changes):
    fields = {
        "name": "ms", "grant": "client-credentials", "client_id": CLIENT, "authentication": "post",
        "token_url": provider.token_url, "scope": "mail", "device_url": provider.device_url, "secret": lambda: SECRET,
    }  # fmt: skip
    return Client(**fields | changes)


def source(provider, clock, vault=None, **changes):
    asking = TokenClient(client(provider, **changes), poster("", 5.0), clock)
    return TokenSource(asking, vault or Kept(), clock)


def authorized(provider, **changes):
    kept = {"access": "", "expires_at": 0, "refresh": provider.refresh, "client": CLIENT, "scope": "mail"}
    kept |= {"grant": "refresh-token", "subject": ""}
    return Kept(json.dumps(kept | changes))


# ---------------------------------------------------------------- asking


def test_client_credentials_ask_once_and_keep_the_token_until_shortly_before_its_end(provider, clock):
    vault = Kept()
    asked = source(provider, clock, vault)
    first = asked()
    assert asked() == first
    clock.now += 3600 - 301
    assert asked() == first
    clock.now += 2
    assert asked() != first
    assert provider.grants() == ["client_credentials", "client_credentials"]
    assert provider.asked[0] | {"client_secret": SECRET, "scope": "mail"} == provider.asked[0]
    assert vault.saved == 2


def test_the_secret_can_go_in_the_header(provider, clock):
    source(provider, clock, authentication="basic")()
    assert "client_secret" not in provider.asked[0]
    assert provider.headers[0]["Authorization"].startswith("Basic ")


def test_a_kept_token_is_used_by_the_next_process(provider, clock):
    vault = Kept()
    first = source(provider, clock, vault)()
    assert source(provider, clock, vault)() == first
    assert len(provider.asked) == 1


@pytest.mark.parametrize("change", [{"client_id": "another"}, {"scope": "other"}, {"subject": "b@example.com"}])
def test_a_kept_token_of_another_application_or_scope_is_not_used(provider, clock, change):
    vault = Kept()
    first = source(provider, clock, vault)()
    provider.answers.append(provider.give())
    assert source(provider, clock, vault, **change)() != first


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"access": 1}', '{"access": "x", "expires_at": "y", "refresh": ""}'])
def test_what_is_kept_but_not_readable_is_asked_for_anew(provider, clock, kept):
    assert source(provider, clock, Kept(kept))().startswith("access-")


def test_a_refresh_token_gives_tokens_and_its_successor_is_kept_at_once(provider, clock):
    provider.rotates = True
    vault = authorized(provider)
    asked = source(provider, clock, vault, grant="refresh-token")
    old = provider.refresh
    asked()
    assert provider.asked[0]["refresh_token"] == old
    assert json.loads(vault.text)["refresh"] == provider.refresh != old
    clock.now += 4_000
    asked()
    assert provider.grants() == ["refresh_token", "refresh_token"]


def test_a_refresh_token_that_another_process_has_renewed_is_taken_from_the_vault(provider, clock):
    vault = authorized(provider)
    asked = source(provider, clock, vault, grant="refresh-token")
    asked()
    provider.refresh = "renewed-by-another"
    vault.text = authorized(provider).text
    clock.now += 4_000
    assert asked().startswith("access-")
    assert provider.asked[-1]["refresh_token"] == "renewed-by-another"


def test_what_another_process_has_renewed_meanwhile_is_not_asked_for_again(provider, clock):
    vault = Kept()
    mine, theirs = source(provider, clock, vault), source(provider, clock, vault)
    first = mine()
    assert theirs() == first
    clock.now += 3_400
    second = theirs()
    assert mine() == second != first
    assert theirs.renew(second) == mine.renew(second)
    assert len(provider.asked) == 3


def test_without_anybodys_permission_the_next_step_is_told(provider, clock):
    with pytest.raises(NotAuthorized) as caught:
        source(provider, clock, grant="refresh-token")()
    assert "gateway mailbox authorize ms" in caught.value.next_step
    assert provider.asked == []


def test_a_refusal_is_remembered_until_a_token_is_given_and_takes_no_permission_away(provider, clock):
    vault = authorized(provider)
    asked = source(provider, clock, vault, grant="refresh-token")
    assert asked.trouble() is None
    provider.answers.append((400, {"error": "invalid_grant"}))
    with pytest.raises(TokenRefused):
        asked()
    at, reason = source(provider, clock, vault, grant="refresh-token").trouble()
    assert at == clock.now
    assert "invalid_grant" in reason
    clock.now += 61
    assert asked().startswith("access-")
    assert asked.trouble() is None


def test_a_provider_that_is_away_is_not_remembered(provider, clock):
    vault = Kept()
    provider.answers.append((503, {}))
    with pytest.raises(TokenUnavailable):
        source(provider, clock, vault)()
    assert vault.saved == 0


def test_many_threads_make_one_request(provider, clock):
    asked = source(provider, clock)
    found = []
    threads = [threading.Thread(target=lambda: found.append(asked())) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    assert len(provider.asked) == 1


def test_a_refused_token_is_renewed_and_once_for_all_who_hold_it(provider, clock):
    asked = source(provider, clock)
    first = asked()
    second = asked.renew(first)
    assert second != first
    assert asked.renew(first) == second
    assert asked() == second
    assert len(provider.asked) == 2


# ---------------------------------------------------------------- what goes wrong


def test_a_refresh_token_that_has_ended_leads_to_authorize(provider, clock):
    vault = authorized(provider)
    provider.refresh = "another"
    with pytest.raises(TokenRefused) as caught:
        source(provider, clock, vault, grant="refresh-token")()
    assert "AADSTS700082" in str(caught.value)
    assert "gateway mailbox authorize ms" in caught.value.next_step


def test_a_wrong_client_secret_is_told_without_it(provider, clock):
    with pytest.raises(TokenRefused) as caught:
        source(provider, clock, secret=lambda: "Wrong-s3cret-of-some-length")()
    assert "invalid_client" in str(caught.value)
    assert "Wrong-s3cret" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        ((503, {"error": "temporarily_unavailable"}), TokenUnavailable, "temporarily_unavailable"),
        ((500, {"error": "server_error"}), TokenUnavailable, "server_error"),
        ((429, {"error": "slow"}), TokenUnavailable, "slow"),
        ((400, {"error": "invalid_scope"}), TokenRefused, "invalid_scope"),
        ((200, {"error": "interaction_required"}), TokenRefused, "interaction_required"),
        ((200, b"<html>"), TokenUnavailable, "without a JSON object"),
        ((200, b"[]"), TokenUnavailable, "without a JSON object"),
        ((200, b"x" * 300_000), TokenUnavailable, "more than"),
        ((200, {"access_token": "x", "token_type": "mac"}), TokenUnavailable, "no bearer token"),
        ((200, {"token_type": "Bearer"}), TokenUnavailable, "no bearer token"),
        ((302, b"", [("Location", "http://127.0.0.1:1/elsewhere")]), TokenUnavailable, "points elsewhere"),
    ],
)
def test_every_bad_answer_is_a_fault_that_says_what_it_was(provider, clock, answer, fault, said):
    provider.answers.append(answer)
    with pytest.raises(fault, match=said):
        source(provider, clock)()


def test_an_endpoint_that_is_away_is_told(clock):
    nowhere = tokens.Provider(url="http://127.0.0.1:1")
    with pytest.raises(TokenUnavailable, match="refused"):
        source(nowhere, clock)()


def test_a_failed_request_is_not_repeated_by_every_mailbox_of_a_batch(provider, clock):
    asked = source(provider, clock, secret=lambda: "wrong")
    for _ in range(5):
        with pytest.raises(TokenRefused):
            asked()
    assert len(provider.asked) == 1
    clock.now += 61
    with pytest.raises(TokenRefused):
        asked()
    assert len(provider.asked) == 2


def test_a_token_near_its_end_still_serves_while_the_provider_is_away(provider, clock):
    asked = source(provider, clock)
    first = asked()
    clock.now += 3_500
    provider.answers.append((503, {}))
    assert asked() == first


@pytest.mark.parametrize("lives", [None, "soon", -5, 1e300, [], "NaN"])
def test_a_life_that_makes_no_sense_is_bounded(provider, clock, lives):
    provider.answers.append((200, {"access_token": "a-token", "token_type": "bearer", "expires_in": lives}))
    found = TokenClient(client(provider), poster("", 5.0), clock).by_itself()
    assert clock.now < found.expires_at <= clock.now + 31 * 86_400


def test_nothing_shows_a_token(provider, clock):
    asked = source(provider, clock)
    token = asked()
    shown = repr(asked) + repr(Permission(token, 0.0, "refresh")) + str(Permission(token, 0.0, "refresh"))
    assert token not in shown
    assert "refresh" not in shown


@pytest.mark.parametrize("url", ["http://login.example.com/token", "ftp://127.0.0.1/token", "file:///etc/passwd"])
def test_secrets_go_by_https_only(url):
    with pytest.raises(EndpointError, match="not https"):
        poster("", 5.0)(url, {}, "secret=1")


def test_the_providers_certificate_is_verified(tmp_path, clock):
    tls = certificates.make(tmp_path)
    with tokens.running(tls) as provider:
        with pytest.raises(TokenUnavailable, match="TLS failed"):
            source(provider, clock)()
        assert provider.asked == []
        asking = TokenClient(client(provider), poster(str(tls.ca_file), 5.0), clock)
        assert asking.by_itself().access.startswith("access-")


# ---------------------------------------------------------------- keys instead of secrets


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edi")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def opened(assertion, key, pad):
    """Header and claims of an assertion, once its signature was found right."""
    head, body, signature = (base64.urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in assertion.split("."))
    key.public_key().verify(signature, assertion.rpartition(".")[0].encode(), pad, hashes.SHA256())
    return json.loads(head), json.loads(body)


def test_a_certificate_proves_the_application_with_a_signed_assertion(provider, clock, key):
    made = certificate(key)
    both = pem(key) + made.public_bytes(serialization.Encoding.PEM).decode()
    source(provider, clock, authentication="certificate", secret=lambda: both)()
    (form,) = provider.asked
    pad = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    head, claims = opened(form["client_assertion"], key, pad)
    assert head["alg"] == "PS256"
    digest = base64.urlsafe_b64encode(made.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert head["x5t#S256"] == digest
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == provider.token_url
    assert claims["exp"] - claims["iat"] == 600
    assert form["client_assertion_type"].endswith(":jwt-bearer")
    assert "client_secret" not in form
    assert form["client_id"] == CLIENT


def test_a_service_account_acts_for_its_subject(provider, clock, key):
    asked = source(
        provider, clock, grant="service-account", subject="edi@example.com", secret=lambda: pem(key), client_id="robot"
    )
    asked()
    (form,) = provider.asked
    head, claims = opened(form["assertion"], key, padding.PKCS1v15())
    assert head["alg"] == "RS256"
    assert claims["iss"] == "robot"
    assert claims["sub"] == "edi@example.com"
    assert claims["scope"] == "mail"
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.mark.parametrize("secret", ["not a key", "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"])
def test_a_secret_that_is_no_key_is_told_without_it(provider, clock, secret):
    with pytest.raises(TokenRefused, match="no usable private key") as caught:
        source(provider, clock, authentication="certificate", secret=lambda: secret)()
    assert secret not in str(caught.value.as_dict())


# ---------------------------------------------------------------- a person's permission


def flow(provider, clock, pauses, **changes):
    def pause(seconds):
        pauses.append(seconds)
        clock.now += seconds
        if len(pauses) == 3:
            provider.decision = ""

    asking = TokenClient(client(provider, grant="refresh-token", **changes), poster("", 5.0), clock)
    return DeviceFlow(asking, clock, pause)


def test_the_device_flow_waits_until_the_person_has_decided(provider, clock):
    pauses = []
    asked = flow(provider, clock, pauses)
    code = asked.begin()
    assert code.user_code == "WDJB-MJHT"
    assert code.address.endswith("/activate")
    assert code.device_code not in repr(code)
    given = asked.wait(code)
    assert given.refresh == provider.refresh
    assert pauses == [1.0, 1.0, 1.0]


def test_slow_down_makes_us_slower(provider, clock):
    pauses = []
    asked = flow(provider, clock, pauses)
    code = asked.begin()
    provider.decision = "slow_down"
    asked.wait(code)
    assert pauses == [1.0, 6.0, 11.0]


@pytest.mark.parametrize("decision", ["access_denied", "expired_token"])
def test_a_no_ends_the_device_flow(provider, clock, decision):
    asked = flow(provider, clock, [])
    code = asked.begin()
    provider.decision = decision
    with pytest.raises(TokenRefused, match=decision):
        asked.wait(code)


def test_nobody_at_the_browser_ends_the_device_flow(provider, clock):
    pauses = [0.0] * 10
    asked = flow(provider, clock, pauses)
    with pytest.raises(TokenRefused, match="in time"):
        asked.wait(asked.begin())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((400, {"error": "unauthorized_client"}), TokenRefused),
        ((200, {"user_code": "A"}), TokenUnavailable),
        ((503, {}), TokenUnavailable),
    ],
)
def test_an_endpoint_without_a_code_is_told(provider, clock, answer, fault):
    provider.answers.append(answer)
    with pytest.raises(fault):
        flow(provider, clock, []).begin()


def test_a_permission_without_a_refresh_token_is_none(provider, clock):
    asked = flow(provider, clock, [])
    code = asked.begin()
    provider.answers.append(provider.give())
    with pytest.raises(TokenRefused, match="offline"):
        asked.wait(code)


# ---------------------------------------------------------------- a person with a browser


class Person:
    """Opens the address and is sent back with each of the answers, one after the other."""

    def __init__(self, address, answers):
        self.asked = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
        self._answers = answers
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self):
        for each in self._answers:
            query = urlencode({"state": self.asked["state"], **each})
            urllib.request.urlopen(f"{self.asked['redirect_uri'].replace('localhost', '127.0.0.1')}?{query}").close()


def browser(provider):
    address = "https://login.example.com/authorize?prompt=consent"
    return BrowserFlow(TokenClient(client(provider, grant="refresh-token", authorize_url=address), poster("", 5.0)))


def test_the_browser_flow_takes_the_code_that_answers_our_question(provider):
    with browser(provider) as flow:
        person = Person(flow.address(), [{"code": "forged", "state": "another"}, {"code": "right"}])
        assert flow.wait().refresh == provider.refresh
    assert person.asked["prompt"] == "consent"
    assert person.asked["response_type"] == "code"
    (form,) = provider.asked
    assert form["redirect_uri"] == person.asked["redirect_uri"]
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == person.asked["code_challenge"]


@pytest.mark.parametrize("answer", [{"error": "access_denied"}, {"code": "wrong"}, {}])
def test_a_no_in_the_browser_is_told(provider, answer):
    with browser(provider) as flow:
        Person(flow.address(), [answer])
        with pytest.raises(TokenRefused):
            flow.wait()


def test_nobody_who_comes_ends_the_browser_flow(provider):
    times = iter([0.0, 0.1, 1_000.0])
    asking = TokenClient(client(provider, authorize_url="https://login.example.com/a"), poster("", 5.0))
    with BrowserFlow(asking, clock=lambda: next(times)) as flow, pytest.raises(TokenRefused, match="in time"):
        flow.wait()


def test_without_an_authorize_url_there_is_no_browser_flow(provider):
    asking = TokenClient(client(provider), poster("", 5.0))
    with BrowserFlow(asking) as flow, pytest.raises(TokenRefused, match="authorize_url"):
        flow.address()
