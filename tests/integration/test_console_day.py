"""An operator's day and an auditor's question in the console, in Chromium; what was done stands in the ledger."""

from __future__ import annotations

import json
import re

import pytest
from servers.chromium import keep
from servers.console import PASSWORD

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def page(chromium):
    """A window of its own. What a browser prints to its console as an error fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


def needing(page) -> int:
    """How many things need a person, as the first page says."""
    return int(page.locator("#today-figures strong").first.inner_text())


def story(console, reference: str) -> list[dict]:
    return json.loads(console.run("exchange", "show", reference, "--json"))["events"]


def test_a_wrong_password_is_told_and_the_wanted_page_comes_after_the_right_one(console, page):
    """Somebody who follows a link from a mail lands there after signing in; what failed is in the ledger."""
    page.goto(f"{console.url}/exchanges?q=PO-1001")
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    page.get_by_label("Name").fill("olga")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "password" in page.get_by_role("alert").inner_text().lower()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    assert page.url == f"{console.url}/exchanges?q=PO-1001"
    assert page.get_by_role("row").count() > 3
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{console.url}/exchanges")
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    told = console.run("ledger", "changes")
    assert "olga" in told


def test_the_morning_of_an_operator(console, page):
    """Two things that need a person are looked at and dealt with, from the first page on."""
    console.sign_in(page, "olga")
    before = needing(page)
    assert before >= 4
    keep(page, "day 1 today")

    # A stranger's mail: looked at, and put aside.
    mail = page.get_by_role("listitem").filter(has_text="sales@stranger.example")
    mail.get_by_role("link", name="Preview").click()
    assert "No trading partner has the address" in page.locator("main").inner_text()
    keep(page, "day 2 quarantine")
    page.get_by_role("link", name="Discard").click()
    page.get_by_label("Why").fill("spam, asked the owner of the mailbox")
    page.get_by_role("button", name="What would happen").click()
    assert "Nothing was changed yet" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Discard").click()
    assert page.get_by_role("status").count() == 1
    page.goto(console.url)
    assert needing(page) == before - 1

    # An acknowledgment that did not come: the partner said on the telephone that all is well.
    page.get_by_role("listitem").filter(has_text="overdue").get_by_role("link", name=re.compile("Resend")).click()
    number = re.search(r"/exchanges/(\d+)", page.url).group(1)
    page.get_by_role("link", name=re.compile("^Acknowledge|^Settle")).first.click()
    if page.get_by_role("radio").count():
        page.get_by_role("radio").first.check()
    page.get_by_label("Why").fill("telephone, Mr Miller")
    page.get_by_role("button", name=re.compile("^Acknowledge|^Settle")).click()
    page.goto(console.url)
    assert needing(page) == before - 2
    assert any("Miller" in json.dumps(each) and "olga" in json.dumps(each) for each in story(console, number))


def test_an_order_is_found_and_followed(console, page):
    """By its number alone, from the search line to the story of all its documents and the segment that was wrong."""
    console.sign_in(page, "vera")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url(f"{console.url}/exchanges")
    page.keyboard.press("/")
    page.keyboard.type("PO-1006")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("PO-1006"))
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    page.get_by_role("link", name="Segments", exact=True).click()
    wrong = page.get_by_text("'A DOZEN' is not a number")
    assert wrong.first.is_visible()
    keep(page, "order segments")
    page.get_by_role("link", name="Acknowledgment", exact=True).click()
    assert "PO102" in page.locator("main").inner_text()
    keep(page, "order acknowledgment")
    page.goto(f"{console.url}/documents")
    page.get_by_role("searchbox").or_(page.get_by_role("textbox")).first.fill("PO-1001")
    page.keyboard.press("Enter")
    text = page.locator("main").inner_text()
    assert all(each in text for each in ("850", "855", "856", "810"))
    keep(page, "order story")


def test_rows_are_walked_with_keys(console, page):
    """j and k move, Enter opens, ? helps."""
    console.sign_in(page, "vera")
    page.goto(f"{console.url}/exchanges")
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = page.locator("tbody tr:focus-within")
    assert focused.count() == 1
    wanted = focused.get_by_role("link").first.get_attribute("href")
    assert wanted == page.get_by_role("row").nth(2).get_by_role("link").first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.url}{wanted}")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_what_a_night_brings_shows_without_reloading(console, page):
    """The first page follows the ledger while it is open."""
    console.sign_in(page, "olga")
    last = page.locator("#today-nights").get_by_role("link", name=re.compile("Batch"))
    assert last.inner_text() == "Batch 2"
    console.run("night", "--quiet", code=69)  # the demo's mail host is gone: that is what the batch meets
    page.get_by_role("link", name="Batch 3").wait_for(timeout=20_000)
    page.goto(f"{console.url}/nights/3")
    assert "127.0.0.1" in page.locator("main").inner_text()
    keep(page, "night")


def test_a_profile_is_changed_knowingly(console, page):
    """A wrong line is named; the difference is shown before anything is applied; the revision says who and why."""
    console.sign_in(page, "ada")
    page.goto(f"{console.url}/partners/acme/edit")
    field = page.get_by_label(re.compile("The profile"))
    text = field.input_value()
    field.fill(text.replace("edi@acme.example", "nonsense"))
    page.get_by_role("button", name="Compare").click()
    said = page.locator("main").inner_text()
    assert "addresses" in said
    assert "nonsense" in said
    keep(page, "profile wrong")
    page.get_by_label(re.compile("The profile")).fill(
        text.replace('"edi@acme.example"', '"edi@acme.example", "orders@acme.example"')
    )
    page.get_by_role("button", name="Compare").click()
    assert "orders@acme.example" in page.locator("ins, .added, .diff").first.inner_text()
    keep(page, "profile compared")
    page.get_by_label("Why").fill("their second address")
    page.get_by_role("button", name="Apply").click()
    page.goto(f"{console.url}/partners/acme/revisions")
    said = page.locator("main").inner_text()
    assert "ada" in said
    assert "orders@acme.example" in console.run("partner", "show", "acme")
    keep(page, "profile revisions")


def test_the_question_of_an_auditor(console, page):
    """What became of an invoice, with the bytes and the proof; nothing can be changed on the way."""
    console.sign_in(page, "anna")
    page.goto(f"{console.url}/exchanges?q=INV-0001")
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    assert page.locator("main").get_by_role("button").count() == 0
    page.get_by_role("link", name="Evidence").click()
    keep(page, "evidence")
    page.get_by_role("link", name="Raw", exact=True).click()
    with page.expect_download() as download:
        page.locator('a[href$="raw.edi"]').first.click()
    assert b"INV-0001" in download.value.path().read_bytes()
    page.goto(f"{console.url}/ledger/seals")
    page.get_by_role("button", name="Verify everything").click()
    page.get_by_text("all as recorded").wait_for(timeout=30_000)
    keep(page, "verified")
    page.goto(f"{console.url}/exchanges?q=type%3D810")
    page.get_by_text("Save, delete, download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("CSV")).click()
    assert b"INV-0001" in download.value.path().read_bytes()


def test_a_viewer_sees_no_way_to_act_and_gets_no_raw_bytes(console, page):
    """The address of a download alone helps nobody."""
    console.sign_in(page, "vera")
    page.goto(f"{console.url}/exchanges/5")
    assert page.locator("main").get_by_role("button").count() == 0
    assert page.goto(f"{console.url}/exchanges/5/raw.edi").status == 403
    assert page.goto(f"{console.url}/users").status == 403
