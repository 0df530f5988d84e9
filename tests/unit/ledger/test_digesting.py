"""Processes that compute digests beside a verification begin at once and say what the verification would say."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

from sqlalchemy import insert

from gateway.ledger import database, scanning, tables
from gateway.ledger.audited import AUDITED
from gateway.ledger.helpers import Helpers


def test_such_a_process_loads_no_framework():
    said = "import sys, gateway.ledger.digesting; print([each for each in sys.modules if each == 'sqlalchemy'])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_gives_the_digests_that_the_verification_would_compute_itself(tmp_path):
    engine = database.open_engine(f"sqlite:///{tmp_path}/a b%20#?.db")
    database.upgrade(engine)
    mails = [
        {
            "id": each,
            "at": each,
            "direction": "in" if each % 3 else "out",
            "state": "processed",
            "sha256": "ab",
            "kind": "x",
        }
        for each in (1, 2, 3, 6, 7)
    ]
    parts = [{"id": each, "message": each % 2 + 1, "sha256": "ab", "path": "", "ordinal": each} for each in range(1, 5)]
    with database.writing(engine) as connection:
        connection.execute(insert(tables.message), mails)
        connection.execute(insert(tables.payload), parts)
    asked = {name: audited.asking for name, audited in AUDITED.items()}
    with database.reading(engine) as connection, closing(Helpers(str(engine.url.database), asked, 2)) as helpers:
        for name in ("message", "payload", "interchange_key"):
            own = scanning.digests(connection, name, 1, 8)
            assert helpers.ask((name, 1, 8)).result() == own
            assert any(own[0]) == (name != "interchange_key")
    engine.dispose()
