"""How one value of gateway.toml is read: a function takes what tomllib found and gives what the settings hold.

Each raises ``ValueError`` with the reason, which names what is allowed. A reason quotes a value only where
nobody could have put a password by mistake (see ``quoted``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from gateway.settings.identities import against

Reader = Callable[[object], object]

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SHOWN = 60  # characters of an identity
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}


def text(value: object) -> str:
    """Text of one line, not empty."""
    if not isinstance(value, str):
        raise ValueError(f"text in quotes is wanted, not {kind_of(value)}")  # noqa: TRY004 - one class for all reasons
    if not value.strip() or any(ord(each) < 32 or ord(each) == 127 for each in value):
        raise ValueError("text of one line is wanted, not empty and without control characters")
    return value.strip()


def boolean(value: object) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise ValueError(f"true or false is wanted, not {kind_of(value)}")  # noqa: TRY004
    return value


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number between two bounds, both allowed."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} is wanted, not {quoted(value)}")
        return value

    return read


def choice(*allowed: str) -> Callable[[object], str]:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"{' or '.join(allowed)} is wanted, not {quoted(value)}")
        return str(value)

    return read


def duration(least: timedelta, most: timedelta) -> Callable[[object], timedelta]:
    """A time span such as ``30s``, ``5m``, ``24h``, ``365d`` or ``1h30m`` between two bounds."""

    def read(value: object) -> timedelta:
        found = parse_duration(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f'a time span such as "30s", "5m", "24h" or "365d" is wanted, not {quoted(value)}')
        if not least <= found <= most:
            raise ValueError(f"at least {say_duration(least)} and at most {say_duration(most)} is wanted")
        return found

    return read


def parse_duration(written: str) -> timedelta | None:
    """The time span that ``1d2h3m4s`` (any part may be absent) stands for; None where it is none."""
    found = _DURATION.fullmatch(written.strip())
    if found is None or not any(found.groups()):
        return None
    try:
        return timedelta(
            seconds=sum(int(count or 0) * size for count, size in zip(found.groups(), _UNITS.values(), strict=True))
        )
    except (OverflowError, ValueError):
        return None


def say_duration(span: timedelta) -> str:
    """A time span as gateway.toml writes it: ``24h`` for one day, ``1m30s`` for ninety seconds."""
    rest, words = int(span.total_seconds()), ""
    for unit, size in _UNITS.items():
        if unit == "d" and rest < 2 * size:
            continue  # people say 24h, but 365d
        count, rest = divmod(rest, size)
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def name(value: object) -> str:
    """A short name of our own making (of a secret, a mailbox)."""
    written = text(value)
    if _NAME.fullmatch(written) is None:
        raise ValueError("small letters, digits, dots, hyphens and underscores are allowed, at most 64 characters")
    return written


def domain(value: object) -> str:
    """A domain name, in lower case (RFC 1123 section 2.1; international ones in their xn-- form)."""
    written = text(value).rstrip(".").lower()
    if len(written) > 253 or not all(_LABEL.fullmatch(label) for label in written.split(".")):
        raise ValueError('a domain name such as "edi.example.com" is wanted')
    return written


def host(value: object) -> str:
    """A host name or an IP address, without a port."""
    written = text(value)
    if "/" in written:
        raise ValueError("the name or address of a host alone is wanted, such as mail.example.com: no URL")
    if written.startswith("[") or written.count(":") > 1:
        return written.strip("[]")  # IPv6; the resolver has the last word
    if ":" in written:
        raise ValueError("the port stands in the key port, not in the host")
    return domain(written)


def address(value: object) -> str:
    """An email address: one @, no blanks, with its domain in lower case."""
    written = text(value)
    local, at, after = written.rpartition("@")
    if not at or not local or any(each in local for each in ' <>"@,;'):
        raise ValueError('an email address such as "edi@example.com" is wanted')
    return f"{local}@{domain(after)}"


def names(value: object) -> tuple[str, ...]:
    """A list of names as hosts call themselves, in lower case; none twice."""
    if not isinstance(value, list):
        raise ValueError(f'a list of names is wanted, such as ["mx.example.com"], not {kind_of(value)}')  # noqa: TRY004
    found = tuple(text(each).lower() for each in value)
    if len(set(found)) != len(found):
        raise ValueError("a name stands in the list twice")
    return found


def day(value: object) -> date:
    """A day, as TOML writes it without quotes: ``2027-01-31``."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("a day such as 2027-01-31, without quotes, is wanted")  # noqa: TRY004
    return value


def words(value: object) -> str:
    """Words, in one text or in a list, as one text with single blanks."""
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ValueError("at least one word is wanted")
    return " ".join(" ".join(text(each) for each in listed).split())


def web_address(value: object) -> str:
    """An https address; http only on this machine."""
    written = text(value)
    try:
        parts = urlsplit(written)
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        name, parts = "", urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and name in {"localhost", "127.0.0.1", "::1"})
    if not name or not secure or "@" in parts.netloc or parts.fragment or " " in written:
        raise ValueError("an address such as https://login.example.com/token is wanted (https, without a password)")
    return written


def identities(value: object) -> tuple[tuple[str, str], ...]:
    """A list of ``QUALIFIER:ID`` (ISA05/ISA06, X12 elements I05 and I06), at least one, none twice."""
    if not isinstance(value, list) or not value:
        raise ValueError('a list of our EDI identities is wanted, such as ["ZZ:OURCO"]')
    found = tuple(_identity(each) for each in value)
    if len(set(found)) != len(found):
        raise ValueError("an identity stands in the list twice")
    return found


def _identity(value: object) -> tuple[str, str]:
    written = text(value)
    qualifier, colon, id_ = (each.strip() for each in written.partition(":"))
    shown = repr(written if len(written) <= _SHOWN else f"{written[: _SHOWN - 1]}…")  # no place for a password
    if not colon or not qualifier or not id_ or len(qualifier) > 2 or len(id_) > 15:
        raise ValueError(f"{shown} is not QUALIFIER:ID, such as ZZ:OURCO (qualifier of 2, id of at most 15 characters)")
    qualifier = qualifier.upper().rjust(2, "0")
    if wrong := against(qualifier, id_):
        raise ValueError(f"{shown} {wrong}")
    return qualifier, id_


def quoted(value: object) -> str:
    """A value as a reason may quote it: numbers and short words; anything else is only described."""
    if isinstance(value, str) and len(value) <= 24:
        return repr(value)
    return str(value) if type(value) in {int, float} and len(str(value)) <= 24 else kind_of(value)


def kind_of(value: object) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), "a date or time")
