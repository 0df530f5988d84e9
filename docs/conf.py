"""How `make docs` makes a web site of these pages: Sphinx with MyST. The pages themselves are plain Markdown."""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from pathlib import Path

project = "EDI gateway"
author = "The EDI gateway's authors"
version = release = installed("edi-gateway")
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
root_doc = "index"
html_theme = "furo"
html_title = f"EDI gateway {version}"
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 4
myst_links_external_new_tab = True
suppress_warnings = ["myst.header"]  # a page may begin a list of faults with a heading of the third level

# What stands in the margin, in this order; a page that stands nowhere is an error of the build.
CHAPTERS = {
    "Begin": ["first-hour", "practice-mail-host", "oauth", "moving-off-a-van"],
    "Trading partners": ["onboard-a-partner", "as1", "who-sent-it", "letters", "missing-mail"],
    "Run it": [
        "running",
        "nightly-batch",
        "console",
        "something-is-wrong",
        "alerts",
        "mailboxes",
        "sending",
        "backup",
        "scaling",
    ],
    "The ledger": ["searching", "following-a-document", "reports", "auditors-visit", "retention"],
    "Programs": ["your-business", "api", "from-python"],
    "How it is built": ["architecture", "security", "faults-proven"],
    "Reference": ["reference/*"],
}
_HERE = Path(__file__).parent
_OUTSIDE = re.compile(
    r"\[([^\]]+)\]\(\.\./([^)\s]*)\)"
)  # a link out of docs/: to samples, deployment files, the README


def _contents() -> str:
    """The tables of contents; pages that are not written yet have no place in them."""
    parts = []
    for caption, pages in CHAPTERS.items():
        there = [each for each in pages if "*" in each or (_HERE / f"{each}.md").exists()]
        listed = "\n".join(there)
        glob = ":glob:\n" if any("*" in each for each in there) else ""
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n{glob}\n{listed}\n```")
    return "\n\n".join(parts)


def _read(app: object, page: str, source: list[str]) -> None:
    """What is a link in the repository is a path in the site, which has only the pages of docs/."""
    del app
    up = "../" if page.startswith("reference/") else ""
    text = source[0]
    if up:
        text = re.sub(r"\[([^\]]+)\]\(\.\./\.\./([^)\s]*)\)", r"\1 (`\2`)", text)
    else:
        text = _OUTSIDE.sub(r"\1 (`\2`)", text)
    source[0] = f"{text}\n\n{_contents()}\n" if page == root_doc else text


def setup(app: object) -> None:
    """Sphinx asks for this."""
    app.connect("source-read", _read)  # type: ignore[attr-defined]
