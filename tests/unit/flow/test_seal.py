"""Seals go outside first, are signed, and prove what the ledger was; so does the evidence of one exchange."""

from __future__ import annotations

import base64
import email
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from builders.script import load
from builders.stage import HOUR, OURS, WHEN, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, text, update

from gateway.demo import documents
from gateway.errors import NotAllowedNow, NotAsRecorded, SealInvalid, SealUnwritable, SmtpUnavailable
from gateway.flow import retain
from gateway.flow import seal as sealing
from gateway.flow.evidence import evidence
from gateway.flow.submit import submit
from gateway.flow.verify import Verdict, verify
from gateway.ledger import database, prints, retention_purge, seals, tables, tree
from gateway.ledger.recording import Ledger
from gateway.ledger.retention_units import Judge
from gateway.settings import SealSettings

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "verify_evidence.py"
KEY = bytes(range(32))


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    made.seal_key = lambda: KEY
    made.settings = replace(made.settings, seal=SealSettings(tmp_path / "out" / "seals.txt", (), timedelta(days=1)))
    return made


def order(number):
    return documents.interchange(
        "ZZ:ACMERETAIL", OURS, number, WHEN, [("PO", "004010", [documents.order(f"PO-{number}", WHEN)])]
    )


def notes(stage):
    return list(seals.notes(stage.settings.seal.file.read_text()))


def looked(stage, outside=(), *, with_key=True, **how):
    verdict = Verdict()
    key = seals.public_key("us.example/ledger", KEY) if with_key else None
    return [each.sentence for each in verify(stage.engine, verdict, key, outside, **how)], verdict


def by_hand(stage, statement):
    with stage.engine.begin() as connection:
        for trigger in (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        ):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(statement)


# ---------------------------------------------------------------- making them


def test_a_batch_seals_once_a_day_and_only_what_is_new(stage):
    stage.mail(order(1))
    stage.run()
    assert len(notes(stage)) == 1
    stage.mail(order(2))
    stage.run()
    assert len(notes(stage)) == 1
    stage.now += 25 * HOUR
    stage.run()
    assert len(notes(stage)) == 2
    for _ in range(3):
        stage.now += 25 * HOUR
        stage.run()
    assert len(notes(stage)) == 2, "nothing happened, so there is nothing to seal"


def test_never_means_that_only_a_person_seals(stage):
    stage.settings = replace(stage.settings, seal=replace(stage.settings.seal, every=None))
    stage.mail(order(1))
    stage.run()
    assert not stage.settings.seal.file.exists()
    made = sealing.seal(stage.context())
    assert notes(stage) == [made.note]


def test_a_seal_says_who_what_and_when_and_is_signed(stage):
    stage.mail(order(1))
    stage.run()
    (note,) = notes(stage)
    lines = note.split("\n")
    assert lines[0] == "us.example/ledger"
    assert lines[3].startswith("event ")
    assert lines[4] == "time 2026-11-02T22:00:00Z"
    key = seals.public_key("us.example/ledger", KEY)
    assert seals.SealKey.parse(str(key)) == key
    assert seals.opened(note, key).size == int(lines[1])
    for forged in (note.replace("event ", "event 1", 1), note.replace(lines[2][:4], "AAAA", 1)):
        with pytest.raises(SealInvalid):
            seals.opened(forged, key)
    with pytest.raises(SealInvalid, match="does not fit"):
        seals.opened(note, seals.public_key("us.example/ledger", bytes(32)))


def test_a_file_that_cannot_be_written_stops_no_batch_and_the_next_one_seals(stage):
    stage.settings.seal.file.parent.write_text("in the way")
    stage.mail(order(1))
    summary = stage.run()
    assert [fault.code for _, fault in summary.troubles] == ["seal.unwritable"]
    with pytest.raises(SealUnwritable):
        sealing.seal(stage.context())
    assert stage.rows("seal") == []
    stage.settings.seal.file.parent.unlink()
    stage.run()
    assert len(notes(stage)) == 1


def test_the_newest_seal_is_mailed_once_and_again_where_the_host_was_away(stage):
    stage.settings = replace(stage.settings, seal=replace(stage.settings.seal, to=("auditor@audit.example",)))

    def away(mail):
        if mail.recipients == ("auditor@audit.example",):
            raise SmtpUnavailable(host="memory", reason="it is away")

    stage.transport.answer = away
    stage.mail(order(1))
    assert [fault.code for _, fault in stage.run().troubles] == ["smtp.unavailable"]
    stage.transport.answer = None
    stage.run()
    stage.run()
    mails = [each for each in stage.transport.sent if each.recipients == ("auditor@audit.example",)]
    assert len(mails) == 1
    (note,) = notes(stage)
    letter = email.message_from_bytes(mails[0].raw)
    assert [each.get_payload(decode=True).decode() for each in letter.walk() if each.get_filename()] == [note]
    assert [row["state"] for row in stage.rows("message") if row["kind"] == "seal"] == ["sent"]


# ---------------------------------------------------------------- checking


def test_what_was_recorded_verifies_from_the_newest_seal_and_in_full(stage):
    stage.mail(order(1))
    stage.run()
    stage.mail(order(2))
    stage.run()
    found, verdict = looked(stage, notes(stage))
    assert found == []
    assert verdict.since is not None
    assert verdict.sealed == verdict.since
    found, verdict = looked(stage, notes(stage), full=True)
    assert found == []
    assert verdict.since is None
    assert verdict.contents > 0
    assert verdict.as_dict()["whole"] is True


def test_a_rewritten_ledger_does_not_fit_the_seal_outside(stage):
    stage.mail(order(1))
    stage.run()
    outside = notes(stage)
    by_hand(stage, update(tables.event).where(tables.event.c.seq == 2).values(at=1))
    by_hand(stage, text("DELETE FROM tree_node"))
    by_hand(stage, text("DELETE FROM seal"))
    by_hand(stage, text("UPDATE event SET kind = 'noted' WHERE kind = 'sealed'"))
    by_hand(stage, text("UPDATE tree_head SET size=0, next_seq=1, frontier=x'', checks=x'', first_seq=1, adopted=0"))
    with database.writing(stage.engine) as connection:
        tree.adopt(connection, 0)
    assert looked(stage, full=True)[0] == [], "without the seal nobody can tell"
    assert any("sealed" in each for each in looked(stage, outside)[0])
    assert any("sealed" in each for each in looked(stage, outside, full=True)[0])
    Stage.opened.remove(stage.engine)
    stage.engine.dispose()


def test_missing_and_changed_bytes_are_named(stage):
    stage.mail(order(1))
    stage.run()
    by_hand(stage, text("UPDATE content SET bytes = x'00' WHERE sha256 = (SELECT sha256 FROM exchange WHERE id = 1)"))
    found, _ = looked(stage, full=True)
    assert len(found) == 1
    assert "exchange 1" in found[0]
    assert "are not what they were" in found[0]
    by_hand(stage, text("DELETE FROM content WHERE sha256 = (SELECT sha256 FROM exchange WHERE id = 1)"))
    found, _ = looked(stage, full=True)
    assert found == [f"Exchange 1 names the bytes {stage.rows('exchange')[0]['sha256']}, which are missing."]


@pytest.mark.parametrize("how", [{"full": True}, {}])
def test_a_seal_that_is_gone_from_the_database_is_told_by_the_event_that_made_it(stage, how):
    stage.mail(order(1))
    stage.run()
    size = stage.rows("seal")[0]["size"]
    seq = stage.rows("event")[-1]["seq"]
    by_hand(stage, text("UPDATE seal SET at = at + 1"))
    assert looked(stage, **how)[0] == [f"The seal over {size} events is not the one of which event {seq} tells."]
    by_hand(stage, text("DELETE FROM seal"))
    assert looked(stage, **how)[0] == [f"The seal over {size} events, of which event {seq} tells, is gone."]
    assert looked(stage, notes(stage), **how)[0] == looked(stage, **how)[0]


def test_seals_that_cannot_be_checked_for_want_of_a_key_are_a_difference(stage):
    """Whoever takes the key away must not make a verification quieter."""
    stage.mail(order(1))
    stage.run()
    (said,), verdict = looked(stage, notes(stage), with_key=False)
    assert said.startswith("A seal cannot be checked: the key that signed them is not here.")
    assert verdict.sealed is None
    by_hand(stage, text("DELETE FROM seal"))
    first, second = looked(stage, with_key=False)[0]
    assert first.startswith("The seals that were made cannot be checked")
    assert second.endswith("is gone.")


def test_a_ledger_that_was_never_sealed_needs_no_key(stage):
    stage.seal_key = None
    stage.mail(order(1))
    stage.run()
    assert looked(stage, with_key=False, full=True)[0] == []


@pytest.mark.parametrize("how", [{"full": True}, {"full": True, "contents": False}, {}])
def test_a_leaf_in_the_place_of_an_event_is_told_whatever_is_looked_at(stage, how):
    """The tree still adds up: only the events tell that nobody put that one away in order."""
    stage.mail(order(1))
    stage.run()
    stage.mail(order(2))
    stage.run()
    newest = next(row for row in reversed(stage.rows("event")) if row["kind"] == "examined")
    leaf = {"seq": newest["seq"], "leaf": tree.leaf(newest)}
    by_hand(stage, insert(tables.event_leaf).values(leaf))
    by_hand(stage, delete(tables.event).where(tables.event.c.seq == newest["seq"]))
    found, _ = looked(stage, notes(stage), **how)
    assert found == [f"Event {newest['seq']} is gone, and no event tells that it was put away."]


def test_values_that_nobody_can_read_are_told_and_the_rest_is_looked_at(stage):
    stage.mail(order(1))
    stage.run()
    by_hand(stage, text("INSERT INTO put_away (sha256, at, policy) VALUES ('no name', 1, 'p')"))
    by_hand(
        stage,
        text("UPDATE content SET sha256 = CAST(x'ff' AS TEXT) WHERE sha256 = (SELECT sha256 FROM message LIMIT 1)"),
    )
    found, _ = looked(stage, full=True)
    assert len([each for each in found if "cannot be read to the end" in each]) == 2
    assert len([each for each in found if each.startswith("Mail m1 names the bytes")]) == 1


def test_notes_that_are_no_seals_are_told_and_the_rest_is_looked_at(stage):
    stage.mail(order(1))
    stage.run()
    found, verdict = looked(stage, ["a shopping list\n", *notes(stage)])
    assert len(found) == 1
    assert "is not a seal" in found[0]
    assert verdict.sealed is not None


# ---------------------------------------------------------------- evidence for somebody else


@pytest.fixture(scope="module")
def script():
    return load("docs/verify_evidence.py")


def evidence_of(stage, number):
    with stage.ledger.reading() as connection:
        return evidence(connection, number, sealing.public_key(stage.context()))


def run(script, capsys, *arguments):
    old, sys.argv = sys.argv, ["verify_evidence.py", *map(str, arguments)]
    try:
        return script.main(), capsys.readouterr().out
    finally:
        sys.argv = old


def test_evidence_is_checked_by_a_script_that_knows_nothing_of_the_gateway(stage, tmp_path, script, capsys):
    for number in range(1, 6):
        stage.mail(order(number))
    stage.run()
    made = evidence_of(stage, 3)
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(made))
    raw = tmp_path / "raw.edi"
    raw.write_bytes(stage.ledger.content(stage.rows("exchange")[2]["sha256"]))
    code, said = run(script, capsys, file, "--seals", stage.settings.seal.file, "--raw", raw, "--key", made["key"])
    assert code == 0, said
    assert "Exchange 3" in said
    assert {each["table"] for each in made["rows"]} >= {"exchange", "message", "transaction_set", "business_key"}
    assert "PO-4" not in json.dumps(made), "of other exchanges nothing is told"


def test_seals_of_before_the_domain_changed_hold_and_prove_as_before(stage, tmp_path, script, capsys):
    """The name beside a signature is that of the ledger then; the key is the same."""
    stage.mail(order(1))
    stage.run()
    told = str(sealing.public_key(stage.context()))  # what the auditor keeps
    stage.settings = replace(stage.settings, domain="renamed.example")
    stage.mail(order(2))
    stage.now += 25 * HOUR
    stage.run()
    notes_now = notes(stage)
    assert [note.partition("\n")[0] for note in notes_now] == ["us.example/ledger", "renamed.example/ledger"]
    for key in (told, str(sealing.public_key(stage.context()))):
        found = verify(stage.engine, Verdict(), seals.SealKey.parse(key), notes_now, full=True)
        assert [each.sentence for each in found] == []
    for number in (1, 3):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(evidence_of(stage, number)))
        code, said = run(script, capsys, file, "--seals", stage.settings.seal.file, "--key", told)
        assert code == 0, said
    with pytest.raises(SealInvalid):
        seals.opened(notes_now[0], seals.public_key("us.example/ledger", bytes(32)))


def test_evidence_that_was_changed_anywhere_does_not_pass(stage, tmp_path, script, capsys):
    stage.mail(order(1))
    stage.run()
    good = evidence_of(stage, 1)
    file = tmp_path / "evidence.json"

    def refused(change, *more):
        made = json.loads(json.dumps(good))
        change(made)
        file.write_text(json.dumps(made))
        code, said = run(script, capsys, file, *more)
        assert code == 1, said
        return said

    assert "not in the sealed tree" in refused(lambda made: made["events"][0]["values"].__setitem__(1, 5))
    assert "not in the sealed tree" in refused(
        lambda made: made["events"][0].update(leaf=made["events"][0]["leaf"] + 1)
    )
    assert "not in the sealed tree" in refused(
        lambda made: made["events"][-1].update(rows=base64.b64encode(bytes(16)).decode())
    )
    changed = refused(
        lambda made: made["rows"][0]["rows"].__setitem__(0, made["rows"][0]["rows"][0].replace("acme", "evil"))
    )
    assert "is not what an event of the evidence recorded" in changed
    assert "signature" in refused(lambda made: made.update(seal=made["seal"].replace("time 2026", "time 2025")))
    other = tmp_path / "other.txt"
    other.write_text("nothing")
    assert "not among those" in refused(dict.copy, "--seals", other)
    assert "none that the exchange names" in refused(dict.copy, "--raw", other)
    assert "not the key" in refused(dict.copy, "--key", str(seals.public_key("us.example/ledger", bytes(32))))


@pytest.fixture
def answered(stage):
    """Our invoice, exchange 1, with the partner's 997 for it, exchange 2; and beside it an order, exchange 3."""
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.mail(acknowledgment(1, 1))
    stage.run()
    stage.mail(orders(2))
    stage.run()
    sealing.seal(stage.context())
    return stage


def lacks(*tables):
    return lambda made: made.update(rows=[each for each in made["rows"] if each["table"] not in tables])


def swapped(made):
    row = next(each for each in made["rows"] if each["table"] == "exchange")
    one, other = row["columns"].index("subject"), row["columns"].index("sha256")
    row["columns"][one], row["columns"][other] = "sha256", "subject"


def hidden(made):
    """The newest event that speaks of the exchange's row stays, the row is shown as it was before."""
    row = next(each for each in made["rows"] if each["table"] == "exchange")
    row["rows"] = [row["rows"][0].replace("acknowledged", "sent")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: made.update(exchange=3), "does not show one row of exchange 3"),
        (lambda made: made.update(rows=[], events=[]), "does not show one row of exchange 1"),
        (lambda made: made.update(rows=[]), "does not show one row of exchange 1"),
        (lambda made: made["rows"].append(made["rows"][0]), "every other row once"),
        (lacks("acknowledgment"), "What the 997 in exchange 2 says was recorded and is not shown"),
        (lacks("business_key"), "The row of business_key 1 was recorded and is not shown"),
        (lacks("message"), "was recorded and is not shown"),
        (lacks("transaction_set"), "tells of 1 sets; not all are shown"),
        (lacks("functional_group"), "The row of functional_group 1 was recorded and is not shown"),
        (
            lacks("functional_group", "transaction_set"),
            "The row of exchange 1 tells of groups of its own; none is shown",
        ),
        (swapped, "the columns of exchange are not those that this script knows"),
        (hidden, "The row of exchange 1 is not what an event of the evidence recorded last"),
        (lambda made: made["events"][0].update(leaf=10_000_000), "not in the sealed tree"),
        (lambda made: made["events"][0].update(leaf=-1), "not in the sealed tree"),
        (lambda made: made.pop("rows"), "no evidence that can be read"),
        (lambda made: made.pop("key"), "no evidence that can be read"),
        (lambda made: made.update(key="none+0+x"), "no evidence that can be read"),
    ],
)
def test_evidence_of_something_else_or_with_a_part_left_out_does_not_pass(
    answered, tmp_path, script, capsys, change, said
):
    made = json.loads(json.dumps(evidence_of(answered, 1)))
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(made))
    assert run(script, capsys, file)[0] == 0
    change(made)
    file.write_text(json.dumps(made))
    code, told = run(script, capsys, file)
    assert (code, said in told) == (1, True), told


def test_files_that_cannot_be_read_are_named_by_the_script(answered, tmp_path, script, capsys):
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(evidence_of(answered, 1))[:-9])
    code, said = run(script, capsys, file)
    assert (code, f"{file} is no evidence that can be read" in said) == (1, True)
    file.write_text(json.dumps(evidence_of(answered, 1)))
    for option in ("--seals", "--raw"):
        code, said = run(script, capsys, file, option, tmp_path / "nowhere")
        assert (code, said) == (1, f"{tmp_path / 'nowhere'} cannot be read: No such file or directory.\n")


def test_an_acknowledgment_that_was_put_away_in_order_is_not_missed(answered, tmp_path, script, capsys):
    with retention_purge.purging(answered.engine) as engine:
        ledger = Ledger(engine, answered.ledger.clock)
        with ledger.transaction() as recorder:
            judge = Judge(recorder.connection, retain.policies(answered.settings, answered.context().directory))
            units = judge.units(judge.keys_of([2]).values()).values()
            retention_purge.purge_ledger(recorder, list(units), "by a test")
    sealing.seal(answered.context())
    made = evidence_of(answered, 1)
    assert "acknowledgment" not in {each["table"] for each in made["rows"]}
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(made))
    assert run(script, capsys, file)[0] == 0


def test_rows_and_events_of_other_exchanges_do_not_pass_as_those_of_one(answered, tmp_path, script, capsys):
    made, other = evidence_of(answered, 1), evidence_of(answered, 3)
    known = {each["leaf"] for each in made["events"]}
    made["events"] += [each for each in other["events"] if each["leaf"] not in known]
    made["rows"] += [each for each in other["rows"] if each["table"] != "exchange"]
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(made))
    code, said = run(script, capsys, file)
    assert code == 1
    assert "is not one of exchange 1" in said
    assert "Event" in said


def test_a_key_that_cannot_be_used_here_is_no_success(answered, tmp_path, script, capsys, monkeypatch):
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(made := evidence_of(answered, 1)))
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    assert run(script, capsys, file)[0] == 0
    code, said = run(script, capsys, file, "--key", made["key"])
    assert (code, "NOT checked" in said) == (3, True)


def test_the_script_knows_the_columns_of_what_evidence_shows(answered, script):
    for each in evidence_of(answered, 1)["rows"]:
        assert each["table"] in script.COLUMNS
    assert {name: tuple(columns) for name, columns in script.COLUMNS.items()} == {
        name: prints.AUDITED[name].columns for name in script.COLUMNS
    }


@pytest.mark.unrecorded
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE exchange SET state = 'sent', verdict = '' WHERE id = 1", "exchange 1 is not what event"),
        ("DELETE FROM acknowledgment", "acknowledgment 1 is missing"),
        ("DELETE FROM business_key WHERE exchange = 1", "business_key 1 is missing"),
        ("UPDATE acknowledgment SET exchange = 3", "acknowledgment 1 is not what event"),
    ],
    ids=["an older state", "a verdict", "keys", "given to another"],
)
def test_there_is_no_evidence_of_what_was_changed_by_hand(answered, statement, said):
    """Also where the row is as an earlier event recorded it."""
    by_hand(answered, text(statement))
    with pytest.raises(NotAsRecorded, match=said):
        evidence_of(answered, 1)


def test_there_is_no_evidence_before_a_seal_covers_the_exchange(stage):
    stage.settings = replace(stage.settings, seal=replace(stage.settings.seal, every=None))
    stage.mail(order(1))
    stage.run()
    with pytest.raises(NotAllowedNow, match="gateway ledger seal"):
        evidence_of(stage, 1)
    sealing.seal(stage.context())
    assert evidence_of(stage, 1)["exchange"] == 1


def test_rows_changed_by_a_transaction_without_an_event_of_the_exchange_are_proven_too(stage):
    stage.mail(order(1))
    stage.run()
    with stage.ledger.transaction() as recorder:
        recorder.change(tables.message, 1, state="noted")
    sealing.seal(stage.context())
    rows = {(each["table"], each["owner"]): each for each in evidence_of(stage, 1)["rows"]}
    with stage.ledger.reading() as connection:
        newest = connection.execute(
            select(tables.event.c.seq).where(tables.event.c.kind == "recorded").order_by(tables.event.c.seq.desc())
        ).scalars()
        assert rows["message", 1]["event"] in list(newest)


def test_an_auditor_is_told_what_was_put_away_of_that_which_the_oldest_seal_covers(stage):
    """A removal in order and one that somebody made up look the same: whoever has the seal asks for the reason."""
    stage.mail(order(1))
    stage.run()
    assert looked(stage, notes(stage), full=True)[1].notes == []
    with stage.ledger.transaction("root") as recorder:
        with tree.permit(recorder.connection, "mine"):
            assert tree.forget_events(recorder.connection, [1, 2, 3]) == 3
        recorder.event("purged", what="1 mail", policy="", messages=[[7, 7]], events=[[1, 3], [500, 900]])
    sealing.seal(stage.context())
    found, verdict = looked(stage, notes(stage), full=True)
    assert found == []
    said = "3 events that the seal of 2026-11-02T22:00:00Z covers were put away after it, once: root."
    assert verdict.notes == verdict.as_dict()["notes"] == [said]
    assert looked(stage, notes(stage))[1].notes == [], "who looks at what came since asks for no old events"
