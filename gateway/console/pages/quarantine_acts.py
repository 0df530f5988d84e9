"""Several things in quarantine released or discarded at once, each told what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from gateway.console.pages.exchange_acts import reason_of
from gateway.console.pages.verbs import VERBS
from gateway.console.routing import act
from gateway.console.visit import Visit
from gateway.errors import GatewayError, UsageFault

MOST = 500  # at once
_PICK = "pick-"  # the names of the boxes: each its own, because a form here has one value for a name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one; ``advice`` is said where it could not be done."""

    reference: str
    sentence: str
    done: bool
    advice: str = ""


def decide(visit: Visit) -> Response:
    """Releases or discards what was picked, or tries it."""
    verb = VERBS.get(visit.form.get("verb", ""))
    trying = visit.form.get("step") == "try"
    picked = [name.removeprefix(_PICK) for name in visit.form if name.startswith(_PICK)]
    if verb is None or verb.name not in {"release", "discard"}:
        raise UsageFault(reason="Choose whether to release or to discard.")
    if not 1 <= len(picked) <= MOST:
        raise UsageFault(reason=f"Pick 1 to {MOST} of the list; {len(picked)} were picked.")
    why = reason_of(visit)
    outcomes = []
    with visit.site.acting(visit.user.name) as app:
        context = app.context()
        for each in picked:
            try:
                done = verb.do(context, each, "", actor=visit.user.name, reason=why, dry_run=trying)
            except GatewayError as fault:
                if not fault.permanent:
                    raise
                outcomes.append(Outcome(each, str(fault), done=False, advice=fault.next_step))
            else:
                outcomes.append(Outcome(each, done.sentence, done=done.done))
    return visit.page(
        "quarantine_done.html", 200, outcomes=outcomes, verb=verb, trying=trying, why=why, picked=picked, pick=_PICK
    )


PAGES = (act("/quarantine/acts", decide),)
