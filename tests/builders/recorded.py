"""A ledger with some of everything in it, written through its recorder."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine

from gateway.ledger import tables
from gateway.ledger.recording import Ledger, Recorder

START = 1_795_312_800_000  # 2026-11-22 02:00 UTC


def ledger_of(engine: Engine, at: int = START) -> Ledger:
    """The ledger, at a moment that stands still."""
    return Ledger(engine, lambda: at, actor="")


def write_exchange(recorder: Recorder, number: int, **facts: Any) -> int:
    """One inbound exchange with a row in each table that belongs to it, and three events; returns its id."""
    mail = recorder.add(
        tables.message,
        at=recorder.now,
        direction="in",
        state="processed",
        kind="letter",
        mailbox="orders",
        host="mail.example.com",
        user="orders",
        sha256=recorder.keep(f"mail {number}".encode()),
        size=2048,
        message_id=f"<{number}@acme.example>",
        subject=f"Orders {number}",
        from_address="edi@acme.example",
        to_addresses=json.dumps(["edi@example.com"]),
        partner="acme",
        proof="address",
    )
    part = recorder.add(
        tables.payload, message=mail, ordinal=1, path="1", file_name="po.edi", sha256=f"{number:064x}", size=1000
    )
    exchange = recorder.add(
        tables.exchange,
        **{
            "at": recorder.now,
            "updated_at": recorder.now,
            "direction": "in",
            "kind": "document",
            "state": "accepted",
            "verdict": "accepted",
            "partner": "acme",
            "agreement": "orders",
            "message": mail,
            "payload": part,
            "file_name": "po.edi",
            "from_address": "edi@acme.example",
            "message_id": f"<{number}@acme.example>",
            "subject": f"Orders {number}",
            "to_addresses": json.dumps(["edi@example.com"]),
            "control_number": f"{number:09d}",
            "types": "850",
            "versions": "004010",
            "sha256": recorder.keep(f"interchange {number}".encode()),
            "size": 1000,
        }
        | facts,
    )
    recorder.put(tables.interchange_key, key=f"ZZ:ACME/{number}", exchange=exchange)
    group = recorder.add(tables.functional_group, exchange=exchange, ordinal=1, functional_id="PO", control_number="1")
    document = recorder.add(
        tables.transaction_set,
        functional_group=group,
        exchange=exchange,
        ordinal=1,
        set_id="850",
        control_number="0001",
        delivery="due",
    )
    for name, value in (("po", f"PO-{number}"), ("customer", "4711")):
        recorder.put(tables.business_key, value=value, name=name, transaction_set=document, exchange=exchange)
    recorder.add(tables.finding, exchange=exchange, transaction_set=document, level="warning", code="x", message="m")
    recorder.add(tables.acknowledgment, at=recorder.now, carrier=exchange, kind="997", status="A", relation="orphan")
    recorder.add(tables.receipt, at=recorder.now, direction="out", message=mail, original=mail, disposition="processed")
    recorder.add(
        tables.received_number,
        at=recorder.now,
        partner="acme",
        theirs="ZZ:ACME",
        ours="ZZ:US",
        level="interchange",
        epoch=1,
        number=number,
        exchange=exchange,
    )
    recorder.event("received", message=mail, mailbox="orders", size=2048)
    recorder.event("examined", exchange=exchange, partner="acme", verdict="accepted", sets=1)
    recorder.event("accepted", exchange=exchange, partner="acme")
    return exchange


def fill(engine: Engine, count: int, first: int = 1, together: int = 7) -> None:
    """Writes exchanges in transactions of a few, and delivers each in a later one."""
    ledger = ledger_of(engine)
    for start in range(first, first + count, together):
        numbers = range(start, min(start + together, first + count))
        with ledger.transaction() as recorder:
            written = [write_exchange(recorder, number) for number in numbers]
        with ledger.transaction("anna") as recorder:
            for exchange in written:
                recorder.change(tables.exchange, exchange, state="delivered", updated_at=recorder.now + 1)
                recorder.change_where(
                    tables.transaction_set, tables.transaction_set.c.exchange == exchange, delivery="delivered"
                )
                recorder.event("delivered", exchange=exchange, partner="acme", set="850", target="inbox")
