"""Handing documents to the business: a directory, a command, or an HTTP hook.

Each adapter can be asked again with the same deliverable after a crash or failure, and says so to the receiver:
a directory sees the same file name and bytes, a command and a hook the same key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from gateway.errors import ConfigurationFault, DeliveryFailed

OPEN_AT_ONCE = 200  # files written and not yet synced
LONGEST_NAME = 200  # bytes; file systems allow 255, and a temporary name is longer than the final one

_UNSAFE = re.compile(r"[^\w.,@=+()-]+")


class Deliverable(Struct, frozen=True):
    """One document on its way to the business.

    ``name`` and ``key`` are the same whenever this document is offered. ``facts`` tell where it came from:
    partner, set_id, control numbers, business keys.
    """

    name: str
    key: str
    data: bytes
    facts: Mapping[str, str]


class _Written(Struct, frozen=True):
    """A file under its hidden name, still open."""

    path: str
    descriptor: int


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


class DirectoryHandover(Struct, frozen=True):
    """A file in a directory: whole and durable, or not there. Readers never see a part of it.

    ``deliver`` writes a hidden file and asks the disk to begin with it; ``settle`` syncs all of them, gives them
    their names and syncs the directory. By then most of the data is on its way, and the files share the disk's work:
    a fifth of the time that one sync after the other takes.
    """

    path: Path
    _waiting: dict[str, _Written] = field(default_factory=dict)  # by final path
    _lost: list[DeliveryFailed] = field(default_factory=list)  # what went wrong since the last ``settle``

    def deliver(self, item: Deliverable) -> str:
        """Writes the file and returns the path that it will have.

        The same name with the same bytes is what a repetition looks like; with other bytes it is refused.
        """
        directory, name = str(self.path), file_name(item.name, item.key)
        target = os.path.join(directory, name)  # noqa: PTH118 - there may be thousands: a Path takes ten times as long
        if target in self._waiting or len(self._waiting) >= OPEN_AT_ONCE:
            self._settle_early()
        try:
            if not self._waiting:
                _make_directory(self.path)
            if not _holds(target, item.data):
                self._waiting[target] = _write(f"{directory}/.{name}.part", item.data)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise DeliveryFailed(what=item.name, target=self.path, reason=reason) from problem
        return target

    def _settle_early(self) -> None:
        """Makes room. If it fails, those who wait for ``settle`` must hear of it too: their files are gone."""
        try:
            self.settle()
        except DeliveryFailed as fault:
            self._lost.append(fault)
            raise

    def settle(self) -> None:
        """Syncs the files, renames them, and syncs the directory: also for a rename that a dead process left behind."""
        lost, self._lost[:] = self._lost[:1], []
        settled = False
        try:
            if lost:
                raise lost[0]
            for written in self._waiting.values():
                os.fsync(written.descriptor)
            for target, written in self._waiting.items():
                os.rename(written.path, target)  # noqa: PTH104
            if self.path.is_dir():
                _sync_directory(self.path)
            settled = True
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise DeliveryFailed(what="a group of documents", target=self.path, reason=reason) from problem
        finally:
            self._let_go(remove=not settled)

    def _let_go(self, *, remove: bool) -> None:
        """Closes all files. One without its name is removed: after a failed sync nobody knows what the disk holds."""
        for written in self._waiting.values():
            with suppress(OSError):
                os.close(written.descriptor)
            if remove:
                with suppress(OSError):
                    os.unlink(written.path)  # noqa: PTH108
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


def _holds(target: str, data: bytes) -> bool:
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
            raise FileExistsError(0, f"{Path(target).name} is there already with other content")
        os.fsync(descriptor)
    return True


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def _write(temporary: str, data: bytes) -> _Written:
    """Writes under a hidden name in the same directory; a file that a dead process left there is replaced."""
    try:
        descriptor = os.open(temporary, _NEW, 0o666)
    except FileExistsError:
        os.unlink(temporary)  # noqa: PTH108
        descriptor = os.open(temporary, _NEW, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        # Not a promise, a hint: the kernel begins to write now, and the sync later has little left to wait for.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except BaseException:
        os.close(descriptor)
        Path(temporary).unlink(missing_ok=True)
        raise
    return _Written(temporary, descriptor)


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
