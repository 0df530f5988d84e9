"""Acts on several exchanges or mails at once: tried or done one by one, each told what became of it."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from starlette.responses import Response

from gateway.console.pages.exchange_acts import is_trying, reason_of
from gateway.console.pages.verbs import VERBS, Verb
from gateway.console.routing import act
from gateway.console.visit import Visit
from gateway.errors import GatewayError, NotFound, UsageFault
from gateway.flow.acts import Act, Reference
from gateway.flow.context import Context

MOST = 500  # at once
PICK = "pick-"  # the names of the boxes: each its own, because a form here has one value for a name
ON_EXCHANGES = ("resend", "settle", "cancel", "redeliver", "replay")
ON_MAILS = ("release", "discard", "replay")


class Outcome(Struct, frozen=True):
    """What became of one; ``advice`` is said where it could not be done."""

    reference: str
    link: str
    sentence: str
    done: bool
    advice: str = ""


def decide(visit: Visit) -> Response:
    """Does something with what was picked in the search, or tries it."""
    return do_all(visit, {*ON_EXCHANGES, *ON_MAILS}, "/exchanges", "Exchanges")


def do_all(visit: Visit, verbs: Collection[str], path: str, name: str) -> Response:
    """Does one of ``verbs`` with all that was picked, or tries it, and tells what became of each.

    Args:
        visit: its form holds the verb, the reason, the step (try or do), and a box for each that was picked.
        verbs: those that are possible here.
        path: the page that it was picked on.
        name: what that page is called.

    Raises:
        UsageFault: nothing was picked, or no verb, or no reason.
    """
    verb = VERBS.get(visit.form.get("verb", ""))
    picked = [each.removeprefix(PICK) for each in visit.form if each.startswith(PICK)]
    if verb is None or verb.name not in verbs:
        raise UsageFault(reason="Choose what is to be done.")
    if not 1 <= len(picked) <= MOST:
        raise UsageFault(reason=f"Pick 1 to {MOST} of the list; {len(picked)} were picked.")
    why, trying = reason_of(visit), is_trying(visit, verb)
    with visit.site.acting(visit.user.name) as app:
        context = app.context()
        outcomes = [_one(context, verb, each, visit.user.name, why, path, trying=trying) for each in picked]
    return visit.page(
        "several_done.html",
        200,
        outcomes=outcomes,
        verb=verb,
        trying=trying,
        why=why,
        picked=picked,
        pick=PICK,
        path=path,
        name=name,
    )


def _one(context: Context, verb: Verb, reference: str, who: str, why: str, path: str, *, trying: bool) -> Outcome:
    try:
        done = _done(context, verb, reference, who, why, trying=trying)
    except GatewayError as fault:
        if not fault.permanent:
            raise
        return Outcome(reference, _link(reference, path), str(fault), done=False, advice=fault.next_step)
    return Outcome(reference, _link(reference, path), done.sentence, done=done.done)


def _done(context: Context, verb: Verb, reference: str, who: str, why: str, *, trying: bool) -> Act:
    named = Reference.parse(reference)
    if verb.numbers and named.exchange is None:
        raise NotFound(what="exchange", key=reference)
    return verb.do(context, reference, "", actor=who, reason=why, dry_run=trying)


def _link(reference: str, path: str) -> str:
    """The page of one; "" where what was picked is no reference."""
    digits = reference.removeprefix("m")
    if not (digits.isascii() and digits.isdigit()):
        return ""
    if path == "/quarantine":
        return f"{path}/{reference}"
    return f"/mails/{digits}" if reference.startswith("m") else f"/exchanges/{digits}"


PAGES = (act("/exchanges/acts", decide),)
