"""What was submitted before: by content, by usage, by a key that somebody chose; and what does not stand in the way."""

from __future__ import annotations

import pytest
from builders.stage import ACME, WHEN, Stage, invoice

from gateway.demo import documents
from gateway.errors import KeyReused, SubmittedBefore
from gateway.flow import operate
from gateway.flow import submit as module
from gateway.flow.earlier import Known
from gateway.flow.submit import submit
from gateway.flow.terms import terms_of
from gateway.ledger import tables

TESTING = ACME.replace('status = "live"', 'status = "testing"')
TWO = (
    ACME.replace('sets = ["810", "855"]', 'sets = ["810"]')
    + """
[[agreement]]
name = "confirmations"
direction = "out"
sets = ["855"]
versions = ["004010"]
"""
)
BOTH = documents.bare(documents.invoice("INV-1", "PO-1", WHEN), documents.confirmation("PO-2", WHEN))
BY = {"actor": "anna", "reason": "because"}


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def send(stage, number="INV-1", partner="acme", **options):
    return submit(stage.context(), partner, invoice(number), name=f"{number}.edi", **options)


def went(stage):
    """State and usage of every exchange."""
    return [(row["state"], row["usage"]) for row in stage.rows("exchange")]


def keep_under(stage, exchange, key):
    """An exchange keeps its key as older versions wrote it."""
    with stage.ledger.transaction() as recorder:
        recorder.change(tables.exchange, exchange, idempotency_key=key)


# ---------------------------------------------------------------- by content


def test_what_went_as_a_test_stands_in_the_way_of_nothing_in_earnest(stage):
    test, earnest = send(stage, test=True), send(stage)
    assert (test.repeated, earnest.repeated) == (False, False)
    assert went(stage) == [("ready", "T"), ("ready", "P")]
    again = send(stage, test=True), send(stage)
    assert [(each.repeated, each.exchanges) for each in again] == [(True, test.exchanges), (True, earnest.exchanges)]


def test_what_went_while_the_partner_was_in_testing_goes_in_earnest_after_that(stage):
    stage.profiles = [TESTING]
    send(stage)
    stage.profiles = [ACME]
    assert not send(stage).repeated
    assert send(stage).repeated
    stage.profiles = [TESTING]
    assert send(stage).exchanges == (1,)
    assert went(stage) == [("ready", "T"), ("ready", "P")]


def test_what_was_cancelled_is_submitted_anew_and_once(stage):
    for number in (1, 2):
        assert send(stage).exchanges == (number,)
        operate.cancel(stage.context(), number, **BY)
    third = send(stage)
    assert (third.repeated, third.states) == (False, ("ready",))
    assert send(stage).exchanges == third.exchanges
    assert went(stage) == [("cancelled", "P"), ("cancelled", "P"), ("ready", "P")]


@pytest.mark.unrecorded
def test_what_failed_or_was_refused_can_still_be_sent_again_and_is_told_with_its_state(stage):
    """A person has it on the list: a second exchange beside it might go as well."""
    send(stage)
    for state in ("failed", "bounced", "in doubt", "refused by the partner", "overdue"):
        with stage.ledger.transaction() as recorder:
            recorder.change(tables.exchange, 1, state=state)
        again = send(stage)
        assert (again.repeated, again.exchanges, again.states) == (True, (1,), (state,))


def test_what_was_superseded_counts_by_what_took_its_place(stage):
    send(stage)
    stage.run()
    operate.resend_anew(stage.context(), 1, **BY)
    assert send(stage).states == ("superseded",)
    operate.cancel(stage.context(), 2, **BY)
    assert send(stage).exchanges == (3,)


def test_what_was_sent_knowingly_again_after_the_first_was_cancelled_is_not_sent_once_more(stage):
    """As people helped themselves while a cancelled exchange stood in the way."""
    send(stage)
    operate.cancel(stage.context(), 1, **BY)
    stage.now += 1
    assert send(stage, again=True).exchanges == (2,)
    stage.now += 1
    again = send(stage)
    assert (again.repeated, again.exchanges) == (True, (2,))


def test_of_a_divided_document_only_what_was_cancelled_goes_again(tmp_path):
    stage = Stage(tmp_path, [TWO])
    assert submit(stage.context(), "acme", BOTH).exchanges == (1, 2)
    operate.cancel(stage.context(), 1, **BY)
    assert submit(stage.context(), "acme", BOTH).exchanges == (3,)
    assert [row["types"] for row in stage.rows("exchange")] == ["810", "855", "810"]
    again = submit(stage.context(), "acme", BOTH)
    assert (again.repeated, again.exchanges) == (True, (2, 3))


def test_of_a_divided_document_only_what_is_no_test_any_more_goes_again(tmp_path):
    """One agreement stays a test after the partner went live."""
    profile = TWO.replace('sets = ["855"]', 'sets = ["855"]\nenvelope.usage = "T"')
    stage = Stage(tmp_path, [profile.replace('status = "live"', 'status = "testing"')])
    submit(stage.context(), "acme", BOTH)
    stage.profiles = [profile]
    assert submit(stage.context(), "acme", BOTH).exchanges == (3,)
    assert [(row["types"], row["usage"]) for row in stage.rows("exchange")] == [
        ("810", "T"),
        ("855", "T"),
        ("810", "P"),
    ]
    assert submit(stage.context(), "acme", BOTH).exchanges == (2, 3)


def test_the_agreements_hold_on_repetitions_is_not_for_what_was_cancelled(tmp_path):
    stage = Stage(tmp_path, [ACME + 'on_repeat = "hold"\n'])
    send(stage)
    with pytest.raises(SubmittedBefore):
        submit(stage.context(), "acme", invoice().replace(b"~", b"~\r\n"))
    operate.cancel(stage.context(), 1, **BY)
    assert send(stage).exchanges == (2,)


def test_a_test_and_a_document_in_earnest_at_the_same_moment_both_go(stage, monkeypatch):
    """Both find nothing, and both want the same name for the key."""
    real, asked = module._known, []

    def blind_at_first(*arguments, **options):
        asked.append(1)
        return Known((), False, {}) if len(asked) == 1 else real(*arguments, **options)

    send(stage, test=True)
    monkeypatch.setattr(module, "_known", blind_at_first)
    assert not send(stage).repeated
    assert went(stage) == [("ready", "T"), ("ready", "P")]
    assert {row["next"] for row in stage.rows("control_number")} == {3}


# ---------------------------------------------------------------- by a key that somebody chose


def test_a_chosen_key_is_for_one_partner(stage):
    """A catalogue goes to many, with the same bytes."""
    send(stage, key="K1")
    with pytest.raises(KeyReused, match="its key K1 was used before for another partner, acme \\(exchange 1\\)"):
        send(stage, partner="globex", key="K1")
    assert not send(stage, partner="globex", key="K2").repeated
    assert send(stage, key="K1").repeated


def test_a_chosen_key_is_for_one_usage(stage):
    stage.profiles = [TESTING]
    send(stage, key="K1")
    assert send(stage, key="K1", test=True).repeated
    stage.profiles = [ACME]
    with pytest.raises(KeyReused, match="another usage: it went with ISA15 T"):
        send(stage, key="K1")
    send(stage, key="K2")
    with pytest.raises(KeyReused, match="ISA15 P"):
        send(stage, key="K2", test=True)


def test_a_chosen_key_stays_used_and_tells_what_became_of_it(stage):
    first = send(stage, key="K1")
    assert first.states == ("ready",)
    operate.cancel(stage.context(), 1, **BY)
    again = send(stage, key="K1")
    assert (again.repeated, again.exchanges, again.states) == (True, (1,), ("cancelled",))


def test_a_chosen_key_is_known_although_its_agreement_is_gone(stage):
    send(stage, key="K1")
    stage.profiles = [ACME.replace('name = "invoices"', 'name = "bills"').replace('"810", "855"', '"880"')]
    assert send(stage, key="K1").exchanges == (1,)


@pytest.mark.parametrize("keys", [("order", "order#1"), ("order#1", "order"), ("order#1", "order#1#1")])
def test_no_key_is_taken_for_a_part_of_another(tmp_path, keys):
    """The exchanges of one document keep its key with an ending each, which another key may have by itself."""
    stage = Stage(tmp_path, [TWO])
    other = BOTH.replace(b"INV-1", b"INV-2")
    one, two = (submit(stage.context(), "acme", data, key=key) for key, data in zip(keys, (BOTH, other), strict=True))
    assert (one.exchanges, two.exchanges) == ((1, 2), (3, 4))
    again = [submit(stage.context(), "acme", data, key=key) for key, data in zip(keys, (BOTH, other), strict=True)]
    assert [(each.repeated, each.exchanges) for each in again] == [(True, (1, 2)), (True, (3, 4))]
    with pytest.raises(KeyReused):
        submit(stage.context(), "acme", other, key=keys[0])


@pytest.mark.unrecorded
def test_keys_as_older_versions_kept_them_are_known(tmp_path):
    """Without an ending where the key looks like a part of another, which another key may come beside."""
    stage = Stage(tmp_path, [TWO])
    send(stage, "INV-7", key="order#1")
    keep_under(stage, 1, "order#1")
    assert send(stage, "INV-7", key="order#1").exchanges == (1,)
    with pytest.raises(KeyReused, match="exchange 1"):
        send(stage, "INV-8", key="order#1")
    assert send(stage, "INV-8", key="order").exchanges == (2,)
    assert send(stage, "INV-8", key="order").exchanges == (2,)
    with pytest.raises(KeyReused):
        submit(stage.context(), "acme", BOTH, key="order")
    assert submit(stage.context(), "acme", BOTH, key="other").exchanges == (3, 4)
    assert send(stage, "INV-9", key="other#1").exchanges == (5,)


@pytest.mark.unrecorded
def test_a_key_whose_names_are_taken_by_an_older_key_is_refused(tmp_path):
    stage = Stage(tmp_path, [TWO])
    send(stage, "INV-7", key="order#1")
    keep_under(stage, 1, "order#1")
    with pytest.raises(KeyReused, match="another document \\(exchange 1\\)"):
        submit(stage.context(), "acme", BOTH, key="order")
    assert len(stage.rows("exchange")) == 1


# ---------------------------------------------------------------- an agreement with another name by now


def test_what_went_as_a_test_stands_in_no_way_after_its_agreement_got_another_name(stage):
    """The document was called submitted before, and never went in earnest."""
    stage.profiles = [ACME.replace('sets = ["810", "855"]', 'sets = ["810"]\nenvelope.usage = "T"')]
    assert not send(stage).repeated
    stage.profiles = [ACME.replace('name = "invoices"', 'name = "invoices and confirmations"')]
    assert not send(stage).repeated
    assert send(stage).repeated
    assert went(stage) == [("ready", "T"), ("ready", "P")]


def test_a_part_that_went_does_not_go_again_after_its_agreement_got_another_name(stage):
    stage.profiles = [TWO]
    submit(stage.context(), "acme", BOTH)
    operate.cancel(stage.context(), 2, **BY)
    stage.profiles = [TWO.replace('name = "invoices"', 'name = "bills"')]
    submit(stage.context(), "acme", BOTH)
    assert [(row["types"], row["state"]) for row in stage.rows("exchange")] == [
        *(("810", "ready"), ("855", "cancelled")),
        ("855", "ready"),
    ]


def test_an_agreement_about_what_comes_is_none_about_what_went_whatever_its_name(stage):
    send(stage)
    stage.profiles = [
        ACME.replace('name = "invoices"', 'name = "bills"').replace('name = "orders"', 'name = "invoices"')
    ]
    terms = terms_of(stage.context().directory, "acme", "invoices", "810", "004010")
    assert terms.name == "bills"
