"""Signing in, sessions, and what holds for every request: told by a browser of nobody in particular."""

from __future__ import annotations

import hashlib
import io
import logging
import re

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.console import callers, watching
from gateway.console.build import build
from gateway.console.door import Entrance
from gateway.console.keeper import PLAIN, SECURE, Keeper
from gateway.console.pages.downloads import download
from gateway.console.people import Role, Somebody, User
from gateway.console.places import local
from gateway.console.routing import act, view
from gateway.console.server import _defects_told
from gateway.console.site import Site
from gateway.console.watching import DownloadEndedError
from gateway.errors import DatabaseUnavailable
from gateway.flow.log import logging_to
from gateway.ledger import passwords, sessions, users
from gateway.ledger.tables import console_session, console_user, event
from gateway.settings import ConsoleSettings, LogSettings

PASSWORD = "correct horse battery staple"
OLGA = {"name": "olga", "password": PASSWORD}


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1_800_000_000_000

    def __call__(self):
        return self.now


def _shown(visit):
    return visit.page("fault.html", sentence=f"hello {visit.user.name}", advice=visit.session.csrf, code="", status=200)


def _file(visit):
    return download(visit.site.pieces(), "a.edi")


def _done(visit):
    return visit.to("/", "done")


PAGES = (
    view("/", _shown),
    view("/exchanges", _shown),
    view("/rare", _shown, Role.ADMINISTRATOR),
    act("/done", _done),
    view("/file", _file, Role.OPERATOR),
)


@pytest.fixture(scope="module", autouse=True)
def quick_hashes():
    """The same function with little work: what it costs is not what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


@pytest.fixture(scope="module")
def encoded(quick_hashes):
    """The password as it is kept; made once, because that takes its time."""
    return passwords.encoded(PASSWORD)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site(home, clock, encoded):
    with open_app(home, actor="root") as app:
        app.ledger.write(lambda recorder: users.add(recorder, "olga", "operator", password=encoded))
        app.ledger.write(lambda recorder: users.add(recorder, "vera", "viewer", password=encoded))
    site = Site(home, clock)
    yield site
    site.close()


@pytest.fixture
def keeper(site):
    keeper = Keeper(site)
    yield keeper
    keeper.close()


@pytest.fixture
def opened(site, keeper):
    """Another browser; ``https`` as behind a proxy."""
    clients = []

    def open_(*, https=False, entrance=None, base="http://127.0.0.1:8025", peer="198.51.100.7"):
        url = "https://edi.example.com" if https else ""
        entrance = entrance or Entrance.of(ConsoleSettings(public_url=url), 1_000_000)
        client = TestClient(
            build(site, keeper, PAGES, entrance),
            base_url="https://edi.example.com" if https else base,
            follow_redirects=False,
            client=(peer, 50_000),
        )
        clients.append(client)
        return client

    yield open_
    for client in clients:
        client.close()


@pytest.fixture
def client(opened):
    return opened()


HOST = "db.inside.example"


def _away(*_args, **_options):
    raise DatabaseUnavailable(reason=f"connection to {HOST} refused")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/exchanges?state=overdue"])
def test_a_stranger_is_not_told_where_the_database_is(client, keeper, monkeypatch, caplog, path):
    monkeypatch.setattr(keeper, "session", _away)
    answer = client.get(path)
    assert answer.status_code == 503
    assert HOST not in answer.text
    assert "console.out-of-order" in answer.text
    assert HOST in caplog.text


def test_a_program_without_a_known_token_is_not_told_either(client, monkeypatch, caplog):
    monkeypatch.setattr(callers, "reading", _away)
    answer = client.get("/api/v1/exchanges", headers={"Authorization": "Bearer gw_1234"})
    assert (answer.status_code, answer.json()["code"]) == (503, "console.out-of-order")
    assert HOST not in answer.text
    assert HOST in caplog.text


def test_a_password_that_cannot_be_looked_up_tells_a_stranger_nothing(client, keeper, monkeypatch):
    monkeypatch.setattr(keeper, "sign_in", _away)
    answer = client.post("/sign-in", data=OLGA, headers={"Origin": "http://127.0.0.1:8025"})
    assert answer.status_code == 503
    assert HOST not in answer.text


def test_who_is_known_is_told_in_full(site, keeper):
    pages = (view("/", _away),)
    with TestClient(build(site, Somebody(User("olga", Role.OPERATOR)), pages)) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert HOST in answer.text


def happened(site, kind):
    """The bodies and actors of the events of a kind."""
    with site.app.ledger.reading() as connection:
        found = connection.execute(select(event.c.body, event.c.actor).where(event.c.kind == kind)).all()
    return [tuple(each) for each in found]


def test_whoever_is_not_known_is_led_to_the_door_and_back_to_where_they_wanted(client):
    """The page that was asked for comes after signing in."""
    asked = client.get("/exchanges?q=state%3Drejected")
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/sign-in?to=%2Fexchanges%3Fq%3Dstate%253Drejected",
    )
    page = client.get(asked.headers["location"])
    assert page.status_code == 200
    wanted = re.search(r'name="to" value="([^"]*)"', page.text)[1].replace("&amp;", "&")
    done = client.post("/sign-in", data=OLGA | {"to": wanted})
    assert (done.status_code, done.headers["location"]) == (303, "/exchanges?q=state%3Drejected")
    assert "hello olga" in client.get(done.headers["location"]).text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil",
        "",
        "/sign-out",
        "/sign-in?to=/",
        "/" + "a" * 3_000,
    ],
)
def test_after_the_door_nobody_is_sent_elsewhere(wanted):
    """Only a page of ours is a place to go to."""
    assert local(wanted) == "/"


def test_a_place_of_ours_is_kept():
    assert local("/exchanges/17?tab=segments#s") == "/exchanges/17?tab=segments#s"


def test_the_cookie_holds_a_number_of_which_only_the_hash_is_kept(client, site):
    """Who reads the database cannot come in; by https the cookie is bound to the host."""
    done = client.post("/sign-in", data=OLGA)
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{PLAIN}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {each.strip() for each in cookie.split(";")}
    number = client.cookies[PLAIN]
    with site.app.ledger.reading() as connection:
        row = connection.execute(select(console_session)).one()
    assert row.id == hashlib.sha256(number.encode()).hexdigest()
    assert number not in str(row)
    assert len(number) >= 43
    assert row.address == "198.51.100.7"


def test_by_https_the_cookie_is_secure_and_of_this_host(opened):
    client = opened(https=True)
    done = client.post("/sign-in", data=OLGA)
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{SECURE}=")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= {each.strip() for each in cookie.split(";")}
    assert "omain" not in cookie
    assert done.headers["strict-transport-security"] == "max-age=31536000"
    assert "hello olga" in client.get("/").text


def test_a_name_is_taken_in_any_case_and_a_wrong_one_is_told_nothing(client, site):
    """A wrong password, an unknown name and a disabled user get the same words; the ledger knows which it was."""
    assert client.post("/sign-in", data=OLGA | {"name": " Olga "}).status_code == 303
    site.app.ledger.write(lambda recorder: users.disable(recorder, "vera"))
    answers = [
        client.post("/sign-in", data=OLGA | {"password": "wrong"}),
        client.post("/sign-in", data={"name": "nobody", "password": PASSWORD}),
        client.post("/sign-in", data={"name": "vera", "password": PASSWORD}),
        client.post("/sign-in", data={}),
    ]
    assert {each.status_code for each in answers} == {403}
    assert all("The name or the password is not right." in each.text for each in answers)
    told = [body for body, _ in happened(site, "sign-in-failed")]
    assert ["the password was wrong" in told[0], "nobody has that name" in told[1], "is disabled" in told[2]] == [
        True
    ] * 3
    assert '"name":"olga"' in told[0].replace(" ", "")
    assert PASSWORD not in "".join(told)


def test_what_somebody_typed_as_a_name_is_not_kept(client, site):
    """People type their password into the field of the name."""
    client.post("/sign-in", data={"name": PASSWORD, "password": "x"})
    assert PASSWORD not in str(happened(site, "sign-in-failed"))


def test_a_name_in_the_form_is_text(client):
    answer = client.post("/sign-in", data={"name": '"><script>alert(1)</script>', "password": "x"})
    assert "<script>alert" not in answer.text


def test_signing_in_and_out_are_events_of_the_user(client, site):
    client.post("/sign-in", data=OLGA)
    secret = re.search(r"What to do: (\S+)</p>", client.get("/").text)[1]
    assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    out = client.post("/sign-out", data={"csrf": secret})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert client.get("/").status_code == 303
    [(body, actor)] = happened(site, "signed-in")
    assert (actor, "198.51.100.7" in body) == ("olga", True)
    assert [actor for _, actor in happened(site, "signed-out")] == ["olga"]


def test_a_session_that_was_signed_out_of_does_not_count_anywhere(client, opened):
    """The number alone is worth nothing once its row is gone."""
    client.post("/sign-in", data=OLGA)
    number = client.cookies[PLAIN]
    secret = re.search(r"What to do: (\S+)</p>", client.get("/").text)[1]
    client.post("/sign-out", data={"csrf": secret})
    thief = opened()
    thief.cookies.set(PLAIN, number)
    assert thief.get("/").status_code == 303


def test_a_session_ends_when_it_is_not_used_and_after_its_longest_time(client, clock, keeper):
    """Half an hour without use; half a day in all."""
    client.post("/sign-in", data=OLGA)
    minute = 60_000
    for _ in range(23):
        clock.now += 29 * minute
        assert client.get("/").status_code == 200
        keeper._later.submit(int).result()  # what is written later is written
    clock.now += 29 * minute
    assert client.get("/").status_code == 200  # 11 h 36 min
    keeper._later.submit(int).result()
    clock.now += 25 * minute
    assert client.get("/").status_code == 303  # 12 h 1 min
    client.post("/sign-in", data=OLGA)
    clock.now += 31 * minute
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://127.0.0.1:8025/exchanges?q=overdue", "/exchanges?q=overdue"),
        ("http://elsewhere.example/exchanges", "/"),
        ("http://127.0.0.1:8025//elsewhere.example/", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_who_does_something_after_the_session_ended_hears_that_nothing_was_done(client, clock, keeper, referer, back):
    """The way leads back to the page on which the form stood, and never to another host."""
    client.post("/sign-in", data=OLGA)
    secret = re.search(r"What to do: (\S+)</p>", client.get("/").text)[1]
    clock.now += int(keeper.settings.session_longest.total_seconds() * 1000) + 1
    answer = client.post("/done", data={"csrf": secret}, headers={"referer": referer})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    assert "nothing was done" in page
    to = re.search(r'name="to" value="([^"]*)"', page)[1]
    assert to == back
    assert client.post("/sign-in", data=OLGA | {"to": to}).headers["location"] == back
    assert "nothing was done" not in client.get("/sign-in").text


def test_looking_around_writes_once_a_minute_at_most(client, clock, keeper, site):
    client.post("/sign-in", data=OLGA)

    def seen():
        keeper._later.submit(int).result()
        with site.app.ledger.reading() as connection:
            return connection.execute(select(console_session.c.seen_at)).scalar_one()

    first = seen()
    clock.now += 59_000
    client.get("/")
    assert seen() == first
    clock.now += 1_000
    client.get("/")
    assert seen() == first + 60_000


def test_an_open_tab_that_looks_for_news_by_itself_does_not_stay_signed_in(client, clock, keeper):
    """Only what somebody does counts as use."""
    client.post("/sign-in", data=OLGA)
    for _ in range(3):
        clock.now += 9 * 60_000
        assert client.get("/", headers={"x-live": "1"}).status_code == 200
        keeper._later.submit(int).result()
    clock.now += 4 * 60_000
    assert client.get("/", headers={"x-live": "1"}).status_code == 303


def test_another_role_and_a_disabled_user_count_at_once(client, site):
    """What an administrator decides does not wait for the next sign-in."""
    client.post("/sign-in", data=OLGA)
    assert client.get("/rare").status_code == 403
    site.app.ledger.write(lambda recorder: users.set_role(recorder, "olga", "administrator"))
    assert client.get("/rare").status_code == 200
    site.app.ledger.write(lambda recorder: users.disable(recorder, "olga"))
    assert client.get("/rare").status_code == 303
    site.app.ledger.write(lambda recorder: users.enable(recorder, "olga"))
    assert client.get("/rare").status_code == 303, "its session has ended"


def test_another_password_ends_all_sessions(client, opened, site):
    other = opened()
    for each in (client, other):
        each.post("/sign-in", data=OLGA)
    ended = site.app.ledger.write(
        lambda recorder: users.set_password(recorder, "olga", passwords.encoded("quite another secret"))
    )
    assert ended == 2
    assert [each.get("/").status_code for each in (client, other)] == [303, 303]
    assert client.post("/sign-in", data=OLGA).status_code == 403
    assert client.post("/sign-in", data=OLGA | {"password": "quite another secret"}).status_code == 303


def test_signing_in_again_gives_another_number(client):
    """A number that somebody planted is not the one that counts afterwards, and the one before ends."""
    planted = "planted-by-somebody"
    first = client.post("/sign-in", data=OLGA, headers={"cookie": f"{PLAIN}={planted}"}).cookies[PLAIN]
    second = client.post("/sign-in", data=OLGA, headers={"cookie": f"{PLAIN}={first}"}).cookies[PLAIN]
    assert len({planted, first, second}) == 3
    client.cookies.clear()
    answers = [client.get("/", headers={"cookie": f"{PLAIN}={each}"}).status_code for each in (planted, first, second)]
    assert answers == [303, 303, 200]


# ---------------------------------------------------------------- guessing


def test_guessing_a_password_takes_longer_and_longer_even_for_the_right_one(client, clock, site):
    """Five are free; then pauses double, for the right password too, and a restart forgives nothing."""
    wrong = OLGA | {"password": "wrong"}
    assert [client.post("/sign-in", data=wrong).status_code for _ in range(6)] == [403] * 5 + [429]
    paused = client.post("/sign-in", data=OLGA)
    assert paused.status_code == 429
    assert "looked at in 2 s" in paused.text
    other = Site(site.home, clock)  # as after a restart
    keeper = Keeper(other)
    with TestClient(build(other, keeper, PAGES), follow_redirects=False, client=("203.0.113.1", 1)) as restarted:
        assert restarted.post("/sign-in", data=OLGA).status_code == 429
    keeper.close()
    other.close()
    clock.now += 2_001
    assert client.post("/sign-in", data=wrong).status_code == 403
    clock.now += 2_001
    assert client.post("/sign-in", data=OLGA).status_code == 429, "now it is 4 s"
    clock.now += 2_001
    assert client.post("/sign-in", data=OLGA).status_code == 303
    assert [client.post("/sign-in", data=wrong).status_code for _ in range(4)] == [403] * 4, "the name begins anew"
    assert len(happened(site, "sign-in-failed")) == 10, "what was not looked at is no event"


def test_many_names_from_one_address_wait_too(opened, clock):
    """A list of names and one common password gets no further; others are not held up."""
    guesser, honest = opened(peer="203.0.113.9"), opened(peer="198.51.100.8")
    codes = [
        guesser.post("/sign-in", data={"name": f"user{n}", "password": "Winter2026"}).status_code for n in range(17)
    ]
    assert codes == [403] * 16 + [429]
    assert guesser.post("/sign-in", data=OLGA).status_code == 429
    assert honest.post("/sign-in", data=OLGA).status_code == 303
    clock.now += 13 * 3_600_000
    assert guesser.post("/sign-in", data=OLGA).status_code == 303, "it is forgotten after half a day"


def test_an_unknown_name_is_looked_at_as_thoroughly(client, monkeypatch):
    """A hash is computed either way, with the same parameters."""
    computed = []
    real = passwords._HASHER.verify
    monkeypatch.setattr(
        passwords,
        "_HASHER",
        type("Spy", (), {"verify": lambda _, kept, given: computed.append(kept) or real(kept, given)})(),
    )
    client.post("/sign-in", data={"name": "nobody", "password": "x"})
    client.post("/sign-in", data=OLGA | {"password": "x"})
    assert len(computed) == 2
    assert computed[0].rpartition("$")[0].rpartition("$")[0] == computed[1].rpartition("$")[0].rpartition("$")[0]


def test_a_password_is_kept_by_argon2id_and_encoded_anew_when_that_gets_stronger(client, site, monkeypatch):
    with site.app.ledger.reading() as connection:
        before = users.wanted(connection, "olga").password
    assert before.startswith("$argon2id$")
    monkeypatch.setattr(passwords, "is_outdated", lambda _: True)
    assert client.post("/sign-in", data=OLGA).status_code == 303
    with site.app.ledger.reading() as connection:
        after = users.wanted(connection, "olga").password
    assert after != before
    assert passwords.matches(after, PASSWORD)
    assert client.get("/").status_code == 200


def test_a_damaged_hash_lets_nobody_in(client, site):
    with site.app.ledger.transaction() as recorder:
        recorder.connection.execute(update(console_user).values(password="not a hash"))
    assert client.post("/sign-in", data=OLGA).status_code == 403


# ---------------------------------------------------------------- the door


def test_every_answer_says_what_a_browser_may_do_with_it(client):
    """Pages, faults, refusals and static files alike."""
    for path, headers in (("/", {}), ("/nowhere", {}), ("/static/console.css", {}), ("/", {"host": "evil.example"})):
        answer = client.get(path, headers=headers)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "'unsafe-inline'" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
        assert "strict-transport-security" not in answer.headers, "by http it means nothing"


def test_a_name_that_is_not_ours_is_not_answered(client, opened):
    """A page elsewhere whose name leads to us (DNS rebinding) sees nothing, not even a sign-in page."""
    for host in ("evil.example", "evil.example:8025", "127.0.0.1.evil.example", "", "localhost.evil.example"):
        refused = client.get("/sign-in", headers={"host": host})
        assert (refused.status_code, "<form" in refused.text) == (421, False), host
    for host in ("127.0.0.1:8025", "localhost:8025", "LOCALHOST", "[::1]:8025", "192.0.2.4"):
        assert client.get("/sign-in", headers={"host": host}).status_code == 200, host
    assert opened(https=True).get("/sign-in", headers={"host": "edi.example.com"}).status_code == 200
    assert opened(https=True).get("/sign-in", headers={"host": "www.example.com"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_not_taken_even_at_the_door(client, headers):
    """Else somebody could sign a browser in under a name of theirs, and see what is done there."""
    refused = client.post("/sign-in", data=OLGA, headers=headers)
    assert refused.status_code == 403
    assert "comes from another place" in refused.text


def test_a_form_of_our_own_is_taken(client, opened):
    assert client.post("/sign-in", data=OLGA, headers={"origin": "http://127.0.0.1:8025"}).status_code == 303
    behind = opened(https=True)
    assert behind.post("/sign-in", data=OLGA, headers={"origin": "https://edi.example.com"}).status_code == 303


def test_a_link_from_another_site_asks_once_more_by_itself_and_then_finds_its_session(client):
    """The browser keeps the cookie to itself when another site leads here: no sign-in page for who is signed in."""
    asked = client.get("/exchanges?q=1", headers={"sec-fetch-site": "cross-site"})
    assert asked.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/exchanges?q=1">' in asked.text
    assert client.get("/exchanges?q=1", headers={"sec-fetch-site": "same-origin"}).status_code == 303
    odd = client.get("//evil.example/", headers={"sec-fetch-site": "cross-site"})
    assert "url=//evil" not in odd.text


def test_an_address_of_thousands_of_digits_is_refused_and_no_defect(client):
    """Python makes no number of them, and a stranger could fill the log with tracebacks."""
    for path in ("/exchanges/", "/mails/", "/api/v1/exchanges/"):
        assert client.get(path + "9" * 5_000).status_code == 414


def test_a_nul_is_refused_before_any_database_is_asked(client):
    """PostgreSQL takes none; a page would tell that the database is out of order."""
    for path in ("/partners/a%00b", "/exchanges?q=%00", "/sign-in?to=%00"):
        refused = client.get(path)
        assert (refused.status_code, "NUL" in refused.text) == (400, True), path
    refused = client.post("/sign-in", data={"name": "ol\0ga", "password": "x"})
    assert (refused.status_code, "NUL" in refused.text) == (400, True)


def test_too_much_is_not_taken_whatever_is_said_of_its_length(client):
    """By the length that is said, and by the bytes that come."""
    said = client.post("/sign-in", content=b"x" * 30_000)
    assert said.status_code == 413

    def pieces():
        for _ in range(100):
            yield b"x" * 1_000

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/sign-in", content=pieces(), headers=form).status_code == 413


def test_who_really_asks_is_taken_from_proxies_that_are_trusted_alone(opened, site):
    """What others write before it counts for nothing."""
    trusting = Entrance.of(
        ConsoleSettings(public_url="https://edi.example.com", trusted_proxies=("10.0.0.0/8",)), 1_000_000
    )
    forwarded = {"x-forwarded-for": "192.0.2.66, 203.0.113.5, 10.0.0.9", "host": "edi.example.com"}
    opened(entrance=trusting, peer="10.0.0.1").post("/sign-in", data=OLGA, headers=forwarded)
    opened(entrance=trusting, peer="198.51.100.77").post("/sign-in", data=OLGA, headers=forwarded)
    odd = forwarded | {"x-forwarded-for": "203.0.113.5, <script>"}
    opened(entrance=trusting, peer="10.0.0.1").post("/sign-in", data=OLGA, headers=odd)
    addresses = [re.search(r'"address": ?"([^"]*)"', body)[1] for body, _ in happened(site, "signed-in")]
    assert addresses == ["203.0.113.5", "198.51.100.77", "10.0.0.1"]


def test_a_defect_is_a_page_without_its_secrets(site, keeper):
    """A traceback is for the log."""

    def broken(visit):
        raise RuntimeError("password=hunter2")

    app = build(site, keeper, [*PAGES, view("/broken", broken)])
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        client.post("/sign-in", data=OLGA)
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "unexpected" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_sessions_that_ended_are_forgotten(client, clock, site):
    client.post("/sign-in", data=OLGA)
    clock.now += 13 * 3_600_000
    client.post("/sign-in", data={"name": "vera", "password": PASSWORD})
    with site.app.ledger.reading() as connection:
        assert connection.execute(select(console_session.c.user)).scalars().all() == ["vera"]
    assert sessions.hashed(client.cookies[PLAIN])


def test_before_the_first_user_the_page_says_how_to_make_one(client, site):
    """There is no password that everybody knows."""
    assert "gateway user add" not in client.get("/sign-in").text
    for name in ("olga", "vera"):
        site.app.ledger.write(lambda recorder, name=name: users.remove(recorder, name))
    assert "gateway user add NAME --role administrator" in client.get("/sign-in").text


def test_what_people_do_at_the_door_is_heard_by_the_log(client, site):
    """A line a sign-in, with where it came from: what blocks addresses reads such lines."""
    heard = []
    site.listener = heard.extend
    client.post("/sign-in", data=OLGA | {"password": "wrong"})
    client.post("/sign-in", data=OLGA)
    assert [each["kind"] for each in heard] == ["sign-in-failed", "signed-in"]
    stream = io.StringIO()
    with logging_to(LogSettings(), stream) as log:
        log.heard(heard)
    first, second = stream.getvalue().splitlines()
    assert "WARNING sign-in-failed address=198.51.100.7" in first
    assert "INFO" in second


def test_a_defect_is_told_to_the_log_by_its_name_alone():
    """Its words may quote anything."""
    stream = io.StringIO()
    with logging_to(LogSettings(), stream) as log, _defects_told(log):
        problem = RuntimeError("ISA*00*hunter2")
        logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=problem)
    assert "kind=RuntimeError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


# ---------------------------------------------------------------- downloads under way


@pytest.mark.parametrize("ended", ["disabled", "signed out", "lowered", "removed"])
def test_a_download_under_way_ends_with_the_right_to_it(site, keeper, client, monkeypatch, ended):
    """Whose user is disabled, whose session ends or whose role is taken gets no further piece."""
    monkeypatch.setattr(watching, "EVERY", 0.0)
    acts = {
        "disabled": lambda recorder: users.disable(recorder, "olga"),
        "signed out": lambda recorder: sessions.end_all(recorder.connection, "olga"),
        "lowered": lambda recorder: users.set_role(recorder, "olga", "viewer"),
        "removed": lambda recorder: users.remove(recorder, "olga"),
    }

    def pieces():
        yield b"one"
        keeper.ledger("root").write(acts[ended])
        yield b"two"

    monkeypatch.setattr(site, "pieces", pieces, raising=False)
    client.post("/sign-in", data=OLGA)
    with pytest.raises(DownloadEndedError):
        client.get("/file")


def test_a_download_under_way_goes_on_when_its_session_grows_old(site, client, clock, monkeypatch):
    """Nobody clicks while a big file comes: that is no reason to break it off."""
    monkeypatch.setattr(watching, "EVERY", 0.0)

    def pieces():
        yield b"one"
        clock.now += 10**10
        yield b"two"

    monkeypatch.setattr(site, "pieces", pieces, raising=False)
    client.post("/sign-in", data=OLGA)
    assert client.get("/file").content == b"onetwo"
    assert client.get("/file").status_code == 303
