"""What the ledger tells in sums, and what needs a person now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace
from starlette.responses import JSONResponse, Response

from gateway.console.api.declared import JSON, QUERY, Answer, Call, Operation, Parameter, whole, words
from gateway.console.api.schemas import reference
from gateway.errors import NotFound, RequestInvalid, UnknownPartner
from gateway.flow.standing import standing
from gateway.flow.stops import stops_of
from gateway.ledger.attention import Attention
from gateway.ledger.moments import at_zone
from gateway.ledger.reports import statement as statements
from gateway.ledger.reports.scope import Scope, month_of, parse_scope
from gateway.ledger.reports.volumes import volumes
from gateway.ledger.saved import expanded
from gateway.ledger.standing import counts, last_batch
from gateway.ledger.stops import KEPT_BACK, kept_back
from gateway.ledger.written import split_words

_NEEDS = 1_000
_WEEK = 7 * 86_400_000  # ms
_BY = ("month", "day", "hour", "partner", "direction", "kind", "usage", "type")


def _standing(call: Call) -> Response:
    app, only = call.app, call.token.partner
    with app.ledger.reading() as connection:
        found = standing(
            connection,
            app.settings,
            app.partners.current(),
            app.keys.list(),
            app.access_tokens,
            app.now(),
            _NEEDS,
            only,
        )
        if only:
            # Of the gateway itself, and of others, such a token learns nothing.
            theirs = [_told(each) for each, _ in found.needs if each.partner == only]
            return JSONResponse({"attention": theirs, "left_out": found.left_out})
        numbers = counts(connection, app.now() - _WEEK)
        numbers[KEPT_BACK] = sum(kept_back(connection, stops_of(app.partners.current())).values())
        told = found.as_dict() | {"counts": numbers, "last_batch": last_batch(connection)}
    return JSONResponse(told)


def _told(each: Attention) -> dict[str, Any]:
    return each.as_dict() | {"alert": None}


def _volumes(call: Call) -> Response:
    by = [each.strip() for each in call.values["by"].split(",") if each.strip()]
    for each in by:
        if each not in _BY:
            raise RequestInvalid(where="by", reason=f"some of {', '.join(_BY)} are wanted, with commas")
    scope = _scope(call, split_words(call.values["q"]))
    with call.app.ledger.reading() as connection:
        return JSONResponse(volumes(connection, scope, by).as_dict())


def _statement(call: Call) -> Response:
    app, key = call.app, call.values["partner"]
    if not call.sees(key):
        raise UnknownPartner(partner=key)
    scope = _month(call)
    names = {each.key: each.name for each in app.partners.current()}
    with app.ledger.reading() as connection:
        charged = statements.charges_for_statements(
            connection, scope, None if call.token.partner else app.settings.tariff
        )
        told = statements.statement(
            connection,
            replace(scope, partner=key),
            app.now(),
            name=names.get(key, ""),
            our_name=app.settings.name,
            charged=charged,
            most=call.values["most"],
        )
    if key not in names and not told.by_type.rows:
        raise UnknownPartner(partner=key)
    return JSONResponse(told.as_dict())


def _month(call: Call) -> Scope:
    """The month that is asked for, of all partners."""
    zone = call.values["zone"]
    asked = [f"on={call.values['month']}", *([f"zone={zone}"] if zone else [])]
    found = parse_scope(asked, _now(call))
    if month_of(at_zone(found.since, found.zone), found.zone) != (found.since, found.until):
        raise RequestInvalid(where="month", reason="a month such as 2026-10 is wanted")
    return found


def _scope(call: Call, asked: list[str]) -> Scope:
    with call.app.ledger.reading() as connection:
        asked = expanded(connection, asked)
    scope = parse_scope(asked, _now(call))
    only = call.token.partner
    if not only:
        return scope
    if scope.partner not in {None, only}:
        raise NotFound(what="trading partner", key=scope.partner)
    return replace(scope, partner=only)


def _now(call: Call) -> datetime:
    return datetime.fromtimestamp(call.app.now() / 1000, UTC)


_ZONE = Parameter("zone", QUERY, words(60, default=""), "The time zone of the month, such as America/Chicago.")

OPERATIONS = (
    Operation(
        "GET",
        "/status",
        "getStatus",
        "What needs a person now",
        "search",
        _standing,
        (Answer(200, "Everything, the urgent first; what waits; the last batch.", {JSON: reference("Standing")}),),
        tag="reports",
        more="A token of one partner is told what is that partner's, and nothing of the gateway itself.",
    ),
    Operation(
        "GET",
        "/reports/volumes",
        "getVolumes",
        "How much traffic there was",
        "report",
        _volumes,
        (Answer(200, "Interchanges, sets and bytes, in lines.", {JSON: reference("Volumes")}),),
        (
            Parameter(
                "q",
                QUERY,
                words(1_000, default=""),
                "What is counted: partner direction kind type usage since until on zone; this month by default.",
            ),
            Parameter("by", QUERY, words(100, default="partner,direction"), f"How lines are made: {', '.join(_BY)}."),
        ),
        faults=(404,),
        tag="reports",
    ),
    Operation(
        "GET",
        "/reports/statement",
        "getStatement",
        "A partner's monthly statement",
        "report",
        _statement,
        (Answer(200, "Traffic, acceptance, times, errors, open items, documents.", {JSON: reference("Statement")}),),
        (
            Parameter("partner", QUERY, words(64), "The partner's key.", required=True),
            Parameter(
                "month",
                QUERY,
                words(7, pattern=r"^\d{4}-\d{2}$", description="a month such as 2026-10 is wanted"),
                "The month.",
                required=True,
            ),
            _ZONE,
            Parameter("most", QUERY, whole(0, 10_000, 200), "How many exchanges are listed."),
        ),
        faults=(404,),
        tag="reports",
    ),
)
