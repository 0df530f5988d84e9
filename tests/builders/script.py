"""A program that lies in no package, as a module: what tools/, docs/ and migrations/ hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TOP = Path(__file__).resolve().parents[2]


def load(path: Path | str) -> ModuleType:
    """Runs a file, named from the top of the repository, as a module of its own name."""
    file = TOP / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their names
    spec.loader.exec_module(module)
    return module
