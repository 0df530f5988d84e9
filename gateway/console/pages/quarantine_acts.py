"""Several things in quarantine released or discarded at once."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.pages.exchange_several import do_all
from gateway.console.routing import act
from gateway.console.visit import Visit


def decide(visit: Visit) -> Response:
    """Releases or discards what was picked, or tries it."""
    return do_all(visit, ("release", "discard"), "/quarantine", "Quarantine")


PAGES = (act("/quarantine/acts", decide),)
