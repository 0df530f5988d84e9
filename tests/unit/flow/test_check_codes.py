"""What the doctor finds has the code that its reference page names: one trigger for each."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from builders.certificates import WHEN, make
from msgspec.structs import replace
from servers.imap import USUAL, ImapServer

from gateway.errors import ConfigurationFault
from gateway.flow import check_home, check_ledger, checks
from gateway.flow.check_alerts import check_alerts
from gateway.flow.check_backup import check_backup
from gateway.flow.check_mail import check_mailbox, check_smtp
from gateway.flow.check_partners import check_deliveries, check_outbox, check_partners
from gateway.flow.check_proof import check_proof
from gateway.flow.check_security import check_endings, check_needs
from gateway.flow.keyring import Keyring
from gateway.flow.logins import check_client_secrets, check_tls
from gateway.ledger import tables
from gateway.ledger.database import open_engine, upgrade, writing
from gateway.mail.imap import ImapMailbox
from gateway.mail.memory import MemoryTransport
from gateway.mail.model import Credentials
from gateway.mail.smtp_connection import Reply, SmtpConnection
from gateway.settings import (
    AlertSettings,
    BackupSettings,
    Limits,
    MailboxSettings,
    OAuthSettings,
    Settings,
    SmtpSettings,
    parse_settings,
    template_settings,
)
from gateway.settings.model import ProofSettings
from partners.certificates import describe
from partners.model import (
    Agreement,
    Certificate,
    CertificateState,
    Delivery,
    Direction,
    Evidence,
    Identity,
    Partner,
    Status,
)

NOW = int(WHEN.timestamp() * 1000)
TODAY = datetime.fromtimestamp(NOW / 1000, UTC).date()


def codes(found):
    made = list(found)
    assert all(each.advice for each in made if each.ok is not True)
    return [each.code for each in made if each.ok is not True]


def settings(home, **changes):
    return replace(Settings(home, "Ours", "ours.com", (("ZZ", "OURCO"),), "sqlite://"), **changes)


def partner(*agreements, **changes):
    made = Partner("acme", "Acme", Status.LIVE, ("edi@acme.com",), (Identity.of("ZZ", "ACME"),), agreements)
    return replace(made, **changes)


# ---------------------------------------------------------------- the home


def test_a_home_that_others_may_write_to_or_we_may_not(tmp_path, monkeypatch):
    """Who may write to the home decides what the gateway does."""
    tmp_path.chmod(0o777)
    assert codes(check_home.check_home(tmp_path)) == ["home.open"]
    tmp_path.chmod(0o750)
    monkeypatch.setattr(check_home.os, "access", lambda *_: False)
    assert codes(check_home.check_home(tmp_path)) == ["home.not-writable"]
    assert codes(check_home.check_key(tmp_path / "secret.key")) == ["home.no-key"]
    made = settings(tmp_path, inbox=tmp_path, outbox=tmp_path / "absent")
    assert codes(check_home.check_directories(made)) == ["directory.not-writable", "directory.missing"]


def test_what_a_batch_writes_is_one_users_and_ours_to_write(tmp_path, monkeypatch):
    """After a command that root ran, the service could not open its own files."""
    made = settings(tmp_path, inbox=tmp_path / "inbox", outbox=tmp_path / "outbox")
    lock, delivered = tmp_path / ".lock", tmp_path / "inbox" / "acme"
    delivered.mkdir(parents=True)
    lock.touch()
    assert codes(check_home.check_owners(made)) == []
    for shut in (lock, delivered):
        monkeypatch.setattr(check_home.os, "access", lambda path, _mode, shut=shut: path != shut)
        (found,) = check_home.check_owners(made)
        assert (found.ok, found.code) == (False, "home.other-owner")
        assert str(shut) in found.sentence
    monkeypatch.undo()
    monkeypatch.setattr(check_home, "_OWNED", ("nobodys",))
    nobodys = tmp_path / "nobodys"
    nobodys.touch()
    true_stat = type(nobodys).stat
    other = SimpleNamespace(st_uid=4711)
    monkeypatch.setattr(type(nobodys), "stat", lambda self, **how: other if self == nobodys else true_stat(self, **how))
    (found,) = check_home.check_owners(made)
    assert (found.ok, found.code) == (None, "home.other-owner")
    assert "4711" in found.advice


def test_files_beside_the_ledger_must_be_writable(tmp_path, monkeypatch):
    """A directory in the file's place, a file in the directory's, or a directory of somebody else."""
    from gateway.settings import LogSettings, SealSettings

    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    found = settings(
        tmp_path,
        metrics_file=tmp_path / "file" / "gateway.prom",
        log=LogSettings(file=tmp_path / "directory"),
        seal=SealSettings(file=tmp_path / "new" / "seals.txt"),
    )
    assert codes(check_home.check_files(found)) == ["file.not-writable"] * 2
    assert codes(check_home.check_files(settings(tmp_path, metrics_file=tmp_path / "file"))) == []
    monkeypatch.setattr(check_home.os, "access", lambda *_: False)
    assert codes(check_home.check_files(found)) == ["file.not-writable"] * 3


def test_what_a_new_home_begins_with(tmp_path):
    """Our identity and domain are examples until somebody writes their own."""
    made = parse_settings(template_settings("X", "gateway.example.com").encode(), home=tmp_path)
    assert codes(check_home.check_settings(made)) == ["identity.placeholder", "domain.placeholder"]


@pytest.mark.parametrize(("free", "told"), [(50_000_000, ["disk.too-little"]), (500_000_000, ["disk.little"])])
def test_little_room(tmp_path, monkeypatch, free, told):
    """Below a gigabyte somebody should look; below a tenth of it nothing is collected."""
    monkeypatch.setattr(check_home.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert codes(check_home.check_disk(settings(tmp_path, inbox=tmp_path))) == told


def test_clocks_and_files_that_others_may_read(tmp_path):
    """Before this program was written, after the newest event, and a ledger for everybody."""
    assert codes(check_home.check_clock(0.0)) == ["clock.wrong"]
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(engine)
    (tmp_path / "ledger.db").chmod(0o644)
    with writing(engine) as connection:
        connection.execute(tables.event.insert().values(at=NOW, kind="x", partner="", actor=""))
    assert codes(checks.check_newest_event(engine, NOW - 600_000)) == ["clock.went-back"]
    assert codes(checks.check_database(engine)) == ["database.readable"]
    engine.dispose()


def test_what_could_not_be_looked_at():
    """A check that the system refuses is a result, and one that a fault ends has the fault's code."""

    def refused():
        raise PermissionError(13, "Permission denied")
        yield

    def faulty():
        raise ConfigurationFault(reason="no")
        yield

    assert codes(checks._guarded("key", refused)) == ["not-checked"]

    def broken():
        raise UnicodeEncodeError("utf-8", "p\udce4ss", 1, 2, "surrogates not allowed")
        yield

    assert codes(checks._guarded("key", faulty)) == ["configuration"]
    assert codes(checks._guarded("key", broken)) == ["unexpected"]  # and the other checks are still made


def test_without_a_database_the_rest_is_left_out(tmp_path):
    """What is kept in it cannot be looked at."""
    engine = open_engine(f"sqlite:///{tmp_path / 'absent.db'}")
    app = SimpleNamespace(settings=settings(tmp_path, inbox=tmp_path, outbox=tmp_path), engine=engine)
    found = codes(checks.examine(app, tmp_path / "secret.key", online=False))
    assert found[-2:] == ["database.empty", "database.rest"]
    engine.dispose()


def test_damage_and_backups(tmp_path, monkeypatch):
    """Damaged pages, a late backup, and one beside the ledger."""
    monkeypatch.setattr(check_ledger, "damage", lambda _: iter(["page 7 is not as it was written"]))
    assert codes(check_ledger.check_whole(None)) == ["ledger.damaged"]
    assert codes(check_backup(settings(tmp_path), NOW)) == ["backup.none"]
    (tmp_path / "backups").mkdir()
    kept = settings(tmp_path, backup=BackupSettings(tmp_path / "backups"))
    monkeypatch.setattr("gateway.flow.check_backup.lateness", lambda *_: "It is late.")
    assert codes(check_backup(kept, NOW)) == ["backup.late"]
    monkeypatch.setattr("gateway.flow.check_backup.lateness", lambda *_: "")
    assert codes(check_backup(kept, NOW)) == ["backup.same-disk"]


# ---------------------------------------------------------------- logins and hosts


def test_logins_that_end(tmp_path):
    """Old TLS, and client secrets of which nobody knows, or everybody should know, when they end."""
    box = MailboxSettings("orders", "pop3", host="h", tls_minimum="1.0")
    assert codes(check_tls(settings(tmp_path, mailboxes=(box,)))) == ["tls.broken-version"]
    table = OAuthSettings("m", "client-credentials", "id", "post", "https://x/", provider="microsoft", secret="s")

    def ends(day: date | None):
        return codes(check_client_secrets([replace(table, secret_expires=day)], TODAY))

    assert ends(None) == ["oauth.no-expiry"]
    assert ends(TODAY + timedelta(days=3)) == ["oauth.ends-soon"]
    assert ends(TODAY - timedelta(days=3)) == ["oauth.ended"]
    assert ends(TODAY + timedelta(days=300)) == []


def imap(monkeypatch, *, without=(), limit=1_000, host="127.0.0.1", **changes):
    monkeypatch.setattr("gateway.flow.check_mail._resolve", lambda *_: None)
    box = MailboxSettings("orders", "imap", host=host, security="none", user="edi", plaintext_password=True, **changes)

    offered = tuple(each for each in USUAL if each not in without)
    server = ImapServer(b"Subject: x\r\n\r\n" + b"y" * 2_000, capabilities=offered)
    try:
        mailbox = ImapMailbox(
            name="orders", host="127.0.0.1", port=server.port, security="none", plaintext_password=True, timeout=5.0,
            credentials=Credentials("edi", lambda: "s3cret"),
        )  # fmt: skip
        return codes(check_mailbox(box, mailbox, Limits(message_size=limit)))
    finally:
        server.close()


def test_mailboxes_that_work_but(monkeypatch):
    """No IDLE, neither MOVE nor UIDPLUS, a message over the limit, a connection in the clear."""
    assert imap(monkeypatch, limit=10_000) == []
    assert imap(monkeypatch) == ["mailbox.large"]
    assert imap(monkeypatch, limit=10_000, without=("IDLE",), idle=True) == ["mailbox.no-idle"]
    assert imap(monkeypatch, limit=10_000, without=("MOVE", "UIDPLUS")) == ["mailbox.no-uidplus"]
    assert imap(monkeypatch, limit=10_000, host="imap.far.com") == ["host.in-clear"]


def test_mailboxes_whose_server_cannot_number_or_lets_us_only_read(monkeypatch):
    """Without UIDL messages are told apart by their headers; a folder that may only be read is never emptied."""
    from gateway.flow import check_mail

    class Session:
        read_only = True
        connection = SimpleNamespace(capabilities={"MOVE"})

        def listing(self):
            return [SimpleNamespace(uid="sha256:aa", size=10)]

    class Mailbox:
        name, host, user = "orders", "h", "edi"

        def session(self):
            from contextlib import nullcontext

            return nullcontext(Session())

    monkeypatch.setattr(check_mail, "ImapSession", Session)
    box = MailboxSettings("orders", "imap")
    assert codes(check_mailbox(box, Mailbox(), Limits())) == ["mailbox.no-uidl", "mailbox.read-only"]


def test_a_mailbox_that_somebody_else_reads_too(tmp_path):
    """What we took and left there has gone, and not by us."""
    from builders.stage import Stage, orders

    stage = Stage(tmp_path)
    box = MailboxSettings("orders", "maildir", keep_on_server=True)
    stage.settings = replace(stage.settings, mailboxes=(box,))
    for number in (1, 2):
        stage.mail(orders(number))
    stage.run()
    app = SimpleNamespace(engine=stage.engine)
    left = checks._left_there(app, box)
    assert len(left) == 2
    assert codes(check_mailbox(box, stage.mailbox, Limits(), left)) == []
    assert checks._left_there(app, replace(box, keep_on_server=False)) == ()
    with stage.mailbox.session() as session:
        session.delete(session.listing()[:1])
        session.commit()
    found = list(check_mailbox(box, stage.mailbox, Limits(), left))
    assert codes(found) == ["mailbox.shared"]
    assert found[-1].sentence.startswith("1 mail that we left there is gone")


def test_no_mailbox_and_no_host_to_send_through(tmp_path):
    """Nothing is collected, and nothing is sent."""
    app = SimpleNamespace(
        settings=settings(tmp_path), access_tokens={}, mailboxes=[], transport=None,
        partners=SimpleNamespace(current=list), txt=lambda _: None,
    )  # fmt: skip
    assert codes(checks._check_hosts(app)) == ["mailbox.none", "smtp.none"]


class Refusing(SmtpConnection):
    """A connection whose host answers MAIL FROM as it is told to."""

    def __init__(self, code):
        self.host, self.heard, self._code = "h", [], code

    def connect(self):
        return self

    def command(self, text):
        self.heard.append(text)
        return Reply(self._code, "as it says")

    def quit(self):
        self.heard.append("QUIT")


@pytest.mark.parametrize(
    ("code", "told"), [(250, []), (451, []), (550, ["smtp.sender-refused"]), (530, ["smtp.no-login"])]
)
def test_a_sender_that_the_host_refuses(code, told):
    """The sender is named and taken back; nothing is sent."""
    host = Refusing(code)
    assert codes(check_smtp(SmtpSettings("127.0.0.1", sender="edi@ours.com"), host)) == told
    assert host.heard[0] == "MAIL FROM:<edi@ours.com>"
    assert host.heard[-1] == "QUIT"
    assert not any(each.startswith(("RCPT", "DATA")) for each in host.heard)


def test_what_providers_are_known_to_refuse(monkeypatch):
    """Addresses of their own for each mail, and more than Microsoft takes."""
    monkeypatch.setattr("gateway.flow.check_mail._resolve", lambda *_: None)
    smtp = SmtpSettings("smtp.office365.com", sender="edi@ours.com", verp=True)
    assert codes(check_smtp(smtp, MemoryTransport())) == ["smtp.verp", "smtp.microsoft-limits"]


# ---------------------------------------------------------------- alerts and partners


def test_rules_of_alerts(tmp_path):
    """By mail alone, of partners that are not there, by a program that is not there."""
    mail = AlertSettings("ops", to=("ops@ours.com",), partners=("nobody",))
    program = AlertSettings("pager", command="./absent")
    assert codes(check_alerts(settings(tmp_path, alerts=(mail,)), [])) == ["alerts.unknown-partner", "alerts.mail-only"]
    assert codes(check_alerts(settings(tmp_path, alerts=(program,)), [])) == ["alerts.no-program"]


def test_partners_without_something(tmp_path):
    """No partner at all, one without agreements, a directory of nobody's, a program that is not there."""
    assert codes(check_partners([])) == ["partners.none"]
    assert codes(check_partners([partner()])) == ["partner.incomplete"]
    (tmp_path / "outbox" / "acmee").mkdir(parents=True)
    assert codes(check_outbox([partner()], tmp_path / "outbox")) == ["outbox.nobody"]
    hooked = Agreement("orders", Direction.IN, ("850",), delivery=Delivery("command", "./absent"))
    assert codes(check_deliveries([partner(hooked)], tmp_path, None)) == ["delivery.no-program"]


@pytest.mark.parametrize(
    ("evidence", "proof", "told"),
    [
        (Evidence.ADDRESS, ProofSettings(), ["proof.address-only"]),
        (Evidence.MX, ProofSettings(), ["proof.no-exchanger"]),
        (Evidence.MX, ProofSettings(unnamed=True), ["proof.unnamed"]),
        (Evidence.DKIM, ProofSettings(dkim="never"), ["proof.no-dkim"]),
    ],
)
def test_proof_that_nobody_can_see(evidence, proof, told):
    """What the profiles ask for must be possible here."""
    assert codes(check_proof([partner(evidence=evidence)], proof)) == told


def certificate(days, state=CertificateState.TRUSTED):
    found = describe(make(start=WHEN - timedelta(days=9), days=days + 9).der)
    return Certificate(found.fingerprint, found.der, state, found.not_before, found.not_after)


def test_certificates_that_end_or_wait():
    """They end soon, have ended, or wait for somebody to compare the fingerprint."""
    assert codes(check_endings([partner(certificates=(certificate(5),))], Keyring(), NOW)) == ["certificate.ends-soon"]
    assert codes(check_endings([partner(certificates=(certificate(-5),))], Keyring(), NOW)) == ["certificate.ended"]
    waiting = partner(certificates=(certificate(99, CertificateState.PENDING),))
    assert codes(check_needs([waiting], Keyring(), NOW)) == ["certificate.unconfirmed"]
    strange = partner(certificates=(certificate(99, CertificateState.UNKNOWN),))
    assert codes(check_needs([strange], Keyring(), NOW)) == ["certificate.state-unknown"]
    assert codes(check_needs([partner(evidence=Evidence.SIGNED)], Keyring(), NOW)) == ["certificate.missing"]
