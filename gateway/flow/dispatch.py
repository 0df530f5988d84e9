"""Dispatch: what is due goes to the SMTP host, over several connections side by side, and what the host said is kept.

Only this thread writes the ledger. It marks mails as ``sending``, durably, before their first byte; threads hand them
over, one session each; then one commit keeps what came of them and marks what goes next. No partner waits for another:
each session is given its next mails as soon as it is free, and a partner's mails go through one session at a time, in
the order of their exchanges.

A process that dies meanwhile leaves mails marked, and the next one knows that nobody can say whether the host took
them: in doubt. So that few are ever in doubt, no more than one document a session is marked at any moment;
acknowledgments go in groups, because they are simply sent again (the partner recognises their number).

Every attempt sends the same bytes with the same Message-ID and control numbers. Nothing goes to a partner that was
suspended or has ended since, nor to an address that its profile names no more (see ``redirect``).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import partial
from threading import Event
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.errors import (
    ConfigurationFault,
    DiskFailed,
    GatewayError,
    LeaseLost,
    SmtpCrowded,
    SmtpInterrupted,
    TemporarilyRefused,
)
from gateway.flow import outcome
from gateway.flow.anew import await_anew
from gateway.flow.context import Context
from gateway.flow.lanes import Attempt, Sender, is_away, next_lane
from gateway.flow.order import Order
from gateway.flow.pace import Pace
from gateway.flow.patience import patiently
from gateway.flow.redirect import redirected
from gateway.flow.reporter import Held
from gateway.flow.stops import stops_of
from gateway.flow.turf import INTERRUPTED, Turf
from gateway.ledger import bulk, tables
from gateway.ledger.leases import SENT, SharedLeases, holding, take_turns_over
from gateway.ledger.literals import whole, word
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import DueMail, due_mails, interrupted_mails, taken_since
from gateway.mail.model import Transport, TransportSession
from gateway.mail.verp import Tokens
from gateway.settings import SmtpSettings

ACKNOWLEDGMENTS_AT_ONCE = 100  # marked and settled with one commit each; a document always goes alone
_REBUFFS = 3  # connections that the host breaks in a row before it counts as away
_MINUTE = 60_000  # ms
_APART = _MINUTE  # by which the clocks of machines that share a ledger may differ


def dispatch(context: Context) -> None:
    """Sends everything that is due. An SMTP host that is away is reported, once; its mails wait."""
    context.reporter.step("send")
    leases = context.leases
    if not isinstance(leases, SharedLeases):
        settle_interrupted(context)
    if context.transport is None or context.settings.smtp is None:
        _complain_without_transport(context)
        return
    smtp = context.settings.smtp
    _bring_forward(context)
    if not isinstance(leases, SharedLeases):
        _send(context, smtp, context.transport, None)
        return
    # So many mails a minute are so many of all workers together.
    with holding(leases, "smtp rate") if smtp.rate else nullcontext(True) as allowed:
        if allowed:
            _send(context, smtp, context.transport, Turf(context, leases))


def _send(context: Context, smtp: SmtpSettings, transport: Transport, turf: Turf | None) -> None:
    with (
        transport.sessions(smtp.connections) as sessions,
        ThreadPoolExecutor(smtp.connections, "smtp") as threads,
    ):
        _Run(context, smtp, sessions, threads, turf).run()


def _complain_without_transport(context: Context) -> None:
    with context.ledger.reading() as connection:
        waiting = due_mails(connection, context.clock(), 1, stops=stops_of(context.directory))
    if waiting:
        fault = ConfigurationFault(reason="gateway.toml has no [smtp] section, so nothing can be sent")
        context.reporter.trouble(fault, "smtp")


def _bring_forward(context: Context) -> None:
    """What waits for a time that the clock meant before it was set back is due now, not when that time comes again.

    A mail that was never tried waits for nothing, and no pause is longer than the longest.
    """
    o, now = tables.outgoing.c, context.clock()
    longest = now + 2 * outcome.LONGEST_PAUSE
    astray = (o.state == "ready", o.next_at > now + _APART, or_(o.attempts == 0, o.next_at > longest))
    with context.ledger.reading() as connection:
        found = connection.execute(select(o.exchange).where(*astray).limit(1)).first()
    if found is not None:
        with context.ledger.transaction() as recorder:
            recorder.connection.execute(update(tables.outgoing).where(*astray).values(next_at=now))


def settle_interrupted(context: Context) -> None:
    """What a process was sending when it died is in doubt; the home's lock says that nobody sends it now."""
    with context.ledger.reading() as connection:
        interrupted = interrupted_mails(connection)
    if not interrupted:
        return
    with context.ledger.transaction() as recorder:
        for mail in interrupted:
            outcome.doubt(context, recorder, mail, INTERRUPTED)


class _Run:
    """One run over everything that is due: which sessions are free, and what the others have in hand."""

    def __init__(
        self,
        context: Context,
        smtp: SmtpSettings,
        sessions: Sequence[TransportSession],
        threads: ThreadPoolExecutor,
        turf: Turf | None,
    ) -> None:
        self._context = context
        self._turf = turf  # None: we send for everybody
        self._free = list(sessions)  # the last one is taken first: it is connected already
        self._threads = threads
        self._lanes: dict[Future[list[Attempt]], tuple[TransportSession, list[DueMail]]] = {}
        self._sender = Sender(_tokens(context, smtp), smtp.verp, turf.is_fresh if turf else bool)
        self._pace = Pace(smtp.rate, _just_taken(context) if smtp.rate else 0)
        self._stop = Event()
        self._away = False
        self._order = Order(context.directory)
        self._stops = stops_of(context.directory)
        self._from = smtp.sender
        self._tried: set[int] = set()  # what was not taken, or waits for that, is not asked for again in this run
        self._rebuffs = 0
        self._waits = False  # whether something is due that the pace holds back
        self._done: list[Attempt] = []  # what is not in the ledger yet

    def run(self) -> None:
        """Until nothing is due any more, or the host is away."""
        try:
            while True:
                self._begin(self._settle())
                if not self._lanes and not self._waits and not self._goes_on():
                    return
                self._done = self._finished()
        except DiskFailed:
            # Whether the last commit is there, nobody knows: it is not made again. The next run looks what there is.
            self._stop.set()
            wait(self._lanes)
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            if self._turf is not None:
                self._turf.let_go(self._turf.partners)

    def _goes_on(self) -> bool:
        """Whether more is due that others have left to us, because its partner was ours until now."""
        if self._turf is None or self._away or self._context.stopping():
            return False
        self._turf.let_go(self._turf.partners)
        return self._turf.is_more_due(self._tried)

    def _settle(self) -> list[list[DueMail]]:
        """One commit: what came of the attempts, and the marks on what goes next."""
        attempts = self._done
        self._heed(attempts)
        lanes = self._commit(attempts, claims=True)
        self._done = []
        while not lanes and self._turf is not None and not self._away and self._free and self._turf.widen(self._tried):
            lanes = self._commit([], claims=True)
        self._context.reporter.advance(len(attempts))
        return lanes

    def _commit(self, attempts: Sequence[Attempt], *, claims: bool) -> list[list[DueMail]]:
        """Keeps what came of the attempts, once; where others are at work only for partners that are ours still."""
        while True:
            if self._turf is not None:
                attempts = [each for each in attempts if self._turf.has(each.mail.partner)]
            try:
                return patiently(self._context, partial(self._write, attempts, claims))
            except LeaseLost as fault:
                if self._turf is None:
                    raise
                self._turf.lose(fault)

    def _write(self, attempts: Sequence[Attempt], claims: bool, unsure: bool) -> list[list[DueMail]]:
        held = Held(self._context.reporter)
        context = replace(self._context, reporter=held)
        partners = self._turf.partners if self._turf is not None else []

        def work(recorder: Recorder) -> list[list[DueMail]]:
            held.forget()
            take_turns_over(recorder.connection, {each.mail.partner for each in attempts}, SENT)
            for fence in self._turf.fences(partners) if self._turf is not None else ():
                fence.hold(recorder.connection)
            wanted = attempts
            if unsure:
                wanted = outcome.not_yet(recorder, attempts)
                begun = {mail.exchange for _, lane in self._lanes.values() for mail in lane}
                outcome.unmark(recorder, partners, begun | {each.mail.exchange for each in attempts})
            if wanted:
                outcome.record(context, recorder, wanted)
            return self._claim(recorder) if claims else []

        lanes = self._context.ledger.write(work)
        held.tell()
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
        only = None if self._turf is None else [each for each in self._turf.partners if self._turf.is_fresh(each)]
        while len(lanes) < len(self._free) and not self._away and not self._context.stopping():
            due = self._order.turn(
                recorder.connection,
                recorder.now,
                self._tried,
                lambda: due_mails(
                    recorder.connection, recorder.now, ACKNOWLEDGMENTS_AT_ONCE, self._tried, busy, only, self._stops
                ),
            )
            lane = next_lane(due, len(self._free) - len(lanes))
            room = self._pace.room(len(lane))
            self._waits = self._waits or room < len(lane)
            if not lane[:room]:
                break
            busy.update(each.partner for each in lane)
            lane = _mark(recorder, [redirected(self._context.directory, self._from, each) for each in lane[:room]])
            await_anew(self._context, recorder, lane)
            self._pace.take(len(lane))
            if lane:
                lanes.append(lane)
        return lanes

    def _begin(self, lanes: list[list[DueMail]]) -> None:
        names = [each.raw_sha256 for lane in lanes for each in lane]
        try:
            contents = patiently(self._context, lambda _: self._context.ledger.contents(names)) if names else {}
        except GatewayError:
            self._done += [Attempt(mail) for lane in lanes for mail in lane]  # none was begun
            raise
        for lane in lanes:
            session = self._free.pop()
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
        if attempts:
            self._commit(attempts, claims=False)


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


def _mark(recorder: Recorder, lane: Sequence[DueMail]) -> list[DueMail]:
    """Marks mails as being sent, and returns those that are: of others it has become known meanwhile that they were."""
    connection = recorder.connection
    exchanges = bulk.listed(connection, [each.exchange for each in lane])
    mark = partial(_marking, connection)
    marked = {exchange for (exchange,) in bulk.asked(connection, "mark mails", mark, {"exchanges": exchanges})}
    lane = [each for each in lane if each.exchange in marked]
    for each in lane:
        if not each.rest:
            recorder.change(tables.exchange, each.exchange, state=ExchangeState.SENDING, updated_at=recorder.now)
        only: dict[str, Any] = {}
        if each.rest or each.redirected:
            only["recipients"] = ", ".join(each.recipients)
        recorder.event("sending", exchange=each.exchange, partner=each.partner, attempt=each.attempts + 1, **only)
    return lane


def _marking(connection: Connection) -> ReturningUpdate[Any]:
    table = tables.outgoing
    # All that is ready may be very many: an index of that would be the wrong one.
    state = func.coalesce(table.c.state, word(""))
    ready = bulk.among(connection, table.c.exchange, "exchanges"), state == word("ready")
    marked = {"state": word("sending"), "attempts": table.c.attempts + whole(1)}
    return update(table).where(*ready).values(marked).returning(table.c.exchange)
