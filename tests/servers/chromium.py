"""A real browser without a screen: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; each test opens contexts of its own."""
    from playwright.sync_api import sync_playwright

    program = need.program("chromium")
    with sync_playwright() as playwright:
        # No sandbox: tests may run as root, and show only pages of ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def keep(page: Page, name: str) -> None:
    """A picture of the whole page for people, where GATEWAY_SCREENSHOTS names a directory."""
    directory = os.environ.get("GATEWAY_SCREENSHOTS")
    if directory:
        file = Path(directory) / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file, full_page=True)
