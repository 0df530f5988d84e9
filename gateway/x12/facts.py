"""Which transaction set belongs into which functional group (X12 elements 143 and 479)."""

from __future__ import annotations

from functools import cache

from gateway.x12.guideline.standard import catalog

_ACKNOWLEDGMENTS = {"997": "FA", "999": "FA"}  # 999 has a group from 005010 on only, some tables lack it


@cache
def groups() -> dict[str, str]:
    """GS01 of every set id that is known in any version."""
    return {**catalog()["groups"], **_ACKNOWLEDGMENTS}


@cache
def known_groups() -> frozenset[str]:
    """Every GS01 that is known."""
    return frozenset(groups().values())
