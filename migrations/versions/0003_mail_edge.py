"""Who proved to have sent a mail, how mails are secured, receipts, and the keys and certificates behind them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def upgrade() -> None:
    _proof_and_receipts()
    _keys()
    _big_content()


def _guard(table: str) -> None:
    """Lets rows be added, but neither changed nor removed, whoever asks: pieces are content."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )


def _proof_and_receipts() -> None:
    op.add_column("message", _text("proof"))
    op.add_column("message", _text("proof_detail", "{}"))
    op.add_column("message", _text("layers", "[]"))
    op.add_column("exchange", _text("security"))
    op.add_column("exchange", _text("mic"))
    op.create_table(
        "receipt",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("message", Id, nullable=False),
        sa.Column("exchange", Id, nullable=True),
        sa.Column("original", Id, nullable=True),
        _text("original_message_id"),
        _text("disposition"),
        _text("modifier"),
        _text("mic"),
        _text("mic_matches"),
        _text("signed_by"),
        _text("relation"),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_receipt_message"),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_receipt_exchange"),
        sa.ForeignKeyConstraint(["original"], ["message.id"], name="fk_receipt_original"),
        sa.PrimaryKeyConstraint("id", name="pk_receipt"),
    )
    for column in ("message", "exchange", "original"):
        op.create_index(f"ix_receipt_{column}", "receipt", [column])


def _keys() -> None:
    op.create_table(
        "own_key",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _text("created_by"),
        sa.PrimaryKeyConstraint("name", name="pk_own_key"),
    )
    op.create_table(
        "partner_certificate",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        _text("source"),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        _text("decided_by"),
        sa.PrimaryKeyConstraint("partner", "fingerprint", name="pk_partner_certificate"),
    )


def _big_content() -> None:
    op.add_column("content", sa.Column("pieces", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "content_piece",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["content.sha256"], name="fk_content_piece_sha256"),
        sa.PrimaryKeyConstraint("sha256", "ordinal", name="pk_content_piece"),
    )
    _guard("content_piece")
    left = sa.text("state = 'stored'")
    op.create_index("ix_sighting_left", "sighting", ["mailbox"], sqlite_where=left, postgresql_where=left)
    op.create_table(
        "not_taken",
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("fault_code", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox", "uid", name="pk_not_taken"),
    )
