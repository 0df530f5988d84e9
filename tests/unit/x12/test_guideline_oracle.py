"""Beside pyx12, an independent reader of the same guides: the same verdict on samples and on damaged samples.

Known differences, left out here: pyx12 also demands that HL and LX count from 1 without gaps, and that a
segment has at least one element; it never reads element repetitions.
"""

import io
import logging
import random

import pytest
from pyx12.params import params
from pyx12.x12n_document import x12n_document

from gateway.x12.guideline import hipaa
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.plan import plan_for
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import Level, Separators

GUIDES = [("835", "005010X221A1", "HP"), ("834", "005010X220A1", "BE"), ("271", "004010X092A1", "HB")]


def accepted_by_pyx12(segments, version, functional_id):
    new = version >= "005"
    isa = (
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240115*1023*"
        f"{'^' if new else 'U'}*{'00501' if new else '00401'}*000000001*0*T*:"
    )
    group = f"GS*{functional_id}*SENDER*RECEIVER*20240115*1023*1*X*{version}"
    text = "~".join([isa, group, *segments, "GE*1*1", "IEA*1*000000001"]) + "~"
    return x12n_document(params(), io.StringIO(text), io.StringIO(), None, None)


def damaged(segments, rng):
    changed = list(segments)
    at = rng.randrange(1, len(changed) - 1)
    while changed[at][:2] in ("HL", "LX"):
        at = rng.randrange(1, len(changed) - 1)
    fields = changed[at].split("*")
    element = rng.randrange(1, len(fields))
    match rng.randrange(5):
        case 0:
            del changed[at]
        case 1:
            changed.insert(at, changed[at])
        case 2:
            changed[at] = "*".join([*fields[:element], fields[element] + "Z" * 90, *fields[element + 1 :]])
        case 3:
            changed[at] = "*".join([*fields[:element], "@", *fields[element + 1 :]])
        case _:
            changed.insert(at, "QQQ*1")
    changed[-1] = f"SE*{len(changed)}*0001"
    return changed


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("set_id", "version", "functional_id"), GUIDES)
def test_the_verdict_is_that_of_pyx12(set_id, version, functional_id):
    marks = Separators(repetition="^" if version >= "005" else "")
    guideline = hipaa.load(set_id, version)
    verdicts = set()
    for seed in range(2):
        rng = random.Random(seed)
        sample = SampleMaker(guideline, marks, seed, 0.1).segments()
        for segments in [sample, *(damaged(sample, rng) for _ in range(3))]:
            judge = SetJudge(plan_for(guideline, marks))
            judge.feed(segments, 0, 0)
            ours = all(each.level is not Level.ERROR for each in judge.findings)
            assert ours == accepted_by_pyx12(segments, version, functional_id), (segments, judge.findings)
            verdicts.add(ours)
    assert verdicts == {True, False}
