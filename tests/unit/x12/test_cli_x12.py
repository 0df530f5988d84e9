"""``gateway x12`` on files."""

from __future__ import annotations

import json

import pytest
from builders.x12 import SET_850, group, interchange, transaction_set
from click.testing import CliRunner

from gateway.cli.x12 import command
from gateway.x12 import Status, examine

BAD_850 = (SET_850[0].replace("BEG*00", "BEG*Q9"), *SET_850[1:])


def run(*arguments, stdin=b""):
    return CliRunner().invoke(command, [str(each) for each in arguments], input=stdin, catch_exceptions=False)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.edi"
    path.write_bytes(interchange(asked="1").encode())
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.edi"
    text = interchange(group(transaction_set(), transaction_set("0002", BAD_850)))
    path.write_bytes((text + "\r\n" + interchange(number="000000002", trailer="000000003")).encode())
    return path


def test_check_says_accepted_and_ends_with_0(good):
    result = run("check", good)
    assert result.exit_code == 0
    assert "interchange 000000001 from ZZ:SENDER to ZZ:RECEIVER, version 00401: accepted (TA1 A 000)" in result.stdout


def test_check_tells_in_sentences_what_is_wrong_and_where(bad):
    result = run("check", bad)
    assert result.exit_code == 65
    assert "1 of 2 sets accepted" in result.stdout
    assert "set 850 0002: rejected by X12 004010 850" in result.stdout
    assert "error segment 2 BEG, element 1, byte" in result.stdout
    assert "rejected (TA1 R 001)" in result.stdout


def test_check_json_has_the_documented_shape(bad):
    result = run("check", "--json", bad)
    assert result.exit_code == 65
    document = json.loads(result.stdout)
    assert set(document) == {"file", "interchanges", "findings"}
    first, second = document["interchanges"]
    assert set(first) == {
        "control_number", "sender", "receiver", "version", "usage", "status", "ta1", "groups", "findings",
    }  # fmt: skip
    assert first["sender"] == {"qualifier": "ZZ", "id": "SENDER"}
    assert (first["status"], second["status"]) == ("partially_accepted", "rejected")
    assert second["ta1"] == {"code": "R", "note": "001"}
    (one,) = first["groups"]
    assert set(one) == {"functional_id", "control_number", "version", "status", "sets", "findings"}
    assert [each["status"] for each in one["sets"]] == ["accepted", "rejected"]
    (finding,) = one["sets"][1]["findings"]
    assert set(finding) == {
        "level", "code", "x12", "segment", "position", "element", "component", "offset", "value", "message",
    }  # fmt: skip
    assert (finding["segment"], finding["element"], finding["x12"], finding["value"]) == ("BEG", 1, "7", "Q9")


def test_check_of_something_else_says_what_it_is():
    result = run("check", "--json", "-", stdin=b"UNB+UNOC:3+A+B'")
    assert result.exit_code == 65
    document = json.loads(result.stdout)
    assert document["interchanges"] == []
    assert "EDIFACT" in document["findings"][0]["message"]


def test_check_with_jobs_prints_the_same_in_the_same_order(good, bad):
    alone = run("check", "--json", good, bad, good)
    together = run("check", "--json", "--jobs", "2", good, bad, good)
    assert together.exit_code == 65
    assert together.stdout == alone.stdout
    assert len(alone.stdout.splitlines()) == 3


def test_check_can_judge_by_another_guideline(good):
    assert (
        "by X12 003040 850" in run("check", "--guideline", "003040", good).stdout
        or "accepted" in run("check", "--guideline", "003040", good).stdout
    )
    assert run("check", "--json", "--guideline", "003040", good).stdout.count("X12 003040 850") == 1
    assert run("check", "--guideline", "nonsense", good).exit_code == 2


def test_show_puts_findings_where_they_stand(bad):
    result = run("show", bad)
    lines = result.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if "BEG*Q9" in line)
    assert lines[at + 1].strip().startswith("^ error:")
    assert lines[0].startswith("ISA*00*")
    assert "    PO1*1*5" in result.stdout, "a loop is indented more than its set"
    assert sum(line.startswith("ISA") for line in lines) == 2
    assert "^ error: IEA02 is" in result.stdout


def test_show_can_name_each_element(good):
    assert "BEG03 PO-1001   Purchase Order Number" in run("show", "--elements", good).stdout


def test_show_never_lets_data_move_the_cursor(good):
    good.write_bytes(good.read_bytes().replace(b"EXAMPLE", b"\x1b[2J\x07MPLE"))
    assert "\x1b" not in run("show", good).stdout


def test_ack_answers_each_interchange_to_its_sender(bad):
    result = run("ack", bad)
    first, second = examine(result.stdout_bytes)
    assert result.exit_code == 0
    assert first.header.sender.id == "RECEIVER"
    assert first.status is Status.ACCEPTED
    (said,) = first.group_acks
    assert said.status is Status.PARTIALLY_ACCEPTED
    assert second.groups == ()
    assert second.interchange_acks[0].note == "001"


@pytest.mark.parametrize(("kind", "sets"), [("ta1", []), ("997", ["997"]), ("auto", ["997"])])
def test_ack_writes_the_kind_that_is_asked_for(good, kind, sets):
    (answer,) = examine(run("ack", "--kind", kind, good).stdout_bytes)
    assert [each.id for each in answer.sets] == sets
    assert bool(answer.interchange_acks) is (kind != "997")


def test_ack_of_an_acknowledgment_is_none(good, tmp_path):
    answer = tmp_path / "ack.edi"
    answer.write_bytes(run("ack", "--kind", "997", good).stdout_bytes)
    result = run("ack", answer)
    assert result.stdout_bytes == b""
    assert "nothing in it is to be acknowledged" in result.stderr


def test_sets_says_how_far_each_can_be_trusted():
    rows = [json.loads(line) for line in run("sets", "--json", "--version", "004010").stdout.splitlines()]
    order = next(each for each in rows if each["set_id"] == "850")
    assert (order["trust"], order["functional_id"]) == ("enforced", "PO")
    assert len(rows) > 250


def test_check_with_jobs_keeps_the_order_of_many_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.cli.x12_jobs.BATCH", 1)
    paths = [tmp_path / f"{number:02}.edi" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(interchange(number=f"{number + 1:09}", trailer="9" if number == 13 else None).encode())
    result = run("check", "--json", "--jobs", "2", *paths)
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["file"] for each in documents] == [str(path) for path in paths]
    assert [each["interchanges"][0]["status"] for each in documents].count("rejected") == 1
    assert result.exit_code == 65
