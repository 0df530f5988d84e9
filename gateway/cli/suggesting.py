"""What may have been meant by a command or an option that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

import click

_COMMAND = re.compile(r"No such command ['\"]([^'\"]*)['\"]")
_SYNONYMS = {"delete": "remove", "rm": "remove", "del": "remove", "ls": "list", "create": "add", "new": "add"}
_NEAR = 0.7  # how alike words must be


def suggestion(problem: click.UsageError) -> str:
    """A sentence, or nothing where click has said it already, or nothing is near."""
    context = problem.ctx
    if context is None:
        return ""
    if isinstance(problem, click.NoSuchOption):
        return _option(problem.option_name, context, known=bool(problem.possibilities))
    found = _COMMAND.match(problem.message)
    if found is None or not isinstance(context.command, click.Group):
        return ""
    return _command(found[1], context, context.command, said=getattr(problem, "possibilities", None) or [])


def _option(name: str, context: click.Context, *, known: bool) -> str:
    """An option of the whole stands before the command."""
    root = context.find_root()
    if root is not context and any(name in each.opts for each in root.command.params):
        words = context.command_path.split(" ", 1)
        value = " DIR" if name == "--home" else ""
        return f"{name} stands before the command: {words[0]} {name}{value} {' '.join(words[1:])} …"
    if known:
        return ""
    return f"`{context.command_path} --help` lists the options."


def _command(word: str, context: click.Context, group: click.Group, said: list[str]) -> str:
    if said:
        return ""
    near = [
        f"{context.command_path} {each}" for each in get_close_matches(word, group.list_commands(context), cutoff=_NEAR)
    ]
    if _SYNONYMS.get(word) in group.list_commands(context):
        return f"Did you mean `{context.command_path} {_SYNONYMS[word]}`?"
    root = context.find_root()
    everywhere = dict(_all(root.command, root.info_name or "gateway"))
    paths = [path for path, name in everywhere.items() if name == word] or near  # right, but at another place
    if not paths:
        names = get_close_matches(word, set(everywhere.values()), cutoff=_NEAR)
        paths = [path for path, name in everywhere.items() if name in names]
    if paths:
        return f"Did you mean {' or '.join(f'`{each}`' for each in paths[:3])}?"
    return f"`{context.command_path} --help` lists the commands."


def _all(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """Every command below, as its whole path and its own name."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield f"{path} {name}", name
            yield from _all(found, f"{path} {name}")
