"""One worker: takes jobs from the queue and does them, puts the periodic ones in, and clears up after dead workers.

Procrastinate carries the jobs. Each is done in a thread, for the work waits on sockets and on the database. Whatever
goes wrong with the queue itself (the database is away, somebody took us for dead) ends the engine, never the worker:
it begins again after a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import procrastinate
import psycopg
import psycopg_pool
from msgspec import Struct, field
from procrastinate import exceptions
from procrastinate.jobs import Job, Status

from gateway.errors import ConfigurationFault, DatabaseUnavailable, GatewayError, LeaseLost, unexpected
from gateway.jobs.queue import QUEUE, SCHEMA, lock, queueing_lock
from gateway.jobs.schedule import Pacer

PULSE = 60.0  # seconds
POLL = 1.0  # seconds until the queue is asked although nobody called
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 20.0  # seconds before the engine begins again
SWITCH = 0.0005  # seconds; a job that got its answer waits for one that computes, ten times as long by default
_ROUNDS = 10_000  # of draining the queue; each does at least one job

Work = Callable[[str], None]


class Beat(Struct, frozen=True):
    """A periodic job: its name, whom it is about, and every how many seconds. ``queue``: where it is put in."""

    name: str
    about: str
    every: float
    queue: str = QUEUE


class Plan(Struct, frozen=True):
    """What a worker does.

    ``work`` does the jobs, by name; a job that raises is as done as any other, for the ledger knows what is still due.
    ``check`` raises where it may not go on; it is called before a life of the engine, and twice in ``stalled`` seconds.
    ``parameters``: options of the sessions. ``stalled``: seconds without a sign of life after which a worker counts as
    dead.
    """

    conninfo: str
    parameters: str
    check: Callable[[], None]
    work: dict[str, Work]
    beats: Sequence[Beat]
    queues: Sequence[str] = (QUEUE,)
    concurrency: int = 4
    stalled: float = 60.0
    say: Callable[[str, GatewayError], None] = field(default=lambda _where, _fault: None)
    pulse: Callable[[], None] = field(default=lambda: None)  # called once in ``PULSE``


def run(plan: Plan, pacer: Pacer, *, once: bool = False) -> None:
    """Works until ``pacer`` is stopped; the jobs that are running then are finished first.

    Args:
        plan: what to do.
        pacer: stopped by a signal handler or another thread.
        once: every periodic job once, and what follows from it; then end.

    Raises:
        ConfigurationFault: it may not go on, as ``check`` says.
        GatewayError: with ``once``, the queue cannot be used.
    """
    for name in ("procrastinate", "psycopg.pool", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what they have to say, we say
    sys.setswitchinterval(SWITCH)
    pause = FIRST_PAUSE
    while not pacer.stopped:
        began = time.monotonic()
        try:
            plan.check()
            asyncio.run(_engine(plan, pacer, once=once))
        except ConfigurationFault:
            raise
        except Exception as problem:
            fault = _fault(problem, plan.conninfo)
            if once:
                raise fault from problem
            plan.say("queue", fault)
        if once:
            return
        if time.monotonic() - began > 2 * pause:
            pause = FIRST_PAUSE  # it worked for a while: what ended it may be over at once
        pacer.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        pause = min(2 * pause, LONGEST_PAUSE)


def _fault(problem: Exception, conninfo: str) -> GatewayError:
    if isinstance(problem, GatewayError):
        return problem
    if isinstance(problem.__cause__, psycopg.errors.ForeignKeyViolation):
        return LeaseLost(name="this worker's place in the queue", reason="it gave no sign of life for too long")
    away = (exceptions.ConnectorException, psycopg.Error, psycopg_pool.PoolTimeout, OSError)
    if isinstance(problem, away):
        cause = problem.__cause__ or problem
        if isinstance(cause, psycopg_pool.PoolTimeout):
            cause = _behind(cause, conninfo)
        return DatabaseUnavailable(reason=" ".join(str(cause).split()) or type(cause).__name__)
    return unexpected("the queue of jobs", problem)


def _behind(problem: Exception, conninfo: str) -> Exception:
    """Why no connection could be had: the pool says how long it tried, and what the server answered only to its log."""
    try:
        psycopg.connect(conninfo, connect_timeout=10).close()
    except psycopg.Error as reason:
        return reason
    return problem


async def _engine(plan: Plan, pacer: Pacer, *, once: bool) -> None:
    """One life of the engine, until it fails or we are to stop."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(plan.concurrency + 1, "job"))
    loop.set_exception_handler(lambda _loop, _context: None)  # jobs that others took from us while we slept
    app = _app(plan)
    async with app.open_async():
        await (_drain(app, plan, pacer) if once else _serve(app, plan, pacer))


def _app(plan: Plan) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=plan.conninfo,
        kwargs={
            "options": f"-c search_path={SCHEMA} {plan.parameters}",
            "connect_timeout": 10,
            "client_encoding": "utf8",
        },
        min_size=1,
        max_size=3,
        timeout=10,
    )
    app = procrastinate.App(connector=connector)
    for name, work in plan.work.items():
        app.task(name=name, queue=QUEUE)(_job(plan, name, work))
    return app


def _job(plan: Plan, name: str, work: Work) -> Callable[..., None]:
    def job(about: str = "", **_: object) -> None:
        try:
            work(about)
        except GatewayError as fault:
            plan.say(name, fault)
        except Exception as problem:  # noqa: BLE001 - one job must not stop the others
            plan.say(name, unexpected(f"the job {name}", problem))

    return job


async def _serve(app: procrastinate.App, plan: Plan, pacer: Pacer) -> None:
    worker = asyncio.create_task(_work(app, plan, wait=True))
    rhythm = asyncio.create_task(_rhythm(app, plan))
    ending = asyncio.create_task(_wait_for(pacer))
    try:
        done, _ = await asyncio.wait({worker, rhythm, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (rhythm, ending, worker):
            each.cancel()
        results = await asyncio.gather(worker, rhythm, ending, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    if worker in done and not pacer.stopped:
        raise ConnectionError("a connection to the database was lost")


async def _work(app: procrastinate.App, plan: Plan, *, wait: bool) -> None:
    await app.run_worker_async(
        queues=list(plan.queues),
        concurrency=plan.concurrency,
        wait=wait,
        fetch_job_polling_interval=POLL,
        listen_notify=wait,
        delete_jobs="always",
        install_signal_handlers=False,
        update_heartbeat_interval=plan.stalled / 4,
        stalled_worker_timeout=plan.stalled,
    )


async def _wait_for(pacer: Pacer) -> None:
    while not pacer.stopped:  # noqa: ASYNC110 - a signal handler sets it, and may touch nothing of asyncio
        await asyncio.sleep(0.1)


# ---------------------------------------------------------------- draining, for `--once`


async def _drain(app: procrastinate.App, plan: Plan, pacer: Pacer) -> None:
    await _clear_up(app, plan)
    for beat in plan.beats:
        with contextlib.suppress(exceptions.AlreadyEnqueued):
            await _deferrer(app, beat).defer_async(about=beat.about)
    for _ in range(_ROUNDS):
        await _work(app, plan, wait=False)
        if pacer.stopped or not await _waiting(app, plan):
            return


async def _waiting(app: procrastinate.App, plan: Plan) -> bool:
    """Whether jobs wait that can be done now: not those behind a job that another worker does."""
    todo = list(await app.job_manager.list_jobs_async(status=Status.TODO.value))
    busy = {each.lock for each in await app.job_manager.list_jobs_async(status=Status.DOING.value) if each.lock}
    return any(each.queue in plan.queues and each.lock not in busy for each in todo)


# ---------------------------------------------------------------- the rhythm


async def _rhythm(app: procrastinate.App, plan: Plan) -> None:
    """Puts the periodic jobs in, each once in its time, whichever worker is first; and clears up."""
    last: dict[Beat, int] = {}
    cleared, pulse = 0.0, time.monotonic()
    while True:
        now = time.time()
        for beat in plan.beats:
            turn = int(now // beat.every)
            if last.get(beat) != turn:
                last[beat] = turn
                await _put_in(app, beat, int(turn * beat.every))
        if time.monotonic() - cleared > plan.stalled / 2:
            cleared = time.monotonic()
            await asyncio.to_thread(plan.check)
            await _clear_up(app, plan)
        if time.monotonic() - pulse > PULSE:
            pulse = time.monotonic()
            plan.pulse()
        await asyncio.sleep(min(1.0, *(beat.every / 4 for beat in plan.beats)))


async def _put_in(app: procrastinate.App, beat: Beat, moment: int) -> None:
    job = _deferrer(app, beat).job.evolve(task_kwargs={"about": beat.about, "timestamp": moment})
    with contextlib.suppress(exceptions.AlreadyEnqueued):
        await app.job_manager.defer_periodic_job(job=job, periodic_id=beat.about or beat.name, defer_timestamp=moment)


def _deferrer(app: procrastinate.App, beat: Beat) -> procrastinate.jobs.JobDeferrer:
    return app.configure_task(
        beat.name,
        queue=beat.queue,
        lock=lock(beat.name, beat.about),
        queueing_lock=queueing_lock(beat.name, beat.about),
    )


async def _clear_up(app: procrastinate.App, plan: Plan) -> None:
    """Jobs of workers that gave no sign of life are thrown away: the sweep finds what was left undone."""
    await app.job_manager.prune_stalled_workers(plan.stalled)
    stalled: list[Job] = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=plan.stalled))
    for job in stalled:
        with contextlib.suppress(exceptions.ConnectorException):  # another worker cleared up too
            await app.job_manager.finish_job(job=job, status=Status.FAILED, delete_job=True)
