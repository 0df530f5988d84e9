"""Retain: what is kept, for how long, and how; what is over its time is put away."""

from __future__ import annotations

from partners.directory import Directory


def encrypting(directory: Directory) -> frozenset[str]:
    """The partners whose raw bytes lie encrypted."""
    return frozenset(each.key for each in directory if each.storage.encrypt)
