"""Every failure the gateway can name, as one tree.

Each class carries a stable ``code``, a ``sentence`` (a format template filled from the keyword
arguments it is raised with), the ``advice`` that names the next step, whose ``side`` it is on,
whether it is ``permanent`` (the same attempt can never succeed) and the ``exit_code`` of a command
that ends with it::

    GatewayError
    ├── Unexpected                    1   a defect of ours; the rest of the batch went on
    ├── ConfigurationFault            78  ours: settings, profiles, secrets, home
    │   ├── HomeMissing, HomeExists, SettingsInvalid, ProfileInvalid, ProfileOverlap
    │   ├── GuidelineInvalid
    │   ├── SecretMissing, SecretUnreadable, UnknownPartner, NoAgreement, MigrationsBehind
    │   └── NotInstalled
    ├── Unavailable                   69  a host or database did not serve us; try again
    │   ├── MailboxUnavailable, MailboxBusy, MessageNotGiven, LoginRefused, InsecureConnection
    │   ├── SmtpUnavailable, DatabaseUnavailable
    │   └── DeliveryFailed
    ├── TryAgainLater                 75
    │   └── HomeInUse
    ├── MessageFault                  65  a message or its content that cannot be processed: quarantine
    │   ├── MessageTooLarge, HeadersTooLarge, StructureTooDeep, TooManyParts, MessageMalformed
    │   ├── ContentDamaged, ContentMissing
    │   ├── SenderAmbiguous, SenderUnknown, IdentityUnknown, IdentityMismatch, ReceiverNotUs
    │   ├── PartnerNotActive, UnexpectedType, UsageMismatch
    │   └── NotX12, DuplicateNumber, AcknowledgmentUnmatched, ProcessingFailed
    ├── DocumentFault                 65  a document we were asked to send that cannot be sent
    │   ├── DocumentUnreadable, DocumentInvalid, SeparatorInData
    │   └── DocumentMisaddressed, DocumentMisplaced, KeyReused
    ├── SendingFault                      an attempt to mail something that did not succeed
    │   ├── TemporarilyRefused        75
    │   ├── Refused                   65
    │   └── OutcomeUnknown            75  the reply to the final dot was lost: in doubt
    └── UsageFault                    2   a command was asked for something that is not there
        └── NotFound, NotAllowedNow, QueryInvalid
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Side(StrEnum):
    """Whose side a failure is on, so that an operator knows whom to call."""

    OURS = "ours"
    PARTNER = "partner"
    HOST = "mail host"
    UNKNOWN = "unknown"


class GatewayError(Exception):
    """The root of the tree. ``details`` keeps the keyword arguments the sentence was filled from."""

    code: ClassVar[str] = "gateway.error"
    sentence: ClassVar[str] = "Something went wrong: {reason}"
    advice: ClassVar[str] = "Run the command again with --debug and read the log."
    side: ClassVar[Side] = Side.UNKNOWN
    permanent: ClassVar[bool] = True
    exit_code: ClassVar[int] = 1

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.sentence.format_map(_Blanks(details)))

    @property
    def next_step(self) -> str:
        """The advice, filled from the details as the sentence is."""
        return self.advice.format_map(_Blanks(self.details))

    def as_dict(self) -> dict[str, object]:
        """What a machine wants to know of this failure: code, message, advice, side, permanent, details."""
        return {
            "code": self.code,
            "message": str(self),
            "advice": self.next_step,
            "side": self.side.value,
            "permanent": self.permanent,
            "details": {key: str(value) for key, value in self.details.items()},
        }


class _Blanks(dict[str, object]):
    """Fills what a sentence names but nobody gave: a fault must never fail while it speaks."""

    def __missing__(self, key: str) -> str:
        return f"<{key} not given>"


class Unexpected(GatewayError):
    code = "unexpected"
    sentence = "{what} failed in a way that the gateway does not know: {reason}"
    advice = "The rest went on. This is a defect of the gateway: report it with the log; --debug shows more."
    side = Side.OURS


# ---------------------------------------------------------------- configuration


class ConfigurationFault(GatewayError):
    """Settings, profiles or secrets do not say what the gateway needs."""

    code = "configuration"
    sentence = "The configuration is wrong: {reason}"
    advice = "Correct the configuration and run `gateway doctor`."
    side = Side.OURS
    exit_code = 78


class HomeMissing(ConfigurationFault):
    code = "home.missing"
    sentence = "There is no gateway home at {path}: it has no gateway.toml."
    advice = "Make one with `gateway init --home DIR`, or name another with --home or GATEWAY_HOME."


class HomeExists(ConfigurationFault):
    code = "home.exists"
    sentence = "There is a gateway home at {path} already; nothing was changed."
    advice = "Use that home, or choose another directory."


class SettingsInvalid(ConfigurationFault):
    code = "settings.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the value in gateway.toml; docs/reference/settings.md lists what is allowed."


class ProfileInvalid(ConfigurationFault):
    code = "profile.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the profile and run `gateway partner apply` again; nothing was changed."


class GuidelineInvalid(ConfigurationFault):
    code = "guideline.invalid"
    sentence = "{file}, line {line}, key {key}: {reason}"
    advice = "Correct the guideline and apply the profile that names it; docs/reference/guidelines.md lists the keys."


class ProfileOverlap(ConfigurationFault):
    code = "profile.overlap"
    sentence = "{what} is claimed by both {first} and {second}."
    advice = "An address or identity pair must lead to one partner: correct one of the two profiles."


class SecretMissing(ConfigurationFault):
    code = "secret.missing"
    sentence = "There is no secret named {name}."
    advice = "Store it with `gateway secret set {name}`, or give it in the environment or the credentials directory."


class SecretUnreadable(ConfigurationFault):
    code = "secret.unreadable"
    sentence = "The secret {name} cannot be decrypted with the key in {path}."
    advice = "Restore the key file that belongs to this ledger, or set the secret again."


class UnknownPartner(ConfigurationFault):
    code = "partner.unknown"
    sentence = "There is no trading partner named {partner}."
    advice = "`gateway partner list` shows all; `gateway partner apply FILE` adds one."
    exit_code = 2


class NoAgreement(ConfigurationFault):
    code = "agreement.missing"
    sentence = "{partner} has no agreement to {direction} {set} {version}."
    advice = "Add the transaction set to an agreement in the partner's profile and apply it."


class MigrationsBehind(ConfigurationFault):
    code = "database.migrations-behind"
    sentence = "The database is at revision {found}, this gateway needs {wanted}."
    advice = "Run `gateway init --upgrade` (make a backup first)."


class NotInstalled(ConfigurationFault):
    code = "package.not-installed"
    sentence = "{feature} needs the package {package}, which is not installed."
    advice = "Install it, for example with `pip install 'edi-gateway[{extra}]'`."


# ---------------------------------------------------------------- availability


class Unavailable(GatewayError):
    """A host or database did not serve us; nothing is lost, the next run tries again."""

    code = "unavailable"
    sentence = "{what} is not available: {reason}"
    advice = "Nothing is lost; the next run tries again. `gateway doctor` tells more."
    side = Side.HOST
    permanent = False
    exit_code = 69


class MailboxUnavailable(Unavailable):
    code = "mailbox.unavailable"
    sentence = "The mailbox {mailbox} at {host} cannot be read: {reason}"


class MailboxBusy(Unavailable):
    code = "mailbox.busy"
    sentence = "The mailbox {mailbox} at {host} is in use by another session: {reason}"
    advice = "Wait for the other session to end; if it happens often, look for a second mail client."


class MessageNotGiven(Unavailable):
    code = "mailbox.message-not-given"
    sentence = "The mailbox {mailbox} at {host} does not give message {uid}: {reason}"
    advice = "It stays on the server; the next run asks again. If it never comes, look at it with a mail client."


class LoginRefused(Unavailable):
    code = "mail.login-refused"
    sentence = "{host} refused the login of {user}: {reason}"
    advice = "Check the user name and set the password again with `gateway secret set`."
    permanent = True


class InsecureConnection(Unavailable):
    code = "mail.insecure"
    sentence = "The connection to {host} is not safe: {reason}"
    advice = "No password was sent. Correct the host name, the certificate or the ca_file setting."
    permanent = True


class SmtpUnavailable(Unavailable):
    code = "smtp.unavailable"
    sentence = "The SMTP host {host} does not take mail: {reason}"


class DatabaseUnavailable(Unavailable):
    code = "database.unavailable"
    sentence = "The database cannot be used: {reason}"
    advice = "Check that it runs, that the disk is not full, and the url in gateway.toml."
    side = Side.OURS


class DeliveryFailed(Unavailable):
    code = "delivery.failed"
    sentence = "{what} could not be handed to the business at {target}: {reason}"
    advice = "Correct the directory or hook; the next run delivers it again under the same name and key."
    side = Side.OURS


class TryAgainLater(GatewayError):
    """Somebody else is at work; the same command will succeed later."""

    code = "try-again-later"
    sentence = "Not now: {reason}"
    advice = "Try again in a minute."
    side = Side.OURS
    permanent = False
    exit_code = 75


class HomeInUse(TryAgainLater):
    code = "home.in-use"
    sentence = "The home {path} is in use by {holder}."
    advice = "Wait for it to end; two processes on one SQLite ledger are refused on purpose."


# ---------------------------------------------------------------- messages received


class MessageFault(GatewayError):
    """A message, or what it carries, cannot be processed; it is quarantined with its raw bytes."""

    code = "message"
    sentence = "The message cannot be processed: {reason}"
    advice = "`gateway quarantine show` shows it; release it when the cause is gone, or discard it."
    side = Side.PARTNER
    exit_code = 65


class MessageTooLarge(MessageFault):
    code = "message.too-large"
    sentence = "The message has {size} bytes; the limit is {limit}."
    advice = "Ask the partner to split it, or raise limits.message_size."


class HeadersTooLarge(MessageFault):
    code = "message.headers-too-large"
    sentence = "The header block is past its bounds: {reason}"
    advice = "No honest mail client writes this; look at the raw message before you release it."


class StructureTooDeep(MessageFault):
    code = "message.too-deep"
    sentence = "The message is nested deeper than {limit} levels."
    advice = "No honest mail client writes this; look at the raw message before you release it."


class TooManyParts(MessageFault):
    code = "message.too-many-parts"
    sentence = "The message has more than {limit} parts."
    advice = "Ask the partner to send fewer attachments in one mail, or raise limits.parts."


class MessageMalformed(MessageFault):
    code = "message.malformed"
    sentence = "The message does not follow MIME: {reason}"
    advice = "Look at the raw message; ask the partner to send it again from another mail client."


class ContentDamaged(MessageFault):
    code = "content.damaged"
    sentence = "The part {part} cannot be decoded without guessing: {reason}"
    advice = "Ask the partner to send the file again as an attachment."


class ContentMissing(MessageFault):
    code = "content.missing"
    sentence = "The message carries no X12 interchange."
    advice = "If it is a letter to a person, forward it and discard it here; else ask the partner for the file."


class SenderAmbiguous(MessageFault):
    code = "sender.ambiguous"
    sentence = "The message does not say who sent it: {reason}"
    advice = "Exactly one From address is needed. Look at the raw message; it may be forged."


class SenderUnknown(MessageFault):
    code = "sender.unknown"
    sentence = "No trading partner has the address {address}."
    advice = "Add the address to a profile (`gateway partner apply`) and release it, or discard it."


class IdentityUnknown(MessageFault):
    code = "identity.unknown"
    sentence = "{partner} has no EDI identity {identity}; the interchange {control_number} names it as sender."
    advice = "Add the identity to the partner's profile and release the message, or ask the partner."


class IdentityMismatch(MessageFault):
    code = "identity.mismatch"
    sentence = (
        "The address {address} is {partner}'s, but interchange {control_number} claims to be from {identity}, "
        "which is {owner}'s."
    )
    advice = "This may be a forgery. Ask both partners by telephone; bind the address in the profile if it is right."


class ReceiverNotUs(MessageFault):
    code = "receiver.not-us"
    sentence = "Interchange {control_number} is addressed to {identity}, which is not ours."
    advice = "Tell the partner the right receiver, or add the identity to gateway.toml and release the message."


class PartnerNotActive(MessageFault):
    code = "partner.not-active"
    sentence = "{partner} is {status}: nothing is accepted from it."
    advice = "Activate the partner and release the message, or discard it."
    side = Side.OURS


class UnexpectedType(MessageFault):
    code = "agreement.unexpected-type"
    sentence = "{partner} has no agreement to send us {set} {version}."
    advice = "Add it to an agreement and release the message, or ask the partner."


class UsageMismatch(MessageFault):
    code = "usage.mismatch"
    sentence = "Interchange {control_number} is marked {found} (ISA15); the agreement with {partner} is for {wanted}."
    advice = "Change the agreement's usage when the partner goes live, then release; else discard it."


class NotX12(MessageFault):
    code = "payload.not-x12"
    sentence = "The payload {name} is not X12: {reason}"
    advice = "Ask the partner to send X12."


class DuplicateNumber(MessageFault):
    code = "interchange.duplicate-number"
    sentence = (
        "{partner} used interchange control number {control_number} before, on {earlier}, for other content "
        "(exchange {exchange})."
    )
    advice = "A TA1 025 was sent. Ask the partner for a new number; release it by hand if the content is right."


class AcknowledgmentUnmatched(MessageFault):
    code = "acknowledgment.unmatched"
    sentence = "{partner} acknowledges {what}, which we never sent to it."
    advice = "Ask the partner what it received; it may belong to another system or be forged."


class ProcessingFailed(MessageFault):
    code = "message.processing-failed"
    sentence = "The message could not be processed: {reason}"
    advice = "This is a defect of the gateway: report it with the raw message. Release it after an upgrade."
    side = Side.OURS


# ---------------------------------------------------------------- documents to send


class DocumentFault(GatewayError):
    """A document that the business submitted cannot be sent as it is."""

    code = "document"
    sentence = "{name} cannot be sent: {reason}"
    advice = "Correct the document and submit it again; no control number was used."
    side = Side.OURS
    exit_code = 65


class DocumentUnreadable(DocumentFault):
    code = "document.unreadable"
    sentence = "{name} is neither transaction sets (ST…SE) nor groups nor interchanges: {reason}"


class DocumentMisaddressed(DocumentFault):
    code = "document.misaddressed"
    sentence = "{name} says {identity} in its ISA, which is {owner}'s; it was submitted for {partner}."
    advice = "Submit it for the right partner. Bare transaction sets (ST…SE) name nobody and fit every partner."


class DocumentMisplaced(DocumentFault):
    code = "document.misplaced"
    sentence = "{name} lies where no partner's documents are looked for."
    advice = "Put it into outbox/<partner>/, by the partner's key (`gateway partner list`)."


class KeyReused(DocumentFault):
    code = "document.key-reused"
    sentence = "{name} was not submitted: its key {key} was used before for another document (exchange {exchange})."
    advice = "A key names one document for ever: choose another."


class DocumentInvalid(DocumentFault):
    code = "document.invalid"
    sentence = "{name} breaks the guideline {guideline}: {reason}"


class SeparatorInData(DocumentFault):
    code = "document.separator-in-data"
    sentence = "{name}: element {position} contains the separator {separator!r} of the agreement."
    advice = "Choose other separators in the agreement, or take the character out of the data."


# ---------------------------------------------------------------- sending


class SendingFault(GatewayError):
    """An attempt to mail something did not succeed; the bytes and numbers stay the same."""

    code = "sending"
    sentence = "{host} did not take the mail: {reason}"
    advice = "`gateway exchange show` tells the whole story."
    side = Side.HOST


class TemporarilyRefused(SendingFault):
    code = "sending.deferred"
    sentence = "{host} refuses for now: {reply}"
    advice = "It is tried again by itself with growing pauses."
    permanent = False
    exit_code = 75


class Refused(SendingFault):
    code = "sending.refused"
    sentence = "{host} refuses {recipient} for good: {reply}"
    advice = "Correct the address in the profile, then `gateway exchange resend`."
    exit_code = 65


class OutcomeUnknown(SendingFault):
    code = "sending.in-doubt"
    sentence = "The connection to {host} was lost after the final dot: the mail may or may not have been taken."
    advice = "An acknowledgment resolves it; else `gateway exchange resolve` after asking the partner."
    permanent = False
    exit_code = 75


# ---------------------------------------------------------------- usage


class UsageFault(GatewayError):
    """A command or call asks for something that is not there or not possible now."""

    code = "usage"
    sentence = "{reason}"
    advice = "See `--help`."
    side = Side.OURS
    exit_code = 2


class NotFound(UsageFault):
    code = "not-found"
    sentence = "There is no {what} {key}."
    advice = "`gateway ledger search` and `gateway partner list` show what there is."


class NotAllowedNow(UsageFault):
    code = "not-allowed-now"
    sentence = "{what} {key} is {state}: {reason}"
    advice = "`gateway ledger show` tells where it stands."


class QueryInvalid(UsageFault):
    code = "query.invalid"
    sentence = "The query cannot be understood at {where}: {reason}"
    advice = "`gateway ledger search --help` lists what can be asked."


def unexpected(what: str, problem: BaseException) -> Unexpected:
    """An exception that is none of ours, as one that is."""
    return Unexpected(what=what, reason=f"{type(problem).__name__}: {problem}")


def all_faults() -> list[type[GatewayError]]:
    """Every class of the tree, root first, in the order in which they are written."""
    found: list[type[GatewayError]] = []
    waiting: list[type[GatewayError]] = [GatewayError]
    while waiting:
        fault = waiting.pop(0)
        found.append(fault)
        waiting[:0] = fault.__subclasses__()
    return found
