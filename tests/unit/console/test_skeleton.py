"""What holds for every page: the role asked for, forms of one's own, faults in words."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
from urllib.parse import parse_qs

import pytest
from builders import loops
from httpx2 import ASGITransport, AsyncClient
from starlette.testclient import TestClient

from gateway.console.build import build
from gateway.console.people import Role, Somebody, User
from gateway.console.routing import act, view
from gateway.console.site import Site
from gateway.errors import NotFound


def _shown(visit):
    return visit.page("fault.html", sentence=f"hello <b>{visit.user.name}</b>", advice="", code="", status=200)


def _done(visit):
    return visit.to("/shown", f"done: {visit.form['what']}", page="2")


def _missing(visit):
    raise NotFound(what="exchange", key=visit.part("number"))


def _full(visit):
    raise OSError(int(visit.part("number")), "it failed")


@pytest.fixture
def client(home):
    site = Site(home)
    pages = [
        view("/shown", _shown),
        act("/done", _done),
        view("/missing/{number}", _missing),
        view("/full/{number}", _full),
        view("/rare", _shown, Role.ADMINISTRATOR),
    ]
    with TestClient(build(site, Somebody(User("olga", Role.OPERATOR)), pages), follow_redirects=False) as client:
        yield client
    site.close()


def test_whatever_is_put_into_a_page_is_text(client):
    """A name with markup in it is shown, not obeyed."""
    assert "hello &lt;b&gt;olga&lt;/b&gt;" in client.get("/shown").text


def test_an_act_needs_the_secret_of_its_session(client):
    """A form from elsewhere changes nothing."""
    refused = client.post("/done", data={"what": "x"})
    assert refused.status_code == 403
    assert "not of your session" in refused.text
    odd = client.post("/done", data={"what": "a\0b", "csrf": "form-secret-of-somebody"})
    assert (odd.status_code, "NUL" in odd.text) == (400, True)
    done = client.post("/done", data={"what": "x", "csrf": "form-secret-of-somebody"})
    assert (done.status_code, done.headers["location"]) == (303, "/shown?page=2")


def test_a_long_sentence_of_any_letters_fits_into_what_a_browser_keeps(client):
    """Browsers drop a cookie of more than 4,096 bytes, and the page after the act would say nothing."""
    for letter in ("x", " ", "é", "ж", "箱", "\U0001f4e6"):
        done = client.post("/done", data={"what": letter * 2_000, "csrf": "form-secret-of-somebody"})
        cookie = done.headers["set-cookie"].partition(";")[0]
        assert len(cookie) < 4_096, letter
        assert f"done: {letter * 200}" in parse_qs(cookie.partition("=")[2].strip('"'))[""][0]


def test_acts_that_wait_take_no_page_from_anybody(home):
    """A batch may run for an hour, and each act waits for it in a thread for some seconds."""
    end, begun, full, loop = threading.Event(), [], asyncio.Event(), None

    def waits(visit):
        begun.append(visit)
        if len(begun) == 40:
            loop.call_soon_threadsafe(full.set)
        end.wait(30)
        return visit.to("/shown")

    site = Site(home)
    app = build(site, Somebody(User("olga", Role.OPERATOR)), [view("/shown", _shown), act("/waits", waits)])

    async def visits():
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            form = {"csrf": "form-secret-of-somebody"}
            acts = [asyncio.create_task(client.post("/waits", data=form)) for _ in range(60)]
            try:
                await full.wait()
                shown = await asyncio.wait_for(client.get("/shown"), 5)
            finally:
                end.set()
                done = await asyncio.gather(*acts)
            return shown.status_code, {each.status_code for each in done}

    assert loops.run(visits()) == (200, {303})
    site.close()


def test_a_role_that_is_too_low_is_told_which_is_needed(client):
    """An operator learns that an administrator may."""
    refused = client.get("/rare")
    assert refused.status_code == 403
    assert "needs the role administrator; you are operator" in refused.text


def test_a_fault_is_a_page_with_its_code_and_what_to_do(client):
    """What the command line says stands there too."""
    answer = client.get("/missing/99")
    assert answer.status_code == 404
    assert "99" in answer.text
    assert NotFound.code in answer.text
    assert client.get("/nowhere").status_code == 404


def test_a_gateway_toml_that_breaks_takes_the_pages_from_nobody(browser, home):
    """They go on by what it said before and say so, until it can be read again."""
    client = browser(Role.VIEWER)
    assert client.get("/partners").status_code == 200
    file = home / "gateway.toml"
    good = file.read_text()
    file.write_text(f"{good}\n[limits]\nnonsense = 1\n")
    broken = client.get("/partners")
    assert broken.status_code == 200
    assert "cannot be read as it is now" in broken.text
    assert "nonsense" in broken.text
    file.write_text(good.replace('name = "Example Co"', 'name = "Example Corp"'))
    mended = client.get("/partners")
    assert "cannot be read" not in mended.text
    assert "Example Corp" in mended.text


def test_a_ledger_that_was_put_back_is_the_one_that_is_shown(home):
    """The file that was open lies aside by then."""
    site = Site(home)
    site.app.record("secret-set", name="later")
    shutil.copy(home / "ledger.db", home / "other.db")
    before = site.app
    (home / "other.db").rename(home / "ledger.db")
    assert site.app is not before
    assert site.app is site.app
    site.close()


def test_a_disk_without_room_is_said_and_no_defect(client):
    """Other failures of the system are defects as before."""
    full = client.get(f"/full/{errno.ENOSPC}")
    assert full.status_code == 503
    assert "disk of the gateway is full" in full.text
    with pytest.raises(OSError, match="it failed"):
        client.get(f"/full/{errno.EIO}")
