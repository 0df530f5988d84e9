"""The fuzz target of the mail edge, for a moment; ``python tests/fuzz/mail_fuzz.py --seconds N`` runs it for longer."""

from __future__ import annotations

import random

import pytest
from fuzz import mail_fuzz


def test_damaged_mails_never_raise_and_never_take_long():
    """A failure names the seed that repeats it."""
    assert mail_fuzz.fuzz(4, random.SystemRandom().randrange(1 << 40)) > 200


def test_the_same_seed_does_the_same_damage():
    sound = mail_fuzz.seeds()
    once, again = (mail_fuzz.damaged(sound[0], sound, random.Random(7)) for _ in range(2))
    assert once == again
    assert once != sound[0]


def test_a_round_that_raises_names_its_seed(monkeypatch):
    def fails(*_):
        raise ValueError("boom")

    monkeypatch.setattr(mail_fuzz, "unpack", fails)
    with pytest.raises(AssertionError, match="seed 5: ValueError"):
        mail_fuzz.fuzz(3, 5)
