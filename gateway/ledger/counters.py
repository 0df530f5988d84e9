"""Our own control numbers: where each count stands, and how it is put elsewhere."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, func, select

from gateway.ledger import archive
from gateway.ledger.tables import control_number
from gateway.values import asdict

LEVELS = ("interchange", "group")  # in the order in which they are locked, everywhere


class Counter(Struct, frozen=True):
    """The count of one identity pair and level (interchange: ISA13; group: GS06); ``next`` is the number it gives."""

    partner: str
    ours: str  # qualifier:id
    theirs: str
    level: str
    next: int

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)


def counters(connection: Connection, partner: str = "") -> list[Counter]:
    """Every count that was begun, of all partners or of one."""
    table = control_number
    columns = (table.c.partner, table.c.ours, table.c.theirs, table.c.level, table.c.next)
    wanted = select(*columns).order_by(table.c.partner, table.c.ours, table.c.theirs, table.c.level.desc())
    if partner:
        wanted = wanted.where(table.c.partner == partner)
    return [Counter(*row) for row in connection.execute(wanted)]


def beginning(connection: Connection, ours: str, theirs: str, level: str) -> int:
    """The first number of a count that is not begun: 1, or where the same pair stands under another partner's key.

    A profile that got a new key still speaks of the same partner, who knows the numbers of the identity pair.
    """
    table = control_number
    same = (table.c.ours == ours, table.c.theirs == theirs, table.c.level == level)
    return connection.execute(select(func.max(table.c.next)).where(*same)).scalar() or 1


def locked(connection: Connection, partner: str, ours: str, theirs: str) -> dict[str, Counter]:
    """Both counts of a pair by level, begun if there are none yet; they are ours until the transaction ends.

    Also where only one is to be set: were a group's count begun alone, who takes numbers would lock it first.
    """
    table = control_number
    found: dict[str, Counter] = {}
    for level in LEVELS:
        key = {"partner": partner, "ours": ours, "theirs": theirs, "level": level}
        first = {"next": beginning(connection, ours, theirs, level)}
        connection.execute(archive.insert(connection, table).on_conflict_do_nothing(), key | first)
        wanted = select(table.c.next).where(*(table.c[name] == value for name, value in key.items()))
        found[level] = Counter(**key, next=connection.execute(wanted.with_for_update()).scalar_one())
    return found


def put(connection: Connection, counter: Counter) -> None:
    """Sets a count that is locked."""
    table = control_number
    connection.execute(
        table.update()
        .where(
            table.c.partner == counter.partner,
            table.c.ours == counter.ours,
            table.c.theirs == counter.theirs,
            table.c.level == counter.level,
        )
        .values(next=counter.next)
    )
