"""Partners: found by what they are known by, told in words, with their health, their status and its reason."""

from __future__ import annotations

import re

import pytest
from builders.console import HOSTILE, SHOWN, post, said, text_of, told

from gateway.app import open_app
from gateway.console.people import Role
from gateway.flow.configuration import apply_profiles
from gateway.flow.start_numbers import standing_numbers
from gateway.ledger import tables
from partners.model import Status
from partners.profile import read_profile


def profile(key: str, **more: str) -> str:
    """A small profile."""
    lines = "".join(f"{name} = {value}\n" for name, value in more.items())
    return (
        f'key = "{key}"\naddresses = ["edi@{key}.example"]\nidentities = ["ZZ:{key.upper()}"]\n{lines}'
        '\n[[agreement]]\ndirection = "in"\nsets = ["850"]\n'
    )


def applied(home, *texts: str) -> None:
    """Puts profiles into the home."""
    with open_app(home, actor="anna") as app:
        apply_profiles(app.ledger, app.partners, [(read_profile(each), each, "a.toml") for each in texts], actor="anna")


def listed(page: str) -> list[str]:
    """The keys of the partners in a list, in its order."""
    return re.findall(r'<th scope="row"><a href="/partners/([^"]+)"', page)


def test_all_partners_are_listed_with_status_identities_and_traffic(browser):
    """The four partners of the demo, by key, each with what it is."""
    page = browser(Role.VIEWER).get("/partners").text
    assert listed(page) == ["acme", "globex", "initech", "mercy"]
    assert "ZZ:ACMERETAIL" in page
    assert "edi@acme.example" in page
    assert "1 overdue" in page


@pytest.mark.parametrize(
    ("find", "wanted"),
    [("acmeretail", ["acme"]), ("GLOBEX", ["globex"]), ("billing@", ["mercy"]), ("", 4), ("nobody-at-all", [])],
)
def test_partners_are_found_by_key_name_address_or_identity(browser, find, wanted):
    """Whatever somebody knows of a partner leads to it."""
    found = listed(browser(Role.VIEWER).get("/partners", params={"find": find}).text)
    assert found == wanted if isinstance(wanted, list) else len(found) == wanted


def test_a_status_narrows_the_list(browser, home):
    """Drafts are a link away, and counted."""
    applied(home, profile("zeta", status='"draft"'))
    client = browser(Role.VIEWER)
    assert "draft 1" in text_of(client.get("/partners"))
    assert listed(client.get("/partners?status=draft").text) == ["zeta"]
    assert "No partner is like that" in client.get("/partners?status=nonsense").text


def test_many_partners_come_in_pages_without_gap_or_repetition(browser, home):
    """A hundred and more partners are walked through page by page."""
    applied(home, *(profile(f"p{number:03}") for number in range(120)))
    client, path, seen = browser(Role.VIEWER), "/partners", []
    while path:
        page = client.get(path).text
        seen += listed(page)
        after = re.search(r'href="/partners\?after=([^&"]+)', page)
        path = f"/partners?after={after[1]}" if after else ""
    assert seen == sorted([*(f"p{number:03}" for number in range(120)), "acme", "globex", "initech", "mercy"])


def test_names_and_notes_with_markup_are_text(browser, home):
    """What somebody wrote into a profile is shown, not obeyed."""
    applied(home, profile("evil", name=f"'{HOSTILE}'", notes=f"'{HOSTILE}'", contact="'&lt;b&gt;'"))
    client = browser(Role.ADMINISTRATOR)
    for path in (
        "/partners",
        "/partners/evil",
        "/partners/evil/edit",
        "/partners/evil/revisions",
        "/partners/evil/check",
    ):
        page = client.get(path).text
        assert SHOWN in page, path
        assert HOSTILE not in page, path
    assert "&amp;lt;b&amp;gt;" in client.get("/partners/evil").text


def test_a_partner_is_told_as_the_command_line_tells_it(browser):
    """The words of `gateway partner show`, our next numbers, and its last exchanges."""
    page = text_of(browser(Role.VIEWER).get("/partners/acme"))
    assert "ACME Retail sends us 850 in 004010" in page
    assert "a 997, naming every transaction set" in page
    assert "ZZ:EXAMPLECO ZZ:ACMERETAIL interchange 9" in page
    assert "po PO-1001" in page


def test_an_earlier_revision_is_told_as_it_was(browser, home):
    """The words of then, and that they are of then."""
    applied(home, profile("zeta", name='"Before"'))
    applied(home, profile("zeta", name='"After"'))
    page = text_of(browser(Role.VIEWER).get("/partners/zeta?revision=1"))
    assert "This is revision 1 of 2" in page
    assert "Before (zeta) is a draft" in page
    assert browser(Role.VIEWER).get("/partners/zeta?revision=7").status_code == 404


@pytest.mark.parametrize(
    "rest", ["", "/traffic", "/numbers", "/certificates", "/revisions", "/check", "/checklist", "/spec.html"]
)
def test_a_partner_that_is_not_there_is_said(browser, rest):
    """Every page of a partner says so in the fault's own words."""
    answer = browser(Role.VIEWER).get(f"/partners/nobody{rest}")
    assert answer.status_code == 404
    assert "no trading partner named nobody" in answer.text


def test_a_status_is_changed_with_a_reason_that_the_ledger_keeps(browser, home):
    """Suspended by an administrator: a new revision, and an event with who and why."""
    client = browser(Role.ADMINISTRATOR)
    answer = post(client, "/partners/acme/status", status="suspended", why="their mail system was broken into")
    assert "acme is now suspended (it was live)" in said(client, answer)
    event = told(home, "partner-status")[0]
    assert event.actor == "administrator@example"
    assert event.body["reason"] == "their mail system was broken into"
    assert "their mail system was broken into" in client.get("/partners/acme").text
    with open_app(home) as app:
        assert app.partners.get("acme").status is Status.SUSPENDED


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"status": "suspended", "why": " "}, "Say why"),
        ({"status": "nonsense", "why": "x"}, "no status"),
        ({"why": "x"}, "no status"),
        ({"status": "draft", "why": "x"}, "cannot become draft"),
    ],
)
def test_a_status_that_cannot_be_is_refused_in_words(browser, home, form, sentence):
    """Without a reason, or to a status that does not follow, nothing is changed."""
    client = browser(Role.ADMINISTRATOR)
    assert sentence in said(client, post(client, "/partners/acme/status", **form))
    assert told(home, "partner-status") == []


def test_a_draft_goes_live_only_when_its_checklist_is_done_or_somebody_insists(browser, home):
    """What is missing is named; with the mark that it is wanted all the same, it is done and recorded."""
    applied(home, profile("zeta"))
    client = browser(Role.ADMINISTRATOR)
    refused = said(client, post(client, "/partners/zeta/status", status="live", why="now"))
    assert "missing" in refused.lower() or "not ready" in refused.lower()
    assert "zeta is now live" in said(
        client, post(client, "/partners/zeta/status", status="live", why="now", anyway="yes")
    )
    assert told(home, "partner-status")[0].body["missing"]


def test_only_an_administrator_changes_a_status(browser, home):
    """An operator sees neither the form nor may post it."""
    client = browser(Role.OPERATOR)
    assert "Change the status" not in client.get("/partners/acme").text
    assert post(client, "/partners/acme/status", status="suspended", why="x").status_code == 403
    assert told(home, "partner-status") == []


def test_quality_and_traffic_of_30_and_90_days(browser):
    """Verdicts, the commonest errors with an example, and times to acknowledgment."""
    client = browser(Role.VIEWER)
    page = text_of(client.get("/partners/acme/traffic"))
    assert "80.0 % accepted" in page
    assert "is not a number" in page
    assert "The last 90 days" in client.get("/partners/acme/traffic?days=90").text
    assert "The last 30 days" in client.get("/partners/acme/traffic?days=nonsense").text


def test_numbers_that_are_missing_are_explained_with_a_reason(browser, home):
    """A finding that a person explains is closed, and says by whom and why."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        about = {"partner": "acme", "theirs": "ZZ:ACMERETAIL", "ours": "ZZ:EXAMPLECO", "level": "interchange"}
        number = recorder.add(
            tables.number_gap, at=recorder.now, raised_at=recorder.now, epoch=1, kind="gap", first=40, last=44,
            exchange=1, **about,
        )  # fmt: skip
    client = browser(Role.OPERATOR)
    assert "interchange numbers 40 to 44 of ZZ:ACMERETAIL did not come" in client.get("/partners/acme/numbers").text
    answer = post(client, f"/partners/acme/gaps/{number}", why=f"never sent {HOSTILE}")
    assert said(client, answer).startswith(f"g{number}:")
    closed = client.get("/partners/acme/numbers?all=1").text
    assert SHOWN in closed
    assert "operator@example" in closed
    assert "numbers 40 to 44" not in client.get("/partners/acme/numbers").text


@pytest.mark.parametrize("path", ["/partners/acme/gaps/99", "/partners/acme/gaps/x", "/partners/acme/expected/99"])
def test_what_is_not_there_cannot_be_explained(browser, path):
    """A wrong number is said in the fault's own words."""
    answer = post(browser(Role.OPERATOR), path, why="x")
    assert answer.status_code == 404
    assert "There is no" in answer.text


def test_an_expected_file_is_settled(browser, home):
    """A file that need not come any more is put to rest, with a reason."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        due = {"opens_at": recorder.now - 9, "due_at": recorder.now - 5, "missed_at": recorder.now}
        number = recorder.add(tables.arrival, partner="acme", agreement="orders", rule="an 850 by 02:00", **due)
    client = browser(Role.OPERATOR)
    assert "an 850 by 02:00" in client.get("/partners/acme/numbers").text
    assert "Say why" in said(client, post(client, f"/partners/acme/expected/{number}", why=""))
    assert f"e{number}" in said(client, post(client, f"/partners/acme/expected/{number}", why="a holiday"))
    assert "settled" in client.get("/partners/acme/numbers").text


def test_a_test_is_sent_and_its_verdict_told(browser, home):
    """A sample is submitted as a test by an operator; the page tells that it waits for the next batch."""
    client = browser(Role.OPERATOR)
    answer = post(client, "/partners/acme/test", type="810")
    assert "/partners/acme/checklist?test=" in answer.headers["location"]
    assert "submitted" in said(client, answer)
    page = text_of(client.get(answer.headers["location"]))
    assert "waiting" in page
    assert "810" in page
    assert post(browser(Role.AUDITOR), "/partners/acme/test", type="810").status_code == 403


def test_a_test_that_cannot_be_made_is_said(browser):
    """A set that nobody agreed on is refused in words, and nothing is sent."""
    client = browser(Role.OPERATOR)
    sentence = said(client, post(client, "/partners/acme/test", type="999999"))
    assert sentence
    assert "submitted" not in sentence
    assert "No test was sent yet" in client.get("/partners/acme/checklist").text


def test_the_specification_is_html_pdf_and_text(browser):
    """The sheet to send to the partner; as HTML it brings its own policy."""
    client = browser(Role.VIEWER)
    page = client.get("/partners/acme/spec.html")
    assert "ZZ:EXAMPLECO" in page.text
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert client.get("/partners/acme/spec.pdf").content.startswith(b"%PDF")
    assert "ZZ:EXAMPLECO" in client.get("/partners/acme/spec.txt").text


def test_control_numbers_are_left_knowingly(browser, home):
    """An administrator says that they stay, and why; that is recorded."""
    client = browser(Role.ADMINISTRATOR)
    assert "stay as they are" in said(client, post(client, "/partners/acme/numbers/left", why="they know them"))
    assert told(home, "numbers-left")[0].body["reason"] == "they know them"


def next_numbers(home) -> list[int]:
    """Where our counts for ACME stand: interchange, group."""
    with open_app(home) as app:
        found = {each.level: each.next for each in standing_numbers(app.ledger, app.directory(), "acme")}
    return [found["interchange"], found["group"]]


@pytest.mark.parametrize(
    ("form", "sentence", "after"),
    [
        ({"interchange": "4712", "group": "9001", "why": "from the VAN"}, "interchange 4712 (it was 9)", [4712, 9001]),
        ({"interchange": "9", "why": "x"}, "nothing was changed", [9, 9]),
        ({"interchange": "3", "why": "x"}, "3", [9, 9]),
        ({"interchange": "no number", "why": "x"}, "no number", [9, 9]),
        ({"interchange": "9999999999", "why": "x"}, "9999999999", [9, 9]),
        ({"why": "x"}, "", [9, 9]),
        ({"interchange": "50", "why": ""}, "Say why", [9, 9]),
        ({"interchange": "50", "why": "x", "pair": "ZZ:NOBODY ZZ:ACMERETAIL"}, "ZZ:NOBODY", [9, 9]),
    ],
)
def test_our_numbers_go_on_after_those_that_the_partner_knows(browser, home, form, sentence, after):
    """Set by an administrator with a reason, and never back."""
    client = browser(Role.ADMINISTRATOR)
    pair = {"pair": "ZZ:EXAMPLECO ZZ:ACMERETAIL"}
    assert sentence in said(client, post(client, "/partners/acme/numbers/ours", **pair | form))
    assert next_numbers(home) == after


@pytest.mark.parametrize("first", ["", "0", "x", "-1", "1" * 10, "²"])
def test_numbers_that_are_none_do_not_begin_anew(browser, first):
    """What was typed is said, and nothing declared."""
    client = browser(Role.OPERATOR)
    sentence = said(client, post(client, "/partners/acme/numbers/theirs", first=first, why="x"))
    assert "is no control number" in sentence


def test_a_partner_whose_numbers_begin_anew(browser, home):
    """An operator declares it with the reason; said again it is told to be done."""
    client = browser(Role.OPERATOR)
    form = {"first": "1", "level": "interchange", "why": "new system, says Jo"}
    assert "begin anew at 1" in said(client, post(client, "/partners/acme/numbers/theirs", **form))
    assert told(home, "numbers-reset")[0].body["reason"] == "new system, says Jo"
    assert "done before" in said(client, post(client, "/partners/acme/numbers/theirs", **form))
    assert "nothing to begin anew" in said(client, post(client, "/partners/initech/numbers/theirs", **form))
    assert post(client, "/partners/acme/numbers/ours", interchange="50", why="x").status_code == 403
