"""Trading partners that speak only mail: the standard library's SMTP and POP3 clients, and X12 read by hand.

They share nothing with the gateway but the mail host, so what they understand, a partner understands.
"""

from __future__ import annotations

import email
import email.message
import poplib
import smtplib
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime

from msgspec import Struct, field

from gateway.demo.documents import interchange


class Account(Struct, frozen=True):
    """Where an actor's mail lives."""

    address: str
    password: str
    host: str
    pop3_port: int
    smtp_port: int


class Received(Struct):
    """One interchange an actor found in its mailbox, split into segments of elements."""

    mail: email.message.Message
    segments: list[list[str]]

    def first(self, segment: str) -> list[str]:
        """The first segment of that id, or an empty list."""
        return next((each for each in self.segments if each[0] == segment), [])

    def all(self, segment: str) -> list[list[str]]:
        """All segments of that id."""
        return [each for each in self.segments if each[0] == segment]


class Actor(Struct):
    """A partner: sends what it is told to, and answers documents as its temper is."""

    account: Account
    identity: str
    gateway_address: str
    gateway_identity: str
    temper: str = "accepts"  # accepts, rejects or silent
    number: int = 100
    acknowledgments: list[Received] = field(default_factory=list)
    documents: list[Received] = field(default_factory=list)

    def send(
        self,
        subject: str,
        when: datetime,
        *files: tuple[str, bytes],
        content_type: str = "application/EDI-X12",
        body: str = "Please find our EDI attached.\r\n",
        damage: bool = False,
    ) -> None:
        """Mails files; with ``damage`` the base64 of the attachment is broken on the way."""
        mail = email.message.EmailMessage()
        mail["From"] = self.account.address
        mail["To"] = self.gateway_address
        mail["Subject"] = subject
        mail["Date"] = format_datetime(when)
        self.number += 1
        mail["Message-ID"] = f"<{self.number}.{when:%Y%m%d%H%M%S}@{self.account.address.partition('@')[2]}>"
        mail.set_content(body)
        main, _, sub = content_type.partition("/")
        for name, data in files:
            mail.add_attachment(data, maintype=main, subtype=sub, filename=name)
        raw = mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
        if damage:
            raw = raw.replace(b"SVNB", b"SV?B", 1)  # the beginning of ISA in base64
        with smtplib.SMTP(self.account.host, self.account.smtp_port, timeout=30) as smtp:
            smtp.sendmail(self.account.address, [self.gateway_address], raw)

    def read(self) -> None:
        """Empties the mailbox and sorts what was in it."""
        box = poplib.POP3(self.account.host, self.account.pop3_port, timeout=30)
        try:
            box.user(self.account.address)
            box.pass_(self.account.password)
            for number in range(1, len(box.list()[1]) + 1):
                mail = email.message_from_bytes(b"\r\n".join(box.retr(number)[1]) + b"\r\n")
                for received in _interchanges(mail):
                    acknowledges = received.first("TA1") or received.first("GS")[1:2] == ["FA"]
                    (self.acknowledgments if acknowledges else self.documents).append(received)
                box.dele(number)
        finally:
            box.quit()

    def answer(self, when: datetime) -> None:
        """Acknowledges every document as the temper says: 997 or 999, accepted, rejected or nothing."""
        if self.temper == "silent":
            return
        for received in self.documents:
            self.number += 1
            data = interchange(
                self.identity, self.gateway_identity, self.number, when, [self._acknowledgment(received)]
            )
            self.send("Functional acknowledgment", when, (f"FA{self.number}.edi", data))

    def _acknowledgment(self, received: Received) -> tuple[str, str, list[list[str]]]:
        group = received.first("GS")
        hipaa = group[8].startswith("005010X")
        kind, version = ("999", "005010X231A1") if hipaa else ("997", group[8][:6])
        verdict, close = ("R*5" if self.temper == "rejects" else "A"), ("IK5" if hipaa else "AK5")
        sets = received.all("ST")
        lines = [f"ST*{kind}*0001" + ("*005010X231A1" if hipaa else "")]
        lines.append(f"AK1*{group[1]}*{group[6]}" + (f"*{group[8]}" if hipaa else ""))
        for each in sets:
            lines.append(f"AK2*{each[1]}*{each[2]}")
            if self.temper == "rejects":
                lines += ["AK3*BIG*2**8", "AK4*2*76*7*INV-0002"]
            lines.append(f"{close}*{verdict}")
        accepted = 0 if self.temper == "rejects" else len(sets)
        lines.append(f"AK9*{'A' if accepted else 'R'}*{len(sets)}*{len(sets)}*{accepted}")
        return "FA", version, [lines]


def _interchanges(mail: email.message.Message) -> Iterable[Received]:
    for part in mail.walk():
        data = part.get_payload(decode=True)
        if isinstance(data, bytes) and data.startswith(b"ISA"):
            text = data.decode("latin-1")
            element, terminator = text[3], text[105]
            segments = [each.strip("\r\n").split(element) for each in text.split(terminator)]
            yield Received(mail, [each for each in segments if each != [""]])
