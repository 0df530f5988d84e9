"""The ledger's pages: how it stands, seals, verification in the background, changes, holds, backups, reports."""

from __future__ import annotations

import re
import time
from datetime import UTC

import pytest
from builders.console import HOSTILE, SHOWN, post, said, text_of, told
from sqlalchemy import select

from gateway.app import open_app
from gateway.console.people import Role
from gateway.ledger import saved, tables
from gateway.ledger.holds import holds
from gateway.ledger.moments import at_zone
from gateway.ledger.seals import SealKey, notes, opened


def ended(client, path: str, part: str) -> str:
    """What a part of a page says once the long look has ended."""
    for _ in range(200):
        page = client.get(path).text
        found = page.partition(f'id="{part}"')[2].partition("</section>")[0]
        if "running" not in found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not end")


# ---------------------------------------------------------------- how it stands


def test_the_overview_tells_size_seal_and_what_guards_it(browser):
    """Events, the newest exchange, the newest seal and its age, the last changes."""
    page = text_of(browser(Role.VIEWER).get("/ledger"))
    assert "25 newest exchange" in page
    assert "since the newest seal" in page
    assert "profile of acme added as revision 1" in page
    assert "no directory is set" in page


def test_changes_are_found_by_kind_and_partner(browser, home):
    """Profiles of one partner, and nothing of another."""
    client = browser(Role.VIEWER)
    page = text_of(client.get("/ledger/changes?kind=profiles&partner=acme"))
    assert "profile of acme added" in page
    assert "profile of globex added" not in page
    assert "settings-seen" not in page
    assert "Nothing of that kind was changed" in client.get("/ledger/changes?kind=holds").text


def test_changes_come_in_pages_without_gap_or_repetition(browser, home):
    """Event by event, the newest first."""
    with open_app(home, actor=f"anna {HOSTILE}") as app:
        for number in range(120):
            app.record("secret-set", name=f"s{number} {HOSTILE}")
    client, path, seen = browser(Role.VIEWER), "/ledger/changes?kind=keys and secrets", []
    while path:
        page = client.get(path).text
        assert HOSTILE not in page
        seen += re.findall(r"secret s(\d+) ", page)
        before = page.partition("&amp;before=")[2].partition('"')[0]
        path = f"/ledger/changes?kind=keys and secrets&before={before}" if before else ""
    assert [int(each) for each in seen] == list(range(119, -1, -1))
    assert SHOWN in client.get("/ledger/changes").text


def test_who_signed_in_from_where_is_for_auditors(browser, home):
    """A viewer sees changes of profiles, but neither users nor sign-ins, whatever the address says."""
    with open_app(home, actor="anna") as app:
        app.record("sign-in-failed", name="anna", address="192.0.2.7")
        app.record("user-added", name="bert", role="operator")
    viewer, auditor = browser(Role.VIEWER), browser(Role.AUDITOR)
    for path in ("/ledger", "/ledger/changes", "/ledger/changes?kind=sign-ins", "/ledger/changes?kind=users"):
        page = viewer.get(path).text
        assert "192.0.2.7" not in page, path
        assert "bert" not in page, path
        assert "sign-ins" not in page, path
    assert "192.0.2.7" in auditor.get("/ledger/changes?kind=sign-ins").text
    assert "bert" in auditor.get("/ledger/changes").text


def test_backups_are_listed_and_one_that_is_late_is_said(browser, home, tmp_path):
    """A directory without one is told, and what lies in it with its moment and size."""
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[backup]\ndirectory = "{tmp_path / "backups"}"\n')
    client = browser(Role.VIEWER)
    assert "There is no backup in" in client.get("/ledger/backups").text
    assert "late" in client.get("/ledger").text
    from click.testing import CliRunner

    from gateway.cli.main import root

    outcome = CliRunner().invoke(root, ["--home", str(home), "ledger", "backup"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    page = text_of(client.get("/ledger/backups"))
    assert re.search(r"ledger-\d{8}T\d{6}Z", page)
    assert "There is no backup" not in page


# ---------------------------------------------------------------- seals and verification


def test_seals_are_listed_and_downloaded_as_they_were_signed(browser):
    """Each note checks with the key that the page gives."""
    client = browser(Role.AUDITOR)
    page = client.get("/ledger/seals").text
    sizes = [int(each) for each in re.findall(r'href="/ledger/seals/(\d+)\.txt"', page)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 2
    key = SealKey.parse(client.get("/ledger/seal-key.txt").text)
    note = client.get(f"/ledger/seals/{sizes[0]}.txt")
    assert opened(note.text, key).size == sizes[0]
    assert "attachment" in note.headers["content-disposition"]
    assert [opened(each, key).size for each in notes(client.get("/ledger/seals.txt").text)] == sizes[::-1]


@pytest.mark.parametrize("size", ["7", "x", "0", "9" * 40])
def test_a_seal_that_is_not_there_is_said(browser, size):
    """A wrong size is no page."""
    assert browser(Role.AUDITOR).get(f"/ledger/seals/{size}.txt").status_code == 404


def test_an_administrator_seals_now(browser, home):
    """One seal more, in the database and in the file outside, and the event with who."""
    client = browser(Role.ADMINISTRATOR)
    with open_app(home, actor="anna") as app:
        app.record("secret-set", name="x")
    before = len(list(notes((home / "seals.txt").read_text())))
    assert "Sealed over" in said(client, post(client, "/ledger/seals"))
    assert len(list(notes((home / "seals.txt").read_text()))) == before + 1
    assert told(home, "sealed")[0].actor == "administrator@example"
    assert post(browser(Role.OPERATOR), "/ledger/seals").status_code == 403


@pytest.mark.parametrize("full", ["no", "yes"])
def test_a_verification_runs_in_the_background_and_finds_all_as_recorded(browser, full):
    """An auditor asks, the page tells the outcome and who asked."""
    client = browser(Role.AUDITOR)
    assert "It began" in said(client, post(client, "/ledger/verify", full=full))
    outcome = ended(client, "/ledger/seals", "verification")
    assert "all as recorded" in outcome
    assert "auditor@example" in outcome


def test_what_was_changed_behind_the_ledger_is_named(browser, home):
    """A subject that somebody edited in the database is found, and quoted text stays text."""
    with open_app(home) as app, app.engine.begin() as connection:
        connection.execute(tables.message.update().where(tables.message.c.id == 1).values(subject=HOSTILE))
    client = browser(Role.AUDITOR)
    post(client, "/ledger/verify", full="yes")
    outcome = ended(client, "/ledger/seals", "verification")
    assert "not as recorded" in outcome
    assert "message 1" in outcome
    assert HOSTILE not in outcome


def test_a_viewer_asks_for_no_verification(browser):
    """Reading is free, work is not."""
    client = browser(Role.VIEWER)
    assert "Verify everything" not in client.get("/ledger/seals").text
    assert post(client, "/ledger/verify").status_code == 403


# ---------------------------------------------------------------- holds and retention


def test_what_meets_a_query_is_held_and_released_with_reasons(browser, home):
    """By an administrator, with both reasons in the ledger."""
    client = browser(Role.ADMINISTRATOR)
    assert "hold 1 keeps" in said(
        client, post(client, "/ledger/holds", words="partner=acme 13 m5", why=f"audit {HOSTILE}")
    )
    page = client.get("/ledger/retention").text
    assert SHOWN in page
    assert HOSTILE not in page
    assert "partner=acme 13 m5" in page
    assert "Say why" in said(client, post(client, "/ledger/holds/1/release", why=""))
    assert "hold 1 is released" in said(client, post(client, "/ledger/holds/1/release", why="it is over"))
    assert "Nothing is held" in client.get("/ledger/retention").text
    assert "it is over" in client.get("/ledger/retention?all=1").text
    assert [each.actor for each in told(home, "hold-released")] == ["administrator@example"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "name what is to be held"),
        ("nonsense=1", "there is no field nonsense"),
        ("overdue", "overdue"),
        ("9999", "There is no exchange 9999"),
        ('partner="acme', "cannot be read"),
        ("m" + "9" * 40, "There is no"),
    ],
)
def test_what_cannot_be_held_is_said_and_the_words_are_kept(browser, home, words, sentence):
    """The form stands there again with what was written."""
    client = browser(Role.ADMINISTRATOR)
    answer = post(client, "/ledger/holds", words=words, why="x")
    assert sentence in said(client, answer)
    if words:
        assert words.replace('"', "&#34;") in client.get(answer.headers["location"]).text
    with open_app(home) as app, app.ledger.reading() as connection:
        assert holds(connection) == []


def test_a_hold_takes_saved_queries_and_keeps_their_words(browser, home):
    """So that it holds on when the query is deleted or replaced."""
    client = browser(Role.ADMINISTRATOR)
    with open_app(home) as app, app.ledger.transaction() as recorder:
        saved.save(recorder, "theirs", ["partner=acme", "since=2020"])
    assert "keeps 0 exchanges" not in said(client, post(client, "/ledger/holds", words="@theirs type=850", why="x"))
    assert "no saved query other" in said(client, post(client, "/ledger/holds", words="@other", why="x"))
    with open_app(home) as app, app.ledger.reading() as connection:
        assert [each.words for each in holds(connection)] == [("partner=acme", "since=2020", "type=850")]


def test_holds_are_for_administrators(browser):
    """An auditor sees them and changes none."""
    client = browser(Role.AUDITOR)
    assert "Hold more" not in client.get("/ledger/retention").text
    assert post(client, "/ledger/holds", words="partner=acme", why="x").status_code == 403
    assert post(client, "/ledger/holds/1/release", why="x").status_code == 403


def test_what_would_go_is_worked_out_in_the_background(browser, home):
    """With a policy of a day, yesterday's bytes would go; nothing is changed."""
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write('\n[retention]\npayload = "1d"\n')
    client = browser(Role.AUDITOR)
    assert "It was not worked out" in client.get("/ledger/retention").text
    assert "It began" in said(client, post(client, "/ledger/retention/plan"))
    outcome = ended(client, "/ledger/retention", "plan")
    assert "Nothing was changed" in outcome
    assert "acme" in outcome


# ---------------------------------------------------------------- reports


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("volumes", "acme in 850 {orders} "),
        ("quality", "80.0 %"),
        ("errors", "is not a number"),
        ("acknowledgments", "On-time share"),
        ("charges", "no [tariff]"),
        ("nonsense", "Volumes"),
    ],
)
def test_each_report_of_a_month_is_a_link(browser, home, report, words):
    """What `gateway ledger report` tells, as tables."""
    month = _month(home)
    page = text_of(browser(Role.VIEWER).get("/reports", params={"report": report, "month": month}))
    assert words.format(orders=_orders(home, month)) in page


def test_a_report_of_one_partner_has_only_that(browser, home):
    """And links to its statement."""
    page = browser(Role.VIEWER).get("/reports", params={"partner": "globex", "month": _month(home)}).text
    assert 'scope="row"><a href="/reports?report=volumes&amp;month=' in page
    assert ">globex</a></th>" in page
    assert ">acme</a></th>" not in page
    assert "/reports/statements/globex/" in page


@pytest.mark.parametrize("month", ["2026-13", "x", "", "0000-00", "2026-1", HOSTILE])
def test_a_month_that_is_none_is_the_one_that_is_now(browser, month):
    """No error, and nothing of what was typed is obeyed."""
    page = browser(Role.VIEWER).get("/reports", params={"month": month, "partner": HOSTILE})
    assert page.status_code == 200
    assert HOSTILE not in page.text


def test_reports_are_downloaded_as_csv_that_no_spreadsheet_obeys(browser, home):
    """Numbers are plain, and a cell that begins like a formula is none."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        found = recorder.connection.execute(tables.daily_count.select()).mappings().first()
        row = dict(found) | {"partner": "=cmd|'/c calc'!A1", "interchanges": 1234567}
        recorder.connection.execute(tables.daily_count.insert(), row)
    answer = browser(Role.VIEWER).get("/reports", params={"form": "csv", "month": _month(home)})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "Partner,Way,Type,Interchanges" in answer.text
    assert "\n=cmd" not in answer.text
    assert "acme,in,850," in answer.text


def test_a_statement_is_html_with_its_own_policy_and_pdf(browser, home):
    """What is mailed to a partner; a month or form that is none is said."""
    client, month = browser(Role.VIEWER), _month(home)
    page = client.get(f"/reports/statements/acme/{month}.html")
    assert "ACME Retail" in page.text
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert client.get(f"/reports/statements/acme/{month}.pdf").content.startswith(b"%PDF")
    for wrong in (f"acme/{month}.doc", "acme/2026-13.html", f"nobody/{month}.html", "acme/x"):
        assert client.get(f"/reports/statements/{wrong}").status_code == 404, wrong


def _month(home) -> str:
    """The month of the first exchange, in the machine's zone."""
    with open_app(home) as app, app.ledger.reading() as connection:
        return f"{at_zone(connection.execute(tables.exchange.select()).first().at, None):%Y-%m}"


def _orders(home, month: str) -> int:
    """How many orders came from ACME in a month of UTC: the two nights may lie in two."""
    x = tables.exchange.c
    with open_app(home) as app, app.ledger.reading() as connection:
        mine = select(x.at).where(x.partner == "acme", x.direction == "in", x.types == "850")
        found = [each for each in connection.execute(mine).scalars() if f"{at_zone(each, UTC):%Y-%m}" == month]
    assert found
    return len(found)
