"""Acknowledge: what was examined becomes history, once, and the answer that we owe is fixed in the same commit.

The same bytes again are a duplicate: they get the stored acknowledgment again and are not delivered. A
used number with other content is a conflict: it is answered with TA1 025, kept, and shown to a person. What
only acknowledges is never answered, whatever becomes of it: two gateways would go on for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace
from sqlalchemy import select

from gateway import x12
from gateway.errors import DocumentRepeated, DuplicateNumber, MessageFault
from gateway.flow import envelope, reconcile, series
from gateway.flow.before import Before
from gateway.flow.bounced import bounced
from gateway.flow.case import ACKNOWLEDGMENT_GROUP, Case, InterchangeCase
from gateway.flow.confirmed import confirmed
from gateway.flow.context import Context
from gateway.flow.duplicates import Earlier, Known
from gateway.flow.explain import explanation
from gateway.flow.identify import owner_of
from gateway.flow.receipts import Given, give
from gateway.flow.record import GOOD, Entry, how_many_findings, record_exchange, record_message, record_payload
from gateway.flow.repeats import Repeats, held_fault
from gateway.flow.same_mail import note_same_message_id
from gateway.flow.secure import for_answers
from gateway.flow.selftest_answer import answer_self_test
from gateway.ledger import archive, tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState
from gateway.ledger.work import TAKEN_AS_TEST
from gateway.mail.compose import is_message_id
from gateway.x12.drafts import DraftGroup
from gateway.x12.model import Header, Status
from partners.model import AcknowledgmentPolicy, Agreement, Direction, FunctionalAck, MailSettings, TA1Policy

_DUPLICATE_NUMBER = ("R", "025")
_MAIL = MailSettings(
    subject="{sets} {control_number} from {our_name}",
    body="This mail acknowledges EDI (ANSI X12) that we received from {partner_name}.\n",
)


def acknowledge(context: Context, recorder: Recorder, cases: Sequence[Case]) -> None:
    """Records a group of processed messages in one transaction, and queues what we owe for them."""
    headers = [each.counted for case in cases for _, each in case.interchanges if each.counted is not None]
    known = Known(recorder, headers, int(context.settings.duplicate_window.total_seconds() * 1000))
    repeats = Repeats.inbound(context, recorder, [each for case in cases for _, each in case.interchanges])
    note_same_message_id(recorder, cases)
    given = Given(recorder, cases)
    for case in cases:
        before = Before.of(recorder, case)
        owner = owner_of(case, context.directory)
        record_message(recorder, case, owner)
        if case.self_test is not None:
            answer_self_test(context, recorder, case)
            continue
        for payload in case.payloads:
            row = before.payloads.get(payload.path) or record_payload(recorder, case, payload)
            for interchange in payload.interchanges:
                whose = interchange.partner.key if interchange.partner is not None else owner
                sha256 = recorder.keep(interchange.raw, owner=whose or None)
                entry = Entry(case, payload, row, interchange, sha256, ExchangeState.ACCEPTED, owner=whose)
                if before.deals_with(entry.sha256):
                    _act(context, recorder, known, repeats, _decide(known, repeats, entry), before)
        if case.letter is not None and case.letter.kind == "bounce":
            bounced(context, recorder, case)
        elif case.letter is not None and case.letter.kind == "receipt" and case.fault is None:
            confirmed(context, recorder, case)
        give(context, recorder, case, given)
        _count(context, case)
    series.record(context, recorder, known.came)


def _count(context: Context, case: Case) -> None:
    report = context.reporter
    if case.fault is not None:
        report.happened("messages quarantined")
        report.trouble(case.fault, f"message m{case.message.id}")
    elif case.letter is not None and case.letter.kind != "letter":
        report.happened(f"{case.letter.kind} noted")


def _decide(known: Known, repeats: Repeats, entry: Entry) -> Entry:
    """What becomes of an interchange."""
    case, interchange = entry.case, entry.interchange
    fault = case.fault or interchange.fault
    if fault is not None:
        return replace(entry, state=ExchangeState.QUARANTINED, fault=fault)
    header = interchange.counted
    assert header is not None, "identify quarantines an interchange without a header"
    before = known.earlier(header, entry.sha256)
    if before is None:
        if interchange.report.status is Status.REJECTED:
            return replace(entry, state=ExchangeState.REJECTED)
        held = held_fault(interchange, repeats.of_case(interchange))
        return replace(entry, state=ExchangeState.QUARANTINED if held else ExchangeState.ACCEPTED, fault=held)
    if before.sha256 != entry.sha256 and (refused := known.refused(header, entry.sha256)) is not None:
        return replace(entry, state=ExchangeState.DUPLICATE, duplicate_of=refused)
    if before.sha256 != entry.sha256:
        conflict = _conflict(entry, header, before)
        return replace(entry, state=ExchangeState.CONFLICT, duplicate_of=before.id, fault=conflict)
    return replace(entry, state=ExchangeState.DUPLICATE, duplicate_of=before.id)


def _conflict(entry: Entry, header: Header, before: Earlier) -> MessageFault:
    return DuplicateNumber(
        partner=entry.partner,
        control_number=header.control_number,
        earlier=f"{datetime.fromtimestamp(before.at / 1000, UTC):%Y-%m-%d}",
        exchange=before.id,
    )


def _act(context: Context, recorder: Recorder, known: Known, repeats: Repeats, entry: Entry, before: Before) -> None:
    """Records the exchange and does what its state asks for."""
    exchange = record_exchange(recorder, entry)
    for old in before.take_quarantined(entry.sha256):
        recorder.change(tables.exchange, old, state=ExchangeState.DISCARDED, updated_at=recorder.now)
        recorder.event("replaced", exchange=old, message=entry.case.message.id, by=exchange)
    _tell(context, recorder, entry, exchange)
    if entry.state is ExchangeState.ACCEPTED or isinstance(entry.fault, DocumentRepeated):
        repeats.tell(recorder, exchange, entry.partner, repeats.of_case(entry.interchange))
    if entry.state is ExchangeState.ACCEPTED:
        repeats.take(entry.interchange, exchange)
    match entry.state:
        case ExchangeState.ACCEPTED | ExchangeState.REJECTED:
            _settle(context, recorder, known, entry, exchange)
        case ExchangeState.DUPLICATE:
            _answer_again(context, recorder, entry, exchange)
        case ExchangeState.CONFLICT:
            _answer_conflict(context, recorder, entry, exchange)
        case _:
            pass  # quarantined: strangers and doubtful interchanges get no answer


def _tell(context: Context, recorder: Recorder, entry: Entry, exchange: int) -> None:
    report = entry.interchange.report
    message = entry.case.message.id
    recorder.event(
        "examined",
        exchange=exchange,
        message=message,
        partner=entry.partner,
        verdict=report.status,
        ta1=" ".join(report.ta1),
        sets=len(report.sets),
        findings=how_many_findings(report),
    )
    if entry.interchange.as_test:
        recorder.event(TAKEN_AS_TEST, exchange=exchange, message=message, partner=entry.partner)
    if entry.state not in {ExchangeState.ACCEPTED, ExchangeState.REJECTED}:
        recorder.event(
            entry.state.value,
            exchange=exchange,
            message=message,
            partner=entry.partner,
            reason=str(entry.fault or ""),
            original=entry.duplicate_of,
        )
    context.reporter.happened(_word(entry))
    if entry.fault is not None and entry.case.fault is None:
        context.reporter.trouble(entry.fault, f"exchange {exchange}")


def _word(entry: Entry) -> str:
    if entry.interchange.only_acknowledges and entry.state is ExchangeState.ACCEPTED:
        return "acknowledgments received"
    if entry.state is ExchangeState.ACCEPTED:
        return f"interchanges {str(entry.interchange.report.status).replace('_', ' ')}"
    return f"interchanges {entry.state}"


def _settle(context: Context, recorder: Recorder, known: Known, entry: Entry, exchange: int) -> None:
    """A new interchange takes its key, and is taken."""
    header = entry.interchange.counted
    assert header is not None
    refused = entry.interchange.report.ta1[0] == "R"
    known.take(header, exchange, entry.sha256, entry.case.message.id, refused=refused)
    known.came.append((entry, exchange))
    take(context, recorder, entry, exchange)


def take(context: Context, recorder: Recorder, entry: Entry, exchange: int) -> None:
    """An interchange whose number is its own: what it acknowledges is matched, what it carries is answered."""
    accepted = entry.state is ExchangeState.ACCEPTED
    # What we refuse to read as an interchange says nothing about ours either.
    matched = accepted and reconcile.acknowledged(context, recorder, entry.interchange, exchange)
    if not entry.interchange.only_acknowledges:
        _answer(context, recorder, entry, exchange)
    if accepted:
        _conclude(recorder, entry, exchange, matched=matched)


def refuse_number(
    context: Context, recorder: Recorder, entry: Entry, exchange: int, before: Earlier, *, why: str
) -> None:
    """A held interchange whose number other content took meanwhile is the conflict that it would be if it came now."""
    header = entry.interchange.counted
    assert header is not None, "what is held has a header"
    fault = _conflict(entry, header, before)
    recorder.change(
        tables.exchange,
        exchange,
        state=ExchangeState.CONFLICT,
        duplicate_of=before.id,
        updated_at=recorder.now,
        settled_at=None,
        **recorder.fault(fault),
    )
    recorder.event(
        ExchangeState.CONFLICT.value,
        exchange=exchange,
        message=entry.case.message.id,
        partner=entry.partner,
        reason=str(fault),
        original=before.id,
        why=why,
    )
    _answer_conflict(context, recorder, entry, exchange)


def _answer_conflict(context: Context, recorder: Recorder, entry: Entry, exchange: int) -> None:
    if not entry.interchange.only_acknowledges:
        _answer(context, recorder, entry, exchange, note=_DUPLICATE_NUMBER)


def _conclude(recorder: Recorder, entry: Entry, exchange: int, *, matched: bool) -> None:
    """Where an accepted interchange stands that has nothing to deliver."""
    interchange = entry.interchange
    if interchange.only_acknowledges:
        recorder.change(
            tables.exchange, exchange, state=ExchangeState.RECONCILED if matched else ExchangeState.UNMATCHED
        )
    elif not interchange.document_sets:
        recorder.change(tables.exchange, exchange, state=ExchangeState.EMPTY)
    elif not any(each.status in GOOD for _, each in interchange.document_sets):
        recorder.change(tables.exchange, exchange, state=ExchangeState.REJECTED)


def _answer(
    context: Context, recorder: Recorder, entry: Entry, exchange: int, note: tuple[str, str] | None = None
) -> None:
    """Queues the acknowledgment interchange that the agreements ask for: TA1, 997, 999 in one mail."""
    interchange, report = entry.interchange, entry.interchange.report
    header, partner, letter = report.header, entry.interchange.partner, entry.case.letter
    assert header is not None
    assert partner is not None
    agreement = interchange.first_agreement
    refused = note is not None or report.ta1[0] == "R"
    ta1 = ta1_wanted(agreement.acknowledgment if agreement else AcknowledgmentPolicy(), header, refused=refused)
    acks = (x12.interchange_acknowledgment(report, note=note),) if ta1 else ()
    groups = () if refused else functional_groups(interchange)
    if not acks and not groups:
        return
    envelope.queue(
        context,
        recorder,
        envelope.Outbound(
            partner=partner,
            ours=header.receiver,
            theirs=header.sender,
            version=header.version,
            usage=header.usage,
            separators=x12.acknowledgment_separators(report),
            groups=groups,
            mail=_mail(context, entry, agreement, note),
            kind="acknowledgment",
            agreement=agreement.name if agreement else "",
            interchange_acks=acks,
            answers=exchange,
            security=for_answers(partner, agreement),
            reply_to=letter.message_id if letter is not None and is_message_id(letter.message_id) else "",
        ),
    )
    context.reporter.happened("acknowledgments made")


def _mail(context: Context, entry: Entry, agreement: Agreement | None, note: tuple[str, str] | None) -> MailSettings:
    """Back to the address that the mail came from, which is the partner's, or where the agreement wants it."""
    assert entry.case.letter is not None
    to = agreement.mail.to if agreement is not None else ()
    cc = agreement.mail.cc if agreement is not None else ()
    mail = replace(_MAIL, to=to or (entry.case.letter.from_address,), cc=cc)
    if not _explains(entry.interchange):
        return mail
    said = explanation(entry.interchange.report, context.settings.name, note=note, skip=(ACKNOWLEDGMENT_GROUP,))
    return replace(mail, body=said.replace("{", "{{").replace("}", "}}")) if said else mail  # a body is a template


def _explains(interchange: InterchangeCase) -> bool:
    """Whether an agreement on what it carries wants that; of what says nothing of agreements, any with the partner."""
    found = list(interchange.agreements.values())
    if not found and interchange.partner is not None:
        found = [each for each in interchange.partner.agreements if each.direction is Direction.IN]
    return any(each.acknowledgment.explain for each in found)


def ta1_wanted(policy: AcknowledgmentPolicy, header: Header, *, refused: bool) -> bool:
    """As agreed; a refused interchange gets its TA1 unless the agreement says never, for nothing else answers it."""
    if policy.ta1 is TA1Policy.NEVER:
        return False
    return refused or policy.ta1 is TA1Policy.ALWAYS or header.acknowledgment_requested


def functional_groups(interchange: InterchangeCase) -> tuple[DraftGroup, ...]:
    """One FA group with one acknowledgment for each received group of documents."""
    found = []
    for g, group in interchange.document_groups:
        agreement = next((each for (place, _), each in interchange.agreements.items() if place == g), None)
        policy = agreement.acknowledgment if agreement else AcknowledgmentPolicy()
        kind = functional_kind(policy.functional, group.version)
        if kind == FunctionalAck.NONE:
            continue
        found.append(
            DraftGroup(
                functional_id="FA",
                sender=group.receiver,
                receiver=group.sender,
                control_number=1,
                version=x12.acknowledgment_version(group, kind),
                sets=(x12.functional_acknowledgment(group, kind, policy.detail.value),),
            )
        )
    return tuple(found)


def functional_kind(wanted: FunctionalAck, version: str) -> str:
    """997 or 999 (or none): AUTO takes the 999 for HIPAA guides (GS08 005010X…), the 997 for everything else."""
    if wanted is FunctionalAck.AUTO:
        return "999" if version.startswith("005010X") else "997"
    return wanted.value


def _answer_again(context: Context, recorder: Recorder, entry: Entry, exchange: int) -> None:
    """The same bytes get the same acknowledgment: the stored mail, same numbers, same Message-ID, once more.

    The newest, where a person accepted what had been answered with TA1 025. What a person cancelled is not sent.
    """
    recorder.flush()
    x, m, o = tables.exchange, tables.message, tables.outgoing
    waits = select(o.c.exchange).where(o.c.exchange == x.c.id).exists()
    answer = recorder.connection.execute(
        select(x.c.id, x.c.state, m.c.sha256, waits.label("waits"))
        .join(m, m.c.id == x.c.message)
        .where(x.c.answers == entry.duplicate_of, x.c.direction == "out")
        .order_by(x.c.id.desc())
        .limit(1)
    ).one_or_none()
    if answer is None or answer.waits:
        return
    if answer.state == ExchangeState.CANCELLED:
        recorder.event("not-answered-again", exchange=exchange, partner=entry.partner, answer=answer.id)
    elif archive.at_hand(recorder.connection, [answer.sha256]):
        reason = f"exchange {exchange} is a duplicate"
        envelope.queue_again(recorder, answer.id, reason=reason, partner=entry.partner)
        context.reporter.happened("acknowledgments repeated")
    else:
        recorder.event("answer-put-away", exchange=exchange, partner=entry.partner, answer=answer.id)
