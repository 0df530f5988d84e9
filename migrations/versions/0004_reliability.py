"""Leases and claims of workers, the partners' numbers, expected files, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _points(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}")


def upgrade() -> None:
    _columns()
    _workers()
    _numbers()
    _arrivals()
    _alerts()


def _columns() -> None:
    op.add_column("exchange", _moment("due_at", nullable=True))
    op.add_column("exchange", _moment("acknowledged_at", nullable=True))
    op.add_column("exchange", _moment("repeats", nullable=True))
    op.add_column("expectation", _moment("escalated_at", nullable=True))
    repeats = sa.text("repeats IS NOT NULL")
    op.create_index("ix_exchange_repeats", "exchange", ["repeats"], sqlite_where=repeats, postgresql_where=repeats)
    odd = sa.text("relation != 'matched'")
    op.create_index("ix_acknowledgment_odd", "acknowledgment", ["id"], sqlite_where=odd, postgresql_where=odd)


def _workers() -> None:
    op.create_table(
        "lease",
        *_words("name", "holder"),
        _moment("epoch"),
        _moment("until"),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "claim",
        sa.Column("message", Id, nullable=False),
        *_words("holder"),
        _moment("epoch"),
        _moment("until"),
        _points("claim", "message", "message"),
        sa.PrimaryKeyConstraint("message", name="pk_claim"),
    )


def _numbers() -> None:
    op.create_table(
        "received_number",
        sa.Column("id", Id, nullable=False),
        _moment("at"),
        *_words("partner", "theirs", "ours", "level"),
        _moment("epoch"),
        _moment("number"),
        sa.Column("exchange", Id, nullable=False),
        _points("received_number", "exchange", "exchange"),
        sa.PrimaryKeyConstraint("id", name="pk_received_number"),
    )
    op.create_index("ix_received_number_exchange", "received_number", ["exchange"])
    series = ["partner", "theirs", "ours", "level", "epoch", "number"]
    op.create_index("ix_received_number_series", "received_number", series)
    op.create_table(
        "number_epoch",
        *_words("partner", "theirs", "ours", "level"),
        _moment("epoch"),
        _moment("at"),
        _moment("first"),
        _text("reason"),
        _text("actor"),
        _moment("lowest", nullable=True),
        _moment("highest", nullable=True),
        sa.PrimaryKeyConstraint("partner", "theirs", "ours", "level", "epoch", name="pk_number_epoch"),
    )
    op.create_table(
        "number_gap",
        sa.Column("id", Id, nullable=False),
        _moment("at"),
        *_words("partner", "theirs", "ours", "level"),
        _moment("epoch"),
        *_words("kind"),
        _moment("first"),
        _moment("last"),
        sa.Column("exchange", Id, nullable=False),
        _moment("closed_at", nullable=True),
        _text("closed_by"),
        _text("reason"),
        _moment("raised_at", nullable=True),
        _points("number_gap", "exchange", "exchange"),
        sa.PrimaryKeyConstraint("id", name="pk_number_gap"),
    )
    op.create_index("ix_number_gap_open", "number_gap", ["partner", "closed_at"])


def _arrivals() -> None:
    op.create_table(
        "arrival",
        sa.Column("id", Id, nullable=False),
        *_words("partner", "agreement", "rule"),
        _moment("opens_at"),
        _moment("due_at"),
        _moment("missed_at", nullable=True),
        sa.Column("exchange", Id, nullable=True),
        _moment("arrived_at", nullable=True),
        _moment("settled_at", nullable=True),
        _points("arrival", "exchange", "exchange"),
        sa.PrimaryKeyConstraint("id", name="pk_arrival"),
    )
    op.create_index("ix_arrival_partner_due_at", "arrival", ["partner", "agreement", "due_at"])


def _alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", Id, nullable=False),
        _moment("at"),
        *_words("kind"),
        _text("partner"),
        sa.Column("exchange", Id, nullable=True),
        sa.Column("message", Id, nullable=True),
        *_words("subject"),
        _text("next_command"),
        *_words("topic"),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        _moment("last_at"),
        *_words("state"),
        _moment("next_at", nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        _moment("told_at", nullable=True),
        _text("told"),
        _moment("closed_at", nullable=True),
        _text("reference"),
        _text("side"),
        _points("alert", "exchange", "exchange"),
        _points("alert", "message", "message"),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
    )
    op.create_index("ix_alert_exchange", "alert", ["exchange"])
    op.create_index("ix_alert_topic", "alert", ["topic"])
    op.create_index("ix_alert_state_next_at", "alert", ["state", "next_at"])
