"""What is due for delivery is found by its exchange: by the numbers of sets, all that ever were had to be read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_transaction_set_due", "transaction_set"
DUE = sa.text("delivery = 'due'")


def upgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, ["exchange"], sqlite_where=DUE, postgresql_where=DUE)
