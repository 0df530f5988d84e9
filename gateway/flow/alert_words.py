"""What people and programs read of alerts: a mail in plain words, a JSON document, facts for a command. Pure."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from gateway.ledger.alerts import Alert
from gateway.ledger.moments import iso, spoken
from gateway.mail.compose import compose, message_id
from gateway.mail.model import Draft
from gateway.settings import AlertSettings, Settings
from gateway.settings.values import say_duration

WIDTH = 75  # characters of a line
LISTED = 50  # alerts that a mail tells in full; the rest is counted
POSTED = 500  # alerts in one JSON document
HEADER = "X-Gateway-Alert"  # names the rule, in mails


class Report(Struct, frozen=True):
    """What one rule tells at once: what is new, what is told again, what is over. ``at``: ms since 1970 UTC."""

    rule: AlertSettings
    key: str
    at: int
    new: tuple[Alert, ...] = ()
    again: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()
    test: bool = False

    @property
    def open(self) -> tuple[Alert, ...]:
        """What needs a person."""
        return self.new + self.again


def subject_of(report: Report, our_name: str) -> str:
    """The subject of the mail: how much of what."""
    if report.test:
        return f"[{our_name}] Test of the alert rule {report.rule.name}"
    if not report.open:
        return f"[{our_name}] {_counted(len(report.over))} over by itself: {_kinds(report.over)}"
    again = "" if report.new else "still "
    verb = "needs" if len(report.open) == 1 else "need"
    return f"[{our_name}] {_counted(len(report.open))} {again}{verb} a person: {_kinds(report.open)}"


def mail(report: Report, settings: Settings) -> tuple[Draft, bytes]:
    """The mail, and its bytes: the same whenever the report is the same."""
    assert settings.smtp is not None
    draft = Draft(
        sender=settings.smtp.sender,
        sender_name=settings.smtp.sender_name,
        to=report.rule.to,
        subject=subject_of(report, settings.name),
        message_id=message_id(settings.domain, f"alert {report.key} {report.at}"),
        body="\n".join(_wrapped(_lines(report, settings))),
        date=report.at / 1000,
        headers=((HEADER, report.rule.name), ("Precedence", "list"), ("X-Auto-Response-Suppress", "All")),
    )
    return draft, compose(draft)


def document(report: Report, settings: Settings) -> bytes:
    """The JSON document that webhooks and commands get."""
    listed = [(each, "new") for each in report.new] + [(each, "again") for each in report.again]
    said = {
        "telling": report.key,
        "rule": report.rule.name,
        "gateway": settings.name,
        "domain": settings.domain,
        "at": iso(report.at),
        "test": report.test,
        "subject": subject_of(report, settings.name),
        "alerts": [{**each.as_dict(), "reason": why} for each, why in listed[:POSTED]],
        "over": [each.as_dict() for each in report.over[:POSTED]],
        "more": max(0, len(listed) - POSTED) + max(0, len(report.over) - POSTED),
    }
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


def facts(report: Report, settings: Settings) -> dict[str, str]:
    """What a command finds in its environment, each name after ``GATEWAY_``."""
    first = (report.open or report.over)[:1]
    found = {
        "rule": report.rule.name,
        "subject": subject_of(report, settings.name),
        "alerts": str(len(report.open)),
        "over": str(len(report.over)),
        "test": "yes" if report.test else "no",
        "kinds": ", ".join(sorted({each.kind for each in report.open})),
        "partners": ", ".join(sorted({each.partner for each in report.open if each.partner})),
    }
    for each in first:
        found |= {"first": each.subject, "next": each.next_command}
    return found


# ---------------------------------------------------------------- the mail


def _lines(report: Report, settings: Settings) -> Iterator[str]:
    home = settings.home
    if report.test:
        yield f"This is a test of the alert rule {report.rule.name} of the EDI gateway of {settings.name} ({home})."
        yield "Nothing is wrong. What needs a person comes here as a mail like this one."
        return
    yield f"The EDI gateway of {settings.name} ({home}), {spoken(report.at).strip()}."
    yield from _part("Needs a person", report.new)
    yield from _part("Still needs a person", report.again)
    if report.over:
        yield ""
        yield "Over by itself:"
        yield from (f"  {each.id}  {each.subject}" for each in report.over[:LISTED])
        yield from _more(report.over)
    yield ""
    yield "Everything that is open: gateway status"
    yield "To hear no more of one: gateway alert mute NUMBER --why ..."
    yield f"The rule {report.rule.name} tells at most once in {say_duration(report.rule.every)}."


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Lines that mail carries as they are; what continues is indented as far as its beginning."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        yield from textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _part(title: str, alerts: Sequence[Alert]) -> Iterator[str]:
    if not alerts:
        return
    yield ""
    yield f"{title}:"
    for each in alerts[:LISTED]:
        times = f", {each.count} times" if each.count > 1 else ""
        whose = f", on the side of: {each.side}" if each.side else ""
        yield ""
        yield f"  {each.id}  {each.subject}"
        yield f"      since {spoken(each.at).strip()}{times}{whose}"
        yield f"      next: {each.next_command}"
    yield from _more(alerts)


def _more(alerts: Sequence[Alert]) -> Iterator[str]:
    left = alerts[LISTED:]
    if left:
        yield f"  and {len(left)} more: {_kinds(left)}"


def _kinds(alerts: Sequence[Alert]) -> str:
    counted = Counter(each.kind for each in alerts)
    return ", ".join(f"{count} {kind}" for kind, count in counted.most_common())


def _counted(number: int) -> str:
    return f"{number} thing{'' if number == 1 else 's'}"
