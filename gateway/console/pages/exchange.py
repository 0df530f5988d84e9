"""One exchange: its story, and the frame that stands around every view of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from gateway.console.pages import exchange_facts as facts
from gateway.console.pages.verbs import offered
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow import possible
from gateway.ledger.chain import WEAK, follow
from gateway.ledger.chain_values import Chain
from gateway.ledger.events import awaited_name
from gateway.ledger.faulty import faults_of_exchanges
from gateway.ledger.outline import tree
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.search import exchange_on
from gateway.ledger.states import EXCHANGE_MEANING, ExchangeState
from gateway.ledger.story import story
from gateway.ledger.upcoming import upcoming
from gateway.values import asdict

LIMIT = 50  # groups, sets, findings and events that are read
CHAIN = 20  # documents of the same business that are named
_LARGEST = 2**63 - 1
_TABS = (
    ("", "Story"),
    ("segments", "Segments"),
    ("answers", "Acknowledgment"),
    ("mail", "Mail"),
    ("raw", "Raw"),
    ("evidence", "Evidence"),
)


def number_of(visit: Visit, what: str = "exchange") -> int:
    """The number in the path.

    Raises:
        NotFound: no database has such a number.
    """
    number = int(visit.part("number"))
    if number > _LARGEST:
        raise NotFound(what=what, key=number)
    return number


def row_of(visit: Visit) -> ExchangeRow:
    """The exchange that the path names.

    Raises:
        NotFound: there is none of that number.
    """
    number = number_of(visit)
    with visit.app.ledger.reading() as connection:
        found = exchange_on(connection, number)
    if found is None:
        raise NotFound(what="exchange", key=number)
    return found


def frame(visit: Visit, row: ExchangeRow, tab: str) -> dict[str, Any]:
    """What stands above every view of an exchange."""
    base = f"/exchanges/{row.id}"
    shown = [each for each in _TABS if each[0] != "mail" or row.message is not None]
    return {
        "row": row,
        "tab": tab,
        "title": title(row),
        "meaning": EXCHANGE_MEANING[ExchangeState(row.state)],
        "tabs": [(f"{base}/{name}".rstrip("/"), text, name == tab) for name, text in shown],
        "next": upcoming(row, visit.app.now()),
    }


def title(row: ExchangeRow) -> str:
    """What it is, in a few words."""
    what = " ".join(row.types[:6]) or row.kind
    who = row.partner or row.from_address or "nobody we know"
    return f"{what} {'from' if row.direction == 'in' else 'to'} {who}"


def show(visit: Visit) -> Response:
    """The story: what it is, what happened, what comes next, what belongs to it, and what can be done."""
    row = row_of(visit)
    engine = visit.app.engine
    told = story(engine, row.id, LIMIT)
    with visit.app.ledger.reading() as connection:
        acts = offered(possible.with_exchange(connection, row.id))
        fault = faults_of_exchanges(connection, [row.id]).get(row.id, {})
    awaited = [
        {"name": awaited_name(each.kind), "due_at": each.due_at, "overdue": each.overdue_at is not None}
        for each in told.awaited
    ]
    return visit.page(
        "exchange.html",
        200,
        **frame(visit, row, ""),
        story=told,
        tree=tree(engine, row.id, LIMIT),
        timeline=facts.timeline(told.events, asdict(row) | {"message": row.message}),
        tracked=facts.tracked(row),
        keys=facts.keys(told),
        bytes=facts.bytes_of(told),
        proof=facts.proof(row),
        awaited=awaited,
        chain=_chain(visit, row),
        acts=acts,
        fault=fault,
        findings=[*told.findings, *(found for group in told.groups for found in group.findings)],
        faulty=[(group, each) for group in told.groups for each in group.sets if each.findings],
    )


def _chain(visit: Visit, row: ExchangeRow) -> Chain | None:
    """The documents of the same business, found by the first number that says something by itself."""
    key = next((each for each in row.keys if each[0] not in WEAK), None)
    if key is None or not row.partner:
        return None
    try:
        found = follow(visit.app.engine, key[1], name=key[0], partner=row.partner, most=CHAIN)
    except GatewayError:
        return None  # the story is told without it
    others = {each.exchange for each in found.documents} - {row.id}
    return found if others else None


PAGES = (view("/exchanges/{number:int}", show),)
