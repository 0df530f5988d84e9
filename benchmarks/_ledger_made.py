"""What partners and the business hand the gateway in the ledger's benchmark, as the flow has it before it records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from _ledger_world import FUNCTIONAL, OURS, US, VERSION, Job, Trader, World, partner

from gateway.errors import SenderUnknown
from gateway.flow.case import Case, InterchangeCase, PayloadCase
from gateway.flow.envelope import Numbered, Outbound
from gateway.flow.secure import Sealed
from gateway.ledger.work import StoredMessage
from gateway.mail.model import Draft, Fetched, Layer, Letter, Listed, Proof
from gateway.x12.drafts import GENERATED, DraftGroup, DraftSet
from gateway.x12.model import (
    Finding,
    GroupAck,
    GroupReport,
    Header,
    InterchangeReport,
    Level,
    Party,
    Separators,
    SetAck,
    SetReport,
    Status,
)
from partners.directory import Directory
from partners.model import Identity, MailSettings, Partner
from partners.numbering import format_number

if TYPE_CHECKING:
    from _ledger_life import Awaiting

_BY_ADDRESS = Proof("address")
_MARKS = Separators()
_FINDING = Finding(
    Level.ERROR,
    "element.code-unknown",
    "PO103 (unit of measure) has the code 'EAC', which X12 004010 does not know; 'EA' is the nearest one.",
    "element", x12="7", segment="PO1", position=9, element=3, data_element="355", offset=512, value="EAC",
)  # fmt: skip
_WARNING = Finding(
    Level.WARNING,
    "element.too-long",
    "N104 (identification code) has 19 characters; at most 17 are allowed.",
    "element", x12="5", segment="N1", position=5, element=4, data_element="67", offset=311, value="0012345678901234567",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arriving:
    """A mail that comes in: what the mailbox gives, and what reading it will find."""

    job: Job
    fetched: Fetched
    sha256: str
    letter: Letter
    interchange: InterchangeCase | None
    file_name: str


class Maker:
    """Makes values for a world; ``payload`` bytes for each mail and interchange, no two alike."""

    def __init__(self, world: World, payload: int) -> None:
        self.world = world
        self.payload = payload
        self.directory = Directory([partner(each) for each in world.traders], [Identity(*OURS)])
        self._secured = {each.key for each in world.traders if each.secured}
        self.submitted: dict[int, int] = {}  # exchange that is to be sent → its trader
        self._serial = 0
        self.copies: dict[int, InterchangeCase] = {}  # exchange that will come once more → what came

    def memory(self) -> tuple[object, ...]:
        """What has to be remembered so that a load can go on later."""
        return self.submitted, self.copies, self._serial

    def remembered(self, memory: tuple[Any, ...]) -> None:
        """Goes on from there."""
        self.submitted, self.copies, self._serial = memory

    def raw(self, kind: str) -> bytes:
        """Bytes that nothing else has."""
        self._serial += 1
        return f"{kind} {self.world.chance.getrandbits(48):x} {self._serial}".encode().ljust(self.payload, b".")

    # ------------------------------------------------------------ in

    def arriving(self, job: Job, awaiting: Awaiting | None) -> Arriving:
        """The mail of a job."""
        who = self.world.traders[job.trader]
        raw = self.raw("mail")
        listed = Listed(1, f"{self._serial:08x}5f3c91d2", len(raw))  # as Dovecot names them: one after the other
        known = (job, Fetched(listed, raw), hashlib.sha256(raw).hexdigest())
        if job.fate == "bounce":
            letter = self._letter(who, "bounce", "Undelivered Mail Returned to Sender", f"MAILER-DAEMON@{who.domain}")
            return Arriving(*known, letter, None, "")
        if awaiting is not None:
            interchange = self._acknowledgment(who, job, awaiting)
            set_id, main = "997", awaiting.number
        else:
            interchange = self.copies.pop(job.about) if job.fate == "duplicate" else self._documents(who, job)
            set_id, main = (job.papers[0].set_id, job.papers[0].keys[0][1]) if job.papers else ("850", "4500000000")
        header = interchange.report.header
        assert header is not None
        subject = self.world.subject(who, set_id, main, header.control_number)
        sender = f"sales@unknown{job.trader}.example" if job.fate == "stranger" else who.address
        name = (f"{set_id}_{header.control_number}.edi", f"{main}_{header.date}.x12")[who.habits[3] % 2]
        return Arriving(*known, self._letter(who, "letter", subject, sender), interchange, name)

    def case(self, arriving: Arriving, message: int, at: int) -> Case:
        """What the flow knows of it when it records it."""
        fetched, letter = arriving.fetched, arriving.letter
        who = self.world.traders[arriving.job.trader]
        host = "mail.example-co.example"
        stored = StoredMessage(message, at, "orders", host, "orders", arriving.sha256, 0, fetched.raw)
        case = Case(stored, letter=letter)
        if arriving.interchange is None:
            return case
        payload = PayloadCase("2", arriving.file_name, "application/edi-x12", arriving.interchange.raw)
        payload.interchanges.append(arriving.interchange)
        case.payloads.append(payload)
        if arriving.job.fate == "stranger":
            case.fault = SenderUnknown(address=letter.from_address)
            return case
        case.partner = arriving.interchange.partner
        case.proof = _BY_ADDRESS
        if who.secured:
            mark = hashlib.sha256(who.key.encode()).hexdigest()
            case.layers = (Layer("signed", "sha-256", mark),)
            case.proof = Proof("signed", (("fingerprint", mark), ("subject", f"CN={who.name}")))
        return case

    def remember(self, job: Job, exchange: int, came: InterchangeCase) -> None:
        """Some of what came will come once more."""
        if self.world.chance.random() < 0.003:
            self.copies[exchange] = came
            self.world.plan(self.world.now + 3_600_000, "in", job.trader, job.papers, exchange, "duplicate")

    def _letter(self, who: Trader, kind: str, subject: str, sender: str) -> Letter:
        moment = datetime.fromtimestamp(self.world.now / 1000, UTC)
        copied = (f"edi-team@{who.domain}",) if who.habits[1] == 0 else ()
        return Letter(
            kind, sender, "", (US,), copied, subject, self.world.message_id(who), "", (),
            f"{moment:%a, %d %b %Y %H:%M:%S} +0000", (),
        )  # fmt: skip

    def _documents(self, who: Trader, job: Job) -> InterchangeCase:
        """An interchange of documents: most are good, some have findings, few are rejected."""
        chance = self.world.chance
        set_id = job.papers[0].set_id if job.papers else "850"
        if not job.fate and chance.random() < 0.012:
            job.fate = "rejected"
        status, findings = Status.ACCEPTED, ()
        if job.fate == "rejected":
            status, findings = Status.REJECTED, (_FINDING,) * chance.randint(1, 4)
        elif chance.random() < 0.03:
            status, findings = Status.ACCEPTED_WITH_ERRORS, (_WARNING,) * chance.randint(1, 2)
        version = VERSION.get(set_id, "004010")
        sets = tuple(
            SetReport(
                set_id, f"{n:04}", version if version.startswith("005") else "", status, f"X12 {version[:6]} {set_id}",
                findings, 106 + 700 * n, 800 + 700 * n, chance.randint(12, 90),
            )
            for n in range(1, max(1, len(job.papers)) + 1)
        )  # fmt: skip
        case = self._interchange(who, FUNCTIONAL[set_id], version, sets, status)
        for n, paper in enumerate(job.papers):
            keys: dict[str, list[str]] = {}
            for name, value in paper.keys:
                keys.setdefault(name, []).append(value)
            case.business_keys[0, n] = keys
        if job.fate == "stranger":
            case.partner = None
        else:
            agreement = self.partner(who).agreements[0]
            case.agreements = {(0, n): agreement for n in range(len(sets))}
        return case

    def _acknowledgment(self, who: Trader, job: Job, to: Awaiting) -> InterchangeCase:
        status = Status.REJECTED if job.fate == "997 rejected" else Status.ACCEPTED
        good = len(to.sets) if status is Status.ACCEPTED else 0
        codes = () if good else ("5",)
        errors = () if good else ("In segment 9 (PO1), element 3: invalid code value ('EAC').",)
        acks = tuple(SetAck(set_id, number, status, codes, errors) for _, set_id, number in to.sets)
        ack = GroupAck("997", to.functional_id, to.number, status, len(acks), len(acks), good, acks, (), "0001")
        ours = SetReport("997", "0001", "", Status.ACCEPTED, "X12 004010 997", (), 160, 260, 6)
        return self._interchange(who, "FA", "004010", (ours,), Status.ACCEPTED, ack)

    def _interchange(
        self,
        who: Trader,
        functional_id: str,
        version: str,
        sets: tuple[SetReport, ...],
        status: Status,
        *acks: GroupAck,
    ) -> InterchangeCase:
        moment = datetime.fromtimestamp(self.world.now / 1000, UTC)
        date, clock = f"{moment:%y%m%d}", f"{moment:%H%M}"
        skip = int(self.world.chance.random() < 0.0001)
        number, group_number = who.next_numbers(functional_id, skip)
        header = Header(
            Party(*who.identity), Party(*OURS), date, clock, "00401", f"{number % 10**9:09}", False,
            "T" if who.test else "P",
        )  # fmt: skip
        end = 160 + sum(each.segments for each in sets) * 30
        group = GroupReport(
            functional_id, who.identity[1], OURS[1], date, clock, str(group_number), "X", version, status, sets, (),
            106, end,
        )  # fmt: skip
        report = InterchangeReport(
            header, _MARKS, status, (group,), (), ("A", "000"), 0, end + 20, (), acks,
            4 + sum(each.segments for each in sets),
        )  # fmt: skip
        return InterchangeCase(self.raw("isa"), report, self.partner(who))

    def partner(self, who: Trader) -> Partner:
        """The profile of a trader."""
        return self.directory.get(who.key)

    # ------------------------------------------------------------ out

    def outbound(self, job: Job) -> Outbound:
        """A document of the business, ready to be numbered."""
        who = self.world.traders[job.trader]
        profile = self.partner(who)
        set_id = job.papers[0].set_id
        version = VERSION.get(set_id, "004010")
        guide = version if version.startswith("005") else ""
        chance = self.world.chance
        sets = tuple(DraftSet(set_id, guide, "", GENERATED, chance.randint(10, 80)) for _ in job.papers)
        group = DraftGroup(FUNCTIONAL[set_id], OURS[1], who.identity[1], 1, version, sets)
        document = hashlib.sha256(self.raw("document")).hexdigest()
        words = self.world.subject(who, set_id, job.papers[0].keys[0][1], "{control_number}")
        return Outbound(
            partner=profile,
            ours=Party(*OURS),
            theirs=Party(*who.identity),
            version="00401",
            usage="T" if who.test else "P",
            separators=_MARKS,
            groups=(group,),
            mail=MailSettings(subject=words),
            agreement=profile.agreements[1].name,
            expect_functional_within=24 * 3_600_000,
            idempotency_key=f"{who.key}/{document}/{self.world.now // (400 * 86_400_000)}",
            document=document,
            business_keys=tuple(((0, n), *key) for n, paper in enumerate(job.papers) for key in paper.keys),
            guidelines=tuple(((0, n), f"X12 {version[:6]} {set_id}") for n in range(len(sets))),
        )

    def render(self, outbound: Outbound, control_number: int, groups: tuple[DraftGroup, ...], now: int) -> Numbered:
        """In place of writing an interchange."""
        moment = datetime.fromtimestamp(now / 1000, UTC)
        header = Header(
            outbound.ours, outbound.theirs, f"{moment:%y%m%d}", f"{moment:%H%M}", outbound.version,
            format_number(control_number), False, outbound.usage,
        )  # fmt: skip
        return Numbered(self.raw("isa"), header.control_number, groups, header)

    def seal(self, _ring: Any, to: Partner, _security: Any, _draft: Draft, _now: int) -> Sealed:
        """In place of composing a mail; some go signed, with a receipt asked for."""
        if to.key in self._secured:
            mic = "2jmj7l5rSw0yVb/vlWAYkK/YBwk6bZhQpZ0d1w==, sha-256"
            return Sealed(self.raw("mail"), "signed sha-256, encrypted aes-256-cbc", mic)
        return Sealed(self.raw("mail"))

    def functional_acknowledgment(self, _group: Any, kind: str, _detail: str) -> DraftSet:
        """In place of writing a 997."""
        return DraftSet(str(kind), "", "", GENERATED, 4)
