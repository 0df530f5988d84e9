"""gateway key and gateway partner certificate, as a person or a script calls them."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from builders.certificates import make
from cryptography import x509

from gateway.app import open_app
from gateway.cli.main import main
from partners.certificates import grouped

INIT = ("init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")
PROFILE = """
key = "acme"
status = "live"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL"]

[security]
sign = true
encrypt = true
receipt = "signed"

[[agreement]]
direction = "in"
sets = ["850"]

[[agreement]]
direction = "out"
sets = ["810"]
"""
TODAY = datetime.now(UTC)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115, PTH123 - closed below
    yield
    sys.stdin.close()


@pytest.fixture
def run(tmp_path, capsysbinary):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *map(str, words)])
        out, err = capsysbinary.readouterr()
        assert wanted is None or caught.value.code == wanted, out + err
        return out.decode("utf-8", "replace"), err.decode()

    call(*INIT)
    (tmp_path / "acme.toml").write_text(PROFILE)
    call("partner", "apply", tmp_path / "acme.toml")
    return call


def events(tmp_path):
    from gateway.ledger import tables
    from gateway.ledger.database import reading

    with open_app(tmp_path / "home") as app, reading(app.engine) as connection:
        return [(row.kind, row.partner, row.actor) for row in connection.execute(tables.event.select())]


def typed(monkeypatch, tmp_path, text):
    (tmp_path / "typed").write_text(text, encoding="utf-8")
    sys.stdin.close()
    monkeypatch.setattr(sys, "stdin", (tmp_path / "typed").open(encoding="utf-8"))


# ---------------------------------------------------------------- our keys


def test_a_key_is_made_listed_shown_exported_and_retired_and_each_act_is_told(run, tmp_path):
    said = json.loads(run("key", "generate", "--address", "edi@ours.example", "--kind", "ec-p256", "--json")[0])
    (row,) = [json.loads(line) for line in run("key", "list", "--json")[0].splitlines()]
    assert (row["name"], row["state"], row["signs"], row["key"]) == (said["name"], "active", True, "EC secp256r1")
    assert grouped(row["fingerprint"]) in run("key", "show", said["name"])[0]
    certificate = x509.load_pem_x509_certificate(run("key", "export", said["name"])[0].encode())
    assert certificate.subject.rfc4514_string() == "CN=Ours"
    run("key", "export", said["name"], "--form", "p7c", "--to", tmp_path / "our.p7c")
    run("partner", "certificate", "add", "acme", tmp_path / "our.p7c")  # what we export, a partner can read
    run("key", "retire", said["name"])
    run("key", "retire", said["name"], wanted=2)
    kinds = [kind for kind, _, _ in events(tmp_path)]
    assert [each for each in kinds if each.startswith("key-")] == [
        *("key-added", "key-exported", "key-exported", "key-retired")
    ]


def test_keys_get_names_of_their_own(run):
    names = [
        json.loads(run("key", "generate", "--address", "a@b.example", "--kind", "ec-p256", "--json")[0])["name"]
        for _ in range(2)
    ]
    assert names[1] == f"{names[0]}-1"
    run("key", "generate", "--address", "a@b.example", "--name", names[0], "--kind", "ec-p256", wanted=2)


def test_without_a_sender_an_address_is_asked_for(run):
    assert "--address" in run("key", "generate", wanted=2)[1]


@pytest.mark.parametrize("form", ["p12", "pem"])
def test_a_key_is_imported_and_never_printed(run, tmp_path, monkeypatch, form):
    made = make("ours")
    (tmp_path / "key").write_bytes(made.p12(b"secret") if form == "p12" else made.pem + made.private_pem)
    typed(monkeypatch, tmp_path, "secret\n")
    out, err = run("key", "import", tmp_path / "key", "--name", "old")
    assert grouped(made.fingerprint) in out
    assert "PRIVATE" not in out + err
    with open_app(tmp_path / "home") as app:
        assert app.keys.private(app.keys.get("old")) == made.private


def test_a_file_without_a_private_key_is_no_key(run, tmp_path):
    (tmp_path / "cert.pem").write_bytes(make().pem)
    assert "there is no private key in it" in run("key", "import", tmp_path / "cert.pem", wanted=78)[1]


# ---------------------------------------------------------------- partners' certificates


@pytest.fixture
def made():
    return make(start=TODAY - timedelta(days=1), days=800, address="edi@acme.example")


def test_a_state_that_is_none_of_ours_is_unknown_and_stops_no_command(run, tmp_path, made):
    """Somebody wrote it past the gateway: it counts for nothing, doctor and verify tell, and a person decides again."""
    (tmp_path / "acme.cer").write_bytes(made.der)
    run("partner", "certificate", "add", "acme", tmp_path / "acme.cer")
    run("partner", "certificate", "trust", "acme", "--fingerprint", made.fingerprint, "--yes")
    with closing(sqlite3.connect(tmp_path / "home" / "ledger.db")) as connection, connection:
        connection.execute("UPDATE partner_certificate SET state = 'Trusted?'")
    (row,) = [json.loads(line) for line in run("partner", "certificate", "list", "acme", "--json")[0].splitlines()]
    assert row["state"] == "unknown"
    assert "1 unknown" in run("partner", "show", "acme")[0]
    checks = json.loads(run("doctor", "--offline", "--json", wanted=None)[0])["checks"]
    assert [each["result"] for each in checks if each["code"] == "certificate.state-unknown"] == ["failed"]
    assert "is not what was told of it (state)" in run("ledger", "verify", "--full", wanted=None)[0]
    run("partner", "certificate", "trust", "acme", "--fingerprint", made.fingerprint, "--yes")
    assert "trusted" in run("partner", "certificate", "show", "acme")[0]
    assert "is not what was told" not in run("ledger", "verify", "--full", wanted=None)[0]


def test_a_certificate_is_pending_until_its_whole_fingerprint_was_repeated(run, tmp_path, made):
    (tmp_path / "acme.cer").write_bytes(made.der)
    out, err = run("partner", "certificate", "add", "acme", tmp_path / "acme.cer", "--by", "ann")
    assert grouped(made.fingerprint) in out
    assert "gateway partner certificate trust acme" in err
    trust = ("partner", "certificate", "trust", "acme")
    run(*trust, wanted=2)
    run(*trust, "--fingerprint", made.fingerprint, wanted=2)
    run(*trust, "--fingerprint", made.fingerprint[:40], "--yes", wanted=2)
    run(*trust, "--fingerprint", make("other").fingerprint, "--yes", wanted=2)
    run(*trust, "--fingerprint", grouped(made.fingerprint), "--yes", "--by", "bob")
    (row,) = [json.loads(line) for line in run("partner", "certificate", "list", "acme", "--json")[0].splitlines()]
    assert (row["state"], row["added_by"], row["decided_by"], row["source"]) == ("trusted", "ann", "bob", "acme.cer")
    assert "trusted" in run("partner", "certificate", "show", "acme")[0]
    run("partner", "certificate", "retire", "acme", "--fingerprint", made.fingerprint[:12], "--by", "cat")
    assert [each for each in events(tmp_path) if each[0].startswith("certificate")] == [
        ("certificate-added", "acme", "ann"),
        ("certificate-trusted", "acme", "bob"),
        ("certificate-retired", "acme", "cat"),
    ]


def test_what_is_over_or_too_short_is_not_trusted(run, tmp_path):
    over, short = make("over", days=1, start=TODAY - timedelta(days=9)), make("short", kind="1024")
    (tmp_path / "over.pem").write_bytes(over.pem)
    (tmp_path / "short.pem").write_bytes(short.pem)
    run("partner", "certificate", "add", "acme", tmp_path / "over.pem")
    said = run("partner", "certificate", "trust", "acme", "--fingerprint", over.fingerprint, "--yes", wanted=78)[1]
    assert "it ended already" in said
    assert "1024 bits" in run("partner", "certificate", "add", "acme", tmp_path / "short.pem", wanted=78)[1]


def test_a_certificate_belongs_to_a_known_partner(run, tmp_path, made):
    (tmp_path / "acme.cer").write_bytes(made.der)
    for words in (("add", "bolt", tmp_path / "acme.cer"), ("list", "bolt"), ("show", "bolt")):
        run("partner", "certificate", *words, wanted=2)


# ---------------------------------------------------------------- doctor and status


def checks(run, wanted):
    out = run("doctor", "--offline", "--json", wanted=wanted)[0]
    return [each for each in json.loads(out)["checks"] if each["result"] != "ok"]


def test_the_doctor_says_what_agreements_need_and_stops_when_it_is_there(run, tmp_path, made):
    said = " ".join(each["sentence"] for each in checks(run, 78))
    assert "Its signatures cannot be verified" in said
    assert "is to be encrypted, but there is no valid certificate" in said
    assert "There is no key of ours for S/MIME" in said
    assert "we have no RSA key that partners can encrypt for" in said
    (tmp_path / "acme.cer").write_bytes(made.der)
    run("partner", "certificate", "add", "acme", tmp_path / "acme.cer")
    assert "1 certificate to be confirmed" in " ".join(each["sentence"] for each in checks(run, 78))
    run("partner", "certificate", "trust", "acme", "--fingerprint", made.fingerprint, "--yes")
    run("key", "generate", "--address", "edi@ours.example", "--kind", "rsa-2048")
    names = {each["name"] for each in checks(run, 0)}
    assert not names & {"partner acme", "keys", "certificates", "agreement acme/out-810"}


@pytest.mark.parametrize(("days", "urgent"), [(70, None), (50, False), (5, True)])
def test_an_end_is_told_sixty_days_ahead_and_urgently_in_the_last_week(run, tmp_path, days, urgent):
    short = make(start=TODAY - timedelta(days=1), days=days + 1)
    (tmp_path / "acme.cer").write_bytes(short.der)
    run("partner", "certificate", "add", "acme", tmp_path / "acme.cer")
    run("partner", "certificate", "trust", "acme", "--fingerprint", short.fingerprint, "--yes")
    run("key", "generate", "--address", "edi@ours.example", "--kind", "rsa-2048")
    told = [each["sentence"] for each in checks(run, 0) if each["name"] == "certificates"]
    needs = json.loads(run("status", "--json")[0])["attention"]
    assert bool(told) is bool(needs) is (urgent is not None)
    if told:
        assert ("urgent" in told[0]) is urgent
        assert needs[0]["next"] == "gateway partner certificate add acme FILE"


def test_a_longer_lasting_certificate_quiets_the_warning(run, tmp_path, made):
    for each in (make(start=TODAY - timedelta(days=1), days=20), made):
        (tmp_path / "acme.cer").write_bytes(each.der)
        run("partner", "certificate", "add", "acme", tmp_path / "acme.cer")
        run("partner", "certificate", "trust", "acme", "--fingerprint", each.fingerprint, "--yes")
    run("key", "generate", "--address", "edi@ours.example", "--kind", "rsa-2048")
    assert [each for each in checks(run, 0) if each["name"] == "certificates"] == []
