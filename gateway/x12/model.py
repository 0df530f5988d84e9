"""What the engine says: frozen values for separators, headers, findings and reports.

Text is ``str`` decoded as Latin-1, so that one character is one byte and every offset is a byte offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

if TYPE_CHECKING:
    from gateway.x12.guideline.model import Guideline


class Level(StrEnum):
    """How grave a finding is; the agreement says from which level on a set is rejected (default: error)."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Status(StrEnum):
    """The verdict on an interchange, group or transaction set (X12 element 715/717 and TA104 in words)."""

    ACCEPTED = "accepted"
    ACCEPTED_WITH_ERRORS = "accepted_with_errors"
    PARTIALLY_ACCEPTED = "partially_accepted"
    REJECTED = "rejected"


class Separators(Struct, frozen=True):
    """The delimiters of one interchange (X12.5 section 3; ISA positions 4, 83, 105 and 106).

    ``repetition`` is empty before 00402, where ISA11 is the standards identifier. ``suffix`` is what
    stands after each segment terminator (nothing, CR LF or LF) when writing.
    """

    element: str = "*"
    component: str = ":"
    segment: str = "~"
    repetition: str = ""
    suffix: str = ""


class Party(Struct, frozen=True):
    """An interchange identity as it stands in ISA05/06 or ISA07/08: qualifier and id, padding trimmed."""

    qualifier: str
    id: str

    def __str__(self) -> str:
        return f"{self.qualifier}:{self.id}"


TEST, PRODUCTION = "T", "P"  # ISA15, the usage


class Header(Struct, frozen=True):
    """The ISA segment, trimmed (X12.5 section 4.1)."""

    sender: Party
    receiver: Party
    date: str  # ISA09, YYMMDD
    time: str  # ISA10, HHMM
    version: str  # ISA12
    control_number: str  # ISA13
    acknowledgment_requested: bool  # ISA14 is 1
    usage: str  # ISA15: P, T or I
    authorization_qualifier: str = "00"
    authorization: str = ""
    security_qualifier: str = "00"
    security: str = ""


class Finding(Struct, frozen=True):
    """One thing wrong, where it stands, in a sentence that can be forwarded to the partner.

    ``code`` is ours and stable (for example ``element.code-unknown``). ``x12`` is the code that a TA1,
    997 or 999 reports for it: TA1 note (3 digits) for interchange findings, element 716 for groups,
    718 for sets, 720 for segments, 723 for elements; ``x12_999`` is the code of the 999's own list
    (618, 620, 621) where that differs, else empty.
    """

    level: Level
    code: str
    message: str
    scope: str  # interchange, group, set, segment or element
    x12: str = ""
    x12_999: str = ""
    segment: str = ""  # segment id
    position: int = 0  # ordinal of the segment in the transaction set, ST is 1
    loop: str = ""  # loop identifier (LS/LE id or the guideline's loop id)
    element: int = 0  # position in the segment, 1 for the first data element
    component: int = 0
    repetition: int = 0
    data_element: str = ""  # X12 data element number, for AK402/IK402
    offset: int = -1  # byte offset in the stream that was examined
    value: str = ""  # the offending characters, clipped to 99
    unit: str = ""  # the business unit around it as the CTX of a 999 names it: "CLM01:26463774"

    @property
    def code_999(self) -> str:
        """The code that a 999 reports."""
        return self.x12_999 or self.x12


class SetReport(Struct, frozen=True):
    """What examining one transaction set (ST–SE) found. ``start``/``end`` are byte offsets of ST and after SE."""

    id: str  # ST01
    control_number: str  # ST02
    implementation: str  # ST03 or ""
    status: Status
    guideline: str  # which guideline judged, for people: "X12 004010 850" or "005010X222A1 837"
    findings: tuple[Finding, ...]
    start: int
    end: int
    segments: int


class GroupReport(Struct, frozen=True):
    """What examining one functional group (GS–GE) found. ``sets_declared`` is GE01 as written, if a number.

    ``sets`` is a tuple, or where there are very many a sequence that holds them packed (``gateway.x12.packed``):
    go through it in order rather than here and there.
    """

    functional_id: str  # GS01
    sender: str  # GS02
    receiver: str  # GS03
    date: str
    time: str
    control_number: str  # GS06
    agency: str  # GS07
    version: str  # GS08
    status: Status
    sets: Sequence[SetReport]
    findings: tuple[Finding, ...]
    start: int
    end: int
    sets_declared: int | None = None

    @property
    def sets_accepted(self) -> int:
        """How many sets were accepted, with or without errors (AK904, X12 element 2)."""
        good = (Status.ACCEPTED, Status.ACCEPTED_WITH_ERRORS)
        return sum(1 for each in self.sets if each.status in good)


class InterchangeAck(Struct, frozen=True):
    """One TA1 segment: what its sender says of an interchange that the receiver of the TA1 once sent."""

    control_number: str  # TA101
    date: str  # TA102
    time: str  # TA103
    status: Status  # TA104: A, E, R
    note: str  # TA105
    offset: int = -1


class SetAck(Struct, frozen=True):
    """What a 997/999 says of one transaction set (AK2–AK5 / AK2–IK5). ``errors`` are sentences for people."""

    set_id: str
    control_number: str
    status: Status
    codes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class GroupAck(Struct, frozen=True):
    """What one 997 or 999 transaction set says of one group. ``sets`` may name only some of the group's sets."""

    kind: str  # 997 or 999
    functional_id: str  # AK101
    control_number: str  # AK102
    status: Status  # AK901
    included: int | None
    received: int | None
    accepted: int | None
    sets: tuple[SetAck, ...] = ()
    codes: tuple[str, ...] = ()
    ack_control_number: str = ""  # ST02 of the acknowledgment itself


class InterchangeReport(Struct, frozen=True):
    """What examining one interchange found.

    ``header`` is None when no ISA could be read at all (then only ``findings`` and the offsets speak).
    ``ta1`` is (TA104, TA105) as a receiver would answer; ``status`` sums up that verdict on the envelope and
    those on the groups, so that ``ta1[0] == "R"`` alone says whether the envelope is refused.
    ``interchange_acks`` are the TA1 segments it carries, ``group_acks`` what its 997 and 999 sets say.
    """

    header: Header | None
    separators: Separators
    status: Status
    groups: tuple[GroupReport, ...]
    findings: tuple[Finding, ...]
    ta1: tuple[str, str]
    start: int
    end: int
    interchange_acks: tuple[InterchangeAck, ...] = ()
    group_acks: tuple[GroupAck, ...] = ()
    segments: int = 0

    @property
    def sets(self) -> list[SetReport]:
        """All transaction sets of all groups, in order."""
        return [each for group in self.groups for each in group.sets]


class SetPolicy(Struct, frozen=True):
    """What was agreed for some transaction sets.

    ``sets`` are ST01 values, or ``*`` for all; ``versions`` what GS08 or ST03 begins with, empty for any.
    ``guideline`` judges those of the sets that it is made for (its set id and ``serves``).
    """

    sets: tuple[str, ...]
    versions: tuple[str, ...] = ()
    reject_from: Level = Level.ERROR
    guideline: Guideline | None = None

    def covers(self, set_id: str, version: str) -> bool:
        """Whether this is about a set in that version."""
        return ("*" in self.sets or set_id in self.sets) and (not self.versions or version.startswith(self.versions))


class ExaminePolicy(Struct, frozen=True):
    """How strictly to judge.

    ``reject_from``: the gravest level that is still tolerated is the one below it. ``guidelines``
    overrides the choice: maps (set id, GS08 or ST03) to a guideline or its name; empty means the default
    choice. ``strictness`` of advisory guidelines follows the data's own trust: their findings are
    warnings unless ``enforce_advisory``. ``agreed`` says more of some sets, the first that covers a set
    before the others, those that name it before ``*``.
    """

    reject_from: Level = Level.ERROR
    guidelines: dict[tuple[str, str], str | Guideline] = field(default_factory=dict)
    enforce_advisory: bool = False
    agreed: tuple[SetPolicy, ...] = ()

    def agreed_for(self, set_id: str, implementation: str, version: str) -> SetPolicy | None:
        """What was agreed for a set with this ST01, ST03 (may be empty) and GS08."""
        for key in filter(None, (implementation, version)):
            fitting = [each for each in self.agreed if each.covers(set_id, key)]
            if fitting:
                return min(fitting, key=lambda each: "*" in each.sets)
        return None

    def for_set(self, set_id: str, implementation: str, version: str) -> ExaminePolicy:
        """The policy with what was agreed on such a set in place of what holds in general."""
        agreed = self.agreed_for(set_id, implementation, version) if self.agreed else None
        if agreed is None or agreed.reject_from is self.reject_from:
            return self
        return replace(self, reject_from=agreed.reject_from)
