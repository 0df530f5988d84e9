"""What a person means by a number: an exchange, a control number, a Message-ID or a business key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from gateway.ledger.database import reading
from gateway.ledger.key_value import key_value
from gateway.ledger.query import number_forms
from gateway.ledger.tables import acknowledgment, business_key, exchange, functional_group, message

MOST = 1_000  # exchanges that one word may fit


def exchange_ids_for(engine: Engine, text: str) -> list[int]:
    """The exchanges that a person means, newest first (at most 1,000); none where nothing fits.

    Tried in this order, and the first that fits anything decides: the number of an exchange (without leading zeros),
    an ISA13 or GS06 control number, a Message-ID (with or without angle brackets), a business key.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    wanted = text.strip()
    if not wanted or "\0" in wanted or not _is_utf8(wanted):
        return []
    with reading(engine) as connection:
        for way in _ways(wanted):
            found = _newest(connection, way)
            if found:
                return found
    return []


def message_ids_for(engine: Engine, text: str) -> list[int]:
    """The mails with that Message-ID, newest first."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    if not bare or "\0" in bare or not _is_utf8(bare):
        return []
    m = message.c
    with reading(engine) as connection:
        statement = select(m.id).where(m.message_id.in_(_forms(text))).order_by(m.at.desc(), m.id.desc()).limit(MOST)
        return list(connection.execute(statement).scalars())


def answer_ids_for(engine: Engine, number: int) -> list[int]:
    """The exchanges that acknowledge an exchange, oldest first: what we answered, or what the partner answered."""
    x, a = exchange.c, acknowledgment.c
    ours = select(x.id).where(x.answers == number, x.direction == "out").order_by(x.id).limit(MOST)
    theirs = select(a.carrier).where(a.exchange == number).order_by(a.carrier).distinct().limit(MOST)
    with reading(engine) as connection:
        found = {*connection.execute(ours).scalars(), *connection.execute(theirs).scalars()}
    return sorted(found)


def _ways(wanted: str) -> list[Select[Any]]:
    """Questions for the ids of exchanges; each is answered by an index."""
    x, g, k, m = exchange.c, functional_group.c, business_key.c, message.c
    ways: list[Select[Any]] = []
    if wanted.isascii() and wanted.isdigit() and not wanted.startswith("0") and len(wanted) <= 18:
        ways.append(select(x.id).where(x.id == int(wanted)))
    ways += [
        select(x.id).where(x.control_number.in_(number_forms(wanted))).order_by(x.at.desc()),
        select(g.exchange).where(g.control_number.in_(number_forms(wanted))).order_by(g.id.desc()),
        select(x.id).where(x.message.in_(select(m.id).where(m.message_id.in_(_forms(wanted))))).order_by(x.id.desc()),
        select(k.exchange).where(k.value == key_value(wanted)).order_by(k.transaction_set.desc()),
    ]
    return ways


def _newest(connection: Connection, way: Select[Any]) -> list[int]:
    found = sorted(set(connection.execute(way.limit(MOST)).scalars()))
    x = exchange.c
    newest = select(x.id).where(x.id.in_(found)).order_by(x.at.desc(), x.id.desc())
    return list(connection.execute(newest).scalars()) if found else []


def _forms(text: str) -> list[str]:
    """A Message-ID with and without its angle brackets."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    return [text.strip(), bare, f"<{bare}>"]


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
