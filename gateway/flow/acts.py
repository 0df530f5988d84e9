"""Acts: what every operator's verb shares: who, why, what is named, and whether it was done before.

An act is one transaction, done again where another one was in its way (``insisting``). A repetition of one finds that
it was done before, says so and changes nothing; a dry run does all of it and undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from msgspec import Struct
from sqlalchemy import Row, select

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow.context import Context
from gateway.ledger import tables
from gateway.ledger.leases import take_turns_over
from gateway.ledger.recording import Recorder
from gateway.values import asdict

Found = Row[*tuple[Any, ...]]


class Act(Struct, frozen=True):
    """What became of an act: ``done`` is false where it had been done before, and nothing was changed.

    ``exchange`` is the exchange that goes on from here, where there is one.
    """

    reference: str
    sentence: str
    done: bool = True
    exchange: int | None = None

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)


class Reference(Struct, frozen=True):
    """What a person names: ``m12`` is a message, ``34`` an exchange."""

    message: int | None
    exchange: int | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """From what was typed.

        Raises:
            NotFound: it is neither.
        """
        digits = text.removeprefix("m")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise NotFound(what="exchange or message", key=text)
        return cls(int(digits), None) if text.startswith("m") else cls(None, int(digits))


class _UndoneError(Exception):
    """Ends a dry run."""


@contextmanager
def acting(context: Context, actor: str, *, dry_run: bool = False) -> Iterator[Recorder]:
    """The transaction of one act; a dry run writes everything, and then none of it."""
    with suppress(_UndoneError), context.ledger.transaction(actor) as recorder:
        yield recorder
        if dry_run:
            _undo(recorder)


def _undo(recorder: Recorder) -> NoReturn:
    recorder.flush()
    raise _UndoneError


def before(reference: object, sentence: str, exchange: int | None = None) -> Act:
    """The answer to a repetition."""
    return Act(str(reference), f"done before: {sentence}; nothing was changed", done=False, exchange=exchange)


def exchange_row(recorder: Recorder, number: int) -> Found:
    """The exchange of that number; until the act is committed, nobody else decides about its partner.

    Raises:
        NotFound
    """
    table = tables.exchange
    partner = recorder.connection.execute(select(table.c.partner).where(table.c.id == number)).scalar()
    take_turns_over(recorder.connection, [partner] if partner else [])
    found = recorder.connection.execute(select(table).where(table.c.id == number).with_for_update()).one_or_none()
    if found is None:
        raise NotFound(what="exchange", key=number)
    return found


def outbound(recorder: Recorder, number: int) -> Found:
    """One of our own.

    Raises:
        NotFound, NotAllowedNow: it came from the partner.
    """
    found = exchange_row(recorder, number)
    if found.direction != "out":
        raise not_now("exchange", found, "it came from the partner; this is for what we send")
    return found


def inbound(recorder: Recorder, number: int) -> Found:
    """One that came from a partner.

    Raises:
        NotFound, NotAllowedNow: it is one of ours.
    """
    found = exchange_row(recorder, number)
    if found.direction != "in":
        raise not_now("exchange", found, "we sent it; this is for what came from a partner")
    return found


def message_row(recorder: Recorder, number: int) -> Found:
    """The mail of that number.

    Raises:
        NotFound
    """
    table = tables.message
    found = recorder.connection.execute(select(table).where(table.c.id == number).with_for_update()).one_or_none()
    if found is None:
        raise NotFound(what="message", key=f"m{number}")
    return found


def not_now(what: str, row: Found, reason: str) -> NotAllowedNow:
    """Why an act does not fit where it stands."""
    key = f"m{row.id}" if what == "message" else row.id
    return NotAllowedNow(what=what, key=key, state=row.state, reason=reason)


def told(
    recorder: Recorder, kind: str, *, exchange: int | None = None, message: int | None = None
) -> Mapping[str, Any] | None:
    """What the last event of that kind says of an exchange or message; None where there is none."""
    table = tables.event
    about = table.c.exchange == exchange if exchange is not None else table.c.message == message
    found = recorder.connection.execute(
        select(table.c.body).where(about, table.c.kind == kind).order_by(table.c.seq.desc()).limit(1)
    ).scalar()
    if found is None:
        return None
    body: Mapping[str, Any] = json.loads(found)
    return body
