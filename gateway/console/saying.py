"""What pages say after an act that did not work, and the reasons that acts ask for."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import GatewayError, UsageFault
from gateway.flow.why import in_words

LONGEST = 500  # characters of a reason
SAY_WHY = "Say why: it is kept in the ledger with your name."


def fault_in_words(fault: GatewayError) -> str:
    """The fault's sentence and what to do; what a usage fault advises is about the command line, and is left out."""
    return str(fault) if isinstance(fault, UsageFault) else fault.told


def reason(form: Mapping[str, str], name: str = "why") -> str:
    """The reason that was given, on one line and not too long; empty where there is none."""
    return in_words(form.get(name, ""))[:LONGEST]
