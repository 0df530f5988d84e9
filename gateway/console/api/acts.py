"""What is done about exchanges and mails: the same verbs as on the command line, in the name of the token."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response

from gateway.app import App
from gateway.console.api.declared import JSON, NUMBER, PATH, Answer, Body, Call, Operation, Parameter, words
from gateway.console.api.exchanges import seen
from gateway.console.api.schemas import SCHEMAS, reference
from gateway.flow import operate
from gateway.flow.acts import Act, Reference
from gateway.flow.why import in_words
from gateway.ledger.search import message_on

_Verb = Callable[[App, Any, Call, dict[str, Any]], Act]
_FAULTS = (404, 409, 503)
_DONE = (Answer(200, "What became of it; `done` is false where it had been done before.", {JSON: reference("Act")}),)
_REFERENCE = Parameter(
    "reference",
    PATH,
    words(20, pattern=r"^m?[0-9]{1,18}$", description="m12 for a mail or 34 for an exchange is wanted"),
    "`m12` for a mail, `34` for an exchange.",
    required=True,
)


def _act(verb: _Verb, call: Call) -> Response:
    return _acted(verb, call, seen(call, call.values["number"]).id)


def _act_on_reference(verb: _Verb, call: Call) -> Response:
    named = Reference.parse(call.values["reference"])
    if named.exchange is not None:
        seen(call, named.exchange)
    elif call.token.partner:
        with call.app.ledger.reading() as connection:
            row = message_on(connection, named.message or 0)
        call.check_sees(row.partner if row else "", "message", call.values["reference"])
    return _acted(verb, call, call.values["reference"])


def _acted(verb: _Verb, call: Call, what: Any) -> Response:
    dry_run = bool(call.document.get("dry_run", False))
    who = {"actor": call.actor, "reason": in_words(call.document["why"]), "dry_run": dry_run}
    with call.site.acting(call.actor) as app:
        done = verb(app, what, call, who)
    return JSONResponse(done.as_dict() | {"dry_run": dry_run})


def _plain(function: Callable[..., Act]) -> _Verb:
    return lambda app, what, _call, who: function(app.context(), what, **who)


def _resend(app: App, number: int, call: Call, who: dict[str, Any]) -> Act:
    again = operate.resend_anew if call.document.get("new_number", False) else operate.resend
    return again(app.context(), number, **who)


def _resolve(app: App, number: int, call: Call, who: dict[str, Any]) -> Act:
    return operate.resolve(app.context(), number, sent=call.document["sent"], **who)


def _of_exchange(name: str, summary: str, verb: _Verb, body: str = "Why", more: str = "") -> Operation:
    return Operation(
        "POST",
        f"/exchanges/{{number}}/{name}",
        f"{name}Exchange",
        summary,
        "act",
        partial(_act, verb),
        _DONE,
        (NUMBER,),
        Body("Why, and what else is to be known.", {JSON: SCHEMAS[body]}),
        _FAULTS,
        "acts",
        more,
    )


def _of_quarantine(name: str, summary: str, verb: _Verb) -> Operation:
    return Operation(
        "POST",
        f"/quarantine/{{reference}}/{name}",
        f"{name}Quarantined",
        summary,
        "act",
        partial(_act_on_reference, verb),
        _DONE,
        (_REFERENCE,),
        Body("Why.", {JSON: SCHEMAS["Why"]}),
        _FAULTS,
        "acts",
    )


OPERATIONS = (
    _of_quarantine("release", "Process what is in quarantine again", _plain(operate.release)),
    _of_quarantine("discard", "Put something aside for good; its bytes are kept", _plain(operate.discard)),
    _of_exchange("accept", "Take what was refused for its number, or held as a repetition", _plain(operate.accept)),
    _of_exchange(
        "resend",
        "Send it again",
        _resend,
        "Resend",
        "The same bytes and numbers; with `new_number` under new ones, for documents that the partner does not have.",
    ),
    _of_exchange("redeliver", "Hand its documents to the business again", _plain(operate.redeliver)),
    _of_exchange(
        "resolve",
        "End a doubt",
        _resolve,
        "Resolve",
        "`sent` true: the partner has it; false: it is sent again.",
    ),
    _of_exchange("cancel", "Take it off the wire, or give it up", _plain(operate.cancel)),
    _of_exchange("settle", "Say that it needs no attention any more", _plain(operate.settle)),
)
