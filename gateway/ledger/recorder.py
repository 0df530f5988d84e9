"""A unit of work on the ledger: buffers rows and writes them table by table.

One ``Recorder`` lives inside one write transaction. Rows of one kind are written with one statement for
the whole group, which is what makes a group commit cheap; ids are taken in advance, so that rows can
point at each other before they are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    case,
    delete,
    literal_column,
    update,
)
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.errors import GatewayError
from gateway.ledger import archive, at_rest, bulk, bulk_arrays, prints, tables, tree
from gateway.ledger import text as text_index
from gateway.ledger.archive import Raw
from gateway.ledger.at_rest import AtRest
from gateway.ledger.daily import Counts
from gateway.ledger.prints import Prints
from gateway.ledger.quick_json import sorting
from gateway.ledger.storable import clean, storable
from gateway.ledger.taking import Ids, Numbers

Row = dict[str, Any]
Wake = tuple[str, str]  # the name of a job, and the partner it is about, or ""

_SEARCHED = ("exchange", "business_key", "message", "payload")
_AT_ONCE = 2_000  # rows that are removed with one statement

_as_json = sorting(default=str)

# A row is written after the rows that it points to.
_ORDER: tuple[Table, ...] = (
    tables.content,
    tables.message,
    tables.sighting,
    tables.payload,
    tables.exchange,
    tables.interchange_key,
    tables.functional_group,
    tables.transaction_set,
    tables.business_key,
    tables.finding,
    tables.acknowledgment,
    tables.receipt,
    tables.outgoing,
    tables.expectation,
    tables.received_number,
    tables.number_epoch,
    tables.number_gap,
    tables.arrival,
    tables.alert,
    tables.hold,
    tables.moved_archive,
)
_MAY_EXIST = (tables.content, tables.sighting, tables.business_key)  # written once, offered often


def _blank_row(table: Table) -> Row:
    """Every column with its default, so that all rows of a table can go into one statement."""
    return {
        column.name: column.default.arg if isinstance(column.default, ScalarElementColumnDefault) else None
        for column in table.columns
    }


_BLANK: Mapping[str, Row] = {table.name: _blank_row(table) for table in _ORDER}
_NAMES: Mapping[str, tuple[str, ...]] = {name: tuple(row) for name, row in _BLANK.items()}
_WHOLE = {name: itemgetter(*names) for name, names in _NAMES.items()}


class Recorder:
    """What may be written in one transaction. Made by ``Ledger.transaction``; not for use outside of it.

    ``connection`` serves reads within the same transaction; call ``flush`` before a read that must see
    what was buffered here.
    """

    def __init__(self, connection: Connection, now: int, actor: str) -> None:
        self.connection = connection
        self.now = now
        self.actor = actor
        self._rows: dict[str, list[Row]] = {table.name: [] for table in _ORDER}
        self._by_id: dict[tuple[str, int], Row] = {}
        self._changes: dict[str, dict[int, Row]] = {}  # by table and id: the columns that change
        self._ids = Ids(connection)
        self._numbers = Numbers(connection)
        self.wakes: set[Wake] = set()
        self._prints = Prints()
        self._counts = Counts()
        self._searched: dict[str, list[Row]] = {name: [] for name in _SEARCHED}  # inserted rows that can be searched
        self._mails: set[int] = set()  # mails that were changed
        self._keyless: set[int] = set()  # exchanges whose business keys were removed
        self._events: list[Row] = []
        self.told: list[Row] = []  # the events that it wrote, for whoever listens
        self._owners: dict[str, str | None] = {}

    def wake(self, job: str, partner: str = "") -> None:
        """Something is due from this commit on: whoever waits for such work (many workers) shall look at once."""
        self.wakes.add((job, partner))

    # ------------------------------------------------------------ rows

    def keep(self, data: Raw, name: str = "", *, owner: str | None = None) -> str:
        """Keeps raw bytes, once, and returns their SHA-256 in hexadecimal: their name for ever.

        Args:
            data: the bytes; big ones are written at once, in pieces.
            name: their SHA-256, where the caller has computed it.
            owner: the partner whose bytes they are, "" for nobody; None where it is not known yet (see ``entrust``).
        """
        name = name or hashlib.sha256(data).hexdigest()
        if name in self._owners and self._owners[name] == owner:
            return name  # this transaction has it already
        if len(data) > archive.WHOLE:
            self.keep_pieces(archive.slices(data), name, len(data), owner=owner)
        else:
            row = {"sha256": name, "size": len(data), "at": self.now, "bytes": bytes(data), "pieces": 0, "cipher": ""}
            self._rows["content"].append(row)
        self._owners[name] = owner
        return name

    def keep_pieces(self, pieces: Iterable[bytes], name: str, size: int, *, owner: str | None = None) -> None:
        """Keeps what is too big for memory under its SHA-256, written at once, a piece at a time."""
        archive.keep_pieces(self.connection, name, size, self.now, pieces, self._at_rest, owner)

    def entrust(self, name: str, owner: str) -> None:
        """Bytes that were kept before anybody knew whose they are, belong to a partner ("": to nobody we know)."""
        if self._at_rest is not None:
            if name in self._owners:
                self.flush()
            self._at_rest.entrust(name, owner)

    def encrypted(self, text: str, owner: str) -> str:
        """A value out of a partner's document, encrypted where the partner wants that (see ``at_rest``)."""
        return text if self._at_rest is None else self._at_rest.text(owner, text)

    @property
    def at_rest(self) -> AtRest | None:
        """What encrypts in this transaction; None where nothing ever was encrypted."""
        return self._at_rest

    @cached_property
    def _at_rest(self) -> AtRest | None:
        return at_rest.begin(self.connection, self.now, lambda key: self.touch(tables.payload_key, (key,)))

    def add(self, table: Table, **values: Any) -> int:
        """Buffers a row of a table with an ``id`` and returns the id it will have."""
        name = table.name
        row = _BLANK[name] | values
        row["id"] = row_id = self._ids.take(table)
        self._rows[name].append(row)
        self._by_id[name, row_id] = row
        return row_id

    def put(self, table: Table, **values: Any) -> None:
        """Buffers a row of a table whose key the caller knows."""
        self._rows[table.name].append(_BLANK[table.name] | values)

    def change(self, table: Table, row_id: int, **values: Any) -> None:
        """Changes a row by its ``id``, whether it is buffered still or long written."""
        row = self._by_id.get((table.name, row_id))
        if row is None:
            changes = self._changes.setdefault(table.name, {})
            row = changes.setdefault(row_id, {})
        row.update(values)

    def change_where(self, table: Table, *which: ColumnElement[bool], **values: Any) -> list[int]:
        """Changes all rows of a table with an ``id`` that meet the conditions, at once; returns their ids."""
        self.flush()
        changed = update(table).where(*which).values(storable(values)).returning(table.c.id)
        ids = list(self.connection.execute(changed).scalars())
        self._prints.touched(table.name, ids)
        return ids

    def touch(self, table: Table, owners: Iterable[int]) -> None:
        """Rows of an audited table were changed by a statement of the caller's own (see ``prints``).

        Args:
            table: which one.
            owners: their ids; of tables that are digested by owner, the owners' ids.
        """
        self._prints.touched(table.name, owners)

    def remove(self, table: Table, owners: Sequence[int]) -> None:
        """Removes rows in order, and records that they are gone: of tables that are digested by owner, all of each."""
        self.flush()
        self._counts.removing(self.connection, table.name, owners)
        if table is tables.message:
            text_index.unindex(self.connection, messages=owners)
        elif table in {tables.exchange, tables.business_key}:
            text_index.unindex(self.connection, owners)
            self._keyless.update(owners)
        column = table.c[prints.AUDITED[table.name].owner]
        for start in range(0, len(owners), _AT_ONCE):
            self.connection.execute(delete(table).where(column.in_(owners[start : start + _AT_ONCE])))
        self._prints.touched(table.name, owners)

    def event(
        self,
        kind: str,
        /,
        *,
        exchange: int | None = None,
        message: int | None = None,
        partner: str = "",
        **body: Any,
    ) -> None:
        """Appends what happened to the history. ``body`` must be JSON; sentences are made when it is read.

        Events are written, in their order, when the transaction ends.
        """
        self._events.append(
            {
                "seq": 0,
                "at": self.now,
                "kind": kind,
                "exchange": exchange,
                "message": message,
                "partner": partner,
                "actor": self.actor,
                "body": clean(_as_json(body)),
                "rows": None,
            }
        )

    def fault(self, fault: GatewayError) -> Row:
        """The two columns that keep a fault with a message or exchange."""
        return {"fault_code": fault.code, "fault": json.dumps(fault.as_dict(), ensure_ascii=False, sort_keys=True)}

    # ------------------------------------------------------------ numbers

    def take_number(self, partner: str, ours: str, theirs: str, level: str, after: Callable[[int], int]) -> int:
        """Takes the next control number of an identity pair; gapless, because a rollback gives it back.

        Args:
            partner: the partner's key.
            ours: our identity, ``qualifier:id``.
            theirs: the partner's identity.
            level: interchange or group.
            after: the rule that gives the number after another one (width, wrap).
        """
        return self._numbers.take((partner, ours, theirs, level), after)

    # ------------------------------------------------------------ writing

    def flush(self) -> None:
        """Writes what is buffered but the events; the transaction goes on."""
        for table in _ORDER:
            rows = self._rows[table.name]
            if rows:
                self._rows[table.name] = []
                self._write_rows(table, rows)
        self._by_id.clear()
        self._write_changes()
        self._numbers.write()

    def _write_rows(self, table: Table, rows: list[Row]) -> None:
        name = table.name
        if table in _MAY_EXIST:
            if table is not tables.content:  # whose texts are ours
                rows = [storable(row) for row in rows]
            rows = _without_repeats(table, rows)
        if name in prints.AUDITED:
            values = self._prints.wrote(name, rows)
        elif table not in _MAY_EXIST:
            values = [_WHOLE[name](storable(row)) for row in rows]
        if table is tables.content and self._at_rest is not None:
            self._at_rest.write(rows, self._owners)
        elif table in _MAY_EXIST:
            offer = bulk_arrays.offer if self._by_arrays(rows) else _offer_each
            offer(self.connection, table, partial(self._offer, table), rows)
        else:
            bulk.append_values(self.connection, table, _NAMES[name], values)
        self._counts.wrote(self.connection, name, rows)
        if name in _SEARCHED:
            self._searched[name] += rows

    def finish(self) -> None:
        """Writes the rest and makes what happened part of the tree; the last act, for others wait from here on."""
        self.flush()
        self._counts.write(self.connection)
        self._index()
        self.told = list(self._events)
        written = self._prints.entry(self.connection)
        if written is not None:
            self._events.append(tree.recorded(self.now, *written))
        if self._events:
            tree.append(self.connection, self._events)
        self._events = []

    def _index(self) -> None:
        """What was written can be searched from now on."""
        text_index.index_rows(self.connection, self._searched)
        spoken_for = {row["message"] for row in self._searched["exchange"]}
        if alone := self._mails - spoken_for:
            text_index.index_mails(self.connection, alone)
        if self._keyless:
            text_index.reindex(self.connection, self._keyless)
        self._searched = {name: [] for name in _SEARCHED}
        self._mails, self._keyless = set(), set()

    def _write_changes(self) -> None:
        for name, changes in self._changes.items():
            shapes: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
            for row_id, changed in changes.items():
                values = storable(changed)
                shapes.setdefault(tuple(values), []).append((*values.values(), row_id))
            for columns, rows in shapes.items():
                if self._by_arrays(rows):
                    bulk_arrays.change(self.connection, tables.metadata.tables[name], columns, rows)
                else:
                    bulk.change(self.connection, name, columns, rows)
            self._prints.touched(name, changes)
            if name == tables.message.name:
                self._mails.update(changes)
        self._changes.clear()

    def _by_arrays(self, rows: Sequence[Any]) -> bool:
        return self.connection.dialect.name == "postgresql" and len(rows) >= bulk_arrays.WORTH_IT

    def _insert(self, table: Table) -> Any:
        return archive.insert(self.connection, table)

    def _offer(self, table: Table) -> Any:
        """INSERT of what may be there already. A mail that had gone from its server counts from now when it is back."""
        offer = self._insert(table)
        if table is not tables.sighting:
            return offer.on_conflict_do_nothing()
        was_gone = table.c.state == literal_column("'deleted'")
        return offer.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={
                "state": offer.excluded.state,
                "size": offer.excluded.size,
                "at": case((was_gone, offer.excluded.at), else_=table.c.at),
            },
        )


def _offer_each(connection: Connection, table: Table, make: Callable[[], Insert], rows: Sequence[Row]) -> None:
    bulk.write(connection, table.name, make, rows)


def _without_repeats(table: Table, rows: list[Row]) -> list[Row]:
    """Each key once, and in one order for all: two transactions that offer the same rows never wait in a circle."""
    names = [column.name for column in table.primary_key.columns]
    found = {tuple(row[name] for name in names): row for row in rows}
    return [found[key] for key in sorted(found)]
