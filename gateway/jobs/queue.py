"""The queue of the workers: Procrastinate's tables in the ledger's PostgreSQL, in a schema of their own.

A job only says that somebody should look; what is due stands in the ledger. So a lost job costs time and never work,
and at another version of Procrastinate the tables are simply made anew.

Jobs are put in by the transaction that makes work due: when it commits, both are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources

from sqlalchemy import Connection, Engine, text

from gateway.errors import JobsMissing, NotInstalled

SCHEMA = "gateway_jobs"
QUEUE = "gateway"
_LOCK = 7_305_998  # advisory: one process installs
_LOCKED = "deliver"  # of these jobs one at a time for each partner: the documents keep their order

# Procrastinate's own function for this fails where the same job waits already, and would take the ledger's transaction
# with it. Here the waiting job is locked until the commit, so that nobody takes it before there is something to see.
_DEFER = text(f"""
INSERT INTO {SCHEMA}.procrastinate_jobs AS job (queue_name, task_name, lock, queueing_lock, args)
VALUES (:queue, :name, :lock, :waiting, CAST(:args AS jsonb))
ON CONFLICT (queueing_lock) WHERE status = 'todo'::{SCHEMA}.procrastinate_job_status
DO UPDATE SET priority = job.priority
""")  # noqa: S608 - a name of ours
_NOTIFY = text(f"SELECT pg_notify('procrastinate_queue_v1#{QUEUE}', :said)")

# Not every version of Procrastinate has them.
_HEARTBEATS = text("""
SELECT 1 FROM information_schema.columns
WHERE table_schema = :schema AND table_name = 'procrastinate_workers' AND column_name = 'last_heartbeat'
""").bindparams(schema=SCHEMA)


def conninfo(engine: Engine) -> str:
    """How the driver reaches the database of an engine; it holds the password."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - only there with the extra

    _, parameters = engine.dialect.create_connect_args(engine.url)
    # Text and numbers are libpq's; what else is there is meant for the driver.
    return make_conninfo("", **{key: value for key, value in parameters.items() if isinstance(value, (str, int))})


def defer(connection: Connection, wakes: Iterable[tuple[str, str]]) -> None:
    """Puts jobs in, within the caller's transaction; the same job waits once.

    Args:
        connection: to the ledger, at the end of a transaction.
        wakes: the name of a job and whom it is about, or "".
    """
    for name, about in sorted(wakes):  # in one order for all: nobody waits in a circle
        connection.execute(
            _DEFER,
            {
                "queue": QUEUE,
                "name": name,
                "lock": lock(name, about),
                "waiting": queueing_lock(name, about),
                "args": json.dumps({"about": about}),
            },
        )
    connection.execute(_NOTIFY, {"said": json.dumps({"type": "job_inserted", "job_id": 0})})


def lock(name: str, about: str) -> str | None:
    """What no two running jobs may share."""
    return queueing_lock(name, about) if name == _LOCKED else None


def queueing_lock(name: str, about: str) -> str:
    """What no two waiting jobs may share."""
    return f"{name}:{about}"


def last_sign(connection: Connection) -> int | None:
    """When a worker that runs last gave a sign of life, in ms since 1970 UTC; None where none runs, or none can."""
    if connection.dialect.name != "postgresql" or _installed(connection) is None:
        return None
    newest = (
        f"SELECT CAST(EXTRACT(EPOCH FROM max(last_heartbeat)) * 1000 AS bigint) FROM {SCHEMA}.procrastinate_workers"  # noqa: S608 - a name of ours
    )
    found = connection.exec_driver_sql(newest).scalar()
    return None if found is None else int(found)


def is_at_work(connection: Connection, seconds: float) -> bool:
    """Whether a worker gave a sign of life in the last so many seconds, by the database's clock."""
    if connection.dialect.name != "postgresql" or connection.execute(_HEARTBEATS).first() is None:
        return False
    recent = text(
        f"SELECT count(*) FROM {SCHEMA}.procrastinate_workers"  # noqa: S608 - a name of ours
        " WHERE last_heartbeat > clock_timestamp() - make_interval(secs => :seconds)"
    )
    return bool(connection.execute(recent, {"seconds": seconds}).scalar_one())


def is_installed(engine: Engine) -> bool:
    """Whether the tables are there, so that jobs can be put in."""
    if engine.dialect.name != "postgresql":
        return False
    with engine.begin() as connection:
        return _installed(connection) is not None


def is_current(engine: Engine) -> bool:
    """Whether ``install`` has nothing to do."""
    if engine.dialect.name != "postgresql" or not _version():
        return True
    with engine.begin() as connection:
        return _installed(connection) == _version()


def require(engine: Engine) -> None:
    """Says nothing where workers can work.

    Raises:
        NotInstalled: Procrastinate is not.
        JobsMissing: its tables are not there, or are another version's.
    """
    if not _version():
        raise NotInstalled(feature="`gateway worker`", package="procrastinate", extra="postgres")
    with engine.begin() as connection:
        if _installed(connection) != _version():
            raise JobsMissing


def install(engine: Engine) -> bool:
    """Makes the tables, or makes them anew where they are another version's; true where something was done.

    Without Procrastinate nothing is done: one process works without a queue.
    """
    wanted = _version()
    if engine.dialect.name != "postgresql" or not wanted:
        return False
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if _installed(connection) == wanted:
            return False
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        connection.exec_driver_sql(f"SET LOCAL search_path = {SCHEMA}")
        connection.connection.driver_connection.execute(_script())  # type: ignore[union-attr]
        connection.exec_driver_sql(_PIN_FUNCTIONS)
        connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{wanted}'")
    return True


# The ledger's transactions fire the triggers, and their search path knows nothing of this schema.
_PIN_FUNCTIONS = f"""
DO $$ DECLARE each regprocedure; BEGIN
    FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace LOOP
        EXECUTE 'ALTER FUNCTION ' || each || ' SET search_path = {SCHEMA}, pg_catalog';
    END LOOP;
END $$
"""  # noqa: S608 - a name of ours


def _installed(connection: Connection) -> str | None:
    found = connection.exec_driver_sql(f"SELECT obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace')")
    return found.scalar()


def _version() -> str:
    """Names Procrastinate's tables: the newest of its migrations; "" where it is not installed."""
    try:
        scripts = resources.files("procrastinate.sql") / "migrations"
        return "procrastinate " + max(each.name for each in scripts.iterdir() if each.name.endswith(".sql"))
    except ModuleNotFoundError:
        return ""


def _script() -> str:
    return (resources.files("procrastinate.sql") / "schema.sql").read_text("utf-8")
