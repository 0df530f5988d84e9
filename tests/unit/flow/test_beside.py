"""An acknowledgment beside what it answers."""

from __future__ import annotations

import pytest
from builders.stage import OURS, WHEN, Stage, acknowledgment, invoice, orders

from gateway.demo import documents
from gateway.errors import NotFound
from gateway.flow import beside as besides
from gateway.flow.beside import beside
from gateway.flow.submit import submit


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def _exchange(stage, **where):
    rows = [row for row in stage.rows("exchange") if all(row[name] == each for name, each in where.items())]
    return max(int(row["id"]) for row in rows)


def test_each_set_of_ours_stands_beside_what_the_partner_said_of_it(stage):
    """The rejected invoice with the partner's codes."""
    submit(stage.context(), "acme", invoice(), name="invoice.edi")
    stage.run()
    judged = _exchange(stage, direction="out", kind="document")
    stage.mail(acknowledgment(1, int(stage.rows("functional_group")[0]["control_number"]), "R"))
    stage.run()
    answer = _exchange(stage, direction="in", kind="acknowledgment")
    found = beside(stage.ledger.engine, judged, answer)
    (pair,) = found.pairs
    assert pair.name == "810 0001"
    assert pair.status == "rejected"
    assert pair.judged is not None
    assert [each.tag for each in pair.said] == ["AK2", "AK5"]
    assert [each.tag for each in found.around] == ["AK1", "AK9"]
    assert [each.status for each in found.whole] == ["rejected"]


def test_our_answer_stands_beside_what_came_and_only_so_many_are_shown(stage, monkeypatch):
    """Of many sets the first ones, and how many there are besides."""
    stage.mail(orders(1, *(documents.order(f"PO-{number}", WHEN, number) for number in range(1, 6))))
    stage.run()
    judged = _exchange(stage, direction="in")
    answer = _exchange(stage, direction="out")
    assert len(beside(stage.ledger.engine, judged, answer).pairs) == 5
    monkeypatch.setattr(besides, "SETS", 2)
    found = beside(stage.ledger.engine, judged, answer)
    assert (len(found.pairs), found.more) == (2, 3)
    assert {each.status for each in found.pairs} == {"accepted"}


def test_what_is_not_accepted_stands_first(stage, monkeypatch):
    """Of ten orders the bad one is seen at once; what was not read is said to be there."""
    good = [documents.order(f"PO-{number}", WHEN, number) for number in range(1, 10)]
    stage.mail(orders(1, *good, documents.order("PO-10", WHEN, 10, quantity="A DOZEN")))
    stage.run()
    judged, answer = _exchange(stage, direction="in"), _exchange(stage, direction="out")
    found = beside(stage.ledger.engine, judged, answer)
    assert [each.status for each in found.pairs] == ["rejected", *["accepted"] * 9]
    assert not found.cut
    assert any("A DOZEN" in each.text for each in found.pairs[0].troubled)
    monkeypatch.setattr(besides, "_SEGMENTS", 10)
    found = beside(stage.ledger.engine, judged, answer)
    assert found.cut
    assert len(found.pairs) < 10


def test_what_is_not_there_is_said_so(stage):
    """Neither of the two may be missing."""
    with pytest.raises(NotFound):
        beside(stage.ledger.engine, 1, 2)


def test_a_set_that_stands_behind_very_many_others_is_known_with_what_was_said_of_it(stage, monkeypatch):
    """The partner rejects the last of our invoices; it was called one that we do not have."""
    monkeypatch.setattr(besides, "SETS", 3)
    many = [documents.invoice(f"INV-{number}", "PO-1", WHEN) for number in range(1, 9)]
    sets = [[each[0].replace("0001", f"{number:04}"), *each[1:]] for number, each in enumerate(many, 1)]
    submit(stage.context(), "acme", b"".join(documents.bare(each) for each in sets), name="invoices.edi")
    stage.run()
    judged = _exchange(stage, direction="out", kind="document")
    group = stage.rows("functional_group")[0]["control_number"]
    said = [line for number in range(1, 8) for line in (f"AK2*810*{number:04}", "AK5*A")]
    ack = ["ST*997*0001", f"AK1*IN*{group}", *said, "AK2*810*0008", "AK3*BIG*2", "AK4*1**7*X", "AK5*R*5", "AK9*P*8*8*7"]
    stage.mail(documents.interchange("ZZ:ACMERETAIL", OURS, 1, WHEN, [("FA", "004010", [ack])]))
    stage.run()
    answer = _exchange(stage, direction="in", kind="acknowledgment")
    first = beside(stage.ledger.engine, judged, answer).pairs[0]
    assert (first.status, first.name) == ("rejected", "810 0008")
    assert first.judged is not None
    assert first.judged.keys[0][1] in {"INV-8", "PO-1"}
    assert first.errors
