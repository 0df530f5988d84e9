"""The first page: what needs a person, with its cause, its side and where it is done; nights, mailboxes, traffic."""

from __future__ import annotations

import re

import pytest
from builders.console import HOSTILE, SHOWN, text_of

from gateway.app import open_app
from gateway.console.people import Role
from gateway.ledger import batches, tables
from gateway.ledger.batches import Batch, BatchStep, Trouble


def test_everything_that_status_tells_stands_there_with_cause_side_and_command(browser):
    """Each thing that the demo leaves has its sentence, whose side it is on, a link, and the command."""
    page = text_of(browser(Role.VIEWER).get("/"))
    assert "5 need a person" in page
    assert "Its 997 says 810 0001 is rejected" in page
    assert "PO102 (Quantity Ordered), segment 8: 'A DOZEN' is not a number." in page
    assert "No trading partner has the address sales@stranger.example." in page
    assert "The functional acknowledgment (997 or 999) was due" in page
    assert "side: partner" in page
    assert "gateway quarantine show m5" in page


def test_what_stands_still_comes_before_what_is_late(browser):
    """A document that a partner refused is more urgent than one whose acknowledgment is overdue."""
    page = browser(Role.VIEWER).get("/").text.partition('<ol class="needs">')[2]
    assert page.index("refused by the partner") < page.index("partially accepted") < page.index("overdue</span>")


def test_links_lead_to_the_page_where_something_is_done(browser):
    """What is quarantined leads to its preview, what an exchange is about to that exchange."""
    page = browser(Role.VIEWER).get("/").text
    assert 'href="/quarantine/m5"' in page
    assert 'href="/exchanges/17"' in page
    assert 'href="/partners/globex"' in page


def test_kinds_are_links_that_narrow_the_list(browser):
    """Of the kind overdue there is one thing, and nothing else is shown."""
    page = browser(Role.VIEWER).get("/?kind=overdue").text
    assert "was due" in page
    assert "A DOZEN" not in page
    assert "Nothing of that kind needs a person" in browser(Role.VIEWER).get("/?kind=nonsense").text


def test_the_last_night_is_told_with_its_result(browser):
    """The batch, how long it took and what it did."""
    page = text_of(browser(Role.VIEWER).get("/"))
    assert "Batch 2" in page
    assert "1 acknowledgments overdue" in page
    assert "No service runs here" in page


def test_a_mailbox_that_failed_in_the_last_batch_is_told_with_the_reason(browser, home):
    """What the collecting step could not read is the health of that mailbox."""
    trouble = Trouble("mailbox orders", f"The mailbox orders cannot be read: {HOSTILE}", "mailbox.unavailable")
    with open_app(home) as app, app.ledger.transaction() as recorder:
        step = BatchStep("collect", recorder.now, recorder.now + 5, {}, (trouble,))
        batches.note(recorder, 2, Batch(2, recorder.now, recorder.now + 9, 69, "night", {}, 1, (step,)))
    page = browser(Role.VIEWER).get("/").text
    boxes = page[page.index('id="today-mailboxes"') :]
    assert 'class="state bad">failed' in boxes
    assert SHOWN in boxes
    assert HOSTILE not in page


def test_the_traffic_is_a_picture_and_a_table_that_agree(browser):
    """What the bars say on hover, the table says too."""
    page = browser(Role.VIEWER).get("/").text
    bars = sum(int(each.replace(",", "")) for each in re.findall(r"<title>[0-9-]+: ([0-9,]+) × ", page))
    rows = re.findall(r'<tr><th scope="row">\d{4}-\d\d-\d\d</th>(.*?)</tr>', page)
    cells = sum(int(each.replace(",", "")) for row in rows for each in re.findall(r">([0-9,]+)<", row))
    assert bars == cells == 25
    assert re.search(r"<desc[^>]*>\d+ interchanges came and \d+ were sent in 14 days", page)


def test_partners_with_trouble_are_named_with_what_is_awaited(browser):
    """Initech, whose acknowledgment is overdue, stands there; a partner without trouble does not."""
    page = browser(Role.VIEWER).get("/").text
    troubled = page[page.index('id="today-partners"') : page.index('id="traffic-title"')]
    assert "1 overdue" in troubled
    assert "/partners/initech" in troubled
    assert "/partners/mercy" not in troubled


def test_a_subject_with_markup_is_text(browser, home):
    """A stranger's subject is shown as it was written, and does nothing."""
    with open_app(home) as app, app.ledger.transaction() as recorder:
        recorder.change(tables.message, 5, subject=HOSTILE)
    page = browser(Role.VIEWER).get("/").text
    assert SHOWN in page
    assert HOSTILE not in page


@pytest.mark.parametrize("path", ["/", "/?kind=overdue", "/?all=1"])
def test_nothing_on_the_page_needs_a_style_or_a_script_of_its_own(browser, path):
    """The policy of the console forbids both, so the page has none."""
    page = browser(Role.OPERATOR).get(path).text
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert page.count("<h1") == 1
