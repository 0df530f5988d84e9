"""Tests and documents in earnest: what ISA15 says against where the partner stands, and where each is delivered."""

import json

import pytest
from builders.stage import ACME, GLOBEX, HOUR, OURS, WHEN, Stage, invoice, orders

from gateway.demo import documents
from gateway.flow.operate import accept, release
from gateway.flow.submit import submit
from gateway.ledger.chain import follow_written
from gateway.ledger.chain_words import tell_chain

TESTING = ACME.replace('"live"', '"testing"')


def tried(number, *sets):
    """An order that is marked as a test."""
    return orders(number, *sets).replace(b"*0*P*:", b"*0*T*:")


def profile(text, **keys):
    return "".join(f'{key} = "{value}"\n' for key, value in keys.items()) + text


def exchange(stage, number=0):
    rows = [row for row in stage.rows("exchange") if row["direction"] == "in"]
    return rows[number]


def test_in_testing_a_test_is_acknowledged_as_a_test_and_goes_to_its_own_place(tmp_path):
    stage = Stage(tmp_path, [TESTING, GLOBEX])
    stage.mail(tried(1))
    stage.run()
    assert stage.states("in") == ["delivered"]
    (name,) = stage.delivered
    assert name.startswith("acme/test/850_")
    (answer,) = stage.sent_edi
    assert answer[0][15] == "T"
    assert ["AK9", "A", "1", "1", "1"] in answer


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        (ACME, tried(1), "usage.test-while-live"),
        (TESTING, orders(1), "usage.production-while-testing"),
    ],
)
def test_what_does_not_fit_where_the_partner_stands_waits_for_a_person_by_default(tmp_path, text, data, code):
    stage = Stage(tmp_path, [text])
    stage.mail(data)
    stage.run()
    assert (exchange(stage)["state"], exchange(stage)["fault_code"]) == ("quarantined", code)
    assert stage.delivered == {}
    assert stage.sent == []


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (profile(ACME, on_test="reject"), tried(1)),
        (profile(TESTING, on_production="reject"), orders(1)),
    ],
)
def test_it_is_rejected_with_ta1_020_where_the_profile_says_so_and_its_number_may_come_again(tmp_path, text, data):
    stage = Stage(tmp_path, [text])
    stage.mail(data)
    stage.run()
    assert exchange(stage)["state"] == "rejected"
    assert stage.delivered == {}
    (answer,) = stage.sent_edi
    assert [each[:1] + each[4:] for each in answer if each[0] == "TA1"] == [["TA1", "R", "020"]]
    assert not [each for each in answer if each[0] == "GS"]
    (finding,) = stage.rows("finding")
    assert (finding["code"], finding["x12"]) == ("interchange.usage-refused", "020")
    assert "acme" not in str(finding["message"])
    other = orders(1) if b"*0*T*:" in data else tried(1)
    stage.mail(other)
    stage.run()
    assert exchange(stage, 1)["state"] == "delivered"


def test_a_test_of_a_live_partner_that_may_test_never_mixes_with_documents_in_earnest(tmp_path):
    stage = Stage(tmp_path, [profile(ACME, on_test="accept")])
    stage.mail(tried(1, documents.order("PO-TEST", WHEN)))
    stage.mail(orders(2, documents.order("PO-REAL", WHEN)))
    stage.run()
    places = {name.rpartition("/")[0]: data for name, data in stage.delivered.items()}
    assert b"PO-TEST" in places["acme/test"]
    assert b"PO-REAL" in places["acme"]
    assert [row["number"] for row in stage.rows("received_number") if row["level"] == "interchange"] == [2]


def test_production_taken_as_a_test_stays_one_when_the_partner_goes_live_before_it_is_delivered(tmp_path):
    blocked = "\n[agreement.delivery]\n" + 'target = "real"\n'
    text = profile(TESTING, on_production="accept").replace(
        '\n[[agreement]]\nname = "invoices"', blocked + '\n[[agreement]]\nname = "invoices"'
    )
    stage = Stage(tmp_path, [text])
    stage.settings.inbox.mkdir()
    (stage.settings.inbox / "acme").write_text("in the way")  # the delivery fails
    stage.mail(orders(1))
    stage.run()
    assert exchange(stage)["state"] == "accepted"
    assert "taken-as-test" in stage.kinds()
    (stage.settings.inbox / "acme").unlink()
    stage.profiles = [text.replace('"testing"', '"live"')]
    stage.now += HOUR
    stage.run()
    assert exchange(stage)["state"] == "delivered"
    assert [name.rpartition("/")[0] for name in stage.delivered] == ["acme/test"]
    assert not (tmp_path / "real").exists()


def test_a_number_of_a_test_may_come_again_in_earnest(tmp_path):
    stage = Stage(tmp_path, [TESTING])
    stage.mail(tried(1))
    stage.run()
    stage.profiles = [ACME]
    stage.mail(orders(1, documents.order("PO-9", WHEN)))
    stage.mail(orders(1, documents.order("PO-10", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "delivered", "conflict"]


TAKEN_AS_TESTS = profile(TESTING, on_production="accept")


def test_production_that_is_taken_as_a_test_counts_among_tests(tmp_path):
    """The partner begins again at 1 when it goes live, with documents that it also tested with; nothing is refused."""
    hold = ACME.replace('versions = ["004010"]', 'versions = ["004010"]\non_repeat = "hold"', 1)
    stage = Stage(tmp_path, [TAKEN_AS_TESTS])
    stage.mail(orders(1, documents.order("PO-1", WHEN)))
    stage.mail(orders(1, documents.order("PO-1", WHEN)), subject="again")
    stage.mail(orders(1, documents.order("PO-2", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "duplicate", "conflict"]
    stage.profiles = [hold]
    stage.mail(orders(1, documents.order("PO-1", WHEN)), subject="in earnest")
    stage.mail(orders(1, documents.order("PO-3", WHEN)))
    stage.run()
    assert stage.states("in")[3:] == ["delivered", "conflict"]
    assert [exchange(stage, 3)[name] for name in ("repeats", "duplicate_of")] == [None, None]
    places = [name.rpartition("/")[0] for name in stage.delivered]
    assert places == ["acme", "acme/test"]


def test_a_test_that_was_held_stays_one_when_it_is_accepted_later(tmp_path):
    """Its number is free for a document in earnest, and counts in no series."""
    hold = 'versions = ["004010"]\non_repeat = "hold"'
    stage = Stage(tmp_path, [TAKEN_AS_TESTS.replace('versions = ["004010"]', hold, 1)])
    stage.mail(orders(1, documents.order("PO-1", WHEN)))
    stage.mail(orders(2, documents.order("PO-1", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "quarantined"]
    stage.profiles = [ACME.replace('versions = ["004010"]', hold, 1)]
    held = next(row["id"] for row in stage.rows("exchange") if row["state"] == "quarantined")
    accept(stage.context(), int(str(held)), actor="anna", reason="they try it twice")
    stage.mail(orders(2, documents.order("PO-2", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "delivered", "delivered"]
    assert [name.rpartition("/")[0] for name in stage.delivered] == ["acme", "acme/test", "acme/test"]
    assert [row["exchange"] for row in stage.rows("received_number") if row["level"] == "interchange"] != [held]
    assert len([row for row in stage.rows("received_number") if row["level"] == "interchange"]) == 1


def test_a_test_in_quarantine_explains_no_missing_document(tmp_path):
    stage = Stage(tmp_path, [ACME])
    stage.mail(orders(1))
    stage.mail(tried(2))
    stage.mail(orders(3))
    stage.run()
    stage.now += 48 * HOUR
    attention = stage.run().attention
    assert sorted(each.state for each in attention) == ["gap", "quarantined"]


@pytest.mark.unrecorded  # a key that is there is never changed
def test_an_earlier_test_whose_key_did_not_tell_of_it_still_takes_its_number(tmp_path):
    from gateway.flow.duplicates import _key
    from gateway.ledger import tables

    stage = Stage(tmp_path, [TESTING])
    stage.mail(tried(1))
    stage.run()
    row = exchange(stage)
    old = _key(("ZZ:ACMERETAIL", OURS, str(row["control_number"]), str(row["interchange_date"])), "")
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(tables.interchange_key.update().values(key=old))
        recorder.touch(tables.interchange_key, [row["id"]])
    stage.profiles = [ACME]
    stage.mail(orders(1, documents.order("PO-9", WHEN)))
    stage.run()
    assert stage.states("in") == ["delivered", "conflict"]


def test_a_quarantined_production_file_is_processed_once_the_partner_is_live_and_it_is_released(tmp_path):
    stage = Stage(tmp_path, [TESTING])
    stage.mail(orders(1))
    stage.run()
    stage.profiles = [ACME]
    release(stage.context(), "1", actor="anna", reason="live now")
    stage.run()
    assert stage.states("in")[-1] == "delivered"
    assert [name.rpartition("/")[0] for name in stage.delivered] == ["acme"]


def test_the_profile_may_send_tests_to_a_command_that_learns_what_it_gets(tmp_path):
    seen = tmp_path / "seen.json"
    script = tmp_path / "take.py"
    script.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\nsys.stdin.buffer.read()\n"
        f"json.dump({{k: v for k, v in os.environ.items() if 'USAGE' in k.upper()}}, open({str(seen)!r}, 'w'))\n"
    )
    script.chmod(0o755)
    table = f'\n[test_delivery]\nkind = "command"\ntarget = "{script}"\n'
    stage = Stage(tmp_path, [TESTING.replace("\n[[agreement]]", table + "\n[[agreement]]", 1)])
    stage.mail(tried(1))
    stage.run()
    assert stage.states("in") == ["delivered"]
    assert json.loads(seen.read_text())["GATEWAY_USAGE"] == "T"


def test_a_story_says_which_of_its_documents_were_tests(tmp_path):
    stage = Stage(tmp_path, [TAKEN_AS_TESTS])
    stage.mail(orders(1, documents.order("PO-77", WHEN)))
    stage.mail(tried(1, documents.order("PO-77", WHEN)))
    stage.run()
    stage.profiles = [ACME]
    stage.mail(orders(1, documents.order("PO-77", WHEN)))
    stage.run()
    found = follow_written(stage.ledger.engine, "PO-77")
    assert [each.title for each in found.documents] == ["850 (test)", "850 (test)", "850"]
    told = [line for line in tell_chain(found) if "po PO-77:" in line]
    assert [" 850 (test) " in line for line in told] == [True, True, False]


def test_what_we_send_in_testing_is_a_test(tmp_path):
    stage = Stage(tmp_path, [TESTING])
    submit(stage.context(), "acme", invoice())
    stage.run()
    assert stage.sent_edi[0][0][15] == "T"
