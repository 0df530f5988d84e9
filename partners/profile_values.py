"""The kinds of value a profile has: each ``read_…`` takes what TOML gave and returns ours, or says what is allowed.

A reader raises ``ValueError`` with a reason for operators; ``WrongItemError`` says which item of a list it means.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import PurePosixPath
from string import Formatter
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.settings.identities import against
from partners.model import Identity

# What a mail template may name; the flow fills every one of them.
TEMPLATE_NAMES: tuple[str, ...] = (
    "sets",
    "control_number",
    "group_control_number",
    "our_name",
    "partner",
    "partner_name",
    "date",
    "time",
    "usage",
)
LINE_ENDINGS = {"none": "", "lf": "\n", "crlf": "\r\n"}

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LOCAL = r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f.]+"
_ADDRESS = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*")
_SET = re.compile(r"[0-9A-Z]{3}")
_VERSION = re.compile(r"[0-9]{6}[0-9A-Z]{0,6}")
_INTERCHANGE_VERSION = re.compile(r"[0-9]{5}")
_APPLICATION_ID = re.compile(r"[!-~](?:[ -~]{0,13}[!-~])")
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
# What the gateway writes itself, what mail systems write, and what would make a receipt or a signature of it.
_GATEWAYS_OWN = frozenset({
    "from", "to", "cc", "bcc", "reply-to", "sender", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version", "auto-submitted", "return-path", "received", "delivered-to", "authentication-results",
    "dkim-signature", "disposition-notification-to", "disposition-notification-options",
})  # fmt: skip
_NEVER_GIVEN = ("content-", "resent-", "arc-")
_HEX = re.compile(r"0[xX]([0-9a-fA-F]{2})")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEY_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACE = r"(?!00)[0-9]{2}(?:-[0-9]{1,2})?"
_ELEMENT_PATH = re.compile(rf"(?P<segment>[A-Z][A-Z0-9]{{1,2}}){_PLACE}(?:\[(?P=segment){_PLACE}=[^\[\]]+\])?")

T = TypeVar("T")

_LONGEST = timedelta(days=3650)


class WrongItemError(ValueError):
    """An item of a list or table is wrong: ``part`` is its index or its key."""

    def __init__(self, part: str | int, reason: str) -> None:
        super().__init__(reason)
        self.part = part


def read_text(value: object) -> str:
    """Any text, of one or many lines."""
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not text; put it in quotes")  # noqa: TRY004 - a reason, not a defect
    return value


def read_line(value: object) -> str:
    """Text of one line, without control characters."""
    text = read_text(value)
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{show(text)} is not allowed here; write one line of text")
    return text


def read_flag(value: object) -> bool:
    """A TOML boolean."""
    if not isinstance(value, bool):
        raise ValueError(f"{show(value)} is not allowed here; use true or false, without quotes")  # noqa: TRY004
    return value


def read_key(value: object) -> str:
    """A partner's key: it names directories and stands in the ledger for ever."""
    return _matching(value, _KEY, "use lower-case letters, digits, - and _ (at most 64), for example acme")


def read_secret(value: object) -> str:
    """The name of a secret, or an empty text for none."""
    if value == "":
        return ""
    return _matching(value, _SECRET, "name a secret that `gateway secret set` stored (letters, digits, . - _)")


def read_own_key(value: object) -> str:
    """The name of a key of ours, or an empty text for the newest active one."""
    if value == "":
        return ""
    return _matching(value, _KEY, "name a key that `gateway key list` shows, or leave it out for the newest active one")


def read_address(value: object) -> str:
    """A bare mail address (RFC 5321 without quoted local parts); its domain comes back in lower case."""
    text = read_text(value)
    if len(text) > 254 or not _ADDRESS.fullmatch(text):
        raise ValueError(f"{show(text)} is not a mail address; write it bare, for example edi@acme.example")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def read_identity(value: object) -> Identity:
    """``ZZ:OURCO``: qualifier (X12 element I05) and id (ISA06/08)."""
    advice = "write QUALIFIER:ID, for example ZZ:ACMECO or 01:123456789 (2 and at most 15 characters)"
    text = read_text(value)
    try:
        found = Identity.parse(text)
    except ValueError:
        raise ValueError(f"{show(text)} is not an EDI identity; {advice}") from None
    if wrong := against(found.qualifier, found.id):
        raise ValueError(f"{show(text)} {wrong}")
    return found


def read_application_id(value: object) -> str:
    """GS02/GS03: 2 to 15 characters, or an empty text for the ISA id."""
    if value == "":
        return ""
    return _matching(value, _APPLICATION_ID, "use 2 to 15 characters (GS02 and GS03), or leave it out for the ISA id")


def read_interchange_version(value: object) -> str:
    """ISA12: five digits, or an empty text to derive it from the agreement's version."""
    if value == "":
        return ""
    return _matching(value, _INTERCHANGE_VERSION, "use five digits (ISA12), for example 00401 or 00501")


def read_set(value: object) -> str:
    """An ST01 value, or ``*`` for all."""
    if value == "*":
        return "*"
    return _matching(value, _SET, 'use three characters as in ST01, for example "850", or "*" for all')


def read_version(value: object) -> str:
    """A GS08 value or the beginning of one."""
    return _matching(value, _VERSION, 'use six digits as in GS08, for example "004010", or a guide, "005010X222A1"')


def read_duration(value: object) -> timedelta:
    """``24h``, ``30m``, ``2d``, ``1d12h``: more than nothing, at most ten years."""
    advice = 'write a number and a unit, for example "24h", "30m", "2d" or "90s"'
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(f"{show(value)} is not a duration; {advice}")
    days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    found = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(0) < found <= _LONGEST:
        raise ValueError(f"{show(value)} is not between one second and ten years; {advice}")
    return found


def read_deadline(value: object) -> timedelta | None:
    """A duration, or ``none``: no deadline."""
    return None if value == "none" else read_duration(value)


def duration_text(duration: timedelta) -> str:
    """The shortest text that ``read_duration`` reads as the same whole seconds, for example ``1d12h``."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def read_separator(value: object) -> str:
    """One character, itself or as ``0x1d``: ASCII, neither letter, digit, blank nor NUL."""
    text = read_text(value)
    coded = _HEX.fullmatch(text)
    character = chr(int(coded.group(1), 16)) if coded else text
    if len(character) != 1 or not "\0" < character < "\x7f" or character.isalnum() or character == " ":
        raise ValueError(
            f'{show(text)} cannot separate; use one character such as "*", or its code such as "0x1d" '
            "(neither letter, digit, blank nor beyond ASCII)"
        )
    return character


def separator_text(character: str) -> str:
    """A separator as a profile writes it: itself where it can be seen, else its code."""
    return character if character.isprintable() else f"0x{ord(character):02x}"


def read_line_ending(value: object) -> str:
    """none, lf or crlf: what follows each segment terminator."""
    text = read_text(value)
    if text in LINE_ENDINGS.values():
        return text
    if text not in LINE_ENDINGS:
        raise ValueError(f"{show(text)} is not allowed here; use one of {', '.join(LINE_ENDINGS)}")
    return LINE_ENDINGS[text]


def line_ending_text(ending: str) -> str:
    """The word for a line ending."""
    return next(word for word, meant in LINE_ENDINGS.items() if meant == ending)


def read_content_type(value: object) -> str:
    """A MIME type without parameters (RFC 2045 section 5.1)."""
    return _matching(value, _CONTENT_TYPE, "use a MIME type such as application/EDI-X12")


def read_template(value: object) -> str:
    """Text with names in braces; only those of ``TEMPLATE_NAMES``, without format codes, so that nothing leaks."""
    text = read_text(value)
    try:
        fields = [field for field in Formatter().parse(text) if field[1] is not None]
    except ValueError as problem:
        raise ValueError(f"{show(text)} is not a template: {problem}; write {{{{ for a brace") from None
    for _, name, form, conversion in fields:
        if name not in TEMPLATE_NAMES or form or conversion:
            whole = f"{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}"
            raise ValueError(f"{{{whole}}} is not known to templates; use {_braced(TEMPLATE_NAMES)}")
    return text


def read_line_template(value: object) -> str:
    """A template of one line."""
    return read_template(read_line(value))


def read_file_name(value: object) -> str:
    """A template of a file name: no directory in it."""
    text = read_line_template(value)
    if "/" in text or "\\" in text or text in {".", ".."}:
        raise ValueError(f"{show(text)} is not a file name; leave out / and \\")
    return text


def read_headers(value: object) -> tuple[tuple[str, str], ...]:
    """A table from the name of a mail header to a template of one line, in the order written."""
    if not isinstance(value, dict):
        raise ValueError(f'{show(value)} is not a table; write {{ X-Document = "{{sets}}" }}')  # noqa: TRY004
    seen: set[str] = set()
    for name, template in value.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _GATEWAYS_OWN or lower.startswith(_NEVER_GIVEN):
            raise WrongItemError(name, f"{show(name)} is no header that can be added; use one such as X-Document-Type")
        if lower in seen:
            raise WrongItemError(name, f"{show(name)} is given twice; capitals make no difference")
        seen.add(lower)
        try:
            read_line_template(template)
        except ValueError as problem:
            raise WrongItemError(name, str(problem)) from None
    return tuple(value.items())


def read_business_keys(value: object) -> tuple[tuple[str, str], ...]:
    """A table from a name to the element that holds it, in the order written."""
    if not isinstance(value, dict):
        raise ValueError(f'{show(value)} is not a table; write {{ po = "BEG03" }}')  # noqa: TRY004
    for name, path in value.items():
        if not _KEY_NAME.fullmatch(name):
            raise WrongItemError(name, f"{show(name)} cannot name a business key; use lower-case letters, digits and _")
        if not isinstance(path, str) or not _ELEMENT_PATH.fullmatch(path):
            raise WrongItemError(
                name,
                f"{show(path)} is not an element; write segment and two digits, for example BEG03, "
                "CLM05-1 (a component) or REF02[REF01=IA] (only where REF01 is IA)",
            )
    return tuple(value.items())


def read_guideline_path(value: object) -> str:
    """The path of a guideline file, relative to the home's directory of partners."""
    path = read_line(value)
    parts = PurePosixPath(path).parts
    if "\\" in path or path.startswith("/") or ".." in parts or not path.endswith(".toml"):
        raise ValueError(
            f"{show(path)} is not allowed here; name a .toml file below the directory of partners, "
            "for example guidelines/acme-850.toml"
        )
    return path


def read_guidelines(value: object) -> tuple[tuple[str, str], ...]:
    """The copies of guideline files that a stored profile carries: path and text, in the order written."""
    if not isinstance(value, dict):
        raise ValueError(f"{show(value)} is not a table of files")  # noqa: TRY004
    for name, text in value.items():
        try:
            read_guideline_path(name)
            read_text(text)
        except ValueError as problem:
            raise WrongItemError(name, str(problem)) from None
    return tuple(value.items())


def list_of(item: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A reader of lists whose items ``item`` reads; an item given twice is refused."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{show(value)} is not a list; write [{_quoted(value)}]")  # noqa: TRY004
        found: list[T] = []
        for index, each in enumerate(value):
            try:
                one = item(each)
            except ValueError as problem:
                raise WrongItemError(index, str(problem)) from None
            if one in found:
                raise WrongItemError(index, f"{show(each)} is listed twice")
            found.append(one)
        return tuple(found)

    return read


def some(read: Callable[[object], tuple[T, ...]]) -> Callable[[object], tuple[T, ...]]:
    """The same list reader, refusing an empty list."""

    def read_some(value: object) -> tuple[T, ...]:
        found = read(value)
        if not found:
            raise ValueError("the list is empty; it needs at least one item")
        return found

    return read_some


def one_of(*words: str) -> Callable[[object], str]:
    """A reader of one of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"{show(value)} is not allowed here; use one of {', '.join(words)}")
        return value

    return read


def show(value: object) -> str:
    """A value as an operator wrote it, clipped."""
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def command_line(text: str) -> str:
    """Why ``text`` is no command line (split as a shell does), or an empty text where it is one."""
    try:
        return "" if shlex.split(text) else "the command line is empty"
    except ValueError as problem:
        return f"{show(text)} is not a command line: {problem}"


def web_address(text: str) -> str:
    """Why ``text`` is no http or https URL for a hook, or an empty text where it is one."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError as problem:
        return f"this is not a URL: {problem}"
    if "@" in parts.netloc:
        return "a URL must not carry a password; store it with `gateway secret set` and name it in delivery.secret"
    if parts.scheme not in {"http", "https"} or not host:
        return f"{show(text)} is not a URL; write https://… (or http://…)"
    return ""


def in_clear(url: str) -> bool:
    """Whether what is sent to the URL crosses a network unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    return parts.scheme == "http" and not near


def _matching(value: object, pattern: re.Pattern[str], advice: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{show(value)} is not allowed here; {advice}")
    return value


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str | int) else "…"


def _braced(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
