"""Profiles at rest, on SQLite and (where it is installed) on PostgreSQL."""

import time
from threading import Thread

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, event, insert

from gateway.errors import DatabaseUnavailable, NotFound, ProfileOverlap, UnknownPartner
from partners.directory import overlaps
from partners.model import Status
from partners.profile import read_profile, write_profile
from partners.store import Applied, PartnerStore
from partners.tables import metadata, profile_revision

TEXT = """\
# written by hand
key = "{key}"
addresses = ["edi@{key}.example"]
identities = ["ZZ:{key}"]
agreement = [{{ direction = "in", sets = ["850"] }}]
"""


def profile(key, more=""):
    text = more + TEXT.format(key=key)
    return read_profile(text), text, f"{key}.toml"


def sqlite_engine(path):
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _connected(connection, _record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@pytest.fixture
def engine(tmp_path):
    engine = sqlite_engine(tmp_path / "profiles.db")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return PartnerStore(engine)


def test_applying_adds_changes_and_leaves_alone(store):
    assert store.apply([profile("acme"), profile("bolt")], by="ann", at=1) == [
        Applied("acme", 1, "added"),
        Applied("bolt", 1, "added"),
    ]
    changed = profile("acme", 'name = "ACME"\n')
    assert store.apply([changed, profile("bolt")], by="bob", at=2) == [
        Applied("acme", 2, "changed"),
        Applied("bolt", 1, "unchanged"),
    ]
    assert [each.key for each in store.current()] == ["acme", "bolt"]
    assert store.get("acme").name == "ACME"


def test_other_words_for_the_same_make_no_revision(store):
    store.apply([profile("acme")], by="ann", at=1)
    partner, text, _ = profile("acme")
    for same in (text + "# a comment\n", write_profile(partner)):
        assert store.apply([(read_profile(same), same, "x.toml")], by="ann", at=2)[0].change == "unchanged"
    assert store.text("acme") == text


def test_every_revision_is_kept_with_when_by_whom_and_its_text(store):
    first, second = profile("acme"), profile("acme", 'name = "ACME"\n')
    store.apply([first], by="ann", at=1)
    store.apply([second], by="bob", at=2)
    kept = [(each.revision, each.at, each.by, each.file, each.status) for each in store.revisions("acme")]
    assert kept == [(1, 1, "ann", "acme.toml", Status.DRAFT), (2, 2, "bob", "acme.toml", Status.DRAFT)]
    assert store.text("acme", 1) == first[1]
    assert store.text("acme", 2) == store.text("acme") == second[1]


def test_a_dry_run_tells_but_stores_nothing(store):
    assert store.apply([profile("acme")], by="ann", at=1, dry_run=True) == [Applied("acme", 1, "added")]
    assert store.current() == []


def test_an_address_of_another_partner_is_refused_and_nothing_is_stored(store):
    store.apply([profile("acme")], by="ann", at=1)
    thief = TEXT.format(key="bolt").replace("edi@bolt", "EDI@acme")
    with pytest.raises(ProfileOverlap, match=r"The address edi@acme.example is claimed by both acme and bolt"):
        store.apply([profile("coil"), (read_profile(thief), thief, "bolt.toml")], by="ann", at=2)
    assert [each.key for each in store.current()] == ["acme"]


def test_an_address_may_move_between_two_partners_in_one_step(store):
    store.apply([profile("acme"), profile("bolt")], by="ann", at=1)
    swapped = []
    for key, other in (("acme", "bolt"), ("bolt", "acme")):
        text = TEXT.format(key=key).replace(f"edi@{key}", f"edi@{other}")
        swapped.append((read_profile(text), text, f"{key}.toml"))
    assert {each.change for each in store.apply(swapped, by="ann", at=2)} == {"changed"}


def test_one_key_in_two_files_is_refused(store):
    with pytest.raises(ProfileOverlap, match=r"The key acme is claimed by both acme.toml and acme.toml"):
        store.apply([profile("acme"), profile("acme")], by="ann", at=1)


def test_a_status_set_by_command_survives_a_file_that_says_none(store):
    store.apply([profile("acme")], by="ann", at=1)
    assert store.set_status("acme", Status.LIVE, by="bob", at=2) == Applied("acme", 2, "changed")
    assert store.apply([profile("acme")], by="ann", at=3)[0].change == "unchanged"
    store.apply([profile("acme", 'name = "ACME"\n')], by="ann", at=4)
    assert (store.get("acme").status, store.get("acme").name) == (Status.LIVE, "ACME")
    assert read_profile(store.text("acme")) == store.get("acme")


def test_a_status_that_a_file_says_is_taken(store):
    store.apply([profile("acme")], by="ann", at=1)
    store.set_status("acme", Status.LIVE, by="bob", at=2)
    store.apply([profile("acme", 'status = "testing"\n')], by="ann", at=3)
    assert store.get("acme").status is Status.TESTING


def test_setting_a_status_keeps_the_words_of_the_profile(store):
    store.apply([profile("acme")], by="ann", at=1)
    store.set_status("acme", Status.SUSPENDED, by="bob", at=2)
    assert store.text("acme") == TEXT.format(key="acme").replace('"acme"\n', '"acme"\nstatus = "suspended"\n', 1)
    last = store.revisions("acme")[-1]
    assert (last.by, last.file, last.status) == ("bob", "", Status.SUSPENDED)
    assert store.set_status("acme", Status.SUSPENDED, by="bob", at=3).change == "unchanged"


def test_an_ended_partner_cannot_come_back_where_its_address_was_taken_over(store):
    store.apply([profile("acme")], by="ann", at=1)
    store.set_status("acme", Status.ENDED, by="ann", at=2)
    heir = TEXT.format(key="bolt").replace("edi@bolt", "edi@acme")
    store.apply([(read_profile(heir), heir, "bolt.toml")], by="ann", at=3)
    with pytest.raises(ProfileOverlap):
        store.set_status("acme", Status.LIVE, by="ann", at=4)


def test_what_is_not_there_is_said(store):
    for asked in (store.get, store.text, store.revisions):
        with pytest.raises(UnknownPartner, match="nobody"):
            asked("nobody")
    with pytest.raises(UnknownPartner, match="nobody"):
        store.set_status("nobody", Status.LIVE, by="ann", at=1)
    store.apply([profile("acme")], by="ann", at=1)
    with pytest.raises(NotFound, match="revision of acme numbered 7"):
        store.text("acme", 7)


def test_a_database_without_tables_is_a_fault_of_ours(tmp_path):
    engine = sqlite_engine(tmp_path / "empty.db")
    with pytest.raises(DatabaseUnavailable, match="profile_revision"):
        PartnerStore(engine).current()
    engine.dispose()


def test_another_process_s_revision_is_seen_and_known_texts_are_not_parsed_again(engine, store, monkeypatch):
    store.apply([profile("acme"), profile("bolt")], by="ann", at=1)
    before = {each.key: each for each in store.current()}
    PartnerStore(engine).apply([profile("bolt", 'name = "Bolt"\n')], by="bob", at=2)
    parsed = []
    monkeypatch.setattr("partners.store.read_profile", lambda *a: parsed.append(a) or read_profile(*a))
    after = {each.key: each for each in store.current()}
    assert after["acme"] is before["acme"]
    assert after["bolt"].name == "Bolt"
    assert len(parsed) == 1


def test_hundreds_of_partners_are_read_in_one_go(engine, store):
    rows = []
    for number in range(600):
        partner, text, file = profile(f"p{number:03}")
        values = {"partner": partner.key, "revision": 1, "at": 1, "by": "ann", "file": file}
        rows.append(values | {"sha256": f"{number}", "status": "draft", "profile": text})
    with engine.begin() as connection:
        connection.execute(insert(profile_revision), rows)
    assert len(store.current()) == 600


def applied_by_many(engine, claims):
    """Applies each profile in a thread of its own; returns the names of the faults."""
    faults = []

    def work(one):
        try:
            PartnerStore(engine).apply([one], by="ann", at=1)
        except Exception as fault:  # noqa: BLE001 - which fault is what the test asks
            faults.append(type(fault).__name__)

    threads = [Thread(target=work, args=(one,)) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def rivals():
    found = []
    for number in range(4):
        partner, _, file = profile(f"rival{number}")
        partner = replace(partner, addresses=("edi@same.example",))
        found.append((partner, write_profile(partner), file))
    return found


def test_of_rivals_at_the_same_time_one_wins(engine, store, monkeypatch):
    def slowly(*partners, **names):
        time.sleep(0.05)  # so that all rivals have looked before the first has written
        return overlaps(*partners, **names)

    monkeypatch.setattr("partners.store.overlaps", slowly)
    assert applied_by_many(engine, rivals()) == ["ProfileOverlap"] * 3
    assert len(store.current()) == 1
