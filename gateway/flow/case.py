"""The working values of inbound mail: what is known of one message on its way through the steps."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.errors import MessageFault
from gateway.ledger.work import StoredMessage
from gateway.mail.model import Layer, Letter, Proof
from gateway.mail.smime.layers import Opened
from gateway.x12.model import GroupReport, Header, InterchangeReport, SetReport
from partners.model import Agreement, Partner

ACKNOWLEDGMENT_GROUP = "FA"  # GS01 of 997 and 999


class InterchangeCase(Struct):
    """One interchange: its bytes, what examining it found, who sent it and under which agreements.

    One that has a fault from the beginning holds what was meant as EDI and is no interchange: its report has no header.
    """

    raw: bytes
    report: InterchangeReport
    partner: Partner | None = None
    agreements: dict[tuple[int, int], Agreement] = field(default_factory=dict)  # (group, set) ordinals from 0
    business_keys: dict[tuple[int, int], dict[str, list[str]]] = field(default_factory=dict)
    fault: MessageFault | None = None
    as_test: bool = False  # for production (ISA15 P), and taken as a test, because the profile says so

    @property
    def counted(self) -> Header | None:
        """The header by which it counts: with ISA15 T where it was taken as a test, whose numbers count apart."""
        header = self.report.header
        return replace(header, usage="T") if header is not None and self.as_test else header

    @property
    def document_groups(self) -> list[tuple[int, GroupReport]]:
        """The groups that carry documents, not acknowledgments, with their ordinals from 0."""
        return [(n, group) for n, group in enumerate(self.report.groups) if group.functional_id != ACKNOWLEDGMENT_GROUP]

    @property
    def document_sets(self) -> list[tuple[tuple[int, int], SetReport]]:
        """All transaction sets that are documents, with their (group, set) ordinals."""
        return [((g, s), each) for g, group in self.document_groups for s, each in enumerate(group.sets)]

    @property
    def only_acknowledges(self) -> bool:
        """Whether it carries nothing but TA1 segments and FA groups: such an interchange is never answered."""
        report = self.report
        for group in report.groups:
            if group.functional_id != ACKNOWLEDGMENT_GROUP:
                return False
        return bool(report.interchange_acks or report.groups)

    @property
    def first_agreement(self) -> Agreement | None:
        """The agreement of the first document: it decides on the TA1."""
        return next(iter(self.agreements.values()), None)


class PayloadCase(Struct):
    """One part of a message that carries X12; with a ``fault`` one that was meant to, and does not."""

    path: str
    file_name: str
    content_type: str
    data: bytes
    repairs: tuple[str, ...] = ()  # what was done to find it, in words
    interchanges: list[InterchangeCase] = field(default_factory=list)
    fault: MessageFault | None = None


class SelfTest(Struct, frozen=True):
    """What a self-test found: the report for the partner, the answers as a listing, and the outcome for the ledger."""

    text: str
    answers: str
    outcome: str


class Case(Struct):
    """One message on its way. A ``fault`` stops it: the whole message is quarantined."""

    message: StoredMessage
    letter: Letter | None = None
    payloads: list[PayloadCase] = field(default_factory=list)
    partner: Partner | None = None
    proof: Proof | None = None  # a checked S/MIME signature stands here before the sender is identified
    secured: bool = False  # it has S/MIME layers, whether they open or not
    opened: Opened | None = None  # what opened
    layers: tuple[Layer, ...] = ()  # outermost first
    security_fault: MessageFault | None = None  # why a receipt's signature proves nothing
    fault: MessageFault | None = None
    self_test: SelfTest | None = None  # set: only the report goes out, and nothing of the mail is taken

    @property
    def interchanges(self) -> list[tuple[PayloadCase, InterchangeCase]]:
        """Every interchange with the payload that it came in."""
        return [(payload, each) for payload in self.payloads for each in payload.interchanges]
