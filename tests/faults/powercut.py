"""Power cuts: the ledger on one ext4 file system, the business's inbox on another, both stopped in the middle.

``EXT4_IOC_SHUTDOWN`` without flushing the log drops whatever was not synced, as a machine does that loses power.
kill -9 never shows a missing sync, because the kernel lives on and writes everything; this does. Two file systems,
because on one the sync of the ledger carries the neighbours' names along.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from servers.need import absent, program

from faults import checker
from faults.home import Options
from faults.trial import Bench, Verdict

_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2  # linux/fs/ext4: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
_BATCH = 0.45  # seconds that a batch takes, about


class Disks:
    """Two small disks, mounted while the block runs, and let go of whatever happens."""

    def __init__(self, place: Path, size: str = "48M", options: str = "") -> None:
        self._images = [place / "ledger.img", place / "inbox.img"]
        self.mounts = [place / "disk-ledger", place / "disk-inbox"]
        self._size, self._options = size, options

    def __enter__(self) -> Self:
        make = program("mkfs.ext4")
        try:
            for image, mount in zip(self._images, self.mounts, strict=True):
                mount.mkdir()
                _run("truncate", "-s", self._size, str(image))
                _run(make, "-q", "-F", str(image))
            self.mount()
        except (subprocess.CalledProcessError, PermissionError) as problem:
            self.__exit__()
            said = problem.stderr.decode(errors="replace").strip() if hasattr(problem, "stderr") else problem
            absent(f"file systems cannot be mounted from files here: {said}")
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount(lazily=True)

    def mount(self) -> None:
        """Mounts both; the file system repairs itself from its journal."""
        for image, mount in zip(self._images, self.mounts, strict=True):
            _run("mount", "-o", f"loop{self._options}", str(image), str(mount))

    def unmount(self, *, lazily: bool = False) -> None:
        """Unmounts what is mounted; waits for processes that are just ending."""
        for mount in self.mounts:
            for _ in range(100):
                if not os.path.ismount(mount) or _unmounted(mount):
                    break
                time.sleep(0.05)
            if lazily and os.path.ismount(mount):
                subprocess.run(["umount", "-l", str(mount)], check=False, capture_output=True)

    def sync(self) -> None:
        """What lies on them is there for good."""
        for mount in self.mounts:
            _run("sync", "-f", str(mount))

    def cut(self) -> None:
        """The power goes: nothing that was not synced will be there."""
        for mount in self.mounts:
            descriptor = os.open(mount, os.O_RDONLY)
            try:
                fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
            finally:
                os.close(descriptor)

    @contextmanager
    def bench(self, options: Options, make: Callable[[Options, Path], Bench] | None = None) -> Iterator[Bench]:
        """A bench whose home and inbox lie on the disks."""
        place = self.mounts[0].parent / "bench"
        place.mkdir()
        with make(options, place) if make else Bench(place, options) as bench:
            bench.home = self.mounts[0] / "home"
            yield bench

    def begin(self, bench: Bench) -> None:
        """A new trial, all of it on the disks."""
        inbox = self.mounts[1] / "inbox"
        shutil.rmtree(inbox, ignore_errors=True)
        inbox.mkdir()
        bench.begin()
        (bench.home / "inbox").rmdir()
        (bench.home / "inbox").symlink_to(inbox)
        self.sync()


def cut_trial(bench: Bench, disks: Disks, chance: random.Random) -> Verdict:
    """One power cut: at any time, or just after something that the mail host saw; then batches undisturbed."""
    disks.begin(bench)
    bench.found = []
    seen, wanted = threading.Event(), chance.randint(1, 45)
    delay = chance.choice((0.0, chance.uniform(0, 0.01), chance.uniform(0, 0.1)))
    if by_time := chance.random() < 0.35:
        delay = chance.uniform(0, _BATCH)
        seen.set()
    commands: list[str] = []

    def look(protocol: str, command: str) -> None:
        commands.append(f"{protocol} {command[:4]}")
        if len(commands) == wanted:
            seen.set()

    bench.world.spoil = look
    batch = bench.start()
    until = time.monotonic() + 10
    while not seen.wait(0.005) and batch.wait(0) is None and time.monotonic() < until:
        pass
    time.sleep(delay)
    running = batch.wait(0) is None
    at = f"{delay * 1000:.0f} ms after {'the start' if by_time else commands[-1] if commands else 'nothing'}"
    _cut(bench, disks, batch)
    bench.world.spoil = lambda _protocol, _command: None
    disks.unmount()
    disks.mount()
    bench.found += checker.at_once(bench.world, bench.home)
    bench.recover()
    verdict = bench.verdict(f"cut {at}")
    return Verdict(verdict.name, verdict.violations, running, verdict.copies, verdict.held)


def _cut(bench: Bench, disks: Disks, batch) -> None:
    with suppress(ProcessLookupError):
        os.killpg(batch.pid, signal.SIGSTOP)  # nobody computes on while the disks go
    disks.cut()
    batch.kill()
    bench.world.hang_up()


def _unmounted(mount: Path) -> bool:
    return subprocess.run(["umount", str(mount)], check=False, capture_output=True).returncode == 0


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
