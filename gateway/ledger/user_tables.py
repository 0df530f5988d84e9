"""The tables of who may come in: users of the console, their sessions, pauses after failed sign-ins, API tokens.

No secret lies in them: of passwords there is a hash by argon2id, of the numbers in cookies and of tokens a SHA-256.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from gateway.ledger.columns import Id, metadata, partial_index
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text

console_user = Table(
    "console_user",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),  # viewer, auditor, operator, administrator
    _text("password"),  # argon2id in its own notation; empty: comes in by the provider alone
    _text("issuer"),  # of the OpenID provider that vouches for somebody; empty: nobody does
    _text("subject"),  # who that is there, for ever
    Column("created_at", BigInteger, nullable=False),
    _text("created_by"),
    Column("password_at", BigInteger, nullable=True),
    Column("signed_in_at", BigInteger, nullable=True),
    Column("disabled_at", BigInteger, nullable=True),
)
partial_index(
    "uq_console_user_issuer_subject",
    console_user.c.issuer,
    console_user.c.subject,
    unique=True,
    where=console_user.c.issuer != "",
)

console_session = Table(
    "console_session",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of what the cookie holds
    Column("user", Text, ForeignKey("console_user.name"), nullable=False, index=True),
    Column("csrf", Text, nullable=False),  # what every form of it carries
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),  # to the minute
    _text("address"),
    _text("agent"),
    _text("how"),  # password, or the provider
)

# Names and addresses from which sign-ins failed: how often in a row, and until when nobody is heard there.
sign_in_pause = Table(
    "sign_in_pause",
    metadata,
    Column("subject", Text, primary_key=True),  # "name:" and a hash, or "address:" and the address or its network
    _number("failures"),
    Column("last_at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # words, apart by blanks
    _text("partner"),  # the only one whose exchanges it sees; empty: all
    Column("created_at", BigInteger, nullable=False),
    _text("created_by"),
    Column("expires_at", BigInteger, nullable=True),
    Column("used_at", BigInteger, nullable=True),  # to the hour
    Column("revoked_at", BigInteger, nullable=True),
    _text("revoked_by"),
)
