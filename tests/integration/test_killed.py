"""Killed at any moment, again and again: every order delivered once, acknowledged alike, no number missing."""

from __future__ import annotations

import email
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from builders.stage import ACME, WHEN

from gateway.app import KEY_FILE, open_app
from gateway.demo.documents import interchange, order
from gateway.ledger.database import open_engine, upgrade
from gateway.ledger.secrets import make_key
from gateway.mail.host import MailHost
from partners.profile import read_profile

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROUNDS, MAILS = 8, 25
SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.com"
identities = ["ZZ:EXAMPLECO"]
[mailbox.orders]
protocol = "maildir"
path = "Maildir"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "edi@example.com"
"""


@pytest.fixture
def home(tmp_path):
    """A home with a Maildir, and the mail host that takes the acknowledgments."""
    with MailHost({"edi@acme.example": "x"}) as host:
        for folder in ("new", "cur", "tmp"):
            (tmp_path / "Maildir" / folder).mkdir(parents=True)
        (tmp_path / "gateway.toml").write_text(SETTINGS.format(port=host.smtp_port))
        make_key(tmp_path / KEY_FILE)
        engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
        upgrade(engine)
        engine.dispose()
        with open_app(tmp_path) as app:
            app.partners.apply([(read_profile(ACME), ACME, "acme.toml")], by="test", at=app.now())
        yield tmp_path, host


def put_order(home: Path, number: int) -> None:
    """One order into the Maildir."""
    data = interchange("ZZ:ACMERETAIL", "ZZ:EXAMPLECO", number, WHEN, [("PO", "004010", [order(f"N{number}N", WHEN)])])
    head = f"From: edi@acme.example\r\nTo: edi@example.com\r\nMessage-ID: <{number}@acme.example>\r\n\r\n"
    (home / "Maildir" / "new" / f"{number:06}.test").write_bytes(head.encode() + data)


def night(home: Path) -> subprocess.Popen[bytes]:
    """One batch in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "gateway", "--home", str(home), "night", "--quiet"])


@pytest.mark.parametrize("seed", [1, 2])
def test_every_order_survives_the_killing_of_the_gateway(home, seed):
    place, host = home
    chance = random.Random(seed)
    killed = 0
    for round_ in range(ROUNDS):
        for number in range(round_ * MAILS + 1, (round_ + 1) * MAILS + 1):
            put_order(place, number)
        process = night(place)
        time.sleep(0.5 + chance.random() * 0.6)  # start-up takes about half a second
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed > 0, "the machine is too fast for this test: let it kill earlier"
    for _ in range(2):
        assert night(place).wait() == 0
    delivered = Counter(
        number
        for file in (place / "inbox" / "acme").glob("*.edi")
        for number in re.findall(rb"\*N(\d+)N\*", file.read_bytes())
    )
    assert sorted(map(int, delivered)) == list(range(1, ROUNDS * MAILS + 1))
    assert set(delivered.values()) == {1}
    assert not list((place / "Maildir" / "new").iterdir())
    mails: dict[bytes, set[bytes]] = {}
    for raw in host.waiting("edi@acme.example"):
        edi = next(part for part in email.message_from_bytes(raw).walk() if part.get_filename())
        mails.setdefault(edi.get_payload(decode=True)[90:99], set()).add(raw)
    assert sorted(map(int, mails)) == list(range(1, ROUNDS * MAILS + 1))
    assert {len(each) for each in mails.values()} == {1}
