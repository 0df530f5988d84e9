"""The ledger at rest (SQLAlchemy Core, SQLite and PostgreSQL).

Times are integers, milliseconds since 1970 UTC. Foreign keys are named after what they point to
(``message``, ``exchange``), because ``message_id`` is the mail's Message-ID, a tracked property. A partner
is named by its stable key, without a foreign key, so that history survives changes of the profile.

Big immutable rows (message, exchange, …) stand beside tiny work tables (outgoing, expectation), whose
rows disappear when the work is done: what is due never scans history.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from gateway.ledger.columns import Id, index_for, index_on, index_where_set, metadata, partial_index
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text
from gateway.ledger.daily_tables import daily_count
from gateway.ledger.mail_tables import content, content_piece, message, not_taken, payload, sighting
from gateway.ledger.retention_tables import content_key, hold, moved_archive, payload_key, put_away, retention_mark
from gateway.ledger.search_tables import add_indexes, saved_query
from gateway.ledger.tree_tables import event_leaf, retention_permit, seal, tree_head, tree_node
from gateway.ledger.user_tables import api_token, console_session, console_user, sign_in_pause
from gateway.ledger.watch_tables import alert, arrival, claim, lease, number_epoch, number_gap, received_number

__all__ = [
    "Id",
    "alert",
    "api_token",
    "arrival",
    "claim",
    "console_session",
    "console_user",
    "content",
    "content_key",
    "content_piece",
    "daily_count",
    "event_leaf",
    "hold",
    "lease",
    "message",
    "metadata",
    "moved_archive",
    "not_taken",
    "number_epoch",
    "number_gap",
    "payload",
    "payload_key",
    "put_away",
    "received_number",
    "retention_mark",
    "retention_permit",
    "saved_query",
    "seal",
    "sighting",
    "sign_in_pause",
    "tree_head",
    "tree_node",
]  # defined elsewhere

CONFIGURATION = "exchange IS NULL AND message IS NULL AND kind <> 'recorded'"  # as the index of such events has it

# The record of one interchange's life, in or out.
exchange = Table(
    "exchange",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),  # in, out
    Column("kind", Text, nullable=False),  # document, acknowledgment
    Column("state", Text, nullable=False),  # ExchangeState
    _text("verdict"),  # accepted, accepted_with_errors, partially_accepted, rejected, or ""
    _text("partner"),
    _text("agreement"),
    Column("message", Id, ForeignKey("message.id"), nullable=True, index=True),
    Column("payload", Id, ForeignKey("payload.id"), nullable=True),
    # the seven tracked properties
    _text("file_name"),
    _text("from_address"),
    _text("host"),
    _text("message_id"),
    _text("subject"),
    Column("to_addresses", Text, nullable=False, default="[]", server_default="[]"),
    _text("user"),
    # the EDI keys of the interchange
    _text("sender_qualifier"),
    _text("sender_id"),
    _text("receiver_qualifier"),
    _text("receiver_id"),
    _text("interchange_date"),
    _text("interchange_time"),
    _text("interchange_version"),
    _text("control_number"),
    _text("usage"),
    _text("types"),  # distinct ST01 values, blank-separated, in order
    _text("versions"),  # distinct GS08 values, blank-separated
    Column("sha256", Text, nullable=False),  # content: the interchange's bytes
    _number("size"),
    _number("segments"),
    _number("findings"),
    _text("ta1"),  # "A 000" as we judged it
    _text("fault_code"),
    _text("fault"),
    Column("duplicate_of", Id, ForeignKey("exchange.id"), nullable=True),
    Column("answers", Id, ForeignKey("exchange.id"), nullable=True),  # acknowledgment → what it answers
    Column("idempotency_key", Text, nullable=True, unique=True),
    Column("handed_over_at", BigInteger, nullable=True),
    _text("smtp_reply"),
    Column("settled_at", BigInteger, nullable=True),  # a person looked at it and put it to rest
    _text("security"),  # how the mail was secured, in words: "signed sha-256, encrypted aes-256-cbc"
    _text("mic"),  # what a receipt must state: base64 and algorithm, "…=, sha-256" (RFC 3335 section 2.3)
    Column("due_at", BigInteger, nullable=True),  # when its functional acknowledgment was last expected
    Column("acknowledged_at", BigInteger, nullable=True),  # when the partner had spoken on all of it
    Column("repeats", BigInteger, nullable=True),  # an earlier exchange with the same business document
    index_on(Index("ix_exchange_partner_at", "partner", "at"), include=["id"]),  # as SQLite's have it anyway
    Index("ix_exchange_control_number_at", "control_number", "at"),
    index_on(Index("ix_exchange_at", "at"), include=["id"]),
)

partial_index(
    "ix_exchange_repeats",
    exchange.c.repeats,
    where=exchange.c.repeats.is_not(None),
)

# One inbound interchange once: sender, receiver, ISA13 and ISA09 (see flow.acknowledge).
interchange_key = Table(
    "interchange_key",
    metadata,
    Column("key", Text, primary_key=True),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False),
)

functional_group = Table(
    "functional_group",
    metadata,
    Column("id", Id, primary_key=True),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    _text("functional_id"),
    _text("application_sender"),
    _text("application_receiver"),
    _text("control_number"),
    _text("version"),
    _number("sets"),
    _number("start"),  # byte offset of GS in the interchange
    _text("status"),  # our verdict on an inbound group
    _text("acknowledged"),  # the partner's verdict on an outbound group
    Column("acknowledged_at", BigInteger, nullable=True),
    Index("ix_functional_group_control_number", "control_number"),
)

transaction_set = Table(
    "transaction_set",
    metadata,
    Column("id", Id, primary_key=True),
    Column("functional_group", Id, ForeignKey("functional_group.id"), nullable=False, index=True),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    _text("set_id"),
    _text("control_number"),
    _text("implementation"),
    _text("guideline"),
    _text("agreement"),
    _text("status"),
    _number("start"),  # byte offsets in the interchange
    _number("end"),
    _number("segments"),
    _text("acknowledged"),
    Column("acknowledged_at", BigInteger, nullable=True),
    _text("delivery"),  # "", due, delivered, withheld
    _text("delivered_to"),
    Column("delivered_at", BigInteger, nullable=True),
)
partial_index(
    "ix_transaction_set_due",
    transaction_set.c.exchange,
    where=transaction_set.c.delivery == "due",
)

business_key = Table(
    "business_key",
    metadata,
    Column("value", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("transaction_set", Id, ForeignKey("transaction_set.id"), primary_key=True),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False),
    Index("ix_business_key_exchange_transaction_set", "exchange", "transaction_set"),
    sqlite_with_rowid=False,
)

finding = Table(
    "finding",
    metadata,
    Column("id", Id, primary_key=True),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False, index=True),
    Column("functional_group", Id, ForeignKey("functional_group.id"), nullable=True),
    Column("transaction_set", Id, ForeignKey("transaction_set.id"), nullable=True),
    Column("level", Text, nullable=False),
    Column("code", Text, nullable=False),
    _text("x12"),
    _text("scope"),
    _text("segment"),
    _number("position"),
    _text("loop"),
    _number("element"),
    _number("component"),
    _number("repetition"),
    _number("offset"),
    _text("value"),
    _text("message"),
)

# What an acknowledgment said of one of our exchanges, down to the transaction set.
acknowledgment = Table(
    "acknowledgment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("carrier", Id, ForeignKey("exchange.id"), nullable=False, index=True),  # the interchange it came in
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=True),  # what it answers; NULL: nothing of ours
    Column("functional_group", Id, ForeignKey("functional_group.id"), nullable=True),
    Column("transaction_set", Id, ForeignKey("transaction_set.id"), nullable=True),
    Column("kind", Text, nullable=False),  # TA1, 997, 999
    Column("status", Text, nullable=False),
    _text("codes"),
    _text("errors"),  # JSON list of sentences
    _text("names"),  # the numbers it names, as written: "000000012", "PO 17", "850 0001"
    Column("relation", Text, nullable=False),  # matched, duplicate, contradicting, orphan, forged
)
partial_index(
    "ix_acknowledgment_odd",
    acknowledgment.c.id,
    where=acknowledgment.c.relation != "matched",
)

# A receipt (MDN, RFC 8098) that we got or gave.
receipt = Table(
    "receipt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),  # in: for a mail of ours; out: for a mail that we received
    Column("message", Id, ForeignKey("message.id"), nullable=False, index=True),  # the mail that carries it
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=True),  # in: ours that it speaks of
    Column("original", Id, ForeignKey("message.id"), nullable=True),  # the mail that it speaks of
    _text("original_message_id"),
    _text("disposition"),  # processed, failed, …
    _text("modifier"),  # the error, failure or warning after the slash, as written
    _text("mic"),  # Received-Content-MIC as written
    _text("mic_matches"),  # yes, no, or "" where none was asked for or given
    _text("signed_by"),  # SHA-256 fingerprint of the certificate that proved it, or ""
    _text("relation"),  # matched, duplicate, contradicting, orphan, forged
)

# Our own keys for S/MIME: the private half encrypted with the home's key.
own_key = Table(
    "own_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of the certificate, hex
    Column("certificate", LargeBinary, nullable=False),  # DER
    Column("token", LargeBinary, nullable=False),  # the private key (PKCS #8 DER), encrypted
    Column("state", Text, nullable=False),  # active, retired (still decrypts, never signs)
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    _text("created_by"),
)

# Work: mails that wait for the wire. The row goes when the mail is sent or given up.
outgoing = Table(
    "outgoing",
    metadata,
    Column("exchange", Id, ForeignKey("exchange.id"), primary_key=True),
    Column("message", Id, ForeignKey("message.id"), nullable=False),
    Column("partner", Text, nullable=False),
    Column("state", Text, nullable=False),  # ready, sending, held
    Column("next_at", BigInteger, nullable=False),
    _number("attempts"),
    _text("envelope_sender"),
    Column("recipients", Text, nullable=False),  # JSON list
    Index("ix_outgoing_state_next_at", "state", "next_at"),
)

# Work: acknowledgments that we wait for. The row goes when it came or was settled.
expectation = Table(
    "expectation",
    metadata,
    Column("exchange", Id, ForeignKey("exchange.id"), primary_key=True),
    Column("kind", Text, primary_key=True),  # TA1, 997, 999, functional
    Column("partner", Text, nullable=False),
    Column("within", BigInteger, nullable=False),  # ms from the hand-over
    Column("due_at", BigInteger, nullable=True, index=True),  # NULL until handed over
    Column("overdue_at", BigInteger, nullable=True),  # when it was raised
    Column("escalated_at", BigInteger, nullable=True),  # when it was raised again, more urgently
)

# The next control number of one identity pair and level.
control_number = Table(
    "control_number",
    metadata,
    Column("partner", Text, primary_key=True),
    Column("ours", Text, primary_key=True),  # qualifier:id
    Column("theirs", Text, primary_key=True),
    Column("level", Text, primary_key=True),  # interchange, group
    Column("next", BigInteger, nullable=False),
)

# Everything that happened, append-only, in order of the commits; each one a leaf of the tree (see tree).
event = Table(
    "event",
    metadata,
    Column("seq", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=True),
    Column("message", Id, ForeignKey("message.id"), nullable=True),
    _text("partner"),
    _text("actor"),  # who: gateway, or a person
    Column("body", Text, nullable=False, default="{}", server_default="{}"),  # JSON
    Column("rows", LargeBinary, nullable=True),  # of kind "recorded": digests of rows (see prints)
)
# What happened to no exchange and no mail, but to the configuration: few among very many (see changes).
partial_index(
    "ix_event_configuration",
    event.c.kind,
    event.c.seq,
    where=text(CONFIGURATION),
)

# One run of `gateway night`.
batch = Table(
    "batch",
    metadata,
    Column("id", Id, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True),
    Column("exit_code", Integer, nullable=True),
    Column("summary", Text, nullable=False, default="{}", server_default="{}"),
)

# Passwords, encrypted with a key that is kept outside the database.
secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    _text("updated_by"),
)


# What belongs to an exchange or mail is found when it is put away. PostgreSQL looks up each foreign key then; SQLite
# looks at them when all is done.
Index("ix_interchange_key_exchange", interchange_key.c.exchange)
index_where_set(exchange, "duplicate_of")
index_for(Index("ix_business_key_transaction_set", business_key.c.transaction_set), "postgresql")
index_for(Index("ix_number_gap_exchange", number_gap.c.exchange), "postgresql")
for _table, _column in (
    *((finding, "functional_group"), (finding, "transaction_set")),
    *((acknowledgment, "functional_group"), (acknowledgment, "transaction_set")),
    *((exchange, "payload"), (arrival, "exchange"), (alert, "message")),
):
    index_where_set(_table, _column, only="postgresql")

# Most rows have none of these: an index over all would hold mostly nothing.
for _table, _column in (
    *((event, "exchange"), (event, "message"), (exchange, "answers")),
    *((acknowledgment, "exchange"), (receipt, "exchange"), (receipt, "original")),
):
    index_where_set(_table, _column)
add_indexes(exchange, transaction_set)
