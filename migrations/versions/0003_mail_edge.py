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
