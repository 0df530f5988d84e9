"""What a gateway.toml says, key by key, for the ledger: every change of it is history, and no secret is.

Passwords never stand in the file (the reader refuses them by name). What may hold one all the same is told only in
part: of a webhook the host, of a command the program. A mark of four digits beside it tells that the rest changed; it
is too short to tell what the rest is.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit

_MARK = 4  # hexadecimal digits


def as_written(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Every key with its value as text, by name: ``smtp.host``, ``alert.night.to``."""
    return tuple(sorted(_flat(document, ())))


def _flat(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, (*path, str(name)))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value, 1):
            yield from _flat(each, (*path, str(each.get("name", number))))
    else:
        yield ".".join(path), _told(path, value)


def _told(path: tuple[str, ...], value: object) -> str:
    if isinstance(value, str):
        if path[-1] == "webhook":
            return _marked(f"https://{_host(value)}/…", value)
        if path[-1] == "command":
            return _marked(f"{_program(value)} …", value)
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=str)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def _program(command: str) -> str:
    try:
        return next(iter(shlex.split(command)), "?")
    except ValueError:
        return "?"


def _marked(shown: str, whole: str) -> str:
    return f"{shown} #{hashlib.sha256(whole.encode()).hexdigest()[:_MARK]}"
