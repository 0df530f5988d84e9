"""Every failure the gateway can name, as one tree.

Each class carries a stable ``code``, a ``sentence`` (a format template filled from the keyword
arguments it is raised with), the ``advice`` that names the next step, whose ``side`` it is on,
whether it is ``permanent`` (the same attempt can never succeed) and the ``exit_code`` of a command
that ends with it::

    GatewayError
    ├── Unexpected                    1   a defect of ours; the rest of the batch went on
    ├── ConfigurationFault            78  ours: settings, profiles, secrets, home
    │   ├── HomeMissing, HomeExists, SettingsInvalid, AuthoritiesUnusable, ProfileInvalid, ProfileOverlap
    │   ├── GuidelineInvalid
    │   ├── CertificateUnreadable, CertificateMissing, OwnKeyMissing, OwnKeyUnusable
    │   ├── SecretMissing, SecretNotOutside, SecretUnreadable, UnknownPartner, NoAgreement
    │   ├── MigrationsBehind, DatabaseEmpty, DatabaseEncoding, LedgerBehind, LedgerNewer, CheckpointUnreadable
    │   ├── BackupUnfit, FileInTheWay, ProgramMissing, ProgramTooOld
    │   ├── NotAuthorized, PayloadKeyUnreadable
    │   ├── WorkersNeedPostgres, JobsMissing
    │   └── NotInstalled, CertificateUnusable
    ├── Unavailable                   69  a host or database did not serve us; try again
    │   ├── MailboxUnavailable, MailboxBusy, MessageNotGiven, LoginRefused, InsecureConnection
    │   ├── SmtpUnavailable, SmtpCrowded, SmtpInterrupted, DnsUnavailable, DatabaseUnavailable
    │   ├── DatabaseConflict, DiskFailed, CheckpointUnwritable, SealUnwritable, MovedArchiveUnwritable
    │   ├── BackupFailed, BackupDamaged, RestoreFailed
    │   ├── TokenRefused, TokenUnavailable, TokenNotTaken
    │   ├── ConsoleUnavailable, ConsoleOutOfOrder, ProviderUnavailable
    │   └── DeliveryFailed, AlertNotTold, OutputUnwritable
    ├── TryAgainLater                 75
    │   └── HomeInUse, LeaseLost, StillInFiles
    ├── MessageFault                  65  a message or its content that cannot be processed: quarantine
    │   ├── MessageTooLarge, HeadersTooLarge, StructureTooDeep, TooManyParts, MessageMalformed
    │   ├── MessageTooSlow, LoopDetected, ContentDamaged, ArchiveRefused, ArchiveLocked, ContentMissing
    │   ├── SenderAmbiguous, SenderUnknown, SenderUnproven, SenderUndecided
    │   ├── IdentityUnknown, IdentityMismatch, ReceiverNotUs
    │   ├── PartnerNotActive, UnexpectedType, UsageMismatch, RestoredUnprocessed
    │   ├── TestWhileLive, ProductionWhileTesting
    │   ├── SecurityFault                 an S/MIME layer that does not open or prove what it should
    │   │   ├── SecurityMalformed, SignatureInvalid, SignerUnknown, SignerRefused
    │   │   ├── CannotDecrypt, AlgorithmRefused
    │   │   ├── KeysUnreadable, InsufficientSecurity, AnswerNotSecured
    │   │   └── DecompressionFailed, CompressionBomb
    │   ├── ReceiptFault                  a receipt that does not say what it should
    │   │   └── ReceiptNegative, ReceiptMismatch, ReceiptUnproven
    │   ├── AcknowledgmentUnmatched, AcknowledgmentForged, AcknowledgmentAsTest, AcknowledgmentOfGone
    │   ├── AcknowledgmentContradicting, AcknowledgmentPartly, AcknowledgmentTooLate
    │   └── NotX12, DuplicateNumber, DocumentRepeated, ProcessingFailed
    ├── DocumentFault                 65  a document we were asked to send that cannot be sent
    │   ├── DocumentUnreadable, DocumentInvalid, SeparatorInData
    │   ├── DocumentMisaddressed, DocumentMisplaced, DocumentNotTaken, DocumentsLeft
    │   └── KeyReused, SubmittedAgain, SubmittedBefore
    ├── SendingFault                      an attempt to mail something that did not succeed
    │   ├── TemporarilyRefused        75
    │   ├── Refused, GivenUp          65
    │   └── OutcomeUnknown            75  the reply to the final dot was lost: in doubt
    ├── SealInvalid                   65  a seal of the ledger that proves nothing
    ├── DoorFault                     2   somebody, or a program, is not let in
    │   ├── SignInRefused, SignInPaused, ProviderRefused
    │   └── ApiTokenRefused, ScopeMissing, TooManyRequests
    └── UsageFault                    2   a command was asked for something that is not there
        ├── NotFound, NotAllowedNow, PartnerNotReady, QueryInvalid, BackupExists
        ├── PasswordRefused, RequestInvalid, RevisionDiffers
        ├── UserUnknown, UserTaken, UserVouchedFor, ApiTokenUnknown, ApiTokenTaken
        ├── MovedArchiveUnreadable, MovedArchiveLost, MovedArchiveAltered
        └── ContentPutAway, ContentErased, HeldBack, NotAsRecorded
"""

from __future__ import annotations

from gateway.errors.access import (
    NotAuthorized,
    TokenNotTaken,
    TokenRefused,
    TokenUnavailable,
)
from gateway.errors.backup import (
    BackupDamaged,
    BackupExists,
    BackupFailed,
    BackupUnfit,
    FileInTheWay,
    LedgerNewer,
    ProgramMissing,
    ProgramTooOld,
    RestoredUnprocessed,
    RestoreFailed,
)
from gateway.errors.base import Behind, GatewayError, Side, Unexpected, made_again, unexpected
from gateway.errors.evidence import NotAsRecorded, SealInvalid, SealUnwritable
from gateway.errors.hosts import (
    AlertNotTold,
    CheckpointUnwritable,
    DatabaseConflict,
    DatabaseUnavailable,
    DeliveryFailed,
    DiskFailed,
    DnsUnavailable,
    GivenUp,
    HomeInUse,
    InsecureConnection,
    LeaseLost,
    LoginRefused,
    MailboxBusy,
    MailboxUnavailable,
    MessageNotGiven,
    OutcomeUnknown,
    OutputUnwritable,
    Refused,
    SendingFault,
    SmtpCrowded,
    SmtpInterrupted,
    SmtpUnavailable,
    TemporarilyRefused,
    TryAgainLater,
    Unavailable,
)
from gateway.errors.people import (
    ApiTokenRefused,
    ApiTokenTaken,
    ApiTokenUnknown,
    ConsoleOutOfOrder,
    ConsoleUnavailable,
    DoorFault,
    PasswordRefused,
    ProviderRefused,
    ProviderUnavailable,
    RequestInvalid,
    RevisionDiffers,
    ScopeMissing,
    SignInPaused,
    SignInRefused,
    TooManyRequests,
    UserTaken,
    UserUnknown,
    UserVouchedFor,
)
from gateway.errors.received import (
    AcknowledgmentAsTest,
    AcknowledgmentContradicting,
    AcknowledgmentCounts,
    AcknowledgmentForged,
    AcknowledgmentOfCancelled,
    AcknowledgmentOfGone,
    AcknowledgmentPartly,
    AcknowledgmentTooLate,
    AcknowledgmentUnmatched,
    ArchiveLocked,
    ArchiveRefused,
    ContentDamaged,
    ContentMissing,
    DocumentRepeated,
    DuplicateNumber,
    HeadersTooLarge,
    IdentityMismatch,
    IdentityUnknown,
    LoopDetected,
    MessageFault,
    MessageMalformed,
    MessageTooLarge,
    MessageTooSlow,
    NotX12,
    PartnerNotActive,
    ProcessingFailed,
    ProductionWhileTesting,
    ReceiverNotUs,
    SenderAmbiguous,
    SenderUndecided,
    SenderUnknown,
    SenderUnproven,
    StructureTooDeep,
    TestWhileLive,
    TooManyParts,
    UnexpectedType,
    UsageMismatch,
)
from gateway.errors.requests import (
    DocumentFault,
    DocumentInvalid,
    DocumentMisaddressed,
    DocumentMisplaced,
    DocumentNotTaken,
    DocumentsLeft,
    DocumentUnreadable,
    KeyReused,
    NotAllowedNow,
    NotFound,
    PartnerNotReady,
    QueryInvalid,
    SeparatorInData,
    SubmittedAgain,
    SubmittedBefore,
    UsageFault,
)
from gateway.errors.retention import (
    ContentErased,
    ContentPutAway,
    HeldBack,
    MovedArchiveAltered,
    MovedArchiveLost,
    MovedArchiveUnreadable,
    MovedArchiveUnwritable,
    PayloadKeyUnreadable,
    StillInFiles,
)
from gateway.errors.security import (
    AlgorithmRefused,
    AnswerNotSecured,
    CannotDecrypt,
    CertificateUnusable,
    CompressionBomb,
    DecompressionFailed,
    InsufficientSecurity,
    KeysUnreadable,
    ReceiptFault,
    ReceiptMismatch,
    ReceiptNegative,
    ReceiptUnproven,
    SecurityFault,
    SecurityMalformed,
    SignatureInvalid,
    SignerRefused,
    SignerUnknown,
)
from gateway.errors.setup import (
    AuthoritiesUnusable,
    CertificateMissing,
    CertificateUnreadable,
    CheckpointUnreadable,
    ConfigurationFault,
    DatabaseEmpty,
    DatabaseEncoding,
    GuidelineInvalid,
    HomeExists,
    HomeMissing,
    JobsMissing,
    LedgerBehind,
    MigrationsBehind,
    NoAgreement,
    NotInstalled,
    OwnKeyMissing,
    OwnKeyUnusable,
    ProfileInvalid,
    ProfileOverlap,
    SecretMissing,
    SecretNotOutside,
    SecretUnreadable,
    SettingsInvalid,
    UnknownPartner,
    WorkersNeedPostgres,
)

__all__ = [
    "AcknowledgmentAsTest",
    "AcknowledgmentContradicting",
    "AcknowledgmentCounts",
    "AcknowledgmentForged",
    "AcknowledgmentOfCancelled",
    "AcknowledgmentOfGone",
    "AcknowledgmentPartly",
    "AcknowledgmentTooLate",
    "AcknowledgmentUnmatched",
    "AlertNotTold",
    "AlgorithmRefused",
    "AnswerNotSecured",
    "ApiTokenRefused",
    "ApiTokenTaken",
    "ApiTokenUnknown",
    "ArchiveLocked",
    "ArchiveRefused",
    "AuthoritiesUnusable",
    "BackupDamaged",
    "BackupExists",
    "BackupFailed",
    "BackupUnfit",
    "Behind",
    "CannotDecrypt",
    "CertificateMissing",
    "CertificateUnreadable",
    "CertificateUnusable",
    "CheckpointUnreadable",
    "CheckpointUnwritable",
    "CompressionBomb",
    "ConfigurationFault",
    "ConsoleOutOfOrder",
    "ConsoleUnavailable",
    "ContentDamaged",
    "ContentErased",
    "ContentMissing",
    "ContentPutAway",
    "DatabaseConflict",
    "DatabaseEmpty",
    "DatabaseEncoding",
    "DatabaseUnavailable",
    "DecompressionFailed",
    "DeliveryFailed",
    "DiskFailed",
    "DnsUnavailable",
    "DocumentFault",
    "DocumentInvalid",
    "DocumentMisaddressed",
    "DocumentMisplaced",
    "DocumentNotTaken",
    "DocumentRepeated",
    "DocumentUnreadable",
    "DocumentsLeft",
    "DoorFault",
    "DuplicateNumber",
    "FileInTheWay",
    "GatewayError",
    "GivenUp",
    "GuidelineInvalid",
    "HeadersTooLarge",
    "HeldBack",
    "HomeExists",
    "HomeInUse",
    "HomeMissing",
    "IdentityMismatch",
    "IdentityUnknown",
    "InsecureConnection",
    "InsufficientSecurity",
    "JobsMissing",
    "KeyReused",
    "KeysUnreadable",
    "LeaseLost",
    "LedgerBehind",
    "LedgerNewer",
    "LoginRefused",
    "LoopDetected",
    "MailboxBusy",
    "MailboxUnavailable",
    "MessageFault",
    "MessageMalformed",
    "MessageNotGiven",
    "MessageTooLarge",
    "MessageTooSlow",
    "MigrationsBehind",
    "MovedArchiveAltered",
    "MovedArchiveLost",
    "MovedArchiveUnreadable",
    "MovedArchiveUnwritable",
    "NoAgreement",
    "NotAllowedNow",
    "NotAsRecorded",
    "NotAuthorized",
    "NotFound",
    "NotInstalled",
    "NotX12",
    "OutcomeUnknown",
    "OutputUnwritable",
    "OwnKeyMissing",
    "OwnKeyUnusable",
    "PartnerNotActive",
    "PartnerNotReady",
    "PasswordRefused",
    "PayloadKeyUnreadable",
    "ProcessingFailed",
    "ProductionWhileTesting",
    "ProfileInvalid",
    "ProfileOverlap",
    "ProgramMissing",
    "ProgramTooOld",
    "ProviderRefused",
    "ProviderUnavailable",
    "QueryInvalid",
    "ReceiptFault",
    "ReceiptMismatch",
    "ReceiptNegative",
    "ReceiptUnproven",
    "ReceiverNotUs",
    "Refused",
    "RequestInvalid",
    "RestoreFailed",
    "RestoredUnprocessed",
    "RevisionDiffers",
    "ScopeMissing",
    "SealInvalid",
    "SealUnwritable",
    "SecretMissing",
    "SecretNotOutside",
    "SecretUnreadable",
    "SecurityFault",
    "SecurityMalformed",
    "SenderAmbiguous",
    "SenderUndecided",
    "SenderUnknown",
    "SenderUnproven",
    "SendingFault",
    "SeparatorInData",
    "SettingsInvalid",
    "Side",
    "SignInPaused",
    "SignInRefused",
    "SignatureInvalid",
    "SignerRefused",
    "SignerUnknown",
    "SmtpCrowded",
    "SmtpInterrupted",
    "SmtpUnavailable",
    "StillInFiles",
    "StructureTooDeep",
    "SubmittedAgain",
    "SubmittedBefore",
    "TemporarilyRefused",
    "TestWhileLive",
    "TokenNotTaken",
    "TokenRefused",
    "TokenUnavailable",
    "TooManyParts",
    "TooManyRequests",
    "TryAgainLater",
    "Unavailable",
    "Unexpected",
    "UnexpectedType",
    "UnknownPartner",
    "UsageFault",
    "UsageMismatch",
    "UserTaken",
    "UserUnknown",
    "UserVouchedFor",
    "WorkersNeedPostgres",
    "all_faults",
    "made_again",
    "unexpected",
]


def all_faults() -> list[type[GatewayError]]:
    """Every class of the tree, root first, in the order in which they are written."""
    found: list[type[GatewayError]] = []
    waiting: list[type[GatewayError]] = [GatewayError]
    while waiting:
        fault = waiting.pop(0)
        found.append(fault)
        waiting[:0] = fault.__subclasses__()
    return found
