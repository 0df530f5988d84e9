"""The faults that exchanges and mails have, as they were told when they happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from gateway.ledger import tables

_CHUNK = 500  # ids in one question


def faults_of_exchanges(connection: Connection, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The fault of each exchange that has one: code, message, advice, side, details."""
    return _faults(connection, tables.exchange, ids)


def faults_of_mails(connection: Connection, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The fault of each mail that has one."""
    return _faults(connection, tables.message, ids)


def _faults(connection: Connection, table: Table, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        wanted = select(table.c.id, table.c.fault).where(table.c.id.in_(ids[start : start + _CHUNK]))
        for number, fault in connection.execute(wanted):
            told = _opened(fault)
            if told:
                found[number] = told
    return found


def _opened(fault: str) -> Mapping[str, Any]:
    try:
        told = json.loads(fault) if fault else {}
    except ValueError:
        return {"message": fault}
    return told if isinstance(told, dict) else {"message": fault}
