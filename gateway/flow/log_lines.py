"""The lines of the log: for people as words, for machines as JSON, for systemd's journal with its marks. Pure.

A line has time, level and what, then where it is known batch, exchange, message, partner and the like. Values are
shortened and kept on their line, whatever they hold.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

FIELDS = "gateway_fields"  # the attribute of a record that holds what else is known
_LONGEST = 500  # characters of a value
_PRIORITIES = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (0, 7),
)  # syslog's, as sd-daemon(3) has them


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What a record says beside time, level and what."""
    found = getattr(record, FIELDS, {})
    return found if isinstance(found, Mapping) else {}


class JsonLines(logging.Formatter):
    """Each record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """``{"time": …, "level": "info", "what": "delivered", "batch": 12, "exchange": 34}``."""
        told: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "what": _short(record.getMessage()),
        }
        told |= {name: _short(value) if isinstance(value, str) else value for name, value in fields_of(record).items()}
        return json.dumps(told, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """Each record as words: time, level, what, and ``name=value`` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """``2026-11-02T22:00:00.000Z INFO delivered batch=12 exchange=34``."""
        said = [_time(record), f"{record.levelname:7}", _short(record.getMessage())]
        return " ".join(said + [f"{name}={_word(value)}" for name, value in fields_of(record).items()])


class JournalLines(logging.Formatter):
    """As another form has it, without the time, which the journal knows, and with the priority before it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """``<6>INFO delivered batch=12``; JSON keeps its time."""
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        line = self._inner.format(record)
        if isinstance(self._inner, TextLines):
            line = line.partition(" ")[2]
        return f"<{priority}>{line}"


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _short(text: str) -> str:
    """On one line, not too long, without what a terminal would obey."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _word(value: object) -> str:
    text = _short(str(value))
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)
