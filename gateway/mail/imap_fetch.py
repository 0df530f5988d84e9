"""Downloading by IMAP: batches of UID FETCH, two in flight, complete messages only."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence

from msgspec import Struct, field

from gateway.mail.imap_connection import Answer, ImapConnection
from gateway.mail.imap_syntax import Oversized, number, pairs, sets
from gateway.mail.model import Fetched, Listed
from gateway.mail.spool import Spooled
from gateway.mail.wire import ConnectionLostError

_BATCH = 100  # messages of one UID FETCH
_BATCH_BYTES = 8_000_000  # as listed; a larger message has a batch of its own
_IN_FLIGHT = 2  # the next batch is asked for before the last one has arrived
_ANSWERS = 64_000_000  # bytes of answers to one batch, besides its messages
_PASSING = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG")  # RFC 5530: the next run may have more luck

Wanted = tuple[int, Listed]  # UID and what was listed under it


class _Batch(Struct):
    """Messages asked for by one command, in the order asked; ``early`` arrived before their turn."""

    tag: str
    waiting: dict[int, Listed]
    early: dict[int, Fetched] = field(default_factory=dict)
    end: Answer | None = None  # the tagged answer


class ImapFetch:
    """The downloads of one session.

    ``left_out`` is told which messages the server did not give, and why; ``refused`` are the UIDs of those that it
    will not give tomorrow either.
    """

    def __init__(self, connection: ImapConnection, limit: int, left_out: list[tuple[Listed, str]]) -> None:
        self._connection = connection
        self._limit = limit
        self._left_out = left_out
        self._in_flight: deque[_Batch] = deque()
        self.refused: set[int] = set()

    def messages(self, wanted: Sequence[Wanted]) -> Iterator[Fetched]:
        """Downloads in the order asked for. Where the server refuses a batch, each of it is asked for alone, later.

        Raises:
            ConnectionLostError: when the connection fails; what was yielded before is complete.
        """
        groups = deque(_batches(wanted))
        while groups or self._in_flight:
            while groups and len(self._in_flight) < _IN_FLIGHT:
                self._request(groups.popleft())
            batch = self._in_flight[0]
            end = yield from self._receive(batch)
            if end.word == "OK" or len(batch.waiting) <= 1:
                self._leave_out(batch, end)
            else:
                groups.extendleft([each] for each in reversed(batch.waiting.items()))

    def settle(self) -> None:
        """Reads away what an abandoned download still has in flight, so that answers stay in step."""
        while self._in_flight:
            for _ in self._answers(self._in_flight[0]):
                pass
            self._in_flight.popleft()

    def _request(self, group: Sequence[Wanted]) -> None:
        uids = next(sets(uid for uid, _ in group))
        # PEEK: the flag \Seen is for people, and never ours to rely on.
        tag = self._connection.send(f"UID FETCH {uids} (UID BODY.PEEK[])")
        self._in_flight.append(_Batch(tag, dict(group)))

    def _receive(self, batch: _Batch) -> Generator[Fetched, None, Answer]:
        """Yields the messages of the oldest batch as they come complete; returns the tagged answer."""
        for answer in self._answers(batch):
            if answer.word == "FETCH":
                self._take(answer)
                yield from _in_turn(batch)
        self._in_flight.popleft()  # before anything is yielded: nobody must wait for this answer again
        yield from _in_turn(batch, last=True)
        if batch.end is None:
            raise ConnectionLostError("a batch without end")
        return batch.end

    def _answers(self, batch: _Batch) -> Iterator[Answer]:
        """The answers until the batch has ended. Servers work at several batches at once and mix what they say."""
        if batch.end is not None:
            return
        tags = {each.tag: each for each in self._in_flight}
        most = _ANSWERS + self._limit * (sum(len(each.waiting) for each in self._in_flight) + 1)
        for answer in self._connection.answers(batch.tag, most, tags):
            if answer.tag in tags:
                tags[answer.tag].end = answer
            else:
                yield answer

    def _take(self, answer: Answer) -> None:
        """Keeps a message that was asked for. Flags, and messages that were not asked for, pass by."""
        items = pairs(answer.pieces)
        uid = number(items.get(b"UID"))
        batch = next((each for each in self._in_flight if uid in each.waiting), None)
        if batch is None or uid is None or uid in batch.early or b"BODY[]" not in items:
            return
        raw = items[b"BODY[]"]
        listed = batch.waiting[uid]
        if isinstance(raw, bytes | Spooled):
            batch.early[uid] = Fetched(listed, raw)
            self._check_memory()
            return
        del batch.waiting[uid]
        if isinstance(raw, Oversized):
            self._left_out.append((listed, f"larger than listed: {raw.size} bytes are past the limit of {self._limit}"))
            self.refused.add(uid)
        else:
            self._left_out.append((listed, "the server has no content for it"))

    def _check_memory(self) -> None:
        held = sum(each.size for batch in self._in_flight for each in batch.early.values())
        if held > 2 * _IN_FLIGHT * _BATCH_BYTES + self._limit:
            raise ConnectionLostError("messages far larger than listed, in no order")

    def _leave_out(self, batch: _Batch, end: Answer) -> None:
        for uid, listed in batch.waiting.items():
            if end.word == "OK":
                self._left_out.append((listed, "the message is gone"))
            else:
                self._left_out.append((listed, self._connection.said(end)))
                if end.word == "NO" and not end.code.startswith(_PASSING):
                    self.refused.add(uid)


def _in_turn(batch: _Batch, *, last: bool = False) -> Iterator[Fetched]:
    """What has arrived and whose turn it is; at the end of the batch, everything that has arrived."""
    for uid in list(batch.waiting) if batch.early else ():
        if uid in batch.early:
            del batch.waiting[uid]
            yield batch.early.pop(uid)
        elif not last:
            return


def _batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Rising UIDs together, since that is the order in which servers answer; by count and by bytes."""
    batch: list[Wanted] = []
    size = 0
    for uid, listed in wanted:
        if batch and (len(batch) >= _BATCH or size + listed.size > _BATCH_BYTES or uid <= batch[-1][0]):
            yield batch
            batch, size = [], 0
        batch.append((uid, listed))
        size += listed.size
    if batch:
        yield batch
