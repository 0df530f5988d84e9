"""What a person may do with an exchange or mail: each act in words, with its choices, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from msgspec import Struct

from gateway.errors import UsageFault
from gateway.flow import operate
from gateway.flow.acts import Act
from gateway.flow.context import Context
from gateway.flow.possible import Possible
from gateway.x12.model import Status

Doing = Callable[..., Act]  # (context, reference, *, actor, reason, dry_run)


class Verb(Struct, frozen=True):
    """One act: what it is called, what it does, and how it is done.

    ``choices`` are the ways to do it, of which one must be chosen: its value, and what it says. ``careful`` is said
    before it is done, where it cannot be taken back.
    """

    name: str
    title: str
    does: str
    how: Mapping[str, Doing]
    choices: tuple[tuple[str, str], ...] = ()
    careful: str = ""
    numbers: bool = True  # whether it takes the number of an exchange; else a reference (m12, 34)

    def doing(self, choice: str) -> Doing:
        """What does it.

        Raises:
            UsageFault: it wants a choice that was not made.
        """
        if choice not in self.how:
            raise UsageFault(reason=f"Choose what is the case: {' – or – '.join(text for _, text in self.choices)}")
        return self.how[choice]

    def do(self, context: Context, reference: str, choice: str, *, actor: str, reason: str, dry_run: bool) -> Act:
        """Does it, or tries what would become of it.

        Raises:
            NotFound, NotAllowedNow, MessageFault, UsageFault: it cannot be done; nothing was changed.
        """
        wanted: int | str = int(reference) if self.numbers else reference
        return self.doing(choice)(context, wanted, actor=actor, reason=reason, dry_run=dry_run)


def _acknowledged(verdict: Status) -> Doing:
    def done(context: Context, number: int, *, actor: str, reason: str, dry_run: bool) -> Act:
        return operate.acknowledge_by_hand(context, number, verdict, actor=actor, reason=reason, dry_run=dry_run)

    return done


VERBS: Mapping[str, Verb] = {
    each.name: each
    for each in (
        Verb(
            "resend",
            "Send again",
            "The same bytes go once more, with the same control numbers and Message-ID. A partner that has it already "
            "recognises its number and does not process it twice.",
            {"": operate.resend},
        ),
        Verb(
            "resend-anew",
            "Send under new numbers",
            "The documents get a new envelope with new control numbers and a new Message-ID, as a new exchange; this "
            "one is superseded, and nothing is awaited for it any more.",
            {"": operate.resend_anew},
            careful="Only for documents that the partner does not have: nothing tells it that they are the same, "
            "so that it would process them twice.",
        ),
        Verb(
            "resolve",
            "End the doubt",
            "The connection broke while the SMTP host was answering, so that nobody knows whether it took the mail. "
            "Ask the partner, and say here what is the case.",
            {"sent": partial(operate.resolve, sent=True), "resend": partial(operate.resolve, sent=False)},
            (
                ("sent", "The partner has it: do not send it again."),
                ("resend", "The partner does not have it: send it again."),
            ),
        ),
        Verb(
            "acknowledge",
            "Acknowledge by hand",
            "Your word is taken for the partner's acknowledgment: nothing is awaited any more. What its own "
            "acknowledgment says later is kept beside it; the opposite is shown to a person.",
            {"accepted": _acknowledged(Status.ACCEPTED), "rejected": _acknowledged(Status.REJECTED)},
            (
                ("accepted", "The partner says that it accepted the documents."),
                ("rejected", "The partner says that it rejected the documents."),
            ),
        ),
        Verb(
            "cancel",
            "Cancel",
            "It is taken off the wire before it was sent, or given up where it failed. What went before and waits to "
            "go again does not go again, and stands as it stood.",
            {"": operate.cancel},
            careful="It cannot be taken back. Its control number stays used.",
        ),
        Verb(
            "accept",
            "Accept knowingly",
            "What was refused for its used number (TA1 025), or held because its document came before, is taken: its "
            "documents are delivered under its number, and the partner is answered as the agreement says.",
            {"": operate.accept},
            careful="The business may get a document a second time: make sure that this is meant.",
        ),
        Verb(
            "release",
            "Release",
            "It goes back to be processed by the next batch, with the profiles and settings as they are then. What was "
            "decided before on other interchanges of the same mail is not done twice.",
            {"": operate.release},
            numbers=False,
        ),
        Verb(
            "discard",
            "Discard",
            "It is put aside for good and needs nobody's attention any more. Its bytes are kept.",
            {"": operate.discard},
            careful="It cannot be released afterwards; the mail can still be replayed.",
            numbers=False,
        ),
        Verb(
            "redeliver",
            "Deliver again",
            "The documents are handed to the business again, under the same names and keys: for a business that lost "
            "them. One that keeps to the keys recognises what it has.",
            {"": operate.redeliver},
        ),
        Verb(
            "replay",
            "Replay",
            "The mail takes the whole way again, as if it had come now. An interchange that was taken before is "
            "recognised: it is acknowledged again and not delivered again. One that was not is taken now.",
            {"": operate.replay},
            numbers=False,
        ),
        Verb(
            "settle",
            "Put to rest",
            "It needs nobody's attention any more, and nothing is awaited for it: you asked the partner, or it came "
            "another way. Its state stays as it is.",
            {"": operate.settle},
        ),
    )
}


class Offered(Struct, frozen=True):
    """An act on a page: possible now, or why not."""

    verb: str
    title: str
    why_not: str


def offered(judged: Iterable[Possible]) -> list[Offered]:
    """The acts, those that are possible first."""
    acts = [Offered(each.verb, VERBS[each.verb].title, each.why_not) for each in judged]
    return sorted(acts, key=lambda each: bool(each.why_not))
