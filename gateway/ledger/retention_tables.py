"""The tables of what is held, what was put away, and the keys under which raw bytes lie (see ``tables``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.ledger.columns import Id, metadata
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text

# Legal holds: what meets one is not put away, whenever it came.
hold = Table(
    "hold",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    _text("actor"),
    _text("reason"),
    Column("words", Text, nullable=False, default="[]", server_default="[]"),  # JSON list: the query as it was written
    Column("query", Text, nullable=False, default="{}", server_default="{}"),  # JSON: the criteria, times absolute
    Column("exchanges", Text, nullable=False, default="[]", server_default="[]"),  # JSON list of ids
    Column("messages", Text, nullable=False, default="[]", server_default="[]"),
    Column("released_at", BigInteger, nullable=True),
    _text("released_by"),
    _text("release_reason"),
)

# Raw bytes that are gone by policy, so that they are not looked for. The event "purged" of that moment names them too.
put_away = Table(
    "put_away",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    _text("policy"),
)

# Keys of keys: each partner's of a month, the home's own, and those of a day for mails whose partner is not known yet.
payload_key = Table(
    "payload_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", Text, nullable=False),  # partner, home, transit
    _text("partner"),
    Column("period", Text, nullable=False),  # 2026-11 of a partner, 2026-11-22 in transit, empty of the home
    Column("token", Text, nullable=True),  # the key, encrypted with the home's; NULL: forgotten
    Column("created_at", BigInteger, nullable=False),
    Column("forgotten_at", BigInteger, nullable=True),
    _text("forgotten_by"),
    _text("reason"),
    Index("ix_payload_key_scope", "scope", "partner", "period"),
)

# The key of one encrypted content, encrypted with a payload key. Several, where several have the same bytes.
content_key = Table(
    "content_key",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("key", Id, ForeignKey("payload_key.id"), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Index("ix_content_key_key", "key"),
)

# Archives that were written before what is in them was put away.
moved_archive = Table(
    "moved_archive",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    _text("actor"),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    _number("size"),
    _number("exchanges"),
    _number("messages"),
    _number("events"),
    Column("first_at", BigInteger, nullable=False),  # of the oldest in it
    Column("last_at", BigInteger, nullable=False),
    Column("moved_at", BigInteger, nullable=True),  # when all of it had left the ledger; NULL: it is being put away
)

# How far the nightly putting away has come, and by which policies.
retention_mark = Table(
    "retention_mark",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)
