"""Workers killed, stopped and cut off, and the database too: nothing lost, nothing twice that is not announced.

`WORKERS_CHAOS=60 pytest tests/integration/test_workers_chaos.py` makes it longer (seconds).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest
from builders.shared_home import SENDERS, Nursery, SharedHome
from servers import postgres as servers
from servers.unsure import UnsureProxy
from sqlalchemy import select

from gateway.ledger import database, tables
from gateway.mail.host import MailHost

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS = float(os.environ.get("WORKERS_CHAOS", "10"))
LEASE = 2  # seconds


@pytest.fixture
def chaos(tmp_path):
    """A home, its database server that may be stopped, and a proxy before it that loses answers."""
    with (
        servers.running() as server,
        UnsureProxy(server.port, one_in=25, seed=1) as proxy,
        MailHost({address: "x" for _, address in SENDERS.values()}) as host,
    ):
        url = server.fresh_database()
        engine = database.open_engine(url)
        database.upgrade(engine)
        engine.dispose()
        home = SharedHome(tmp_path, url, host, lease=f"{LEASE}s")
        home.write_settings(url.replace(f":{server.port}/", f":{proxy.port}/"), f"{LEASE}s", 20)
        yield home, server, proxy


class Crowd:
    """Three workers and what happens to them."""

    def __init__(self, home: SharedHome, chance: random.Random) -> None:
        self._nursery = Nursery(home.path)
        self._chance = chance
        self.workers = [self._nursery.worker("--json") for _ in range(3)]
        self._asleep: dict[int, float] = {}
        self.killed = self.stopped = 0

    def strike(self) -> None:
        """Kills one, and starts another in its place; or puts one to sleep for longer than its lease."""
        place = self._chance.randrange(len(self.workers))
        process = self.workers[place]
        if not process.is_alive():  # it came to a database that was not there
            self.workers[place] = self._nursery.worker("--json")
        elif self._chance.random() < 0.1 and process.pid not in self._asleep:
            os.kill(process.pid, signal.SIGSTOP)
            self._asleep[process.pid] = time.monotonic() + LEASE * 2
            self.stopped += 1
        elif process.pid not in self._asleep:
            process.kill()
            process.join()
            self.killed += 1
            self.workers[place] = self._nursery.worker("--json")
        self.wake()

    def wake(self, *, all_of_them: bool = False) -> None:
        """Those whose time is over go on, as zombies."""
        for pid, until in list(self._asleep.items()):
            if all_of_them or time.monotonic() > until:
                del self._asleep[pid]
                os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """Asks all to end."""
        self.wake(all_of_them=True)
        at_work = [each for each in self.workers if each.is_alive()]  # the others came to a database that was away
        for process in at_work:
            process.terminate()
        for process in self.workers:
            process.join(30)
            assert process not in at_work or process.exitcode == 0
            process.close()


def rows(home, table):
    engine = database.open_engine(home.url)
    try:
        with database.reading(engine) as connection:
            return connection.execute(select(table).order_by(*table.primary_key.columns)).all()
    finally:
        engine.dispose()


@pytest.mark.parametrize("seed", [7])
def test_nothing_is_lost_and_nothing_happens_twice_unannounced(chaos, seed):
    home, server, proxy = chaos
    chance = random.Random(seed)
    crowd = Crowd(home, chance)
    number = invoice = 0
    began = time.monotonic()
    restarted = False
    while (at := time.monotonic() - began) < SECONDS:
        for _ in range(chance.randrange(6)):
            number += 1
            home.order(number, "acme" if chance.random() < 0.6 else "globex")
        if chance.random() < 0.2:
            invoice += 1
            home.invoice(invoice)
        time.sleep(chance.uniform(0.05, 0.25))
        if at > 2 and chance.random() < 0.4:  # a worker needs a second to begin
            crowd.strike()
        if at > SECONDS / 2 and not restarted:
            server.stop()
            time.sleep(0.5)
            server.start()
            restarted = True
    crowd.wake(all_of_them=True)
    proxy.one_in = 0
    _drain(home)
    crowd.end()
    assert crowd.killed > 5
    assert restarted
    assert proxy.lost > 0
    _judge(home, invoice)


def _drain(home: SharedHome) -> None:
    """Until nothing is due any more: the workers are left in peace now."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.5)
        box = home.path / "outbox" / "acme"
        documents = [*box.glob("*.edi"), *box.glob(".submitting/*/*")]
        done = not list((home.path / "Maildir" / "new").iterdir()) and not documents
        waiting = [each for each in rows(home, tables.message) if each.state == "stored"]
        if done and not waiting and not rows(home, tables.outgoing) and home.delivered == home.put:
            return


def _judge(home: SharedHome, invoices: int) -> None:
    said = home.said()
    assert home.delivered == home.put, said[-3000:]
    exchanges = {row.id: row for row in rows(home, tables.exchange)}
    assert {row.state for row in exchanges.values()} <= {"delivered", "complete", "sent"}, said[-3000:]
    assert not rows(home, tables.outgoing)
    assert not [row for row in rows(home, tables.message) if row.state in {"stored", "quarantined"}]
    ours = [row for row in exchanges.values() if row.direction == "out"]
    assert Counter(row.kind for row in ours) == {"acknowledgment": len(home.put)} | (
        {"document": invoices} if invoices else {}
    )
    sent = home.sent
    for partner in SENDERS:
        numbers = sorted(number for whom, number in sent if whom == partner)
        assert numbers == list(range(1, len(numbers) + 1)), f"{partner}: every number once, none missing"
    doubts = Counter(row.exchange for row in rows(home, tables.event) if row.kind == "in-doubt")
    by_number = {(row.partner, int(row.control_number)): row.id for row in ours}
    for key, mails in sent.items():
        assert len(set(mails)) == 1, "a repetition is the same mail"
        assert len(mails) - 1 <= doubts[by_number[key]], "a mail that may have come twice is announced"
    delivered = Counter(row.exchange for row in rows(home, tables.event) if row.kind == "delivered")
    assert set(delivered.values()) == {1}
