"""Values: records of named fields, and how they become plain data.

A value is a ``msgspec.Struct``, frozen where it is not somebody's notes. Nothing here is decoded by msgspec: what a
struct gives over a dataclass is that its class is made in a fortieth of the time, which hundreds of classes feel when a
command starts, and itself in a seventh, which a night feels that makes thousands for each mail.
"""

from __future__ import annotations

from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

__all__ = ["asdict", "defaults"]


def asdict(value: Struct) -> dict[str, Any]:
    """The fields of a value by their names, and so on for the values in it, in lists, tuples and mappings too."""
    return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}


def defaults(kind: type[Struct]) -> dict[str, Any]:
    """What the fields of a kind of value are by default, where they have one; made anew where it is made for each."""
    found: dict[str, Any] = {}
    for each in fields(kind):
        if each.default is not NODEFAULT:
            found[each.name] = each.default
        elif each.default_factory is not NODEFAULT:
            found[each.name] = each.default_factory()
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return asdict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_plain, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value
