"""PostgreSQL behind a proxy that breaks the connection at a chosen COMMIT, and a copy of its tables to look at."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from servers.proxy import Proxy
from sqlalchemy import create_engine, select
from sqlalchemy.engine import Engine

from gateway.ledger import tables

_COMMIT = b"COMMIT\0"  # as libpq sends it in a simple query


class CommitCutter(Proxy):
    """Counts COMMITs over all connections; at number ``cuts`` the connection ends.

    ``arrives``: the server has carried it out and its answer is lost; otherwise it never saw it.
    """

    def __init__(self, target: int, *, cuts: int, arrives: bool) -> None:
        self.commits = 0
        self.cuts, self.arrives = cuts, arrives
        self._counting = threading.Lock()
        super().__init__(target)

    def _up(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                with self._counting:
                    self.commits += _COMMIT in data
                    cut = _COMMIT in data and self.commits == self.cuts
                if cut:
                    deaf.set()
                    if not self.arrives:
                        break
                server.sendall(data)
        for each in (server, *([client] if deaf.is_set() and not self.arrives else [])):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def copy_to_sqlite(engine: Engine, file: Path) -> None:
    """All rows of the ledger in a file that the checker can read."""
    file.unlink(missing_ok=True)
    copy = create_engine(f"sqlite:///{file}")
    tables.metadata.create_all(copy)
    with engine.connect() as source, copy.begin() as target:
        for table in tables.metadata.sorted_tables:
            rows = [dict(row) for row in source.execute(select(table)).mappings()]
            if rows:
                target.execute(table.insert(), rows)
    copy.dispose()
