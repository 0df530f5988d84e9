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
    """One bug. ``breaks``: the letter that the checker must find. ``by``: what finds it, "kill" or "cut".

    ``near``: the calls at which a kill shows it; ``order``: of all these calls of a batch, which to try, best first.
    """

    breaks: str
    by: str
    arrange: Callable[[], None]
    near: tuple[str, ...] = ()
    order: Callable[[list[str]], list[int]] = lambda calls: list(range(1, len(calls) + 1))


def _backwards(calls: list[str]) -> list[int]:
    return list(range(len(calls), 0, -1))


def _end_of_the_mailbox(calls: list[str]) -> list[int]:
    """The last answers of the mailbox, before the SMTP host is called."""
    second = [at for at, each in enumerate(calls) if each.startswith("connect")][1]
    return list(range(second, 0, -1))


def _delete_before_commit() -> None:
    """The mails are deleted from their server before they are in the ledger."""
    from gateway.mail.pop3 import Pop3Session

    fetch, delete, commit = Pop3Session.fetch, Pop3Session.delete, Pop3Session.commit

    def fetch_and_delete(self: Any, wanted: Any) -> Any:
        found = list(fetch(self, wanted))
        delete(self, [each.listed for each in found])
        commit(self)
        yield from found

    Pop3Session.fetch = fetch_and_delete
    Pop3Session.delete = Pop3Session.commit = _nothing


def _number_apart() -> None:
    """A control number is committed by itself, before the bytes that carry it."""
    from gateway.ledger.recording import Recorder

    take = Recorder.take_number

    def take_and_commit(self: Any, *args: Any) -> int:
        number = take(self, *args)
        self._numbers.write()
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

    dispatch._mark = _its_lane
    outcome.record = record_all


def _its_lane(_recorder: Any, lane: Any) -> Any:
    return list(lane)


def _nothing(*_: Any, **__: Any) -> None:
    """Done by nobody."""


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
    outcome.record = _nothing


def _no_interchange_key() -> None:
    """Nobody remembers which interchanges were here."""
    from gateway.flow.duplicates import Known

    Known.earlier = Known.take = _nothing


def _delivered_before_handover() -> None:
    """A document is called delivered before it is handed over."""
    from gateway.flow import deliver
    from gateway.flow.handover import DirectoryHandover, file_name

    group, hand_over, settle = deliver._deliver_group, DirectoryHandover.deliver, DirectoryHandover.settle
    promised: list[Any] = []

    def promise(self: Any, item: Any) -> str:
        promised.append((self, item))
        return str(self.path / file_name(item.name, item.key))

    def record_first(*args: Any) -> None:
        group(*args)
        for place, item in promised:
            hand_over(place, item)
            settle(place)
        promised.clear()

    DirectoryHandover.deliver, DirectoryHandover.settle = promise, _nothing
    deliver._deliver_group = record_first


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
    "delete before commit": Mutant("L", "kill", _delete_before_commit, ("recv", "connect"), _end_of_the_mailbox),
    "number in its own transaction": Mutant("C", "kill", _number_apart, ("fdatasync",)),
    "sending marked late": Mutant("S", "kill", _mark_late, ("recv",), _backwards),
    "sent before data": Mutant("L", "kill", _sent_before_data, ("send",), _backwards),
    "delivered before hand-over": Mutant("L", "kill", _delivered_before_handover, ("mkdir",)),
    "no interchange key": Mutant("D", "kill", _no_interchange_key),
    "synchronous normal": Mutant("L", "cut", _synchronous_normal),
    "files not synced": Mutant("L", "cut", _files_not_synced),
    "directories not synced": Mutant("L", "cut", _directories_not_synced),
}
