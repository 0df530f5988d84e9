"""What a person does by hand, repeated documents and start values, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders.stage import ACME, GLOBEX, WHEN, Stage, acknowledgment, invoice, orders, ta1
from msgspec.structs import replace
from sqlalchemy import select, text, update

from gateway.demo import documents
from gateway.errors import KeyReused, NotAllowedNow, TemporarilyRefused
from gateway.flow import operate, operate_inbound, outbox
from gateway.flow.dispatch import dispatch
from gateway.flow.start_numbers import Start, start_numbers
from gateway.flow.submit import submit
from gateway.flow.work_units import sweep
from gateway.ledger import recording, tables
from gateway.ledger.database import open_engine
from gateway.ledger.leases import ALONE, SharedLeases
from gateway.ledger.standing import repeated_documents
from gateway.ledger.statements import odd_since, statements
from gateway.ledger.states import ExchangeState
from gateway.ledger.verify import Verification
from gateway.x12.model import Status

pytestmark = pytest.mark.integration

PROFILE = ACME.replace('name = "invoices"', 'name = "invoices"\nordered = true')
BY = {"actor": "anna", "reason": "trial"}


@pytest.fixture
def stage(ledger_engine, tmp_path):
    return Stage(tmp_path, [PROFILE, GLOBEX], engine=ledger_engine)


def test_verbs_of_an_operator_on_what_we_sent(stage):
    start_numbers(stage.context(), [Start("acme", 4712, 9001)], actor="anna")
    with pytest.raises(NotAllowedNow):
        start_numbers(stage.context(), [Start("acme", 4711)], actor="anna")
    first, second = (submit(stage.context(), "acme", invoice(f"INV-{n}")).exchanges[0] for n in (1, 2))
    left = [TemporarilyRefused(host="memory", reply="451 later")]

    def answer(mail):
        if left:
            raise left.pop()

    stage.transport.answer = answer
    stage.run()
    assert stage.sent == []  # the second waits for the first
    stage.now += 3_600_000
    stage.run()
    assert [edi[0][13] for edi in stage.sent_edi] == ["000004712", "000004713"]
    anew = operate.resend_anew(stage.context(), first, **BY)
    assert not operate.resend_anew(stage.context(), first, **BY).done
    stage.run()
    assert stage.sent_edi[2][0][13] == "000004714"
    operate.acknowledge_by_hand(stage.context(), second, Status.ACCEPTED, **BY)
    stage.mail(ta1(1, 4714, "R", "009"))
    stage.mail(acknowledgment(2, 9003))
    (attention,) = stage.run().attention
    assert (attention.reference, attention.state) == (str(anew.exchange), "acknowledged, contradicted")
    assert [each.relation for each in statements(stage.engine)] == ["contradicting", "matched"]
    assert [each.kind for each in statements(stage.engine, relations=("contradicting",), partner="acme")] == ["997"]
    assert odd_since(stage.engine, 0) == {"contradicting": 1}


def test_what_was_refused_and_is_sent_again_is_awaited_anew(stage):
    exchange = submit(stage.context(), "acme", invoice()).exchanges[0]
    stage.run()
    stage.mail(acknowledgment(1, 1, "R"))
    stage.run()
    operate.resend(stage.context(), exchange, **BY)
    stage.run()
    assert stage.states("out") == ["sent"]
    assert [row["kind"] for row in stage.rows("expectation")] == ["functional"]
    stage.mail(acknowledgment(2, 1))
    assert stage.run().attention == ()
    assert stage.states("out") == ["acknowledged"]
    assert {each.relation for each in statements(stage.engine)} == {"matched"}
    with stage.ledger.reading() as connection:
        assert [each.sentence for each in Verification(connection).full()] == []


def test_verbs_of_an_operator_on_what_came(stage):
    stage.mail(orders(1, documents.order("PO-1", WHEN)))
    stage.run()
    stage.mail(orders(2, documents.order("PO-1", WHEN)))  # the same order under a new number
    stage.mail(orders(1, documents.order("PO-2", WHEN)))  # a used number
    stage.run()
    states = {row["id"]: (row["state"], row["repeats"]) for row in stage.rows("exchange") if row["direction"] == "in"}
    one, two, conflict = states
    assert list(states.values()) == [("delivered", None), ("delivered", one), ("conflict", None)]
    with stage.ledger.reading() as connection:
        assert list(repeated_documents(connection, 0).values()) == [1]
    operate.accept(stage.context(), conflict, **BY)
    operate.redeliver(stage.context(), two, **BY)
    assert f"duplicate of exchange {one}" in operate.replay(stage.context(), str(one), dry_run=True, **BY).sentence
    rows = len(stage.rows("event"))
    assert f"duplicate of exchange {one}" in operate.replay(stage.context(), str(one), **BY).sentence
    assert len(stage.rows("event")) > rows
    stage.run()
    assert stage.states("in") == ["delivered", "delivered", "delivered", "duplicate"]


def test_the_same_content_is_submitted_once(stage):
    assert not submit(stage.context(), "acme", invoice()).repeated
    assert submit(stage.context(), "acme", invoice()).repeated


def test_what_was_submitted_before_counts_by_usage_state_and_partner(stage):
    """As the questions are put to either database."""
    assert not submit(stage.context(), "acme", invoice(), test=True).repeated
    earnest = submit(stage.context(), "acme", invoice())
    assert not earnest.repeated
    operate.cancel(stage.context(), earnest.exchanges[0], **BY)
    stage.now += 1
    meant = submit(stage.context(), "acme", invoice(), again=True)
    stage.now += 1
    assert submit(stage.context(), "acme", invoice()).exchanges == meant.exchanges
    operate.cancel(stage.context(), meant.exchanges[0], **BY)
    assert not submit(stage.context(), "acme", invoice()).repeated
    anew = submit(stage.context(), "acme", invoice())
    assert (anew.repeated, anew.states) == (True, ("ready",))
    stage.run()
    operate.resend_anew(stage.context(), anew.exchanges[0], **BY)
    assert submit(stage.context(), "acme", invoice()).states == ("superseded",)
    first = submit(stage.context(), "acme", invoice("INV-2"), key="order")
    assert submit(stage.context(), "acme", invoice("INV-3"), key="order#1").exchanges != first.exchanges
    with pytest.raises(KeyReused):
        submit(stage.context(), "globex", invoice("INV-2"), key="order")


def test_many_who_submit_at_once_what_was_cancelled_submit_it_once(stage):
    """And the test beside it too."""
    operate.cancel(stage.context(), submit(stage.context(), "acme", invoice()).exchanges[0], **BY)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: submit(stage.context(), "acme", invoice(), test=n % 2 == 0), range(6)))
    assert sorted(each.repeated for each in done) == [False] * 2 + [True] * 4
    rows = [(row["state"], row["usage"]) for row in stage.rows("exchange")]
    assert sorted(rows) == [("cancelled", "P"), ("ready", "P"), ("ready", "T")]


def test_a_file_of_the_outbox_that_a_killed_batch_left_in_work_goes_once(stage, monkeypatch):
    box = stage.settings.outbox / "acme"
    box.mkdir(parents=True)
    (box / "inv.edi").write_bytes(invoice())

    def killed(*arguments, **options):
        submit(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", killed)
        with pytest.raises(KeyboardInterrupt):
            outbox.submit_outbox(stage.context())
    operate.cancel(stage.context(), stage.rows("exchange")[0]["id"], **BY)
    (box / "inv.edi").write_bytes(invoice())
    assert stage.run().troubles == ()
    assert stage.states("out") == ["cancelled", "sent"]
    assert sorted(each.name for each in (box / ".submitted").iterdir()) == ["inv.2.edi", "inv.edi"]


def test_what_waits_for_a_partner_that_was_suspended_waits_and_what_was_being_sent_is_in_doubt(stage):
    leases = SharedLeases(stage.engine) if stage.engine.dialect.name == "postgresql" else ALONE
    live = stage.profiles[0]
    first, second = (submit(stage.context(), "acme", invoice(f"INV-{n}")).exchanges[0] for n in (1, 2))
    submit(stage.context(), "globex", invoice("INV-3"))
    with stage.ledger.transaction() as recorder:  # a process that died had begun with the first
        table = tables.outgoing
        recorder.connection.execute(update(table).where(table.c.exchange == first).values(state="sending"))
        recorder.change(tables.exchange, first, state=ExchangeState.SENDING, updated_at=recorder.now)
        recorder.event("sending", exchange=first, partner="acme", attempt=1)
    stage.profiles[0] = live.replace('status = "live"', 'status = "suspended"')
    for _ in range(2):
        context = replace(stage.context(), leases=leases)
        dispatch(context)
        if leases is not ALONE:
            sweep(context)
    assert stage.states("out") == ["in doubt", "ready", "sent"]
    assert [each["To"] for each in stage.sent] == ["edi@globex.example"]
    stage.profiles[0] = live
    operate.cancel(stage.context(), first, **BY)
    dispatch(replace(stage.context(), leases=leases))
    assert stage.states("out") == ["cancelled", "sent", "sent"]
    assert second in [row["id"] for row in stage.rows("exchange") if row["state"] == "sent"]


def test_numbers_are_started_while_others_take_some_and_nobody_is_in_the_way(
    postgres, migrated_template, tmp_path, monkeypatch
):
    """Both wait for the same counts: who has the first one gets the second, for all lock them in one order."""
    monkeypatch.setattr(recording, "_TRIES", 1)  # a deadlock would be told
    engine = open_engine(postgres.fresh_database(migrated_template))
    stage = Stage(tmp_path, [PROFILE, GLOBEX], engine=engine)
    submit(stage.context(), "acme", invoice("INV-1"))
    table = tables.control_number
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def begun(pool, work, *arguments, **options):
        """Runs until it waits for a lock."""
        before = asked(waiting)
        future = pool.submit(work, *arguments, **options)
        patience = time.monotonic() + 60
        while asked(waiting) == before:
            assert not future.done()
            assert time.monotonic() < patience
        return future

    def asked(question):
        with engine.connect() as connection:
            return connection.execute(question).scalar_one()

    with ThreadPoolExecutor(2) as pool:
        with engine.begin() as connection:
            connection.execute(select(table).where(table.c.level == "interchange").with_for_update())
            started = begun(pool, start_numbers, stage.context(), [Start("acme", 50, 70)], actor="anna")
            submitted = begun(pool, submit, stage.context(), "acme", invoice("INV-2"))
        assert [each.done for each in started.result(60)] == [True, True]
        assert submitted.result(60).control_numbers == ("000000050",)
    assert [row["control_number"] for row in stage.rows("functional_group")] == ["1", "70"]
    engine.dispose()


def test_two_people_who_stand_in_each_others_way_are_both_served(postgres, migrated_template, tmp_path, monkeypatch):
    """One puts a mail aside, the other the interchange in it: each holds a row that the other waits for."""
    engine = open_engine(postgres.fresh_database(migrated_template))
    stage = Stage(tmp_path, [PROFILE, GLOBEX], engine=engine)
    stage.mail(orders(1), sender="sales@stranger.example")
    stage.run()
    (exchange,) = [row["id"] for row in stage.rows("exchange")]
    both = threading.Barrier(2, timeout=20)
    held: list[str] = []

    def meeting(name, lock):
        def row(recorder, number):
            found = lock(recorder, number)
            if name not in held:
                held.append(name)
                recorder.connection.exec_driver_sql("SET LOCAL deadlock_timeout = '10ms'")
                both.wait()
            return found

        monkeypatch.setattr(operate_inbound, name, row)

    meeting("message_row", operate_inbound.message_row)
    meeting("exchange_row", operate_inbound.exchange_row)
    with ThreadPoolExecutor(2) as pool:
        acts = [pool.submit(operate.discard, stage.context(), name, **BY) for name in ("m1", str(exchange))]
    assert sorted(act.result().done for act in acts) == [False, True]
    assert stage.states("in") == ["discarded"]
    engine.dispose()
