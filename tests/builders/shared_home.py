"""A home on PostgreSQL that many workers share: orders in a Maildir, acknowledgments to an embedded SMTP host."""

from __future__ import annotations

import email
import multiprocessing
import os
import re
import subprocess
import sys
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from sqlalchemy import make_url

from builders.stage import ACME, GLOBEX, WHEN
from gateway.app import KEY_FILE, open_app
from gateway.demo.documents import bare, interchange, invoice, order
from gateway.jobs.queue import install
from gateway.ledger.database import open_engine
from gateway.ledger.secrets import make_key
from gateway.mail.host import MailHost
from partners.profile import read_profile

SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.com"
identities = ["ZZ:EXAMPLECO"]
interval = "1s"
batch_size = {batch}
[database]
url = "{url}"
[mailbox.orders]
protocol = "maildir"
path = "Maildir"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "edi@example.com"
timeout = "20s"
[worker]
concurrency = 3
lease = "{lease}"
sweep = "1s"
"""
_LOADED = [
    "gateway.cli.worker",
    "gateway.app",
    "gateway.flow.work_units",
    "gateway.jobs.worker",
    "sqlalchemy.dialects.postgresql.psycopg",
]
SENDERS = {"acme": ("ZZ:ACMERETAIL", "edi@acme.example"), "globex": ("14:0700000000001", "edi@globex.example")}
PROFILES = (ACME.replace('name = "invoices"', 'name = "invoices"\non_doubt = "resend"'), GLOBEX)


class SharedHome:
    """The home, and the truth outside of it: what was put in, and what came out."""

    def __init__(self, path: Path, url: str, host: MailHost, *, lease: str = "2s", batch: int = 20) -> None:
        self.path = path
        self.host = host
        self.put: Counter[int] = Counter()
        for folder in ("new", "cur", "tmp"):
            (path / "Maildir" / folder).mkdir(parents=True)
        self.url = url  # the database itself, whatever gateway.toml says
        self.write_settings(url, lease, batch)
        make_key(path / KEY_FILE)
        engine = open_engine(url)
        install(engine)
        engine.dispose()
        with open_app(path) as app:
            app.partners.apply(
                [(read_profile(text), text, f"{n}.toml") for n, text in enumerate(PROFILES)], by="test", at=app.now()
            )

    def write_settings(self, url: str, lease: str, batch: int) -> None:
        """gateway.toml; the database's password goes to the environment, as the settings want it."""
        parsed = make_url(url)
        os.environ["GATEWAY_SECRET_DATABASE"] = str(parsed.password)
        plain = f"postgresql://{parsed.username}:{{password}}@127.0.0.1:{parsed.port}/{parsed.database}"
        text = SETTINGS.replace("{url}", plain).format(
            password="{password}", port=self.host.smtp_port, lease=lease, batch=batch
        )
        (self.path / "gateway.toml").write_text(text)

    def order(self, number: int, partner: str = "acme", *, again: bool = False) -> None:
        """One order into the Maildir; ``again``: the same interchange in another mail."""
        identity, address = SENDERS[partner]
        data = interchange(identity, "ZZ:EXAMPLECO", number, WHEN, [("PO", "004010", [order(f"N{number}N", WHEN)])])
        name = f"{number:06}{'b' if again else 'a'}"
        head = f"From: {address}\r\nTo: edi@example.com\r\nMessage-ID: <{name}@{partner}.example>\r\n\r\n"
        (self.path / "Maildir" / "tmp" / name).write_bytes(head.encode() + data)
        (self.path / "Maildir" / "tmp" / name).rename(self.path / "Maildir" / "new" / name)
        self.put[number] = 1

    def invoice(self, number: int, partner: str = "acme") -> None:
        """One invoice into the outbox."""
        place = self.path / "outbox" / partner
        place.mkdir(parents=True, exist_ok=True)
        (place / f".{number}").write_bytes(bare(invoice(f"I{number}I", "PO-1", WHEN)))
        (place / f".{number}").rename(place / f"{number}.edi")

    def worker(self, *words: str) -> subprocess.Popen[bytes]:
        """A worker in a process of its own; what it says goes to a file beside the home."""
        with (self.path / "workers.log").open("ab") as log:
            return subprocess.Popen(self.command("worker", *words), stdout=log, stderr=log)

    def command(self, *words: str) -> list[str]:
        """The gateway's command line for this home."""
        return [sys.executable, "-m", "gateway", "--home", str(self.path), *words]

    # ------------------------------------------------------------ what came out

    @property
    def delivered(self) -> Counter[int]:
        """The orders that the business has."""
        return Counter(
            int(number)
            for file in (self.path / "inbox").glob("*/*.edi")
            for number in re.findall(rb"\*N(\d+)N\*", file.read_bytes())
        )

    @property
    def sent(self) -> dict[tuple[str, int], list[bytes]]:
        """Every mail that the host took, by recipient and ISA13."""
        found: dict[tuple[str, int], list[bytes]] = {}
        for partner, (_, address) in SENDERS.items():
            for raw in self.host.waiting(address):
                edi = next(part for part in email.message_from_bytes(raw).walk() if part.get_filename())
                found.setdefault((partner, int(edi.get_payload(decode=True)[90:99])), []).append(raw)
        return found

    def said(self) -> str:
        """What the workers said."""
        return (self.path / "workers.log").read_text(errors="replace")


def be_worker(path: str, *words: str) -> None:
    """What a process of ``Nursery`` does: it is `gateway worker`."""
    from gateway.cli import main

    log = os.open(f"{path}/workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    main(["--home", path, "worker", *words])


class Nursery:
    """Starts workers within milliseconds: they are forks of a process that has everything loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["builders.shared_home", *_LOADED])

    def worker(self, *words: str) -> ForkServerProcess:
        """A worker in a process of its own."""
        process = self._context.Process(target=be_worker, args=(str(self.path), *words), daemon=True)
        process.start()
        return process
