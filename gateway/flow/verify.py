"""Verify: the ledger against its tree, the tree against the seals, what rules the gateway against what was told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from gateway.flow.verify_numbers import numbers
from gateway.flow.verify_seals import opened
from gateway.flow.verify_told import people, profiles
from gateway.ledger import damage
from gateway.ledger.database import reading
from gateway.ledger.put_away import put_away_since
from gateway.ledger.retention_checks import unexplained
from gateway.ledger.seals import Seal, SealKey
from gateway.ledger.verify import Difference, Extent, Progress, Verification, sealed_otherwise
from gateway.words import count

_NO_TEXT = "Could not decode"  # SQLite, of bytes that are stored as a text


class Verdict(Struct):
    """What a verification came to, filled while ``verify`` is iterated.

    ``since`` is the seal that it began at (None: everything was looked at), ``sealed`` the newest one that fits;
    ``notes`` is what is no difference, and an auditor should know of.
    """

    since: Seal | None = None
    sealed: Seal | None = None
    seals: int = 0
    contents: int = 0
    extent: Extent | None = None
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        extent = self.extent
        return {
            "whole": not self.differences,
            "since": self.since.size if self.since else None,
            "sealed": self.sealed.size if self.sealed else None,
            "sealed_at": self.sealed.time if self.sealed else None,
            "seals": self.seals,
            "size": extent.size if extent else 0,
            "root": extent.root.hex() if extent else "",
            "events": extent.events if extent else 0,
            "rows": extent.rows if extent else 0,
            "contents": self.contents,
            "differences": [each.as_dict() for each in self.differences],
            "notes": list(self.notes),
        }


def verify(
    engine: Engine,
    verdict: Verdict,
    key: SealKey | None,
    outside: Sequence[str] = (),
    *,
    full: bool = False,
    contents: bool = True,
    progress: Progress = lambda *_: None,
) -> Iterator[Difference]:
    """Looks, and gives the differences as they are found; ``verdict`` is filled on the way.

    Args:
        engine: the ledger.
        verdict: an empty one.
        key: of our seals; None where it is not at hand: seals that were made are a difference then.
        outside: signed notes that were kept outside of the database.
        full: everything; else from the newest seal on, where there is one.
        contents: in full, hash all kept bytes too.
        progress: told from time to time.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    for each in _looked(engine, verdict, key, outside, full=full, contents=contents, progress=progress):
        verdict.differences.append(each)
        yield each


def _looked(
    engine: Engine,
    verdict: Verdict,
    key: SealKey | None,
    outside: Sequence[str],
    *,
    full: bool,
    contents: bool,
    progress: Progress,
) -> Iterator[Difference]:
    with reading(engine) as connection:
        known: list[Seal] = []
        yield from _legible("Seals", opened(connection, key, outside, known))
        known.sort(key=lambda each: each.size)
        verdict.seals = len(known)
        look = Verification(connection, progress, processes=os.cpu_count() or 1)
        verdict.since = None if full or not known else known[-1]
        yield from _legible("The ledger", look.full() if verdict.since is None else look.since(verdict.since))
        yield from _legible("The tree", _sealed(look, known, verdict))
        if full and known:
            verdict.notes += put_away_since(connection, known[0])
        yield from _legible("Profiles", profiles(connection))
        yield from _legible("Who may do what", people(connection))
        yield from _legible("Control numbers", numbers(connection, full=verdict.since is None))
        verdict.extent = look.extent
        yield from _legible(
            "What is gone", _as_content(unexplained(connection, verdict.since.seq if verdict.since else -1))
        )
    if verdict.since is None and contents:
        yield from _contents(engine, verdict)


def _legible(what: str, found: Iterator[Difference]) -> Iterator[Difference]:
    """What is found, and where somebody wrote values that nobody can read, that: the rest is looked at all the same."""
    try:
        yield from found
    except (
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        InvalidRequestError,
    ) as problem:
        yield Difference("row", "", f"{what} cannot be read to the end: {problem}.")
    except DBAPIError as problem:
        if not (isinstance(problem.orig, sqlite3.Error) and _NO_TEXT in str(problem.orig)):
            raise
        yield Difference("row", "", f"{what} cannot be read to the end: {problem.orig}.")


def _as_content(sentences: Iterator[str]) -> Iterator[Difference]:
    return (Difference("content", "", each) for each in sentences)


def _sealed(look: Verification, known: Sequence[Seal], verdict: Verdict) -> Iterator[Difference]:
    """Each seal must fit the tree as it is."""
    size, nodes = look.extent.size, look.nodes
    for each in known:
        if each.size > size:
            said = f"The ledger has {count(size, 'event')}; on {each.time} it was sealed with {each.size}: it is older."
            yield Difference("seal", str(each.size), said)
            continue
        try:
            fits = nodes.root(each.size) == each.root
        except LookupError:
            fits = False
        if fits:
            verdict.sealed = each
        elif each != verdict.since:  # of that one it was said already
            yield sealed_otherwise(each)


def _contents(engine: Engine, verdict: Verdict) -> Iterator[Difference]:
    """All kept bytes must have the hash that is their name, and all that rows name must be there."""
    with reading(engine) as connection:
        verdict.contents = damage.count(connection)
        yield from _legible("What is missing", _as_content(damage.missing(connection)))
        yield from _legible("What is kept", _as_content(damage.contents(connection)))
