"""What the DNS says of a partner's mail: where it goes (MX), and how its sender can be proven (SPF, DMARC)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.errors import DnsUnavailable

if TYPE_CHECKING:
    from dns.resolver import Resolver

Ask = Callable[[str, str], tuple[str, ...]]  # (name, type) → its records as text, nothing where there are none
TIMEOUT = 3.0  # seconds for one question


class MailDomain(Struct, frozen=True):
    """A domain as the DNS has it. ``hosts`` are its mail exchangers, the preferred first."""

    domain: str
    hosts: tuple[str, ...]
    has_address: bool  # an A or AAAA record, which takes mail where there is no MX (RFC 5321 section 5.1)
    spf: str
    dmarc: str

    @property
    def takes_no_mail(self) -> bool:
        """Whether it says so (RFC 7505), or has nowhere to send mail to."""
        return self.hosts == (".",) or not (self.hosts or self.has_address)


def look_up(domain: str, ask: Ask) -> MailDomain:
    """Asks for a domain's records.

    Raises:
        DnsUnavailable: nobody answers.
    """
    hosts = tuple(host for _, host in sorted(_exchanger(each) for each in ask(domain, "MX")))
    has_address = bool(hosts) or bool(ask(domain, "A") or ask(domain, "AAAA"))
    spf = next((each for each in ask(domain, "TXT") if each.lower().startswith("v=spf1")), "")
    dmarc = next((each for each in ask(f"_dmarc.{domain}", "TXT") if each.lower().startswith("v=dmarc1")), "")
    return MailDomain(domain, hosts, has_address, spf, dmarc)


def _exchanger(record: str) -> tuple[int, str]:
    preference, _, host = record.partition(" ")
    return (int(preference) if preference.isdigit() else 0), host.rstrip(".") or "."


def resolver(timeout: float = TIMEOUT, chosen: Resolver | None = None) -> Ask:
    """Asks this machine's name servers, each question for at most ``timeout`` seconds."""
    silent: list[str] = []

    def ask(name: str, kind: str) -> tuple[str, ...]:
        import dns.exception  # noqa: PLC0415 - a fifth of a second that only who asks should pay
        import dns.resolver  # noqa: PLC0415

        if silent:
            raise DnsUnavailable(name=name, reason=silent[0])
        try:
            asked = chosen or dns.resolver.get_default_resolver()
            answer = asked.resolve(name, kind, lifetime=timeout, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.Timeout:
            silent.append(f"no name server answered within {timeout:g} s")
        except (dns.exception.DNSException, OSError) as problem:
            silent.append(str(problem)[:200] or type(problem).__name__)
        else:
            return tuple(_text(each, kind) for each in answer)
        raise DnsUnavailable(name=name, reason=silent[0])

    return ask


def _text(record: object, kind: str) -> str:
    if kind == "TXT":
        strings: tuple[bytes, ...] = record.strings  # type: ignore[attr-defined] # dnspython's records have no common type
        return b"".join(strings).decode("latin-1")
    return str(record)
