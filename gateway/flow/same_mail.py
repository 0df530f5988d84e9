"""Known mail: the same bytes are known by their hash when they are collected; the same Message-ID is noted here.

A Message-ID says who wrote a mail, not what is in it: servers add headers, and some programs use one twice. So the
mail is processed like any other; what its interchanges are is told by their numbers and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from gateway.flow.case import Case
from gateway.ledger import bulk, tables
from gateway.ledger.recording import Recorder

_CHUNK = 400  # values in one question


def note_same_message_id(recorder: Recorder, cases: Sequence[Case]) -> None:
    """Notes, once for each mail, that an earlier one had its Message-ID and other bytes."""
    named = [case for case in cases if case.letter is not None and _is_usable(case.letter.message_id)]
    first: dict[str, int] = {}
    for at in range(0, len(named), _CHUNK):
        first |= _earliest(recorder, [case.letter.message_id for case in named[at : at + _CHUNK] if case.letter])
    for case in sorted(named, key=lambda each: each.message.id):
        assert case.letter is not None
        earlier = first.setdefault(case.letter.message_id, case.message.id)
        if earlier < case.message.id and not case.message.attempts:
            recorder.event("same-message-id", message=case.message.id, earlier=earlier)


def _is_usable(message_id: str) -> bool:
    return bool(message_id) and message_id.isascii() and message_id.isprintable()


def _earliest(recorder: Recorder, names: Sequence[str]) -> dict[str, int]:
    m, connection = tables.message, recorder.connection
    rows = connection.execute(
        select(m.c.message_id, func.min(m.c.id).label("first"))
        .where(bulk.among(connection, m.c.message_id, "names"), m.c.direction == "in")
        .group_by(m.c.message_id),
        {"names": bulk.listed(connection, names)},
    )
    return {row.message_id: row.first for row in rows}
