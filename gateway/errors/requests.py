"""Faults of documents that we are asked to send, and of what people ask for."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side


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


class DocumentsLeft(DocumentFault):
    code = "document.left"
    sentence = "Documents ({count}) lie in {place}, which was the outbox before: nobody sends them."
    advice = "Move them into the outbox of today ({outbox}), into the directory of their partner; or remove them."


class DocumentNotTaken(DocumentFault):
    code = "document.not-taken"
    sentence = "{name} cannot be taken from the outbox: {reason}"
    advice = (
        "Let the gateway's user read the file, and write to the partner's directory in the outbox and to those in it "
        "that begin with a dot; the next batch tries again."
    )
    permanent = False


class SubmittedAgain(DocumentFault):
    code = "document.submitted-again"
    sentence = "{name} was submitted before, as {exchanges}; it is not sent once more."
    advice = "If {partner} is to get it once more, submit it with `gateway send {partner} FILE --again`."
    exit_code = 0  # nothing is to be done, but whoever put it there may have wanted something else


class KeyReused(DocumentFault):
    code = "document.key-reused"
    sentence = "{name} was not submitted: its key {key} was used before for {other} (exchange {exchange})."
    advice = "A key names one document, for one partner and one usage, for ever: choose another."


class SubmittedBefore(DocumentFault):
    code = "document.submitted-before"
    sentence = "{name} was not submitted: {set} {value} went to {partner} before, as exchange {exchange}."
    advice = "If the partner is to get it once more, submit it with `--again`."


class DocumentInvalid(DocumentFault):
    code = "document.invalid"
    sentence = "{name} breaks the guideline {guideline}: {reason}"


class SeparatorInData(DocumentFault):
    code = "document.separator-in-data"
    sentence = "{name}: element {position} contains the separator {separator!r} of the agreement."
    advice = "Choose other separators in the agreement, or take the character out of the data."


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
    advice = (
        "See what there is: `gateway ledger search`, `gateway partner list`, `gateway quarantine list`, "
        "`gateway alert list`."
    )

    @property
    def next_step(self) -> str:
        """The advice; where ``see`` names the command that lists what there is, that one."""
        see = self.details.get("see")
        return f"See what there is: `{see}`." if see else super().next_step


class NotAllowedNow(UsageFault):
    code = "not-allowed-now"
    sentence = "{what} {key} is {state}: {reason}"
    advice = "`gateway exchange show` and `gateway partner show` tell where it stands."


class PartnerNotReady(UsageFault):
    code = "partner.not-ready"
    sentence = "{partner} is not ready to be {status}; missing: {missing}."
    advice = (
        "`gateway partner checklist {partner}` tells what to do next. To go on nevertheless, "
        "`gateway partner activate {partner} --anyway --why REASON` records what was missing."
    )


class QueryInvalid(UsageFault):
    code = "query.invalid"
    sentence = "The query cannot be understood at {where}: {reason}"
    advice = "`gateway ledger search --help` lists what can be asked."
