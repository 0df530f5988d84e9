"""What a PDF is put together from: the chart as a drawing, headings with an outline, pages that are numbered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.ledger.reports.chart import Chart

if TYPE_CHECKING:
    from reportlab.graphics.shapes import Drawing
    from reportlab.platypus import Flowable

SERIES = ("#2f6fad", "#d98a29", "#3a9271", "#9a5fb4", "#c2504a", "#5c7a94", "#c9d0d7")  # as the style sheet has them
INK, QUIET, LINE, FAINT, ACCENT = "#1c2530", "#596673", "#d5dbe1", "#f3f5f7", "#1f5f8b"
_LEGEND = 24.0  # its height
_SIZE = 9.5  # of its letters


def colour(written: str) -> Any:
    """A colour from its name on the web."""
    from reportlab.lib.colors import HexColor  # noqa: PLC0415 - an extra

    return HexColor(written)


def drawing(chart: Chart, width: float, font: str, shown: Callable[[str], str]) -> Drawing:
    """The chart and its legend, so many points wide; ``shown`` makes texts fit for the font."""
    from reportlab.graphics.shapes import Drawing, Line, Rect, String  # noqa: PLC0415

    top, scale = chart.height + _LEGEND, width / chart.width
    parts: list[Any] = []

    def text(x: float, y: float, said: str, anchor: str) -> None:
        made = {"textAnchor": anchor, "fontName": font, "fontSize": _SIZE, "fillColor": colour(QUIET)}
        parts.append(String(x, y, shown(said), **made))

    def across(y: float, shade: str, thickness: float) -> None:
        parts.append(Line(chart.left, top - y, chart.right, top - y, strokeColor=colour(shade), strokeWidth=thickness))

    for line in chart.lines:
        across(line.at, LINE, 0.8)
        text(chart.left - 6, top - line.at - 3.5, line.label, "end")
    for bar in chart.bars:
        paint = {"fillColor": colour(SERIES[bar.colour]), "strokeColor": colour("#ffffff"), "strokeWidth": 0.7}
        parts.append(Rect(bar.x, top - bar.y - bar.height, bar.width, bar.height, **paint))
    across(chart.zero, INK, 1)
    for day in chart.days:
        text(day.at, top - chart.bottom - 14, day.label, "middle")
    x = chart.left
    for number, name in chart.series:
        parts.append(Rect(x, 9, 8, 8, fillColor=colour(SERIES[number]), strokeColor=None))
        text(x + 12, 9, name, "start")
        x += 28 + _width_of(shown(name), font)
    made = Drawing(width, top * scale, *parts)
    made.scale(scale, scale)
    return made


def _width_of(text: str, font: str) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: PLC0415

    return float(stringWidth(text, font, _SIZE))


def heading(paragraph: Any, key: str, title: str) -> Flowable:
    """A heading that stands in the outline too, with a line above it."""
    draw = paragraph.draw

    def drawn() -> None:
        canvas = paragraph.canv
        canvas.bookmarkHorizontal(key, 0, paragraph.height)
        canvas.addOutlineEntry(title, key, 0)
        canvas.setStrokeColor(colour(ACCENT))
        canvas.setLineWidth(1.2)
        canvas.line(0, paragraph.height + 4, paragraph.width, paragraph.height + 4)
        draw()

    paragraph.draw = drawn
    return paragraph


def counting_canvas() -> Any:
    """A canvas that knows how many pages there are when it numbers them."""
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

    class Counting(Canvas):  # type: ignore[misc]
        """Keeps its pages until the last one is there."""

        def __init__(self, number: Any, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._give_number = number
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - ReportLab's name
            """Keeps a page."""
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            """Numbers and writes all pages."""
            for number, kept in enumerate(self._kept, 1):
                self.__dict__.update(kept)
                self._give_number(self, number, len(self._kept))
                super().showPage()
            super().save()

    return Counting
