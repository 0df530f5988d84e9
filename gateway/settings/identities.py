"""What an EDI identity may be made of (X12 elements I05, I06 and I07), ours and a partner's. Pure."""

from __future__ import annotations

import re

# I05. The engine judges ISA05 and ISA07 by the same list; a test compares the two.
QUALIFIERS = frozenset((*(f"{number:02}" for number in range(1, 40)), "AM", "NR", "SA", "SN", "ZZ"))
_ID = re.compile(r"[ -)+-}]+")  # printable ASCII but * and ~, which end elements and segments nearly everywhere


def against(qualifier: str, id_: str) -> str:
    """What is against an identity, in words after its name; empty where nothing is.

    Args:
        qualifier: of two characters.
        id_: its id, trimmed.
    """
    if qualifier not in QUALIFIERS:
        return f"has the qualifier {qualifier!r}, which is not in the list of X12: 01 to 39, AM, NR, SA, SN or ZZ"
    if not _ID.fullmatch(id_):
        return (
            "has characters that an ISA segment cannot carry: letters, digits and signs of ASCII are, but not * and ~"
        )
    return ""
