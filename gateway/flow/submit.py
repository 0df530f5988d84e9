"""Submit: documents of the business are tried against their guideline, numbered and queued, once.

A document may be bare transaction sets (ST…SE), groups or whole interchanges; it is always put into the
envelope of the agreement, with our control numbers. Nothing is numbered unless all of it can be sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from gateway import x12
from gateway.errors import (
    DocumentInvalid,
    DocumentMisaddressed,
    DocumentUnreadable,
    NoAgreement,
    PartnerNotActive,
)
from gateway.flow import deadlines, earlier, envelope
from gateway.flow.context import Context
from gateway.flow.earlier import Key, Known, usage_for
from gateway.flow.identify import identity
from gateway.flow.keys import business_keys
from gateway.flow.repeats import Repeats
from gateway.flow.strictness import outbound_policy
from gateway.ledger import tables
from gateway.ledger.recording import insisting
from gateway.x12.drafts import DraftGroup, DraftSet
from gateway.x12.model import InterchangeReport, Level, Party, Separators, Status
from partners.model import Agreement, Direction, Identity, Partner
from partners.model import Status as PartnerStatus


class Submission(Struct, frozen=True):
    """What became of one document: the exchanges that carry it, or the ones that carried it before.

    ``states`` tell where each of them stands. ``own``: it was repeated because this very submission was interrupted.
    """

    name: str
    exchanges: tuple[int, ...]
    control_numbers: tuple[str, ...]
    states: tuple[str, ...] = ()
    repeated: bool = False
    own: bool = False


class _Draft(Struct, frozen=True):
    """The sets of a document that share one agreement, a version each."""

    agreement: Agreement
    sets: tuple[tuple[str, DraftSet], ...]  # (GS08, set)


def submit(
    context: Context,
    partner_key: str,
    data: bytes,
    *,
    name: str = "document",
    key: str | Key = "",
    again: bool = False,
    actor: str | None = None,
    dry_run: bool = False,
    test: bool = False,
) -> Submission:
    """Takes a document for a partner and queues it for the wire, once.

    Args:
        context: what the steps work with.
        partner_key: the partner's key.
        data: transaction sets, groups or interchanges.
        name: how to call the document in messages, usually its file name.
        key: idempotency key; the same key again gives the earlier exchanges, however late and whatever became of
            them. Default: the content's hash, known for as long as a control number is (``duplicate_window``); what
            was cancelled, or went as another usage (ISA15), is not the same then.
        again: knowingly once more, although the same content, or its main business number, was sent before.
        actor: who submits.
        dry_run: everything but the numbering.
        test: as a test (ISA15 T), whatever the agreement says.

    Returns:
        The exchanges, one for each agreement that the document's sets belong to.

    Raises:
        UnknownPartner, PartnerNotActive, NoAgreement, DocumentUnreadable, DocumentInvalid, SeparatorInData,
        DocumentMisaddressed, KeyReused, SubmittedBefore, ConfigurationFault: nothing was numbered or queued.
    """
    partner = _active(context, partner_key)
    document = hashlib.sha256(data).hexdigest()
    wanted = _key(context, partner, key, document, again=again)
    known = _known(context, partner, wanted, document, name, test=test)
    if known.whole:
        return _repeated(name, known)
    prepared = [
        replace(each, document=document, usage=usage_for(partner, None, each.usage, test=test))
        for each in outbounds(context, partner.key, data, name)
    ]
    while missing := [each for each in prepared if each.agreement not in known.agreements]:
        repeats = Repeats.outbound(context, partner, missing)
        if not again:
            repeats.refuse_held(name, partner, missing)
        if dry_run:
            return Submission(name, (), ())
        names = earlier.names_for(wanted, len(missing), known, name=name)
        named = [replace(each, idempotency_key=own) for each, own in zip(missing, names, strict=True)]
        try:
            done = _queue(context, name, named, repeats, actor)
        except IntegrityError:
            # Somebody else submitted it meanwhile: keys are unique, and our transaction took no number.
            before, known = known, _known(context, partner, wanted, document, name, test=test)
            if known.taken == before.taken:
                raise
        else:
            context.reporter.happened("documents submitted", sum(len(g.sets) for each in named for g in each.groups))
            return done
    return _repeated(name, known)


@insisting
def _queue(
    context: Context, name: str, prepared: list[envelope.Outbound], repeats: Repeats, actor: str | None
) -> Submission:
    with context.ledger.transaction(actor) as recorder:
        exchanges = tuple(envelope.queue(context, recorder, each) for each in prepared)
        for exchange, each in zip(exchanges, prepared, strict=True):
            repeats.tell(recorder, exchange, each.partner.key, repeats.of_outbound(each))
        recorder.flush()
        table = tables.exchange
        rows = recorder.connection.execute(
            select(table.c.control_number, table.c.state).where(table.c.id.in_(exchanges)).order_by(table.c.id)
        ).all()
        return Submission(name, exchanges, tuple(row[0] for row in rows), tuple(row[1] for row in rows))


def _known(context: Context, partner: Partner, key: Key, document: str, name: str, *, test: bool) -> Known:
    with context.ledger.reading() as connection:
        return earlier.known(connection, partner, key, document, name=name, test=test)


def _repeated(name: str, known: Known) -> Submission:
    rows = sorted(known.carriers, key=lambda each: each.exchange)
    return Submission(
        name,
        tuple(each.exchange for each in rows),
        tuple(each.control_number for each in rows),
        tuple(each.state for each in rows),
        repeated=True,
        own=known.own,
    )


def outbounds(context: Context, partner_key: str, data: bytes, name: str) -> list[envelope.Outbound]:
    """A document as the interchanges that it becomes, ready to be numbered: one for each agreement that it needs.

    Raises:
        GatewayError: as ``submit``.
    """
    partner = _active(context, partner_key)
    return [_outbound(context, partner, draft, name) for draft in _drafts(context, partner, data, name)]


def _active(context: Context, key: str) -> Partner:
    partner = context.directory.get(key)
    if partner.status not in {PartnerStatus.LIVE, PartnerStatus.TESTING}:
        raise PartnerNotActive(partner=partner.key, status=partner.status)
    return partner


def _key(context: Context, partner: Partner, key: str | Key, document: str, *, again: bool) -> Key:
    if isinstance(key, Key):
        return key
    if key:
        return earlier.chosen(key)
    window = int(context.settings.duplicate_window.total_seconds() * 1000)
    return earlier.of_content(partner.key, document, context.clock(), window, again=again)


def _drafts(context: Context, partner: Partner, data: bytes, name: str) -> list[_Draft]:
    document = x12.read_document(data, name)
    if document.kind == "interchanges":
        _check_addresses(context, partner, data, name)
    versions = {id(each): group.version for group in document.groups for each in group.sets}
    found: dict[str, _Draft] = {}
    for each in document.sets:
        version = each.implementation or versions.get(id(each), "")
        agreement = _agreement(partner, each.set_id, version)
        if agreement is None:
            raise NoAgreement(partner=partner.key, direction="send it", set=each.set_id, version=version)
        version = version or (agreement.versions[0] if agreement.versions else "004010")
        before = found.get(agreement.name)
        found[agreement.name] = _Draft(agreement, (*(before.sets if before else ()), (version, each)))
    if not found:
        raise DocumentUnreadable(name=name, reason="it has no transaction set")
    return list(found.values())


def _check_addresses(context: Context, partner: Partner, data: bytes, name: str) -> None:
    """An interchange that names another partner of ours in its ISA was meant for that one."""
    for report in x12.examine(data):
        if report.header is None:
            continue
        for party in (report.header.sender, report.header.receiver):
            owner = context.directory.by_identity(identity(party))
            if owner is not None and owner.key != partner.key:
                raise DocumentMisaddressed(name=name, identity=party, owner=owner.key, partner=partner.key)


def _agreement(partner: Partner, set_id: str, version: str) -> Agreement | None:
    """The agreement for a set; a bare set does not say its version, then the agreement's own holds."""
    if version:
        return partner.agreement_for(Direction.OUT, set_id, version)
    fitting = [a for a in partner.agreements if a.direction is Direction.OUT and ("*" in a.sets or set_id in a.sets)]
    return min(fitting, key=lambda a: "*" in a.sets, default=None)


def _outbound(context: Context, partner: Partner, draft: _Draft, name: str) -> envelope.Outbound:
    """The interchange that a draft becomes, tried with numbers from 1 on so that a faulty one uses none."""
    agreement = draft.agreement
    settings = agreement.envelope
    ours = settings.our_identity or context.directory.our_default
    theirs = settings.partner_identity or partner.identities[0]
    groups = tuple(_groups(draft, ours, theirs))
    awaited = deadlines.agreed(agreement.acknowledgment, ta1=settings.request_ta1)
    version = settings.interchange_version or interchange_version(groups[0].version)
    outbound = envelope.Outbound(
        partner=partner,
        ours=Party(ours.qualifier, ours.id),
        theirs=Party(theirs.qualifier, theirs.id),
        version=version,
        usage=usage_for(partner, agreement, settings.usage),
        separators=_separators(agreement, version),
        groups=groups,
        mail=agreement.mail,
        security=agreement.security,
        agreement=agreement.name,
        request_ta1=settings.request_ta1,
        expect_functional_within=awaited.get("functional"),
        expect_ta1_within=awaited.get("TA1"),
    )
    trial = envelope.render(outbound, 1, groups, context.clock())
    report = next(x12.examine(trial.data, outbound_policy(partner, agreement)))
    _refuse_invalid(name, report)
    return replace(
        outbound,
        business_keys=tuple(_business_keys(agreement, report, trial.data)),
        guidelines=tuple(
            ((g, s), each.guideline) for g, group in enumerate(report.groups) for s, each in enumerate(group.sets)
        ),
    )


def _groups(draft: _Draft, ours: Identity, theirs: Identity) -> Iterable[DraftGroup]:
    """One functional group for each functional id and version, in the order of first use."""
    settings = draft.agreement.envelope
    sorted_: dict[tuple[str, str], list[DraftSet]] = {}
    for version, each in draft.sets:
        sorted_.setdefault((x12.functional_id_for(each.set_id), version), []).append(each)
    for number, ((functional_id, version), sets) in enumerate(sorted_.items(), 1):
        yield DraftGroup(
            functional_id=functional_id,
            sender=settings.application_sender or ours.id,
            receiver=settings.application_receiver or theirs.id,
            control_number=number,
            version=version,
            sets=tuple(sets),
        )


def interchange_version(version: str) -> str:
    """ISA12 for a GS08: 004010 is 00401, 005010X222A1 is 00501."""
    digits = version[:6]
    return digits[:5] if digits.isdigit() and len(digits) == 6 else "00401"


def _separators(agreement: Agreement, version: str) -> Separators:
    wanted = agreement.envelope.separators
    return Separators(
        element=wanted.element,
        component=wanted.component,
        segment=wanted.segment,
        repetition=wanted.repetition if version >= "00402" else "",
        suffix=wanted.line_ending,
    )


def _refuse_invalid(name: str, report: InterchangeReport) -> None:
    """We send nothing that we would reject ourselves."""
    bad = [each for each in report.sets if each.status is Status.REJECTED]
    findings = [f for each in bad for f in each.findings] + list(report.findings)
    findings += [f for group in report.groups for f in group.findings]
    if not bad and report.status is not Status.REJECTED:
        return
    grave = [f for f in findings if f.level is Level.ERROR] or findings
    sentences = " ".join(finding.message for finding in grave[:5])
    more = f" (and {len(grave) - 5} more)" if len(grave) > 5 else ""
    guideline = bad[0].guideline if bad else "X12.5 envelope"
    raise DocumentInvalid(name=name, guideline=guideline, reason=sentences + more)


def _business_keys(
    agreement: Agreement, report: InterchangeReport, data: bytes
) -> Iterable[tuple[tuple[int, int], str, str]]:
    for g, group in enumerate(report.groups):
        for s, each in enumerate(group.sets):
            text = data[each.start : each.end].decode("latin-1")
            version = each.implementation or group.version
            for name, values in business_keys(text, report.separators, each.id, version, agreement).items():
                yield from (((g, s), name, value) for value in values)
