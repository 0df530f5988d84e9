"""Search agrees with a plain filter over the same rows: every criterion, any combination, order, page and count.

Once with the limits of a search as they are, where a few rows are always compared one by one, and once with tiny
ones, where it walks, asks the text index month by month and gives up on what is too much, as on millions of rows.
"""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from builders import ledger_rows as make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger import search_limits, tables
from gateway.ledger.key_value import key_value
from gateway.ledger.query import Criterion, Query, identity_parts, number_forms
from gateway.ledger.search import MAIL_SORTS, cursor_of, exchanges_on, messages_on
from gateway.ledger.search import _exchange_finder as exchange_finder
from gateway.ledger.search import _mail_finder as mail_finder
from gateway.ledger.search import _uncut as uncut
from gateway.ledger.spans import parse_span_of_numbers
from gateway.ledger.states import EXCHANGE_ATTENTION
from gateway.ledger.words import parse_query

pytestmark = pytest.mark.integration

START = make.START
DAY = 86_400_000
ALPHABET = st.sampled_from("aAbB1%_*?[]\\'\"\u00e9\u00c9\U0001f4e6 .@:\u0130")
SHORT = st.text(ALPHABET, max_size=4)
LONG = st.lists(
    st.sampled_from(["order", "ORDERS", "123456", "4500012345", "abc", "gr\u00f6\u00dfe", "x", " ", "-"]), max_size=4
)
WORDS = SHORT | LONG.map("".join)
MOMENT = st.sampled_from(
    [0, -5, START, START + 1, START + DAY, START - 40 * DAY, START - 400 * DAY, START - 3_000 * DAY]
)
STATES = ["delivered", "overdue", "rejected", "duplicate", "sent", "accepted", "acknowledged"]


@pytest.fixture(params=["as it is", "tiny"])
def limits(request, monkeypatch):
    """The limits of a search."""
    if request.param == "tiny":
        for name, value in (
            ("FEW", 1),
            ("VERY_FEW", 0),
            ("MANY", 20),
            ("NEAR", 2),
            ("ALL_TIME", 2),
            ("PAGES", (1,)),
            ("AHEAD", 1),
            ("WIDTHS", (1, 2)),
        ):
            monkeypatch.setattr(search_limits, name, value)


ROWS = st.fixed_dictionaries(
    {
        "at": MOMENT,
        "updated_at": st.integers(START, START + 5),
        "partner": st.sampled_from(["a", "b", "a*", ""]),
        "direction": st.sampled_from(["in", "out"]),
        "state": st.sampled_from(STATES),
        "verdict": st.sampled_from(["", "accepted", "rejected", "partially_accepted"]),
        "usage": st.sampled_from("PT"),
        "subject": WORDS,
        "file_name": WORDS,
        "from_address": SHORT,
        "to_addresses": st.lists(SHORT, max_size=2),
        "message_id": SHORT.map(lambda text: f"<{text}>"),
        "user": st.sampled_from(["u", "U2"]),
        "host": st.sampled_from(["h", "H2"]),
        "control_number": st.integers(0, 30).map(lambda number: str(number).zfill(9)),
        "types": st.lists(st.sampled_from(["850", "85", "810"]), max_size=2).map(" ".join),
        "versions": st.lists(st.sampled_from(["004010", "005010X222A1", '0"[%?']), max_size=2).map(" ".join),
        "sender_qualifier": st.sampled_from(["01", "ZZ"]),
        "sender_id": SHORT,
        "agreement": st.sampled_from(["orders", "x,y", "", "In Orders"]),
        "fault_code": st.sampled_from(["", "sending.deferred", "acknowledgment.counts", "a"]),
        "size": st.integers(0, 3_000),
        "segments": st.integers(0, 5),
        "findings": st.integers(0, 2),
        "duplicate_of": st.none(),
        "repeats": st.none() | st.just(1),
        "settled_at": st.none() | st.just(START),
        "acknowledged_at": st.none() | st.integers(1, 4),
        "due_at": st.none() | st.integers(1, 4),
        "keys": st.lists(st.tuples(st.sampled_from(["po", "a"]), WORDS), max_size=3, unique=True),
        "group": st.sampled_from(["7", "0042"]),
        "set": st.sampled_from(["0001", "123456"]),
        "awaited": st.none() | st.integers(START - 1, START + 1),
        "mailbox": st.none() | st.sampled_from(["orders", "other"]),
    }
)
MAILS = st.fixed_dictionaries(
    {
        "at": MOMENT,
        "partner": st.sampled_from(["a", "b", ""]),
        "direction": st.sampled_from(["in", "out"]),
        "state": st.sampled_from(["stored", "noted", "quarantined", "queued", "sent"]),
        "kind": st.sampled_from(["letter", "bounce"]),
        "subject": WORDS,
        "from_address": SHORT,
        "to_addresses": st.lists(SHORT, max_size=1),
        "cc_addresses": st.lists(SHORT, max_size=1),
        "message_id": SHORT.map(lambda text: f"<{text}>"),
        "mailbox": st.sampled_from(["orders", "other"]),
        "size": st.integers(0, 3_000),
        "files": st.lists(WORDS, max_size=2),
        "exchange": st.none() | st.sampled_from(["quarantined", "delivered"]),
    }
)
IDENTITY = SHORT | SHORT.map(lambda text: f"ZZ:{text}")
PATTERN = (
    st.sampled_from(
        [
            "ord*",
            "*RDER*",
            "*",
            "*456*",
            "45*",
            "*23456*",
            "*50001*",
            "\u0130*",
            "order",
            "5000",
            "500012",
            "a",
            "größe",
            "b*1",
        ]
    )
    | WORDS
)
SPAN = st.sampled_from(["0", "1", "1..", "..1", "1k..2k", "..1500"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "partner": st.sampled_from(["a", "B", "A*", "*", "c", "-"]),
    "direction": st.sampled_from(["in", "out"]),
    "kind": st.sampled_from(["document", "letter", "bounce"]),
    "state": st.sampled_from([*STATES, "noted", "quarantined"]),
    "verdict": st.sampled_from(["accepted", "rejected"]),
    "type": st.sampled_from(["850", "85", "810", "850 810", "85*", "*0", "8*0", "*", "*50*"]),
    "version": st.sampled_from(["004010", "005010", "0", "00*", "*4010", "0*1", "005010*2", "*", "*222A1"]),
    "usage": st.sampled_from(["P", "T"]),
    "control_number": st.integers(0, 30).map(str) | st.just("*1"),
    "group_control_number": st.sampled_from(["7", "42", "*4*"]),
    "set_control_number": st.sampled_from(["1", "0123456", "123456", "1*"]),
    "sender": IDENTITY,
    "business_key": PATTERN | PATTERN.map(lambda text: f"po={text}"),
    "message_id": SHORT | st.sampled_from(["*a*", "a*"]),
    "from_address": SHORT | st.sampled_from(["*a*", "*@a", "*@*", "b@*"]),
    "to_address": SHORT | st.just("*a*"),
    "host": st.sampled_from(["h", "H*", "h2"]),
    "user": st.sampled_from(["u", "U2", "*"]),
    "mailbox": st.sampled_from(["orders", "O*"]),
    "file_name": PATTERN,
    "subject": PATTERN,
    "fault": st.sampled_from(["a", "Sending*", "sending.deferred"]),
    "agreement": st.sampled_from(["ORDERS", "x*", "in*"]),
    "size": SPAN,
    "segments": SPAN,
    "findings": SPAN,
    "text": PATTERN,
}
TEXTUAL = ["type", "text", "subject", "file_name", "business_key", "partner", "from_address", "usage", "host"]


def criteria(fields: list[str]) -> st.SearchStrategy[Criterion]:
    def of(field: str) -> st.SearchStrategy[Criterion]:
        values = VALUES[field].filter(lambda text: text.strip("<> "))
        most = 1 if field in {"subject", "text"} else 2
        wanted = st.lists(values, min_size=1, max_size=most).map(tuple)
        return st.builds(Criterion, st.just(field), wanted, st.sampled_from([False, False, True]))

    return st.sampled_from(fields).flatmap(of)


FLAG = st.sampled_from([None, None, None, None, None, None, None, True, False])
SORTS = ["at", "-size", "partner", "-state", "type", "file", "-updated", "subject", "from"]
TIMES = {
    "since": st.none() | st.sampled_from([START - 500 * DAY, START]),
    "until": st.none() | st.sampled_from([START + 1, START + 2 * DAY]),
}
ANY = st.builds(
    Query,
    also=st.lists(criteria(sorted(VALUES)), max_size=3).map(tuple),
    **dict.fromkeys(("needs_attention", "unacknowledged", "overdue", "duplicate", "settled", "late"), FLAG),
    **TIMES,
    sort=st.none() | st.sampled_from(SORTS),
    limit=st.sampled_from([None, 1, 2, 3, 50]),
)
# What the text index is asked about, month by month.
INDEXED = st.builds(
    Query,
    also=st.lists(criteria(TEXTUAL), min_size=1, max_size=2).map(tuple),
    **TIMES,
    sort=st.sampled_from([None, "at"]),
    limit=st.sampled_from([1, 2, 3, 50]),
)
QUERIES = st.lists(ANY | INDEXED, min_size=1, max_size=12)


def folded(text: str) -> str:
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def like(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether ``text`` is ``pattern``, in which * stands for anything."""
    if fold:
        pattern, text = folded(pattern), folded(text)
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), text, re.DOTALL) is not None


def within(span: str, number: int) -> bool:
    low, high = parse_span_of_numbers(span, "")
    return (low is None or number >= low) and (high is None or number <= high)


def of_key(value: str, keys: list[tuple[str, str]]) -> bool:
    named, sign, rest = value.partition("=")
    return any(like(value, key) or (sign and named == name and like(rest, key)) for name, key in keys)


def numbered(value: str, number: str) -> bool:
    return like(value, number) if "*" in value else number in number_forms(value)


def meets(field: str, value: str, row: dict[str, Any]) -> bool:  # noqa: C901, PLR0911, PLR0912 - a line a criterion
    """The meaning of one criterion, written down plainly."""
    if field in {"direction", "kind", "state", "verdict", "usage"}:
        return row.get(field) == value
    if field in {"size", "segments", "findings"}:
        return field in row and within(value, row[field])
    if field == "partner" and value == "-":
        return row["partner"] == ""
    if field in {"partner", "agreement", "mailbox"}:
        return like(value, row.get(field) or "", fold=True) and row.get(field) is not None
    if field in {"from_address", "host", "user"}:
        return like(value, row[field], fold=True)
    if field == "fault":
        return like(value, row["fault_code"], fold=True)
    if field == "subject":
        return like(f"*{value}*", row["subject"], fold=True)
    if field == "file_name":
        return any(like(value, name, fold=True) for name in row["files"])
    if field == "to_address":
        return any(like(value, each, fold=True) for each in row["addressed"])
    if field == "message_id":
        return like(value, row["message_id"]) or like(f"<{value}>", row["message_id"])
    if field == "text":
        texts = [row["subject"], *row["files"], *(key for _, key in row.get("keys", []))]
        return all(any(like(f"*{term}*", text, fold=True) for text in texts) for term in value.split())
    if "keys" not in row:  # a mail has nothing else
        return False
    if field == "type":
        of_one = any(like(value, each) for each in row["types"].split())
        return of_one or ("*" not in value and f" {value} " in f" {row['types']} ")
    if field == "version":
        return any(like(f"{value}*", each) for each in row["versions"].split())
    if field == "sender":
        wanted, text = identity_parts(value)
        return wanted in {None, row["sender_qualifier"]} and like(text, row["sender_id"])
    if field == "business_key":
        return of_key(value, row["keys"])
    number = {"control_number": "control_number", "group_control_number": "group", "set_control_number": "set"}[field]
    return numbered(value, row[number])


def is_in_need(row: dict[str, Any]) -> bool:
    """As ``gateway status`` means it; nothing here awaits a receipt."""
    state, way, fault = row["state"], row["direction"], row["fault_code"]
    if state in EXCHANGE_ATTENTION:
        return True
    if row["verdict"] == "partially_accepted" and (way, state) in {
        ("in", "accepted"), ("in", "delivered"), ("out", "acknowledged"),
    }:  # fmt: skip
        return True
    if fault.startswith("sending"):
        return state in {"accepted", "sent", "acknowledged"}
    if fault.startswith("acknowledgment"):
        return way == "out" or state == "accepted"
    return state == "accepted" and fault != ""


def is_flagged(name: str, row: dict[str, Any], now: int) -> bool:
    if "keys" not in row:
        return name == "needs_attention" and row["state"] == "quarantined"
    late = row["acknowledged_at"] is not None and row["due_at"] is not None and row["acknowledged_at"] > row["due_at"]
    return {
        "needs_attention": row["settled_at"] is None and is_in_need(row),
        "unacknowledged": row["awaited"] is not None,
        "overdue": row["state"] == "overdue" or (row["awaited"] is not None and row["awaited"] <= now),
        "duplicate": row["state"] == "duplicate" or row["repeats"] is not None,
        "settled": row["settled_at"] is not None,
        "late": late,
    }[name]


def naive(query: Query, row: dict[str, Any], now: int) -> bool:
    """Whether a row meets a query."""
    found = [any(meets(each.field, value, row) for value in each.values) ^ each.negated for each in query.criteria()]
    for name in ("needs_attention", "unacknowledged", "overdue", "duplicate", "settled", "late"):
        wanted = getattr(query, name)
        found.append(wanted is None or is_flagged(name, row, now) == wanted)
    found.append(query.since is None or row["at"] >= query.since)
    found.append(query.until is None or row["at"] < query.until)
    return all(found)


def in_order(query: Query, rows: list[dict[str, Any]], names: dict[str, str]) -> list[int]:
    sort, down = query.order
    column = names.get(sort, "at")
    return [row["id"] for row in sorted(rows, key=lambda row: (row[column], row["id"]), reverse=down)]


CHECKED = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
COLUMNS = {
    "at": "at",
    "updated": "updated_at",
    "size": "size",
    "partner": "partner",
    "state": "state",
    "type": "types",
    "control": "control_number",
    "file": "file_name",
    "subject": "subject",
    "from": "from_address",
}


def paged(find: Any, query: Query) -> list[int]:
    """All pages of a query, one after the other."""
    found: list[int] = []
    page = query
    while True:
        rows = find(page)
        found += [row.id for row in rows]
        assert len(found) == len(set(found)), "a row comes twice"
        if query.limit is None or len(rows) < query.limit:
            return found
        page = Query(
            **{name: getattr(query, name) for name in query.__struct_fields__} | {"before": cursor_of(rows[-1], query)}
        )


# ---------------------------------------------------------------- a world that is always the same

FIXED = {
    "partner": ["A", "b", "a*", "c", "-"],
    "direction": ["in", "out"],
    "state": STATES,
    "verdict": ["accepted", "rejected"],
    "type": ["850", "85", "810", "85*", "8*0", "*1*"],
    "version": ["004010", "005010", "005010X2*", "*4010", "005010*A1"],
    "usage": ["P", "T"],
    "control_number": ["7", "*1", "12"],
    "group_control_number": ["7", "42"],
    "set_control_number": ["1", "123456"],
    "sender": ["ZZ:A", "B", "*"],
    "business_key": [
        "po=4500*",
        "*o-45000*",
        "*-4500012*",
        "*12345*",
        "*50001*",
        "INV*",
        "a=*9*",
        "po=4500012345",
        "*order*",
    ],
    "message_id": ["1@x", "*@x"],
    "from_address": ["A@x", "*@x", "*@Y", "a*@x", "*x"],
    "to_address": ["a", "*b"],
    "host": ["H", "h2"],
    "user": ["u", "U2"],
    "mailbox": ["orders", "o*"],
    "file_name": ["*.edi", "450*", "*5000123*"],
    "subject": ["order", "rare", "4500012", "or*1"],
    "fault": ["a", "s*"],
    "agreement": ["orders", "x*"],
    "size": ["..1500", "1k.."],
    "segments": ["3.."],
    "findings": ["0", "1.."],
    "text": ["order", "rare", "123456", "50001 order", "edi", "01", "\u00e9t\u00e9", "4500012345", "INV or"],
}


def fixed_row(chance: random.Random) -> dict[str, Any]:
    """Some row; most things are common, some are rare."""
    number = f"45000{chance.randrange(10**5):05}" if chance.random() < 0.7 else "4500012345"
    pick = chance.choice
    return {
        "at": START - chance.randrange(900) * DAY // 10 - pick([0, 0, 0, 900]) * DAY,
        "updated_at": START + chance.randrange(5),
        "partner": pick([*"aaab", ""]),
        "direction": pick(["in", "out"]),
        "state": pick([*STATES, *["delivered"] * 5]),
        "verdict": pick(["", "accepted", "accepted", "rejected"]),
        "usage": pick("PPPT"),
        "subject": pick(["Orders", "order", "Invoice", "\u00c9t\u00e9 order"])
        + f" {number}"
        + pick(["", "", "", " rare"]),
        "file_name": pick([f"{number}.edi", "x.EDI", ""]),
        "from_address": pick(["a@x", "b@y"]),
        "to_addresses": pick([["A"], ["ab"], []]),
        "message_id": f"<{chance.randrange(20)}@x>",
        "user": pick(["u", "U2"]),
        "host": pick(["h", "H2"]),
        "control_number": f"{chance.randrange(30):09}",
        "types": pick(["850", "850", "810", "85 850"]),
        "versions": pick(["004010", "005010X222A1"]),
        "sender_qualifier": pick(["01", "ZZ"]),
        "sender_id": pick("AB"),
        "agreement": pick(["orders", "x"]),
        "fault_code": pick(["", "", "", "a", "s.t"]),
        "size": chance.randrange(3_000),
        "segments": chance.randrange(6),
        "findings": pick([0, 0, 0, 2]),
        "duplicate_of": None,
        "repeats": pick([None] * 6 + [1]),
        "settled_at": pick([None] * 5 + [START]),
        "acknowledged_at": pick([None, 1, 2]),
        "due_at": pick([None, 1]),
        "keys": [("po", pick([number, f"PO-{number}"])), ("a", f"INV{chance.randrange(10**4):04}")][
            : chance.randrange(3)
        ],
        "group": pick(["7", "0042"]),
        "set": pick(["0001", "0001", "123456"]),
        "awaited": pick([None] * 5 + [START - 1, START + 1]),
        "mailbox": pick([None, "orders", "other"]),
    }


def fixed_query(chance: random.Random) -> Query:
    """Some query of one to three criteria."""
    also = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        field = chance.choice([*FIXED, "text", "business_key", "subject", "type", "partner"])
        count = 1 if field in {"subject", "text"} else chance.choice([1, 1, 2])
        also.append(
            Criterion(field, tuple(chance.sample(FIXED[field], min(count, len(FIXED[field])))), chance.random() < 0.2)
        )
    flags: dict[str, Any] = {}
    if chance.random() < 0.3:
        names = ("needs_attention", "unacknowledged", "overdue", "duplicate", "settled", "late")
        flags[chance.choice(names)] = chance.random() < 0.7
    if chance.random() < 0.3:
        flags["since"] = START - chance.choice([30, 400]) * DAY
    sort = chance.choice([None, None, None, None, "at", *SORTS])
    return Query(also=tuple(also), sort=sort, limit=chance.choice([3, 10, 50, None]), **flags)


@pytest.mark.parametrize("seed", [1, 2])
def test_exchanges_of_a_fixed_world_are_those_of_a_naive_filter(ledger_engine, limits, seed):
    chance = random.Random(seed)
    found_some = 0
    with ledger_engine.connect() as connection, connection.begin() as transaction:
        known = [written(connection, fixed_row(chance)) for _ in range(70)]
        for _ in range(150):
            query = fixed_query(chance)
            expected = in_order(query, [row for row in known if naive(query, row, START)], COLUMNS)
            assert paged(lambda page: exchanges_on(connection, page, now=START), query) == expected, query
            assert exchange_finder(connection, uncut(query), START).count() == len(expected)
            found_some += bool(expected)
        transaction.rollback()
    assert found_some > 75


# ---------------------------------------------------------------- keys that are not kept whole

LONG = {"A": ("po", "7" * 609), "B": ("po", "aB3-" * 400), "C": ("ref", "po=" + "x" * 600), "D": ("po", "x" * 600)}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["po=" + "7" * 609], "A"),
        (["key=po=" + "7" * 609], "A"),
        (["key=" + "7" * 609], "A"),
        (["7" * 609], "A"),
        (["po=" + "7" * 608], ""),
        (["po=77*"], "A"),
        (["invoice=" + "7" * 609], ""),
        (["po=" + "aB3-" * 400], "B"),
        (["aB3-" * 400, "rare"], "B"),
        (["key=" + "aB3-" * 400 + ",4711"], "B"),
        (["key=po=" + "x" * 600], "CD"),
        (["key=" + "x" * 600], "D"),
        (["x" * 600], "D"),
        (["po=" + "7" * 609 + "," + "aB3-" * 400], "AB"),
        (["-po=" + "x" * 600], "ABEF"),
        (["-" + "7" * 609], "BCDEF"),
        (["y" * 600], "F"),
    ],
)
def test_a_key_that_is_not_kept_whole_is_found_by_all_of_it(ledger_engine, limits, words, found):
    with ledger_engine.connect() as connection, connection.begin() as transaction:
        names = {}
        for name in "ABCDEF":
            subject = f"{'y' * 600} z" if name == "F" else "rare"
            names[make.exchange(connection, subject=subject)] = name
        for number, name in names.items():
            if name in LONG:
                make.business_key(connection, number, LONG[name][0], key_value(LONG[name][1]))
        query = parse_query(words)
        rows = paged(lambda page: exchanges_on(connection, page, now=START), query)
        assert "".join(sorted(names[row] for row in rows)) == found
        assert exchange_finder(connection, uncut(query), START).count() == len(found)
        transaction.rollback()


# ---------------------------------------------------------------- any world


@CHECKED
@given(rows=st.lists(ROWS, min_size=1, max_size=12), queries=QUERIES)
def test_exchanges_are_those_of_a_naive_filter(ledger_engine, limits, rows, queries):
    with ledger_engine.connect() as connection, connection.begin() as transaction:
        known = [written(connection, dict(row)) for row in rows]
        for query in queries:
            expected = in_order(query, [row for row in known if naive(query, row, START)], COLUMNS)
            assert paged(lambda page: exchanges_on(connection, page, now=START), query) == expected, query
            finder = exchange_finder(connection, uncut(query), START)
            assert finder.count() == len(expected)
            assert finder.count(1) in {min(len(expected), 2), len(expected)}
        transaction.rollback()


def written(connection: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Writes an exchange with all that belongs to it."""
    beside = {name: row.pop(name) for name in ("keys", "group", "set", "awaited", "mailbox")}
    # An exchange has the Message-ID of its mail.
    mailbox, copied = (beside["mailbox"], ["a"]) if beside["mailbox"] is not None else ("", [])
    mail = make.message(connection, mailbox=mailbox, cc_addresses=copied, to_addresses=[], message_id=row["message_id"])
    row["id"] = make.exchange(connection, message=mail, **row)
    group = make.group(connection, row["id"], control_number=beside["group"])
    owner = make.transaction_set(connection, row["id"], group, control_number=beside["set"])
    for name, value in beside["keys"]:
        make.business_key(connection, row["id"], name, value, owner)
    if beside["awaited"] is not None:
        awaited = {"exchange": row["id"], "kind": "997", "partner": row["partner"], "within": 1}
        make.insert(connection, tables.expectation, due_at=beside["awaited"], **awaited)
    addressed = row["to_addresses"] + copied
    return row | beside | {"kind": "document", "files": [row["file_name"]], "addressed": addressed}


@CHECKED
@given(mails=st.lists(MAILS, min_size=1, max_size=12), queries=QUERIES)
def test_mails_are_those_of_a_naive_filter(ledger_engine, limits, mails, queries):
    with ledger_engine.connect() as connection, connection.begin() as transaction:
        known = [row for mail in mails if (row := written_mail(connection, dict(mail))) is not None]
        for query in queries:
            expected = in_order(
                query,
                [row for row in known if naive(query, row, START)],
                {name: column for name, column in COLUMNS.items() if name in MAIL_SORTS},
            )
            if query.order[0] not in MAIL_SORTS:  # newest first, and one page
                expected = in_order(Query(), [row for row in known if naive(query, row, START)], COLUMNS)
                found = [row.id for row in messages_on(connection, query, now=START)]
                assert found == expected[: query.limit], query
                continue
            assert paged(lambda page: messages_on(connection, page, now=START), query) == expected, query
            assert mail_finder(connection, uncut(query), START).count() == len(expected)
        transaction.rollback()


def written_mail(connection: Any, row: dict[str, Any]) -> dict[str, Any] | None:
    """Writes a mail with its files and the exchange that it led to; None where that speaks for it."""
    files, led_to = row.pop("files"), row.pop("exchange")
    row["id"] = make.message(connection, host="h", user="U2", **row)
    for number, name in enumerate(files):
        values = {"message": row["id"], "ordinal": number, "file_name": name, "sha256": "0" * 64}
        make.insert(connection, tables.payload, **values)
    if led_to is not None:
        make.exchange(connection, message=row["id"], state=led_to)
        if row["state"] != "quarantined" or led_to == "quarantined":
            return None
    addressed = [*row["to_addresses"], *row["cc_addresses"]]
    return row | {"files": files, "addressed": addressed, "host": "h", "user": "U2", "fault_code": ""}
