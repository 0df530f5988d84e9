"""The commonest errors of each partner: what we found in its documents, and what it found in ours.

A sentence is told without the value that it quotes, for that belongs to the document.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, func, select

from gateway.ledger.at_rest import opened_sentences, opened_text
from gateway.ledger.reports.rows import has_type, which, within_window
from gateway.ledger.reports.scope import Scope
from gateway.ledger.tables import acknowledgment, exchange, finding, transaction_set
from gateway.values import asdict

MOST = 10  # errors of each partner and direction
_MOST_KINDS = 20_000  # of errors that partners found which are counted apart; the rest is counted together
_STREAM = 1_000  # rows at once
_CODE = re.compile(r"^(?P<where>segment .*?): (?P<what>.*) \(code (?P<code>[^()]*)\)(?:, it was .*)?$", re.DOTALL)
_PLACE = re.compile(r"^segment (?P<segment>\S+) at position \S+(?: in loop .*?)?(?:, element (?P<element>[\d-]+).*)?$")
_PLAIN = re.compile(r"^(?P<what>.*) \(code (?P<code>[^()]*)\)$", re.DOTALL)


class Mistake(Struct, frozen=True):
    """One kind of error. ``code`` is ours and ``x12`` that of a TA1, 997 or 999; of partners' words only ``x12``.

    ``count`` is how often it occurred, in ``exchanges`` exchanges, of which ``example`` is the newest. ``element`` is
    empty where it is about a whole segment or more.
    """

    partner: str
    direction: str  # in: we found it; out: the partner did
    code: str
    x12: str
    segment: str
    element: str
    sentence: str
    count: int
    exchanges: int
    example: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def mistakes(connection: Connection, scope: Scope, most: int = MOST) -> tuple[Mistake, ...]:
    """The commonest errors, ``most`` of each partner and direction, by partner and direction, the commonest first."""
    found = []
    if scope.direction in {None, "in"}:
        found += _found_by_us(connection, scope, most)
    if scope.direction in {None, "out"}:
        found += _found_by_partners(connection, scope, most)
    return tuple(sorted(found, key=lambda each: (each.partner, each.direction, -each.count, each.code, each.x12)))


def _found_by_us(connection: Connection, scope: Scope, most: int) -> list[Mistake]:
    f, x = finding.c, exchange.c
    kind = [x.partner, f.code, f.x12, f.segment, f.element]
    sums = [
        func.count().label("occurred"),
        func.count(x.id.distinct()).label("exchanges"),
        func.max(f.id).label("newest"),
    ]
    within = [*within_window(scope), *which(scope, x), x.direction == "in", x.kind == "document", x.findings > 0]
    counted = select(*kind, *sums).join_from(finding, exchange, x.id == f.exchange)
    if scope.type is not None:
        counted = counted.join(transaction_set, transaction_set.c.id == f.transaction_set)
        within.append(has_type(transaction_set.c.set_id, scope.type))
    every = counted.where(*within, f.level == "error").group_by(*kind).subquery()
    order = func.row_number().over(partition_by=every.c.partner, order_by=[every.c.occurred.desc(), every.c.newest])
    ranked = select(every, order.label("place")).subquery()
    wanted = select(ranked, f.exchange, f.message, f.value).join(finding, f.id == ranked.c.newest)
    return [
        Mistake(
            row.partner,
            "in",
            row.code,
            row.x12,
            row.segment,
            f"{row.element:02}" if row.element else "",
            _without(opened_text(connection, row.message), opened_text(connection, row.value)),
            row.occurred,
            row.exchanges,
            row.exchange,
        )
        for row in connection.execute(wanted.where(ranked.c.place <= most))
    ]


def _without(sentence: str, value: str) -> str:
    """A sentence with an ellipsis for the value that it quotes (the beginning of it, where it is long)."""
    if not value:
        return sentence
    shown = "".join(each if each.isprintable() else "?" for each in value)
    for written in (repr(value), f"'{shown}'", f"'{shown[:39]}…'", f"'{shown[:12]}'"):
        if written in sentence:
            return sentence.replace(written, "'…'")
    return sentence.replace(value, "…") if len(value) > 3 else sentence


def _found_by_partners(connection: Connection, scope: Scope, most: int) -> list[Mistake]:
    """What TA1, 997 and 999 say of our documents, read row by row: a list of sentences stands in each."""
    kinds: dict[tuple[str, str, str, str, str], tuple[int, int, int]] = {}
    for partner, number, said in _words_of_partners(connection, scope):
        for x12, segment, element, sentence in said:
            key = (partner, x12, segment, element, sentence)
            if key not in kinds and len(kinds) >= _MOST_KINDS:
                key = (partner, "", "", "", "other errors")
            count, exchanges, newest = kinds.get(key, (0, 0, 0))
            # Rows come in the order of the exchanges, so another number is another exchange.
            kinds[key] = count + 1, exchanges + (number != newest), number
    by_partner: dict[str, list[Mistake]] = defaultdict(list)
    for key, (count, exchanges, newest) in kinds.items():
        partner, x12, segment, element, sentence = key
        by_partner[partner].append(
            Mistake(partner, "out", "", x12, segment, element, sentence, count, exchanges, newest)
        )
    return [
        each
        for found in by_partner.values()
        for each in sorted(found, key=lambda one: (-one.count, one.x12, one.segment, one.element, one.sentence))[:most]
    ]


def _words_of_partners(
    connection: Connection, scope: Scope
) -> Iterator[tuple[str, int, list[tuple[str, str, str, str]]]]:
    a, x = acknowledgment.c, exchange.c
    within = [*within_window(scope), *which(scope, x), x.direction == "out", x.kind == "document"]
    within += [a.status != "accepted", a.relation.in_(["matched", "contradicting"]), a.errors != "[]"]
    wanted = select(x.partner, x.id, a.kind, a.codes, a.errors).join_from(acknowledgment, exchange, x.id == a.exchange)
    if scope.type is not None:
        wanted = wanted.join(transaction_set, transaction_set.c.id == a.transaction_set)
        within.append(has_type(transaction_set.c.set_id, scope.type))
    streamed = wanted.where(*within).order_by(x.id, a.id).execution_options(yield_per=_STREAM)
    for row in connection.execute(streamed):
        said = [_read(sentence) for sentence in opened_sentences(connection, row.errors)]
        if row.kind == "TA1":
            said = [(row.codes, "", "", f"TA1: {sentence}") for _, _, _, sentence in said]
        yield row.partner, row.id, said


def _read(sentence: str) -> tuple[str, str, str, str]:
    """X12 code, segment, element and words of a sentence about an AK3, AK4 or AK5, without position and value."""
    if found := _CODE.match(sentence):
        segment, element, where = _place(found["where"])
        return found["code"], segment, element, f"{where}: {found['what']}"
    if found := _PLAIN.match(sentence):
        return found["code"], "", "", found["what"]
    return "", *_place(sentence)


def _place(written: str) -> tuple[str, str, str]:
    """Segment, element and both as REF02; what is no place is told as it is."""
    place = _PLACE.match(written)
    if place is None:
        return "", "", written
    number, dash, component = (place["element"] or "").partition("-")
    element = f"{number.zfill(2)}{dash}{component}" if number else ""
    return place["segment"], element, place["segment"] + element
