"""Partner guidelines: a small TOML file that tightens or loosens a guideline.

docs/reference/guidelines.md lists its keys. A file names a base, and below ``[loops]``, ``[segments]`` and
``[elements]`` what differs from it, by path. The outcome is a guideline like any other.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.errors import GuidelineInvalid
from gateway.settings.lines import KeyPath, key_lines, line_of
from gateway.x12.guideline import hipaa, standard
from gateway.x12.guideline.model import (
    UNLIMITED,
    Condition,
    Element,
    Guideline,
    Loop,
    Requirement,
    Segment,
    conditions_of,
)

REQUIREMENTS = {
    "required": Requirement.MANDATORY,
    "optional": Requirement.OPTIONAL,
    "not-used": Requirement.NOT_USED,
}
HEADER_KEYS = ("name", "base", "versions", "enforce", "characters")
CHARACTERS = ("basic", "extended", "any")
_PATH = re.compile(r"(?P<top>/?)(?P<names>[^/\[\].\s]+(?:/[^/\[\].\s]+)*)(?:\[(?P<code>[^\[\]]+)\])?")
_ELEMENT = re.compile(r"(?P<path>.+)\.(?P<position>\d{2})(?:-(?P<component>\d{1,2}))?")
_GUIDE_NUMBER = re.compile(r"00\d{4}X\d{3}")
_VERSION = re.compile(r"\d{6}[0-9A-Z]{0,6}")
_ENVELOPE = ("ST", "SE")

Address = tuple[int, ...]  # which child of the root, which child of that, …
Change = dict[str, Any]
Reader = Callable[[object], Any]


@lru_cache(maxsize=256)
def read_partner_guideline(text: str, file: str = "guideline") -> Guideline:
    """The guideline that a file describes. The same text gives the same value, so that it is compiled once.

    Args:
        text: TOML.
        file: what to call the file in messages.

    Raises:
        GuidelineInvalid: for the first thing wrong; its reason goes on, one line each, with all the others.
    """
    text = text.removeprefix("\ufeff")
    try:
        table = tomllib.loads(text)
        lines = key_lines(text)
    except (ValueError, RecursionError) as problem:
        said = re.search(r"at line (\d+)", str(problem))
        line = int(said.group(1)) if said else text.rstrip("\n").count("\n") + 1
        raise GuidelineInvalid(file=file, line=line, key="(file)", reason=f"this is not TOML: {problem}") from problem
    reading = _Reading(table, lines)
    guideline = reading.guideline()
    if guideline is not None and not reading.problems:
        return guideline
    (line, key, reason), *others = sorted(set(reading.problems))
    more = "".join(f"\n{file}, line {where}, key {what}: {why}" for where, what, why in others)
    raise GuidelineInvalid(file=file, line=line, key=key, reason=reason + more)


# -- values


def _requirement(value: object) -> Requirement:
    if value not in REQUIREMENTS:
        raise ValueError(f"{value!r} is not allowed here; use one of {', '.join(REQUIREMENTS)}")
    return REQUIREMENTS[str(value)]


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not allowed here; write a number from 1")
    return value


def _maximum(value: object) -> int:
    return UNLIMITED if value == "unlimited" else _number(value)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f'{value!r} is not allowed here; write a list of texts, for example ["EA", "CA"]')
    return tuple(value)


def _conditions(value: object) -> tuple[Condition, ...]:
    if value == []:
        return ()
    words = _words(value)
    found = conditions_of(" ".join(words))
    if tuple(str(each) for each in found) != words:
        raise ValueError('a condition is a letter of P, R, E, C, L and positions of two digits: ["P0304"]')
    return found


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a regular expression in quotes")  # noqa: TRY004 - a reason, not a defect
    try:
        re.compile(value)
    except re.error as problem:
        raise ValueError(f"{value!r} is not a regular expression: {problem}") from problem
    return rf"\A(?:{value})\Z" if value else ""


LOOP_KEYS: Mapping[str, Reader] = {"requirement": _requirement, "maximum": _maximum}
SEGMENT_KEYS: Mapping[str, Reader] = {"requirement": _requirement, "maximum": _maximum, "conditions": _conditions}
ELEMENT_KEYS: Mapping[str, Reader] = {
    "requirement": _requirement,
    "shortest": _number,
    "longest": _number,
    "codes": _words,
    "add_codes": _words,
    "remove_codes": _words,
    "pattern": _pattern,
    "repeat": _maximum,
}


# -- paths


class _Place(Struct, frozen=True):
    """One use in the base: where it is, and the ids of the loops around it with its own."""

    address: Address
    names: tuple[str, ...]
    use: Segment | Loop
    first: bool  # the first segment of a loop


def _places(loop: Loop, address: Address = (), names: tuple[str, ...] = ()) -> Iterator[_Place]:
    for index, child in enumerate(loop.children):
        here = _Place((*address, index), (*names, child.id), child, first=not index and bool(address))
        yield here
        if isinstance(child, Loop):
            yield from _places(child, here.address, here.names)


def _selected(places: list[_Place], kind: type[Segment | Loop], path: str) -> list[_Place]:
    """The places that a path means; ``N1/N3`` is every N3 in a loop N1, ``/N1/N3`` only that at the top."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise ValueError("a path is loops and a segment, such as N1/N3, or with one of its codes, REF[EI]")
    names, code = tuple(parts["names"].split("/")), parts["code"]
    found = [
        each
        for each in places
        if isinstance(each.use, kind)
        and each.names[-len(names) :] == names
        and (not parts["top"] or len(each.names) == len(names))
        and (not code or (isinstance(each.use, Segment) and code in _first_codes(each.use)))
    ]
    if not found:
        known = sorted({"/".join(each.names) for each in places if isinstance(each.use, kind)})
        near = get_close_matches(path.strip("/"), known, n=3, cutoff=0.5)
        guess = f"; there is {', '.join(near)}" if near else ""
        raise ValueError(f"the base has no such {'loop' if kind is Loop else 'segment'}{guess}")
    return found


def _first_codes(segment: Segment) -> frozenset[str]:
    """The codes by which a guide tells a segment from its namesakes."""
    if not segment.elements:
        return frozenset()
    first = segment.elements[0]
    return (first.parts[0] if first.parts else first).codes or frozenset()


# -- the file


class _Reading(Struct):
    """One walk through a parsed file; whatever is wrong is noted, and the walk goes on."""

    table: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    uses: dict[Address, Change] = field(default_factory=dict)
    elements: dict[tuple[Address, int, int], tuple[Change, KeyPath]] = field(default_factory=dict)

    def guideline(self) -> Guideline | None:
        for key in self.table:
            if key not in (*HEADER_KEYS, "loops", "segments", "elements"):
                self.wrong((key,), _unknown(key, (*HEADER_KEYS, "loops", "segments", "elements")))
        base = self.base()
        if base is None:
            return None
        places = list(_places(base.root))
        self.changes(places, "loops", Loop, LOOP_KEYS)
        self.changes(places, "segments", Segment, SEGMENT_KEYS)
        self.element_changes(places)
        root = self.loop(base.root, ())
        made = replace(base, root=root, name=self.name(base), serves=self.versions(base))
        enforce = self.table.get("enforce", base.trusted)
        if not isinstance(enforce, bool):
            self.wrong(("enforce",), "use true or false, without quotes")
            return None
        characters = self.table.get("characters", "")
        if "characters" in self.table and characters not in CHARACTERS:
            self.wrong(("characters",), f"{characters!r} is not allowed here; use one of {', '.join(CHARACTERS)}")
        return replace(made, trusted=enforce, characters=str(characters))

    def name(self, base: Guideline) -> str:
        name = self.table.get("name", f"{base.name}, as agreed")
        if isinstance(name, str) and name.strip() and name.isprintable():
            return name.strip()
        self.wrong(("name",), "write one line of text in quotes")
        return ""

    def base(self) -> Guideline | None:
        said = self.table.get("base")
        if not isinstance(said, str):
            self.wrong(("base",), 'is missing; write base = "004010 850" (a version or guide, and the set)')
            return None
        version, set_id, variant = [*said.split(), "", "", ""][:3]
        found = hipaa.load(set_id, version, variant) or standard.load(set_id, version)
        if found is None:
            self.wrong(("base",), f"{said!r} is not known; `gateway x12 sets` lists all, written as 004010 850")
        return found

    def versions(self, base: Guideline) -> tuple[str, ...]:
        """What GS08 or ST03 may begin with: as the file says, else the base's version or guide number."""
        said = self.table.get("versions")
        if said is None:
            guide = _GUIDE_NUMBER.match(base.version)
            return (guide[0] if guide else base.version,)
        try:
            versions = _words(said)
        except ValueError as problem:
            self.wrong(("versions",), str(problem))
            return ()
        for index, each in enumerate(versions):
            if not _VERSION.fullmatch(each):
                self.wrong(("versions", index), f"{each!r} is not a version such as 004010 or 005010X222A1")
        return versions

    def changes(
        self, places: list[_Place], section: str, kind: type[Segment | Loop], readers: Mapping[str, Reader]
    ) -> None:
        for path, change in self.tables(section, readers):
            try:
                found = _selected(places, kind, path)
                for each in found:
                    _check_change(each, change)
            except ValueError as problem:
                self.wrong((section, path), str(problem))
                continue
            for each in found:
                self.uses.setdefault(each.address, {}).update(change)

    def element_changes(self, places: list[_Place]) -> None:
        for path, change in self.tables("elements", ELEMENT_KEYS):
            try:
                for address, position, component in _selected_elements(places, path):
                    own, _ = self.elements.setdefault((address, position, component), ({}, ()))
                    self.elements[address, position, component] = (own | change, ("elements", path))
            except ValueError as problem:
                self.wrong(("elements", path), str(problem))

    def tables(self, section: str, readers: Mapping[str, Reader]) -> Iterator[tuple[str, Change]]:
        """The paths below a section, each with its values read."""
        section_table = self.table.get(section, {})
        if not isinstance(section_table, dict):
            self.wrong((section,), f'write [{section}."PATH"] and its keys below')
            return
        for path, table in section_table.items():
            if not isinstance(table, dict):
                self.wrong((section, path), f'write [{section}."{path}"] and its keys below')
                continue
            change: Change = {}
            for key, value in table.items():
                if key not in readers:
                    self.wrong((section, path, key), _unknown(key, tuple(readers)))
                    continue
                try:
                    change[key] = readers[key](value)
                except ValueError as problem:
                    self.wrong((section, path, key), str(problem))
            yield path, change

    # -- making the new tree

    def loop(self, loop: Loop, address: Address) -> Loop:
        children: list[Segment | Loop] = []
        for index, child in enumerate(loop.children):
            here = (*address, index)
            changed = _applied(child, self.uses.get(here, {}))
            children.append(self.loop(changed, here) if isinstance(changed, Loop) else self.segment(changed, here))
        return replace(loop, children=tuple(children))

    def segment(self, segment: Segment, address: Address) -> Segment:
        if not any(key[0] == address for key in self.elements):
            return segment
        return replace(segment, elements=self.row(segment.elements, address, 0))

    def row(self, elements: tuple[Element, ...], address: Address, position: int) -> tuple[Element, ...]:
        """Elements of a segment, or the components at a position of it."""
        made = []
        for index, element in enumerate(elements, 1):
            key = (address, position, index) if position else (address, index, 0)
            changed = element
            if key in self.elements:
                change, path = self.elements[key]
                try:
                    changed = _changed(element, change)
                except ValueError as problem:
                    self.wrong(path, str(problem))
            if changed.parts and not position:
                changed = replace(changed, parts=self.row(changed.parts, address, index))
            made.append(changed)
        return tuple(made)

    def wrong(self, path: KeyPath, reason: str) -> None:
        key = ".".join(f'"{each}"' if "/" in str(each) or "." in str(each) else str(each) for each in path)
        self.problems.append((line_of(self.lines, path), key, reason))


def _applied(use: Segment | Loop, change: Change) -> Segment | Loop:
    """A loop or segment changed; conditions that the base does not have are marked as agreed."""
    if isinstance(use, Segment) and "conditions" in change:
        own = [replace(each, implementation=each not in use.conditions) for each in change["conditions"]]
        change = change | {"conditions": tuple(own)}
    return replace(use, **change)


def _check_change(place: _Place, change: Change) -> None:
    """Refuses a change of a loop or segment that makes no sense there.

    Raises:
        ValueError
    """
    use = place.use
    if use.id in _ENVELOPE:
        raise ValueError("ST and SE belong to the envelope and cannot be changed")
    if place.first and change.keys() & LOOP_KEYS.keys():
        raise ValueError("it begins a loop: change that loop, below [loops]")
    highest = max((p for each in change.get("conditions", ()) for p in each.positions), default=0)
    if isinstance(use, Segment) and highest > len(use.elements):
        raise ValueError(f"a condition names position {highest}, the segment has {len(use.elements)} elements")


def _selected_elements(places: list[_Place], path: str) -> Iterator[tuple[Address, int, int]]:
    parts = _ELEMENT.fullmatch(path)
    if parts is None:
        raise ValueError("an element is written as segment, dot, position: PO1.02, or with a component SV1.01-2")
    position, component = int(parts["position"]), int(parts["component"] or 0)
    for place in _selected(places, Segment, parts["path"]):
        if not isinstance(place.use, Segment):  # never: segments were asked for
            continue
        if place.use.id in _ENVELOPE:
            raise ValueError("ST and SE belong to the envelope and cannot be changed")
        if not 1 <= position <= len(place.use.elements):
            raise ValueError(f"{place.use.id} has {len(place.use.elements)} elements here")
        parts_there = len(place.use.elements[position - 1].parts)
        if component > parts_there:
            raise ValueError(f"{place.use.id}{position:02d} has {parts_there or 'no'} components here")
        yield place.address, position, component


def _changed(element: Element, change: Change) -> Element:
    """The element with a change applied.

    Raises:
        ValueError: the change makes no sense for this element.
    """
    values: Change = {key: change[key] for key in ("requirement", "shortest", "longest", "pattern") if key in change}
    if "repeat" in change:
        values["maximum_repeat"] = change["repeat"]
    if element.parts and change.keys() - {"requirement", "repeat"}:
        raise ValueError("it is a composite: lengths, codes and patterns belong to its components, such as -1")
    codes = _codes(element, change)
    made = replace(element, **values, codes=codes, codes_bind=element.codes_bind or "codes" in change)
    if made.shortest > made.longest:
        raise ValueError(f"the shortest length {made.shortest} is above the longest {made.longest}")
    if change.keys() & {"codes", "add_codes"}:
        named = (*change.get("codes", ()), *change.get("add_codes", ()))
        unfit = [each for each in named if not made.shortest <= len(each) <= made.longest]
        if unfit:
            lengths = f"{made.shortest} to {made.longest}"
            raise ValueError(f"the code {unfit[0]!r} is not {lengths} characters long; set shortest and longest too")
    return made


def _codes(element: Element, change: Change) -> frozenset[str] | None:
    """The codes after a change: replaced, then added to, then taken from."""
    codes = frozenset(change["codes"]) if "codes" in change else element.codes
    if codes is None:
        if change.keys() & {"add_codes", "remove_codes"}:
            raise ValueError("the base has no list of codes here; write codes = [...]")
        return None
    absent = [each for each in change.get("remove_codes", ()) if each not in codes]
    if absent:
        raise ValueError(f"the base does not have the code {absent[0]!r} here, so it cannot be removed")
    codes = (codes | frozenset(change.get("add_codes", ()))) - frozenset(change.get("remove_codes", ()))
    if not codes:
        raise ValueError('no code is left; say requirement = "not-used" instead')
    return codes


def _unknown(key: str, allowed: tuple[str, ...]) -> str:
    near = get_close_matches(key, allowed, n=1, cutoff=0.6)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"there is no such key; {guess}allowed are {', '.join(allowed)}"
