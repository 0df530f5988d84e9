"""What can be asked of the ledger: one frozen value, the same for the command line, the console and Python callers.

Criteria are joined with *and*. In text criteria ``*`` stands for anything (``acme*``, ``*@acme.example``), and
letters A–Z match without regard to case in names and addresses, but not in numbers, keys and Message-IDs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from gateway.errors import QueryInvalid

LONGEST = 1_000  # characters of one criterion
MOST_STARS = 4  # wildcards in one criterion: more would let a pattern run for ever
MOST_TERMS = 20  # words of free text
_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Query:
    """Criteria over exchanges and mails; None asks nothing. Newest first, at most ``limit`` rows.

    ``since`` (included) and ``until`` (excluded) are milliseconds since 1970 UTC. ``before`` is the ``cursor`` of the
    last row of the page before. ``business_key`` is a value or ``name=value``; ``sender`` and ``receiver`` are
    ``qualifier:id`` or an id; control numbers match with and without leading zeros; ``version`` matches the start of
    a GS08; ``subject`` matches anywhere; each blank-separated word of ``text`` must stand somewhere in the subject,
    the file name or a business key; ``to_address`` looks at To and Cc.

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
    before: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuses what neither database could compare."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                _check_text(each.name, value)
        if self.text is not None and len(self.text.split()) > MOST_TERMS:
            raise QueryInvalid(where="text", reason=f"it has more than {MOST_TERMS} words")
        if self.limit is not None and not 1 <= self.limit <= _INT64:
            raise QueryInvalid(where=f"limit={self.limit}", reason="a limit is a number from 1 on")
        for number in (self.since, self.until, *(self.before or ())):
            if number is not None and abs(number) > _INT64:
                raise QueryInvalid(where=str(number), reason="it is past what a moment can be")


def _check_text(name: str, value: str) -> None:
    if len(value) > LONGEST:
        raise QueryInvalid(where=name, reason=f"it has {len(value)} characters; {LONGEST} are allowed")
    if value.count("*") > MOST_STARS:
        raise QueryInvalid(where=f"{name}={value}", reason=f"it has more than {MOST_STARS} stars")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise QueryInvalid(where=name, reason="it contains a character that is never stored (NUL or broken UTF-8)")


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
