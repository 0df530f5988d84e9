"""Documents: found by their number, exact or in part; the story of one business, and what is missing in it."""

from __future__ import annotations

import re
from html import unescape

from gateway.app import open_app
from gateway.console.people import Role


def _words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _numbers(text):
    return re.findall(r'<td><a class="key" href="[^"]+">([^<]+)</a></td>', text)


def test_an_order_is_followed_to_its_invoice(browser):
    """Order, confirmation, invoice and ship notice in order, each with its acknowledgment."""
    text = browser(Role.VIEWER).get("/documents?key=PO-1001").text
    assert re.findall(r'<h3><a href="/exchanges/\d+">(\d+) ', text) == ["850", "855", "810", "856", "850"]
    words = _words(text)
    assert "our 997" in words
    assert "the partner's 997" in words
    assert "duplicate of exchange 1" in words
    assert "5 documents with acme" in words


def test_what_the_agreements_know_of_and_has_not_come_is_missing(browser):
    """An order that nobody confirmed, shipped or invoiced yet; an invoice that is not acknowledged."""
    client = browser(Role.VIEWER)
    words = _words(client.get("/documents?key=PO-1004").text)
    assert "The partner's order (850 PO-1004) is not confirmed yet: there is no 855." in words
    assert "there is no 810" in words
    silent = _words(client.get("/documents?key=invoice%3DINV-0003").text)
    assert "Our invoice (810 INV-0003) is not acknowledged, and that is overdue." in silent


def test_a_beginning_or_a_middle_of_a_number_finds_it(browser):
    """PO-100* and *100* name the orders, each a link to its story."""
    client = browser(Role.VIEWER)
    orders = {f"PO-100{number}" for number in range(1, 7)}
    assert set(_numbers(client.get("/documents?key=po%3DPO-100*").text)) == orders
    assert set(_numbers(client.get("/documents?key=*-100*").text)) == orders
    assert _numbers(client.get("/documents?key=*-100*&partner=globex").text) == []
    assert "No number meets *zzz*" in client.get("/documents?key=*zzz*").text


def test_a_number_that_nobody_has_leads_to_those_that_contain_it(browser):
    """Somebody who types 1004 meets PO-1004."""
    text = browser(Role.VIEWER).get("/documents?key=1004").text
    assert "There is no document with exactly 1004" in text
    assert _numbers(text) == ["PO-1004"]


def test_every_number_of_the_list_has_a_story(browser):
    """The page without a question offers the newest numbers, and each of them answers."""
    client = browser(Role.VIEWER)
    links = re.findall(r'<td><a class="key" href="([^"]+)"', client.get("/documents").text)
    assert len(links) >= 10
    for link in links:
        text = client.get(unescape(link)).text
        assert "The story" in text, link


def test_strange_questions_are_answered_or_refused_in_words(browser):
    """Too many stars, too long, broken characters, a partner that is not there."""
    client = browser(Role.VIEWER)
    assert "NUL character" in client.get("/documents", params={"key": "a\0*"}).text
    for key in ("*****a*", "x" * 501):
        answer = client.get("/documents", params={"key": key})
        assert answer.status_code == 400, key[:10]
        assert 'aria-invalid="true"' in answer.text
    assert client.get("/documents", params={"key": "a\0"}).status_code in {200, 400}
    assert "There is no document" in client.get("/documents?key=PO-1001&partner=nobody").text


def test_a_deleted_partner_has_stories_still(browser, home):
    """What is missing needs a profile; the story does not."""
    with open_app(home) as app, app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchange SET partner = 'gone' WHERE partner = 'acme'")
    assert "5 documents with" in _words(browser(Role.VIEWER).get("/documents?key=PO-1001").text)
