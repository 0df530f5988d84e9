"""The tables of mails: their bytes, where they were seen, and what they carry (see ``tables``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, func, text

from gateway.ledger.columns import Id, index_for, index_on, metadata, partial_index
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text

# Raw bytes, write-once, named by their SHA-256; committed with the row that speaks of them (see archive).
content = Table(
    "content",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),  # empty where they are in pieces
    _number("pieces"),  # how many content_piece rows hold them; 0: none, they are all here
    _text("cipher"),  # empty: they lie in clear; else how they are encrypted, with the key in content_key
)

# What is too big for one value, so that nobody ever holds it whole to write or to read it.
content_piece = Table(
    "content_piece",
    metadata,
    Column("sha256", Text, ForeignKey("content.sha256"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False),
)

# One mail, as received or sent.
message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),  # in, out
    Column("state", Text, nullable=False),  # MessageState
    _text("kind"),  # letter, bounce, receipt, auto-reply
    _text("mailbox"),
    _text("host"),
    _text("user"),
    Column("sha256", Text, nullable=False),  # content: the raw mail
    _number("size"),
    _text("message_id"),
    _text("in_reply_to"),
    _text("subject"),
    _text("from_address"),
    Column("to_addresses", Text, nullable=False, default="[]", server_default="[]"),  # JSON list
    Column("cc_addresses", Text, nullable=False, default="[]", server_default="[]"),
    _text("dated"),  # the Date header as written
    _text("partner"),
    _number("attempts"),
    _text("fault_code"),
    _text("fault"),  # JSON of GatewayError.as_dict
    _text("proof"),  # what proved the sender: signed, dkim, mx, address, or ""
    Column("proof_detail", Text, nullable=False, default="{}", server_default="{}"),  # JSON: fingerprint, domain …
    Column("layers", Text, nullable=False, default="[]", server_default="[]"),  # JSON: S/MIME layers, outermost first
    Index("ix_message_state_id", "state", "id"),
    index_on(Index("ix_message_message_id", "message_id"), using="hash"),  # a third of the size of a tree
    Index("ix_message_at", "at"),
)
index_for(index_on(Index("ix_message_sha256", message.c.sha256), using="hash"), "postgresql")
SHA256_START = func.substr(message.c.sha256, text("1"), text("12"))  # enough to find it by, and its index a third
index_for(Index("ix_message_sha256_start", SHA256_START), "sqlite")

# Where we saw a message: the same mail may be seen twice under other UIDs, and a UID may be reused.
sighting = Table(
    "sighting",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("message", Id, ForeignKey("message.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),  # as listed by the server
    Column("state", Text, nullable=False),  # stored (and left there, as far as we know), deleted
)
partial_index(
    "ix_sighting_left",
    sighting.c.mailbox,
    where=sighting.c.state == "stored",
)
Index("ix_sighting_message", sighting.c.message)  # found by its mail when that is put away

# Work: what a mailbox lists and we do not have. The row goes when it was taken, or is no longer listed.
not_taken = Table(
    "not_taken",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),  # as listed by the server
    Column("at", BigInteger, nullable=False),  # when it was first not taken
    Column("fault_code", Text, nullable=False),
    Column("fault", Text, nullable=False),  # JSON of GatewayError.as_dict
)

# One EDI body or attachment of a message.
payload = Table(
    "payload",
    metadata,
    Column("id", Id, primary_key=True),
    Column("message", Id, ForeignKey("message.id"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    _text("path"),
    _text("file_name"),
    _text("content_type"),
    Column("sha256", Text, nullable=False),  # of the decoded bytes
    _number("size"),
    _text("repairs"),
)
