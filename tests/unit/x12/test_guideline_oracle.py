"""Beside pyx12, an independent reader of the same guides: the same verdict on samples and on damaged samples.

``GATEWAY_ORACLE_SEEDS=50`` compares fifty samples of each guide in place of one.
"""

import io
import logging
import os
import random
from functools import cache

import pytest
import pyx12.map_if
from pyx12.errors import EngineError
from pyx12.params import params
from pyx12.x12n_document import x12n_document

from gateway.x12.guideline import functional_ids, hipaa
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.plan import plan_for
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import Level, Separators

SEEDS = range(int(os.environ.get("GATEWAY_ORACLE_SEEDS", "1")))
GUIDES = [each for each in hipaa.guides() if each.set_id != "999"]
ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240115*1023*{}*{}*000000001*0*T*:"


def set_field(text, element, value):
    fields = text.split("*")
    fields[element] = value(fields[element])
    return "*".join(fields).rstrip("*")


def at(change):
    """A damage done to one element of one segment."""

    def damage(segments, i, rng):
        segments[i] = set_field(segments[i], rng.randrange(1, 1 + segments[i].count("*")), change)

    return damage


def swap(segments, i, _rng):
    if i + 2 < len(segments):
        segments[i], segments[i + 1] = segments[i + 1], segments[i]


DAMAGES = {
    "none": lambda _segments, _i, _rng: None,
    "deleted": lambda segments, i, _rng: segments.pop(i),
    "twice": lambda segments, i, _rng: segments.insert(i, segments[i]),
    "foreign": lambda segments, i, _rng: segments.insert(i, "QQQ*1"),
    "swapped": swap,
    "crowded": lambda segments, i, _rng: segments.__setitem__(i, segments[i] + "*X" * 12),
    "long": at(lambda value: value + "Z" * 90),
    "odd": at(lambda _: "@"),
    "empty": at(lambda _: ""),
    "short": at(lambda value: value[:1]),
    "code": at(lambda _: "ZZ"),
}


def damaged(segments, kind, rng):
    changed = list(segments)
    DAMAGES[kind](changed, rng.randrange(1, len(changed) - 1), rng)
    changed[-1] = f"SE*{len(changed)}*0001"
    return changed


class Ears(logging.Handler):
    """Keeps what pyx12 says of a document; its report has less."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def emit(self, record):
        self.heard.append(record.getMessage())


@pytest.fixture
def pyx12_says(monkeypatch):
    """A function from segments to (accepted, sentences); maps are read once, which halves the time of a test."""
    monkeypatch.setattr(pyx12.map_if, "load_map_file", _map)
    ears, logger = Ears(), logging.getLogger("pyx12")
    monkeypatch.setattr(logger, "handlers", [ears])
    monkeypatch.setattr(logger, "propagate", False)
    logger.setLevel(logging.ERROR)

    def verdict(segments, guide):
        ears.heard.clear()
        new = guide.version >= "005"
        isa = ISA.format("^" if new else "U", "00501" if new else "00401")
        group = f"GS*{functional_ids(guide.set_id)}*SENDER*RECEIVER*20240115*1023*1*X*{guide.version}"
        text = "~".join([isa, group, *segments, "GE*1*1", "IEA*1*000000001"]) + "~"
        try:
            accepted = x12n_document(params(), io.StringIO(text), io.StringIO(), None, None)
        except EngineError as problem:
            return False, [str(problem)]
        return accepted, [each for each in ears.heard if each.startswith("Line:")]

    return verdict


LOAD = pyx12.map_if.load_map_file


@cache
def _known_maps():
    return {}


def _map(name, parameters, path=None):
    maps = _known_maps()
    if name not in maps:
        maps[name] = LOAD(name, parameters, path)
    return maps[name]


def repeated_at_once(errors, _warnings, sentences):
    """pyx12 does not miss what a loop needs where the same loop begins again at once, nor count LX in an 837I."""
    return bool(errors) and not sentences and set(errors) <= {"segment.missing", "loop.missing", "lx.number"}


def in_any_order(errors, _warnings, sentences):
    """Siblings at one place of the table may come in any order; pyx12 calls the later one missing."""
    return not errors and bool(sentences) and all("SEG:3 - Mandatory" in each for each in sentences)


def open_lists(errors, warnings, sentences):
    """Code lists kept by others (countries …) change more often than a package: we only warn."""
    return not errors and "element.code-unknown" in warnings and all("ELE:7" in each for each in sentences)


def told_apart(errors, _warnings, sentences):
    """Two PWK of a service line differ in PWK02 only; pyx12 judges both as the first."""
    return not errors and bool(sentences) and all("ELE:7" in each and "(PWK02)" in each for each in sentences)


# Where the two differ: why, and how to tell that it is this and nothing else (our codes, pyx12's sentences).
REASONS = (repeated_at_once, in_any_order, open_lists, told_apart)


def reasons(judge, sentences):
    codes = {level: [each.code for each in judge.findings if each.level is level] for level in Level}
    return [each.__name__ for each in REASONS if each(codes[Level.ERROR], codes[Level.WARNING], sentences)]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda each: f"{each.set_id}-{each.version}-{each.variant}")
def test_the_verdict_is_that_of_pyx12_or_the_reason_is_known(guide, pyx12_says):
    marks = Separators(repetition="^" if guide.version >= "005" else "")
    guideline = hipaa.load(guide.set_id, guide.version, guide.variant)
    verdicts = set()
    for seed in SEEDS:
        rng = random.Random(seed)
        sample = SampleMaker(guideline, marks, seed, rng.choice([0.0, 0.1, 0.2])).segments()
        for kind in DAMAGES:
            segments = damaged(sample, kind, rng)
            judge = SetJudge(plan_for(guideline, marks))
            judge.feed(segments, 0, 0)
            errors = [each.code for each in judge.findings if each.level is Level.ERROR]
            accepted, sentences = pyx12_says(segments, guide)
            verdicts.add(not errors)
            if accepted is bool(errors):
                assert reasons(judge, sentences), (kind, seed, errors, sentences, segments)
    assert verdicts == {True, False}


@pytest.mark.parametrize(
    ("version", "first", "second", "reason"),
    [("005010X220A1", "INS", "INS", "repeated_at_once"), ("004010X061A1", "N1*PR", "N1*PE", "in_any_order")],
)
def test_each_known_difference_is_there(version, first, second, reason, pyx12_says):
    guide = next(each for each in GUIDES if each.version == version)
    marks = Separators(repetition="^" if version >= "005" else "")
    guideline = hipaa.load(guide.set_id, version)
    segments = SampleMaker(guideline, marks, 0, 0.0).segments()
    one, other = (next(i for i, each in enumerate(segments) if each.startswith(start)) for start in (first, second))
    if one == other:
        segments.insert(one, segments[one])
    segments[one], segments[other] = segments[other], segments[one]
    segments[-1] = f"SE*{len(segments)}*0001"
    judge = SetJudge(plan_for(guideline, marks))
    judge.feed(segments, 0, 0)
    accepted, sentences = pyx12_says(segments, guide)
    assert accepted is bool(judge.findings)
    assert reasons(judge, sentences) == [reason]
