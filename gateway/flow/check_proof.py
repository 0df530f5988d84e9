"""Checks of how senders are proven: what the profiles ask for, and whether this home can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.flow.check_result import Check
from gateway.settings.model import ProofSettings
from partners.model import Evidence, Partner, Status

_TRADING = {Status.TESTING, Status.LIVE}


def check_proof(partners: Sequence[Partner], settings: ProofSettings) -> Iterator[Check]:
    """Nobody is asked for proof that this home cannot see; who is trusted by their address alone is named."""
    trading = [each for each in partners if each.status in _TRADING]
    by_address = [each.key for each in trading if each.evidence is Evidence.ADDRESS]
    if by_address:
        advice = (
            "Anybody can write an address. Set evidence to mx, dkim or signed in the profile (docs/who-sent-it.md)."
        )
        yield Check(
            "proof", None, f"Known by their address alone: {_some(by_address)}.", advice, code="proof.address-only"
        )
    by_mx = [each.key for each in trading if each.evidence is Evidence.MX]
    if by_mx and not settings.authserv_ids and not settings.unnamed:
        advice = "Name it in gateway.toml: [proof] authserv_ids. Until then only DKIM signatures prove these partners."
        yield Check(
            "proof",
            False,
            f"The mail exchanger whose word proves {_some(by_mx)} is not named.",
            advice,
            code="proof.no-exchanger",
        )
    by_dkim = [each.key for each in trading if each.evidence is Evidence.DKIM]
    if by_dkim and settings.dkim == "never":
        advice = 'Take proof.dkim = "never" out of gateway.toml, or lower the evidence in the profiles.'
        yield Check(
            "proof", False, f"DKIM is to prove {_some(by_dkim)}, but is never verified.", advice, code="proof.no-dkim"
        )
    if settings.unnamed:
        advice = "Right for Microsoft 365 alone, which takes out what others wrote; elsewhere name your mail exchanger."
        yield Check(
            "proof", None, "Statements on senders count that name nobody (proof.unnamed).", advice, code="proof.unnamed"
        )


def check_dns(partners: Sequence[Partner], txt: Callable[[str], bytes | None]) -> Iterator[Check]:
    """Where DKIM is to prove partners, the DNS answers for their domains.

    Raises:
        DnsUnavailable: it does not.
    """
    wanting = [each for each in partners if each.status in _TRADING and each.evidence is Evidence.DKIM]
    domains = sorted({address.rpartition("@")[2].lower() for each in wanting for address in each.addresses})
    for domain in domains[:20]:
        txt(f"_domainkey.{domain}")  # whether there is such a name does not matter
    if domains:
        yield Check("dns", True, f"It answers for {_some(domains)}.")


def _some(names: Sequence[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
