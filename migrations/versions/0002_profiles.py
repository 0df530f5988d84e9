"""The partners' profiles: every revision is kept, none is ever changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profile_revision",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), server_default="", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partner", "revision", name="pk_profile_revision"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER profile_revision_no_{verb.lower()} BEFORE {verb} ON profile_revision"
                " BEGIN SELECT RAISE(ABORT, 'profile_revision is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION profile_revision_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'profile_revision is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER profile_revision_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON profile_revision"
        " FOR EACH STATEMENT EXECUTE FUNCTION profile_revision_append_only()"
    )
