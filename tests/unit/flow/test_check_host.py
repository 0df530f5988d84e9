"""The doctor tells what is wrong at a host's port and with its certificate, in words and with a code of its own."""

import ssl
from datetime import timedelta

import pytest
from msgspec.structs import replace
from servers import certificates, need
from servers.greeting import greeting

from gateway.flow import check_host
from gateway.flow.check_host import target_of
from gateway.mail import probe
from gateway.mail.probe import Target
from gateway.settings import MailboxSettings, SmtpSettings

TLS_FAILURES = pytest.mark.parametrize("security", ["tls", "starttls"])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(probe, "PATIENCE", 0.3)


def found(protocol, port, security, ca_file="", **changes):
    target = replace(Target("127.0.0.1", port, protocol, security, str(ca_file), timeout=3.0), **changes)
    return list(check_host.check_host("mailbox orders", target))


def only(checks):
    """The one check that was made, which says what to do."""
    assert len(checks) == 1
    assert checks[0].advice
    return checks[0]


@pytest.mark.parametrize("protocol", ["pop3", "imap", "smtp"])
@TLS_FAILURES
def test_a_host_as_the_settings_say_is_in_order(good, protocol, security):
    """Nothing is said of a host that answers with a good certificate."""
    with greeting(protocol, good.context(), security=security) as port:
        assert found(protocol, port, security, good.ca_file) == []


def test_a_host_without_tls_that_should_have_none_is_in_order():
    """Nothing is said of a host in the laboratory."""
    with greeting("pop3") as port:
        assert found("pop3", port, "none") == []


@pytest.mark.parametrize("protocol", ["pop3", "imap", "smtp"])
def test_a_plain_port_with_tls_is_told(good, protocol):
    """TLS from the first byte is wanted at a port that greets in the clear."""
    with greeting(protocol, good.context(), security="starttls") as port:
        check = only(found(protocol, port, "tls", good.ca_file))
    assert (check.code, check.ok, check.exit_code) == ("host.plain-port", False, 69)
    assert f"Port {port}" in check.sentence
    assert 'security = "starttls"' in check.advice


@pytest.mark.parametrize("security", ["starttls", "none"])
def test_a_tls_port_without_tls_is_told(good, security):
    """A host that waits for TLS is asked to speak first."""
    with greeting("imap", good.context(), security="tls") as port:
        check = only(found("imap", port, security, good.ca_file))
    assert check.code == "host.tls-port"
    assert 'security = "tls"' in check.advice
    assert "143" in check.advice


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_another_protocol_is_told(good, security):
    """An IMAP account at the port of POP3."""
    with greeting("pop3", good.context(), security="starttls") as port:
        check = only(found("imap", port, security, good.ca_file))
    assert (check.code, "speaks POP3, not IMAP" in check.sentence) == ("host.other-protocol", True)


def test_a_host_that_does_not_offer_starttls_is_told():
    """The host says no to STLS."""
    with greeting("pop3", security="starttls", refuse=b"-ERR unknown command\r\n") as port:
        check = only(found("pop3", port, "starttls"))
    assert (check.code, "unknown command" in check.sentence) == ("host.no-starttls", True)


@TLS_FAILURES
def test_an_expired_certificate_is_told_with_its_day(tmp_path, security):
    """The certificate ended long ago."""
    tls = certificates.make(tmp_path, valid=timedelta(days=-3))
    with greeting("smtp", tls.context(), security=security) as port:
        check = only(found("smtp", port, security, tls.ca_file))
    assert check.code == "tls.expired"
    assert "ended on 20" in check.sentence


@TLS_FAILURES
def test_a_certificate_that_is_not_valid_yet_is_told(tmp_path, security):
    """The certificate begins tomorrow, or our clock is behind."""
    tls = certificates.make(tmp_path, begins=timedelta(days=1))
    with greeting("imap", tls.context(), security=security) as port:
        check = only(found("imap", port, security, tls.ca_file))
    assert (check.code, "clock" in check.advice) == ("tls.not-yet-valid", True)


@TLS_FAILURES
def test_a_certificate_for_another_name_is_told_with_its_names(tmp_path, security):
    """The certificate names another host."""
    tls = certificates.make(tmp_path, names=("mail.other.example",), addresses=())
    with greeting("pop3", tls.context(), security=security) as port:
        check = only(found("pop3", port, security, tls.ca_file))
    assert check.code == "tls.wrong-host"
    assert "mail.other.example" in check.sentence


@TLS_FAILURES
def test_a_certificate_that_signed_itself_is_told(good, tmp_path, security):
    """Anybody could have made the certificate."""
    own = certificates.self_signed(tmp_path)
    with greeting("pop3", own.context(), security=security) as port:
        assert only(found("pop3", port, security, good.ca_file)).code == "tls.self-signed"


@TLS_FAILURES
def test_an_authority_that_nobody_trusts_is_told_by_name(good, tmp_path, security):
    """The certificate is good, but of an authority that we do not know."""
    with greeting("pop3", good.context(), security=security) as port:
        check = only(found("pop3", port, security))
    assert (check.code, "Test authority" in check.sentence) == ("tls.unknown-authority", True)


def test_a_host_with_old_tls_alone_is_told(good):
    """The host has no TLS that the settings allow."""
    context = good.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with greeting("pop3", context, security="tls") as port:
        check = only(found("pop3", port, "tls", good.ca_file, tls_minimum="1.3"))
    assert (check.code, "1.3" in check.sentence) == ("tls.too-old", True)


def test_a_certificate_that_ends_soon_is_a_warning(tmp_path):
    """Mail still moves, and somebody should look."""
    tls = certificates.make(tmp_path, valid=timedelta(days=5))
    with greeting("imap", tls.context(), security="tls") as port:
        check = only(found("imap", port, "tls", tls.ca_file))
    assert (check.code, check.ok) == ("tls.ends-soon", None)


def test_something_that_is_no_mail_host_is_told(good):
    """The host closes the connection when TLS begins."""
    with greeting("") as port:
        assert only(found("smtp", port, "tls", good.ca_file)).code == "tls.failed"


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_told(tmp_path, text):
    """The file is not there, or holds no certificate."""
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    assert only(found("pop3", 1, "tls", tmp_path / "ca.pem")).code == "tls.ca-file"


def test_a_port_where_nothing_listens_is_told():
    """The connection is refused."""
    assert only(found("pop3", need.free_port(), "tls")).code == "host.refused"


def test_a_name_that_nobody_knows_is_told():
    """The name server says so, or the name is none."""
    assert only(found("pop3", 995, "tls", host="pop..invalid")).code == "host.unknown"


@pytest.mark.parametrize(
    ("problem", "code"), [(TimeoutError("timed out"), "host.silent"), (OSError(113, "No route"), "host.unreachable")]
)
def test_a_host_that_cannot_be_reached_is_told(monkeypatch, problem, code):
    """Nobody answers, or there is no way to the host."""

    def fail(*_):
        raise problem

    monkeypatch.setattr(probe.socket, "create_connection", fail)
    assert only(found("pop3", 995, "tls")).code == code


def test_the_port_is_that_of_the_account():
    """Without a port in the settings the usual one is looked at."""
    assert target_of(SmtpSettings("h")).port == 587
    assert target_of(SmtpSettings("h", security="tls")).port == 465
    assert target_of(MailboxSettings("m", "imap", host="h")).port == 993
    assert target_of(MailboxSettings("m", "pop3", host="h", port=1995)).port == 1995
