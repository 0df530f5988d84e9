"""The steps of a night, cut into units that many workers share. What is due, and what is ours, the ledger decides.

collect (one mailbox) → process → deliver (one partner), dispatch; the rest of the night's steps go together. A unit
that finds somebody else at work leaves the work to them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from gateway.errors import GatewayError, unexpected
from gateway.flow.alerts import met
from gateway.flow.collect import collect
from gateway.flow.context import Context
from gateway.flow.deliver import deliver
from gateway.flow.dispatch import dispatch
from gateway.flow.inbound import process
from gateway.flow.night import STEPS
from gateway.flow.outbox import submit_outbox
from gateway.flow.reporter import Reporter, Tally
from gateway.flow.stops import stops_of
from gateway.ledger.claims import is_any_free
from gateway.ledger.leases import holding
from gateway.ledger.work import partners_to_deliver, partners_to_mail

_OWN = ("collect", "process", "deliver", "submit", "dispatch")  # units of their own; the other steps go together
_SINGLE = ("process", "dispatch")  # one of each is enough for a process: more would share its one interpreter
_RESTING = ("deliver", "dispatch")  # what is not tried again at once where a host was away

_KEEPING = tuple((name, step) for name, step in STEPS if name not in _OWN)

Unit = Callable[[Context, str], None]


def submit(context: Context, place: str) -> None:
    """Submits what lies in this machine's outbox. ``place`` names it among those of all machines."""
    with holding(context.leases, f"outbox:{place}") as lease:
        if lease is not None:
            submit_outbox(context)


def sweep(context: Context, _: str = "") -> None:
    """Wakes whoever is to do what is due: the ledger is the truth, and a job may be lost."""
    with context.ledger.transaction() as recorder:
        if is_any_free(recorder.connection):
            recorder.wake("process")
        for partner in partners_to_deliver(recorder.connection):
            recorder.wake("deliver", partner)
        if partners_to_mail(recorder.connection, recorder.now, 1, stops=stops_of(context.directory)):
            recorder.wake("dispatch")


def housekeeping(context: Context, _: str = "") -> None:
    """The steps of the night that look at the whole ledger: what is overdue, what should have come, who is told."""
    with holding(context.leases, "housekeeping") as lease:
        if lease is None:
            return
        for name, step in _KEEPING:
            attempt(context, name, step)


def attempt(context: Context, name: str, step: Callable[[Context], None]) -> None:
    """Does a step; what fails is reported."""
    try:
        step(context)
    except GatewayError as fault:
        context.reporter.trouble(fault, name)
    except Exception as problem:  # noqa: BLE001 - one step must not stop the others
        context.reporter.trouble(unexpected(f"the step {name}", problem), name)


UNITS: Mapping[str, Unit] = {
    "collect": collect,
    "process": lambda context, _: process(context),
    "deliver": deliver,
    "submit": submit,
    "dispatch": lambda context, _: dispatch(context),
    "sweep": sweep,
    "housekeeping": housekeeping,
}


class Crew:
    """Does units, each with a context of its own, so that profiles are those of now.

    Args:
        make_context: gives the context for a reporter.
        pause: seconds that a unit rests after a host or directory was away.
    """

    def __init__(self, make_context: Callable[[Reporter], Context], pause: float) -> None:
        self._make_context = make_context
        self._pause = pause
        self._rests: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._again: set[str] = set()

    def do(self, name: str, about: str = "") -> Tally:
        """Does one unit and returns what came of it. What this process does already is only done once more after it."""
        tally = Tally()
        if name not in _SINGLE:
            self._do(name, about, tally)
            return tally
        goes_on = self._enter(name)
        while goes_on:
            try:
                self._do(name, about, tally)
            finally:
                goes_on = self._leave(name)
        return tally

    def _enter(self, name: str) -> bool:
        with self._lock:
            if name in self._busy:
                self._again.add(name)
                return False
            self._busy.add(name)
            return True

    def _leave(self, name: str) -> bool:
        """Whether somebody wanted it meanwhile: what they saw may have come too late for us to see."""
        with self._lock:
            if name in self._again:
                self._again.discard(name)
                return True
            self._busy.discard(name)
            return False

    def _do(self, name: str, about: str, tally: Tally) -> None:
        if self._rests.get((name, about), 0.0) > time.monotonic():
            return
        before = len(tally.troubles)
        context = self._make_context(tally)
        attempt(context, name, lambda context: UNITS[name](context, about))
        troubles = tally.troubles[before:]
        steps = tuple(step for step, _ in _KEEPING) if name == "housekeeping" else ()
        attempt(context, "alert", lambda context: met(context, name, about, tuple(troubles), steps))
        if name in _RESTING and any(fault.exit_code in {69, 78} for _, fault in troubles):
            self._rests[name, about] = time.monotonic() + self._pause
