"""Proposals of profiles: what is inferred, from what, and what is marked for a person."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from gateway.errors import ProfileInvalid
from partners.learning import Known, SeenGroup, SeenInterchange, SeenMail, key_for, learn
from partners.learning_habits import habit
from partners.learning_text import Block, Line, profile_text
from partners.model import Direction, FunctionalAck, Identity, Numbering, Separators, Status
from partners.profile import read_profile

OURS, THEIRS = Identity("ZZ", "EXAMPLECO"), Identity("01", "123456789")
KNOWN = Known((OURS,))
ORDER = SeenGroup("PO", "123456789", "EXAMPLECO", "7", "004010", ("850",))
INVOICE = SeenGroup("IN", "EXAMPLEAPP", "THEIRAPP", "91", "005010", ("810",))
ACK = SeenGroup("FA", "123456789", "EXAMPLECO", "8", "004010", ("997",), ("810", "856"))


def seen(number=1, *groups, **changes):
    made = SeenInterchange(
        source=f"file{number}.edi",
        sender=THEIRS,
        receiver=OURS,
        control_number=f"{number:09}",
        at=f"2026110{number % 9 + 1}1200",
        version="00401",
        usage="P",
        asks_ta1=False,
        separators=Separators(),
        groups=groups or (ORDER,),
    )
    return replace(made, **changes)


def one(*interchanges, mails=(), **options):
    proposals, odd = learn(interchanges, mails, KNOWN, **options)
    assert odd == ()
    (proposal,) = proposals
    return proposal, read_profile(proposal.text)


def test_every_line_says_from_what_it_was_inferred():
    proposal, _ = one(seen(1))
    lines = [each for each in proposal.text.splitlines() if " = " in each]
    assert all("  # " in each for each in lines)
    assert 'identities = ["01:123456789"]  # from ISA05 and ISA06 in file1.edi' in lines
    assert 'versions = ["004010"]  # from GS08 in file1.edi' in lines


def test_a_key_that_was_given_says_so():
    (given,), _ = learn([seen(1)], (), KNOWN, key="chosen")
    assert 'key = "chosen"  # as given; names the partner' in given.text
    assert 'key = "123456789"  # from the identity; names' in one(seen(1))[0].text


def test_a_first_interchange_gives_a_draft_that_waits_for_its_address():
    proposal, partner = one(seen(1))
    assert partner.status is Status.DRAFT
    assert partner.addresses[0].endswith(".invalid")
    assert "# CHECK: no mail was seen" in proposal.text
    assert any("no mail was seen" in each for each in proposal.checks)
    assert [(each.direction, each.sets, each.versions) for each in partner.agreements] == [
        (Direction.IN, ("850",), ("004010",))
    ]


def test_both_directions_separators_and_acknowledgment_habits_are_learned():
    ours = seen(
        2,
        INVOICE,
        sender=OURS,
        receiver=THEIRS,
        version="00401",
        asks_ta1=True,
        separators=Separators("|", ">", "\n", "^"),
    )
    answers = replace(ORDER, functional_id="FA", sets=("999",), control_number="55")
    proposal, partner = one(seen(1, asks_ta1=True), ours, seen(3, ACK), seen(4, answers, sender=OURS, receiver=THEIRS))
    inbound, outbound = partner.agreements
    assert inbound.acknowledgment.functional is FunctionalAck.F999  # what they got so far
    assert "from ISA14 of 1 of 2 interchanges" in proposal.text
    assert outbound.acknowledgment.functional is FunctionalAck.F997
    assert outbound.envelope.request_ta1
    assert outbound.envelope.interchange_version == "00401"  # GS08 005010 would give 00501
    assert (outbound.envelope.application_sender, outbound.envelope.application_receiver) == ("EXAMPLEAPP", "THEIRAPP")
    assert outbound.envelope.separators == Separators("|", ">", "\n", "^")
    assert (proposal.came, proposal.went) == (2, 2)


@pytest.mark.parametrize(
    ("at", "within"), [("202611031230", "4h"), ("202611031700", "12h"), ("202611031100", None), ("202612031200", None)]
)
def test_how_soon_they_acknowledged_is_learned_with_time_to_spare(at, within):
    ours = seen(2, INVOICE, sender=OURS, receiver=THEIRS, at="202611031200")
    ack = replace(ACK, answers=("91", "7777"))
    proposal, partner = one(ours, seen(3, ack, at=at))
    found = partner.agreements[0].acknowledgment.within
    assert found == (timedelta(hours=int(within[:-1])) if within else timedelta(hours=24))
    assert ("by ISA09 and ISA10" in proposal.text) is bool(within)


def test_what_the_partner_acknowledges_we_must_have_sent():
    _, partner = one(seen(1, ACK))
    (agreement,) = partner.agreements
    assert (agreement.direction, agreement.sets) == (Direction.OUT, ("810", "856"))


def test_the_last_numbers_of_both_directions_are_told_by_pair():
    other = Identity("ZZ", "OTHERUS")
    went = [seen(n, INVOICE, sender=OURS, receiver=THEIRS) for n in (7, 8)]
    proposals, _ = learn(
        [seen(3), seen(4, receiver=other), *went], [], Known((OURS, other), {}, frozenset({"123456789"}))
    )
    (proposal,) = proposals
    assert proposal.key == "123456789-2"
    numbers = {(each.direction, str(each.ours)): (each.interchange, each.group) for each in proposal.numbers}
    assert numbers == {("out", "ZZ:EXAMPLECO"): (8, 91), ("in", "ZZ:EXAMPLECO"): (3, 7), ("in", "ZZ:OTHERUS"): (4, 7)}


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ([5, 6, 7], Numbering.CONSECUTIVE),
        ([5, 6, 6, 7], Numbering.CONSECUTIVE),
        ([999_999_998, 999_999_999, 1], Numbering.CONSECUTIVE),
        ([5, 9, 12], Numbering.INCREASING),
        ([5, 9, 3], Numbering.ANY),
    ],
)
def test_the_habit_of_numbering(numbers, wanted):
    assert habit(numbers) is wanted


def test_tests_say_nothing_of_numbering_and_few_numbers_are_marked():
    proposal, partner = one(seen(1), seen(2), seen(9, usage="T"))
    assert partner.numbers is Numbering.CONSECUTIVE
    assert "# CHECK: from ISA13 of 2 interchanges; too few to be sure" in proposal.text


def test_mails_tell_name_address_and_certificate_and_join_identities():
    mails = [SeenMail("one.eml", "EDI@acme.example", "ACME Retail", ("ab" * 32,))]
    second = Identity("ZZ", "ACMETWO")
    proposal, partner = one(
        seen(1, address="edi@acme.example"), seen(2, sender=second, address="edi@acme.example"), mails=mails
    )
    assert (proposal.key, partner.name) == ("acme", "ACME Retail")
    assert partner.addresses == ("edi@acme.example",)
    assert partner.identities == (THEIRS, second)
    assert proposal.certificates == ("ab" * 32,)
    assert '# evidence = "signed"  # CHECK: one.eml was signed by certificate abababababababab…' in proposal.text


def test_an_identity_that_two_domains_use_is_marked():
    mails = [SeenMail("one.eml", "edi@acme.example"), SeenMail("two.eml", "edi@evil.example")]
    proposal, _ = one(seen(1, address="edi@acme.example"), seen(2, address="edi@evil.example"), mails=mails)
    assert any("stranger" in each for each in proposal.checks)


def test_another_name_for_us_is_marked_and_others_traffic_is_left_out():
    stranger = Identity("ZZ", "SOMEBODY")
    proposal, _ = one(seen(1, receiver=stranger))
    assert any("calls us ZZ:SOMEBODY" in each for each in proposal.checks)
    proposals, odd = learn([seen(1, receiver=stranger), seen(2, sender=OURS)], [], KNOWN)
    assert proposals == ()
    assert "neither is one of our identities" in odd[0]
    assert "from us to us" in odd[1]


def test_an_identity_of_ours_that_the_settings_lack_is_marked():
    old = Identity("ZZ", "OLDNAME")
    known = Known((OURS, old), unsaid=frozenset({old}))
    went = seen(2, INVOICE, sender=old, receiver=THEIRS)
    (proposal,), _ = learn([seen(1, receiver=old), went], [], known)
    assert sum("ZZ:OLDNAME" in each for each in proposal.checks) == 2
    assert read_profile(proposal.text).agreements[1].envelope.our_identity == old


def test_an_interchange_that_lies_there_twice_counts_once():
    twice = [seen(1), seen(1, address="edi@acme.example", source="one.eml")]
    proposal, partner = one(*twice, mails=[SeenMail("one.eml", "edi@acme.example")])
    assert (proposal.came, partner.addresses) == (1, ("edi@acme.example",))


def test_separators_that_nobody_can_write_are_left_out_together():
    odd = seen(2, INVOICE, sender=OURS, receiver=THEIRS, separators=Separators("*", "0", "~", ":"))
    proposal, partner = one(odd)
    assert partner.agreements[0].envelope.separators == Separators()
    assert '# component = "0"' in proposal.text
    assert '# repetition = ":"' in proposal.text


def test_a_known_partner_is_named():
    known = Known((OURS,), {str(THEIRS): "acme"}, frozenset({"acme"}))
    (proposal,), _ = learn([seen(1)], [], known)
    assert proposal.known_as == "acme"
    assert "partner acme has an identity or address of this already" in proposal.text


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("orders@edi.acme-retail.example", "acme-retail"),
        ("x@acme.co.uk", "acme"),
        ("acme@gmail.com", "123456789"),
        ("", "123456789"),
    ],
)
def test_a_key_is_made_from_the_domain_else_from_the_identity(address, key):
    assert key_for(address, THEIRS, ()) == key


def test_a_value_that_no_profile_may_have_becomes_a_comment_that_says_why():
    block = Block("[agreement.envelope]", (Line("usage", "X", "from ISA15"),))
    head = Block("", (Line("key", "acme"), Line("addresses", ["a@b.example"]), Line("identities", ["ZZ:A"])))
    agreement = Block("[[agreement]]", (Line("direction", "in"), Line("sets", ["850"])))
    text, checks = profile_text([head, agreement, block])
    assert '# usage = "X"  # from ISA15; CHECK: left out' in text
    assert len(checks) == 1
    with pytest.raises(ProfileInvalid):
        profile_text([replace(head, lines=(Line("key", "A B"), *head.lines[1:])), agreement])
