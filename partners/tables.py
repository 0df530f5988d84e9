"""Profiles at rest (SQLAlchemy Core, SQLite and PostgreSQL): every revision is kept, none is ever changed.

Times are integers, milliseconds since 1970 UTC. The current revision of a partner is its highest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Integer, LargeBinary, MetaData, Table, Text

# How a transaction that only reads is begun. SQLite engines of the gateway begin every other one by taking the lock for
# writing: whoever looked at a profile would wait for a batch that writes, and make it wait.
_READS = {"ledger_read_only": True}


def reads(engine: Engine) -> dict[str, Any]:
    """Options of a transaction that only reads, and sees one moment: several queries speak of the same profiles."""
    moment = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return _READS | (moment if engine.dialect.name == "postgresql" else {})


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

profile_revision = Table(
    "profile_revision",
    metadata,
    Column("partner", Text, primary_key=True),  # the partner's key
    Column("revision", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),  # who applied it
    Column("file", Text, nullable=False, default="", server_default=""),  # where it came from, a label
    Column("sha256", Text, nullable=False),  # of the profile text in UTF-8
    Column("status", Text, nullable=False),  # Status, as the profile says
    Column("profile", Text, nullable=False),  # the TOML text as applied
)

# Certificates of partners. A row is never deleted: a retired certificate still explains old signatures.
partner_certificate = Table(
    "partner_certificate",
    metadata,
    Column("partner", Text, primary_key=True),  # the partner's key
    Column("fingerprint", Text, primary_key=True),  # SHA-256 of the DER bytes, hex in lower case
    Column("certificate", LargeBinary, nullable=False),  # DER
    Column("state", Text, nullable=False),  # CertificateState: pending, trusted, retired
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("source", Text, nullable=False, default="", server_default=""),  # a file's name, or "mail m17"
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=True),  # when a person trusted or retired it
    Column("decided_by", Text, nullable=False, default="", server_default=""),
)
