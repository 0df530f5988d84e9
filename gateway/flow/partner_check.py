"""Why nothing flows with a partner: everything that can be seen from here, and the most probable cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from gateway.errors import DnsUnavailable
from gateway.flow.check_security import check_needs
from gateway.flow.context import Context
from gateway.flow.expiry import endings
from gateway.flow.partner_dns import Ask, MailDomain, look_up
from gateway.flow.partner_evidence import Evidence, Refusal, evidence_of
from gateway.ledger.moments import duration
from gateway.settings.values import say_duration
from gateway.values import asdict
from gateway.words import count
from partners.model import Direction, Identity, Partner, Status
from partners.model import Evidence as Wanted
from partners.onboarding import unknown_addresses
from partners.onboarding_likeness import nearest

OK, NOTE, WRONG = "ok", "note", "wrong"
_DAY = 86_400_000
_STATUS = {
    Status.DRAFT: ("is a draft: what it sends is quarantined, and nothing is sent to it", "activate {key} --testing"),
    Status.SUSPENDED: ("is suspended: what it sends is quarantined, and nothing is sent to it", "activate {key}"),
    Status.ENDED: ("is ended: what it sends is quarantined, and nothing is sent to it", "activate {key}"),
}


class Observation(Struct, frozen=True):
    """One thing that was looked at: ok, a note or wrong, in a sentence, and what to do where it is wrong."""

    name: str
    state: str
    sentence: str
    next_command: str = ""


class PartnerCheck(Struct, frozen=True):
    """All observations, the gravest kind first, and the most probable cause of silence."""

    partner: str
    observations: tuple[Observation, ...]

    @property
    def cause(self) -> Observation | None:
        """What most probably keeps documents from flowing; None where nothing is wrong."""
        return next((each for each in self.observations if each.state == WRONG), None)

    @property
    def conclusion(self) -> str:
        """One sentence."""
        if self.cause is not None:
            return f"Most probably: {self.cause.sentence}"
        return "Nothing is wrong that can be seen from here."

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        cause = self.cause
        return {
            "partner": self.partner,
            "wrong": cause is not None,
            "conclusion": self.conclusion,
            "next": cause.next_command if cause else "",
            "observations": [asdict(each) for each in self.observations],
        }


def check_partner(context: Context, key: str, ask: Ask | None = None) -> PartnerCheck:
    """Looks at everything that may keep documents from flowing.

    Args:
        context: the profiles, the ledger, our keys, the clock.
        key: the partner.
        ask: asks the DNS; None: it is not asked.

    Raises:
        UnknownPartner, DatabaseUnavailable
    """
    partner = context.directory.get(key)
    seen = evidence_of(context, partner)
    found = [
        *_status(partner),
        *_profile(partner),
        *_batches(context, seen),
        *_refused(context, partner, seen),
        *_security(context, partner),
        *_outgoing(partner, seen),
        *_dns(partner, ask),
        *_awaited(partner, seen),
        *_missing(partner, seen),
        *_traffic(context, partner, seen),
    ]
    return PartnerCheck(key, tuple(found))


def _status(partner: Partner) -> Iterator[Observation]:
    if partner.status in _STATUS:
        said, command = _STATUS[partner.status]
        yield Observation(
            "status", WRONG, f"{partner.key} {said}.", f"gateway partner {command.format(key=partner.key)}"
        )
    else:
        yield Observation("status", OK, f"{partner.key} is {partner.status.value}.")


def _profile(partner: Partner) -> Iterator[Observation]:
    unknown = unknown_addresses(partner)
    if unknown:
        said = f"{', '.join(unknown)} only keeps the place of an address: no mail can come from it."
        yield Observation("addresses", WRONG, said, f"gateway partner export {partner.key}")
    for direction, words in ((Direction.IN, "for what it sends"), (Direction.OUT, "for what we send")):
        if not any(each.direction is direction for each in partner.agreements):
            yield Observation("agreements", NOTE, f"There is no agreement {words}.")


def _batches(context: Context, seen: Evidence) -> Iterator[Observation]:
    if not context.mailboxes:
        yield Observation("mailbox", WRONG, "gateway.toml names no mailbox: nothing is collected.", "gateway doctor")
    if context.transport is None:
        yield Observation("smtp", WRONG, "gateway.toml has no [smtp]: nothing can be sent.", "gateway doctor")
    for said, command in seen.met:
        yield Observation("host", WRONG, said, command)
    if seen.workers:
        yield Observation("batch", OK, "Workers do what is due as it comes.")
        return
    if seen.last_batch is None:
        yield Observation("batch", WRONG, "No batch has ever run.", "gateway night")
        return
    ago = context.clock() - seen.last_batch
    late = context.settings.batch_expected
    limit = int(late.total_seconds() * 1000) if late is not None else _DAY
    if ago > limit:
        allowed = say_duration(late) if late is not None else "a day"
        yield Observation(
            "batch", WRONG, f"The last batch ran {duration(ago)} ago, more than {allowed}.", "gateway night"
        )
    else:
        yield Observation("batch", OK, f"The last batch ran {duration(ago)} ago.")


# ---------------------------------------------------------------- what did not get in


def _refused(context: Context, partner: Partner, seen: Evidence) -> Iterator[Observation]:
    """Mails and interchanges that are in quarantine, and why; what is alike is told once."""
    told: set[str] = set()
    for each in seen.refusals:
        observation = _explained(context, partner, each)
        if observation is not None and observation.sentence not in told:
            told.add(observation.sentence)
            yield observation
    if seen.rejected:
        row = seen.rejected
        said = f"Its interchange {row.control_number} was rejected {_ago(context, row.at)}: {row.reason}"
        state = WRONG if seen.last_accepted is None or seen.last_accepted < row.at else NOTE
        yield Observation("rejected", state, said, f"gateway exchange show {row.reference}")


def _explained(context: Context, partner: Partner, refusal: Refusal) -> Observation | None:
    show = f"gateway quarantine show {refusal.reference}"
    when = _ago(context, refusal.at)
    if refusal.code == "sender.unknown":
        said = f"{refusal.address} is no address in the profile; a mail from it is in quarantine since {when}"
        return Observation("address", WRONG, f"{said}.", f"gateway partner export {partner.key}")
    sender = _nearly(refusal.sender, partner.identities)
    if refusal.code in {"identity.unknown", "sender.unknown", "identity.mismatch"} and refusal.sender is not None:
        known = f"; the profile has {sender[0]}: {sender[1]}" if sender else ""
        said = f"Its interchange {refusal.control_number} names {refusal.sender} as sender{known} ({when})."
        return Observation("identity", WRONG, said, show)
    if refusal.code == "receiver.not-us" and refusal.receiver is not None:
        ours = _nearly(refusal.receiver, context.directory.our_identities)
        known = f"; ours is {ours[0]}: {ours[1]}" if ours else ", which is not ours"
        said = f"Its interchange {refusal.control_number} is addressed to {refusal.receiver}{known} ({when})."
        return Observation("receiver", WRONG, said, show)
    if refusal.code == "partner.not-active":
        if partner.status in {Status.TESTING, Status.LIVE}:
            said = "What came before it was active waits in quarantine; release it."
            return Observation("quarantine", NOTE, said, f"gateway quarantine release {refusal.reference} --why …")
        return None
    return Observation("quarantine", WRONG, f"In quarantine since {when}: {refusal.reason}", show)


def _nearly(found: Identity | None, known: Sequence[Identity]) -> tuple[Identity, str] | None:
    return nearest(found, known) if found is not None else None


# ---------------------------------------------------------------- security, sending


def _security(context: Context, partner: Partner) -> Iterator[Observation]:
    for each in check_needs([partner], context.keys, context.clock()):
        command = f"gateway partner certificate list {partner.key}"
        yield Observation("certificate", WRONG if each.ok is False else NOTE, each.sentence, command)
    for ending in endings([partner], (), context.clock()):
        state = WRONG if ending.days < 0 else NOTE
        yield Observation("certificate", state, ending.sentence, f"gateway partner certificate add {partner.key} FILE")


def _outgoing(partner: Partner, seen: Evidence) -> Iterator[Observation]:
    for state, words in (
        ("bounced", "came back from its mail system"),
        ("failed", "was refused by our SMTP host for good"),
        ("in doubt", "may or may not have gone"),
    ):
        row = seen.troubles.get(state)
        if row is not None:
            said = f"Our interchange {row.control_number} {words}{f': {row.reason}' if row.reason else '.'}"
            yield Observation("sending", WRONG, said, f"gateway exchange show {row.reference}")
    if seen.waiting:
        state = WRONG if seen.waiting_tried else NOTE
        tried = f", after up to {count(seen.waiting_tried, 'attempt')}" if seen.waiting_tried else ""
        said = f"{count(seen.waiting, 'mail')} to it not sent yet{tried}."
        yield Observation("sending", state, said, f"gateway ledger search partner={partner.key} state=ready")
    if seen.kept_back and partner.status is Status.TESTING:
        said = f"{count(seen.kept_back, 'document')} in earnest (ISA15 P) will not go while it is in testing."
        yield Observation("sending", WRONG, said, f"gateway partner activate {partner.key}")
    if seen.undelivered:
        said = f"{count(seen.undelivered, 'accepted interchange')} could not be handed to the business."
        yield Observation("delivery", WRONG, said, "gateway status")


def _awaited(partner: Partner, seen: Evidence) -> Iterator[Observation]:
    late = [each for each in seen.awaited if each.overdue]
    if late:
        said = f"It owes us {count(len(late), 'acknowledgment')} that should be here; the oldest is {late[0].how_long}."
        yield Observation("acknowledgments", WRONG, said, f"gateway ack overdue --partner {partner.key}")
    elif seen.awaited:
        first = seen.awaited[0]
        next_ = f"the next is due {first.how_long}" if first.left is not None else "what they answer is not sent yet"
        said = f"We await {count(len(seen.awaited), 'acknowledgment')}; {next_}."
        yield Observation("acknowledgments", NOTE, said)
    if seen.refused_by_them is not None:
        row = seen.refused_by_them
        said = f"It rejected our interchange {row.control_number}{f': {row.reason}' if row.reason else '.'}"
        yield Observation("acknowledgments", WRONG, said, f"gateway exchange show {row.reference}")


def _missing(partner: Partner, seen: Evidence) -> Iterator[Observation]:
    for said in seen.gaps:
        yield Observation("numbers", WRONG, said, f"gateway partner numbers show {partner.key}")
    for said in seen.missed:
        yield Observation("expected", WRONG, said, f"gateway partner expected show {partner.key}")


def _traffic(context: Context, partner: Partner, seen: Evidence) -> Iterator[Observation]:
    if seen.last_mail is None:
        said = "No mail has ever come from its addresses. Does it send, and to the right address?"
        yield Observation("received", NOTE, said, f"gateway partner spec {partner.key}")
    else:
        place = f", in the mailbox {seen.last_mailbox}" if seen.last_mailbox else ""
        yield Observation("received", OK, f"Its last mail came {_ago(context, seen.last_mail)}{place}.")
    if seen.last_sent is None:
        yield Observation("sent", NOTE, "Nothing was ever sent to it.", f"gateway partner test {partner.key}")
    else:
        yield Observation("sent", OK, f"Our last mail to it went {_ago(context, seen.last_sent)}.")
    if seen.any_mail is not None:
        said = f"The mailbox {seen.any_mailbox} received its last mail {_ago(context, seen.any_mail)}."
        yield Observation("mailbox", OK, said)


def _ago(context: Context, at: int) -> str:
    return f"{duration(max(0, context.clock() - at))} ago"


# ---------------------------------------------------------------- the DNS


def _dns(partner: Partner, ask: Ask | None) -> Iterator[Observation]:
    if ask is None:
        yield Observation("dns", NOTE, "The DNS was not asked.")
        return
    unknown = unknown_addresses(partner)
    addresses = [each for each in partner.addresses if each not in unknown]
    for domain in dict.fromkeys(each.rpartition("@")[2] for each in addresses):
        try:
            yield from _domain(partner, look_up(domain, ask))
        except DnsUnavailable as fault:
            yield Observation("dns", NOTE, f"The DNS could not be asked of {domain}: {fault.details['reason']}.")
            return


def _domain(partner: Partner, found: MailDomain) -> Iterator[Observation]:
    if found.takes_no_mail:
        said = f"{found.domain} takes no mail (no MX): what we send to it cannot arrive."
        yield Observation("dns", WRONG, said, f"gateway partner export {partner.key}")
    else:
        hosts = ", ".join(found.hosts[:3]) or "its own address, without an MX"
        yield Observation("dns", OK, f"Mail to {found.domain} goes to {hosts}.")
    proven = [name for name, there in (("SPF", found.spf), ("DMARC", found.dmarc)) if there]
    said = f"{found.domain} has {' and '.join(proven) or 'neither SPF nor DMARC'}."
    asked = partner.evidence is Wanted.MX
    wrong = asked and not found.dmarc
    more = " The profile wants our mail exchanger's word that DMARC or DKIM passed." if wrong else ""
    yield Observation("dns", NOTE if wrong or not proven else OK, f"{said}{more}")
