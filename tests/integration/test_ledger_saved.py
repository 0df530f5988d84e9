"""Saved queries: kept for everybody, told of by events, asked with @NAME."""

from __future__ import annotations

import json

import pytest
from builders import ledger_rows as make
from click.testing import CliRunner

from gateway.cli.ledger import command as ledger
from gateway.errors import NotAllowedNow, NotFound, QueryInvalid
from gateway.ledger import saved, tables
from gateway.ledger.database import reading, writing
from gateway.ledger.events import event_of, sentence
from gateway.ledger.recording import Ledger
from gateway.ledger.saved import SavedQuery

pytestmark = pytest.mark.integration


@pytest.fixture
def kept(ledger_engine):
    """A ledger whose clock stands still, and the saved query @late in it."""
    ledger = Ledger(ledger_engine, lambda: make.START, "alice")
    with ledger.transaction() as recorder:
        saved.save(recorder, "late", ["overdue", "since=7d", "sort=oldest"])
    return ledger


@pytest.fixture
def first(kept):
    """And @first, which asks for one thing alone."""
    with kept.transaction() as recorder:
        saved.save(recorder, "first", ["sort=oldest", "NOT", "type=850,855", "limit=2"])


def told(ledger):
    with ledger.reading() as connection:
        rows = connection.execute(tables.event.select().order_by(tables.event.c.seq)).mappings()
        return [(row["actor"], sentence(event_of(row))) for row in rows if row["kind"].startswith("query-")]


def test_words_are_kept_as_they_were_written(kept):
    with kept.reading() as connection:
        assert saved.every(connection) == [
            SavedQuery("late", ("overdue", "since=7d", "sort=oldest"), make.START, "alice")
        ]
    assert told(kept) == [("alice", "query late saved: overdue since=7d sort=oldest")]


def test_a_name_is_taken_until_its_query_may_be_replaced_or_is_deleted(kept):
    with kept.transaction("bob") as recorder:
        with pytest.raises(NotAllowedNow, match="saved query late is there already: add --replace"):
            saved.save(recorder, "late", ["attention"])
        saved.save(recorder, "late", ["attention"], replace=True)
        saved.remove(recorder, "late")
        with pytest.raises(NotFound):
            saved.remove(recorder, "late")
        saved.save(recorder, "late", ["duplicate"])
    assert told(kept)[1:] == [
        ("bob", "query late saved: attention, in the place of: overdue since=7d sort=oldest"),
        ("bob", "saved query late deleted: attention"),
        ("bob", "query late saved: duplicate"),
    ]


@pytest.mark.parametrize(
    ("words", "becomes"),
    [
        (["@late"], ["overdue", "since=7d", "sort=oldest"]),
        (["partner=acme", "@late", "850"], ["partner=acme", "overdue", "since=7d", "sort=oldest", "850"]),
        (["@late", "sort=-size", "limit=5"], ["overdue", "since=7d", "sort=-size", "limit=5"]),
        (["@acme.example"], ["@acme.example"]),
        (["a@late"], ["a@late"]),
        (["--@late"], ["overdue", "since=7d", "sort=oldest"]),
        (["NOT", "-@late", "NOT", "850"], ["overdue", "since=7d", "sort=oldest", "NOT", "850"]),
        (["-@acme.example", "NOT"], ["-@acme.example", "NOT"]),
        (["NOT", "@first"], ["sort=oldest", "limit=2", "NOT", "NOT", "type=850,855"]),
        (["-@first", "sort=size", "LIMIT=5"], ["NOT", "NOT", "type=850,855", "sort=size", "LIMIT=5"]),
    ],
)
@pytest.mark.usefixtures("first")
def test_a_saved_query_stands_for_its_words_and_a_minus_or_not_for_their_opposite(kept, words, becomes):
    with kept.reading() as connection:
        assert saved.expanded(connection, words) == becomes


@pytest.mark.parametrize("words", [["NOT", "@late"], ["-@late"], ["NOT", "--@late"], ["---@late"]])
def test_several_words_together_have_no_opposite(kept, words):
    with kept.reading() as connection, pytest.raises(QueryInvalid, match="no words can say the opposite of several"):
        saved.expanded(connection, [*words, "partner=acme"])


def test_a_query_that_is_not_there_is_named_with_one_that_is(kept):
    with kept.reading() as connection, pytest.raises(NotFound, match="There is no saved query lat; there is late"):
        saved.expanded(connection, ["@lat"])


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("Late", ["overdue"], "small letters"),
        ("", ["overdue"], "small letters"),
        ("x" * 41, ["overdue"], "at most 40"),
        ("x", [], "words are wanted"),
        ("x", ["partnr=acme"], "there is no field partnr"),
        ("x", ["@late"], "not of other saved queries"),
        ("x", ["-@late"], "not of other saved queries"),
    ],
)
def test_what_cannot_be_understood_is_not_saved(kept, name, words, said):
    with kept.transaction() as recorder, pytest.raises(QueryInvalid, match=said):
        saved.save(recorder, name, words)


# ---------------------------------------------------------------- on the command line


@pytest.fixture
def home(tmp_path):
    """Runs a command on a home with one exchange."""
    from gateway.app import open_app
    from gateway.cli.main import root

    made = CliRunner().invoke(root, ["--home", str(tmp_path / "home"), "init", "--name", "Us"])
    assert made.exit_code == 0, made.output
    with open_app(tmp_path / "home") as app, writing(app.engine) as connection:
        make.exchange(connection)

    def running(*words):
        return CliRunner().invoke(root, ["--home", str(tmp_path / "home"), "ledger", *words])

    return running


def test_a_query_is_saved_asked_shown_and_deleted(home):
    assert home("query", "save", "orders", "type=850", "-state=sent", "--dry-run").output == (
        "@orders saved: type=850 -state=sent (dry run: nothing was changed)\n"
    )
    assert home("query", "list").output == "No query is saved.\n"
    assert home("query", "save", "orders", "type=850", "-state=sent").output == "@orders saved: type=850 -state=sent\n"
    assert [json.loads(line)["id"] for line in home("search", "@orders", "--json").output.splitlines()] == [1]
    assert home("search", "@orders", "partner=beta").output == "Nothing meets the query.\n"
    assert json.loads(home("query", "show", "orders", "--json").output)["words"] == ["type=850", "-state=sent"]
    assert home("query", "show", "@orders").output == "type=850 -state=sent\n"
    assert "@orders" in home("query", "list").output
    assert json.loads(home("query", "list", "--json").output)["name"] == "orders"
    assert home("query", "delete", "orders").output == "@orders deleted: type=850 -state=sent\n"
    gone = home("search", "@orders").exception
    assert isinstance(gone, NotFound)
    assert gone.next_step == "See what there is: `gateway ledger query list`."


def test_an_export_takes_saved_queries_too(home):
    home("query", "save", "orders", "type=850")
    lines = home("export", "--format", "jsonl", "@orders").output.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1]


def test_limit_takes_the_place_of_that_of_a_saved_query(home):
    home("query", "save", "all", "limit=all")
    assert "There may be more" in home("search", "@all", "--limit", "1").output
    assert "There may be more" not in home("search", "@all").output
    assert "limit is asked twice" in str(home("search", "limit=2", "--limit", "1").exception)


def test_a_hold_takes_saved_queries_and_keeps_their_words(home):
    home("query", "save", "orders", "type=850")
    assert "keeps 1 exchange and" in home("hold", "add", "--why", "test", "@orders", "partner=acme").output
    home("query", "delete", "orders")
    (hold,) = map(json.loads, home("hold", "list", "--json").output.splitlines())
    assert hold["words"] == ["type=850", "partner=acme"]
    assert isinstance(home("hold", "add", "--why", "test", "@orders").exception, NotFound)


def test_a_report_takes_saved_queries_too(home):
    home("query", "save", "orders", "type=850", "since=2026-11-22T01:00Z", "until=2026-11-22T03:00Z")
    assert json.loads(home("report", "volumes", "@orders", "--json").output)["total"]["interchanges"] == 1
    assert "acme" in home("report", "volumes", "@orders").output
    assert isinstance(home("report", "volumes", "@order").exception, NotFound)


def test_the_index_is_made_anew(home):
    assert home("reindex").stderr == "1 exchange or mail looked at; the index is new.\n"
    assert json.loads(home("search", "sunday", "--json").output)["id"] == 1


def test_the_commands_are_in_the_group():
    assert {"search", "export", "query", "reindex"} <= set(ledger.commands)


def test_saving_leaves_other_tables_alone(kept):
    with reading(kept.engine) as connection:
        assert connection.execute(tables.exchange.select()).first() is None
