"""A statement: the same numbers as HTML, PDF and JSON; readable, without scripts, whatever partners wrote."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from builders import ledger_rows as make
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pypdf import PdfReader

from gateway.errors import NotInstalled, QueryInvalid, UsageFault
from gateway.ledger import daily, tables
from gateway.ledger.database import writing
from gateway.ledger.reports.chart import SERIES, chart
from gateway.ledger.reports.html import as_html, policy
from gateway.ledger.reports.layout import page
from gateway.ledger.reports.page import Page, Section, Table
from gateway.ledger.reports.pdf import as_pdf
from gateway.ledger.reports.scope import parse_scope
from gateway.ledger.reports.statement import charges_for_statements, partners_with_traffic, statement
from gateway.settings import TariffSettings

pytestmark = [pytest.mark.integration, pytest.mark.unrecorded]

HOUR, DAY = 3_600_000, 86_400_000
NOW = datetime(2026, 11, 3, 8, tzinfo=UTC)
OCTOBER = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1000)
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)> {{7*7}} & \x1b[31m\u202eRTL'
TARIFF = TariffSettings("USD", Decimal("0.12"), Decimal("0.10"), mailbox_fee=Decimal("7.50"))


def record(connection, **values):
    """An exchange with one set of its type, counted."""
    set_id = values.pop("set_id", "850")
    number = make.exchange(connection, types=set_id, **values)
    made = {**make.EXCHANGE, **values, "id": number, "types": set_id}
    status = {"status": made["verdict"]} if made["direction"] == "in" else {"acknowledged": made["verdict"]}
    group = make.group(connection, number)
    row = make.transaction_set(connection, number, group, set_id=set_id, **{"status": "", **status})
    sets = [{"id": row, "exchange": number, "set_id": set_id}]
    daily.count_rows(connection, {"exchange": [made], "transaction_set": sets})
    return number


def month(connection, partner="acme"):
    """A month of one partner with something of everything."""
    for day in range(31):
        at = OCTOBER + day * DAY + 9 * HOUR
        common = {"partner": partner, "at": at, "control_number": f"{day:09}"}
        record(connection, **common, size=1500 + day, set_id=("850", "860", "820")[day % 3])
        sent = {"direction": "out", "handed_over_at": at + HOUR, "due_at": at + 25 * HOUR, "set_id": "810"}
        took = None if day == 5 else at + HOUR + (day + 1) * HOUR
        state = "overdue" if took is None else "acknowledged"
        record(
            connection,
            **common,
            **sent,
            state=state,
            acknowledged_at=took,
            verdict="accepted" if took else "",
            size=900,
        )
        record(connection, **common, direction="out", kind="acknowledgment", set_id="997", size=200, handed_over_at=at)
    bad = record(
        connection, partner=partner, at=OCTOBER + 5, state="rejected", verdict="rejected", findings=1, size=3210
    )
    sentence = "PO103 (Unit), segment 4: 'secret' is not among the codes allowed."
    make.insert(
        connection, tables.finding, exchange=bad, level="error", code="element.code-unknown", x12="7", segment="PO1",
        element=3, message=sentence, value="secret",
    )  # fmt: skip
    record(connection, partner="beta", at=OCTOBER + DAY)


def told_of(connection, partner="acme", zone=UTC, **options):
    scope = parse_scope([f"partner={partner}", "on=2026-10"], NOW, zone)
    charged = charges_for_statements(connection, scope, TARIFF)
    now = int(NOW.timestamp() * 1000)
    return statement(connection, scope, now, our_name="Example Co", charged=charged, **options)


class Seen(HTMLParser):
    """What of a page is text that people read, and which elements and attributes there are."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements, self.attributes, self.open = [], [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        if tag not in {"meta", "line", "rect", "br", "link", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_endtag(self, tag):
        if tag == "rect":
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "svg" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def words_of_pdf(data):
    pages = [each.extract_text() for each in PdfReader(io.BytesIO(data)).pages]
    return " ".join(" ".join(pages).split())


def cells(shown: Page):
    """Everything that a page says, piece by piece."""
    yield from (shown.title, shown.subtitle)
    for label, value in shown.facts:
        yield from (label, value)
    for figure in shown.figures:
        yield from (figure.label, figure.value, figure.note)
    for section in shown.sections:
        yield from (section.title, *section.sentences, *section.notes)
        yield from (picture.description for picture in section.pictures)
        for table in section.tables:
            yield from (table.caption, *table.columns, *table.total)
            for row in table.rows:
                yield from row


# ---------------------------------------------------------------- the numbers


def test_a_statement_tells_the_month_of_one_partner(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        told = told_of(connection)
        everybody = replace(told.scope, partner=None)
        assert partners_with_traffic(connection, everybody) == ["acme", "beta"]
    assert (told.traffic("in").interchanges, told.traffic("out").interchanges) == (32, 62)
    assert told.traffic("in").bytes == sum(1500 + day for day in range(31)) + 3210
    inbound, outbound = told.quality
    assert (inbound.interchanges.accepted, inbound.interchanges.rejected) == (31, 1)
    assert (outbound.interchanges.accepted, outbound.interchanges.open) == (30, 1)
    _, sent = told.all_answers
    # Due a day after the hand-over: days 0 to 23 but for the fifth came in time.
    assert (sent.exchanges, sent.on_time, sent.late, sent.never) == (31, 23, 7, 1)
    assert sent.p50 == 16 * HOUR
    assert [(each.code, each.sentence) for each in told.mistakes] == [
        ("element.code-unknown", "PO103 (Unit), segment 4: '…' is not among the codes allowed.")
    ]
    assert (told.open_count, {each.state for each in told.open}) == (2, {"overdue", "rejected"})
    assert (told.documents, len(told.listed)) == (63, 63)
    # 31 × 2 + 4 received; sent 31 documents and 31 acknowledgments, each up to a kilocharacter.
    assert told.charge.traffic == 66 * Decimal("0.12") + 62 * Decimal("0.10")
    assert told.charge.total == told.charge.traffic + Decimal("7.50")


def test_what_needs_a_person_in_a_statement_is_what_the_status_tells(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, partner="acme", at=OCTOBER, state="delivered", verdict="partially_accepted")
        record(connection, partner="acme", at=OCTOBER, state="accepted", verdict="accepted", fault_code="delivery.x")
        told = told_of(connection)
    words = Seen(as_html(page(told))).words
    assert (told.open_count, [each.need for each in told.open]) == (2, ["not delivered", "partially accepted"])
    assert "partially accepted Some of its documents were accepted, and others rejected." in words
    assert "not delivered It was accepted, but the business could not be given it." in words


def test_html_and_pdf_say_the_same(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        shown = page(told_of(connection, name="Acme Hardware & Sons"))
    html, pdf = Seen(as_html(shown)).words, words_of_pdf(as_pdf(shown))
    squeezed = pdf.replace(" ", "")
    for each in cells(shown):
        assert " ".join(each.split()) in html
        assert each.replace(" ", "") in squeezed, each  # a PDF breaks lines where it likes
    assert html.count("acknowledged, accepted after") == pdf.count("acknowledged, accepted after") == 30


def test_the_same_statement_gives_the_same_files(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        shown = page(told_of(connection))
    assert as_html(shown) == as_html(shown)
    assert as_pdf(shown) == as_pdf(shown)
    assert as_pdf(shown, "a4") != as_pdf(shown)


def test_lists_are_bounded_and_say_how_much_more_there_is(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        html = Seen(as_html(page(told_of(connection, most=10)))).words
    assert "And 53 more of 63, which are later." in html


def test_a_partner_without_traffic_has_a_statement_that_says_so(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        told = told_of(connection, "nobody")
        html = Seen(as_html(page(told))).words
    for sentence in ("There were no documents.", "No errors were found.", "Nothing of this partner needs a person."):
        assert sentence in html
    assert as_pdf(page(told)).startswith(b"%PDF")
    assert told.charge is None


def test_the_days_of_a_month_are_those_of_its_zone(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, partner="acme", at=OCTOBER - HOUR)  # the first of October in Berlin
        record(connection, partner="acme", at=OCTOBER + 31 * DAY - HOUR // 2)  # the first of November
        told = told_of(connection, zone=ZoneInfo("Europe/Berlin"))
    assert [(each.day, each.interchanges) for each in told.by_day.rows] == [("2026-10-01", 1)]
    assert "2026-10-01 00:00 to 2026-11-01 00:00 (Europe/Berlin)" in Seen(as_html(page(told))).words


def test_a_statement_is_of_one_partner_and_one_month(ledger_engine):
    with writing(ledger_engine) as connection:
        for words in (["on=2026-10"], ["partner=acme", "on=2026"], ["partner=acme", "on=2026-10-05"]):
            with pytest.raises(QueryInvalid):
                statement(connection, parse_scope(words, NOW, UTC), 0)


# ---------------------------------------------------------------- what others wrote


def hostile(connection):
    """A partner that writes markup, formulas and control characters wherever it can."""
    number = record(
        connection, partner=HOSTILE, at=OCTOBER + HOUR, control_number=HOSTILE, set_id=HOSTILE, state="rejected",
        verdict="rejected", findings=1,
    )  # fmt: skip
    make.insert(
        connection, tables.finding, exchange=number, level="error", code=HOSTILE, segment=HOSTILE, message=HOSTILE
    )
    sent = record(connection, partner=HOSTILE, at=OCTOBER + HOUR, direction="out", verdict="rejected")
    make.insert(
        connection, tables.acknowledgment, at=OCTOBER, carrier=number, exchange=sent, kind="997", status="rejected",
        relation="matched", errors=[HOSTILE, "segment " + HOSTILE],
    )  # fmt: skip


def hostile_statement(connection):
    scope = replace(parse_scope(["partner=x", "on=2026-10"], NOW, UTC), partner=HOSTILE)
    return statement(connection, scope, 0, name=HOSTILE, our_name=HOSTILE)


def test_what_partners_wrote_is_text_in_html(ledger_engine):
    with writing(ledger_engine) as connection:
        hostile(connection)
        seen = Seen(as_html(page(hostile_statement(connection))))
    assert {"script", "img", "iframe", "link", "object", "form", "a"} & set(seen.elements) == set()
    assert {name for _, name in seen.attributes if name.startswith("on") or name in {"style", "href", "src"}} == set()
    assert "<script>alert(1)</script>" in seen.words
    assert "{{7*7}}" in seen.words
    assert not {"\x1b", "\u202e"} & set(seen.words)
    assert seen.open == []


def test_what_partners_wrote_is_text_in_pdf(ledger_engine):
    with writing(ledger_engine) as connection:
        hostile(connection)
        data = as_pdf(page(hostile_statement(connection)))
    reader = PdfReader(io.BytesIO(data))
    assert "<script>alert(1)</script>" in words_of_pdf(data)
    assert "/JavaScript" not in data.decode("latin-1")
    assert "/JS" not in reader.trailer["/Root"]


LETTERS = st.text(st.characters(codec="utf-8"), max_size=60)


@given(LETTERS, LETTERS, st.lists(st.lists(LETTERS, min_size=3, max_size=3), max_size=3))
def test_any_text_makes_a_page_in_which_it_is_text(title, value, rows):
    table = Table("Table", ("one", "two", "three"), tuple(tuple(row) for row in rows), frozenset({1}))
    shown = Page(title, value, value, (("Fact", value),), (), (Section("Section", (value,), (), (table,)),), value)
    html = as_html(shown)
    seen = Seen(html)
    assert seen.elements.count("td") == 2 * len(rows)
    assert {"script", "img", "a"} & set(seen.elements) == set()
    assert as_pdf(shown).startswith(b"%PDF")


# ---------------------------------------------------------------- the page as a page


def test_the_page_allows_a_browser_nothing_but_its_own_style(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        html = as_html(page(told_of(connection)))
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy()
    assert "default-src 'none'" in policy()
    assert re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_headings_tables_and_the_picture_can_be_heard(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        html = as_html(page(told_of(connection)))
    seen = Seen(html)
    assert '<html lang="en">' in html
    assert seen.elements.count("h1") == seen.elements.count("main") == 1
    assert seen.elements.count("section") == seen.elements.count("h2") == 7
    assert seen.elements.count("table") == seen.elements.count("caption") == seen.elements.count("thead")
    assert all('scope="' in each for each in re.findall(r"<th\b[^>]*>", html))
    (picture,) = re.findall(r'<svg class="chart".*?</svg>', html, flags=re.DOTALL)
    assert 'role="img"' in picture
    title, text = re.search(r'aria-labelledby="(\S+) (\S+)"', picture).groups()
    assert f'<title id="{title}">Interchanges by day and type</title>' in picture
    assert f'<desc id="{text}">32 interchanges received' in picture
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_a_pdf_has_a_title_an_outline_and_numbered_pages(ledger_engine):
    with writing(ledger_engine) as connection:
        month(connection)
        reader = PdfReader(io.BytesIO(as_pdf(page(told_of(connection)))))
    assert reader.metadata.title == "EDI statement October 2026 · acme"
    outline = [each.title for each in reader.outline]
    assert outline[0] == "Traffic"
    assert outline[-1] == "What a VAN would have charged"
    count = len(reader.pages)
    assert count > 2
    for number, each in enumerate(reader.pages, 1):
        assert f"Page {number} of {count}" in each.extract_text()


def test_letters_that_the_font_lacks_are_told(tmp_path):
    shown = Page("T", "Größe Ωmega 株式会社", "", (), (), (), "")
    said = words_of_pdf(as_pdf(shown))
    assert "Größe ?mega ????" in said
    assert "Characters that the font of this file lacks" in said
    with pytest.raises(UsageFault, match="no TrueType font"):
        as_pdf(shown, font=tmp_path)
    import reportlab

    font = next(iter((tmp_path.__class__(reportlab.__file__).parent / "fonts").glob("Vera.ttf")))
    assert "Characters that" not in words_of_pdf(as_pdf(Page("T", "Größe", "", (), (), (), ""), font=font))


def test_without_reportlab_the_fault_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "reportlab", None)
    with pytest.raises(NotInstalled) as caught:
        as_pdf(Page("T", "", "", (), (), (), ""))
    assert "edi-gateway[pdf]" in caught.value.next_step


# ---------------------------------------------------------------- the picture

DAYS = [f"2026-10-{day:02}" for day in range(1, 32)]
COUNTS = st.lists(
    st.tuples(
        st.sampled_from(DAYS),
        st.sampled_from(["in", "out"]),
        st.sampled_from(["850", "810", "856", "855", "860", "820", "837", "997", "TA1", ""]),
        st.integers(0, 100_000),
    ),
    max_size=60,
)


@given(COUNTS)
def test_every_bar_is_as_high_as_its_count_and_inside_the_picture(counts):
    made = chart(DAYS, counts)
    total = sum(count for *_, count in counts)
    unit = (made.lines[1].at - made.lines[0].at) / (label(made, 1) - label(made, 0))
    assert sum(each.height for each in made.bars) == pytest.approx(abs(unit) * total, abs=0.01)
    for each in made.bars:
        assert made.left <= each.x
        assert each.x + each.width <= made.right
        assert made.top - 0.01 <= each.y
        assert each.y + each.height <= made.bottom + 0.01
        assert each.y + each.height <= made.zero + 0.01 or each.y >= made.zero - 0.01
    colours = [colour for colour, _ in made.series]
    assert len(set(colours)) == len(colours) <= SERIES + 2
    assert {each.colour for each in made.bars} <= set(colours)


def label(made, place):
    """What a line stands for: what was sent counts downwards."""
    line = made.lines[place]
    number = int(line.label.replace(",", ""))
    return -number if line.at > made.zero else number
