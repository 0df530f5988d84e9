"""Saved queries: words that somebody gave a name, asked as ``@NAME``, alone or with more words after it.

The words are kept as they were written, so that ``since=7d`` stays the last seven days. Who saved and deleted what is
told by events.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, delete, select

from gateway.errors import NotAllowedNow, NotFound, QueryInvalid
from gateway.ledger import archive
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.tables import saved_query
from gateway.ledger.words import field_of, named, parse_query

WHAT = "saved query"
# Said again, these take the place of what the saved words say.
_REPLACED = frozenset({"sort", "limit", "before", "zone"})


class SavedQuery(Struct, frozen=True):
    """A query with a name; ``at`` is ms since 1970 UTC, ``actor`` who saved it."""

    name: str
    words: tuple[str, ...]
    at: int
    actor: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "words": list(self.words), "at": iso(self.at), "actor": self.actor}


def save(recorder: Recorder, name: str, words: Sequence[str], *, replace: bool = False) -> SavedQuery:
    """Keeps words under a name.

    Args:
        recorder: the transaction; its actor saves.
        name: small letters, digits, minus and underscore.
        words: a query that can be understood.
        replace: whether a query of that name may go.

    Raises:
        QueryInvalid: the name or a word is not understood, or there are none.
        NotAllowedNow: there is a query of that name.
    """
    if named(f"@{name}") is None:
        raise QueryInvalid(where=name, reason="a name has small letters, digits, - and _, at most 40")
    if not words:
        raise QueryInvalid(where=name, reason="words are wanted after the name: what it is to find")
    for word in words:
        if named(word) is not None:
            raise QueryInvalid(where=word, reason="a saved query is made of words, not of other saved queries")
    parse_query(words)
    before = find(recorder.connection, name)
    if before is not None and not replace:
        raise NotAllowedNow(what=WHAT, key=name, state="there already", reason="add --replace to put this in its place")
    values = {"words": json.dumps(list(words), ensure_ascii=False), "at": recorder.now, "actor": recorder.actor}
    statement = archive.insert(recorder.connection, saved_query).values(name=name, **values)
    recorder.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    recorder.event("query-saved", name=name, words=" ".join(words), before=" ".join(before.words) if before else "")
    return SavedQuery(name, tuple(words), recorder.now, recorder.actor)


def remove(recorder: Recorder, name: str) -> SavedQuery:
    """Deletes a saved query and returns it.

    Raises:
        NotFound: there is none of that name.
    """
    found = wanted(recorder.connection, name)
    recorder.connection.execute(delete(saved_query).where(saved_query.c.name == name))
    recorder.event("query-deleted", name=name, words=" ".join(found.words))
    return found


def every(connection: Connection) -> list[SavedQuery]:
    """All saved queries, by name."""
    return sorted(map(_saved, connection.execute(select(saved_query))), key=lambda each: each.name)


def find(connection: Connection, name: str) -> SavedQuery | None:
    """The saved query of that name, or None."""
    row = connection.execute(select(saved_query).where(saved_query.c.name == name)).one_or_none()
    return None if row is None else _saved(row)


def wanted(connection: Connection, name: str) -> SavedQuery:
    """The saved query of that name.

    Raises:
        NotFound: there is none; a name that is much like it is told.
    """
    found = find(connection, name)
    if found is None:
        near = get_close_matches(name, [each.name for each in every(connection)], n=1)
        raise NotFound(what=WHAT, key=f"{name}; there is {near[0]}" if near else name, see="gateway ledger query list")
    return found


def expanded(connection: Connection, words: Sequence[str]) -> list[str]:
    """The words with those of saved queries in the place of each ``@NAME``; ``-@NAME`` and ``NOT @NAME`` turn it round.

    Raises:
        NotFound: a query that is named is not there.
        QueryInvalid: one is to be turned round that asks for more than one thing.
    """
    replaced = set(map(field_of, words)) & _REPLACED
    found: list[str] = []
    before: list[str] = []  # each NOT that stands before the word
    for word in words:
        name = named(word)
        if word == "NOT":
            before.append(word)
            continue
        if name is None:
            found += [*before, word]
        else:
            kept = [each for each in wanted(connection, name).words if field_of(each) not in replaced]
            turned = (len(before) + len(word) - len(word.lstrip("-"))) % 2 == 1
            found += _turned(kept, " ".join([*before, word])) if turned else kept
        before = []
    return found + before


def _turned(words: Sequence[str], asked: str) -> list[str]:
    """What does not meet the words, as words: where one of them asks and the others say only how it is shown."""
    asking = [word for word in words if field_of(word) not in _REPLACED]
    shown = [word for word in words if field_of(word) in _REPLACED]
    if len(asking) - asking.count("NOT") == 1:
        return [*shown, "NOT", *asking]
    reason = "no words can say the opposite of several words together; put NOT before those of them that are meant"
    raise QueryInvalid(where=f"{asked} ({' '.join(words)})", reason=reason)


def _saved(row: Any) -> SavedQuery:
    return SavedQuery(row.name, tuple(json.loads(row.words)), row.at, row.actor)
