"""What the DNS says of a mail domain: who takes its mail (MX, RFC 5321 section 5.1) and who may send for it (SPF)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.errors import DnsUnavailable

if TYPE_CHECKING:
    from dns.resolver import Resolver


class DomainRecords:
    """Asks this machine's name servers.

    Args:
        timeout: seconds that one question may take.
        resolver: who is asked; None for the machine's own.
    """

    def __init__(self, timeout: float, resolver: Resolver | None = None) -> None:
        self._timeout = timeout
        self._resolver = resolver

    def mail_exchangers(self, domain: str) -> list[str]:
        """The hosts that take mail for a domain, the preferred first; empty where there are none, or a null MX.

        Raises:
            DnsUnavailable: the name servers do not answer.
        """
        found = sorted((each.preference, str(each.exchange).rstrip(".")) for each in self._answers(domain, "MX"))
        return [host for _, host in found if host]

    def spf(self, domain: str) -> list[str]:
        """The SPF records of a domain (RFC 7208 section 4.5): one where all is well.

        Raises:
            DnsUnavailable: the name servers do not answer.
        """
        texts = [b"".join(each.strings).decode("ascii", "replace") for each in self._answers(domain, "TXT")]
        return [each for each in texts if each.lower() == "v=spf1" or each.lower().startswith("v=spf1 ")]

    def _answers(self, domain: str, kind: str) -> list[Any]:
        import dns.exception  # noqa: PLC0415 - a fifth of a second that only who asks should pay
        import dns.resolver  # noqa: PLC0415

        try:
            resolver = self._resolver or dns.resolver.get_default_resolver()
            return list(resolver.resolve(domain, kind, lifetime=self._timeout, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.Timeout:
            raise DnsUnavailable(name=domain, reason=f"no answer within {self._timeout:g} s") from None
        except (dns.exception.DNSException, OSError) as problem:
            raise DnsUnavailable(name=domain, reason=str(problem)[:200] or type(problem).__name__) from problem
