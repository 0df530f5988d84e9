"""The console as users meet it: `gateway console` over a home with two nights of traffic, and people who sign in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from servers import need

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "a horse that is correct"
PEOPLE = {"vera": "viewer", "anna": "auditor", "olga": "operator", "ada": "administrator"}


@dataclass(frozen=True, slots=True)
class Console:
    """A console that runs; ``home`` is what it shows."""

    home: Path
    url: str

    def run(self, *words: str, code: int = 0) -> str:
        """`gateway` with these words on the same home; gives stdout."""
        done = subprocess.run(_gateway(self.home, *words), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def sign_in(self, page: Page, name: str) -> None:
        """Signs somebody in, and stays on the first page."""
        page.goto(f"{self.url}/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Password").press("Enter")
        page.wait_for_url(f"{self.url}/")


@pytest.fixture(scope="session")
def two_nights(tmp_path_factory) -> Path:
    """The home that `gateway demo --keep` leaves, with one user of each role: only copied, never written to."""
    kept = tmp_path_factory.mktemp("nights") / "kept"
    subprocess.run([sys.executable, "-m", "gateway", "demo", "--keep", str(kept)], check=True, capture_output=True)
    home = kept / "home"
    for name, role in PEOPLE.items():
        command = _gateway(home, "user", "add", name, "--role", role)
        subprocess.run(command, input=PASSWORD, text=True, check=True, capture_output=True)
    return home


@pytest.fixture
def console(two_nights, tmp_path) -> Iterator[Console]:
    """A console of one's own."""
    home = shutil.copytree(two_nights, tmp_path / "home")
    with running(home) as url:
        yield Console(home, url)


@pytest.fixture(scope="module")
def shared_console(two_nights, tmp_path_factory) -> Iterator[Console]:
    """A console for tests that only look."""
    home = shutil.copytree(two_nights, tmp_path_factory.mktemp("console") / "home")
    with running(home) as url:
        yield Console(home, url)


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Starts it on a free port, and ends it in order."""
    port = need.free_port()
    with (home / "gateway.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[console]\nlisten = "127.0.0.1:{port}"\n')
    url = f"http://127.0.0.1:{port}"
    with (home.parent / "console.log").open("w") as log:
        process = subprocess.Popen(_gateway(home, "console"), stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, url)
            yield url
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(300):
        assert process.poll() is None, "the console ended"
        try:
            with urllib.request.urlopen(f"{url}/sign-in", timeout=5):
                return
        except URLError:
            time.sleep(0.1)
    raise AssertionError("the console does not answer")


def _gateway(home: Path, *words: str) -> list[str]:
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    return [sys.executable, "-m", "gateway", "--home", str(home), *words]
