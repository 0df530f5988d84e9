"""A partner's profile as text: edited, compared with what is, and applied; errors are told at line and key."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct
from starlette.responses import Response

from gateway.app import App
from gateway.console.differences import Line, differences
from gateway.console.pages.partner import path_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import SAY_WHY, reason
from gateway.console.visit import Visit
from gateway.errors import GatewayError, GuidelineInvalid, NotFound, ProfileInvalid, RevisionDiffers
from gateway.flow.configuration import apply_profiles
from gateway.flow.guideline_files import ready
from gateway.flow.learn_partner import learn_from
from gateway.ledger.search import exchange_on
from partners.model import Partner
from partners.profile import Problem, check_profile, with_one_more
from partners.store import UNCHANGED

_LONGEST_VALUE = 300  # of an address or identity
_FILE = "console"  # where the text came from, as the ledger keeps it
_MAIL = re.compile(r"m[0-9]{1,18}", re.ASCII)
_EXAMPLE = Path(__file__).parent.parent / "new_partner.toml"


class Draft(Struct, frozen=True):
    """A text that somebody wrote, and what became of looking at it.

    ``base`` is the revision that the writing began with, 0 for a new partner; ``newest`` the one that is there now.
    """

    key: str
    text: str
    base: int
    newest: int
    problems: tuple[Problem, ...] = ()
    fault: GatewayError | None = None
    lines: tuple[Line, ...] | None = None  # what is different from the newest; None: not compared yet
    changes: str = ""  # what applying would do: added, changed, unchanged
    why: str = ""
    hint: str = ""  # what was written into the text already, or is to be
    source: str = ""  # the mail that it was learned from
    others: int = 0  # partners in that mail beside this one
    unsaid: str = ""  # what is wanted where it was to be applied and nobody said why

    @property
    def is_overtaken(self) -> bool:
        """Whether somebody else applied a revision meanwhile."""
        return self.newest != self.base


def edit(visit: Visit) -> Response:
    """The newest revision, to be changed."""
    app, key = visit.app, visit.part("key")
    newest = _newest(app, key)
    text, hint = _with_remedy(visit, app.partners.text(key))
    return _page(visit, Draft(key, text, newest, newest, hint=hint), app.partners.get(key))


def new(visit: Visit) -> Response:
    """An example to begin with; or, with ``?mail=m17``, what a mail tells of whoever sent it."""
    if not visit.asked("mail"):
        return _page(visit, Draft("", _EXAMPLE.read_text(encoding="utf-8"), 0, 0), None)
    mail = _mail(visit, visit.asked("mail"))
    learned = learn_from(visit.app.context(), [mail])
    texts = "\n".join(each.text for each in learned.proposals[:1])
    return _page(visit, Draft("", texts, 0, 0, source=mail, others=len(learned.proposals) - 1), None)


def _mail(visit: Visit, written: str) -> str:
    """The mail that is meant: ``m17``, or that of exchange 34.

    Raises:
        NotFound: there is none.
    """
    if _MAIL.fullmatch(written):
        return written
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 19 else 0
    with visit.app.ledger.reading() as connection:
        found = exchange_on(connection, number)
    if found is None or found.message is None:
        raise NotFound(what="mail", key=written)
    return f"m{found.message}"


def _with_remedy(visit: Visit, text: str) -> tuple[str, str]:
    """The text with an address or identity that quarantine asks for, and what was done, for people."""
    for name, table in (("address", "addresses"), ("identity", "identities")):
        value = visit.asked(name).strip()
        if not value or len(value) > _LONGEST_VALUE:
            continue
        changed = with_one_more(text, table, value)
        if changed is None:
            return text, f"Write {value} into {table}, then compare and apply."
        return changed, f"{value} was written into {table}: compare, then apply."
    return text, ""


def change(visit: Visit) -> Response:
    """Compares the text with the newest revision, or applies it."""
    app, key = visit.app, visit.part("key")
    newest = _newest(app, key)
    draft = Draft(key, _text(visit), _base(visit, newest), newest, why=reason(visit.form))
    return _looked(visit, draft, app.partners.get(key))


def add(visit: Visit) -> Response:
    """The same for a partner that is not there yet."""
    return _looked(visit, Draft("", _text(visit), 0, 0, why=reason(visit.form)), None)


def _looked(visit: Visit, draft: Draft, known: Partner | None) -> Response:
    """What the text says, what it would change, and, where that is asked for and nothing is wrong, the change."""
    app = visit.app
    found, problems = check_profile(draft.text)
    wrong = list(problems)
    if found is not None and known is not None and found.key != known.key:
        wrong.append(Problem(1, "key", f"the key stays {known.key}: it names the partner in the ledger for ever"))
    if found is not None and known is None and any(each.key == found.key for each in app.partners.heads()):
        wrong.append(Problem(1, "key", f"there is a partner {found.key} already; open it and edit its profile"))
    if found is None or wrong:
        return _page(visit, _with(draft, problems=tuple(wrong)), known, 422)
    before = app.partners.text(found.key) if known is not None else ""
    try:
        change = _apply(app, found, draft, dry_run=True)
    except (ProfileInvalid, GuidelineInvalid) as fault:
        told = Problem(int(str(fault.details["line"])), str(fault.details["key"]), str(fault.details["reason"]))
        return _page(visit, _with(draft, problems=(told,)), known, 422)
    except GatewayError as fault:
        return _page(visit, _with(draft, fault=fault), known, 422)
    seen = _with(draft, lines=differences(before, draft.text), changes=change)
    if visit.form.get("do") != "apply" or draft.is_overtaken:
        return _page(visit, seen, known)
    if not draft.why and change != UNCHANGED:
        return _page(visit, _with(seen, unsaid=SAY_WHY), known, 422)
    return _applied(visit, draft, found, known, change)


def _applied(visit: Visit, draft: Draft, found: Partner, known: Partner | None, change: str) -> Response:
    page = path_of(found.key)
    if change == UNCHANGED:
        return visit.to(page, "The profile says the same as before; nothing was changed.")
    try:
        with visit.site.acting(visit.user.name, alone=False) as acting:
            done = _apply(acting, found, draft, dry_run=False)
    except RevisionDiffers:  # in this very moment
        return _looked(visit, _with(draft, newest=_newest(visit.app, found.key)), known)
    return visit.to(page, f"The profile of {found.key} was {done}.")


def _apply(app: App, found: Partner, draft: Draft, *, dry_run: bool) -> str:
    """What applying does, or would do.

    Raises:
        ProfileInvalid, GuidelineInvalid, ProfileOverlap, DatabaseUnavailable: nothing was changed.
        RevisionDiffers: it would undo what somebody else changed meanwhile.
    """
    profiles = ready(app.settings, [(found, draft.text, _FILE)])
    (done,) = apply_profiles(
        app.ledger,
        app.partners,
        profiles,
        actor=app.actor,
        dry_run=dry_run,
        reason=draft.why,
        begun=None if dry_run else {found.key: draft.newest},
    )
    return done.change


def _newest(app: App, key: str) -> int:
    return app.partners.revisions(key)[-1].revision


def _page(visit: Visit, draft: Draft, known: Partner | None, status: int = 200) -> Response:
    return visit.page("partner_edit.html", status, draft=draft, partner=known, tab="edit")


def _with(draft: Draft, **changes: object) -> Draft:
    values = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return Draft(**(values | changes))


def _text(visit: Visit) -> str:
    """The text as a file would hold it: browsers send CR LF."""
    text = visit.form.get("profile", "").replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") or not text else f"{text}\n"


def _base(visit: Visit, newest: int) -> int:
    written = visit.form.get("base", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else newest


PAGES = (
    view("/partners/new", new, Role.ADMINISTRATOR),
    act("/partners/new", add, Role.ADMINISTRATOR),
    view("/partners/{key}/edit", edit, Role.ADMINISTRATOR),
    act("/partners/{key}/edit", change, Role.ADMINISTRATOR),
)
