"""What is told when the ledger itself cannot be used: there is nothing to raise an alert in, and somebody must know.

Each rule that tells of the kind ``database`` is told at most once in its interval; a small file in the home remembers
when. The next batch that has its ledger again records who was told, and removes the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from gateway.errors import AlertNotTold, GatewayError
from gateway.flow import alert_words
from gateway.flow.alert_words import Report
from gateway.flow.channels import Message, channel_for, not_told
from gateway.flow.context import Context
from gateway.flow.needs import sentence
from gateway.ledger.alerts import OPEN, Alert
from gateway.mail.model import Transport
from gateway.settings import AlertSettings, Settings
from gateway.settings.alerts import EVERYTHING

FILE = ".told-without-ledger.json"
KIND = "database"


def tell_without_ledger(
    settings: Settings, fault: GatewayError, transport: Transport | None, secrets: Callable[[str], str], now: int
) -> list[AlertNotTold]:
    """Tells every rule that wants to know; returns what could not be told. ``now``: ms since 1970 UTC."""
    file = settings.home / FILE
    told, failed = dict(_told(file)), []
    for rule in settings.alerts:
        if not {EVERYTHING, KIND} & set(rule.kinds) or EVERYTHING not in rule.partners:
            continue
        if now - told.get(rule.name, 0) < rule.every / timedelta(milliseconds=1):
            continue
        try:
            _tell(settings, rule, fault, transport, secrets, now)
        except GatewayError as problem:
            failed.append(not_told(rule, problem))
            continue
        told[rule.name] = now
        with suppress(OSError):  # told once more is better than not at all
            _keep(file, told)
    return failed


def record_told(context: Context) -> None:
    """The ledger is there again: who was told meanwhile becomes history."""
    file = context.settings.home / FILE
    told = _told(file)
    if not told:
        return
    with context.ledger.transaction() as recorder:
        for rule, at in told.items():
            recorder.event("alert-told-without-ledger", rule=rule, told_at=at)
    file.unlink(missing_ok=True)


def _tell(
    settings: Settings,
    rule: AlertSettings,
    fault: GatewayError,
    transport: Transport | None,
    secrets: Callable[[str], str],
    now: int,
) -> None:
    report = Report(rule, f"{rule.name}-{KIND}-{now}", now, new=(_alert(fault, now),))
    body = alert_words.mail(report, settings)[1] if rule.to else alert_words.document(report, settings)
    sender = settings.smtp.sender if settings.smtp is not None else ""
    channel = channel_for(rule, transport, sender, secrets, settings.home)
    channel.tell(Message(rule.name, report.key, body, alert_words.facts(report, settings)))


def _alert(fault: GatewayError, now: int) -> Alert:
    return Alert(
        id=0,
        at=now,
        kind=KIND,
        partner="",
        reference=KIND,
        exchange=None,
        message=None,
        subject=sentence(f"{fault} No batch runs meanwhile."),
        side=fault.side.value,
        next_command="gateway doctor",
        topic=KIND,
        count=1,
        last_at=now,
        state=OPEN,
        told_at=None,
        told={},
        closed_at=None,
    )


def _told(file: Path) -> Mapping[str, int]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(rule): at for rule, at in found.items() if isinstance(at, int)}


def _keep(file: Path, told: Mapping[str, int]) -> None:
    temporary = file.with_suffix(".part")
    temporary.write_text(json.dumps(told), "utf-8")
    temporary.replace(file)
