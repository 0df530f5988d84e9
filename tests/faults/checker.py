"""What must hold after any fault, told by comparing what the world saw with what the ledger says.

The letters are those of the promises: L nothing lost, D delivered once, A acknowledged alike, C numbers without gaps,
V the ledger is whole, S no silent duplicate, R back to work without help.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from faults.home import ORDERS, interchange_in
from faults.world import World

_PO = re.compile(rb"BEG\*00\*SA\*([^*]+)\*")


@contextmanager
def ledger(home: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the ledger as it lies on the disk, so that looking at it changes nothing."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("ledger.db", "ledger.db-wal"):
            if (home / name).exists():
                shutil.copy(home / name, place)
        with closing(sqlite3.connect(Path(place) / "ledger.db")) as connection:
            connection.row_factory = sqlite3.Row
            yield connection


def at_once(world: World, home: Path) -> list[str]:
    """What must hold at every moment, also while the gateway lies dead."""
    with ledger(home) as connection:
        return [*_whole(connection), *_nothing_lost(world, connection), *_nothing_claimed(home, connection)]


def in_the_end(world: World, home: Path) -> list[str]:
    """What must hold after a batch that nothing disturbed."""
    with ledger(home) as connection:
        return [
            *_whole(connection),
            *_nothing_lost(world, connection),
            *_nothing_claimed(home, connection),
            *_delivered_once(home, connection),
            *_mailed_alike(world, connection),
            *_numbers(connection),
            *_at_rest(world, home, connection),
        ]


# ---------------------------------------------------------------- V, L


def _whole(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"V: integrity_check: {row[0]}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"V: a row of {row[0]} points to no row of {row[2]}"
    for row in connection.execute("SELECT sha256, bytes, size FROM content WHERE pieces = 0"):
        if hashlib.sha256(row["bytes"]).hexdigest() != row["sha256"] or len(row["bytes"]) != row["size"]:
            yield f"V: content {row['sha256']} has other bytes than its name says"


def _nothing_lost(world: World, connection: sqlite3.Connection) -> Iterator[str]:
    kept = {
        row["sha256"]: row["bytes"]
        for row in connection.execute("SELECT c.* FROM content c JOIN message m ON m.sha256 = c.sha256")
    }
    for mail in world.gone:
        if kept.get(hashlib.sha256(mail).hexdigest()) != mail:
            subject = mail.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()
            yield f"L: {subject} is gone from its server, and not in the ledger"


def _nothing_claimed(home: Path, connection: sqlite3.Connection) -> Iterator[str]:
    """What the ledger calls delivered is there, whole."""
    for row in connection.execute("SELECT delivered_to, exchange FROM transaction_set WHERE delivery = 'delivered'"):
        file = home / "inbox" / Path(row["delivered_to"]).parent.name / Path(row["delivered_to"]).name
        if not file.is_file():
            yield f"L: {file.name} is called delivered, and is not there"
        elif not file.read_bytes().rstrip().endswith(b"~") or b"IEA*" not in file.read_bytes():
            yield f"L: {file.name} is called delivered, and holds {file.stat().st_size} bytes of it"


# ---------------------------------------------------------------- D


def _delivered_once(home: Path, connection: sqlite3.Connection) -> Iterator[str]:
    files = [each for each in (home / "inbox").rglob("*") if each.is_file()]
    found = Counter(name.decode() for each in files for name in _PO.findall(each.read_bytes()))
    wanted = Counter(f"PO-{partner}-{number}" for partner, number in ORDERS)
    if found != wanted:
        yield f"D: the business has {dict(found)}"
    for each in files:
        if each.name.startswith("."):
            yield f"D: {each.name} was left behind"
    states = Counter(
        row["state"] for row in connection.execute("SELECT state FROM exchange WHERE direction='in' AND types='850'")
    )
    if states != {"delivered": len(ORDERS), "duplicate": 1}:
        yield f"D: the orders are {dict(states)}"


# ---------------------------------------------------------------- A, S


def _mailed_alike(world: World, connection: sqlite3.Connection) -> Iterator[str]:
    """Each exchange of ours reached its partner, with one content, and never oftener than the ledger tells."""
    copies: dict[str, list[bytes]] = {}
    for mail in world.taken:
        edi = interchange_in(mail.raw)
        copies.setdefault(f"{edi[51:53]}:{edi[54:69].strip()} {edi[90:99]}", []).append(mail.raw)
    known = {
        f"{row['receiver_qualifier']}:{row['receiver_id']} {row['control_number']}": row
        for row in connection.execute("SELECT * FROM exchange WHERE direction = 'out'")
    }
    for name in sorted(copies.keys() - known.keys()):
        yield f"A: a partner got {name}, of which the ledger knows nothing"
    answered = Counter(row["answers"] for row in known.values() if row["answers"] is not None)
    if len(answered) != len(ORDERS) or set(answered.values()) != {1}:
        yield f"A: {len(answered)} of {len(ORDERS)} orders are answered, {answered.total()} times"
    if sum(row["kind"] == "document" for row in known.values()) != 1:
        yield "A: the invoice was not numbered exactly once"
    for name, row in known.items():
        yield from _copies(connection, name, row, copies.get(name, []))


def _copies(connection: sqlite3.Connection, name: str, row: sqlite3.Row, copies: list[bytes]) -> Iterator[str]:
    events = [
        (each["kind"], json.loads(each["body"]))
        for each in connection.execute("SELECT kind, body FROM event WHERE exchange = ? ORDER BY seq", (row["id"],))
    ]
    kinds = Counter(kind for kind, _ in events)
    if len(set(copies)) > 1:
        yield f"A: {name} was mailed with {len(set(copies))} different contents"
    if len(copies) > kinds["sending"]:
        yield f"S: {name} was mailed {len(copies)} times, and begun only {kinds['sending']} times"
    announced = 1 + kinds["in-doubt"] + kinds["resent"]
    if len(copies) > announced:
        yield f"S: {name} was mailed {len(copies)} times, and {announced} are told of"
    in_doubt = row["state"] == "in doubt"
    if not copies and not in_doubt:
        yield f"L: {name} ({row['state']}) never reached its partner"
    if kinds["sent"] > len(copies):
        yield f"S: {name} is called sent {kinds['sent']} times, and its partner got {len(copies)}"
    if row["state"] not in {"acknowledged", "complete"} and not (in_doubt and not copies):
        yield f"R: {name} is left {row['state']}"


# ---------------------------------------------------------------- C, R


def _numbers(connection: sqlite3.Connection) -> Iterator[str]:
    used: dict[tuple[str, str, str, str], list[int]] = {}
    for row in connection.execute(
        "SELECT x.partner, x.sender_qualifier || ':' || x.sender_id AS ours, x.control_number AS number,"
        " x.receiver_qualifier || ':' || x.receiver_id AS theirs, g.control_number AS group_number"
        " FROM exchange x LEFT JOIN functional_group g ON g.exchange = x.id WHERE x.direction = 'out'"
    ):
        pair = row["partner"], row["ours"], row["theirs"]
        used.setdefault((*pair, "interchange"), []).append(int(row["number"]))
        used.setdefault((*pair, "group"), []).append(int(row["group_number"]))
    following = {
        (row["partner"], row["ours"], row["theirs"], row["level"]): row["next"]
        for row in connection.execute("SELECT * FROM control_number")
    }
    for key in sorted(used.keys() | following.keys()):
        numbers = sorted(used.get(key, []))
        if numbers != list(range(1, following.get(key, 1))):
            yield f"C: {' '.join(key)}: used {numbers}, next {following.get(key)}"


def _at_rest(world: World, home: Path, connection: sqlite3.Connection) -> Iterator[str]:
    if world.box:
        yield f"R: {len(world.box)} mails are still in the mailbox"
    for what, statement in (
        ("mails wait", "SELECT count(*) FROM outgoing WHERE state != 'held'"),
        ("messages are not processed", "SELECT count(*) FROM message WHERE state IN ('stored', 'quarantined')"),
        ("sets are not delivered", "SELECT count(*) FROM transaction_set WHERE delivery = 'due'"),
    ):
        number = connection.execute(statement).fetchone()[0]
        if number:
            yield f"R: {number} {what}"
    box = home / "outbox" / "acme"
    waiting = [str(each.relative_to(box)) for each in (*box.iterdir(), *box.glob(".submitting/**/*")) if each.is_file()]
    if waiting:
        yield f"R: the outbox still holds {waiting}"
