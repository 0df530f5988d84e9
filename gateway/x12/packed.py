"""Many set reports in little memory: a sequence that keeps them in compressed blocks.

An interchange of a gigabyte holds a million small sets, and a report on each as an object would cost several
hundred megabytes. Here a set costs some ten bytes, and a set with findings some dozens for each of them.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, overload

from msgspec.structs import replace

from gateway.x12.model import Finding, Level, SetReport, Status

BLOCK = 512  # sets that are packed together
MOST_LOOSE = 2000  # findings that are kept as objects before a block is packed early

_FAST = 1  # zlib's level: the blocks differ little from set to set
_COLUMNS = attrgetter(*(each for each in SetReport.__struct_fields__ if each != "findings"))
_FINDING = attrgetter(*Finding.__struct_fields__)


class SetReports(Sequence[SetReport]):
    """Set reports in their order, equal to a tuple of the same. Grows with ``add``, never changes otherwise."""

    __slots__ = ("_blocks", "_held", "_loose", "_overlay", "_size", "_starts", "_tail")

    def __init__(self, reports: Iterable[SetReport] = ()) -> None:
        self._blocks: list[bytes] = []
        self._starts: list[int] = []  # index of the first set of each block
        self._tail: list[SetReport] = []
        self._size = 0
        self._loose = 0
        self._overlay: Finding | None = None
        self._held: tuple[int, list[SetReport]] = (-1, [])  # the block that was read last
        for each in reports:
            self.add(each)

    def add(self, report: SetReport) -> None:
        """Takes one more."""
        self._tail.append(report)
        self._size += 1
        self._loose += len(report.findings)
        if len(self._tail) >= BLOCK or self._loose >= MOST_LOOSE:
            self._starts.append(self._size - len(self._tail))
            self._blocks.append(_packed(self._tail))
            self._tail = []
            self._loose = 0

    def rejected_with(self, reason: Finding) -> SetReports:
        """The same sets as ``rejected_with`` gives each."""
        other = SetReports()
        other._blocks, other._starts = self._blocks, self._starts
        other._tail, other._size = list(self._tail), self._size
        other._overlay = self._overlay or reason  # once rejected, for the first reason
        return other

    def settled(self) -> Sequence[SetReport]:
        """The same for good: a plain tuple where nothing was packed."""
        return self if self._blocks else tuple(self)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[SetReport]:
        blocks = (_unpacked(each) for each in self._blocks)
        return map(self._as_it_is, chain(chain.from_iterable(blocks), self._tail))

    @overload
    def __getitem__(self, index: int) -> SetReport: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[SetReport, ...]: ...

    def __getitem__(self, index: int | slice) -> SetReport | tuple[SetReport, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(self._size)))
        at = index + self._size if index < 0 else index
        if not 0 <= at < self._size:
            raise IndexError(index)
        before = self._size - len(self._tail)
        return self._as_it_is(self._tail[at - before] if at >= before else self._from_block(at))

    def _from_block(self, at: int) -> SetReport:
        number = bisect_right(self._starts, at) - 1
        if self._held[0] != number:
            self._held = (number, _unpacked(self._blocks[number]))
        return self._held[1][at - self._starts[number]]

    def _as_it_is(self, report: SetReport) -> SetReport:
        return report if self._overlay is None else _rejected(report, self._overlay)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SetReports | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"<{self._size} set reports>"


def rejected_with(reports: Sequence[SetReport], reason: Finding) -> Sequence[SetReport]:
    """The sets as they are when what surrounds them is rejected: each rejected, ``reason`` the last of its findings.

    A set that was rejected already stays as it is.
    """
    if isinstance(reports, SetReports):
        return reports.rejected_with(reason)
    return tuple(_rejected(each, reason) for each in reports)


def _rejected(report: SetReport, reason: Finding) -> SetReport:
    if report.status is Status.REJECTED:
        return report
    return replace(report, status=Status.REJECTED, findings=(*report.findings, reason))


def _packed(reports: list[SetReport]) -> bytes:
    columns = [list(column) for column in zip(*map(_COLUMNS, reports), strict=True)]
    findings = [(at, _FINDING(each)) for at, report in enumerate(reports) for each in report.findings]
    return zlib.compress(json.dumps([columns, findings], separators=(",", ":")).encode("ascii"), _FAST)


def _unpacked(block: bytes) -> list[SetReport]:
    columns, findings = json.loads(zlib.decompress(block))
    found: dict[int, list[Finding]] = {}
    for at, values in findings:
        found.setdefault(at, []).append(_finding(values))
    return [
        SetReport(id_, number, implementation, Status(status), guideline, tuple(found.get(at, ())), *rest)
        for at, (id_, number, implementation, status, guideline, *rest) in enumerate(zip(*columns, strict=True))
    ]


def _finding(values: list[Any]) -> Finding:
    return Finding(Level(values[0]), *values[1:])
