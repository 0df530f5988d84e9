"""The rows of units as they go into an archive and come back: which tables, in which order, found by what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from gateway.ledger.retention_units import Unit, ask
from gateway.ledger.tables import (
    acknowledgment,
    alert,
    arrival,
    business_key,
    event,
    exchange,
    finding,
    functional_group,
    interchange_key,
    message,
    number_gap,
    payload,
    receipt,
    received_number,
    sighting,
    transaction_set,
)

Row = dict[str, Any]
Owners = tuple[tuple[str, Column[Any]], ...]  # "x": by exchanges, "m": by mails

# Each after what it points to.
OWNED: tuple[tuple[Table, Owners], ...] = (
    (message, (("m", message.c.id),)),
    (sighting, (("m", sighting.c.message),)),
    (payload, (("m", payload.c.message),)),
    (exchange, (("x", exchange.c.id),)),
    (interchange_key, (("x", interchange_key.c.exchange),)),
    (functional_group, (("x", functional_group.c.exchange),)),
    (transaction_set, (("x", transaction_set.c.exchange),)),
    (business_key, (("x", business_key.c.exchange),)),
    (finding, (("x", finding.c.exchange),)),
    (acknowledgment, (("x", acknowledgment.c.carrier), ("x", acknowledgment.c.exchange))),
    (receipt, (("m", receipt.c.message), ("m", receipt.c.original), ("x", receipt.c.exchange))),
    (received_number, (("x", received_number.c.exchange),)),
    (number_gap, (("x", number_gap.c.exchange),)),
    (arrival, (("x", arrival.c.exchange),)),
    (alert, (("x", alert.c.exchange), ("m", alert.c.message))),
    (event, (("x", event.c.exchange), ("m", event.c.message))),
)


def numbers(units: Sequence[Unit]) -> tuple[list[int], list[int]]:
    """The exchanges and the mails of units."""
    x = sorted(each for unit in units for each in unit.exchanges)
    return x, sorted(unit.message for unit in units if unit.message is not None)


def rows_of(connection: Connection, x: Sequence[int], m: Sequence[int]) -> Iterator[tuple[Table, list[Row]]]:
    """All rows of exchanges and mails, table by table, each in the order of its key."""
    for table, owners in OWNED:
        key = [column.name for column in table.primary_key.columns]
        found: dict[tuple[Any, ...], Row] = {}
        for kind, column in owners:
            for row in ask(connection, select(table), column, x if kind == "x" else m):
                values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public accessor
                found[tuple(values[name] for name in key)] = values
        yield table, [_plain(found[each]) for each in sorted(found)]


def are_same(one: Connection, other: Connection, x: Sequence[int], m: Sequence[int]) -> bool:
    """Whether two databases say the same of exchanges and mails."""
    return all(a == b for a, b in zip(rows_of(one, x, m), rows_of(other, x, m), strict=True))


def _plain(row: Row) -> Row:
    """Bytes as bytes, whatever the driver made of them."""
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
