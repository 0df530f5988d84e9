"""Faults of messages that we received, and of what they carry."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side


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


class MessageTooSlow(MessageFault):
    code = "message.too-slow"
    sentence = "Opening and judging the message took more than {limit} s of processor time, and was stopped."
    advice = "Look at the raw message. If it is honest and merely large, raise limits.processor_time and release it."


class MessageMalformed(MessageFault):
    code = "message.malformed"
    sentence = "The message does not follow MIME: {reason}"
    advice = "Look at the raw message; ask the partner to send it again from another mail client."


class LoopDetected(MessageFault):
    code = "message.loop"
    sentence = "The message runs in circles: {reason}"
    advice = "Nothing was answered. Find the forwarding rule that brings our mail back, then discard it here."


class ContentDamaged(MessageFault):
    code = "content.damaged"
    sentence = "The part {part} cannot be decoded without guessing: {reason}"
    advice = "Ask the partner to send the file again as an attachment."


class ArchiveRefused(MessageFault):
    code = "content.archive-refused"
    sentence = "The archive {name} is not opened: {reason}"
    advice = "Ask the partner to send the files themselves, or raise the limits.decompressed keys and release it."


class ArchiveLocked(MessageFault):
    code = "content.archive-locked"
    sentence = "The archive {name} can only be opened with a password."
    advice = "Ask the partner to send the file without a password, secured by S/MIME where it must be secret."


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
    advice = (
        "Add the address to a profile (`gateway partner apply`), or make a profile from it (`gateway partner learn`), "
        "and release it; or discard it."
    )


class SenderUnproven(MessageFault):
    code = "sender.unproven"
    sentence = "Nothing proves that {address} sent this: {partner} is to be known by {wanted}; {found}."
    advice = (
        "It may be forged: ask {partner} by telephone. If it is theirs, let them sign their mail, or lower the "
        "profile's evidence knowingly; then release the message."
    )


class SenderUndecided(MessageFault):
    code = "sender.undecided"
    sentence = "Whether {address} sent this cannot be decided yet: {reason}"
    advice = "Every batch tries again by itself for {retry}. See that this machine can ask the DNS (`gateway doctor`)."
    side = Side.HOST
    permanent = False


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
    sentence = "{partner} is {status}: nothing is exchanged with it."
    advice = "Activate the partner, then release the message or send the document again; or discard it."
    side = Side.OURS


class UnexpectedType(MessageFault):
    code = "agreement.unexpected-type"
    sentence = "{partner} has no agreement to send us {set} {version}."
    advice = "Add it to an agreement and release the message, or ask the partner."


class UsageMismatch(MessageFault):
    code = "usage.mismatch"
    sentence = "Interchange {control_number} is marked {found} (ISA15); the agreement with {partner} is for {wanted}."
    advice = "Change the agreement's usage when the partner goes live, then release; else discard it."


class TestWhileLive(MessageFault):
    code = "usage.test-while-live"
    sentence = "Interchange {control_number} is a test (ISA15 T), and {partner} is live."
    advice = (
        "Ask {partner} what it is. A document in earnest must come again with ISA15 P; for more tests write "
        'on_test = "accept" in the profile and release it; else discard it.'
    )


class ProductionWhileTesting(MessageFault):
    code = "usage.production-while-testing"
    sentence = "Interchange {control_number} is for production (ISA15 P), and {partner} is still in testing."
    advice = (
        "`gateway partner checklist {partner}` tells what is missing to go live; activate it and release this, or ask "
        'for ISA15 T. Where the partner cannot write T, on_production = "accept" takes it as a test.'
    )


class NotX12(MessageFault):
    code = "payload.not-x12"
    sentence = "The payload {name} is not X12: {reason}"
    advice = "Ask the partner to send it again as whole X12; then discard what lies in quarantine."


class DuplicateNumber(MessageFault):
    code = "interchange.duplicate-number"
    sentence = (
        "{partner} used interchange control number {control_number} before, on {earlier}, for other content "
        "(exchange {exchange})."
    )
    advice = (
        "It is answered with TA1 025, unless it only acknowledges. Ask the partner for a new number, or "
        "`gateway exchange accept` if the content is right."
    )


class AcknowledgmentUnmatched(MessageFault):
    code = "acknowledgment.unmatched"
    sentence = "{partner} acknowledges {what}, which we never sent to it."
    advice = "Ask the partner what it received; it may belong to another system or be forged."


class AcknowledgmentForged(MessageFault):
    code = "acknowledgment.forged"
    sentence = "{partner} acknowledges {what}, which never went to it, but to {other}."
    advice = (
        "Nothing was changed by it. Ask {partner} what it received: it may write a wrong number, which {other} happens "
        "to have too, or somebody pretends to know. Then `gateway exchange settle`."
    )


class AcknowledgmentOfGone(MessageFault):
    code = "acknowledgment.of-gone"
    sentence = "{partner} acknowledges {what}: a number that we used, and nothing in the ledger has any more{where}."
    advice = "`gateway ledger search {word} --archive FILE` tells what it was (`gateway ledger archive list`)."


class AcknowledgmentAsTest(MessageFault):
    code = "acknowledgment.as-test"
    sentence = (
        "{partner} acknowledges {what} as a test (ISA15 T), and exchange {exchange} went in earnest: it does not count."
    )
    advice = (
        "Ask the partner whether its production took the documents, and to answer them with ISA15 P. If it did, "
        "`gateway ack settle` the exchange and `gateway exchange settle` this one."
    )


class AcknowledgmentContradicting(MessageFault):
    code = "acknowledgment.contradicting"
    sentence = "{partner} said {before} of it, and now its {kind} says {now}."
    advice = "Ask the partner which one holds, then `gateway ack settle` with its answer."


class AcknowledgmentTooLate(MessageFault):
    code = "acknowledgment.superseded"
    sentence = "{partner} acknowledges it as {now}, but its documents were sent again as exchange {by}."
    advice = "The partner may have the documents twice: ask it to cancel one of them."


class AcknowledgmentOfCancelled(MessageFault):
    code = "acknowledgment.cancelled"
    sentence = "{partner} acknowledges it as {now}, but it was cancelled here."
    advice = (
        "The partner has it. If its documents were submitted again, it has them twice: ask it to cancel one of them. "
        "Then `gateway exchange settle`."
    )


class AcknowledgmentCounts(MessageFault):
    code = "acknowledgment.counts"
    sentence = "{partner} acknowledges {group} with a {kind} that counts {counted} of its {sets} sets."
    advice = (
        "Ask the partner which documents it has. What is missing must be submitted again, under a new number; then "
        "`gateway exchange settle`."
    )


class AcknowledgmentPartly(MessageFault):
    code = "acknowledgment.partly"
    sentence = "{partner} says {group} is {now}, and has not answered the other groups of the interchange yet."
    advice = (
        "`gateway exchange show` tells what is wrong. Submit the rejected documents again, corrected; what the partner "
        "says of the others is awaited still."
    )


class DocumentRepeated(MessageFault):
    code = "document.repeated"
    sentence = "{partner} sent {set} {value} before, in exchange {exchange}, under another control number."
    advice = "Ask the partner. `gateway exchange accept` takes it, `gateway quarantine discard` puts it aside."


class ProcessingFailed(MessageFault):
    code = "message.processing-failed"
    sentence = "The message could not be processed: {reason}"
    advice = "This is a defect of the gateway: report it with the raw message. Release it after an upgrade."
    side = Side.OURS
