"""What ``gateway doctor`` checks about the ledger itself: is it the newest, and is it whole?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from gateway.flow import checkpoint
from gateway.flow.check_result import UNAVAILABLE, Check
from gateway.ledger.damage import damage
from gateway.ledger.recording import Ledger

SHOWN = 20  # sentences on damage; where there is more, the disk is the matter and not the row


def check_newest(home: Path, ledger: Ledger) -> Iterator[Check]:
    """The ledger is the one that this home has seen last; a fault says what to do where it is an older one."""
    checkpoint.verify(home, ledger)
    known = checkpoint.read(home)
    seen = f"it holds event {known.seq}, the newest that this home has seen" if known else "no batch has run yet"
    yield Check("checkpoint", True, f"The ledger is not behind: {seen}.")


def check_whole(engine: Engine) -> Iterator[Check]:
    """Every page, reference and kept byte is as it was written. Reads all of it."""
    found = list(islice(damage(engine), SHOWN))
    advice = "Stop the gateway and put the newest backup that is whole in its place; keep the damaged file."
    for sentence in found:
        yield Check("whole", False, sentence, advice, UNAVAILABLE, "ledger.damaged")
    if not found:
        yield Check("whole", True, "Every page and all kept bytes of the ledger are as they were written.")
