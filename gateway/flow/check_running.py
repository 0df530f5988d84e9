"""Checks of whether the gateway really runs: nights that come, seals that are made, alerts that reach somebody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection, select

from gateway.flow.check_result import Check
from gateway.flow.former_outbox import left_behind, place_of
from gateway.flow.outbox_files import claimed
from gateway.jobs.lock import holder
from gateway.jobs.queue import last_sign
from gateway.ledger import tables, tree
from gateway.ledger.alerts import cannot_tell, last_batches
from gateway.ledger.changes import SETTINGS, last_of
from gateway.ledger.moments import duration, spoken
from gateway.ledger.stops import Stops, kept_back
from gateway.settings import Settings
from gateway.words import count

LONGEST = timedelta(hours=26)  # between two batches, where the settings do not say: a night, and a little late
WORKER = "worker"  # who acts in events of `gateway worker`
_LOOKED_AT = 500  # events, the newest
_COMPANY = ("gateway.name", "gateway.domain", "gateway.identities")
_OWN = 2  # leaves that a seal itself adds to the tree


def check_nights(connection: Connection, settings: Settings, now: int, *, partners: bool) -> Iterator[Check]:
    """A batch ran not long ago, and ended.

    Args:
        connection: within a transaction that reads.
        settings: how long there may be between two batches.
        now: ms since 1970 UTC.
        partners: whether there is anybody to trade with; before that no batch is missed.
    """
    advice = "Run `gateway night`, and let a timer do it (deploy/gateway-night.timer), or run `gateway serve`."
    batches = last_batches(connection)
    if not batches:
        if partners and not workers_at_work(connection, now):
            yield Check(
                "night", None, "No batch has run yet: nothing is collected or sent.", advice, code="night.never"
            )
        return
    last = batches[0]
    longest = int((settings.batch_expected or max(LONGEST, 3 * settings.interval)).total_seconds() * 1000)
    if last.ended_at is None and holder(settings.home) is None:
        said = f"Batch {last.id}, begun {spoken(last.started_at).strip()}, did not end: it was interrupted."
        yield Check(
            "night", None, said, "Run `gateway night`: it goes on where that one stopped.", code="night.interrupted"
        )
    if now - last.started_at > longest and not workers_at_work(connection, now):
        said = f"The last batch ran {duration(now - last.started_at)} ago, {spoken(last.started_at).strip()}."
        yield Check("night", None, said, advice, code="night.late")


def workers_at_work(connection: Connection, now: int) -> bool:
    """Whether workers do what is due in place of a night: one lives, or did something not long ago (cron calls it).

    Args:
        connection: within a transaction that reads.
        now: ms since 1970 UTC.
    """
    if connection.dialect.name != "postgresql":
        return False
    e = tables.event.c
    newest = select(e.actor, e.at).order_by(e.seq.desc()).limit(_LOOKED_AT)
    signs: list[int] = [at for actor, at in connection.execute(newest) if actor == WORKER]
    signs.append(last_sign(connection) or 0)
    return now - max(signs) < LONGEST.total_seconds() * 1000


def check_seal(connection: Connection, settings: Settings, now: int) -> Iterator[Check]:
    """What happened is sealed, as often as the settings say. ``now``: ms since 1970 UTC."""
    if not last_batches(connection) and not workers_at_work(connection, now):
        return
    last = connection.execute(select(tables.seal).order_by(tables.seal.c.size.desc()).limit(1)).one_or_none()
    advice = "Run `gateway ledger seal`; it says what is wrong."
    every = settings.seal.every
    if last is None:
        if every is None:
            advice = "Run `gateway ledger seal` now and then, or take [seal] every out of gateway.toml."
        said = "The ledger was never sealed: whoever can write to it could change what happened unseen."
        yield Check("seal", None, said, advice, code="seal.never")
    elif every is not None and now - last.at > 2 * every.total_seconds() * 1000 and _grown(connection, last.size):
        said = f"The last seal is {duration(now - last.at)} old, and more has happened since."
        yield Check("seal", None, said, advice, code="seal.late")


def _grown(connection: Connection, size: int) -> bool:
    return tree.head_of(connection).size - size > _OWN


def check_told(connection: Connection, settings: Settings) -> Iterator[Check]:
    """Somebody is told of what needs a person, and the rules that tell can."""
    if not settings.alerts:
        said = "Nobody is told at once of what needs a person: gateway.toml has no [[alert]]."
        yield Check(
            "alerts", None, said, "Add a rule, then `gateway alert test NAME`; docs/alerts.md.", code="alerts.none"
        )
    memory = tables.alert
    failing = select(memory.c.reference, memory.c.subject).where(cannot_tell())
    for row in connection.execute(failing):
        said = row.subject or "It could not tell."
        advice = f"Correct it, then `gateway alert test {row.reference}`."
        yield Check(f"alert {row.reference}", False, said, advice, code="alerts.failing")


def check_company(connection: Connection, settings: Settings) -> Iterator[Check]:
    """Homes that share a ledger are one company's: another's would take its mails with our names, and we its."""
    last = next(iter(last_of(connection, SETTINGS, 1)), {})
    theirs, ours = last.get("settings", {}), dict(settings.written)
    differing = [name for name in _COMPANY if theirs.get(name) != ours.get(name)]
    if last.get("place", place_of(settings)) == place_of(settings) or not differing:
        return
    said = f"The home {last['place']} works on this ledger with another {', '.join(differing)}."
    advice = "Give each company a database of its own; machines that share one have the same gateway.toml."
    yield Check("home", None, said, advice, code="home.differs")


def check_former_outboxes(connection: Connection, settings: Settings) -> Iterator[Check]:
    """Nothing lies in directories that gateway.toml named as the outbox before."""
    for place, number in left_behind(connection, settings).items():
        goes = "does not go" if number == 1 else "do not go"
        said = f"{place} was the outbox before: {count(number, 'document')} there {goes}."
        advice = f"Move what is to go into {settings.outbox}, into the directory of its partner."
        yield Check("outbox", None, said, advice, code="outbox.left")


def check_stopped(connection: Connection, stops: Stops, settings: Settings) -> Iterator[Check]:
    """Nothing waits for partners with whom we do not trade now, or not in earnest.

    Args:
        connection: within a transaction that reads.
        stops: to whom not everything goes.
        settings: where the outbox is.
    """
    waiting = kept_back(connection, stops)
    for key in sorted(stops.everything | stops.drafts):
        place = settings.outbox / key
        files = sum(each.is_file() for each in place.iterdir()) + claimed(place) if place.is_dir() else 0
        number = waiting.get(key, 0) + files
        if number:
            said = f"It is not trading, but {count(number, 'document')} for it {'waits' if number == 1 else 'wait'}."
            advice = f"`gateway partner activate {key}` lets them go; else `gateway exchange cancel`, or empty {place}."
            yield Check(f"partner {key}", None, said, advice, code="partner.stopped-waiting")
    for key in sorted(stops.testing & waiting.keys()):
        number = waiting[key]
        said = f"It is in testing, but {count(number, 'document')} in earnest (ISA15 P) for it "
        advice = f"`gateway partner activate {key}` lets them go; else `gateway exchange cancel`, or, as tests, "
        yield Check(
            f"partner {key}",
            None,
            f"{said}{'waits' if number == 1 else 'wait'}.",
            f"{advice}`gateway exchange resend --new-number`.",
            code="partner.stopped-waiting",
        )
