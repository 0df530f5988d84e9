"""Business keys out of a transaction set: a purchase order number, a claim id, without parsing all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gateway.x12.isa import BLANKS, ends_segment
from gateway.x12.model import Separators
from gateway.x12.scan import find

_PLACE = r"([A-Z][A-Z0-9]{1,2})(\d\d)(?:-(\d{1,2}))?"
_PATH = re.compile(rf"{_PLACE}(?:\[{_PLACE}=([^\[\]]+)\])?")
_FORM = "an element such as BEG03, SV101-2 or REF02[REF01=PO]"


class ElementPath(Struct, frozen=True):
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


Paths = ElementPath | tuple[ElementPath, ...]  # several places where the same thing may stand


def extract(text: str, separators: Separators, paths: Mapping[str, Paths]) -> dict[str, list[str]]:
    """The values at ``paths`` in the text of one set: every occurrence, each value once, in order of appearance.

    Where a name has several paths, the values of the first one come first. Repetitions count as occurrences; empty
    elements do not. Every name of ``paths`` is in the answer.
    """
    return {name: list(dict.fromkeys(_all(text, separators, path))) for name, path in paths.items()}


def _all(text: str, marks: Separators, paths: Paths) -> Iterator[str]:
    for path in (paths,) if isinstance(paths, ElementPath) else paths:
        yield from _values(text, marks, path)


def _values(text: str, marks: Separators, path: ElementPath) -> Iterator[str]:
    for elements in _segments(text, marks, path.segment):
        if path.qualifier_element:
            held = _at(elements, marks, path.qualifier_element, path.qualifier_component)
            if path.qualifier not in held:
                continue
        yield from (value for value in _at(elements, marks, path.element, path.component) if value)


def _segments(text: str, marks: Separators, tag: str) -> Iterator[list[str]]:
    needle = tag + marks.element
    at = find(text, needle, 0, len(text))
    while at >= 0:
        if ends_segment(text[max(0, at - 6) : at], marks.segment):
            end = text.find(marks.segment, at)
            yield text[at : end if end >= 0 else len(text)].split(marks.element)
        at = find(text, needle, at + len(needle), len(text))


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


def _paths(**written: str) -> Mapping[str, Paths]:
    return {name: _path(*text.split()) for name, text in written.items()}


def _path(first: str, *others: str) -> Paths:
    return (ElementPath.parse(first), *map(ElementPath.parse, others)) if others else ElementPath.parse(first)


# One thing has one name in all sets, so that the ledger can follow it: an order (po) from the 850 to the 820, a
# shipment from the 204 to the 210, a claim from the 837 to the 835.
DEFAULT_KEYS: Mapping[str, Mapping[str, Paths]] = {
    "110": _paths(invoice="B302", shipment="B303"),
    "148": _paths(reference="BGN02"),
    "180": _paths(reference="BGN02", po="PRF01"),
    "204": _paths(shipment="B204", po="L1101[L1102=PO] OID02", bill_of_lading="L1101[L1102=BM]"),
    "210": _paths(
        invoice="B302",
        shipment="B303",
        po="N902[N901=PO] L1101[L1102=PO]",
        bill_of_lading="N902[N901=BM] L1101[L1102=BM]",
    ),
    "211": _paths(bill_of_lading="BOL03", shipment="BOL03"),
    "214": _paths(reference="B1001", shipment="B1002", po="L1101[L1102=PO]", bill_of_lading="L1101[L1102=BM]"),
    "250": _paths(reference="BGN02", po="PRF01"),
    "270": _paths(trace="TRN02", reference="BHT03"),
    "271": _paths(trace="TRN02", reference="BHT03"),
    "275": _paths(trace="TRN02", reference="BGN02", claim="REF02[REF01=EJ]"),
    "276": _paths(reference="BHT03", trace="TRN02", claim="REF02[REF01=EJ]"),
    "277": _paths(reference="BHT03", trace="TRN02", claim="REF02[REF01=EJ]"),
    "278": _paths(reference="BHT03", trace="TRN02"),
    "300": _paths(shipment="B102", booking="N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "301": _paths(shipment="B102", booking="Y301 N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "303": _paths(shipment="B102", booking="Y501"),
    "304": _paths(shipment="B204", booking="N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "310": _paths(invoice="B302", shipment="B303", booking="N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "312": _paths(invoice="B302", shipment="B303"),
    "313": _paths(equipment="B408", booking="N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "315": _paths(equipment="B408", booking="N902[N901=BN]", bill_of_lading="N902[N901=BM]"),
    "322": _paths(shipment="ZC101", equipment="ZC103 N702"),
    "404": _paths(shipment="ZC101", bill_of_lading="N902[N901=BM]", equipment="N702"),
    "410": _paths(invoice="B3B01", shipment="B3B08", bill_of_lading="N902[N901=BM]"),
    "417": _paths(shipment="ZC101", bill_of_lading="N902[N901=BM]", equipment="N702"),
    "753": _paths(reference="BGN02", po="OID02"),
    "754": _paths(reference="BGN02", po="OID02"),
    "810": _paths(
        invoice="BIG02",
        po="BIG04 REF02[REF01=PO]",
        shipment="REF02[REF01=SI]",
        bill_of_lading="REF02[REF01=BM]",
    ),
    "811": _paths(invoice="BIG02", po="BIG04"),
    "812": _paths(adjustment="BCD02", invoice="BCD07", po="BCD10"),
    "814": _paths(reference="BGN02"),
    "816": _paths(reference="BHT03"),
    "820": _paths(
        trace="TRN02",
        invoice="RMR02[RMR01=IV]",
        po="RMR02[RMR01=PO] REF02[REF01=PO]",
        shipment="RMR02[RMR01=SI]",
        bill_of_lading="RMR02[RMR01=BM]",
    ),
    "822": _paths(reference="BGN02"),
    "823": _paths(trace="TRN02"),
    "824": _paths(
        reference="BGN02", original="OTI03", po="OTI03[OTI02=PO]", invoice="OTI03[OTI02=IV]", shipment="OTI03[OTI02=SI]"
    ),
    "830": _paths(forecast="BFR02", release="BFR03", po="BFR11"),
    "831": _paths(reference="BGN02"),
    "832": _paths(catalog="BCT02"),
    "834": _paths(reference="BGN02", group="REF02[REF01=38]"),
    "835": _paths(check="TRN02", claim="CLP01"),
    "837": _paths(claim="CLM01", reference="BHT03"),
    "838": _paths(reference="BTP02"),
    "840": _paths(quotation="BQT02"),
    "842": _paths(reference="BNR02"),
    "843": _paths(quotation="BQR02"),
    "844": _paths(reference="BAA05", invoice="REF02[REF01=IV]"),
    "845": _paths(contract="REF02[REF01=CT]", reference="BPA04"),
    "846": _paths(reference="BIA03"),
    "847": _paths(reference="BHT03"),
    "849": _paths(reference="BRC04"),
    "850": _paths(po="BEG03"),
    "851": _paths(reference="BLS03"),
    "852": _paths(reference="XQ04"),
    "853": _paths(reference="BGN02"),
    "854": _paths(invoice="BDD01", shipment="BDD03"),
    "855": _paths(po="BAK03", acknowledgment="BAK08"),
    "856": _paths(shipment="BSN02", po="PRF01", invoice="REF02[REF01=IV]", bill_of_lading="REF02[REF01=BM]"),
    "857": _paths(shipment="BHT03", po="PRF01"),
    "858": _paths(shipment="ZC101", bill_of_lading="N902[N901=BM]", po="N902[N901=PO]"),
    "859": _paths(invoice="B302", shipment="B303", po="N902[N901=PO]", bill_of_lading="N902[N901=BM]"),
    "860": _paths(po="BCH03"),
    "861": _paths(receipt="BRA01", po="PRF01", shipment="REF02[REF01=SI]", bill_of_lading="REF02[REF01=BM]"),
    "862": _paths(release="BSS02", po="BSS10"),
    "863": _paths(report="BTR05"),
    "864": _paths(reference="BMG02"),
    "865": _paths(po="BCA03"),
    "866": _paths(release="BSS02", po="BSS10"),
    "867": _paths(report="BPT02"),
    "869": _paths(inquiry="BSI01", po="PRF01"),
    "870": _paths(report="BSR03", po="PRF01"),
    "875": _paths(po="G5003"),
    "876": _paths(po="G9203"),
    "880": _paths(invoice="G0102", po="G0104"),
    "881": _paths(reference="BGN02", invoice="G0102", po="G0104"),
    "882": _paths(statement="G4702"),
    "889": _paths(promotion="G4202"),
    "894": _paths(delivery="G8202", po="G8209"),
    "895": _paths(delivery="G8703"),
    "920": _paths(reference="F0102"),
    "924": _paths(reference="F0102"),
    "925": _paths(reference="F1002"),
    "926": _paths(reference="F1102"),
    "940": _paths(order="W0502", po="W0503"),
    "943": _paths(shipment="W0604", order="W0602", po="W0606"),
    "944": _paths(receipt="W1703", order="W1704", shipment="W1705"),
    "945": _paths(shipment="W0604", order="W0602", po="W0606", bill_of_lading="N902[N901=BM]"),
    "947": _paths(adjustment="W1502"),
    "990": _paths(shipment="B102", po="N902[N901=PO] L1101[L1102=PO]", bill_of_lading="N902[N901=BM] L1101[L1102=BM]"),
    "997": _paths(group="AK102"),
    "999": _paths(group="AK102"),
}

# Where a guide means something else than the set in general, by the beginning of GS08 or ST03.
_GUIDES: Mapping[tuple[str, str], Mapping[str, Paths]] = {
    # The acknowledgment of claims (277CA) repeats each claim's own number as the trace that is answered.
    ("277", "005010X214"): _paths(reference="BHT03", claim="TRN02[TRN01=2]"),
}


def default_keys(set_id: str, version: str = "") -> Mapping[str, Paths]:
    """The keys that are extracted from a set where nobody names any; empty for a set that has none.

    Args:
        set_id: ST01.
        version: ST03 or GS08, where a guide is followed.
    """
    for (its_set, beginning), keys in _GUIDES.items():
        if its_set == set_id and version.startswith(beginning):
            return keys
    return DEFAULT_KEYS.get(set_id, {})


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
