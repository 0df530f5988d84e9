"""The manifest of a backup: what it holds, as of when, and the SHA-256 of every file in it.

It is a JSON file beside them, and its own last field is its SHA-256, so that a flipped bit in it is found too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from gateway.errors import BackupDamaged
from gateway.ledger import backup_files
from gateway.ledger.moments import iso
from gateway.ledger.reached import Mark, Reached
from gateway.values import asdict

FILE_NAME = "manifest.json"
FORMAT = 1
SQLITE, POSTGRESQL = "sqlite", "postgresql"
LEDGER = {SQLITE: "ledger.db", POSTGRESQL: "ledger.dump"}  # the name of the file that holds the database
HOME = "home"  # the directory that holds what else belongs to a home
KEY = f"{HOME}/secret.key"
_LARGEST = 100_000_000  # bytes of a manifest


class KeptFile(Struct, frozen=True):
    """A file of a backup. ``name`` is its path within it; ``sha256`` is in hexadecimal."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What a backup holds. ``at`` is its moment: what was committed until then is in it, and nothing else."""

    at: int  # ms since 1970 UTC
    gateway: str  # the version that made it
    host: str  # the machine that made it
    home: str
    kind: str  # sqlite, postgresql
    url: str  # of the database, without a password
    server: str  # the version of SQLite or PostgreSQL
    program: str  # of pg_dump; empty for SQLite
    schema: str  # of PostgreSQL; empty for SQLite
    revision: str  # of the database's tables
    reached: Reached
    files: tuple[KeptFile, ...]
    verified: str  # how it was checked when it was made: quick, full

    @property
    def ledger(self) -> KeptFile:
        """The file that holds the database."""
        return next(each for each in self.files if each.name == LEDGER[self.kind])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    @property
    def home_files(self) -> tuple[KeptFile, ...]:
        """What else belongs to a home, where it was put in."""
        return tuple(each for each in self.files if each.name.startswith(f"{HOME}/"))

    @property
    def holds_key(self) -> bool:
        """Whether the key of the secrets is in it: with it everything in the database can be read."""
        return any(each.name == KEY for each in self.files)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times are ISO 8601 beside milliseconds, numbers are a list."""
        found = {name: value for name, value in asdict(self).items() if name not in {"reached", "files"}}
        return {
            "format": FORMAT,
            "made": iso(self.at),
            **found,
            "newest_event": asdict(self.reached.newest),
            "tree": {"size": self.reached.size, "root": self.reached.root},
            "numbers": list(_listed(self.reached.numbers)),
            "files": [asdict(each) for each in self.files],
            "size": self.size,
        }


def write(manifest: Manifest, directory: Path) -> None:
    """Writes it into the directory of its backup; durable when this returns.

    Raises:
        OSError: with the reason.
    """
    document = manifest.as_dict()
    data = json.dumps(document | {"sha256": _digest(document)}, ensure_ascii=False, indent=2).encode()
    with backup_files.written(directory / FILE_NAME) as file:
        file.write(data + b"\n")


def read(backup: Path) -> Manifest:
    """The manifest of a backup, which says what it was when it was made.

    Raises:
        BackupDamaged: there is none, or it is not what was written.
    """
    try:
        with backup_files.regular(backup / FILE_NAME) as file:
            document = json.loads(file.read(_LARGEST))
        found = _parsed(document)
    except FileNotFoundError:
        raise BackupDamaged(
            path=backup, reason=f"it has no {FILE_NAME}, so it is none, or was never finished"
        ) from None
    except OSError as problem:
        raise BackupDamaged(path=backup, reason=f"{FILE_NAME}: {problem.strerror or problem}") from problem
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError) as problem:
        raise BackupDamaged(path=backup, reason=f"{FILE_NAME} cannot be understood: {problem}") from problem
    if document.get("sha256") != _digest({name: value for name, value in document.items() if name != "sha256"}):
        raise BackupDamaged(path=backup, reason=f"{FILE_NAME} was changed after it was written")
    return found


def _parsed(document: Mapping[str, Any]) -> Manifest:
    if document["format"] != FORMAT:
        raise ValueError(f"it is of format {document['format']!r}, and this gateway knows {FORMAT}")
    files = tuple(KeptFile(str(each["name"]), int(each["size"]), str(each["sha256"])) for each in document["files"])
    for each in files:
        _check_name(each.name)
    tree, newest = document["tree"], document["newest_event"]
    reached = Reached(
        Mark(int(newest["seq"]), int(newest["at"]), str(newest["mark"])),
        dict(_named(document["numbers"])),
        int(tree["size"]),
        str(tree["root"]),
    )
    words = ("gateway", "host", "home", "kind", "url", "server", "program", "schema", "revision", "verified")
    found = Manifest(
        at=int(document["at"]), reached=reached, files=files, **{name: str(document[name]) for name in words}
    )
    _ = found.ledger  # raises where there is no database in it
    return found


def _check_name(name: str) -> None:
    """A name leads into the backup and nowhere else.

    Raises:
        ValueError: it does not.
    """
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file in a backup")


def _listed(numbers: Mapping[str, int]) -> Iterator[dict[str, object]]:
    for name in sorted(numbers):
        partner, ours, theirs, level = json.loads(name)
        yield {"partner": partner, "ours": ours, "theirs": theirs, "level": level, "next": numbers[name]}


def _named(listed: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    for each in listed:
        yield json.dumps([each[name] for name in ("partner", "ours", "theirs", "level")]), int(each["next"])


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
