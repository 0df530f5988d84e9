"""The judge of a transaction set that no guideline is about."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.x12.guideline.steps import BLANKS, ENVELOPE, Step, step_to
from gateway.x12.model import Finding


class UnknownJudge:
    """Stands in where there is no guideline: counts segments up to SE and finds nothing."""

    known = False
    trusted = True

    def __init__(self, name: str, mark: str) -> None:
        self.name = name
        self.ended = False
        self.count = 0
        self.trailer: list[str] = []
        self.findings: list[Finding] = []
        self.trace: list[Step] | None = None
        self._mark = mark

    def feed(self, pieces: Sequence[str], start: int, offset: int) -> int:  # noqa: ARG002  # the judge's signature
        """Consume segments, as ``SetJudge.feed``."""
        if self.ended:
            return start
        for index in range(start, len(pieces)):
            text = pieces[index].lstrip(BLANKS)
            if not text:
                continue
            segment_id = text.partition(self._mark)[0]
            if segment_id in ENVELOPE and (segment_id != "ST" or self.count):
                return index
            self.count += 1
            if self.trace is not None:
                self.trace.append(step_to(self.count, None))
            if segment_id == "SE":
                self.trailer = text.split(self._mark)
                self.ended = True
                return index + 1
        return len(pieces)
