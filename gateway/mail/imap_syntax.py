"""IMAP's syntax (RFC 3501 sections 4, 5.1.3 and 9): answers into values; names and sets into commands."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from gateway.mail.spool import Spooled
from gateway.mail.wire import ConnectionLostError, readable

_TOKEN = re.compile(
    rb' *(?:(?P<mark>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|~?\{\d+\+?\}$|(?P<atom>(?:[^\x00-\x20()"\[\]{]|\[[^\]]*\])+))'
)
_FLAT = re.compile(  # only where a word begins: else a long one is read again from each of its characters
    rb'(?<![^ (])([^\x00-\x20()"{}\[\]]++) (\([^\x00-\x1f()"{}\[\]]*+\)|[^\x00-\x20()"{}\[\]]++)'
)
_BODY = re.compile(rb"\(UID (\d+) BODY\[\] \{\d+\}")
_ESCAPED = re.compile(rb"\\(.)")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_DEPTH = 50
_SET = 2_000  # characters of one set: servers may refuse commands of more than 8,000 (RFC 7162 section 4)


class Oversized(Struct, frozen=True):
    """Stands for a literal that was larger than the limit; its bytes were read and thrown away."""

    size: int


Piece = bytes | Spooled | Oversized
Value = bytes | Spooled | Oversized | None | list["Value"]


def values(pieces: Sequence[Piece]) -> list[Value]:
    """The values of an answer: atoms and strings as bytes, NIL as None, parentheses as lists.

    Args:
        pieces: text and literals in turn, the first and the last being text.

    Raises:
        ConnectionLostError: when this is not IMAP: the two sides are out of step.
    """
    stack: list[list[Value]] = [[]]
    for index, piece in enumerate(pieces):
        if index % 2 == 0 and isinstance(piece, bytes):
            _read_text(piece.rstrip(b" "), stack)
        else:
            stack[-1].append(piece)
    if len(stack) != 1:
        raise ConnectionLostError("an answer with parentheses left open")
    return stack[0]


def _read_text(text: bytes, stack: list[list[Value]]) -> None:
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ConnectionLostError(f"not an answer of IMAP: {readable(text[at : at + 80])!r}")
        at = token.end()
        mark, quoted, atom = token.group("mark", "quoted", "atom")
        if mark == b"(":
            _open(stack)
        elif mark == b")":
            _close(stack)
        elif quoted is not None:
            stack[-1].append(_ESCAPED.sub(rb"\1", quoted))
        elif atom is not None:
            stack[-1].append(None if atom.upper() == b"NIL" else atom)


def _open(stack: list[list[Value]]) -> None:
    if len(stack) > _DEPTH:
        raise ConnectionLostError("an answer with parentheses too deep")
    inner: list[Value] = []
    stack[-1].append(inner)
    stack.append(inner)


def _close(stack: list[list[Value]]) -> None:
    if len(stack) == 1:
        raise ConnectionLostError("an answer closes a parenthesis that was never opened")
    stack.pop()


def pairs(pieces: Sequence[Piece]) -> dict[bytes, Value]:
    """What a FETCH answer says of its message, by name in upper case: ``{b"UID": b"7", b"BODY[]": …}``.

    Raises:
        ConnectionLostError: when it is no list of names and values.
    """
    return _plain(pieces) or _named(values(pieces))


def _plain(pieces: Sequence[Piece]) -> dict[bytes, Value]:
    """The two forms that nearly all answers have, read four times as fast; {} where it is neither."""
    text = pieces[0] if isinstance(pieces[0], bytes) else b""
    if len(pieces) == 3 and pieces[2] == b")" and (body := _BODY.fullmatch(text)):
        return {b"UID": body[1], b"BODY[]": pieces[1]}
    if len(pieces) != 1 or not text.startswith(b"(") or not text.endswith(b")") or b"NIL" in text.upper():
        return {}
    found = _FLAT.findall(text, 1, len(text) - 1)
    if b" ".join([b"%b %b" % each for each in found]) != text[1:-1]:
        return {}
    return {name.upper(): list(value[1:-1].split()) if value[:1] == b"(" else value for name, value in found}


def _named(found: list[Value]) -> dict[bytes, Value]:
    items = found[0] if len(found) == 1 else None
    if not isinstance(items, list) or len(items) % 2:
        raise ConnectionLostError("a FETCH answer that is no list of names and values")
    named: dict[bytes, Value] = {}
    for name, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(name, bytes):
            raise ConnectionLostError("a FETCH answer without names")
        named[name.upper()] = value
    return named


def number(value: Value, *, most: int = 2**63) -> int | None:
    """A number that the server sent; None where it is none, or past what the protocol allows."""
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 20 or int(value) > most:
        return None
    return int(value)


def quoted(text: str) -> str:
    """``text`` as a quoted string.

    Raises:
        ValueError: when it holds what a quoted string cannot carry: control characters, or anything beyond ASCII.
    """
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("not printable ASCII")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def folder_name(name: str) -> str:
    """A folder's name as a command carries it: modified UTF-7 (RFC 3501 section 5.1.3), quoted.

    Everything but printable ASCII is encoded, so that no name can break out of its command.
    """
    encoded = "".join(
        _base64(part) if index % 2 else part.replace("&", "&-")
        for index, part in enumerate(re.split(r"([^\x20-\x7e]+)", unicodedata.normalize("NFC", name)))
    )
    return quoted(encoded)


def _base64(text: str) -> str:
    encoded = base64.b64encode(text.encode("utf-16-be", "surrogatepass")).decode("ascii")
    return f"&{encoded.rstrip('=').replace('/', ',')}-"


def sets(uids: Iterable[int]) -> Iterator[str]:
    """Sets for commands, such as ``1:3,7``, each short enough for one; only UIDs that were asked for are in them."""
    line: list[str] = []
    length = 0
    for run in _runs(sorted(set(uids))):
        if line and length + len(run) > _SET:
            yield ",".join(line)
            line, length = [], 0
        line.append(run)
        length += len(run) + 1
    if line:
        yield ",".join(line)


def _runs(uids: Sequence[int]) -> Iterator[str]:
    """Consecutive numbers together: nothing between the ends of a range is somebody else's."""
    start = 0
    for index, uid in enumerate(uids):
        if index + 1 < len(uids) and uids[index + 1] == uid + 1:
            continue
        yield str(uid) if index == start else f"{uids[start]}:{uid}"
        start = index + 1
