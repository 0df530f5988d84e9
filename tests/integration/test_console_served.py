"""The console as a process: its address, TLS, its end; and beside `gateway serve`, which starts it again."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, Request, build_opener

import pytest
from servers import certificates

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PASSWORD = "correct horse battery"
GATEWAY = [sys.executable, "-m", "gateway"]


@pytest.fixture
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    run(home, "init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")
    run(home, "user", "add", "olga", "--role", "operator", typed=PASSWORD)
    return home


def run(home, *words, code=0, typed=""):
    done = subprocess.run(
        [*GATEWAY, "--home", str(home), *words], input=typed, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


class Running:
    """A process that is ended with the test."""

    def __init__(self, home, *words, log):
        self.log = log
        with log.open("w") as file:
            command = [*GATEWAY, "--home", str(home), *words]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=file, stdout=file)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    @property
    def said(self):
        return self.log.read_text()


@pytest.fixture
def start(home, tmp_path):
    started = []

    def begin(*words):
        started.append(Running(home, *words, log=tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def configure(home, text):
    with (home / "gateway.toml").open("a") as file:
        file.write(f"\n[console]\n{text}\n")


def status(url, opener=None):
    """The status of an answer; None where nobody answers."""
    try:
        with (opener or build_opener()).open(url, timeout=10) as answer:
            return answer.status
    except HTTPError as refusal:
        refusal.close()
        return refusal.code
    except (URLError, OSError):
        return None


def until(condition, otherwise, seconds=40):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)
    return found


def test_it_says_its_address_lets_people_in_and_ends_in_order(home, start, port):
    """SIGTERM and SIGINT both are an end without a complaint."""
    configure(home, f'listen = "127.0.0.1:{port}"')
    url = f"http://127.0.0.1:{port}"
    for number in (signal.SIGTERM, signal.SIGINT):
        console = start("console")
        until(lambda: status(f"{url}/healthz") == 200, lambda c=console: c.said)
        assert f"console: {url}/" in console.said
        opener = build_opener(HTTPCookieProcessor())
        form = urlencode({"name": "olga", "password": PASSWORD, "to": "/account"}).encode()
        with opener.open(Request(f"{url}/sign-in", form, {"Origin": url}), timeout=10) as answer:
            assert answer.url == f"{url}/account"
            assert "olga" in answer.read().decode()
            assert "server" not in answer.headers
        assert console.end(number) == 0
        assert "Traceback" not in console.said
        assert status(f"{url}/healthz") is None


def test_without_a_table_this_machine_alone_reaches_it(home, start):
    """The default address is a loopback one."""
    console = start("console")
    until(lambda: "console: " in console.said or console.process.poll() is not None, lambda: console.said)
    assert "http://127.0.0.1:8025/" in console.said or "127.0.0.1:8025" in console.said


def test_with_a_certificate_it_speaks_tls_and_the_cookie_is_secure(home, start, port, tmp_path):
    tls = certificates.make(tmp_path / "tls")
    configure(home, f'listen = "127.0.0.1:{port}"\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"')
    console = start("console")
    url = f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    jar = HTTPCookieProcessor()
    opener = build_opener(HTTPSHandler(context=context), jar)
    until(lambda: status(f"{url}/healthz", opener) == 200, lambda: console.said)
    assert f"console: {url}/" in console.said
    form = urlencode({"name": "olga", "password": PASSWORD}).encode()
    with opener.open(Request(f"{url}/sign-in", form), timeout=10) as answer:
        assert answer.headers["strict-transport-security"]
    [cookie] = [each for each in jar.cookiejar if each.name == "__Host-console"]
    assert cookie.secure
    assert status(f"http://127.0.0.1:{port}/healthz") is None, "nothing is said in the clear"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('listen = "127.0.0.1:{port}"', 69, "The console cannot listen at 127.0.0.1:{port}: Address already in use"),
        ('listen = "no.such.host.invalid:8025"\npublic_url = "https://edi.example.com"', 69, "cannot listen at"),
        ('listen = "0.0.0.0:8025"', 78, "passwords would go over the network in the clear"),
        ('listen = "[::1]:{port}"\ncertificate = "no.pem"\nkey = "no.key"', 78, "cannot be used"),
        ('listen = "8025"', 78, "an address and a port"),
    ],
)
def test_what_cannot_be_served_is_said_with_its_exit_code(home, text, code, said, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        configure(home, text.format(port=port))
        assert said.format(port=port) in run(home, "console", code=code)


def test_a_service_starts_it_again_follows_its_table_and_takes_it_along(home, start, port):
    """Killed, it comes back; it ends with the service, in order or not."""
    file = home / "gateway.toml"
    file.write_text(file.read_text().replace("[gateway]", '[gateway]\ninterval = "1s"', 1))
    configure(home, f'listen = "127.0.0.1:{port}"')
    url = f"http://127.0.0.1:{port}/healthz"
    service = start("serve")
    until(lambda: status(url) == 200, lambda: service.said)
    os.kill(_child(service), signal.SIGKILL)
    until(lambda: "the console ended (by signal 9)" in service.said, lambda: service.said)
    until(lambda: status(url) == 200, lambda: service.said)
    written = file.read_text()
    file.write_text(written.partition("\n[console]")[0])
    until(lambda: status(url) is None, lambda: service.said)
    file.write_text(written)
    until(lambda: status(url) == 200, lambda: service.said)
    assert service.end() == 0
    assert status(url) is None
    service = start("serve")
    until(lambda: status(url) == 200, lambda: service.said)
    service.end(signal.SIGKILL)
    until(lambda: status(url) is None, lambda: service.said)


def _child(service):
    """The process of the console."""
    found = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    tasks = Path(f"/proc/{service.process.pid}/task").iterdir()
    found += [each for task in tasks for each in (task / "children").read_text().split()]
    return int(found[0])
