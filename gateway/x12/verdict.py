"""From findings to verdicts: sets, groups, interchanges, and the codes that answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.x12.model import Finding, GroupReport, Level, Status

_RANK = {Level.INFO: 0, Level.WARNING: 1, Level.ERROR: 2}
_GOOD = (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)


class Findings:
    """A list of findings that stops growing: past ``most`` it only counts, and keeps the gravest level in mind."""

    __slots__ = ("_most", "dropped", "gravest", "kept", "reported")

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept: list[Finding] = []
        self.dropped = 0
        self.gravest = -1
        self.reported = False  # there is one, at least a warning, that an acknowledgment can report

    def add(self, finding: Finding) -> None:
        """Takes one finding."""
        rank = _RANK[finding.level]
        self.gravest = max(self.gravest, rank)
        self.reported = self.reported or (rank > 0 and bool(finding.x12))
        if len(self.kept) < self._most:
            self.kept.append(finding)
            return
        self.dropped += 1
        if rank > _RANK[self.kept[-1].level]:  # the gravest is never among those that are not told
            self.kept[-1] = finding

    def extend(self, findings: Iterable[Finding], *, reportable: bool = True) -> None:
        """Takes many. Those that are not ``reportable`` never turn an acceptance into E."""
        reported = self.reported
        for each in findings:
            self.add(each)
        if not reportable:
            self.reported = reported

    def rejects(self, reject_from: Level) -> bool:
        """Whether any finding, kept or dropped, is as grave as the agreement does not tolerate."""
        return self.gravest >= _RANK[reject_from]

    def status(self, reject_from: Level) -> Status:
        """The verdict on what these findings speak of."""
        if self.rejects(reject_from):
            return Status.REJECTED
        return Status.ACCEPTED_WITH_ERRORS if self.reported else Status.ACCEPTED

    def all(self, scope: str) -> tuple[Finding, ...]:
        """What was kept, and one more finding that tells how many were not."""
        if not self.dropped:
            return tuple(self.kept)
        level = next(level for level, rank in _RANK.items() if rank == max(self.gravest, 0))
        return (*self.kept, Finding(level, f"{scope}.more", f"There are {self.dropped} more findings.", scope))


def group_status(own: Status, sets: Counter[Status]) -> Status:
    """AK901: what was found on the group itself, and how many of its sets have which verdict."""
    if own is Status.REJECTED:
        return own
    rejected = sets.total() - sets[Status.ACCEPTED] - sets[Status.ACCEPTED_WITH_ERRORS]
    if rejected:
        return Status.REJECTED if rejected == sets.total() else Status.PARTIALLY_ACCEPTED
    return Status.ACCEPTED_WITH_ERRORS if sets[Status.ACCEPTED_WITH_ERRORS] else own


def interchange_status(own: Status, groups: Sequence[GroupReport]) -> Status:
    """The verdict in sum: that of the envelope (TA104), and what became of the groups."""
    if own is Status.REJECTED:
        return own
    every = [each.status for each in groups]
    if every and all(each is Status.REJECTED for each in every):
        return Status.REJECTED
    if any(each not in _GOOD for each in every):
        return Status.PARTIALLY_ACCEPTED
    return Status.ACCEPTED_WITH_ERRORS if Status.ACCEPTED_WITH_ERRORS in (own, *every) else Status.ACCEPTED


def interchange_note(own: Status, findings: Sequence[Finding]) -> tuple[str, str]:
    """(TA104, TA105): one note can be given; the gravest finding's, the first among equals."""
    if own is Status.ACCEPTED:
        return ("A", "000")
    coded = sorted((each for each in findings if each.x12), key=lambda each: -_RANK[each.level])
    note = coded[0].x12 if coded else "022"
    return ("R" if own is Status.REJECTED else "E", note)
