"""One thing broken in a conforming set, whatever the set and version: exactly the finding and code that X12 names."""

import random
from collections import Counter
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.x12.guideline import hipaa, standard
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.model import Loop, Requirement
from gateway.x12.guideline.plan import plan_for
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import Level, Separators

MARKS = Separators(repetition="^")
APART = {"ST", "SE", "HL", "LX", "LS", "LE", "BIN", "BDS"}  # envelope, numbers, bounds and binary data
LONGEST = 200
CONDITION_CODES = (("element.condition-missing", "2"), ("element.condition-excluded", "10"))


@cache
def choices():
    versions = standard.catalog()["versions"]
    plain = [(set_id, version, "") for version, ids in versions.items() for set_id in ids]
    return plain, [(each.set_id, each.version, each.variant) for each in hipaa.guides()]


def any_guideline(rng):
    """A guide in one of four cases, else any set of any version of the standard."""
    plain, guides = choices()
    if rng.random() < 0.25:
        return hipaa.load(*rng.choice(guides))
    return standard.load(*rng.choice(plain)[:2])


def judged(guideline, segments):
    """The errors in a set (advisory tables enforced), and where each segment was placed."""
    judge = SetJudge(plan_for(guideline, MARKS), enforce=True)
    judge.trace = []
    judge.feed(segments, 0, 0)
    assert judge.ended
    errors = [(each.code, each.x12, each.position) for each in judge.findings if each.level is Level.ERROR]
    return errors, judge.trace


def uses(loop):
    for child in loop.children:
        yield child
        if isinstance(child, Loop):
            yield from uses(child)


class Set:
    """A conforming set, and what of it can be broken alone."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.guideline = any_guideline(self.rng)
        self.maker = SampleMaker(self.guideline, MARKS, seed, self.rng.choice([0.1, 0.3]))
        self.segments = self.maker.segments()
        self.errors, trace = judged(self.guideline, self.segments)
        self.steps = [each.segment for each in trace]
        self.times = Counter(each.id for each in uses(self.guideline.root) if not isinstance(each, Loop))
        self.spots = plan_for(self.guideline, MARKS).spots

    def elements(self, wanted):
        """(index of segment, element position, element) of every plain value that ``wanted`` takes."""
        found = []
        for index, use in enumerate(self.steps):
            if use.id in APART:
                continue
            fields = self.segments[index].split("*")
            tied = {p for each in use.conditions for p in each.positions} | {p for p, _ in self.spots.get(use.id, ())}
            for position in range(1, min(len(fields), len(use.elements) + 1)):
                element = use.elements[position - 1]
                if fields[position] and not element.parts and position not in tied and wanted(element):
                    found.append((index, position, element))
        return found

    def alone(self):
        """Indexes of segments whose id stands in one place of the guideline only, and is no loop's first."""
        first = {id(each.children[0]) for each in uses(self.guideline.root) if isinstance(each, Loop)}
        return [
            index
            for index, use in enumerate(self.steps)
            if use.id not in APART and self.times[use.id] == 1 and id(use) not in first
        ]

    def loops(self):
        """(index of the first segment, loop) of loops at the top whose first segment's id is nowhere else."""
        tops = {id(each.children[0]): each for each in self.guideline.root.children if isinstance(each, Loop)}
        return [
            (index, tops[id(use)])
            for index, use in enumerate(self.steps)
            if id(use) in tops and use.id not in APART and self.times[use.id] == 1
        ]


def put(segments, index, position, value):
    fields = segments[index].split("*")
    fields[position] = value
    return [*segments[:index], "*".join(fields).rstrip("*"), *segments[index + 1 :]]


def of_length(element, length):
    return ("1" if element.type[:1] in "NRDT" else "X") * length


def element_fault(wanted, value, code, x12):
    """A mutation of one element; ``x12`` may depend on the element."""

    def mutate(chosen):
        places = chosen.elements(wanted)
        if not places:
            return None
        index, position, element = chosen.rng.choice(places)
        named = code(element) if callable(code) else code
        said = x12[named] if isinstance(x12, dict) else x12
        return put(chosen.segments, index, position, value(element)), [(named, said, index + 1)]

    return mutate


def without(chosen):
    """A required segment left out."""
    places = [i for i in chosen.alone() if chosen.steps[i].requirement is Requirement.MANDATORY]
    places = [i for i in places if chosen.steps[i - 1] is not chosen.steps[i] is not chosen.steps[i + 1]]
    if not places:
        return None
    index = chosen.rng.choice(places)
    return chosen.segments[:index] + chosen.segments[index + 1 :], [("segment.missing", "3", None)]


def too_often(chosen):
    """A segment once more than it may occur."""
    places = [i for i in chosen.alone() if 0 < chosen.steps[i].maximum <= 10]
    places = [i for i in places if chosen.steps[i - 1] is not chosen.steps[i]]
    if not places:
        return None
    index = chosen.rng.choice(places)
    if sum(each is chosen.steps[index] for each in chosen.steps[index:]) > 1:
        return None
    more = chosen.steps[index].maximum
    segments = chosen.segments[: index + 1] + [chosen.segments[index]] * more + chosen.segments[index + 1 :]
    return segments, [("segment.too-many", "5", index + 1 + more)]


def loop_too_often(chosen):
    """A loop once more than it may occur."""
    places = [(i, loop) for i, loop in chosen.loops() if 0 < loop.maximum <= 100]
    places = [(i, loop) for i, loop in places if sum(each is chosen.steps[i] for each in chosen.steps) == 1]
    if not places:
        return None
    index, loop = chosen.rng.choice(places)
    inside = {id(each) for each in uses(loop)}
    end = next(i for i in range(index, len(chosen.steps)) if id(chosen.steps[i]) not in inside)
    whole = chosen.segments[index:end]
    segments = [*chosen.segments[:end], *(whole * loop.maximum), *chosen.segments[end:]]
    return segments, [("loop.too-many", "4", end + 1 + len(whole) * (loop.maximum - 1))]


def out_of_place(chosen):
    """A required segment at the top, behind its successor."""
    top = [each for each in chosen.guideline.root.children if not isinstance(each, Loop)]
    for index in chosen.alone():
        use, after = chosen.steps[index], chosen.steps[index + 1]
        required = use.requirement is Requirement.MANDATORY and any(use is each for each in top)
        apart = after.id not in {use.id, *APART} and chosen.steps[index - 1] is not use
        if required and apart and not any(after is each and each.place == use.place for each in top):
            s = chosen.segments
            turned = [*s[:index], s[index + 1], s[index], *s[index + 2 :]]
            return turned, [("segment.out-of-sequence", "7", index + 2)]
    return None


def unknown(chosen):
    index = chosen.rng.randrange(1, len(chosen.segments))
    return [*chosen.segments[:index], "QQQ*1", *chosen.segments[index:]], [("segment.unknown", "1", index + 1)]


def crowded(chosen):
    """A value behind the last element of a segment."""
    places = [i for i, each in enumerate(chosen.steps) if each.id not in APART and each.elements]
    if not places:
        return None
    index = chosen.rng.choice(places)
    marks = chosen.segments[index].count("*")
    missing = len(chosen.steps[index].elements) - marks
    text = chosen.segments[index] + "*" * missing + "*X"
    return [*chosen.segments[:index], text, *chosen.segments[index + 1 :]], [("element.too-many", "3", index + 1)]


def condition(chosen):
    """One relational condition broken, by taking elements away or adding some."""
    places = [i for i, each in enumerate(chosen.steps) if each.conditions and each.id not in APART]
    chosen.rng.shuffle(places)
    for index in places[:5]:
        use = chosen.steps[index]
        used = [each for each in use.elements if each.requirement is not Requirement.NOT_USED]
        every = replace(
            use,
            conditions=(),
            elements=tuple(
                replace(each, requirement=Requirement.MANDATORY) if each in used else each for each in use.elements
            ),
        )
        full = chosen.maker.segment(every).split("*")[1:]
        full += [""] * (len(use.elements) - len(full))
        given = chosen.segments[index].split("*")[1:]
        given += [""] * (len(use.elements) - len(given))
        fixed = {position for position, _ in chosen.spots.get(use.id, ())}
        for _ in range(20):
            values = list(given)
            for position in {p for each in use.conditions for p in each.positions} - fixed:
                element = use.elements[position - 1] if position <= len(values) else None
                if element and element.requirement in (Requirement.OPTIONAL, Requirement.CONDITIONAL):
                    values[position - 1] = chosen.rng.choice(["", full[position - 1]])
            present = [bool(each) for each in values]
            broken = [each for each in use.conditions if each.broken(present)]
            if len(broken) == 1 and any(values) and "1251" not in {each.number for each in use.elements}:
                code = CONDITION_CODES[broken[0].kind == "E"]
                text = "*".join([use.id, *values]).rstrip("*")
                return [*chosen.segments[:index], text, *chosen.segments[index + 1 :]], [(*code, index + 1)]
    return None


def plain(element):
    return element.number != "1251" and element.type != "B"


def a_foreign_code(element):
    length = max(element.shortest, 1)
    return next(each for each in ("@" * length, "#" * length, "%" * length) if each not in element.codes)


MUTATIONS = {
    "required element left out": element_fault(
        lambda e: e.requirement is Requirement.MANDATORY, lambda _: "", "element.missing", "1"
    ),
    "too long": element_fault(
        lambda e: plain(e) and e.longest < LONGEST, lambda e: of_length(e, e.longest + 1), "element.too-long", "5"
    ),
    "too short": element_fault(
        lambda e: plain(e) and e.shortest > 1, lambda e: of_length(e, e.shortest - 1), "element.too-short", "4"
    ),
    "code of no list": element_fault(
        lambda e: e.codes is not None and e.codes_bind and e.type in ("ID", "AN"),
        a_foreign_code,
        "element.code-unknown",
        "7",
    ),
    "wrong type": element_fault(
        lambda e: e.type[:1] in ("N", "R") or e.type in ("DT", "TM"),
        lambda e: "A" * max(e.shortest, 1),
        lambda e: {"DT": "element.date", "TM": "element.time"}.get(e.type, "element.type"),
        {"element.date": "8", "element.time": "9", "element.type": "6"},
    ),
    "no day of the calendar": element_fault(
        lambda e: e.type == "DT", lambda e: "20230229"[-max(e.shortest, 6) :], "element.date", "8"
    ),
    "control character": element_fault(
        lambda e: e.type == "AN" and plain(e) and e.longest > 1, lambda _: "A\x07", "element.characters", "6"
    ),
    "required segment left out": without,
    "segment too often": too_often,
    "loop too often": loop_too_often,
    "segment out of place": out_of_place,
    "unknown segment": unknown,
    "too many elements": crowded,
    "condition broken": condition,
}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_whatever_is_made_from_a_table_is_accepted(seed):
    chosen = Set(seed)
    assert chosen.errors == [], (chosen.guideline.name, chosen.segments)
    assert all(chosen.steps)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_one_mutation_is_one_finding(kind):
    """Twenty sets each, picked by seed: a failing set could not be shrunk anyway."""
    tried = 0
    for seed in range(1, 121):
        chosen = Set(seed * 7919 + len(kind))
        made = MUTATIONS[kind](chosen)
        if made is None:
            continue
        segments, expected = made
        errors, _ = judged(chosen.guideline, segments)
        assert [each[:2] for each in errors] == [each[:2] for each in expected], (chosen.guideline.name, segments)
        assert all(theirs[2] in (None, ours[2]) for ours, theirs in zip(errors, expected, strict=True))
        tried += 1
        if tried == 20:
            break
    assert tried >= 10
