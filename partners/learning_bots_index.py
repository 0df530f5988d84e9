"""The index of a Bots plugin, read without running it: Python or JSON text in, plain entries out. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import UsageFault

LARGEST = 20_000_000  # characters of an index
_MOST = 200_000  # entries


def read_index(text: str, name: str) -> list[dict[str, Any]]:
    """The entries of an index: ``plugins = [{…}, …]`` (Bots 3), JSON by type (Bots 4), or as Django writes fixtures.

    Raises:
        UsageFault: it is none of these.
    """
    if len(text) > LARGEST:
        raise UsageFault(reason=f"{name} has more than {LARGEST} characters.")
    found = _of_json(text) if text.lstrip("\ufeff \r\n\t")[:1] in {"[", "{"} else _of_python(text, name)
    entries = [_entry(each) for each in found[:_MOST] if isinstance(each, dict)]
    entries = [each for each in entries if each.get("plugintype")]
    if not entries:
        raise UsageFault(reason=f"{name} holds no entries of Bots (plugins = [{{'plugintype': …}}, …]).")
    return entries


def read_syntax(text: str) -> dict[str, Any]:
    """The dictionary ``syntax`` of a partner's own syntax file; empty where there is none."""
    try:
        node = _assigned(ast.parse(text[:LARGEST]), "syntax")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = _literal(node) if node is not None else None
    return found if isinstance(found, dict) else {}


def _entry(found: Mapping[str, Any]) -> dict[str, Any]:
    """An entry in the form of plugins; Django's fixtures have model, pk and fields."""
    if "plugintype" in found or "model" not in found:
        return dict(found)
    fields = dict(found.get("fields") or {})
    kind = str(found["model"]).rpartition(".")[2]
    key = {"partner": "idpartner", "partnergroep": "idpartner", "channel": "idchannel", "uniek": "domein"}.get(kind)
    return fields | {"plugintype": kind} | ({key: found.get("pk")} if key else {})


def _of_json(text: str) -> list[Any]:
    try:
        found = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as problem:
        raise UsageFault(reason=f"The index is no JSON: {problem}") from None
    if isinstance(found, dict):
        found = found.get("plugins", [])
    if isinstance(found, dict):  # Bots 4: lists of entries by their type
        found = [
            {"plugintype": kind, **each}
            for kind, listed in found.items()
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict)
        ]
    return found if isinstance(found, list) else []


def _of_python(text: str, name: str) -> list[Any]:
    tree = None
    for attempt in (text, re.sub(r"(?<=\d)L\b", "", text)):  # the second: whole numbers of Python 2
        try:
            tree = ast.parse(attempt)
            break
        except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
            reason = getattr(problem, "msg", "") or type(problem).__name__
    if tree is None:
        raise UsageFault(reason=f"{name} cannot be read as an index of Bots: {reason}.")
    node = _assigned(tree, "plugins")
    found = _literal(node) if node is not None else []
    return found if isinstance(found, list) else []


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """What the module assigns to a name, as it is written."""
    for each in tree.body:
        if isinstance(each, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in each.targets):
            return each.value
    return None


def _literal(node: ast.expr) -> Any:
    """The value of a literal; of what would have to be run nothing is taken, but for dates, which become text."""
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(each) for each in node.elts]
    if isinstance(node, ast.Dict):
        return dict(_pairs(node))
    if isinstance(node, ast.Call):
        return _date(node)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _pairs(node: ast.Dict) -> Iterator[tuple[str, Any]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, _literal(value)


def _date(node: ast.Call) -> str | None:
    """``datetime.date(2012, 1, 31)`` as 2012-01-31; None for any other call."""
    called = node.func
    named = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    numbers = [each.value for each in node.args[:3] if isinstance(each, ast.Constant) and isinstance(each.value, int)]
    if named not in {"date", "datetime"} or len(numbers) < 3:
        return None
    return f"{numbers[0]:04}-{numbers[1]:02}-{numbers[2]:02}"
