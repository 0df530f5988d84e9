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
from gateway.errors import GatewayError, SettingsInvalid
from gateway.flow.backup import newest_backup
from gateway.flow.context import Context
from gateway.flow.expiry import lasting_of_ours, lasting_of_partner
from gateway.flow.exposition import CONTENT_TYPE, Family, Sample, gauge, gauges, label, text
from gateway.ledger import batches, figures
from gateway.ledger.batches import Batch
from gateway.ledger.figures import most
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
    families: list[Family] = [
        Family("gateway_info", "The version of the gateway.", (Sample(1, {"version": __version__}),))
    ]
    with context.ledger.reading() as connection:
        newest = batches.batches(connection, _REMEMBERED)
        families += _batch(newest)
        families += _mailboxes(context, connection, newest)
        families += _exchanges(connection)
        families += _waiting(connection, now)
        families += _traffic(connection, now)
        families += _alerts(connection)
        families += _ledger(context, connection)
    families += _certificates(context, now)
    families += _disk(context)
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
        raise SettingsInvalid(file="gateway.toml", line=1, key="gateway.metrics_file", reason=reason) from problem


# ---------------------------------------------------------------- batches and mailboxes


def _batch(newest: list[Batch]) -> Iterator[Family]:
    running = bool(newest) and newest[0].ended_at is None
    yield gauge(
        "gateway_batch_running", "Whether the newest batch has not ended: it runs, or was interrupted.", running
    )
    ended = next((each for each in newest if each.ended_at is not None), None)
    if ended is None:
        return
    assert ended.ended_at is not None
    yield gauge(
        "gateway_batch_start_timestamp_seconds", "When the last batch that ended began.", ended.started_at / 1000
    )
    yield gauge("gateway_batch_end_timestamp_seconds", "When it ended.", ended.ended_at / 1000)
    yield gauge("gateway_batch_duration_seconds", "How long it took.", (ended.ended_at - ended.started_at) / 1000)
    yield gauge("gateway_batch_exit_code", "Its exit code: 0 is good.", ended.exit_code or 0)
    yield gauge("gateway_batch_troubles", "How much did not work in it.", ended.troubles)
    steps = {each.name: each.took / 1000 for each in ended.steps if each.took is not None}
    yield gauges("gateway_batch_step_duration_seconds", "How long each of its steps took.", "step", steps)
    counts = {label(name): number for name, number in ended.counts.items()}
    yield gauges("gateway_batch_count", "What it did.", "what", counts)


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
    said = "When each mailbox was last read without trouble, as far back as the last 100 batches."
    yield gauges("gateway_mailbox_success_timestamp_seconds", said, "mailbox", last)
    yield gauges("gateway_mailbox_failures", "Batches in a row in which it could not be read.", "mailbox", failures)
    left = dict.fromkeys(names, 0) | figures.left_on_servers(connection)
    yield gauges("gateway_mailbox_not_taken", "Mails on its server that could not be taken.", "mailbox", left)


# ---------------------------------------------------------------- exchanges


def _exchanges(connection: Connection) -> Iterator[Family]:
    states = figures.states(connection)
    said = "Exchanges in each state but those in which nearly every one ends."
    yield gauges("gateway_exchanges", said, "state", dict.fromkeys(_WATCHED, 0) | states)
    needing = _by_partner(figures.attention_by_partner(connection))
    yield gauges("gateway_needs_attention", "Exchanges in a state that needs a person.", "partner", needing)
    yield gauges("gateway_messages", "Mails in each state that does not last.", "state", figures.messages(connection))


# States that a rule may ask for before anything was ever in them.
_WATCHED = ("quarantined", "in doubt", "overdue", "failed", "bounced", "rejected", "conflict", "ready", "sending")


def _waiting(connection: Connection, now: int) -> Iterator[Family]:
    owed, late = figures.awaited_by_partner(connection, now)
    yield gauges(
        "gateway_acknowledgments_awaited",
        "Acknowledgments and receipts that we wait for.",
        "partner",
        _by_partner(owed),
    )
    yield gauges("gateway_acknowledgments_overdue", "Those of them that are late.", "partner", _by_partner(late))
    yield gauges("gateway_mails_waiting", "Mails that wait for the wire.", "state", figures.mails_waiting(connection))
    yield gauge(
        "gateway_deliveries_due", "Transaction sets that wait for the business.", figures.deliveries_due(connection)
    )
    oldest = {what: at / 1000 for what, at in figures.oldest_waiting(connection).items()}
    said = "Since when the oldest waits to be processed, sent, delivered; for an acknowledgment: when it is due."
    yield gauges("gateway_oldest_waiting_timestamp_seconds", said, "what", oldest)


def _traffic(connection: Connection, now: int) -> Iterator[Family]:
    found = figures.traffic_today(connection, now)
    sums = dict.fromkeys([each.partner for each in found], 0)
    for each in found:
        sums[each.partner] += each.interchanges + each.sets
    kept = most(sums, PARTNERS, "").keys()
    for name, what, value in (
        ("gateway_day_interchanges", "Interchanges", "interchanges"),
        ("gateway_day_transaction_sets", "Transaction sets", "sets"),
        ("gateway_day_bytes", "Bytes of interchanges", "bytes"),
    ):
        total: dict[tuple[str, str, str], int] = {}
        for each in found:
            partner = (each.partner or _STRANGERS) if each.partner in kept else OTHERS
            key = (partner, each.direction, each.kind)
            total[key] = total.get(key, 0) + getattr(each, value)
        samples = [
            Sample(number, {"partner": partner, "direction": direction, "kind": kind})
            for (partner, direction, kind), number in sorted(total.items())
        ]
        yield Family(name, f"{what} that came and went since midnight UTC.", tuple(samples))


def _by_partner(counts: Mapping[str, int]) -> dict[str, float]:
    return {name or _STRANGERS: number for name, number in most(counts, PARTNERS, OTHERS).items()}


# ---------------------------------------------------------------- what somebody should know of


def _alerts(connection: Connection) -> Iterator[Family]:
    standing = figures.alerts_by_kind(connection)
    samples = tuple(
        Sample(number, {"kind": kind, "state": state}) for (kind, state), number in sorted(standing.items())
    )
    yield Family("gateway_alerts", "Alerts that are not over, by kind.", samples)
    yield gauge("gateway_alert_rules_failing", "Rules that could not tell anybody.", figures.rules_failing(connection))


def _ledger(context: Context, connection: Connection) -> Iterator[Family]:
    yield gauge("gateway_ledger_bytes", "What the ledger takes on its disk.", figures.bytes_on_disk(connection))
    sealed = figures.last_seal(connection)
    if sealed is not None:
        yield gauge("gateway_seal_timestamp_seconds", "When the ledger was last sealed.", sealed / 1000)
    with suppress(GatewayError):  # a backup that cannot be looked at is old, and the doctor says why
        newest = newest_backup(context.settings)
        if newest is not None:
            yield gauge("gateway_backup_timestamp_seconds", "When the newest backup was made.", newest.at / 1000)


def _certificates(context: Context, now: int) -> Iterator[Family]:
    samples = [
        Sample((ends - now) / _DAY, {"whose": partner.key, "use": use})
        for partner in context.directory
        if partner.status in {Status.TESTING, Status.LIVE}
        for use, (ends, _) in lasting_of_partner(partner).items()
    ]
    ours = lasting_of_ours(context.keys.keys)
    samples = [
        Sample((ends - now) / _DAY, {"whose": "(ours)", "use": use}) for use, (ends, _) in ours.items()
    ] + sorted(samples, key=lambda each: each.value)
    said = "Days until the last certificate or key for a use ends; negative when it has."
    yield Family("gateway_certificate_days_left", said, tuple(samples[: 4 * PARTNERS]))


def _disk(context: Context) -> Iterator[Family]:
    free: dict[str, float] = {}
    for name, place in (("home", context.settings.home), ("inbox", context.settings.inbox)):
        with suppress(OSError):  # an inbox that is not there yet
            free[name] = shutil.disk_usage(place).free
    yield gauges("gateway_disk_free_bytes", "What is left on the disks that are written to.", "place", free)
