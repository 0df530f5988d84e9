"""The doctor on real hosts: Dovecot with TLS, Postfix with STARTTLS, PostgreSQL with a password."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def gateway(tmp_path):
    """Runs the gateway in a process of its own on a home in ``tmp_path``; gives exit code and output."""

    def call(*words, **environment):
        done = subprocess.run(
            [sys.executable, "-c", "from gateway.cli import main; main()", "--home", str(tmp_path / "home"), *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    words = ("--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")
    assert call("init", *words)[0] == 0
    return call


def write(tmp_path, text):
    with (tmp_path / "home/gateway.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def failed(output):
    return {each["name"]: each for each in json.loads(output)["checks"] if each["result"] == "failed"}


def hosts(dovecot, postfix, account, *, ca_file):
    return (
        f'[mailbox.tls]\nhost = "{dovecot.host}"\nport = {dovecot.pop3s_port}\nuser = "{account.name}"\n'
        f'secret = "box"\n{ca_file(dovecot)}'
        f'[mailbox.starttls]\nhost = "{dovecot.host}"\nport = {dovecot.pop3_port}\nsecurity = "starttls"\n'
        f'user = "{account.name}"\nsecret = "box"\n{ca_file(dovecot)}'
        f'[smtp]\nhost = "{postfix.host}"\nport = {postfix.port}\nsender = "edi@example.test"\n{ca_file(postfix)}'
    )


def test_mailboxes_and_smtp_with_trusted_certificates_are_in_order(dovecot, postfix, gateway, tmp_path):
    account = dovecot.account()
    account.deliver(b"From: a@example.test\r\nSubject: one\r\n\r\nhello\r\n")
    write(tmp_path, hosts(dovecot, postfix, account, ca_file=lambda host: f'ca_file = "{host.ca_file}"\n'))
    code, said = gateway("doctor", GATEWAY_SECRET_BOX=account.password)
    assert code == 0, said
    assert said.count("1 message waiting") == 2
    assert len(account.waiting()) == 1


def test_certificates_that_nobody_trusts_and_wrong_passwords_are_told_apart(dovecot, postfix, gateway, tmp_path):
    account = dovecot.account()
    write(tmp_path, hosts(dovecot, postfix, account, ca_file=lambda _: ""))
    code, said = gateway("doctor", "--json", GATEWAY_SECRET_BOX="canary-wrong")
    assert code == 69
    assert set(failed(said)) == {"mailbox tls", "mailbox starttls", "smtp"}
    assert {each["code"] for each in failed(said).values()} == {"tls.unknown-authority"}

    text = (tmp_path / "home/gateway.toml").read_text()
    (tmp_path / "home/gateway.toml").write_text(
        text.replace('secret = "box"\n', f'secret = "box"\nca_file = "{dovecot.ca_file}"\n')
    )
    _, said = gateway("doctor", "--json", GATEWAY_SECRET_BOX="canary-wrong")
    assert "refused the login" in failed(said)["mailbox tls"]["sentence"]
    assert "canary-wrong" not in said


def test_a_ledger_on_postgresql_gets_its_password_from_outside(postgres, gateway, tmp_path):
    url = postgres.fresh_database().replace(postgres.password.replace(" ", "%20"), "{password}")
    write(tmp_path, f'[database]\nurl = "{url}"\n')
    code, said = gateway("doctor", "--offline", "--json")
    assert (code, list(failed(said))) == (78, ["database"])
    assert "GATEWAY_SECRET_DATABASE" in failed(said)["database"]["advice"]

    password = {"GATEWAY_SECRET_DATABASE": postgres.password}
    assert gateway("doctor", "--offline", **password)[0] == 78  # empty: not migrated yet
    code, said = gateway("init", "--upgrade", **password)
    assert code == 0, said
    code, said = gateway("doctor", "--offline", **password)
    assert code == 0, said
    assert postgres.password not in said


def test_ports_that_do_not_fit_their_security_are_told_in_words(dovecot, postfix, gateway, tmp_path):
    """The port of TLS without it, the port without TLS with it, and IMAP where POP3 listens."""
    account = dovecot.account()
    rest = f'user = "{account.name}"\nsecret = "box"\nca_file = "{dovecot.ca_file}"\n'
    boxes = (
        ("plain", "pop3", dovecot.pop3_port, "tls"),
        ("encrypted", "imap", dovecot.imaps_port, "starttls"),
        ("other", "imap", dovecot.pop3_port, "starttls"),
        ("silent", "pop3", 1, "tls"),
    )
    for name, protocol, port, security in boxes:
        write(
            tmp_path,
            f'[mailbox.{name}]\nprotocol = "{protocol}"\nhost = "{dovecot.host}"\nport = {port}\n'
            f'security = "{security}"\n{rest}',
        )
    write(
        tmp_path,
        f'[smtp]\nhost = "{postfix.host}"\nport = {postfix.port}\nsecurity = "tls"\nsender = "edi@example.test"\n'
        f'ca_file = "{postfix.ca_file}"\n',
    )
    code, said = gateway("doctor", "--json", GATEWAY_SECRET_BOX=account.password)
    assert code == 69
    found = {name: each["code"] for name, each in failed(said).items()}
    assert found["mailbox plain"] == "host.plain-port"
    assert found["mailbox encrypted"] == "host.tls-port"
    assert found["mailbox other"] == "host.other-protocol"
    assert found["mailbox silent"] == "host.refused"
    assert found["smtp"] == "host.plain-port"
    assert 'security = "starttls"' in failed(said)["smtp"]["advice"]


def test_a_folder_that_is_not_there_and_a_wrong_password_have_codes(dovecot, gateway, tmp_path):
    """The host is in order, so the login and the folder are looked at."""
    account = dovecot.account()
    write(
        tmp_path,
        f'[mailbox.orders]\nprotocol = "imap"\nhost = "{dovecot.host}"\nport = {dovecot.imaps_port}\n'
        f'user = "{account.name}"\nsecret = "box"\nca_file = "{dovecot.ca_file}"\nfolder = "Nowhere"\n',
    )
    _, said = gateway("doctor", "--json", GATEWAY_SECRET_BOX=account.password)
    assert failed(said)["mailbox orders"]["code"] == "mailbox.unavailable"
    assert "Nowhere" in failed(said)["mailbox orders"]["sentence"]
    _, said = gateway("doctor", "--json", GATEWAY_SECRET_BOX="wrong")
    assert failed(said)["mailbox orders"]["code"] == "mail.login-refused"


def test_a_database_server_with_another_clock_or_without_trigrams_is_told(postgres):
    """Leases go by the clock, and the search by pg_trgm."""
    import time

    from gateway.flow.check_machine import check_database_clock, check_trigrams
    from gateway.ledger.database import open_engine, upgrade, writing

    engine = open_engine(postgres.fresh_database())
    upgrade(engine)
    try:
        assert list(check_database_clock(engine, time.time())) == []
        (ahead,) = check_database_clock(engine, time.time() - 3_600)
        assert (ahead.code, "ahead of ours" in ahead.sentence) == ("clock.differs", True)
        (behind,) = check_database_clock(engine, time.time() + 3_600)
        assert "behind ours" in behind.sentence
        assert list(check_trigrams(engine)) == []
        with writing(engine) as connection:
            connection.exec_driver_sql("DROP INDEX ix_search_text")
            connection.exec_driver_sql("DROP EXTENSION pg_trgm CASCADE")
        (found,) = check_trigrams(engine)
        assert (found.code, found.ok) == ("database.no-trigrams", None)
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE EXTENSION pg_trgm")
        (found,) = check_trigrams(engine)
        assert "before pg_trgm was there" in found.sentence
    finally:
        engine.dispose()
