"""Changes of the configuration found by an index, and the keys of one set of a big interchange."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CONFIGURATION = "exchange IS NULL AND message IS NULL AND kind <> 'recorded'"


def upgrade() -> None:
    where = sa.text(CONFIGURATION)
    op.create_index("ix_event_configuration", "event", ["kind", "seq"], sqlite_where=where, postgresql_where=where)
    op.drop_index("ix_business_key_exchange", "business_key")
    op.create_index("ix_business_key_exchange_transaction_set", "business_key", ["exchange", "transaction_set"])
