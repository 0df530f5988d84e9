"""Ahead: a process that opens and judges the next messages of a big batch while the first records those before.

Opening and judging (see ``inbound.prepare``) is pure and takes as long as recording does; only the recording must be
done by one. The process reads the raw mails from the ledger by itself and gives back cases. If it dies, nothing is
lost: an attempt was counted for each of its messages, and the first process takes them one by one.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import IO, Self

from msgspec.structs import replace

from gateway.errors import unexpected
from gateway.flow.case import Case, InterchangeCase, PayloadCase
from gateway.flow.context import Context
from gateway.flow.forked import ended, forked
from gateway.ledger.work import StoredMessage, read_messages
from partners.model import Agreement, Partner

Prepare = Callable[[Context, StoredMessage], Case]
Place = tuple[int, int]
Bound = tuple[str, tuple[tuple[Place, int], ...]]  # of an interchange: its partner's key, and agreements by number
Packed = tuple[Case, str, list[Bound]]


class Ahead:
    """The process, from the beginning of the block to its end. At most one group is asked for at a time."""

    def __init__(self, context: Context, prepare: Prepare) -> None:
        self._context = context
        self._prepare = prepare
        self._pid = 0
        self._questions: IO[bytes] | None = None
        self._answers: IO[bytes] | None = None

    def __enter__(self) -> Self:
        questions_read, questions = os.pipe()
        answers, answers_write = os.pipe()
        work = partial(self._child, questions_read, answers_write)
        self._pid = forked(work, self._context.ledger.engine, (questions, answers))
        os.close(questions_read)
        os.close(answers_write)
        self._questions, self._answers = os.fdopen(questions, "wb", 0), os.fdopen(answers, "rb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._questions is not None
        assert self._answers is not None
        if kind is not None:
            os.kill(self._pid, signal.SIGKILL)  # nobody waits for what it is at, which may take long
        self._questions.close()
        self._answers.close()
        died = ended(self._pid)
        if died and kind is None:
            fault = unexpected("The process that opens messages ahead", RuntimeError(died))
            self._context.reporter.trouble(fault, "process")

    def ask(self, messages: Sequence[int]) -> None:
        """Asks for the cases of these messages; the answer is waited for with ``cases``."""
        assert self._questions is not None
        with suppress(BrokenPipeError):  # that it died, the answer tells
            pickle.dump(list(messages), self._questions)

    def cases(self) -> list[Case] | None:
        """The cases of the messages that were asked for last, oldest first; None where the process died of them."""
        assert self._answers is not None
        try:
            answered: list[Packed | int] = pickle.load(self._answers)  # noqa: S301 - our own child wrote it
        except (EOFError, pickle.UnpicklingError):
            return None
        return [self._here(each) if isinstance(each, int) else _bound(self._context, each) for each in answered]

    def _here(self, message: int) -> Case:
        """A case that cannot be sent: it is prepared in this process."""
        (stored,) = self._read([message])
        return self._prepare(self._context, stored)

    # ------------------------------------------------------------ the child

    def _child(self, questions: int, answers: int) -> int:
        with os.fdopen(questions, "rb") as asked, os.fdopen(answers, "wb") as answer:
            while True:
                try:
                    messages = pickle.load(asked)  # noqa: S301 - our own parent wrote it
                except EOFError:
                    return 0
                pickle.dump(self._prepared(messages), answer, pickle.HIGHEST_PROTOCOL)
                answer.flush()

    def _prepared(self, messages: Sequence[int]) -> list[Packed | int]:
        """Each message's case for the pipe; the message's own number where it is too big for that."""
        return [
            _unbound(self._prepare(self._context, each)) if isinstance(each.raw, bytes) else each.id
            for each in self._read(messages)
        ]

    def _read(self, messages: Sequence[int]) -> list[StoredMessage]:
        """Messages as they were before the present attempt, which is counted already: nobody had tried them."""
        with self._context.ledger.reading() as connection:
            found = read_messages(connection, messages, self._context.settings.home)
        return [replace(each, attempts=0) for each in found]


def _unbound(case: Case) -> Packed:
    """A case for the way through a pipe: partners and agreements go by name, for the parent has its own.

    The parts of the letter stay behind: what carries X12 is in the payloads. The bytes of an interchange do too, where
    they are cut from its payload's: the parent cuts them again.
    """
    bound = []
    for payload, each in case.interchanges:
        if each.raw == _cut(payload, each):
            each.raw = b""
        partner = each.partner
        agreements = tuple((place, _number(partner, one)) for place, one in each.agreements.items())
        bound.append((partner.key if partner is not None else "", agreements))
        each.partner, each.agreements = None, {}
    key = case.partner.key if case.partner is not None else ""
    case.partner = None
    if case.letter is not None:
        case.letter = replace(case.letter, parts=())
    return case, key, bound


def _cut(payload: PayloadCase, interchange: InterchangeCase) -> bytes:
    return payload.data[interchange.report.start : interchange.report.end]


def _number(partner: Partner | None, agreement: Agreement) -> int:
    assert partner is not None, "an agreement is a partner's"
    return next(number for number, each in enumerate(partner.agreements) if each is agreement)


def _bound(context: Context, packed: Packed) -> Case:
    case, key, bound = packed
    case.partner = context.directory.get(key) if key else None
    for (payload, each), (of, agreements) in zip(case.interchanges, bound, strict=True):
        each.raw = each.raw or _cut(payload, each)
        each.partner = partner = context.directory.get(of) if of else None
        if partner is not None:
            each.agreements = {place: partner.agreements[number] for place, number in agreements}
    return case
