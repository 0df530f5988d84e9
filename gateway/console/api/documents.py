"""Documents: handed in for a partner, and fetched as they came."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from gateway.console.api.acting import submitting
from gateway.console.api.declared import (
    BYTES,
    DRY_RUN,
    HEADER,
    JSON,
    NUMBER,
    PATH,
    QUERY,
    Answer,
    Body,
    Call,
    Operation,
    Parameter,
    flag,
    whole,
    words,
)
from gateway.console.api.exchanges import UNMASKED, ledger_for, seen
from gateway.console.api.schemas import reference
from gateway.console.pages.downloads import download
from gateway.errors import NotFound, RequestInvalid, UnknownPartner
from gateway.flow.configuration import note
from gateway.flow.documents import document, documents
from gateway.flow.showing import record
from gateway.flow.submit import submit
from gateway.x12.masking import masked

_PAGE = 500


def _submit(call: Call) -> Response:
    partner = call.values["partner"]
    if not call.sees(partner):
        raise UnknownPartner(partner=partner)
    if not call.body:
        raise RequestInvalid(where="the body", reason="it is empty; the document itself is the body")
    dry_run = call.values["dry_run"]
    with submitting(call) as app:
        if not dry_run:
            note(app.ledger, app.settings)
        done = submit(
            app.context(),
            partner,
            call.body,
            name=call.values["name"],
            key=_key(call),
            again=call.values["again"],
            actor=call.actor,
            dry_run=dry_run,
        )
    told = {
        "name": done.name,
        "exchanges": list(done.exchanges),
        "control_numbers": list(done.control_numbers),
        "states": list(done.states),
        "repeated": done.repeated,
        "dry_run": dry_run,
    }
    if dry_run or done.repeated:
        return JSONResponse(told)
    return JSONResponse(told, 201, {"Location": f"/api/v1/exchanges/{done.exchanges[0]}"})


def _key(call: Call) -> str:
    """The key as the ledger keeps it, with the partner: tokens of two partners may choose the same word."""
    written = call.values["Idempotency-Key"]
    return f"{call.values['partner']}/api/{written}" if written else ""


def _list(call: Call) -> Response:
    seen(call, call.values["number"])
    with call.app.ledger.reading() as connection:
        found = documents(connection, call.values["number"], call.values["limit"], call.values["after"])
    more = found[-1].number if len(found) == call.values["limit"] else None
    return JSONResponse({"documents": [each.as_dict() for each in found], "next": more})


def _one(call: Call) -> Response:
    row = seen(call, call.values["number"])
    if row.direction != "in":
        raise NotFound(what="received exchange", key=row.id)
    ledger, unmasked = ledger_for(call), call.values["unmasked"]
    found = document(ledger, row.id, call.values["document"])
    if unmasked:
        record(ledger, "a document", exchange=row.id)
    answer = download([found.data if unmasked else masked(found.data)], found.name)
    answer.headers["X-Document-Key"] = found.key.encode("ascii", "replace").decode()
    return answer


OPERATIONS = (
    Operation(
        "POST",
        "/documents",
        "submitDocument",
        "Submit a document for a partner",
        "submit",
        _submit,
        (
            Answer(
                201,
                "It is queued; the next batch mails it.",
                {JSON: reference("Submission")},
                {"Location": "the first of its exchanges"},
            ),
            Answer(200, "It was submitted before, or this was a dry run.", {JSON: reference("Submission")}),
        ),
        (
            Parameter("partner", QUERY, words(64), "The partner's key.", required=True),
            Parameter("name", QUERY, words(200, default="document"), "What to call it in messages: its file name."),
            Parameter(
                "again", QUERY, flag(), "Submit although the same content, or its invoice or order, went before."
            ),
            DRY_RUN,
            Parameter(
                "Idempotency-Key",
                HEADER,
                words(
                    200, default="", pattern=r"^[\x21-\x7e]*$", description="printable ASCII without blanks is wanted"
                ),
                "The same key again gives the earlier exchanges, however late and whatever became of them. Without it "
                "the content decides, for as long as `duplicate_window` says; what was cancelled, or went as a test "
                "before this is in earnest, does not count then.",
            ),
        ),
        Body(
            "Transaction sets (ST…SE), groups or whole interchanges, as bytes.",
            {BYTES: {}, "application/edi-x12": {}},
            most=None,
        ),
        faults=(404, 409, 422, 503),
        tag="documents",
        more="It is tried against its guideline first; what cannot be sent uses no control number. "
        "`GET /exchanges/{number}` follows it.",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/documents",
        "listDocuments",
        "The documents of an exchange that came",
        "search",
        _list,
        (Answer(200, "A page of them, in their order.", {JSON: reference("DocumentPage")}),),
        (
            NUMBER,
            Parameter("limit", QUERY, whole(1, _PAGE, 100), "How many at most."),
            Parameter("after", QUERY, whole(0, 10**18, 0), "`next` of the page before."),
        ),
        faults=(404,),
        tag="documents",
    ),
    Operation(
        "GET",
        "/exchanges/{number}/documents/{document}",
        "downloadDocument",
        "One document that came, as it is delivered",
        "download",
        _one,
        (
            Answer(
                200,
                "The document in its own envelope.",
                {BYTES: {}},
                {"X-Document-Key": "the same for the same document, for ever: by it a business knows what it has"},
            ),
        ),
        (NUMBER, Parameter("document", PATH, whole(1, 10**18), "Its `number` in the list.", required=True), UNMASKED),
        faults=(404, 409, 410),
        tag="documents",
        more="Only what was accepted, under the same name as in the inbox; ISA02 and ISA04 are masked.",
    ),
)
