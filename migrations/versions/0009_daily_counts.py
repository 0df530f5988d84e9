"""Daily counts of the traffic, filled from what is there."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DAY = 86_400_000  # ms
EPOCH = date(1970, 1, 1)
DIMENSIONS = ("partner", "direction", "kind", "usage", "type")
SUMS = ("interchanges", "sets", "bytes")
DAYS = [f"{name[0]}{day:02}" for name in SUMS for day in range(1, 32)]
CLIPPED = "CASE WHEN length({0}) > 60 THEN substr({0}, 1, 59) || '…' ELSE {0} END"
OF = f"SELECT x.at / {DAY}, x.partner, x.direction, x.kind, x.usage, "
WHEN = " WHERE x.at >= :first AND x.at < :after GROUP BY 1, 2, 3, 4, 5, 6"
SETS = " FROM transaction_set s JOIN exchange x ON x.id = s.exchange"
COUNTED = (
    OF + CLIPPED.format("x.types") + ", count(*), 0, sum(x.size) FROM exchange x" + WHEN,
    OF + CLIPPED.format("s.set_id") + ", 0, count(*), 0" + SETS + WHEN,
)


def upgrade() -> None:
    table = op.create_table(
        "daily_count",
        sa.Column("month", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in DIMENSIONS),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in SUMS),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in DAYS),
        sa.PrimaryKeyConstraint("month", *DIMENSIONS, name="pk_daily_count"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    first, last = connection.execute(sa.text("SELECT min(at), max(at) FROM exchange")).one()
    if first is None:
        return
    start = _date(first // DAY).replace(day=1)
    while (start - EPOCH).days <= last // DAY:
        after = (start + timedelta(days=31)).replace(day=1)
        rows = _month(connection, start, after)
        if rows:
            connection.execute(table.insert(), rows)
        start = after


def _month(connection: sa.Connection, start: date, after: date) -> list[dict[str, Any]]:
    """The rows of one month."""
    blank = dict.fromkeys(SUMS, 0) | dict.fromkeys(DAYS)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    span = {"first": (start - EPOCH).days * DAY, "after": (after - EPOCH).days * DAY}
    month = {"month": start.year * 12 + start.month - 1}
    for statement in COUNTED:
        for row in connection.execute(sa.text(statement), span):
            for key in (tuple(row[1:6]), (row[1], "", "", "", "")):  # and the sum of the partner
                wide = found.setdefault(key, blank | month | dict(zip(DIMENSIONS, key, strict=True)))
                for name, amount in zip(SUMS, row[6:], strict=True):
                    day = f"{name[0]}{_date(row[0]).day:02}"
                    wide[name] += int(amount)
                    wide[day] = (wide[day] or 0) + int(amount)
    return list(found.values())


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)
