"""Filters as links: each adds one word to the line of a search, or takes it out again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.console.pages.exchange_query import Asked
from gateway.ledger.states import ExchangeState, MessageState
from gateway.ledger.words import field_of

MOST_PARTNERS = 40  # in the menu; others are written into the line
_TIMES = (
    ("today", "since=today"),
    ("yesterday", "on=yesterday"),
    ("last 24 hours", "since=24h"),
    ("last 7 days", "since=7d"),
    ("last 30 days", "since=30d"),
)
_FLAGS = (
    ("needs attention", "attention"),
    ("overdue", "overdue"),
    ("unacknowledged", "unacknowledged"),
    ("duplicate", "duplicate"),
    ("late", "late"),
    ("settled", "settled"),
)
_USAGES = (("production", "usage=P"), ("test", "usage=T"), ("information", "usage=I"))
_VERDICTS = ("accepted", "accepted-with-errors", "partially-accepted", "rejected")
_MAIL_KINDS = ("letter", "bounce", "receipt", "auto-reply")


class Choice(Struct, frozen=True):
    """One link; ``here``: it is asked already, and the link takes it out."""

    text: str
    link: str
    here: bool


class Menu(Struct, frozen=True):
    """Choices of one field; ``chosen`` is the text of the one that is asked, or ""."""

    name: str
    choices: tuple[Choice, ...]
    chosen: str = ""
    hint: str = ""


def menus(asked: Asked, types: Sequence[str], partners: Sequence[str], months: Sequence[str]) -> list[Menu]:
    """The menus for exchanges, or for mails."""
    pairs = [(state.replace(" ", "-"), f"state={state.replace(' ', '-')}") for state in _states(asked.tab)]
    if asked.tab == "mails":
        kinds = [(each, f"kind={each}") for each in _MAIL_KINDS]
        found = [_menu(asked, "Kind", ("kind",), kinds), _menu(asked, "State", ("state",), pairs)]
    else:
        found = [
            _menu(asked, "Direction", ("direction",), [("in", "direction=in"), ("out", "direction=out")]),
            _menu(asked, "Type", ("type",), [(each, f"type={each}") for each in types]),
            _menu(asked, "State", ("state",), pairs),
            _menu(asked, "Verdict", ("verdict",), [(each, f"verdict={each}") for each in _VERDICTS]),
            _menu(asked, "Usage", ("usage",), _USAGES),
        ]
    whose = [(each, f"partner={each}") for each in partners]
    hint = "Others: write partner=KEY into the line." if len(partners) >= MOST_PARTNERS else ""
    found.insert(1, _menu(asked, "Partner", ("partner",), whose, hint))
    times = [*_TIMES, *((each, f"on={each}") for each in months)]
    hint = "Any other: since=2026-11-01 until=2026-11-15"
    return [*found, _menu(asked, "Time", ("since", "until", "on"), times, hint)]


def flags(asked: Asked) -> list[Choice]:
    """What is asked with one word."""
    return [] if asked.tab == "mails" else [_toggle(asked, text, word) for text, word in _FLAGS]


def _menu(asked: Asked, name: str, fields: Sequence[str], pairs: Iterable[tuple[str, str]], hint: str = "") -> Menu:
    choices = []
    for text, word in pairs:
        here = asked.has(word)
        rest = asked.but(*fields)
        choices.append(Choice(text, asked.link(rest if here else (*rest, word)), here))
    chosen = next((each.text for each in choices if each.here), "")
    others = [word for word in asked.words if word not in asked.but(*fields)]
    return Menu(name, tuple(choices), chosen or " ".join(others), hint)


def _toggle(asked: Asked, text: str, word: str) -> Choice:
    here = asked.has(word)
    rest = asked.but(field_of(word))
    return Choice(text, asked.link(rest if here else (*rest, word)), here)


def _states(tab: str) -> list[str]:
    return [each.value for each in (MessageState if tab == "mails" else ExchangeState)]
