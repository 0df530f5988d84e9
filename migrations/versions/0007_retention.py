"""Legal holds, raw bytes that were put away or lie encrypted, and archives that were moved out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.add_column("content", _text("cipher"))
    _holds()
    _putting_away()
    _keys()
    _indexes()


def _holds() -> None:
    op.create_table(
        "hold",
        sa.Column("id", Id, nullable=False),
        _moment("at"),
        _text("actor"),
        _text("reason"),
        _text("words", "[]"),
        _text("query", "{}"),
        _text("exchanges", "[]"),
        _text("messages", "[]"),
        _moment("released_at", nullable=True),
        _text("released_by"),
        _text("release_reason"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
    )


def _putting_away() -> None:
    op.create_table(
        "put_away",
        _word("sha256"),
        _moment("at"),
        _text("policy"),
        sa.PrimaryKeyConstraint("sha256", name="pk_put_away"),
    )
    op.create_table(
        "moved_archive",
        sa.Column("id", Id, nullable=False),
        _moment("at"),
        _text("actor"),
        _word("file"),
        _word("sha256"),
        *(_number(name) for name in ("size", "exchanges", "messages", "events")),
        _moment("first_at"),
        _moment("last_at"),
        _moment("moved_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_moved_archive"),
    )
    op.create_table(
        "retention_mark", _word("name"), _word("value"), sa.PrimaryKeyConstraint("name", name="pk_retention_mark")
    )


def _keys() -> None:
    op.create_table(
        "payload_key",
        sa.Column("id", Id, nullable=False),
        _word("scope"),
        _text("partner"),
        _word("period"),
        sa.Column("token", sa.Text(), nullable=True),
        _moment("created_at"),
        _moment("forgotten_at", nullable=True),
        _text("forgotten_by"),
        _text("reason"),
        sa.PrimaryKeyConstraint("id", name="pk_payload_key"),
    )
    op.create_index("ix_payload_key_scope", "payload_key", ["scope", "partner", "period"])
    op.create_table(
        "content_key",
        _word("sha256"),
        sa.Column("key", Id, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["payload_key.id"], name="fk_content_key_key"),
        sa.PrimaryKeyConstraint("sha256", "key", name="pk_content_key"),
    )
    op.create_index("ix_content_key_key", "content_key", ["key"])


def _indexes() -> None:
    """What belongs to an exchange or mail is found when it is put away."""
    op.create_index("ix_interchange_key_exchange", "interchange_key", ["exchange"])
    op.create_index("ix_sighting_message", "sighting", ["message"])
    _where_there_is_one("exchange", "duplicate_of")
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite looks at foreign keys when all is done, and needs no index for each
    op.create_index("ix_business_key_transaction_set", "business_key", ["transaction_set"])
    op.create_index("ix_number_gap_exchange", "number_gap", ["exchange"])
    for table in ("finding", "acknowledgment"):
        _where_there_is_one(table, "functional_group")
        _where_there_is_one(table, "transaction_set")
    _where_there_is_one("exchange", "payload")
    _where_there_is_one("arrival", "exchange")
    _where_there_is_one("alert", "message")


def _where_there_is_one(table: str, column: str) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=there, postgresql_where=there)
