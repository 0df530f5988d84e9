"""Which tables are audited, and how a row becomes the text that its digests are made of (see ``prints``).

The whole of a row is all its columns but what is only work. Its core is those that no code ever changes once the row is
there: whom it came from, what it is about, which bytes it speaks of. A row whose core is another one is another row,
whatever was recorded of it later. Of tables whose rows never change at all the whole is the core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.ledger import tables
from gateway.ledger.asking import MARK_SQL, Asking, Parts, Pick
from gateway.ledger.encoding import CORE, GONE, LENGTH, UNTOLD, Digest, Encoding
from gateway.ledger.plain_json import compact
from gateway.ledger.quick_json import compact_any

__all__ = ["AUDITED", "CORE", "GONE", "LENGTH", "UNTOLD", "Audited", "Digest"]  # some are defined elsewhere

_sha256 = hashlib.sha256
_quote = sqlite.dialect().identifier_preparer.quote


@dataclass(frozen=True, slots=True)
class OwnEncoding(Encoding):
    """The same where we encode the rows ourselves."""

    def encoded(self, values: Sequence[Any]) -> bytes:
        """A row as text in UTF-8, from its values in the order of ``columns``."""
        end = len(values)
        blank = self.blank
        while values[end - 1] == blank[end - 1]:  # the key is never blank
            end -= 1
        return compact_any(values[:end])

    def digest(self, rows: Sequence[bytes]) -> Digest:
        """The digest of one row, or of all rows of an owner, encoded; no rows at all are gone."""
        if not rows:
            return bytes(self.length)
        # In UTF-8 they have the order of their characters.
        return _sha256(self.start + b"\n".join(sorted(rows))).digest()[: self.length]


@dataclass(frozen=True, slots=True)
class Core(OwnEncoding):
    """The columns that never change. Of some tables a few more never do where the row is of one direction."""

    place: int | None  # of the direction among the audited columns, where it counts
    picks: Mapping[Any, Callable[[tuple[Any, ...]], tuple[Any, ...]]]  # by direction
    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]  # of any other; takes the values and None

    def of(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values of the core, from those of the audited columns."""
        if self.place is None:
            return self.pick(values)
        return self.picks.get(values[self.place], self.pick)((*values, None))


@dataclass(frozen=True, slots=True)
class Audited(OwnEncoding):
    """A table whose rows are digested: ``owner`` is the column by which rows belong together, ``id`` one by one."""

    table: Table
    owner: str
    core: Core | None  # None: its rows never change
    whole: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # all values of a row, in the order of the table
    part: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None  # of them those of ``columns``; None: that is all
    asking: Asking  # SQLite, for the digests

    @property
    def one_by_one(self) -> bool:
        """Whether each row has a digest of its own."""
        return self.owner == "id"

    @property
    def gone(self) -> Digest:
        """What stands in the place of the digest, and of the core's, where there are no rows."""
        return GONE if self.core is None else GONE + UNTOLD

    def both(self, rows: Sequence[tuple[Any, ...]]) -> tuple[Digest, Digest]:
        """The digests of one row, or of all rows of an owner, and of the core; from the values of ``columns``."""
        encoded, core = self.encoded, self.core
        whole = self.digest([encoded(row) for row in rows])
        return whole, b"" if core is None else core.digest([core.encoded(core.of(row)) for row in rows])


def _encoding(table: Table, columns: Iterable[str], mark: str = "") -> dict[str, Any]:
    names = tuple(columns)
    blank = tuple(_default(table, each) for each in names)
    ends = ["," + compact([each])[1:-1] for each in blank]
    tails = tuple(("".join(ends[place:]) + "]").encode() for place in range(len(ends) + 1))
    return {
        "columns": names,
        "blank": blank,
        "tails": tails,
        "usual": [0, 0],
        "start": f"{table.name}{mark}\0".encode(),
    }


def _default(table: Table, column: str) -> Any:
    default = table.c[column].default
    return default.arg if isinstance(default, ScalarElementColumnDefault) else None


def _core(table: Table, audited: Sequence[str], changing: Collection[str], only: Mapping[str, Collection[str]]) -> Core:
    """Of the audited columns those that never change: ``changing`` do, those of ``only`` do but in one direction."""
    some = {name for names in only.values() for name in names}
    columns = [each for each in audited if each not in changing]
    places = [audited.index(each) for each in columns]
    picks = {
        direction: itemgetter(
            *(
                len(audited) if name in some and name not in names else place
                for name, place in zip(columns, places, strict=True)
            )
        )
        for direction, names in only.items()
    }
    other = itemgetter(*(len(audited) if name in some else place for name, place in zip(columns, places, strict=True)))
    place = audited.index("direction") if only else None
    return Core(**_encoding(table, columns, " core"), length=CORE, place=place, picks=picks, pick=other)


def _audited(
    table: Table,
    owner: str = "id",
    *,
    without: Iterable[str] = (),
    changing: Collection[str] = (),
    only: Mapping[str, Collection[str]] | None = None,
) -> Audited:
    """Args: see ``_core``; ``without`` is not audited at all."""
    only = only or {}
    columns = [each.name for each in table.columns if each.name not in without]
    every = [each.name for each in table.columns]
    part = itemgetter(*(every.index(each) for each in columns)) if columns != every else None
    core = _core(table, columns, changing, only) if changing else None
    encoding = _encoding(table, columns)
    whole = Encoding(**encoding, length=LENGTH)
    return Audited(
        **encoding,
        length=LENGTH,
        table=table,
        owner=owner,
        core=core,
        whole=itemgetter(*every),
        part=part,
        asking=_asking(table, owner, whole, core, only),
    )


def _asking(
    table: Table, owner: str, whole: Encoding, core: Core | None, only: Mapping[str, Collection[str]]
) -> Asking:
    of = _quote(owner)
    parts: Parts | None = None
    asked = [_quote(each) for each in whole.columns]
    if core is not None:
        alike = _alike(whole.columns, core.columns, only)
        asked = [each for _, names in alike for each in (*map(_quote, names), MARK_SQL)]
        parts = _parts(alike, only)
    return Asking(
        sql=f"SELECT {of}, CAST(json_array({', '.join(asked)}) AS BLOB) FROM {_quote(table.name)} WHERE {of} ",  # noqa: S608 - names of ours
        order=f" ORDER BY {of}",
        one_by_one=owner == "id",
        whole=whole,
        core=core and Encoding(core.columns, core.blank, core.tails, [0, 0], core.start, core.length),
        parts=parts,
    )


_ALWAYS, _NEVER, _DIRECTION = "always", "never", "direction"
_Alike = Sequence[tuple[object, Sequence[str]]]  # when columns are of the core, and their names


def _alike(columns: Sequence[str], core: Collection[str], only: Mapping[str, Collection[str]]) -> _Alike:
    """Columns that follow each other and are of the core in the same directions."""

    def when(column: str) -> object:
        if column not in core:
            return _NEVER
        if only and column == "direction":
            return _DIRECTION
        return tuple(each for each in only if column in only[each]) or _ALWAYS

    return [(which, tuple(names)) for which, names in groupby(columns, when)]


def _parts(alike: _Alike, only: Mapping[str, Collection[str]]) -> Parts:
    """Which parts of a row are its core; beyond them, and the bracket, stand those that hold nothing instead."""
    sometimes = [place for place, (which, _) in enumerate(alike) if isinstance(which, tuple)]
    nothing = tuple(b",null" * len(alike[place][1]) for place in sometimes)

    def pick(direction: str | None) -> Pick:
        found = []
        for place, (which, _) in enumerate(alike):
            if isinstance(which, tuple) and direction not in which:
                found.append(len(alike) + 1 + sometimes.index(place))
            elif which != _NEVER:
                found.append(place)
        return itemgetter(*found, len(alike))

    direction = next((place for place, (which, _) in enumerate(alike) if which == _DIRECTION), None)
    return Parts(
        pick=pick(None),
        direction=direction,
        picks={f",{compact(each)}".encode(): pick(each) for each in only},
        nothing=nothing,
    )


_OPENED = (
    *("kind", "message_id", "in_reply_to", "subject", "from_address", "to_addresses", "cc_addresses", "dated"),
    *("partner", "proof", "proof_detail", "layers"),
)

# How often a message was tried is work, not history. What a mail says and whom it is of is known of ours when they are
# written, and of those that came when they are opened, perhaps anew with another key.
AUDITED: Mapping[str, Audited] = {
    each.table.name: each
    for each in (
        _audited(
            tables.message,
            without=("attempts",),
            changing=("state", "fault_code", "fault"),
            only={"out": _OPENED},
        ),
        _audited(tables.payload),
        _audited(
            tables.exchange,
            changing=(
                *("updated_at", "state", "fault_code", "fault", "handed_over_at", "smtp_reply", "settled_at"),
                *("due_at", "acknowledged_at"),
                "duplicate_of",  # known when a held one is released, and its number was used meanwhile
            ),
            only={"in": ("verdict",)},  # the verdict on a document of ours is the partner's, and comes later
        ),
        _audited(tables.interchange_key, "exchange"),
        _audited(tables.functional_group, changing=("acknowledged", "acknowledged_at")),
        _audited(
            tables.transaction_set,
            changing=("acknowledged", "acknowledged_at", "delivery", "delivered_to", "delivered_at"),
        ),
        _audited(tables.business_key, "exchange"),
        _audited(tables.finding, "exchange", changing=("value", "message")),  # which may be encrypted later
        _audited(tables.acknowledgment, changing=("errors",)),  # which may be encrypted later
        _audited(tables.receipt),
        _audited(tables.received_number, "exchange"),
        _audited(tables.hold, changing=("exchanges", "messages", "released_at", "released_by", "release_reason")),
        _audited(tables.payload_key, changing=("token", "forgotten_at", "forgotten_by", "reason")),
        _audited(tables.moved_archive, changing=("moved_at",)),
    )
}
