"""Each check of the doctor tells what is right from what is wrong, and says what to do."""

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from gateway.errors import LoginRefused, MailboxUnavailable, SecretMissing
from gateway.flow import check_home, checks
from gateway.flow.check_mail import check_mailbox, check_smtp
from gateway.flow.check_partners import check_deliveries, check_outbox, check_overlaps, check_partners
from gateway.flow.check_result import Check, failed
from gateway.ledger import tables
from gateway.ledger.database import open_engine, upgrade, writing
from gateway.ledger.keys import Keys
from gateway.ledger.recording import Ledger
from gateway.ledger.secrets import Secrets, make_key
from gateway.mail.host import MailHost
from gateway.mail.memory import MemoryTransport
from gateway.mail.model import Credentials
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport
from gateway.settings import MailboxSettings, SmtpSettings, parse_settings, template_settings
from partners.model import Agreement, Delivery, Direction, Identity, Partner, Status
from partners.store import PartnerStore

US = "edi@ours.example"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "outbox").mkdir()
    make_key(tmp_path / "secret.key")
    return tmp_path


@pytest.fixture
def settings(home):
    return parse_settings(template_settings("Ours", "edi.ours.example", "ZZ:OURCO").encode(), home=home)


@pytest.fixture
def engine(settings):
    engine = open_engine(settings.database_url)
    upgrade(engine)
    (settings.home / "ledger.db").chmod(0o600)
    yield engine
    engine.dispose()


@pytest.fixture
def app(settings, engine):
    secrets = Secrets(engine, settings.home / "secret.key", {})
    return SimpleNamespace(
        settings=settings,
        engine=engine,
        secrets=secrets,
        keys=Keys(engine, settings.home / "secret.key"),
        ledger=Ledger(engine, lambda: 0),
        partners=PartnerStore(engine),
        mailboxes=[],
        transport=None,
        txt=lambda _: None,
    )


def partner(key="acme", **changes):
    agreement = Agreement("orders", Direction.IN, ("850",))
    made = Partner(key, "Acme", Status.LIVE, (f"edi@{key}.example",), (Identity.of("ZZ", key.upper()),), (agreement,))
    return replace(made, **changes)


def results(found):
    return [each.ok for each in found]


def examined(app, *, online=False):
    return list(checks.examine(app, app.settings.home / "secret.key", online=online))


# ---------------------------------------------------------------- the whole


def test_a_new_home_has_nothing_wrong(app):
    found = examined(app)
    assert [each for each in found if each.ok is False] == []
    assert checks.exit_code(found) == 0
    assert [each.code for each in found if each.ok is None] == ["backup.none", "partners.none", "alerts.none"]


def test_without_a_database_the_rest_is_left_out_and_the_code_says_configuration(app, home):
    app.engine.dispose()
    for file in home.glob("ledger.db*"):
        file.unlink()
    found = examined(app, online=True)
    assert [(each.name, each.ok) for each in found[-2:]] == [("database", False), ("the rest", None)]
    assert checks.exit_code(found) == 78


def test_a_missing_secret_is_one_failed_check_among_others(app):
    app.settings = replace(app.settings, smtp=SmtpSettings(host="127.0.0.1", user="edi"))
    found = examined(app)
    wrong = [each for each in found if each.ok is False]
    assert [each.name for each in wrong] == ["secret smtp"]
    assert "gateway secret set" in wrong[0].advice
    assert found[-1].name == "alerts"


def test_another_key_than_the_ledgers_is_named_also_by_what_no_setting_names(app):
    """As on a machine that shares the ledger and made a key of its own: its seals and verifications fail."""
    app.secrets.set("seal", "c2VhbA==", "ann", 1)
    assert "secret.unreadable" not in [each.code for each in examined(app)]
    (app.settings.home / "secret.key").unlink()
    make_key(app.settings.home / "secret.key")
    (wrong,) = [each for each in examined(app) if each.code == "secret.unreadable"]
    assert (wrong.name, wrong.ok) == ("secret seal", False)


def test_the_value_of_a_secret_is_not_in_any_check(app):
    app.settings = replace(app.settings, smtp=SmtpSettings(host="127.0.0.1", user="edi"))
    app.secrets.set("smtp", "canary-77", "ann", 1)
    assert "canary-77" not in repr(examined(app))


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [([], 0), ([(False, 69)], 69), ([(False, 69), (False, 78)], 78), ([(None, 78), (True, 69)], 0)],
)
def test_configuration_goes_before_availability(codes, wanted):
    assert checks.exit_code([Check("x", ok, "", "", code) for ok, code in codes]) == wanted


def test_a_fault_keeps_its_sentence_and_advice():
    found = failed("mailbox a", MailboxUnavailable(mailbox="a", host="h", reason="down"))
    assert (found.ok, found.exit_code) == (False, 69)
    assert "down" in found.sentence
    assert failed("x", SecretMissing(name="x")).exit_code == 78
    assert found.as_dict()["result"] == "failed"


# ---------------------------------------------------------------- the machine


@pytest.mark.parametrize(("mode", "ok"), [(0o750, True), (0o755, True), (0o777, False)])
def test_a_home_that_everybody_may_write_to_is_wrong(home, mode, ok):
    home.chmod(mode)
    assert results(check_home.check_home(home)) == [ok]


def test_a_key_must_be_there(home):
    assert results(check_home.check_key(home / "secret.key")) == [True]
    assert results(check_home.check_key(home / "other.key")) == [False]


def test_placeholders_are_told(home):
    found = parse_settings(template_settings("X", "gateway.example.com").encode(), home=home)
    assert results(check_home.check_settings(found)) == [None, None]


def test_a_clock_before_this_program_was_written_is_wrong():
    assert results(check_home.check_clock(0.0)) == [False]
    assert results(check_home.check_clock(1_800_000_000.0)) == [True]


@pytest.mark.parametrize(("free", "ok"), [(50_000_000, False), (500_000_000, None), (5_000_000_000, True)])
def test_little_room_is_told_and_too_little_fails(settings, monkeypatch, free, ok):
    monkeypatch.setattr(check_home.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert results(check_home.check_disk(settings)) == [ok]


def test_an_inbox_that_is_not_there_is_wrong(settings, home):
    assert results(check_home.check_directories(settings)) == [True, True]
    (home / "inbox").rmdir()
    assert results(check_home.check_directories(settings)) == [False, True]


def test_a_ledger_that_everybody_may_read_is_told(engine, home):
    assert results(checks.check_database(engine)) == [True]
    (home / "ledger.db").chmod(0o644)
    assert results(checks.check_database(engine)) == [True, None]


def test_an_event_from_the_future_is_told(engine):
    with writing(engine) as connection:
        connection.execute(tables.event.insert().values(at=1_000_000, kind="x", partner="", actor=""))
    assert results(checks.check_newest_event(engine, 1_000_000)) == []
    found = list(checks.check_newest_event(engine, 400_000))
    assert results(found) == [None]
    assert "10 minutes" in found[0].sentence


# ---------------------------------------------------------------- partners


def test_partners_that_cannot_be_recognised_are_told():
    assert results(check_partners([])) == [None]
    assert results(check_partners([partner()])) == [True]
    found = list(check_partners([partner(addresses=(), agreements=())]))
    assert found[1].sentence == "It has no address and no agreement."
    assert results(check_partners([partner(addresses=(), status=Status.DRAFT)])) == [True]


def test_overlapping_claims_are_wrong_also_with_ourselves():
    assert results(check_overlaps([partner("a"), partner("b")], [("ZZ", "OURCO")])) == []
    assert results(check_overlaps([partner("a"), partner("b", addresses=("edi@a.example",))], [])) == [False]
    assert results(check_overlaps([partner("a")], [("ZZ", "A")])) == [False]


def test_a_directory_in_the_outbox_that_is_nobodys_is_told(tmp_path):
    for name in ("acme", "acmee", ".hidden"):
        (tmp_path / name).mkdir()
    found = list(check_outbox([partner("acme")], tmp_path))
    assert results(found) == [None]
    assert "acmee" in found[0].sentence
    assert list(check_outbox([], tmp_path / "absent")) == []


@pytest.mark.parametrize(
    ("delivery", "wanted"),
    [
        (Delivery(), []),
        (Delivery("directory", "drop"), []),
        (Delivery("directory", "file"), [False]),
        (Delivery("command", "sh -c true"), []),
        (Delivery("command", "./hook one"), []),
        (Delivery("command", "./not-there"), [False]),
        (Delivery("command", "'open"), [False]),
        (Delivery("http", "https://erp.example/", secret="hook"), [False]),
        (Delivery("http", "https://erp.example/", secret="known"), []),
    ],
)
def test_deliveries_that_cannot_work_are_wrong(app, home, delivery, wanted):
    (home / "file").write_text("")
    (home / "hook").write_text("#!/bin/sh\n")
    (home / "hook").chmod(0o755)
    app.secrets.set("known", "x", "ann", 1)
    made = partner(agreements=(Agreement("orders", Direction.IN, ("850",), delivery=delivery),))
    assert results(check_deliveries([made], home, app.secrets)) == wanted


# ---------------------------------------------------------------- hosts


@pytest.fixture
def host():
    with MailHost({US: "right"}, require_login=True) as host:
        yield host


def pop3(host, password="right"):
    return Pop3Mailbox(
        name="orders",
        host=host.host,
        port=host.pop3_port,
        security="none",
        credentials=Credentials(US, lambda: password),
        plaintext_password=True,
        timeout=10,
    )


def box(host):
    return MailboxSettings("orders", "pop3", host=host, security="none", user=US, plaintext_password=True)


def test_a_mailbox_that_works_says_how_much_waits_and_keeps_it(host, settings):
    host.deliver(US, b"Subject: one\r\n\r\n" + b"x" * 2_000)
    found = list(check_mailbox(box(host.host), pop3(host), settings.limits))
    assert results(found) == [True]
    assert "1 message waiting" in found[0].sentence
    assert len(host.waiting(US)) == 1


def test_a_message_above_the_limit_is_told(host, settings):
    host.deliver(US, b"Subject: one\r\n\r\n" + b"x" * 2_000)
    limits = replace(settings.limits, message_size=1_000)
    assert results(check_mailbox(box(host.host), pop3(host), limits)) == [True, None]


def test_a_refused_login_is_the_mailboxs_own_fault(host, settings):
    with pytest.raises(LoginRefused):
        list(check_mailbox(box(host.host), pop3(host, "wrong"), settings.limits))


def test_a_host_name_that_nobody_knows_is_told(settings):
    with pytest.raises(MailboxUnavailable, match="name is not known"):
        list(check_mailbox(box("pop..invalid"), SimpleNamespace(), settings.limits))


def test_every_host_is_checked_even_when_one_is_away(app, host):
    away = Pop3Mailbox(
        name="gone", host="127.0.0.1", port=1, security="none", credentials=Credentials("", str), timeout=5
    )
    app.settings = replace(
        app.settings,
        mailboxes=(
            replace(box("127.0.0.1"), name="gone", port=1, user="gone"),
            replace(box(host.host), port=host.pop3_port),
        ),
        smtp=SmtpSettings(host=host.host, port=host.smtp_port, security="none", sender=US, user=US),
    )
    app.secrets.set("mailbox.gone", "x", "ann", 1)
    app.secrets.set("mailbox.orders", "x", "ann", 1)
    app.mailboxes = [away, pop3(host)]
    app.transport = SmtpTransport(
        host=host.host,
        port=host.smtp_port,
        security="none",
        credentials=Credentials(US, lambda: "right"),
        plaintext_password=True,
        helo="x.example",
    )
    app.secrets.set("smtp", "right", "ann", 1)
    found = {each.name: each for each in examined(app, online=True)}
    assert (found["mailbox gone"].ok, found["mailbox orders"].ok, found["smtp"].ok) == (False, True, True)
    assert checks.exit_code(list(found.values())) == 69


def test_no_smtp_host_is_told():
    assert results(check_smtp(None, None)) == [None]


def test_an_smtp_host_is_logged_in_to_and_nothing_is_sent(host):
    smtp = SmtpSettings(host=host.host, user=US, sender=US, security="none")

    def transport(password):
        return SmtpTransport(
            host=host.host,
            port=host.smtp_port,
            security="none",
            credentials=Credentials(US, lambda: password),
            plaintext_password=True,
            helo="x.example",
        )

    assert results(check_smtp(smtp, transport("right"))) == [True]
    assert host.waiting(US) == ()
    with pytest.raises(LoginRefused):
        list(check_smtp(smtp, transport("wrong")))


def test_a_connection_in_the_clear_beyond_this_machine_is_told(monkeypatch, host, settings):
    monkeypatch.setattr("gateway.flow.check_mail._resolve", lambda *_: None)
    found = list(check_mailbox(box("pop.far.example"), pop3(host), settings.limits))
    assert results(found) == [True, None]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"verp": True}, [True, None]),
        ({"host": "smtp.office365.com"}, [True, None]),
        ({"host": "smtp.office365.com", "connections": 3, "rate": 30}, [True]),
    ],
)
def test_what_a_provider_is_known_to_refuse_is_told_before_it_does(monkeypatch, changes, told):
    monkeypatch.setattr("gateway.flow.check_mail._resolve", lambda *_: None)
    smtp = SmtpSettings(**{"host": "127.0.0.1", "sender": US} | changes)
    assert results(check_smtp(smtp, MemoryTransport())) == told
