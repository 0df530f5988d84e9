"""Reading a query as people write it: ``partner=acme type=850,855 -state=delivered since=7d overdue 4500012345``.

``written`` writes a query as such words again, so that the command line, the console's links and Python callers speak
one language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from gateway.errors import QueryInvalid
from gateway.ledger.moments import milliseconds, parse_span
from gateway.ledger.query import (
    CHOICES,
    CRITERIA,
    FLAGS,
    NEWEST,
    NOBODY,
    PROSE,
    SORTS,
    SPANS,
    Criterion,
    Cursor,
    Query,
)
from gateway.ledger.spans import compared
from gateway.ledger.states import ExchangeState, MessageState

# Short names that people write for a criterion.
ALIASES: Mapping[str, str] = {
    "set": "type",
    "st01": "type",
    "gs08": "version",
    "control": "control_number",
    "icn": "control_number",
    "isa13": "control_number",
    "group": "group_control_number",
    "gs06": "group_control_number",
    "st02": "set_control_number",
    "key": "business_key",
    "from": "from_address",
    "to": "to_address",
    "file": "file_name",
    "attention": "needs_attention",
    "fault_code": "fault",
}
# Business keys that every gateway extracts; their names may stand as a field: po=4711 is key=po=4711.
KEY_NAMES = frozenset(
    {
        *("acknowledgment", "adjustment", "bill_of_lading", "booking", "catalog", "check", "claim", "equipment"),
        *("contract", "delivery", "forecast", "inquiry", "invoice", "order", "original", "po", "promotion"),
        *("quotation", "receipt", "reference", "release", "report", "shipment", "statement", "trace"),
    }
)
# on: since and until of one day; zone: of the times.
FIELDS = (*CRITERIA, *FLAGS, "since", "until", "on", "zone", "sort", "limit", "before")
# An exchange may have several of these: asked twice, both are wanted.
_SEVERAL = frozenset(
    {
        *("type", "version", "group_control_number", "set_control_number", "business_key", "to_address"),
        *("file_name", "subject", "from_address", "message_id"),
    }
)

_SHORTEST = 12 * 3_600_000  # ms of a day; less is a time of day that the clock showed twice
_WORD = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)(!=|[=:]|[<>]=?)(.*)", re.DOTALL)
_SAVED = re.compile(r"-*@([a-z0-9][a-z0-9_-]{0,39})", re.ASCII)
_STRANGERS = "(strangers)"  # as reports call the partner of what is no partner's
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
STATES = {state.value.replace(" ", "-"): state.value for state in (*ExchangeState, *MessageState)}
_VERDICTS = ("accepted", "accepted_with_errors", "partially_accepted", "rejected")
_KINDS = (
    *("document", "acknowledgment", "letter", "bounce", "receipt", "auto-reply", "alert", "self-test"),
    "test-report",
)
_CHOICES: Mapping[str, Mapping[str, str]] = {
    "direction": {"in": "in", "out": "out", "inbound": "in", "outbound": "out"},
    "kind": {each: each for each in _KINDS},
    "state": STATES,
    "verdict": {each.replace("_", "-"): each for each in _VERDICTS},
    "usage": {"p": "P", "t": "T", "i": "I", "production": "P", "test": "T", "information": "I"},
}


def parse_query(
    words: Sequence[str],
    now: datetime | None = None,
    zone: tzinfo | None = None,
    key_names: Collection[str] = KEY_NAMES,
) -> Query:
    """The query that ``words`` say.

    Each word is ``field=value`` or ``field:value``, with a comma between alternatives; a flag (``overdue``); or free
    text. A minus before a word, ``NOT`` as the word before it, or ``field!=value`` asks for the opposite. A name of
    ``key_names`` stands for the business key of that name. Times are in ``zone``, in the zone that a word
    ``zone=Europe/Berlin`` names, or else local. Saved queries (``@NAME``) are not known here: ``saved.expanded`` puts
    their words in their place.

    Raises:
        QueryInvalid: names the word, and what could stand there.
    """
    read = _Reading(now or datetime.now(UTC), zone, key_names)
    negated = False
    for word in words:
        if word == "NOT":
            negated = not negated
            continue
        read.word(word, negated=negated)
        negated = False
    if negated:
        raise QueryInvalid(where="NOT", reason="a word is missing after it")
    return read.query()


class _Reading:
    """What was read so far."""

    def __init__(self, now: datetime, zone: tzinfo | None, key_names: Collection[str]) -> None:
        self._now = now
        self._zone = zone
        self._key_names = key_names
        self._once: dict[str, tuple[str, str]] = {}  # field → word and value, of what can be asked once
        self._criteria: list[Criterion] = []
        self._flags: dict[str, bool] = {}
        self._texts: list[str] = []

    def word(self, word: str, *, negated: bool) -> None:
        """One more word."""
        if named(word) is not None:
            raise QueryInvalid(
                where=word, reason=f"no saved query can be asked here; text={word.lstrip('-')} looks for such words"
            )
        bare = word
        while bare.startswith("-") and len(bare) > 1:
            bare, negated = bare[1:], not negated
        field, sign, value = self._split(bare, word)
        negated ^= sign == "!="
        if field is None or field == "text":
            self._text(value, negated=negated)
        elif field in FLAGS:
            self._ask_once(field, word, value)
            self._flags[field] = _flag(value, word) ^ negated
        elif field in CRITERIA:
            self._criterion(Criterion(field, _values(field, value, word), negated), word)
        elif negated:
            raise QueryInvalid(where=word, reason=f"{_shown(field)} has no opposite")
        else:
            self._ask_once(field, word, value)

    def query(self) -> Query:
        """All of it."""
        if "zone" in self._once:
            self._zone = _zone(*self._once["zone"])
        found: dict[str, Any] = dict(self._flags)
        for field in ("since", "until", "on"):
            if field in self._once:
                self._put_times(found, field)
        if self._texts:
            found["text"] = " ".join(self._texts)
        sort = _sort(*self._once["sort"]) if "sort" in self._once else None
        if "limit" in self._once:
            found["limit"] = _limit(*self._once["limit"])
        if "before" in self._once:
            found["before"] = _cursor(*self._once["before"], sort)
        return Query(also=tuple(self._criteria), sort=sort, **found)

    def _text(self, value: str, *, negated: bool) -> None:
        if negated:
            self._criteria.append(Criterion("text", (value,), negated=True))
        else:
            self._texts.append(value)

    def _criterion(self, criterion: Criterion, word: str) -> None:
        if not criterion.negated and criterion.field not in _SEVERAL:
            self._ask_once(criterion.field, word, "")
        self._criteria.append(criterion)

    def _ask_once(self, field: str, word: str, value: str) -> None:
        if field in self._once:
            before = self._once[field][0]
            hint = f"; for either write {_shown(field)}=…,…" if field in CRITERIA else ""
            raise QueryInvalid(where=word, reason=f"{_shown(field)} is asked twice (before: {before}){hint}")
        self._once[field] = (word, value)

    def _put_times(self, found: dict[str, Any], field: str) -> None:
        word, value = self._once[field]
        for name, at in _times(field, value, word, self._now, self._zone).items():
            if name in found:
                raise QueryInvalid(where=word, reason=f"{name} is said twice: on= is both since= and until=")
            found[name] = at

    def _split(self, bare: str, word: str) -> tuple[str | None, str, str]:
        """Field, sign and value of a word; no field where it is free text."""
        flag = canonical(bare)
        if flag in FLAGS:
            return flag, "=", "yes"
        matched = _WORD.fullmatch(bare)
        if matched is None:
            return None, "", bare
        name, sign, value = matched[1], matched[2], matched[3].strip()
        field = canonical(name)
        if sign[0] in "<>":
            return self._compared(field, sign, value, word) if field in FIELDS else (None, "", bare)
        if not value and (field in FIELDS or name in self._key_names):
            raise QueryInvalid(where=word, reason=f"a value is missing after {name}{sign}")
        if field in FIELDS:
            return field, sign, value
        if name in self._key_names:
            alternatives = _present(_alternatives(value, escaped=True), word)
            return "business_key", sign, ",".join(f"{name}={each}" for each in alternatives)
        raise QueryInvalid(where=word, reason=_no_such_field(name))

    def _compared(self, field: str, sign: str, value: str, word: str) -> tuple[str, str, str]:
        if field not in SPANS:
            raise QueryInvalid(where=word, reason=f"only {', '.join(SPANS)} can be compared; write {_shown(field)}=…")
        return field, "=", compared(sign, value, word)


def canonical(name: str) -> str:
    """The name of a field or flag, whatever short name was written."""
    name = name.lower().replace("-", "_")
    return ALIASES.get(name, name)


def field_of(word: str) -> str:
    """The field or flag that a word asks for; "" where it is free text."""
    flag = canonical(word.removeprefix("-"))
    if flag in FLAGS:
        return flag
    matched = _WORD.fullmatch(word.removeprefix("-"))
    return canonical(matched[1]) if matched else ""


def named(word: str) -> str | None:
    """The name in ``@NAME``, also after a minus; None where it is something else, as ``@acme.example`` is free text."""
    matched = _SAVED.fullmatch(word)
    return matched[1] if matched else None


def _shown(field: str) -> str:
    return field.replace("_", "-")


def _no_such_field(name: str) -> str:
    near = get_close_matches(canonical(name), [*FIELDS, *ALIASES], n=1)
    hint = f"did you mean {_shown(near[0])}? " if near else ""
    return (
        f"there is no field {name}; {hint}The fields are {', '.join(map(_shown, FIELDS))};"
        f" key={name}=… asks for a key, text={name}=… for words that contain a sign"
    )


def _values(field: str, value: str, word: str) -> tuple[str, ...]:
    """The alternatives that a word names, each as the ledger has it."""
    if field in PROSE:
        return (value,)
    found = _present(_alternatives(value), word)
    if field in _CHOICES:
        return tuple(_choice(_CHOICES[field], each, word) for each in found)
    if field == "partner":
        return tuple(NOBODY if each.lower() == _STRANGERS else each for each in found)
    return tuple(found)


def _present(alternatives: list[str], word: str) -> list[str]:
    if all(alternatives):
        return alternatives
    raise QueryInvalid(where=word, reason="a value is missing beside a comma; a comma of the value is written \\,")


def _alternatives(value: str, *, escaped: bool = False) -> list[str]:
    r"""The value cut at its commas; ``\,`` is a comma of the value, ``\\`` a backslash. ``escaped`` leaves them so."""
    found = [""]
    for each in re.findall(r"\\[\\,]|.", value, re.DOTALL):
        if each == ",":
            found.append("")
        else:
            found[-1] += each if escaped or len(each) == 1 else each[1]
    return [each.strip() for each in found]


def _times(field: str, value: str, word: str, now: datetime, zone: tzinfo | None) -> dict[str, int]:
    if re.fullmatch(r"@-?\d{1,19}", value, re.ASCII):  # ledger time, as ``written`` writes what no calendar has
        span = int(value[1:]), int(value[1:])
    else:
        try:
            start, end = parse_span(value, now, zone)
            span = milliseconds(start), milliseconds(end)
        except ValueError as problem:
            raise QueryInvalid(where=word, reason=str(problem)) from None
    if field != "on":
        return {field: span[0] if field == "since" else span[1]}
    if span[1] - span[0] < _SHORTEST:
        raise QueryInvalid(
            where=word, reason="a day, week, month or year is wanted here; use since= and until= for moments"
        )
    return {"since": span[0], "until": span[1]}


def _zone(word: str, value: str) -> tzinfo:
    try:
        return ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise QueryInvalid(where=word, reason="there is no such time zone; write for example Europe/Berlin") from None


def _flag(value: str, word: str) -> bool:
    if value.lower() in _YES + _NO:
        return value.lower() in _YES
    raise QueryInvalid(where=word, reason="yes or no is wanted here")


def _choice(choices: Mapping[str, str], value: str, word: str) -> str:
    key = value.lower().replace("_", "-").replace(" ", "-")
    if key in choices:
        return choices[key]
    near = get_close_matches(key, choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise QueryInvalid(where=word, reason=f"{value} is not possible here; {hint}Possible are {', '.join(choices)}")


def _sort(word: str, value: str) -> str:
    named = {"newest": NEWEST, "oldest": "at", "time": "at", "-time": NEWEST}.get(value.lower(), value.lower())
    if named.removeprefix("-") in SORTS:
        return named
    raise QueryInvalid(
        where=word, reason=f"it sorts by {', '.join(SORTS)}; newest or oldest first; a minus turns the order round"
    )


def _limit(word: str, value: str) -> int | None:
    if value.lower() == "all":
        return None
    if value.isascii() and value.isdigit() and 1 <= int(value[:20]) <= 10**9:
        return int(value)
    raise QueryInvalid(where=word, reason="a limit is a number from 1 on, or all")


def _cursor(word: str, value: str, sort: str | None) -> Cursor:
    kind = SORTS[(sort or NEWEST).removeprefix("-")]
    matched = re.fullmatch(r"(.*)-(\d{1,19})", value, re.ASCII | re.DOTALL)
    if matched is not None and kind is str:
        return unquote(matched[1]), int(matched[2])
    if matched is not None and re.fullmatch(r"-?\d{1,19}", matched[1], re.ASCII):
        return int(matched[1]), int(matched[2])
    raise QueryInvalid(where=word, reason="it is not the cursor of a page in this order; `There may be more` names it")


assert set(_CHOICES) == set(CHOICES)
