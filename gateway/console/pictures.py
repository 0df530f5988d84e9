"""Pictures of the traffic, drawn by the server as SVG from the daily counts, with the same numbers as a table."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection

from gateway.ledger.daily import DAY
from gateway.ledger.daily_sums import sums_by_day
from gateway.ledger.daily_tables import date_of
from gateway.ledger.reports.chart import Chart, chart


class DayLine(Struct, frozen=True):
    """One day (UTC) of the table: documents and acknowledgments that came and went."""

    day: date
    documents_in: int = 0
    documents_out: int = 0
    answers_in: int = 0
    answers_out: int = 0

    @property
    def total(self) -> int:
        """All interchanges of the day."""
        return self.documents_in + self.documents_out + self.answers_in + self.answers_out


class Traffic(Struct, frozen=True):
    """A picture and its table, the newest day first. ``came`` and ``went`` are all interchanges of those days."""

    title: str
    chart: Chart
    lines: tuple[DayLine, ...]
    came: int
    went: int

    @property
    def description(self) -> str:
        """The picture in one sentence, for those who do not see it."""
        busiest = max(self.lines, key=lambda each: each.total, default=None)
        said = f"{self.came:,} interchanges came and {self.went:,} were sent in {len(self.lines)} days"
        if busiest is None or not busiest.total:
            return f"{said}."
        return f"{said}; the busiest day was {busiest.day.isoformat()} with {busiest.total:,}."


def traffic(connection: Connection, now: int, days: int = 14, partner: str | None = None) -> Traffic:
    """The traffic of the last days, today included; days are those of UTC, as the counts are kept.

    Args:
        connection: within a transaction.
        now: ms since 1970 UTC.
        days: how many.
        partner: only its traffic; None: all.
    """
    last = now // DAY
    first = last - days + 1
    named = [date_of(day).isoformat() for day in range(first, last + 1)]
    by_type: dict[tuple[str, str, str], int] = defaultdict(int)
    lines: dict[int, dict[str, int]] = {day: defaultdict(int) for day in range(first, last + 1)}
    filters = {} if partner is None else {"partner": partner}
    asked = ("direction", "kind", "type")
    for day, (direction, kind, type_), (interchanges, _, _) in sums_by_day(connection, first, last, asked, filters):
        if interchanges:
            by_type[date_of(day).isoformat(), direction, type_] += interchanges
            lines[day][f"{'answers' if kind == 'acknowledgment' else 'documents'}_{direction}"] += interchanges
    told = tuple(DayLine(date_of(day), **lines[day]) for day in range(last, first - 1, -1))
    return Traffic(
        f"The last {days} days",
        chart(named, ((*key, count) for key, count in by_type.items())),
        told,
        sum(each.documents_in + each.answers_in for each in told),
        sum(each.documents_out + each.answers_out for each in told),
    )
