"""Many workers, one ledger: each order delivered once, numbered without gaps, acknowledged alike."""

from __future__ import annotations

import pytest
from builders.shared_home import SENDERS, SharedHome
from sqlalchemy import select

from gateway.app import open_app
from gateway.ledger import tables
from gateway.mail.host import MailHost

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def shared(postgres, migrated_template, tmp_path):
    """A home that workers share."""
    with MailHost({address: "x" for _, address in SENDERS.values()}) as host:
        yield SharedHome(tmp_path, postgres.fresh_database(migrated_template), host)


def rows(home, table):
    with open_app(home.path) as app, app.ledger.reading() as connection:
        return connection.execute(select(table).order_by(*table.primary_key.columns)).all()


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
