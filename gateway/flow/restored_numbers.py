"""How far control numbers had come when a backup of a directory was last put back: kept beside the backups.

A backup that is restored once more, when the ledger and its checkpoint are lost again, knows nothing of the numbers
that were used in between. The file lies where the backups lie, because they are what is left then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gateway.flow.checkpoint import ahead_of

FILE_NAME = "restored-numbers.json"


def noted(backup: Path) -> dict[str, int]:
    """What was noted beside a backup: JSON list of partner, ours, theirs, level → next; none where none can be read."""
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads((backup.parent / FILE_NAME).read_text(encoding="utf-8"))
        return {name: number for name, number in found.items() if isinstance(number, int) and number > 0}
    return {}


def note(backup: Path, numbers: Mapping[str, int]) -> None:
    """Notes how far the numbers of a restored ledger have come; backups that cannot be written to stay as they are."""
    before = noted(backup)
    known = {
        name: ahead_of([each[name] for each in (before, numbers) if name in each], 0)
        for name in sorted({*before, *numbers})
    }
    file = backup.parent / FILE_NAME
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        temporary.replace(file)
