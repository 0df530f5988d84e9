"""Which transaction set belongs into which functional group (X12 elements 143 and 479)."""

from __future__ import annotations

from functools import cache

from gateway.x12.guideline import groups_of

_ACKNOWLEDGMENTS = {"997": "FA", "999": "FA"}  # the 999 stands in few of the tables


@cache
def groups() -> dict[str, str]:
    """GS01 of every set id that is known in any version."""
    return {each: group for group, sets in groups_of().items() for each in sets} | _ACKNOWLEDGMENTS


@cache
def known_groups() -> frozenset[str]:
    """Every GS01 that is known."""
    return frozenset(groups().values())
