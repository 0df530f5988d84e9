"""Passwords of people: argon2id (RFC 9106), and what is too weak to be one."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import PasswordRefused

SHORTEST, LONGEST = 12, 500  # characters
_LOOKALIKE = str.maketrans("013457@$", "oleastas")
_LONG_NUMBER = 20  # characters of a password without a letter
_VARIED = 5  # different characters at least
# What lists of stolen passwords begin with; with digits and signs around them they are tried just as soon.
_COMMON = frozenset(
    (
        *("password", "passwort", "motdepasse", "contrasena", "qwerty", "qwertyuiop", "qwertzuiop", "azerty"),
        *("asdfghjkl", "letmein", "letmeinplease", "welcome", "iloveyou", "administrator", "admin", "changeme"),
        *("changeit", "secret", "gateway", "edigateway", "monkey", "dragon", "sunshine", "princess", "football"),
        *("baseball", "trustno", "master", "superman"),
    )
)
_HASHER = PasswordHasher()  # the library's defaults are RFC 9106's second choice: 64 MiB, 3 passes
# Each takes 64 MiB: a flood of sign-ins must wait instead of taking the machine's memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def encoded(password: str, name: str = "") -> str:
    """The password as it is kept.

    Args:
        password: as somebody chose it.
        name: of the user whose it is.

    Raises:
        PasswordRefused: it is too short, too long, or easily guessed, or it is no text.
    """
    normal = _normal(password)
    if not normal.isprintable() and any("\ud800" <= each <= "\udfff" for each in normal):
        raise PasswordRefused(reason="it is not UTF-8")
    if len(normal) < SHORTEST:
        raise PasswordRefused(reason=f"at least {SHORTEST} characters are wanted")
    if len(normal) > LONGEST:
        raise PasswordRefused(reason=f"at most {LONGEST} characters are looked at")
    if len(set(normal)) < _VARIED:
        raise PasswordRefused(reason="it repeats a few characters")
    lowered, own = normal.lower(), name.lower().partition("@")[0]
    if own and own in lowered and lowered.replace(own, "").strip("0123456789!.-_ ") == "":
        raise PasswordRefused(reason="it is the user's name")
    if _is_common(lowered):
        raise PasswordRefused(reason="it is among those that are tried first")
    return again(password)


def _is_common(lowered: str) -> bool:
    """Whether it is a number, or a word of those, with digits and signs around it, in place of letters, or twice."""
    plain = _letters(lowered)
    written = _letters(lowered.rstrip("0123456789!.-_ ").translate(_LOOKALIKE))
    halves = {each[: len(each) // 2] for each in (plain, written) if each[: len(each) // 2] * 2 == each}
    return bool({plain, written} & _COMMON or halves & _COMMON) or (not plain and len(lowered) < _LONG_NUMBER)


def _letters(text: str) -> str:
    return "".join(each for each in text if each.isalpha())


def again(password: str) -> str:
    """A password that is somebody's already, as it is kept, whatever it is like."""
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def matches(kept: str, password: str) -> bool:
    """Whether the password is the kept one; takes as long where ``kept`` is empty, because there is none."""
    normal = _normal(password)[: LONGEST + 1]
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _nobodys(), normal) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False


def prepare() -> None:
    """Makes ready what else the first sign-in of an unknown name would take longer for."""
    _nobodys()


def is_outdated(kept: str) -> bool:
    """Whether a newer library would take more time or memory for it: it is encoded anew at the next sign-in."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    """The hash of a password that nobody has."""
    return _HASHER.hash("nobody has this one")


def _normal(password: str) -> str:
    """One and the same password on every keyboard (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password)
