"""A chain of documents in plain words: one line a document, in time order, and what was answered beneath it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from gateway.ledger.chain_values import Answer, Chain, Document
from gateway.ledger.events import one_line
from gateway.ledger.moments import spoken

MOST_KEYS = 6  # named with a document
_ARROWS = {"in": "←", "out": "→"}
_MARGIN = " " * 22


def tell_chain(chain: Chain, zone: tzinfo | None = None) -> list[str]:
    """The chain line by line. Times are local, or in ``zone``; nothing that a partner wrote can break a line."""
    lines = [_title(chain), ""]
    for each in chain.documents:
        lines.append(_document(each, chain, zone))
        answers = list(each.answers)
        for number, answer in enumerate(answers, 1):
            lines.append(f"{_MARGIN}  {'└─' if number == len(answers) else '├─'} {_answer(answer, zone)}")
    if chain.passed:
        lines += ["", *_passed(chain)]
    if chain.cut:
        lines += ["", "There are more documents than these."]
    return [one_line(line) for line in lines]


def row_of(each: Document) -> dict[str, object]:
    """One document as a row of a table."""
    return {
        "at": each.at,
        "direction": each.direction,
        "type": each.title,
        "partner": each.partner,
        "keys": _keys(each),
        "state": became(each),
        "acknowledged": ", ".join(f"{answer.kind} {_words(answer.status)}" for answer in each.answers),
        "exchange": each.exchange,
        "found_by": "=".join(each.via),
    }


def _title(chain: Chain) -> str:
    documents = chain.documents
    who = f" with {chain.partner}" if chain.partner else ""
    count = f"{len(documents)} document{'' if len(documents) == 1 else 's'}"
    types = " → ".join(dict.fromkeys(each.set_id for each in documents))
    return f"{chain.asked}{who}: {count}{f', {types}' if types else ''}"


def _document(each: Document, chain: Chain, zone: tzinfo | None) -> str:
    who = "" if chain.partner else f" {each.partner}"
    by = "" if each.depth == 0 else f" (by {each.via[0]} {each.via[1]})"
    return (
        f"{spoken(each.at, zone)}  {_ARROWS.get(each.direction, ' ')} {each.title}{who}  {_keys(each)}: "
        f"{became(each)}{by}, exchange {each.exchange}"
    )


def _keys(each: Document) -> str:
    keys = [f"{name} {value}" for name, value in each.keys[:MOST_KEYS]]
    more = f" and {len(each.keys) - MOST_KEYS} more" if len(each.keys) > MOST_KEYS else ""
    return ", ".join(keys) + more


def became(each: Document) -> str:
    """What became of it: our verdict and where it is, or how far it went."""
    status = _words(each.status if each.direction == "in" else each.acknowledged)
    if each.duplicate_of is not None:
        return f"{each.state} of exchange {each.duplicate_of}"
    state = "delivered" if each.delivered_at is not None else each.state
    if not status or status in state:
        return state
    return f"{status}, {state}" if each.direction == "in" else f"{state}, {status}"


def _answer(answer: Answer, zone: tzinfo | None) -> str:
    who = "the partner's" if answer.direction == "in" else "our"
    state = f", {answer.state}" if answer.state else ""
    relation = "" if answer.relation == "matched" else f" ({answer.relation})"
    errors = f": {'; '.join(answer.errors[:3])}" if answer.errors else ""
    carrier = f", exchange {answer.carrier}" if answer.carrier is not None else ""
    when = spoken(answer.at, zone).strip()
    return f"{who} {answer.kind} of {when}: {_words(answer.status)}{relation}{state}{carrier}{errors}"


def _passed(chain: Chain) -> Iterator[str]:
    yield "Not followed:"
    for each in chain.passed:
        yield f"  {each.name}{f' {each.value}' if each.value else ''}: {each.reason}"


def _words(status: str) -> str:
    return status.replace("_", " ")
