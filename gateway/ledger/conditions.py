"""A query as SQL conditions, the same answers on SQLite and PostgreSQL; every value is a bound parameter.

Case is folded for A–Z alone, because that is what both databases agree on whatever their locale. What these conditions
say is what a search gives; how it is found quickly is the matter of ``finding``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    UnaryExpression,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy import text as sql
from sqlalchemy.sql.operators import custom_op

from gateway.ledger.folding import folded
from gateway.ledger.key_value import WHOLE
from gateway.ledger.needing import needs_a_person, those_in_need
from gateway.ledger.on_postgres import as_jsonb
from gateway.ledger.query import (
    FLAGS,
    Criterion,
    Query,
    identity_parts,
    kept_key,
    key_parts,
    number_forms,
    stored_partner,
)
from gateway.ledger.spans import parse_span_of_numbers
from gateway.ledger.states import MESSAGE_ATTENTION, ExchangeState
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
Words = ColumnElement[str]
Maker = Callable[[str], Condition]

_PLUS: custom_op[Any] = custom_op("+")
_MAIL_ATTENTION = sorted(state.value for state in MESSAGE_ATTENTION)
_CARRIER = message.alias("carrier")  # the mail of an exchange, in a sub-query
# Flags that only an exchange can meet; a mail without one never does, as with criteria that _of_mail does not know.
_OF_EXCHANGES = ("unacknowledged", "overdue", "duplicate", "settled", "late")


class Conditions:
    """Makes the conditions for one kind of database.

    Args:
        dialect: its name.
        now: the moment (ms) that overdue is measured against.
        steered: on SQLite these conditions look up no index, so that only what stands beside them chooses one.
    """

    def __init__(self, dialect: str, now: int, *, steered: bool = False) -> None:
        self._sqlite = dialect == "sqlite"
        self._words = _words(sqlite=self._sqlite, steered=steered)
        self._now = now
        self._steered = steered
        self._x: Any = _Plain(exchange) if steered and self._sqlite else exchange.c
        self._m: Any = _Plain(message) if steered and self._sqlite else message.c

    # ------------------------------------------------------------ exchanges

    def of_exchanges(self, query: Query) -> list[Condition]:
        """What an exchange must meet, the page (``before``) not included."""
        makers = self._of_exchange()
        found = [self._one(criterion, makers) for criterion in query.criteria()]
        return [*found, *self._flags(query), *_times(query, self._x)]

    def _of_exchange(self) -> Mapping[str, Maker]:
        x = self._x
        return self._common(x) | {
            "verdict": lambda value: x.verdict == value,
            "type": self._type,
            "version": self._version,
            "usage": lambda value: x.usage == value,
            "control_number": lambda value: self._number(x.control_number, value),
            "group_control_number": self._group_number,
            "set_control_number": self._set_number,
            "sender": lambda value: self._identity(x.sender_qualifier, x.sender_id, value),
            "receiver": lambda value: self._identity(x.receiver_qualifier, x.receiver_id, value),
            "business_key": self._business_key,
            "mailbox": self._mailbox,
            "file_name": lambda value: self._text(x.file_name, value, fold=True),
            "to_address": self._recipient,
            "agreement": lambda value: self._text(x.agreement, value, fold=True),
            "segments": lambda value: _within(x.segments, value),
            "findings": lambda value: _within(x.findings, value),
            "text": lambda value: and_(*(self._term(term) for term in value.split())),
        }

    def _type(self, value: str) -> Condition:
        if "*" in value:
            return self._one_word(self._x.types, value)
        return self._glob(literal(" ") + self._x.types + " ", ["", f" {value} ", ""])

    def _version(self, value: str) -> Condition:
        begins = value.rstrip("*")
        if "*" in begins or not begins:
            return self._one_word(self._x.versions, f"{begins}*")
        return self._glob(literal(" ") + self._x.versions, ["", f" {begins}", ""])

    def _flags(self, query: Query) -> Iterator[Condition]:
        for name in FLAGS:
            wanted = getattr(query, name)
            if wanted is not None:
                meaning = self._flag(name)
                yield meaning if wanted else ~meaning

    def _flag(self, name: str) -> Any:
        x = self._x
        if name == "needs_attention":
            return needs_a_person(x) if self._steered else x.id.in_(those_in_need())
        if name == "unacknowledged":
            return exists().where(expectation.c.exchange == exchange.c.id)
        if name == "overdue":
            return or_(x.state == ExchangeState.OVERDUE.value, self._is_late())
        if name == "duplicate":  # the same bytes, number or business document as an earlier exchange
            return or_(x.state == ExchangeState.DUPLICATE.value, x.duplicate_of.is_not(None), x.repeats.is_not(None))
        if name == "settled":
            return x.settled_at.is_not(None)
        return func.coalesce(x.acknowledged_at > x.due_at, false())  # late

    def _is_late(self) -> Condition:
        """Its acknowledgment is due and did not come."""
        return exists().where(expectation.c.exchange == exchange.c.id, expectation.c.due_at <= self._now)

    def _group_number(self, value: str) -> Condition:
        return exists().where(
            functional_group.c.exchange == exchange.c.id, self._number(functional_group.c.control_number, value)
        )

    def _set_number(self, value: str) -> Condition:
        return exists().where(
            transaction_set.c.exchange == exchange.c.id, self._number(transaction_set.c.control_number, value)
        )

    def _business_key(self, value: str) -> Condition:
        return exists().where(business_key.c.exchange == exchange.c.id, self.key(value))

    def key(self, value: str) -> Condition:
        """What a row of business_key must meet: the value, or the name and the value."""
        matching = self._text(business_key.c.value, kept_key(value))
        named = key_parts(value)
        if named is None:
            return matching
        of_name = self._text(business_key.c.value, kept_key(named[1]))
        return or_(matching, and_(business_key.c.name == named[0], of_name))

    def _identity(self, qualifier: Words, id_: Words, value: str) -> Condition:
        wanted, text = identity_parts(value)
        matching = self._text(id_, text)
        return matching if wanted is None else and_(qualifier == wanted, matching)

    def _mailbox(self, value: str) -> Condition:
        return exists().where(_CARRIER.c.id == exchange.c.message, self._text(_CARRIER.c.mailbox, value))

    def _recipient(self, value: str) -> Condition:
        copied = exists().where(_CARRIER.c.id == exchange.c.message, self._listed(_CARRIER.c.cc_addresses, value))
        return or_(self._listed(self._x.to_addresses, value), copied)

    def _term(self, term: str) -> Condition:
        """A word stands in the subject, the file's name or a business key. Written out: it is asked most of all."""
        pattern = self._pattern(folded(f"*{term}*").split("*"))
        told = (sql(each).bindparams(bindparam("term", pattern, Text(), unique=True)) for each in self._words)
        if len(term) > WHOLE and "*" not in term:  # a key that is not kept whole
            whole = business_key.c.value == kept_key(term)
            return or_(*told, exists().where(business_key.c.exchange == exchange.c.id, whole))
        return or_(*told)

    # ------------------------------------------------------------ mails

    def of_messages(self, query: Query) -> list[Condition]:
        """What a mail must meet that no exchange speaks for: it has none, or it alone waits in quarantine."""
        makers = self._of_mail()
        if self.never_of_messages(query):
            return [false()]
        m = self._m
        alone = ~exists().where(exchange.c.message == message.c.id)
        spoken_for = exists().where(exchange.c.message == message.c.id, exchange.c.state.in_(_MAIL_ATTENTION))
        waiting = and_(m.state.in_(_MAIL_ATTENTION), ~spoken_for)
        found = [or_(alone, waiting), *_times(query, m)]
        found += [self._one(criterion, makers) for criterion in query.criteria()]
        if query.needs_attention is not None:
            attention = m.state.in_(_MAIL_ATTENTION)
            found.append(attention if query.needs_attention else ~attention)
        return found

    def never_of_messages(self, query: Query) -> bool:
        """Whether it asks for what only an exchange can be."""
        makers = self._of_mail()
        unknown = any(not each.negated and each.field not in makers for each in query.criteria())
        return unknown or any(getattr(query, name) for name in _OF_EXCHANGES)

    def _of_mail(self) -> Mapping[str, Maker]:
        m = self._m
        return self._common(m) | {
            "mailbox": lambda value: self._text(m.mailbox, value),
            "file_name": lambda value: self._file(lambda column: self._text(column, value, fold=True)),
            "to_address": lambda value: or_(self._listed(m.to_addresses, value), self._listed(m.cc_addresses, value)),
            "text": lambda value: and_(*(self._mail_term(term) for term in value.split())),
        }

    def _mail_term(self, term: str) -> Condition:
        return or_(self._inside(self._m.subject, term), self._file(lambda column: self._inside(column, term)))

    def _file(self, matching: Callable[[Words], Condition]) -> Condition:
        return exists().where(payload.c.message == message.c.id, matching(payload.c.file_name))

    # ------------------------------------------------------------ both

    def _one(self, criterion: Criterion, makers: Mapping[str, Maker]) -> Condition:
        """One of its values, or none of them; what a row has not at all it does not meet."""
        maker = makers.get(criterion.field)
        met = false() if maker is None else or_(*(maker(value) for value in criterion.values))
        return not_(met) if criterion.negated else met

    def _common(self, c: Any) -> dict[str, Maker]:
        """What exchanges and mails have alike."""
        return {
            "partner": lambda value: self._text(c.partner, stored_partner(value)),
            "direction": lambda value: c.direction == value,
            "kind": lambda value: c.kind == value,
            "state": lambda value: c.state == value,
            "message_id": lambda value: self._message_id(c.message_id, value),
            "from_address": lambda value: self._text(c.from_address, value, fold=True),
            "host": lambda value: self._text(c.host, value, fold=True),
            "user": lambda value: self._text(c.user, value, fold=True),
            "subject": lambda value: self._inside(c.subject, value),
            "fault": lambda value: self._text(c.fault_code, value),
            "size": lambda value: _within(c.size, value),
        }

    def _message_id(self, column: Words, value: str) -> Condition:
        if "*" not in value:
            return column.in_([value, f"<{value}>"])
        return or_(self._text(column, value), self._text(column, f"<{value}>"))

    def _number(self, column: Words, value: str) -> Condition:
        return self._text(column, value) if "*" in value else column.in_(number_forms(value))

    def _text(self, column: Words, value: str, *, fold: bool = False) -> Condition:
        """The column is ``value``, in which ``*`` stands for anything."""
        if fold:
            column, value = self._folded(column), folded(value)
        if "*" not in value:
            return column == value
        return self._glob(column, value.split("*"))

    def _inside(self, column: Words, value: str) -> Condition:
        """``value`` stands somewhere in the column, whatever the case of its letters."""
        return self._text(column, f"*{value}*", fold=True)

    def _glob(self, column: Words, pieces: list[str]) -> Condition:
        """The column consists of these pieces with anything between them."""
        pattern = self._pattern(pieces)
        if self._sqlite:  # GLOB heeds case and uses the index for a fixed beginning; LIKE does neither
            return column.op("GLOB", is_comparison=True)(literal(pattern))
        return column.like(pattern, escape="\\")

    def _pattern(self, pieces: list[str]) -> str:
        if self._sqlite:
            return "*".join(re.sub(r"[*?[]", r"[\g<0>]", piece) for piece in pieces)
        return "%".join(re.sub(r"[%_\\]", r"\\\g<0>", piece) for piece in pieces)

    def _folded(self, column: Words) -> Words:
        return func.lower(column) if self._sqlite else func.lower(column.collate("C"))

    def _listed(self, column: Words, value: str) -> Condition:
        """An element of the column's JSON list is ``value``."""
        if self._sqlite:
            elements = func.json_each(column).table_valued("value", name="listed")
        else:
            elements = func.jsonb_array_elements_text(as_jsonb(column)).table_valued("value", name="listed")
        return _any_of(elements, self._text(elements.c.value, value, fold=True))

    def _one_word(self, column: Words, value: str) -> Condition:
        """A word of the column, in which a blank stands between words, is ``value``."""
        if self._sqlite:
            listed = literal("[") + func.replace(func.json_quote(column), " ", '","') + "]"
            elements: Any = func.json_each(listed).table_valued("value", name="listed")
        else:
            elements = func.unnest(func.string_to_array(column, " ")).table_valued("value").render_derived("listed")
        return _any_of(elements, elements.c.value != "", self._text(elements.c.value, value))


def _any_of(elements: Any, *conditions: Condition) -> Condition:
    """An element meets the conditions."""
    return exists().select_from(elements).where(*conditions).correlate_except(elements)


@cache
def _words(*, sqlite: bool, steered: bool) -> tuple[str, str]:
    """That ``:term`` stands in the subject or the file's name of an exchange; that it stands in a business key."""

    def inside(column: str) -> str:
        if sqlite:
            return f"lower({column}) GLOB :term"
        return f"lower({column} COLLATE \"C\") LIKE :term ESCAPE '\\'"

    plain = "+" if sqlite and steered else ""
    of_mail = " OR ".join(inside(f"{plain}exchange.{column}") for column in ("subject", "file_name"))
    of_key = f"business_key.exchange = exchange.id AND {inside('business_key.value')}"
    return f"({of_mail})", f"EXISTS (SELECT 1 FROM business_key WHERE {of_key})"  # noqa: S608 - names of ours


class _Plain:
    """The columns of a table, for which SQLite looks up no index: that is what a plus before a column says."""

    def __init__(self, table: Table) -> None:
        self._columns = table.c

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        column = self._columns[name]
        return UnaryExpression(column, operator=_PLUS, type_=column.type)


def _times(query: Query, columns: Any) -> list[Condition]:
    found = []
    if query.since is not None:
        found.append(columns.at >= query.since)
    if query.until is not None:
        found.append(columns.at < query.until)
    return found


def _within(column: ColumnElement[int], written: str) -> Condition:
    low, high = parse_span_of_numbers(written, written)
    found = [] if low is None else [column >= low]
    return and_(*found, column <= high) if high is not None else and_(*found)
