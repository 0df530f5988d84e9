"""Acknowledgments: what partners owe us and until when, what came late, what they said, and how well they keep time."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.flow.awaiting import agreed_name
from gateway.ledger.answered import answered
from gateway.ledger.awaited import awaited
from gateway.ledger.query import Query
from gateway.ledger.reports.answers import Answers, answers
from gateway.ledger.reports.scope import Scope
from gateway.ledger.search import search
from gateway.ledger.statements import ODD, RELATIONS, odd_since, statements

MOST = 100  # rows of a table
_DAY = 86_400_000  # ms
_DAYS = (7, 30, 90)
_TABS = (("awaited", "Awaited"), ("late", "Late"), ("answered", "Answered"), ("said", "What partners said"))
_TAB_OF_SHARE = ("share", "On time, by partner")


def show(visit: Visit) -> Response:
    """One of the tabs."""
    tab = visit.asked("tab", "awaited")
    makers = {
        "awaited": _awaited,
        "late": _late,
        "answered": _answered,
        "said": _said,
        "share": _share,
    }
    if tab not in makers:
        raise NotFound(what="view of acknowledgments", key=tab[:100])
    partner = visit.asked("partner").strip()
    values = {
        "tab": tab,
        "partner": partner,
        "tabs": [(_link(name, partner), text, name == tab) for name, text in (*_TABS, _TAB_OF_SHARE)],
        "everybody": _link(tab, ""),
        "link": _link,
        "most": MOST,
    }
    return visit.page(f"acknowledgments_{tab}.html", 200, **values, **makers[tab](visit, partner))


def _link(tab: str, partner: str, **parameters: str) -> str:
    wanted = {"tab": "" if tab == "awaited" else tab, "partner": partner} | parameters
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"/acknowledgments?{query}" if query else "/acknowledgments"


def _awaited(visit: Visit, partner: str) -> dict[str, Any]:
    """Overdue first, then what has time left: in the order in which it is due."""
    now = visit.app.now()
    begin, skip = _number(visit.asked("from")), _number(visit.asked("skip"))  # so many that are due then were shown
    found = awaited(visit.app.engine, partner=partner, now=now, within=(begin, None), limit=MOST + 1 + skip)[skip:]
    shown, following = found[:MOST], ""
    name = partial(agreed_name, visit.app.directory())
    if len(found) > MOST:
        due = found[MOST].due_at or 0
        same = sum(each.due_at == due for each in shown) + (skip if due == begin else 0)
        following = _link("awaited", partner, **{"from": str(due), "skip": str(same)})
    return {
        "overdue": [each for each in shown if each.overdue],
        "due": [each for each in shown if not each.overdue],
        "next": following,
        "is_first": not begin,
        "name": name,
        "odd": {} if begin else odd_since(visit.app.engine, now - 7 * _DAY),
    }


def _number(written: str) -> int:
    """A number of an address; 0 where it is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 17 else 0


def _late(visit: Visit, partner: str) -> dict[str, Any]:
    """What came after it was due, the newest exchange first; the rest is in the search."""
    query = Query(late=True, partner=partner or None, limit=MOST)
    rows = search(visit.app.engine, query, visit.app.now())
    return {"rows": rows, "search": "late" + (f" partner={partner}" if partner else "")}


def _answered(visit: Visit, partner: str) -> dict[str, Any]:
    return {"rows": answered(visit.app.engine, partner=partner, limit=MOST)}


def _said(visit: Visit, partner: str) -> dict[str, Any]:
    """Every TA1, 997 and 999, or only those that were not the first word on something of ours."""
    wanted = visit.asked("relation")
    relations = RELATIONS if not wanted else ODD if wanted == "odd" else (wanted,)
    if set(relations) - set(RELATIONS):
        raise NotFound(what="relation", key=wanted[:100])
    found = statements(visit.app.engine, partner=partner, relations=tuple(relations), limit=MOST)
    return {"rows": found, "relation": wanted, "relations": ("", "odd", *RELATIONS)}


def _share(visit: Visit, partner: str) -> dict[str, Any]:
    """How many of our documents each partner acknowledged in time, and how long it took."""
    days = int(visit.asked("days", "30")) if visit.asked("days", "30") in {str(each) for each in _DAYS} else 30
    now = visit.app.now()
    scope = Scope(now - days * _DAY, now, None, partner=partner or None, direction="out")
    with visit.app.ledger.reading() as connection:
        found = answers(connection, scope, now, ("partner", "type") if partner else ("partner",))
    rows = sorted(found, key=_worst_first)
    return {"rows": rows[: 2 * MOST], "left_out": len(rows) - 2 * MOST, "days": days, "choices": _DAYS}


def _worst_first(each: Answers) -> tuple[float, int, str]:
    share = each.on_time_share
    return (2.0 if share is None else share, -each.exchanges, each.partner or "")


PAGES = (view("/acknowledgments", show),)
