"""Many workers, one ledger: each order delivered once, numbered without gaps, acknowledged alike."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Timer

import psycopg
import pytest
from builders.shared_home import SENDERS, SharedHome
from builders.stage import WHEN
from procrastinate.exceptions import ConnectorException
from psycopg_pool import PoolTimeout
from sqlalchemy import make_url, select

from gateway.app import open_app
from gateway.demo.documents import bare, invoice
from gateway.errors import ConfigurationFault
from gateway.flow.checkpoint import keep
from gateway.flow.collect import collect
from gateway.flow.configuration import set_status
from gateway.flow.inbound import process
from gateway.flow.submit import submit
from gateway.jobs import worker
from gateway.jobs.queue import conninfo
from gateway.jobs.schedule import Pacer
from gateway.jobs.worker import Beat, Plan, run
from gateway.ledger import database, tables
from gateway.ledger.postgres_sessions import PARAMETERS
from gateway.mail.host import MailHost
from partners.model import Status

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def shared(postgres, migrated_template, tmp_path):
    """A home that workers share."""
    with MailHost({address: "x" for _, address in SENDERS.values()}) as host:
        yield SharedHome(tmp_path, postgres.fresh_database(migrated_template), host)


def rows(home, table):
    with open_app(home.path) as app, app.ledger.reading() as connection:
        return connection.execute(select(table).order_by(*table.primary_key.columns)).all()


def wait_for(condition, otherwise, home):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, f"{otherwise}: {home.said()}"
        time.sleep(0.1)


def check(home, *, exactly_once=True):
    """What must hold whatever happened on the way."""
    assert home.delivered == home.put
    sent = home.sent
    for partner in SENDERS:
        numbers = sorted(number for whom, number in sent if whom == partner)
        assert numbers == list(range(1, len(numbers) + 1)), partner
    assert all(len(set(mails)) == 1 for mails in sent.values()), "a repetition is the same mail"
    if exactly_once:
        assert {len(mails) for mails in sent.values()} == {1}
    states = {row.state for row in rows(home, tables.exchange)}
    assert states <= {"delivered", "complete", "sent", "duplicate"}, states
    assert not rows(home, tables.outgoing)
    assert not rows(home, tables.claim)


def test_two_workers_do_what_one_process_does_each_thing_once(shared):
    for number in range(1, 121):
        shared.order(number, "acme" if number % 3 else "globex")
    for number in range(5, 30, 3):
        shared.order(number, again=True)
    for number in range(1, 6):
        shared.invoice(number)
    workers = [shared.worker("--once"), shared.worker("--once")]
    assert [each.wait(60) for each in workers] == [0, 0], shared.said()
    # One that ended early may have left to the other what came later; a last look finds nothing undone.
    assert shared.worker("--once").wait(30) == 0, shared.said()
    repeated = len([row for row in rows(shared, tables.event) if row.kind == "resent"])
    check(shared, exactly_once=not repeated)
    assert sum(map(len, shared.sent.values())) == 125 + repeated


def test_a_worker_that_is_asked_to_end_ends_in_order(shared):
    for number in range(1, 31):
        shared.order(number)
    worker = shared.worker("--json")
    wait_for(lambda: rows(shared, tables.event), "nothing was collected", shared)
    worker.terminate()
    assert worker.wait(30) == 0, shared.said()
    assert '"event": "ended"' in shared.said()
    with open_app(shared.path) as app, app.ledger.reading() as connection:
        assert not connection.execute(select(tables.lease).where(tables.lease.c.until > 0)).all()
    assert shared.worker("--once").wait(60) == 0, shared.said()
    check(shared)


def test_what_waits_for_a_suspended_partner_is_left_by_every_worker(shared):
    with open_app(shared.path) as app:
        for partner in SENDERS:
            submit(app.context(), partner, bare(invoice("I1", "PO-1", WHEN)))
        set_status(app.ledger, app.partners, "acme", Status.SUSPENDED, actor="test", reason="trial")
    assert shared.worker("--once").wait(60) == 0, shared.said()
    assert {partner for partner, _ in shared.sent} == {"globex"}
    with open_app(shared.path) as app:
        set_status(app.ledger, app.partners, "acme", Status.LIVE, actor="test", reason="trial")
    assert shared.worker("--once").wait(60) == 0, shared.said()
    check(shared)


BROKEN = """
from gateway.flow import work_units

def broken(context, about):
    raise RuntimeError("a defect")

work_units.UNITS = {**work_units.UNITS, "collect": broken}
from gateway.cli import main
main()
"""


@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_the_traceback_of_a_job_that_met_a_defect(shared, debug, form):
    """Jobs are done in threads of their own; the others are done all the same."""
    words = [*["--debug"] * debug, "--home", str(shared.path), "worker", "--once", *filter(None, [form])]
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert ("in broken\n" in done.stderr) == debug
    assert "a defect" in done.stdout + done.stderr


def test_a_lost_job_costs_no_work(shared):
    """The ledger is the truth: whatever the queue forgot, the sweep finds."""
    for number in range(1, 11):
        shared.order(number)
    with open_app(shared.path) as app:
        context = app.context()
        collect(context)
        process(context)
        with database.writing(app.engine) as connection:
            names = connection.exec_driver_sql("DELETE FROM gateway_jobs.procrastinate_jobs RETURNING task_name")
            assert sorted(set(names.scalars())) == ["deliver", "dispatch", "process"]
    worker = shared.worker()
    try:
        wait_for(lambda: len(shared.sent) == 10 and len(shared.delivered) == 10, "the sweep found nothing", shared)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
    check(shared)


def test_a_night_works_beside_workers(shared):
    for number in range(1, 61):
        shared.order(number)
    worker = shared.worker()
    nights = [subprocess.run(shared.command("night", "--quiet"), check=False).returncode for _ in range(2)]
    wait_for(lambda: len(shared.sent) == 60 and len(shared.delivered) == 60, "something is left", shared)
    worker.terminate()
    assert worker.wait(30) == 0
    assert nights == [0, 0]
    check(shared)


def test_on_sqlite_a_worker_is_refused(tmp_path):
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\nname = "Us"\ndomain = "us.example"\nidentities = ["ZZ:US"]\n', encoding="utf-8"
    )
    engine = database.open_engine(f"sqlite:///{tmp_path}/ledger.db")
    database.upgrade(engine)
    engine.dispose()
    command = [sys.executable, "-m", "gateway", "--home", str(tmp_path), "worker"]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode == 78
    assert "workers.need-postgres" in refused.stderr


def test_without_its_tables_a_worker_says_how_to_make_them(shared):
    with open_app(shared.path) as app, database.writing(app.engine) as connection:
        connection.exec_driver_sql("DROP SCHEMA gateway_jobs CASCADE")
    refused = subprocess.run(shared.command("worker"), check=False, capture_output=True, text=True)
    assert refused.returncode == 78
    assert "gateway init --upgrade" in refused.stderr
    for said in ("the queue of the workers was missing, and was made", "nothing was changed"):
        upgraded = subprocess.run(shared.command("init", "--upgrade"), check=True, capture_output=True, text=True)
        assert said in upgraded.stdout
    assert shared.worker("--once").wait(60) == 0, shared.said()


def test_upon_an_older_ledger_a_worker_does_not_work(shared):
    """Its home has seen more of it than there is now: numbers would be given out twice."""
    with open_app(shared.path) as app:
        keep(shared.path, app.ledger)
    known = json.loads((shared.path / ".checkpoint").read_bytes())
    (shared.path / ".checkpoint").write_text(json.dumps(known | {"seq": known["seq"] + 1, "mark": "another"}))
    shared.order(1)
    refused = subprocess.run(shared.command("worker", "--once"), check=False, capture_output=True, text=True)
    assert refused.returncode == 78
    assert "ledger.behind" in refused.stderr
    assert not shared.delivered


def test_nothing_is_upgraded_under_a_worker(shared):
    with open_app(shared.path) as app, database.writing(app.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0012'")
        alive = "INSERT INTO gateway_jobs.procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour')"
        connection.exec_driver_sql(alive)
    refused = subprocess.run(shared.command("init", "--upgrade"), check=False, capture_output=True, text=True)
    assert refused.returncode == 75
    assert "in use by a worker" in refused.stderr


def test_a_worker_ends_where_it_may_not_go_on(shared):
    """Somebody upgraded the tables, or put an older ledger back, while it ran."""
    engine = database.open_engine(shared.url)
    answers = iter([None, None])
    checked = []

    def check():
        checked.append(next(answers, "newer"))
        if checked[-1]:
            raise ConfigurationFault(reason="a newer gateway wrote it")

    said = []
    beats = [Beat("sweep", "", 60.0)]
    plan = Plan(conninfo(engine), PARAMETERS, check, {}, beats, stalled=0.2, say=lambda *each: said.append(each))
    engine.dispose()
    with closing(Pacer()) as pacer:
        late = Timer(20, pacer.stop)
        late.start()
        # In the thread of the tests a browser's loop may be running.
        with ThreadPoolExecutor(1) as thread, pytest.raises(ConfigurationFault, match="newer gateway"):
            thread.submit(run, plan, pacer).result()
        late.cancel()
    assert checked == [None, None, "newer"]
    assert said == []


def test_a_worker_that_was_taken_for_dead_says_so():
    """It slept, and others threw its place in the queue away: the database is not to blame."""
    problem = ConnectorException()
    problem.__cause__ = psycopg.errors.ForeignKeyViolation("procrastinate_jobs_worker_id_fkey")
    assert worker._fault(problem, "").code == "lease.lost"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_worker_without_a_connection_says_why_there_was_none(postgres, wrapped):
    """The pool knows only how long it tried: not that the role is unknown, the password wrong, or all places taken."""
    waited = PoolTimeout("couldn't get a connection after 10.00 sec")
    problem: Exception = waited
    if wrapped:
        problem = ConnectorException()
        problem.__cause__ = waited
    url = make_url(postgres.url("postgres")).set(username="nobody-here", password="x")
    engine = database.open_engine(url.render_as_string(hide_password=False))
    fault = worker._fault(problem, conninfo(engine))
    assert fault.code == "database.unavailable"
    assert "nobody-here" in str(fault)
    assert "10.00 sec" not in str(fault)
    there = database.open_engine(postgres.url("postgres"))  # where one can be had by now, the pool's own words are left
    assert "10.00 sec" in str(worker._fault(problem, conninfo(there)))
