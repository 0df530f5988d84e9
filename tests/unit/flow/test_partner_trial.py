"""A test with a partner: sent as one, and each verdict that can come of it."""

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, ta1

from gateway.errors import NoAgreement, NotAllowedNow, NotFound, UsageFault
from gateway.flow.operate import resend
from gateway.flow.partner_trial import FAILED, OK, WAITING, last_test, send_test, verdict
from gateway.x12 import examine
from gateway.x12.model import Status

TESTING = ACME.replace('"live"', '"testing"')


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [TESTING, GLOBEX])


def begun(stage, **options):
    number = send_test(stage.context(), "acme", **options)
    stage.run()
    return number


def steps(found):
    return {each.name: each.state for each in found.steps}


def tried(data):
    return data.replace(b"*0*P*:", b"*0*T*:")


def test_the_sample_conforms_is_a_test_and_is_another_each_time(stage):
    first, second = begun(stage), begun(stage)
    assert first != second
    raws = [part for mail in stage.sent for part in [mail.get_payload()[-1].get_payload(decode=True)]]
    reports = [next(examine(raw)) for raw in raws]
    assert [each.status for each in reports] == [Status.ACCEPTED, Status.ACCEPTED]
    assert [each.header.usage for each in reports] == ["T", "T"]
    assert [[one.id for one in each.sets] for each in reports] == [["810"], ["810"]]
    assert last_test(stage.context(), "acme") == second
    assert b"".join(raws[:1]).split(b"BIG", 1)[1] != raws[1].split(b"BIG", 1)[1]


def test_a_live_partner_gets_a_test_too(tmp_path):
    stage = Stage(tmp_path, [ACME])
    begun(stage)
    assert stage.sent_edi[0][0][15] == "T"


def test_the_verdict_waits_then_tells_of_acceptance(stage):
    number = send_test(stage.context(), "acme", "855")
    found = verdict(stage.context(), number)
    assert (found.result, steps(found)["handed over"]) == ("waiting", WAITING)
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, found.final, steps(found)) == (
        "waiting",
        False,
        {"submitted": OK, "handed over": OK, "997 or 999": WAITING},
    )
    assert found.next_command == "gateway partner test acme --result"
    stage.mail(tried(acknowledgment(1, 1, functional_id="PR").replace(b"AK2*810", b"AK2*855")))
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, found.final, steps(found)["997"]) == ("accepted", True, OK)
    assert found.next_command == "gateway partner checklist acme"


def test_a_rejection_is_told_with_what_the_partner_found(stage):
    number = begun(stage)
    stage.mail(tried(acknowledgment(1, 1, "R")))
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, steps(found)["997"]) == ("rejected", FAILED)
    assert found.findings
    assert found.next_command == f"gateway exchange show {number}"


def test_a_rejected_one_that_was_sent_again_waits_for_its_next_word(stage):
    number = begun(stage)
    stage.mail(tried(acknowledgment(1, 1, "R")))
    stage.run()
    stage.now += HOUR
    resend(stage.context(), number, actor="anna", reason="their map is mended")
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, steps(found)["997 or 999"]) == ("waiting", WAITING)
    stage.mail(tried(acknowledgment(2, 1)))
    stage.run()
    assert verdict(stage.context(), number).result == "accepted"


def test_a_rejecting_ta1_is_the_verdict(tmp_path):
    stage = Stage(
        tmp_path,
        [TESTING.replace('name = "invoices"', 'name = "invoices"') + "[agreement.envelope]\nrequest_ta1 = true\n"],
    )
    number = begun(stage)
    assert steps(verdict(stage.context(), number))["TA1"] == WAITING
    stage.mail(tried(ta1(1, 1, "R", "006")))
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, steps(found)["TA1"]) == ("rejected", FAILED)
    assert any("006" in each.sentence for each in found.steps)


def test_what_is_late_is_a_verdict(stage):
    number = begun(stage)
    stage.now += 30 * HOUR
    stage.run()
    assert verdict(stage.context(), number).result == "overdue"


def test_a_mail_that_comes_back_is_a_verdict(stage):
    number = begun(stage)
    name = stage.rows("message")[-1]["message_id"]
    stage.mailbox.deliver(
        b"From: MAILER-DAEMON@acme.example\r\nTo: edi@us.example\r\nSubject: failure\r\n"
        b"Auto-Submitted: auto-replied\r\n"
        b"Message-ID: <b@acme.example>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nno such user\r\n"
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.acme.example\r\n\r\n"
        b"Final-Recipient: rfc822; edi@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--x\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: " + str(name).encode() + b"\r\n\r\n--x--\r\n"
    )
    stage.run()
    found = verdict(stage.context(), number)
    assert (found.result, steps(found)["delivered"]) == ("bounced", FAILED)
    assert found.next_command == "gateway partner check acme"
    stage.now += HOUR
    resend(stage.context(), number, actor="anna", reason="the address exists now")
    stage.run()
    assert verdict(stage.context(), number).result == "waiting"
    group = next(row for row in stage.rows("functional_group") if row["exchange"] == number)
    stage.mail(tried(acknowledgment(20, int(str(group["control_number"])))))
    stage.run()
    assert verdict(stage.context(), number).result == "accepted"


def test_what_the_host_does_not_take_for_now_is_told(stage):
    stage.transport.refused["edi@acme.example"] = "451 later"
    found = verdict(stage.context(), begun(stage))
    assert (found.result, steps(found)["handed over"]) == ("waiting", WAITING)
    assert "451 later" in found.steps[1].sentence


def test_what_cannot_be_tested_is_refused_in_words(stage):
    with pytest.raises(NoAgreement):
        send_test(stage.context(), "acme", "856")
    with pytest.raises(NotFound):
        last_test(stage.context(), "acme")
    stage.profiles = [TESTING.replace('["810", "855"]', '["Z99"]')]
    with pytest.raises(UsageFault, match="--file"):
        send_test(stage.context(), "acme")
    stage.profiles = [TESTING.replace('["810", "855"]', '["*"]')]
    with pytest.raises(UsageFault, match="--type"):
        send_test(stage.context(), "acme")
    stage.profiles = [ACME.replace('"live"', '"draft"')]
    with pytest.raises(NotAllowedNow, match="--testing"):
        send_test(stage.context(), "acme")


def test_a_dry_run_sends_nothing(stage):
    assert send_test(stage.context(), "acme", dry_run=True) is None
    assert stage.rows("exchange") == []


@pytest.mark.parametrize("version", ["004010", "005010", "003040"])
@pytest.mark.parametrize("name", ["810", "850", "855", "856", "820"])
def test_every_common_set_can_be_made_up_and_passes_our_own_check(tmp_path, name, version):
    text = TESTING.replace('["810", "855"]', f'["{name}"]').replace(
        'versions = ["004010"]', f'versions = ["{version}"]'
    )
    stage = Stage(tmp_path, [text])
    assert send_test(stage.context(), "acme", dry_run=True) is None


@pytest.mark.parametrize(
    ("name", "version"), [("837", "005010X222A1"), ("835", "005010X221A1"), ("270", "005010X279A1")]
)
def test_a_set_of_a_guide_can_be_made_up(tmp_path, name, version):
    text = TESTING.replace('["810", "855"]', f'["{name}"]').replace(
        'versions = ["004010"]\n', f'versions = ["{version}"]\n'
    )
    stage = Stage(tmp_path, [text])
    number = begun(stage)
    assert stage.rows("exchange")[0]["versions"] == version
    assert number == 1
