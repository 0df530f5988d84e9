"""How alembic runs the migrations of the ledger and of the partners: one history, on a connection that it is given.

The gateway gives the connection (``gateway.ledger.database.upgrade``). A developer who runs alembic by hand gives a
database: ``alembic -x url=sqlite:///scratch.db …``.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, MetaData

from gateway.ledger import database
from gateway.ledger import tables as ledger
from partners import tables as partners


def metadata() -> list[MetaData]:
    """What the migrated schema must look like."""
    return [ledger.metadata, partners.metadata]


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata(),
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter most things in place
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with database.writing(database.open_engine(context.get_x_argument(as_dictionary=True)["url"])) as opened:
        run(opened)
