"""The X12 standards as packaged: versions 003040 to 005030, loaded one transaction set at a time."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

from msgspec import Struct

from gateway.x12.guideline.model import (
    Condition,
    Element,
    Guideline,
    Loop,
    Requirement,
    Segment,
    conditions_of,
)

ENFORCED_VERSIONS = frozenset({"004010", "005010"})
DOUBTFUL_SETS = frozenset({"214", "990", "222"})  # the only source shrinks them sharply after 004010
LAST_SURE_VERSION = "004010"
FIRST_WITH_REPETITION = "004020"


@cache
def catalog() -> dict[str, Any]:
    """What is packaged: ``versions`` (version → set ids) and ``groups`` (set id → GS01)."""
    loaded: dict[str, Any] = json.loads(files("gateway.x12").joinpath("data", "catalog.json").read_text("ascii"))
    return loaded


def trusted(set_id: str, version: str) -> bool:
    """Whether the tables are good enough to reject by (two sources agree), or only to advise."""
    if version not in ENFORCED_VERSIONS:
        return False
    return not (set_id in DOUBTFUL_SETS and version > LAST_SURE_VERSION)


@cache
def _archive(version: str) -> zipfile.ZipFile:
    packed = files("gateway.x12").joinpath("data", f"{version}.zip").read_bytes()
    return zipfile.ZipFile(BytesIO(packed))


def _entry(version: str, name: str) -> Any:  # JSON
    return json.loads(_archive(version).read(name))


class Dictionary(Struct):
    """Segments, composites, elements and codes of one version; element uses are built when asked for."""

    version: str
    segments: dict[str, list[list[Any]]]
    composites: dict[str, list[list[Any]]]
    elements: dict[str, list[Any]]
    conditions: dict[str, str]
    codes: dict[str, list[str]]
    _built: dict[str, tuple[Element, ...]]
    _code_sets: dict[str, frozenset[str]]

    def code_set(self, number: str) -> tuple[frozenset[str] | None, bool]:
        """The code list of an element and whether it is this very version's own."""
        entry = self.codes.get(number)
        if entry is None:
            return None, False
        found = self._code_sets.get(number)
        if found is None:
            found = self._code_sets[number] = frozenset(entry[1].split())
        return found, entry[0] == "full"

    def elements_of(self, segment_id: str) -> tuple[Element, ...]:
        """The element positions of a segment."""
        found = self._built.get(segment_id)
        if found is None:
            uses = self.segments.get(segment_id, [])
            found = self._built[segment_id] = tuple(self._element(*use) for use in uses)
        return found

    def conditions_of(self, segment_id: str) -> tuple[Condition, ...]:
        """The relational conditions of a segment."""
        return conditions_of(self.conditions.get(segment_id, ""))

    def _element(self, number: str, requirement: str, repeat: int = 1) -> Element:
        times = self._repeat(repeat)
        if number in self.composites:
            parts = tuple(self._element(part, need) for part, need in self.composites[number])
            conditions = conditions_of(self.conditions.get(number, ""))
            return Element(number, "", "", 0, 0, Requirement(requirement), None, True, times, parts, conditions)
        kind, shortest, longest, name = self.elements[number]
        codes, binding = self.code_set(number) if kind == "ID" else (None, False)
        shown = "" if "-" in number else number
        return Element(shown, name, kind, shortest, longest, Requirement(requirement), codes, binding, times)

    def _repeat(self, packed: int) -> int | None:
        """Packed 0 means that no source says; before 004020 nothing repeats."""
        if packed:
            return packed
        return None if self.version >= FIRST_WITH_REPETITION else 1


@cache
def dictionary(version: str) -> Dictionary:
    """The dictionary of a packaged version."""
    entry = _entry(version, "dictionary.json")
    codes = _entry(version, "codes.json")
    return Dictionary(
        version, entry["segments"], entry["composites"], entry["elements"], entry["conditions"], codes, {}, {}
    )


@cache
def load(set_id: str, version: str) -> Guideline | None:
    """The standard's own guideline for a set, or None where the version or the set is not packaged."""
    if set_id not in catalog()["versions"].get(version, ()):
        return None
    words = dictionary(version)
    tree = _entry(version, f"sets/{set_id}.json")
    children = tuple(_children(tree, words))
    root = Loop("", "", Requirement.MANDATORY, 1, 0, children)
    return Guideline(
        name=f"X12 {version} {set_id}",
        set_id=set_id,
        version=version,
        base=version,
        trusted=trusted(set_id, version),
        implementation=False,
        root=root,
        dictionary=frozenset(words.segments),
    )


def _children(tree: list[list[Any]], words: Dictionary) -> Iterator[Segment | Loop]:
    """Siblings in order, each at a place of its own; loops between LS and LE know where they are opened."""
    opened_at: int | None = None
    for place, (name, requirement, maximum, *below) in enumerate(tree, 1):
        need = Requirement(requirement)
        if below:
            inner = tuple(_children(below[0], words))
            yield Loop(name, "", need, maximum, place, inner, opened_at)
            continue
        if name in ("LS", "LE"):
            opened_at = place if name == "LS" else None
        elements, conditions = words.elements_of(name), words.conditions_of(name)
        yield Segment(name, "", need, maximum, place, elements, conditions)


@cache
def mandatory_ids(set_id: str, version: str) -> frozenset[str]:
    """Ids of the segments that the standard itself demands somewhere in a set, triggers of optional loops apart."""
    guideline = load(set_id, version)
    return frozenset(_mandatory(guideline.root)) if guideline else frozenset()


def _mandatory(loop: Loop) -> Iterator[str]:
    for child in loop.children:
        if isinstance(child, Loop):
            inside = list(_mandatory(child))
            skip = 0 if child.requirement is Requirement.MANDATORY else 1
            yield from inside[skip:]
        elif child.requirement is Requirement.MANDATORY:
            yield child.id
