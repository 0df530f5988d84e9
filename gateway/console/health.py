"""For those that watch over us: whether the process lives, whether it can serve, and the figures for Prometheus.

``/healthz`` and ``/readyz`` answer everybody with yes or no. Reasons and figures are for this machine, and for tokens
with the scope ``metrics``: through a proxy everybody would look like this machine, so there only tokens count.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.console.answers import fault_problem, know
from gateway.console.callers import Callers
from gateway.console.site import Site
from gateway.errors import DoorFault, GatewayError
from gateway.flow.metrics import CONTENT_TYPE, metrics
from gateway.jobs.queue import is_installed
from gateway.ledger.database import check
from gateway.ledger.moments import duration, iso
from gateway.ledger.standing import last_batch

SCOPE = "metrics"
_A_DAY = 25 * 3_600_000  # ms: where gateway.toml does not say how often batches come, a nightly one is expected


class Check(Struct, frozen=True):
    """One thing that must hold."""

    name: str
    ok: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "ok": self.ok, "reason": self.reason}


def checks(site: Site) -> list[Check]:
    """Whether the home can be opened, its database is at the newest revision, batches run and gateway.toml is good."""
    found = _of_database(site)
    fault = site.trouble
    return found if fault is None else [*found, Check("settings", ok=False, reason=f"{fault} ({fault.code})")]


def _of_database(site: Site) -> list[Check]:
    try:
        app = site.app
        check(app.home_engine)
        with app.ledger.reading() as connection:
            batch = last_batch(connection)
    except GatewayError as fault:
        return [Check("database", ok=False, reason=f"{fault} ({fault.code})")]
    found = [Check("database", ok=True, reason="it answers, and is at the newest revision")]
    if is_installed(app.home_engine):
        return [*found, Check("batch", ok=True, reason="workers do what is due as it comes")]
    expected = app.settings.batch_expected
    longest = int(expected.total_seconds() * 1000) if expected else _A_DAY
    return [*found, _batch(batch, site.clock(), longest)]


def _batch(batch: dict[str, int | None] | None, now: int, longest: int) -> Check:
    if batch is None:
        return Check("batch", ok=True, reason="none has run here yet")
    began, ended = batch["started_at"] or 0, batch["ended_at"]
    age = now - (ended or began)
    what = f"batch {batch['id']} ended at {iso(ended)}" if ended else f"batch {batch['id']} began at {iso(began)}"
    if age <= longest:
        return Check("batch", ok=True, reason=what)
    return Check("batch", ok=False, reason=f"{what}, {duration(age)} ago; {duration(longest)} at most are expected")


async def _alive(request: Request) -> Response:
    del request
    return PlainTextResponse("ok\n")


async def _ready(request: Request) -> Response:
    return await run_in_threadpool(_readiness, request)


def _readiness(request: Request) -> Response:
    found = checks(request.app.state.site)
    ready = all(each.ok for each in found)
    body: dict[str, Any] = {"ready": ready}
    try:
        _admit(request)
        body["checks"] = [each.as_dict() for each in found]
    except GatewayError:  # who may not know, or nobody can look whether they may
        pass
    return JSONResponse(body, 200 if ready else 503)


async def _metrics(request: Request) -> Response:
    return await run_in_threadpool(_figures, request)


def _figures(request: Request) -> Response:
    try:
        _admit(request)
    except DoorFault as fault:
        return fault_problem(fault, {"WWW-Authenticate": "Bearer"})
    know(request)
    site: Site = request.app.state.site
    return Response(metrics(site.app.context()), media_type=CONTENT_TYPE)


def _admit(request: Request) -> None:
    if request.state.is_local and "authorization" not in request.headers:
        return
    callers: Callers = request.app.state.callers
    callers.caller(request, SCOPE)


ROUTES: tuple[BaseRoute, ...] = (
    Route("/healthz", _alive, methods=["GET"]),
    Route("/readyz", _ready, methods=["GET"]),
    Route("/metrics", _metrics, methods=["GET"]),
)
