"""Acts: those that are possible now, tried, done with a reason, kept with who did them; the others refused."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from gateway.app import open_app
from gateway.console.pages.verbs import VERBS
from gateway.console.people import Role
from gateway.errors import GatewayError
from gateway.flow import possible
from gateway.jobs.lock import HomeLock
from gateway.ledger.states import ExchangeState, MessageState

CSRF = {"csrf": "form-secret-of-somebody"}
_INBOUND = list(ExchangeState)[: list(ExchangeState).index(ExchangeState.READY)]
_STATES = {
    18: [each for each in ExchangeState if each not in {*_INBOUND, ExchangeState.SUPERSEDED}],
    1: _INBOUND,
    13: _INBOUND,
}


def _words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _changed(home, statement, *values):
    with open_app(home) as app, app.engine.begin() as connection:
        connection.exec_driver_sql(statement, values)


def _value(home, statement):
    with open_app(home) as app, app.ledger.reading() as connection:
        return connection.exec_driver_sql(statement).scalar()


def _last_event(home, kind, number):
    with open_app(home) as app, app.ledger.reading() as connection:
        query = "SELECT actor, body FROM event WHERE kind = ? AND exchange = ? ORDER BY seq DESC LIMIT 1"
        row = connection.exec_driver_sql(query, (kind, number)).one()
        return row.actor, json.loads(row.body)


def _agrees(app, judged, reference):
    """Whether each act can be tried just where it is said to be possible."""
    for each in judged:
        verb = VERBS[each.verb]
        done = any(_tried(app, verb, reference, choice) for choice in verb.how)
        assert done == (each.why_not == ""), (reference, each)


def _tried(app, verb, reference, choice):
    try:
        return verb.do(app.context(), reference, choice, actor="test", reason="to see", dry_run=True).done
    except GatewayError:
        return False


def test_what_is_said_to_be_possible_is_what_can_be_done(home):
    """Of every exchange and mail of the demo, every act: the page and the act itself agree."""
    with open_app(home, lock=True) as app:
        with app.ledger.reading() as connection:
            numbers = connection.exec_driver_sql("SELECT id FROM exchange").scalars().all()
            mails = connection.exec_driver_sql("SELECT id FROM message WHERE direction = 'in'").scalars().all()
            exchanges = {number: possible.with_exchange(connection, number) for number in numbers}
            letters = {number: possible.with_mail(connection, number) for number in mails}
        for number, judged in exchanges.items():
            _agrees(app, judged, str(number))
        for number, judged in letters.items():
            _agrees(app, judged, f"m{number}")


@pytest.mark.parametrize("number", _STATES)
def test_the_same_holds_in_every_state(home, number):
    """A document that we sent, one that was delivered, one of a stranger: wherever they stand."""
    for state in _STATES[number]:
        _changed(home, "UPDATE exchange SET state = ?, settled_at = NULL WHERE id = ?", state.value, number)
        with open_app(home, lock=True, verify=False) as app:
            with app.ledger.reading() as connection:
                judged = [
                    # To take what is in quarantine anew is decided by what it holds, not by where it stands.
                    each
                    for each in possible.with_exchange(connection, number)
                    if each.verb not in {"accept", "replay"}
                ]
            _agrees(app, judged, str(number))


def test_the_same_holds_of_what_was_superseded(browser, home):
    """An exchange whose documents went under new numbers, and the one that it became."""
    form = CSRF | {"why": "they lost it", "step": "do", "seen": "yes"}
    done = browser(Role.OPERATOR).post("/exchanges/18/acts/resend-anew", data=form)
    new = done.headers["location"].removeprefix("/exchanges/")
    with open_app(home, lock=True) as app:
        with app.ledger.reading() as connection:
            judged = {number: possible.with_exchange(connection, int(number)) for number in ("18", new)}
        for number, acts in judged.items():
            _agrees(app, acts, number)


@pytest.mark.parametrize("state", MessageState)
def test_the_same_holds_for_a_mail_in_every_state(home, state):
    """The damaged mail, wherever it stands."""
    _changed(home, "UPDATE message SET state = ? WHERE id = 5", state.value)
    with open_app(home, lock=True, verify=False) as app:
        with app.ledger.reading() as connection:
            judged = possible.with_mail(connection, 5)
        _agrees(app, judged, "m5")


def test_the_page_offers_what_is_possible_and_says_why_not_otherwise(browser):
    """An overdue invoice can be sent again, and not be released."""
    text = browser(Role.OPERATOR).get("/exchanges/18").text
    offered = re.findall(r'href="/exchanges/18/acts/([\w-]+)"', text)
    assert set(offered) == {"resend", "resend-anew", "acknowledge", "settle"}
    assert "Cancel it is overdue: it is too late to cancel it" in _words(text)
    assert "Release we sent it; this is for what came from a partner" in _words(text)


def test_an_act_is_tried_before_it_is_done(browser, home):
    """What would happen is told, nothing is changed, and the reason stays in the form."""
    client = browser(Role.OPERATOR)
    tried = client.post("/exchanges/18/acts/resend", data=CSRF | {"why": 'lost "there"', "step": "try"})
    assert tried.status_code == 200
    assert "What would happen: queued again, the same bytes and numbers" in _words(tried.text)
    assert 'value="lost &#34;there&#34;"' in tried.text
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "overdue"
    done = client.post("/exchanges/18/acts/resend", data=CSRF | {"why": "lost  there ", "step": "do"})
    assert (done.status_code, done.headers["location"]) == (303, "/exchanges/18")
    assert "exchange 18: queued again" in client.get("/exchanges/18").text
    assert "exchange 18: queued again" not in client.get("/exchanges/18").text
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "ready"
    assert _last_event(home, "resent", 18) == ("operator@example", {"reason": "lost there", "was": "overdue"})
    again = client.post("/exchanges/18/acts/resend", data=CSRF | {"why": "again", "step": "do"})
    assert again.status_code == 303
    assert "nothing was changed" in unescape(client.get("/exchanges/18").text)


@pytest.mark.parametrize(
    ("number", "verb", "choice", "event", "becomes"),
    [
        (18, "resend-anew", "", "superseded", "superseded"),
        (18, "acknowledge", "accepted", "acknowledged-by-hand", "acknowledged"),
        (18, "acknowledge", "rejected", "acknowledged-by-hand", "refused by the partner"),
        (18, "settle", "", "settled", "overdue"),
        (13, "discard", "", "discarded", "discarded"),
        (1, "redeliver", "", "redelivered", "accepted"),
    ],
)
def test_each_act_is_done_and_kept_with_who_and_why(browser, home, number, verb, choice, event, becomes):
    """The state after it, and the event in the name of who did it."""
    form = CSRF | {"why": "asked Ms Berg", "step": "do", "choice": choice, "seen": "yes"}
    done = browser(Role.OPERATOR).post(f"/exchanges/{number}/acts/{verb}", data=form)
    assert done.status_code == 303, _words(done.text)
    assert _value(home, f"SELECT state FROM exchange WHERE id = {number}") == becomes
    actor, body = _last_event(home, event, number)
    assert (actor, body["reason"]) == ("operator@example", "asked Ms Berg")


def test_what_cannot_be_taken_back_is_done_only_after_it_was_seen(browser, home):
    """The first press tells what would happen, whatever button it was; the second one does it."""
    client = browser(Role.OPERATOR)
    form = CSRF | {"why": "they do not have it", "step": "do"}
    assert 'value="do"' not in client.get("/exchanges/18/acts/resend-anew").text
    seen = client.post("/exchanges/18/acts/resend-anew", data=form)
    assert seen.status_code == 200
    assert "What would happen: superseded by exchange" in _words(seen.text)
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "overdue"
    assert 'name="seen" value="yes"' in seen.text
    assert 'value="do"' in seen.text
    several = client.post("/quarantine/acts", data=form | {"pick-m5": "yes", "verb": "discard"})
    assert "Nothing was changed yet." in several.text
    assert _value(home, "SELECT state FROM message WHERE id = 5") == "quarantined"
    done = client.post("/exchanges/18/acts/resend-anew", data=form | {"seen": "yes"})
    assert done.status_code == 303
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "superseded"


def test_a_doubt_is_ended_either_way(browser, home):
    """The partner has it, or it goes again; one of the two must be said."""
    client = browser(Role.OPERATOR)
    _changed(home, "UPDATE exchange SET state = 'in doubt' WHERE id = 18")
    form = CSRF | {"why": "telephone", "step": "do"}
    unsaid = client.post("/exchanges/18/acts/resolve", data=form)
    assert unsaid.status_code == 400
    assert "Choose what is the case" in _words(unsaid.text)
    assert client.post("/exchanges/18/acts/resolve", data=form | {"choice": "resend"}).status_code == 303
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "ready"
    _changed(home, "UPDATE exchange SET state = 'in doubt' WHERE id = 18")
    assert client.post("/exchanges/18/acts/resolve", data=form | {"choice": "sent"}).status_code == 303
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "sent"


def test_a_mail_is_released_and_replayed(browser, home):
    """The damaged one waits to be processed again; one that was processed is taken anew."""
    client = browser(Role.OPERATOR)
    released = client.post("/mails/5/acts/release", data=CSRF | {"why": "they say it is whole", "step": "do"})
    assert (released.status_code, released.headers["location"]) == (303, "/mails/5")
    assert _value(home, "SELECT state FROM message WHERE id = 5") == "stored"
    replayed = client.post("/mails/1/acts/replay", data=CSRF | {"why": "to see", "step": "do"})
    assert replayed.headers["location"].startswith("/exchanges/")
    assert "is duplicate of exchange 1" in _words(client.get(replayed.headers["location"]).text)


def test_what_is_not_possible_is_refused_with_the_reason(browser, home):
    """Before the form, and again if somebody posts one: nothing is changed."""
    client = browser(Role.OPERATOR)
    asked = client.get("/exchanges/1/acts/cancel")
    assert "Not possible now: we sent it" not in asked.text
    assert "Not possible now: it came from the partner" in _words(asked.text)
    refused = client.post("/exchanges/1/acts/cancel", data=CSRF | {"why": "x", "step": "do"})
    assert refused.status_code == 409
    assert "it came from the partner" in _words(refused.text)
    assert _value(home, "SELECT state FROM exchange WHERE id = 1") == "delivered"


def test_a_reason_is_asked_for(browser, home):
    """Without one, or with blanks for one, nothing happens."""
    client = browser(Role.OPERATOR)
    for why in ("", "   "):
        refused = client.post("/exchanges/18/acts/resend", data=CSRF | {"why": why, "step": "do"})
        assert refused.status_code == 400
        assert "Say why" in refused.text
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "overdue"


def test_unknown_acts_and_numbers_are_said_to_be_none(browser):
    """No act is called so, no exchange has that number, and a mail is not resent."""
    client = browser(Role.OPERATOR)
    for address in ("/exchanges/18/acts/explode", "/exchanges/999/acts/resend", "/mails/5/acts/resend"):
        assert 400 <= client.get(address).status_code < 500, address
        posted = client.post(address, data=CSRF | {"why": "x", "step": "do"})
        assert 400 <= posted.status_code < 500, address


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_who_only_looks_acts_on_nothing(browser, home, role):
    """Neither the form nor the act, and no page offers them."""
    client = browser(role)
    assert client.get("/exchanges/18/acts/resend").status_code == 403
    assert client.post("/exchanges/18/acts/resend", data=CSRF | {"why": "x", "step": "do"}).status_code == 403
    assert client.post("/quarantine/acts", data=CSRF | {"pick-m5": "yes", "verb": "release"}).status_code == 403
    for address in ("/exchanges/18", "/mails/5", "/quarantine", "/quarantine/m5", "/acknowledgments"):
        assert "/acts" not in client.get(address).text, address
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "overdue"


def test_a_batch_that_goes_on_is_said_in_the_form(browser, home):
    """The act can be done a moment later; the reason is not lost."""
    client = browser(Role.OPERATOR)
    with HomeLock(home):
        busy = client.post("/exchanges/18/acts/settle", data=CSRF | {"why": "arrived by fax", "step": "do"})
    assert busy.status_code >= 400
    assert 'value="arrived by fax"' in busy.text
    assert _value(home, "SELECT settled_at FROM exchange WHERE id = 18") is None


def test_several_exchanges_are_put_to_rest_at_once(browser, home):
    """What needs nobody is told so, what is no exchange too, and the others are done."""
    client = browser(Role.OPERATOR)
    form = CSRF | {"pick-17": "yes", "pick-18": "yes", "pick-1": "yes", "pick-m5": "yes", "pick-<i>": "yes"}
    form |= {"verb": "settle", "why": "asked them all"}
    tried = client.post("/exchanges/acts", data=form | {"step": "try"})
    assert "Put to rest: what would happen" in _words(tried.text)
    assert _value(home, "SELECT count(*) FROM exchange WHERE settled_at IS NOT NULL") == 0
    done = client.post("/exchanges/acts", data=form | {"step": "do"})
    words = _words(done.text)
    assert "Put to rest: 2 of 5 done" in words
    assert "exchange 1 is delivered: it needs nobody's attention" in words
    assert "There is no exchange m5" in words
    assert "<i>" not in done.text
    assert _value(home, "SELECT count(*) FROM exchange WHERE settled_at IS NOT NULL") == 2
    assert _last_event(home, "settled", 17) == ("operator@example", {"reason": "asked them all"})


def test_mails_of_the_search_are_decided_on_at_once(browser, home):
    """Released from the list of mails, by their references."""
    form = CSRF | {"pick-m5": "yes", "verb": "release", "why": "whole after all", "step": "do"}
    done = browser(Role.OPERATOR).post("/exchanges/acts", data=form)
    assert "Release: 1 of 1 done" in _words(done.text)
    assert _value(home, "SELECT state FROM message WHERE id = 5") == "stored"


@pytest.mark.parametrize("form", [{"verb": "settle"}, {"pick-18": "yes"}, {"pick-18": "yes", "verb": "resend-anew"}])
def test_several_at_once_need_a_pick_and_an_act_that_suits_many(browser, home, form):
    """New numbers are given one by one, knowingly."""
    refused = browser(Role.OPERATOR).post("/exchanges/acts", data=CSRF | form | {"why": "x", "step": "do"})
    assert 400 <= refused.status_code < 500
    assert _value(home, "SELECT state FROM exchange WHERE id = 18") == "overdue"
    assert browser(Role.VIEWER).post("/exchanges/acts", data=CSRF | form).status_code == 403
