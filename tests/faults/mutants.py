"""Seeded bugs: each breaks one promise on purpose, and the suite must notice.

They are put into a running gateway by ``driver.py``; the product knows nothing of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug. ``breaks``: the letter that the checker must find. ``by``: what finds it, "kill" or "cut"."""

    breaks: str
    by: str
    arrange: Callable[[], None]


def _delete_before_commit() -> None:
    """The mails are deleted from their server before they are in the ledger."""
    from gateway.flow import collect

    store = collect._take

    def take(visit: Any, group: Any) -> int:
        visit.session.delete([each.listed for each in group])
        visit.session.commit()
        visit.session.commit = lambda: None
        return store(visit, group)

    collect._take = take


def _number_apart() -> None:
    """A control number is committed by itself, before the bytes that carry it."""
    from gateway.ledger.recording import Recorder

    take = Recorder.take_number

    def take_and_commit(self: Any, *args: Any) -> int:
        number = take(self, *args)
        self._write_numbers()
        self.connection.exec_driver_sql("COMMIT")
        self.connection.exec_driver_sql("BEGIN IMMEDIATE")
        return number

    Recorder.take_number = take_and_commit


def _mark_late() -> None:
    """That a mail is being sent is written down only with what came of it."""
    from gateway.flow import dispatch, outcome

    mark, record = dispatch._mark, outcome.record

    def record_all(context: Any, recorder: Any, attempts: Any) -> None:
        mark(recorder, [each.mail for each in attempts])
        recorder.flush()
        record(context, recorder, attempts)

    dispatch._mark = lambda recorder, lane: None
    outcome.record = record_all


def _sent_before_data() -> None:
    """A mail is called sent before it is handed over."""
    from gateway.flow import dispatch, outcome
    from gateway.flow.lanes import Attempt
    from gateway.mail.model import Handover

    claim, record = dispatch._Run._claim, outcome.record

    def claim_as_sent(self: Any, recorder: Any) -> Any:
        lanes = claim(self, recorder)
        recorder.flush()
        record(self._context, recorder, [Attempt(each, Handover("host", "250")) for lane in lanes for each in lane])
        return lanes

    dispatch._Run._claim = claim_as_sent
    outcome.record = lambda context, recorder, attempts: None


def _no_interchange_key() -> None:
    """Nobody remembers which interchanges were here."""
    from gateway.flow.duplicates import Known

    Known.earlier = lambda self, header, sha256: None
    Known.take = lambda self, *args, **more: None


def _delivered_before_handover() -> None:
    """A document is called delivered before it is handed over."""
    from gateway.flow import deliver

    hand_over, settle, record = deliver._hand_over, deliver._settle, deliver._record

    class Later:
        waiting: list[Any] = []

    def promise(context: Any, places: Any, exchange: Any, raw: bytes) -> Any:
        Later.waiting.append((places, exchange, raw))
        for due in exchange.sets:
            item = deliver._deliverable(exchange, (due,), raw)
            yield deliver._Done(due, str(context.settings.inbox / exchange.partner / item.name), None)

    def record_first(context: Any, due: Any, done: Any, failures: Any) -> None:
        record(context, due, done, failures)
        for places, exchange, raw in Later.waiting:
            failed = dict(done)
            list(hand_over(context, places, exchange, raw))
            settle(context, places, failed, failures)
        Later.waiting.clear()

    deliver._hand_over, deliver._record = promise, record_first


def _synchronous_normal() -> None:
    """The ledger calls a commit done before the disk has it."""
    from gateway.ledger import database

    connected = database._sqlite_connected

    def carelessly(connection: Any, record: object) -> None:
        connected(connection, record)
        connection.execute("PRAGMA synchronous = NORMAL")

    database._sqlite_connected = carelessly


def _without_sync(kind: Callable[[int], bool]) -> None:
    sync = os.fsync
    os.fsync = lambda descriptor: None if kind(os.fstat(descriptor).st_mode) else sync(descriptor)


def _files_not_synced() -> None:
    """Delivered files are not synced, nor is the disk asked to begin with them."""
    _without_sync(stat.S_ISREG)
    del os.posix_fadvise


def _directories_not_synced() -> None:
    """The names of delivered files are not synced."""
    _without_sync(stat.S_ISDIR)


MUTANTS = {
    "delete before commit": Mutant("L", "kill", _delete_before_commit),
    "number in its own transaction": Mutant("C", "kill", _number_apart),
    "sending marked late": Mutant("S", "kill", _mark_late),
    "sent before data": Mutant("L", "kill", _sent_before_data),
    "delivered before hand-over": Mutant("L", "kill", _delivered_before_handover),
    "no interchange key": Mutant("D", "kill", _no_interchange_key),
    "synchronous normal": Mutant("L", "cut", _synchronous_normal),
    "files not synced": Mutant("L", "cut", _files_not_synced),
    "directories not synced": Mutant("L", "cut", _directories_not_synced),
}
