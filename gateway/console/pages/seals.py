"""Seals, and whether the ledger is what was recorded: looked at in the background, told with its progress."""

from __future__ import annotations

from sqlalchemy import select
from starlette.responses import PlainTextResponse, Response

from gateway.app import App
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.tasks import Progress, tasks
from gateway.console.visit import Visit
from gateway.errors import NotFound
from gateway.flow import seal as sealing
from gateway.flow.verify import Verdict, verify
from gateway.ledger import tree
from gateway.ledger.seals import notes
from gateway.ledger.tables import seal

_PAGE = 50
VERIFY = "verify"  # the name of the long look
_SHOWN = 200  # differences that are shown


def seals(visit: Visit) -> Response:
    """The seals, the newest first, and the last verification."""
    app = visit.app
    before = _number(visit.asked("before"))
    wanted = select(seal).order_by(seal.c.size.desc()).limit(_PAGE + 1)
    with app.ledger.reading() as connection:
        head = tree.head_of(connection)
        newest = connection.execute(wanted.limit(1)).first()
        found = connection.execute(wanted if before is None else wanted.where(seal.c.size < before)).all()
    task = tasks(visit.site).get(VERIFY)
    return visit.page(
        "seals.html",
        seals=found[:_PAGE],
        older=found[_PAGE - 1].size if len(found) > _PAGE else None,
        first=before is None,
        newest=newest,
        head=head,
        since=head.size - newest.size if newest else head.size,
        key=app.seal_key_known(),
        settings=app.settings.seal,
        file=sealing.seals_file(app.settings),
        task=task,
        verdict=task.result if task is not None else None,
        shown=_SHOWN,
        now=app.now(),
    )


def note(visit: Visit) -> Response:
    """One seal as a file."""
    size = _number(visit.part("size"))
    with visit.app.ledger.reading() as connection:
        found = connection.execute(select(seal.c.note).where(seal.c.size == size)).scalar() if size else None
    if found is None:
        raise NotFound(what="seal over so many events:", key=visit.part("size"))
    return _file(found, f"seal-{size}.txt")


def every(visit: Visit) -> Response:
    """All seals of the database in one file, as they stand in the file outside."""
    with visit.app.ledger.reading() as connection:
        found = connection.execute(select(seal.c.note).order_by(seal.c.size)).scalars().all()
    return _file("\n".join(found), "seals.txt")


def key(visit: Visit) -> Response:
    """The key that seals are checked with."""
    found = visit.app.seal_key_known()
    if found is None:
        raise NotFound(what="key of seals:", key="none was made yet; the first seal makes one")
    return _file(f"{found}\n", "seal-key.txt")


def begin(visit: Visit) -> Response:
    """Begins to look whether the ledger is what was recorded; the page tells how far it is."""
    full = visit.form.get("full") == "yes"
    begun = tasks(visit.site).start(VERIFY, visit.user.name, _looked_fully if full else _looked)
    return visit.to("/ledger/seals", "It began: this page tells how far it is." if begun else "One goes on already.")


def make(visit: Visit) -> Response:
    """Signs how far the ledger has come."""
    with visit.site.acting(visit.user.name, alone=False) as app:
        made = sealing.seal(app.context())
    return visit.to("/ledger/seals", f"Sealed over {made.seal.size:,} events; the note was appended to {made.file}.")


def _looked(app: App, progress: Progress) -> Verdict:
    return _verified(app, progress, full=False)


def _looked_fully(app: App, progress: Progress) -> Verdict:
    return _verified(app, progress, full=True)


def _verified(app: App, progress: Progress, *, full: bool) -> Verdict:
    """As `gateway ledger verify` does it, with the seals outside that gateway.toml names."""
    verdict = Verdict()
    place = sealing.seals_file(app.settings)
    outside = list(notes(place.read_text(encoding="utf-8", errors="replace"))) if place.exists() else []
    for _ in verify(app.engine, verdict, app.seal_key_to_verify(), outside, full=full, progress=progress):
        pass
    return verdict


def _file(text: str, name: str) -> Response:
    return PlainTextResponse(text, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


PAGES = (
    view("/ledger/seals", seals),
    view("/ledger/seals.txt", every),
    view("/ledger/seal-key.txt", key),
    view("/ledger/seals/{size}.txt", note),
    act("/ledger/verify", begin, Role.AUDITOR),
    act("/ledger/seals", make, Role.ADMINISTRATOR),
)
