"""What comes next of an exchange, in words."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from gateway.ledger.rows import ExchangeRow
from gateway.ledger.states import ExchangeState
from gateway.ledger.upcoming import upcoming

NOW = 1_800_000_000_000
HOUR = 3_600_000
_AT_REST = {"delivered", "duplicate", "discarded", "reconciled", "empty", "acknowledged", "complete", "cancelled"}


def _row(**values):
    blank = {each.name: None if "None" in str(each.type) else "" for each in fields(ExchangeRow)}
    return ExchangeRow(**(blank | {"settled_at": None} | values))


@pytest.mark.parametrize("state", ExchangeState)
def test_every_state_says_what_comes_next_or_that_nothing_does(state):
    """Only what is at its end has nothing to come."""
    said = upcoming(_row(state=state.value), NOW)
    assert (said == "") == (state.value in {*_AT_REST, "superseded"})


def test_what_is_awaited_says_until_when():
    """In time, past its time, and where no time was agreed."""
    assert "due in 3 h" in upcoming(_row(state="sent", due_at=NOW + 3 * HOUR), NOW)
    assert "it was due 2 h ago" in upcoming(_row(state="sent", due_at=NOW - 2 * HOUR), NOW)
    assert upcoming(_row(state="sent"), NOW) == "the partner's answer"
    assert upcoming(_row(state="overdue", due_at=NOW - HOUR), NOW) == "somebody asks the partner; 1 h late"


def test_what_a_person_put_to_rest_waits_for_nobody():
    """What the gateway does by itself goes on."""
    for state in ("overdue", "in doubt", "failed", "rejected", "bounced", "refused by the partner"):
        assert upcoming(_row(state=state, settled_at=NOW), NOW) == "", state
    assert upcoming(_row(state="ready", settled_at=NOW), NOW) == "the next batch sends it"


def test_what_was_taken_in_part_or_could_not_be_delivered_says_so():
    """The refused documents come again; the delivery is tried again."""
    partly = upcoming(_row(state="delivered", verdict="partially_accepted"), NOW)
    assert partly == "the partner corrects what was refused"
    assert "over again" in upcoming(_row(state="accepted", fault_code="delivery.failed"), NOW)
    assert upcoming(_row(state="accepted"), NOW) == "the next batch hands it to the business"


def test_times_change_by_the_minute():
    """A page that is looked at again and again does not change with every second."""
    said = {upcoming(_row(state="overdue", due_at=NOW - HOUR - second * 1_000), NOW) for second in range(60)}
    assert said == {"somebody asks the partner; 1 h late"}
    assert "40 s ago" in upcoming(_row(state="sent", due_at=NOW - 40_000), NOW)
