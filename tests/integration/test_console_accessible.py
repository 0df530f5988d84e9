"""Every page of the console, as each role meets it: reachable, without errors, accessible, readable without scripts."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from servers.chromium import keep

from gateway.console.build import STATIC

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MOST = 120  # pages of one walk
VIOLATIONS = {"resultTypes": ["violations"]}  # and not each element that is as it should be
# In the dark nothing else is different.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}, **VIOLATIONS}
NO_PAGE = re.compile(r"\.(csv|jsonl|parquet|edi|eml|txt|toml|json|pdf|html)$")


class Walk:
    """Which pages come next: one of each kind, not as many as there are exchanges."""

    def __init__(self) -> None:
        self._waiting = ["/"]
        self._kinds = {"/"}

    def __iter__(self):
        yield from self._waiting  # it grows meanwhile
        assert len(self._waiting) > 15, self._waiting

    def add(self, links: list[str]) -> None:
        for each in map(urlsplit, links):
            kind = re.sub(r"\d+", "N", each.path)
            kind = re.sub(r"/partners/[a-z]+", "/partners/KEY", kind) + ("?" if each.query else "")
            if not NO_PAGE.search(each.path) and kind not in self._kinds and len(self._waiting) < MOST:
                self._kinds.add(kind)
                self._waiting.append(each.path + (f"?{each.query}" if each.query else ""))


@pytest.mark.parametrize("name", ["vera", "anna", "olga", "ada"])
def test_every_page_that_a_role_is_shown_a_link_to_opens(chromium, shared_console, name):
    """Nobody is led to a page that refuses them; each says what it is, without scripts too."""
    context = chromium.new_context(java_script_enabled=False)
    shared_console.sign_in(context.new_page(), name)
    problems, walk = [], Walk()
    for path in walk:
        answer = context.request.get(shared_console.url + path)
        text = answer.text()
        if answer.status != 200:
            problems.append(f"{path}: {answer.status}")
        if text.count("<h1") != 1:
            problems.append(f"{path}: {text.count('<h1')} first headings")
        found = re.findall(r'<a (?![^>]*download)[^>]*href="([^"]*)"', text)
        links = [urljoin(shared_console.url + path, each.replace("&amp;", "&")) for each in found]
        walk.add([each for each in links if each.startswith(shared_console.url + "/")])
    assert problems == []
    context.close()


def test_every_page_is_accessible_in_light_and_dark_and_on_every_screen(chromium, shared_console):
    """axe (WCAG 2.2 A and AA, best practices) finds nothing; no page is wider than its window; no script fails."""
    from axe_playwright_python.sync_playwright import Axe

    axe, problems, walk = Axe(), [], Walk()
    page = chromium.new_context().new_page()
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    shared_console.sign_in(page, "ada")
    for path in walk:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(shared_console.url + path)
        page.evaluate(axe.axe_script)
        for scheme, options in (("light", VIOLATIONS), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            for each in page.evaluate("options => axe.run(options)", options)["violations"]:
                where = [node["html"][:160] for node in each["nodes"][:2]]
                problems.append(f"{path} ({scheme}): {each['id']}: {each['help']} {where}")
        for width in (1280, 320):  # WCAG 1.4.10: also what 400 % zoom leaves of it
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                problems.append(f"{path}: {wide} px wider than {width}")
        keep(page, f"console {path} narrow dark")  # the other tests keep wide and light ones
        walk.add(page.eval_on_selector_all("a[href]:not([download])", "all => all.map(a => a.href)"))
    assert problems == []
    page.context.close()


def test_a_long_word_of_a_partner_makes_no_page_wider_than_its_window(chromium):
    """A file name of a mail stands in a summary, and a sentence may quote it."""
    page = chromium.new_page(viewport={"width": 320, "height": 600})
    word = "A" * 200
    inside = f"<h1>{word}</h1><p>{word}</p><details><summary>{word}</summary></details><ul><li>{word}</li></ul>"
    page.set_content(f"<style>{(STATIC / 'console.css').read_text()}</style><main>{inside}</main>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.close()
