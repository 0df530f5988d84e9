"""Pauses after failed sign-ins: each failure of a name, or from an address, makes the next wait longer.

They lie in the database, so that a restart forgives nothing. An attempt is counted before its password is looked at,
and forgiven when it was right: many at the same moment gain nothing. Nobody is locked out for good.
"""

from __future__ import annotations

import hashlib
import ipaddress

from msgspec import Struct
from sqlalchemy import Connection, delete, func, select, update

from gateway.ledger import archive
from gateway.ledger.user_tables import sign_in_pause

_LOCK = 7_306_010  # PostgreSQL advisory lock: one attempt is counted at a time
_FORGOTTEN = 12 * 3_600_000  # ms after the last failure


class Patience(Struct, frozen=True):
    """So many failures are free; then each doubles the pause, from ``first`` to ``longest`` (ms)."""

    free: int
    first: int
    longest: int

    def pause(self, failures: int) -> int:
        """The pause after so many failures in a row (ms)."""
        over = failures - self.free
        return 0 if over <= 0 else min(self.first * 2 ** min(over - 1, 30), self.longest)


# A name's pause stays short, because anybody can fail in another's name; an address fails for many at once.
NAME = Patience(free=4, first=2_000, longest=300_000)
ADDRESS = Patience(free=15, first=2_000, longest=3_600_000)

Subjects = dict[str, Patience]


def subjects_of(name: str, address: str) -> Subjects:
    """What an attempt is counted for. The name is hashed: people type passwords into the wrong field."""
    return {
        f"name:{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:32]}": NAME,
        f"address:{network(address)}": ADDRESS,
    }


def network(address: str) -> str:
    """An address as it is counted: of IPv6 the network of 64 bits, because one customer has all of it."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def count(connection: Connection, subjects: Subjects, now: int) -> int:
    """Counts one attempt for all of them; or says how long to wait (ms), and counts nothing."""
    table = sign_in_pause.c
    if connection.dialect.name == "postgresql":
        # One after the other: of a name that has no row yet there is nothing to lock.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    rows = connection.execute(select(sign_in_pause).where(table.subject.in_(subjects)).with_for_update()).all()
    known = {row.subject: row for row in rows if row.last_at > now - _FORGOTTEN}
    # A clock that was set back must not lock anybody out for longer than the longest pause.
    waits = [min(int(row.until) - now, subjects[row.subject].longest) for row in known.values()]
    if waits and max(waits) > 0:
        return max(waits)
    connection.execute(delete(sign_in_pause).where(table.last_at <= now - _FORGOTTEN))
    for subject, patience in subjects.items():
        failures = (known[subject].failures if subject in known else 0) + 1
        values = {"failures": failures, "last_at": now, "until": now + patience.pause(failures)}
        offer = archive.insert(connection, sign_in_pause).values(subject=subject, **values)
        connection.execute(offer.on_conflict_do_update(index_elements=["subject"], set_=values))
    return 0


def forgive(connection: Connection, subjects: Subjects) -> None:
    """The attempt was right: the name begins anew; of the address this one does not count."""
    table = sign_in_pause.c
    for subject in subjects:
        if subject.startswith("name:"):
            connection.execute(delete(sign_in_pause).where(table.subject == subject))
        else:
            less = update(sign_in_pause).where(table.subject == subject, table.failures > 0)
            connection.execute(less.values(failures=table.failures - 1, until=table.last_at))
