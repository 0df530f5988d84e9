"""Batches as pages: each with its steps, its exchanges and mails; and asking a running service for one."""

from __future__ import annotations

import pytest
from builders.console import HOSTILE, SHOWN, post, said, text_of, told

from gateway.app import open_app
from gateway.console.people import Role
from gateway.jobs import bell
from gateway.jobs.lock import HomeLock
from gateway.ledger import batches, tables
from gateway.ledger.batches import Batch, BatchStep, Trouble


def test_batches_are_listed_the_newest_first(browser):
    """Both nights of the demo, each with its result and what it did."""
    page = browser(Role.VIEWER).get("/nights").text
    assert page.index('href="/nights/2"') < page.index('href="/nights/1"')
    assert "documents need a person" in page
    assert "6 collected" in page


def test_a_night_is_told_step_by_step(browser):
    """Every step with what it did, and the exchanges and mails of that night alone."""
    page = browser(Role.VIEWER).get("/nights/2").text
    for step in ("collect", "process", "dispatch", "reconcile", "seal"):
        assert f'<th scope="row">{step}' in page
    assert 'href="/exchanges/25"' in page
    assert 'href="/mails/25"' in page
    assert 'href="/exchanges/19"' not in page


def test_a_step_that_failed_says_why_and_what_to_do_as_text(browser, home):
    """The sentence of a fault may quote a stranger: it is shown, not obeyed."""
    trouble = Trouble(f"mailbox {HOSTILE}", f"refused {HOSTILE}", "mailbox.unavailable", "mail host", "Ask the host.")
    with open_app(home) as app, app.ledger.transaction() as recorder:
        step = BatchStep("collect", recorder.now, recorder.now + 5, {}, (trouble,), 3)
        batches.note(recorder, 2, Batch(2, recorder.now, recorder.now + 9, 69, "night", {}, 4, (step,)))
    page = browser(Role.VIEWER).get("/nights/2").text
    assert SHOWN in page
    assert HOSTILE not in page
    assert "Ask the host." in page
    assert "and 3 more of these" in page
    assert "a host was away" in page


def test_an_interrupted_batch_ends_where_the_next_one_begins(browser, home):
    """A batch whose process died says so, and owns what came before the next one."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        table = tables.batch
        recorder.connection.execute(table.update().where(table.c.id == 1).values(ended_at=None, exit_code=None))
    page = text_of(browser(Role.VIEWER).get("/nights/1"))
    assert "it did not end: its process was interrupted" in page
    assert "19 in all" in page
    assert "interrupted" in browser(Role.VIEWER).get("/nights").text


@pytest.mark.parametrize(("command", "word"), [("gateway night", "running"), ("gateway exchange", "interrupted")])
def test_only_a_batch_at_work_makes_the_last_one_a_running_one(browser, home, command, word):
    """Another command that has the home for a moment does not."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        table = tables.batch
        recorder.connection.execute(table.update().where(table.c.id == 2).values(ended_at=None, exit_code=None))
    client = browser(Role.VIEWER)
    with HomeLock(home, command):
        for path in ("/", "/nights", "/nights/2"):
            page = client.get(path).text
            assert f">{word}</span>" in page, path
        assert f"{command} (pid" in text_of(client.get("/nights"))


def test_older_batches_are_a_link_away(browser, home):
    """Pages of forty, without a batch twice or missing."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        rows = [{"id": number, "started_at": number, "ended_at": number, "exit_code": 0} for number in range(3, 90)]
        recorder.connection.execute(tables.batch.insert(), rows)
    client = browser(Role.VIEWER)
    seen, path = [], "/nights"
    while path:
        page = client.get(path).text
        seen += [int(each.split('"')[0]) for each in page.split('<th scope="row"><a href="/nights/')[1:]]
        older = page.partition('href="/nights?before=')[2].partition('"')[0]
        path = f"/nights?before={older}" if older else ""
    assert seen == list(range(89, 0, -1))


@pytest.mark.parametrize("number", ["99", "x", "1'", "9" * 40])
def test_a_batch_that_is_not_there_is_said(browser, number):
    """A wrong number is a page with the fault's own sentence."""
    answer = browser(Role.VIEWER).get(f"/nights/{number}")
    assert answer.status_code == 404
    assert "There is no batch" in answer.text


def test_a_running_service_is_asked_and_the_ledger_keeps_who_and_why(browser, home):
    """The button rings the service's bell, and does not wait for the batch."""
    client = browser(Role.OPERATOR)
    with bell.listening(home) as descriptor:
        assert descriptor is not None
        assert "Run a batch now" in client.get("/nights").text
        sentence = said(client, post(client, "/nights/run", why="an order is awaited"))
        assert "The service was asked" in sentence
    (event,) = told(home, "batch-asked")
    assert (event.actor, event.body["reason"]) == ("operator@example", "an order is awaited")


def test_without_a_service_the_command_is_said_and_nothing_recorded(browser, home):
    """Nobody listens: then no button, and asking all the same tells what to do."""
    client = browser(Role.OPERATOR)
    assert "Run a batch now" not in client.get("/nights").text
    assert "gateway night" in said(client, post(client, "/nights/run", why="now"))
    assert told(home, "batch-asked") == []


def test_a_batch_is_not_asked_for_without_a_reason_or_the_role(browser, home):
    """An empty reason changes nothing, and a viewer may not."""
    with bell.listening(home):
        client = browser(Role.OPERATOR)
        assert "Say why" in said(client, post(client, "/nights/run", why="  "))
        assert post(browser(Role.AUDITOR), "/nights/run", why="x").status_code == 403
    assert told(home, "batch-asked") == []
