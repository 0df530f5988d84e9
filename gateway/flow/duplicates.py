"""Duplicates: has this interchange, or its number, been here before?

An interchange is known by its identity pair, ISA13 and ISA09 (its key). Within the duplicate window a
number is known whatever its date says. Tests and documents in earnest count apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import func, select

from gateway.flow.record import Entry
from gateway.ledger import bulk, tables
from gateway.ledger.literals import word
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.x12.model import Header
from partners.series import DECLARED

_CHUNK = 400  # values in one question


class Earlier(Struct, frozen=True):
    """An exchange that used an identity pair and control number before."""

    id: int
    sha256: str
    message: int | None
    at: int
    key: str
    free: bool  # refused by TA1, so never used, or used before the partner's numbers began anew: it may come again


class Known:
    """What the ledger knows of the numbers in a batch: asked for once, kept up to date while the batch is recorded.

    Args:
        recorder: the transaction in which the answers must hold.
        headers: of all interchanges in the batch, as they count (``InterchangeCase.counted``).
        window: milliseconds back from now in which a number is known whatever its date.
    """

    def __init__(self, recorder: Recorder, headers: Iterable[Header], window: int) -> None:
        self._recorder = recorder
        self._by_number: dict[tuple[str, str, str, str], list[Earlier]] = {}
        self.came: list[tuple[Entry, int]] = []  # the new interchanges of this batch, with their exchanges
        self._anew = self._new_beginnings()
        wanted = list(headers)
        for at in range(0, len(wanted), _CHUNK):
            self._ask(wanted[at : at + _CHUNK], recorder.now - window)

    def earlier(self, header: Header, sha256: str) -> Earlier | None:
        """The earlier exchange with the same number and pair; one with the same bytes before any other."""
        found = self._by_number.get(_number(header), [])
        same = [each for each in found if each.sha256 == sha256]
        other = [each for each in found if not each.free]
        return next(iter(same + other), None)

    def refused(self, header: Header, sha256: str) -> int | None:
        """The first exchange with these very bytes that was refused because its number was used, if there is one."""
        x = tables.exchange.c
        self._recorder.flush()
        wanted = select(func.min(x.id)).where(
            x.duplicate_of.in_([each.id for each in self._by_number.get(_number(header), [])]),
            x.sha256 == sha256,
            x.direction == "in",
            x.state.in_([ExchangeState.CONFLICT, ExchangeState.DISCARDED]),
        )
        found: int | None = self._recorder.connection.execute(wanted).scalar()
        return found

    def take(self, header: Header, exchange: int, sha256: str, message: int, *, refused: bool) -> None:
        """The interchange is this exchange from now on; the key is unique, whoever else is at work."""
        key, table = interchange_key(header), tables.interchange_key
        mine = Earlier(exchange, sha256, message, self._recorder.now, key, refused)
        known = self._by_number.setdefault(_number(header), [])
        if any(each.key == key for each in known):
            # The earlier one's number is free (see ``earlier``): it goes to this one.
            self._recorder.flush()
            self._recorder.connection.execute(table.update().where(table.c.key == key).values(exchange=exchange))
            self._recorder.touch(table, [exchange, *(each.id for each in known if each.key == key)])
            known[:] = [each for each in known if each.key != key]
        else:
            self._recorder.put(table, key=key, exchange=exchange)
        known.append(mine)

    def take_beside(self, header: Header, exchange: int, sha256: str) -> None:
        """The interchange is taken although its number was used: by a person's decision, beside the earlier one."""
        key, table = interchange_key(header), tables.interchange_key
        known = self._by_number.get(_number(header), [])
        if any(each.key == key for each in known):
            key = f"{key}/{sha256}"
        self._recorder.put(table, key=key, exchange=exchange)

    def _ask(self, headers: Sequence[Header], since: int) -> None:
        """Two questions, each with an index of its own: as one, the numbers of all partners of all years are read."""
        x, k = tables.exchange.c, tables.interchange_key.c
        pair = (x.sender_qualifier, x.sender_id, x.receiver_qualifier, x.receiver_id)
        row_of = (x.id, x.sha256, x.message, x.at, x.ta1, x.control_number, x.interchange_date, x.usage)
        came = select(*row_of, *pair, k.key).where(x.direction == "in")
        came = came.join(tables.interchange_key, k.exchange == x.id)
        connection = self._recorder.connection
        numbered = came.where(
            bulk.among(connection, x.control_number, "numbers"),
            x.at >= since,
            bulk.among(connection, x.sender_id, "senders"),
        )
        named = came.where(bulk.among(connection, k.key, "keys"))
        of_headers = {
            "numbers": {each.control_number for each in headers},
            "senders": {each.sender.id for each in headers},
            "keys": {interchange_key(each) for each in headers},
        }
        values = {name: bulk.listed(connection, sorted(each)) for name, each in of_headers.items()}
        found = {row.id: row for wanted in (numbered, named) for row in connection.execute(wanted, values)}
        for _, row in sorted(found.items()):
            pair_of = f"{row.sender_qualifier}:{row.sender_id}", f"{row.receiver_qualifier}:{row.receiver_id}"
            free = row.ta1.startswith("R") or row.at < self._anew.get(pair_of, 0)
            before = Earlier(row.id, row.sha256, row.message, row.at, row.key, free)
            for series in _series_of(row.usage, row.key, (*pair_of, row.control_number, row.interchange_date)):
                self._by_number.setdefault((*pair_of, row.control_number, series), []).append(before)

    def _new_beginnings(self) -> dict[tuple[str, str], int]:
        """When a person last said that a partner's numbers begin anew, by its identity and ours."""
        table = tables.number_epoch
        rows = self._recorder.connection.execute(
            select(table.c.theirs, table.c.ours, func.max(table.c.at).label("at"))
            .where(table.c.reason == word(DECLARED), table.c.level == "interchange")
            .group_by(table.c.theirs, table.c.ours)
        )
        return {(row.theirs, row.ours): row.at for row in rows}


def interchange_key(header: Header) -> str:
    """The name of one interchange: identity pair, ISA13 and ISA09, hashed to one width."""
    *named, series = _number(header)
    return _key((*named, header.date), series)


def _key(named: Sequence[str], series: str) -> str:
    text = "|".join((*named, series) if series else named)
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()


def _number(header: Header) -> tuple[str, str, str, str]:
    return str(header.sender), str(header.receiver), header.control_number, _series(header.usage)


def _series(usage: str) -> str:
    """Tests have numbers of their own: a partner that goes live often begins again at 1."""
    return "T" if usage == "T" else ""


def _series_of(usage: str, key: str, named: Sequence[str]) -> tuple[str, ...]:
    """The series that an earlier interchange counts in.

    Its key tells, also of what is for production and was taken as a test; but a test of old has a key that one in
    earnest could have.
    """
    tests = _series("T")
    if key.startswith(_key(named, tests)):
        return (tests,)
    return (tests, "") if _series(usage) == tests else ("",)
