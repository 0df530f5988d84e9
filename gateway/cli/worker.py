"""``gateway worker``: one of many that share a ledger on PostgreSQL."""

from __future__ import annotations

import gc
import hashlib
import json
import socket
import time
from collections import Counter
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_line

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.errors import GatewayError
    from gateway.flow.log import Log
    from gateway.flow.work_units import Crew
    from gateway.jobs.schedule import Pacer
    from gateway.jobs.worker import Beat, Plan


@click.command("worker")
@json_option
@click.option("--once", is_flag=True, help="Do everything that is due, and what follows from it, and end (for cron).")
@click.option("--concurrency", type=click.IntRange(1, 64), help="How many jobs at once (default: gateway.toml).")
@click.pass_context
def command(ctx: click.Context, as_json: bool, once: bool, concurrency: int | None) -> int:
    """Collect, process, deliver and send beside other workers, on any number of machines, until SIGTERM or SIGINT.

    Each machine has a copy of the home (gateway.toml and secret.key); the ledger is on PostgreSQL, and decides who
    does what. A worker may be killed at any moment: others take over when its lease has ended.

    What is running when the signal comes is finished first. With --json every job tells what it did, one line each.
    With --once the exit codes are those of `gateway night`.

    Example: gateway --home /srv/edi worker --concurrency 8
    """
    from gateway.app import open_app, telling_without_ledger
    from gateway.cli.reporting import is_debugging
    from gateway.errors import WorkersNeedPostgres
    from gateway.flow.check_running import WORKER
    from gateway.flow.configuration import note
    from gateway.flow.log import logged
    from gateway.jobs.schedule import Pacer
    from gateway.ledger.database import shown

    with (
        logged(ctx.obj["home"]) as log,
        telling_without_ledger(ctx.obj["home"]),
        open_app(ctx.obj["home"], actor=WORKER) as app,
        closing(Pacer()) as pacer,
        pacer.signals(),
    ):
        if app.engine.dialect.name != "postgresql":
            raise WorkersNeedPostgres(url=shown(app.engine.url))
        _check(app)
        note(app.ledger, app.settings)
        app.stopping = lambda: pacer.stopped
        app.ledger.listener = log.heard
        worker = _Worker(app, pacer, log, as_json=as_json, debug=is_debugging())
        return worker.run(concurrency or app.settings.worker.concurrency, once=once)


def _check(app: App) -> None:
    """The ledger and the queue are those that this program and this home know; how far they came is kept outside.

    Raises:
        ConfigurationFault: they are not.
    """
    from gateway.flow import checkpoint
    from gateway.jobs.queue import require
    from gateway.ledger.database import check, guarded

    check(app.engine)
    with guarded(app.engine):
        require(app.engine)
    checkpoint.verify(app.home, app.ledger)
    checkpoint.keep(app.home, app.ledger)


class _Worker:
    """The plan of one worker, and what it says."""

    def __init__(self, app: App, pacer: Pacer, log: Log, *, as_json: bool, debug: bool = False) -> None:
        self._app = app
        self._log = log
        self._pacer = pacer
        self._as_json = as_json
        self._debug = debug
        self._started = app.now()
        self._counts: Counter[str] = Counter()
        self._troubles: list[tuple[str, GatewayError]] = []
        self._away_since: float | None = None  # since when the database cannot be used

    def run(self, concurrency: int, *, once: bool) -> int:
        from gateway.errors import DatabaseUnavailable
        from gateway.flow import checkpoint
        from gateway.flow.work_units import Crew
        from gateway.jobs import worker

        crew = Crew(self._app.context, self._app.settings.interval.total_seconds())
        gc.collect()
        gc.freeze()  # what is loaded stays: no collection needs to look at it again
        self._say("started", {"concurrency": concurrency, "cpu_seconds": round(time.process_time(), 2)})
        worker.run(self._plan(crew, concurrency), self._pacer, once=once)
        with suppress(DatabaseUnavailable):
            checkpoint.keep(self._app.home, self._app.ledger)
        self._say("ended", {"cpu_seconds": round(time.process_time(), 2), "counts": dict(self._counts)})
        return self._exit_code() if once else 0

    def _plan(self, crew: Crew, concurrency: int) -> Plan:
        from gateway.flow.work_units import UNITS
        from gateway.jobs.queue import QUEUE, conninfo
        from gateway.jobs.worker import Plan
        from gateway.ledger.postgres_sessions import PARAMETERS

        return Plan(
            conninfo=conninfo(self._app.engine),
            parameters=PARAMETERS,
            check=partial(_check, self._app),
            work={name: partial(self._do, crew, name) for name in UNITS},
            beats=self._beats(),
            queues=(QUEUE, self._own_queue),
            concurrency=concurrency,
            stalled=self._app.settings.worker.lease.total_seconds(),
            say=self._trouble,
            pulse=self._pulse,
        )

    def _beats(self) -> list[Beat]:
        from gateway.jobs.worker import Beat

        settings = self._app.settings
        interval = settings.interval.total_seconds()
        return [
            *(Beat("collect", box.name, interval) for box in settings.mailboxes),
            Beat("submit", self._own_queue, min(interval, 60.0), self._own_queue),
            Beat("sweep", "", settings.worker.sweep.total_seconds()),
            Beat("housekeeping", "", min(interval, 60.0)),
        ]

    @property
    def _own_queue(self) -> str:
        """For what only this machine can do: its outbox is a directory of its own."""
        place = f"{socket.gethostname()} {self._app.settings.outbox}"
        return f"outbox {hashlib.sha256(place.encode()).hexdigest()[:24]}"  # a channel's name has 63 bytes

    def _exit_code(self) -> int:
        from gateway.flow.night import Summary

        return Summary(0, self._started, self._app.now(), dict(self._counts), tuple(self._troubles)).exit_code

    # ------------------------------------------------------------ telling

    def _do(self, crew: Crew, name: str, about: str) -> None:
        from gateway.errors import DatabaseUnavailable

        began = time.perf_counter()
        tally = crew.do(name, about)
        if not any(isinstance(fault, DatabaseUnavailable) for _, fault in tally.troubles):
            self._away_since = None
        self._counts.update(tally.counts)
        for where, fault in tally.troubles:
            self._trouble(where, fault)
        if tally.counts:
            seconds = round(time.perf_counter() - began, 3)
            self._say("job", {"job": name, "about": about, "seconds": seconds, "counts": dict(tally.counts)})

    def _heed(self, where: str, fault: GatewayError) -> None:
        """A database that is away for longer than a lease is told by the rules that want to know, without it."""
        from gateway.app import tell_that_it_is_away
        from gateway.errors import DatabaseUnavailable

        if where != "queue" or not isinstance(fault, DatabaseUnavailable):
            return
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= self._app.settings.worker.lease.total_seconds():
            tell_that_it_is_away(self._app.settings.home, fault)

    def _pulse(self) -> None:
        """How much waits, and how much this worker did so far: a sign of life."""
        from gateway.ledger import waiting as left

        with self._app.ledger.reading() as connection:
            waiting = {
                "messages stored": left.messages_waiting(connection),
                "deliveries due": left.deliveries_waiting(connection),
                "mails waiting": left.mails_waiting(connection, self._app.now()),
            }
        self._say("health", {"waiting": waiting, "counts": dict(self._counts)})

    def _trouble(self, where: str, fault: GatewayError) -> None:
        from gateway.cli.reporting import say_tracebacks

        self._heed(where, fault)
        self._troubles = [*self._troubles[-99:], (where, fault)]
        self._log.trouble(fault, where)
        say_tracebacks([fault.behind], debug=self._debug)
        if self._as_json:
            click.echo(json.dumps({"event": "trouble", "where": where, **fault.as_dict()}, ensure_ascii=False))
        elif not self._log.on_stderr:
            print_line(f"{where}: {fault} ({fault.code})", err=True)

    def _say(self, event: str, body: dict[str, object]) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": event, "at": self._app.now(), **body}, ensure_ascii=False))
            return
        if self._log.on_stderr:
            about = {name: value for name, value in body.items() if isinstance(value, str | int | float)}
            self._log.say("worker", told=event, **about)
            return
        numbers = body.get("waiting") or body.get("counts")
        done = ", ".join(f"{number} {name}" for name, number in numbers.items()) if isinstance(numbers, dict) else ""
        what = f"{body['job']} {body['about']}".strip() if event == "job" else f"worker {event}"
        click.echo(f"{what}: {done}" if done else what, err=True)
