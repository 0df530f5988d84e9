"""Gone before: what an acknowledgment names is not in the ledger any more, and where it may be found.

Numbers without gaps tell it: one that is below our next, and that nothing in the ledger has, was used by something
that was put away.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import select, text

from gateway.flow.identify import identity
from gateway.ledger import tables
from gateway.ledger.moved_lost import lost
from gateway.ledger.recording import Recorder
from gateway.x12.model import Header

_NAMED = 3  # archives that are named
_DAY = 86_400_000  # ms


class Gone(Struct, frozen=True):
    """What was put away with a number of ours. ``word`` finds it; ``archives`` are the files that it may be in."""

    word: str
    archives: tuple[str, ...]


def gone_before(recorder: Recorder, header: Header, level: str, number: str, date: str = "") -> Gone | None:
    """Where what had a number of ours may be, now that the ledger has nothing with it; None where it was never used.

    Args:
        recorder: the transaction, flushed.
        header: of the interchange that carries the acknowledgment.
        level: interchange or group.
        number: the number that is acknowledged.
        date: TA102, the day of the interchange (YYMMDD), where it is told; partners may copy it wrongly.
    """
    bare = number.strip()
    if not (bare.isascii() and bare.isdigit()) or not _was_used(recorder, header, level, int(bare)):
        return None
    if not _was_put_away(recorder) or _is_here(recorder, header, level, bare):
        return None
    return Gone(f"{'control' if level == 'interchange' else 'group'}={bare}", _archives(recorder, date))


def _was_used(recorder: Recorder, header: Header, level: str, number: int) -> bool:
    c = tables.control_number.c
    pair = c.ours == str(identity(header.receiver)), c.theirs == str(identity(header.sender))
    found = recorder.connection.execute(select(c.next).where(*pair, c.level == level)).scalars()
    return 0 < number < max(found, default=0)


def _was_put_away(recorder: Recorder) -> bool:
    """Whether anything ever was; else another system used the number, before ours went on from there."""
    e = tables.event.c
    purged = select(e.seq).where(text(tables.CONFIGURATION), e.kind == "purged")
    return recorder.connection.execute(purged.limit(1)).first() is not None


def _is_here(recorder: Recorder, header: Header, level: str, number: str) -> bool:
    """Whether anything of ours to that identity has the number, in whatever state and of whatever type."""
    x, g = tables.exchange.c, tables.functional_group.c
    sender, receiver = identity(header.sender), identity(header.receiver)
    ours = (
        x.direction == "out",
        x.receiver_qualifier == sender.qualifier,
        x.receiver_id == sender.id,
        x.sender_qualifier == receiver.qualifier,
        x.sender_id == receiver.id,
    )
    if level == "interchange":
        wanted = select(x.id).where(x.control_number == number.zfill(9), *ours)
    else:
        numbers = {number, number.lstrip("0") or "0"}
        wanted = (
            select(x.id).join(tables.functional_group, g.exchange == x.id).where(g.control_number.in_(numbers), *ours)
        )
    return recorder.connection.execute(wanted.limit(1)).first() is not None


def _archives(recorder: Recorder, date: str) -> tuple[str, ...]:
    """The archives that were moved out, the newest first; of the day that is told, where there is one of it."""
    m = tables.moved_archive.c
    wanted = select(m.id, m.file, m.first_at, m.last_at).order_by(m.last_at.desc())
    rows = recorder.connection.execute(wanted).all()
    known = lost(recorder.connection) if rows else {}
    try:
        day = int(datetime.strptime(date, "%y%m%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        day = None
    of_day = [row for row in rows if day is not None and row.first_at - _DAY <= day <= row.last_at + _DAY]
    return tuple(f"{row.file} (lost)" if row.id in known else row.file for row in (of_day or rows)[:_NAMED])
