"""The connection to PostgreSQL ends between COMMIT and its answer: nobody knows whether it was done, and nothing is
done twice for that.

Announced: a mail that was marked as being sent, or whose outcome was not kept, is in doubt, and goes again; a lease
that may have been taken ends by itself, and until then its mailbox, message or partner waits.
"""

from __future__ import annotations

import contextlib

import pytest

from faults.protocol import mails
from faults.protocol.choice import some
from faults.protocol.database import CommitCutter, copy_to_sqlite
from faults.protocol.home import Home, mailbox, smtp
from faults.protocol.hosts import Pop3Host, SmtpHost
from faults.protocol.truth import violations
from gateway.errors import DatabaseUnavailable
from gateway.ledger import tables
from gateway.ledger.database import open_engine

pytestmark = pytest.mark.integration
COMMITS = 60  # that the night makes at least, those of transactions that only read among them


@pytest.fixture
def made(tmp_path, postgres, migrated_template):
    """``made(n, arrives)``: a home on a new database; at COMMIT number n of its life the connection ends."""
    with Pop3Host() as box, SmtpHost() as post:
        direct = open_engine(postgres.fresh_database(migrated_template))
        proxies, homes = [], []

        def make(cuts, *, arrives):
            proxy = CommitCutter(postgres.port, cuts=0, arrives=arrives)
            proxies.append(proxy)
            url = direct.url.set(drivername="postgresql", port=proxy.port).render_as_string(hide_password=False)
            settings = mailbox(box.port) + smtp(post.port)
            homes.append(Home(tmp_path, settings, on_doubt="resend", engine=open_engine(url)))
            proxy.commits, proxy.cuts = 0, cuts
            return homes[-1], box, post, proxy, direct

        yield make
        for each in homes:
            each.close()
        direct.dispose()
        for each in proxies:
            each.__exit__()


def _a_minute_passes(engine):
    """Leases and claims end, by the database's clock."""
    with engine.begin() as connection:
        for table in (tables.lease, tables.claim):
            connection.execute(table.update().values(until=0))


@pytest.mark.parametrize("arrives", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("cuts", some([20, 40], sorted({*range(1, COMMITS)} - {20, 40})))
def test_the_connection_ends_at_a_commit(made, tmp_path, cuts, arrives):
    """Orders in, an invoice out; at each of the night's commits in turn."""
    home, box, post, proxy, direct = made(cuts, arrives=arrives)
    for number in (1, 2, 3):
        box.put(mails.order_mail(number))
    home.submit(1)
    home.submit(2, "globex")
    with contextlib.suppress(DatabaseUnavailable):  # the night's own first and last word are commits too
        home.night()
    assert proxy.commits >= cuts
    home.now += 3_600_000
    _a_minute_passes(direct)
    summaries = [home.night() for _ in range(3)]
    assert summaries[-1].troubles == ()
    copy_to_sqlite(direct, tmp_path / "ledger.db")
    found = violations(home, box, post.taken, ["PO-1", "PO-2", "PO-3"])
    assert [each for each in found if "batches have no end" not in each] == []
    assert home.states("out") == ["sent", "sent"]
