"""The tables of who is at work, of what should have come, and of who was told (see ``tables``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, text

from gateway.ledger.columns import Id, metadata, partial_index
from gateway.ledger.columns import number_column as _number
from gateway.ledger.columns import text_column as _text

# Who may do a piece of work right now. Every change of hands raises the epoch, so that a process which slept past
# its lease is refused when it wants to commit.
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),  # mailbox:orders, partner:acme, night …
    Column("holder", Text, nullable=False),  # host, process and a random word
    Column("epoch", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),  # ms since 1970 UTC, by the database's clock
)

# Which worker processes a stored message right now. The row goes when the message is processed.
claim = Table(
    "claim",
    metadata,
    Column("message", Id, ForeignKey("message.id"), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# Every interchange and group control number that a partner used, in the order in which we processed them.
received_number = Table(
    "received_number",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("partner", Text, nullable=False),
    Column("theirs", Text, nullable=False),  # qualifier:id; GS02 for groups
    Column("ours", Text, nullable=False),
    Column("level", Text, nullable=False),  # interchange, or group and its functional id: "group PO"
    Column("epoch", BigInteger, nullable=False),  # raised by every wrap and declared reset
    Column("number", BigInteger, nullable=False),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False, index=True),
    Index("ix_received_number_series", "partner", "theirs", "ours", "level", "epoch", "number"),
)

# A partner's series of numbers started anew: it wrapped, or the partner told us.
number_epoch = Table(
    "number_epoch",
    metadata,
    Column("partner", Text, primary_key=True),
    Column("theirs", Text, primary_key=True),
    Column("ours", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),  # the number it starts with, or is expected to
    _text("reason"),  # first seen, wrapped, declared, stepped back, jumped
    _text("actor"),
    Column("lowest", BigInteger, nullable=True),  # of the numbers that came; NULL: none yet
    Column("highest", BigInteger, nullable=True),
)

# New beginnings that a person declared are few, and every batch asks for them.
DECLARED = "reason = 'declared'"
partial_index(
    "ix_number_epoch_declared",
    number_epoch.c.theirs,
    number_epoch.c.ours,
    where=text(DECLARED),
)

# Numbers of a partner that did not come, and steps back. Open until they come or a person says why.
number_gap = Table(
    "number_gap",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("partner", Text, nullable=False),
    Column("theirs", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # gap, step back, jump, irregular
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=False),  # the one that showed it
    Column("closed_at", BigInteger, nullable=True),
    _text("closed_by"),  # "arrived", or who said so
    _text("reason"),
    Column("raised_at", BigInteger, nullable=True),  # when people were told; NULL: it may come in time still
    Index("ix_number_gap_open", "partner", "closed_at"),
)

# A file that was expected by an agreement and its hour, and whether it came.
arrival = Table(
    "arrival",
    metadata,
    Column("id", Id, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("rule", Text, nullable=False),  # as the profile words it: "850 by 02:00 on working days"
    Column("opens_at", BigInteger, nullable=False),  # what comes from here on counts
    Column("due_at", BigInteger, nullable=False),
    Column("missed_at", BigInteger, nullable=True),  # when it was raised
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=True),  # what came
    Column("arrived_at", BigInteger, nullable=True),
    Column("settled_at", BigInteger, nullable=True),
    Index("ix_arrival_partner_due_at", "partner", "agreement", "due_at"),
)

# What people were told, and what they are still to be told. A row of kind "rule" is a rule's own memory: how often it
# has told, what it is about to tell, when it may tell next, and why it could not.
alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # overdue, quarantined, in doubt, gap, mailbox …
    _text("partner"),
    Column("exchange", Id, ForeignKey("exchange.id"), nullable=True, index=True),
    Column("message", Id, ForeignKey("message.id"), nullable=True),
    Column("subject", Text, nullable=False),  # one sentence
    _text("next_command"),
    Column("topic", Text, nullable=False),  # equal topics are one alert, counted
    _number("count"),
    Column("last_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # open, told, muted, closed; of a rule: idle, telling, failing
    Column("next_at", BigInteger, nullable=True),  # of a rule: when it may tell again
    _number("attempts"),
    Column("told_at", BigInteger, nullable=True),
    _text("told"),  # JSON object: rule → when it told this last; of a rule: what it is about to tell
    Column("closed_at", BigInteger, nullable=True),
    _text("reference"),  # what a command takes: 34, m12, a mailbox's name
    _text("side"),  # whose side it is on: ours, partner, mail host, unknown
    Index("ix_alert_topic", "topic"),
    Index("ix_alert_state_next_at", "state", "next_at"),
)
