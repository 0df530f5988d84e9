"""What a monthly statement says to people, in words and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from decimal import Decimal

from gateway.ledger.events import one_line
from gateway.ledger.moments import at_zone, duration
from gateway.ledger.reports.answers import Answers
from gateway.ledger.reports.chart import chart
from gateway.ledger.reports.page import Figure, Page, Picture, Section, Table
from gateway.ledger.reports.quality import Quality, Verdicts
from gateway.ledger.reports.statement import Listed, Statement
from gateway.ledger.reports.volumes import Volume

_WAYS = {"in": "received", "out": "sent"}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_TIGHT = frozenset({1, 2, 4})  # columns of exchanges that stay on one line: time, direction, control number
_LONGEST = 200  # characters of one cell
_ON_VERDICTS = "The verdict on what was received is ours; on what was sent, it is the partner's."
_ON_TIMES = (
    "Half of the acknowledgments came within the median, 95 % within p95. The partner's time runs from the hand-over "
    "to our SMTP host; ours from the collection of the mail to the hand-over of the acknowledgment."
)
_ON_CHARGES = (
    "This is no invoice: it is what a value-added network would have asked by the rates that the operator of this "
    "gateway wrote into its settings. Kilocharacters are counted as those rates say."
)
_ACKNOWLEDGMENTS = (("out", "The partner's acknowledgments of what was sent"), ("in", "Our acknowledgments"))


def page(told: Statement) -> Page:
    """The statement as a page."""
    zone, year, month = told.scope.zone, *told.month.split("-")
    period = f"{_MONTHS[int(month) - 1]} {year}"
    facts = [
        ("Partner", f"{told.name} ({told.partner})" if told.name != told.partner else told.partner),
        ("From", told.our_name),
        ("Period", f"{_moment(told.scope.since, zone)} to {_moment(told.scope.until, zone)} ({told.scope.zone_name})"),
        ("As of", _moment(told.as_of, zone)),
    ]
    sections = [_traffic(told), _quality(told), _times(told), _mistakes(told), _open(told), _exchanges(told)]
    if told.charge is not None:
        sections.append(_charges(told))
    return Page(
        f"EDI statement {period}",
        _clean(told.name),
        _clean(told.our_name),
        tuple((label, _clean(value)) for label, value in facts if value),
        tuple(_figures(told)),
        tuple(sections),
        f"{_clean(told.our_name)} · EDI statement {period} · {_clean(told.name)}".removeprefix(" · "),
    )


def _figures(told: Statement) -> Iterable[Figure]:
    for direction, word in _WAYS.items():
        traffic = told.traffic(direction)
        yield Figure(f"Interchanges {word}", f"{traffic.interchanges:,}", f"{_kilo(traffic)} kilocharacters")
    judged = {each.direction: each.interchanges for each in told.quality}
    for direction, label in (("in", "Accepted by us"), ("out", "Accepted by the partner")):
        verdicts = judged.get(direction, Verdicts())
        yield Figure(label, _share(verdicts.acceptance), f"of {verdicts.judged:,} judged")
    sent = next((each for each in told.all_answers if each.direction == "out"), None)
    over = 0 if sent is None else sent.on_time + sent.late + sent.overdue + sent.never
    yield Figure("Acknowledged in time", _share(sent.on_time_share if sent else None), f"of {over:,} due")
    yield Figure("Open items", f"{told.open_count:,}", "need a person")
    if told.charge is not None and told.charge.total is not None:
        yield Figure(
            "A VAN would have charged", _money(told.charge.total, told.currency), "by the operator's own rates"
        )


# ---------------------------------------------------------------- sections


def _traffic(told: Statement) -> Section:
    days = _days(told)
    counts = [(each.day or "", each.direction or "", each.type or "", each.interchanges) for each in told.by_day.rows]
    received, sent = (told.traffic(direction) for direction in ("in", "out"))
    picture = Picture(
        "Interchanges by day and type",
        f"{received.interchanges:,} interchanges received (above the line) and {sent.interchanges:,} sent (below it) "
        "on each day of the month, by type. The tables below tell the same numbers.",
        chart(days, counts),
    )
    return Section("Traffic", (), (picture,), (_by_type(told), _by_day(told, days)))


def _by_type(told: Statement) -> Table:
    rows = [
        (
            _clean(each.type or "none"),
            _WAYS[each.direction or "in"],
            _clean(each.kind or ""),
            f"{each.interchanges:,}",
            f"{each.sets:,}",
            _kilo(each),
        )
        for each in told.by_type.rows
    ]
    whole = told.by_type.total
    return Table(
        "By type",
        ("Type", "Direction", "Kind", "Interchanges", "Transaction sets", "Kilocharacters"),
        tuple(rows),
        frozenset({3, 4, 5}),
        ("Total", "", "", f"{whole.interchanges:,}", f"{whole.sets:,}", _kilo(whole)),
    )


def _by_day(told: Statement, days: Sequence[str]) -> Table:
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in told.by_day.rows:
        line = sums[each.day or "", each.direction or ""]
        for place, amount in enumerate((each.interchanges, each.sets, each.bytes)):
            line[place] += amount
    rows = []
    for day in days:
        cells = [cell for direction in _WAYS for cell in _counts(*sums[day, direction])]
        if any(sums[day, direction][0] for direction in _WAYS):
            rows.append((day, *cells))
    return Table(
        "By day",
        ("Day", "Received", "Sets", "Kilocharacters", "Sent", "Sets", "Kilocharacters"),
        tuple(rows),
        frozenset(range(1, 7)),
    )


def _counts(interchanges: int, sets: int, bytes_: int) -> tuple[str, str, str]:
    return f"{interchanges:,}", f"{sets:,}", _kilo(Volume(interchanges, sets, bytes_))


def _quality(told: Statement) -> Section:
    rows = [row for each in told.quality for row in _verdicts(each)]
    table = Table(
        "Verdicts",
        ("Documents", "Judged", "Accepted", "With errors", "Partially", "Rejected", "Accepted share", "Rejected share",
         "Not judged"),
        tuple(rows),
        frozenset(range(1, 9)),
    )  # fmt: skip
    return Section(
        "Acceptance", () if rows else ("There were no documents.",), (), (table,) if rows else (), (_ON_VERDICTS,)
    )


def _verdicts(line: Quality) -> Iterable[tuple[str, ...]]:
    word = _WAYS[line.direction or "in"]
    for what, said in (("Interchanges", line.interchanges), ("Transaction sets", line.sets)):
        counts = (said.judged, said.accepted, said.accepted_with_errors, said.partially_accepted, said.rejected)
        rest = said.duplicate + said.held + said.open
        told = [f"{count:,}" for count in counts]
        yield f"{what} {word}", *told, _share(said.acceptance), _share(said.rejection), f"{rest:,}"


def _times(told: Statement) -> Section:
    tables = []
    for direction, caption in (
        ("out", "The partner's acknowledgments of what was sent"),
        ("in", "Our acknowledgments"),
    ):
        lines = [each for each in told.answers if each.direction == direction]
        whole = next((each for each in told.all_answers if each.direction == direction), None)
        if lines and whole is not None:
            tables.append(_answers(caption, lines, whole))
    sentences = () if tables else ("There was nothing to acknowledge.",)
    return Section("Acknowledgments in time", sentences, (), tuple(tables), (_ON_TIMES,))


def _answers(caption: str, lines: Sequence[Answers], whole: Answers) -> Table:
    timed = whole.direction == "out"
    columns = ["Type", "Documents", "Acknowledged", "Median", "p95", "Longest"]
    columns += ["In time", "Late", "Overdue", "Never", "In time, share"] if timed else []
    return Table(
        caption,
        tuple(columns),
        tuple(_answer_cells(_clean(each.type or "none"), each, timed=timed) for each in lines),
        frozenset(range(1, len(columns))),
        _answer_cells("All", whole, timed=timed),
    )


def _answer_cells(name: str, each: Answers, *, timed: bool) -> tuple[str, ...]:
    spans = [_span(each.p50), _span(each.p95), _span(each.longest)]
    found = (name, f"{each.exchanges:,}", f"{each.answered:,}", *spans)
    if not timed:
        return found
    counts = (each.on_time, each.late, each.overdue, each.never)
    return *found, *(f"{count:,}" for count in counts), _share(each.on_time_share)


def _mistakes(told: Statement) -> Section:
    rows = [
        (
            _clean(each.sentence),
            "by us" if each.direction == "in" else "by the partner",
            _clean(each.code or "–"),
            _clean(each.x12 or "–"),
            f"{each.count:,}",
            f"{each.exchanges:,}",
            str(each.example),
        )
        for each in told.mistakes
    ]
    columns = ("Error", "Found", "Our code", "X12 code", "Times", "Exchanges", "Example")
    table = Table(
        "The commonest errors", columns, tuple(rows), frozenset({4, 5, 6}), wide=frozenset({0}), tight=frozenset({1})
    )
    return Section("Errors", () if rows else ("No errors were found.",), (), (table,) if rows else ())


def _open(told: Statement) -> Section:
    if not told.open_count:
        return Section("Open items", ("Nothing of this partner needs a person.",))
    rows = [(*_listed_cells(each, told.scope.zone)[:5], each.need, each.meaning) for each in told.open]
    columns = ("Exchange", "Time", "Direction", "Types", "Control number", "State", "What it means")
    more = told.open_count - len(told.open)
    notes = (f"And {more:,} more, which are older.",) if more else ()
    table = Table(
        "Open items, the newest first", columns, tuple(rows), frozenset({0}), wide=frozenset({6}), tight=_TIGHT
    )
    return Section("Open items", (), (), (table,), notes)


def _exchanges(told: Statement) -> Section:
    if not told.documents:
        return Section("Documents", ("There were no documents.",))
    rows = [(*_listed_cells(each, told.scope.zone), _outcome(each)) for each in told.listed]
    columns = ("Exchange", "Time", "Direction", "Types", "Control number", "Bytes", "Outcome")
    more = told.documents - len(told.listed)
    notes = (f"And {more:,} more of {told.documents:,}, which are later.",) if more else ()
    numeric, wide = frozenset({0, 5}), frozenset({6})
    table = Table("Documents of the month", columns, tuple(rows), numeric, wide=wide, tight=_TIGHT)
    return Section("Documents", (), (), (table,), notes)


def _charges(told: Statement) -> Section:
    charge = told.charge
    assert charge is not None, "the caller looks"
    rows = [
        (f"Interchanges {word}", f"{count:,}", f"{kilo.normalize():,f}")
        for word, count, kilo in (
            ("received", charge.interchanges_in, charge.kilocharacters_in),
            ("sent", charge.interchanges_out, charge.kilocharacters_out),
        )
    ]
    tables = [Table("What counts", ("", "Interchanges", "Kilocharacters"), tuple(rows), frozenset({1, 2}))]
    if charge.traffic is not None and charge.mailbox_fee is not None and charge.total is not None:
        amounts = [
            ("Traffic", _money(charge.traffic, told.currency)),
            ("Mailbox fee", _money(charge.mailbox_fee, told.currency)),
        ]
        total = ("Total", _money(charge.total, told.currency))
        tables.append(Table("Amounts", ("", "Amount"), tuple(amounts), frozenset({1}), total))
    return Section("What a VAN would have charged", (), (), tuple(tables), (_ON_CHARGES,))


# ---------------------------------------------------------------- words


def _listed_cells(each: Listed, zone: tzinfo | None) -> tuple[str, ...]:
    return (
        str(each.id),
        _moment(each.at, zone),
        _WAYS[each.direction] + (" (test)" if each.usage == "T" else ""),
        _clean(each.types or "none"),
        _clean(each.control_number),
        f"{each.size:,}",
    )


def _outcome(each: Listed) -> str:
    verdict = each.verdict.replace("_", " ")
    said = each.state if not verdict or verdict in each.state else f"{each.state}, {verdict}"
    if each.direction == "out" and each.acknowledged_at is not None and each.handed_over_at is not None:
        said += f" after {duration(max(0, each.acknowledged_at - each.handed_over_at))}"
        if each.due_at is not None and each.acknowledged_at > each.due_at:
            said += f", {duration(each.acknowledged_at - each.due_at)} late"
    return said


def _days(told: Statement) -> list[str]:
    """The days of the month, as 2026-10-25."""
    last = at_zone(told.scope.until - 1, told.scope.zone).day
    return [f"{told.month}-{day:02}" for day in range(1, last + 1)]


def _moment(at: int, zone: tzinfo | None) -> str:
    return f"{at_zone(at, zone):%Y-%m-%d %H:%M}"


def _kilo(volume: Volume) -> str:
    return f"{volume.kilocharacters:,.1f}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def _span(milliseconds: int | None) -> str:
    return "–" if milliseconds is None else duration(milliseconds)


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,} {currency}"


def _clean(text: str) -> str:
    """What others wrote, on one line, without control characters, and not without end."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
