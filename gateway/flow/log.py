"""The log: a line for each thing that happens, with the exchange it happens to, and nothing of what it holds.

``Log`` is a reporter (steps, counts, trouble) and listens to the ledger, whose events carry the ids: so a line cannot
forget whom it is about. Of an event only kind, ids and a few fields go into a line, each of them of our own making; of
a fault its code, place and side, and its sentence only where that quotes settings and hosts, never a document; of an
exception that nobody foresaw its name and where in the code it came from.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import IO, Any, Protocol

from gateway.errors import ConfigurationFault, GatewayError, SettingsInvalid, TryAgainLater, Unavailable, Unexpected
from gateway.flow.log_lines import FIELDS, JournalLines, JsonLines, TextLines
from gateway.settings import LogSettings, invalid, read_settings

# Fields of events' bodies that never hold what a partner wrote, and what they are called in a line.
_TOLD = {
    "code": "fault",
    "mailbox": "mailbox",
    "attempt": "attempt",
    "verdict": "verdict",
    "rule": "rule",
    "alert": "alert",
    "answers": "answers",
    "earlier": "earlier",
    "address": "address",  # where a sign-in came from
}
_WRONG = frozenset(
    {
        *("quarantined", "rejected", "conflict", "unmatched", "delivery-failed", "not-taken", "document-refused"),
        *("deferred", "refused", "recipient-refused", "recipient-deferred", "failed", "in-doubt", "bounced"),
        *("overdue", "escalated", "number-missing", "expected-missed", "receipt-unproven", "receipt-not-given"),
        *("bounce-unmatched", "bounce-unproven", "alert-not-told", "alert-doubt", "alert-returned", "sign-in-failed"),
    }
)
_SPOKEN = (Unavailable, ConfigurationFault, TryAgainLater)  # their sentences quote settings and hosts


class Ended(Protocol):
    """What a batch that ended tells; ``gateway.flow.night.Summary`` is one."""

    @property
    def started_at(self) -> int:
        """Ms since 1970 UTC."""
        ...

    @property
    def ended_at(self) -> int:
        """Ms since 1970 UTC."""
        ...

    @property
    def exit_code(self) -> int:
        """0 where all is well."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What it did."""
        ...


class Log:
    """Writes lines; a reporter of the flow and a listener of the ledger.

    Args:
        logger: where lines go.
        on_stderr: whether that is standard error, so that nothing else should be said there.
    """

    def __init__(self, logger: logging.Logger, *, on_stderr: bool = False) -> None:
        self._logger = logger
        self.on_stderr = on_stderr
        self._known: dict[str, object] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything is written."""
        return self._logger.isEnabledFor(logging.CRITICAL)

    def begin(self, batch: int) -> None:
        """A batch begins: its number is on every line until the next one."""
        self._known = {"batch": batch}
        self.say("batch begun")

    def enter(self, step: str) -> None:
        """A step of the batch begins: its name is on every line until the next one."""
        self._known["step"] = step

    def say(self, what: str, level: int = logging.INFO, /, **fields: object) -> None:
        """One line. What is None or empty is left out."""
        if self._logger.isEnabledFor(level):
            told = {name: value for name, value in (self._known | fields).items() if value not in (None, "")}
            self._logger.log(level, "%s", what, extra={FIELDS: told})

    def batch_ended(self, summary: Ended) -> None:
        """A batch ended: how, after how long, and how much needs a person."""
        seconds = round((summary.ended_at - summary.started_at) / 1000, 3)
        level = logging.INFO if summary.exit_code in {0, 65} else logging.WARNING
        self._known.pop("step", None)
        counts = {f"count_{name.replace(' ', '_')}": number for name, number in summary.counts.items()}
        self.say("batch ended", level, exit_code=summary.exit_code, seconds=seconds, **counts)

    # ------------------------------------------------------------ as a reporter

    def step(self, name: str, total: int = 0) -> None:
        """A part of a step begins."""
        self.say("part begun", logging.DEBUG, part=name, total=total or None)

    def advance(self, amount: int = 1) -> None:
        """Progress is for those who watch."""

    def happened(self, what: str, count: int = 1) -> None:
        """Counts, for those who want everything; the ledger's events tell of each."""
        self.say("counted", logging.DEBUG, counted=what, count=count)

    def trouble(self, fault: GatewayError, where: str) -> None:
        """Something did not work."""
        ours = fault.exit_code in {1, 2, 78} or (fault.permanent and fault.exit_code == 69)
        level = logging.ERROR if ours else logging.WARNING  # a stranger's mail is no error of the gateway
        self.say("trouble", level, where=where, **_of_fault(fault))

    # ------------------------------------------------------------ as a listener of the ledger

    def heard(self, events: Sequence[Mapping[str, Any]]) -> None:
        """What a transaction has recorded, once it is durable."""
        for each in events:
            kind = str(each["kind"])
            level = logging.WARNING if kind in _WRONG or _is_bad(kind, each["body"]) else logging.INFO
            if self._logger.isEnabledFor(level):
                ids = {"exchange": each["exchange"], "message": each["message"], "partner": each["partner"]}
                self.say(kind, level, **ids, **_of_body(each["body"]))


def _is_bad(kind: str, body: str) -> bool:
    return kind == "examined" and ("rejected" in body or "partially_accepted" in body)


def _of_body(body: str) -> dict[str, object]:
    found = json.loads(body) if body and body != "{}" else {}
    return {name: found[key] for key, name in _TOLD.items() if isinstance(found.get(key), str | int)}


def _of_fault(fault: GatewayError) -> dict[str, object]:
    said: dict[str, object] = {"fault": fault.code, "side": fault.side.value}
    if isinstance(fault, _SPOKEN) and not isinstance(fault, SettingsInvalid):
        said["said"] = str(fault)
    elif isinstance(fault, Unexpected):
        said["kind"] = str(fault.details.get("reason", "")).partition(":")[0]  # the exception's name, not its words
        said["places"] = fault.behind.places if fault.behind is not None else ""
    return said


# ---------------------------------------------------------------- where lines go


@contextmanager
def logging_to(settings: LogSettings | None, stream: IO[str] | None = None, home: Path | None = None) -> Iterator[Log]:
    """The log as the settings want it, closed at the end; without settings one that writes nothing.

    Args:
        settings: of gateway.toml.
        stream: in place of standard error.
        home: whose settings they are, to name the line on which they stand.

    Raises:
        SettingsInvalid: the file cannot be written to.
    """
    logger = logging.Logger("gateway")  # noqa: LOG001 - of this block alone: nobody else's loggers are touched
    handler = _handler(settings, stream, home or Path()) if settings is not None else logging.NullHandler()
    logger.addHandler(handler)
    logger.setLevel(settings.level.upper() if settings is not None else logging.CRITICAL + 1)
    try:
        yield Log(logger, on_stderr=settings is not None and settings.file is None and stream is None)
    finally:
        logger.removeHandler(handler)
        handler.close()


def settings_of(home: Path) -> LogSettings | None:
    """What gateway.toml says of the log; None where it says nothing, or cannot be read: the command will say that."""
    try:
        return read_settings(home).log
    except GatewayError:
        return None


@contextmanager
def logged(home: Path) -> Iterator[Log]:
    """The log of a home's command; a fault that ends the command is a line of it too.

    Raises:
        SettingsInvalid: the file cannot be written to.
    """
    with logging_to(settings_of(home), home=home) as log:
        try:
            yield log
        except GatewayError as fault:
            log.trouble(fault, "command")
            raise


class _File(WatchedFileHandler):
    """A file that may be moved away; one that cannot be written any more stops nothing."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A full disk is told by everything else."""


def _handler(settings: LogSettings, stream: IO[str] | None, home: Path) -> logging.Handler:
    form: logging.Formatter = JsonLines() if settings.format == "json" else TextLines()
    if settings.file is not None:
        try:
            settings.file.parent.mkdir(parents=True, exist_ok=True)
            handler: logging.Handler = _File(settings.file, encoding="utf-8", errors="backslashreplace")
        except OSError as problem:
            reason = f"{settings.file} cannot be written: {problem.strerror or problem}"
            raise invalid(home, ("log", "file"), reason) from problem
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
        if stream is None and _is_journal(sys.stderr):
            form = JournalLines(form)
    handler.setFormatter(form)
    return handler


def _is_journal(stream: IO[str]) -> bool:
    """Whether a stream is systemd's journal, as it tells in the environment (systemd.exec(5))."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
