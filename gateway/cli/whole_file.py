"""Writing a file that is complete or not there at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.errors import UsageFault


def written_whole(target: Path, write: Callable[[Path], int]) -> int:
    """Writes beside the target and renames, so that nobody ever reads half of it; returns what ``write`` does.

    What a link leads to is written, and not a file put in the link's place. A pipe or device takes what is written to
    it as it comes: a file in its place would leave whoever reads there waiting, or every program without /dev/null.

    Raises:
        UsageFault: it cannot be written.
    """
    unfinished: Path | None = None
    try:
        place = Path(os.path.realpath(target))
        if place.exists() and not place.is_file():
            return write(target)
        unfinished = place.with_name(f".{place.name}.{os.getpid()}")
        count = write(unfinished)
        _sync(unfinished)  # else a power cut might leave the name, and nothing in it
        unfinished.replace(place)
    except OSError as problem:
        raise UsageFault(reason=f"{target} cannot be written: {problem.strerror}") from problem
    finally:
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    return count


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
