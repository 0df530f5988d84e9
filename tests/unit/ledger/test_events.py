"""Events in plain words."""

from __future__ import annotations

import ast
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import gateway
from gateway.ledger.events import EVENT_KINDS, Event, event_of, sentence, told
from gateway.ledger.words import KEY_NAMES
from gateway.x12 import DEFAULT_KEYS

UTC = ZoneInfo("UTC")


LATE = 1_795_312_813_000
NINE = {"carrier": 9}


def event(kind, /, actor="gateway", partner="", **body):
    return Event(1, LATE, kind, 17, None, partner, actor, body)


@pytest.mark.parametrize(
    ("told_by", "said"),
    [
        (event("received", mailbox="orders"), "received from edi@acme.example in mailbox orders"),
        (event("received"), "received from edi@acme.example"),
        (event("delivered", set="850", control_number="0001", target="inbox/x"), "delivered 850 0001 to inbox/x"),
        (event("acknowledgment", kind="TA1", status="accepted", note="000"), "TA1 accepted note 000"),
        (
            event("acknowledgment", kind="997", status="partially_accepted", group=7, accepted=1, received=2, **NINE),
            "997 partially accepted for group 7: 1 of 2 sets accepted, in exchange 9",
        ),
        (event("acknowledgment", kind="997", status="rejected", relation="forged"), "997 rejected (forged)"),
        (
            event("overdue", kind="functional", due_at=LATE),
            "997 or 999 overdue: it was due at 22 Nov 2026 02:00:13",
        ),
        (event("late", kind="997", by_ms=7_200_000), "997 came late by 2 h"),
        (event("examined", verdict="accepted", sets=1, findings=0), "examined: accepted, 1 set, no findings"),
        (event("profile-applied", partner="a", change="changed", revision=2), "profile of a changed as revision 2"),
        (event("brand-new", colour="red", nothing=""), "brand-new: colour red"),
        (event("brand-new"), "brand-new"),
        (event("numbered"), "numbered (unknown)"),
        (event("failed", reason="{host} [x] {0}"), "given up: {host} [x] {0}"),
    ],
)  # fmt: skip
def test_sentences(told_by, said):
    assert sentence(told_by, {"from_address": "edi@acme.example"}, UTC) == said


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_each_kind_has_a_sentence_with_and_without_a_body(kind):
    assert sentence(event(kind), None, UTC)
    assert sentence(event(kind, reason=["odd"], status=5, due_at="soon", sets="x", kind={"a": 1}), None, UTC)


def test_a_line_tells_the_person_behind_an_act_but_not_behind_a_batch():
    assert told(event("released", actor="maria", reason="profile corrected"), None, UTC) == (
        "22 Nov 2026 02:00:13  released from quarantine to be processed again: profile corrected (by maria)"
    )
    assert "by maria" not in told(event("examined", actor="maria", verdict="accepted"), None, UTC)


def test_a_damaged_body_is_shown_as_it_is():
    row = {"seq": 1, "at": 0, "kind": "failed", "exchange": None, "message": None, "partner": "", "actor": ""}
    assert sentence(event_of(row | {"body": "not json"})) == "given up: not json"
    assert sentence(event_of(row | {"body": "[1]"})) == "given up: [1]"


def test_every_kind_that_the_code_records_has_its_sentence():
    recorded = set()
    for path in Path(gateway.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"event", "record"} and node.args:
                kind = node.args[0]
                values = [kind.body, kind.orelse] if isinstance(kind, ast.IfExp) else [kind]
                recorded |= {each.value for each in values if isinstance(each, ast.Constant)}
    assert {"received", "sent", "submitted", "answered"} <= recorded
    assert recorded - set(EVENT_KINDS) == set()


def test_the_keys_that_are_extracted_by_default_can_be_asked_by_name():
    names = {name for keys in DEFAULT_KEYS.values() for name in keys}
    assert names - KEY_NAMES <= {"group"}  # a field already: the group control number
