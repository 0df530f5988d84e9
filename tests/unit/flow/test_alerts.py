"""Alerts: raised once, told at most once in an interval, closed by themselves; what fails to tell is tried again."""

import email
import json
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from builders.stage import ACME, GLOBEX, HOUR, US, WHEN, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace

from gateway.demo import documents
from gateway.errors import (
    AlertNotTold,
    DeliveryFailed,
    LeaseLost,
    LoginRefused,
    MailboxUnavailable,
    NotAllowedNow,
    OutcomeUnknown,
    SmtpUnavailable,
)
from gateway.flow import alerts, operate, telling, work_units
from gateway.flow.check_running import check_told
from gateway.flow.collect import collect
from gateway.flow.inbound import process
from gateway.flow.needs import kind_of
from gateway.flow.submit import submit
from gateway.flow.work_units import Crew
from gateway.ledger import alerts as kept
from gateway.ledger.attention import attention
from gateway.ledger.figures import rules_failing
from gateway.ledger.leases import SharedLeases
from gateway.settings import AlertSettings
from gateway.settings.alerts import KINDS

OPS = "ops@us.example"


def rule(name="ops", **more):
    return AlertSettings(name, **({"to": (OPS,)} | more))


def with_rules(stage, *rules):
    stage.settings = replace(stage.settings, alerts=rules)
    return stage


@pytest.fixture
def stage(tmp_path):
    return with_rules(Stage(tmp_path), rule())


def told(stage):
    """The alert mails that were sent, parsed."""
    return [each for each in stage.sent if each["X-Gateway-Alert"]]


def text(mail):
    """The body as its reader sees it, on one line."""
    return " ".join(mail.get_payload(decode=True).decode().split())


def open_alerts(stage):
    with stage.ledger.reading() as connection:
        return kept.standing(connection)


def strange(stage, number=1):
    """A mail of somebody whom we do not know."""
    stage.mail(orders(number), sender="mallory@evil.example", subject=f"strange {number}")


# ---------------------------------------------------------------- raising and closing


def test_what_needs_a_person_is_one_alert_however_many_batches_see_it(stage):
    strange(stage)
    for _ in range(3):
        stage.run()
        stage.now += 2 * HOUR
    (found,) = open_alerts(stage)
    assert (found.kind, found.reference, found.count) == ("quarantined", "1", 1)
    assert len(told(stage)) == 1


def test_a_mail_says_what_is_wrong_on_whose_side_and_the_next_command(stage):
    strange(stage)
    stage.run()
    (mail,) = told(stage)
    assert mail["Subject"] == "[Example Co] 1 thing needs a person: 1 quarantined"
    assert mail["To"] == OPS
    assert mail["Auto-Submitted"] == "auto-generated"
    said = text(mail)
    assert "mallory@evil.example" in said
    assert "on the side of: partner" in said
    assert "next: gateway quarantine show 1" in said


def test_an_alert_is_closed_by_itself_when_its_cause_is_gone(stage):
    strange(stage)
    stage.run()
    operate.discard(stage.context(), "m1", actor="jo", reason="spam")
    stage.run()
    assert open_alerts(stage) == []
    assert "alert-closed" in stage.kinds()
    assert len(told(stage)) == 1  # by mail what is over is only told with what is new


def test_what_comes_back_is_the_same_alert_raised_and_told_again(stage):
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    stage.run()
    (first,) = open_alerts(stage)
    stage.mailbox.faults.clear()
    stage.now += 2 * HOUR
    stage.run()
    assert open_alerts(stage) == []
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    stage.now += 2 * HOUR
    stage.run()
    (again,) = open_alerts(stage)
    assert (again.id, again.count) == (first.id, 2)
    assert "alert-reopened" in stage.kinds()
    assert len(told(stage)) == 2


def test_a_mailbox_that_is_away_is_counted_and_its_test_is_the_next_command(stage):
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    stage.run()
    stage.run()
    (found,) = open_alerts(stage)
    assert (found.kind, found.count, found.next_command) == ("mailbox", 2, "gateway mailbox test orders")


def test_a_refused_login_is_of_its_own_kind(stage):
    stage.mailbox.faults["session"] = LoginRefused(host="memory", user=US, reason="no")
    stage.run()
    assert [each.kind for each in open_alerts(stage)] == ["login"]


def test_a_look_outside_of_a_batch_closes_nothing_that_only_a_batch_meets(stage):
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    stage.run()
    alerts.raise_alerts(stage.context())
    assert [each.kind for each in open_alerts(stage)] == ["mailbox"]


def test_a_defect_is_an_alert(stage, monkeypatch):
    def breaks(context):
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.flow.night.STEPS", (("collect", breaks), ("alert", alerts.alert)))
    stage.run()
    (found,) = open_alerts(stage)
    assert (found.kind, found.side) == ("defect", "ours")


def test_what_is_overdue_is_told_and_what_becomes_urgent_is_told_again(tmp_path):
    stage = with_rules(Stage(tmp_path), rule(kinds=("overdue", "escalated")))
    (stage.settings.outbox / "acme").mkdir(parents=True)
    (stage.settings.outbox / "acme" / "invoice.edi").write_bytes(invoice())
    stage.run()
    assert told(stage) == []
    stage.now += 30 * HOUR
    stage.run()
    assert "was due" in text(told(stage)[0])
    assert "on the side of: partner" in text(told(stage)[0])
    stage.now += 30 * HOUR
    stage.run()
    assert [each["Subject"].partition(": ")[2] for each in told(stage)] == ["1 overdue", "1 escalated"]
    assert "Over by itself" not in text(told(stage)[1])


def test_a_refused_document_of_the_outbox_is_told(stage):
    place = stage.settings.outbox / "acme"
    place.mkdir(parents=True)
    (place / "bad.edi").write_bytes(b"nothing that is EDI")
    stage.run()
    (found,) = open_alerts(stage)
    assert (found.kind, found.partner) == ("document refused", "acme")
    stage.run()
    assert [each.id for each in open_alerts(stage)] == [found.id]
    for each in (place / ".refused").iterdir():
        each.unlink()
    stage.run()
    assert open_alerts(stage) == []


@pytest.mark.parametrize("inside", [True, False])
def test_the_next_command_finds_what_was_refused_wherever_the_outbox_is(stage, tmp_path, inside):
    outbox = stage.directory / "to go" if inside else tmp_path / "elsewhere" / "Bob's"
    stage.settings = replace(stage.settings, outbox=outbox, home=stage.directory if inside else tmp_path / "home")
    stage.settings.home.mkdir(exist_ok=True)
    (outbox / "acme").mkdir(parents=True)
    (outbox / "acme" / "it's bad.edi").write_bytes(b"no EDI")
    stage.run()
    found = next(each for each in open_alerts(stage) if each.next_command.startswith("cat"))
    command = shlex.split(found.next_command)
    assert subprocess.run(command, cwd=stage.settings.home, check=True, capture_output=True).stdout


def test_a_batch_that_did_not_end_is_found_by_the_next_one_and_closed_by_the_one_after(stage, monkeypatch):
    def dies(context):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("gateway.flow.night.STEPS", (("collect", dies),))
        with pytest.raises(SystemExit):
            stage.run()
    stage.run()
    (found,) = open_alerts(stage)
    assert found.kind == "night"
    assert "did not end" in found.subject
    stage.run()
    assert open_alerts(stage) == []


def test_a_batch_that_comes_late_is_told(stage):
    stage.settings = replace(stage.settings, batch_expected=timedelta(hours=24))
    stage.run()
    stage.now += 23 * HOUR
    stage.run()
    assert open_alerts(stage) == []
    stage.now += 50 * HOUR
    stage.run()
    (found,) = open_alerts(stage)
    assert "No batch ran for 2 d 2 h" in found.subject


def test_little_space_is_told(stage):
    stage.settings = replace(stage.settings, low_disk=10**9)
    stage.run()
    assert {each.kind for each in open_alerts(stage)} == {"disk"}
    assert "MB are left" in text(told(stage)[0])


def test_every_state_that_needs_a_person_has_a_kind(stage):
    strange(stage)
    stage.run()
    with stage.ledger.reading() as connection:
        (thing,) = attention(connection)
    for state in ("quarantined", "in doubt", "failed", "bounced", "unmatched", "conflict", "not taken", "ends soon"):
        assert kind_of(replace(thing, state=state)) == state
    assert kind_of(replace(thing, state="refused by the partner")) == "refused"
    assert kind_of(replace(thing, state="sent, not to all")) == "not to all"
    assert kind_of(replace(thing, state="something new")) == "other"
    assert kind_of(replace(thing, state="overdue", urgent=True)) == "escalated"


def test_nothing_that_documents_hold_is_told(stage):
    bad = [each.replace("EA", "SECRETUNIT") for each in documents.order("PO-SECRET", WHEN)]
    stage.mail(orders(1, bad))
    stage.run()
    (mail,) = told(stage)
    assert "1 rejected" in mail["Subject"]
    assert "SECRET" not in text(mail)
    assert "first error is" in text(mail)


# ---------------------------------------------------------------- grouping, intervals, quiet


def test_what_happens_within_an_interval_is_told_together_at_its_end(stage):
    strange(stage, 1)
    stage.run()
    for number in (2, 3):
        stage.now += HOUR // 4
        strange(stage, number)
        stage.run()
    assert len(told(stage)) == 1
    stage.now += HOUR
    stage.run()
    assert [each["Subject"] for each in told(stage)][1:] == ["[Example Co] 2 things need a person: 2 quarantined"]


def test_a_hundred_things_are_one_mail_that_lists_fifty(stage):
    for number in range(1, 101):
        strange(stage, number)
    stage.run()
    (mail,) = told(stage)
    assert "and 50 more: 50 quarantined" in text(mail)


def test_what_is_still_open_is_told_again_after_the_time_that_the_rule_says(tmp_path):
    stage = with_rules(Stage(tmp_path), rule(repeat=timedelta(hours=24)))
    strange(stage)
    stage.run()
    stage.now += 23 * HOUR
    stage.run()
    assert len(told(stage)) == 1
    stage.now += 2 * HOUR
    stage.run()
    assert told(stage)[1]["Subject"] == "[Example Co] 1 thing still needs a person: 1 quarantined"


def test_nothing_is_told_in_quiet_hours_and_everything_after_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    stage = with_rules(Stage(tmp_path), rule(quiet=(21 * 60, 6 * 60)))
    strange(stage)
    stage.run()  # at 22:00
    stage.now += 5 * HOUR
    stage.run()
    assert told(stage) == []
    stage.now += 4 * HOUR
    stage.run()
    assert len(told(stage)) == 1


def test_what_came_and_went_before_it_could_be_told_is_told_as_over(stage):
    strange(stage)
    stage.run()
    stage.mailbox.faults["session"] = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    stage.now += HOUR // 4
    stage.run()
    stage.mailbox.faults.clear()
    stage.now += HOUR // 4
    stage.run()
    assert len(told(stage)) == 1
    stage.now += HOUR
    stage.run()
    assert told(stage)[1]["Subject"] == "[Example Co] 1 thing over by itself: 1 mailbox"
    stage.now += 2 * HOUR
    stage.run()
    assert len(told(stage)) == 2


# ---------------------------------------------------------------- whom rules tell of


def test_a_rule_tells_only_of_its_kinds_and_partners(tmp_path):
    stage = with_rules(
        Stage(tmp_path),
        rule("sales", to=("sales@us.example",), kinds=("rejected",), partners=("acme",)),
        rule("hosts", to=("it@us.example",), kinds=("mailbox", "smtp")),
    )
    stage.mail(orders(1, ["ST*850*0001", "BEG*00*SA*PO-1"]))
    strange(stage, 2)
    stage.run()
    assert [each["To"] for each in told(stage)] == ["sales@us.example"]


@pytest.mark.parametrize("including", [False, True])
def test_partners_in_testing_are_quiet_unless_a_rule_includes_them(tmp_path, including):
    profile = ACME.replace('status = "live"', 'status = "testing"')
    stage = with_rules(Stage(tmp_path, [profile, GLOBEX]), rule(include_testing=including))
    stage.mail(orders(1, ["ST*850*0001", "BEG*00*SA*PO-1"]).replace(b"*0*P*:", b"*0*T*:"))
    stage.run()
    assert [each.kind for each in open_alerts(stage)] != []
    assert len(told(stage)) == including


def test_what_a_partner_in_testing_sends_in_earnest_is_told_in_any_case(tmp_path):
    profile = ACME.replace('status = "live"', 'status = "testing"')
    stage = with_rules(Stage(tmp_path, [profile, GLOBEX]), rule())
    stage.mail(orders(1))
    stage.run()
    assert len(told(stage)) == 1


def test_a_muted_alert_is_told_no_more_and_closed_by_itself(tmp_path):
    stage = with_rules(Stage(tmp_path), rule(repeat=timedelta(hours=2)))
    strange(stage)
    stage.run()
    alerts.mute(stage.context(), 1, actor="jo", reason="known")
    stage.now += 5 * HOUR
    stage.run()
    assert len(told(stage)) == 1
    operate.discard(stage.context(), "m1", actor="jo", reason="spam")
    stage.now += 5 * HOUR
    stage.run()
    assert open_alerts(stage) == []
    assert len(told(stage)) == 1


def test_an_alert_closed_by_hand_is_raised_again_while_its_cause_is_there(stage):
    strange(stage)
    stage.run()
    alerts.close(stage.context(), 1, actor="jo", reason="looks done")
    assert open_alerts(stage) == []
    assert not alerts.close(stage.context(), 1, actor="jo", reason="twice").done
    with pytest.raises(NotAllowedNow):
        alerts.mute(stage.context(), 1, actor="jo", reason="too late")
    stage.now += 2 * HOUR
    stage.run()
    assert [each.id for each in open_alerts(stage)] == [1]
    assert len(told(stage)) == 2


# ---------------------------------------------------------------- what fails


def away(mail):
    if b"X-Gateway-Alert" in mail.raw:
        raise SmtpUnavailable(host="memory", reason="away")


def test_a_rule_that_cannot_tell_is_tried_again_with_the_same_bytes_and_never_stops_the_batch(stage):
    offered = []

    def refuses(mail):
        if b"X-Gateway-Alert" in mail.raw:
            offered.append(mail.raw)
            away(mail)

    stage.transport.answer = refuses
    strange(stage)
    summary = stage.run()
    assert summary.counts["alerts not told"] == 1
    assert [type(fault) for _, fault in summary.troubles][-1] is AlertNotTold
    stage.run()
    assert len(offered) == 1  # not before its pause is over
    stage.now += 2 * 60_000
    stage.run()
    assert offered[0] == offered[1]
    with stage.ledger.reading() as connection:
        failing = [each for each in attention(connection) if each.state == "not told"]
    assert [each.next_command for each in failing] == ["gateway alert test ops"]
    stage.transport.answer = None
    stage.now += HOUR
    stage.run()
    assert told(stage)[0].get_payload() in offered[0].decode()
    stage.run()
    assert [each.kind for each in open_alerts(stage)] == ["quarantined"]


def test_after_an_outage_what_happened_meanwhile_is_told_at_once(stage):
    stage.transport.answer = away
    strange(stage, 1)
    stage.run()
    strange(stage, 2)
    stage.now += HOUR
    stage.run()
    stage.transport.answer = None
    stage.now += 2 * HOUR
    stage.run()
    assert len(told(stage)) == 2
    assert "strange 1" not in text(told(stage)[1])
    assert "quarantine show 2" in text(told(stage)[1])


@pytest.mark.parametrize("by_mail", [True, False])
def test_what_is_told_late_as_open_although_it_is_over_is_told_as_over(tmp_path, by_mail):
    """Else somebody acts on what an outage held back: the next command of an overdue document sends it again."""
    heard = tmp_path / "heard"
    script = tmp_path / "tell.sh"
    script.write_text(f"#!/bin/sh\ncat >> '{heard}'\necho >> '{heard}'\n")
    stage = with_rules(Stage(tmp_path), rule() if by_mail else rule(to=(), command=str(script)))
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += 72 * HOUR
    if by_mail:
        stage.transport.answer = lambda _mail: (_ for _ in ()).throw(SmtpUnavailable(host="memory", reason="away"))
    else:
        script.chmod(0o600)
    stage.run()
    stage.transport.answer = None
    script.chmod(0o700)
    with stage.ledger.reading() as connection:
        (found,) = kept.of_kinds(connection, ["overdue"])
    stage.now += 60_000
    stage.mail(acknowledgment(1, 1))
    collect(stage.context(), "orders")
    process(stage.context())
    alerts.raise_alerts(stage.context())
    stage.now += 2 * HOUR
    stage.run()
    if by_mail:
        subjects = [each["Subject"] for each in told(stage)]
        assert [found.kind in each for each in subjects] == [True, True]
        assert "over by itself: 1 overdue" in subjects[1]
    else:
        said = [json.loads(line) for line in heard.read_text().splitlines()]
        assert [[each["id"] for each in one["alerts"]] for one in said] == [[found.id], []]
        assert [[each["id"] for each in one["over"]] for one in said] == [[], [found.id]]
    count = len(told(stage))
    stage.now += 2 * HOUR
    stage.run()
    assert len(told(stage)) == count


def test_a_rule_that_fails_is_told_by_another_way_but_never_by_mail(tmp_path):
    script = tmp_path / "tell.sh"
    script.write_text('#!/bin/sh\ncat >> "$PWD/heard"\necho >> "$PWD/heard"\n')
    script.chmod(0o755)
    stage = with_rules(Stage(tmp_path), rule(), rule("other"), rule("pager", to=(), command=str(script)))
    stage.transport.answer = away
    strange(stage)
    stage.run()
    stage.now += 2 * HOUR
    stage.run()
    heard = [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]
    assert {each["kind"] for each in heard[-1]["alerts"]} == {"not told"}
    stage.transport.answer = None
    stage.now += 5 * HOUR
    stage.run()
    assert all("not told" not in text(each) for each in told(stage))


def test_a_crash_between_telling_and_recording_is_told_again_and_said_so(stage, monkeypatch):
    def dies(*_):
        raise SystemExit

    strange(stage)
    with monkeypatch.context() as patched:
        patched.setattr(telling, "_told", dies)
        with pytest.raises(SystemExit):
            stage.run()
    assert len(told(stage)) == 1
    stage.now += HOUR
    summary = stage.run()
    first, second = told(stage)
    assert first.as_bytes() == second.as_bytes()
    assert "alert-doubt" in stage.kinds()
    assert summary.counts["alerts told again"] == 1
    stage.now += 2 * HOUR
    stage.run()
    assert [each["Subject"].partition(": ")[2] for each in told(stage)[2:]] == ["1 night"]  # over by itself


def test_a_lost_reply_is_told_again_and_said_so(stage):
    def loses(mail):
        if b"X-Gateway-Alert" in mail.raw:
            raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = loses
    strange(stage)
    stage.run()
    stage.transport.after_taking = None
    stage.now += HOUR
    stage.run()
    assert len({each["Message-ID"] for each in told(stage)}) == 1
    assert "alert-doubt" in stage.kinds()


def test_a_rule_of_which_nobody_knows_whether_it_tells_is_shown_as_not_told_until_it_does(stage):
    """As long as the SMTP host breaks off after each mail nobody may hear anything; a person must see that."""

    def lose(_mail):
        raise OutcomeUnknown(host="memory")

    stage.transport.after_taking = lose
    strange(stage)
    for _ in range(3):
        stage.run()
        stage.now += 2 * HOUR
        with stage.ledger.reading() as connection:
            assert [each.reference for each in attention(connection) if each.state == "not told"] == ["ops"]
            assert rules_failing(connection) == 1
            assert "alerts.failing" in [each.code for each in check_told(connection, stage.settings)]
    assert "not told" in [each.kind for each in open_alerts(stage)]
    stage.transport.after_taking = None
    stage.run()
    with stage.ledger.reading() as connection:
        assert rules_failing(connection) == 0


def test_who_is_refused_is_shown_while_others_are_told(tmp_path):
    stage = with_rules(Stage(tmp_path), rule(to=(OPS, "gone@us.example")))
    stage.transport.refused["gone@us.example"] = "550 no such user"
    strange(stage)
    stage.run()
    with stage.ledger.reading() as connection:
        (failing,) = [each for each in attention(connection) if each.state == "not told"]
    assert "gone@us.example" in failing.reason
    assert len(told(stage)) == 1


def test_nobody_is_told_where_all_are_refused(stage):
    stage.transport.refused[OPS] = "550 no such user"
    strange(stage)
    summary = stage.run()
    assert "550 no such user" in str(summary.troubles[-1][1])


def test_a_rule_that_is_taken_out_of_the_settings_fails_no_more(stage):
    stage.transport.refused[OPS] = "550 no such user"
    strange(stage)
    stage.run()
    with_rules(stage)
    stage.run()
    assert [each.state for each in stage.run().attention] == ["quarantined"]


# ---------------------------------------------------------------- no loops


def test_an_alert_that_comes_into_our_own_mailbox_raises_none(stage):
    strange(stage)
    stage.run()
    stage.mailbox.deliver(stage.transport.sent[-1].raw)
    stage.now += 2 * HOUR
    stage.run()
    assert len(open_alerts(stage)) == 1
    assert len(told(stage)) == 1


def bounce_of(stage, raw):
    original = email.message_from_bytes(raw)
    return (
        f"From: MAILER-DAEMON@mx.example\r\nTo: {US}\r\nSubject: Undelivered\r\nMessage-ID: <b1@mx.example>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt came back.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {OPS}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 nobody\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original['Message-ID']}\r\n\r\n--b--\r\n"
    ).encode()


def test_a_returned_alert_is_shown_and_no_mail_tells_of_it(tmp_path):
    stage = with_rules(Stage(tmp_path), rule(), rule("boss", to=("boss@us.example",)))
    strange(stage)
    stage.run()
    (ours,) = [each for each in stage.transport.sent if b"X-Gateway-Alert: ops" in each.raw]
    stage.mailbox.deliver(bounce_of(stage, ours.raw))
    stage.now += 2 * HOUR
    stage.run()
    assert "alert-returned" in stage.kinds()
    with stage.ledger.reading() as connection:
        (failing,) = [each for each in attention(connection) if each.state == "not told"]
    assert "550 nobody" in failing.reason
    stage.now += 2 * HOUR
    stage.run()
    assert len(told(stage)) == 2


def test_an_answer_to_an_alert_is_told_by_no_mail(stage):
    strange(stage)
    stage.run()
    (mail,) = told(stage)
    for _ in range(3):
        stage.mail(sender=OPS, subject="Out of office", **{"In-Reply-To": mail["Message-ID"]})
        stage.now += 2 * HOUR
        stage.run()
    assert [each.kind for each in open_alerts(stage)] == ["reply"] * 3 + ["quarantined"]
    assert len(told(stage)) == 1


# ---------------------------------------------------------------- rows


def test_alert_mails_are_kept_with_their_bytes_and_their_state(stage):
    strange(stage)
    stage.run()
    (row,) = [each for each in stage.rows("message") if each["kind"] == "alert"]
    assert (row["direction"], row["state"]) == ("out", "sent")
    assert stage.ledger.content(row["sha256"]) == stage.transport.sent[-1].raw


def test_a_test_is_told_at_once_whatever_the_interval(stage):
    strange(stage)
    stage.run()
    telling.test(stage.context(), stage.settings.alerts[0])
    assert told(stage)[1]["Subject"] == "[Example Co] Test of the alert rule ops"
    assert "alert-tested" in stage.kinds()


def test_without_rules_alerts_are_raised_and_nobody_is_told(tmp_path):
    stage = Stage(tmp_path)
    strange(stage)
    stage.run()
    assert len(open_alerts(stage)) == 1
    assert stage.sent == []


def test_every_kind_is_explained_on_the_page_of_alerts():
    page = (Path(__file__).resolve().parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert [kind for kind, meaning in KINDS.items() if f"| `{kind}` | {meaning} |" not in page] == []


# ---------------------------------------------------------------- workers


def keeps_house(stage):
    """One round of a worker's housekeeping."""
    return Crew(stage.context, 0).do("housekeeping")


def test_a_rule_that_fails_under_a_worker_is_one_alert_and_over_when_it_tells_again(tmp_path):
    command = rule("pager", to=(), command=str(tmp_path / "not-there"))
    stage = with_rules(Stage(tmp_path), command, rule("ops", kinds=("other", "not told", "quarantined")))
    strange(stage)
    collect(stage.context(), "orders")
    process(stage.context())
    for _ in range(3):
        keeps_house(stage)
        stage.now += 2 * HOUR
    assert sorted(each.kind for each in open_alerts(stage)) == ["not told", "quarantined"]
    with_rules(stage, replace(command, command="true"), *stage.settings.alerts[1:])
    for _ in range(2):
        keeps_house(stage)
        stage.now += 2 * HOUR
    assert [each.kind for each in open_alerts(stage)] == ["quarantined"]


def test_what_a_step_of_housekeeping_met_is_over_when_it_works_again(stage, monkeypatch):
    def breaks(_context):
        raise MailboxUnavailable(mailbox="seal", host="memory", reason="away")

    with monkeypatch.context() as patch:
        patch.setattr(work_units, "_KEEPING", (*work_units._KEEPING[:-1], ("seal", breaks)))
        keeps_house(stage)
    assert [(each.kind, each.reference) for each in open_alerts(stage)] == [("mailbox", "seal")]
    keeps_house(stage)
    assert open_alerts(stage) == []


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("sending to acme", LeaseLost(name="partner:acme")),
        ("deliver", DeliveryFailed(what="a", target="b", reason="c")),
    ],
)
def test_what_the_ledger_tells_of_anyway_is_no_alert_beside_it(stage, where, fault):
    alerts.met(stage.context(), "dispatch", "", [(where, fault)])
    assert open_alerts(stage) == []


def test_each_machine_speaks_for_its_own_outbox(stage, monkeypatch):
    """Both put their files into alerts of one ledger, and neither ends what only the other can see."""
    here, there = stage.settings.outbox, stage.directory / "outbox of the other"
    monkeypatch.setattr("socket.gethostname", lambda: "one")
    shared = replace(stage.context(), leases=SharedLeases(stage.engine))
    other = replace(shared, settings=replace(stage.settings, outbox=there))
    (there / "acme" / ".refused").mkdir(parents=True)
    bad = there / "acme" / ".refused" / "bad.edi"
    bad.write_bytes(b"")
    alerts.met(other, "submit", "other", [])
    (found,) = open_alerts(stage)
    assert found.subject.startswith("bad.edi in the outbox of acme on one could not be sent")
    alerts.met(shared, "submit", "here", [])
    alerts.raise_alerts(replace(shared, troubles=()))
    assert [each.id for each in open_alerts(stage)] == [found.id]
    assert found.reference == f"one:{there}/acme/bad.edi"
    assert not here.exists()
    bad.unlink()
    alerts.met(other, "submit", "other", [])
    assert open_alerts(stage) == []


def test_what_a_unit_of_a_worker_met_is_raised_and_closed_by_the_same_unit(stage):
    away = MailboxUnavailable(mailbox="orders", host="memory", reason="away")
    other = MailboxUnavailable(mailbox="orders2", host="memory", reason="away")
    alerts.met(stage.context(), "collect", "orders", [("mailbox orders", away)])
    alerts.met(stage.context(), "collect", "orders2", [("mailbox orders2", other)])
    assert sorted(each.reference for each in open_alerts(stage)) == ["mailbox orders", "mailbox orders2"]
    alerts.met(stage.context(), "dispatch", "", [])
    alerts.met(stage.context(), "collect", "orders", [])
    assert [each.reference for each in open_alerts(stage)] == ["mailbox orders2"]


def test_a_refused_document_is_closed_by_the_unit_that_submits(stage):
    place = stage.settings.outbox / "acme" / ".refused"
    place.mkdir(parents=True)
    (place / "bad.edi").write_bytes(b"")
    alerts.met(stage.context(), "submit", "here", [])
    assert [each.kind for each in open_alerts(stage)] == ["document refused"]
    (place / "bad.edi").unlink()
    alerts.met(stage.context(), "submit", "here", [])
    assert open_alerts(stage) == []
