"""Partners: listed, their profiles read and changed, each change by the revision that it was made from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.console.api.declared import (
    DRY_RUN,
    HEADER,
    JSON,
    PATH,
    QUERY,
    TOML,
    Answer,
    Body,
    Call,
    Operation,
    Parameter,
    words,
)
from gateway.console.api.schemas import reference
from gateway.errors import ProfileInvalid, RequestInvalid, RevisionDiffers, UnknownPartner
from gateway.flow.configuration import apply_profiles
from gateway.flow.guideline_files import ready
from gateway.flow.why import in_words
from gateway.ledger.moments import iso
from partners.model import Partner
from partners.profile import read_profile
from partners.store import Revision

_KEY = Parameter("key", PATH, words(64), "The partner's key.", required=True)
_FILE = "api"  # where the text came from, as the ledger keeps it
_ETAG = {"ETag": "the revision, to be sent back as If-Match"}


def _list(call: Call) -> Response:
    heads = {each.key: each for each in call.app.partners.heads()}
    known = [each for each in call.app.partners.current() if each.key in heads and call.sees(each.key)]
    return JSONResponse({"partners": [_told(each, heads[each.key]) for each in known]})


def _one(call: Call) -> Response:
    head = _head(call)
    return JSONResponse(_told(call.app.partners.get(head.key), head), headers={"ETag": _tag(head.revision)})


def _profile(call: Call) -> Response:
    head = _head(call)
    text = call.app.partners.text(head.key, head.revision)
    return PlainTextResponse(text, media_type=TOML, headers={"ETag": _tag(head.revision)})


def _put(call: Call) -> Response:
    key, dry_run = call.values["key"], call.values["dry_run"]
    partner, text = _read(call, key)
    with call.site.acting(call.actor, alone=False) as app:
        found = next((each.revision for each in app.partners.heads() if each.key == key), 0)
        _check_revision(call, key, found)
        profiles = ready(app.settings, [(partner, text, _FILE)])
        (done,) = apply_profiles(
            app.ledger,
            app.partners,
            profiles,
            actor=app.actor,
            dry_run=dry_run,
            reason=in_words(call.values["why"]),
            begun={key: found},
        )
        status = app.partners.get(key).status if not dry_run or found else partner.status
    told = {
        "key": key,
        "change": done.change,
        "revision": done.revision,
        "status": status.value,
        "dry_run": dry_run,
    }
    created = done.change == "added" and not dry_run
    return JSONResponse(told, 201 if created else 200, {} if dry_run else {"ETag": _tag(done.revision)})


def _read(call: Call, key: str) -> tuple[Partner, str]:
    """The profile that was sent, which must be this partner's.

    Raises:
        ProfileInvalid, RequestInvalid
    """
    try:
        text = call.body.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = call.body.count(b"\n", 0, problem.start) + 1
        raise ProfileInvalid(file=_FILE, line=line, key="(file)", reason="this is not UTF-8 text") from None
    partner = read_profile(text, _FILE)
    if partner.key != key:
        raise RequestInvalid(where="key", reason=f"the profile is of {partner.key}, the address of {key}")
    return partner, text


def _check_revision(call: Call, key: str, found: int) -> None:
    """Nobody's change is overwritten unseen: a change says from which revision it was made.

    Raises:
        RequestInvalid, RevisionDiffers
    """
    match, none = call.values["If-Match"], call.values["If-None-Match"]
    if none == "*" and found:
        raise RevisionDiffers(partner=key, found=found, asked="none")
    if not match:
        if found and none != "*":
            raise RequestInvalid(
                where="If-Match", reason="the revision that is changed is wanted: the ETag of the profile"
            )
        return
    asked = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', match)
    if asked is None:
        raise RequestInvalid(where="If-Match", reason="the ETag of the profile is wanted")
    if int(asked[1]) != found:
        raise RevisionDiffers(partner=key, found=found or "none", asked=asked[1])


def _head(call: Call) -> Revision:
    key = call.values["key"]
    found: Sequence[Revision] = [each for each in call.app.partners.heads() if each.key == key and call.sees(key)]
    if not found:
        raise UnknownPartner(partner=key)
    return found[0]


def _told(partner: Partner, head: Revision) -> dict[str, object]:
    return {
        "key": partner.key,
        "name": partner.name,
        "status": partner.status.value,
        "addresses": list(partner.addresses),
        "identities": [str(each) for each in partner.identities],
        "revision": head.revision,
        "at": iso(head.at),
        "by": head.by,
    }


def _tag(revision: int) -> str:
    return f'"{revision}"'


OPERATIONS = (
    Operation(
        "GET",
        "/partners",
        "listPartners",
        "List partners",
        "partners",
        _list,
        (Answer(200, "All partners, by key.", {JSON: reference("PartnerList")}),),
        tag="partners",
    ),
    Operation(
        "GET",
        "/partners/{key}",
        "getPartner",
        "One partner",
        "partners",
        _one,
        (Answer(200, "The partner.", {JSON: reference("Partner")}, _ETAG),),
        (_KEY,),
        faults=(404,),
        tag="partners",
    ),
    Operation(
        "GET",
        "/partners/{key}/profile",
        "getProfile",
        "A partner's profile",
        "partners",
        _profile,
        (Answer(200, "The newest revision, as it was applied.", {TOML: {"type": "string"}}, _ETAG),),
        (_KEY,),
        faults=(404,),
        tag="partners",
    ),
    Operation(
        "PUT",
        "/partners/{key}/profile",
        "putProfile",
        "Add or change a partner",
        "profiles",
        _put,
        (
            Answer(200, "Changed, or nothing new, or a dry run.", {JSON: reference("Applied")}, _ETAG),
            Answer(201, "It was added.", {JSON: reference("Applied")}, _ETAG),
        ),
        (
            _KEY,
            DRY_RUN,
            Parameter("why", QUERY, words(500, default=""), "Why; kept in the ledger."),
            Parameter("If-Match", HEADER, words(40, default=""), "The ETag of the revision that is changed; needed for a partner that is there."),  # noqa: E501
            Parameter("If-None-Match", HEADER, words(40, default=""), "`*`: only add, never change."),
        ),
        Body("The profile, as docs/reference/profile.md describes it.", {TOML: {"type": "string"}}, most=2_000_000),
        faults=(412, 422),
        tag="partners",
    ),
)  # fmt: skip
