"""Numbers that partners left out: found in the night, silent while they may come, told once, explained by people."""

import pytest
from builders.stage import ACME, HOUR, OURS, WHEN, Stage, acknowledgment, invoice, orders

from gateway.demo import documents
from gateway.errors import NotFound
from gateway.flow import gaps, operate
from gateway.flow.submit import submit
from gateway.ledger.missing import gaps_of, told_with
from partners.numbering import LAST

DAY = 24 * HOUR


def night(stage: Stage, *numbers: int, after: int = DAY):
    """A batch with orders of these numbers, some time after the last one."""
    stage.now += after
    for number in numbers:
        stage.mail(orders(number))
    return stage.run()


def profile(**keys: str) -> str:
    return "\n".join(f'{key} = "{value}"' for key, value in keys.items()) + "\n" + ACME


def findings(stage: Stage) -> list[tuple[str, str, int, int]]:
    """What is open: level, kind, first and last."""
    rows = [row for row in stage.rows("number_gap") if row["closed_at"] is None]
    return [(row["level"], row["kind"], row["first"], row["last"]) for row in rows]


def told(stage: Stage) -> list[str]:
    return [each.what for each in stage.run().attention if each.reference.startswith("g")]


def test_every_number_is_kept_with_its_exchange(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 5, 6)
    rows = stage.rows("received_number")
    assert [(row["level"], row["number"], row["exchange"]) for row in rows] == [
        ("interchange", 5, 1),
        ("group PO", 5, 1),
        ("interchange", 6, 3),
        ("group PO", 6, 3),
    ]
    assert {(row["partner"], row["theirs"], row["ours"]) for row in rows} == {
        ("acme", "ZZ:ACMERETAIL", OURS),
        ("acme", "ACMERETAIL", "EXAMPLECO"),
    }


def test_a_missing_interchange_is_told_once_after_its_time_to_come(tmp_path):
    stage = Stage(tmp_path)
    assert not night(stage, 1, 2, 5).attention
    assert findings(stage)[0] == ("interchange", "gap", 3, 4)
    assert not night(stage, after=19 * HOUR).attention
    (attention,) = night(stage, after=HOUR).attention
    assert attention.what == "from acme: interchange numbers 3 to 4 of ZZ:ACMERETAIL did not come"
    assert attention.next_command == "gateway partner numbers show acme"
    night(stage)
    assert stage.kinds().count("number-missing") == 1


def test_what_comes_in_time_after_all_closes_its_gap_silently(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1, 4)
    night(stage, 3, 2, after=12 * HOUR)
    assert findings(stage) == []
    assert night(stage).attention == ()
    assert not {"number-missing", "number-arrived"} & set(stage.kinds())
    assert {row["closed_by"] for row in stage.rows("number_gap")} == {"arrived"}


def test_what_comes_late_leaves_the_rest_missing_and_is_told(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1, 6)
    night(stage)
    night(stage, 3)
    assert [each for each in findings(stage) if each[0] == "interchange"] == [
        ("interchange", "gap", 2, 2),
        ("interchange", "gap", 4, 5),
    ]
    assert "number-arrived" in stage.kinds()
    night(stage, 2, 4, 5)
    assert findings(stage) == []
    assert night(stage).attention == ()
    assert stage.kinds().count("number-missing") == 1


def test_duplicates_conflicts_and_test_interchanges_use_no_number(tmp_path):
    stage = Stage(tmp_path, ['on_test = "accept"\n' + profile()])
    night(stage, 1)
    night(stage, 1)
    stage.mail(orders(1, documents.order("PO-OTHER", WHEN)))
    stage.mail(orders(7).replace(b"*P*:", b"*T*:"))
    stage.run()
    assert [row["number"] for row in stage.rows("received_number") if row["level"] == "interchange"] == [1]
    assert sorted(stage.states("in")) == ["conflict", "delivered", "delivered", "duplicate"]


def test_what_stands_in_quarantine_is_not_missing(tmp_path):
    stage = Stage(tmp_path)
    stage.mail(orders(2).replace(b"*P*:", b"*I*:"))
    night(stage, 1, 3)
    assert stage.states("in").count("quarantined") == 1
    night(stage)
    assert told(stage) == []
    (gap,) = [row for row in stage.rows("number_gap") if row["level"] == "interchange"]
    assert (gap["closed_by"], gap["reason"]) == ("gateway", "it is here, but was not accepted")


def test_groups_that_are_counted_together_have_no_gaps(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1)
    stage.mail(acknowledgment(2, 1))
    night(stage, 3)
    night(stage)
    assert told(stage) == []


@pytest.mark.parametrize("numbers", [(LAST - 1, LAST, 1, 2), (LAST - 1, 2, LAST, 1)])
def test_after_the_last_number_comes_the_first(tmp_path, numbers):
    stage = Stage(tmp_path)
    night(stage, *numbers[:2])
    night(stage, *numbers[2:], after=HOUR)
    assert findings(stage) == []
    epochs = [(row["level"], row["epoch"], row["reason"]) for row in stage.rows("number_epoch")]
    assert ("interchange", 2, "wrapped") in epochs


def test_a_step_back_is_told_and_a_person_says_why(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 70_000, 70_001)
    night(stage, 1, 2, 3)
    assert [(level, kind) for level, kind, _, _ in findings(stage)] == [
        ("interchange", "step back"),
        ("group PO", "step back"),
    ]
    night(stage)
    said = told(stage)
    assert said[-1] == "from acme: the interchange numbers of ZZ:ACMERETAIL went back from 70001 to 1"
    gaps.close(stage.context(), 1, actor="anna", reason="new system")
    assert told(stage) == []
    assert {row["closed_by"] for row in stage.rows("number_gap")} == {"anna"}
    assert not gaps.close(stage.context(), 1, actor="anna", reason="again").done
    with pytest.raises(NotFound):
        gaps.close(stage.context(), 99, actor="anna", reason="?")


def test_a_declared_beginning_lets_used_numbers_come_again(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1, 2, 3)
    stage.now += HOUR
    for dry_run, done in ((True, True), (False, True), (False, False)):
        said = gaps.reset(stage.context(), "acme", 1, groups=False, actor="anna", reason="new system", dry_run=dry_run)
        assert [each.done for each in said] == [done]
    gaps.reset(stage.context(), "acme", 1, groups=True, actor="anna", reason="new system")
    stage.now += HOUR
    stage.mail(orders(1, documents.order("PO-100", WHEN)))
    stage.mail(orders(3, documents.order("PO-102", WHEN)))
    stage.mail(orders(2))
    stage.run()
    assert stage.states("in").count("conflict") == 0
    assert stage.states("in").count("duplicate") == 1
    assert findings(stage) == [("interchange", "gap", 2, 2), ("group PO", "gap", 2, 2)]
    assert [row["epoch"] for row in stage.rows("received_number")][-4:] == [2, 2, 2, 2]
    assert stage.kinds().count("numbers-reset") == 2


def test_nothing_can_begin_anew_that_never_began(tmp_path):
    with pytest.raises(NotFound):
        gaps.reset(Stage(tmp_path).context(), "acme", 1, groups=False, actor="anna", reason="?")


def test_numbers_that_do_not_follow_each_other_are_one_finding(tmp_path):
    stage = Stage(tmp_path)
    night(stage, *range(100, 1500, 70))
    night(stage, *range(1500, 3000, 70))
    said = told(stage)
    assert said == ["from acme: the interchange numbers of ZZ:ACMERETAIL do not follow each other"]
    for _ in range(3):
        night(stage, *range(3000, 4000, 70))
        assert told(stage) == said


def test_the_profile_says_what_numbers_mean(tmp_path):
    stage = Stage(tmp_path)
    night(stage, *range(100, 1500, 70))
    night(stage)
    assert told(stage)
    stage.profiles[0] = profile(numbers="increasing", group_numbers="any")
    assert told(stage) == []
    night(stage, 5_000, 90_000, 90_010, 7)
    night(stage)
    assert told(stage) == ["from acme: the interchange numbers of ZZ:ACMERETAIL went back from 90010 to 7"]


def test_the_groups_of_a_missing_interchange_are_explained_with_it(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1, 3)
    night(stage)
    (attention,) = stage.run().attention
    gaps.close(stage.context(), int(attention.reference[1:]), actor="anna", reason="never sent")
    night(stage)
    assert told(stage) == []
    assert findings(stage) == []
    night(stage, 2)  # it was sent after all
    assert findings(stage) == []


def test_the_groups_of_a_missing_interchange_are_told_with_it(tmp_path):
    stage = Stage(tmp_path)
    night(stage, 1, 3)
    night(stage)
    with stage.ledger.reading() as connection:
        found = gaps_of(connection, "acme", everything=True)
        assert [(each.level, each.raised_at is None) for each in found] == [("interchange", False), ("group PO", True)]
        assert told_with(found) == {2: 1}
    gaps.close(stage.context(), 1, actor="anna", reason="never used")
    with stage.ledger.reading() as connection:
        assert told_with(gaps_of(connection, "acme", everything=True)) == {}


ANOTHER = "ZZ:EXAMPLETWO"


def begin_anew(stage: Stage) -> None:
    """A person says that all numbers of the partner begin at 1; new orders come under them, and 3 does not."""
    for groups in (False, True):
        gaps.reset(stage.context(), "acme", 1, groups=groups, actor="anna", reason="new system")
    for number in (1, 2, 4, 5):
        order = orders(number, documents.order(f"NEW-{number}", WHEN))
        stage.mail(order.replace(b"*261102*2200*U", b"*261104*2200*U"))
    stage.now += HOUR
    stage.run()
    night(stage)


@pytest.mark.parametrize("again", ["duplicate", "conflict", "quarantined", "discarded"])
def test_what_came_before_a_new_beginning_does_not_explain_what_is_missing_after_it(tmp_path, again):
    stage = Stage(tmp_path)
    night(stage, *range(1, 9))
    stage.mail(
        {
            "duplicate": orders(3),
            "conflict": orders(3, documents.order("PO-OTHER", WHEN)),
        }.get(again, orders(3).replace(b"*P*:", b"*I*:"))
    )
    night(stage)
    if again == "discarded":
        operate.discard(stage.context(), "17", actor="anna", reason="no order")
    assert again in stage.states("in")
    stage.now += DAY
    begin_anew(stage)
    assert told(stage) == ["from acme: interchange number 3 of ZZ:ACMERETAIL did not come"]


def test_an_acknowledgment_of_old_does_not_explain_what_is_missing_after_a_new_beginning(tmp_path):
    stage = Stage(tmp_path)
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.mail(acknowledgment(3, 1))
    night(stage, 1, 2, 4, 5)
    assert "reconciled" in stage.states("in")
    stage.now += DAY
    begin_anew(stage)
    assert told(stage) == ["from acme: interchange number 3 of ZZ:ACMERETAIL did not come"]


def test_a_group_of_old_does_not_explain_a_group_that_is_missing_after_a_new_beginning(tmp_path):
    stage = Stage(tmp_path)
    stage.mail(acknowledgment(3, 1))
    night(stage, 1, 2)
    stage.now += DAY
    gaps.reset(stage.context(), "acme", 1, groups=True, actor="anna", reason="new system")
    for number, group in ((4, 1), (5, 2), (6, 4)):
        order = orders(number, documents.order(f"NEW-{number}", WHEN))
        stage.mail(
            order.replace(f"*{number}*X*".encode(), f"*{group}*X*".encode()).replace(
                f"GE*1*{number}".encode(), f"GE*1*{group}".encode()
            )
        )
    night(stage)
    night(stage)
    assert told(stage) == ["from acme: group PO number 3 of ACMERETAIL did not come"]


@pytest.mark.parametrize("state", ["unmatched", "quarantined"])
def test_what_came_to_another_identity_of_ours_does_not_explain_what_is_missing(tmp_path, state):
    stage = Stage(tmp_path)
    stage.identities.append(ANOTHER)
    stage.mail(
        acknowledgment(3, 1).replace(b"EXAMPLECO ", b"EXAMPLETWO")
        if state == "unmatched"
        else orders(3, receiver=ANOTHER).replace(b"*P*:", b"*I*:")
    )
    night(stage, 1, 2, 4, 5)
    assert state in stage.states("in")
    night(stage)
    assert "from acme: interchange number 3 of ZZ:ACMERETAIL did not come" in told(stage)


def test_what_is_not_accepted_explains_the_newest_count_that_it_may_belong_to(tmp_path):
    """Used numbers come again without a word: 3 is missing from the old count, and refused in the new one."""
    stage = Stage(tmp_path, [profile(gap_grace="72h")])
    night(stage, 1, 2, 4, 5)
    stage.mail(orders(3).replace(b"*P*:", b"*I*:"))
    stage.now += DAY
    for groups in (False, True):
        gaps.reset(stage.context(), "acme", 1, groups=groups, actor="anna", reason="new system")
    for number in (1, 2, 4):
        stage.mail(orders(number, documents.order(f"NEW-{number}", WHEN)).replace(b"*261102*2200*U", b"*261104*2200*U"))
    stage.run()
    night(stage, after=4 * DAY)
    raised = [row for row in stage.rows("number_gap") if row["raised_at"] and row["level"] == "interchange"]
    assert [(row["epoch"], row["first"], row["last"]) for row in raised] == [(1, 3, 3)]


def test_what_an_explanation_leaves_of_a_gap_still_belongs_to_the_exchange_that_showed_it(tmp_path):
    """Group 3 is told with interchange 3, although a later arrival shows that other groups are missing."""
    stage = Stage(tmp_path)
    stage.mail(orders(2).replace(b"*P*:", b"*I*:"))
    night(stage, 1, 4)
    later = orders(5).replace(b"*5*X*", b"*7*X*").replace(b"GE*1*5", b"GE*1*7")
    stage.mail(later)
    night(stage, after=HOUR)
    night(stage, after=2 * DAY)
    assert sorted(told(stage)) == [
        "from acme: group PO numbers 5 to 6 of ACMERETAIL did not come",
        "from acme: interchange number 3 of ZZ:ACMERETAIL did not come",
    ]


def test_what_is_not_accepted_at_the_end_of_a_new_count_explains_nothing_of_the_old_one(tmp_path):
    stage = Stage(tmp_path, [profile(gap_grace="72h")])
    night(stage, 1, 2, 4, 5)
    for groups in (False, True):
        gaps.reset(stage.context(), "acme", 1, groups=groups, actor="anna", reason="new system")
    for number in (1, 2):
        stage.mail(orders(number, documents.order(f"NEW-{number}", WHEN)))
    stage.mail(orders(3).replace(b"*P*:", b"*I*:"))
    night(stage)
    night(stage, after=4 * DAY)
    assert told(stage) == ["from acme: interchange number 3 of ZZ:ACMERETAIL did not come"]


@pytest.mark.parametrize("last", [LAST, 2], ids=["before it wraps", "after it wrapped"])
def test_what_is_not_accepted_where_a_new_count_wraps_explains_nothing_of_the_old_one(tmp_path, last):
    stage = Stage(tmp_path, [profile(gap_grace="72h")])
    night(stage, 1, 2, 4, 5)
    for groups in (False, True):
        gaps.reset(stage.context(), "acme", LAST - 1, groups=groups, actor="anna", reason="new system")
    for number in [LAST - 1, LAST, 1, 2][: 2 if last == LAST else 4]:
        stage.mail(orders(number, documents.order(f"NEW-{number}", WHEN)).replace(b"*261102*2200*U", b"*261104*2200*U"))
    stage.mail(orders(3).replace(b"*P*:", b"*I*:"))
    night(stage)
    night(stage, after=4 * DAY)
    assert told(stage) == ["from acme: interchange number 3 of ZZ:ACMERETAIL did not come"]
