"""A home with two nights of traffic, good and bad, and browsers of every role that look at it without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from gateway.cli.main import root
from gateway.console.build import build
from gateway.console.pages import PAGES
from gateway.console.people import Role, Somebody, User
from gateway.console.site import Site

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
