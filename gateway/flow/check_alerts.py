"""What ``gateway doctor`` says of the rules of alerts: whether somebody is told, of whom, and in every case."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.flow.check_result import Check
from gateway.settings import AlertSettings, Settings
from gateway.settings.alerts import EVERYTHING
from partners.model import Partner

_HOST = {EVERYTHING, "smtp"}  # kinds by which somebody hears that the SMTP host is away


def check_alerts(settings: Settings, partners: Sequence[Partner]) -> Iterator[Check]:
    """Each rule names partners that there are and a program that can be run; not all of them need the mail host."""
    known = {each.key for each in partners}
    for rule in settings.alerts:
        yield from _check_rule(rule, known, settings.home)
    told = [each for each in settings.alerts if _HOST & set(each.kinds) and EVERYTHING in each.partners]
    if settings.alerts and not any(not each.to for each in told):
        yield Check(
            "alerts",
            None,
            "When the SMTP host is away nobody is told: no rule for that has a webhook or a command.",
            "Add an [[alert]] rule with a webhook or a command; docs/alerts.md shows one.",
            code="alerts.mail-only",
        )


def _check_rule(rule: AlertSettings, known: set[str], home: Path) -> Iterator[Check]:
    name = f"alert {rule.name}"
    strangers = [each for each in rule.partners if each != EVERYTHING and each not in known]
    if strangers:
        said = f"It names partners that are not there: {', '.join(strangers)}."
        yield Check(
            name,
            None,
            said,
            "Correct partners in the rule; `gateway partner list` shows the keys.",
            code="alerts.unknown-partner",
        )
    program = shlex.split(rule.command)[0] if rule.command else ""
    if program and shutil.which(str(home / program) if "/" in program else program) is None:
        yield Check(
            name,
            False,
            f"The program {program} is not there, or cannot be run.",
            "Correct command in the rule.",
            code="alerts.no-program",
        )
        return
    yield Check(name, True, f"It tells {rule.target}; `gateway alert test {rule.name}` tries it.")
