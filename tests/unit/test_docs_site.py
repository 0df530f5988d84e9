"""The documents as a web site: it is made without a warning, and every page has its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, made as `make docs` makes it."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_is_reached_from_the_margin_of_every_other(site):
    first = (site / "first-hour.html").read_text(encoding="utf-8")
    pages = sorted(each.relative_to(DOCS).with_suffix(".html").as_posix() for each in DOCS.rglob("*.md"))
    pages.remove("first-hour.html")  # it links to itself as "#"
    assert len(pages) > 25
    assert [each for each in pages if f'href="{each}"' not in first] == []


def test_a_link_out_of_the_documents_is_a_path(site):
    """The site has only the pages of docs/: what lies beside them in the repository is named."""
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "samples/README.md" in index
    assert 'href="../' not in index


def test_a_link_to_a_heading_leads_there(site):
    """The pages name a heading as repositories do; the site's own name for it is another."""
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="first-hour.html#every-night"' in index
    assert 'id="every-night"' in (site / "first-hour.html").read_text(encoding="utf-8")
