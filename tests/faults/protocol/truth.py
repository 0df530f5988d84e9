"""What must hold after protocol faults: the hosts' books against the ledger and the business's files.

The letters are those of ``faults.checker``, which looks at V and L: here are D delivered once, A acknowledged alike and
never back and forth, C numbers without gaps, S nothing sent twice or called sent in silence, R at rest without help.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from faults import checker
from faults.protocol.home import IDENTITY, Home
from faults.protocol.hosts import Taken
from faults.protocol.mails import parsed, segments, value

_PO = re.compile(rb"BEG\*00\*SA\*([^*]+)\*")
_HAS_IT = {"sent", "complete", "acknowledged", "overdue", "bounced"}  # what the ledger calls handed over


class Mailbox(Protocol):
    """The books of whoever holds our mailbox."""

    box: dict[str, bytes]
    gone: list[bytes]


def violations(
    home: Home, mailbox: Mailbox, taken: Sequence[Taken], orders: Iterable[str], *, stays: int = 0
) -> list[str]:
    """What does not hold after undisturbed nights; empty when all is well.

    Args:
        home: whose ledger and inbox.
        mailbox: the books of the POP3 or IMAP host.
        taken: the books of the SMTP host.
        orders: the purchase orders that the business must have, each once and no other.
        stays: how many mails are meant to stay in the mailbox.
    """
    with checker.ledger(home.directory) as ledger:
        return [
            *checker.at_once(mailbox, home.directory),  # type: ignore[arg-type]
            *_delivered_once(home, orders),
            *_answered_once(ledger),
            *_numbers(ledger),
            *_mails(ledger, taken),
            *_no_chatter(taken),
            *_at_rest(home, ledger, mailbox, stays),
        ]


def _delivered_once(home: Home, orders: Iterable[str]) -> Iterator[str]:
    found = Counter(name.decode() for each in home.delivered for name in _PO.findall(each))
    if found != Counter(orders):
        yield f"D: the business has {dict(found)}, and should have {sorted(orders)} once each"


def _answered_once(ledger: sqlite3.Connection) -> Iterator[str]:
    """Every order that was taken has one answer, and nothing else has."""
    for row in ledger.execute(
        "SELECT x.id, x.state, count(a.id) AS answers FROM exchange x LEFT JOIN exchange a ON a.answers = x.id"
        " WHERE x.direction = 'in' AND x.types != '' AND x.types NOT IN ('997', '999') GROUP BY x.id"
    ):
        wanted = 1 if row["state"] in {"delivered", "accepted", "rejected", "conflict"} else 0
        if row["answers"] != wanted:
            yield f"A: exchange {row['id']} ({row['state']}) has {row['answers']} answers"


def _numbers(ledger: sqlite3.Connection) -> Iterator[str]:
    """Our control numbers: from 1, each once, none left out, for each pair and level."""
    for level, source in (
        ("ISA13", "SELECT partner, receiver_id, control_number AS n FROM exchange WHERE direction = 'out'"),
        (
            "GS06",
            (
                "SELECT x.partner, x.receiver_id, g.control_number AS n FROM exchange x"
                " JOIN functional_group g ON g.exchange = x.id WHERE x.direction = 'out'"
            ),
        ),
    ):
        used: dict[tuple[str, str], list[int]] = {}
        for row in ledger.execute(source):
            used.setdefault((row["partner"], row["receiver_id"]), []).append(int(row["n"] or 0))
        for pair, numbers in used.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                yield f"C: {level} to {pair[1]}: {sorted(numbers)}"


def _mails(ledger: sqlite3.Connection, taken: Sequence[Taken]) -> Iterator[str]:
    """What the host took is what the ledger has numbered; it was told of as often as it went."""
    known = {row["message_id"]: row for row in ledger.execute("SELECT * FROM exchange WHERE direction = 'out'")}
    went: dict[str, list[bytes]] = {each: [] for each in known}
    for mail in taken:
        name = str(parsed(mail.raw)["Message-ID"])
        went.setdefault(name, []).append(mail.raw)
    for name in sorted(went.keys() - known.keys()):
        yield f"A: the host took {name}, of which the ledger knows nothing"
    for name, row in known.items():
        yield from _copies(ledger, row, went[name])


def _copies(ledger: sqlite3.Connection, row: sqlite3.Row, copies: Sequence[bytes]) -> Iterator[str]:
    told = Counter(each["kind"] for each in ledger.execute("SELECT kind FROM event WHERE exchange = ?", (row["id"],)))
    name = f"exchange {row['id']} ({row['state']})"
    if len(set(copies)) > 1:
        yield f"A: {name} was mailed with {len(set(copies))} different contents"
    if row["state"] in _HAS_IT and not copies:
        yield f"S: {name} is called handed over, and nobody has it"
    if copies and row["state"] in {"ready", "failed"} and not told["in-doubt"]:
        yield f"S: the host took {name}, and nothing tells of it"
    announced = 1 + told["in-doubt"] + told["resent"] + told["recipient-deferred"]
    if len(copies) > announced:
        yield f"S: {name} went {len(copies)} times, and {announced} are told of"
    if told["sent"] > len(copies):
        yield f"S: {name} is told as sent {told['sent']} times, and went {len(copies)} times"


def _no_chatter(taken: Sequence[Taken]) -> Iterator[str]:
    """We answer documents only: no acknowledgment of an acknowledgment, nothing to a stranger or a mail system."""
    addresses = {f"edi@{partner}.example" for partner in IDENTITY}
    for mail in taken:
        if value(mail.raw, "AK1", 1) == "FA":
            yield "A: an acknowledgment was acknowledged"
        if not segments(mail.raw):
            yield f"A: a mail without EDI went to {', '.join(mail.recipients)}"
        for each in set(mail.recipients) - addresses:
            yield f"A: a mail went to {each}"


def _at_rest(home: Home, ledger: sqlite3.Connection, mailbox: Mailbox, stays: int) -> Iterator[str]:
    if len(mailbox.box) != stays:
        yield f"R: {len(mailbox.box)} mails are in the mailbox, and {stays} should be"
    for what, statement in (
        ("mails wait", "SELECT count(*) FROM outgoing WHERE state != 'held'"),
        ("messages are not processed", "SELECT count(*) FROM message WHERE state = 'stored'"),
        ("sets are not delivered", "SELECT count(*) FROM transaction_set WHERE delivery = 'due'"),
        ("batches have no end", "SELECT count(*) FROM batch WHERE ended_at IS NULL"),
    ):
        number: Any = ledger.execute(statement).fetchone()[0]
        if number:
            yield f"R: {number} {what}"
    box = home.directory / "outbox"
    waiting = [each.name for each in (*box.glob("*/*"), *box.glob("*/.submitting/**/*")) if each.is_file()]
    if waiting:
        yield f"R: the outbox still holds {waiting}"
