"""What segments and their elements are called: told by the guideline of each set, as far as it knows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.errors import GuidelineInvalid, UnknownPartner
from gateway.flow.segment_stream import Cut, RawSegment
from gateway.flow.strictness import inbound_policy, outbound_policy
from gateway.flow.terms import terms_of
from gateway.ledger.rows import ExchangeRow
from gateway.x12.envelope import FIELD_NAMES
from gateway.x12.guideline import SetJudge, Step, UnknownJudge, judge_for, standard
from gateway.x12.guideline.model import Element
from gateway.x12.model import ExaminePolicy, Separators
from gateway.x12.segment_titles import TITLES
from partners.directory import Directory

_BATCH = 5_000  # segments that are given to a judge at once where nobody wants to see them
_ELEMENTS = {
    "ISA": tuple(name.capitalize() for name in FIELD_NAMES),
    "IEA": ("Number of groups", "Control number"),
    "TA1": ("Control number", "Date", "Time", "Acknowledgment code", "Note code"),
}


class Named(Struct, frozen=True):
    """A segment's name, where it stands in the guideline, and the names of its elements."""

    name: str = ""
    loop: str = ""
    depth: int = 0
    elements: tuple[Element, ...] = ()
    set_name: str = ""  # of the set that it stands in: "850 0001"


class Namer:
    """Goes through an interchange beside its reader.

    Of what nobody wants to see it keeps the set that is open, so that it can tell where the next segment belongs; a
    judge looks at that set only once a segment of it is to be named, or when it grows long.
    """

    def __init__(self, marks: Separators, policy: ExaminePolicy) -> None:
        self._marks = marks
        self._policy = policy
        self._version = ""
        self._header = ""  # the ST of the open set
        self._waiting: list[str] = []
        self._judge: SetJudge | UnknownJudge | None = None

    def skip(self, cut: Cut) -> None:
        """Passes over segments that nobody wants to see."""
        begun = 0
        for index, head in cut.heads:
            if head == "GS":
                self._version = self._field(cut.texts[index], 8)
            elif head == "ST":
                self._open(cut.texts[index])
                begun = index
        if self._header:
            self._waiting += cut.texts[begun:]
            if len(self._waiting) >= _BATCH:
                self._catch_up()

    def name(self, segment: RawSegment) -> Named:
        """What the next segment is called."""
        self._note(segment)
        tag = segment.text.partition(self._marks.element)[0]
        step = self._step(segment) if segment.position else None
        elements = step.segment.elements if step is not None and step.segment is not None else self._of_standard(tag)
        name = (step.name if step is not None else "") or TITLES.get(tag, "")
        set_name = f"{self._field(self._header, 1)} {self._field(self._header, 2)}" if segment.position else ""
        return Named(name, step.loop if step else "", step.depth if step else 0, elements, set_name)

    def pass_over(self, segment: RawSegment) -> None:
        """Passes over one segment that nobody wants to see."""
        self._note(segment)
        if segment.position:
            self._waiting.append(segment.text)

    def _note(self, segment: RawSegment) -> None:
        if segment.head == "GS":
            self._version = self._field(segment.text, 8)
        elif segment.head == "ST":
            self._open(segment.text)

    def _open(self, text: str) -> None:
        self._header, self._waiting, self._judge = text, [], None

    def _step(self, segment: RawSegment) -> Step | None:
        judge = self._catch_up()
        judge.trace = []
        judge.feed((segment.text,), 0, segment.offset)
        steps, judge.trace = judge.trace, None
        return steps[0] if steps else None

    def _catch_up(self) -> SetJudge | UnknownJudge:
        judge = self._judge
        if judge is None:
            set_id, implementation = self._field(self._header, 1), self._field(self._header, 3)
            judge = self._judge = judge_for(set_id, self._version, implementation, self._marks, self._policy)
        if self._waiting:
            judge.feed(self._waiting, 0, 0)
            judge.findings.clear()
            self._waiting = []
        return judge

    def _of_standard(self, tag: str) -> tuple[Element, ...]:
        """The elements of a segment that no guideline placed, as the standard of that version has them."""
        version = self._version[:6]
        if version not in standard.catalog()["versions"]:
            version = standard.LAST_SURE_VERSION
        return standard.dictionary(version).elements_of(tag)

    def _field(self, text: str, number: int) -> str:
        fields = text.split(self._marks.element)
        return fields[number].strip() if number < len(fields) else ""


def policy_for(directory: Directory, row: ExchangeRow) -> ExaminePolicy:
    """Whose guidelines give names to an exchange's segments: those that its partner's profile names, as it is now."""
    try:
        partner = directory.get(row.partner)
        if row.direction == "in":
            return inbound_policy(partner)
        agreement = terms_of(directory, row.partner, row.agreement, " ".join(row.types), " ".join(row.versions))
        return outbound_policy(partner, agreement) if agreement is not None else ExaminePolicy()
    except (UnknownPartner, GuidelineInvalid):
        return ExaminePolicy()


def element_names(tag: str, elements: Sequence[Element]) -> Sequence[str]:
    """The names of a segment's elements, the first one first; of the envelope in our own words."""
    return _ELEMENTS.get(tag) or [each.name for each in elements]
