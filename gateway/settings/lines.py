"""On which line of a TOML file a key stands (tomllib does not tell).

The scanner walks text that tomllib has accepted, so it only has to find its way (TOML 1.0): comments, the four
kinds of strings, arrays and inline tables over several lines, dotted and quoted keys, arrays of tables.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''(?:.)*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key, table and array item in ``text``, which must be valid TOML."""
    return _Scanner(text).scan()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line (from 1) of the key at ``path``, or of the nearest table above it that is there; 1 where none is.

    ``lines`` is the answer of ``key_lines``.
    """
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Scanner:
    """One walk over one text; ``lines`` collects what was found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lines: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}  # arrays of tables: the index of the newest table

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self.lines

    def _header(self) -> KeyPath:
        """``[a.b]`` or ``[[a.b]]``: the path that the pairs below belong to."""
        line = self._line()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        names = self._dotted_key()
        self.at = self.text.index("]", self.at) + (2 if is_array else 1)
        path: KeyPath = ()
        for place, name in enumerate(names, 1):
            path = (*path, name)
            self.lines.setdefault(path, line)
            if is_array and place == len(names):
                self.arrays[path] = self.arrays.get(path, -1) + 1
            if path in self.arrays:
                path = (*path, self.arrays[path])
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        """``a.b = value``."""
        line = self._line()
        path = table
        for name in self._dotted_key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.at = self.text.index("=", self.at) + 1
        self._skip_blank()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self._string()
        elif opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._match(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self._next_item("]"):
            self.lines.setdefault((*path, index), self._line())
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self._next_item("}"):
            self._pair(path)

    def _next_item(self, closing: str) -> bool:
        """Moves to the next item of an array or inline table, or past its end."""
        self._skip_blank()
        if self.text[self.at] == ",":
            self.at += 1
            self._skip_blank()
        if self.text[self.at] != closing:
            return True
        self.at += 1
        return False

    def _dotted_key(self) -> list[str]:
        names = [self._simple_key()]
        self._skip_blank()
        while self.text[self.at] == ".":
            self.at += 1
            self._skip_blank()
            names.append(self._simple_key())
            self._skip_blank()
        return names

    def _simple_key(self) -> str:
        self._skip_blank()
        if self.text[self.at] in "\"'":
            return str(tomllib.loads(f"key = {self._string()}")["key"])
        return self._match(_BARE_KEY)

    def _string(self) -> str:
        return self._match(_STRING)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None or found.end() == self.at:
            raise ValueError(f"line {self._line()} is not TOML")
        self.at = found.end()
        return found.group()

    def _skip_blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def _line(self) -> int:
        return bisect_right(self.starts, self.at)
