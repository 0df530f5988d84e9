"""Which line of a TOML text each key stands on: tomllib reads the values but forgets where they were.

Works on texts that tomllib has accepted, so that the scanner need not judge anything, only find its way.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Any

KeyPath = tuple[str | int, ...]

_BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE_BLANKS = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_STRINGS = (  # the longest quotes first
    ('"""', re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL)),
    ("'''", re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL)),
    ('"', re.compile(r'"(?:[^"\\\n]|\\.)*"')),
    ("'", re.compile(r"'[^'\n]*'")),
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key, table and array item of a valid TOML text.

    A path names tables by key and items by index (from 0): ``("agreement", 0, "sets", 1)``. A table that
    is only implied by its children has the line of the first of them.
    """
    return _Scanner(text).scan()


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, or of the nearest thing around it that is written; 1 for the whole file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}  # arrays of tables and how many tables they have so far
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANKS)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANKS)
        return self.found

    def _header(self) -> KeyPath:
        line = self._line()
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        parts = self._key()
        self.at += 2 if double else 1
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._newest((*path, part))
            self.found.setdefault(path, line)
        path = (*path, parts[-1])
        self.found.setdefault(path, line)
        if double:
            self.counts[path] = self.counts.get(path, 0) + 1
        path = self._newest(path)
        self.found[path] = line
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self.counts[path] - 1) if path in self.counts else path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self.found.setdefault(path, line)
        self.at += 1  # the equals sign
        self._skip(_INLINE_BLANKS)
        self._value(path)

    def _key(self) -> list[str]:
        """A dotted key; leaves the place at whatever follows it and its blanks."""
        parts: list[str] = []
        while True:
            self._skip(_INLINE_BLANKS)
            if self.text[self.at] in "\"'":
                parts.append(_unquoted(self._skip_string()))
            else:
                parts.append(self._skip(_BARE_KEY))
            self._skip(_INLINE_BLANKS)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self._skip_string()
        elif opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._skip(_BARE_VALUE)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        self._skip(_BLANKS)
        while self.text[self.at] != "]":
            self.found[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._skip_comma()
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANKS)
        while self.text[self.at] != "}":
            self._pair(path)
            self._skip_comma()
        self.at += 1

    def _skip_comma(self) -> None:
        self._skip(_BLANKS)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANKS)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:  # only where the text is not valid TOML
            raise ValueError(f"unexpected {self.text[self.at]!r} in line {self._line()}")
        self.at = match.end()
        return match.group()

    def _skip_string(self) -> str:
        for quotes, pattern in _STRINGS:
            if self.text.startswith(quotes, self.at):
                return self._skip(pattern)
        raise ValueError(f"no string in line {self._line()}")

    def _line(self) -> int:
        return bisect_right(self.starts, self.at)


def _unquoted(key: str) -> str:
    """A quoted key without its quotes and escapes."""
    found: dict[str, Any] = tomllib.loads(f"{key} = 0")
    return next(iter(found))
