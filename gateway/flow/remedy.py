"""Remedy: what most probably mends what lies in quarantine: at whom, in which part of a profile, with which value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from partners.directory import Directory
from partners.model import Identity, Partner

# Parts that a remedy is at.
ADDRESS, IDENTITY, AGREEMENT, CERTIFICATE, STATUS = "address", "identity", "agreement", "certificate", "status"
EVIDENCE, NEW, ACCEPT, SETTINGS = "evidence", "new", "accept", "settings"
_ASK = "If they confirm it by telephone, add it to the profile and release this; else discard it: it may be forged."


class Remedy(Struct, frozen=True):
    """What mends it. ``part`` is one of the words above; ``partner`` a key, or "" where none is meant.

    ``value`` is what the profile lacks: an address, an identity, a transaction set.
    """

    sentence: str
    part: str
    partner: str = ""
    value: str = ""


class Held(Struct, frozen=True):
    """What lies in quarantine, as far as that tells its remedy. ``sender`` is the identity of its interchange."""

    code: str
    details: Mapping[str, Any]
    partner: str
    from_address: str
    sender: str = ""


def remedy(held: Held, directory: Directory) -> Remedy | None:
    """The most probable remedy; None where only the advice of the fault helps."""
    found = _BY_CODE.get(held.code)
    return found(held, directory) if found is not None else None


def _address(held: Held, directory: Directory) -> Remedy:
    address = str(held.details.get("address", held.from_address))
    owner = _by_identity(held.sender, directory) or _by_domain(address, directory)
    if owner is None:
        return Remedy(f"If {address} is a new partner's, make a profile of it; else discard it.", NEW, "", address)
    why = f"it names {held.sender}" if _by_identity(held.sender, directory) else "others of its domain are theirs"
    said = f"{address} claims to speak for {owner.name} ({why}). {_ASK}"
    return Remedy(said, ADDRESS, owner.key, address)


def _identity(held: Held, directory: Directory) -> Remedy | None:
    key, identity = _partner(held, directory), str(held.details.get("identity", held.sender))
    if key is None:
        return None
    said = f"If {identity} is {directory.get(key).name}'s, add it to the profile's identities and release this."
    return Remedy(said, IDENTITY, key, identity)


def _agreement(held: Held, directory: Directory) -> Remedy | None:
    key = _partner(held, directory)
    if key is None:
        return None
    wanted = f"{held.details.get('set', '')} {held.details.get('version', '')}".strip()
    said = f"Add {wanted or 'the transaction set'} to an agreement of {directory.get(key).name} and release this."
    return Remedy(said, AGREEMENT, key, wanted)


def _status(held: Held, directory: Directory) -> Remedy | None:
    key = _partner(held, directory)
    if key is None:
        return None
    one = directory.get(key)
    return Remedy(f"{one.name} is {one.status}: when it goes live, release this.", STATUS, key)


def _certificate(held: Held, directory: Directory) -> Remedy | None:
    key = _partner(held, directory) or _of_address(held.from_address, directory)
    if key is None:
        return None
    said = f"Compare the certificate of {directory.get(key).name} by another way than mail, trust it, and release this."
    return Remedy(said, CERTIFICATE, key)


def _evidence(held: Held, directory: Directory) -> Remedy | None:
    key = _partner(held, directory) or _of_address(held.from_address, directory)
    if key is None:
        return None
    said = f"If it is {directory.get(key).name}'s, let them sign their mail; or lower the profile's evidence knowingly."
    return Remedy(said, EVIDENCE, key)


def _accept(held: Held, directory: Directory) -> Remedy:
    del directory
    whose = held.partner or "the partner"
    return Remedy(f"Ask {whose} whether the document is meant: then accept it, or discard it.", ACCEPT, held.partner)


def _settings(held: Held, directory: Directory) -> Remedy:
    del directory
    identity = str(held.details.get("identity", ""))
    said = f"If {identity} is ours, add it to identities in gateway.toml and release this; else tell the partner."
    return Remedy(said, SETTINGS, "", identity)


_BY_CODE = {
    "sender.unknown": _address,
    "sender.unproven": _evidence,
    "identity.unknown": _identity,
    "receiver.not-us": _settings,
    "partner.not-active": _status,
    "usage.production-while-testing": _status,
    "agreement.unexpected-type": _agreement,
    "usage.mismatch": _agreement,
    "interchange.duplicate-number": _accept,
    "document.repeated": _accept,
    "signature.signer-unknown": _certificate,
    "signature.signer-refused": _certificate,
    "security.insufficient": _evidence,
}


# ---------------------------------------------------------------- whose it is


def _partner(held: Held, directory: Directory) -> str | None:
    """The partner that the fault or its mail names, where there still is one."""
    named = str(held.details.get("partner", "")) or held.partner
    return named if named in directory else _of_address(held.from_address, directory)


def _of_address(address: str, directory: Directory) -> str | None:
    found = directory.by_address(address) if address else None
    return found.key if found is not None else None


def _by_identity(written: str, directory: Directory) -> Partner | None:
    qualifier, colon, id_ = written.partition(":")
    return directory.by_identity(Identity.of(qualifier, id_)) if colon and qualifier and id_ else None


def _by_domain(address: str, directory: Directory) -> Partner | None:
    domain = address.rpartition("@")[2].strip().lower()
    if not domain:
        return None
    return next((each for each in directory if any(_in(domain, other) for other in each.addresses)), None)


def _in(domain: str, address: str) -> bool:
    return address.rpartition("@")[2].lower() == domain
