"""Other views of an exchange: its segments, its acknowledgments beside it, its mail, its bytes, its evidence."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from starlette.responses import Response

from gateway.console.pages.exchange import LIMIT, frame, row_of
from gateway.console.routing import view
from gateway.console.saying import fault_in_words
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound, UsageFault
from gateway.flow.beside import Beside, beside
from gateway.flow.preview import preview, shown
from gateway.flow.segment_names import policy_for
from gateway.flow.segments import segments
from gateway.flow.showing import interchange_bytes
from gateway.ledger import tables
from gateway.ledger.references import answer_ids_for
from gateway.ledger.rows import ExchangeRow
from gateway.ledger.story import story

SEGMENTS = 100  # on a page
RAW = 100_000  # bytes that are shown
ANSWERS = 5  # acknowledgments of one exchange that are shown beside it
_MOST_SEGMENT = 10**12


def show_segments(visit: Visit) -> Response:
    """The interchange by segments, with names and findings."""
    row = row_of(visit)
    first = _whole(visit.asked("from", "1"))
    only = visit.asked("findings") == "1"
    values: dict[str, Any] = {"first": first, "only": only, "count": SEGMENTS, "page": None, "fault": ""}
    try:
        values["page"] = segments(
            visit.app.engine,
            row.id,
            first=first,
            count=SEGMENTS,
            only_findings=only,
            policy=policy_for(visit.app.directory(), row),
        )
    except GatewayError as fault:
        if not fault.permanent:
            raise
        values["fault"] = fault_in_words(fault)
    return visit.page("exchange_segments.html", 200, **frame(visit, row, "segments"), **values)


def _whole(written: str) -> int:
    """A segment's number.

    Raises:
        UsageFault: it is none.
    """
    if not (written.isascii() and written.isdigit()) or not 1 <= int(written[:20]) <= _MOST_SEGMENT:
        raise UsageFault(reason=f"{written[:50]} is no number of a segment; the first one is 1")
    return int(written)


def show_answers(visit: Visit) -> Response:
    """Each acknowledgment beside what it answers."""
    row = row_of(visit)
    found: list[Beside] = []
    faults: list[str] = []
    couples = _couples(visit, row)
    for judged, answer in couples[:ANSWERS]:
        try:
            policy = policy_for(visit.app.directory(), row if judged == row.id else _exchange(visit, judged))
            found.append(beside(visit.app.engine, judged, answer, policy))
        except GatewayError as fault:
            if not fault.permanent:
                raise
            faults.append(f"Exchange {answer} beside exchange {judged}: {fault}")
    return visit.page(
        "exchange_answers.html",
        200,
        **frame(visit, row, "answers"),
        found=found,
        faults=faults,
        others=max(0, len(couples) - ANSWERS),
        awaited=story(visit.app.engine, row.id, 1).awaited,
    )


def _couples(visit: Visit, row: ExchangeRow) -> list[tuple[int, int]]:
    """What is judged and what judges it, where the exchange is either of the two; the newest answer first."""
    answering = [] if row.answers is None else [row.answers]
    for each in story(visit.app.engine, row.id, LIMIT).answering:
        if each.exchange is not None and each.exchange not in answering:
            answering.append(each.exchange)
    answers = answer_ids_for(visit.app.engine, row.id)
    return [*((each, row.id) for each in answering), *((row.id, each) for each in reversed(answers))]


def _exchange(visit: Visit, number: int) -> ExchangeRow:
    return story(visit.app.engine, number, 1).exchange


def show_mail(visit: Visit) -> Response:
    """The mail that carried it: headers, parts, receipts."""
    row = row_of(visit)
    if row.message is None:
        raise NotFound(what="mail of exchange", key=row.id)
    told = story(visit.app.engine, row.id, LIMIT)
    try:
        mail, fault = preview(visit.app.ledger, row.message, visit.app.settings.limits), ""
    except GatewayError as problem:
        if not problem.permanent:
            raise
        mail, fault = None, fault_in_words(problem)
    values = {"mail": mail, "mail_fault": fault, "receipts": told.receipts, "number": row.message}
    return visit.page("exchange_mail.html", 200, **frame(visit, row, "mail"), **values)


def show_raw(visit: Visit) -> Response:
    """Its bytes as text, the passwords in its ISA masked."""
    row = row_of(visit)
    text, fault = "", ""
    try:
        text = raw_text(visit, row.id)
    except GatewayError as problem:
        if not problem.permanent:
            raise
        fault = fault_in_words(problem)
    return visit.page("exchange_raw.html", 200, **frame(visit, row, "raw"), text=text, most=RAW, fault=fault)


def raw_text(visit: Visit, number: int) -> str:
    """The beginning of an interchange, masked."""
    found = bytearray()
    for piece in interchange_bytes(visit.app.ledger, number):
        found += piece
        if len(found) >= RAW:
            break
    data = bytes(found[:RAW])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return shown(text)


def show_evidence(visit: Visit) -> Response:
    """What proves it: the seal over its events, and the partner's receipts."""
    row = row_of(visit)
    told = story(visit.app.engine, row.id, LIMIT)
    with visit.app.ledger.reading() as connection:
        s, e = tables.seal.c, tables.event.c
        newest = connection.execute(select(func.max(e.seq)).where(e.exchange == row.id)).scalar() or 0
        seal = connection.execute(select(s.size, s.at, s.seq).where(s.seq >= newest).order_by(s.size).limit(1)).first()
        latest = connection.execute(select(s.size, s.at, s.seq).order_by(s.size.desc()).limit(1)).first()
    return visit.page(
        "exchange_evidence.html",
        200,
        **frame(visit, row, "evidence"),
        events=told.events,
        newest=newest,
        seal=seal,
        latest=latest,
        receipts=told.receipts,
    )


PAGES = (
    view("/exchanges/{number:int}/segments", show_segments),
    view("/exchanges/{number:int}/answers", show_answers),
    view("/exchanges/{number:int}/mail", show_mail),
    view("/exchanges/{number:int}/raw", show_raw),
    view("/exchanges/{number:int}/evidence", show_evidence),
)
