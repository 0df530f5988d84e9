"""Learning: what a first mail, or a directory of old interchanges, tells of a partner. Pure: values in, proposals out.

Whoever reads files or mails makes ``SeenInterchange`` and ``SeenMail`` of them. Each proposal is a profile in TOML in
which every line says from what it was inferred, and ``CHECK:`` marks what a person has to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from gateway.values import asdict
from partners.learning_habits import LastNumbers, last_numbers
from partners.model import Identity, Separators

PLACEHOLDER_DOMAIN = "address-unknown.invalid"  # RFC 2606: no mail can ever come from there
_KEY = 40  # characters of a key that is made up
_HOSTS = frozenset({"com", "net", "org", "edu", "gov", "example", "co", "ac"})
_MANY_CUSTOMERS = frozenset(
    {
        "gmail",
        "googlemail",
        "outlook",
        "hotmail",
        "yahoo",
        "gmx",
        "web",
        "icloud",
        "aol",
        "live",
        "proton",
        "protonmail",
    }
)


class SeenGroup(Struct, frozen=True):
    """A functional group as it was seen. ``acknowledged`` are the sets that its 997 or 999 speak of (AK201)."""

    functional_id: str
    sender: str
    receiver: str
    control_number: str
    version: str
    sets: tuple[str, ...]
    acknowledged: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()  # the groups that they speak of (AK102)

    @property
    def acknowledges(self) -> bool:
        """Whether it carries 997 or 999."""
        return self.functional_id == "FA"


class SeenInterchange(Struct, frozen=True):
    """An interchange as it was seen. ``source`` names it for people; ``at`` sorts by its own date and time."""

    source: str
    sender: Identity
    receiver: Identity
    control_number: str
    at: str  # YYYYMMDDHHMM, from ISA09 and ISA10
    version: str
    usage: str
    asks_ta1: bool
    separators: Separators
    groups: tuple[SeenGroup, ...] = ()
    ta1s: int = 0  # TA1 segments in it
    address: str = ""  # From of the mail that it came in


class SeenMail(Struct, frozen=True):
    """A mail as it was seen: who claims to have sent it, and the certificates (fingerprints) that signed it."""

    source: str
    address: str
    name: str = ""  # the display name in From
    signed_by: tuple[str, ...] = ()
    encrypted: bool = False


class Proposal(Struct, frozen=True):
    """A profile that a person may take: its text, and what is to be looked at before.

    ``known_as`` is the key of a partner who has one of the identities or addresses already.
    """

    key: str
    name: str
    text: str
    addresses: tuple[str, ...]
    identities: tuple[Identity, ...]
    came: int  # interchanges from the partner
    went: int  # from us to it
    checks: tuple[str, ...]
    numbers: tuple[LastNumbers, ...]
    certificates: tuple[str, ...] = ()
    known_as: str = ""

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        found = asdict(self)
        found["identities"] = [str(each) for each in self.identities]
        found["numbers"] = [each.as_dict() for each in self.numbers]
        return found


class Traffic(Struct, frozen=True):
    """Everything that was seen of one partner."""

    identities: tuple[Identity, ...]
    came: tuple[SeenInterchange, ...]
    went: tuple[SeenInterchange, ...]
    mails: tuple[SeenMail, ...] = ()


class Known(Struct, frozen=True):
    """What is settled already: our identities, and who has which identity or address (partner keys).

    ``unsaid`` are those of ``ours`` that gateway.toml does not name.
    """

    ours: tuple[Identity, ...]
    owners: Mapping[str, str] = field(default_factory=dict)  # "ZZ:ACME" or an address in lower case → key
    keys: frozenset[str] = frozenset()
    unsaid: frozenset[Identity] = frozenset()


def learn(
    interchanges: Iterable[SeenInterchange],
    mails: Iterable[SeenMail],
    known: Known,
    *,
    key: str = "",
    address: str = "",
) -> tuple[tuple[Proposal, ...], tuple[str, ...]]:
    """A proposal for each partner that was seen, and sentences about what belongs to none.

    Args:
        interchanges: in any order.
        mails: the mails that they came in, where they came in mails.
        known: us, and the partners there are.
        key: what to call the partner, where only one was seen.
        address: where its mail comes from, where no mail tells.
    """
    from partners.learning_profile import propose  # noqa: PLC0415 - it needs the values of this module

    parted = part(interchanges, tuple(mails), known.ours)
    taken = set(known.keys)
    found = []
    for traffic in parted.partners:
        proposal = propose(traffic, known, taken, key=key, address=address)
        taken.add(proposal.key)
        found.append(proposal)
    return tuple(found), parted.odd


class Parted(Struct, frozen=True):
    """What was seen, parted by partner; ``odd`` says what belongs to none."""

    partners: tuple[Traffic, ...]
    odd: tuple[str, ...]


def part(interchanges: Iterable[SeenInterchange], mails: Sequence[SeenMail], ours: Sequence[Identity]) -> Parted:
    """Parts interchanges by partner: by identity, and identities that share an address are one partner.

    Where neither side is one of our identities, an interchange that came by mail, or that stands alone, is taken as
    one for us: a first message often names us in a way that we do not know yet.
    """
    every = sorted(_once(interchanges), key=lambda each: (each.at, each.control_number))
    directions = {id(each): _direction(each, ours, alone=len(every) == 1) for each in every}
    joined = _Joined()
    for each in every:
        if directions[id(each)] == "in":
            joined.join(str(each.sender), each.address.lower())
        elif directions[id(each)] == "out":
            joined.join(str(each.receiver), "")
    groups: dict[str, list[SeenInterchange]] = {}
    for each in every:
        if directions[id(each)]:
            theirs = each.sender if directions[id(each)] == "in" else each.receiver
            groups.setdefault(joined.root(str(theirs)), []).append(each)
    odd = [f"{each.source}: {_odd(each, ours)}" for each in every if not directions[id(each)]]
    return Parted(tuple(_traffic(seen, directions, mails) for seen in groups.values()), tuple(odd))


def _once(interchanges: Iterable[SeenInterchange]) -> Iterable[SeenInterchange]:
    """Each interchange once, though it lies there as a file and in a mail; the one from the mail tells more."""
    found: dict[tuple[object, ...], SeenInterchange] = {}
    for each in interchanges:
        name = (each.sender, each.receiver, each.control_number, each.at, each.usage)
        if name not in found or (each.address and not found[name].address):
            found[name] = each
    return found.values()


def _direction(each: SeenInterchange, ours: Sequence[Identity], *, alone: bool) -> str:
    """in, out, or nothing where it cannot be told or is ours alone."""
    from_us, to_us = each.sender in ours, each.receiver in ours
    if from_us or to_us:
        return "" if from_us and to_us else "out" if from_us else "in"
    return "in" if each.address or alone else ""


def _odd(each: SeenInterchange, ours: Sequence[Identity]) -> str:
    if each.sender in ours:
        return f"interchange {each.control_number} goes from us to us ({each.sender} to {each.receiver})"
    return (
        f"interchange {each.control_number} goes from {each.sender} to {each.receiver}; neither is one of our "
        "identities (gateway.toml, or --ours)"
    )


def _traffic(seen: Sequence[SeenInterchange], directions: Mapping[int, str], mails: Sequence[SeenMail]) -> Traffic:
    came = tuple(each for each in seen if directions[id(each)] == "in")
    went = tuple(each for each in seen if directions[id(each)] == "out")
    theirs = [each.sender for each in came] + [each.receiver for each in went]
    addresses = {each.address.lower() for each in came if each.address}
    letters = tuple(each for each in mails if each.address.lower() in addresses)
    return Traffic(tuple(dict.fromkeys(theirs)), came, went, letters)


class _Joined:
    """Identities that belong together, because mails of one address named them."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._by_address: dict[str, str] = {}

    def root(self, identity: str) -> str:
        while self._above.setdefault(identity, identity) != identity:
            identity = self._above[identity]
        return identity

    def join(self, identity: str, address: str) -> None:
        root = self.root(identity)
        if address:
            other = self.root(self._by_address.setdefault(address, root))
            self._above[root] = other


def key_for(address: str, identity: Identity, taken: Iterable[str]) -> str:
    """A key that no partner has yet: from the domain of the address, else from the identity."""
    word = company(address.rpartition("@")[2]) if address else ""
    word = (re.sub(r"[^a-z0-9]+", "-", (word or identity.id).lower()).strip("-") or "partner")[:_KEY]
    there = set(taken)
    return next(each for each in _numbered(word) if each not in there)


def name_for(mails: Iterable[SeenMail], identity: Identity) -> tuple[str, SeenMail | None]:
    """The partner's name for people: the display name of a mail, else its id."""
    for each in mails:
        if each.name:
            return each.name, each
    return identity.id, None


def company(domain: str) -> str:
    """``acme`` of ``edi.acme.example``; nothing of a host where everybody has an address."""
    words = [each for each in domain.lower().split(".") if each]
    while len(words) > 1 and (words[-1] in _HOSTS or len(words[-1]) == 2):
        words.pop()
    word = words[-1] if words else ""
    return "" if word in _MANY_CUSTOMERS or domain.endswith(".invalid") else word


def _numbered(word: str) -> Iterator[str]:
    yield word
    number = 1
    while True:
        number += 1
        yield f"{word}-{number}"


__all__ = [
    "PLACEHOLDER_DOMAIN",
    "Known",
    "LastNumbers",
    "Proposal",
    "SeenGroup",
    "SeenInterchange",
    "SeenMail",
    "Traffic",
    "company",
    "key_for",
    "last_numbers",
    "learn",
    "name_for",
    "part",
]
