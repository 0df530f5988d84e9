"""A page as HTML: one file, no scripts, nothing from elsewhere, whatever partners wrote shown as text.

Its Content-Security-Policy allows the one style sheet that stands in it, by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from gateway.ledger.reports.page import Page, Table

_TEMPLATES = Path(__file__).parent / "templates"


def as_html(page: Page) -> str:
    """The page as a complete HTML document (UTF-8)."""
    return _template().render(page=page, style=Markup(style()), policy=policy(), css=_css)  # noqa: S704 - our own file


def policy() -> str:
    """What a browser may do with the page: nothing but show it, in its one style."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """The style sheet."""
    return (_TEMPLATES / "statement.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    # Keeping the lines of the template, so that what is compared in a diff is what changed.
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["n"] = _number
    return environment.get_template("statement.html")


def _number(value: float) -> str:
    """A coordinate: a tenth of a point is enough."""
    return f"{value:.1f}".removesuffix(".0")


def _css(table: Table, column: int) -> Markup:
    """The class attribute of a cell."""
    kinds = (("number", table.numeric), ("wide", table.wide), ("tight", table.tight))
    words = [name for name, columns in kinds if column in columns]
    return Markup(' class="{}"').format(" ".join(words)) if words else Markup("")
