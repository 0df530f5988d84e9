"""A query on the command line: words, and an option for each main criterion; ``-word`` is the opposite of a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.ledger.query import Query

# A word may begin with a minus; what click does not know it leaves to the words. -h would be taken out of -host=….
SETTINGS: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
_VALUES = (
    ("partner", "The partner's key."),
    ("direction", "in or out."),
    ("kind", "document or acknowledgment; of mails letter, bounce, receipt, auto-reply, self-test."),
    ("state", "delivered, overdue, in-doubt, …"),
    ("verdict", "accepted, accepted-with-errors, partially-accepted, rejected."),
    ("type", "A transaction set, as 850."),
    ("version", "The start of a GS08, as 004010 or 005010X222A1."),
    ("control", "An ISA13, with or without leading zeros."),
    ("message-id", "A Message-ID, with or without angle brackets."),
    ("from", "The sender's address; *@acme.example for all of a domain."),
    ("to", "An address in To or Cc."),
    ("subject", "Words of the subject."),
    ("file", "The file name."),
    ("key", "A business key: VALUE, VALUE*, *VALUE* or NAME=VALUE."),
    ("size", "Bytes: 10k.., ..2M, 10k..2M."),
    ("since", "From this time on: 2026-11-22, today, 7d, 2026-11-22T02:00."),
    ("until", "Up to this time (a day is included)."),
    ("on", "On this day, in this month or year."),
    ("zone", "The time zone of the times, as Europe/Berlin (default: the local one)."),
)
_FLAGS = (
    ("overdue", "What was not acknowledged in time."),
    ("unacknowledged", "What waits for an acknowledgment."),
    ("duplicate", "Duplicates of earlier exchanges, or the same business document again."),
    ("attention", "What a person has to look at."),
    ("settled", "What a person has put to rest."),
    ("late", "What was acknowledged after it was due."),
)


def criteria(*taken: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The words of a query as arguments, and an option for each main criterion whose name is not ``taken``."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, text in reversed(_FLAGS):
            function = click.option(f"--{name}", is_flag=True, help=text)(function)
        for name, text in reversed(_VALUES):
            if name not in taken:
                option = click.option(f"--{name}", _parameter(name), metavar="VALUE", help=text)
                function = option(function)
        return click.argument("words", nargs=-1)(function)

    return decorated


def said(ctx: click.Context, words: Sequence[str], criteria: dict[str, Any]) -> list[str]:
    """What words and options say together, as words.

    Raises:
        NoSuchOption: a word is an option that there is not.
        Exit: help was asked for.
    """
    if "-h" in words:
        click.echo(ctx.get_help())
        ctx.exit()
    for word in words:
        if word.startswith("--"):
            known = [option for parameter in ctx.command.params for option in parameter.opts if option.startswith("--")]
            raise click.NoSuchOption(word.partition("=")[0], possibilities=_near(word, known), ctx=ctx)
    found = list(words)
    found += [f"{name}={value}" for name, _ in _VALUES if (value := criteria.get(_parameter(name)))]
    return found + [name for name, _ in _FLAGS if criteria.get(name)]


def query_of(app: App, words: Sequence[str], **defaults: Any) -> Query:
    """The query that words say, saved queries among them; ``defaults`` hold where the words say no ``limit=``.

    Raises:
        QueryInvalid: a word is not understood.
        NotFound: a saved query is not there.
    """
    from msgspec.structs import replace

    from gateway.ledger.words import field_of, parse_query

    words = with_saved(app, words)
    query = parse_query(words)
    return query if any(field_of(word) == "limit" for word in words) else replace(query, **defaults)


def with_saved(app: App, words: Sequence[str]) -> Sequence[str]:
    """The words, with those of saved queries in the place of each ``@NAME``.

    Raises:
        QueryInvalid: one is to be turned round that asks for more than one thing.
        NotFound: a saved query is not there.
    """
    from gateway.ledger.database import reading
    from gateway.ledger.saved import expanded
    from gateway.ledger.words import named

    if not any(named(word) for word in words):
        return words
    with reading(app.home_engine) as connection:
        return expanded(connection, words)


def _near(word: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word.partition("=")[0], known)


def _parameter(name: str) -> str:
    return f"with_{name.replace('-', '_')}"
