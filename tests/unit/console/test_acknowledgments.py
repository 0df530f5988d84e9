"""Acknowledgments: awaited and overdue, late, said, and how well partners keep time."""

from __future__ import annotations

import re
from html import unescape

from gateway.app import open_app
from gateway.console.people import Role

_DAY = 86_400_000


def _words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_what_is_overdue_stands_first_with_how_late_it_is(browser):
    """The silent partner's invoice, with what can be done about it for those who may."""
    text = browser(Role.OPERATOR).get("/acknowledgments").text
    assert re.search(
        r"Overdue 1 .* 18 initech 810 000000001 997 .* 2 h (\d+ min )?late By hand · Send again", _words(text)
    )
    assert 'href="/exchanges/18/acts/acknowledge"' in text
    assert "/acts/" not in browser(Role.VIEWER).get("/acknowledgments").text
    assert "No acknowledgment is overdue." in browser(Role.VIEWER).get("/acknowledgments?partner=acme").text


def test_pages_meet_each_once_though_many_are_due_at_one_moment(browser, home, monkeypatch):
    """A calendar makes many due at nine o'clock: none is left out, none told twice, and the pages end."""
    from gateway.console.pages import acknowledgments

    with open_app(home) as app, app.engine.begin() as connection:
        now = app.now()
        rows = [(number, now + _DAY * (1 + number // 20)) for number in (*range(1, 18), *range(19, 26))]
        for number, due in rows:
            connection.exec_driver_sql(
                "INSERT INTO expectation (exchange, kind, partner, within, due_at) VALUES (?, 'TA1', 'acme', 1, ?)",
                (number, due),
            )
    monkeypatch.setattr(acknowledgments, "MOST", 5)
    client, address, met = browser(Role.VIEWER), "/acknowledgments", []
    while address:
        text = client.get(address).text
        met += [int(each) for each in re.findall(r'<td class="tight"><a href="/exchanges/(\d+)">\d+</a></td>', text)]
        found = re.search(r'<a rel="next" href="([^"]+)"', text)
        address = unescape(found[1]) if found else None
    assert met == [18, *range(1, 18), *range(19, 26)]


def test_what_came_late_and_what_was_answered_is_told(browser):
    """A day and two hours after a day was agreed."""
    client = browser(Role.VIEWER)
    late = _words(client.get("/acknowledgments?tab=late").text)
    assert re.search(r"14 acme 855 000000006 \S+ \S+ \S+ \S+ 2 h", late)
    answered = client.get("/acknowledgments?tab=answered&partner=mercy").text
    assert re.findall(r'<a href="/exchanges/(\d+)/answers">', answered) == ["19"]


def test_what_partners_said_is_listed_and_narrowed(browser):
    """Each 997 and 999 with what it says; of what is odd there is nothing."""
    client = browser(Role.VIEWER)
    words = _words(client.get("/acknowledgments?tab=said").text)
    assert "globex 997 IN 1 rejected 17" in words
    assert "No such acknowledgment was received." in client.get("/acknowledgments?tab=said&relation=odd").text
    for address in ("?tab=said&relation=nonsense", "?tab=nonsense"):
        assert 400 <= client.get(f"/acknowledgments{address}").status_code < 500


def test_the_share_on_time_is_measured_against_what_was_agreed(browser, home):
    """One in time and two late make a third; the silent one has none."""
    with open_app(home) as app, app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchange SET due_at = acknowledged_at + 1 WHERE id = 14")
    text = browser(Role.VIEWER).get("/acknowledgments?tab=share").text
    rows = [_words(row) for row in text.split("<tr>")[2:]]
    shares = {row.split()[0]: row.split()[1] for row in rows}
    assert shares == {"acme": "33.3", "globex": "0.0", "initech": "0.0", "mercy": "0.0"}
    one = browser(Role.VIEWER).get("/acknowledgments?tab=share&partner=acme&days=7").text
    assert {_words(row).split()[1] for row in one.split("<tr>")[2:]} == {"810", "855", "856"}
    assert browser(Role.VIEWER).get("/acknowledgments?tab=share&days=99999999").status_code == 200


def test_odd_numbers_in_the_address_are_taken_for_none(browser):
    """A page that begins nowhere begins at the beginning."""
    client = browser(Role.VIEWER)
    for address in ("?from=abc", "?from=-1", "?from=" + "9" * 40, "?skip=-5", "?from=1&skip=x"):
        assert client.get(f"/acknowledgments{address}").status_code == 200, address
