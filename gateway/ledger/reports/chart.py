"""A picture of a month: a bar for each day, what came above the line and what was sent below it, by type.

Pure geometry, in points from the upper left corner; the HTML page and the PDF draw the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

WIDTH, HEIGHT = 720.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 6.0, 14.0, 22.0
_GAP = 0.28  # of a day's width between two bars
_LINES = 5  # about so many horizontal lines
SERIES = 5  # types with a colour of their own; the rest is "other"
OTHER, ACKNOWLEDGMENTS = "other", "acknowledgments"
COLOURS = SERIES + 2
_ACKNOWLEDGING = frozenset({"TA1", "997", "999"})


class Bar(Struct, frozen=True):
    """One rectangle; ``colour`` is the number of its type's colour."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    title: str


class Mark(Struct, frozen=True):
    """A line across at ``at`` (or a day's place), with its label."""

    at: float
    label: str


class Chart(Struct, frozen=True):
    """The whole picture. ``zero`` is where the line between in and out lies."""

    width: float
    height: float
    left: float
    right: float
    zero: float
    top: float
    bottom: float
    series: tuple[tuple[int, str], ...]  # colour and type
    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    days: tuple[Mark, ...]


def chart(days: Sequence[str], counts: Iterable[tuple[str, str, str, int]]) -> Chart:
    """The picture of some counts.

    Args:
        days: the days of the month, in their order.
        counts: (day, direction, type, how many).
    """
    listed = [(day, direction, _name(type_), count) for day, direction, type_, count in counts]
    series = _series(listed)
    places = {name: place for place, (_, name) in enumerate(series)}
    other = places.get(OTHER, 0)
    stacks = {(day, direction): [0] * len(series) for day in days for direction in ("in", "out")}
    for day, direction, name, count in listed:
        if count:
            stacks[day, direction][places.get(name, other)] += count
    most = [max((sum(stacks[day, direction]) for day in days), default=0) for direction in ("in", "out")]
    step = _step(sum(most))
    steps = [max(1 if place == 0 else 0, -(-count // step)) for place, count in enumerate(most)]
    unit = (HEIGHT - _TOP - _BOTTOM) / (sum(steps) * step)
    zero = _TOP + steps[0] * step * unit
    pitch = (WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        WIDTH - _RIGHT,
        zero,
        _TOP,
        HEIGHT - _BOTTOM,
        series,
        tuple(_bars(days, stacks, series, zero, unit, pitch)),
        tuple(
            Mark(zero - number * step * unit, f"{abs(number) * step:,}") for number in range(-steps[1], steps[0] + 1)
        ),
        tuple(Mark(_LEFT + (place + 0.5) * pitch, str(int(day[-2:]))) for place, day in enumerate(days)),
    )


def _name(type_: str) -> str:
    return ACKNOWLEDGMENTS if type_ in _ACKNOWLEDGING else type_ or "none"


def _series(listed: Iterable[tuple[str, str, str, int]]) -> tuple[tuple[int, str], ...]:
    """Colours and names: the commonest types first, the rest together, acknowledgments at the end."""
    totals: Counter[str] = Counter()
    for _, _, name, count in listed:
        totals[name] += count
    acknowledged = totals.pop(ACKNOWLEDGMENTS, 0)
    ranked = sorted((each for each in totals if totals[each]), key=lambda each: (-totals[each], each))
    found = list(enumerate(ranked[:SERIES]))
    if len(ranked) > SERIES:
        found.append((SERIES, OTHER))
    if acknowledged:
        found.append((SERIES + 1, ACKNOWLEDGMENTS))
    return tuple(found)


def _bars(
    days: Sequence[str],
    stacks: dict[tuple[str, str], list[int]],
    series: Sequence[tuple[int, str]],
    zero: float,
    unit: float,
    pitch: float,
) -> Iterable[Bar]:
    for place, day in enumerate(days):
        x = _LEFT + (place + _GAP / 2) * pitch
        for direction, word in (("in", "received"), ("out", "sent")):
            before = 0
            for number, count in enumerate(stacks[day, direction]):
                if count:
                    first = zero - (before + count) * unit if direction == "in" else zero + before * unit
                    colour, name = series[number]
                    title = f"{day}: {count:,} × {name} {word}"
                    yield Bar(x, first, pitch * (1 - _GAP), count * unit, colour, title)
                before += count


def _step(most: int) -> int:
    """A round number of which about ``_LINES`` make up ``most``."""
    wanted = max(1, -(-most // _LINES))
    size = int(10 ** (len(str(wanted)) - 1))
    return next(each * size for each in (1, 2, 5, 10) if each * size >= wanted)
