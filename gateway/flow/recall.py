"""Recall: what was moved out into an archive comes back, and is held until a person releases it.

It is over its time, and would be put away again by the next night: so a legal hold keeps it, made in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, Engine, select

from gateway.errors import MovedArchiveAltered
from gateway.flow.context import Context
from gateway.ledger import holds, moved_recall
from gateway.ledger.conditions import Conditions
from gateway.ledger.database import reading
from gateway.ledger.moved import keys_in
from gateway.ledger.moved_file import opened, sha256_of
from gateway.ledger.moved_lost import refuse_lost
from gateway.ledger.query import Query
from gateway.ledger.recording import Recorder
from gateway.ledger.retention_policy import Policies, Spans
from gateway.ledger.retention_purge import ranges
from gateway.ledger.retention_units import Judge, Key, Unit
from gateway.ledger.tables import exchange, message, moved_archive

_AT_ONCE = 100  # units that come back with one commit
_ANYTHING = Policies(Spans(0, 0))


class Recalled(Struct, frozen=True):
    """What came back, or would: ``hold`` is the legal hold that keeps it, None where nothing came."""

    exchanges: int
    messages: int
    events: int
    hold: int | None

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "exchanges": self.exchanges,
            "mails": self.messages,
            "events": self.events,
            "hold": self.hold,
        }


def recall(
    context: Context,
    path: Path,
    query: Query | None,
    *,
    actor: str,
    reason: str,
    dry_run: bool = False,
) -> Recalled:
    """Brings back what meets a query, with the mails and exchanges that belong to it; all of it without a query.

    Raises:
        MovedArchiveUnreadable, MovedArchiveAltered: nothing more was taken from it.
        NotAllowedNow: something belongs to an exchange in another archive; what came before it is back.
    """
    check_known(context, path)
    exchanges, messages, events, number = 0, 0, 0, None
    with opened(path) as archive:
        for units in _batches(archive, keys_in(path) if query is None else _meeting(archive, query)):
            if context.stopping():
                break
            if dry_run:
                exchanges += sum(len(unit.exchanges) for unit in units)
                messages += sum(unit.message is not None for unit in units)
                continue
            with context.ledger.transaction(actor) as recorder, reading(archive) as connection:
                back = moved_recall.recall(recorder, connection, units, path)
                if back.exchanges or back.messages:
                    number = _hold(recorder, number, back, f"{reason} (brought back from {path.name})")
                    _tell(recorder, back, path.name, reason)
            exchanges += len(back.exchanges)
            messages += len(back.messages)
            events += len(back.events)
            context.reporter.advance(len(units))
    return Recalled(exchanges, messages, events, number)


def check_known(context: Context, path: Path) -> None:
    """Says nothing where the file is one that this ledger wrote, byte for byte.

    Raises:
        MovedArchiveUnreadable, MovedArchiveAltered: it is not.
    """
    refuse_lost(context.ledger.engine, path)
    found = sha256_of(path)
    with context.ledger.reading() as connection:
        known = connection.execute(select(moved_archive.c.id).where(moved_archive.c.sha256 == found)).first()
    if known is None:
        raise MovedArchiveAltered(path=path, reason=f"this ledger never wrote one with the SHA-256 {found}")


def _hold(recorder: Recorder, number: int | None, back: moved_recall.Recalled, reason: str) -> int:
    if number is None:
        return holds.add(recorder, [], None, exchanges=back.exchanges, messages=back.messages, reason=reason)
    holds.extend(recorder, number, back.exchanges, back.messages, reason)
    return number


def _tell(recorder: Recorder, back: moved_recall.Recalled, file: str, reason: str) -> None:
    for exchange_ in back.exchanges:
        recorder.event("recalled", exchange=exchange_, file=file, reason=reason)
    for mail in back.messages:
        recorder.event("recalled", message=mail, file=file, reason=reason)
    # What came back is put away no more (see ``retention_checks``); this event stays whatever becomes of those.
    events = list(ranges(back.events))
    recorder.event("recalled", file=file, reason=reason, events=events, contents=list(back.contents))


def _meeting(archive: Engine, query: Query) -> list[Key]:
    """The units that have anything that meets a query."""
    with reading(archive) as connection:
        conditions = Conditions(connection.dialect.name, 0)
        x, m = exchange.c, message.c
        ids = connection.execute(select(x.id).where(*conditions.of_exchanges(query)).order_by(x.at, x.id)).scalars()
        keys = list(Judge(connection, _ANYTHING).keys_of(list(ids)).values())
        mails = connection.execute(select(m.id).where(*conditions.of_messages(query)).order_by(m.at, m.id)).scalars()
        return list(dict.fromkeys([*keys, *(("m", number) for number in mails)]))


def _batches(archive: Engine, keys: Sequence[Key]) -> Iterator[list[Unit]]:
    """The units, with those that they point to, some at a time; none twice."""
    done = set[Key]()
    for start in range(0, len(keys), _AT_ONCE):
        with reading(archive) as connection:
            units = _with_others(connection, [key for key in keys[start : start + _AT_ONCE] if key not in done])
        done.update(unit.key for unit in units)
        if units:
            yield units


def _with_others(connection: Connection, keys: Sequence[Key]) -> list[Unit]:
    found = moved_recall.with_what_they_point_to(connection, Judge(connection, _ANYTHING), keys)
    return sorted(found.values(), key=lambda unit: (unit.at, unit.key))
