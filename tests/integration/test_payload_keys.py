"""Raw bytes that lie encrypted, on both databases: read as before, never in clear on the disk, erased by forgetting."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from builders.by_hand import by_hand
from builders.stage import ACME, GLOBEX, HOUR, WHEN, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update
from sqlalchemy import text as sql

from gateway.demo import documents
from gateway.errors import ContentErased, DatabaseUnavailable, HeldBack, PayloadKeyUnreadable, StillInFiles
from gateway.flow import erase, retain
from gateway.flow.collect import collect
from gateway.flow.recall import recall
from gateway.flow.submit import submit
from gateway.ledger import archive, database, holds, key_life, retention_purge, tables
from gateway.ledger.attention import attention
from gateway.ledger.chain import follow
from gateway.ledger.damage import contents, damage
from gateway.ledger.mailboxes import head_of
from gateway.ledger.moved_file import opened
from gateway.ledger.moved_verify import verify
from gateway.ledger.payload_keys import Vault, archive_vault
from gateway.ledger.query import Query
from gateway.ledger.reports.mistakes import mistakes
from gateway.ledger.reports.scope import Scope
from gateway.ledger.secrets import make_key
from gateway.ledger.statements import statements
from gateway.ledger.story import raw_bytes, story
from gateway.ledger.verify import Verification
from gateway.ledger.work import stored_message
from gateway.settings import RetentionSettings

pytestmark = pytest.mark.integration

DAY = 24 * HOUR
CANARY = "CANARYPATIENT"
SECRET = ACME.replace("identities", "storage = { encrypt = true }\nidentities")


class Sealed(Stage):
    """A gateway that has a home's key, and one partner whose bytes lie encrypted."""

    def __init__(self, directory, engine, profiles=(SECRET, GLOBEX)):
        super().__init__(directory, profiles, engine)
        if not (directory / "secret.key").exists():
            make_key(directory / "secret.key")
        self.vault = Vault(directory / "secret.key", lambda: retain.encrypting(self.directory_now()))
        self.vault.attach(engine)

    def directory_now(self):
        return super().context().directory

    def context(self, reporter=None):
        context = super().context(reporter)
        key_life.ready(self.ledger, retain.encrypting(context.directory))
        return context


@pytest.fixture
def stage(tmp_path, ledger_engine):
    return Sealed(tmp_path, ledger_engine)


def order(number, name=CANARY, *, sender="ZZ:ACMERETAIL"):
    """An order of whose data only the address tells the canary: no business key does."""
    document = documents.order(f"PO-{number}", WHEN)
    return orders(number, [each.replace("1 Sample Street", f"1 {name} Street") for each in document], sender=sender)


def life(stage, number=1):
    stage.mail(order(2 * number - 1), subject="an order")
    submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.run()
    ours = [row for row in stage.rows("exchange") if row["types"] == "810"][-1]
    group = next(row for row in stage.rows("functional_group") if row["exchange"] == ours["id"])
    stage.mail(acknowledgment(2 * number, int(str(group["control_number"]))))
    stage.run()


def scopes(stage):
    """By SHA-256 the scopes of the payload keys that each content lies under."""
    k, c = tables.payload_key, tables.content_key
    with stage.ledger.reading() as connection:
        rows = connection.execute(select(c.c.sha256, k.c.scope, k.c.partner).join(k, k.c.id == c.c.key)).all()
    found = {}
    for name, scope, partner in rows:
        found.setdefault(name, set()).add(partner or scope)
    return found


def assert_whole(stage):
    with database.reading(stage.engine) as connection:
        assert [each.sentence for each in Verification(connection).full()] == []
    assert list(damage(stage.engine)) == []


def on_disk(stage):
    """Everything that the database has in files."""
    assert stage.engine.dialect.name == "sqlite"
    return b"".join(each.read_bytes() for each in stage.directory.glob("ledger.db*"))


def forget(stage, before=None, reason="the law"):
    with stage.ledger.reading() as connection:
        months = key_life.months(connection, "acme", before)
    for month in months:
        with stage.ledger.transaction("the officer") as recorder:
            key_life.forget(recorder, "acme", month, reason)
    key_life.wipe(stage.engine)
    return months


def test_everything_of_the_partner_lies_under_its_key_and_is_read_as_before(stage):
    raw = stage.mail(order(1))
    stage.run()
    found = scopes(stage)
    for table in ("message", "exchange"):
        for row in stage.rows(table):
            assert found[row["sha256"]] == {"acme"}
            assert raw_bytes(stage.engine, str(row["sha256"]))
    mail = stage.rows("message")[0]
    assert raw_bytes(stage.engine, str(mail["sha256"])) == raw
    with stage.ledger.reading() as connection:
        assert stored_message(connection, int(str(mail["id"]))).raw == raw
        assert head_of(connection, str(mail["sha256"]), 40) == raw[:40]
        ciphers = connection.execute(select(tables.content.c.cipher, tables.content.c.bytes)).all()
    assert all(row.cipher == "aes-256-gcm" and CANARY.encode() not in bytes(row.bytes) for row in ciphers)
    assert len(stage.sent) == 1  # what is sent is what was kept
    assert CANARY.encode() in b"".join(stage.delivered.values())
    assert_whole(stage)


def test_a_document_that_comes_back_in_a_bounce_lies_under_the_key_of_its_partner(stage):
    """A bounce comes from a mail host, and has the document in it."""
    submit(stage.context(), "acme", invoice())
    stage.run()
    returned = stage.transport.sent[-1]
    status = (
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; edi@acme.example\r\nAction: failed\r\n"
        "Status: 5.1.1\r\n"
    )
    head = (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: {returned.envelope_sender}\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="=b"\r\n\r\n'
        f"--=b\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n"
        "--=b\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    stage.mailbox.deliver(head.encode() + bytes(returned.raw) + b"\r\n--=b--\r\n")
    stage.run()
    assert stage.states("out") == ["bounced"]
    bounce = str(stage.rows("message")[-1]["sha256"])
    assert scopes(stage)[bounce] == {"acme"}
    assert_whole(stage)


@pytest.mark.parametrize("why", ["no X12", "suspended"])
def test_what_is_quarantined_of_the_partner_lies_under_its_key_too(stage, why):
    """Whose it is tells the address: nobody asked further."""
    if why == "suspended":
        stage.profiles = [SECRET.replace('"live"', '"suspended"'), GLOBEX]
    file = b"patient " + CANARY.encode() if why == "no X12" else order(1).replace(b"*00*SA*", f"*{CANARY}*SA*".encode())
    stage.mail(file)
    stage.run()
    (mail,) = [row for row in stage.rows("message") if row["direction"] == "in"]
    assert mail["state"] == "quarantined"
    found = scopes(stage)
    assert {frozenset(found[str(row["sha256"])]) for row in (mail, *stage.rows("exchange"))} == {frozenset({"acme"})}
    assert [row for row in stage.rows("finding") if CANARY in f"{row['message']}{row['value']}"] == []
    assert_whole(stage)


def test_a_partner_without_the_setting_is_kept_as_before(stage):
    stage.mail(order(1, "GLOBEX1", sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    found = scopes(stage)
    mail = stage.rows("message")[0]["sha256"]
    exchange = stage.rows("exchange")[0]["sha256"]
    assert found[mail] == {"home"}  # nobody knew whose it was when it came
    assert exchange not in found
    assert b"GLOBEX1" in raw_bytes(stage.engine, str(exchange))
    assert_whole(stage)


@pytest.fixture
def on_sqlite(tmp_path, migrated_file):
    shutil.copy(migrated_file, tmp_path / "ledger.db")
    engine = database.open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Sealed(tmp_path, engine)
    engine.dispose()


def test_what_a_mail_says_is_never_in_the_files_of_the_database_not_even_before_it_is_processed(on_sqlite):
    on_sqlite.mail(order(1), body=CANARY)
    collect(on_sqlite.context())
    assert set(map(frozenset, scopes(on_sqlite).values())) == {frozenset({"transit"})}
    assert CANARY.encode() not in on_disk(on_sqlite)
    on_sqlite.run()
    assert CANARY.encode() in b"".join(on_sqlite.delivered.values())
    assert CANARY.encode() not in on_disk(on_sqlite)


def test_what_lay_in_clear_leaves_the_files_of_the_database_when_it_is_encrypted_or_put_away(on_sqlite):
    on_sqlite.profiles = [ACME, GLOBEX]
    on_sqlite.settings = replace(on_sqlite.settings, retention=RetentionSettings(payload=timedelta(days=2)))
    for number in (1, 2):
        on_sqlite.mail(order(number), body=CANARY)
    on_sqlite.run()
    assert CANARY.encode() in on_disk(on_sqlite)
    on_sqlite.profiles = [SECRET, GLOBEX]
    assert erase.encrypt(on_sqlite.context(), "acme") > 0
    assert CANARY.encode() not in on_disk(on_sqlite)
    assert CANARY.encode() in raw_bytes(on_sqlite.engine, str(on_sqlite.rows("message")[0]["sha256"]))
    assert_whole(on_sqlite)


def test_what_was_put_away_leaves_the_files_of_the_database(on_sqlite):
    on_sqlite.profiles = [ACME, GLOBEX]
    on_sqlite.settings = replace(on_sqlite.settings, retention=RetentionSettings(payload=timedelta(days=2)))
    on_sqlite.mail(order(1), body=CANARY)
    on_sqlite.run()
    on_sqlite.now += 3 * DAY
    retain.apply(on_sqlite.context())
    assert CANARY.encode() not in on_disk(on_sqlite)


def test_a_forgotten_key_leaves_the_files_of_the_database(on_sqlite):
    on_sqlite.mail(order(1))
    on_sqlite.run()
    token = next(str(row["token"]) for row in on_sqlite.rows("payload_key") if row["partner"] == "acme")
    assert token.encode() in on_disk(on_sqlite)
    (found,) = erase.erasable(on_sqlite.context(), "acme")
    erase.erase(on_sqlite.context(), "acme", [found.month], actor="the officer", reason="the law")
    assert token.encode() not in on_disk(on_sqlite)


@pytest.fixture
def impatient(on_sqlite, monkeypatch):
    """One that waits for readers for an instant only."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 50)
    on_sqlite.engine.dispose()
    return on_sqlite


def test_while_somebody_reads_an_older_state_erasing_says_that_it_is_not_complete(impatient):
    impatient.mail(order(1))
    impatient.run()
    token = next(str(row["token"]) for row in impatient.rows("payload_key") if row["partner"] == "acme")
    (found,) = erase.erasable(impatient.context(), "acme")
    with closing(sqlite3.connect(impatient.directory / "ledger.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT token FROM payload_key").fetchall()
        with pytest.raises(StillInFiles):
            erase.erase(impatient.context(), "acme", [found.month], actor="the officer", reason="the law")
        assert token.encode() in on_disk(impatient)
        assert erase.erasable(impatient.context(), "acme") == []
    assert erase.erase(impatient.context(), "acme", [], actor="the officer", reason="the law") == 0
    assert token.encode() not in on_disk(impatient)


def test_on_postgres_too_a_reader_of_an_older_state_keeps_the_key(stage):
    if stage.engine.dialect.name == "sqlite":
        return
    stage.mail(order(1))
    stage.run()
    (found,) = erase.erasable(stage.context(), "acme")
    token = next(str(row["token"]) for row in stage.rows("payload_key") if row["partner"] == "acme")
    file = sql("SELECT pg_read_binary_file(pg_relation_filepath('payload_key'))")
    with stage.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        reader.execute(select(tables.exchange.c.id)).all()
        with pytest.raises(StillInFiles):
            erase.erase(stage.context(), "acme", [found.month], actor="the officer", reason="the law")
    assert erase.erase(stage.context(), "acme", [], actor="the officer", reason="the law") == 0
    with stage.engine.connect() as connection:
        connection.execute(sql("CHECKPOINT"))
        assert token[:40].encode() not in bytes(connection.execute(file).scalar_one())


def test_putting_away_also_overwrites_what_a_run_that_was_killed_left(impatient):
    impatient.profiles = [ACME, GLOBEX]
    impatient.settings = replace(impatient.settings, retention=RetentionSettings(payload=timedelta(days=2)))
    impatient.mail(order(1), body=CANARY)
    impatient.run()
    impatient.now += 3 * DAY
    with closing(sqlite3.connect(impatient.directory / "ledger.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT sha256 FROM content").fetchall()
        assert retain.apply(impatient.context()).contents > 0
        assert CANARY.encode() in on_disk(impatient)
    assert retain.apply(impatient.context()).contents == 0
    assert CANARY.encode() not in on_disk(impatient)


def test_a_disk_that_is_full_after_erasing_is_told_in_a_sentence(on_sqlite, monkeypatch):
    on_sqlite.mail(order(1))
    on_sqlite.run()
    (found,) = erase.erasable(on_sqlite.context(), "acme")
    context, before = on_sqlite.context(), resource.getrlimit(resource.RLIMIT_FSIZE)
    wiped = erase.wipe

    def full(engine):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
        try:
            return wiped(engine)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(erase, "wipe", full)
    with pytest.raises(DatabaseUnavailable):
        erase.erase(context, "acme", [found.month], actor="the officer", reason="the law")
    monkeypatch.setattr(erase, "wipe", wiped)
    assert erase.erase(on_sqlite.context(), "acme", [], actor="the officer", reason="the law") == 0
    assert_whole(on_sqlite)


def test_big_content_is_encrypted_in_pieces(stage):
    data = (CANARY.encode() * 10) * 50_000
    stage.context()
    with stage.ledger.transaction() as recorder:
        name = recorder.keep(data, owner="acme")
    assert raw_bytes(stage.engine, name) == data
    with stage.ledger.reading() as connection:
        pieces = connection.execute(select(tables.content_piece.c.bytes)).scalars().all()
        assert b"".join(archive.pieces_of(connection, name)) == data
    assert all(CANARY.encode() not in bytes(piece) for piece in pieces)
    assert_whole(stage)


def test_a_forgotten_key_erases_and_says_so_and_nothing_is_damaged(stage):
    life(stage)
    names = [str(row["sha256"]) for row in stage.rows("exchange")]
    (month,) = forget(stage)
    assert (month.period, month.contents > 0) == ("2026-11", True)
    for name in names:
        with pytest.raises(ContentErased, match=r"the key of acme for 2026-11 was forgotten \(the law\)"):
            raw_bytes(stage.engine, name)
    told = story(stage.engine, 1)
    assert told.exchange.sha256 in names
    assert_whole(stage)
    event = next(row for row in stage.rows("event") if row["kind"] == "payload-key-forgotten")
    assert (event["actor"], event["partner"]) == ("the officer", "acme")


def destroyed(stage, name, key):
    """Somebody with the database's password replaces bytes by others that lie under a forgotten key."""
    on_sqlite = stage.engine.dialect.name == "sqlite"
    with retention_purge.purging(stage.engine) as engine, database.writing(engine) as connection:
        for trigger in ("content_no_update", "content_no_delete") if on_sqlite else ("content_append_only",):
            connection.execute(sql(f"DROP TRIGGER IF EXISTS {trigger}" + ("" if on_sqlite else " ON content")))
        c, k = tables.content, tables.content_key
        connection.execute(update(c).where(c.c.sha256 == name).values(cipher="aes-256-gcm", bytes=bytes(16)))
        connection.execute(delete(k).where(k.c.sha256 == name))
        connection.execute(insert(k).values(sha256=name, key=key, wrapped=bytes(60)))
    found = list(damage(stage.engine))
    assert len(found) == 1, found
    assert f"The kept bytes {name} are not what they were" in found[0]


@pytest.mark.parametrize("whose", ["globex", "acme"])
@pytest.mark.parametrize("written_by", ["this version", "an earlier one"])
def test_what_was_destroyed_does_not_pass_as_erased_by_a_key_that_others_lay_under(
    stage, whose, written_by, monkeypatch
):
    """An earlier version wrote no names into the event of forgetting: then whose the bytes are counts."""
    if written_by == "an earlier one":
        monkeypatch.setattr(key_life, "fingerprints", lambda _: None)
    stage.mail(order(1))
    stage.run()
    stage.now += 31 * DAY
    stage.mail(order(2))
    stage.mail(order(3, "GLOBEX1", sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    (month,) = forget(stage, before=(2026, 12))
    assert_whole(stage)
    name = next(str(row["sha256"]) for row in reversed(stage.rows("exchange")) if row["partner"] == whose)
    if (whose, written_by) != ("acme", "an earlier one"):
        destroyed(stage, name, month.key)


def test_only_the_months_before_are_forgotten(stage):
    life(stage)
    stage.now += 31 * DAY
    life(stage, 2)
    assert [month.period for month in forget(stage, before=(2026, 12))] == ["2026-11"]
    first, last = stage.rows("exchange")[0], stage.rows("exchange")[-1]
    with pytest.raises(ContentErased):
        raw_bytes(stage.engine, str(first["sha256"]))
    assert raw_bytes(stage.engine, str(last["sha256"]))
    assert_whole(stage)


def test_what_was_erased_and_comes_again_is_kept_again(stage):
    stage.mail(order(1))
    stage.run()
    name = str(stage.rows("exchange")[0]["sha256"])
    forget(stage)
    stage.mail(order(1), sender="edi2@acme.example")
    assert [str(fault) for _, fault in stage.run().troubles] == []
    assert CANARY.encode() in raw_bytes(stage.engine, name)
    assert_whole(stage)


def test_bytes_of_two_partners_live_as_long_as_one_of_the_keys(stage):
    stage.context()
    for owner in ("acme", ""):
        with stage.ledger.transaction() as recorder:
            name = recorder.keep(b"the same", owner=owner)
    assert scopes(stage)[name] == {"acme", "home"}
    forget(stage)
    assert raw_bytes(stage.engine, name) == b"the same"


def test_what_lay_in_clear_and_is_offered_by_a_partner_that_encrypts_is_encrypted(stage):
    stage.profiles = [ACME, GLOBEX]
    stage.mail(order(1))
    stage.run()
    name = str(stage.rows("exchange")[0]["sha256"])
    assert name not in scopes(stage)
    stage.profiles = [SECRET, GLOBEX]
    stage.mail(order(1), sender="edi2@acme.example")
    stage.run()
    assert scopes(stage)[name] == {"acme"}
    assert_whole(stage)


def findings_of(stage, number=1):
    told = story(stage.engine, number)
    return [each for group in told.groups for one in group.sets for each in one.findings]


def test_a_text_that_was_cut_by_a_terminator_is_nowhere_in_clear(stage):
    """Its rest stands where a segment id belongs, which alerts and views name."""
    document = documents.order("PO-1", WHEN)
    stage.mail(orders(1, [*document[:-1], "SMITH, JOHN*1", document[-1]]))
    stage.run()
    clear = {name: str(stage.rows(name)) for name in ("alert", "event", "finding", "batch", "exchange")}
    assert "segment.unknown in segment 10" in clear["alert"]
    assert [name for name, rows in clear.items() if "SMITH" in rows] == []
    told = [each.message for each in findings_of(stage)]
    assert any("SMITH, JOHN" in each for each in told)


@pytest.mark.parametrize("before", [False, True])
def test_values_in_findings_are_encrypted_and_told_as_before(stage, before):
    """As they are found, or where they lay in clear before; sentences quote them."""
    if before:
        stage.profiles = [ACME, GLOBEX]
    stage.mail(order(1).replace(b"*00*SA*", f"*{CANARY}*SA*".encode()))
    stage.run()
    if before:
        assert any(CANARY in str(row["message"]) for row in stage.rows("finding"))
        stage.profiles = [SECRET, GLOBEX]
        assert erase.encrypt(stage.context(), "acme") > 0
    rows = [row for row in stage.rows("finding") if row["value"]]
    assert rows
    assert "encrypted:" not in needs_a_person(stage)
    assert all(str(row[name]).startswith("encrypted:") for row in rows for name in ("value", "message"))
    told = findings_of(stage)
    assert any(CANARY in each.value for each in told)
    assert any(CANARY in each.message for each in told)
    forget(stage)
    assert {(each.value, each.message) for each in findings_of(stage) if each.value} == {("(erased)", "(erased)")}
    assert_whole(stage)


def needs_a_person(stage):
    with stage.ledger.reading() as connection:
        return " ".join(each.reason for each in attention(connection))


@pytest.mark.parametrize("before", [False, True])
def test_a_sentence_that_quotes_without_a_value_of_its_own_is_encrypted_too(stage, before):
    """SE01 that does not agree is quoted, and no value is kept beside it."""
    if before:
        stage.profiles = [ACME, GLOBEX]
    stage.mail(order(1).replace(b"SE*", f"SE*9{CANARY}".encode()))
    stage.run()
    if before:
        assert any(CANARY in str(row["message"]) and not row["value"] for row in stage.rows("finding"))
        stage.profiles = [SECRET, GLOBEX]
        assert erase.encrypt(stage.context(), "acme") > 0
        assert erase.encrypt(stage.context(), "acme") == 0  # nothing is encrypted twice
    assert all(str(row["message"]).startswith("encrypted:") for row in stage.rows("finding"))
    assert any(CANARY in each.message for each in findings_of(stage))
    assert_whole(stage)
    forget(stage)
    assert {each.message for each in findings_of(stage)} == {"(erased)"}
    assert_whole(stage)


@pytest.mark.parametrize("before", [False, True])
def test_what_a_partner_says_of_our_documents_is_encrypted_and_told_as_before(stage, before):
    """AK404 quotes what stood in the document."""
    if before:
        stage.profiles = [ACME, GLOBEX]
    submit(stage.context(), "acme", invoice())
    stage.run()
    refused = acknowledgment(1, 1, "R").replace(b"AK5*", f"AK3*N1*3**8~AK4*2*93*7*{CANARY}~AK5*".encode())
    stage.mail(refused.replace(b"SE*6*", b"SE*8*"))
    stage.run()
    if before:
        assert any(CANARY in str(row["errors"]) for row in stage.rows("acknowledgment"))
        stage.profiles = [SECRET, GLOBEX]
        assert erase.encrypt(stage.context(), "acme") > 0
        kept = stage.rows("acknowledgment")
        assert erase.encrypt(stage.context(), "acme") == 0
        assert stage.rows("acknowledgment") == kept
    assert not any(CANARY in str(row["errors"]) for row in stage.rows("acknowledgment"))
    assert CANARY in shown_of_ours(stage)
    assert_whole(stage)
    forget(stage)
    told = shown_of_ours(stage)
    assert CANARY not in told
    assert "(erased)" in told
    assert_whole(stage)


def shown_of_ours(stage):
    """All that shows what a partner said of an exchange of ours."""
    with stage.ledger.reading() as connection:
        said = mistakes(connection, Scope(stage.now - DAY, stage.now + DAY, direction="out"))
    told = [each.errors for each in story(stage.engine, 1).answered]
    chained = [answer.errors for each in follow(stage.engine, "INV-1").documents for answer in each.answers]
    ways = [told, statements(stage.engine), needs_a_person(stage), chained, [each.sentence for each in said]]
    assert "encrypted:" not in repr(ways)
    assert all("code is not in the list" in repr(way) for way in (told, chained, said)) or "(erased)" in repr(ways)
    return repr(ways)


def test_a_value_that_only_looks_encrypted_is_told_as_it_is(stage):
    from gateway.ledger.at_rest import opened_text

    stage.mail(order(1))
    stage.run()
    for text in ("encrypted:1:AAAA", "encrypted:999:AAAA", "encrypted:", "encrypted:x:y", "encrypted:1:%%%", "plain"):
        with stage.ledger.reading() as connection:
            assert opened_text(connection, text) == text


def test_nothing_in_transit_keeps_a_key_alive_for_more_than_days(stage):
    stage.mail(order(1))
    stage.run()
    stage.now += 5 * DAY
    stage.mail(order(2))
    stage.run()
    assert key_life.empty_transit(stage.ledger) in {0, 1}  # the night did it already, or we do
    keys = [row for row in stage.rows("payload_key") if row["scope"] == "transit"]
    assert [row["token"] is None for row in keys] == [True, False]
    assert raw_bytes(stage.engine, str(stage.rows("message")[0]["sha256"]))
    assert_whole(stage)


def test_what_never_was_identified_leaves_transit_for_the_home_key(stage):
    stage.mail(order(1), sender="stranger@nowhere.example")
    stage.run()
    stage.now += 5 * DAY
    stage.mail(order(2))
    stage.run()
    key_life.empty_transit(stage.ledger)
    assert "transit" not in {scope for found in scopes(stage).values() for scope in found}
    for row in stage.rows("message"):
        assert raw_bytes(stage.engine, str(row["sha256"]))


def test_another_homes_key_opens_nothing_and_says_so(stage, tmp_path):
    stage.mail(order(1))
    stage.run()
    (tmp_path / "other").mkdir()
    make_key(tmp_path / "other" / "secret.key")
    Vault(tmp_path / "other" / "secret.key").attach(stage.engine)
    with pytest.raises(PayloadKeyUnreadable, match="not encrypted with the key in"):
        raw_bytes(stage.engine, str(stage.rows("exchange")[0]["sha256"]))


def test_without_the_homes_key_nothing_is_collected_in_clear(stage, tmp_path):
    stage.context()
    (tmp_path / "secret.key").unlink()
    Vault(tmp_path / "secret.key", lambda: {"acme"}).attach(stage.engine)
    stage.mail(order(1))
    summary = stage.run()
    assert any(isinstance(fault, PayloadKeyUnreadable) for _, fault in summary.troubles)
    assert stage.rows("content") == []


def test_putting_away_removes_the_keys_of_what_goes(stage):
    stage.settings = replace(stage.settings, retention=RetentionSettings(payload=timedelta(days=2)))
    life(stage)
    stage.now += 3 * DAY
    retain.apply(stage.context())
    assert scopes(stage) == {}
    assert_whole(stage)


def test_a_key_of_what_is_held_or_at_work_is_not_forgotten(stage):
    stage.mail(order(1))
    submit(stage.context(), "acme", invoice(CANARY))
    stage.run()
    (found,) = erase.erasable(stage.context(), "acme")
    assert found.kept_by == "exchange 1: an answer is awaited"
    stage.mail(acknowledgment(2, 1))
    stage.run()
    with stage.ledger.transaction("the lawyer") as recorder:
        number = holds.add(recorder, ["type=850"], Query(type="850"), reason="a dispute")
    (found,) = erase.erasable(stage.context(), "acme")
    assert f"it is held (hold {number})" in found.kept_by
    with pytest.raises(HeldBack, match="hold 1"):
        erase.erase(stage.context(), "acme", [found.month], actor="the officer", reason="the law")
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.release(recorder, number, reason="settled")
    assert erase.erase(stage.context(), "acme", [found.month], actor="the officer", reason="the law") > 0
    with pytest.raises(ContentErased):
        raw_bytes(stage.engine, str(stage.rows("exchange")[0]["sha256"]))
    assert_whole(stage)


def test_a_key_of_what_belongs_to_something_held_is_not_forgotten(stage):
    """An order is held; it came again in the next month."""
    stage.mail(order(1))
    stage.run()
    with stage.ledger.transaction("the lawyer") as recorder:
        holds.add(recorder, [], None, exchanges=[1], reason="a dispute")
    stage.now += 31 * DAY
    stage.mail(order(1), subject="once more")
    stage.run()
    told = {each.month.period: each.kept_by for each in erase.erasable(stage.context(), "acme")}
    assert "it belongs to exchange 1, which is held (hold 1)" in told["2026-12"]


def test_in_an_archive_bytes_stay_encrypted_and_are_erased_with_the_ledgers_key(stage):
    """The archive has no key of its own: forgetting in the ledger erases what was moved out too."""
    stage.settings = replace(
        stage.settings, retention=RetentionSettings(ledger=timedelta(days=400), payload=timedelta(days=400))
    )
    life(stage)
    stage.now += 360 * DAY
    life(stage, 2)
    stage.now += 75 * DAY
    name = str(stage.rows("exchange")[0]["sha256"])
    before = raw_bytes(stage.engine, name)
    retain.apply(stage.context(), move_to=stage.directory / "old")
    path = stage.directory / "old" / "ledger-2026-11.db"
    assert CANARY.encode() not in path.read_bytes()
    assert list(verify(stage.engine, path)) == []
    with opened(path, archive_vault(stage.engine)) as archive:
        assert raw_bytes(archive, name) == before
    with opened(path) as archive, pytest.raises(PayloadKeyUnreadable):
        raw_bytes(archive, name)
    recall(stage.context(), path, Query(type="810"), actor="ann", reason="an audit")
    assert raw_bytes(stage.engine, name) == before
    assert_whole(stage)
    with stage.ledger.transaction("ann") as recorder:
        holds.release(recorder, 1, reason="done")
    retain.apply(stage.context(), move_to=stage.directory / "old")
    forget(stage, before=(2026, 12))
    with opened(path, archive_vault(stage.engine)) as archive, pytest.raises(ContentErased):
        raw_bytes(archive, name)
    assert list(verify(stage.engine, path)) == []
    assert_whole(stage)
    recall(stage.context(), path, Query(type="810"), actor="ann", reason="what was erased in the archive comes back so")
    with pytest.raises(ContentErased):
        raw_bytes(stage.engine, name)
    assert_whole(stage)


def test_without_the_homes_key_all_that_is_not_encrypted_is_looked_at_and_then_the_key_is_asked_for(stage):
    life(stage)
    clear = {"sha256": "f" * 64, "size": 1, "at": 1, "bytes": b"x", "pieces": 0, "cipher": ""}
    by_hand(stage.engine, insert(tables.content).values(clear))
    (stage.directory / "secret.key").unlink()
    Vault(stage.directory / "secret.key").attach(stage.engine)
    with database.reading(stage.engine) as connection:
        told = contents(connection)
        found = [next(told)]
        with pytest.raises(PayloadKeyUnreadable, match="is gone"):
            found.extend(told)
    assert found == [f"The kept bytes {'f' * 64} are not what they were."]


def test_a_key_that_was_changed_is_told_of_the_bytes_that_it_opened_and_the_rest_is_looked_at(stage):
    life(stage)
    stage.mail(order(9, sender="14:0700000000001"), sender="edi@globex.example")
    stage.run()
    month = next(row for row in stage.rows("payload_key") if row["partner"] == "acme")
    mine = {name for name, found in scopes(stage).items() if found == {"acme"}}
    others = {name for name, found in scopes(stage).items() if "acme" not in found}
    assert mine
    assert others
    by_hand(stage.engine, update(tables.payload_key).where(tables.payload_key.c.id == month["id"]).values(token="x"))
    Vault(stage.directory / "secret.key").attach(stage.engine)
    told = list(damage(stage.engine))
    assert {name for name in mine if any(name in each for each in told)} == mine
    assert not [each for each in told if any(name in each for name in others)]
    assert all("no key opens them" in each for each in told)
