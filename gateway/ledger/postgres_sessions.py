"""Sessions on PostgreSQL: what a server, a role or a database may set otherwise, and what we rely on.

An administrator's settings for a role count for whoever connects as it. Most of them are theirs to choose. But there
are some that change what a statement means or what a transaction promises; those are ours, whatever was set.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

_TRUSTED = 10.0  # seconds after its last use in which a silent connection counts as alive
_NEVER = 1 << 30  # uses of a statement after which the driver prepares it
_OURS = {
    "plan_cache_mode": "auto",  # a generic plan turned a search of 5 ms into one of 60 s
    "jit": "off",  # what the server thinks costly it compiles, in 20 to 300 ms: ours is done sooner than that
    "standard_conforming_strings": "on",  # else a backslash in a statement is no character like others
    "datestyle": "ISO",  # the only one that the driver reads
    "intervalstyle": "postgres",
    "array_nulls": "on",
    "transform_null_equals": "off",
}

# Who decides by turns must see, when the turn comes, what the one before has committed: so READ COMMITTED.
OPTIONS: dict[str, Any] = {
    "isolation_level": "READ COMMITTED",
    "pool_use_lifo": True,
    "connect_args": {"connect_timeout": 10, "client_encoding": "utf8"},
}
# The same for a connection that is not an engine's; it listens for hours, and must not be ended for that.
PARAMETERS = "-c default_transaction_isolation=read\\ committed -c idle_session_timeout=0 " + " ".join(
    f"-c {name}={value}" for name, value in _OURS.items()
)


def checked(engine: Engine, connection: Any, record: Any, _proxy: object) -> None:
    """A connection that the server ended is replaced. It has said so: only who hears something, or slept, asks back."""
    if connection.read_only is False:  # after a transaction that only read; a server that is read-only may say so
        connection.read_only = None
    now, last = time.monotonic(), record.info.get("used", 0.0)
    record.info["used"] = now
    try:
        if now - last > _TRUSTED or _is_heard(connection.fileno()):
            engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as problem:
        from sqlalchemy.exc import InvalidatePoolError  # noqa: PLC0415 - with SQLAlchemy, which is loaded by now

        raise InvalidatePoolError from problem


def _is_heard(socket: int) -> bool:
    waiting = select.poll()
    waiting.register(socket, select.POLLIN)
    return bool(waiting.poll(0))


def connected(connection: Any, _record: object) -> None:
    """A new session is made as we need it."""
    # No statement is prepared by itself. Prepared are those that the driver repeats for many rows, and the server's own
    # that check foreign keys: planned each time, these took a third of what it computes. A commit is a promise,
    # whatever the server's default. Its own way to compress big values takes several times as long as LZ4, which not
    # every server is built with.
    connection.prepare_threshold = _NEVER
    ours = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _OURS.items())
    connection.execute(
        f"SELECT {ours},"  # noqa: S608 - words of ours
        " CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END,"
        " (SELECT set_config(name, 'lz4', false) FROM pg_settings"
        "  WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals))"
    )
    connection.commit()
