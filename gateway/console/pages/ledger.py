"""The ledger: how big it is, what guards it, who changed what about the gateway itself."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import func, select
from starlette.responses import Response

from gateway.console.people import Role
from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.errors import ConfigurationFault
from gateway.flow.backup import backups as backups_in
from gateway.flow.backup import failure, lateness
from gateway.ledger import tree
from gateway.ledger.backup import room_for
from gateway.ledger.changes import KINDS, changes
from gateway.ledger.holds import holds
from gateway.ledger.moved import archives
from gateway.ledger.moved_lost import lost, state_of
from gateway.ledger.search_tables import saved_query
from gateway.ledger.tables import exchange, message, seal
from gateway.values import asdict

_PAGE = 50
_SHOWN = 100  # backups and archives that are listed

# Kinds of changes under a word that people look for.
GROUPS: dict[str, tuple[str, ...]] = {
    "settings": ("settings-seen", "settings-changed"),
    "profiles": ("profile-applied", "profile-noticed", "partner-status"),
    "certificates": ("certificate-added", "certificate-trusted", "certificate-retired"),
    "keys and secrets": ("key-added", "key-exported", "key-retired", "secret-set", "secret-removed", "authorized"),
    "numbers": ("numbers-started", "numbers-jumped", "numbers-reset", "number-explained", "expected-settled"),
    "holds": ("held", "hold-released", "recalled"),
    "archives": ("archive-lost", "archive-found"),
    "backups": ("backup-made", "ledger-restored", "restore-accepted"),
    "batches asked for": ("batch-asked",),
    "users": (
        *("user-added", "user-role", "user-password", "user-disabled", "user-enabled", "user-removed"),
        *("token-added", "token-revoked", "sessions-ended"),
    ),
    "sign-ins": ("signed-in", "signed-out", "sign-in-failed"),
}
_ALL = tuple(dict.fromkeys([*KINDS, *(kind for name in GROUPS if name != "sign-ins" for kind in GROUPS[name])]))
_GUARDED = ("users", "sign-ins")  # who has which role, and from where somebody came: for auditors and above
_OPEN = tuple(kind for kind in _ALL if not any(kind in GROUPS[name] for name in _GUARDED))


class Place(Struct, frozen=True):
    """An archive as it is shown: whether its file is where it was written."""

    archive: dict[str, object]
    state: str


def ledger(visit: Visit) -> Response:
    """How big it is, the newest seal, what is held, the newest backup."""
    app = visit.app
    now = app.now()
    with app.ledger.reading() as connection:
        head = tree.head_of(connection)
        newest = connection.execute(select(seal).order_by(seal.c.size.desc()).limit(1)).first()
        numbers = {
            "exchange": connection.execute(select(func.max(exchange.c.id))).scalar(),
            "mail": connection.execute(select(func.max(message.c.id))).scalar(),
        }
        first = connection.execute(select(exchange.c.at).order_by(exchange.c.at).limit(1)).scalar()
        held = holds(connection)
        queries = connection.execute(select(func.count()).select_from(saved_query)).scalar_one()
    late, newest_backup = _backup(visit, now)
    return visit.page(
        "ledger.html",
        head=head,
        newest=newest,
        since=head.size - newest.size if newest else head.size,
        numbers=numbers,
        first=first,
        size=room_for(app.engine),
        database=app.engine.dialect.name,
        holds=held,
        queries=queries,
        late=late,
        backup=newest_backup,
        changes=changes(app.engine, kinds=_ALL if visit.may(Role.AUDITOR) else _OPEN, limit=10),
        settings=app.settings,
        now=now,
    )


def changed(visit: Visit) -> Response:
    """Who changed what about the gateway itself, the newest first."""
    partner = visit.asked("partner").strip()
    groups = [name for name in GROUPS if name not in _GUARDED or visit.may(Role.AUDITOR)]
    group = visit.asked("kind") if visit.asked("kind") in groups else ""
    before = visit.asked("before")
    found = changes(
        visit.app.engine,
        partner=partner or None,
        kinds=GROUPS[group] if group else _ALL if visit.may(Role.AUDITOR) else _OPEN,
        limit=_PAGE + 1,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
    )
    return visit.page(
        "changes.html",
        changes=found[:_PAGE],
        older=found[_PAGE - 1].seq if len(found) > _PAGE else None,
        before=before,
        groups=groups,
        group=group,
        partner=partner,
        partners=sorted(each.key for each in visit.app.partners.heads()),
    )


def backups(visit: Visit) -> Response:
    """The backups in the directory of the settings, and archives that were moved out."""
    app = visit.app
    late, _ = _backup(visit, app.now())
    directory = app.settings.backup.directory
    try:
        found = backups_in(directory)[:_SHOWN] if directory is not None else []
    except OSError:
        found = []
    with app.ledger.reading() as connection:
        known = lost(connection)
    moved = [Place(asdict(each), state_of(each, known.get(each.id))) for each in archives(app.ledger)[::-1][:_SHOWN]]
    return visit.page(
        "backups.html",
        settings=app.settings.backup,
        backups=found,
        late=late,
        failed=failure(app.home),
        archives=moved,
        now=app.now(),
    )


def _backup(visit: Visit, now: int) -> tuple[str, int | None]:
    """Why somebody should look at the backups, and the moment of the newest."""
    settings = visit.app.settings
    if settings.backup.directory is None:
        return "", None
    try:
        late = lateness(settings, now)
        found = backups_in(settings.backup.directory)
    except (OSError, ConfigurationFault) as problem:
        return f"The backups cannot be looked at: {problem}", None
    return late, found[0][0].at if found else None


PAGES = (
    view("/ledger", ledger),
    view("/ledger/changes", changed),
    view("/ledger/backups", backups),
)
