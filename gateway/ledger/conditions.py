"""A query as SQL conditions, the same answers on SQLite and PostgreSQL; every value is a bound parameter.

Case is folded for A–Z alone, because that is what both databases agree on whatever their locale.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import ColumnElement, FromClause, and_, exists, false, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from gateway.ledger.query import Query, identity_parts, number_forms
from gateway.ledger.states import EXCHANGE_ATTENTION, MESSAGE_ATTENTION, ExchangeState
from gateway.ledger.tables import (
    business_key,
    exchange,
    expectation,
    functional_group,
    message,
    payload,
    transaction_set,
)

Condition = ColumnElement[bool]
Text = ColumnElement[str]

_NAMED_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,39})=(.*)", re.DOTALL)
_UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_ATTENTION = sorted(state.value for state in EXCHANGE_ATTENTION)
_MAIL_ATTENTION = sorted(state.value for state in MESSAGE_ATTENTION)
_CARRIER = message.alias("carrier")  # the mail of an exchange, in a sub-query
# Criteria that only an exchange can meet; a mail without one never does.
_OF_EXCHANGES = (
    "verdict",
    "type",
    "version",
    "usage",
    "control_number",
    "group_control_number",
    "set_control_number",
    "sender",
    "receiver",
    "business_key",
)


class Conditions:
    """Makes the conditions for one kind of database; ``now`` (ms) is what overdue is measured against."""

    def __init__(self, dialect: str, now: int) -> None:
        self._sqlite = dialect == "sqlite"
        self._now = now

    # ------------------------------------------------------------ exchanges

    def of_exchanges(self, query: Query) -> list[Condition]:
        """What an exchange must meet, the page (``before``) not included."""
        x = exchange.c
        found = self._common(query, exchange)
        makers: dict[str, Callable[[str], Condition]] = {
            "verdict": lambda value: x.verdict == value,
            "type": lambda value: self._glob(literal(" ") + x.types + " ", ["", f" {value} ", ""]),
            "version": lambda value: self._glob(literal(" ") + x.versions, ["", f" {value.rstrip('*')}", ""]),
            "usage": lambda value: x.usage == value,
            "control_number": lambda value: self._number(x.control_number, value),
            "group_control_number": self._group_number,
            "set_control_number": self._set_number,
            "sender": lambda value: self._identity(x.sender_qualifier, x.sender_id, value),
            "receiver": lambda value: self._identity(x.receiver_qualifier, x.receiver_id, value),
            "business_key": self._business_key,
            "mailbox": self._mailbox,
            "file_name": lambda value: self._text(x.file_name, value, fold=True),
        }
        found += [make(value) for name, make in makers.items() if (value := getattr(query, name)) is not None]
        if query.to_address is not None:
            copied = exists().where(_CARRIER.c.id == x.message, self._listed(_CARRIER.c.cc_addresses, query.to_address))
            found.append(or_(self._listed(x.to_addresses, query.to_address), copied))
        found += [self._term(term) for term in (query.text or "").split()]
        found += self._flags(query)
        return found

    def _flags(self, query: Query) -> list[Condition]:
        x = exchange.c
        waited = select(expectation.c.exchange)
        late = waited.where(expectation.c.due_at <= self._now)
        meanings: list[tuple[bool | None, Condition]] = [
            (query.needs_attention, and_(x.state.in_(_ATTENTION), x.settled_at.is_(None))),
            (query.unacknowledged, x.id.in_(waited)),
            (query.overdue, or_(x.state == ExchangeState.OVERDUE.value, x.id.in_(late))),
            (query.duplicate, _is_duplicate()),
        ]
        return [meaning if wanted else ~meaning for wanted, meaning in meanings if wanted is not None]

    def _group_number(self, value: str) -> Condition:
        groups = select(functional_group.c.exchange)
        return exchange.c.id.in_(groups.where(self._number(functional_group.c.control_number, value)))

    def _set_number(self, value: str) -> Condition:
        # Every interchange has a set 0001: asked of each exchange, not collected from all.
        return exists().where(
            transaction_set.c.exchange == exchange.c.id, self._number(transaction_set.c.control_number, value)
        )

    def _business_key(self, value: str) -> Condition:
        matching = self._text(business_key.c.value, value)
        named = _NAMED_KEY.fullmatch(value)
        if named:
            matching = or_(matching, and_(business_key.c.name == named[1], self._text(business_key.c.value, named[2])))
        return exchange.c.id.in_(select(business_key.c.exchange).where(matching))

    def _identity(self, qualifier: Text, id_: Text, value: str) -> Condition:
        wanted, text = identity_parts(value)
        matching = self._text(id_, text)
        return matching if wanted is None else and_(qualifier == wanted, matching)

    def _mailbox(self, value: str) -> Condition:
        return exists().where(_CARRIER.c.id == exchange.c.message, self._text(_CARRIER.c.mailbox, value))

    def _term(self, term: str) -> Condition:
        keys = exists().where(business_key.c.exchange == exchange.c.id, self._inside(business_key.c.value, term))
        return or_(self._inside(exchange.c.subject, term), self._inside(exchange.c.file_name, term), keys)

    # ------------------------------------------------------------ mails

    def of_messages(self, query: Query) -> list[Condition]:
        """What a mail must meet that no exchange speaks for: it has none, or it alone waits in quarantine."""
        if any(getattr(query, name) is not None for name in _OF_EXCHANGES):
            return [false()]
        if query.unacknowledged or query.overdue or query.duplicate:
            return [false()]
        m = message.c
        alone = ~exists().where(exchange.c.message == m.id)
        spoken_for = exists().where(exchange.c.message == m.id, exchange.c.state.in_(_MAIL_ATTENTION))
        waiting = and_(m.state.in_(_MAIL_ATTENTION), ~spoken_for)
        found = [or_(alone, waiting), *self._common(query, message)]
        if query.mailbox is not None:
            found.append(self._text(m.mailbox, query.mailbox))
        if query.file_name is not None:
            found.append(self._file(lambda column: self._text(column, query.file_name or "", fold=True)))
        if query.to_address is not None:
            listed = [self._listed(column, query.to_address) for column in (m.to_addresses, m.cc_addresses)]
            found.append(or_(*listed))
        found += [self._mail_term(term) for term in (query.text or "").split()]
        if query.needs_attention is not None:
            attention = m.state.in_(_MAIL_ATTENTION)
            found.append(attention if query.needs_attention else ~attention)
        return found

    def _mail_term(self, term: str) -> Condition:
        return or_(self._inside(message.c.subject, term), self._file(lambda column: self._inside(column, term)))

    def _file(self, matching: Callable[[Text], Condition]) -> Condition:
        return exists().where(payload.c.message == message.c.id, matching(payload.c.file_name))

    # ------------------------------------------------------------ both

    def _common(self, query: Query, table: FromClause) -> list[Condition]:
        """What exchanges and mails have alike."""
        c = table.c
        makers: dict[str, Callable[[str], Condition]] = {
            "partner": lambda value: self._text(c.partner, value),
            "direction": lambda value: c.direction == value,
            "kind": lambda value: c.kind == value,
            "state": lambda value: c.state == value,
            "message_id": lambda value: self._message_id(c.message_id, value),
            "from_address": lambda value: self._text(c.from_address, value, fold=True),
            "host": lambda value: self._text(c.host, value, fold=True),
            "user": lambda value: self._text(c.user, value, fold=True),
            "subject": lambda value: self._inside(c.subject, value),
            "fault": lambda value: self._text(c.fault_code, value),
        }
        found = [make(value) for name, make in makers.items() if (value := getattr(query, name)) is not None]
        if query.since is not None:
            found.append(c.at >= query.since)
        if query.until is not None:
            found.append(c.at < query.until)
        return found

    def _message_id(self, column: Text, value: str) -> Condition:
        bare = value.removeprefix("<").removesuffix(">")
        if "*" not in bare:
            return column.in_([bare, f"<{bare}>"])
        return or_(self._text(column, bare), self._text(column, f"<{bare}>"))

    def _number(self, column: Text, value: str) -> Condition:
        return self._text(column, value) if "*" in value else column.in_(number_forms(value))

    def _text(self, column: Text, value: str, *, fold: bool = False) -> Condition:
        """The column is ``value``, in which ``*`` stands for anything."""
        if fold:
            column, value = self._folded(column), value.translate(_UPPER_TO_LOWER)
        if "*" not in value:
            return column == value
        return self._glob(column, value.split("*"))

    def _inside(self, column: Text, value: str) -> Condition:
        """``value`` stands somewhere in the column, whatever the case of its letters."""
        return self._text(column, f"*{value}*", fold=True)

    def _glob(self, column: Text, pieces: list[str]) -> Condition:
        """The column consists of these pieces with anything between them."""
        if self._sqlite:  # GLOB heeds case and uses the index for a fixed beginning; LIKE does neither
            pattern = "*".join(re.sub(r"[*?[]", r"[\g<0>]", piece) for piece in pieces)
            return column.op("GLOB", is_comparison=True)(literal(pattern))
        pattern = "%".join(re.sub(r"[%_\\]", r"\\\g<0>", piece) for piece in pieces)
        return column.like(pattern, escape="\\")

    def _folded(self, column: Text) -> Text:
        return func.lower(column) if self._sqlite else func.lower(column.collate("C"))

    def _listed(self, column: Text, value: str) -> Condition:
        """An element of the column's JSON list is ``value``."""
        if self._sqlite:
            elements = func.json_each(column).table_valued("value", name="listed")
        else:
            elements = func.jsonb_array_elements_text(column.cast(JSONB)).table_valued("value", name="listed")
        matching = self._text(elements.c.value, value, fold=True)
        return exists().select_from(elements).where(matching).correlate_except(elements)


def _is_duplicate() -> Condition:
    """The same bytes, number or business document as an earlier exchange."""
    x = exchange.c
    return or_(x.state == ExchangeState.DUPLICATE.value, x.duplicate_of.is_not(None), x.repeats.is_not(None))
