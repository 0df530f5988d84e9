"""Handing documents to the business: a directory, a command, or an HTTP hook.

Each adapter can be asked again with the same deliverable after a crash or failure, and says so to the receiver:
a directory sees the same file name and bytes, a command and a hook the same key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.errors import ConfigurationFault, DeliveryFailed

SYNCS_AT_ONCE = 8
LONGEST_NAME = 200  # bytes; file systems allow 255, and a temporary name is longer than the final one

_UNSAFE = re.compile(r"[^\w.,@=+()-]+")


@dataclass(frozen=True, slots=True)
class Deliverable:
    """One document on its way to the business.

    ``name`` and ``key`` are the same whenever this document is offered. ``facts`` tell where it came from:
    partner, set_id, control numbers, business keys.
    """

    name: str
    key: str
    data: bytes
    facts: Mapping[str, str]


class Handover(Protocol):
    """A way to the business."""

    def deliver(self, item: Deliverable) -> str:
        """Hands it over and returns where it went. It is there for good once ``settle`` returned.

        Raises:
            DeliveryFailed: it did not succeed, or nobody knows; offering it again is safe.
        """
        ...

    def settle(self) -> None:
        """Makes everything that was handed over since the last time durable: one sync for many documents.

        Raises:
            DeliveryFailed: nobody knows whether it is; offering all of it again is safe.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectoryHandover:
    """A file in a directory: whole and durable, or not there. Readers never see a part of it.

    ``deliver`` writes a hidden file; ``settle`` syncs all of them at once, gives them their names and syncs the
    directory. Syncs that run at the same time share the disk's work: ten times as many files a second.
    """

    path: Path
    _waiting: dict[Path, Path] = field(default_factory=dict)  # final name → the hidden file that gets it

    def deliver(self, item: Deliverable) -> str:
        """Writes the file and returns the path that it will have.

        The same name with the same bytes is what a repetition looks like; with other bytes it is refused.
        """
        target = self.path / file_name(item.name, item.key)
        if target in self._waiting:
            self.settle()
        try:
            _make_directory(self.path)
            if not _holds(target, item.data):
                self._waiting[target] = _write(target, item.data)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise DeliveryFailed(what=item.name, target=self.path, reason=reason) from problem
        return str(target)

    def settle(self) -> None:
        """Syncs the files, renames them, and syncs the directory: also for a rename that a dead process left behind."""
        try:
            with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
                list(pool.map(_sync, self._waiting.values()))
            for target, temporary in self._waiting.items():
                temporary.rename(target)
            if self.path.is_dir():
                _sync_directory(self.path)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise DeliveryFailed(what="a group of documents", target=self.path, reason=reason) from problem
        finally:
            # After a failed sync nobody knows what the disk holds: the next attempt writes the file anew.
            for temporary in self._waiting.values():
                with suppress(OSError):
                    temporary.unlink()
            self._waiting.clear()


def handover_for(
    kind: str, target: str, *, timeout: float, token: str, home: Path, default_directory: Path
) -> Handover:
    """The way to the business that an agreement names: directory, command or http.

    Args:
        kind: directory, command or http.
        target: the directory (relative to the home; empty: ``default_directory``), the command line, or the URL.
        timeout: seconds for a command or a request.
        token: sent to an HTTP hook as a bearer token; empty for none.
        home: where relative directories begin and commands run.
        default_directory: where documents go without a target.

    Raises:
        ConfigurationFault: another kind, or no target where one is needed.
    """
    # Not at the top: most homes need neither programs nor HTTP.
    from gateway.flow.hooks import CommandHandover, HttpHandover  # noqa: PLC0415

    if kind == "directory":
        return DirectoryHandover(home / Path(target).expanduser() if target else default_directory)
    if kind not in {"command", "http"}:
        raise ConfigurationFault(reason=f"documents are delivered to directory, command or http, not {kind!r}.")
    if not target:
        raise ConfigurationFault(reason=f"a delivery of kind {kind} needs a target.")
    return CommandHandover(target, timeout, home) if kind == "command" else HttpHandover(target, timeout, token)


def file_name(label: str, key: str) -> str:
    """A file name for a label that came from outside: no path, no hidden file, not too long, no two alike.

    A label that is a good name stays as it is. One that had to be changed carries eight digits of its SHA-256,
    so that two different labels never become one name.
    """
    plain = _UNSAFE.sub("_", label).strip("._") or "document"
    if plain == label and len(label.encode()) <= LONGEST_NAME:
        return label
    digest = hashlib.sha256((label or key).encode(errors="surrogateescape")).hexdigest()[:8]
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending.encode()) > 16:
        stem, ending = plain, ""
    room = LONGEST_NAME - len(digest) - len(ending.encode()) - 2
    short = stem.encode()[:room].decode(errors="ignore")
    return f"{short}-{digest}" + (f".{ending}" if ending else "")


def _holds(target: Path, data: bytes) -> bool:
    """Whether the file is there already with these bytes, made durable.

    Raises:
        FileExistsError: it is there with other bytes, or it is no file.
    """
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size != len(data) or file.read() != data:
            raise FileExistsError(0, f"{target.name} is there already with other content")
        os.fsync(descriptor)
    return True


def _write(target: Path, data: bytes) -> Path:
    """Writes under a hidden name in the same directory and returns it; one that a dead process left is replaced."""
    temporary = target.with_name(f".{target.name}.part")
    with suppress(FileNotFoundError):
        temporary.unlink()
    with temporary.open("xb") as file:
        file.write(data)
    return temporary


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(path: Path) -> None:
    """Makes the directory and those above it, each durable: a new file is no safer than the way to it."""
    if path.is_dir():
        return
    if path.parent != path:
        _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
