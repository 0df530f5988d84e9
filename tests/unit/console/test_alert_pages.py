"""Alerts as pages: open, muted and closed; put to rest with a reason; rules tried out."""

from __future__ import annotations

import pytest
from builders.console import HOSTILE, SHOWN, post, said, text_of

from gateway.app import open_app
from gateway.console.people import Role
from gateway.ledger import alerts, tables

RULE = '\n[[alert]]\nname = "pager"\ncommand = "/bin/cat"\nkinds = ["quarantined"]\n'


def state(home, number: int) -> str:
    """Where an alert stands."""
    with open_app(home) as app, app.ledger.reading() as connection:
        return alerts.one(connection, number).state


def test_open_alerts_are_listed_with_kind_partner_and_sentence(browser):
    """All five of the demo."""
    page = text_of(browser(Role.VIEWER).get("/alerts"))
    assert "open 5" in page
    assert "Overdue, to initech" in page
    assert "Nobody is told of any alert" in page


def test_a_partner_and_a_kind_narrow_the_list(browser):
    """Links of the page, and what they leave."""
    client = browser(Role.VIEWER)
    page = client.get("/alerts?partner=globex").text
    assert "/partners/globex" in page
    assert "/partners/initech" not in page
    assert "No alert is open of that kind" in client.get("/alerts?kind=disk").text


def test_an_alert_says_what_whose_side_and_what_next(browser):
    """With what its kind means, and a link to where it is looked after."""
    page = browser(Role.VIEWER).get("/alerts/5")
    assert 'href="/exchanges/18"' in page.text
    assert "an acknowledgment that did not come in time" in page.text
    assert "gateway exchange resend 18" in page.text
    assert "alert 5 raised" in page.text


@pytest.mark.parametrize(("verb", "after"), [("mute", "muted"), ("close", "closed")])
def test_an_alert_is_put_to_rest_with_a_reason(browser, home, verb, after):
    """Kept in the ledger with the name; the same again changes nothing."""
    client = browser(Role.OPERATOR)
    assert "Say why" in said(client, post(client, f"/alerts/1/{verb}", why=" "))
    assert state(home, 1) == "open"
    assert after in said(client, post(client, f"/alerts/1/{verb}", why=f"known {HOSTILE}"))
    assert state(home, 1) == after
    page = client.get("/alerts/1").text
    assert SHOWN in page
    assert HOSTILE not in page
    assert "operator@example" in page
    assert "nothing was changed" in said(client, post(client, f"/alerts/1/{verb}", why="again"))
    assert 'href="/alerts/1"' in client.get(f"/alerts?state={after}").text
    assert 'href="/alerts/1"' not in client.get("/alerts").text


def test_a_closed_alert_cannot_be_muted(browser):
    """The fault's own sentence stands on the page."""
    client = browser(Role.OPERATOR)
    post(client, "/alerts/1/close", why="done")
    answer = post(client, "/alerts/1/mute", why="too")
    assert answer.status_code == 409
    assert "nobody is told of it anyway" in answer.text


@pytest.mark.parametrize("number", ["99", "x", "0", "9" * 30])
def test_an_alert_that_is_not_there_is_said(browser, number):
    """A wrong number is a page with the fault's own sentence."""
    assert browser(Role.VIEWER).get(f"/alerts/{number}").status_code == 404
    assert post(browser(Role.OPERATOR), f"/alerts/{number}/close", why="x").status_code == 404


def test_others_only_look(browser, home):
    """An auditor sees no form and may not post one."""
    client = browser(Role.AUDITOR)
    assert "Put it to rest" not in client.get("/alerts/1").text
    assert post(client, "/alerts/1/close", why="x").status_code == 403
    assert state(home, 1) == "open"


def test_many_alerts_come_in_pages(browser, home):
    """Fifty at a time, none twice, none missing."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        for number in range(120):
            recorder.add(
                tables.alert, at=recorder.now, kind="gap", partner="acme", topic=f"gap/{number}", count=1,
                last_at=recorder.now, state="open", told="{}", subject=f"gap {number}", reference=f"g{number}",
                side="partner", next_command="x",
            )  # fmt: skip
    client, path, seen = browser(Role.VIEWER), "/alerts?kind=gap", []
    while path:
        page = client.get(path).text
        seen += [int(each.split('"')[0]) for each in page.split('<th scope="row"><a href="/alerts/')[1:]]
        before = page.partition("&amp;before=")[2].partition('"')[0]
        path = f"/alerts?state=open&kind=gap&before={before}" if before else ""
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


def test_rules_say_whom_they_reach_and_are_tried_out(browser, home):
    """A rule that works says what the other side said; the event has who tried it."""
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(RULE)
    client = browser(Role.OPERATOR)
    page = text_of(client.get("/alerts/rules"))
    assert "pager" in page
    assert "command /bin/cat" in page
    assert "never yet" in page
    assert "pager told command /bin/cat" in said(client, post(client, "/alerts/rules/pager/test"))


def test_a_rule_that_cannot_tell_says_why(browser, home):
    """A command that fails is told in words, and the page stays whole."""
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(RULE.replace("/bin/cat", "/bin/false"))
    client = browser(Role.OPERATOR)
    assert "could not tell" in said(client, post(client, "/alerts/rules/pager/test"))
    assert post(client, "/alerts/rules/nobody/test").status_code == 404
    assert post(browser(Role.AUDITOR), "/alerts/rules/pager/test").status_code == 403
