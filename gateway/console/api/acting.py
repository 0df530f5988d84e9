"""Acting for programs: alone where the home is free, and for submissions beside a batch that runs.

A submission is one transaction that draws its numbers from the ledger itself, so it does not disturb a batch; an ERP
must not be told to come again because a night takes an hour. Everything else waits its turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gateway.app import App, open_app
from gateway.console.api.declared import Call
from gateway.errors import HomeInUse
from gateway.flow import checkpoint
from gateway.jobs.lock import holder

_BATCHES = ("gateway night", "gateway serve", "gateway worker")
_PAUSE = 0.05  # seconds between two tries
_one_at_a_time = threading.Lock()  # else two requests with one invoice would not see each other


@contextmanager
def submitting(call: Call) -> Iterator[App]:
    """The home for one submission.

    Raises:
        HomeInUse: what works on it is no batch: a restore must not be written into.
        LedgerBehind: an older ledger was put back; numbers that it gives out were used before.
        GatewayError: as ``open_app``.
    """
    deadline = time.monotonic() + call.site.patience
    with _turn(call, deadline), ExitStack() as stack:
        app = _opened(call, stack, deadline)
        app.ledger.listener = call.site.listener
        yield app


@contextmanager
def _turn(call: Call, deadline: float) -> Iterator[None]:
    """The turn of this submission. All that wait at once for a restore wait no longer than one of them would."""
    if not _one_at_a_time.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
        raise HomeInUse(path=call.site.home, holder=holder(call.site.home) or "submissions that came before")
    try:
        yield
    finally:
        _one_at_a_time.release()


def _opened(call: Call, stack: ExitStack, deadline: float) -> App:
    home, clock = call.site.home, call.site.clock
    while True:
        try:
            return stack.enter_context(open_app(home, lock=True, actor=call.actor, clock=clock))
        except HomeInUse:
            who = holder(home) or ""
            if who.startswith(_BATCHES):
                break
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
    app = stack.enter_context(open_app(home, actor=call.actor, clock=clock))
    checkpoint.verify(home, app.ledger)
    return app
