"""Reports say what a naive count over the same exchanges says, in any zone, over any window."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from builders import ledger_rows as make
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from gateway.errors import QueryInvalid
from gateway.ledger import daily, tables
from gateway.ledger.daily_tables import daily_count
from gateway.ledger.database import open_engine, reading, upgrade, writing
from gateway.ledger.reports.answers import answers
from gateway.ledger.reports.charges import average_prices, charges, rounded, shared
from gateway.ledger.reports.mistakes import mistakes
from gateway.ledger.reports.quality import quality
from gateway.ledger.reports.scope import Scope, parse_scope, stretches
from gateway.ledger.reports.volumes import BY, volumes
from gateway.settings import TariffSettings
from gateway.settings.model import Tier

pytestmark = [pytest.mark.integration, pytest.mark.unrecorded]

HOUR, DAY = 3_600_000, 86_400_000
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Chatham")]
START = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp() * 1000)
END = int(datetime(2026, 11, 6, tzinfo=UTC).timestamp() * 1000)  # Berlin's clocks change on 25 Oct, New York's on 1 Nov


def ms(*when, zone=UTC):
    return int(datetime(*when, tzinfo=zone).timestamp() * 1000)


def record(connection, exchanges):
    """Exchanges as dicts; ``sets`` is a list of (ST01, status) of each. Returns their ids."""
    ids = []
    rows = {"exchange": [], "transaction_set": []}
    for each in exchanges:
        sets = each.get("sets", [])
        values = {name: value for name, value in each.items() if name != "sets"}
        number = make.exchange(connection, types=" ".join(dict.fromkeys(set_id for set_id, _ in sets)), **values)
        group = make.group(connection, number) if sets else 0
        verdict = "status" if {**make.EXCHANGE, **values}["direction"] == "in" else "acknowledged"
        for set_id, status in sets:
            made = {"set_id": set_id, "status": "", verdict: status, "segments": 10}
            row = make.transaction_set(connection, number, group, **made)
            rows["transaction_set"].append({"id": row, "exchange": number, "set_id": set_id})
        types = " ".join(dict.fromkeys(set_id for set_id, _ in sets))
        rows["exchange"].append({**make.EXCHANGE, **values, "id": number, "types": types})
        ids.append(number)
    daily.count_rows(connection, rows)
    return ids


def wipe(connection):
    for table in (
        *(tables.expectation, tables.acknowledgment, tables.finding, tables.transaction_set),
        *(tables.functional_group, tables.exchange, daily_count),
    ):
        connection.execute(delete(table))


# ---------------------------------------------------------------- volumes


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory):
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('reports') / 'ledger.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(START, END) | st.integers(START // HOUR, END // HOUR).map(lambda hour: hour * HOUR),
            "partner": st.sampled_from(["acme", "beta", ""]),
            "direction": st.sampled_from(["in", "out"]),
            "kind": st.sampled_from(["document", "acknowledgment"]),
            "usage": st.sampled_from(["P", "T"]),
            "size": st.integers(0, 5000),
            "sets": st.lists(st.tuples(st.sampled_from(["850", "860"]), st.just("accepted")), max_size=3),
        }
    ),
    max_size=12,
)
WINDOW = st.integers(START // HOUR, END // HOUR - 1).flatmap(
    lambda first: st.tuples(st.just(first * HOUR), st.integers(first + 1, END // HOUR).map(lambda last: last * HOUR))
)


def naive_volumes(exchanges, scope, by):
    found = defaultdict(lambda: [0, 0, 0])
    for each in exchanges:
        types = list(dict.fromkeys(set_id for set_id, _ in each["sets"]))
        if not scope.since <= each["at"] < scope.until:
            continue
        if any(value is not None and each[name] != value for name, value in asked(scope).items()):
            continue
        local = datetime.fromtimestamp(each["at"] / 1000, UTC).astimezone(scope.zone)
        when = {"month": f"{local:%Y-%m}", "day": f"{local:%Y-%m-%d}", "hour": local.hour}

        def add(type_, *amounts, each=each, when=when):
            key = tuple((each | when | {"type": type_})[name] for name in by)
            for place, amount in enumerate(amounts):
                found[key][place] += amount

        if scope.type is None or scope.type in types:
            add(" ".join(types), 1, 0, each["size"])
        for set_id, _ in each["sets"]:
            if scope.type in {None, set_id}:
                add(set_id, 0, 1, 0)
    return {key: tuple(amounts) for key, amounts in found.items()}


def asked(scope):
    return {name: getattr(scope, name) for name in ("partner", "direction", "kind", "usage")}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    exchanges=EXCHANGES,
    window=WINDOW,
    zone=st.sampled_from(ZONES),
    by=st.lists(st.sampled_from(BY), unique=True, max_size=4),
    narrow=st.dictionaries(st.sampled_from(["partner", "type", "direction", "usage"]), st.just(True), max_size=2),
)
def test_volumes_agree_with_a_naive_count(sqlite_engine, exchanges, window, zone, by, narrow):
    values = {"partner": "acme", "type": "850", "direction": "in", "usage": "P"}
    scope = Scope(*window, zone, **{name: values[name] for name in narrow})
    with writing(sqlite_engine) as connection:
        wipe(connection)
        record(connection, exchanges)
        told = volumes(connection, scope, by)
        found = {
            tuple(getattr(each, name) for name in by): (each.interchanges, each.sets, each.bytes) for each in told.rows
        }
        assert found == naive_volumes(exchanges, scope, by)
        assert [each.as_dict() for each in told.rows] == [each.as_dict() for each in sorted_rows(told)]
        assert told.total.bytes == sum(each.bytes for each in told.rows)


def sorted_rows(told):
    return sorted(told.rows, key=lambda each: [getattr(each, name) for name in told.by])


def test_a_day_in_which_the_clocks_change_has_23_or_25_hours(ledger_engine):
    with writing(ledger_engine) as connection:
        first = ms(2026, 10, 24, 22)  # midnight in Berlin
        record(connection, [{"at": first + hour * HOUR} for hour in range(-1, 26)])
        record(connection, [{"at": ms(2027, 3, 27, 23) + hour * HOUR} for hour in range(-1, 24)])
        scope = Scope(ms(2026, 10, 1), ms(2027, 6, 1), BERLIN)
        days = {each.day: each.interchanges for each in volumes(connection, scope, ["day"]).rows}
        assert days == {
            "2026-10-24": 1, "2026-10-25": 25, "2026-10-26": 1, "2027-03-27": 1, "2027-03-28": 23, "2027-03-29": 1,
        }  # fmt: skip
        narrow = Scope(first, first + 25 * HOUR, BERLIN)
        hours = {each.hour: each.interchanges for each in volumes(connection, narrow, ["hour"]).rows}
        assert hours == {hour: 2 if hour == 2 else 1 for hour in range(24)}


def test_counts_by_month_are_those_of_the_zone(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [{"at": ms(2026, 10, 31, 23, 30)}, {"at": ms(2026, 11, 15)}])
        wide = (ms(2020, 1, 1), ms(2030, 1, 1))
        months = [each.month for each in volumes(connection, Scope(*wide, UTC), ["month"]).rows]
        assert months == ["2026-10", "2026-11"]
        (one,) = volumes(connection, Scope(*wide, BERLIN), ["month", "partner"]).rows
        assert (one.month, one.partner, one.interchanges) == ("2026-11", "acme", 2)


def test_an_empty_ledger_gives_empty_reports(ledger_engine):
    scope = Scope(0, END, BERLIN)
    with reading(ledger_engine) as connection:
        for by in (["month", "day", "hour"], ["partner"], []):
            told = volumes(connection, scope, by)
            assert (list(told.rows), told.total.interchanges) == ([], 0)
        assert quality(connection, scope) == mistakes(connection, scope) == answers(connection, scope, END) == ()
        october = parse_scope(["on=2026-10", "zone=UTC"], datetime.now(UTC))
        (month,) = charges(connection, october, TariffSettings("EUR", monthly_fee=Decimal(5))).months
        assert (month.partners, month.total) == ((), Decimal("5.00"))


def test_what_cannot_be_asked_for_by_is_refused(ledger_engine):
    with reading(ledger_engine) as connection:
        for report in (volumes, quality, lambda *_: answers(connection, Scope(0, 1), 0, ["colour"])):
            with pytest.raises(QueryInvalid):
                report(connection, Scope(0, 1), ["partner", "colour"])
        with pytest.raises(QueryInvalid):
            volumes(connection, Scope(0, 1), ["day", "day"])


# ---------------------------------------------------------------- scopes


def test_words_of_a_query_make_a_scope():
    now = datetime(2026, 11, 22, 2, tzinfo=UTC)
    scope = parse_scope(["partner=acme", "set=850", "on=2026-10", "zone=Europe/Berlin", "direction=inbound"], now)
    assert scope == Scope(ms(2026, 9, 30, 22), ms(2026, 10, 31, 23), BERLIN, "acme", "in", None, "850")
    assert scope.as_dict()["since"] == "2026-10-01T00:00:00.000+02:00"
    assert parse_scope([], now, UTC) == Scope(ms(2026, 11, 1), ms(2026, 12, 1), UTC)
    assert parse_scope(["since=7d"], now, UTC) == Scope(ms(2026, 11, 15, 2), ms(2026, 11, 22, 2) + 1, UTC)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["state=overdue"], "a report takes partner"),
        (["4711"], "a report takes partner"),
        (["overdue"], "a report takes partner"),
        (["partner=ac*"], "no stars"),
        (["partner=acme,beta"], "no alternatives"),
        (["-partner=acme"], "no alternatives"),
        (["sort=size"], "neither sort"),
        (["zone=Mars/Olympus"], "no such time zone"),
        (["since=2026-12"], "ends before it begins"),
        (["colour=red"], "there is no field"),
    ],
)
def test_words_that_no_report_understands_are_refused(words, reason):
    with pytest.raises(QueryInvalid) as caught:
        parse_scope(words, datetime(2026, 11, 22, tzinfo=UTC), UTC)
    assert reason in str(caught.value)


@given(WINDOW, st.sampled_from(ZONES), st.booleans(), st.booleans())
def test_stretches_cover_the_window_once_and_each_has_one_offset(window, zone, months, offsets):
    scope = Scope(*window, zone)
    found = stretches(scope, months=months, offsets=offsets)
    assert found[0].since == scope.since
    assert found[-1].until == scope.until
    assert all(one.until == other.since for one, other in pairwise(found))
    for each in found:
        assert each.since < each.until
        for at in (each.since, each.until - 1, (each.since + each.until) // 2) if offsets else ():
            local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
            assert local.utcoffset().total_seconds() * 1000 == each.offset


# ---------------------------------------------------------------- quality

STATES = {
    "accepted": ("delivered", "accepted"),
    "accepted_with_errors": ("delivered", "accepted_with_errors"),
    "partially_accepted": ("delivered", "partially_accepted"),
    "rejected": ("rejected", "rejected"),
    "duplicate": ("duplicate", "accepted"),
    "held": ("quarantined", "accepted"),
    "open": ("sent", ""),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acme", "beta"]),
            st.sampled_from(["in", "out"]),
            st.sampled_from(sorted(STATES)),
            st.lists(st.tuples(st.sampled_from(["850", "810"]), st.sampled_from(["accepted", "rejected", ""]))),
        ),
        max_size=10,
    )
)
def test_quality_agrees_with_a_naive_count(sqlite_engine, lives):
    interchanges, sets = Counter(), Counter()
    rows = []
    for partner, direction, verdict, parts in lives:
        state, said = STATES[verdict]
        made = {"partner": partner, "direction": direction, "state": state, "verdict": said, "sets": parts}
        rows.append({"at": START, **made})
        interchanges[partner, direction, verdict] += 1
        if verdict not in {"duplicate", "held"}:
            sets.update((partner, direction, status or "open") for _, status in parts)
    with writing(sqlite_engine) as connection:
        wipe(connection)
        record(connection, rows)
        told = quality(connection, Scope(START, END))
    for found, naive in (("interchanges", interchanges), ("sets", sets)):
        counts = {
            (each.partner, each.direction, name): count
            for each in told
            for name, count in getattr(each, found).as_dict().items()
            if name not in {"acceptance", "rejection"} and count
        }
        assert counts == dict(naive)


def test_a_used_number_and_a_negative_receipt_are_rejections(ledger_engine):
    with writing(ledger_engine) as connection:
        record(
            connection,
            [
                {"state": "conflict", "verdict": "accepted", "sets": [("850", "accepted")]},
                {"state": "refused by the partner", "verdict": "", "direction": "out"},
                {"state": "delivered", "verdict": "accepted", "kind": "acknowledgment"},
            ],
        )
        inbound, outbound = quality(connection, Scope(0, END * 2))
        assert (inbound.interchanges.rejected, inbound.interchanges.rejection, inbound.sets.judged) == (1, 1.0, 0)
        assert (outbound.interchanges.rejected, outbound.interchanges.acceptance) == (1, 0.0)


def test_the_commonest_errors_are_told_with_place_and_example(ledger_engine):
    bad = {"code": "element.code-unknown", "x12": "7", "segment": "PO1", "element": 3, "level": "error"}
    sentence = "PO103 (Unit), segment 4: '{}' is not among the codes allowed."
    with writing(ledger_engine) as connection:
        first, second, _ = record(
            connection, [{"findings": 3}, {"findings": 1}, {"direction": "out", "sets": [("810", "rejected")]}]
        )
        for exchange, value in ((first, "XX"), (first, "XY"), (second, "a'b")):
            make.insert(
                connection, tables.finding, exchange=exchange, message=sentence.format(value), value=value, **bad
            )
        warning = bad | {"level": "warning", "code": "segment.empty", "message": "never mind"}
        make.insert(connection, tables.finding, exchange=first, **warning)
        (one,) = mistakes(connection, Scope(0, END * 2, direction="in"))
    assert (one.partner, one.code, one.x12, one.segment, one.element) == (
        "acme",
        "element.code-unknown",
        "7",
        "PO1",
        "03",
    )
    assert (one.count, one.exchanges, one.example) == (3, 2, second)
    assert one.sentence == sentence.format("…")


def test_only_the_most_common_errors_of_each_partner_are_told(ledger_engine):
    with writing(ledger_engine) as connection:
        ids = record(connection, [{"partner": partner, "findings": 9} for partner in ("acme", "beta")])
        for exchange in ids:
            for number in range(1, 6):
                for _ in range(number):
                    code = f"segment.{number}"
                    make.insert(connection, tables.finding, exchange=exchange, level="error", code=code, message=code)
        told = mistakes(connection, Scope(0, END * 2), most=2)
    assert [(each.partner, each.code, each.count) for each in told] == [
        ("acme", "segment.5", 5), ("acme", "segment.4", 4), ("beta", "segment.5", 5), ("beta", "segment.4", 4),
    ]  # fmt: skip


def test_what_partners_found_is_grouped_without_position_and_value(ledger_engine):
    said = [
        "segment PO1 at position 4 in loop PO1, element 3 (data element 355): invalid code value (code 7), it was 'XX'",
        "segment PO1 at position 9, element 3 (data element 355): invalid code value (code 7), it was 'YY'",
        "segment DTM at position 5: segment has data element errors (code 8)",
        "one or more segments in error (code 5)",
        "something else that a partner's word may be",
    ]
    with writing(ledger_engine) as connection:
        carrier, sent = record(connection, [{"kind": "acknowledgment"}, {"direction": "out"}])
        common = {"at": START, "carrier": carrier, "exchange": sent, "kind": "997", "relation": "matched"}
        make.insert(connection, tables.acknowledgment, **common, status="rejected", errors=said)
        make.insert(connection, tables.acknowledgment, **common, status="accepted", errors=["never mind"])
        odd = common | {"relation": "duplicate"}
        make.insert(connection, tables.acknowledgment, **odd, status="rejected", errors=said)
        ta1 = common | {"kind": "TA1", "codes": "025"}
        make.insert(connection, tables.acknowledgment, **ta1, status="rejected", errors=["duplicate number"])
        told = mistakes(connection, Scope(0, END * 2, direction="out"))
    assert [(each.x12, each.segment, each.element, each.sentence, each.count) for each in told] == [
        ("7", "PO1", "03", "PO103: invalid code value", 2),
        ("", "", "", "something else that a partner's word may be", 1),
        ("025", "", "", "TA1: duplicate number", 1),
        ("5", "", "", "one or more segments in error", 1),
        ("8", "DTM", "", "DTM: segment has data element errors", 1),
    ]
    assert {each.example for each in told} == {sent}


# ---------------------------------------------------------------- times to acknowledgment

TIMES = st.lists(
    st.tuples(
        st.sampled_from(["acme", "beta"]),
        st.none() | st.integers(0, 3 * DAY),  # until it was acknowledged
        st.none() | st.integers(0, 2 * DAY),  # what was agreed
        st.booleans(),  # is it awaited still
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TIMES)
def test_answers_agree_with_a_naive_count(sqlite_engine, lives):
    now = START + DAY
    naive = defaultdict(Counter)
    times = defaultdict(list)
    with writing(sqlite_engine) as connection:
        wipe(connection)
        for partner, took, agreed, is_awaited in lives:
            due = None if agreed is None else START + agreed
            done = None if took is None else START + took
            (number,) = record(
                connection,
                [
                    {
                        "at": START, "partner": partner, "direction": "out", "handed_over_at": START,
                        "acknowledged_at": done, "due_at": due,
                    }
                ],
            )  # fmt: skip
            if done is None and is_awaited:
                made = {"kind": "functional", "partner": partner, "within": 1, "due_at": due}
                make.insert(connection, tables.expectation, exchange=number, **made)
            if due is None:
                outcome = "untold"
            elif done is not None:
                outcome = "on_time" if done <= due else "late"
            elif not is_awaited:
                outcome = "never"
            else:
                outcome = "overdue" if due < now else "waiting"
            naive[partner][outcome] += 1
            if done is not None:
                times[partner].append(took)
        told = {each.partner: each for each in answers(connection, Scope(START, END), now, ["partner"])}
    assert told.keys() == naive.keys()
    for partner, found in told.items():
        outcomes = ("on_time", "late", "overdue", "never", "waiting", "untold")
        assert {name: getattr(found, name) for name in outcomes} == {name: naive[partner][name] for name in outcomes}
        ordered = sorted(times[partner])
        for percent, said in ((50, found.p50), (90, found.p90), (95, found.p95), (100, found.longest)):
            assert said == (ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None)


def test_how_fast_we_answered_is_told_from_our_acknowledgments(ledger_engine):
    with writing(ledger_engine) as connection:
        first, second, _ = record(connection, [{"at": START, "sets": [("850", "accepted")]} for _ in range(3)])
        record(connection, [{"at": START, "state": state} for state in ("duplicate", "quarantined", "discarded")])
        answer = {"direction": "out", "kind": "acknowledgment"}
        record(connection, [{**answer, "answers": first, "handed_over_at": START + 90_000}])
        record(connection, [{**answer, "answers": second}])
        (told,) = answers(connection, Scope(0, END * 2, direction="in"), END)
    assert (told.partner, told.type, told.direction, told.exchanges) == ("acme", "850", "in", 3)
    assert (told.answered, told.waiting, told.untold, told.p50, told.longest) == (1, 1, 1, 90_000, 90_000)
    assert told.on_time_share is None


# ---------------------------------------------------------------- charges

USD = TariffSettings("USD", Decimal("0.12"), Decimal("0.10"), monthly_fee=Decimal(25), mailbox_fee=Decimal("1.50"))
NOVEMBER = Scope(ms(2026, 11, 1), ms(2026, 12, 1), UTC)


def test_each_interchange_is_rounded_up_and_priced_by_direction(ledger_engine):
    with writing(ledger_engine) as connection:
        record(
            connection,
            [
                {"size": 1}, {"size": 1000}, {"size": 1001}, {"size": 0},
                {"size": 2500, "direction": "out", "handed_over_at": START},
                {"size": 9000, "direction": "out"},  # never handed over
                {"size": 9000, "partner": ""},  # a stranger's mail is not what a VAN would have carried
                {"size": 9000, "direction": "out", "kind": "receipt", "handed_over_at": START},
                {"size": 100, "partner": "beta", "kind": "acknowledgment"},
                {"size": 9000, "at": ms(2026, 12, 1)},
            ],
        )  # fmt: skip
        (month,) = charges(connection, NOVEMBER, USD).months
    acme, beta = month.partners
    assert (acme.interchanges_in, acme.interchanges_out) == (4, 1)
    assert (acme.kilocharacters_in, acme.kilocharacters_out) == (4, 3)
    assert (acme.traffic, acme.mailbox_fee, acme.total) == (Decimal("0.78"), Decimal("1.50"), Decimal("2.28"))
    assert beta.total == Decimal("1.62")
    assert (month.monthly_fee, month.total) == (Decimal("25.00"), Decimal("28.90"))
    assert (month.average_in, month.average_out) == (Decimal("0.120000"), Decimal("0.100000"))


@pytest.mark.parametrize(
    ("change", "kilocharacters"),
    [
        ({"rounding": "none"}, "6.4"),
        ({"rounding": "none", "minimum": 1}, "7.2"),
        ({"rounding": "interchange", "minimum": 3}, "14"),
        ({"kilocharacter": 1024}, "9"),
        # 4,100 in shares of 10, 10 and 20 of 40 segments; the one without sets counts as one document.
        ({"rounding": "document"}, "11"),
        ({"rounding": "document", "minimum": 2}, "13"),
        ({"free_acknowledgments": True}, "8"),
        ({"free_test": True}, "7"),
    ],
)
def test_kilocharacters_are_counted_as_the_tariff_says(ledger_engine, change, kilocharacters):
    with writing(ledger_engine) as connection:
        big, *_ = record(
            connection,
            [
                {"size": 4100, "sets": [("850", "accepted")] * 3},
                {"size": 1100, "usage": "T", "sets": [("850", "accepted")]},
                {"size": 200, "kind": "acknowledgment"},
                {"size": 1000, "sets": [("997", "accepted")]},
            ],
        )
        s = tables.transaction_set
        last = connection.execute(s.select().where(s.c.exchange == big).order_by(s.c.id.desc())).first()
        connection.execute(s.update().where(s.c.id == last.id).values(segments=20))
        (month,) = charges(connection, NOVEMBER, TariffSettings("USD", **change)).months
    (acme,) = month.partners
    assert acme.kilocharacters_in == Decimal(kilocharacters)


def test_without_a_tariff_kilocharacters_are_told_and_no_amounts(ledger_engine):
    with writing(ledger_engine) as connection:
        record(connection, [{"size": 1500}])
        told = charges(connection, NOVEMBER, None)
    (acme,) = told.months[0].partners
    assert (acme.kilocharacters_in, acme.traffic, acme.total, told.total) == (2, None, None, None)
    assert json.loads(json.dumps(told.as_dict()))["currency"] is None


def test_one_partner_pays_its_share_of_the_tiers_that_all_reach(ledger_engine):
    tariff = TariffSettings(
        "USD", Decimal("0.10"), Decimal("0.10"), tiers=(Tier(10, Decimal("0.04"), Decimal("0.04")),)
    )
    with writing(ledger_engine) as connection:
        record(connection, [{"size": 15_000}, {"size": 5_000, "partner": "beta"}])
        (month,) = charges(connection, NOVEMBER, tariff).months
        beta = charges(connection, Scope(NOVEMBER.since, NOVEMBER.until, UTC, partner="beta"), tariff).months[0]
    assert [each.traffic for each in month.partners] == [Decimal("1.05"), Decimal("0.35")]  # 10 at 0.10, 10 at 0.04
    assert beta.partners == month.partners[1:]


@pytest.mark.parametrize(
    "scope",
    [
        Scope(NOVEMBER.since, NOVEMBER.until - 1, UTC),
        Scope(NOVEMBER.since, NOVEMBER.until, BERLIN),
        Scope(NOVEMBER.since, NOVEMBER.until, UTC, direction="in"),
    ],
)
def test_charges_are_for_whole_months_and_all_traffic(ledger_engine, scope):
    with reading(ledger_engine) as connection, pytest.raises(QueryInvalid):
        charges(connection, scope, USD)


AMOUNTS = st.fractions(0, 10**6, max_denominator=10**6)
PRICES = st.decimals(0, 10, places=4)


@given(st.lists(AMOUNTS, max_size=8), st.integers(0, 4))
def test_shares_come_to_the_rounded_sum_and_none_is_a_unit_off(exact, decimals):
    found = shared(exact, decimals)
    assert sum(found) == rounded(sum(exact, Fraction(0)), decimals)
    assert all(
        abs(Fraction(share) - amount) < Fraction(1, 10**decimals) for share, amount in zip(found, exact, strict=True)
    )


@given(
    st.integers(0, 10**7), st.integers(0, 10**7), PRICES, st.lists(st.tuples(st.integers(1, 9000), PRICES), max_size=4),
)  # fmt: skip
def test_with_one_price_for_both_directions_tiers_cost_what_each_kilocharacter_costs(in_, out, base, steps):
    steps = sorted(dict(steps).items())
    assume(in_ + out > 0)
    tariff = TariffSettings("USD", base, base, tiers=tuple(Tier(start, price, price) for start, price in steps))
    price_in, price_out = average_prices(in_, out, tariff)
    volume, naive = Fraction(in_ + out, 1000), Fraction(0)
    bounds = [(0, base), *steps, (10**9, base)]
    for (start, price), (end, _) in pairwise(bounds):
        naive += max(Fraction(0), min(volume, Fraction(end)) - start) * Fraction(price)
    assert price_in == price_out
    assert price_in * volume == naive
