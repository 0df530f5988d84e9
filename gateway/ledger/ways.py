"""What a query asks of the exchanges, or of the mails, as the database has it: conditions and indexes that help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, Table, and_, select, text, union_all

from gateway.ledger import search_tables as few
from gateway.ledger.clauses import Clause, clauses_of_exchanges, clauses_of_mails
from gateway.ledger.conditions import Condition, Conditions
from gateway.ledger.needing import places, those_in_need
from gateway.ledger.query import Criterion, Query, kept_key, key_parts, number_forms, stored_partner
from gateway.ledger.states import MESSAGE_ATTENTION, ExchangeState
from gateway.ledger.tables import business_key, exchange, expectation, functional_group, message, transaction_set
from gateway.ledger.text import AT_WORK

_x, _m = exchange.c, message.c
_TIMES = frozenset({"since", "until"})


class Way(Struct, frozen=True):
    """An index whose rows stand in order of time: each alternative is what rows that stand together have in common.

    ``covers`` are the names of what it answers in full, ``together`` the conditions of all alternatives as one. The
    rows of some stand in no order (``sorted``): they are few, and sorted.
    """

    covers: frozenset[str]
    alternatives: tuple[tuple[Condition, ...], ...]
    together: tuple[Condition, ...]
    sorted: bool = False

    def answers(self, names: frozenset[str]) -> bool:
        """Whether nothing of these is left to compare."""
        return names <= self.covers | _TIMES


EVERYTHING = Way(frozenset(), ((),), ())


class Asked(Struct, frozen=True):
    """A query as one table has it.

    ``conditions`` decide; ``steered`` are the same, looking up no index. ``sets`` are statements for the ids of all
    rows that can meet one criterion, ``clauses`` what the text index knows, ``beside`` the ids of what it does not
    have. ``impossible``: no row can meet it.
    """

    table: Table
    names: frozenset[str]
    conditions: Callable[[], Sequence[Condition]]
    steered: Sequence[Condition]
    sets: Sequence[Select[Any]]
    ways: Sequence[Way]
    clauses: Sequence[Clause]
    sorts: Mapping[str, ColumnElement[Any]]
    mails: bool = False
    month: str = "month"
    beside: Select[Any] | None = None
    impossible: bool = False


def of_exchanges(query: Query, dialect: str, now: int) -> Asked:
    """What a query asks of the exchanges."""
    return Asked(
        table=exchange,
        names=query.asked,
        conditions=lambda: Conditions(dialect, now).of_exchanges(query),
        steered=Conditions(dialect, now, steered=True).of_exchanges(query),
        sets=list(_sets_of_exchanges(query, dialect, now)),
        ways=_ways(query),
        clauses=clauses_of_exchanges(query),
        sorts={
            "at": _x.at, "updated": _x.updated_at, "size": _x.size, "partner": _x.partner, "state": _x.state,
            "type": _x.types, "control": _x.control_number, "file": _x.file_name, "subject": _x.subject,
            "from": _x.from_address,
        },
    )  # fmt: skip


def of_mails(query: Query, dialect: str, now: int) -> Asked:
    """What a query asks of the mails that no exchange speaks for."""
    conditions = Conditions(dialect, now)
    return Asked(
        table=message,
        names=query.asked | {"alone"},
        conditions=lambda: conditions.of_messages(query),
        steered=Conditions(dialect, now, steered=True).of_messages(query),
        sets=list(_sets_of_mails(query)),
        ways=[EVERYTHING] if _TIMES & query.asked else [],
        clauses=clauses_of_mails(query),
        sorts={
            "at": _m.at, "size": _m.size, "partner": _m.partner, "state": _m.state, "subject": _m.subject,
            "from": _m.from_address,
        },
        mails=True,
        month="mails of month",
        beside=select(_m.id).where(_m.state.in_(AT_WORK)),
        impossible=conditions.never_of_messages(query),
    )  # fmt: skip


# ---------------------------------------------------------------- ways

_OF_FEW = {
    "duplicate": few.DUPLICATE,
    "settled": few.SETTLED,
    "late": few.LATE,
}


def _ways(query: Query) -> list[Way]:
    """The indexes in order of time that answer something of a query, and that over all rows where it names times."""
    found = [_of_few(flag, words) for flag, words in _OF_FEW.items() if getattr(query, flag)]
    if query.needs_attention:
        found.append(_of_needs())
    for criterion in query.criteria():
        maker = _BY_FIELD.get(criterion.field)
        way = maker(criterion.values) if maker is not None and not criterion.negated else None
        if way is not None:
            alone = sum(each.field == criterion.field for each in query.criteria()) == 1
            found.append(way if alone else replace(way, covers=frozenset()))
    return [*found, EVERYTHING] if not query.asked or _TIMES & query.asked else found


def _of_few(flag: str, words: str) -> Way:
    condition = (_word_for_word(words),)
    return Way(frozenset({flag}), (condition,), condition)


def _of_needs() -> Way:
    alternatives: Any = tuple(places())
    return Way(frozenset({"needs_attention"}), alternatives, (_x.id.in_(those_in_need()),), sorted=True)


def _word_for_word(condition: str) -> Condition:
    """The condition of an index of few rows, as it has it."""
    return text(f"({condition})")  # type: ignore[return-value]


def _one_of(
    field: str, column: ColumnElement[str], values: Sequence[str], *, words: str = "", usual: Iterable[str] = ()
) -> Way | None:
    """The way along an index over a column; None where a value has a star, or is one that the index does not have."""
    if not values or any("*" in value for value in values) or set(values) & set(usual):
        return None
    first = (_word_for_word(words),) if words else ()
    alternatives = tuple((*first, column == value) for value in values)
    return Way(frozenset({field}), alternatives, (*first, column.in_(values)) if len(values) > 1 else alternatives[0])


_BY_FIELD: Mapping[str, Callable[[Sequence[str]], Way | None]] = {
    "partner": lambda values: _one_of("partner", _x.partner, [*map(stored_partner, values)]),
    "control_number": lambda values: _one_of("control_number", _x.control_number, _forms(values)),
    "state": lambda values: _one_of("state", _x.state, values, words=few.UNUSUAL_STATE, usual=few.USUAL_STATES),
    "verdict": lambda values: _one_of(
        "verdict", _x.verdict, values, words=few.UNUSUAL_VERDICT, usual=few.USUAL_VERDICTS
    ),
    "fault": lambda values: _one_of("fault", _x.fault_code, values, words=few.FAULTY, usual=("",)),
}


def _forms(values: Iterable[str]) -> list[str]:
    """All ways to write some control numbers; nothing where one has a star."""
    if any("*" in value for value in values):
        return []
    return list(dict.fromkeys(form for value in values for form in number_forms(value)))


# ---------------------------------------------------------------- sets


def _sets_of_exchanges(query: Query, dialect: str, now: int) -> Iterable[Select[Any]]:
    for criterion in query.criteria():
        maker = _SETS.get(criterion.field)
        if maker is not None and not criterion.negated:
            yield from maker(criterion, dialect == "sqlite")
    # An awaited acknowledgment is its exchange's partner's.
    whose = query.partner
    theirs = [expectation.c.partner == stored_partner(whose)] if whose and "*" not in whose else []
    if query.overdue:
        late = select(expectation.c.exchange).where(expectation.c.due_at <= now, *theirs)
        raised = select(_x.id).where(_word_for_word(few.UNUSUAL_STATE), _x.state == ExchangeState.OVERDUE.value)
        yield _all_of([late, raised])
    if query.unacknowledged:
        yield select(expectation.c.exchange).where(*theirs)


def _keys(criterion: Criterion, sqlite: bool) -> Iterable[Select[Any]]:
    """Keys that are named in full, or on SQLite by how they begin: PostgreSQL's index may be in another order."""
    k = business_key.c
    found: list[tuple[tuple[str, bool], tuple[Condition, ...]]] = []
    for value in criterion.values:
        named = key_parts(value)
        found.append((_beginning(value), ()))
        if named is not None:
            found.append((_beginning(named[1]), (k.name == named[0],)))
    if all(whole or (begin and sqlite and begin[-1] < "\U0010ffff") for (begin, whole), _ in found):
        yield _all_of([select(k.exchange).where(_begins(k.value, *begin), *more) for begin, more in found])


def _beginning(value: str) -> tuple[str, bool]:
    """What a key begins with that meets ``value``, and whether that is all of it."""
    return kept_key(value).partition("*")[0], "*" not in value


def _begins(column: ColumnElement[str], begin: str, whole: bool) -> Condition:
    if whole:
        return column == begin
    return and_(column >= begin, column < begin[:-1] + _next(begin[-1]))


def _next(character: str) -> str:
    """The character after it that a text can have."""
    code = ord(character) + 1
    return chr(0xE000 if code == 0xD800 else code)


def _message_ids(criterion: Criterion, _sqlite: bool) -> Iterable[Select[Any]]:
    for each in _by_message_id(_m.message_id, criterion):  # an exchange has that of its mail
        yield select(_x.id).where(_x.message.in_(select(_m.id).where(each)))


def _group_numbers(criterion: Criterion, _sqlite: bool) -> Iterable[Select[Any]]:
    forms = _forms(criterion.values)
    if forms:
        yield select(functional_group.c.exchange).where(functional_group.c.control_number.in_(forms))


def _set_numbers(criterion: Criterion, _sqlite: bool) -> Iterable[Select[Any]]:
    forms = _forms(criterion.values)
    if forms and all(len(form) >= few.SHORTEST for form in forms):
        number = transaction_set.c.control_number
        yield select(transaction_set.c.exchange).where(_word_for_word(few.LONG_NUMBER), number.in_(forms))


_SETS: Mapping[str, Callable[[Criterion, bool], Iterable[Select[Any]]]] = {
    "business_key": _keys,
    "message_id": _message_ids,
    "group_control_number": _group_numbers,
    "set_control_number": _set_numbers,
}


def _sets_of_mails(query: Query) -> Iterable[Select[Any]]:
    for criterion in query.criteria():
        if criterion.negated:
            continue
        if criterion.field == "message_id":
            yield from (select(_m.id).where(each) for each in _by_message_id(_m.message_id, criterion))
        if criterion.field == "state":
            yield select(_m.id).where(_m.state.in_(criterion.values))
    if query.needs_attention:
        yield select(_m.id).where(_m.state.in_(sorted(MESSAGE_ATTENTION)))


def _all_of(statements: Sequence[Select[Any]]) -> Select[Any]:
    """What the statements give together."""
    return statements[0] if len(statements) == 1 else select(union_all(*statements).subquery().c[0])


def _by_message_id(column: ColumnElement[str], criterion: Criterion) -> list[Condition]:
    if any("*" in value for value in criterion.values):
        return []
    return [column.in_([form for value in criterion.values for form in (value, f"<{value}>")])]
