"""The sums of the ledger as tables: volumes, quality, errors, acknowledgments, charges of a month."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from gateway.ledger.moments import duration
from gateway.ledger.reports.answers import Answers, answers
from gateway.ledger.reports.charges import charges, written
from gateway.ledger.reports.mistakes import mistakes
from gateway.ledger.reports.quality import quality
from gateway.ledger.reports.scope import Scope
from gateway.ledger.reports.volumes import volumes
from gateway.settings.model import TariffSettings

Row = tuple[str, ...]
MOST_ROWS = 200  # of a table on a page; a download has all


class Report(Struct, frozen=True):
    """A table with what it tells. ``texts`` are the columns that are not numbers; ``partner`` the place of its key."""

    title: str
    told: str
    columns: Row
    rows: tuple[Row, ...]
    texts: frozenset[int]
    partner: int | None = None
    exchange: int | None = None
    total: Row = ()


class Asked(Struct, frozen=True):
    """What a report is of: a month in a zone, perhaps one partner; ``now`` is ms since 1970 UTC."""

    scope: Scope
    now: int
    tariff: TariffSettings | None


def volumes_of(connection: Connection, asked: Asked) -> Report:
    """How much traffic there was."""
    found = volumes(connection, asked.scope, ("partner", "direction", "type"))
    rows = tuple(
        (
            _partner(each.partner),
            each.direction or "",
            each.type or "",
            f"{each.interchanges:,}",
            f"{each.sets:,}",
            f"{each.kilocharacters:,.1f}",
        )
        for each in found.rows
    )
    total = found.total
    return Report(
        "Volumes",
        "Interchanges, transaction sets and kilocharacters. An interchange with several types counts under all of them"
        " together, its sets under their own.",
        ("Partner", "Way", "Type", "Interchanges", "Sets", "Kilocharacters"),
        rows,
        frozenset({0, 1, 2}),
        0,
        total=("total", "", "", f"{total.interchanges:,}", f"{total.sets:,}", f"{total.kilocharacters:,.1f}"),
    )


def quality_of(connection: Connection, asked: Asked) -> Report:
    """What share was accepted."""
    found = quality(connection, asked.scope, ("partner", "direction"))
    rows = []
    for each in found:
        whole, sets = each.interchanges, each.sets
        counts = (whole.judged, whole.accepted, whole.accepted_with_errors, whole.partially_accepted, whole.rejected)
        rest = (whole.duplicate, whole.held, whole.open, sets.judged, sets.rejected)
        shares = (_share(whole.acceptance), *(f"{number:,}" for number in rest), _share(sets.acceptance))
        rows.append((_partner(each.partner), each.direction or "", *(f"{number:,}" for number in counts), *shares))
    return Report(
        "Quality",
        "Of what came the verdict is ours, of what was sent it is the partner's; acknowledgments are not in it.",
        (
            *("Partner", "Way", "Judged", "Accepted", "With errors", "Partially", "Rejected", "Acceptance"),
            *("Duplicates", "Held", "Open", "Sets judged", "Sets rejected", "Acceptance of sets"),
        ),
        tuple(rows),
        frozenset({0, 1}),
        0,
    )


def errors_of(connection: Connection, asked: Asked) -> Report:
    """The commonest errors."""
    rows = tuple(
        (
            _partner(each.partner),
            each.direction,
            f"{each.count:,}",
            f"{each.exchanges:,}",
            str(each.example),
            each.code,
            each.x12,
            f"{each.segment} {each.element}".strip(),
            each.sentence,
        )
        for each in mistakes(connection, asked.scope, 10)
    )
    return Report(
        "The commonest errors",
        "Ten of each partner and way: what we found in theirs, and what they found in ours.",
        ("Partner", "Way", "Times", "Exchanges", "Example", "Code", "X12", "Where", "What"),
        rows,
        frozenset({0, 1, 5, 6, 7, 8}),
        0,
        4,
    )


def acknowledgments_of(connection: Connection, asked: Asked) -> Report:
    """How long acknowledgments took, and whether they came in time."""
    found = answers(connection, asked.scope, asked.now, ("partner", "direction", "type"))
    return Report(
        "Acknowledgments",
        "out: what we sent, until the partner had acknowledged all of it; in: what came, until our acknowledgment was"
        " handed over.",
        (
            *("Partner", "Way", "Type", "Documents", "Answered", "Half within", "90 % within", "Longest"),
            *("On time", "Late", "Overdue", "Never", "Waiting", "On-time share"),
        ),
        tuple(_answer(each) for each in found),
        frozenset({0, 1, 2}),
        0,
    )


def charges_of(connection: Connection, asked: Asked) -> Report:
    """What a value-added network would have asked."""
    found = charges(connection, asked.scope, asked.tariff)
    rows: list[Row] = []
    for month in found.months:
        for each in month.partners:
            counts = (
                f"{each.interchanges_in:,}",
                written(each.kilocharacters_in),
                f"{each.interchanges_out:,}",
                written(each.kilocharacters_out),
            )
            amounts = (each.traffic, each.mailbox_fee, each.total) if found.currency else ()
            rows.append(
                (_partner(each.partner), *counts, *("" if amount is None else str(amount) for amount in amounts))
            )
    columns: Row = ("Partner", "Interchanges in", "Kilocharacters in", "Interchanges out", "Kilocharacters out")
    if not found.currency:
        told = "gateway.toml has no [tariff], so that amounts are left out; docs/reports.md tells how to write one."
        return Report("Charges", told, columns, tuple(rows), frozenset({0}), 0)
    fee = next((month.monthly_fee for month in found.months if month.monthly_fee), None)
    total = (
        "total with the monthly fee" if fee else "total",
        "",
        "",
        "",
        "",
        "",
        "",
        f"{found.total} {found.currency}",
    )
    return Report(
        "Charges",
        "What a value-added network would have asked for the same traffic, by the rates in gateway.toml.",
        (*columns, "Traffic", "Mailbox fee", "Together"),
        tuple(rows),
        frozenset({0}),
        0,
        total=() if found.total is None else total,
    )


REPORTS: Mapping[str, Callable[[Connection, Asked], Report]] = {
    "volumes": volumes_of,
    "quality": quality_of,
    "errors": errors_of,
    "acknowledgments": acknowledgments_of,
    "charges": charges_of,
}


def _answer(each: Answers) -> Row:
    times: Sequence[int | None] = (each.p50, each.p90, each.longest)
    counts = (each.on_time, each.late, each.overdue, each.never, each.waiting)
    return (
        _partner(each.partner),
        each.direction or "",
        each.type or "",
        f"{each.exchanges:,}",
        f"{each.answered:,}",
        *("" if time is None else duration(time) for time in times),
        *(f"{number:,}" for number in counts),
        _share(each.on_time_share),
    )


def _partner(key: str | None) -> str:
    return key or "(strangers)"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"
