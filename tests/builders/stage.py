"""A gateway in a test: a real ledger, in-memory mailbox and transport, a clock that the test moves."""

from __future__ import annotations

import atexit
import email
import email.message
import email.policy
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Engine, select

from gateway.demo import documents
from gateway.flow.context import Context
from gateway.flow.handover import handover_for
from gateway.flow.night import Summary, night
from gateway.flow.reporter import Reporter, Tally
from gateway.ledger import database, tables
from gateway.ledger.recording import Ledger
from gateway.mail.memory import MemoryMailbox, MemoryTransport
from gateway.mail.txt_records import no_dns
from gateway.mail.verp import Tokens
from gateway.settings import Settings, SmtpSettings
from gateway.settings.model import Limits
from partners.directory import Directory
from partners.model import Identity
from partners.profile import read_profile

US = "edi@us.example"
OURS = "ZZ:EXAMPLECO"
WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)
HOUR = 3_600_000

ACME = """
key = "acme"
name = "ACME Retail"
status = "live"
addresses = ["edi@acme.example", "edi2@acme.example"]
identities = ["ZZ:ACMERETAIL"]

[[agreement]]
name = "orders"
direction = "in"
sets = ["850"]
versions = ["004010"]

[[agreement]]
name = "invoices"
direction = "out"
sets = ["810", "855"]
versions = ["004010"]
"""
GLOBEX = """
key = "globex"
name = "Globex"
status = "live"
addresses = ["edi@globex.example"]
identities = ["14:0700000000001"]

[[agreement]]
name = "all in"
direction = "in"
sets = ["*"]

[[agreement]]
name = "invoices"
direction = "out"
sets = ["810"]
versions = ["004010"]
"""


@cache
def empty_ledger() -> Path:
    """A migrated SQLite ledger, made once: migrating one for every test would take longer than the tests."""
    place = Path(tempfile.mkdtemp(prefix="ledger")) / "empty.db"
    atexit.register(shutil.rmtree, place.parent, ignore_errors=True)
    engine = database.open_engine(f"sqlite:///{place}")
    database.upgrade(engine)
    engine.dispose()
    return place


class Stage:
    """Everything a flow test needs; ``run`` is one night."""

    opened: ClassVar[list[Engine]] = []  # the fixture ``nothing_left_open`` disposes of them

    def __init__(self, directory: Path, profiles: Sequence[str] = (ACME, GLOBEX), engine: Engine | None = None) -> None:
        self.directory = directory
        self.profiles = list(profiles)
        self.identities = [OURS]  # of ours
        if engine is None:
            shutil.copy(empty_ledger(), directory / "ledger.db")
            engine = database.open_engine(f"sqlite:///{directory / 'ledger.db'}")
            Stage.opened.append(engine)
        self.engine = engine
        self.now = int(WHEN.timestamp() * 1000)
        self.mailbox = MemoryMailbox("orders", user=US)
        self.transport = MemoryTransport()
        self.settings = Settings(
            home=directory,
            name="Example Co",
            domain="us.example",
            identities=(("ZZ", "EXAMPLECO"),),
            database_url="",
            smtp=SmtpSettings(host="memory", sender=US, connections=1),  # one: mails go out in the order of their ids
            partners_directory=directory / "partners",
            inbox=directory / "inbox",
            outbox=directory / "outbox",
        )
        self.ledger = Ledger(engine, lambda: self.now)
        self.limits = Limits()
        self.seal_key: Callable[[], bytes] | None = None  # None: nothing is sealed
        self.records: dict[str, bytes] | None = None  # what the DNS holds; None: it does not answer
        self.mails = 0

    # ------------------------------------------------------------ acting

    def context(self, reporter: Reporter | None = None) -> Context:
        """The context of one batch, with the profiles as they are now."""
        partners = [read_profile(text) for text in self.profiles]
        return Context(
            settings=self.settings,
            ledger=self.ledger,
            directory=Directory(partners, [Identity.parse(each) for each in self.identities]),
            mailboxes=(self.mailbox,),
            transport=self.transport,
            handover=lambda delivery, partner: handover_for(
                delivery.kind,
                delivery.target,
                timeout=5,
                token="",
                home=self.directory,
                default_directory=self.settings.inbox / partner,
            ),
            reporter=reporter or Tally(),
            clock=lambda: self.now,
            limits=self.limits,
            tokens=Tokens(lambda: b"the key of a stage"),
            txt=self.txt,
            seal_key=self.seal_key,
        )

    def txt(self, name: str) -> bytes | None:
        """The DNS of this test."""
        return no_dns(name) if self.records is None else self.records.get(name)

    def run(self) -> Summary:
        """One night."""
        return night(self.context)

    def mail(
        self, *files: bytes, sender: str = "edi@acme.example", body: str = "see attachment", **headers: str
    ) -> bytes:
        """A mail with files, put into the mailbox; returns its bytes."""
        self.mails += 1
        message = email.message.EmailMessage()
        message["From"] = sender
        message["To"] = US
        message["Subject"] = headers.pop("subject", f"EDI {self.mails}")
        message["Message-ID"] = f"<{self.mails}@{sender.partition('@')[2]}>"
        for name, value in headers.items():
            message[name] = value
        message.set_content(body)
        for number, data in enumerate(files, 1):
            message.add_attachment(data, maintype="application", subtype="EDI-X12", filename=f"file{number}.edi")
        raw = message.as_bytes(policy=email.policy.SMTP)
        self.mailbox.deliver(raw)
        return raw

    # ------------------------------------------------------------ looking

    @property
    def sent(self) -> list[email.message.Message]:
        """The mails that the transport was given, parsed."""
        return [email.message_from_bytes(each.raw) for each in self.transport.sent]

    @property
    def sent_edi(self) -> list[list[list[str]]]:
        """The interchanges in them, as segments of elements."""
        return [segments(part) for mail in self.sent for part in mail.walk() if part.get_filename()]

    @property
    def delivered(self) -> dict[str, bytes]:
        """What the business has, by partner and name."""
        inbox = self.settings.inbox
        return {str(each.relative_to(inbox)): each.read_bytes() for each in sorted(inbox.rglob("*")) if each.is_file()}

    def rows(self, table_name: str) -> list[dict[str, object]]:
        """All rows of a table, oldest first."""
        table = tables.metadata.tables[table_name]
        with self.ledger.reading() as connection:
            rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            return [dict(row) for row in rows]

    def states(self, direction: str) -> list[str]:
        """The states of all exchanges of one direction, oldest first."""
        return [str(row["state"]) for row in self.rows("exchange") if row["direction"] == direction]

    def kinds(self) -> list[str]:
        """The kinds of all events, oldest first."""
        return [str(row["kind"]) for row in self.rows("event")]


def segments(part: email.message.Message) -> list[list[str]]:
    """The segments of an attached interchange, split by its own separators."""
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode("latin-1")
    return [each.strip("\r\n").split(text[3]) for each in text.split(text[105]) if each.strip("\r\n")]


def orders(number: int, *sets: object, sender: str = "ZZ:ACMERETAIL", receiver: str = OURS, **options: bool) -> bytes:
    """An interchange of 850s from ACME to us."""
    group = ("PO", "004010", list(sets) or [documents.order(f"PO-{number}", WHEN)])
    return documents.interchange(sender, receiver, number, WHEN, [group], **options)  # type: ignore[list-item]


def invoice(number: str = "INV-1") -> bytes:
    """A bare 810, as our business writes it."""
    return documents.bare(documents.invoice(number, "PO-1", WHEN))


def acknowledgment(
    number: int, group: int, verdict: str = "A", *, sender: str = "ZZ:ACMERETAIL", functional_id: str = "IN"
) -> bytes:
    """A partner's 997 for one of our groups with one 810."""
    inner = ("A", "A") if verdict == "A" else ("R*5", "R")
    ack = [
        "ST*997*0001",
        f"AK1*{functional_id}*{group}",
        "AK2*810*0001",
        f"AK5*{inner[0]}",
        f"AK9*{inner[1]}*1*1*{int(verdict == 'A')}",
    ]
    return documents.interchange(sender, OURS, number, WHEN, [("FA", "004010", [ack])])


def ta1(number: int, ours: int, verdict: str = "A", note: str = "000") -> bytes:
    """A partner's TA1 alone, for an interchange of ours."""
    raw = documents.interchange("ZZ:ACMERETAIL", OURS, number, WHEN, [])
    head, tail = raw[:106], raw[raw.index(b"IEA") :]
    return head + b"\r\n" + f"TA1*{ours:09}*261102*2200*{verdict}*{note}~\r\n".encode() + tail
