"""Legal holds: what can be held, and that a hold means later what it meant when it was made."""

from __future__ import annotations

import pytest
from builders.stage import Stage, orders
from msgspec.structs import replace

from gateway.errors import NotFound, QueryInvalid
from gateway.flow.hold import add, release
from gateway.ledger import holds, tables
from gateway.ledger.words import parse_query
from gateway.words import count


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    for number in (1, 2):
        stage.mail(orders(number))
    stage.mail(b"ISA junk", sender="stranger@nowhere.example")
    stage.run()
    return stage


def hold(stage, *words, numbers=(), **options):
    query = parse_query(words) if words else None
    return add(stage.context(), words, query, numbers, actor="ann", reason="a dispute", **options)


def held(stage):
    x = [int(str(row["id"])) for row in stage.rows("exchange")]
    m = [int(str(row["id"])) for row in stage.rows("message")]
    with stage.ledger.reading() as connection:
        found = holds.held(connection, x, m)
    return sorted(found.exchanges), sorted(found.messages)


@pytest.mark.parametrize(
    ("words", "exchanges"),
    [
        (("partner=acme", "type=850"), [1, 3]),
        (("po=PO-1",), [1]),
        (("control=1,2", "direction=in"), [1, 3]),
        (("-control=1", "direction=in"), [3]),
        (("type=850", "-po=PO-1"), [3]),
        (("since=2026-11-01", "until=2026-11-30", "type=997"), [2, 4]),
        (("PO-2",), [3]),
    ],
)
def test_a_query_holds_what_it_finds(stage, words, exchanges):
    act = hold(stage, *words)
    assert held(stage)[0] == exchanges
    assert f"keeps {count(len(exchanges), 'exchange')} and" in act.sentence


def test_numbers_are_held_and_those_that_are_not_there_are_refused(stage):
    hold(stage, numbers=["2", "m3"])
    assert held(stage) == ([2], [3])
    with pytest.raises(NotFound, match="no mail m99"):
        hold(stage, numbers=["m99"])
    with pytest.raises(NotFound, match="no exchange 99"):
        hold(stage, numbers=["99"])


@pytest.mark.parametrize(
    "word", ["overdue", "state=rejected", "-state=rejected", "attention", "fault=x", "late", "duplicate"]
)
def test_what_changes_by_itself_cannot_be_held(stage, word):
    with pytest.raises(QueryInvalid, match="it changes by itself"):
        hold(stage, word)
    assert stage.rows("hold") == []


def test_a_hold_on_everything_by_mistake_is_refused(stage):
    for words in ((), ("limit=5",), ("sort=at",)):
        with pytest.raises(QueryInvalid, match="name what is to be held"):
            hold(stage, *words)


def test_a_dry_run_tells_and_changes_nothing(stage):
    act = hold(stage, "type=850", dry_run=True)
    assert "keeps 2 exchanges" in act.sentence
    assert stage.rows("hold") == []


def test_a_relative_time_is_fixed_when_the_hold_is_made(stage):
    stage.now = int(str(stage.rows("exchange")[0]["at"]))
    with stage.ledger.transaction() as recorder:
        holds.add(recorder, ["since=1d"], parse_query(["since=2026-11-01"]), reason="x")
    (kept,) = stage.rows("hold")
    assert '"since": 17' in str(kept["query"])


def test_a_released_hold_holds_no_more_and_says_who_and_why(stage):
    act = hold(stage, "type=850")
    assert release(stage.context(), int(act.reference), actor="bob", reason="settled").done
    assert held(stage) == ([], [])
    assert not release(stage.context(), int(act.reference), actor="bob", reason="settled").done
    with stage.ledger.reading() as connection:
        (kept,) = holds.holds(connection, released=True)
    assert (kept.actor, kept.released_by, kept.release_reason) == ("ann", "bob", "settled")
    kinds = [row["kind"] for row in stage.rows("event")]
    assert kinds.count("held") == kinds.count("hold-released") == 1
    with pytest.raises(NotFound, match="no legal hold 99"):
        release(stage.context(), 99, actor="bob", reason="x")


@pytest.mark.unrecorded  # no version changes the query of a hold that is there
def test_a_hold_of_a_later_version_holds_more_rather_than_less(stage):
    hold(stage, "type=850", "partner=acme")
    with stage.ledger.transaction() as recorder:
        recorder.change(tables.hold, 1, query='{"partner": "acme", "colour": "red"}')
    assert held(stage)[0] == [1, 2, 3, 4]
    with stage.ledger.transaction() as recorder:
        recorder.change(tables.hold, 1, query='{"colour": "red"}')
    assert held(stage)[0] == [1, 2, 3, 4]


def test_the_same_hold_again_is_told_and_not_made(stage):
    """Four tabs of a browser made four, and each had to be released."""
    assert hold(stage, "type=850", "partner=acme").done
    again = hold(stage, "partner=acme", "type=850")
    assert (again.done, again.reference) == (False, "1")
    assert again.sentence == "done before: hold 1 of ann keeps the same for the same reason; nothing was changed"
    assert hold(stage, numbers=["3", "m1"]).done
    assert not hold(stage, numbers=["m1", "3", "3"]).done
    assert stage.kinds().count("held") == len(stage.rows("hold")) == 2


def test_words_that_mean_a_moment_make_the_same_hold_again(stage):
    first, later = (replace(parse_query(["type=850"]), since=each) for each in (stage.now - 7, stage.now))

    def again(words, query):
        return add(stage.context(), words, query, (), actor="ann", reason="a dispute").done

    assert again(["type=850", "since=7d"], first)
    assert not again(["type=850", "since=7d"], later)
    assert again(["type=850", "since=6d"], later)
    assert again(["type=850", "since=7d"], replace(first, since=stage.now - 8))


def test_another_scope_another_reason_and_a_hold_that_was_released_make_another_hold(stage):
    hold(stage, "type=850")
    assert hold(stage, "type=850", "partner=acme").done
    assert hold(stage, "type=850", numbers=["3"]).done
    query = parse_query(["type=850"])
    assert add(stage.context(), ["type=850"], query, (), actor="ann", reason="another dispute").done
    release(stage.context(), 1, actor="bob", reason="settled")
    assert hold(stage, "type=850").reference == "5"
