"""TXT records of the DNS, for DKIM's keys: asked once a batch, bounded in time, and told apart from "not now"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import DnsUnavailable

if TYPE_CHECKING:
    from dns.resolver import Resolver

_NAMES = 500  # of one domain in one batch: a stranger can name any selector, and each would cost a question
_TRIES = 2  # without an answer; then the domain is left alone until the next batch


class DnsTxtRecords:
    """Asks this machine's name servers. Made for one batch: what was answered is not asked again.

    A domain whose servers do not answer is not asked again either, so that a thousand mails do not wait a thousand
    times.
    """

    def __init__(self, timeout: float, resolver: Resolver | None = None) -> None:
        self._timeout = timeout
        self._resolver = resolver
        self._known: dict[str, bytes | None] = {}
        self._asked: dict[str, int] = {}
        self._failed: dict[str, int] = {}

    def __call__(self, name: str) -> bytes | None:
        """The record of a name, its strings joined (RFC 6376 section 3.6.2.2); None where there is none, or several.

        Raises:
            DnsUnavailable: the name servers did not answer in time, or not at all.
        """
        name = name.rstrip(".").lower()
        if name in self._known:
            return self._known[name]
        domain = name.partition("._domainkey.")[2] or name
        self._asked[domain] = self._asked.get(domain, 0) + 1
        if self._asked[domain] > _NAMES:
            raise DnsUnavailable(name=name, reason=f"over {_NAMES} names of {domain} were asked for in one batch")
        if self._failed.get(domain, 0) >= _TRIES:
            raise DnsUnavailable(name=name, reason=f"the name servers of {domain} did not answer before")
        try:
            self._known[name] = self._asked_for(name)
        except DnsUnavailable:
            self._failed[domain] = self._failed.get(domain, 0) + 1
            raise
        return self._known[name]

    def _asked_for(self, name: str) -> bytes | None:
        import dns.exception  # noqa: PLC0415 - a fifth of a second that only who asks should pay
        import dns.resolver  # noqa: PLC0415

        try:
            resolver = self._resolver or dns.resolver.get_default_resolver()
            answer = resolver.resolve(name, "TXT", lifetime=self._timeout, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except dns.exception.Timeout:
            raise DnsUnavailable(name=name, reason=f"no answer within {self._timeout:g} s") from None
        except (dns.exception.DNSException, OSError) as problem:
            raise DnsUnavailable(name=name, reason=str(problem)[:200] or type(problem).__name__) from problem
        records = [b"".join(record.strings) for record in answer]
        return records[0] if len(records) == 1 else None


def no_dns(name: str) -> bytes | None:
    """Answers nothing: for a gateway, or a test, without DNS.

    Raises:
        DnsUnavailable: always.
    """
    raise DnsUnavailable(name=name, reason="this gateway asks no DNS")
