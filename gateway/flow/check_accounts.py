"""Checks of our accounts and our mail domain: read twice, no login where one is wanted, nobody takes its mail."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from gateway.errors import DnsUnavailable
from gateway.flow.check_host import port_of
from gateway.flow.check_mail import is_loopback
from gateway.flow.check_result import UNAVAILABLE, Check
from gateway.settings import Settings, SmtpSettings
from partners.model import Direction, Partner, Status

_SUBMISSION = 587
_RESERVED = (".example", ".test", ".invalid", ".localhost", ".local")  # RFC 2606, RFC 6762
_RESERVED_DOMAINS = {"example.com", "example.net", "example.org", "localhost"}
_HOOK_TIMEOUT = 5.0  # seconds


class Records(Protocol):
    """Asks the DNS about a mail domain."""

    def mail_exchangers(self, domain: str) -> Sequence[str]:
        """The hosts that take its mail."""
        ...

    def spf(self, domain: str) -> Sequence[str]:
        """Its SPF records."""
        ...


def check_accounts(settings: Settings) -> Iterator[Check]:
    """No account is read twice, and the host that we send through is used as it wants to be."""
    names: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for box in settings.mailboxes:
        where = (box.path, "", "") if box.protocol == "maildir" else (box.host.lower(), box.user.lower(), box.folder)
        names[where].append(box.name)
    for several in names.values():
        if len(several) > 1:
            said = f"{' and '.join(several)} read the same account: each finds mails that the other took."
            yield Check("mailboxes", None, said, "Leave one of them in gateway.toml.", code="mailbox.twice")
    if settings.smtp is not None:
        yield from _sending(settings.smtp)


def _sending(smtp: SmtpSettings) -> Iterator[Check]:
    local = is_loopback(smtp.host)
    if port_of(smtp) == _SUBMISSION and not smtp.user and not local:
        said = f"We do not log in at {smtp.host}, but port {_SUBMISSION} is for those who do (RFC 6409)."
        advice = "Set user in [smtp] and store its password with `gateway secret set smtp`; or use port = 25."
        yield Check("smtp", None, said, advice, code="smtp.no-login")
    if _is_reserved(_domain(smtp)) and not local:
        said = f"We send as {smtp.sender}, but {_domain(smtp)} is a name for examples: nobody can answer."
        yield Check("smtp", None, said, "Set sender in [smtp] to your own address.", code="smtp.placeholder-sender")


def check_own_domain(smtp: SmtpSettings | None, records: Records) -> Iterator[Check]:
    """Mail to our sender's domain finds a host, and the domain says who may send for it."""
    domain = _domain(smtp) if smtp is not None else ""
    if not domain or _is_reserved(domain):
        return
    try:
        if not records.mail_exchangers(domain):
            said = f"No host takes mail for {domain} (no MX record): acknowledgments and bounces cannot reach us."
            yield Check(
                "dns", None, said, f"Add an MX record to {domain}, or correct sender in [smtp].", code="dns.no-mx"
            )
        policies = records.spf(domain)
    except DnsUnavailable as fault:
        yield Check("dns", None, str(fault), "MX and SPF were not checked; look at the name servers.", code=fault.code)
        return
    if len(policies) != 1:
        found = "no SPF record" if not policies else f"{len(policies)} SPF records, which counts as none"
        said = f"{domain} has {found}: partners may take our mail for forged."
        advice = f'Publish one, such as "v=spf1 mx -all", that names who sends for {domain}.'
        yield Check("dns", None, said, advice, code="dns.no-spf")


def check_hooks(partners: Sequence[Partner], settings: Settings) -> Iterator[Check]:
    """Something listens where documents are posted to and where alerts go. Nothing is posted."""
    urls = {f"alert {each.name}": each.webhook for each in settings.alerts if each.webhook}
    for partner in partners:
        if partner.status in {Status.TESTING, Status.LIVE}:
            urls |= {
                f"delivery {partner.key}/{each.name}": each.delivery.target
                for each in partner.agreements
                if each.direction is Direction.IN and each.delivery.kind == "http"
            }
    for name, url in urls.items():
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), _HOOK_TIMEOUT).close()
        except (OSError, UnicodeError) as problem:
            said = f"{parts.hostname}, port {port}, cannot be reached: {getattr(problem, 'strerror', None) or problem}."
            advice = "Correct the address, or start what should listen there; it is tried again by itself."
            yield Check(name, False, said, advice, UNAVAILABLE, "hook.unreachable")


def _domain(smtp: SmtpSettings) -> str:
    return smtp.sender.rpartition("@")[2].lower()


def _is_reserved(domain: str) -> bool:
    return domain.endswith(_RESERVED) or any(
        domain == each or domain.endswith(f".{each}") for each in _RESERVED_DOMAINS
    )
