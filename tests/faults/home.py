"""A gateway's home for trials: made once by the gateway's own commands, copied for each trial; and its traffic."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from faults.world import PASSWORD, World
from gateway.demo import documents

WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)
US, OURS = "edi@us.example", "ZZ:EXAMPLECO"
DRIVER = Path(__file__).with_name("driver.py")

SETTINGS = """
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["{ours}"]
processes = {processes}
[mailbox.orders]
host = "127.0.0.1"
port = {pop3}
security = "none"
user = "{us}"
plaintext_password = true
timeout = "10s"
[smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"
sender = "{us}"
timeout = "10s"
"""
PROFILE = """
key = "{key}"
name = "{key}"
status = "live"
addresses = ["edi@{key}.example"]
identities = ["ZZ:{id}"]

[[agreement]]
name = "orders"
direction = "in"
sets = ["850"]
versions = ["004010"]

[[agreement]]
name = "invoices"
direction = "out"
sets = ["810"]
versions = ["004010"]
on_doubt = "{on_doubt}"
"""
PARTNERS = {"acme": "ACMERETAIL", "globex": "GLOBEXCO"}
ORDERS = (("acme", 1), ("acme", 2), ("globex", 1))  # who, and the interchange control number


@dataclass(frozen=True, slots=True)
class Options:
    """What kind of gateway is tried. ``mutant``: with which seeded bug; ``""``: the product as it is."""

    on_doubt: str = "resend"
    alongside: bool = False  # a second process delivers and sends, however small the batch
    mutant: str = ""

    def command(self, home: Path) -> list[str]:
        """One batch, as cron would run it; through a driver only where something is to be different."""
        if self.mutant or self.alongside:
            how = "alongside" if self.alongside else "alone"
            return [sys.executable, str(DRIVER), self.mutant, how, *arguments(home)]
        return [sys.executable, "-m", "gateway", *arguments(home)]


def arguments(home: Path) -> list[str]:
    """The gateway's arguments for one batch."""
    return ["--home", str(home), "night", "--quiet"]


def environment(**more: str) -> dict[str, str]:
    """What the gateway is started with."""
    return os.environ | {"GATEWAY_SECRET_MAILBOX_ORDERS": PASSWORD, "PYTHONDONTWRITEBYTECODE": "1"} | more


def make_template(place: Path, world: World, options: Options) -> Path:
    """A new home with partners, which mails through ``world``."""
    _gateway(place, "init", "--name", "Example Co", "--domain", "us.example", "--identity", OURS)
    text = SETTINGS.format(
        pop3=world.pop3_port, smtp=world.smtp_port, ours=OURS, us=US, processes=3 if options.alongside else 1
    )
    (place / "gateway.toml").write_text(text)
    for key, id_ in PARTNERS.items():
        profile = place / "partners" / f"{key}.toml"
        profile.write_text(PROFILE.format(key=key, id=id_, on_doubt=options.on_doubt))
        _gateway(place, "partner", "apply", str(profile))
    return place


def _gateway(home: Path, *words: str) -> None:
    command = [sys.executable, "-m", "gateway", "--home", str(home), *words]
    subprocess.run(command, env=environment(), check=True, capture_output=True, stdin=subprocess.DEVNULL)


def fresh_home(template: Path, place: Path) -> Path:
    """A copy of the template, with a document of the business in its outbox."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    outbox = place / "outbox" / "acme"
    outbox.mkdir()
    (outbox / "invoice.x12").write_bytes(documents.bare(documents.invoice("INV-1", "PO-acme-1", WHEN)))
    return place


def begin(world: World) -> None:
    """The partners' mails of one evening: three orders, one of them sent again under another Message-ID."""
    world.begin()
    world.reply = acknowledge
    for count, (partner, number) in enumerate((*ORDERS, ORDERS[1])):
        po = f"PO-{partner}-{number}"
        group = ("PO", "004010", [documents.order(po, WHEN)])
        data = documents.interchange(f"ZZ:{PARTNERS[partner]}", OURS, number, WHEN, [group])
        world.put(_mail(partner, f"<{count}@{partner}.example>", data))


def acknowledge(raw: bytes) -> list[bytes]:
    """What the partner's translator mails back: a 997 for an invoice, the same one whenever it sees that invoice."""
    edi = interchange_in(raw)
    if "ST*810*" not in edi:
        return []
    segments = [each.strip().split("*") for each in edi.split("~")]
    group = next(each[6] for each in segments if each[0] == "GS")
    number = 500 + int(group)
    ack = ("ST*997*0001", f"AK1*IN*{group}", "AK2*810*0001", "AK5*A", "AK9*A*1*1*1")
    data = documents.interchange(f"ZZ:{PARTNERS['acme']}", OURS, number, WHEN, [("FA", "004010", [ack])])
    return [_mail("acme", f"<{os.urandom(8).hex()}@acme.example>", data)]


def interchange_in(raw: bytes) -> str:
    """The attached interchange of a mail."""
    for part in email.message_from_bytes(raw).walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and content.lstrip().startswith(b"ISA"):
            return content.lstrip().decode("latin-1")
    return ""


def _mail(partner: str, message_id: str, data: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = f"edi@{partner}.example", US, message_id
    mail["Subject"] = "EDI"
    mail.set_content("see attachment")
    mail.add_attachment(data, maintype="application", subtype="EDI-X12", filename="interchange.edi")
    return mail.as_bytes(policy=email.policy.SMTP)
