"""A page as PDF, drawn with ReportLab (the extra ``pdf``). The same page gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from gateway.errors import NotInstalled, UsageFault
from gateway.ledger.reports.page import Figure, Page, Picture, Section, Table
from gateway.ledger.reports.pdf_parts import ACCENT, FAINT, INK, LINE, QUIET, colour, counting_canvas, drawing, heading

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

PAPERS = ("letter", "a4")
_MARGIN = 42.0  # points
_WIDEST_WORD = 110.0  # a longer one is broken
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"  # every reader of PDF has them; they know Windows-1252
_LACKING = "Characters that the font of this file lacks are shown as ?; the HTML form of the statement has them."


def as_pdf(page: Page, paper: str = "letter", font: Path | None = None) -> bytes:
    """The page as PDF.

    Args:
        page: what to show.
        paper: letter or a4.
        font: a TrueType file whose characters are used in place of Helvetica's, which are those of western languages.

    Raises:
        NotInstalled: without ReportLab.
        UsageFault: the font cannot be used.
    """
    try:
        import reportlab  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise NotInstalled(feature="PDF", package="reportlab", extra="pdf") from None
    return _Writer(page, paper, font).bytes()


class _Writer:
    """One document being made."""

    def __init__(self, page: Page, paper: str, font: Path | None) -> None:
        from reportlab.lib import pagesizes  # noqa: PLC0415

        self.page = page
        self.size = pagesizes.A4 if paper == "a4" else pagesizes.LETTER
        self.width = self.size[0] - 2 * _MARGIN
        self.plain, self.bold = (_PLAIN, _BOLD) if font is None else (_registered(font),) * 2
        self.any_character = font is not None
        self.lacking = False

    def bytes(self) -> bytes:
        from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate  # noqa: PLC0415

        out = io.BytesIO()
        story = list(self._story())
        if self.lacking:
            story.append(self._words(_LACKING, "note"))
        document = BaseDocTemplate(
            out,
            pagesize=self.size,
            title=f"{self.page.title} · {self.page.subtitle}",
            author=self.page.author,
            subject=self.page.title,
            lang="en",
            invariant=1,
        )
        frame = Frame(_MARGIN, _MARGIN, self.width, self.size[1] - 2 * _MARGIN, 0, 0, 0, 0)
        document.addPageTemplates(PageTemplate("page", [frame], onPage=self._footer))
        document.build(story, canvasmaker=partial(counting_canvas(), self._number))
        return out.getvalue()

    # ------------------------------------------------------------ the story

    def _story(self) -> Iterator[Flowable]:
        from reportlab.platypus import Spacer  # noqa: PLC0415

        yield self._words(self.page.title, "title")
        yield self._words(self.page.subtitle, "subtitle")
        if self.page.facts:
            yield Spacer(0, 8)
            yield self._facts()
        if self.page.figures:
            yield Spacer(0, 10)
            yield self._figures()
        for number, section in enumerate(self.page.sections):
            yield from self._section(number, section)

    def _section(self, number: int, section: Section) -> Iterator[Flowable]:
        from reportlab.platypus import CondPageBreak, Spacer  # noqa: PLC0415

        yield Spacer(0, 14)
        yield CondPageBreak(110)
        yield heading(self._words(section.title, "heading"), f"section-{number}", section.title)
        for sentence in section.sentences:
            yield self._words(sentence, "text")
        for picture in section.pictures:
            yield from self._picture(picture)
        for table in section.tables:
            yield Spacer(0, 6)
            yield CondPageBreak(70)
            yield self._words(table.caption, "caption")
            yield self._table(table)
        for note in section.notes:
            yield Spacer(0, 4)
            yield self._words(note, "note")

    def _facts(self) -> Flowable:
        from reportlab.platypus import Table as Grid  # noqa: PLC0415

        rows = [[self._words(label, "quiet"), self._words(value, "cell")] for label, value in self.page.facts]
        style = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ]
        return Grid(rows, [60, self.width - 60], hAlign="LEFT", style=style)

    def _figures(self) -> Flowable:
        """The numbers that stand out, four in a row."""
        from reportlab.platypus import Table as Grid  # noqa: PLC0415

        across = 4
        cells: list[Any] = [self._figure(each) for each in self.page.figures]
        cells += [""] * (-len(cells) % across)
        rows = [cells[start : start + across] for start in range(0, len(cells), across)]
        style: list[tuple[Any, ...]] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 7)]
        for place in range(len(self.page.figures)):
            at = (place % across, place // across)
            style += [("BACKGROUND", at, at, FAINT), ("BOX", at, at, 3, "white"), ("BOX", at, at, 0.5, LINE)]
        return Grid(rows, [self.width / across] * across, style=style)

    def _figure(self, figure: Figure) -> list[Flowable]:
        return [
            self._words(figure.label, "label"),
            self._words(figure.value, "figure"),
            self._words(figure.note, "label"),
        ]

    def _table(self, table: Table) -> Flowable:
        from reportlab.platypus import Table as Grid  # noqa: PLC0415

        rows = [self._row(table, table.columns, "head"), *(self._row(table, row, "cell") for row in table.rows)]
        if table.total:
            rows.append(self._row(table, table.total, "total"))
        style: list[tuple[Any, ...]] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET),
        ]
        if table.total:
            style += [("LINEABOVE", (0, -1), (-1, -1), 0.8, QUIET)]
        return Grid(rows, self._widths(table), repeatRows=1, style=style, hAlign="LEFT")

    def _row(self, table: Table, cells: Sequence[str], style: str) -> list[Flowable]:
        return [self._words(cell, style, right=place in table.numeric) for place, cell in enumerate(cells)]

    def _widths(self, table: Table) -> list[float]:
        """Each column as wide as its longest word or number, then the rest of the width shared out."""
        from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: PLC0415

        least, whole = [], []
        for place, title in enumerate(table.columns):
            column = [row[place] for row in (*table.rows, *((table.total,) if table.total else ()))]
            words = [word for cell in [title, *column] for word in cell.split()] or [""]
            longest = max(stringWidth(cell, self.bold, 8) for cell in [title, *column]) + 8
            word = max(stringWidth(each, self.bold, 8) for each in words) + 8
            least.append(min(longest if place in table.tight else word, _WIDEST_WORD))
            whole.append(longest)
        room = self.width - sum(least)
        wanted = [max(0.0, some - few) for some, few in zip(whole, least, strict=True)]
        if room <= 0:
            return [each * self.width / sum(least) for each in least]
        share = min(1.0, room / sum(wanted)) if sum(wanted) else 0.0
        return [few + more * share for few, more in zip(least, wanted, strict=True)]

    def _picture(self, picture: Picture) -> Iterator[Flowable]:
        from reportlab.platypus import Spacer  # noqa: PLC0415

        yield self._words(picture.title, "caption")
        yield Spacer(0, 2)
        yield drawing(picture.chart, self.width, self.plain, self._shown)
        yield self._words(picture.description, "note")

    # ------------------------------------------------------------ words

    def _words(self, text: str, style: str, *, right: bool = False) -> Flowable:
        from reportlab.lib.enums import TA_RIGHT  # noqa: PLC0415
        from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415
        from reportlab.platypus import Paragraph  # noqa: PLC0415

        size, bold, shade, more = _STYLES[style]
        made = ParagraphStyle(
            style,
            fontName=self.bold if bold else self.plain,
            fontSize=size,
            leading=size * 1.3,
            textColor=shade,
            splitLongWords=1,
            alignment=TA_RIGHT if right else 0,
            **more,
        )
        return Paragraph(escape(self._shown(text)), made)

    def _shown(self, text: str) -> str:
        """The text with ? for what Helvetica lacks."""
        if self.any_character:
            return text
        shown = text.encode("cp1252", "replace").decode("cp1252")
        self.lacking |= shown != text
        return shown

    def _footer(self, canvas: Any, _document: Any) -> None:
        canvas.setFont(self.plain, 7.5)
        canvas.setFillColor(colour(QUIET))
        canvas.drawString(_MARGIN, 24, self._shown(self.page.footer)[:150])

    def _number(self, canvas: Any, number: int, count: int) -> None:
        canvas.setFont(self.plain, 7.5)
        canvas.setFillColor(colour(QUIET))
        canvas.drawRightString(self.size[0] - _MARGIN, 24, f"Page {number} of {count}")


# size, bold, colour, what else ReportLab's ParagraphStyle takes
_STYLES: dict[str, tuple[float, bool, str, dict[str, Any]]] = {
    "title": (18, True, INK, {}),
    "subtitle": (12, False, ACCENT, {}),
    "heading": (13, True, INK, {"borderPadding": (5, 0, 0, 0), "spaceAfter": 4}),
    "caption": (9, True, INK, {"spaceAfter": 2}),
    "text": (9, False, INK, {}),
    "note": (7.5, False, QUIET, {}),
    "quiet": (8.5, False, QUIET, {}),
    "cell": (8, False, INK, {}),
    "head": (7.5, True, QUIET, {}),
    "total": (8, True, INK, {}),
    "label": (7.5, False, QUIET, {}),
    "figure": (14, True, INK, {}),
}


def _registered(font: Path) -> str:
    """The name under which ReportLab knows a TrueType font from now on."""
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.ttfonts import TTFError, TTFont  # noqa: PLC0415

    name = f"given-{font.stem}"
    try:
        pdfmetrics.registerFont(TTFont(name, str(font)))
    except (TTFError, OSError) as problem:
        raise UsageFault(reason=f"{font} is no TrueType font that can be used: {problem}") from problem
    return name
