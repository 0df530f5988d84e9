"""Why nothing flows: each cause is found in the ledger, the profile or the DNS, and the gravest is named."""

import dns.resolver
import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace

from gateway.errors import DnsUnavailable, SmtpUnavailable, UnknownPartner
from gateway.flow.partner_check import NOTE, OK, WRONG, check_partner
from gateway.flow.partner_dns import look_up, resolver
from gateway.flow.partner_trial import send_test, verdict
from gateway.flow.submit import submit

RECORDS = {
    ("acme.example", "MX"): ("20 mx2.acme.example.", "10 mx1.acme.example."),
    ("acme.example", "TXT"): ("something", "v=spf1 mx -all"),
    ("_dmarc.acme.example", "TXT"): ("v=DMARC1; p=reject",),
}


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path, [ACME, GLOBEX])
    stage.run()
    return stage


def ask(name, kind):
    return RECORDS.get((name, kind), ())


def checked(stage, dns=ask, key="acme"):
    return check_partner(stage.context(), key, dns)


def found(stage, name, state=WRONG, dns=ask):
    return [each for each in checked(stage, dns).observations if (each.name, each.state) == (name, state)]


def test_with_everything_in_order_nothing_is_wrong(stage):
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += HOUR
    result = checked(stage)
    assert result.cause is None
    assert result.conclusion == "Nothing is wrong that can be seen from here."
    said = " ".join(each.sentence for each in result.observations)
    assert "Its last mail came 1 h ago, in the mailbox orders." in said
    assert "Our last mail to it went 1 h ago." in said
    assert "Mail to acme.example goes to mx1.acme.example, mx2.acme.example." in said
    assert "acme.example has SPF and DMARC." in said
    assert result.as_dict()["wrong"] is False


@pytest.mark.parametrize(
    ("status", "command"), [("draft", "activate acme --testing"), ("suspended", "activate acme"), ("ended", "activate")]
)
def test_a_partner_with_whom_nothing_is_exchanged_says_so_first(stage, status, command):
    stage.profiles = [ACME.replace('"live"', f'"{status}"')]
    stage.mail(orders(1))
    stage.run()
    result = checked(stage)
    assert result.cause.name == "status"
    assert command in result.cause.next_command


def test_an_address_that_the_profile_does_not_know_is_named(stage):
    stage.mail(orders(1), sender="orders@acme.example")
    stage.run()
    assert checked(stage).cause.sentence.startswith("orders@acme.example is no address in the profile")


def test_a_stranger_with_an_identity_like_the_partners_is_named(stage):
    stage.mail(orders(1, sender="01:ACMERETAIL"), sender="edi@elsewhere.example")
    stage.run()
    assert found(stage, "address")[0].sentence.startswith("edi@elsewhere.example is no address")
    assert checked(stage, dns=None, key="globex").cause is None


def test_an_identity_that_differs_only_by_its_qualifier_is_explained(stage):
    stage.mail(orders(1, sender="01:ACMERETAIL"))
    stage.run()
    (said,) = found(stage, "identity")
    assert "the profile has ZZ:ACMERETAIL: only the qualifier differs: 01 instead of ZZ" in said.sentence
    assert said.next_command.startswith("gateway quarantine show ")


def test_another_name_for_us_is_explained(stage):
    stage.mail(orders(1, receiver="ZZ:EXAMPLECO1"))
    stage.run()
    (said,) = found(stage, "receiver")
    assert "ours is ZZ:EXAMPLECO: '1' was added to it" in said.sentence


def test_a_test_that_waits_because_the_partner_is_live_is_told_in_its_own_words(stage):
    stage.mail(orders(1).replace(b"*0*P*:", b"*0*T*:"))
    stage.run()
    assert "is a test (ISA15 T), and acme is live" in found(stage, "quarantine")[0].sentence


def test_what_we_rejected_is_told_until_something_was_accepted_after_it(stage):
    broken = orders(1).replace(b"PO1*1*12*EA", b"PO1*1*many*EA")
    stage.mail(broken)
    stage.run()
    assert "was rejected" in found(stage, "rejected")[0].sentence
    stage.now += HOUR
    stage.mail(orders(2))
    stage.run()
    assert found(stage, "rejected") == []
    assert found(stage, "rejected", NOTE)


def test_what_the_partner_rejects_and_what_it_owes_are_told(stage):
    submit(stage.context(), "acme", invoice())
    stage.run()
    assert found(stage, "acknowledgments", NOTE)
    stage.now += 30 * HOUR
    stage.run()
    assert (
        "It owes us 1 acknowledgment that should be here; the oldest is" in found(stage, "acknowledgments")[0].sentence
    )
    stage.mail(acknowledgment(1, 1, "R"))
    stage.run()
    assert "It rejected our interchange 000000001" in found(stage, "acknowledgments")[-1].sentence


def test_mails_that_are_not_taken_or_come_back_are_told(stage):
    stage.transport.refused["edi@acme.example"] = "451 later"
    submit(stage.context(), "acme", invoice())
    stage.run()
    assert "1 mail to it not sent yet, after up to 1 attempt." in found(stage, "sending")[0].sentence
    stage.transport.refused["edi@acme.example"] = "550 no such user"
    stage.now += 12 * HOUR
    stage.run()
    assert "refused by our SMTP host for good" in found(stage, "sending")[0].sentence


def test_missing_numbers_and_undelivered_documents_are_told(stage):
    (stage.settings.inbox).mkdir()
    (stage.settings.inbox / "acme").write_text("in the way")
    stage.mail(orders(1))
    stage.mail(orders(4))
    stage.run()
    stage.now += 30 * HOUR
    stage.run()
    assert "2 accepted interchanges could not be handed" in found(stage, "delivery")[0].sentence
    assert "2 to 3 of ZZ:ACMERETAIL did not come" in found(stage, "numbers")[0].sentence


def test_a_host_that_is_away_is_told_as_the_cause_and_by_the_verdict_of_a_test(stage):
    def away(mail):
        raise SmtpUnavailable(host="mx.us.example", reason="Connection refused")

    stage.transport.answer = away
    number = send_test(stage.context(), "acme")
    stage.run()
    result = checked(stage)
    assert (result.cause.name, result.cause.next_command) == ("host", "gateway doctor")
    assert "mx.us.example" in result.cause.sentence
    assert "what they answer is not sent yet" in found(stage, "acknowledgments", NOTE)[0].sentence
    assert "mx.us.example" in verdict(stage.context(), number).steps[1].sentence
    stage.transport.answer = None
    stage.now += HOUR
    stage.run()
    assert found(stage, "host") == []


def test_a_mail_without_an_interchange_is_a_mail_that_came(stage):
    stage.mail(body="shall we begin?", sender="EDI@acme.example")
    stage.run()
    assert found(stage, "received", OK)[0].sentence.startswith("Its last mail came 0 s ago")
    assert found(stage, "received", NOTE) == []


def test_a_stranger_at_a_host_where_everybody_has_an_address_is_not_the_partner(tmp_path):
    stage = Stage(tmp_path, [ACME.replace("edi@acme.example", "acme.edi@gmail.com")])
    stage.mail(orders(1, sender="ZZ:SOMEBODY"), sender="somebody.else@gmail.com")
    stage.run()
    assert checked(stage, dns=None).cause is None
    stage.mail(orders(2), sender="somebody.else@gmail.com")
    stage.run()
    assert "somebody.else@gmail.com is no address" in checked(stage, dns=None).cause.sentence


def test_a_gateway_that_does_not_run_is_found(tmp_path):
    stage = Stage(tmp_path, [ACME])
    assert checked(stage).cause.sentence == "No batch has ever run."
    stage.run()
    stage.now += 50 * HOUR
    assert "The last batch ran 2 d 2 h ago, more than a day." in checked(stage).cause.sentence
    empty = replace(stage.context(), mailboxes=(), transport=None)
    names = [each.name for each in check_partner(empty, "acme", ask).observations if each.state == WRONG]
    assert names[:2] == ["mailbox", "smtp"]


def test_a_certificate_that_is_needed_and_not_there_is_told(stage):
    stage.profiles = [ACME.replace('name = "ACME Retail"', 'evidence = "signed"')]
    assert "no trusted certificate" in found(stage, "certificate")[0].sentence


def test_a_place_for_an_address_is_told_and_not_asked_of_the_dns(stage):
    stage.profiles = [ACME.replace("edi@acme.example", "acme@address-unknown.invalid").replace("edi2@", "e@")]
    result = checked(stage)
    assert result.cause.name == "addresses"
    assert not [each for each in result.observations if "invalid has" in each.sentence]


def test_a_domain_that_takes_no_mail_is_wrong(stage):
    assert "takes no mail" in found(stage, "dns", dns=lambda *_: ())[0].sentence
    nothing = found(stage, "dns", dns=lambda _, kind: ("0 .",) if kind == "MX" else ())
    assert "takes no mail" in nothing[0].sentence
    only_address = found(stage, "dns", OK, dns=lambda _, kind: ("192.0.2.1",) if kind == "A" else ())
    assert "without an MX" in only_address[0].sentence


def test_without_a_resolver_that_is_said_once(stage):
    def silent(name, kind):
        raise DnsUnavailable(name=name, reason="no answer within 3 s")

    (said,) = found(stage, "dns", NOTE, dns=silent)
    assert said.sentence == "The DNS could not be asked of acme.example: no answer within 3 s."
    (said,) = found(stage, "dns", NOTE, dns=None)
    assert said.sentence == "The DNS was not asked."


def test_a_resolver_that_does_not_answer_is_asked_once():
    """192.0.2.1 is nobody's (RFC 5737)."""
    nobody = dns.resolver.Resolver(configure=False)
    nobody.nameservers = ["127.0.0.1"]
    nobody.port = 9
    asked = resolver(0.3, nobody)
    for _ in range(3):
        with pytest.raises(DnsUnavailable):
            look_up("acme.example", asked)


def test_of_a_partner_that_is_not_there_nothing_is_said(stage):
    with pytest.raises(UnknownPartner):
        checked(stage, key="nobody")
