"""Every figure that the gateway tells: its name, what it is, and the labels that tell its samples apart.

``docs/reference/metrics.md`` is written from this table. All are gauges: they go up and down.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Metric(Struct, frozen=True):
    """What a figure is. ``help_`` is one sentence."""

    help_: str
    labels: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "gateway_info": Metric("The version of the gateway; the figure itself is always 1.", ("version",)),
    # the last batch
    "gateway_batch_running": Metric("Whether the newest batch has not ended: it runs, or was interrupted."),
    "gateway_batch_start_timestamp_seconds": Metric("When the last batch that ended began."),
    "gateway_batch_end_timestamp_seconds": Metric("When it ended."),
    "gateway_batch_duration_seconds": Metric("How long it took."),
    "gateway_batch_exit_code": Metric(
        "How it ended: 0 well, 65 documents need a person, 69 a host was away, 78 configuration, 1 a defect."
    ),
    "gateway_batch_troubles": Metric("How much did not work in it."),
    "gateway_batch_step_duration_seconds": Metric("How long each of its steps took.", ("step",)),
    "gateway_batch_count": Metric("What it did.", ("what",)),
    # mailboxes
    "gateway_mailbox_success_timestamp_seconds": Metric(
        "When each mailbox was last read without trouble, as far back as the last 100 batches.", ("mailbox",)
    ),
    "gateway_mailbox_failures": Metric("Batches in a row in which it could not be read.", ("mailbox",)),
    "gateway_mailbox_not_taken": Metric("Mails on its server that could not be taken.", ("mailbox",)),
    # exchanges
    "gateway_exchanges": Metric("Exchanges in each state but those in which nearly every one ends.", ("state",)),
    "gateway_needs_attention": Metric(
        "What needs a person, as `gateway status` counts it: exchanges, mails, and all else by the kind of its alert.",
        ("partner", "what"),
    ),
    "gateway_messages": Metric("Mails in each state that does not last.", ("state",)),
    "gateway_acknowledgments_awaited": Metric("Acknowledgments and receipts that we wait for.", ("partner",)),
    "gateway_acknowledgments_overdue": Metric("Those of them that are late.", ("partner",)),
    "gateway_mails_waiting": Metric("Mails that wait for the wire.", ("state",)),
    "gateway_deliveries_due": Metric("Transaction sets that wait for the business."),
    "gateway_oldest_waiting_timestamp_seconds": Metric(
        "Since when the oldest waits to be processed, sent, delivered; of an acknowledgment, when the first is due.",
        ("what",),
    ),
    "gateway_day_interchanges": Metric(
        "Interchanges that came and went since midnight UTC.", ("partner", "direction", "kind")
    ),
    "gateway_day_transaction_sets": Metric(
        "Transaction sets that came and went since midnight UTC.", ("partner", "direction", "kind")
    ),
    "gateway_day_bytes": Metric(
        "Bytes of interchanges that came and went since midnight UTC.", ("partner", "direction", "kind")
    ),
    # what somebody should know of
    "gateway_alerts": Metric("Alerts that are not over, by kind.", ("kind", "state")),
    "gateway_alert_rules_failing": Metric("Rules of alerts that could not tell anybody."),
    "gateway_certificate_days_left": Metric(
        "Days until the last certificate or key for a use ends; negative when it has.", ("whose", "use")
    ),
    # the machine and the ledger
    "gateway_disk_free_bytes": Metric("What is left on the disks that are written to.", ("place",)),
    "gateway_ledger_bytes": Metric("What the ledger takes on its disk."),
    "gateway_backup_timestamp_seconds": Metric("When the newest backup was made."),
    "gateway_seal_timestamp_seconds": Metric("When the ledger was last sealed."),
}
