"""Metrics: figures of the gateway for Prometheus, as a file that every batch writes or as the answer to a request.

All of it is read from the ledger and the machine, so that a batch and a request say the same; it is cheap on a ledger
of any size (see ``gateway.ledger.figures``). Times are seconds since 1970, so that their age is right however old the
file is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from gateway import __version__
from gateway.errors import GatewayError
from gateway.flow.backup import newest_backup
from gateway.flow.context import Context
from gateway.flow.expiry import lasting_of_ours, lasting_of_partner
from gateway.flow.exposition import CONTENT_TYPE, Family, Sample, label, text
from gateway.flow.metric_names import METRICS
from gateway.flow.standing import how_many
from gateway.ledger import batches, figures
from gateway.ledger.batches import Batch
from gateway.ledger.figures import most
from gateway.settings import invalid
from partners.model import Status

__all__ = ["CONTENT_TYPE", "metrics", "write_metrics"]

PARTNERS = 100  # with labels of their own in one family; the others are summed
OTHERS = "(others)"
_STRANGERS = "(strangers)"
_REMEMBERED = 100  # batches that are looked at for when a mailbox was last read
_DAY = 86_400_000  # ms


def metrics(context: Context) -> str:
    """The text that Prometheus reads.

    Args:
        context: outside of a batch; its directory tells whose certificates are watched.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    now = context.clock()
    families: list[Family] = [_each("gateway_info", {__version__: 1})]
    with context.ledger.reading() as connection:
        newest = batches.batches(connection, _REMEMBERED)
        families += _batch(newest)
        families += _mailboxes(context, connection, newest)
        families += _exchanges(connection)
        families.append(_attention(context, connection, now))
        families += _waiting(connection, now)
        families += _traffic(connection, now)
        families += _alerts(connection)
        families += _ledger(context, connection)
    families += [_certificates(context, now), _disk(context)]
    return text(families)


def write_metrics(file: Path, context: Context) -> None:
    """Writes the text whole, by rename, so that nobody reads half of it.

    Raises:
        SettingsInvalid: the file cannot be written.
        DatabaseUnavailable: with the reason.
    """
    said = metrics(context)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(said, "utf-8")
        temporary.replace(file)
    except OSError as problem:
        reason = f"{file} cannot be written: {problem.strerror or problem}"
        raise invalid(context.settings.home, ("gateway", "metrics_file"), reason) from problem


# ---------------------------------------------------------------- batches and mailboxes


def _batch(newest: list[Batch]) -> Iterator[Family]:
    yield _one("gateway_batch_running", bool(newest) and newest[0].ended_at is None)
    ended = next((each for each in newest if each.ended_at is not None), None)
    if ended is None:
        return
    assert ended.ended_at is not None
    yield _one("gateway_batch_start_timestamp_seconds", ended.started_at / 1000)
    yield _one("gateway_batch_end_timestamp_seconds", ended.ended_at / 1000)
    yield _one("gateway_batch_duration_seconds", (ended.ended_at - ended.started_at) / 1000)
    yield _one("gateway_batch_exit_code", ended.exit_code or 0)
    yield _one("gateway_batch_troubles", ended.troubles)
    steps = {each.name: each.took / 1000 for each in ended.steps if each.took is not None}
    yield _each("gateway_batch_step_duration_seconds", steps)
    yield _each("gateway_batch_count", {label(name): number for name, number in ended.counts.items()})


def _mailboxes(context: Context, connection: Connection, newest: list[Batch]) -> Iterator[Family]:
    """By what the step ``collect`` of the last batches met; of a batch that did not come to it nothing is known."""
    names = [each.name for each in context.mailboxes]
    last: dict[str, float] = {}
    failures = dict.fromkeys(names, 0.0)
    for batch in newest:
        step = next((each for each in batch.steps if each.name == "collect" and each.ended_at is not None), None)
        if step is None:
            continue
        failed = {each.where for each in step.troubles}
        for name in [each for each in names if each not in last]:
            if failed & {f"mailbox {name}", "collect"}:
                failures[name] += 1
            else:
                last[name] = (step.ended_at or 0) / 1000
    yield _each("gateway_mailbox_success_timestamp_seconds", last)
    yield _each("gateway_mailbox_failures", failures)
    yield _each("gateway_mailbox_not_taken", dict.fromkeys(names, 0) | figures.left_on_servers(connection))


# ---------------------------------------------------------------- exchanges


# States that a rule may ask for before anything was ever in them.
_WATCHED = ("quarantined", "in doubt", "overdue", "failed", "bounced", "rejected", "conflict", "ready", "sending")


def _exchanges(connection: Connection) -> Iterator[Family]:
    yield _each("gateway_exchanges", dict.fromkeys(_WATCHED, 0) | figures.states(connection))
    yield _each("gateway_messages", figures.messages(connection))


def _attention(context: Context, connection: Connection, now: int) -> Family:
    found = how_many(connection, context.settings, list(context.directory), context.keys.keys, now)
    sums: dict[str, int] = {}
    for (partner, _), number in found.items():
        sums[partner] = sums.get(partner, 0) + number
    kept = most(sums, PARTNERS, OTHERS).keys()
    total: dict[tuple[str, ...], float] = {}
    for (partner, what), number in found.items():
        stranger = _STRANGERS if what in ("exchange", "mail") else ""
        key = (partner or stranger) if partner in kept else OTHERS, what
        total[key] = total.get(key, 0) + number
    return _many("gateway_needs_attention", total)


def _waiting(connection: Connection, now: int) -> Iterator[Family]:
    owed, late = figures.awaited_by_partner(connection, now)
    yield _each("gateway_acknowledgments_awaited", _by_partner(owed))
    yield _each("gateway_acknowledgments_overdue", _by_partner(late))
    yield _each("gateway_mails_waiting", figures.mails_waiting(connection))
    yield _one("gateway_deliveries_due", figures.deliveries_due(connection))
    oldest = {what: at / 1000 for what, at in figures.oldest_waiting(connection).items()}
    yield _each("gateway_oldest_waiting_timestamp_seconds", oldest)


def _traffic(connection: Connection, now: int) -> Iterator[Family]:
    found = figures.traffic_today(connection, now)
    sums = dict.fromkeys([each.partner for each in found], 0)
    for each in found:
        sums[each.partner] += each.interchanges + each.sets
    kept = most(sums, PARTNERS, "").keys()
    for name, value in (
        ("gateway_day_interchanges", "interchanges"),
        ("gateway_day_transaction_sets", "sets"),
        ("gateway_day_bytes", "bytes"),
    ):
        total: dict[tuple[str, ...], float] = {}
        for each in found:
            partner = (each.partner or _STRANGERS) if each.partner in kept else OTHERS
            key = (partner, each.direction, each.kind)
            total[key] = total.get(key, 0) + getattr(each, value)
        yield _many(name, total)


def _by_partner(counts: Mapping[str, int]) -> dict[str, float]:
    return {name or _STRANGERS: number for name, number in most(counts, PARTNERS, OTHERS).items()}


# ---------------------------------------------------------------- what somebody should know of


def _alerts(connection: Connection) -> Iterator[Family]:
    standing = figures.alerts_by_kind(connection)
    yield _many("gateway_alerts", {(kind, state): number for (kind, state), number in standing.items()})
    yield _one("gateway_alert_rules_failing", figures.rules_failing(connection))


def _ledger(context: Context, connection: Connection) -> Iterator[Family]:
    yield _one("gateway_ledger_bytes", figures.bytes_on_disk(connection))
    sealed = figures.last_seal(connection)
    if sealed is not None:
        yield _one("gateway_seal_timestamp_seconds", sealed / 1000)
    with suppress(GatewayError):  # a backup that cannot be looked at is old, and the doctor says why
        newest = newest_backup(context.settings)
        if newest is not None:
            yield _one("gateway_backup_timestamp_seconds", newest.at / 1000)


def _certificates(context: Context, now: int) -> Family:
    """Our own first, then those of partners, the soonest to end first."""
    ours = {("(ours)", use): ends for use, (ends, _) in lasting_of_ours(context.keys.keys).items()}
    theirs = {
        (partner.key, use): ends
        for partner in context.directory
        if partner.status in {Status.TESTING, Status.LIVE}
        for use, (ends, _) in lasting_of_partner(partner).items()
    }
    soonest = sorted(theirs.items(), key=lambda each: (each[1], each[0]))[: 4 * PARTNERS]
    return _many(
        "gateway_certificate_days_left", {who: (ends - now) / _DAY for who, ends in (ours | dict(soonest)).items()}
    )


def _disk(context: Context) -> Family:
    free: dict[str, float] = {}
    for name, place in (("home", context.settings.home), ("inbox", context.settings.inbox)):
        with suppress(OSError):  # an inbox that is not there yet
            free[name] = shutil.disk_usage(place).free
    return _each("gateway_disk_free_bytes", free)


# ---------------------------------------------------------------- families


def _one(name: str, value: float) -> Family:
    """A figure alone."""
    return _family(name, (Sample(value),))


def _each(name: str, values: Mapping[str, float]) -> Family:
    """Figures that one label tells apart."""
    return _many(name, {(each,): value for each, value in values.items()})


def _many(name: str, values: Mapping[tuple[str, ...], float]) -> Family:
    """Figures by the values of their labels, in the order of the table."""
    labels = METRICS[name].labels
    return _family(name, tuple(Sample(value, dict(zip(labels, key, strict=True))) for key, value in values.items()))


def _family(name: str, samples: tuple[Sample, ...]) -> Family:
    return Family(name, METRICS[name].help_, samples)
