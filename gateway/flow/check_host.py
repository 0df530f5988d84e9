"""What is wrong between us and a mail host, before any login: its name, its port, TLS, its certificate; in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.errors import AuthoritiesUnusable
from gateway.flow.check_result import UNAVAILABLE, Check
from gateway.mail.probe import Seen, Shown, Target, look
from gateway.mail.wire import tls_context
from gateway.settings import MailboxSettings, SmtpSettings
from gateway.words import count

SOON = 14  # days before its end in which a server's certificate is spoken of: most renew themselves before
_NAMES = {"pop3": "POP3", "imap": "IMAP", "smtp": "SMTP"}
_USUAL = {
    ("pop3", "tls"): 995,
    ("imap", "tls"): 993,
    ("smtp", "tls"): 465,
    ("pop3", "starttls"): 110,
    ("imap", "starttls"): 143,
    ("smtp", "starttls"): 587,
}


def target_of(account: MailboxSettings | SmtpSettings) -> Target:
    """Where an account's host is looked for."""
    protocol = account.protocol if isinstance(account, MailboxSettings) else "smtp"
    return Target(
        host=account.host,
        port=port_of(account),
        protocol=protocol,
        security=account.security,
        ca_file=account.ca_file,
        tls_minimum=account.tls_minimum,
        timeout=min(account.timeout.total_seconds(), 10.0),
    )


def port_of(account: MailboxSettings | SmtpSettings) -> int:
    """The port that we connect to."""
    if isinstance(account, MailboxSettings):
        return account.real_port
    return account.port or {"tls": 465, "starttls": 587, "none": 25}[account.security]


def check_host(name: str, target: Target) -> Iterator[Check]:
    """The host answers, as the settings say it does, with a certificate that is good. Nobody is logged in.

    Args:
        name: of the check, such as ``mailbox orders``.
        target: where to look.
    """
    if target.ca_file:
        try:
            tls_context(target.ca_file)
        except AuthoritiesUnusable as fault:
            said = f"The ca_file {target.ca_file} cannot be used: {fault.details['reason']}."
            yield Check(name, False, said, "Correct ca_file in gateway.toml: certificates in PEM.", code="tls.ca-file")
            return
    seen = look(target)
    if seen.problem:
        code, sentence, advice = _words(target, seen)
        yield Check(name, False, sentence, advice, UNAVAILABLE, code)
        return
    if seen.certificate is not None:
        yield from _ending(name, target, seen.certificate)


def _ending(name: str, target: Target, shown: Shown) -> Iterator[Check]:
    days = (shown.not_after - datetime.now(UTC)).days
    if days <= SOON:
        said = f"The certificate of {target.host} ends on {shown.not_after:%Y-%m-%d}, in {count(days, 'day')}."
        advice = f"Ask who runs {target.host} whether it is renewed in time: after that day no mail moves."
        yield Check(name, None, said, advice, code="tls.ends-soon")


def _words(target: Target, seen: Seen) -> tuple[str, str, str]:
    """Code, sentence and advice."""
    if seen.problem in {"unknown-host", "refused", "silent", "unreachable"}:
        return _unreached(target, seen)
    if seen.problem in {"tls-port", "plain-port", "other-protocol", "no-starttls"}:
        return _port(target, seen)
    return _certificate(target, seen)


def _unreached(target: Target, seen: Seen) -> tuple[str, str, str]:
    host, where = target.host, f"{target.host}, port {target.port}"
    test = "then run `gateway doctor` again"
    if seen.problem == "unknown-host":
        advice = f"Correct host in gateway.toml, or look at the name servers of this machine; {test}."
        return "host.unknown", f"The name {host} is not known ({seen.said}).", advice
    if seen.problem == "refused":
        advice = f"Correct port in gateway.toml, or ask who runs {host} whether the service is up; {test}."
        return "host.refused", f"Nothing listens at {where}: the connection was refused.", advice
    advice = f"Look for a firewall between here and {host}, and at the port in gateway.toml; {test}."
    if seen.problem == "silent":
        return "host.silent", f"{where} does not answer within {target.timeout:g} s.", advice
    return "host.unreachable", f"{where} cannot be reached: {seen.said}.", advice


def _port(target: Target, seen: Seen) -> tuple[str, str, str]:
    host, port, protocol = target.host, target.port, _NAMES[target.protocol]
    if seen.problem == "tls-port":
        said = f'Port {port} of {host} expects TLS from the first byte, but security is "{target.security}".'
        other = _USUAL[target.protocol, "starttls"]
        return "host.tls-port", said, f'Set security = "tls" in gateway.toml; or keep it, with port = {other}.'
    if seen.problem == "plain-port":
        said = f'Port {port} of {host} begins {protocol} without TLS, but security is "tls".'
        other = _USUAL[target.protocol, "tls"]
        return (
            "host.plain-port",
            said,
            f'Set security = "starttls" in gateway.toml; or keep "tls", with port = {other}.',
        )
    if seen.problem == "other-protocol":
        usual = _USUAL[target.protocol, "tls" if target.security == "tls" else "starttls"]
        said = f"Port {port} of {host} speaks {_NAMES[seen.speaks]}, not {protocol}."
        return "host.other-protocol", said, f"Correct port in gateway.toml; {protocol} is usually at {usual}."
    said = f"{host}, port {port}, does not offer to encrypt the connection: {seen.said}"
    other = _USUAL[target.protocol, "tls"]
    return "host.no-starttls", said, f'Try security = "tls" with port = {other}; never send a password there in clear.'


def _certificate(target: Target, seen: Seen) -> tuple[str, str, str]:
    host = target.host
    if seen.certificate is not None and seen.problem in _OF_CERTIFICATE:
        code, sentence, advice = _OF_CERTIFICATE[seen.problem]
        shown = seen.certificate
        said = sentence.format(
            host=host,
            begin=f"{shown.not_before:%Y-%m-%d %H:%M} UTC",
            end=f"{shown.not_after:%Y-%m-%d}",
            names=", ".join(shown.names[:5]) or "nobody",
            issuer=shown.issuer,
        )
        return code, said, advice.format(host=host)
    if seen.problem == "too-old-tls":
        said = f"{host} speaks no TLS {target.tls_minimum} or newer ({seen.said})."
        return "tls.too-old", said, f"Ask who runs {host} for TLS 1.2; tls_minimum allows older, which others can read."
    return "tls.failed", f"TLS with {host} did not work: {seen.said}.", "Look at the host, or ask who runs it."


_CLOCK = "Look at the clock of this machine too."
_ASK = "Ask who runs {host} for a new certificate; nothing is sent there until then."
_TRUST = (
    "If {host} is yours or your provider's own, name its authority with ca_file in gateway.toml; if you did not expect"
    " this, somebody may stand between: send nothing."
)
# What is seen → code, sentence and advice.
_OF_CERTIFICATE = {
    "expired": ("tls.expired", "The certificate of {host} ended on {end}.", f"{_ASK} {_CLOCK}"),
    "not-yet-valid": (
        "tls.not-yet-valid",
        "The certificate of {host} is valid from {begin}, which is yet to come.",
        f"{_CLOCK} {_ASK}",
    ),
    "wrong-host": (
        "tls.wrong-host",
        "The certificate that {host} shows is for {names}, not for {host}.",
        "Write the name of the certificate as host in gateway.toml, if that is the host.",
    ),
    "self-signed": (
        "tls.self-signed",
        "The certificate of {host} is signed by itself: anybody could have made it.",
        _TRUST,
    ),
    "unknown-authority": (
        "tls.unknown-authority",
        "Nobody that we trust signed the certificate of {host} ({issuer}).",
        _TRUST,
    ),
}
