"""Which tables are audited, and how a row becomes the text that its digests are made of (see ``prints``).

The whole of a row is all its columns but what is only work. Its core is those that no code ever changes once the row is
there: whom it came from, what it is about, which bytes it speaks of. A row whose core is another one is another row,
whatever was recorded of it later. Of tables whose rows never change at all the whole is the core.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.ledger import tables
from gateway.ledger.asking import Asking
from gateway.ledger.encoding import CORE, GONE, LENGTH, UNTOLD, Digest, Encoding
from gateway.ledger.quick_json import compact_any

__all__ = ["AUDITED", "CORE", "GONE", "LENGTH", "UNTOLD", "Audited", "Digest"]  # some are defined elsewhere

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

    def plain(self) -> Encoding:
        """The same for a process that has nothing but Python's own library."""
        return Encoding(self.columns, self.blank, self.start, self.length)

    def digest(self, rows: Sequence[bytes]) -> Digest:
        """The digest of one row, or of all rows of an owner, encoded; no rows at all are gone."""
        return self.digest_together(rows) if rows else bytes(self.length)


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
    return {
        "columns": names,
        "blank": blank,
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
    return Audited(
        **encoding,
        length=LENGTH,
        table=table,
        owner=owner,
        core=core,
        whole=itemgetter(*every),
        part=part,
        asking=_asking(table, owner, Encoding(**encoding, length=LENGTH), core and core.plain(), only),
    )


def _asking(
    table: Table, owner: str, whole: Encoding, core: Encoding | None, only: Mapping[str, Collection[str]]
) -> Asking:
    of = _quote(owner)
    asked = [of, _encoded_by_sqlite(whole, {})]
    if core is not None:
        asked.append(_encoded_by_sqlite(core, only))
    return Asking(
        sql=f"SELECT {', '.join(asked)} FROM {_quote(table.name)} WHERE {of} ",  # noqa: S608 - names of ours
        order=f" ORDER BY {of}",
        one_by_one=owner == "id",
        whole=whole,
        core=core,
    )


def _encoded_by_sqlite(encoding: Encoding, only: Mapping[str, Collection[str]]) -> str:
    """What SQLite makes the text of a row of, as ``OwnEncoding.encoded`` does.

    One case for each column: the last one that has not its default ends the list. Columns of ``only`` hold nothing in
    another direction.
    """
    values = [
        _value(each, [direction for direction, names in only.items() if each in names]) for each in encoding.columns
    ]
    cases = [
        f"WHEN {_is_other(value, blank)} THEN json_array({', '.join(values[:end])})"
        for end, (value, blank) in enumerate(zip(values, encoding.blank, strict=True), 1)
    ]
    return f"CAST(CASE {' '.join(reversed(cases[1:]))} ELSE json_array({values[0]}) END AS BLOB)"


def _value(column: str, directions: Sequence[str]) -> str:
    name = _quote(column)
    if not directions:
        return name
    some = ", ".join(map(_literal, directions))
    return f"CASE WHEN (+direction) COLLATE BINARY IN ({some}) THEN {name} END"


def _is_other(value: str, blank: Any) -> str:
    """Whether a value is not its column's default, whatever somebody made of the column's type: so a plus before it."""
    return f"(+{value}) COLLATE BINARY IS NOT {_literal(blank)}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(int(value)) if isinstance(value, int) else "'{}'".format(value.replace("'", "''"))


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
