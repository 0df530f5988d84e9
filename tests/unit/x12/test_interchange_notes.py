"""Every note code of a TA1: what makes a receiver give it, and whether the interchange is then accepted."""

from __future__ import annotations

import pytest
from builders.x12 import group, interchange, isa, transaction_set

from gateway.x12 import ExaminePolicy, Level, Status, examine, interchange_acknowledgment
from gateway.x12.codes import INTERCHANGE_NOTES

ISB, ISE = "ISB*1~", "ISE*261101*1200*UT~"
SERVICE = interchange().replace("~GS", f"~{ISB}{ISE}GS", 1)

NOTES = [
    ("000", "A", interchange()),
    ("000", "A", SERVICE),
    ("001", "R", interchange(trailer="000000002")),
    ("001", "E", interchange(trailer="1")),
    ("002", "E", interchange(repetition="E")),
    ("003", "R", interchange(version="00199")),
    ("003", "R", interchange(version="01000")),
    ("004", "R", interchange().replace("~", "*", 1)),
    ("004", "R", interchange().replace("*P*>~", "*P*>!", 1)),
    ("005", "R", interchange(q1="XX")),
    ("005", "E", interchange(q1=" 1")),
    ("006", "R", interchange(sender="")),
    ("007", "R", interchange(q2="99")),
    ("007", "E", interchange(q2="1 ")),
    ("008", "R", interchange(receiver="")),
    ("010", "R", interchange().replace("ISA*00*", "ISA*99*")),
    ("011", "E", interchange().replace("ISA*00*", "ISA*03*")),
    ("011", "R", interchange().replace("ISA*00*          *", "ISA*00*        *")),
    ("012", "R", interchange().replace("*00*          *ZZ", "*77*          *ZZ")),
    ("013", "E", interchange().replace("*00*          *ZZ", "*01*          *ZZ")),
    ("013", "R", interchange().replace("*00*          *ZZ", "*00*\x07         *ZZ")),
    ("014", "R", interchange(date="260230")),
    ("015", "R", interchange(time="2460")),
    ("016", "E", interchange(repetition="^")),
    ("016", "E", interchange(group(version="005010"), version="00501")),
    ("017", "R", interchange(version="0040A")),
    ("018", "R", interchange(number="00000000A")),
    ("019", "R", interchange(asked="2")),
    ("020", "R", interchange(usage="X")),
    ("021", "R", interchange(count=2)),
    ("022", "R", isa() + "XYZ*1~IEA*0*000000001~"),
    ("023", "R", interchange()[:-16]),
    ("024", "R", isa() + transaction_set() + "IEA*0*000000001~"),
    ("024", "E", interchange(group(version="4010"))),
    ("026", "R", interchange().replace("*RECEIVER", "+RECEIVER", 1)),
    ("027", "R", interchange().replace("*>~", "**~")),
    ("028", "E", SERVICE.replace("ISE*261101", "ISE*261131")),
    ("029", "E", SERVICE.replace("*1200*UT", "*2500*UT")),
    ("030", "E", SERVICE.replace("*UT~", "*XX~")),
    ("031", "E", SERVICE.replace("ISB*1", "ISB*9")),
]
OF_OTHERS = {"009", "025"}  # whom we know, and what came before: the ledger and the profiles tell


def only(text, **options):
    (report,) = examine(text.encode("latin-1"), **options)
    return report


def test_every_note_is_tested_here_or_decided_by_others():
    assert {note for note, _, _ in NOTES} | OF_OTHERS == set(INTERCHANGE_NOTES)


@pytest.mark.parametrize(("note", "verdict", "text"), NOTES, ids=[f"{note}-{verdict}" for note, verdict, _ in NOTES])
def test_each_fault_of_an_envelope_has_its_note_and_verdict(note, verdict, text):
    report = only(text)
    assert report.ta1 == (verdict, note)
    assert (report.status is Status.REJECTED) is (verdict == "R") or report.groups[0].status is Status.REJECTED
    told = [each for each in report.findings if each.x12 == note]
    assert bool(told) is (verdict != "A")
    assert {each.level for each in told} <= {Level.ERROR, Level.WARNING}


@pytest.mark.parametrize(
    ("note", "text"), [(note, text) for note, verdict, text in NOTES if verdict == "E" and note != "024"]
)
def test_what_is_accepted_with_errors_is_rejected_where_the_agreement_is_strict(note, text):
    assert only(text, policy=ExaminePolicy(reject_from=Level.WARNING)).ta1 == ("R", note)


@pytest.mark.parametrize("note", sorted(OF_OTHERS))
def test_what_only_others_know_is_answered_with_their_note(note):
    assert interchange_acknowledgment(only(interchange()), note=("R", note))[3:] == ("R", note)
