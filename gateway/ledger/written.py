"""Writing a query as words, the way people write it and ``words.parse_query`` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from gateway.errors import QueryInvalid
from gateway.ledger.query import FLAGS, PROSE, Criterion, Cursor, Query
from gateway.ledger.words import FIELDS, STATES, canonical

_SHORT = {
    "business_key": "key",
    "control_number": "control",
    "group_control_number": "group",
    "set_control_number": "st02",
    "from_address": "from",
    "to_address": "to",
    "file_name": "file",
    "needs_attention": "attention",
    "message_id": "message-id",
}
_STATE_WORDS: dict[str, str] = {state: word for word, state in STATES.items()}
_PLAIN = re.compile(r"[\w.*#/+][\w.*#/+-]*")
_DEFAULT_LIMIT = 50
_SHOWN = 40  # characters of a line that are told
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(query: Query) -> tuple[str, ...]:
    """The words that say the query: ``parse_query`` of them gives it again, whatever the time and zone."""
    return tuple(_words(query))


def as_line(words: Sequence[str]) -> str:
    """Words as one line for a search box or a link; ``split_line`` reads it. Quotes stand where blanks need them."""
    return " ".join(_quoted(word) for word in words)


def split_line(line: str) -> list[str]:
    """The words of a line: cut at blanks, but not within double quotes; a doubled quote within them is a quote."""
    found: list[str] = []
    word, at = None, 0
    while at < len(line):
        end = _closing(line, at) if line[at] == '"' else -1
        if end > 0:
            word = (word or "") + line[at + 1 : end].replace('""', '"')
            at = end
        elif not line[at].isspace():
            word = (word or "") + line[at]
        elif word is not None:
            found.append(word)
            word = None
        at += 1
    return found if word is None else [*found, word]


def split_words(line: str) -> list[str]:
    """As ``split_line``, where nobody is still typing: a quote that opens must be closed.

    Raises:
        QueryInvalid: names what follows the quote that nothing closes.
    """
    at = 0
    while (at := line.find('"', at)) >= 0:
        end = _closing(line, at)
        if end < 0:
            reason = "nothing closes the quote that opens there; within quotes a quote is written twice"
            raise QueryInvalid(where=line[at : at + _SHOWN], reason=reason)
        at = end + 1
    return split_line(line)


def _closing(line: str, opening: int) -> int:
    """Where the quote that opens there is closed; -1 where it never is, and then is a character like others."""
    at = line.find('"', opening + 1)
    while at >= 0 and line[at : at + 2] == '""':
        at = line.find('"', at + 2)
    return at


def cursor_word(cursor: Cursor) -> str:
    """A cursor as the value of ``before=``."""
    value, number = cursor
    return f"{quote(value, safe='') if isinstance(value, str) else value}-{number}"


def _words(query: Query) -> Iterator[str]:
    for criterion in query.criteria():
        if criterion.field == "text" and not criterion.negated:
            yield from _free(criterion.values[0])
        else:
            yield _word(criterion)
    for name in FLAGS:
        value = getattr(query, name)
        if value is not None:
            yield ("" if value else "-") + _shown(name)
    for name in ("since", "until"):
        at = getattr(query, name)
        if at is not None:
            yield f"{name}={_moment(at)}"
    if query.sort is not None:
        yield f"sort={query.sort}"
    if query.limit != _DEFAULT_LIMIT:
        yield f"limit={'all' if query.limit is None else query.limit}"
    if query.before is not None:
        yield f"before={cursor_word(query.before)}"


def _word(criterion: Criterion) -> str:
    name = ("-" if criterion.negated else "") + _shown(criterion.field)
    return f"{name}={','.join(_value(criterion.field, each) for each in criterion.values)}"


def _value(field: str, value: str) -> str:
    if field in PROSE:
        return value
    if field == "state":
        return _STATE_WORDS.get(value, value)
    return value.replace("\\", "\\\\").replace(",", "\\,")


def _free(text: str) -> list[str]:
    """Free text as it is, unless a word of it could be taken for something else."""
    terms = text.split(" ")
    plain = all(_PLAIN.fullmatch(term) and canonical(term) not in FLAGS and term != "NOT" for term in terms)
    return terms if plain else [f"text={text}"]


def _shown(name: str) -> str:
    return _SHORT.get(name, name.replace("_", "-"))


def _moment(at: int) -> str:
    """ISO 8601, as short as it can be; ``@`` and the number for what no calendar has."""
    try:
        moment = _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return f"@{at}"
    precision = "milliseconds" if at % 1000 else "seconds" if at % 60_000 else "minutes"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"' if re.search(r'[\s"]', word) or not word else word


assert set(_SHORT) <= set(FIELDS)
