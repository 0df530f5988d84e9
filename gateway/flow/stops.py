"""Stops: which partners get nothing now, or nothing in earnest, as their profiles say."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.ledger.stops import Stops, kept_back
from partners.model import Partner, Status


def stops_of(partners: Iterable[Partner]) -> Stops:
    """To whom not everything goes. ``partners``: all profiles as they are now.

    A partnership may be set back while mails wait; their bytes, and so ISA15, never change.
    """
    found: dict[Status, set[str]] = {Status.DRAFT: set(), Status.TESTING: set()}
    everything: set[str] = set()
    for each in partners:
        (everything if each.status.stopped else found.get(each.status, set())).add(each.key)
    return Stops(frozenset(everything), frozenset(found[Status.DRAFT]), frozenset(found[Status.TESTING]))


def waiting_while(connection: Connection, partner: Partner, status: Status) -> int:
    """How many mails wait for a partner and do not go while it has that status."""
    return kept_back(connection, stops_of([replace(partner, status=status)])).get(partner.key, 0)
