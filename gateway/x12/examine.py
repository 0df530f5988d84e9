"""Examining interchanges: bytes in, one report for each interchange out.

The examiner streams. It reads the envelope itself and hands every transaction set to a judge of
``gateway.x12.guideline``; it never raises, whatever the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from msgspec.structs import replace

from gateway.x12.envelope import check_isa, envelope_finding, separator_faults
from gateway.x12.interchange import JudgeMaker, OpenInterchange
from gateway.x12.isa import Opening, header_of
from gateway.x12.model import ExaminePolicy, Finding, InterchangeReport, Level, Separators, Status
from gateway.x12.reader import CHUNK, Reader, Skipped
from gateway.x12.sniff import what_instead

DEFAULT_POLICY = ExaminePolicy()


def examine(
    source: bytes | BinaryIO,
    policy: ExaminePolicy = DEFAULT_POLICY,
    *,
    chunk: int = CHUNK,
    _judge_for: JudgeMaker | None = None,
) -> Iterator[InterchangeReport]:
    """Reports on every interchange in ``source``, one after the other, in bounded memory.

    Args:
        source: the bytes, or a binary stream that is read in pieces of ``chunk`` bytes.
        policy: how strictly to judge.
        chunk: how many bytes are read at once.

    Yields:
        One report for each ISA. If there is none at all, a single report without header, rejected, whose
        finding says what the bytes are instead. What stands between interchanges becomes a finding of the
        next one, or of the last.
    """
    judge_for = _judge_for or _guideline_judges()
    reader = Reader(source, chunk)
    head = reader.peek(4096).encode("latin-1")
    waiting: InterchangeReport | None = None
    while True:
        opening, junk = reader.seek()
        if opening is None:
            break
        if waiting is not None:
            yield waiting
        waiting = _interchange(reader, opening, junk, policy, judge_for)
    if waiting is None:
        yield no_interchange(f"There is no X12 interchange: {what_instead(head)}.", 0, reader.offset)
    elif junk.count:
        yield replace(waiting, findings=(*waiting.findings, _junk_finding(junk, "after")))
    else:
        yield waiting


def _guideline_judges() -> JudgeMaker:
    from gateway.x12.guideline import judge_for  # noqa: PLC0415 - the tables are only loaded when sets are judged

    return judge_for


def _interchange(
    reader: Reader, opening: Opening, junk: Skipped, policy: ExaminePolicy, judge_for: JudgeMaker
) -> InterchangeReport:
    start = reader.offset - opening.size
    current = OpenInterchange(header_of(opening), opening.separators, start, policy, judge_for)
    if junk.count:
        current.findings.add(_junk_finding(junk, "before"))
    current.findings.extend(check_isa(opening, start))
    trouble = separator_faults(opening.separators)
    if trouble:
        current.findings.add(envelope_finding("interchange", "interchange.separators", trouble, "004", offset=start))
        return current.unreadable(reader.offset)
    while (window := reader.window(opening.separators)) is not None:
        rest = current.take(window)
        if rest >= 0:
            reader.move_to(rest)
            break
    return current.report(reader.offset, at_end=reader.ended and reader.pos >= len(reader.text))


def _junk_finding(junk: Skipped, where: str) -> Finding:
    one = "1 byte that belongs to no interchange stands"
    said = one if junk.count == 1 else f"{junk.count} bytes that belong to no interchange stand"
    return Finding(
        Level.WARNING,
        f"interchange.text-{where}",
        f"{said} {where} this one.",
        "interchange",
        offset=junk.offset,
        value=junk.sample[: min(99, junk.count)].decode("latin-1"),
    )


def no_interchange(reason: str, start: int, end: int) -> InterchangeReport:
    """The report, without a header, on bytes that hold no interchange."""
    finding = envelope_finding("interchange", "interchange.not-found", reason, "022", offset=start)
    return InterchangeReport(None, Separators(), Status.REJECTED, (), (finding,), ("R", "022"), start, end)
