"""Telling: each rule of gateway.toml tells what is new, at most once in its interval, and again after a failure.

What is about to be told is durable before anybody is told, bytes and all, so that it is told at least once. Where a
process ended between telling and recording nobody can know: it is told again, the same bytes under the same key, and
the ledger says so. A rule that cannot tell is tried again with growing pauses, and is itself something that needs a
person; of it other rules tell, and of a mail that came back no rule tells by mail.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.errors import GatewayError, OutcomeUnknown, UnknownPartner, unexpected
from gateway.flow import alert_words
from gateway.flow.alert_words import Report
from gateway.flow.channels import Answer, Channel, Message, channel_for, not_told
from gateway.flow.context import Context
from gateway.flow.own_mail import record_own_mail
from gateway.ledger import alerts, tables
from gateway.ledger.alerts import CLOSED, FAILING, IDLE, TELLING, TOLD, Alert, Memory
from gateway.ledger.recording import Recorder
from gateway.ledger.states import MessageState
from gateway.settings import AlertSettings
from gateway.settings.alerts import EVERYTHING, NOT_TOLD, REPLY
from gateway.x12.model import PRODUCTION, TEST
from partners.model import Status

FIRST_PAUSE = 60_000  # ms after a failure; doubled each time
LONGEST_PAUSE = 3_600_000
CLAIM = 600_000  # ms after which what another process began to tell is told again
KEPT = 3 * 86_400_000  # ms for which it is told that something is over


def tell(context: Context) -> None:
    """Every rule tells what it has to tell. One that fails does not stop the others, and never the batch."""
    _forget(context)
    for rule in context.settings.alerts:
        try:
            while _tell_by(context, rule):
                pass
        except GatewayError as fault:
            context.reporter.trouble(fault, f"alert rule {rule.name}")
        except Exception as problem:  # noqa: BLE001 - whatever a rule meets, the others are told
            context.reporter.trouble(unexpected(f"the alert rule {rule.name}", problem), f"alert rule {rule.name}")


def _forget(context: Context) -> None:
    """A rule that is no longer in gateway.toml fails no more."""
    rules = [each.name for each in context.settings.alerts]
    with context.ledger.reading() as connection:
        left = alerts.forgotten(connection, rules)
    if left:
        with context.ledger.transaction() as recorder:
            for each in left:
                alerts.remember(recorder, each, state=IDLE, pending=None, attempts=0, trouble="")


def test(context: Context, rule: AlertSettings) -> Answer:
    """Tells that this is a test, at once.

    Raises:
        AlertNotTold: it could not.
    """
    with context.ledger.transaction() as recorder:
        known = alerts.memory(recorder.connection, rule.name) or alerts.new_memory(recorder, rule.name)
        report = Report(rule, f"{rule.name}-test-{recorder.now}", recorder.now, test=True)
        message, row = _kept(context, recorder, report)
    try:
        answer = _channel(context, rule).tell(message)
    except GatewayError as fault:
        raise not_told(rule, fault) from fault
    with context.ledger.transaction() as recorder:
        recorder.event("alert-tested", message=row, rule=rule.name, target=rule.target)
        if row is not None:
            recorder.change(tables.message, row, state=MessageState.SENT)
        if known.state == FAILING and known.pending is None:
            alerts.remember(recorder, known, state=IDLE, attempts=0, trouble="")
    return answer


def returned(recorder: Recorder, message_id: str, recipient: str, reason: str) -> bool:
    """A mail came back. Whether it was one of ours that told alerts: then its rule is shown as failing."""
    found = alerts.rule_of_mail(recorder.connection, message_id)
    if found is None:
        return False
    rule, message = found
    known = alerts.memory(recorder.connection, rule)
    recorder.event("alert-returned", message=message, rule=rule, target=recipient, reason=reason)
    if known is not None and known.state != TELLING:
        trouble = f"The mail of the alert rule {rule} to {recipient or 'somebody'} came back: {reason or 'no reason'}"
        alerts.remember(recorder, known, state=FAILING, trouble=trouble)
    return True


# ---------------------------------------------------------------- one rule


def _tell_by(context: Context, rule: AlertSettings) -> bool:
    """Tells once, where something is due; whether more may be due at once."""
    now = context.clock()
    if _is_quiet(rule, now):
        return False
    with context.ledger.reading() as connection:
        known = alerts.memory(connection, rule.name)
        if known is not None and known.next_at > now:
            return False
        listed = alerts.worth_telling(connection, now - KEPT)
    report = _report(context, rule, known, listed, now)
    if report is None and (known is None or known.pending is None):
        return False
    with context.ledger.transaction() as recorder:
        claimed = _claimed(context, recorder, rule, report)
    if claimed is None:
        return False
    message, known = claimed
    try:
        answer = _channel(context, rule).tell(message)
    except GatewayError as fault:
        _failed(context, rule, known, fault)
        return False
    _told(context, rule, known, answer)
    return known.attempts > 0  # after an outage what happened meanwhile need not wait


def _claimed(
    context: Context, recorder: Recorder, rule: AlertSettings, report: Report | None
) -> tuple[Message, Memory] | None:
    """What this process tells now, made durable first; None where another one does."""
    alerts.alone(recorder.connection)
    known = alerts.memory(recorder.connection, rule.name) or alerts.new_memory(recorder, rule.name)
    if known.next_at > recorder.now:
        return None
    pending = known.pending
    if pending is not None and pending["target"] == rule.target:
        if known.state == TELLING:
            recorder.event("alert-doubt", message=known.message, rule=rule.name, target=rule.target)
            context.reporter.happened("alerts told again")
        known = alerts.remember(recorder, known, state=TELLING, next_at=recorder.now + CLAIM)
        body = context.ledger.content(pending["sha256"])
        return Message(rule.name, pending["key"], body, pending["facts"]), known
    if report is None:  # the rule was changed, and nothing is new
        alerts.remember(recorder, known, state=IDLE, pending=None, attempts=0, trouble="")
        return None
    message, row = _kept(context, recorder, report)
    pending = {
        "key": message.key,
        "target": rule.target,
        "sha256": recorder.keep(message.body, owner=""),
        "facts": dict(message.facts),
        "alerts": [each.id for each in report.open + report.over],
        "at": report.at,
    }
    known = alerts.remember(
        recorder,
        known,
        state=TELLING,
        next_at=recorder.now + CLAIM,
        pending=pending,
        message=row,
        number=known.number + 1,
    )
    recorder.event("alert-telling", message=row, rule=rule.name, target=rule.target, alerts=len(pending["alerts"]))
    return message, known


def _kept(context: Context, recorder: Recorder, report: Report) -> tuple[Message, int | None]:
    """What is told, in bytes; of a mail its row too."""
    settings, rule = context.settings, report.rule
    words = alert_words.facts(report, settings)
    if not rule.to:
        return Message(rule.name, report.key, alert_words.document(report, settings), words), None
    draft, raw = alert_words.mail(report, settings)
    assert settings.smtp is not None
    row = record_own_mail(recorder, settings.smtp, draft, raw, "alert")
    return Message(rule.name, report.key, raw, words), row


def _told(context: Context, rule: AlertSettings, known: Memory, answer: Answer) -> None:
    """Somebody was told: kept with each alert, and the rule may tell again after its interval."""
    assert known.pending is not None
    with context.ledger.transaction() as recorder:
        pause = 0 if known.attempts else int(rule.every.total_seconds() * 1000)
        trouble = f"The alert rule {rule.name} did not reach all: {answer.missing}" if answer.missing else ""
        alerts.remember(
            recorder,
            known,
            state=FAILING if trouble else IDLE,
            next_at=recorder.now + pause,
            attempts=0,
            told_at=recorder.now,
            trouble=trouble,
            pending=None,
        )
        if known.message is not None:
            recorder.change(tables.message, known.message, state=MessageState.SENT)
        told = alerts.numbered(recorder.connection, known.pending["alerts"])
        for each in told:
            # What was told late as open, and was closed meanwhile, is still to be told as over.
            if each.closed_at is None or each.closed_at <= known.pending.get("at", recorder.now):
                _mark(recorder, each, rule)
            _note(recorder, each, rule)
        recorder.event(
            "alert-told",
            message=known.message,
            rule=rule.name,
            target=rule.target,
            alerts=len(told),
            reply=answer.reply,
        )
    context.reporter.happened("alerts told", len(told))


def _mark(recorder: Recorder, each: Alert, rule: AlertSettings) -> None:
    told = json.dumps({**each.told, rule.name: recorder.now})
    state = TOLD if each.state == alerts.OPEN else each.state
    recorder.change(tables.alert, each.id, told=told, told_at=recorder.now, state=state)


def _note(recorder: Recorder, each: Alert, rule: AlertSettings) -> None:
    if each.exchange is not None:
        recorder.event("alert-told", exchange=each.exchange, partner=each.partner, rule=rule.name, target=rule.target)


def _failed(context: Context, rule: AlertSettings, known: Memory, fault: GatewayError) -> None:
    """Nobody was told, or nobody knows: the same again after a pause that grows."""
    told = not_told(rule, fault)
    with context.ledger.transaction() as recorder:
        attempts = known.attempts + 1
        next_at = recorder.now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(known.attempts, 12))
        state = TELLING if isinstance(fault, OutcomeUnknown) else FAILING
        alerts.remember(recorder, known, state=state, next_at=next_at, attempts=attempts, trouble=str(told))
        recorder.event(
            "alert-not-told",
            message=known.message,
            rule=rule.name,
            target=rule.target,
            reason=str(fault),
            next_at=next_at,
        )
    context.reporter.happened("alerts not told")
    context.reporter.trouble(told, f"alert rule {rule.name}")


def _channel(context: Context, rule: AlertSettings) -> Channel:
    sender = context.settings.smtp.sender if context.settings.smtp is not None else ""
    return channel_for(rule, context.transport, sender, context.secrets, context.settings.home)


# ---------------------------------------------------------------- what a rule tells


def _report(
    context: Context, rule: AlertSettings, known: Memory | None, listed: Sequence[Alert], now: int
) -> Report | None:
    """What the rule has to tell now; None where that is nothing."""
    number = known.number + 1 if known is not None else 1
    since = known.at if known is not None else now
    fitting = [each for each in listed if _fits(context, rule, each)]
    new = tuple(each for each in fitting if each.state != CLOSED and rule.name not in each.told)
    again = tuple(each for each in fitting if _is_due_again(rule, each, now))
    over = tuple(each for each in fitting if _is_over(rule, each, since))
    missed = any(rule.name not in each.told for each in over)
    if not (new or again or missed or (over and not rule.to)):
        return None
    return Report(rule, f"{rule.name}-{number}-{now}", now, new, again, over)


def _fits(context: Context, rule: AlertSettings, each: Alert) -> bool:
    if EVERYTHING not in rule.kinds and each.kind not in rule.kinds:
        return False
    if EVERYTHING not in rule.partners and each.partner not in rule.partners:
        return False
    if each.kind == NOT_TOLD and (each.reference == rule.name or (rule.to and _tells_by_mail(context, each.reference))):
        return False
    if each.kind == REPLY and rule.to:
        return False
    return rule.include_testing or not (each.usage == TEST or _is_testing(context, each.partner, each.usage))


def _tells_by_mail(context: Context, name: str) -> bool:
    """Whether the rule of that name tells by mail; of one that is gone nobody knows, so yes."""
    return next((bool(each.to) for each in context.settings.alerts if each.name == name), True)


def _is_testing(context: Context, partner: str, usage: str) -> bool:
    """Whether it is but a test; what a partner in testing sends in earnest is none, unless that was agreed on."""
    if not partner:
        return False
    try:
        found = context.directory.get(partner)
    except UnknownPartner:
        return False
    return found.status is Status.TESTING and (usage != PRODUCTION or found.on_production == "accept")


def _is_due_again(rule: AlertSettings, each: Alert, now: int) -> bool:
    told = each.told.get(rule.name)
    if rule.repeat is None or told is None or each.state == CLOSED:
        return False
    return now - told >= rule.repeat.total_seconds() * 1000


def _is_over(rule: AlertSettings, each: Alert, since: int) -> bool:
    """Closed by itself since the rule told it, or before it could."""
    if each.state != CLOSED or each.closed_at is None or each.closed_at < since:
        return False
    return each.told.get(rule.name, 0) < each.closed_at


def _is_quiet(rule: AlertSettings, now: int) -> bool:
    if rule.quiet is None:
        return False
    begin, end = rule.quiet
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone()
    minute = local.hour * 60 + local.minute
    return begin <= minute < end if begin < end else minute >= begin or minute < end
