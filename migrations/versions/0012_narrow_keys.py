"""Narrower indexes: Message-IDs once, on SQLite only the beginning of a SHA-256, and one over declared new beginnings.

An exchange has the Message-ID of its mail, so the index over mails finds it. Of a SHA-256 the first twelve characters
are as good as all of them; PostgreSQL hashes it anyway. Numbers that were declared to begin anew are few among all.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


DECLARED = sa.text("reason = 'declared'")


def upgrade() -> None:
    op.drop_index("ix_exchange_message_id", table_name="exchange")
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_message_sha256", table_name="message")
        op.create_index("ix_message_sha256_start", "message", [sa.text("substr(sha256, 1, 12)")])
    op.create_index(
        "ix_number_epoch_declared",
        "number_epoch",
        ["theirs", "ours"],
        sqlite_where=DECLARED,
        postgresql_where=DECLARED,
    )
