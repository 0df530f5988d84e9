"""The operator's first hour, with the real command line, a real mailbox (Dovecot) and a real SMTP server (Postfix)."""

from __future__ import annotations

import email
import json
import os
import smtplib
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

[mailbox.orders]
host = "localhost"
port = {pop3s}
security = "tls"
user = "{us}"
ca_file = "{ca_file}"

[smtp]
host = "localhost"
port = {smtp}
security = "starttls"
sender = "{us}"
ca_file = "{smtp_ca_file}"
"""


class Operator:
    """Somebody at a shell with a gateway home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """Runs a command, expects an exit code, and returns stdout."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "--home", str(self.home), *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout


def waiting(account, number: int = 1) -> list[bytes]:
    """The mails in a Dovecot mailbox, once ``number`` of them have come through Postfix."""
    for _ in range(200):
        found = account.waiting()
        if len(found) >= number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(account.waiting())} mails instead of {number}")


@pytest.fixture
def place(tmp_path, dovecot, postfix):
    """A home that is set up as docs/first-hour.md says, and the partner's mailbox."""
    us, partner = dovecot.account(), dovecot.account()
    operator = Operator(tmp_path / "edi")
    operator.run("init", "--name", "Example Co", "--domain", "example.test", "--identity", "ZZ:EXAMPLECO")
    (operator.home / "gateway.toml").write_text(
        SETTINGS.format(
            pop3s=dovecot.pop3s_port,
            us=us.name,
            ca_file=dovecot.ca_file,
            smtp=postfix.port,
            smtp_ca_file=postfix.ca_file,
        )
    )
    operator.run("secret", "set", "mailbox.orders", stdin=f"{us.password}\n")
    profile = (SAMPLES / "home" / "partners" / "birch.toml").read_text()
    (operator.home / "partners" / "birch.toml").write_text(profile.replace("edi@birchretail.example", partner.name))
    operator.run("partner", "apply")
    return operator, us, partner, postfix


def mail(postfix, sender: str, to: str, name: str) -> None:
    """The partner mails a sample."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, f"EDI {name}"
    message["Message-ID"] = f"<{name}.{time.time_ns()}@example.test>"
    message.set_content("attached")
    data = (SAMPLES / "interchanges" / name).read_bytes()
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    with smtplib.SMTP("127.0.0.1", postfix.port) as smtp:
        smtp.send_message(message)


def test_an_850_becomes_a_file_a_mailed_997_and_a_ledger_record_and_our_855_is_followed(place):
    operator, us, partner, postfix = place
    checks = operator.run("doctor")
    assert "✗" not in checks
    mail(postfix, partner.name, us.name, "850_purchase_order.edi")
    waiting(us)
    night = json.loads(operator.run("night", "--json"))
    assert night["counts"]["documents delivered"] == 1
    assert not us.waiting()
    (delivered,) = (operator.home / "inbox" / "birch").iterdir()
    assert b"BEG*00*SA*PO-4711" in delivered.read_bytes()
    answer = email.message_from_bytes(waiting(partner)[0])
    edi = next(part for part in answer.walk() if part.get_filename()).get_payload(decode=True)
    assert b"AK1*PO*101" in edi
    assert b"AK9*A*1*1*1" in edi
    rows = [json.loads(line) for line in operator.run("ledger", "search", "po=PO-4711", "--json").splitlines()]
    assert [row["state"] for row in rows] == ["delivered"]
    assert "850_purchase_order.edi" in operator.run("ledger", "show", str(rows[0]["id"]))
    assert operator.run("ledger", "show", str(rows[0]["id"]), "--raw").startswith("ISA*")

    operator.run("send", "birch", str(SAMPLES / "interchanges" / "855_purchase_order_acknowledgment.edi"))
    operator.run("night")
    ours = next(part for part in email.message_from_bytes(waiting(partner, 2)[1]).walk() if part.get_filename())
    assert b"BAK*00*AC*PO-4711" in ours.get_payload(decode=True)
    assert "855" in operator.run("ack", "list")
    group = next(line for line in ours.get_payload(decode=True).decode().split("~") if "GS*" in line).split("*")[6]
    accepting = (SAMPLES / "interchanges" / "997_accepts_855.edi").read_text()
    words = accepting.replace("AK1*PR*201", f"AK1*PR*{group}")
    reply = EmailMessage()
    reply["From"], reply["To"], reply["Subject"] = partner.name, us.name, "997"
    reply.set_content("attached")
    reply.add_attachment(words.encode(), maintype="application", subtype="edi-x12", filename="997.edi")
    with smtplib.SMTP("127.0.0.1", postfix.port) as smtp:
        smtp.send_message(reply)
    waiting(us)
    operator.run("night")
    rows = [json.loads(line) for line in operator.run("ledger", "search", "type=855", "--json").splitlines()]
    assert [(row["state"], row["verdict"]) for row in rows] == [("acknowledged", "accepted")]
    status = json.loads(operator.run("status", "--json"))
    assert status["attention"] == []


def test_bad_input_is_told_in_words_with_the_right_exit_code(place):
    operator, us, partner, postfix = place
    mail(postfix, partner.name, us.name, "broken/850_one_set_rejected.edi")
    mail(postfix, "stranger@example.test", us.name, "850_one_line.edi")
    waiting(us, 2)
    operator.run("night", code=65)
    assert "No trading partner has the address stranger@example.test" in operator.run("status")
    operator.run("send", "birch", str(SAMPLES / "interchanges" / "broken" / "orders.csv"), code=65)
    operator.run("send", "nobody", str(SAMPLES / "interchanges" / "810_invoice.edi"), code=2)
    operator.run("send", "birch", str(SAMPLES), code=2)
    operator.run("ledger", "show", "4711", code=2)
    operator.run("ledger", "search", "colour=red", code=2)
    operator.run("exchange", "resend", "1", "--why", "trial", code=2)
    (operator.home / "gateway.toml").write_text("[gateway]\nnmae = 'x'\n")
    operator.run("night", code=78)


def test_a_wrong_password_and_an_absent_host_are_said_and_lose_nothing(place):
    operator, us, partner, postfix = place
    mail(postfix, partner.name, us.name, "850_purchase_order.edi")
    waiting(us)
    settings = (operator.home / "gateway.toml").read_text()
    (operator.home / "gateway.toml").write_text(settings.replace(f"port = {postfix.port}", "port = 1"))
    invoice = str(SAMPLES / "interchanges" / "810_invoice.edi")
    operator.run("send", "birch", invoice, "--now", code=69)
    operator.run("night", code=69)  # collected and delivered; the 997 waits for the SMTP host
    assert len(list((operator.home / "inbox" / "birch").iterdir())) == 1
    (operator.home / "gateway.toml").write_text(settings)
    operator.run("night")
    assert len(waiting(partner, 2)) == 2  # the invoice and the 997


def test_the_demo_keeps_what_it_promises():
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["ok"]
    assert all(check["kept"] for check in outcome["checks"])
    assert len(outcome["checks"]) > 10


def test_a_kept_demo_can_be_looked_at_with_the_normal_commands(tmp_path):
    directory = tmp_path / "demo"
    subprocess.run([sys.executable, "-m", "gateway", "demo", "--keep", str(directory)], check=True, capture_output=True)
    operator = Operator(directory / "home")
    assert "overdue" in operator.run("status")
    assert "PO-1001" in operator.run("ledger", "search", "po=PO-1001")
    assert list((directory / "mails").rglob("*.eml"))
    again = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--keep", str(directory)], check=False, capture_output=True, text=True
    )
    assert again.returncode == 78
