"""Dispatch: what is due goes to the SMTP host, over several connections side by side, and what the host said is kept.

Only this thread writes the ledger. It marks mails as ``sending``, durably, before their first byte; threads hand them
over, one session each; then one commit keeps what came of them and marks what goes next. No partner waits for another:
each session is given its next mails as soon as it is free, and a partner's mails go through one session at a time, in
the order of their exchanges.

A process that dies meanwhile leaves mails marked, and the next one knows that nobody can say whether the host took
them: in doubt. So that few are ever in doubt, no more than one document a session is marked at any moment;
acknowledgments go in groups, because they are simply sent again (the partner recognises their number).

Every attempt sends the same bytes with the same Message-ID and control numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

from sqlalchemy import update

from gateway.errors import ConfigurationFault, GatewayError, SmtpCrowded, SmtpInterrupted, TemporarilyRefused
from gateway.flow import outcome
from gateway.flow.context import Context
from gateway.flow.lanes import Attempt, Sender, is_away, next_lane
from gateway.flow.pace import Pace
from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import DueMail, due_mails, interrupted_mails, taken_since
from gateway.mail.model import TransportSession
from gateway.mail.verp import Tokens
from gateway.settings import SmtpSettings

ACKNOWLEDGMENTS_AT_ONCE = 50  # marked and settled with one commit each; a document always goes alone
_REBUFFS = 3  # connections that the host breaks in a row before it counts as away
_MINUTE = 60_000  # ms


def dispatch(context: Context) -> None:
    """Sends everything that is due. An SMTP host that is away is reported, once; its mails wait."""
    context.reporter.step("send")
    settle_interrupted(context)
    if context.transport is None or context.settings.smtp is None:
        _complain_without_transport(context)
        return
    smtp = context.settings.smtp
    with (
        context.transport.sessions(smtp.connections) as sessions,
        ThreadPoolExecutor(smtp.connections, "smtp") as threads,
    ):
        _Run(context, smtp, sessions, threads).run()


def _complain_without_transport(context: Context) -> None:
    with context.ledger.reading() as connection:
        waiting = due_mails(connection, context.clock(), 1)
    if waiting:
        fault = ConfigurationFault(reason="gateway.toml has no [smtp] section, so nothing can be sent")
        context.reporter.trouble(fault, "smtp")


def settle_interrupted(context: Context) -> None:
    """What a process was sending when it died is in doubt; the home's lock says that nobody sends it now."""
    with context.ledger.reading() as connection:
        interrupted = interrupted_mails(connection)
    if not interrupted:
        return
    with context.ledger.transaction() as recorder:
        for mail in interrupted:
            outcome.doubt(context, recorder, mail, "the process ended while it was handing the mail over")


class _Run:
    """One run over everything that is due: which sessions are free, and what the others have in hand."""

    def __init__(
        self,
        context: Context,
        smtp: SmtpSettings,
        sessions: Sequence[TransportSession],
        threads: ThreadPoolExecutor,
    ) -> None:
        self._context = context
        self._free = list(sessions)  # the last one is taken first: it is connected already
        self._threads = threads
        self._lanes: dict[Future[list[Attempt]], tuple[TransportSession, list[DueMail]]] = {}
        self._sender = Sender(_tokens(context, smtp), smtp.verp)
        self._pace = Pace(smtp.rate, _just_taken(context) if smtp.rate else 0)
        self._stop = Event()
        self._away = False
        self._tried: set[int] = set()  # what was not taken is not asked for again in this run
        self._rebuffs = 0
        self._waits = False  # whether something is due that the pace holds back
        self._done: list[Attempt] = []  # what is not in the ledger yet

    def run(self) -> None:
        """Until nothing is due any more, or the host is away."""
        try:
            while True:
                for lane in self._settle():
                    self._begin(lane)
                if not self._lanes and not self._waits:
                    return
                self._done = self._finished()
        except BaseException:
            self._abandon()
            raise

    def _settle(self) -> list[list[DueMail]]:
        """One commit: what came of the attempts, and the marks on what goes next."""
        attempts = self._done
        self._heed(attempts)
        with self._context.ledger.transaction() as recorder:
            if attempts:
                outcome.record(self._context, recorder, attempts)
            lanes = self._claim(recorder)
        self._done = []
        self._context.reporter.advance(len(attempts))
        return lanes

    def _heed(self, attempts: Sequence[Attempt]) -> None:
        """What the attempts say of the host."""
        for each in attempts:
            if each.taken is not None:
                self._rebuffs = 0
            elif each.fault is not None:
                if not isinstance(each.fault, SmtpCrowded):
                    self._tried.add(each.mail.exchange)
                self._rebuffs += _is_rebuff(each.fault)
                if is_away(each.fault) or self._rebuffs == _REBUFFS:
                    self._go_home(each.fault)

    def _go_home(self, fault: GatewayError) -> None:
        if not self._away:
            self._context.reporter.trouble(fault, "smtp")
        self._away = True
        self._stop.set()

    def _claim(self, recorder: Recorder) -> list[list[DueMail]]:
        """Marks the next mails as ``sending``, for each free session some."""
        lanes: list[list[DueMail]] = []
        busy = {mail.partner for _, lane in self._lanes.values() for mail in lane}
        self._waits = False
        while len(lanes) < len(self._free) and not self._away:
            due = due_mails(recorder.connection, recorder.now, ACKNOWLEDGMENTS_AT_ONCE, self._tried, busy)
            lane = next_lane(due, len(self._free) - len(lanes))
            room = self._pace.room(len(lane))
            self._waits = self._waits or room < len(lane)
            if not lane[:room]:
                break
            lane = lane[:room]
            self._pace.take(room)
            _mark(recorder, lane)
            busy.update(each.partner for each in lane)
            lanes.append(lane)
        return lanes

    def _begin(self, lane: list[DueMail]) -> None:
        session = self._free.pop()
        contents = self._context.ledger.contents([each.raw_sha256 for each in lane])
        future = self._threads.submit(self._sender.hand_over, session, lane, contents, self._stop)
        self._lanes[future] = session, lane

    def _finished(self) -> list[Attempt]:
        """Waits for lanes to end, or for the pace to let more go; what came of those that ended."""
        if not self._lanes:
            self._stop.wait(self._pace.delay())
            return []
        ended, _ = wait(self._lanes, self._pace.delay() if self._waits else None, FIRST_COMPLETED)
        results = {future: future.result() for future in ended}  # raises before anything is let go of
        found: list[Attempt] = []
        for future, attempts in results.items():
            session, _ = self._lanes.pop(future)
            found += attempts
            if any(isinstance(each.fault, SmtpCrowded) for each in attempts):
                self._context.reporter.happened("smtp connections refused")
            else:
                self._free.append(session)
        return found

    def _abandon(self) -> None:
        """Something ended this run: what others have in hand is ended in order, and kept."""
        self._stop.set()
        wait(self._lanes)
        ended = [future for future in self._lanes if future.exception() is None]
        attempts = [*self._done, *(each for future in ended for each in future.result())]
        with self._context.ledger.transaction() as recorder:
            outcome.record(self._context, recorder, attempts)


def _is_rebuff(fault: GatewayError) -> bool:
    closing = isinstance(fault, TemporarilyRefused) and str(fault.details.get("reply", "")).startswith("421")
    return closing or isinstance(fault, SmtpInterrupted)


def _tokens(context: Context, smtp: SmtpSettings) -> Tokens | None:
    if smtp.verp and context.tokens is None:
        raise ConfigurationFault(
            reason="smtp.verp needs the home's key, and there is none; `gateway doctor` tells more"
        )
    return context.tokens


def _just_taken(context: Context) -> int:
    with context.ledger.reading() as connection:
        return taken_since(connection, context.clock() - _MINUTE)


def _mark(recorder: Recorder, lane: Sequence[DueMail]) -> None:
    table = tables.outgoing
    recorder.connection.execute(
        update(table)
        .where(table.c.exchange.in_([each.exchange for each in lane]))
        .values(state="sending", attempts=table.c.attempts + 1)
    )
    for each in lane:
        if not each.rest:
            recorder.change(tables.exchange, each.exchange, state=ExchangeState.SENDING, updated_at=recorder.now)
        only: dict[str, Any] = {"recipients": ", ".join(each.recipients)} if each.rest else {}
        recorder.event("sending", exchange=each.exchange, partner=each.partner, attempt=each.attempts + 1, **only)
