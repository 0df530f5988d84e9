"""The verbs of an operator on the command line: why and who, dry runs, JSON, repetitions, exit codes."""

import json
import os
import sys

import pytest
from builders.stage import OURS, WHEN, invoice
from builders.stage import orders as orders_from_acme

from gateway.app import open_app
from gateway.cli.main import main
from gateway.cli.status import _batch
from gateway.demo import documents
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.mail.memory import MemoryMailbox

PROFILE = """
key = "acme"
name = "ACME Retail"
status = "live"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL"]
[[agreement]]
name = "orders"
direction = "in"
sets = ["850"]
[[agreement]]
name = "invoices"
direction = "out"
sets = ["810"]
versions = ["004010"]
"""


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    """Standard input is no terminal and empty, wherever the tests run; no secret comes from outside."""
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115, PTH123 - closed below
    for name in [each for each in os.environ if each.startswith(("GATEWAY_", "CREDENTIALS_DIRECTORY"))]:
        monkeypatch.delenv(name)
    yield
    sys.stdin.close()


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *words])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    return call


@pytest.fixture
def home(tmp_path, run):
    run("init", "--name", "Ours", "--domain", "us.example", "--identity", OURS)
    place = tmp_path / "home"
    (tmp_path / "acme.toml").write_text(PROFILE, encoding="utf-8")
    (tmp_path / "inv.edi").write_bytes(invoice())
    settings = place / "gateway.toml"
    text = settings.read_text(encoding="utf-8")
    if "\n[smtp]" not in text:
        text += '\n[smtp]\nhost = "localhost"\nsender = "edi@us.example"\nsecurity = "none"\n'
    settings.write_text(text, encoding="utf-8")
    run("partner", "apply", str(tmp_path / "acme.toml"))
    return place


def receive(home, *interchanges):
    """Mail comes in and is processed, without a host."""
    from msgspec.structs import replace

    box = MemoryMailbox("orders", user="edi@us.example")
    for number, data in enumerate(interchanges):
        head = "From: edi@acme.example\r\nTo: edi@us.example\r\nSubject: EDI\r\nContent-Type: application/edi-x12\r\n"
        box.deliver(f"{head}Message-ID: <{id(data)}-{number}@acme.example>\r\n\r\n".encode() + data)
    with open_app(home) as app:
        context = replace(app.context(), mailboxes=(box,))
        collect(context)
        process(context)


def put_state(home, number, state):
    from gateway.ledger import tables

    with open_app(home) as app, app.ledger.transaction() as recorder:
        recorder.change(tables.exchange, number, state=state)


def test_every_verb_wants_to_know_why(run, home):
    for words in (
        ("exchange", "resend", "1"),
        ("exchange", "resolve", "1", "sent"),
        ("exchange", "cancel", "1"),
        ("exchange", "settle", "1"),
        ("exchange", "accept", "1"),
        ("exchange", "redeliver", "1"),
        ("exchange", "replay", "1"),
        ("quarantine", "release", "m1"),
        ("quarantine", "discard", "m1"),
        ("ack", "settle", "1", "--accepted"),
    ):
        assert "--why" in run(*words, wanted=2)[1]
        assert "a reason in words is wanted" in run(*words, "--why", " ", wanted=2)[1]


@pytest.mark.parametrize("number", [2**63, 10**30])
@pytest.mark.parametrize(
    "words",
    [
        ("exchange", "resend", "{}"),
        ("exchange", "settle", "{}"),
        ("ack", "settle", "--accepted", "{}"),
        ("alert", "mute", "{}"),
        ("ledger", "hold", "release", "{}"),
        ("ledger", "changes", "--before", "{}"),
    ],
)
def test_a_number_that_is_longer_than_any_is_refused_in_words(run, home, words, number):
    why = () if "changes" in words else ("--why", "a slip of the finger")
    _, err = run(*(each.format(number) for each in words), *why, wanted=2)
    assert f"{number} is longer than any number that there is" in err


def test_cancelling_twice_says_so_and_the_ledger_knows_who(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    out, _ = run("exchange", "cancel", "1", "--why", "wrong price", "--by", "anna", "--dry-run", "--json")
    assert json.loads(out) == {
        "reference": "1",
        "sentence": "cancelled; its number stays used",
        "done": True,
        "exchange": None,
        "dry_run": True,
    }
    assert "exchange 1: cancelled" in run("exchange", "cancel", "1", "--why", "wrong price", "--by", "anna")[0]
    assert "done before" in run("exchange", "cancel", "1", "--why", "wrong price")[0]
    shown = run("exchange", "show", "1")[0]
    assert "wrong price" in shown
    assert "(by anna)" in shown


def test_no_terminal_obeys_what_a_partner_wrote_where_an_interchange_is_told(run, home):
    """BEL and CSI in ST01 and in a stranger's ISA13 reached the terminal by these, though not by the lists."""
    order = orders_from_acme(7)
    receive(home, order.replace(b"ST*850", b"ST*8\x07\x1b[31m0"), order.replace(b"000000007", b"\x07\x1b[31m0007"))
    told = [
        run("status")[0],
        run("quarantine", "show", "1")[0],
        run("partner", "check", "acme", "--offline", wanted=65)[0],
    ]
    for said in (*told, run("exchange", "show", "1")[0], run("alert", "list")[0]):
        assert not [each for each in said if not each.isprintable() and each != "\n"]
    assert "8  [31m0" in told[0]


def test_one_that_fails_does_not_stop_the_others(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    out, err = run("exchange", "cancel", "99", "1", "--why", "x", wanted=2)
    assert "exchange 1: cancelled" in out
    assert "There is no exchange 99" in err
    out, _ = run("exchange", "cancel", "99", "--why", "x", "--json", wanted=2)
    assert json.loads(out)["error"]["code"] == "not-found"


def test_a_new_number_is_asked_for_knowingly(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    assert "--yes" in run("exchange", "resend", "1", "--new-number", "--why", "lost", wanted=2)[1]
    out, _ = run("exchange", "resend", "1", "--new-number", "--yes", "--why", "lost")
    assert "superseded by exchange 2" in out
    assert "done before" in run("exchange", "resend", "1", "--new-number", "--yes", "--why", "lost")[0]
    assert "superseded" in run("exchange", "show", "1")[0]
    assert "made from exchange 1" in run("exchange", "show", "2")[0]


def test_a_doubt_is_resolved_by_a_word_or_an_option(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    put_state(home, 1, "in doubt")
    run("exchange", "resolve", "1", "--why", "called", wanted=2)
    run("exchange", "resolve", "1", "sent", "--resend", "--why", "called", wanted=2)
    run("exchange", "resolve", "1", "--sent", "--resend", "--why", "called", wanted=2)
    assert "taken as sent" in run("exchange", "resolve", "1", "sent", "--why", "called")[0]
    assert "done before" in run("exchange", "resolve", "1", "--sent", "--why", "called")[0]


def test_an_acknowledgment_is_put_right_by_hand(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    put_state(home, 1, "sent")
    run("ack", "settle", "1", "--why", "called", wanted=2)
    _, err = run("ack", "settle", "1", "--accepted", "--rejected", "--why", "called", wanted=2)
    assert "--accepted or --rejected" in err
    assert "taken as accepted" in run("ack", "settle", "1", "--accepted", "--why", "Ms Berg said so")[0]
    assert "Ms Berg said so" in run("exchange", "show", "1")[0]
    assert run("ack", "list", "--json")[0] == ""


def test_the_odd_ones_of_what_partners_said_are_listed(run, home):
    ack = ["ST*997*0001", "AK1*IN*77", "AK9*A*1*1*1"]
    receive(home, documents.interchange("ZZ:ACMERETAIL", OURS, 1, WHEN, [("FA", "004010", [ack])]))
    _, err = run("ack", "list")
    assert "1 orphan" in err
    (line,) = run("ack", "list", "--relation", "orphan", "--json")[0].splitlines()
    said = json.loads(line)
    assert (said["partner"], said["names"], said["exchange"]) == ("acme", "IN 77", None)
    assert run("ack", "list", "--relation", "forged", "--json")[0] == ""
    assert "orphan" in run("ack", "list", "--received")[0]


def test_mail_is_replayed_by_reference_and_by_time(run, home):
    receive(home, orders_from_acme(1), orders_from_acme(2))
    out, _ = run("exchange", "replay", "1", "--why", "trial", "--dry-run")
    assert "duplicate of exchange 1" in out
    out, err = run("exchange", "replay", "--from", "1h", "--partner", "acme", "--why", "restore", "--json")
    assert [json.loads(line)["reference"] for line in out.splitlines()] == ["m1", "m2"]
    assert "2 mails to replay" in err
    run("exchange", "replay", "--from", "1h", "--limit", "1", "--why", "x", wanted=2)
    run("exchange", "replay", "--from", "whenever", "--why", "x", wanted=2)
    run("exchange", "replay", "1", "--from", "1h", "--why", "x", wanted=2)
    run("exchange", "replay", "--from", "1h", "--partner", "nobody", "--why", "x", wanted=2)


def test_quarantine_shows_which_verb_fits(run, home):
    receive(home, orders_from_acme(1))
    receive(home, orders_from_acme(1, documents.order("PO-OTHER", WHEN)))
    with open_app(home) as app, app.ledger.reading() as connection:
        from gateway.ledger.attention import attention

        (conflict,) = [each.reference for each in attention(connection) if each.state == "conflict"]
    assert f"gateway exchange accept {conflict} --why" in run("quarantine", "show", conflict)[0]
    assert "accepted" in run("exchange", "accept", conflict, "--why", "their counter was reset")[0]
    assert "done before" in run("exchange", "accept", conflict, "--why", "their counter was reset")[0]


def test_the_same_file_is_submitted_once_and_again_when_meant(run, home, tmp_path):
    file = str(tmp_path / "inv.edi")
    run("send", "acme", file)
    assert "was submitted before as exchange 1" in run("send", "acme", file)[0]
    assert "queued as exchange 2" in run("send", "acme", file, "--again")[0]
    assert "same document as" in run("exchange", "show", "2")[0]
    assert "repeat earlier ones" in run("status")[0]


def test_a_file_that_was_cancelled_is_queued_anew_and_a_chosen_key_tells_what_became_of_it(run, home, tmp_path):
    file = str(tmp_path / "inv.edi")
    run("send", "acme", file)
    run("exchange", "cancel", "1", "--why", "too early")
    assert "queued as exchange 2" in run("send", "acme", file)[0]
    assert "was submitted before as exchange 2 (000000002, ready)" in run("send", "acme", file)[0]
    assert "queued as exchange 3" in run("send", "acme", file, "--key", "INV-1")[0]
    run("exchange", "cancel", "3", "--why", "too early")
    out = run("send", "acme", file, "--key", "INV-1")[0]
    assert "was submitted before as exchange 3 (000000003, cancelled); nothing new was queued" in out
    told = json.loads(run("send", "acme", file, "--key", "INV-1", "--json")[0])
    assert (told["repeated"], told["exchanges"], told["states"]) == (True, [3], ["cancelled"])


def test_a_key_that_was_chosen_for_one_partner_is_refused_for_another(run, home, tmp_path):
    file, other = str(tmp_path / "inv.edi"), tmp_path / "globex.toml"
    other.write_text(PROFILE.replace("acme", "globex").replace("ACME", "GLOBEX"), encoding="utf-8")
    run("partner", "apply", str(other))
    run("send", "acme", file, "--key", "CATALOGUE-7")
    _, err = run("send", "globex", file, "--key", "CATALOGUE-7", wanted=65)
    assert "its key CATALOGUE-7 was used before for another partner, acme (exchange 1)" in err
    assert "queued as exchange 2" in run("send", "globex", file, "--key", "CATALOGUE-8")[0]


def test_start_values_are_set_and_shown(run, home, tmp_path):
    assert "interchange 1, group 1" in run("partner", "show", "acme")[0]
    out, _ = run("partner", "start", "acme", "--interchange", "4712", "--group", "9001", "--json")
    assert [(json.loads(line)["level"], json.loads(line)["next"]) for line in out.splitlines()] == [
        ("interchange", 4712),
        ("group", 9001),
    ]
    assert "Done before" in run("partner", "start", "acme", "--interchange", "4712")[1]
    assert "interchange 4712, group 9001" in run("partner", "show", "acme")[0]
    assert json.loads(run("partner", "show", "acme", "--json")[0])["control_numbers"][0]["next"] == 4712
    run("partner", "start", "acme", "--interchange", "10", wanted=2)
    run("partner", "start", "acme", "--interchange", "10", "--force", wanted=2)
    run("partner", "start", "acme", "--interchange", "x", wanted=2)
    run("partner", "start", wanted=2)
    (tmp_path / "van.csv").write_text("partner,interchange,group\nacme,5000,10000\n", encoding="utf-8")
    run("partner", "start", "--file", str(tmp_path / "van.csv"), "--last-used", "--why", "moved")
    run("send", "acme", str(tmp_path / "inv.edi"))
    assert "000005001" in run("exchange", "show", "1")[0]


def test_who_is_activated_hears_where_the_numbers_begin(run, home):
    run("partner", "suspend", "acme")
    assert "gateway partner start acme" in run("partner", "activate", "acme")[1]


def test_who_stops_a_partner_hears_what_waits_for_it(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    assert "1 mail waits for it and will not go while it is suspended" in run("partner", "suspend", "acme")[1]
    run("exchange", "cancel", "1", "--why", "x")
    assert run("partner", "end", "acme", "--why", "over")[1] == ""


@pytest.mark.parametrize("status", ["testing", "draft"])
def test_who_sets_a_partner_back_hears_what_waits_in_earnest_and_so_do_status_and_doctor(run, home, tmp_path, status):
    run("send", "acme", str(tmp_path / "inv.edi"))
    assert "kept back" not in run("status")[0]
    if status == "testing":
        said = run("partner", "activate", "acme", "--testing")[1]
    else:
        (tmp_path / "draft.toml").write_text(PROFILE.replace('"live"', '"draft"'), encoding="utf-8")
        said = run("partner", "apply", str(tmp_path / "draft.toml"))[1]
    assert f"1 mail waits for it and will not go while it is {status}" in said
    assert "1  of the mails waiting: kept back until their partners are active, or live, again" in run("status")[0]
    report = json.loads(run("doctor", "--offline", "--json")[0])
    (found,) = [each for each in report["checks"] if each["code"] == "partner.stopped-waiting"]
    assert "gateway partner activate acme" in found["advice"]


def test_segments_from_past_the_end_are_told_with_how_many_there_are(run, home, tmp_path):
    run("send", "acme", str(tmp_path / "inv.edi"))
    out, err = run("ledger", "show", "1", "--segments", "--from", "99999")
    assert out == ""
    number = len(run("ledger", "show", "1", "--segments")[0].splitlines())
    assert err == f"It has {number} segments: none from 99,999 on.\n"


@pytest.mark.parametrize("ended", [1_000, None])
def test_where_workers_work_the_last_batch_is_not_what_was_done_last(ended):
    batch = {"id": 7, "started_at": 0, "ended_at": ended, "exit_code": 0}
    assert _batch(batch, working=True).startswith("Workers do what is due as it comes. Last batch: 7, ")
    assert _batch(batch, working=False).startswith("Last batch: 7, ")


def test_a_document_that_cannot_be_sent_is_counted_among_what_needs_a_person(home, run, tmp_path):
    assert "Nothing needs a person." in run("status")[0]
    refused = tmp_path / "home" / "outbox" / "acme" / ".refused"
    refused.mkdir(parents=True)
    (refused / "orders.csv").write_text("no X12")
    out, _ = run("status")
    assert "1 needs a person." in out
    assert str(refused / "orders.csv") in out
