"""What our own mail exchanger says of a sender: Authentication-Results (RFC 8601), read strictly. Pure.

Anybody can write such a header into a mail. One counts only when it names our mail exchanger, is the topmost that
does, and stands where only our own servers write: above the first Received field that is not theirs. What does not
follow the grammar says nothing; it is never repaired and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from gateway.mail.decode import Raw
from gateway.mail.model import Proof
from gateway.settings.model import Limits, ProofSettings

_RESULTS = 100  # statements in one header
_PROPERTIES = 60  # of one statement
_DEPTH = 10  # comments in comments
_FIELDS = 200  # Received and Authentication-Results fields that are looked at
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(
    rb"^(received|authentication-results)[ \t]*+:((?:[^\n]++|\n(?=[ \t]))*+)", re.IGNORECASE | re.MULTILINE
)
_SPACE = re.compile(r"[ \t\r\n]++")
_COMMENT_PIECE = re.compile(r"[^()\\]++|\\.|[()]", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*+")
_WORD = re.compile(r'[^\s;=()"]++')
_VALUE = re.compile(r'[^\s;()"]++')
_VERSION = re.compile(r"[0-9]++")
_UNNAMED = "(unnamed)"
_UNREADABLE = "?"  # no authserv-id that a setting can hold


class Result(Struct, frozen=True):
    """What one method came to: ``dkim=pass header.d=acme.example``. Names and the result are in lower case."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()

    def said(self, name: str) -> str:
        """The value of a property; "" where it is absent, or there twice with different values."""
        values = {value for key, value in self.properties if key == name}
        return values.pop() if len(values) == 1 else ""

    def domain(self, name: str) -> str:
        """The value of a property as a domain name, without what stands before an @."""
        return self.said(name).rpartition("@")[2].rstrip(".").lower()


class Statement(Struct, frozen=True):
    """One Authentication-Results header; ``authserv_id`` is "" where it names nobody, in lower case else."""

    authserv_id: str
    results: tuple[Result, ...]

    @property
    def told(self) -> str:
        """The results in short, for a sentence."""
        said = ", ".join(f"{each.method}={each.result}" for each in self.results[:6])
        return f"{self.authserv_id or 'our mail exchanger'} says {said or 'nothing that can be read'}"


def mx_proof(raw: Raw, address: str, settings: ProofSettings, limits: Limits) -> tuple[Proof | None, str]:
    """Whether our mail exchanger says that the domain of ``address`` sent this: (the proof, or None; what was found).

    ``address`` is the one address of the only From header, normalised.
    """
    if not settings.authserv_ids and not settings.unnamed:
        return None, "no mail exchanger of ours is named (proof.authserv_ids)"
    statement = own_statement(trace(raw, limits), settings)
    if statement is None:
        return None, "no statement of our mail exchanger"
    passed = _passed(statement, address.rpartition("@")[2].lower())
    if passed is None:
        return None, statement.told
    result, domain = passed
    detail = [("authserv_id", statement.authserv_id or _UNNAMED), ("method", result.method), ("domain", domain)]
    if selector := result.said("header.s"):
        detail.append(("selector", selector[:100]))
    return Proof("mx", tuple(detail)), ""


def own_statement(fields: Sequence[tuple[str, str]], settings: ProofSettings) -> Statement | None:
    """The topmost statement that is ours, however bad; None where none stands in the place of ours."""
    received = 0
    for name, value in fields:
        if name == "received":
            received += 1
            if received > settings.received_above:
                return None
            continue
        statement = parse(value)
        if statement.authserv_id in settings.authserv_ids or (settings.unnamed and not statement.authserv_id):
            return statement
    return None


def aligned(signer: str, sender: str) -> bool:
    """Whether a signer speaks for a sender's domain: it is that domain, or one above it with two labels or more."""
    return "." in signer.strip(".") and (sender == signer or sender.endswith(f".{signer}"))


def _passed(statement: Statement, domain: str) -> tuple[Result, str] | None:
    """The result that proves the domain of the sender, with the domain that it names; None where there is none."""
    for each in statement.results:
        if each.method == "dmarc" and each.result == "fail" and each.domain("header.from") in {"", domain}:
            return None  # whatever else passed is not the sender's
    for each in statement.results:
        if each.result != "pass":
            continue
        if each.method == "dmarc" and each.domain("header.from") == domain:
            return each, domain
        if each.method == "dkim":
            signer = each.domain("header.d") if _has(each, "header.d") else each.domain("header.i")
            if aligned(signer, domain):
                return each, signer
    return None


def _has(result: Result, name: str) -> bool:
    return any(key == name for key, _ in result.properties)


# ---------------------------------------------------------------- where it stands


def trace(raw: Raw, limits: Limits) -> list[tuple[str, str]]:
    """The Received and Authentication-Results fields of a mail in their order: (name in lower case, value unfolded)."""
    head = raw[: limits.header_block]
    if head[:1] == b"\n" or head[:2] == b"\r\n":
        return []
    end = _BLANK_LINE.search(head)
    block = head[: end.start() + 1] if end else head
    found: list[tuple[str, str]] = []
    for match in _FIELD.finditer(block):
        if len(found) >= _FIELDS:
            break
        value = match[2].replace(b"\r\n", b"").replace(b"\n", b"")
        found.append((match[1].decode("ascii").lower(), value.decode("utf-8", "replace").strip()))
    return found


# ---------------------------------------------------------------- the grammar


class _GarbageError(ValueError):
    """The header does not follow the grammar."""


def parse(value: str) -> Statement:
    """One header's value, unfolded. What cannot be read whole has no results."""
    scanner = _Scanner(value)
    authserv_id = _UNREADABLE
    try:
        authserv_id = _authserv_id(scanner)
        return Statement(authserv_id, tuple(_results(scanner, named=bool(authserv_id))))
    except _GarbageError:
        return Statement(authserv_id, ())


def _authserv_id(scanner: _Scanner) -> str:
    """The name of who says it, and the version of the grammar; "" where the header begins with a result."""
    start = scanner.skip()
    name = scanner.quoted_or(_WORD)
    scanner.skip()
    if scanner.peek() == "=":
        scanner.at = start  # Microsoft 365 names nobody
        return ""
    version = scanner.match(_VERSION)
    scanner.skip()
    if not name or version not in {"", "1"} or scanner.peek() not in {"", ";"}:
        raise _GarbageError
    return name.lower()


def _results(scanner: _Scanner, *, named: bool) -> Iterator[Result]:
    count = 0
    first = not named
    while first or scanner.take(";"):
        first = False
        scanner.skip()
        if scanner.peek() in {"", ";"}:
            continue  # a semicolon too many
        count += 1
        if count > _RESULTS:
            raise _GarbageError
        result = _result(scanner, named=named)
        if result is not None:
            yield result
    if scanner.peek():
        raise _GarbageError


def _result(scanner: _Scanner, *, named: bool) -> Result | None:
    """``method = result`` with its properties; None for ``none``, and for the bare domain of Microsoft 365."""
    start = scanner.at
    method = scanner.match(_NAME)
    scanner.skip()
    if scanner.take("/"):
        scanner.skip()
        if scanner.match(_VERSION) != "1":
            raise _GarbageError
        scanner.skip()
    if not method or not scanner.take("="):
        scanner.at = start
        word = scanner.match(_WORD)
        scanner.skip()
        if scanner.peek() in {"", ";"} and (word.lower() == "none" or (word and not named)):
            return None
        raise _GarbageError
    scanner.skip()
    result = scanner.match(_NAME)
    if not result:
        raise _GarbageError
    return Result(method.lower(), result.lower(), tuple(_properties(scanner)))


def _properties(scanner: _Scanner) -> Iterator[tuple[str, str]]:
    for _ in range(_PROPERTIES):
        scanner.skip()
        if scanner.peek() in {"", ";"}:
            return
        names = [scanner.match(_NAME)]
        scanner.skip()
        while scanner.take("."):
            scanner.skip()
            names.append(scanner.match(_NAME))
            scanner.skip()
        if not all(names) or len(names) > 4 or not scanner.take("="):
            raise _GarbageError
        scanner.skip()
        yield ".".join(names).lower(), scanner.quoted_or(_VALUE)
    raise _GarbageError


class _Scanner:
    """A place in a text. Every step goes forward, so that reading takes no longer than the text is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character, or ""."""
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> bool:
        """Goes past the character if it is the next."""
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def match(self, pattern: re.Pattern[str]) -> str:
        """What the pattern takes from here; "" where it does not fit."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def quoted_or(self, pattern: re.Pattern[str]) -> str:
        """A quoted string's content, with what follows it at once (``"a b"@acme.example``), or what the pattern takes.

        Raises:
            _GarbageError: for a quoted string without an end.
        """
        if self.peek() != '"':
            return self.match(pattern)
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise _GarbageError
        self.at = found.end()
        return _ESCAPED.sub(r"\1", found[1]) + self.match(pattern)

    def skip(self) -> int:
        """Goes past blanks and comments, and says where that leads.

        Raises:
            _GarbageError: for a comment without an end, or nested too deep.
        """
        while True:
            self.match(_SPACE)
            if self.peek() != "(":
                return self.at
            self._comment()

    def _comment(self) -> None:
        depth = 0
        while piece := self.match(_COMMENT_PIECE):
            depth += {"(": 1, ")": -1}.get(piece, 0)
            if depth > _DEPTH:
                raise _GarbageError
            if depth == 0:
                return
        raise _GarbageError
