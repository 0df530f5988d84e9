"""Raw bytes are shown with the passwords of an ISA masked; who sees them unmasked is recorded first."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace

import pytest
from builders.stage import Stage, acknowledgment, invoice, orders
from click.testing import CliRunner

import gateway.app
from gateway.cli.ledger_show import show
from gateway.cli.quarantine import command as quarantine
from gateway.errors import NotFound, UsageFault
from gateway.flow import showing
from gateway.flow.submit import submit
from gateway.ledger.events import event_of, told

SECRET = orders(1).replace(b"*00*          *00*          *", b"*03*CANARY1977*01*SESAME    *", 1)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def received(stage: Stage, raw: bytes) -> int:
    """Takes a file; the number of its exchange."""
    stage.mail(raw)
    stage.run()
    return max(int(row["id"]) for row in stage.rows("exchange") if row["direction"] == "in")


def shown(stage: Stage) -> list[object]:
    """The events of somebody seeing something unmasked."""
    return [event_of(row) for row in stage.rows("event") if row["kind"] == "shown-unmasked"]


def test_the_interchange_is_masked_and_otherwise_byte_for_byte(stage):
    number = received(stage, SECRET)
    data = b"".join(showing.interchange_bytes(stage.ledger, number))
    assert data == SECRET.rstrip().replace(b"CANARY1977", b"X" * 10).replace(b"SESAME    ", b"X" * 10)
    assert shown(stage) == []


def test_who_sees_it_unmasked_is_recorded_before_the_first_byte(stage):
    number = received(stage, SECRET)
    stage.ledger.actor = "ann"
    pieces = showing.interchange_bytes(stage.ledger, number, unmasked=True)
    (event,) = shown(stage)
    assert (event.exchange, event.partner, event.actor) == (number, "acme", "ann")
    assert told(event).endswith("the interchange shown with the passwords of its ISA (by ann)")
    assert b"CANARY1977" in b"".join(pieces)


def test_an_interchange_without_passwords_is_shown_as_it_is(stage):
    number = received(stage, orders(1))
    assert b"".join(showing.interchange_bytes(stage.ledger, number)) == orders(1).rstrip()


@pytest.mark.parametrize("packed", [False, True], ids=["attached", "zipped"])
def test_a_mail_with_a_password_in_it_is_not_shown_unless_asked_for(stage, packed):
    """Also where nobody could find it by looking at the mail: in base64, in a zip."""
    raw = SECRET
    if packed:
        box = BytesIO()
        with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("orders.edi", SECRET)
        raw = box.getvalue()
    number = received(stage, raw)
    message = showing.message_of(stage.ledger, number)
    with pytest.raises(UsageFault, match="--unmasked"):
        showing.mail_bytes(stage.ledger, message, stage.limits)
    assert shown(stage) == []
    data = b"".join(showing.mail_bytes(stage.ledger, message, stage.limits, unmasked=True))
    assert data.startswith(b"From: ")
    (event,) = shown(stage)
    assert (event.message, event.exchange) == (message, None)


def test_a_quarantined_mail_with_a_password_in_it_is_not_shown_either(stage):
    stage.mail(SECRET[:400], sender="who@stranger.example")
    stage.run()
    with pytest.raises(UsageFault, match="--unmasked"):
        showing.mail_bytes(stage.ledger, 1, stage.limits)


def test_a_mail_without_passwords_is_shown_as_it_is(stage):
    raw = stage.mail(orders(1))
    stage.run()
    assert b"".join(showing.mail_bytes(stage.ledger, 1, stage.limits)) == raw


def test_the_answer_to_what_came_is_our_acknowledgment(stage):
    number = received(stage, orders(1))
    data = b"".join(showing.answer_bytes(stage.ledger, number))
    assert data.startswith(b"ISA*")
    assert b"~AK1*PO*1~" in data.replace(b"\r\n", b"")
    assert b"AK9*A*1*1*1" in data


def test_the_answer_to_what_went_is_what_the_partner_said(stage):
    submit(stage.context(), "acme", invoice(), name="inv.edi")
    stage.run()
    sent = next(int(row["id"]) for row in stage.rows("exchange") if row["types"] == "810")
    with pytest.raises(NotFound, match="acknowledgment of exchange"):
        showing.answer_bytes(stage.ledger, sent)
    stage.mail(acknowledgment(5, 1))
    stage.run()
    assert b"".join(showing.answer_bytes(stage.ledger, sent)) == acknowledgment(5, 1).rstrip()


def test_what_is_not_there_is_said(stage):
    for look in (
        lambda: showing.interchange_bytes(stage.ledger, 404),
        lambda: showing.interchange_bytes(stage.ledger, 404, unmasked=True),
        lambda: showing.mail_bytes(stage.ledger, 404, stage.limits, unmasked=True),
        lambda: showing.message_of(stage.ledger, 404),
        lambda: showing.answer_bytes(stage.ledger, 404),
    ):
        with pytest.raises(NotFound):
            look()
    assert shown(stage) == []


def test_findings_and_stories_do_not_tell_a_password(stage):
    """An ISA that is damaged just there is quoted nowhere in the ledger's rows."""
    broken = SECRET.replace(b"CANARY1977", b"CANARY\x0777").replace(b"SESAME    ", b"SESAME  ")
    received(stage, broken)
    for table in ("finding", "event", "exchange", "message"):
        assert "CANARY" not in str(stage.rows(table))
        assert "SESAME" not in str(stage.rows(table))


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(stage, monkeypatch):
    """Runs ``show`` on the ledger of the stage, as the user ann."""

    @contextmanager
    def open_app(home):
        stage.ledger.actor = "ann"
        yield SimpleNamespace(
            engine=stage.engine,
            ledger=stage.ledger,
            settings=stage.settings,
            directory=lambda: stage.context().directory,
        )

    monkeypatch.setattr(gateway.app, "open_app", open_app)

    def running(*words, command=show):
        result = CliRunner().invoke(command, words, obj={"home": stage.directory}, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result

    return running


def test_no_view_tells_a_password_unless_asked_and_each_asking_is_recorded(stage, run):
    number = str(received(stage, SECRET))
    for view in ((), ("--json",), ("--tree",), ("--tree", "--json"), ("--segments",), ("--segments", "--json"),
                 ("--findings",), ("--raw",), ("--answer",), ("--all", "--json")):  # fmt: skip
        output = run(number, *view).output
        assert "CANARY" not in output
        assert "SESAME" not in output
    assert shown(stage) == []
    for view in (("--segments", "--elements"), ("--segments", "--json"), ("--raw",), ("--mail",)):
        run(number, *view, "--unmasked")
    assert [each.body["what"] for each in shown(stage)] == [
        "its segments", "its segments", "the interchange", "the mail",
    ]  # fmt: skip
    assert "CANARY1977" in run(number, "--segments", "--unmasked").output


def test_two_views_at_once_are_refused(stage, run):
    number = str(received(stage, orders(1)))
    with pytest.raises(UsageFault, match="two views"):
        run(number, "--raw", "--tree")


def test_segments_of_a_mail_are_refused_with_what_to_do(stage, run):
    received(stage, orders(1))
    for view in ("--segments", "--answer"):
        with pytest.raises(UsageFault, match="--tree"):
            run("m1", view)
    assert run("m1", "--tree").output.startswith("letter from edi@acme.example")


def test_a_further_page_is_named(stage, run):
    number = str(received(stage, orders(1)))
    result = run(number, "--segments", "--count", "5")
    assert "add --from 6" in result.stderr
    assert run(number, "--segments", "--from", "6", "--count", "99").stdout.splitlines()[1].split()[0] == "6"


def test_nothing_wrong_is_said_on_stderr(stage, run):
    number = str(received(stage, orders(1)))
    result = run(number, "--findings")
    assert (result.stdout, "Nothing was found wrong" in result.stderr) == ("", True)


def test_the_quarantine_masks_too(stage, run):
    stage.mail(SECRET.replace(b"ACMERETAIL ", b"NOBODYKNOWS"))
    stage.run()
    (row,) = [each for each in stage.rows("exchange") if each["direction"] == "in"]
    assert row["state"] == "quarantined"
    assert "CANARY" not in run("show", str(row["id"]), "--raw", command=quarantine).output
    assert "CANARY1977" in run("show", str(row["id"]), "--raw", "--unmasked", command=quarantine).output
    assert len(shown(stage)) == 1
