"""Identities that are nearly the same: a qualifier, a zero, a hyphen or a letter apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from partners.model import Identity


def difference(found: Identity, known: Identity) -> str:
    """How two identities differ that were most likely meant to be the same; "" where they are equal or unlike."""
    if found == known:
        return ""
    if found.id == known.id:
        return f"only the qualifier differs: {found.qualifier} instead of {known.qualifier}"
    said = _of_ids(found.id, known.id)
    qualifier = "" if found.qualifier == known.qualifier else f", and the qualifier is {found.qualifier}"
    return f"{said}{qualifier}" if said else ""


def _of_ids(found: str, known: str) -> str:
    plain, wanted = _bare(found), _bare(known)
    tests = (
        (found.upper() == known.upper(), "only capitals differ"),
        (plain == wanted, "only blanks or marks differ"),
        (plain.lstrip("0") == wanted.lstrip("0"), "only zeros at the beginning differ"),
        (known.startswith(found) and 4 <= len(found) >= len(known) - 3, f"its end {known[len(found) :]!r} is missing"),
        (found.startswith(known) and 4 <= len(known) >= len(found) - 3, f"{found[len(known) :]!r} was added to it"),
        (min(len(plain), len(wanted)) >= 4 and _one_apart(plain, wanted), f"one character differs from {known}"),
    )
    return next((said for holds, said in tests if holds), "")


def nearest(found: Identity, known: Iterable[Identity]) -> tuple[Identity, str] | None:
    """The identity that was most likely meant, and how it differs; None where none is like it."""
    alike = [(each, difference(found, each)) for each in known]
    return next(((each, said) for each, said in alike if said), None)


def _bare(text: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", text.upper())


def _one_apart(one: str, other: str) -> bool:
    """Whether one change leads from one to the other: a character replaced, put in or left out, or two swapped."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if len(one) == len(other):
        swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
        return one[at + 1 :] == other[at + 1 :] or swapped
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return longer[at + 1 :] == shorter[at:]
