"""The fuzz target of the engine, for a moment; ``python tests/fuzz/x12_fuzz.py --seconds N`` runs it for longer."""

from __future__ import annotations

import random

import pytest
from fuzz import x12_fuzz


def test_damaged_interchanges_never_raise_and_never_take_long():
    """A failure names the seed that repeats it."""
    assert x12_fuzz.fuzz(3, random.SystemRandom().randrange(1 << 40)) > 20


def test_the_same_seed_does_the_same_damage():
    sound = x12_fuzz.seeds()
    once, again = (x12_fuzz.damaged(sound[0], sound, random.Random(7)) for _ in range(2))
    assert once == again
    assert once != sound[0]


def test_a_round_that_raises_names_its_seed(monkeypatch):
    def fails(*_, **__):
        raise ValueError("boom")

    monkeypatch.setattr(x12_fuzz, "examine", fails)
    with pytest.raises(AssertionError, match="seed 5: ValueError"):
        x12_fuzz.fuzz(3, 5)
