"""The gateway.toml that ``gateway init`` writes: everything a newcomer needs, the rest as comments."""

from __future__ import annotations

import json

# What a new home begins with where nobody said better; `gateway doctor` tells them from real ones.
PLACEHOLDER_IDENTITY = "ZZ:MYCOMPANY"
PLACEHOLDER_DOMAIN = "gateway.example.com"
PLACEHOLDER_NAME = "My Company"

_TEMPLATE = """\
# The settings of this gateway. docs/reference/settings.md explains every key; `gateway doctor` checks them.
# Passwords never stand here: store them with `gateway secret set NAME`.

[gateway]
name = {name}            # our company, as partners and people read it
domain = {domain}        # the right side of the Message-IDs that we make
identities = [{identities}]  # our EDI identities, QUALIFIER:ID; the first is used where an agreement names none
# contact = "EDI desk, edi-help@example.com, +1 555 555 0100"  # whom partners may ask
# interval = "5m"            # how often `gateway serve` runs a batch
# inbox = "inbox"            # accepted documents go to inbox/<partner>
# outbox = "outbox"          # files in outbox/<partner> are sent
# partners = "partners"      # the profiles of trading partners
# metrics_file = "/var/lib/prometheus/node-exporter/edi-gateway.prom"

# The ledger. SQLite needs nothing; PostgreSQL:
# [database]
# url = "postgresql://gateway:{{password}}@db.example.com/gateway"  # secret: database (environment or credentials)
# Then: gateway init --upgrade makes the ledger there.

# An account that we collect from; add as many as you like.
# Then: gateway secret set mailbox.orders
# [mailbox.orders]
# protocol = "pop3"          # or imap; or maildir, with path = "/var/mail/edi/Maildir"
# host = "pop.example.com"
# security = "tls"           # tls (port 995) or starttls (port 110)
# user = "edi@example.com"
# Gmail and Microsoft 365 want OAuth2 in place of a password: docs/oauth.md tells how.

# The host that we send through.
# Then: gateway secret set smtp
# [smtp]
# host = "smtp.example.com"
# security = "starttls"      # starttls (port 587) or tls (port 465)
# user = "edi@example.com"
# sender = "edi@example.com"
# connections = 4            # at once; Microsoft 365 takes 3, and rate = 30 (mails a minute)
# verp = true                # bounces come to edi+b…@example.com, each mail its own: the host must allow it

# Who is told of what needs a person; by mail, by a webhook or by a command: docs/alerts.md.
# [[alert]]
# name = "ops"
# to = ["ops@example.com"]
# every = "1h"               # at most one mail in this time; what happens meanwhile is told together

# A mail after each night: what it did, and what needs a person; always, or only where something does.
# [report]
# to = ["ops@example.com"]
# when = "trouble"

# A line for everything that happens, with the exchange it happened to: docs/running.md.
# [log]
# format = "json"            # or text
# file = "/var/log/edi-gateway.log"

# Backups of the ledger, made and checked by a batch: docs/backup.md.
# [backup]
# directory = "/mnt/backup/edi"
# every = "24h"
# keep = 7

# The console: web pages for people, and an interface for programs, served by `gateway serve`: docs/console.md.
# Then: gateway user add NAME --role administrator
# [console]
# listen = "127.0.0.1:8025"  # this machine alone; for others a proxy with https stands in front:
# public_url = "https://edi.example.com"
# trusted_proxies = ["127.0.0.1"]

# What a VAN would ask for the same traffic, for `gateway ledger report charges`: docs/reports.md.
# [tariff]
# currency = "USD"
# per_kilocharacter_in = "0.12"
# per_kilocharacter_out = "0.12"

# Bounds on what comes in; past one of them a message is quarantined (one past message_size stays on its server).
# [limits]
# message_size = 100000000   # bytes
"""


def template_settings(name: str, domain: str, *identities: str) -> str:
    """The text of a new gateway.toml; ``identities`` are ``QUALIFIER:ID``."""
    return _TEMPLATE.format(
        name=_quoted(name),
        domain=_quoted(domain),
        identities=", ".join(_quoted(each) for each in identities or (PLACEHOLDER_IDENTITY,)),
    )


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's too, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
