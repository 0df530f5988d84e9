"""How a home stands: what needs a person, what was told of it, what the last batch met; for status and the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from gateway.flow import logins
from gateway.flow.expiry import attention_for
from gateway.flow.needs import MACHINE, MET, kind_of, outbox_of, topic_of
from gateway.flow.outbox import refused_documents
from gateway.flow.outbox_files import spelt
from gateway.ledger import alerts
from gateway.ledger.alerts import Alert
from gateway.ledger.attention import Attention, attention, beside, by_partner, left_out
from gateway.ledger.keys import OwnKey
from gateway.settings import Settings
from partners.model import Partner

Told = TypeVar("Told", Attention, Alert)
_MOST = 1000
_TEST = "gateway mailbox test"


class Standing(Struct, frozen=True):
    """What needs a person now. ``needs`` are things with the alert that was raised of each; urgent ones come first.

    ``left_out`` is how many more the ledger knows of, all of them older or less urgent.
    ``met`` are alerts of what only a batch can meet (a host that is away, a full disk); ``refused`` are documents in
    the outbox that could not be sent, beside each of which lies the reason.
    """

    needs: tuple[tuple[Attention, Alert | None], ...]
    met: tuple[Alert, ...]
    refused: tuple[str, ...]
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "attention": [
                each.as_dict() | {"alert": None if one is None else one.as_dict()} for each, one in self.needs
            ],
            "alerts": [each.as_dict() for each in self.met],
            "refused_documents": list(self.refused),
            "left_out": self.left_out,
        }


def standing(
    connection: Connection,
    settings: Settings,
    partners: Sequence[Partner],
    keys: Sequence[OwnKey],
    tokens: Mapping[str, logins.Source],
    now: int,
    limit: int = _MOST,
    only: str = "",
) -> Standing:
    """Everything that needs a person.

    Args:
        connection: of the ledger, within a transaction.
        settings: of the home.
        partners: the profiles as they are now.
        keys: our own, for S/MIME.
        tokens: where access tokens come from (``App.access_tokens``).
        now: ms since 1970 UTC.
        limit: of things that the ledger knows of.
        only: of these those of this partner, however many others have.
    """
    found = [_workable(each, settings) for each in attention(connection, limit, only)]
    missing = left_out(connection, len(found), limit, only)
    found += logins.attention_for_tokens(tokens)
    found += logins.attention_for(settings.oauth, now)
    found += attention_for(partners, keys, now)
    spoken_for = {topic_of(each) for each in found}
    newest = alerts.by_topic(connection, spoken_for)
    known = {topic: each for topic, each in newest.items() if each.state in alerts.STANDING}
    refused = refused_documents(settings.outbox)
    met = _met(connection, settings, refused)
    return Standing(
        tuple((each, known.get(topic_of(each))) for each in found),
        tuple(_workable(each, settings) for each in met if each.topic not in spoken_for),
        tuple(map(str, refused)),
        missing,
    )


def how_many(
    connection: Connection, settings: Settings, partners: Iterable[Partner], keys: Sequence[OwnKey], now: int
) -> dict[tuple[str, str], int]:
    """How much ``standing`` has, by partner and kind, without a look at each: exchange and mail are kinds, too.

    What providers refuse counts as what the last batch met of it. Of each other kind a thousand are counted at most.
    """
    exchanges, mails = by_partner(connection)
    found = Counter({(partner, "exchange"): number for partner, number in exchanges.items()})
    found += Counter({(partner, "mail"): number for partner, number in mails.items()})
    things = beside(connection, _MOST)
    things += logins.attention_for(settings.oauth, now)
    things += attention_for(partners, keys, now)
    found += Counter((each.partner, kind_of(each)) for each in things)
    spoken_for = {topic_of(each) for each in things}
    refused = refused_documents(settings.outbox)
    found += Counter(
        (each.partner, each.kind)
        for each in _met(connection, settings, refused)
        if each.topic not in spoken_for and each.exchange is None and each.message is None
    )
    return dict(found + Counter((spelt(each.parent.parent.name), "document refused") for each in refused))


def _met(connection: Connection, settings: Settings, refused: Iterable[Path]) -> list[Alert]:
    """Alerts of what only a batch can meet, but not of the documents that are listed as refused."""
    outbox = outbox_of(settings, shared=connection.dialect.name == "postgresql")
    listed = {f"{outbox}{spelt(each.parent.parent.name)}/{spelt(each.name)}" for each in refused}
    return [each for each in alerts.of_kinds(connection, MET | MACHINE) if each.reference not in listed]


def _workable(thing: Told, settings: Settings) -> Told:
    """A mailbox that is named no more cannot be tested: the next batch ends what was told of it."""
    test, _, name = thing.next_command.rpartition(" ")
    if test != _TEST or any(each.name == name for each in settings.mailboxes):
        return thing
    return replace(thing, next_command="gateway night")
