"""Makes the k-th call to the kernel go wrong, in any thread or process of a batch (see faultpoint.c)."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.need import program

SOURCE = Path(__file__).with_name("faultpoint.c")
CALLS = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mkdir", "connect", "send", "recv")


@dataclass(frozen=True, slots=True)
class Injection:
    """Which call goes wrong, and how. ``do``: kill, group (all processes at once), stop, or the name of an errno.

    ``for_ever``: every later call goes wrong too; errors only.
    """

    at: int
    do: str = "kill"
    calls: tuple[str, ...] = CALLS
    for_ever: bool = False

    def __str__(self) -> str:
        calls = "call" if self.calls == CALLS else "/".join(self.calls)
        return f"{self.do} at {calls} {self.at}{' and ever after' if self.for_ever else ''}"


class Injector:
    """The preloaded library, built once into ``place``, and the counters of the last batch."""

    def __init__(self, place: Path) -> None:
        self.library, self._state, self._log = place / "faultpoint.so", place / "counters", place / "calls"
        command = [program("cc"), "-shared", "-fPIC", "-O1", "-o", str(self.library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)

    def environment(self, injection: Injection | None, calls: tuple[str, ...] = CALLS) -> dict[str, str]:
        """What to start the next batch with; None only counts and lists the calls."""
        self._state.write_bytes(bytes(4_096))
        self._log.unlink(missing_ok=True)
        found = {"LD_PRELOAD": str(self.library), "FAULT_STATE": str(self._state)}
        if injection is None:
            return found | {"FAULT_CALLS": f",{','.join(calls)},", "FAULT_LOG": str(self._log)}
        found["FAULT_CALLS"] = f",{','.join(injection.calls)},"
        found["FAULT_AT"] = str(injection.at)
        if injection.do in errno.errorcode.values():
            found["FAULT_DO"] = str(getattr(errno, injection.do))
            found["FAULT_LAST"] = str(10**9 if injection.for_ever else injection.at)
        else:
            found["FAULT_DO"] = injection.do
        return found

    @property
    def counted(self) -> int:
        """How many calls the last batch made."""
        return int(struct.unpack("ll", self._state.read_bytes()[:16])[0])

    @property
    def fired(self) -> bool:
        """Whether anything went wrong in the last batch."""
        return bool(struct.unpack("ll", self._state.read_bytes()[:16])[1])

    def calls(self) -> list[str]:
        """The calls that the last batch made, where they were listed: name and file."""
        return [line.replace(os.sep, "/") for line in self._log.read_text(errors="replace").splitlines()]
