"""Quarantine: what could not be processed, why, whose side it is on, what would mend it; released or discarded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response

from gateway.console.pages.exchanges import Found, page_of
from gateway.console.people import Role
from gateway.console.routing import view
from gateway.console.saying import fault_in_words
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound
from gateway.flow import possible
from gateway.flow import remedy as remedies
from gateway.flow.acts import Reference
from gateway.flow.preview import MailPreview, preview
from gateway.flow.remedy import Held, Remedy
from gateway.flow.segment_names import policy_for
from gateway.flow.segments import SegmentView, segments
from gateway.ledger.faulty import faults_of_exchanges, faults_of_mails
from gateway.ledger.query import Query, either
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.search import count, count_messages, exchange_on, message_on, search, search_messages
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.story import message_story
from gateway.ledger.words import parse_query
from partners.directory import Directory

PAGE = 50
COUNTED = 500
FIRST = 20  # segments that are shown
_HELD = (ExchangeState.QUARANTINED.value, ExchangeState.CONFLICT.value)
_LARGEST = 2**63 - 1


class Mending(Struct, frozen=True):
    """A remedy as a link for whom it is; ``link`` is "" where it is done elsewhere than in the console."""

    sentence: str
    link: str
    text: str
    role: Role


class Item(Struct, frozen=True):
    """One thing in quarantine."""

    reference: str
    at: int
    state: str
    partner: str
    who: str
    what: str
    why: str
    side: str
    code: str
    mending: Mending | None


def show(visit: Visit) -> Response:
    """Everything in quarantine: interchanges, then mails that no interchange speaks for, each newest first."""
    only = visit.asked("only")
    only = only if only in {"interchanges", "mails"} else ""
    narrow = _narrowed(visit)
    directory = visit.app.directory()
    parts = []
    for name, title in (("interchanges", "Interchanges"), ("mails", "Mails that no interchange speaks for")):
        if only in {"", name}:
            parts.append(_part(visit, name, title, narrow, directory, paged=only == name))
    return visit.page(
        "quarantine.html",
        200,
        parts=parts,
        only=only,
        filters={name: visit.asked(name) for name in ("code", "partner") if visit.asked(name)},
        link=_linking(visit),
        fields=("code", "partner"),
    )


def _narrowed(visit: Visit) -> Query:
    """What the address asks for: a fault, a partner."""
    code, partner = visit.asked("code").strip(), visit.asked("partner").strip()
    return Query(fault=code or None, partner=partner or None, limit=PAGE)


def _part(visit: Visit, name: str, title: str, narrow: Query, directory: Directory, *, paged: bool) -> dict[str, Any]:
    engine, now = visit.app.engine, visit.app.now()
    mails = name == "mails"
    state = either("state", MessageState.QUARANTINED) if mails else either("state", *_HELD)
    query = replace(narrow, also=(state,))
    number = (count_messages if mails else count)(engine, query, now, most=COUNTED)
    if paged and visit.asked("before"):
        query = replace(query, before=parse_query([f"before={visit.asked('before')}"]).before)
    found: Found = page_of(
        engine, query, now, search_messages if mails else search, visit.asked("after") if paged else ""
    )
    return {
        "name": name,
        "title": title,
        "count": min(number, COUNTED),
        "more": number > COUNTED,
        "items": _items(visit, found.rows, directory),
        "older": found.older,
        "newer": found.newer,
    }


def _items(visit: Visit, rows: Sequence[ExchangeRow | MessageRow], directory: Directory) -> list[Item]:
    with visit.app.ledger.reading() as connection:
        exchanges = faults_of_exchanges(connection, [each.id for each in rows if isinstance(each, ExchangeRow)])
        mails = faults_of_mails(connection, [each.id for each in rows if isinstance(each, MessageRow)])
    return [
        _item(row, (exchanges if isinstance(row, ExchangeRow) else mails).get(row.id, {}), directory) for row in rows
    ]


def _item(row: ExchangeRow | MessageRow, fault: Mapping[str, Any], directory: Directory) -> Item:
    if isinstance(row, ExchangeRow):
        nameless = row.file_name if not row.control_number else ""  # no ISA could be read
        reference, what = str(row.id), nameless or f"{' '.join(row.types) or row.kind} {row.control_number}".strip()
    else:
        reference, what = f"m{row.id}", row.subject or "a mail without a subject"
    return Item(
        reference=reference,
        at=row.at,
        state=row.state,
        partner=row.partner,
        who=row.from_address or "nobody",
        what=what,
        why=str(fault.get("message", "")) or row.state,
        side=str(fault.get("side", "")),
        code=row.fault_code,
        mending=mending(_remedy(row, fault, directory), reference),
    )


def _remedy(row: ExchangeRow | MessageRow, fault: Mapping[str, Any], directory: Directory) -> Remedy | None:
    details = fault.get("details")
    held = Held(
        code=row.fault_code,
        details=details if isinstance(details, dict) else {},
        partner=row.partner,
        from_address=row.from_address,
        sender=row.sender if isinstance(row, ExchangeRow) else "",
    )
    return remedies.remedy(held, directory)


def mending(found: Remedy | None, reference: str) -> Mending | None:
    """A remedy as a link to where it is done."""
    if found is None:
        return None
    partner = f"/partners/{quote(found.partner, safe='')}"
    edit = f"{partner}/edit?{urlencode({found.part: found.value})}"
    new = urlencode({"address": found.value, "mail": reference})
    link, text, role = {
        remedies.ADDRESS: (edit, f"Add it to {found.partner}", Role.ADMINISTRATOR),
        remedies.IDENTITY: (edit, f"Add it to {found.partner}", Role.ADMINISTRATOR),
        remedies.AGREEMENT: (edit, f"Change the agreements of {found.partner}", Role.ADMINISTRATOR),
        remedies.EVIDENCE: (f"{partner}/edit", f"Change the profile of {found.partner}", Role.ADMINISTRATOR),
        remedies.CERTIFICATE: (f"{partner}/certificates", f"Certificates of {found.partner}", Role.VIEWER),
        remedies.STATUS: (partner, f"Where {found.partner} stands", Role.VIEWER),
        remedies.NEW: (f"/partners/new?{new}", "Make a profile of it", Role.ADMINISTRATOR),
        remedies.ACCEPT: (f"/exchanges/{reference}/acts/accept", "Accept it knowingly", Role.OPERATOR),
    }.get(found.part, ("", "", Role.VIEWER))
    return Mending(found.sentence, link, text, role)


def _linking(visit: Visit) -> Any:
    kept = {name: visit.asked(name) for name in ("only", "code", "partner") if visit.asked(name)}

    def link(**parameters: str) -> str:
        wanted = {name: value for name, value in (kept | parameters).items() if value}
        return f"/quarantine?{urlencode(wanted)}" if wanted else "/quarantine"

    return link


# ---------------------------------------------------------------- one of them


def look(visit: Visit) -> Response:
    """One thing in quarantine: what it is, why it is here, what it holds, and what to do."""
    named = Reference.parse(visit.part("reference"))
    if max(named.message or 0, named.exchange or 0) > _LARGEST:
        raise NotFound(what="exchange or message", key=visit.part("reference"))
    directory = visit.app.directory()
    with visit.app.ledger.reading() as connection:
        row: ExchangeRow | MessageRow | None
        if named.message is not None:
            row = message_on(connection, named.message)
            fault = faults_of_mails(connection, [named.message]).get(named.message, {})
        else:
            assert named.exchange is not None, "it is one of the two"
            row = exchange_on(connection, named.exchange)
            fault = faults_of_exchanges(connection, [named.exchange]).get(named.exchange, {})
        if row is None:
            raise NotFound(what="exchange or message", key=visit.part("reference"))
        if isinstance(row, ExchangeRow):
            acts = possible.with_exchange(connection, row.id)
        else:
            acts = possible.with_mail(connection, row.id)
    mail = row.message if isinstance(row, ExchangeRow) else row.id
    seen, mail_fault = _mail(visit, mail)
    views, segments_fault = _segments(visit, row) if isinstance(row, ExchangeRow) else ((), "")
    return visit.page(
        "quarantine_item.html",
        200,
        item=_item(row, fault, directory),
        row=row,
        fault=fault,
        held=row.state in _HELD,
        acts=[each for each in acts if each.verb in {"release", "accept", "discard", "replay"}],
        mail=seen,
        mail_fault=mail_fault,
        number=mail,
        segments=views,
        segments_fault=segments_fault,
        exchanges=() if isinstance(row, ExchangeRow) else message_story(visit.app.engine, row.id, PAGE).exchanges,
    )


def _mail(visit: Visit, number: int | None) -> tuple[MailPreview | None, str]:
    if number is None:
        return None, "It has no mail."
    try:
        return preview(visit.app.ledger, number, visit.app.settings.limits), ""
    except GatewayError as fault:
        if not fault.permanent:
            raise
        return None, fault_in_words(fault)


def _segments(visit: Visit, row: ExchangeRow) -> tuple[tuple[SegmentView, ...], str]:
    """The first segments of an interchange."""
    try:
        policy = policy_for(visit.app.directory(), row)
        return segments(visit.app.engine, row.id, count=FIRST, policy=policy).segments, ""
    except GatewayError as fault:
        if not fault.permanent:
            raise
        return (), str(fault)


PAGES = (view("/quarantine", show), view("/quarantine/{reference}", look))
