"""A real home for protocol trials: its settings, adapters and ledger; a clock that the trial moves; one process."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders.stage import empty_ledger
from msgspec.structs import replace
from sqlalchemy import Engine

from faults.protocol.hosts import PASSWORD
from gateway.app import KEY_FILE, App
from gateway.demo import documents
from gateway.flow.night import Summary, night
from gateway.ledger.secrets import make_key
from gateway.settings import parse_settings
from partners.profile import read_profile

WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)
US, OURS = "edi@us.example", "ZZ:EXAMPLECO"
SHORT = 0.3  # seconds of patience with a host that a trial makes hang; the settings count in whole seconds
HOUR, DAY = 3_600_000, 86_400_000  # ms

_GATEWAY = f"""
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["{OURS}"]
processes = 1
"""
_PROFILE = """
key = "{key}"
name = "{key}"
status = "live"
addresses = ["edi@{key}.example"]
identities = ["ZZ:{id}"]

[[agreement]]
name = "orders"
direction = "in"
sets = ["850"]
versions = ["004010"]

[[agreement]]
name = "invoices"
direction = "out"
sets = ["810"]
versions = ["004010"]
on_doubt = "{on_doubt}"
acknowledgment.within = "1d"
"""
IDENTITY = {"acme": "ACMERETAIL", "globex": "GLOBEXCO"}


def mailbox(port: int, protocol: str = "pop3", security: str = "none", **more: object) -> str:
    """The [mailbox] table of gateway.toml."""
    user = "edi" if protocol == "imap" else US
    return _table("mailbox.orders", protocol=protocol, port=port, security=security, user=user, **more)


def smtp(port: int, security: str = "none", **more: object) -> str:
    """The [smtp] table of gateway.toml; one connection, so that mails go out in the order of their numbers."""
    return _table("smtp", port=port, security=security, sender=US, **{"connections": 1} | more)


def _table(name: str, **values: object) -> str:
    settings = {"host": "127.0.0.1", **values}
    if settings["security"] == "none":
        settings["plaintext_password"] = True
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


class Home:
    """One home. Each night opens it anew: what is not in the ledger is not remembered.

    Only the engine outlives a night, with the statements that it knows: it saves half the time.
    ``engine`` is another, migrated database than the home's own.
    """

    def __init__(
        self,
        directory: Path,
        settings: str,
        *,
        on_doubt: str = "hold",
        password: str = PASSWORD,
        more: str = "",
        engine: Engine | None = None,
    ) -> None:
        self.directory = directory
        self.now = int(WHEN.timestamp() * 1000)
        self.patience = {"mailbox": 10.0, "smtp": 10.0}  # seconds, however busy the machine is
        for each in ("inbox", "outbox", "partners"):
            (directory / each).mkdir()
        make_key(directory / KEY_FILE)
        if engine is None:
            shutil.copy(empty_ledger(), directory / "ledger.db")
        self._engine = engine
        self._settings = parse_settings((_GATEWAY + settings).encode(), home=directory)
        with self.app() as app:
            app.secrets.set("mailbox.orders", password, "tester", 1)
            app.secrets.set("smtp", PASSWORD, "tester", 1)
            for key, id_ in IDENTITY.items():
                text = _PROFILE.format(key=key, id=id_, on_doubt=on_doubt) + more
                app.partners.apply([(read_profile(text), text, "")], by="tester", at=self.now)

    @contextmanager
    def app(self) -> Iterator[App]:
        """The home, opened as a command opens it, but for its patience with the hosts."""
        app = App(self._settings, "tester", lambda: self.now)
        if self._engine is None:
            self._engine = app.engine
        app.__dict__["engine"] = app.__dict__["home_engine"] = self._engine
        box: Any = app.mailboxes[0]
        post: Any = app.transport
        box._commit_timeout, post._dot_timeout = self.patience["mailbox"], self.patience["smtp"]
        for adapter, seconds in ((box, box._commit_timeout), (post, post._dot_timeout)):
            adapter._endpoint = replace(adapter._endpoint, timeout=seconds)
        try:
            yield app
        finally:
            app.close()

    def close(self) -> None:
        """Lets go of the database."""
        if self._engine is not None:
            self._engine.dispose()

    def night(self, *, later: int = HOUR) -> Summary:
        """One whole batch; afterwards the clock has moved by ``later`` ms."""
        with self.app() as app:
            summary = night(app.context)
        self.now += later
        return summary

    def submit(self, number: int, partner: str = "acme") -> None:
        """The business writes an invoice into the outbox."""
        place = self.directory / "outbox" / partner
        place.mkdir(exist_ok=True)
        document = documents.bare(documents.invoice(f"INV-{number}", f"PO-{number}", WHEN))
        (place / f"{number:04}.edi").write_bytes(document)

    # ------------------------------------------------------------ looking

    @property
    def delivered(self) -> list[bytes]:
        """What the business was given."""
        return [each.read_bytes() for each in sorted((self.directory / "inbox").rglob("*")) if each.is_file()]

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """What the ledger's file holds, asked of SQLite itself."""
        connection = sqlite3.connect(self.directory / "ledger.db")
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def states(self, direction: str, kind: str = "document") -> list[str]:
        """The states of the exchanges of one direction, oldest first."""
        found = self.rows("SELECT state FROM exchange WHERE direction = ? AND kind = ? ORDER BY id", direction, kind)
        return [row["state"] for row in found]

    def count(self, kind: str) -> int:
        """How many events of a kind there are."""
        return int(self.rows("SELECT count(*) AS n FROM event WHERE kind = ?", kind)[0]["n"])
