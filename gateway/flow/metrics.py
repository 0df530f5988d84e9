"""Metrics: the figures of the last batch as a text file that Prometheus' node exporter collects."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gateway.errors import SettingsInvalid
from gateway.flow.night import Summary
from gateway.ledger.recording import Ledger
from gateway.ledger.work import counts

_WEEK = 7 * 86_400_000  # ms


def write_metrics(file: Path, summary: Summary, ledger: Ledger) -> None:
    """Writes the file whole, by rename, so that nobody reads half of it.

    Raises:
        SettingsInvalid: the file cannot be written.
    """
    try:
        _write(file, summary, ledger)
    except OSError as problem:
        reason = f"{file} cannot be written: {problem.strerror or problem}"
        raise SettingsInvalid(file="gateway.toml", line=1, key="gateway.metrics_file", reason=reason) from problem


def _write(file: Path, summary: Summary, ledger: Ledger) -> None:
    with ledger.reading() as connection:
        states = counts(connection, summary.ended_at - _WEEK)
    lines = [
        "# HELP gateway_batch_end_seconds When the last batch ended, in seconds since 1970.",
        "# TYPE gateway_batch_end_seconds gauge",
        f"gateway_batch_end_seconds {summary.ended_at / 1000:.3f}",
        "# TYPE gateway_batch_seconds gauge",
        f"gateway_batch_seconds {(summary.ended_at - summary.started_at) / 1000:.3f}",
        "# TYPE gateway_batch_exit_code gauge",
        f"gateway_batch_exit_code {summary.exit_code}",
        "# TYPE gateway_needs_attention gauge",
        f"gateway_needs_attention {len(summary.attention)}",
        "# HELP gateway_batch_count What the last batch did.",
        "# TYPE gateway_batch_count gauge",
        *(f'gateway_batch_count{{what="{_label(name)}"}} {number}' for name, number in summary.counts.items()),
        "# HELP gateway_ledger_count How many exchanges are in each state, and what waits.",
        "# TYPE gateway_ledger_count gauge",
        *(f'gateway_ledger_count{{what="{_label(name)}"}} {number}' for name, number in states.items()),
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.replace(file)


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
