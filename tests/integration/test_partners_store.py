"""Partner profiles on PostgreSQL, and beside whoever writes."""

import time
from threading import Barrier, Thread

import pytest
from sqlalchemy import create_engine, event

from gateway.errors import ProfileOverlap, RevisionDiffers
from gateway.ledger import database
from partners.certificate_store import CertificateStore
from partners.directory import overlaps
from partners.model import Status
from partners.profile import read_profile
from partners.store import Applied, PartnerStore
from partners.tables import metadata

pytestmark = pytest.mark.integration

TEXT = """\
key = "{key}"
addresses = ["{address}"]
identities = ["ZZ:{key}"]
agreement = [{{ direction = "in", sets = ["850"] }}]
"""


def profile(key, address=None):
    text = TEXT.format(key=key, address=address or f"edi@{key}.example")
    return read_profile(text), text, f"{key}.toml"


@pytest.fixture
def engine(postgres):
    url = postgres.fresh_database().replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_profiles_are_applied_and_read_back(engine):
    store = PartnerStore(engine)
    store.apply([profile("bolt"), profile("acme")], by="ann", at=1_700_000_000_000)
    assert [each.key for each in store.current()] == ["acme", "bolt"]
    assert store.set_status("acme", Status.LIVE, by="bob", at=1_700_000_000_001) == Applied("acme", 2, "changed")
    assert [(each.key, each.revision, each.by) for each in store.heads()] == [("acme", 2, "bob"), ("bolt", 1, "ann")]
    assert [each.status for each in store.revisions("acme")] == [Status.DRAFT, Status.LIVE]
    with pytest.raises(ProfileOverlap):
        store.apply([profile("coil", "edi@acme.example")], by="ann", at=1_700_000_000_002)


def test_of_rivals_at_the_same_time_one_wins_and_the_others_are_told(engine, monkeypatch):
    faults = []

    def slowly(*partners, **names):
        time.sleep(0.1)  # so that all rivals have looked before the first has written
        return overlaps(*partners, **names)

    monkeypatch.setattr("partners.store.overlaps", slowly)

    def work(one):
        try:
            PartnerStore(engine).apply([one], by="ann", at=1)
        except Exception as fault:  # noqa: BLE001 - which fault is what the test asks
            faults.append(type(fault).__name__)

    threads = [Thread(target=work, args=(profile(f"rival{n}", "edi@same.example"),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == ["ProfileOverlap"] * 3
    assert len(PartnerStore(engine).current()) == 1


def test_a_change_of_an_earlier_revision_is_refused_however_close_the_two_come(engine):
    """Both looked at revision 1; one of them is told, and nothing of the other's is undone."""
    store = PartnerStore(engine)
    store.apply([profile("acme")], by="ann", at=1)
    faults, ready = [], Barrier(2)

    def work(number):
        ready.wait()
        try:
            one = profile("acme", f"edi{number}@acme.example")
            PartnerStore(engine).apply([one], by=f"b{number}", at=2, begun={"acme": 1})
        except RevisionDiffers as fault:
            faults.append(fault)

    threads = [Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fault.details["found"] for fault in faults] == [2]
    assert [each.revision for each in store.revisions("acme")] == [1, 2]
    with pytest.raises(RevisionDiffers):
        store.apply([profile("acme", "new@acme.example")], by="ann", at=3, begun={"acme": 0})


def test_whoever_looks_at_profiles_does_not_wait_for_a_batch_that_writes(ledger_engine):
    """On SQLite a lock for writing would make every page of the console wait."""
    partners, certificates = PartnerStore(ledger_engine), CertificateStore(ledger_engine)
    partners.apply([profile("acme")], by="ann", at=1)
    with database.writing(ledger_engine) as connection:
        connection.exec_driver_sql("INSERT INTO retention_mark (name, value) VALUES ('a batch', '1')")
        began = time.monotonic()
        assert [each.key for each in partners.current()] == ["acme"]
        assert partners.heads()[0].file == "acme.toml"
        assert partners.text("acme").startswith('key = "acme"')
        assert certificates.list() == []
        assert time.monotonic() - began < 2


def test_who_reads_while_others_apply_sees_the_profiles_of_one_moment(engine):
    """A worker reads them for every job; heads and texts of two moments do not fit each other."""
    PartnerStore(engine).apply([profile("acme")], by="ann", at=1_700_000_000_000)
    others = create_engine(engine.url)

    @event.listens_for(engine, "after_cursor_execute", once=True)
    def apply_more(*_):
        PartnerStore(others).set_status("acme", Status.LIVE, by="bob", at=1_700_000_000_001)

    store = PartnerStore(engine)
    assert [each.status for each in store.current()] == [Status.DRAFT]
    assert [each.status for each in store.current()] == [Status.LIVE]
    others.dispose()
