"""A home with two nights of traffic, good and bad, and browsers of every role that look at it without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from gateway.cli.main import root
from gateway.console.build import build
from gateway.console.pages import PAGES
from gateway.console.people import Role, Somebody, User
from gateway.console.site import Site
from gateway.demo.documents import interchange, order

Browser = Callable[[Role], TestClient]


@pytest.fixture(scope="session")
def nights(tmp_path_factory) -> Path:
    """What `gateway demo --keep` leaves: never written to, only copied."""
    kept = tmp_path_factory.mktemp("nights") / "kept"
    outcome = CliRunner().invoke(root, ["demo", "--keep", str(kept)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return next(kept.rglob("gateway.toml")).parent


@pytest.fixture
def home(nights, tmp_path) -> Path:
    """A copy to change."""
    return shutil.copytree(nights, tmp_path / "home")


@pytest.fixture
def browser(home) -> Iterator[Browser]:
    """A browser of somebody with that role; it does not follow redirects by itself."""
    with ExitStack() as stack:
        site = Site(home, patience=0.2)
        stack.callback(site.close)

        def opened(role: Role) -> TestClient:
            people = Somebody(User(f"{role.word}@example", role))
            return stack.enter_context(TestClient(build(site, people, PAGES), follow_redirects=False))

        yield opened


PASSWORD = "OPENSESAME"  # in ISA04 of the hostile order: ten characters, as the element has
MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def hostile_nights(nights, tmp_path_factory) -> Path:
    """The two nights and a third one, whose mails hold markup wherever a partner can write, and a password."""
    home = shutil.copytree(nights, tmp_path_factory.mktemp("hostile") / "home")
    settings = (home / "gateway.toml").read_text()
    start, end = settings.index("[mailbox.orders]"), settings.index("[smtp]")
    maildir = '[mailbox.orders]\nprotocol = "maildir"\npath = "mail"\n'
    (home / "gateway.toml").write_text(f"{settings[:start]}{maildir}\n{settings[end:]}")
    for name in ("new", "cur", "tmp"):
        (home / "mail" / name).mkdir(parents=True)
    for number, mail in enumerate(_hostile_mails()):
        (home / "mail" / "new" / f"{number}.eml").write_bytes(mail)
    outcome = CliRunner().invoke(root, ["--home", str(home), "night"])
    assert "1  interchanges rejected" in outcome.output
    assert "1  messages quarantined" in outcome.output
    return home


@pytest.fixture
def hostile(hostile_nights, tmp_path) -> Iterator[Browser]:
    """A browser over a copy of the hostile nights."""
    home = shutil.copytree(hostile_nights, tmp_path / "hostile")
    with ExitStack() as stack:
        site = Site(home, patience=0.2)
        stack.callback(site.close)

        def opened(role: Role) -> TestClient:
            people = Somebody(User(f"{role.word}@example", role))
            return stack.enter_context(TestClient(build(site, people, PAGES), follow_redirects=False))

        yield opened


def _hostile_mails() -> Iterator[bytes]:
    """An order of a partner, and a letter of a stranger; with each of them something that is no X12."""
    when = datetime(2026, 11, 30, 2, tzinfo=UTC)
    po = "<b>PO</b>&\"'"
    edi = interchange("ZZ:ACMERETAIL", "ZZ:EXAMPLECO", 77, when, [("PO", "004010", [order(po, when, quantity="<i>")])])
    edi = edi.replace(b"*00*          *ZZ*ACME", f"*01*{PASSWORD}*ZZ*ACME".encode())
    assert PASSWORD.encode() in edi
    senders = (f'"{MARKUP}" <edi@acme.example>', '"x" <"<script>alert</script>"@stranger.example>')
    for number, sender in enumerate(senders):
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = "edi@gateway.example"
        mail["Subject"] = f"{MARKUP} order"
        mail["Message-ID"] = f'<{number}."{MARKUP}"@acme.example>'
        mail["X-Markup"] = MARKUP
        mail.set_content(f"Hello {MARKUP}\n")
        mail.add_alternative(f"<p>Hello <b>you</b></p><script>{MARKUP}</script>", subtype="html")
        name = '"><img src=x onerror=alert(1)>.edi'
        mail.add_attachment(edi, maintype="application", subtype="edi-x12", filename=name)
        mail.add_attachment(f"UNB+UNOA:1+{MARKUP}'".encode(), maintype="application", subtype="edifact", filename=name)
        yield mail.as_bytes()
