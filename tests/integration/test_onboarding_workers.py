"""Onboarding where workers do what is due: self-tests, tests, the log and the question why nothing flows."""

from __future__ import annotations

import email
import json
import subprocess

import pytest
from builders.shared_home import SENDERS, SharedHome
from builders.stage import orders
from sqlalchemy import select

from gateway.app import open_app
from gateway.flow.partner_check import check_partner
from gateway.ledger import tables
from gateway.mail.host import MailHost

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ACME = "edi@acme.example"
MORE = '[selftest]\naddress = "test@example.com"\nper_hour = 2\n[log]\nfile = "gateway.log"\nformat = "json"\n'


@pytest.fixture
def shared(postgres, migrated_template, tmp_path):
    """A home that workers share, with a test address and a log."""
    with MailHost({address: "x" for _, address in SENDERS.values()}) as host:
        home = SharedHome(tmp_path, postgres.fresh_database(migrated_template), host)
        with (tmp_path / "gateway.toml").open("a", encoding="utf-8") as file:
            file.write(MORE)
        yield home


def put(home, number, data):
    """A mail to the test address into the Maildir."""
    head = f"From: {ACME}\r\nTo: test@example.com\r\nMessage-ID: <t{number}@acme.example>\r\n\r\n"
    (home.path / "Maildir" / "new" / f"t{number}").write_bytes(head.encode() + data)


def work(home):
    """Two workers side by side do everything that is due."""
    workers = [home.worker("--once"), home.worker("--once")]
    assert [each.wait(60) for each in workers] == [0, 0], home.said()
    assert home.worker("--once").wait(30) == 0, home.said()


def reports(home):
    mails = [email.message_from_bytes(raw) for raw in home.host.waiting(ACME)]
    return [each for each in mails if each["Subject"].startswith("Report on your test")]


def test_workers_answer_self_tests_no_more_than_agreed_and_take_nothing_of_them(shared):
    for number in range(1, 6):
        put(shared, number, orders(number))
    work(shared)
    assert len(reports(shared)) == 2
    with open_app(shared.path) as app, app.ledger.reading() as connection:
        assert set(connection.execute(select(tables.exchange.c.kind)).scalars()) == {"test-report"}
        assert connection.execute(select(tables.control_number)).all() == []
    assert not shared.delivered
    lines = [json.loads(line) for line in (shared.path / "gateway.log").read_text().splitlines()]
    assert [line["partner"] for line in lines if line["what"] == "self-test"] == ["acme"] * 5
    assert len([line for line in lines if line["what"] == "self-test-answered" and line["exchange"]]) == 2


def test_where_workers_work_nobody_is_told_that_no_batch_runs(shared):
    shared.order(1)
    with open_app(shared.path) as app:
        assert check_partner(app.context(), "acme").cause.sentence == "No batch has ever run."
    work(shared)
    with open_app(shared.path) as app:
        said = [each for each in check_partner(app.context(), "acme").observations if each.name == "batch"]
    assert [(each.state, each.sentence) for each in said] == [("ok", "Workers do what is due as it comes.")]


def test_a_test_that_is_sent_goes_with_the_next_worker(shared):
    command = shared.command("partner", "test", "acme", "--type", "810")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 75
    work(shared)
    found = subprocess.run(
        shared.command("partner", "test", "acme", "--result", "--json"), check=False, capture_output=True
    )
    told = json.loads(found.stdout)
    assert [each["name"] for each in told["steps"] if each["state"] == "ok"] == ["submitted", "handed over"]
    assert told["result"] == "waiting"
