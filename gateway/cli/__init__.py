"""The command line. One module a command group; this one puts them together."""

from __future__ import annotations

from gateway.cli.main import main

__all__ = ["main"]
