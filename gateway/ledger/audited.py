"""Which tables are audited, and how a row becomes the text that its digests are made of (see ``prints``).

The whole of a row is all its columns but what is only work. Its core is those that no code ever changes once the row is
there: whom it came from, what it is about, which bytes it speaks of. A row whose core is another one is another row,
whatever was recorded of it later. Of tables whose rows never change at all the whole is the core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.ledger import tables
from gateway.ledger.plain_json import compact, compact_any

Row = Mapping[str, Any]
Digest = bytes

LENGTH = 16  # bytes of the digest of a whole row
CORE = 8  # bytes of the digest of a core
GONE = bytes(LENGTH)
UNTOLD = bytes(CORE)  # no core was told

_sha256 = hashlib.sha256
_quote = sqlite.dialect().identifier_preparer.quote


@dataclass(frozen=True, slots=True)
class Encoding:
    """Some columns of a table as text: their values as a JSON list, without the defaults at the end."""

    columns: tuple[str, ...]  # in the order of the table
    blank: tuple[Any, ...]  # their defaults
    tails: tuple[bytes, ...]  # how a row that is encoded whole ends where all from a column on have theirs
    usual: list[int]  # which of these the last row had, for the next one most likely has it too
    start: bytes  # of what is hashed
    length: int  # bytes that are kept of a digest

    def encoded(self, values: Sequence[Any]) -> str:
        """A row as text, from its values in the order of ``columns``."""
        end = len(values)
        blank = self.blank
        while values[end - 1] == blank[end - 1]:  # the key is never blank
            end -= 1
        try:
            return compact(values[:end])
        except (TypeError, ValueError):
            return compact_any(values[:end])

    def cut(self, data: bytes) -> bytes:
        """The same in UTF-8, from what SQLite made of all columns."""
        tails = self.tails
        usual = self.usual[0]
        if data.endswith(tails[usual]) and not (usual and data.endswith(tails[usual - 1])):
            return data[: -len(tails[usual])] + b"]"
        low, high = 0, len(tails) - 1  # the last tail is the bracket alone
        while low < high:
            middle = (low + high) // 2
            if data.endswith(tails[middle]):
                high = middle
            else:
                low = middle + 1
        self.usual[0] = low
        return data[: -len(tails[low])] + b"]"

    def digest(self, rows: Sequence[str]) -> Digest:
        """The digest of one row, or of all rows of an owner, encoded; no rows at all are gone."""
        return self.digest_of([each.encode() for each in rows])

    def digest_of(self, rows: Sequence[bytes]) -> Digest:
        """The same of rows in UTF-8, which are in the order of their characters in that of their bytes."""
        if not rows:
            return bytes(self.length)
        data = rows[0] if len(rows) == 1 else b"\n".join(sorted(rows))
        return _sha256(self.start + data).digest()[: self.length]


@dataclass(frozen=True, slots=True)
class Core(Encoding):
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
class Audited(Encoding):
    """A table whose rows are digested: ``owner`` is the column by which rows belong together, ``id`` one by one."""

    table: Table
    owner: str
    core: Core | None  # None: its rows never change
    whole: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # all values of a row, in the order of the table
    part: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None  # of them those of ``columns``; None: that is all
    asking: str  # SQLite for its owners, encoded rows and encoded cores, but for which
    in_order: str

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
    return {"columns": names, "blank": blank, "tails": tails, "usual": [0], "start": f"{table.name}{mark}\0".encode()}


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
    of = _quote(owner)
    encoded = _as_json(map(_quote, columns))
    core = _core(table, columns, changing, only) if changing else None
    if core is not None:
        directions = {
            name: sorted(each for each in only if name in only[each]) for names in only.values() for name in names
        }
        encoded += ", " + _as_json(_where(each, directions.get(each, ())) for each in core.columns)
    asking = f"SELECT {of}, {encoded} FROM {_quote(table.name)} WHERE {of} "  # noqa: S608 - names of ours
    return Audited(
        **_encoding(table, columns),
        length=LENGTH,
        table=table,
        owner=owner,
        core=core,
        whole=itemgetter(*every),
        part=part,
        asking=asking,
        in_order=f" ORDER BY {of}",
    )


def _as_json(columns: Iterable[str]) -> str:
    return f"CAST(json_array({', '.join(columns)}) AS BLOB)"


def _where(column: str, directions: Sequence[str]) -> str:
    """A column, of rows of these directions only where there are any."""
    if not directions:
        return _quote(column)
    (direction,) = directions
    return f"CASE direction WHEN '{direction}' THEN {_quote(column)} END"


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
