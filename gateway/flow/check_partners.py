"""Checks of who we trade with: profiles, what they claim, and whether their deliveries can work."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gateway.flow.check_result import Check, failed
from gateway.ledger.secrets import Secrets
from gateway.words import count
from partners.directory import overlaps
from partners.model import Delivery, Direction, Identity, Partner, Status

_TRADING = {Status.TESTING, Status.LIVE}


def check_partners(partners: Sequence[Partner]) -> Iterator[Check]:
    """There are partners, and those we trade with can be recognised and reached."""
    trading = [each for each in partners if each.status in _TRADING]
    if not partners:
        yield Check(
            "partners",
            None,
            "There is no trading partner.",
            "Add one with `gateway partner apply FILE`.",
            code="partners.none",
        )
        return
    yield Check("partners", True, f"{count(len(partners), 'partner')}, {len(trading)} of them testing or live.")
    for partner in trading:
        yield from _check_partner(partner)


def _check_partner(partner: Partner) -> Iterator[Check]:
    missing = [
        what
        for what, there in (
            ("address", partner.addresses),
            ("EDI identity", partner.identities),
            ("agreement", partner.agreements),
        )
        if not there
    ]
    if missing:
        advice = "Complete the profile and apply it."
        yield Check(
            f"partner {partner.key}", None, f"It has no {' and no '.join(missing)}.", advice, code="partner.incomplete"
        )


def check_overlaps(partners: Iterable[Partner], ours: Iterable[tuple[str, str]]) -> Iterator[Check]:
    """No address or identity leads to two partners, or to a partner and us."""
    for fault in overlaps(partners, [Identity.of(*each) for each in ours]):
        yield failed("partners", fault)


def check_outbox(partners: Iterable[Partner], outbox: Path) -> Iterator[Check]:
    """Every directory in the outbox is a partner's: in another one files would wait for ever."""
    known = {each.key for each in partners}
    if not outbox.is_dir():
        return
    for place in sorted(outbox.iterdir()):
        if place.is_dir() and not place.name.startswith(".") and place.name not in known:
            advice = "Rename the directory, or apply the partner's profile."
            yield Check(
                "outbox",
                None,
                f"{place} belongs to no partner: what lies there is not sent.",
                advice,
                code="outbox.nobody",
            )


def check_deliveries(partners: Iterable[Partner], home: Path, secrets: Secrets) -> Iterator[Check]:
    """The directories, commands and secrets that agreements deliver with are there."""
    for partner in partners:
        if partner.status not in _TRADING:
            continue
        for agreement in partner.agreements:
            if agreement.direction is Direction.IN:
                name = f"delivery {partner.key}/{agreement.name}"
                yield from _check_delivery(name, agreement.delivery, home, secrets)
                yield from _check_delivery(f"{name} (tests)", agreement.test_delivery, home, secrets)


def _check_delivery(name: str, delivery: Delivery, home: Path, secrets: Secrets) -> Iterator[Check]:
    if delivery.kind == "command" and _program(delivery.target, home) is None:
        yield Check(
            name,
            False,
            f"There is no program for the command {delivery.target}.",
            "Correct the profile.",
            code="delivery.no-program",
        )
    elif delivery.kind == "directory" and delivery.target:
        yield from _check_directory(name, home / Path(delivery.target).expanduser())
    if delivery.secret and secrets.where(delivery.secret) is None:
        advice = f"Store it with `gateway secret set {delivery.secret}`."
        yield Check(name, False, f"There is no secret named {delivery.secret}.", advice, code="secret.missing")


def _check_directory(name: str, place: Path) -> Iterator[Check]:
    """It is there and ours to write to; or can be made, when the first document comes."""
    if place.exists():
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            said = f"{place} is not a directory that we may write to."
            yield Check(name, False, said, "Correct its owner or mode.", code="delivery.not-writable")
        return
    above = next(each for each in place.parents if each.exists())
    if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        said = f"{place} is not there, and cannot be made: {above} is not a directory that we may write to."
        yield Check(name, False, said, f"Make it with `mkdir -p {place}`.", code="delivery.not-writable")


def _program(command: str, home: Path) -> str | None:
    """The program that a command line starts, seen from the home."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words:
        return None
    return shutil.which(home / words[0] if "/" in words[0] else words[0])
