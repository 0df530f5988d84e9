"""Users of the console, their sessions, pauses after failed sign-ins, and API tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_user",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        _text("password"),
        _text("issuer"),
        _text("subject"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _text("created_by"),
        sa.Column("password_at", sa.BigInteger(), nullable=True),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_console_user"),
    )
    vouched = sa.text("issuer != ''")
    op.create_index(
        "uq_console_user_issuer_subject",
        "console_user",
        ["issuer", "subject"],
        unique=True,
        sqlite_where=vouched,
        postgresql_where=vouched,
    )
    op.create_table(
        "console_session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        _text("address"),
        _text("agent"),
        _text("how"),
        sa.ForeignKeyConstraint(["user"], ["console_user.name"], name="fk_console_session_user"),
        sa.PrimaryKeyConstraint("id", name="pk_console_session"),
    )
    op.create_index("ix_console_session_user", "console_session", ["user"])
    op.create_table(
        "sign_in_pause",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_sign_in_pause"),
    )
    op.create_index("ix_sign_in_pause_last_at", "sign_in_pause", ["last_at"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        _text("partner"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _text("created_by"),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        _text("revoked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("name", name="uq_api_token_name"),
        sa.UniqueConstraint("sha256", name="uq_api_token_sha256"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)
