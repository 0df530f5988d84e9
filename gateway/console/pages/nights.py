"""Nights: each batch, step by step, with what came and went in it; and asking for one now."""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from starlette.responses import Response

from gateway.console import running
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, reason
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.ledger import batches
from gateway.ledger.batches import Batch
from gateway.ledger.changes import changes
from gateway.ledger.moments import iso
from gateway.ledger.rows import ExchangeRow, MessageRow
from gateway.ledger.search import exchange_on, message_on
from gateway.ledger.tables import exchange, message

_PAGE = 40  # batches
_SHOWN = 50  # exchanges and mails of one batch that are listed

STEPS = {
    "collect": "Mail is fetched, stored, and deleted on its server.",
    "process": "Mails are unpacked; interchanges are identified, examined and acknowledged.",
    "deliver": "Accepted documents are handed to the business.",
    "submit": "Documents of the outbox get numbers and envelopes.",
    "dispatch": "What is due is handed to the SMTP host.",
    "reconcile": "What should have come by now is called overdue.",
    "numbers": "Missing control numbers are looked for.",
    "expected": "Files that should have come by an hour are looked for.",
    "backup": "The ledger is copied, where that is due.",
    "alert": "Who should know is told.",
    "retain": "What is over its time is put away, where the settings say so.",
    "seal": "How far the ledger has come is signed.",
}


def nights(visit: Visit) -> Response:
    """All batches, the newest first."""
    app = visit.app
    before = _number(visit.asked("before"))
    with app.ledger.reading() as connection:
        last = batches.last_of(connection)
        found = batches.batches(connection, _PAGE + 1, before)
    now = app.now()
    return visit.page(
        "nights.html",
        batches=found[:_PAGE],
        older=found[_PAGE - 1].id if len(found) > _PAGE else None,
        first=before is None,
        last=last,
        running=running.running(app, last, now),
        asked=changes(app.engine, kinds=("batch-asked",), limit=5) if before is None else [],
        now=now,
    )


def night(visit: Visit) -> Response:
    """One batch, step by step."""
    app = visit.app
    number = _number(visit.part("number"))
    if number is None:
        raise NotFound(what="batch", key=visit.part("number"))
    now = app.now()
    with app.ledger.reading() as connection:
        told = batches.one(connection, number)
        last = batches.last_of(connection)
        until = _until(connection, told, now)
        exchanges, exchange_count = _exchanges(connection, told.started_at, until)
        mails, mail_count = _mails(connection, told.started_at, until)
    live = running.running(app, last, now)
    return visit.page(
        "night.html",
        batch=told,
        steps=told.steps,
        longest=max((each.took or 0 for each in told.steps), default=0),
        meaning=STEPS,
        running=live if last is not None and last.id == told.id else None,
        exchanges=exchanges,
        exchange_count=exchange_count,
        mails=mails,
        mail_count=mail_count,
        window=f"since={iso(told.started_at)} until={iso(until + 1)}",
        next=told.id + 1 if last is not None and last.id > told.id else None,
        now=now,
    )


def run(visit: Visit) -> Response:
    """Asks the running service for a batch; the page does not wait for it."""
    back = "/" if visit.form.get("back") == "/" else "/nights"
    why = reason(visit.form)
    if not why:
        return visit.to(back, SAY_WHY)
    if not running.ask(visit.site.home):
        return visit.to(back, "No service runs on this machine: run `gateway night` there, or start `gateway serve`.")
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.record("batch-asked", reason=why)
    return visit.to(back, "The service was asked: it begins a batch within a second, or after the one that runs now.")


def _until(connection: Connection, told: Batch, now: int) -> int:
    """When what belongs to a batch ends: an interrupted one ends where the next one begins."""
    if told.ended_at is not None:
        return told.ended_at
    following = batches.batches(connection, 1, told.id + 2)
    return following[0].started_at if following and following[0].id == told.id + 1 else now


def _exchanges(connection: Connection, since: int, until: int) -> tuple[list[ExchangeRow], int]:
    """The exchanges that came to be in a time: the newest of them, and how many there are."""
    x = exchange.c
    within = (x.at >= since, x.at <= until)
    count = connection.execute(select(func.count()).select_from(exchange).where(*within)).scalar_one()
    ids = connection.execute(select(x.id).where(*within).order_by(x.at.desc(), x.id.desc()).limit(_SHOWN)).scalars()
    return [row for each in ids.all() if (row := exchange_on(connection, each)) is not None], count


def _mails(connection: Connection, since: int, until: int) -> tuple[list[MessageRow], int]:
    """The same of mails that came."""
    m = message.c
    within = (m.at >= since, m.at <= until, m.direction == "in")
    count = connection.execute(select(func.count()).select_from(message).where(*within)).scalar_one()
    ids = connection.execute(select(m.id).where(*within).order_by(m.at.desc(), m.id.desc()).limit(_SHOWN)).scalars()
    return [row for each in ids.all() if (row := message_on(connection, each)) is not None], count


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


PAGES = (
    view("/nights", nights),
    act("/nights/run", run, Role.OPERATOR),
    view("/nights/{number}", night),
)
