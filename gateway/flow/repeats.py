"""Repeats: the same business document under another control number.

A number can be new and the document old: a partner's system that is run twice numbers the same order twice. Documents
are compared by their main business number (``x12.extract.MAIN_KEYS``: an order's number, an invoice's …) with what was
accepted of the same partner, set, direction and usage within the duplicate window. What repeats is told, and delivered
or sent nevertheless, unless its agreement says ``on_repeat = "hold"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from sqlalchemy import Connection, case, func, select

from gateway.errors import DocumentRepeated, SubmittedBefore
from gateway.flow.case import InterchangeCase
from gateway.flow.context import Context
from gateway.flow.envelope import Outbound
from gateway.flow.record import GOOD
from gateway.ledger import bulk, tables
from gateway.ledger.literals import word
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import taken_as_test
from gateway.x12.extract import MAIN_KEYS
from partners.model import Agreement, Partner

_CHUNK = 400  # values in one question
_NEVER_COUNTED = (
    *(ExchangeState.QUARANTINED, ExchangeState.CONFLICT, ExchangeState.DUPLICATE, ExchangeState.DISCARDED),
    *(ExchangeState.CANCELLED, ExchangeState.SUPERSEDED, ExchangeState.FAILED, ExchangeState.BOUNCED),
    ExchangeState.REFUSED,  # a corrected one under the same number is what everybody waits for
)


class Document(Struct, frozen=True):
    """One business document: the usage (P, T), its set and the value of its main key."""

    usage: str
    set_id: str
    value: str


class Repeat(Struct, frozen=True):
    """A document that came, or went, before in exchange ``earlier``."""

    document: Document
    earlier: int
    agreement: Agreement | None

    @property
    def held(self) -> bool:
        """Whether a person is to decide on it."""
        return self.agreement is not None and self.agreement.on_repeat == "hold"


class Repeats:
    """What the ledger knows of the documents of a batch: asked for once, kept up to date while it is recorded.

    Args:
        connection: whose transaction the answers hold in.
        direction: in or out.
        documents: (partner's key, document) of everything in the batch.
        since: ms since 1970 UTC; what was accepted before does not count.
    """

    def __init__(
        self, connection: Connection, direction: str, documents: Iterable[tuple[str, Document]], since: int
    ) -> None:
        self._known: dict[tuple[str, Document], int] = {}
        self._inside: dict[int, list[tuple[Document, Agreement | None]]] = {}  # by the case's identity
        found = {document for _, document in documents}
        names = sorted({MAIN_KEYS[each.set_id] for each in found})
        wanted = sorted({each.value for each in found})
        for at in range(0, len(wanted), _CHUNK):
            self._ask(connection, direction, names, wanted[at : at + _CHUNK], since)

    @classmethod
    def inbound(cls, context: Context, recorder: Recorder, cases: Sequence[InterchangeCase]) -> Repeats:
        """Of interchanges that were received."""
        inside = {id(case): list(documents_in(case)) for case in cases}
        documents = [(_key(case), document) for case in cases for document, _ in inside[id(case)]]
        found = cls(recorder.connection, "in", documents, recorder.now - _window(context))
        found._inside = inside
        return found

    @classmethod
    def outbound(cls, context: Context, partner: Partner, prepared: Sequence[Outbound]) -> Repeats:
        """Of documents that were submitted."""
        documents = [(partner.key, document) for each in prepared for document in _documents_out(each)]
        with context.ledger.reading() as connection:
            return cls(connection, "out", documents, context.clock() - _window(context))

    def of_case(self, case: InterchangeCase) -> list[Repeat]:
        """The documents of a received interchange that came before."""
        found = [
            (document, agreement, self._known.get((_key(case), document)))
            for document, agreement in self._inside[id(case)]
        ]
        return [Repeat(document, earlier, agreement) for document, agreement, earlier in found if earlier is not None]

    def of_outbound(self, outbound: Outbound) -> list[Repeat]:
        """The documents of an interchange of ours that went before."""
        agreement = next((each for each in outbound.partner.agreements if each.name == outbound.agreement), None)
        found = [(each, self._known.get((outbound.partner.key, each))) for each in _documents_out(outbound)]
        return [Repeat(document, earlier, agreement) for document, earlier in found if earlier is not None]

    def refuse_held(self, name: str, partner: Partner, prepared: Sequence[Outbound]) -> None:
        """What the agreement does not let us send twice.

        Raises:
            SubmittedBefore
        """
        for each in prepared:
            for repeat in self.of_outbound(each):
                if repeat.held:
                    raise SubmittedBefore(
                        name=name,
                        partner=partner.key,
                        set=repeat.document.set_id,
                        value=repeat.document.value,
                        exchange=repeat.earlier,
                    )

    def take(self, case: InterchangeCase, exchange: int) -> None:
        """An accepted interchange counts from now on."""
        for document, _ in self._inside[id(case)]:
            self._known.setdefault((_key(case), document), exchange)

    @staticmethod
    def tell(recorder: Recorder, exchange: int, partner: str, repeats: Sequence[Repeat]) -> None:
        """Notes what an exchange repeats."""
        if repeats:
            recorder.change(tables.exchange, exchange, repeats=repeats[0].earlier)
        for each in repeats:
            recorder.event(
                "repeats-document",
                exchange=exchange,
                partner=partner,
                set=each.document.set_id,
                value=each.document.value,
                earlier=each.earlier,
            )

    def _ask(
        self, connection: Connection, direction: str, names: Sequence[str], values: Sequence[str], since: int
    ) -> None:
        b, s, x = tables.business_key, tables.transaction_set, tables.exchange
        usage = case((taken_as_test(), word("T")), else_=x.c.usage)
        rows = connection.execute(
            select(b.c.value, b.c.name, s.c.set_id, x.c.partner, usage.label("usage"), func.min(x.c.id).label("first"))
            .join(s, s.c.id == b.c.transaction_set)
            .join(x, x.c.id == b.c.exchange)
            .where(
                bulk.among(connection, b.c.value, "of_keys"),
                b.c.name.in_(names),
                x.c.direction == direction,
                x.c.at >= since,
                x.c.state.not_in(_NEVER_COUNTED),
                s.c.status.in_(["", *GOOD]),  # on what we send there is no verdict of ours
            )
            .group_by(b.c.value, b.c.name, s.c.set_id, x.c.partner, usage),
            {"of_keys": bulk.listed(connection, values)},
        )
        for row in rows:
            if MAIN_KEYS.get(row.set_id) == row.name:
                self._known[row.partner, Document(row.usage, row.set_id, row.value)] = row.first


def held_fault(case: InterchangeCase, repeats: Sequence[Repeat]) -> DocumentRepeated | None:
    """Why a person is to decide on a received interchange; None where all that it repeats is only told."""
    held = next((each for each in repeats if each.held), None)
    if held is None:
        return None
    return DocumentRepeated(
        partner=_key(case), set=held.document.set_id, value=held.document.value, exchange=held.earlier
    )


def documents_in(case: InterchangeCase) -> Iterator[tuple[Document, Agreement | None]]:
    """The documents of a received interchange that we take, each with its agreement."""
    header = case.counted
    for place, each in case.document_sets:
        values = case.business_keys.get(place, {}).get(MAIN_KEYS.get(each.id, ""), [])
        if header is not None and each.status in GOOD and values and "\0" not in values[0]:
            yield Document(header.usage, each.id, values[0]), case.agreements.get(place)


def _documents_out(outbound: Outbound) -> Iterator[Document]:
    told: set[tuple[int, int]] = set()
    for place, name, value in outbound.business_keys:
        group, number = place
        set_id = outbound.groups[group].sets[number].set_id
        if MAIN_KEYS.get(set_id) == name and place not in told and "\0" not in value:
            told.add(place)
            yield Document(outbound.usage, set_id, value)


def _key(case: InterchangeCase) -> str:
    return case.partner.key if case.partner is not None else ""


def _window(context: Context) -> int:
    return int(context.settings.duplicate_window.total_seconds() * 1000)
