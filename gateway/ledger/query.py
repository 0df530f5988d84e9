"""What can be asked of the ledger: one frozen value, the same for the command line, the console and Python callers.

Criteria are joined with *and*. In text criteria ``*`` stands for anything (``acme*``, ``*@acme.example``), and
letters A–Z match without regard to case in names and addresses, but not in numbers, keys and Message-IDs.

    Query(partner="acme", overdue=True, also=(either("type", "850", "855"), without("state", "delivered")))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr

from gateway.errors import QueryInvalid
from gateway.ledger.folding import folded
from gateway.ledger.key_value import key_value
from gateway.ledger.spans import normal_span

LONGEST = 1_000  # characters of one criterion; a whole business key may be longer
MOST_STARS = 4  # wildcards in one criterion: more would let a pattern run for ever
MOST_TERMS = 20  # words of free text
MOST_VALUES = 50  # alternatives in one criterion
MOST_CRITERIA = 30  # in ``also``
_INT64 = 2**63 - 1
_BRACKETS = re.compile(r"^[<>\s]+|[<>\s]+$")
_NAMED_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,39})=(.*)", re.DOTALL)

CHOICES = ("direction", "kind", "state", "verdict", "usage")
SPANS = ("size", "segments", "findings")
CRITERIA = (
    *("partner", "direction", "kind", "state", "verdict", "type", "version", "usage", "control_number"),
    *("group_control_number", "set_control_number", "sender", "receiver", "business_key", "message_id"),
    *("from_address", "to_address", "host", "user", "mailbox", "file_name", "subject", "fault", "agreement"),
    *("size", "segments", "findings", "text"),
)
FLAGS = ("needs_attention", "unacknowledged", "overdue", "duplicate", "settled", "late")
PROSE = frozenset({"subject", "text"})  # one value, in which a comma is a comma
NOBODY = "-"  # the partner of what is no partner's; no partner has that key
_SMALL = frozenset({"partner", "mailbox", "fault"})  # names that are always written in small letters
# How a page is ordered, and whether by text or by a number. A mail has only some of these.
SORTS: Mapping[str, type] = {
    "at": int, "updated": int, "size": int, "partner": str, "state": str, "type": str, "control": str, "file": str,
    "subject": str, "from": str,
}  # fmt: skip
NEWEST = "-at"
Cursor = tuple[int | str, int]


class Criterion(Struct, frozen=True):
    """One of several values of a field, or (``negated``) none of them. The fields are ``CRITERIA``.

    Raises:
        QueryInvalid: no row can be compared with it.
    """

    field: str
    values: tuple[str, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        """Refuses what neither database could compare, and writes each value in one way."""
        if self.field not in CRITERIA:
            raise QueryInvalid(where=self.field, reason="it is no criterion that takes several values")
        if not self.values or len(self.values) > MOST_VALUES:
            raise QueryInvalid(where=self.field, reason=f"it takes 1 to {MOST_VALUES} values")
        if self.field in PROSE and len(self.values) > 1:
            raise QueryInvalid(where=self.field, reason="it takes one value: a comma belongs to it")
        normal = dict.fromkeys(_normal(self.field, value) for value in self.values)
        force_setattr(self, "values", tuple(normal))


def either(field: str, *values: str) -> Criterion:
    """The field is one of the values."""
    return Criterion(field, values)


def without(field: str, *values: str) -> Criterion:
    """The field is none of the values."""
    return Criterion(field, values, negated=True)


class Query(Struct, frozen=True):
    """Criteria over exchanges and mails; None asks nothing. Newest first, at most ``limit`` rows.

    ``since`` (included) and ``until`` (excluded) are milliseconds since 1970 UTC. ``business_key`` is a value or
    ``name=value``; ``sender`` and ``receiver`` are ``qualifier:id`` or an id; control numbers match with and without
    leading zeros; ``version`` matches the start of a GS08; ``subject`` matches anywhere; each blank-separated word of
    ``text`` must stand somewhere in the subject, the file name or a business key; ``to_address`` looks at To and Cc;
    ``size`` (bytes), ``segments`` and ``findings`` are ``10k..2M``, ``10k..``, ``..2M`` or ``0``; the ``partner``
    ``NOBODY`` is that of strangers.

    ``also`` holds what a named field cannot say: several values, values that must not be, a field asked twice.
    ``sort`` is a name of ``SORTS``, after a minus from the highest down; None is newest first. ``before`` is the
    ``cursor`` of the last row of the page before.

    Raises:
        QueryInvalid: a criterion that no row can be compared with.
    """

    partner: str | None = None
    direction: str | None = None  # in, out
    kind: str | None = None  # document, acknowledgment; of mails: letter, bounce, receipt, auto-reply
    state: str | None = None  # an ExchangeState or MessageState
    verdict: str | None = None
    type: str | None = None  # ST01
    version: str | None = None
    usage: str | None = None  # ISA15
    control_number: str | None = None  # ISA13
    group_control_number: str | None = None  # GS06
    set_control_number: str | None = None  # ST02
    sender: str | None = None
    receiver: str | None = None
    business_key: str | None = None
    message_id: str | None = None
    from_address: str | None = None
    to_address: str | None = None
    host: str | None = None
    user: str | None = None
    mailbox: str | None = None
    file_name: str | None = None
    subject: str | None = None
    fault: str | None = None  # a fault's code
    text: str | None = None
    since: int | None = None
    until: int | None = None
    needs_attention: bool | None = None
    unacknowledged: bool | None = None
    overdue: bool | None = None
    duplicate: bool | None = None
    limit: int | None = 50
    before: Cursor | None = None
    agreement: str | None = None
    size: str | None = None
    segments: str | None = None
    findings: str | None = None
    settled: bool | None = None  # put to rest by a person
    late: bool | None = None  # acknowledged after it was due
    also: tuple[Criterion, ...] | None = None
    sort: str | None = None

    def __post_init__(self) -> None:
        """Refuses what neither database could compare, and writes each value in one way."""
        for name in CRITERIA:
            value = getattr(self, name)
            if value is not None:
                force_setattr(self, name, _normal(name, value))
        force_setattr(self, "also", self._rest(_criteria(self.also)))
        force_setattr(self, "sort", None if self.sort == NEWEST else self.sort)
        if self.sort is not None and self.sort.removeprefix("-") not in SORTS:
            raise QueryInvalid(where=f"sort={self.sort}", reason=f"it sorts by {', '.join(SORTS)}")
        if self.limit is not None and not 1 <= self.limit <= _INT64:
            raise QueryInvalid(where=f"limit={self.limit}", reason="a limit is a number from 1 on")
        for number in (self.since, self.until):
            if number is not None and abs(number) > _INT64:
                raise QueryInvalid(where=str(number), reason="it is past what a moment can be")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise QueryInvalid(where="since and until", reason="the time window ends before it begins")
        if self.before is not None:
            force_setattr(self, "before", self._cursor(self.before))

    def criteria(self) -> Iterator[Criterion]:
        """All criteria but flags and times, the named ones first."""
        for name in CRITERIA:
            value = getattr(self, name)
            if value is not None:
                yield Criterion(name, (value,))
        yield from self.also or ()

    @property
    def asked(self) -> frozenset[str]:
        """The names of all that it asks of: criteria, flags, ``since`` and ``until``."""
        named = [name for name in (*FLAGS, "since", "until") if getattr(self, name) is not None]
        return frozenset([*named, *(each.field for each in self.criteria())])

    @property
    def order(self) -> tuple[str, bool]:
        """The name of ``SORTS`` that it is ordered by, and whether from the highest down."""
        sort = self.sort or NEWEST
        return sort.removeprefix("-"), sort.startswith("-")

    def _rest(self, also: Sequence[Criterion]) -> tuple[Criterion, ...] | None:
        """``also`` without what a named field can say, which is put there: one query is one value."""
        rest = []
        for each in also:
            if each.negated or len(each.values) > 1 or getattr(self, each.field) is not None:
                rest.append(each)
            else:
                force_setattr(self, each.field, each.values[0])
        return tuple(rest) or None

    def _cursor(self, given: Sequence[Any]) -> Cursor:
        kind = SORTS[self.order[0]]
        if len(given) != 2 or not isinstance(given[0], kind) or not isinstance(given[1], int):
            raise QueryInvalid(where=f"before={given}", reason="it is not the cursor of a page in this order")
        if any(isinstance(each, int) and abs(each) > _INT64 for each in given):
            raise QueryInvalid(where=f"before={given}", reason="it is past what a number can be")
        value: Any = given[0]
        if isinstance(value, str):
            _check_characters("before", value)
        return value, given[1]


def _criteria(given: Sequence[Any] | None) -> tuple[Criterion, ...]:
    """``also`` as it is kept; JSON may have made lists and mappings of it."""
    found = tuple(
        each if isinstance(each, Criterion) else Criterion(each["field"], tuple(each["values"]), bool(each["negated"]))
        for each in given or ()
    )
    if len(found) > MOST_CRITERIA:
        raise QueryInvalid(where="also", reason=f"it has more than {MOST_CRITERIA} criteria")
    return found


def _normal(name: str, value: str) -> str:
    """The value without what does not count: blanks at its ends, the angle brackets of a Message-ID, case of names."""
    _check_characters(name, value)
    value = _shortened(name, " ".join(value.split()) if name == "text" else value.strip())
    _check_text(name, value)
    if name in _SMALL:
        value = folded(value)
    if name == "message_id":  # angle brackets belong to the header, not to the id (RFC 5322 section 3.6.4)
        value = _BRACKETS.sub("", value)
    if not value:
        raise QueryInvalid(where=name, reason="a value is missing")
    return normal_span(name, value) if name in SPANS else value


def _check_text(name: str, value: str) -> None:
    if len(value) > LONGEST:
        raise QueryInvalid(where=name, reason=f"it has {len(value)} characters; {LONGEST} are allowed")
    if value.count("*") > MOST_STARS:
        raise QueryInvalid(where=f"{name}={value}", reason=f"it has more than {MOST_STARS} stars")
    if name == "text" and len(value.split()) > MOST_TERMS:
        raise QueryInvalid(where="text", reason=f"it has more than {MOST_TERMS} words")


def _check_characters(name: str, value: str) -> None:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise QueryInvalid(where=name, reason="it contains a character that is never stored (NUL or broken UTF-8)")


def _shortened(name: str, value: str) -> str:
    """Whole business keys that are too long for a criterion as the ledger keeps them, which finds them just as well."""
    if len(value) <= LONGEST or name not in {"business_key", "text"}:
        return value
    if name == "text":
        return " ".join(kept_key(term) if len(term) > LONGEST else term for term in value.split())
    named = key_parts(value)
    return kept_key(value) if named is None else f"{named[0]}={kept_key(named[1])}"


def key_parts(written: str) -> tuple[str, str] | None:
    """Name and value of a business key written ``po=4711``; None where it is a value alone."""
    named = _NAMED_KEY.fullmatch(written)
    return (named[1], named[2]) if named else None


def kept_key(value: str) -> str:
    """The value of a business key as the ledger keeps it; one with stars as it is, for it says a part."""
    return value if "*" in value else key_value(value)


def stored_partner(asked: str) -> str:
    """What stands in the ledger for a partner that is asked for: nothing, where it is nobody."""
    return "" if asked == NOBODY else asked


def number_forms(written: str) -> tuple[str, ...]:
    """The ways in which a control number of up to nine digits may have been written: 17 is 0017 and 000000017."""
    text = written.strip()
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > 9:
        return (text,)
    bare = text.lstrip("0") or "0"
    return tuple(dict.fromkeys([text, *(bare.zfill(width) for width in range(len(bare), 10))]))


def identity_parts(written: str) -> tuple[str | None, str]:
    """Qualifier (two characters, or None where only an id is written) and id of ``ZZ:ACME`` or ``ACME``."""
    qualifier, colon, id_ = written.partition(":")
    if not colon:
        return None, written.strip()
    return qualifier.strip().upper().rjust(2, "0"), id_.strip()
