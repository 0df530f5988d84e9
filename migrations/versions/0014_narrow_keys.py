"""Two indexes less to write for every mail: Message-IDs once, and on SQLite only the beginning of a SHA-256.

An exchange has the Message-ID of its mail, so the index over mails finds it. Of a SHA-256 the first twelve characters
are as good as all of them; PostgreSQL hashes it anyway.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_exchange_message_id", table_name="exchange")
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_message_sha256", table_name="message")
        op.create_index("ix_message_sha256_start", "message", [sa.text("substr(sha256, 1, 12)")])
