"""What the console asks of the ledger, on SQLite and on PostgreSQL: what needs a person, health, steps, pictures."""

from __future__ import annotations

import pytest
from builders.stage import Stage, acknowledgment, invoice, orders

from gateway.console.pictures import traffic
from gateway.flow.standing import standing
from gateway.flow.submit import submit
from gateway.ledger import alerts, batches
from gateway.ledger.attention import attention, how_many, needs_attention
from gateway.ledger.mailbox_health import mailboxes
from gateway.ledger.partner_health import health

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(ledger_engine, tmp_path):
    """Orders that came, one of a stranger; invoices that went, of which a partner rejected one."""
    made = Stage(tmp_path, engine=ledger_engine)
    for number in range(1, 6):
        made.mail(orders(number))
    made.mail(orders(99), sender="sales@stranger.example")
    submit(made.context(), "acme", invoice("INV-1"))
    submit(made.context(), "globex", invoice("INV-2"))
    made.run()
    made.mail(acknowledgment(100, 1, "R"))
    made.run()
    return made


def test_what_needs_a_person_is_the_same_however_it_is_asked_for(stage):
    """The list, the count, and the question about each exchange agree."""
    with stage.ledger.reading() as connection:
        ids = [row["id"] for row in stage.rows("exchange")]
        wanted = {each for each in ids if needs_attention(connection, each)}
        listed = {each.exchange for each in attention(connection) if each.exchange is not None}
        assert listed == wanted
        assert how_many(connection, 100) == len(attention(connection))
        partners = list(stage.context().directory)
        found = standing(connection, stage.settings, partners, [], {}, stage.now)
    assert sorted({each.state for each, _ in found.needs}) == ["quarantined", "refused by the partner"]
    assert all(alert is not None for _, alert in found.needs)


def test_the_health_of_partners_and_mailboxes(stage):
    """When something last came and went, what is awaited, what was rejected; what a mailbox gave."""
    with stage.ledger.reading() as connection:
        found = health(connection, ["acme", "globex", "nobody"], stage.now)
        last = batches.last_of(connection)
        (box,) = mailboxes(connection, ["orders"], last, [], stage.now)
    acme, globex = found["acme"], found["globex"]
    assert acme.came_at is not None
    assert acme.went_at is not None
    assert (acme.documents, acme.rejected, acme.awaited) == (6, 1, 0)
    assert acme.rejected_share == pytest.approx(1 / 6)
    assert (globex.came_at, globex.awaited, globex.overdue) == (None, 1, 0)
    assert found["nobody"].documents == 0
    assert found["nobody"].rejected_share is None
    assert (box.mails, box.not_taken, box.waiting, box.state) == (7, 0, 0, "ok")


def test_steps_counts_and_the_picture(stage):
    """What a batch did, alerts by state and partner, and the traffic of the last days."""
    with stage.ledger.reading() as connection:
        second, first = batches.batches(connection)
        assert [each.name for each in first.steps][:2] == ["collect", "process"]
        assert second.counts["sent interchanges rejected by partners"] == 1
        assert sum(alerts.counted(connection).values()) == len(alerts.standing(connection)) == 2
        assert alerts.per_partner(connection) == {"acme": 1}
        assert [each.partner for each in alerts.of_partner(connection, "acme")] == ["acme"]
        shown = traffic(connection, stage.now, 14)
        alone = traffic(connection, stage.now, 14, "globex")
    assert (shown.came, shown.went) == (7, 7)
    assert (alone.came, alone.went) == (0, 1)
    assert shown.lines[0].documents_in == 6
