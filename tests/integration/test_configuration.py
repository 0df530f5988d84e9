"""Every change of the configuration is in the ledger, in the transaction that made it, on both databases."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gateway.errors import DatabaseUnavailable, MessageTooLarge, ProfileOverlap
from gateway.flow import configuration
from gateway.flow.standing import standing
from gateway.ledger import tables
from gateway.ledger.attention import attention
from gateway.ledger.changes import changes
from gateway.ledger.database import reading, writing
from gateway.ledger.events import sentence
from gateway.ledger.mailboxes import NotTaken, note_not_taken
from gateway.ledger.recording import Ledger
from gateway.ledger.secrets import Secrets, make_key
from gateway.settings import parse_settings
from gateway.settings.written import as_written
from partners.model import Status
from partners.profile import read_profile
from partners.store import PartnerStore

pytestmark = pytest.mark.integration

NOW = 1_795_312_800_000
TOML = """
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["ZZ:EXAMPLECO"]

[smtp]
host = "mail.us.example"
sender = "edi@us.example"
"""
PROFILE = """
key = "{key}"
addresses = ["edi@{key}.example"]
identities = ["ZZ:{upper}"]

[[agreement]]
direction = "in"
sets = ["850"]
"""


@pytest.fixture
def ledger(ledger_engine):
    return Ledger(ledger_engine, lambda: NOW, "ann")


def profile(key: str, more: str = ""):
    """A profile as it is read from a file."""
    text = PROFILE.format(key=key, upper=key.upper()) + more
    return read_profile(text, f"{key}.toml"), text, f"{key}.toml"


def told(ledger: Ledger, *kinds: str):
    """The events of these kinds, oldest first."""
    return changes(ledger.engine, kinds=kinds, limit=1_000)[::-1]


def test_a_revision_of_a_profile_and_its_event_are_one_transaction(ledger):
    store = PartnerStore(ledger.engine)
    configuration.apply_profiles(ledger, store, [profile("acme"), profile("bolt")], actor="ann")
    first, second = told(ledger, "profile-applied")
    head = {each.key: each for each in store.heads()}
    for event, key in ((first, "acme"), (second, "bolt")):
        assert (event.partner, event.actor, event.body["revision"]) == (key, "ann", 1)
        assert event.body["sha256"] == head[key].sha256
    with pytest.raises(ProfileOverlap):
        configuration.apply_profiles(
            ledger, store, [profile("coil"), (read_profile(THIEF, "t.toml"), THIEF, "t.toml")], actor="ann"
        )
    assert [each.key for each in store.heads()] == ["acme", "bolt"]
    assert len(told(ledger, "profile-applied")) == 2


THIEF = PROFILE.format(key="thief", upper="THIEF").replace("edi@thief.example", "edi@acme.example")


def test_what_cannot_be_told_is_not_applied(ledger):
    """Where the event cannot be written the profile is not stored either."""
    store = PartnerStore(ledger.engine)
    with writing(ledger.engine) as connection:
        connection.execute(text("ALTER TABLE event RENAME TO event_away"))
    with pytest.raises(DatabaseUnavailable):
        configuration.apply_profiles(ledger, store, [profile("acme")], actor="ann")
    assert store.heads() == []


def test_a_status_is_told_with_what_it_was_before_and_the_text_it_makes(ledger):
    store = PartnerStore(ledger.engine)
    configuration.apply_profiles(ledger, store, [profile("acme")], actor="ann")
    configuration.set_status(ledger, store, "acme", Status.LIVE, actor="bob")
    configuration.set_status(ledger, store, "acme", Status.LIVE, actor="bob")
    (event,) = told(ledger, "partner-status")
    assert (event.actor, event.body["before"], event.body["status"], event.body["revision"]) == (
        "bob", "draft", "live", 2,
    )  # fmt: skip
    assert event.body["sha256"] == hashlib.sha256(store.text("acme").encode()).hexdigest()


def test_a_dry_run_stores_and_tells_nothing(ledger):
    store = PartnerStore(ledger.engine)
    configuration.apply_profiles(ledger, store, [profile("acme")], actor="ann", dry_run=True)
    assert (store.heads(), told(ledger, "profile-applied")) == ([], [])


def test_a_profile_that_nobody_told_of_is_told_by_the_next_start(ledger):
    store = PartnerStore(ledger.engine)
    store.apply([profile("acme")], by="mallory", at=NOW - 5)
    configuration.note(ledger, parse_settings(TOML.encode(), home=Path("/srv/edi")))
    configuration.note(ledger, parse_settings(TOML.encode(), home=Path("/srv/edi")))
    (event,) = told(ledger, "profile-noticed")
    assert (event.partner, event.body["by"], event.body["applied_at"]) == ("acme", "mallory", NOW - 5)
    assert event.body["sha256"] == store.heads()[0].sha256
    assert "which nobody told of" in sentence(event)


def test_a_secret_is_told_with_who_and_never_what(ledger, tmp_path):
    make_key(tmp_path / "secret.key")
    secrets = Secrets(ledger.engine, tmp_path / "secret.key", {})
    configuration.set_secret(ledger, secrets, "smtp", "canary-1977", actor="ann")
    configuration.remove_secret(ledger, secrets, "smtp", actor="bob")
    assert [(each.kind, each.actor, dict(each.body)) for each in told(ledger, "secret-set", "secret-removed")] == [
        ("secret-set", "ann", {"name": "smtp"}),
        ("secret-removed", "bob", {"name": "smtp"}),
    ]


# ---------------------------------------------------------------- gateway.toml


def settings(toml: str, home: Path = Path("/srv/edi")):
    """What a gateway.toml says."""
    return parse_settings(toml.encode(), home=home)


def test_settings_are_told_when_first_seen_and_then_only_when_they_change(ledger):
    for _ in range(2):
        configuration.note(ledger, settings(TOML))
    changed = TOML.replace("mail.us.example", "relay.us.example") + "rate = 30\n"
    for _ in range(2):
        configuration.note(ledger, settings(changed))
    seen, event = told(ledger, "settings-seen", "settings-changed")
    assert seen.body["sha256"] == hashlib.sha256(TOML.encode()).hexdigest()
    assert seen.body["settings"]["smtp.host"] == "mail.us.example"
    assert event.kind == "settings-changed"
    assert event.body["before"] == seen.body["sha256"]
    assert event.body["changes"] == {
        "smtp.host": ["mail.us.example", "relay.us.example"],
        "smtp.rate": [None, "30"],
    }
    assert "changed: smtp.host: mail.us.example → relay.us.example; smtp.rate: (none) → 30" in sentence(event)


def test_a_file_with_other_words_for_the_same_is_told_without_changes(ledger):
    configuration.note(ledger, settings(TOML))
    configuration.note(ledger, settings(TOML + "# reviewed by the auditor\n"))
    (event,) = told(ledger, "settings-changed")
    assert event.body["changes"] == {}


def test_another_version_of_the_program_is_a_change(ledger, monkeypatch):
    configuration.note(ledger, settings(TOML))
    monkeypatch.setattr(configuration, "__version__", "99.1")
    configuration.note(ledger, settings(TOML))
    (event,) = told(ledger, "settings-changed")
    assert list(event.body["changes"]) == ["(gateway)"]


def test_each_home_is_compared_with_itself(ledger, tmp_path):
    """Two machines with settings of their own do not tell of each other's in turns; a new container tells nothing."""
    other = TOML.replace("Example Co", "Example Co, second site")
    for _ in range(3):
        configuration.note(ledger, settings(TOML, Path("/srv/one")))
        configuration.note(ledger, settings(other, Path("/srv/two")))
    configuration.note(ledger, settings(TOML, Path("/srv/three")))
    assert [each.kind for each in told(ledger, "settings-seen", "settings-changed")] == ["settings-seen"] * 2


def test_the_last_settings_are_found_by_an_index_among_any_number_of_events(ledger):
    """Events of exchanges are many, those of the configuration few: no look may go through all of them."""
    with reading(ledger.engine) as connection:
        wanted = select(tables.event.c.body).where(text(tables.CONFIGURATION), tables.event.c.kind == "settings-seen")
        statement = wanted.order_by(tables.event.c.seq.desc()).limit(1)
        shown = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        if connection.dialect.name == "sqlite":
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {shown}"))
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN {shown}"))
    assert "ix_event_configuration" in plan


@pytest.mark.parametrize(
    ("toml", "name", "value"),
    [
        ('[[alert]]\nname = "hook"\nwebhook = "https://hooks.example.com/T0/canary-1977"', "alert.hook.webhook",
         "https://hooks.example.com/… #"),
        ('[[alert]]\nname = "page"\ncommand = "/usr/bin/page --key canary-1977"', "alert.page.command",
         "/usr/bin/page … #"),
    ],
)  # fmt: skip
def test_what_may_hold_a_secret_is_told_in_part(ledger, toml, name, value):
    configuration.note(ledger, settings(TOML + toml))
    configuration.note(ledger, settings(TOML + toml.replace("canary-1977", "canary-1978")))
    seen, event = told(ledger, "settings-seen", "settings-changed")
    assert seen.body["settings"][name].startswith(value)
    assert list(event.body["changes"]) == [name]
    assert "canary" not in json.dumps([dict(seen.body), dict(event.body)])


def test_values_of_any_kind_are_told_as_text():
    document = {"a": {"b": [1, "x"], "c": True, "d": {}, "e": []}, "list": [{"name": "n", "v": 1.5}, {"v": "é"}]}
    assert as_written(document) == (
        ("a.b", '[1, "x"]'), ("a.c", "true"), ("a.d", "{}"), ("a.e", "[]"),
        ("list.2.v", "é"), ("list.n.name", "n"), ("list.n.v", "1.5"),
    )  # fmt: skip


def test_changes_are_listed_by_partner_newest_first_and_paged(ledger):
    store = PartnerStore(ledger.engine)
    configuration.apply_profiles(ledger, store, [profile("acme"), profile("bolt")], actor="ann")
    configuration.set_status(ledger, store, "acme", Status.LIVE, actor="ann")
    found = changes(ledger.engine, partner="acme")
    assert [each.kind for each in found] == ["partner-status", "profile-applied"]
    assert [each.kind for each in changes(ledger.engine, partner="acme", before=found[0].seq)] == ["profile-applied"]
    assert len(changes(ledger.engine, limit=1)) == 1


# ---------------------------------------------------------------- mailboxes that are gone

BOX = '\n[mailbox.{name}]\nprotocol = "maildir"\npath = "{name}"\n'
TOO_LARGE = NotTaken("7", 5_000, MessageTooLarge(mailbox="orders", size=5_000, limit=2_000))


def left(ledger: Ledger) -> list[str]:
    with reading(ledger.engine) as connection:
        return [each.reference for each in attention(connection)]


def test_what_a_mailbox_did_not_give_ends_with_its_name_in_the_settings(ledger):
    note_not_taken(ledger, "orders", [TOO_LARGE], finished=True)
    note_not_taken(ledger, "invoices", [TOO_LARGE], finished=True)
    configuration.note(ledger, settings(TOML + BOX.format(name="orders") + BOX.format(name="invoices")))
    assert left(ledger) == ["orders", "invoices"]
    configuration.note(ledger, settings(TOML + BOX.format(name="orders2") + BOX.format(name="invoices")))
    configuration.note(ledger, settings(TOML + BOX.format(name="orders2") + BOX.format(name="invoices")))
    assert left(ledger) == ["invoices"]
    (event,) = told(ledger, "mailbox-gone")
    assert sentence(event) == ("gateway.toml names mailbox orders no more: 1 message that it did not give put to rest")


def test_where_machines_share_a_ledger_a_directory_that_another_one_reads_is_not_gone(ledger, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "one")
    configuration.note(ledger, settings(TOML + BOX.format(name="orders")))
    note_not_taken(ledger, "orders", [TOO_LARGE], finished=True)
    monkeypatch.setattr("socket.gethostname", lambda: "two")
    configuration.note(ledger, settings(TOML))
    shared = ledger.engine.dialect.name == "postgresql"
    assert left(ledger) == (["orders"] if shared else [])
    monkeypatch.setattr("socket.gethostname", lambda: "one")
    configuration.note(ledger, settings(TOML))
    assert left(ledger) == []


def test_status_names_no_test_of_a_mailbox_that_is_gone(ledger):
    note_not_taken(ledger, "orders", [TOO_LARGE], finished=True)
    for name, command in (("orders", "gateway mailbox test orders"), ("orders2", "gateway night")):
        with reading(ledger.engine) as connection:
            found = standing(connection, settings(TOML + BOX.format(name=name)), [], [], {}, NOW)
        assert [each.next_command for each, _ in found.needs] == [command]
