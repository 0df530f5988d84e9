"""Conditions of partial indexes without lists: SQLite makes a table of each list whenever a row is written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ATTENTION = (
    *("bounced", "conflict", "failed", "in doubt", "overdue", "quarantined", "refused by the partner"),
    *("rejected", "unmatched"),
)
_USUAL = ("acknowledged", "complete", "delivered", "reconciled")
_INDEXES = (
    ("attention", ["at"], "(" + " OR ".join(f"state = '{each}'" for each in _ATTENTION) + ") AND settled_at IS NULL"),
    ("state_at", ["state", "at"], " AND ".join(f"state <> '{each}'" for each in _USUAL)),
    ("verdict", ["verdict", "at"], "verdict <> '' AND verdict <> 'accepted'"),
)


def upgrade() -> None:
    for name, columns, condition in _INDEXES:
        where = sa.text(condition)
        op.drop_index(f"ix_exchange_{name}", table_name="exchange")
        op.create_index(f"ix_exchange_{name}", "exchange", columns, sqlite_where=where, postgresql_where=where)
