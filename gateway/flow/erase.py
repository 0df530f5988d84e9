"""Erase: what lies encrypted can be erased by forgetting its key; what lay in clear before can be encrypted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from sqlalchemy import Connection, and_, exists, or_, select

from gateway.errors import HeldBack, NotAllowedNow, StillInFiles
from gateway.flow.context import Context
from gateway.flow.retain import PAGE, policies
from gateway.ledger import encrypting, key_life, retention_purge
from gateway.ledger.holds import wait_for_holds
from gateway.ledger.key_life import Month, thorough, wipe
from gateway.ledger.recording import Ledger
from gateway.ledger.retention_links import beside_held
from gateway.ledger.retention_units import Judge, Key
from gateway.ledger.tables import exchange, message


class Erasable(Struct, frozen=True):
    """A partner's key of one month, and why it is not forgotten; empty where it can be."""

    month: Month
    kept_by: str

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {"period": self.month.period, "contents": self.month.contents, "kept_by": self.kept_by}


def erasable(context: Context, partner: str, before: tuple[int, int] | None = None) -> list[Erasable]:
    """The keys of a partner that could be forgotten, the oldest first, and what keeps some of them.

    Args:
        context: the ledger.
        partner: whose.
        before: only of months before this (year, month).

    Raises:
        NotFound: nothing of the partner ever lay encrypted.
    """
    rules = policies(context.settings, context.directory)
    with context.ledger.reading() as connection:
        judge = Judge(connection, rules)
        months = key_life.months(connection, partner, before)
        return [Erasable(month, _kept_by(connection, judge, partner, month)) for month in months]


def erase(context: Context, partner: str, months: Iterable[Month], *, actor: str, reason: str) -> int:
    """Forgets keys, each in a transaction of its own; what lies under them alone can never be read again.

    Returns:
        How many contents that were.

    Raises:
        HeldBack: something under one of them is held or at work; those before it are forgotten.
        NotAsRecorded: a legal hold was changed past the gateway; no key is forgotten any more.
        StillInFiles: the keys are forgotten, and in the files of the database still.
    """
    rules = policies(context.settings, context.directory)
    contents = 0
    for month in months:
        with context.ledger.transaction(actor) as recorder:
            wait_for_holds(recorder.connection)
            kept_by = _kept_by(recorder.connection, Judge(recorder.connection, rules), partner, month)
            if kept_by:
                raise HeldBack(what="The payload key of", key=f"{partner} for {month.period}", reason=kept_by)
            thorough(recorder.connection)
            key_life.forget(recorder, partner, month, reason)
        contents += month.contents
    _leave_the_files(context, f"The keys of {partner}")
    return contents


def _leave_the_files(context: Context, what: str) -> None:
    if not wipe(context.ledger.engine):
        raise StillInFiles(what=what)


def _kept_by(connection: Connection, judge: Judge, partner: str, month: Month) -> str:
    """Why a key is not forgotten: the first of what lies under it that is held or at work."""
    for keys in (*_exchanges_of(connection, judge, partner, month), *_mails_under(connection, month)):
        units = judge.units(keys)
        beside = beside_held(connection, judge, units.values())
        for unit in units.values():
            if why := unit.kept_by or beside.get(unit.key, ""):
                named = f"exchange {unit.exchanges[0]}" if unit.exchanges else f"mail m{unit.message}"
                return f"{named}: {why}"
    return ""


def _exchanges_of(connection: Connection, judge: Judge, partner: str, month: Month) -> Iterator[list[Key]]:
    """The units whose bytes may have been recorded in a month: they came before its end, and changed since it began."""
    x, (start, end) = exchange.c, month.moments
    wanted = select(x.id).where(x.partner == partner, x.at < end, x.updated_at >= start).order_by(x.at, x.id)
    ids = list(connection.execute(wanted).scalars())
    for at in range(0, len(ids), PAGE):
        yield sorted(set(judge.keys_of(ids[at : at + PAGE]).values()))


def _mails_under(connection: Connection, month: Month) -> Iterator[list[Key]]:
    names = list(key_life.sealed_by(connection, month.key))
    for at in range(0, len(names), PAGE):
        wanted = select(message.c.id).where(message.c.sha256.in_(names[at : at + PAGE]))
        yield [("m", number) for number in connection.execute(wanted).scalars()]


# ---------------------------------------------------------------- what lay in clear before


def encrypt(context: Context, partner: str) -> int:
    """Encrypts what is kept of a partner in clear: raw bytes, and sentences that quote them.

    Returns:
        How many contents that were.

    Raises:
        NotAllowedNow: the partner's profile does not say that its bytes are to be encrypted.
        StillInFiles: they are encrypted, and in clear in the files of the database still.
    """
    _refuse_unless_wanted(context, partner)
    context.reporter.step("encrypt what lies in clear")
    rules, total = policies(context.settings, context.directory), 0
    with retention_purge.purging(context.ledger.engine) as engine:
        ledger = Ledger(engine, context.ledger.clock, context.ledger.actor)
        for keys in _units_of(context, partner):
            if context.stopping():
                break
            with ledger.transaction() as recorder:
                judge = Judge(recorder.connection, rules)
                done = encrypting.encrypt(recorder, judge, partner, judge.units(keys).values())
                if done:
                    recorder.event("encrypted", partner=partner, contents=done)
            total += done
            context.reporter.advance(len(keys))
    _leave_the_files(context, f"What lay in clear of {partner}")
    return total


def in_clear(context: Context, partner: str) -> int:
    """How many contents of a partner lie in clear.

    Raises:
        NotAllowedNow: as ``encrypt``.
    """
    _refuse_unless_wanted(context, partner)
    rules, total = policies(context.settings, context.directory), 0
    for keys in _units_of(context, partner):
        with context.ledger.reading() as connection:
            units = Judge(connection, rules).units(keys).values()
            total += len(encrypting.in_clear(connection, units))
    return total


def _refuse_unless_wanted(context: Context, partner: str) -> None:
    found = context.directory.get(partner)
    if not found.storage.encrypt:
        reason = "its profile does not say [storage] encrypt = true"
        raise NotAllowedNow(what="partner", key=partner, state=found.status.value, reason=reason)


def _units_of(context: Context, partner: str) -> Iterator[list[Key]]:
    """All units of a partner, some at a time: those of its exchanges, then mails that no exchange speaks for."""
    for table in (exchange, message):
        c, after = table.c, (-(2**62), 0)
        while True:
            later = or_(c.at > after[0], and_(c.at == after[0], c.id > after[1]))
            wanted = select(c.id, c.at).where(c.partner == partner, c.at >= after[0], later)
            if table is message:
                wanted = wanted.where(~exists().where(exchange.c.message == message.c.id))
            with context.ledger.reading() as connection:
                rows = connection.execute(wanted.order_by(c.at, c.id).limit(PAGE)).all()
                keys: list[Key] = [("m", row.id) for row in rows]
                if table is exchange:
                    of = Judge(connection, policies(context.settings, context.directory))
                    keys = sorted(set(of.keys_of([row.id for row in rows]).values()))
            if not rows:
                break
            after = (rows[-1].at, rows[-1].id)
            yield keys
