"""The search: its line, filters that are links, paging, saved queries, downloads."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from itertools import chain
from urllib.parse import quote

import pytest

from gateway.app import open_app
from gateway.console.pages import exchange_export, exchanges
from gateway.console.people import Role
from gateway.ledger.query import Query
from gateway.ledger.search import search, search_messages

CSRF = {"csrf": "form-secret-of-somebody"}
_ROW = re.compile(r'<td class="tight"><a href="/(?:exchanges|mails)/(\d+)">')


def _rows(text):
    return [int(number) for number in _ROW.findall(text)]


def _link(text, rel):
    found = re.search(rf'<a rel="{rel}" href="([^"]+)"', text)
    return unescape(found[1]) if found else None


@pytest.fixture
def everything(home):
    with open_app(home) as app:
        return [row.id for row in search(app.engine, Query(limit=None))]


def test_everything_is_listed_newest_first(browser, everything):
    """Without a query, all exchanges are there, in order of time."""
    page = browser(Role.VIEWER).get("/exchanges")
    assert page.status_code == 200
    assert _rows(page.text) == everything
    assert "<strong>25</strong> exchanges" in page.text


def test_a_row_tells_what_comes_next(browser):
    """An overdue one says whom to ask, and how late it is."""
    page = browser(Role.VIEWER).get("/exchanges", params={"q": "overdue"})
    assert _rows(page.text) == [18]
    assert re.search(r"somebody asks the partner; 2 h[^<]* late", page.text)


@pytest.mark.parametrize("sort", ["at", "partner", "-size", "control", "type", "-state"])
def test_pages_lead_to_every_row_once_and_back_again(browser, everything, sort):
    """Going on from page to page meets each exchange once; going back meets the same pages."""
    client = browser(Role.VIEWER)
    address, pages = f"/exchanges?q=limit%3D4+sort%3D{sort}", []
    while address:
        text = client.get(address).text
        pages.append(_rows(text))
        last, address = address, _link(text, "next")
    assert sorted(chain(*pages)) == sorted(everything)
    back = [_rows(client.get(last).text)]
    address = _link(client.get(last).text, "prev")
    while address:
        text = client.get(address).text
        back.append(_rows(text))
        address = _link(text, "prev")
    # The first page that is met backwards begins at the beginning, however many rows that takes.
    assert back[-1] == pages[0]
    assert set(chain(*back)) == set(everything)


def test_every_filter_leads_somewhere_and_says_that_it_is_set(browser):
    """Each link of the menus answers, and its page has it marked; once more, it is taken out."""
    client = browser(Role.VIEWER)
    for address in ("/exchanges", "/exchanges?tab=mails"):
        text = client.get(address).text
        menus = text[text.index('class="menus"') : text.index('class="tabs"')]
        links = [unescape(each) for each in re.findall(r'<a href="(/exchanges\?[^"]+)"', menus)]
        assert len(links) > 10
        for link in links:
            page = client.get(link)
            assert page.status_code == 200, link
            out = re.search(r'<a href="([^"]+)" aria-current="true"', page.text)
            assert out is not None, link
            assert unescape(out[1]) == address, link


def test_a_filter_replaces_another_of_its_field_and_keeps_the_rest(browser):
    """Another partner is asked for instead, the words beside it stay."""
    text = browser(Role.VIEWER).get("/exchanges", params={"q": "partner=acme -overdue zone=Europe/Berlin"}).text
    assert 'href="/exchanges?q=-overdue+zone%3DEurope%2FBerlin+partner%3Dglobex"' in text


def test_the_head_of_a_column_sorts_and_turns_round(browser):
    """The first click sorts from A, the second from Z; a screen reader is told."""
    client = browser(Role.VIEWER)
    text = client.get("/exchanges").text
    assert '<th scope="col" aria-sort="descending"><a href="/exchanges?q=sort%3Dat">When' in text
    text = client.get("/exchanges", params={"q": "sort=partner"}).text
    assert re.search(r'aria-sort="ascending"><a href="/exchanges\?q=sort%3D-partner">Partner', text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stat=delivered", "did you mean state?"),
        ("state=delivred", "did you mean delivered?"),
        ("partner=acme partner=globex", "asked twice"),
        ("since=neverday", "it is no time"),
        ("@nobody-saved", "There is no saved query nobody-saved"),
        ("zone=Mars/Olympus", "there is no such time zone"),
        ("before=zzz", "it is not the cursor"),
        ("po=****x*", "more than 4 stars"),
    ],
)
def test_what_is_wrong_in_the_line_is_explained_at_it(browser, line, said):
    """The line is kept, marked and explained, and the page is no success."""
    page = browser(Role.VIEWER).get("/exchanges", params={"q": line})
    text = unescape(page.text)
    assert page.status_code == 400
    assert said in text
    assert 'aria-invalid="true" aria-describedby="q-fault"' in text
    assert f'value="{line}"' in text


TURNED = "abc\u202efdp.exe\x1b\x85"  # what is behind it would be read backwards


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/exchanges", {"q": f"state={TURNED}"}),
        ("/exchanges", {"q": f"partner={TURNED}"}),
        ("/documents", {"key": TURNED}),
        (f"/partners/{quote(TURNED)}", {}),
    ],
)
def test_a_link_turns_no_text_of_a_page_round(browser, path, params):
    """What was asked for stands in its field as it is, and elsewhere without characters that nobody sees."""
    text = unescape(browser(Role.VIEWER).get(path, params=params).text)
    text = re.sub(r'(value|href|content)="[^"]*"', "", text)
    assert "abc" in text
    assert [each for each in text if not each.isprintable() and each != "\n"] == []


def test_a_line_without_end_and_a_cursor_of_nothing_are_refused(browser):
    """Nobody writes 4,001 characters, and a page begins at a cursor or not at all."""
    client = browser(Role.VIEWER)
    assert client.get("/exchanges", params={"q": "a" * 4_001}).status_code == 400
    assert client.get("/exchanges", params={"before": "x"}).status_code == 400
    assert client.get("/exchanges", params={"after": "1-1-1-"}).status_code == 400
    assert client.get("/exchanges", params={"zone": "nowhere"}).status_code == 400


def test_mails_without_an_exchange_are_a_second_tab(browser, home):
    """What no exchange speaks for is found there, by the same language."""
    client = browser(Role.VIEWER)
    with open_app(home) as app:
        wanted = [row.id for row in search_messages(app.engine, Query())]
    assert _rows(client.get("/exchanges?tab=mails").text) == wanted == [5]
    assert _rows(client.get("/exchanges?tab=mails&q=from%3D*%40globex.example").text) == []
    text = client.get("/exchanges?tab=mails&q=sort%3Dtype").text
    assert "mails have no type" in text


def test_times_are_told_in_the_zone_that_is_asked_for(browser):
    """The same moment, an hour later on the clock of Berlin in winter."""
    client = browser(Role.VIEWER)
    local = re.search(r'<time datetime="([^"]+)"', client.get("/exchanges?zone=UTC").text)[1]
    berlin = re.search(r'<time datetime="([^"]+)"', client.get("/exchanges?q=zone%3DEurope/Berlin").text)[1]
    assert (local[-6:], berlin[-6:]) == ("+00:00", "+01:00")
    assert int(berlin[11:13]) == (int(local[11:13]) + 1) % 24


def test_too_many_are_not_sorted_but_said_to_be_so(browser, monkeypatch):
    """Beyond a bound, rows come in order of time, with the reason."""
    from gateway.console.pages import exchanges

    monkeypatch.setattr(exchanges, "SORTABLE", 10)
    text = browser(Role.VIEWER).get("/exchanges?q=sort%3Dsize").text
    assert "more than 10 are not sorted by size" in text
    assert 'aria-sort="descending"><a href="/exchanges?q=sort%3Dat">When' in text


def test_pages_follow_each_other_also_where_the_wanted_order_is_declined(browser, monkeypatch):
    """The page after the first one is another one, and back again."""
    from gateway.console.pages import exchanges

    client = browser(Role.VIEWER)
    everything = _rows(client.get("/exchanges").text)
    monkeypatch.setattr(exchanges, "SORTABLE", 3)
    seen, at = [], "/exchanges?q=sort%3D-size+limit%3D2"
    while at:
        text = client.get(at).text
        assert "are not sorted by size" in text
        seen += _rows(text)
        further = re.search(r'href="(/exchanges\?[^"]*before=[^"]*)"', text)
        at = unescape(further[1]) if further and len(seen) <= len(everything) else ""
    assert seen == everything


def test_a_cursor_of_the_order_that_was_declined_meanwhile_begins_anew(browser, monkeypatch):
    """The list grew over the bound while somebody leafed through it."""
    from gateway.console.pages import exchanges

    client = browser(Role.VIEWER)
    monkeypatch.setattr(exchanges, "SORTABLE", 3)
    text = client.get("/exchanges", params={"q": "sort=partner limit=2", "before": "acme-3"}).text
    assert _rows(text) == _rows(client.get("/exchanges").text)[:2]


def test_a_count_stops_where_it_is_bounded(browser, monkeypatch):
    """Of many it is said that there are more."""
    from gateway.console.pages import exchanges

    monkeypatch.setattr(exchanges, "COUNTED", 7)
    assert "<strong>7 or more</strong> exchanges" in browser(Role.VIEWER).get("/exchanges?q=limit%3D5").text


# ---------------------------------------------------------------- saved queries


def test_a_query_is_saved_asked_and_deleted_with_who_did_it(browser, home):
    """It is there for everybody, and the ledger keeps both acts."""
    client = browser(Role.OPERATOR)
    line = 'type=850 subject="Order PO"'
    saved = client.post("/exchanges/saved", data=CSRF | {"name": "orders", "q": line})
    assert (saved.status_code, saved.headers["location"]) == (303, "/exchanges?q=%40orders")
    page = browser(Role.VIEWER).get("/exchanges?q=%40orders")
    assert _rows(page.text) == _rows(client.get("/exchanges", params={"q": line}).text) != []
    again = client.post("/exchanges/saved", data=CSRF | {"name": "orders", "q": "overdue"})
    assert 400 <= again.status_code < 500
    assert "there already" in again.text
    deleted = client.post("/exchanges/saved/delete", data=CSRF | {"name": "orders"})
    assert deleted.status_code == 303
    assert client.get("/exchanges?q=%40orders").status_code == 400
    with open_app(home) as app, app.ledger.reading() as connection:
        told = connection.exec_driver_sql("SELECT kind, actor FROM event WHERE kind LIKE 'query-%' ORDER BY seq").all()
    assert [tuple(each) for each in told] == [
        ("query-saved", "operator@example"),
        ("query-deleted", "operator@example"),
    ]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_only_operators_save(browser, role):
    """Who changes nothing is told so, and finds no form for it."""
    client = browser(role)
    assert client.post("/exchanges/saved", data=CSRF | {"name": "x", "q": "overdue"}).status_code == 403
    assert 'action="/exchanges/saved"' not in client.get("/exchanges").text


# ---------------------------------------------------------------- downloads


def test_an_auditor_takes_what_was_found_as_csv_and_json_lines(browser):
    """The rows are those of the search, whatever its order and page."""
    client = browser(Role.AUDITOR)
    answer = client.get("/exchanges/download.csv?q=type%3D850+sort%3D-size")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="exchanges.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = _rows(client.get("/exchanges?q=type%3D850").text)
    assert [int(row["id"]) for row in rows] == shown
    lines = client.get("/exchanges/download.jsonl").text.splitlines()
    records = [json.loads(line) for line in lines]
    assert len([each for each in records if each["record"] == "exchange"]) == 25
    assert len([each for each in records if each["record"] == "message"]) == 1


def test_a_download_is_as_long_as_the_line_or_its_saved_query_says(browser):
    """Everything, unless a limit is named: in the line itself or in what it names."""
    client = browser(Role.OPERATOR)
    client.post("/exchanges/saved", data=CSRF | {"name": "few", "q": "limit=3"})
    lengths = {}
    for line in ("", "limit=2", "@few"):
        lines = client.get("/exchanges/download.jsonl", params={"q": line}).text.splitlines()
        lengths[line] = sum(json.loads(each)["record"] == "exchange" for each in lines)
    assert lengths == {"": 25, "limit=2": 2, "@few": 3}


@pytest.mark.parametrize(("sort", "most"), [("-size", 10_000), ("partner", 10_000), ("type", 10_000), ("-size", 5)])
def test_a_download_of_some_in_another_order_is_what_the_page_shows(browser, home, monkeypatch, sort, most):
    """The biggest, not the newest; where that would be too many to sort, both are in order of time."""
    monkeypatch.setattr(exchanges, "SORTABLE", most)
    monkeypatch.setattr(exchange_export, "SORTABLE", most)
    client = browser(Role.OPERATOR)
    line = {"q": f"sort={sort} limit=4"}
    shown = re.findall(r'<td class="tight"><a href="/exchanges/(\d+)"', client.get("/exchanges", params=line).text)
    lines = client.get("/exchanges/download.jsonl", params=line).text.splitlines()
    taken = [str(each["id"]) for each in map(json.loads, lines) if each["record"] == "exchange"]
    assert (taken, len(taken)) == (shown, 4)


def test_parquet_is_a_whole_file_and_leaves_none_behind(browser, home):
    """It can be read at once, and nothing stays in the home."""
    parquet = pytest.importorskip("pyarrow.parquet")
    answer = browser(Role.AUDITOR).get("/exchanges/download.parquet?q=partner%3Dacme")
    table = parquet.read_table(io.BytesIO(answer.content))
    assert set(table.column("partner").to_pylist()) == {"acme"}
    assert list(home.glob(".export-*")) == []


def test_downloads_are_not_for_viewers_and_not_of_nonsense(browser):
    """A viewer is refused; a line that cannot be understood is explained; an unknown form is not there."""
    assert browser(Role.VIEWER).get("/exchanges/download.csv").status_code == 403
    client = browser(Role.AUDITOR)
    assert 400 <= client.get("/exchanges/download.xlsx").status_code < 500
    refused = client.get("/exchanges/download.csv?q=stat%3Dx")
    assert 400 <= refused.status_code < 500
    assert "did you mean state" in unescape(refused.text)
