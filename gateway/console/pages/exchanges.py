"""Exchanges: one line of the ledger's query language, filters that are links, and page after page of what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Engine
from starlette.responses import Response

from gateway.console.pages import exchange_filters as filters
from gateway.console.pages.exchange_query import Asked, read
from gateway.console.pages.exchange_several import ON_EXCHANGES, ON_MAILS
from gateway.console.pages.verbs import VERBS
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import GatewayError, QueryInvalid
from gateway.ledger import saved
from gateway.ledger.moments import at_zone
from gateway.ledger.query import NEWEST, SORTS, Cursor, Query
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.search import MAIL_SORTS, count, count_messages, cursor_of, search, search_messages
from gateway.ledger.seen import partners_seen, types_seen
from gateway.ledger.upcoming import upcoming
from gateway.ledger.words import parse_query
from gateway.ledger.written import cursor_word

PAGE = 50  # rows
MOST_ON_PAGE = 200  # where the line says limit=
COUNTED = 500  # of more than that it is said that there are more
SORTABLE = 10_000  # rows that are sorted by something else than time: more would keep everybody waiting
_COLUMNS = (
    ("When", "at"), ("", ""), ("Type", "type"), ("Partner", "partner"), ("Control number", "control"),
    ("Business keys", ""), ("State", "state"), ("Verdict", ""), ("Size", "size"), ("Next", ""),
)  # fmt: skip
_MAIL_COLUMNS = (
    ("When", "at"), ("Mail", ""), ("From", "from"), ("Subject", "subject"), ("Partner", "partner"), ("State", "state"),
    ("Size", "size"), ("Why", ""),
)  # fmt: skip
_MONTHS = 3
_FIELDS = (
    ("partner direction type", "who and what: partner=acme type=850,855 direction=in"),
    ("control group st02", "control numbers, with or without leading zeros"),
    ("key, or po invoice shipment claim …", "business keys: po=4711, key=*4711*"),
    ("from to subject file host user message-id", "the tracked properties; * stands for anything"),
    ("state verdict fault usage version agreement", "state=overdue -verdict=accepted fault=sender.unknown"),
    ("since until on zone", "since=7d, on=2026-11, since=2026-11-22T02:00 zone=Europe/Berlin"),
    ("size segments findings", "size=1M.. segments=..100 findings>0"),
    ("overdue unacknowledged duplicate attention settled late", "one word each; a minus before it for the opposite"),
)


class Found(Struct, frozen=True):
    """One page. ``older`` and ``newer`` are the cursors of the pages after and before it, "" where there is none."""

    rows: Sequence[Any]
    older: str = ""
    newer: str = ""


class Column(Struct, frozen=True):
    """The head of one column: a link that sorts by it, where it can, and how it is sorted now."""

    title: str
    link: str = ""
    order: str = ""  # ascending, descending or ""


def page_of(engine: Engine, query: Query, now: int, find: Callable[..., Sequence[Any]], after: str) -> Found:
    """One page of a query.

    Args:
        engine: the ledger.
        query: its ``before`` is where an older page begins.
        now: the moment that overdue is measured against.
        find: ``search`` or ``search_messages``.
        after: the cursor of the page's end where it is one before (newer), else "".

    Raises:
        QueryInvalid: a cursor is none.
    """
    size = query.limit or PAGE
    if after:
        turned = _turned(query, after)
        rows = list(find(engine, replace(turned, limit=size + 1), now))
        if len(rows) > size:  # else it is the first page, which begins at the beginning
            shown = rows[:size][::-1]
            return Found(shown, cursor_word(cursor_of(shown[-1], query)), cursor_word(cursor_of(shown[0], query)))
        query = replace(query, before=None)
    rows = list(find(engine, replace(query, limit=size + 1), now))
    shown = rows[:size]
    older = cursor_word(cursor_of(shown[-1], query)) if len(rows) > size else ""
    newer = cursor_word(cursor_of(shown[0], query)) if query.before is not None and shown else ""
    return Found(shown, older, newer)


def _turned(query: Query, after: str) -> Query:
    """The same query in the opposite order, from a cursor on."""
    name, down = query.order
    sort = name if down else f"-{name}"
    before = parse_query([f"sort={sort}", f"before={after}"]).before
    return replace(query, sort=sort, before=before)


def exchanges(visit: Visit) -> Response:
    """The search."""
    asked = read(visit)
    if asked.fault is None:
        try:
            return visit.page("exchanges.html", 200, **_frame(visit, asked), **_found(visit, asked))
        except QueryInvalid as fault:
            asked = replace(asked, fault=fault)
    return visit.page("exchanges.html", 400, **_frame(visit, asked), found=None)


def _found(visit: Visit, asked: Asked) -> dict[str, Any]:
    assert asked.query is not None, "it was understood"
    app, now = visit.app, visit.app.now()
    mails = asked.tab == "mails"
    find: Callable[..., Sequence[Any]] = search_messages if mails else search
    tally = count_messages if mails else count
    query, note = _bounded(asked.query, visit.asked("before")), ""
    by, number, most = query.order[0], None, COUNTED
    if mails and by not in (*MAIL_SORTS, "at"):
        note = f"In order of time: mails have no {by}."
    elif by != "at":
        number, most = tally(app.engine, query, now, most=SORTABLE), SORTABLE
        if number > SORTABLE:
            note = f"In order of time: more than {SORTABLE:,} are not sorted by {by}. Ask for fewer, and they are."
    if note:
        query = replace(query, sort=None, before=_by_time(visit.asked("before")))
    found = Found(()) if number == 0 else page_of(app.engine, query, now, find, visit.asked("after"))
    if number is None and not found.older and not found.newer:
        number = len(found.rows)
    if number is None:
        number = tally(app.engine, query, now, most=most)
    return {
        "found": found,
        "count": min(number, most),
        "more": number > most,
        "note": note,
        "next": {row.id: upcoming(row, now) for row in found.rows if isinstance(row, ExchangeRow)},
        "columns": _columns(asked, query, mails=mails),
        "verbs": [VERBS[name] for name in (ON_MAILS if mails else ON_EXCHANGES)],
    }


def _bounded(query: Query, before: str) -> Query:
    limit = min(query.limit or MOST_ON_PAGE, MOST_ON_PAGE)
    if not before:
        return replace(query, limit=limit)
    sort = [f"sort={query.sort}"] if query.sort else []
    return replace(query, limit=limit, before=parse_query([*sort, f"before={before}"]).before)


def _by_time(before: str) -> Cursor | None:
    """The cursor of a page in order of time; a page that was sorted otherwise until now begins anew."""
    try:
        return parse_query([f"before={before}"]).before if before else None
    except QueryInvalid:
        return None


def _columns(asked: Asked, query: Query, *, mails: bool) -> list[Column]:
    name, down = query.order
    words = asked.but("sort", "before")
    columns = []
    for title, sort in _MAIL_COLUMNS if mails else _COLUMNS:
        if not sort:
            columns.append(Column(title))
            continue
        order = ("descending" if down else "ascending") if sort == name else ""
        # A click turns the order round; the first one is newest, biggest, or A first.
        first = f"-{sort}" if SORTS[sort] is int else sort
        other = sort if first.startswith("-") else f"-{sort}"
        wanted = other if sort == name and down == first.startswith("-") else first
        link = asked.link(words if wanted == NEWEST else (*words, f"sort={wanted}"))
        columns.append(Column(title, link, order))
    return columns


def _frame(visit: Visit, asked: Asked) -> dict[str, Any]:
    """What stands around the rows."""
    with visit.app.ledger.reading() as connection:
        types, partners = types_seen(connection), partners_seen(connection, filters.MOST_PARTNERS)
        queries = saved.every(connection)
    return {
        "asked": asked,
        "fault": _told(asked.fault),
        "menus": filters.menus(asked, types, partners, _months(visit, asked)),
        "flags": filters.flags(asked),
        "saved": queries,
        "fields": _FIELDS,
        "zone": asked.zone,
    }


def _told(fault: GatewayError | None) -> dict[str, str] | None:
    """A fault of the line: where, and what could stand there."""
    if fault is None:
        return None
    where = str(fault.details.get("where", fault.details.get("key", "")))
    return {"sentence": str(fault), "where": where, "code": fault.code}


def _months(visit: Visit, asked: Asked) -> list[str]:
    """This month and the ones before it."""
    moment = at_zone(visit.app.now(), asked.zone)
    month = moment.year * 12 + moment.month - 1
    return [f"{each // 12}-{each % 12 + 1:02}" for each in range(month, month - _MONTHS, -1)]


PAGES = (view("/exchanges", exchanges),)
