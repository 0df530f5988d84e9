"""Rows of a ledger, written straight into the tables."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Table

from gateway.ledger import tables, text

START = 1_795_312_800_000  # 2026-11-22 02:00 UTC

EXCHANGE = {
    "at": START,
    "updated_at": START,
    "direction": "in",
    "kind": "document",
    "state": "delivered",
    "verdict": "accepted",
    "partner": "acme",
    "agreement": "orders",
    "file_name": "PO_4711.edi",
    "from_address": "edi@acme.example",
    "host": "mail.example.com",
    "message_id": "<1.orders@acme.example>",
    "subject": "Orders of Sunday",
    "to_addresses": ["edi@example.com"],
    "user": "orders",
    "sender_qualifier": "01",
    "sender_id": "123456789",
    "receiver_qualifier": "ZZ",
    "receiver_id": "EXAMPLECO",
    "interchange_date": "261122",
    "interchange_time": "0200",
    "interchange_version": "00401",
    "control_number": "000000017",
    "usage": "P",
    "types": "850",
    "versions": "004010",
    "sha256": "00" * 32,
    "size": 1234,
    "segments": 40,
}
MESSAGE = {
    "at": START,
    "direction": "in",
    "state": "processed",
    "kind": "letter",
    "mailbox": "orders",
    "host": "mail.example.com",
    "user": "orders",
    "sha256": "11" * 32,
    "size": 2048,
    "message_id": "<1.orders@acme.example>",
    "subject": "Orders of Sunday",
    "from_address": "edi@acme.example",
    "to_addresses": ["edi@example.com"],
    "cc_addresses": ["copy@example.com"],
    "partner": "acme",
}


def insert(connection: Connection, table: Table, **values: Any) -> int:
    """Inserts a row (lists become JSON) and returns its first key."""
    flat = {name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in values.items()}
    key = connection.execute(table.insert().values(**flat)).inserted_primary_key
    _index(connection, table, key[0], flat)  # type: ignore[index]
    return key[0]  # type: ignore[index]


def _index(connection: Connection, table: Table, number: int, values: dict[str, Any]) -> None:
    """Puts into the text index what a recorder would put there."""
    if table is tables.exchange:
        text.reindex(connection, [number])
    elif table is tables.business_key:
        text.reindex(connection, [values["exchange"]])
    elif table in (tables.message, tables.payload):
        text.index_mails(connection, [values.get("message", number)])


def exchange(connection: Connection, **values: Any) -> int:
    """An exchange; its id."""
    return insert(connection, tables.exchange, **{**EXCHANGE, **values})


def message(connection: Connection, **values: Any) -> int:
    """A mail; its id."""
    return insert(connection, tables.message, **{**MESSAGE, **values})


def group(connection: Connection, exchange: int, **values: Any) -> int:
    """A functional group; its id."""
    blank = {"ordinal": 1, "functional_id": "PO", "control_number": "17", "version": "004010", "sets": 1}
    return insert(connection, tables.functional_group, exchange=exchange, **{**blank, **values})


def transaction_set(connection: Connection, exchange: int, functional_group: int, **values: Any) -> int:
    """A transaction set; its id."""
    blank = {"ordinal": 1, "set_id": "850", "control_number": "0001", "status": "accepted"}
    given = {"exchange": exchange, "functional_group": functional_group, **blank, **values}
    return insert(connection, tables.transaction_set, **given)


def business_key(connection: Connection, exchange: int, name: str, value: str, transaction_set: int = 0) -> None:
    """A business key of an exchange, with a set of its own where none is given."""
    if not transaction_set:
        owner = group(connection, exchange, control_number="999999")
        transaction_set = globals()["transaction_set"](connection, exchange, owner, control_number="9999")
    given = {"exchange": exchange, "name": name, "value": value, "transaction_set": transaction_set}
    insert(connection, tables.business_key, **given)


def event(connection: Connection, kind: str, at: int = START, **values: Any) -> int:
    """An event; its seq. What is no column goes into the body."""
    columns = {name: values.pop(name) for name in ("exchange", "message", "partner", "actor") if name in values}
    return insert(connection, tables.event, kind=kind, at=at, body=values, **{"actor": "gateway", **columns})
