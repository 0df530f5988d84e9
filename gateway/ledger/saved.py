"""Saved queries: words that somebody gave a name, asked as ``@NAME``, alone or with more words after it.

The words are kept as they were written, so that ``since=7d`` stays the last seven days. Who saved and deleted what is
told by events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, delete, select

from gateway.errors import NotAllowedNow, NotFound, QueryInvalid
from gateway.ledger import archive
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.tables import saved_query
from gateway.ledger.words import canonical, parse_query

WHAT = "saved query"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
# Said again, these take the place of what the saved words say.
_REPLACED = frozenset({"sort", "limit", "before", "zone"})


@dataclass(frozen=True, slots=True)
class SavedQuery:
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
    if not _NAME.fullmatch(name):
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
        raise NotFound(what=WHAT, key=f"{name}; there is {near[0]}" if near else name)
    return found


def named(word: str) -> str | None:
    """The name in ``@NAME``; None where a word is something else, as ``@acme.example`` is free text."""
    name = word.removeprefix("@")
    return name if word.startswith("@") and _NAME.fullmatch(name) else None


def expanded(connection: Connection, words: Sequence[str]) -> list[str]:
    """The words with those of saved queries in the place of each ``@NAME``.

    Raises:
        NotFound: a query that is named is not there.
    """
    replaced = {canonical(name) for name in map(_field, words) if name} & _REPLACED
    found: list[str] = []
    for word in words:
        name = named(word)
        found += [word] if name is None else _rest(wanted(connection, name).words, replaced)
    return found


def _rest(words: Sequence[str], replaced: set[str]) -> Iterator[str]:
    return (word for word in words if canonical(_field(word)) not in replaced)


def _field(word: str) -> str:
    """The field of ``field=value``; empty where there is none."""
    matched = re.match(r"([A-Za-z][A-Za-z0-9_-]*)[=:]", word)
    return matched[1] if matched else ""


def _saved(row: Any) -> SavedQuery:
    return SavedQuery(row.name, tuple(json.loads(row.words)), row.at, row.actor)
