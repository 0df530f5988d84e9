"""Two gateways that face each other: real homes, ledgers, keys and profiles; the mail in memory, or real."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select

from builders.certificates import Made, make
from builders.stage import empty_ledger
from gateway.app import KEY_FILE, App
from gateway.demo import documents
from gateway.flow.night import Summary, night
from gateway.ledger import tables
from gateway.ledger.secrets import make_key
from gateway.mail.memory import MemoryMailbox, MemoryTransport
from gateway.settings import parse_settings
from partners.certificates import describe
from partners.model import CertificateState
from partners.profile import read_profile

WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)
NO_HOSTS = '[smtp]\nhost = "memory"\nsender = "{address}"\nconnections = 1\n'


class Gateway:
    """One home. ``hosts`` is what gateway.toml says of mailbox and SMTP; without it the mail stays in memory.

    ``engine`` is another database than the home's own SQLite.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        address: str,
        *,
        kind: str = "2048",
        hosts: str = "",
        engine: Engine | None = None,
    ) -> None:
        self.name, self.address, self.identity = name, address, f"ZZ:{name.upper()}CO"
        self.home = directory / name
        for each in ("inbox", "outbox", "partners"):
            (self.home / each).mkdir(parents=True)
        make_key(self.home / KEY_FILE)
        shutil.copy(empty_ledger(), self.home / "ledger.db")
        self.now = int(WHEN.timestamp() * 1000)
        text = f'[gateway]\nname = "{name}"\ndomain = "{name}.example"\nidentities = ["{self.identity}"]\n'
        text += "processes = 1\n"
        text += hosts or NO_HOSTS.format(address=address)
        self.app = App(parse_settings(text.encode(), home=self.home), "tester", lambda: self.now)
        if engine is not None:
            self.app.__dict__["engine"] = engine
        if not hosts:
            self.mailbox, self.transport = MemoryMailbox(name, user=address), MemoryTransport()
            self.app.__dict__ |= {"mailboxes": [self.mailbox], "transport": self.transport}
        self.made = make(name, kind=kind, number=sum(name.encode()), address=address)
        self.add_key("first", self.made)

    def add_key(self, name: str, made: Made) -> None:
        """One more key of ours."""
        found = describe(made.der)
        times = {"not_before": found.not_before, "not_after": found.not_after}
        self.app.keys.add(name, made.der, made.private, **times, by="tester", at=self.now)

    def knows(self, other: Gateway, agreements: str, more: str = "") -> None:
        """Applies a live profile of the other."""
        text = f'key = "{other.name}"\nstatus = "live"\naddresses = ["{other.address}"]\n'
        text += f'identities = ["{other.identity}"]\n{more}\n{agreements}'
        self.app.partners.apply([(read_profile(text), text, "")], by="tester", at=self.now)

    def trusts(self, other: Gateway, made: Made | None = None) -> None:
        """Trusts the other's certificate, or another one as the other's."""
        found = describe((made or other.made).der)
        self.app.certificates.add(other.name, found, source="", by="tester", at=self.now)
        state = CertificateState.TRUSTED
        self.app.certificates.decide(other.name, found.fingerprint, state, by="tester", at=self.now)

    def submit(self, partner: str, name: str, document: bytes) -> None:
        """Puts a document into the outbox, as the business does."""
        place = self.home / "outbox" / partner
        place.mkdir(exist_ok=True)
        (place / name).write_bytes(document)

    def run(self) -> Summary:
        """One night."""
        return night(self.app.context)

    # ------------------------------------------------------------ looking

    @property
    def delivered(self) -> list[bytes]:
        """What the business has."""
        return [each.read_bytes() for each in sorted((self.home / "inbox").rglob("*")) if each.is_file()]

    def rows(self, name: str, **where: object) -> list[dict[str, object]]:
        """The rows of a table, oldest first."""
        table = tables.metadata.tables[name]
        wanted = select(table).where(*(table.c[key] == value for key, value in where.items()))
        with self.app.ledger.reading() as connection:
            return [dict(row) for row in connection.execute(wanted.order_by(*table.primary_key.columns)).mappings()]

    def states(self, **where: object) -> list[str]:
        """The states of the exchanges."""
        return [str(row["state"]) for row in self.rows("exchange", **where)]

    def faults(self) -> list[str]:
        """The codes of the faults of quarantined messages and exchanges."""
        rows = self.rows("message", state="quarantined") + self.rows("exchange", state="quarantined")
        return [str(row["fault_code"]) for row in rows if row["fault_code"]]

    def layers(self) -> list[list[str]]:
        """The S/MIME layers of each received mail, as kinds."""
        return [
            [layer["kind"] for layer in json.loads(str(row["layers"]))] for row in self.rows("message", direction="in")
        ]


def carry(one: Gateway, other: Gateway) -> int:
    """Takes what each has sent to the other's mailbox; returns how many mails that were."""
    count = 0
    for sender, receiver in ((one, other), (other, one)):
        for mail in sender.transport.sent:
            assert mail.recipients == (receiver.address,)
            receiver.mailbox.deliver(mail.raw)
            count += 1
        sender.transport.sent.clear()
    return count


def until_silent(one: Gateway, other: Gateway) -> int:
    """Nights of both in turns until no mail moves; returns how many mails went. More than ten rounds is a loop."""
    total = 0
    for _ in range(10):
        one.run()
        other.run()
        moved = carry(one, other)
        total += moved
        if not moved:
            return total
    raise AssertionError("they do not fall silent")


def order(number: int = 1) -> bytes:
    """A bare 850."""
    return documents.bare(documents.order(f"PO-{number}", WHEN))
