"""The ledger: mails, exchanges, their groups and sets, acknowledgments, work, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("content", "event")


def upgrade() -> None:
    tables()
    for table in APPEND_ONLY:
        guard(table)


def text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def guard(table: str) -> None:
    """Lets rows of a table be added, but neither changed nor removed, whoever asks."""
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


def tables() -> None:
    op.create_table(
        "batch",
        sa.Column("id", ID, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        text("summary", "{}"),
        sa.PrimaryKeyConstraint("id", name="pk_batch"),
    )
    op.create_table(
        "content",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_content"),
    )
    op.create_table(
        "control_number",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partner", "ours", "theirs", "level", name="pk_control_number"),
    )
    op.create_table(
        "message",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        text("kind"),
        text("mailbox"),
        text("host"),
        text("user"),
        sa.Column("sha256", sa.Text(), nullable=False),
        number("size"),
        text("message_id"),
        text("in_reply_to"),
        text("subject"),
        text("from_address"),
        text("to_addresses", "[]"),
        text("cc_addresses", "[]"),
        text("dated"),
        text("partner"),
        number("attempts"),
        text("fault_code"),
        text("fault"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
    )
    op.create_index("ix_message_at", "message", ["at"])
    op.create_index("ix_message_message_id", "message", ["message_id"])
    op.create_index("ix_message_sha256", "message", ["sha256"])
    op.create_index("ix_message_state_id", "message", ["state", "id"])
    op.create_table(
        "secret",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        text("updated_by"),
        sa.PrimaryKeyConstraint("name", name="pk_secret"),
    )
    op.create_table(
        "payload",
        sa.Column("id", ID, nullable=False),
        sa.Column("message", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        text("path"),
        text("file_name"),
        text("content_type"),
        sa.Column("sha256", sa.Text(), nullable=False),
        number("size"),
        text("repairs"),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_payload_message"),
        sa.PrimaryKeyConstraint("id", name="pk_payload"),
    )
    op.create_index("ix_payload_message", "payload", ["message"])
    op.create_table(
        "sighting",
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("message", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_sighting_message"),
        sa.PrimaryKeyConstraint("mailbox", "uid", "sha256", name="pk_sighting"),
    )
    op.create_table(
        "exchange",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        text("verdict"),
        text("partner"),
        text("agreement"),
        sa.Column("message", ID, nullable=True),
        sa.Column("payload", ID, nullable=True),
        text("file_name"),
        text("from_address"),
        text("host"),
        text("message_id"),
        text("subject"),
        text("to_addresses", "[]"),
        text("user"),
        text("sender_qualifier"),
        text("sender_id"),
        text("receiver_qualifier"),
        text("receiver_id"),
        text("interchange_date"),
        text("interchange_time"),
        text("interchange_version"),
        text("control_number"),
        text("usage"),
        text("types"),
        text("versions"),
        sa.Column("sha256", sa.Text(), nullable=False),
        number("size"),
        number("segments"),
        number("findings"),
        text("ta1"),
        text("fault_code"),
        text("fault"),
        sa.Column("duplicate_of", ID, nullable=True),
        sa.Column("answers", ID, nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("handed_over_at", sa.BigInteger(), nullable=True),
        text("smtp_reply"),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["answers"], ["exchange.id"], name="fk_exchange_answers"),
        sa.ForeignKeyConstraint(["duplicate_of"], ["exchange.id"], name="fk_exchange_duplicate_of"),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_exchange_message"),
        sa.ForeignKeyConstraint(["payload"], ["payload.id"], name="fk_exchange_payload"),
        sa.PrimaryKeyConstraint("id", name="pk_exchange"),
        sa.UniqueConstraint("idempotency_key", name="uq_exchange_idempotency_key"),
    )
    op.create_index("ix_exchange_answers", "exchange", ["answers"])
    op.create_index("ix_exchange_at", "exchange", ["at"])
    op.create_index("ix_exchange_control_number_at", "exchange", ["control_number", "at"])
    op.create_index("ix_exchange_message", "exchange", ["message"])
    op.create_index("ix_exchange_message_id", "exchange", ["message_id"])
    op.create_index("ix_exchange_partner_at", "exchange", ["partner", "at"])
    op.create_index("ix_exchange_state_at", "exchange", ["state", "at"])
    op.create_table(
        "event",
        sa.Column("seq", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("exchange", ID, nullable=True),
        sa.Column("message", ID, nullable=True),
        text("partner"),
        text("actor"),
        text("body", "{}"),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_event_exchange"),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_event_message"),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index("ix_event_exchange", "event", ["exchange"])
    op.create_index("ix_event_message", "event", ["message"])
    op.create_table(
        "expectation",
        sa.Column("exchange", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("within", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("overdue_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_expectation_exchange"),
        sa.PrimaryKeyConstraint("exchange", "kind", name="pk_expectation"),
    )
    op.create_index("ix_expectation_due_at", "expectation", ["due_at"])
    op.create_table(
        "functional_group",
        sa.Column("id", ID, nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        text("functional_id"),
        text("application_sender"),
        text("application_receiver"),
        text("control_number"),
        text("version"),
        number("sets"),
        number("start"),
        text("status"),
        text("acknowledged"),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_functional_group_exchange"),
        sa.PrimaryKeyConstraint("id", name="pk_functional_group"),
    )
    op.create_index("ix_functional_group_control_number", "functional_group", ["control_number"])
    op.create_index("ix_functional_group_exchange", "functional_group", ["exchange"])
    op.create_table(
        "interchange_key",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_interchange_key_exchange"),
        sa.PrimaryKeyConstraint("key", name="pk_interchange_key"),
    )
    op.create_table(
        "outgoing",
        sa.Column("exchange", ID, nullable=False),
        sa.Column("message", ID, nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        number("attempts"),
        text("envelope_sender"),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_outgoing_exchange"),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_outgoing_message"),
        sa.PrimaryKeyConstraint("exchange", name="pk_outgoing"),
    )
    op.create_index("ix_outgoing_state_next_at", "outgoing", ["state", "next_at"])
    op.create_table(
        "transaction_set",
        sa.Column("id", ID, nullable=False),
        sa.Column("functional_group", ID, nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        text("set_id"),
        text("control_number"),
        text("implementation"),
        text("guideline"),
        text("agreement"),
        text("status"),
        number("start"),
        number("end"),
        number("segments"),
        text("acknowledged"),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        text("delivery"),
        text("delivered_to"),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_transaction_set_exchange"),
        sa.ForeignKeyConstraint(
            ["functional_group"], ["functional_group.id"], name="fk_transaction_set_functional_group"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_transaction_set"),
    )
    op.create_index(
        "ix_transaction_set_due",
        "transaction_set",
        ["id"],
        sqlite_where=sa.text("delivery = 'due'"),
        postgresql_where=sa.text("delivery = 'due'"),
    )
    op.create_index("ix_transaction_set_exchange", "transaction_set", ["exchange"])
    op.create_index("ix_transaction_set_functional_group", "transaction_set", ["functional_group"])
    op.create_table(
        "acknowledgment",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("carrier", ID, nullable=False),
        sa.Column("exchange", ID, nullable=True),
        sa.Column("functional_group", ID, nullable=True),
        sa.Column("transaction_set", ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        text("codes"),
        text("errors"),
        text("names"),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["carrier"], ["exchange.id"], name="fk_acknowledgment_carrier"),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_acknowledgment_exchange"),
        sa.ForeignKeyConstraint(
            ["functional_group"], ["functional_group.id"], name="fk_acknowledgment_functional_group"
        ),
        sa.ForeignKeyConstraint(["transaction_set"], ["transaction_set.id"], name="fk_acknowledgment_transaction_set"),
        sa.PrimaryKeyConstraint("id", name="pk_acknowledgment"),
    )
    op.create_index("ix_acknowledgment_carrier", "acknowledgment", ["carrier"])
    op.create_index("ix_acknowledgment_exchange", "acknowledgment", ["exchange"])
    op.create_table(
        "business_key",
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("transaction_set", ID, nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_business_key_exchange"),
        sa.ForeignKeyConstraint(["transaction_set"], ["transaction_set.id"], name="fk_business_key_transaction_set"),
        sa.PrimaryKeyConstraint("value", "name", "transaction_set", name="pk_business_key"),
    )
    op.create_index("ix_business_key_exchange", "business_key", ["exchange"])
    op.create_table(
        "finding",
        sa.Column("id", ID, nullable=False),
        sa.Column("exchange", ID, nullable=False),
        sa.Column("functional_group", ID, nullable=True),
        sa.Column("transaction_set", ID, nullable=True),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        text("x12"),
        text("scope"),
        text("segment"),
        number("position"),
        text("loop"),
        number("element"),
        number("component"),
        number("repetition"),
        number("offset"),
        text("value"),
        text("message"),
        sa.ForeignKeyConstraint(["exchange"], ["exchange.id"], name="fk_finding_exchange"),
        sa.ForeignKeyConstraint(["functional_group"], ["functional_group.id"], name="fk_finding_functional_group"),
        sa.ForeignKeyConstraint(["transaction_set"], ["transaction_set.id"], name="fk_finding_transaction_set"),
        sa.PrimaryKeyConstraint("id", name="pk_finding"),
    )
    op.create_index("ix_finding_exchange", "finding", ["exchange"])
