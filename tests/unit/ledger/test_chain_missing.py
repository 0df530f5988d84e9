"""What a chain of documents should have led to by now."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.ledger.chain_missing import missing
from gateway.ledger.chain_values import Chain, Document

ORDER = Document(
    at=1, direction="in", set_id="850", control_number="0001", partner="acme", exchange=1, transaction_set=1,
    interchange="000000001", state="delivered", status="accepted", acknowledged="", delivered_at=2,
    handed_over_at=None, duplicate_of=None, keys=(("po", "PO-1"),), via=("po", "PO-1"), depth=0,
)  # fmt: skip
AGREED = {("in", "850"), ("out", "855"), ("out", "856"), ("out", "810"), ("in", "820")}


def _out(set_id, exchange, **values):
    made = {"direction": "out", "set_id": set_id, "exchange": exchange, "state": "acknowledged"}
    return replace(ORDER, **(made | {"acknowledged": "accepted", "status": ""} | values))


def _said(*documents, agreed=AGREED):
    return [each.sentence for each in missing(Chain("PO-1", "acme", documents), agreed)]


def test_an_order_misses_what_the_agreements_know_of():
    """Confirmation, shipment and invoice; and only those of them that were agreed."""
    assert _said(ORDER) == [
        "The partner's order (850 PO-1) is not confirmed yet: there is no 855.",
        "The partner's order (850 PO-1) is not shipped yet: there is no 856.",
        "The partner's order (850 PO-1) is not invoiced yet: there is no 810.",
    ]
    assert len(_said(ORDER, agreed={("out", "855")})) == 1
    assert _said(ORDER, agreed={("in", "855"), ("out", "*")}) == []


def test_what_came_is_not_missing():
    """Step by step the story is whole, down to the payment."""
    confirmed, shipped = _out("855", 2), _out("856", 3)
    assert _said(ORDER, confirmed, shipped) == ["The partner's order (850 PO-1) is not invoiced yet: there is no 810."]
    invoiced = _out("810", 4)
    assert _said(ORDER, confirmed, shipped, invoiced) == ["Our invoice (810 PO-1) is not paid yet: there is no 820."]
    paid = replace(ORDER, set_id="820", exchange=5)
    assert _said(ORDER, confirmed, shipped, invoiced, paid) == []


def test_what_never_went_counts_for_nothing():
    """A cancelled confirmation confirms nothing, and a rejected order wants none."""
    assert any("no 855" in each for each in _said(ORDER, _out("855", 2, state="cancelled")))
    assert _said(replace(ORDER, status="rejected")) == []
    assert _said(replace(ORDER, duplicate_of=7, state="duplicate")) == []


def test_what_is_not_acknowledged_is_told_and_urgent_when_overdue():
    """One that has time, and one that has none."""
    sent = _out("855", 2, state="sent", acknowledged="")
    overdue = _out("855", 3, state="overdue", acknowledged="")
    found = missing(Chain("PO-1", "acme", (sent, overdue)), ())
    assert [(each.exchange, each.urgent) for each in found] == [(2, False), (3, True)]
    assert found[0].sentence == "Our document (855 PO-1) is not acknowledged yet."


def test_what_was_only_tried_is_no_answer_to_an_order_in_earnest():
    """A test invoice does not hide that the invoice is missing; among tests alone it is what follows."""
    tried = replace(_out("810", 2), test=True)
    said = _said(ORDER, tried)
    assert [each for each in said if "no 810" in each]
    assert not [each for each in _said(replace(ORDER, test=True), tried) if "no 810" in each]
