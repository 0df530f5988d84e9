"""The HIPAA implementation guides, read from the maps of the installed pyx12 package; nothing is copied.

A map is XML: loops, segments, elements with usage (R required, S situational, N not used), valid codes and
relational conditions. Its HEADER, DETAIL and FOOTER wrappers say nothing that places do not say, so they go.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from msgspec import Struct, field

from gateway.x12.guideline import standard
from gateway.x12.guideline.model import Condition, Element, Guideline, Loop, Requirement, Segment, conditions_of

BINDING_SETS = frozenset({"states"})  # other external lists change more often than the package: they only warn
_USAGE = {"R": Requirement.MANDATORY, "S": Requirement.OPTIONAL, "N": Requirement.NOT_USED}
_STRIDE = 100_000  # places inside a wrapper stand between the wrapper's place and the next one's
_GUIDE_VERSION = re.compile(r"(00\d{4}X\d{3})[A-Z0-9]*")


class Guide(Struct, frozen=True):
    """One map. ``version`` is GS08; ``variant`` the BHT02 that it is for (278: 13 request, 11 response)."""

    set_id: str
    version: str
    file: str
    variant: str = ""


def _xml(name: str) -> ET.Element:
    text = files("pyx12").joinpath("map", name).read_bytes()
    return ET.fromstring(text)  # noqa: S314  # a file of an installed package, not of a partner


@cache
def guides() -> tuple[Guide, ...]:
    """The implementation guides that pyx12 registers."""
    found: dict[tuple[str, str, str], Guide] = {}
    for entry in _xml("maps.xml").iter("map"):
        version, name = entry.get("vriic", ""), entry.text or ""
        guide = Guide(name[:3], version, name, entry.get("tspc", ""))
        if _GUIDE_VERSION.fullmatch(version) and guide.set_id != "997":
            found[guide.set_id, version, guide.variant] = guide
    return tuple(found.values())


def load(set_id: str, version: str, variant: str = "") -> Guideline | None:
    """The guide for a set under this GS08 or ST03, or None.

    An addendum that is not shipped (005010X222, 005010X222A2) is judged by the one that is (005010X222A1).
    """
    named = _GUIDE_VERSION.fullmatch(version)
    if named is None:
        return None
    candidates = [each for each in guides() if each.set_id == set_id]
    exact = [each for each in candidates if each.version == version]
    near = exact or [each for each in candidates if each.version.startswith(named[1])]
    chosen = [each for each in near if each.variant == variant] or near
    return _read(chosen[0]) if chosen else None


@cache
def variants(set_id: str, version: str) -> dict[str, Guideline]:
    """BHT02 → guide, where it chooses among several for this version; else empty."""
    found = [each for each in guides() if (each.set_id, each.version) == (set_id, version) and each.variant]
    return {each.variant: _read(each) for each in found}


@cache
def _read(guide: Guide) -> Guideline:
    reader = _MapReader()
    top = next(each for each in _xml(guide.file).iter("loop") if each.get("xid") == "ST_LOOP")
    children = sorted(reader.unwrapped(top), key=lambda each: each.place)
    base = guide.version[:6]
    dictionary = standard.dictionary(base).segments if base in standard.catalog()["versions"] else {}
    return Guideline(
        name=f"{guide.version} {guide.set_id}",
        set_id=guide.set_id,
        version=guide.version,
        base=base,
        trusted=True,
        implementation=True,
        root=Loop("", "", Requirement.MANDATORY, 1, 0, tuple(children)),
        dictionary=frozenset(dictionary),
    )


@cache
def _data_elements() -> dict[str, tuple[str, int, int, str]]:
    """Number → type, shortest, longest, name."""
    return {
        each.get("ele_num", ""): (
            each.get("data_type", "AN"),
            int(each.get("min_len", "1")),
            int(each.get("max_len", "1")),
            each.get("name", ""),
        )
        for each in _xml("dataele.xml").iter("data_ele")
    }


@cache
def _external_codes() -> dict[str, frozenset[str]]:
    """Code set id → codes; sets that are listed without codes are left out."""
    found: dict[str, frozenset[str]] = {}
    for each in _xml("codes.xml").iter("codeset"):
        codes = frozenset(code.text for code in each.iterfind("version/code") if code.text)
        if codes:
            found[each.findtext("id", "")] = codes
    return found


class _MapReader(Struct):
    """Reads loops, segments and elements; equal elements become one object."""

    elements: dict[Element, Element] = field(default_factory=dict)

    def unwrapped(self, top: ET.Element) -> Iterator[Segment | Loop]:
        """The children of the set, those of wrappers among them."""
        for each in _nodes(top):
            place = int(_said(each, "pos", "0")) * _STRIDE
            if each.get("type") == "wrapper":
                for inner in _nodes(each):
                    yield self.node(inner, place + int(_said(inner, "pos", "0")))
            else:
                yield self.node(each, place)

    def node(self, each: ET.Element, place: int) -> Segment | Loop:
        """One loop or segment."""
        name, usage = _said(each, "name"), _USAGE[_said(each, "usage", "S")]
        identity = each.get("xid", "")
        if each.tag == "loop":
            children = sorted(
                (self.node(inner, int(_said(inner, "pos", "0"))) for inner in _nodes(each)),
                key=lambda child: child.place,
            )
            return Loop(identity, name, usage, _maximum(_said(each, "repeat", ">1")), place, tuple(children))
        return Segment(
            identity, name, usage, _maximum(_said(each, "max_use", ">1")), place, self.uses(each), _syntax(each)
        )

    def uses(self, parent: ET.Element) -> tuple[Element, ...]:
        """The elements of a segment or the components of a composite, in order."""
        inside = [each for each in parent if each.tag in ("element", "composite")]
        inside.sort(key=lambda each: int(_said(each, "seq", "0")))
        return tuple(self.use(each) for each in inside)

    def use(self, each: ET.Element) -> Element:
        """One element or composite."""
        made = self.composite(each) if each.tag == "composite" else self.simple(each)
        return self.elements.setdefault(made, made)

    def composite(self, each: ET.Element) -> Element:
        """A composite and its components."""
        usage = _USAGE[_said(each, "usage", "S")]
        number, name = _said(each, "data_ele"), _said(each, "name")
        repeat = _maximum(_said(each, "repeat", "1"))
        return Element(number, name, "", 0, 0, usage, None, True, repeat, self.uses(each), _syntax(each))

    def simple(self, each: ET.Element) -> Element:
        """A simple element."""
        number = _said(each, "data_ele")
        kind, shortest, longest, name = _data_elements().get(number, ("AN", 1, 99999, ""))
        usage, repeat = _USAGE[_said(each, "usage", "S")], _maximum(_said(each, "repeat", "1"))
        codes, binding = _codes(each)
        return Element(
            number,
            _said(each, "name") or name,
            kind,
            shortest,
            longest,
            usage,
            codes,
            binding,
            repeat,
            pattern=_said(each, "regex"),
        )


def _nodes(parent: ET.Element) -> list[ET.Element]:
    return [each for each in parent if each.tag in ("loop", "segment")]


def _said(each: ET.Element, key: str, default: str = "") -> str:
    """A property, written as an attribute or as a child."""
    return each.get(key) or each.findtext(key) or default


def _maximum(text: str) -> int:
    return 0 if text == ">1" else int(text)


def _syntax(each: ET.Element) -> tuple[Condition, ...]:
    return tuple(condition for item in each.findall("syntax") for condition in conditions_of(item.text or ""))


def _codes(each: ET.Element) -> tuple[frozenset[str] | None, bool]:
    """The codes that a guide allows, and whether they bind."""
    listed = each.find("valid_codes")
    if listed is None:
        return None, True
    codes = frozenset(code.text for code in listed.findall("code") if code.text)
    external = listed.get("external", "")
    if not external:
        return codes or None, True
    more = _external_codes().get(external)
    if more is None:
        return None, True  # a list that is not shipped: any value may be right
    return codes | more, external in BINDING_SETS
