"""What a partner reads beside a rejecting acknowledgment: what was rejected and why, and nothing of our house."""

import pytest
from builders.stage import ACME, GLOBEX, WHEN, Stage, orders

from gateway.demo import documents
from gateway.flow.explain import FINDINGS, explanation
from gateway.x12 import examine

EXPLAINING = ACME.replace(
    'versions = ["004010"]\n', 'versions = ["004010"]\n[agreement.acknowledgment]\nexplain = true\n', 1
)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, (EXPLAINING, GLOBEX))


def broken(number=1):
    order = documents.order(f"PO-{number}", WHEN)
    return [each.replace("PO1*1*", "PO1*1*many{0}").replace("*0001", f"*{number:04}") for each in order]


def body(stage, number=0):
    """The text of one of the mails that were sent."""
    mail = stage.sent[number]
    part = next(each for each in mail.walk() if each.get_content_type() == "text/plain" and not each.get_filename())
    return part.get_payload(decode=True).decode("utf-8")


def test_a_rejected_set_is_explained_with_its_place(stage):
    """Interchange, group, set, segment and element, and that the others were taken."""
    stage.mail(orders(7, documents.order("PO-1", WHEN), broken(2)))
    stage.run()
    said = " ".join(body(stage).split())
    assert "Your interchange 000000007 of 2026-11-02 from ZZ:ACMERETAIL to ZZ:EXAMPLECO" in said
    assert "could not be accepted as a whole by Example Co." in said
    assert "Functional group PO 7, version 004010: 1 of 2 transaction sets accepted." in said
    assert "Transaction set 850 0002: rejected." in said
    assert "PO102 (Quantity Ordered), segment 8: " in said
    assert "Transaction set 850 0001" not in said
    assert "What was accepted is taken, and must not be sent again." in said
    assert "many{0}" in said  # what they wrote, braces and all
    assert all(len(line) <= 72 for line in body(stage).splitlines())
    assert stage.sent_edi[0][3][0] == "AK1"  # and the 997 is there as ever


def test_a_refused_interchange_is_explained_by_its_note(stage):
    """Nothing was taken."""
    stage.mail(orders(3).replace(b"IEA*1*000000003", b"IEA*1*000000004"))
    stage.run()
    said = " ".join(body(stage).split())
    assert "The interchange is refused (TA1, note 001: the control numbers of header and trailer differ)." in said
    assert "Nothing in it was taken." in said


def test_a_number_that_was_used_before_is_explained_without_our_numbers(stage):
    """The partner need not know what an exchange of ours is."""
    stage.mail(orders(5))
    stage.run()
    stage.mail(orders(5, documents.order("PO-OTHER", WHEN)))
    stage.run()
    said = " ".join(body(stage, 1).split())
    assert "note 025: the interchange control number is a duplicate" in said
    assert "new interchange control number" in said


def test_what_is_accepted_needs_no_words(stage):
    """The mail is as it always was."""
    stage.mail(orders(1))
    stage.run()
    assert body(stage).split() == [
        "This",
        "mail",
        "acknowledges",
        "EDI",
        "(ANSI",
        "X12)",
        "that",
        "we",
        "received",
        "from",
        "ACME",
        "Retail.",
    ]


def test_without_the_setting_nothing_is_explained(tmp_path):
    """It is off unless the profile says so."""
    stage = Stage(tmp_path)
    stage.mail(orders(1, broken()))
    stage.run()
    assert "rejected" not in body(stage)


def test_the_same_interchange_again_gets_the_same_mail(stage):
    """Words and all."""
    stage.mail(orders(1, broken()))
    stage.run()
    stage.mail(orders(1, broken()))
    stage.run()
    first, second = (each.raw for each in stage.transport.sent)
    assert first == second


def test_nothing_of_our_house_is_told(stage):
    """No number of the ledger, no agreement, no guideline's file, no mailbox, no path."""
    stage.mail(orders(1, broken()))
    stage.run()
    said = body(stage)
    for word in ("exchange", "agreement", "orders", "memory", str(stage.directory), "ledger", ".toml", "acme"):
        assert word not in said.replace("ACME", "")


def test_a_novel_of_mistakes_is_bounded():
    """Fifty are told; of the rest the number."""
    order = list(documents.order("PO-1", WHEN))
    at = next(n for n, each in enumerate(order) if each.startswith("PO1"))
    order[at:at] = [order[at].replace("PO1*1*", f"PO1*{n}*x{n}") for n in range(200)]
    (report,) = examine(orders(1, order))
    said = explanation(report, "Example Co")
    assert said.count("      - PO102") == FINDINGS
    assert "more" in said


def test_what_a_terminal_or_a_mail_would_obey_is_left_out():
    """Control characters of a document do not come back."""
    (report,) = examine(
        orders(1, [each.replace("PO1*1*", "PO1*1*a\x1b[2Jb\x07") for each in documents.order("1", WHEN)])
    )
    said = explanation(report, "Example\r\nBcc: x Co")
    assert all(each.isprintable() for each in said.splitlines())


def test_a_set_that_answers_is_not_spoken_of():
    """A group of acknowledgments is never answered."""
    (report,) = examine(orders(1, broken()))
    assert explanation(report, "Example Co", skip=("PO",)) == ""
