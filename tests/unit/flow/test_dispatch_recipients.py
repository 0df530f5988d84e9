"""A mail that some recipients get and others do not: who has it keeps it, who may get it later is asked again."""

from __future__ import annotations

import pytest
from builders.stage import ACME, HOUR, US, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace

from gateway.errors import ConfigurationFault, OutcomeUnknown
from gateway.flow import operate
from gateway.flow.dispatch import dispatch
from gateway.flow.submit import submit
from gateway.mail.verp import Tokens

COPY = "copy@acme.example"
FIRST = "edi@acme.example"
PROFILE = ACME + f'\n[agreement.mail]\ncc = ["{COPY}"]\n'


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [PROFILE])


def send(stage, number="INV-1"):
    return submit(stage.context(), "acme", invoice(number), name=number)


def bodies(stage, kind):
    return [row["body"] for row in stage.rows("event") if row["kind"] == kind]


def test_a_recipient_refused_for_good_is_shown_to_a_person_and_the_mail_counts_as_sent(stage):
    stage.transport.refused[COPY] = "550 5.1.1 no such user"
    send(stage)
    summary = stage.run()
    assert stage.states("out") == ["sent"]
    assert stage.rows("outgoing") == []
    assert "550 5.1.1" in bodies(stage, "recipient-refused")[0]
    (attention,) = summary.attention
    assert (attention.state, COPY in attention.reason) == ("sent, not to all", True)
    assert summary.exit_code == 65
    operate.settle(stage.context(), 1, actor="anna", reason="left the company")
    assert stage.run().attention == ()


def test_a_recipient_refused_for_a_time_gets_the_same_bytes_later_and_nobody_else_does(stage):
    stage.transport.refused[COPY] = "450 4.2.2 mailbox full"
    send(stage)
    assert stage.run().exit_code == 0
    assert stage.states("out") == ["sent"]
    assert "4.2.2" in bodies(stage, "recipient-deferred")[0]
    stage.transport.refused.clear()
    stage.run()
    assert len(stage.sent) == 1  # its pause is not over
    stage.now += HOUR
    stage.run()
    first, second = stage.transport.sent
    assert (first.recipients, second.recipients) == ((FIRST, COPY), (COPY,))
    assert first.raw == second.raw
    assert stage.states("out") == ["sent"]
    assert stage.rows("outgoing") == []
    assert stage.run().attention == ()


def test_the_rest_does_not_disturb_what_the_partner_says_meanwhile(stage):
    stage.transport.refused[COPY] = "450 4.2.2 mailbox full"
    send(stage)
    stage.run()
    stage.mail(acknowledgment(1, 1))
    stage.now += HOUR
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    stage.transport.refused.clear()
    stage.now += HOUR
    stage.run()
    assert stage.states("out") == ["acknowledged"]
    assert stage.transport.sent[-1].recipients == (COPY,)


def test_a_recipient_refused_again_and_again_is_given_up_and_shown(stage):
    stage.transport.refused[COPY] = "450 4.2.2 mailbox full"
    send(stage)
    for _ in range(20):
        stage.run()
        stage.now += 12 * HOUR
    assert stage.states("out") == ["overdue"]
    assert stage.rows("outgoing") == []
    assert len(bodies(stage, "sending")) == stage.settings.attempts
    assert len(bodies(stage, "recipient-refused")) == 1


def test_each_recipient_has_its_own_fate(tmp_path):
    stage = Stage(tmp_path, [PROFILE.replace(f'["{COPY}"]', f'["{COPY}", "gone@acme.example"]')])
    stage.transport.refused |= {COPY: "450 later", "gone@acme.example": "550 no"}
    send(stage)
    stage.run()
    assert stage.rows("outgoing")[0]["recipients"] == f'["{COPY}"]'
    assert [each.reason.count("gone@acme.example") for each in stage.run().attention] == [1]


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_a_doubt_about_the_rest_is_no_doubt_about_the_exchange(tmp_path, policy):
    stage = Stage(tmp_path, [PROFILE.replace('name = "invoices"', f'name = "invoices"\non_doubt = "{policy}"')])
    stage.transport.refused[COPY] = "450 later"
    send(stage)
    stage.run()
    stage.transport.refused.clear()
    lost = iter([OutcomeUnknown(host="memory")])

    def after(mail):
        fault = next(lost, None)
        if fault:
            raise fault

    stage.transport.after_taking = after
    stage.now += HOUR
    summary = stage.run()
    stage.now += HOUR
    stage.run()
    assert stage.states("out") == ["sent"]
    copies = [mail for mail in stage.transport.sent if mail.recipients == (COPY,)]
    assert len(copies) == (2 if policy == "resend" else 1)
    assert len(summary.attention) == (0 if policy == "resend" else 1)


def test_what_was_resent_and_taken_by_all_needs_nobody_any_more(stage):
    stage.transport.refused[COPY] = "550 no such user"
    send(stage)
    stage.run()
    stage.transport.refused.clear()
    operate.resend(stage.context(), 1, actor="anna", reason="address corrected")
    assert stage.run().attention == ()


# ---------------------------------------------------------------- the envelope


def test_each_mail_has_an_envelope_id_and_with_verp_a_sender_of_its_own(stage):
    send(stage)
    stage.run()
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, verp=True))
    send(stage, "INV-2")
    stage.run()
    plain, tagged = stage.transport.sent
    tokens = Tokens(stage.context().tokens.key)
    assert (plain.envelope_sender, tokens.exchange(plain.envelope_id)) == (US, 1)
    assert tokens.exchange(tagged.envelope_id) == 2
    assert tokens.exchange_of([tagged.envelope_sender]) == 2
    assert tagged.envelope_sender.startswith("edi+b2-")
    assert [mail["From"] for mail in stage.sent] == [f"Example Co <{US}>" if "<" in mail["From"] else US
                                                      for mail in stage.sent]  # fmt: skip


def test_verp_without_a_key_is_a_fault_of_the_configuration_and_loses_nothing(stage):
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, verp=True))
    send(stage)
    with pytest.raises(ConfigurationFault):
        dispatch(replace(stage.context(), tokens=None))
    assert stage.states("out") == ["ready"]


def test_the_name_under_which_the_host_keeps_a_mail_is_kept(stage):
    send(stage)
    stage.run()
    assert '"queue_id":"1"' in bodies(stage, "sent")[0]
    assert stage.rows("exchange")[0]["smtp_reply"] == "250 2.0.0 kept as 1"


def test_what_failed_and_came_there_after_all_needs_nobody(stage):
    stage.transport.refused |= {FIRST: "550 no", COPY: "550 no"}
    send(stage)
    stage.run()
    assert stage.states("out") == ["failed"]
    stage.mail(acknowledgment(1, 1))
    assert stage.run().attention == ()
    assert stage.states("out") == ["acknowledged"]


def test_what_goes_again_goes_to_the_address_that_the_profile_names_by_now(stage):
    """The advice for an address that does not exist: correct it in the profile, then resend."""
    stage.profiles = [ACME]
    stage.transport.refused[FIRST] = "550 5.1.1 no such user"
    stage.mail(orders(1))
    send(stage)
    stage.run()
    assert stage.states("out") == ["failed", "failed"]
    stage.profiles = [ACME.replace(f'"{FIRST}", "edi2@acme.example"', '"new@acme.example"')]
    for exchange in (1, 3):
        operate.resend(stage.context(), exchange, actor="anna", reason="corrected")
    stage.run()
    assert [each.recipients for each in stage.transport.sent] == [("new@acme.example",)] * 2
    assert stage.states("out") == ["sent", "complete"]
    assert "new@acme.example" in bodies(stage, "sending")[-1]
    assert "new@acme.example" in bodies(stage, "sent")[-1]


def test_of_several_recipients_those_who_are_not_named_any_more_get_nothing(stage):
    old = "old@acme.example"
    stage.profiles = [PROFILE.replace("[agreement.mail]", f'[agreement.mail]\nto = ["{old}"]')]
    submit(stage.context(), "acme", invoice("INV-1"))
    stage.profiles = [PROFILE.replace("[agreement.mail]", '[agreement.mail]\nto = ["new@acme.example"]')]
    submit(stage.context(), "acme", invoice("INV-2"))
    stage.profiles = [ACME + '\n[agreement.mail]\nto = ["new@acme.example"]\n']
    stage.run()
    assert [each.recipients for each in stage.transport.sent] == [("new@acme.example",)] * 2
    assert stage.states("out") == ["sent", "sent"]
    assert stage.rows("outgoing") == []


def test_whoever_has_copies_still_gets_them_where_the_first_recipient_is_another_one(stage):
    send(stage)
    stage.profiles = [PROFILE.replace(f'"{FIRST}", ', "")]
    stage.transport.refused[COPY] = "450 4.2.2 mailbox full"
    stage.run()
    stage.transport.refused.clear()
    stage.now += HOUR
    stage.run()
    recipients = [each.recipients for each in stage.transport.sent]
    assert recipients == [("edi2@acme.example", COPY), (COPY,)]
    assert stage.states("out") == ["sent"]


def test_the_answer_to_a_duplicate_goes_to_whoever_has_the_identity_by_now(stage):
    """A partner that goes on under another key; and one that got the identity, and other addresses."""
    stage.mail(orders(1))
    stage.run()
    stage.profiles = [PROFILE.replace('"live"', '"ended"'), PROFILE.replace('key = "acme"', 'key = "acme-new"')]
    stage.mail(orders(1))
    stage.run()
    assert stage.transport.sent[-1].recipients == (FIRST,)
    stage.profiles = [
        PROFILE.replace("ZZ:ACMERETAIL", "ZZ:ACMEOTHER"),
        PROFILE.replace('key = "acme"', 'key = "birch"').replace("@acme.example", "@birch.example"),
    ]
    stage.mail(orders(1), sender="edi@birch.example")
    stage.run()
    assert len(stage.transport.sent) == 3
    assert stage.transport.sent[-1].recipients == ("edi@birch.example",)


def test_what_waits_goes_from_the_sender_that_we_have_by_now(stage):
    """The host that took nothing was replaced, and the new one takes mail from its own account alone."""
    stage.profiles = [ACME]
    stage.transport.refused[FIRST] = "451 4.3.2 out of order"
    send(stage)
    stage.run()
    stage.transport.refused.clear()
    sender = "edi@elsewhere.example"
    stage.settings = replace(stage.settings, smtp=replace(stage.settings.smtp, sender=sender))
    stage.now += HOUR
    stage.run()
    assert [each.envelope_sender for each in stage.transport.sent] == [sender]
