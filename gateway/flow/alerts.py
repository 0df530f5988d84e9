"""Alerts: what needs a person becomes an alert, once, and is closed by itself when its cause is gone.

``raise_alerts`` compares what there is with what was: it can run at any time and as often as one likes. Telling is
``gateway.flow.telling``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from gateway.errors import GatewayError, NotAllowedNow
from gateway.flow.acts import Act, acting, before
from gateway.flow.context import Context
from gateway.flow.needs import MET, Need, is_shared, met_by_unit, needs, outbox_of
from gateway.flow.telling import tell
from gateway.flow.unrecorded import record_told
from gateway.ledger import alerts, tables
from gateway.ledger.alerts import Alert
from gateway.ledger.recording import Recorder, insisting

# Where a worker's unit meets its troubles, as it reports them.
_PLACES = {"collect": "mailbox {}", "dispatch": "smtp"}


def alert(context: Context) -> None:
    """The last step of a batch: alerts are raised and closed, and the rules tell what is new."""
    context.reporter.step("alert")
    record_told(context)
    raise_alerts(context)
    tell(context)


def raise_alerts(context: Context) -> None:
    """Makes the alerts say what is: new ones are raised, what came back is raised again, what is gone is closed."""
    with context.ledger.reading() as connection:
        there = needs(context, connection)
    in_batch = context.troubles is not None
    # What lies in the outbox of another machine only that one sees.
    shared = is_shared(context)
    others = re.compile(rf"(?!{re.escape(outbox_of(context.settings, shared=shared))})[^/:]+:/") if shared else None

    def may_close(each: Alert) -> bool:
        elsewhere = others is not None and others.match(each.reference) is not None
        return there.whole and (each.kind not in MET or (in_batch and not elsewhere))

    _compare(context, there.found, may_close)


def met(
    context: Context,
    unit: str,
    about: str,
    troubles: Sequence[tuple[str, GatewayError]],
    steps: Sequence[str] = (),
) -> None:
    """The same for what one unit of a worker met: collect of a mailbox, submit, deliver, dispatch.

    ``steps``: those that the unit did, each of which reports its troubles under its own name.
    """
    places = {unit, _PLACES.get(unit, unit).format(about), *steps}
    # As they are written where no ledger is shared, too: an older gateway did.
    outboxes = (outbox_of(context.settings, shared=is_shared(context)), "outbox/") if unit == "submit" else ()
    found = met_by_unit(context, unit, troubles)
    _compare(
        context,
        found,
        lambda each: each.kind in MET and (each.reference in places or each.reference.startswith(outboxes)),
    )


def _compare(context: Context, found: Sequence[Need], may_close: Callable[[Alert], bool]) -> None:
    """Of what is known and not found, what ``may_close`` says is gone."""
    with context.ledger.reading() as connection:
        known = {each.topic: each for each in alerts.standing(connection)}
    wanted = {each.topic: each for each in reversed(found)}
    if not any(_is_news(known.get(each.topic), each) for each in found) and not _gone(known, wanted, may_close):
        return
    counts = Counter(each.topic for each in found)
    with context.ledger.transaction() as recorder:
        alerts.alone(recorder.connection)
        known = {each.topic: each for each in alerts.standing(recorder.connection)}
        closed = alerts.by_topic(recorder.connection, wanted.keys() - known.keys())
        for topic, need in wanted.items():
            if topic in known:
                _seen(recorder, known[topic], need, counts[topic])
            elif topic in closed:
                _again(recorder, closed[topic], need, counts[topic])
            else:
                _raise(recorder, need, counts[topic])
        kinds = {(each.partner, each.reference): each.kind for each in found}
        for each in _gone(known, wanted, may_close):
            now = kinds.get((each.partner, each.reference))
            _close(recorder, each, f"it is {now} now" if now else "its cause is gone", quiet=now is not None)


def _gone(known: Mapping[str, Alert], wanted: Mapping[str, Need], may_close: Callable[[Alert], bool]) -> list[Alert]:
    return [each for topic, each in known.items() if topic not in wanted and may_close(each)]


def _is_news(found: Alert | None, need: Need) -> bool:
    return found is None or need.again or need.subject != found.subject


@insisting
def mute(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Nobody is told of this alert any more; it is closed by itself when its cause is gone.

    Raises:
        NotFound, NotAllowedNow: it is closed.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        found = alerts.one(recorder.connection, number)
        if found.state == alerts.MUTED:
            return before(number, "muted")
        if found.state == alerts.CLOSED:
            raise NotAllowedNow(what="alert", key=number, state=found.state, reason="nobody is told of it anyway")
        recorder.change(tables.alert, number, state=alerts.MUTED)
        _event(recorder, "alert-muted", found, reason=reason)
    return Act(str(number), "muted: nobody is told of it until its cause is gone and comes back")


@insisting
def close(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """A person closes an alert. If the next batch still finds its cause, it is raised again.

    Raises:
        NotFound
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        found = alerts.one(recorder.connection, number)
        if found.state == alerts.CLOSED:
            return before(number, "closed")
        _close(recorder, found, reason, quiet=True)
    return Act(str(number), "closed: if the next batch still finds its cause, it is raised again")


# ---------------------------------------------------------------- what changes


def _raise(recorder: Recorder, need: Need, count: int) -> None:
    number = recorder.add(
        tables.alert,
        at=recorder.now,
        kind=need.kind,
        partner=need.partner,
        exchange=need.exchange,
        message=need.message,
        topic=need.topic,
        count=count,
        last_at=recorder.now,
        state=alerts.OPEN,
        told="{}",
        **_words(need),
    )
    recorder.event(
        "alert-raised",
        exchange=need.exchange,
        message=need.message,
        partner=need.partner,
        alert=number,
        subject=need.subject,
    )


def _again(recorder: Recorder, found: Alert, need: Need, count: int) -> None:
    """It was closed, and is back: people are told anew."""
    recorder.change(
        tables.alert,
        found.id,
        state=alerts.OPEN,
        count=found.count + count,
        last_at=recorder.now,
        closed_at=None,
        next_at=None,
        told="{}",
        **_words(need),
    )
    _event(recorder, "alert-reopened", found, subject=need.subject)


def _seen(recorder: Recorder, found: Alert, need: Need, count: int) -> None:
    """It is still there: counted where each batch meets it anew, and told in the words of now."""
    more = found.count + count if need.again else max(found.count, count)
    if need.again or more != found.count or need.subject != found.subject:
        last_at = recorder.now if more != found.count else found.last_at
        recorder.change(tables.alert, found.id, count=more, last_at=last_at, **_words(need))


def _words(need: Need) -> dict[str, str]:
    return {
        "subject": need.subject,
        "next_command": need.next_command,
        "reference": need.reference,
        "side": need.side,
    }


def _close(recorder: Recorder, found: Alert, reason: str, *, quiet: bool) -> None:
    """``next_at`` marks what rules may still tell of; ``quiet``: nobody needs to hear that it is over."""
    recorder.change(
        tables.alert,
        found.id,
        state=alerts.CLOSED,
        closed_at=recorder.now,
        next_at=None if quiet or found.state == alerts.MUTED else recorder.now,
    )
    _event(recorder, "alert-closed", found, reason=reason)


def _event(recorder: Recorder, kind: str, found: Alert, **body: str) -> None:
    recorder.event(kind, exchange=found.exchange, message=found.message, partner=found.partner, alert=found.id, **body)
