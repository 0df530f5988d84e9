"""Exchanges and mails: found by the query language, told, shown by segments, and their raw bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace
from starlette.responses import JSONResponse, Response

from gateway.console.api.declared import (
    BYTES,
    JSON,
    NUMBER,
    PATH,
    QUERY,
    Answer,
    Call,
    Operation,
    Parameter,
    flag,
    whole,
    words,
)
from gateway.console.api.schemas import reference
from gateway.console.pages.downloads import download, spooled
from gateway.errors import NotFound, RequestInvalid, ScopeMissing
from gateway.flow import showing
from gateway.flow.segment_names import policy_for
from gateway.flow.segments import segments
from gateway.ledger import search
from gateway.ledger.query import Query, either
from gateway.ledger.recording import Ledger
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.saved import expanded
from gateway.ledger.search import cursor_of, exchange_on
from gateway.ledger.story import message_story, story
from gateway.ledger.words import field_of, parse_query
from gateway.ledger.written import cursor_word, split_words

_STORY = 1_000  # groups, sets, findings and events of one exchange
_COUNTED = 10_000
_LINE = 4_000
_LIMIT = Parameter("limit", QUERY, whole(1, 500, 50), "How many at most.")
_Q = Parameter("q", QUERY, words(_LINE, default=""), "A query, as in `gateway ledger search`; all of its words count.")
_CURSOR = 12_000  # characters: the text that is sorted by, each of its bytes as three
_BEFORE = Parameter("before", QUERY, words(_CURSOR), "The cursor `next` of the page before.")
_MAIL = Parameter("number", PATH, whole(1, 10**18), "The mail's number: 12 of m12.", required=True)
UNMASKED = Parameter(
    "unmasked", QUERY, flag(), "Show ISA02 and ISA04 too: needs the scope `unmasked`, and the ledger keeps that."
)


# ---------------------------------------------------------------- finding


def _exchanges(call: Call) -> Response:
    query = _query(call)
    found = search.search(call.app.engine, query, call.app.now())
    return JSONResponse({"exchanges": [each.as_dict() for each in found], "next": _next(query, found)})


def _mails(call: Call) -> Response:
    query = _query(call)
    search.refuse_order_of_mails(query)
    found = search.search_messages(call.app.engine, query, call.app.now())
    return JSONResponse({"mails": [each.as_dict() for each in found], "next": _next(query, found)})


def _count(call: Call) -> Response:
    found = search.count(call.app.engine, _query(call), call.app.now(), most=_COUNTED)
    return JSONResponse({"count": min(found, _COUNTED), "more": found > _COUNTED})


def _query(call: Call) -> Query:
    """What is asked for, of the token's own partner where it has one."""
    written = split_words(call.values["q"])
    for name in ("limit", "before"):
        if any(field_of(word) == name for word in written):
            raise RequestInvalid(where="q", reason=f"{name} is a parameter of its own here")
    if call.values.get("before"):  # in the place of what a saved query says
        written = [*written, f"before={call.values['before']}"]
    with call.app.ledger.reading() as connection:
        asked = expanded(connection, written)
    now = datetime.fromtimestamp(call.app.now() / 1000, UTC)
    query = replace(parse_query(asked, now), limit=call.values.get("limit"))
    if call.token.partner:
        query = replace(query, also=(*(query.also or ()), either("partner", call.token.partner)))
    return query


def _next(query: Query, found: list[Any]) -> str | None:
    return cursor_word(cursor_of(found[-1], query)) if len(found) == query.limit else None


# ---------------------------------------------------------------- telling


def seen(call: Call, number: int) -> ExchangeRow:
    """The exchange of that number, where the token may see it.

    Raises:
        NotFound
    """
    with call.app.ledger.reading() as connection:
        row = exchange_on(connection, number)
    if row is None or not call.sees(row.partner):
        raise NotFound(what="exchange", key=number)
    return row


def _seen_mail(call: Call) -> MessageRow:
    row = message_story(call.app.engine, call.values["number"], 1).message
    call.check_sees(row.partner, "message", f"m{call.values['number']}")
    return row


def _story_of(call: Call) -> Response:
    seen(call, call.values["number"])
    return JSONResponse(story(call.app.engine, call.values["number"], _STORY).as_dict())


def _timeline(call: Call) -> Response:
    seen(call, call.values["number"])
    told = story(call.app.engine, call.values["number"], _STORY)
    return JSONResponse({"events": [each.as_dict() for each in told.events], "cut": "events" in told.cut})


def _mail(call: Call) -> Response:
    _seen_mail(call)
    return JSONResponse(message_story(call.app.engine, call.values["number"], _STORY).as_dict())


def _segments(call: Call) -> Response:
    row = seen(call, call.values["number"])
    page = segments(
        call.app.engine,
        row.id,
        first=call.values["from"],
        count=call.values["count"],
        only_findings=call.values["findings"],
        policy=policy_for(call.app.directory(), row),
    )
    return JSONResponse(page.as_dict())


# ---------------------------------------------------------------- bytes


def _raw(call: Call) -> Response:
    row = seen(call, call.values["number"])
    pieces = showing.interchange_bytes(ledger_for(call), row.id, unmasked=call.values["unmasked"])
    return _file(call, pieces, f"exchange-{row.id}.edi")


def _answer(call: Call) -> Response:
    row = seen(call, call.values["number"])
    return _file(call, showing.answer_bytes(call.app.ledger, row.id), f"exchange-{row.id}-answers.edi")


def _raw_mail(call: Call) -> Response:
    row = _seen_mail(call)
    unmasked = call.values["unmasked"]
    pieces = showing.mail_bytes(ledger_for(call), row.id, call.app.settings.limits, unmasked=unmasked)
    return _file(call, pieces, f"mail-{row.id}.eml")


def _file(call: Call, pieces: Iterable[bytes], name: str) -> Response:
    """The bytes, read to their end first: who fetches slowly must not keep a transaction of the ledger open."""
    return download(spooled(pieces, call.app.home), name)


def ledger_for(call: Call) -> Ledger:
    """The ledger, where the token may see what it asks for; who sees it unmasked is recorded.

    Raises:
        ScopeMissing
    """
    if call.values["unmasked"] and "unmasked" not in call.token.scopes:
        raise ScopeMissing(token=call.token.name, scope="unmasked")
    return Ledger(call.app.home_engine, call.site.clock, call.actor)


# ---------------------------------------------------------------- declared

_ONE = (404,)
_GONE = (404, 410)
_BYTES = Answer(200, "The bytes.", {BYTES: {}})

OPERATIONS = (
    Operation(
        "GET",
        "/exchanges",
        "findExchanges",
        "Find exchanges",
        "search",
        _exchanges,
        (Answer(200, "A page of exchanges.", {JSON: reference("ExchangePage")}),),
        (_Q, _LIMIT, _BEFORE),
        tag="exchanges",
        more="Newest first, unless the query says `sort=`. The last page has `next` null.",
    ),
    Operation(
        "GET",
        "/exchanges/count",
        "countExchanges",
        "Count exchanges",
        "search",
        _count,
        (Answer(200, f"How many there are, up to {_COUNTED:,}.", {JSON: reference("Count")}),),
        (_Q,),
        tag="exchanges",
    ),
    Operation(
        "GET",
        "/exchanges/{number}",
        "getExchange",
        "The whole story of an exchange",
        "search",
        _story_of,
        (Answer(200, "The exchange and all that belongs to it.", {JSON: reference("Story")}),),
        (NUMBER,),
        faults=_ONE,
        tag="exchanges",
        more=f"Of each part at most {_STORY:,} are told; `cut` names those of which there are more.",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/timeline",
        "getTimeline",
        "What happened to an exchange",
        "search",
        _timeline,
        (Answer(200, "Its events, oldest first.", {JSON: reference("Timeline")}),),
        (NUMBER,),
        faults=_ONE,
        tag="exchanges",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/segments",
        "getSegments",
        "An exchange by segments",
        "search",
        _segments,
        (Answer(200, "Segments with names and findings; passwords masked.", {JSON: reference("SegmentPage")}),),
        (
            NUMBER,
            Parameter("from", QUERY, whole(1, 10**12, 1), "The first segment; the ISA is 1."),
            Parameter("count", QUERY, whole(1, 1_000, 200), "How many at most."),
            Parameter("findings", QUERY, flag(), "Only those that something is wrong with, and those around."),
        ),
        faults=_GONE,
        tag="exchanges",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/raw",
        "downloadExchange",
        "The raw interchange",
        "download",
        _raw,
        (_BYTES,),
        (NUMBER, UNMASKED),
        faults=_GONE,
        tag="exchanges",
        more="ISA02 and ISA04 are masked.",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/answer",
        "downloadAnswer",
        "The acknowledgments of an exchange",
        "download",
        _answer,
        (_BYTES,),
        (NUMBER,),
        faults=_GONE,
        tag="exchanges",
        more="One interchange after the other, oldest first, masked.",
    ),
    Operation(
        "GET",
        "/mails",
        "findMails",
        "Find mails that led to no exchange",
        "search",
        _mails,
        (Answer(200, "A page of mails: quarantined ones, bounces, receipts.", {JSON: reference("MailPage")}),),
        (_Q, _LIMIT, _BEFORE),
        tag="exchanges",
    ),
    Operation(
        "GET",
        "/mails/{number}",
        "getMail",
        "The whole story of a mail",
        "search",
        _mail,
        (Answer(200, "The mail, its parts, and what happened to it.", {JSON: reference("MailStory")}),),
        (_MAIL,),
        faults=_ONE,
        tag="exchanges",
    ),
    Operation(
        "GET",
        "/mails/{number}/raw",
        "downloadMail",
        "A raw mail",
        "download",
        _raw_mail,
        (Answer(200, "The bytes.", {BYTES: {}}),),
        (_MAIL, UNMASKED),
        faults=(400, *_GONE),
        tag="exchanges",
        more="A mail with a password in an ISA is refused unless `unmasked` is asked for: it cannot be masked inside.",
    ),
)
