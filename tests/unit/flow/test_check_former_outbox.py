"""What lies where the outbox was before is told by the batch and by the doctor."""

import pytest
from builders.stage import Stage, invoice
from msgspec.structs import replace

from gateway.flow.check_running import check_company, check_former_outboxes
from gateway.flow.configuration import note


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_what_lies_where_the_outbox_was_before_is_told_by_batch_and_doctor_until_it_is_gone(stage, tmp_path):
    """gateway.toml names another directory since: whoever writes into the old one thinks that it goes."""

    def named(place, number):
        written = (("gateway.outbox", place),) if place else ()
        return replace(stage.settings, outbox=tmp_path / (place or "outbox"), sha256=f"{number:064}", written=written)

    stage.settings = named("", 1)
    note(stage.ledger, stage.settings)
    old = stage.settings.outbox / "acme"
    old.mkdir(parents=True)
    stage.settings = named("away", 2)
    note(stage.ledger, stage.settings)
    assert stage.run().troubles == ()
    (old / "order.edi").write_bytes(invoice())
    (old / "half.tmp").write_bytes(invoice())
    (where, fault), *others = stage.run().troubles
    assert (others, fault.code, where) == ([], "document.left", str(old.parent))
    assert "Documents (1) lie in" in str(fault)
    with stage.ledger.reading() as connection:
        (found,) = check_former_outboxes(connection, stage.settings)
        assert (found.code, "1 document there does not go" in found.sentence) == ("outbox.left", True)
        # Where it is the outbox again, it goes.
        assert list(check_former_outboxes(connection, named("", 1))) == []
    (old / "order.edi").unlink()
    assert stage.run().troubles == ()


def test_a_home_of_another_company_upon_the_same_ledger_is_told(stage, tmp_path):
    """Its gateway.toml was copied with the url of the database: each would take the other's mails."""

    def home(name, company):
        written = (("gateway.name", company), ("gateway.outbox", name))
        return replace(stage.settings, home=tmp_path / name, sha256=f"{len(name):064}", written=written)

    def told(settings):
        with stage.ledger.reading() as connection:
            return [(each.code, each.ok) for each in check_company(connection, settings)]

    ours, other_machine, stranger = home("a", "Us"), home("bb", "Us"), home("ccc", "Them")
    assert told(ours) == []
    note(stage.ledger, ours)
    assert told(ours) == told(other_machine) == []
    assert told(stranger) == [("home.differs", None)]
    note(stage.ledger, other_machine)
    assert told(ours) == []
    note(stage.ledger, stranger)
    assert told(ours) == [("home.differs", None)]
