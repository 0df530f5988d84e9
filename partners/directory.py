"""Who is behind an address or an identity: a snapshot of all partners, each question one look into a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.errors import ConfigurationFault, ProfileOverlap, UnknownPartner
from partners.model import Identity, Partner, Status


class Directory:
    """Partners by key, address and identity, and who we are.

    Partners of any status are found; the caller decides what a status allows. Where an ended partner and
    another share an address or identity, the other one is found.
    """

    def __init__(self, partners: Iterable[Partner], our_identities: Iterable[Identity]) -> None:
        self._partners = {each.key: each for each in partners}
        self._ours = tuple(our_identities)
        self._addresses: dict[str, Partner] = {}
        self._identities: dict[Identity, Partner] = {}
        for partner in sorted(self._partners.values(), key=lambda each: each.status is Status.ENDED):
            for address in partner.addresses:
                self._addresses.setdefault(address.lower(), partner)
            for identity in partner.identities:
                self._identities.setdefault(identity, partner)

    def by_address(self, address: str) -> Partner | None:
        """The partner with that whole address; capitals make no difference."""
        return self._addresses.get(address.strip().lower())

    def by_identity(self, identity: Identity) -> Partner | None:
        """The partner with that identity."""
        return self._identities.get(identity)

    def is_ours(self, identity: Identity) -> bool:
        """Whether the identity is one of our own."""
        return identity in self._ours

    @property
    def our_identities(self) -> tuple[Identity, ...]:
        """Our identities in the order of gateway.toml."""
        return self._ours

    @property
    def our_default(self) -> Identity:
        """Our first identity.

        Raises:
            ConfigurationFault: when we have none.
        """
        if not self._ours:
            raise ConfigurationFault(reason="gateway.toml names no EDI identity of ours (identities)")
        return self._ours[0]

    def get(self, key: str) -> Partner:
        """The partner with that key.

        Raises:
            UnknownPartner: when there is none.
        """
        if key not in self._partners:
            raise UnknownPartner(partner=key)
        return self._partners[key]

    def __contains__(self, key: object) -> bool:
        return key in self._partners

    def __iter__(self) -> Iterator[Partner]:
        return iter(self._partners.values())

    def __len__(self) -> int:
        return len(self._partners)


def overlaps(
    partners: Iterable[Partner], our_identities: Iterable[Identity] = (), names: Mapping[str, str] | None = None
) -> list[ProfileOverlap]:
    """What two partners claim both, or a partner and we: not raised, for the caller to raise or to tell.

    Ended partners claim nothing. ``names`` may say where a partner's profile comes from, by key.
    """
    found: list[ProfileOverlap] = []
    claimed: dict[str, str] = {f"The identity {each}": "our own settings" for each in our_identities}
    for partner in partners:
        if partner.status is Status.ENDED:
            continue
        who = (names or {}).get(partner.key, partner.key)
        for claim in _claims(partner):
            first = claimed.setdefault(claim, who)
            if first != who:
                found.append(ProfileOverlap(what=claim, first=first, second=who))
    return found


def _claims(partner: Partner) -> Iterator[str]:
    for address in partner.addresses:
        yield f"The address {address.lower()}"
    for identity in partner.identities:
        yield f"The identity {identity}"
