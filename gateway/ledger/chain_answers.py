"""What was answered to each document of a chain: our acknowledgments of what came, the partner's of what went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Row, select

from gateway.ledger.at_rest import opened_sentences
from gateway.ledger.chain_values import Answer, Document
from gateway.ledger.tables import acknowledgment, exchange, functional_group, transaction_set

_AT_ONCE = 200  # documents in one question
_MOST = 2_000  # answers of ours
_BIG = 1_000  # sets of a group from which on acknowledgments are not gone through for the one that names a set


def with_answers(connection: Connection, documents: Iterable[Document]) -> tuple[Document, ...]:
    """The documents, each with what was answered to it, oldest first."""
    told = list(documents)
    ours = _ours(connection, [each.exchange for each in told if each.direction == "in"])
    theirs = _theirs(connection, [each for each in told if each.direction == "out"])
    return tuple(
        replace(each, answers=_on(each, ours[each.exchange]))
        if each.direction == "in"
        else replace(each, answers=tuple(theirs[each.transaction_set]))
        for each in told
    )


def _on(document: Document, answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Our answers to the interchange, with our verdict on this document of it."""
    return tuple(replace(each, status=document.status) for each in answers)


def _ours(connection: Connection, exchanges: Sequence[int]) -> dict[int, list[Answer]]:
    x = exchange.c
    found: dict[int, list[Answer]] = defaultdict(list)
    for at in range(0, len(exchanges), _AT_ONCE):
        wanted = (
            select(x.id, x.answers, x.at, x.types, x.state)
            .where(x.answers.in_(exchanges[at : at + _AT_ONCE]), x.direction == "out", x.types != "MDN")
            .limit(_MOST)
        )
        for row in sorted(connection.execute(wanted), key=lambda row: int(row.id)):
            found[row.answers].append(Answer(row.at, row.types, "out", "", row.id, row.state))
    return found


def _theirs(connection: Connection, documents: Sequence[Document]) -> dict[int, list[Answer]]:
    """What the partner said of each set: of the set itself, of its group, of its whole interchange."""
    s, g = transaction_set.c, functional_group.c
    found: dict[int, list[Answer]] = defaultdict(list)
    for at in range(0, len(documents), _AT_ONCE):
        some = {each.transaction_set: each for each in documents[at : at + _AT_ONCE]}
        groups = select(s.id, s.functional_group, s.acknowledged_at, g.sets).join(
            functional_group, g.id == s.functional_group
        )
        rows = connection.execute(groups.where(s.id.in_(some))).all()
        said = _said(connection, {some[row.id].exchange for row in rows if row.sets <= _BIG})
        for row in rows:
            document = some[row.id]
            if row.sets > _BIG:
                found[row.id] = _as_noted(document, row.acknowledged_at)
            else:
                found[row.id] = _about(connection, said[document.exchange], row.id, row.functional_group)
    return found


def _said(connection: Connection, exchanges: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """All acknowledgments of some exchanges, by exchange."""
    a = acknowledgment.c
    wanted = select(
        a.at, a.carrier, a.exchange, a.functional_group, a.transaction_set, a.kind, a.status, a.errors, a.relation
    )
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    rows: Iterable[Row[Any]] = connection.execute(wanted.where(a.exchange.in_(sorted(exchanges))))
    for row in rows:
        found[row.exchange].append(row)
    return found


def _about(connection: Connection, rows: Sequence[Row[Any]], set_: int, group: int) -> list[Answer]:
    """What an acknowledgment says of the set; where it does not name it, what it says of all of the group."""
    own = [row for row in rows if row.transaction_set == set_]
    spoken = {(row.carrier, row.kind) for row in own}
    whole = [row for row in rows if row.transaction_set is None and row.functional_group in {None, group}]
    own += [row for row in whole if (row.carrier, row.kind) not in spoken]
    return [
        Answer(
            *(row.at, row.kind, "in", row.status, row.carrier, "", row.relation),
            opened_sentences(connection, row.errors),
        )
        for row in sorted(own, key=lambda row: (row.at, row.carrier))
    ]


def _as_noted(document: Document, at: int | None) -> list[Answer]:
    """Of a set among very many: the verdict that stands with it, without the acknowledgment that it came in."""
    if not document.acknowledged or at is None:
        return []
    return [Answer(at, "acknowledgment", "in", document.acknowledged, None)]
