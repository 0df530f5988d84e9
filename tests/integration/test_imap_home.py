"""A gateway home whose mailbox is an IMAP folder on Dovecot: nights, a done folder, a new numbering, and IDLE."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.test"
identities = ["ZZ:EXAMPLECO"]
interval = "1h"

[mailbox.orders]
protocol = "imap"
host = "localhost"
port = {port}
security = "{security}"
user = "{us}"
ca_file = "{ca_file}"
{more}

[smtp]
host = "localhost"
port = {smtp}
security = "starttls"
sender = "{us}"
ca_file = "{smtp_ca_file}"
"""


class Home:
    """A gateway home, its account on Dovecot, and its partner's."""

    def __init__(self, directory: Path, dovecot, postfix) -> None:
        self.directory = directory
        self.dovecot = dovecot
        self.postfix = postfix
        self.us, self.partner = dovecot.account(), dovecot.account()
        self.run("init", "--name", "Example Co", "--domain", "example.test", "--identity", "ZZ:EXAMPLECO")
        profile = (SAMPLES / "home" / "partners" / "birch.toml").read_text()
        (directory / "partners" / "birch.toml").write_text(
            profile.replace("edi@birchretail.example", self.partner.name)
        )

    def set_up(self, more: str, security: str = "starttls") -> None:
        """Writes gateway.toml with ``more`` for the mailbox, and stores the password."""
        port = self.dovecot.imaps_port if security == "tls" else self.dovecot.imap_port
        (self.directory / "gateway.toml").write_text(
            SETTINGS.format(
                port=port,
                security=security,
                us=self.us.name,
                ca_file=self.dovecot.ca_file,
                smtp=self.postfix.port,
                smtp_ca_file=self.postfix.ca_file,
                more=more,
            )
        )
        self.run("secret", "set", "mailbox.orders", stdin=f"{self.us.password}\n")
        self.run("partner", "apply")

    def run(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """Runs a command, expects an exit code, and returns stdout."""
        done = subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, check=False, timeout=60, env=clean()
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gateway", "--home", str(self.directory), *words]

    def night(self, code: int = 0) -> dict[str, int]:
        """One batch; its counts."""
        return json.loads(self.run("night", "--json", code=code))["counts"]

    def order(self, name: str = "850_purchase_order.edi") -> bytes:
        """The partner's mail with a sample arrives."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.partner.name, self.us.name, f"EDI {name}"
        message["Message-ID"] = f"<{name}.{time.time_ns()}@example.test>"
        message.set_content("attached")
        data = (SAMPLES / "interchanges" / name).read_bytes()
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        raw = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self.us.put(raw)
        return raw

    @property
    def delivered(self) -> list[Path]:
        return [each for each in (self.directory / "inbox").rglob("*") if each.is_file()]


def clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}


def until(condition, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def home(tmp_path, dovecot, postfix):
    return Home(tmp_path / "edi", dovecot, postfix)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_850_is_collected_answered_and_moved_to_the_done_folder_and_comes_once(home, security):
    home.set_up('done_folder = "EDI/Done"\nfailed_folder = "EDI/Failed"', security)
    checks = home.run("doctor")
    assert "✗" not in checks
    raw = home.order()
    assert json.loads(home.run("mailbox", "test", "--json"))["messages"] == 1
    assert home.us.waiting() == [raw], "looking takes nothing away"
    assert home.night()["documents delivered"] == 1
    assert home.us.waiting() == []
    assert home.us.waiting(".EDI.Done") == [raw]
    assert len(home.delivered) == 1
    assert until(home.partner.waiting), "the 997 has gone out"
    assert "collected" not in home.night()
    assert len(home.delivered) == 1


def test_when_the_server_numbers_anew_mail_that_was_left_there_is_seen_before_and_not_delivered_twice(home):
    home.set_up("keep_on_server = true")
    home.order()
    assert home.night()["documents delivered"] == 1
    assert "seen before" not in home.night()
    for path in home.us.maildir.glob("dovecot*"):
        path.unlink()
    time.sleep(1.1)  # UIDVALIDITY is a time in seconds
    counts = home.night()
    assert counts["seen before"] == 1
    assert "documents delivered" not in counts
    assert len(home.delivered) == 1
    assert len(home.us.waiting()) == 1


def test_a_mail_over_the_limit_goes_to_the_failed_folder_and_people_are_told_once(home):
    home.set_up('failed_folder = "Too big"\n\n[limits]\nmessage_size = 20000')
    home.us.put(b"Subject: big\r\n\r\n" + b"x" * 30_000 + b"\r\n")
    home.order()
    assert home.night(code=65)["documents delivered"] == 1
    assert home.us.waiting() == []
    assert [len(each) for each in home.us.waiting(".Too big")] == [30_018]
    home.night()


def test_serve_runs_a_batch_as_soon_as_mail_comes_and_ends_at_once_when_told(home, tmp_path):
    home.set_up("idle = true")
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(home.command("serve"), stdout=log, stderr=log, env=clean())
        try:
            assert until(lambda: "batch 1:" in (tmp_path / "serve.log").read_text())
            assert until(lambda: home.dovecot.log().count(f"Login: user=<{home.us.name}>") >= 2)
            began = time.monotonic()
            home.order()
            assert until(lambda: home.delivered, 40), (tmp_path / "serve.log").read_text()
            assert time.monotonic() - began < 30, "the schedule says one hour"
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            process.kill()
            process.wait(10)
    said = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in said
    assert home.us.waiting() == []
