"""The root of the tree of faults, and the fault for what nobody foresaw."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import ClassVar, NamedTuple

_MOST = 12  # places in the code that a line of the log names


class Side(StrEnum):
    """Whose side a failure is on, so that an operator knows whom to call."""

    OURS = "ours"
    PARTNER = "partner"
    HOST = "mail host"
    UNKNOWN = "unknown"


class Behind(NamedTuple):
    """The exception behind a fault that nobody foresaw."""

    traceback: str  # all of it, for whoever asks with --debug: its words may quote anything
    places: str  # where it came from, the innermost first, without any words: for the log


class GatewayError(Exception):
    """The root of the tree. ``details`` keeps the keyword arguments the sentence was filled from."""

    code: ClassVar[str] = "gateway.error"
    sentence: ClassVar[str] = "Something went wrong: {reason}"
    advice: ClassVar[str] = "Run the command again with --debug and read the log."
    side: ClassVar[Side] = Side.UNKNOWN
    permanent: ClassVar[bool] = True
    exit_code: ClassVar[int] = 1

    behind: Behind | None = None

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.sentence.format_map(_Blanks(details)))

    def __reduce__(self) -> tuple[object, ...]:
        """A fault goes from process to process as what it was made of."""
        return made_again, (type(self), self.details, self.behind)

    @property
    def next_step(self) -> str:
        """The advice, filled from the details as the sentence is."""
        return self.advice.format_map(_Blanks(self.details))

    @property
    def told(self) -> str:
        """Sentence and advice, one after the other; many a reason ends without a full stop."""
        said = str(self)
        return f"{said}{'' if said.endswith(('.', '!', '?', '…')) else '.'} {self.next_step}"

    def as_dict(self) -> dict[str, object]:
        """What a machine wants to know of this failure: code, message, advice, side, permanent, details."""
        return {
            "code": self.code,
            "message": str(self),
            "advice": self.next_step,
            "side": self.side.value,
            "permanent": self.permanent,
            "details": {key: str(value) for key, value in self.details.items()},
        }


def made_again(fault: type[GatewayError], details: Mapping[str, object], behind: Behind | None) -> GatewayError:
    """A fault from what it was made of."""
    made = fault(**details)
    made.behind = behind
    return made


class _Blanks(dict[str, object]):
    """Fills what a sentence names but nobody gave: a fault must never fail while it speaks."""

    def __missing__(self, key: str) -> str:
        return f"<{key} not given>"


class Unexpected(GatewayError):
    code = "unexpected"
    sentence = "{what} failed in a way that the gateway does not know: {reason}"
    advice = "The rest went on. This is a defect of the gateway: report it with the log; --debug shows more."
    side = Side.OURS


def unexpected(what: str, problem: BaseException) -> Unexpected:
    """An exception that is none of ours, as one that is."""
    fault = Unexpected(what=what, reason=f"{type(problem).__name__}: {problem}")
    fault.behind = Behind("".join(traceback.format_exception(problem)), _places(problem))
    return fault


def _places(problem: BaseException) -> str:
    """``gateway/flow/collect.py:83 collect < …``: of files only the end of their paths, for those tell of machines."""
    passed = [(frame.f_code, line) for frame, line in traceback.walk_tb(problem.__traceback__)]
    files = ("/".join(PurePath(code.co_filename).parts[-3:]) for code, _ in passed)
    told = [f"{file}:{line} {code.co_name}" for file, (code, line) in zip(files, passed, strict=True)]
    return " < ".join(told[: -_MOST - 1 : -1])
