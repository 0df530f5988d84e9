"""What an event ``recorded`` holds is read as it was written, of this version and the one before, here and outside."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from unittest.mock import patch

from builders.script import load
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import latest as latest_module
from gateway.ledger.latest import Latest
from gateway.ledger.prints import AUDITED, CORE, GONE, LENGTH, UNTOLD, as_run, runs
from gateway.ledger.retold import Few, Retelling

NAMES = st.sampled_from(sorted(AUDITED))


script = load("docs/verify_evidence.py")


@st.composite
def entries(draw):
    """Body and bytes of an event, and what it says: by table and owner the two digests."""
    told, data, said = {}, [], {}
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        audited, first = AUDITED[name], 1
        told[name] = []
        for _ in range(draw(st.integers(1, 3))):
            first += draw(st.integers(1, 50))
            count = draw(st.integers(1, 4))
            digests = [draw(st.binary(min_size=len(audited.gone), max_size=len(audited.gone))) for _ in range(count)]
            if draw(st.booleans()):  # as an earlier version wrote it
                digests = [each[:LENGTH] for each in digests]
                run, some = [first, count], b"".join(digests)
            else:
                run, some = as_run(audited, first, digests)
            told[name].append(run)
            data.append(some)
            said |= {(name, first + at): (each[:LENGTH], each[LENGTH:]) for at, each in enumerate(digests)}
            first += count
    return {"rows": told}, b"".join(data), said


@given(entries())
def test_an_entry_is_read_as_it_was_written(entry):
    body, data, said = entry
    found = {}
    for name, first, digests, cores in runs(json.loads(json.dumps(body)), data):
        for at in range(len(digests) // LENGTH):
            core = cores[at * CORE : (at + 1) * CORE]
            found[name, first + at] = digests[at * LENGTH : (at + 1) * LENGTH], core
    assert found == said


@given(entries())
def test_a_stranger_reads_the_same_digest_of_a_row(entry):
    body, data, said = entry
    event = {"values": [None, None, "recorded", *[None] * 4, json.dumps(body)], "rows": base64.b64encode(data).decode()}
    assert script.recorded([event]) == {place: digest for place, (digest, _) in said.items()}


@given(entries(), st.binary(max_size=40), st.integers(0, 200))
def test_an_entry_that_was_cut_or_added_to_is_refused_or_says_less_and_never_ends_in_another_fault(entry, more, at):
    body, data, _ = entry
    for changed in (data[:at], data + more, more):
        with suppress(ValueError):
            assert sum(len(digests) + len(cores) for _, _, digests, cores in runs(body, changed)) == len(changed)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["exchange", "x"]), inner, max_size=2),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"rows": _anything}) | _anything, st.binary(max_size=64))
def test_whatever_stands_in_a_body_is_an_entry_or_refused(body, data):
    with suppress(ValueError):
        for name, first, digests, cores in runs(body, data):
            assert isinstance(first, int)
            Few().note(str(name), first, digests, cores)


_digest = st.sampled_from([GONE, b"a" * LENGTH, b"b" * LENGTH])
_core = st.sampled_from([UNTOLD, b"1" * CORE, b"2" * CORE])
_notes = st.lists(
    st.tuples(st.sampled_from(["exchange", "payload", "finding"]), st.integers(1, 6), st.booleans()).flatmap(
        lambda it: st.tuples(
            st.just(it[0]), st.just(it[1]), st.just(it[2]), st.lists(st.tuples(_digest, _core), min_size=1, max_size=4)
        )
    ),
    max_size=12,
)


@given(_notes)
def test_a_verification_in_full_and_one_since_a_seal_find_the_same_told_anew(notes):
    """Whether a core was told otherwise, or a row that never changes told twice, does not depend on who reads."""
    with patch.object(latest_module, "PAGE", 4), Latest() as latest:  # so that some run over the end of a page
        _same(latest, Few(), notes)


def _same(latest, few, notes):
    for name, first, is_old, values in notes:
        values = [each if each[0] != GONE else (GONE, UNTOLD) for each in values][: 7 - first]  # noqa: PLW2901
        digests = b"".join(digest for digest, _ in values)
        cores = b"" if is_old or AUDITED[name].core is None else b"".join(core for _, core in values)
        one = latest.note(name, first, digests, cores) or Retelling()
        two = few.note(name, first, digests, cores) or Retelling()
        assert one.altered == two.altered
        assert set(one.gone) <= set(two.gone)
        assert set(one.again) <= set(two.again)
