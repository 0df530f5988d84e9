"""Business keys out of a transaction set: a purchase order number, a claim id, without parsing all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.x12.isa import BLANKS
from gateway.x12.model import Separators

_PLACE = r"([A-Z][A-Z0-9]{1,2})(\d\d)(?:-(\d{1,2}))?"
_PATH = re.compile(rf"{_PLACE}(?:\[{_PLACE}=([^\[\]]+)\])?")
_FORM = "an element such as BEG03, SV101-2 or REF02[REF01=PO]"


@dataclass(frozen=True, slots=True)
class ElementPath:
    """Where a value stands: ``segment``, ``element`` (1 for the first), ``component`` (0: the whole element).

    With a qualifier (``qualifier_element`` not 0) only segments count that hold ``qualifier`` there.
    """

    segment: str
    element: int
    component: int = 0
    qualifier_element: int = 0
    qualifier_component: int = 0
    qualifier: str = ""

    @classmethod
    def parse(cls, text: str) -> ElementPath:
        """Reads ``BEG03``, ``SV101-2`` or ``REF02[REF01=PO]``.

        Raises:
            ValueError: the text has another form, or its qualifier is in another segment.
        """
        match = _PATH.fullmatch(text.strip())
        if match is None or match[2] == "00" or match[5] == "00":
            raise ValueError(f"{text!r} is not {_FORM}")
        segment, element, component, other, place, part, value = match.groups()
        if other is not None and other != segment:
            raise ValueError(f"{text!r}: the condition must be on the same segment, as in REF02[REF01=PO]")
        return cls(segment, int(element), int(component or 0), int(place or 0), int(part or 0), value or "")

    def __str__(self) -> str:
        own = _written(self.segment, self.element, self.component)
        if not self.qualifier_element:
            return own
        return f"{own}[{_written(self.segment, self.qualifier_element, self.qualifier_component)}={self.qualifier}]"


def extract(text: str, separators: Separators, paths: Mapping[str, ElementPath]) -> dict[str, list[str]]:
    """The values at ``paths`` in the text of one set: every occurrence, each value once, in order of appearance.

    Repetitions count as occurrences; empty elements do not. Every name of ``paths`` is in the answer.
    """
    return {name: list(dict.fromkeys(_values(text, separators, path))) for name, path in paths.items()}


def _values(text: str, marks: Separators, path: ElementPath) -> Iterator[str]:
    for elements in _segments(text, marks, path.segment):
        if path.qualifier_element:
            held = _at(elements, marks, path.qualifier_element, path.qualifier_component)
            if path.qualifier not in held:
                continue
        yield from (value for value in _at(elements, marks, path.element, path.component) if value)


def _segments(text: str, marks: Separators, tag: str) -> Iterator[list[str]]:
    needle = tag + marks.element
    at = text.find(needle)
    while at >= 0:
        if text[max(0, at - 6) : at].rstrip("\r\n \t")[-1:] in ("", marks.segment):
            end = text.find(marks.segment, at)
            yield text[at : end if end >= 0 else len(text)].split(marks.element)
        at = text.find(needle, at + len(needle))


def _at(elements: list[str], marks: Separators, element: int, component: int) -> list[str]:
    if element >= len(elements):
        return []
    whole = elements[element]
    repeated = whole.split(marks.repetition) if marks.repetition else [whole]
    if component == 0:
        return [each.strip(BLANKS) for each in repeated]
    if not marks.component:
        return [each.strip(BLANKS) for each in repeated] if component == 1 else []
    parts = (each.split(marks.component) for each in repeated)
    return [each[component - 1].strip(BLANKS) for each in parts if len(each) >= component]


def _written(segment: str, element: int, component: int) -> str:
    return f"{segment}{element:02}" + (f"-{component}" if component else "")


def _paths(**written: str) -> Mapping[str, ElementPath]:
    return {name: ElementPath.parse(text) for name, text in written.items()}


DEFAULT_KEYS: Mapping[str, Mapping[str, ElementPath]] = {
    "204": _paths(shipment="B204"),
    "210": _paths(invoice="B302", shipment="B303"),
    "211": _paths(bill_of_lading="BOL03"),
    "214": _paths(reference="B1001", shipment="B1002"),
    "270": _paths(trace="TRN02", reference="BHT03"),
    "271": _paths(trace="TRN02", reference="BHT03"),
    "276": _paths(reference="BHT03", trace="TRN02"),
    "277": _paths(reference="BHT03", trace="TRN02"),
    "278": _paths(reference="BHT03", trace="TRN02"),
    "810": _paths(invoice="BIG02", po="BIG04"),
    "812": _paths(adjustment="BCD02", invoice="BCD07"),
    "820": _paths(trace="TRN02", invoice="RMR02[RMR01=IV]"),
    "824": _paths(reference="BGN02", original="OTI03"),
    "830": _paths(forecast="BFR02", release="BFR03"),
    "832": _paths(catalog="BCT02"),
    "834": _paths(reference="BGN02", group="REF02[REF01=38]"),
    "835": _paths(check="TRN02", claim="CLP01"),
    "837": _paths(claim="CLM01", reference="BHT03"),
    "840": _paths(quotation="BQT02"),
    "843": _paths(quotation="BQR02"),
    "846": _paths(reference="BIA03"),
    "850": _paths(po="BEG03"),
    "852": _paths(reference="XQ04"),
    "855": _paths(po="BAK03", acknowledgment="BAK08"),
    "856": _paths(shipment="BSN02", po="PRF01"),
    "857": _paths(shipment="BHT03", po="PRF01"),
    "860": _paths(po="BCH03"),
    "861": _paths(receipt="BRA01", po="PRF01"),
    "862": _paths(release="BSS02"),
    "864": _paths(reference="BMG02"),
    "865": _paths(po="BCA03"),
    "869": _paths(inquiry="BSI01", po="PRF01"),
    "870": _paths(report="BSR03", po="PRF01"),
    "940": _paths(order="W0502", po="W0503"),
    "943": _paths(shipment="W0604", order="W0602"),
    "944": _paths(receipt="W1703"),
    "945": _paths(shipment="W0604", order="W0602"),
    "990": _paths(shipment="B102"),
    "997": _paths(group="AK102"),
    "999": _paths(group="AK102"),
}

# The key that names the business document itself: another one with the same value is most likely the same again. Sets
# that speak of a document many times over its life (an order change, a status) have none.
MAIN_KEYS: Mapping[str, str] = {
    "210": "invoice",
    "810": "invoice",
    "812": "adjustment",
    "820": "trace",
    "834": "reference",
    "835": "check",
    "837": "reference",
    "840": "quotation",
    "850": "po",
    "856": "shipment",
    "861": "receipt",
    "940": "order",
    "943": "shipment",
    "944": "receipt",
    "945": "shipment",
}
