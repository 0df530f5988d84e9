"""The Merkle tree over the events, seals, and removal that is possible only with a permit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APPEND_ONLY = ("content", "content_piece", "event", "event_leaf", "seal")
GUARDED_BEFORE = ("content", "content_piece", "event")


def upgrade() -> None:
    op.add_column("event", sa.Column("rows", sa.LargeBinary(), nullable=True))
    _tables()
    for table in APPEND_ONLY:
        if table in GUARDED_BEFORE:
            _unguard(table)
        _guard(table)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _tables() -> None:
    head = op.create_table(
        "tree_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _big("size"),
        _big("next_seq"),
        _bytes("frontier"),
        _bytes("checks"),
        _big("first_seq"),
        sa.Column("adopted", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tree_head"),
    )
    op.bulk_insert(head, [{"id": 1, "size": 0, "next_seq": 1, "frontier": b"", "checks": b"", "first_seq": 1}])
    op.create_table(
        "tree_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        _bytes("hash"),
        _big("first_seq"),
        _bytes("checks"),
        sa.PrimaryKeyConstraint("level", "position", name="pk_tree_node"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_leaf",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        _bytes("leaf"),
        sa.PrimaryKeyConstraint("seq", name="pk_event_leaf"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seal",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        _big("seq"),
        _big("at"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_seal"),
    )
    op.create_table(
        "retention_permit",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_permit"),
    )


def _unguard(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{verb}")
        return
    op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    op.execute(f"DROP FUNCTION {table}_append_only()")


def _guard(table: str) -> None:
    """Rows are never changed, and removed only while a permit is there."""
    if op.get_bind().dialect.name == "sqlite":
        _refuse_on_sqlite(table, "UPDATE", "")
        _refuse_on_sqlite(table, "DELETE", " WHEN NOT EXISTS (SELECT 1 FROM retention_permit)")
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"  # noqa: S608 - our names
        " IF TG_OP <> 'DELETE' OR NOT EXISTS (SELECT 1 FROM retention_permit)"
        f" THEN RAISE EXCEPTION '{table} is append-only'; END IF; RETURN NULL; END $$"
    )
    _watch_on_postgresql(table)


def _refuse_on_sqlite(table: str, verb: str, when: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}{when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _watch_on_postgresql(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
