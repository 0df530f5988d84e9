"""Alerts: what people are told of, whom the rules reach, and whether they can be told at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct
from starlette.responses import Response

from gateway.app import App
from gateway.console.needs import in_order, way
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, fault_in_words, reason
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow import alerts as flow
from gateway.flow import telling
from gateway.flow.acts import Act
from gateway.ledger import alerts
from gateway.ledger.alerts import Memory
from gateway.settings.alerts import KINDS
from gateway.settings.model import AlertSettings

_PAGE = 50
_STATES = {"open": (alerts.OPEN, alerts.TOLD), "muted": (alerts.MUTED,), "closed": (alerts.CLOSED,)}


class Rule(Struct, frozen=True):
    """A rule of gateway.toml, and what it remembers; None: it never had anything to tell."""

    settings: AlertSettings
    memory: Memory | None

    @property
    def state(self) -> str:
        """ok, telling or failing."""
        return "ok" if self.memory is None or self.memory.state == alerts.IDLE else self.memory.state


def listed(visit: Visit) -> Response:
    """The alerts of one state, the newest first."""
    app = visit.app
    state = visit.asked("state") if visit.asked("state") in _STATES else "open"
    partner, kind = visit.asked("partner"), visit.asked("kind")
    before = _number(visit.asked("before"))
    with app.ledger.reading() as connection:
        counted = alerts.counted(connection, partner)
        found = alerts.page(connection, _STATES[state], _PAGE + 1, partner=partner, kind=kind, before=before)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for (each, of_kind), number in counted.items():
        counts["muted" if each == alerts.MUTED else "open"] += number
        kinds[of_kind] += number if each in _STATES[state] else 0
    return visit.page(
        "alerts.html",
        alerts=found[:_PAGE],
        older=found[_PAGE - 1].id if len(found) > _PAGE else None,
        counts=counts,
        kinds=in_order(+kinds),
        state=state,
        partner=partner,
        kind=kind,
        before=before,
        rules={each.name: each.target for each in app.settings.alerts},
        has_rules=bool(app.settings.alerts),
    )


def one(visit: Visit) -> Response:
    """What is wrong, where, on whose side, who was told, and what to do next."""
    app = visit.app
    number = _required(visit)
    with app.ledger.reading() as connection:
        found = alerts.one(connection, number)
        history = alerts.history(connection, found)
    return visit.page(
        "alert.html",
        alert=found,
        meaning=KINDS.get(found.kind, ""),
        path=way(found.reference, found.kind, found.partner, found.exchange, found.message),
        rules={each.name: each.target for each in app.settings.alerts},
        history=history,
    )


def mute(visit: Visit) -> Response:
    """Nobody is told of it any more."""
    return _done(visit, lambda app, number, why: flow.mute(app.context(), number, actor=app.actor, reason=why))


def close(visit: Visit) -> Response:
    """Closed by a person."""
    return _done(visit, lambda app, number, why: flow.close(app.context(), number, actor=app.actor, reason=why))


def rules(visit: Visit) -> Response:
    """The rules of gateway.toml, whom they reach, and how their last telling went."""
    app = visit.app
    with app.ledger.reading() as connection:
        found = [Rule(each, alerts.memory(connection, each.name)) for each in app.settings.alerts]
    return visit.page("alert_rules.html", rules=found, kinds=KINDS, now=app.now())


def test(visit: Visit) -> Response:
    """Tells through a rule, now, that this is a test."""
    name = visit.part("rule")
    with visit.site.acting(visit.user.name) as app:
        found = next((each for each in app.settings.alerts if each.name == name), None)
        if found is None:
            raise NotFound(what="[[alert]] rule with the name", key=name)
        try:
            answer = telling.test(app.context(), found)
        except GatewayError as fault:
            return visit.to("/alerts/rules", f"{name} could not tell {found.target}: {fault_in_words(fault)}")
    missing = f", but not {answer.missing}" if answer.missing else ""
    return visit.to("/alerts/rules", f"{name} told {found.target}: {answer.reply}{missing}")


def _done(visit: Visit, work: Callable[[App, int, str], Act]) -> Response:
    number = _required(visit)
    page = f"/alerts/{number}"
    why = reason(visit.form)
    if not why:
        return visit.to(page, SAY_WHY)
    with visit.site.acting(visit.user.name) as app:
        done = work(app, number, why)
    return visit.to(page, f"Alert {done.reference}: {done.sentence}")


def _required(visit: Visit) -> int:
    number = _number(visit.part("number"))
    if number is None:
        raise NotFound(what="alert", key=visit.part("number"))
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


PAGES = (
    view("/alerts", listed),
    view("/alerts/rules", rules),
    act("/alerts/rules/{rule}/test", test, Role.OPERATOR),
    view("/alerts/{number}", one),
    act("/alerts/{number}/mute", mute, Role.OPERATOR),
    act("/alerts/{number}/close", close, Role.OPERATOR),
)
