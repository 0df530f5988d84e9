# ruff: noqa: SLF001 - what the flow writes is written by its own functions, whoever may call them
"""Whole lives of exchanges, recorded as the flow records them.

Each step of the flow is one transaction for a group. What the flow's own functions write from values is written by
them: collecting, recording, queueing, sending, delivering. Its questions (is this a duplicate, what does this 997
answer) and what it computes (parsing, judging, composing) are left out or made beforehand: this measures recording.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from _ledger_made import Maker
from _ledger_world import MAILBOXES, OURS, US, Job, World
from sqlalchemy import Engine, delete, select

from gateway.errors import GatewayError, TemporarilyRefused
from gateway.flow import acknowledge, collect, deliver, dispatch, envelope, inbound, outcome, series
from gateway.flow.case import Case
from gateway.flow.context import Context
from gateway.flow.duplicates import interchange_key
from gateway.flow.lanes import Attempt
from gateway.flow.overdue import overdue
from gateway.flow.record import Entry, record_exchange, record_message, record_payload
from gateway.ledger import tables
from gateway.ledger.mailboxes import messages_of
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import DueMail, due_deliveries, due_mails
from gateway.mail.model import Handover
from gateway.settings import Settings, SmtpSettings
from gateway.settings.model import Limits
from gateway.x12.model import Status

_STATES = {
    "stranger": ExchangeState.QUARANTINED,
    "rejected": ExchangeState.REJECTED,
    "duplicate": ExchangeState.DUPLICATE,
}
_HOUR, _DAY = 3_600_000, 86_400_000  # ms


class Quiet:
    """A reporter that nobody hears."""

    def step(self, name: str, total: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def happened(self, what: str, count: int = 1) -> None: ...

    def trouble(self, fault: GatewayError, where: str) -> None: ...


@dataclass(slots=True)
class Clocks:
    """Where the time went, in seconds, and what was done in it."""

    making: float = 0.0  # values, which a running gateway gets from its partners
    asking: float = 0.0  # what is due, and under which ids
    recording: float = 0.0
    recording_cpu: float = 0.0
    commits: int = 0
    exchanges: int = 0
    read: int = 0  # bytes, by this process: on SQLite the database's
    written: int = 0
    found: int = 0  # exchanges that were there when these clocks began: copied, not recorded


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A sent exchange that a 997 is about, with the rows that the 997 speaks of."""

    exchange: int
    state: str
    partner: str
    overdue_at: int | None
    group: int
    functional_id: str
    number: str
    sets: tuple[tuple[int, str, str], ...]  # id, ST01, ST02


class Life:
    """Lets a world happen to a ledger.

    Args:
        engine: a migrated ledger.
        world: what happens.
        group: how many mails or documents are recorded with one commit.
        payload: bytes of each mail and interchange; every one differs.
        alone: nobody else loads the same ledger; else others have other partners.
    """

    def __init__(
        self, engine: Engine, world: World, group: int = 100, payload: int = 24, *, alone: bool = True
    ) -> None:
        self.world, self.group = world, group
        self.ours = None if alone else {each.key for each in world.traders}  # partners; None: all
        self.now = world.now
        self.clocks = Clocks()
        self.made = Maker(world, payload)
        self.ledger = Ledger(engine, lambda: self.now)
        self.context = Context(
            settings=Settings(
                home=Path("/"), name="Example Co", domain="example-co.example", identities=(OURS,), database_url="",
                smtp=SmtpSettings(host="smtp.example-co.example", user="edi", sender=US),
            ),
            ledger=self.ledger,
            directory=self.made.directory,
            mailboxes=(),
            transport=None,
            handover=lambda _delivery, _partner: None,  # type: ignore[arg-type,return-value]
            reporter=Quiet(),
            clock=lambda: self.now,
            limits=Limits(),
        )  # fmt: skip
        self.turns = 0

    def run(self, exchanges: int, tell: Any = None, stop: Any = None) -> None:
        """Until so many exchanges are recorded, or ``stop()`` says so."""
        with self._canned():
            while self.clocks.exchanges < exchanges and not (stop and stop()):
                self.turn()
                if tell:
                    tell(self.clocks)

    def turn(self) -> None:
        """What comes and goes in a stretch of time."""
        with self._timed("making"):
            jobs = self.world.turn(self.group)
            self.now = self.world.now
            ways: defaultdict[str, list[Job]] = defaultdict(list)
            for job in jobs:
                ways[job.way].append(job)
        self._receive(ways["in"])
        self._submit(ways["out"])
        self._send()
        self._deliver()
        if ways["hand"]:
            self._by_hand(ways["hand"])
        self.turns += 1
        if self.turns % 20 == 0 and self.world.share[0] == 0:
            with self._timed("recording"):
                overdue(self.context)

    # ------------------------------------------------------------ in

    def _receive(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        with self._timed("asking"):
            awaiting = self._awaiting([job.about for job in jobs if job.fate.startswith("997")])
        with self._timed("making"):
            arriving = [self.made.arriving(job, awaiting.get(job.about)) for job in jobs]
        self._collect(arriving)
        with self._timed("asking"), self.ledger.reading() as connection:
            ids = messages_of(connection, [each.sha256 for each in arriving])
        with self._timed("making"):
            self.now += 20_000
            cases = [self.made.case(each, ids[each.sha256], self.now - 20_000) for each in arriving]
        with self._timed("recording"):
            inbound._count_attempts(self.context, [case.message.id for case in cases])
            self.clocks.commits += 1
        with self._recording() as recorder:
            came: list[tuple[Entry, int]] = []
            for each, case in zip(arriving, cases, strict=True):
                self._process(recorder, case, awaiting.get(each.job.about), each.job, came)
            series.record(self.context, recorder, came)
            self._forget_awaited(recorder, [each.job.about for each in arriving if each.job.fate.startswith("997")])
        self.clocks.exchanges += sum(len(case.interchanges) for case in cases)

    def _collect(self, mails: Sequence[Any]) -> None:
        name, user = MAILBOXES[self.turns % len(MAILBOXES)]
        box = SimpleNamespace(name=name, host="mail.example-co.example", user=user)
        visit = collect._Visit(self.context, box, SimpleNamespace(), keep_on_server=False, keep_for=None)
        visit.deleted = [each.fetched.listed.uid for each in mails]
        with self._timed("recording"):
            collect._store(visit, [each.fetched for each in mails], [each.sha256 for each in mails])
            collect._forget(visit)
            self.clocks.commits += 2

    def _process(
        self, recorder: Recorder, case: Case, awaiting: Awaiting | None, job: Job, came: list[tuple[Entry, int]]
    ) -> None:
        """One message, as ``acknowledge.acknowledge`` records it."""
        record_message(recorder, case, case.partner.key if case.partner else "")
        if job.fate == "bounce":
            self._bounced(recorder, case, job.about)
        for payload, interchange in case.interchanges:
            row = record_payload(recorder, case, payload)
            sha256 = recorder.keep(interchange.raw, owner=case.partner.key if case.partner else None)
            state = _STATES.get(job.fate)
            original = job.about if job.fate == "duplicate" else None
            entry = Entry(
                case, payload, row, interchange, sha256, state or ExchangeState.ACCEPTED, case.fault, original
            )
            exchange = record_exchange(recorder, entry)
            acknowledge._tell(self.context, recorder, entry, exchange)
            if state in {None, ExchangeState.REJECTED}:
                self._settle(recorder, entry, exchange, awaiting, job)
                came.append((entry, exchange))
            elif state is ExchangeState.QUARANTINED:
                self.world.plan(self.now + 2 * _DAY, "hand", job.trader, about=exchange, fate="discarded")

    def _settle(self, recorder: Recorder, entry: Entry, exchange: int, awaiting: Awaiting | None, job: Job) -> None:
        header = entry.interchange.report.header
        assert header is not None
        recorder.put(tables.interchange_key, key=interchange_key(header), exchange=exchange)
        if awaiting is not None:
            self._reconcile(recorder, entry, exchange, awaiting)
        if not entry.interchange.only_acknowledges:
            acknowledge._answer(self.context, recorder, entry, exchange)
            self.clocks.exchanges += 1
            self.made.remember(job, exchange, entry.interchange)
        if entry.state is ExchangeState.REJECTED:
            self.world.plan(self.now + 3 * _DAY, "hand", job.trader, about=exchange, fate="settled")
        else:
            acknowledge._conclude(recorder, entry, exchange, matched=awaiting is not None)

    def _reconcile(self, recorder: Recorder, entry: Entry, carrier: int, to: Awaiting) -> None:
        """What ``reconcile`` writes for a 997 that names every set, its questions left out."""
        x, partner = tables.exchange, to.partner
        ack = entry.interchange.report.group_acks[0]
        common = {"at": recorder.now, "carrier": carrier, "exchange": to.exchange, "functional_group": to.group}
        common |= {"kind": "997", "relation": "matched"}
        names = f"{to.functional_id} {to.number}"
        recorder.add(tables.acknowledgment, **common, status=ack.status, names=names, errors="[]")
        recorder.event(
            "acknowledgment", exchange=to.exchange, partner=partner, kind="997", status=ack.status, group=to.number,
            accepted=ack.accepted, received=ack.received, relation="matched", carrier=carrier,
        )  # fmt: skip
        said = {"acknowledged": ack.status, "acknowledged_at": recorder.now}
        recorder.change(tables.functional_group, to.group, **said)
        for (row, set_id, number), each in zip(to.sets, ack.sets, strict=True):
            recorder.change(tables.transaction_set, row, **said)
            recorder.add(
                tables.acknowledgment, **common, transaction_set=row, status=each.status, names=f"{set_id} {number}",
                codes=" ".join(each.codes), errors=json.dumps(each.errors),
            )  # fmt: skip
        if to.overdue_at is not None:
            recorder.event("late", exchange=to.exchange, kind="functional", by_ms=recorder.now - to.overdue_at)
        state = ExchangeState.REFUSED if ack.status is Status.REJECTED else ExchangeState.ACKNOWLEDGED
        recorder.change(
            x, to.exchange, state=state, verdict=ack.status, updated_at=recorder.now, settled_at=None,
            acknowledged_at=recorder.now,
        )  # fmt: skip

    def _forget_awaited(self, recorder: Recorder, exchanges: Sequence[int]) -> None:
        table = tables.expectation
        if exchanges:
            recorder.connection.execute(delete(table).where(table.c.exchange.in_(exchanges)))

    def _bounced(self, recorder: Recorder, case: Case, exchange: int) -> None:
        partner = self.world.traders[0].key
        recorder.event(
            "bounced", exchange=exchange, message=case.message.id, partner=partner, recipient=US, status="5.1.1",
            reason="550 5.1.1 User unknown",
        )  # fmt: skip
        recorder.change(
            tables.exchange, exchange, state=ExchangeState.BOUNCED, updated_at=recorder.now, settled_at=None
        )

    def _awaiting(self, exchanges: Sequence[int]) -> dict[int, Awaiting]:
        x, g, s, e = tables.exchange.c, tables.functional_group.c, tables.transaction_set.c, tables.expectation.c
        with self.ledger.reading() as connection:
            sets: defaultdict[int, list[tuple[int, str, str]]] = defaultdict(list)
            wanted = select(s.functional_group, s.id, s.set_id, s.control_number).where(s.exchange.in_(exchanges))
            for row in connection.execute(wanted.order_by(s.id)):
                sets[row[0]].append((row[1], row[2], row[3]))
            rows = connection.execute(
                select(x.id, x.state, x.partner, e.overdue_at, g.id, g.functional_id, g.control_number)
                .join_from(tables.exchange, tables.functional_group, g.exchange == x.id)
                .outerjoin(tables.expectation, e.exchange == x.id)
                .where(x.id.in_(exchanges))
            ).all()
        return {row[0]: Awaiting(*row, tuple(sets[row[4]])) for row in rows}

    # ------------------------------------------------------------ out

    def _submit(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        with self._timed("making"):
            outbounds = [self.made.outbound(job) for job in jobs]
        with self._recording("scheduler") as recorder:
            found = [envelope.queue(self.context, recorder, each) for each in outbounds]
        self.clocks.exchanges += len(found)
        self.made.submitted |= {exchange: job.trader for exchange, job in zip(found, jobs, strict=True)}

    def _send(self) -> None:
        """Marked and sent, so many at a time; each commit keeps what came of some and marks the next."""
        attempts: list[Attempt] = []
        tried: set[int] = set()
        while True:
            self.now += 5_000
            with self._timed("asking"), self.ledger.reading() as connection:
                due = due_mails(connection, self.now, self.group, tried, only=self.ours)
            if not due and not attempts:
                return
            with self._recording() as recorder:
                if attempts:
                    outcome.record(self.context, recorder, attempts)
                lane = dispatch._mark(recorder, due) if due else []
            with self._timed("making"):
                self._expect([each.mail for each in attempts if each.taken is not None])
                attempts = [self._attempt(mail) for mail in lane]
                tried |= {mail.exchange for mail in lane}

    def _attempt(self, mail: DueMail) -> Attempt:
        if mail.attempts == 0 and self.world.chance.random() < 0.005:
            reply = "451 4.7.1 Greylisting in action, please come back later"
            return Attempt(mail, fault=TemporarilyRefused(host="smtp.example-co.example", reply=reply))
        queue_id = f"4{self.world.chance.getrandbits(60):015X}"
        reply = f"250 2.0.0 Ok: queued as {queue_id}"
        return Attempt(mail, taken=Handover("smtp.example-co.example", reply, queue_id=queue_id))

    def _expect(self, mails: Sequence[DueMail]) -> None:
        """What the partners will say of what was sent."""
        chance, plan = self.world.chance, self.world.plan
        for mail in mails:
            trader = self.made.submitted.pop(mail.exchange, None)
            if trader is None:
                continue
            roll = chance.random()
            if roll < 0.002:
                plan(self.now + chance.randrange(_HOUR), "in", trader, about=mail.exchange, fate="bounce")
            elif roll < 0.006:  # never comes: a person asks by telephone in the end
                plan(self.now + 20 * _DAY, "hand", trader, about=mail.exchange, fate="acknowledged-by-hand")
            else:
                late = chance.randrange(26 * _HOUR, 90 * _HOUR) if roll < 0.02 else chance.randrange(8 * _HOUR)
                fate = "997 rejected" if 0.02 < roll < 0.035 else "997"
                plan(self.now + late, "in", trader, about=mail.exchange, fate=fate)

    def _deliver(self) -> None:
        after = 0
        while True:
            self.now += 5_000
            with self._timed("asking"), self.ledger.reading() as connection:
                found = due_deliveries(connection, self.group, 1 << 40, after)
                due = [each for each in found if self.ours is None or each.partner in self.ours]
            if not found:
                return
            after = found[-1].id
            if not due:
                continue
            with self._timed("making"):
                done = {each.id: [self._done(each, one) for one in each.sets] for each in due}
            with self._recording() as recorder:
                deliver._record(recorder, due, done, {})

    def _done(self, exchange: Any, due: Any) -> Any:
        name = f"{due.set_id}_{exchange.sender.partition(':')[2]}_{exchange.control_number}"
        target = f"/srv/gateway/inbox/{exchange.partner}/{name}_{due.group_control_number}_{due.control_number}"
        sha256 = hashlib.sha256(target.encode()).hexdigest()
        return deliver._Done(due, f"{target}_x{exchange.id}.edi", None, sha256, 40 * exchange.size)  # type: ignore[arg-type]

    # ------------------------------------------------------------ people

    def _by_hand(self, jobs: Sequence[Job]) -> None:
        x = tables.exchange
        with self._recording("alice") as recorder:
            for job in jobs:
                partner = self.world.traders[job.trader].key
                values: dict[str, Any] = {"updated_at": recorder.now}
                body: dict[str, Any] = {"reason": "looked at with the partner, ticket 4711"}
                if job.fate == "discarded":
                    values["state"] = ExchangeState.DISCARDED
                elif job.fate == "settled":
                    values["settled_at"] = recorder.now
                else:
                    values |= {"state": ExchangeState.ACKNOWLEDGED, "verdict": "accepted"}
                    values["acknowledged_at"] = recorder.now
                    body["verdict"] = "accepted"
                recorder.change(x, job.about, **values)
                recorder.event(job.fate, exchange=job.about, partner=partner, **body)
            self._forget_awaited(recorder, [job.about for job in jobs if job.fate == "acknowledged-by-hand"])

    # ------------------------------------------------------------ measuring

    @contextmanager
    def _recording(self, actor: str | None = None) -> Iterator[Recorder]:
        """A transaction whose time counts."""
        with self._timed("recording"):
            with self.ledger.transaction(actor) as recorder:
                yield recorder
            self.clocks.commits += 1

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        wall = time.perf_counter() - wall
        setattr(self.clocks, what, getattr(self.clocks, what) + wall)
        if what == "recording":
            self.clocks.recording_cpu += time.process_time() - cpu

    @contextmanager
    def _canned(self) -> Iterator[None]:
        """Writing X12 and mails is not recording: both come out of a tin."""
        with (
            patch.object(envelope, "render", self.made.render),
            patch.object(envelope, "seal", self.made.seal),
            patch.object(acknowledge.x12, "functional_acknowledgment", self.made.functional_acknowledgment),
        ):
            yield
