"""Who we trade with, as frozen values: partner, identity, agreement and what an agreement settles.

All values are normalised when they are made, so that equal means equal: an identity's qualifier has two
characters (``2`` is ``02``, X12 element I05), its id no padding; an address has its domain in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time, timedelta
from enum import StrEnum

from msgspec import Struct, field

from gateway.settings.model import Kept
from partners.calendar import Calendar


class Status(StrEnum):
    """Where a partnership stands. Only testing and live exchange documents."""

    DRAFT = "draft"
    TESTING = "testing"
    LIVE = "live"
    SUSPENDED = "suspended"
    ENDED = "ended"

    @property
    def stopped(self) -> bool:
        """Whether the partner gets nothing, for now or ever again."""
        return self in {Status.SUSPENDED, Status.ENDED}


class Direction(StrEnum):
    """Seen from us: IN is what the partner sends us."""

    IN = "in"
    OUT = "out"


class TA1Policy(StrEnum):
    """When we answer an interchange with a TA1: ISA14 asks for it, always, or never."""

    WHEN_ASKED = "when-asked"
    ALWAYS = "always"
    NEVER = "never"


class FunctionalAck(StrEnum):
    """Which functional acknowledgment: AUTO takes 999 where the version is a HIPAA guide (005010X…), else 997."""

    AUTO = "auto"
    F997 = "997"
    F999 = "999"
    NONE = "none"


class AckDetail(StrEnum):
    """SET lists every transaction set (AK2), REJECTED only those not accepted, GROUP none."""

    SET = "set"
    REJECTED = "rejected"
    GROUP = "group"


class Evidence(StrEnum):
    """What proves a sender, the weakest first; stronger proof than asked for is always enough.

    ADDRESS alone is a claim, chosen knowingly. MX: our own mail exchanger states that DKIM or DMARC passed
    (RFC 8601). DKIM: we verified the signature of the address's domain ourselves (RFC 6376). SIGNED: an S/MIME
    signature by one of the partner's trusted certificates (RFC 8551).
    """

    ADDRESS = "address"
    MX = "mx"
    DKIM = "dkim"
    SIGNED = "signed"


class Counted(StrEnum):
    """How the time for an acknowledgment passes: ALWAYS, or only while the partner works (its calendar)."""

    ALWAYS = "always"
    WORKING = "working"


class Numbering(StrEnum):
    """How a partner numbers what it sends: each number follows the one before, or is higher, or neither."""

    CONSECUTIVE = "consecutive"
    INCREASING = "increasing"
    ANY = "any"


class CertificateState(StrEnum):
    """PENDING waits for a person to confirm the fingerprint; only TRUSTED proves and encrypts.

    UNKNOWN is what the database has where it has none of these: it counts for nothing until a person decides again.
    """

    PENDING = "pending"
    TRUSTED = "trusted"
    RETIRED = "retired"
    UNKNOWN = "unknown"


class Identity(Struct, frozen=True, order=True):
    """An EDI identity: qualifier (ISA05/07, X12 element I05) and id (ISA06/08), normalised by ``of``."""

    qualifier: str
    id: str

    @classmethod
    def of(cls, qualifier: str, id_: str) -> Identity:
        """The identity with its qualifier padded to two characters (``2`` is ``02``) and its id trimmed."""
        return cls(qualifier.strip().upper().rjust(2, "0"), id_.strip())

    @classmethod
    def parse(cls, text: str) -> Identity:
        """``ZZ:OURCO`` or ``01:123456789``.

        Raises:
            ValueError: without a colon, an empty part, a qualifier over 2 or an id over 15 characters.
        """
        qualifier, colon, id_ = text.partition(":")
        found = cls.of(qualifier, id_)
        if not colon or not qualifier.strip() or not found.id or len(found.qualifier) > 2 or len(found.id) > 15:
            raise ValueError(f"{text!r} is not QUALIFIER:ID (2 and at most 15 characters)")
        return found

    def __str__(self) -> str:
        return f"{self.qualifier}:{self.id}"


class Separators(Struct, frozen=True):
    """The delimiters we write for an agreement; ``repetition`` counts from 00402, ``line_ending`` follows segments."""

    element: str = "*"
    component: str = ":"
    segment: str = "~"
    repetition: str = "^"
    line_ending: str = ""


class EnvelopeSettings(Struct, frozen=True):
    """How outbound interchanges of an agreement are enveloped (X12.5 sections 4.1 and 4.2).

    ``interchange_version`` (ISA12) is derived from the agreement's version where empty: 004010 → 00401.
    ``application_sender``/``application_receiver`` are GS02/GS03; empty means the ISA ids.
    """

    our_identity: Identity | None = None  # None: the home's first identity
    partner_identity: Identity | None = None  # None: the partner's first identity
    application_sender: str = ""
    application_receiver: str = ""
    interchange_version: str = ""
    usage: str = "P"  # ISA15
    request_ta1: bool = False  # ISA14
    separators: Separators = field(default_factory=Separators)


class AcknowledgmentPolicy(Struct, frozen=True):
    """For IN: what we send back. For OUT: what we expect, and ``within`` which time of the hand-over.

    ``escalate_after``: how long after it was called overdue it is called urgent; None: the time given for it, again.
    ``explain``: a mail with a rejecting acknowledgment says in words what was rejected, and why.
    """

    ta1: TA1Policy = TA1Policy.WHEN_ASKED
    functional: FunctionalAck = FunctionalAck.AUTO
    detail: AckDetail = AckDetail.SET
    within: timedelta | None = timedelta(hours=24)
    counted: Counted = Counted.ALWAYS
    escalate_after: timedelta | None = None
    explain: bool = False


class Delivery(Struct, frozen=True):
    """Where accepted inbound documents go.

    ``kind`` is directory, command or http; ``target`` the directory (relative to the home), the command
    line, or the URL. ``unit`` is set (one file a transaction set, inside its own envelope) or interchange.
    ``secret`` names the secret that the HTTP hook sends as a bearer token.
    """

    kind: str = "directory"
    target: str = ""  # empty: inbox/<partner key>
    unit: str = "set"
    timeout: timedelta = timedelta(seconds=60)
    secret: str = ""


class MailSettings(Struct, frozen=True):
    """How outbound mail of an agreement looks; templates are str.format with the names that docs/reference lists.

    ``headers`` are (name, template); ``place`` is attachment or body; ``compress`` is none, gzip or zip;
    ``transfer_encoding`` is auto, base64 or 7bit.
    """

    to: tuple[str, ...] = ()  # empty: the partner's first address
    cc: tuple[str, ...] = ()
    subject: str = "{sets} {control_number} from {our_name}"
    file_name: str = "{sets}_{control_number}.edi"
    body: str = "This mail carries EDI (ANSI X12) for {partner_name}: {sets}, interchange {control_number}.\n"
    content_type: str = "application/EDI-X12"
    reply_to: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    place: str = "attachment"
    compress: str = "none"
    transfer_encoding: str = "auto"


class Security(Struct, frozen=True):
    """How mails of an agreement are secured (S/MIME, RFC 8551; AS1, RFC 3335).

    For OUT: what we do and which receipt we ask for. For IN: what we insist on (``sign``, ``encrypt``), and
    whether we answer requests for a receipt (``receipt`` other than none). ``weak`` allows reading SHA-1, signatures
    without signed attributes, 3DES: old peers need it. ``key`` names our own key; empty: the newest active one.
    """

    sign: bool = False
    encrypt: bool = False
    compress: bool = False
    digest: str = "sha-256"  # sha-256, sha-384, sha-512
    cipher: str = "aes-256-cbc"  # aes-128-cbc, aes-256-cbc, aes-128-gcm, aes-256-gcm
    key_transport: str = "rsa-pkcs1"  # rsa-pkcs1, rsa-oaep
    receipt: str = "none"  # none, unsigned, signed
    receipt_within: timedelta | None = timedelta(hours=24)
    weak: bool = False
    key: str = ""
    receipt_counted: Counted = Counted.ALWAYS


class Storage(Struct, frozen=True):
    """How what is kept lies at rest. ``encrypt``: raw bytes, and what quotes them, by the partner's own keys."""

    encrypt: bool = False


class Certificate(Struct, frozen=True):
    """A partner's certificate as kept. ``not_before`` and ``not_after`` are ms since 1970 UTC."""

    fingerprint: str  # SHA-256 of ``der``, hex in lower case
    der: bytes
    state: CertificateState
    not_before: int
    not_after: int
    source: str = ""


class Agreement(Struct, frozen=True):
    """What one partner and we settled for one direction and some transaction sets.

    ``sets`` are ST01 values, or ``*`` for all; ``versions`` are GS08 prefixes (``004010``,
    ``005010X222A1``), empty for any. ``business_keys`` maps a name (``po``) to an element path (``BEG03``,
    ``REF02[REF01=IA]``). ``on_doubt`` is resend or hold: what happens after an unknown SMTP outcome.
    ``guideline`` names one of the partner's guidelines, a path relative to the home's directory of partners.
    ``test_delivery`` is where tests go (ISA15 T), never to ``delivery``; without a target to inbox/<partner key>/test.
    ``ordered``: a later document waits while an earlier one does. ``on_repeat`` is flag or hold: what happens to a
    business document that came, or went, before under another number.
    """

    name: str
    direction: Direction
    sets: tuple[str, ...]
    versions: tuple[str, ...] = ()
    envelope: EnvelopeSettings = field(default_factory=EnvelopeSettings)
    acknowledgment: AcknowledgmentPolicy = field(default_factory=AcknowledgmentPolicy)
    delivery: Delivery = field(default_factory=Delivery)
    test_delivery: Delivery = field(default_factory=Delivery)
    mail: MailSettings = field(default_factory=MailSettings)
    security: Security = field(default_factory=Security)
    business_keys: tuple[tuple[str, str], ...] = ()
    reject_from: str = "error"  # error or warning
    on_doubt: str = "hold"
    guideline: str = ""
    ordered: bool = False
    on_repeat: str = "flag"
    retention: Kept = field(default_factory=Kept)

    def covers(self, set_id: str, version: str) -> bool:
        """Whether this agreement is about transaction set ``set_id`` in ``version`` (GS08 or ST03)."""
        return ("*" in self.sets or set_id in self.sets) and (
            not self.versions or any(version.startswith(each) for each in self.versions)
        )


class Expected(Struct, frozen=True):
    """A file that comes by an hour: one of ``sets``, accepted, between ``opens`` and ``by`` in the calendar's zone.

    ``days`` are days of the week, none for the working days of the calendar; never on its holidays. An ``opens`` that
    is not before ``by`` is of the day before; None: half a day before ``by``.
    """

    sets: tuple[str, ...]
    by: time
    days: tuple[str, ...] = ()
    opens: time | None = None
    agreement: str = ""  # empty: any


class Partner(Struct, frozen=True):
    """A trading partner. ``key`` is stable and names it in the ledger for ever; ``name`` may change.

    ``guidelines`` are the texts of the guideline files that agreements name, by path, as they were applied.
    ``on_test`` (ISA15 T while live) and ``on_production`` (P while testing) are quarantine, accept or reject.
    """

    key: str
    name: str
    status: Status
    addresses: tuple[str, ...]
    identities: tuple[Identity, ...]
    agreements: tuple[Agreement, ...]
    evidence: Evidence = Evidence.ADDRESS
    contact: str = ""
    notes: str = ""
    guidelines: tuple[tuple[str, str], ...] = ()
    certificates: tuple[Certificate, ...] = ()  # kept beside the profile, not in it: see partners.certificates
    numbers: Numbering = Numbering.CONSECUTIVE  # ISA13 of what it sends
    group_numbers: Numbering = Numbering.CONSECUTIVE  # GS06
    gap_grace: timedelta = timedelta(hours=20)  # for missing numbers to come after all
    calendar: Calendar = field(default_factory=Calendar)
    expected: tuple[Expected, ...] = ()
    retention: Kept = field(default_factory=Kept)
    storage: Storage = field(default_factory=Storage)
    on_test: str = "quarantine"
    on_production: str = "quarantine"

    def agreement_for(self, direction: Direction, set_id: str, version: str) -> Agreement | None:
        """The first agreement of that direction that covers the set, exact sets before ``*``."""
        fitting = [a for a in self.agreements if a.direction is direction and a.covers(set_id, version)]
        fitting.sort(key=lambda a: "*" in a.sets)
        return fitting[0] if fitting else None

    def agreement_named(self, name: str, direction: Direction, sets: Iterable[tuple[str, str]]) -> Agreement | None:
        """The agreement of that name and direction; else the first that is about one of ``sets`` by now.

        ``sets`` are ids with versions. The name of one may be made of its sets: it is another one when a set is added.
        """
        found = next((each for each in self.agreements if (each.name, each.direction) == (name, direction)), None)
        fitting = (self.agreement_for(direction, *each) for each in sets)
        return found or next((each for each in fitting if each is not None), None)
