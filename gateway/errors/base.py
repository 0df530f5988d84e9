"""The root of the tree of faults, and the fault for what nobody foresaw."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Side(StrEnum):
    """Whose side a failure is on, so that an operator knows whom to call."""

    OURS = "ours"
    PARTNER = "partner"
    HOST = "mail host"
    UNKNOWN = "unknown"


class GatewayError(Exception):
    """The root of the tree. ``details`` keeps the keyword arguments the sentence was filled from."""

    code: ClassVar[str] = "gateway.error"
    sentence: ClassVar[str] = "Something went wrong: {reason}"
    advice: ClassVar[str] = "Run the command again with --debug and read the log."
    side: ClassVar[Side] = Side.UNKNOWN
    permanent: ClassVar[bool] = True
    exit_code: ClassVar[int] = 1

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.sentence.format_map(_Blanks(details)))

    def __reduce__(self) -> tuple[object, ...]:
        """A fault goes from process to process as what it was made of."""
        return _made, (type(self), self.details)

    @property
    def next_step(self) -> str:
        """The advice, filled from the details as the sentence is."""
        return self.advice.format_map(_Blanks(self.details))

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


def _made(fault: type[GatewayError], details: dict[str, object]) -> GatewayError:
    return fault(**details)


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
    return Unexpected(what=what, reason=f"{type(problem).__name__}: {problem}")
