"""The tree of an exchange: message → payload → interchange → group → set → acknowledgment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine

from gateway.ledger.database import reading
from gateway.ledger.events import awaited_name
from gateway.ledger.moments import iso
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.story import LIMIT, MessageStory, Story, message_story_on, story_on
from gateway.ledger.story_values import AcknowledgmentStory, GroupStory, PayloadStory, RelatedStory, SetStory
from gateway.words import count

_WHOLE = 20  # exchanges of one mail whose own branches are read
_Said = Mapping[tuple[int | None, int | None], Sequence[AcknowledgmentStory]]  # by group and set


class Branch(Struct, frozen=True):
    """One node of the tree.

    ``kind`` is message, payload, interchange, group, set, acknowledgment, awaited, receipt or exchange (another one
    that belongs here). ``reference`` is what a person names: ``m12``, the number of an exchange, or "". ``said`` is
    what became of it, in words; ``at`` when, ms since 1970 UTC. ``left_out`` counts branches that were not read.
    """

    kind: str
    reference: str
    title: str
    said: str = ""
    at: int | None = None
    children: tuple[Branch, ...] = ()
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON, nested, times in ISO 8601."""
        return {
            "kind": self.kind,
            "reference": self.reference,
            "title": self.title,
            "said": self.said,
            "at": iso(self.at),
            "left_out": self.left_out,
            "children": [each.as_dict() for each in self.children],
        }


def tree(engine: Engine, number: int, limit: int | None = LIMIT) -> Branch:
    """The tree of an exchange, from the mail that carried it; other exchanges of that mail stand in it in brief.

    Args:
        engine: the ledger.
        number: the exchange's.
        limit: how many groups, sets and acknowledgments are read; None: all.

    Raises:
        NotFound: there is no such exchange.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        told = story_on(connection, number, limit)
        if told.exchange.message is None:
            return _interchange(told)
        letter = message_story_on(connection, told.exchange.message, limit)
        return _message(letter, {number: _interchange(told)}, _receipts(told))


def message_tree(engine: Engine, number: int, limit: int | None = LIMIT) -> Branch:
    """The tree of a mail: its parts with the exchanges that each led to.

    Raises:
        NotFound: there is no such mail.
        DatabaseUnavailable: with the reason.
    """
    with reading(engine) as connection:
        letter = message_story_on(connection, number, limit)
        told = [story_on(connection, each.id, limit) for each in letter.exchanges[:_WHOLE]]
        receipts = [each for one in told[:1] for each in _receipts(one)]
        return _message(letter, {each.exchange.id: _interchange(each) for each in told}, receipts)


# ---------------------------------------------------------------- from the mail down


def _message(letter: MessageStory, known: Mapping[int, Branch], receipts: Iterable[Branch]) -> Branch:
    row = letter.message
    mine: dict[int | None, list[Branch]] = defaultdict(list)
    parts = {each.id for each in letter.payloads}
    for each in letter.exchanges:
        branch = known.get(each.id) or _other("interchange", each)
        mine[each.payload if each.payload in parts else None].append(branch)
    children = [_payload(each, mine[each.id]) for each in letter.payloads]
    return Branch(
        "message",
        f"m{row.id}",
        _letter(row),
        row.state,
        row.at,
        (*children, *mine[None], *receipts),
    )


def _letter(row: MessageRow) -> str:
    to = ", ".join(row.to_addresses[:3]) + (" …" if len(row.to_addresses) > 3 else "")
    who = f"from {row.from_address or 'nobody'}" if row.direction == "in" else f"to {to}"
    return f"{row.kind or 'mail'} {who}" + (f", “{row.subject[:100]}”" if row.subject else "")


def _payload(part: PayloadStory, inside: Sequence[Branch]) -> Branch:
    name = part.file_name or (f"part {part.path}" if part.path else "its body")
    said = f"mended: {part.repairs}" if part.repairs else ""
    return Branch("payload", "", f"{name} ({part.content_type}, {count(part.size, 'byte')})", said, None, tuple(inside))


def _receipts(told: Story) -> list[Branch]:
    return [
        Branch(
            "receipt",
            f"m{each.message}",
            "receipt that we gave" if each.direction == "out" else "the partner's receipt",
            _joined(
                f"{each.disposition}{'/' + each.modifier if each.modifier else ''}", _unless_matched(each.relation)
            ),
            each.at,
        )
        for each in told.receipts
    ]


def _interchange(told: Story) -> Branch:
    row = told.exchange
    said: dict[tuple[int | None, int | None], list[AcknowledgmentStory]] = defaultdict(list)
    for each in told.answered:
        said[each.functional_group, each.transaction_set].append(each)
    children = [
        *_acknowledgments(said[None, None]),
        *(_group(each, said) for each in told.groups),
        *_awaited(told),
        *_answers(told),
        *(_other("exchange", each) for each in told.related if each.relation in {"duplicate of", "repeated by"}),
    ]
    title = _joined(f"interchange {row.control_number}" if row.control_number else row.kind, " ".join(row.types[:10]))
    return Branch("interchange", str(row.id), title, _verdict(row), row.handed_over_at or row.at, tuple(children))


def _group(group: GroupStory, said: _Said) -> Branch:
    title = f"group {group.functional_id} {group.control_number} ({group.version})"
    children = [*_acknowledgments(said.get((group.id, None), ())), *(_set(group, each, said) for each in group.sets)]
    left_out = max(0, group.size - len(group.sets))
    words = _joined(_words(group.status), _by_partner(group.acknowledged))
    return Branch("group", "", title, words, group.acknowledged_at, tuple(children), left_out)


def _set(group: GroupStory, each: SetStory, said: _Said) -> Branch:
    keys = ", ".join(f"{name} {value}" for name, value in each.keys[:10])
    title = _joined(f"{each.set_id} {each.control_number}", keys)
    delivered = {"": "", "due": "waits to be delivered", "delivered": f"delivered to {each.delivered_to}"}
    words = _joined(
        _words(each.status),
        f"{len(each.findings)} findings" if len(each.findings) > 1 else "1 finding" if each.findings else "",
        delivered.get(each.delivery, each.delivery),
        _by_partner(each.acknowledged),
    )
    children = tuple(_acknowledgments(said.get((group.id, each.id), ())))
    return Branch("set", "", title, words, each.delivered_at or each.acknowledged_at, children)


def _acknowledgments(said: Iterable[AcknowledgmentStory]) -> Iterator[Branch]:
    for each in said:
        codes = f"[{each.codes}]" if each.codes else ""
        words = _joined(f"{_words(each.status)} {codes}".strip(), _unless_matched(each.relation))
        words = "; ".join([words, *each.errors[:3]])
        yield Branch("acknowledgment", str(each.carrier), f"{each.kind} on {each.names}", words, each.at)


def _awaited(told: Story) -> Iterator[Branch]:
    """What should have come, or should come yet."""
    for each in told.awaited:
        said = "overdue" if each.overdue_at else "due" if each.due_at else "once it is handed over"
        yield Branch("awaited", "", f"awaiting {awaited_name(each.kind)}", said, each.due_at)


def _answers(told: Story) -> Iterator[Branch]:
    """What we answered to an exchange that came in."""
    for each in told.related:
        if each.relation == "answered by":
            title = f"our {' '.join(each.types)} {each.control_number}".strip()
            yield Branch("acknowledgment", str(each.id), title, each.state, each.at)


def _other(kind: str, each: RelatedStory) -> Branch:
    relation = "" if each.relation in {"carries", "came in the same mail as"} else f"{each.relation}: "
    title = f"{relation}interchange {each.control_number} {' '.join(each.types[:10])}".strip()
    return Branch(kind, str(each.id), title, each.state, each.at)


def _verdict(row: ExchangeRow) -> str:
    verdict = _words(row.verdict)
    return _joined(verdict if verdict != row.state else "", row.state, f"TA1 {row.ta1}" if row.ta1 else "")


def _words(status: str) -> str:
    return status.replace("_", " ")


def _by_partner(status: str) -> str:
    return f"{_words(status)} by the partner" if status else ""


def _unless_matched(relation: str) -> str:
    return "" if relation == "matched" else relation


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
