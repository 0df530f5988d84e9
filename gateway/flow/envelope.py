"""Envelope: documents of ours, numbered, put between ISA and IEA, and written as a mail whose bytes never change.

Everything here happens inside the transaction that takes the numbers: a control number and the bytes
that carry it become durable together, or not at all.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import delete, select

from gateway import x12
from gateway.errors import ConfigurationFault
from gateway.flow.context import Context
from gateway.flow.secure import Sealed, seal
from gateway.ledger import archive, tables
from gateway.ledger.plain_json import listed
from gateway.ledger.recording import Recorder
from gateway.ledger.states import ExchangeState, MessageState
from gateway.mail.compose import message_id, written_date
from gateway.mail.model import Attachment, Draft
from gateway.x12.drafts import DraftGroup, DraftInterchange
from gateway.x12.model import Header, Party, Separators
from partners.model import MailSettings, Partner, Security
from partners.numbering import format_number, next_number


class Outbound(Struct, frozen=True):
    """An interchange that is about to be numbered. Group control numbers in ``groups`` are not looked at."""

    partner: Partner
    ours: Party
    theirs: Party
    version: str  # ISA12
    usage: str
    separators: Separators
    groups: tuple[DraftGroup, ...]
    mail: MailSettings
    security: Security = field(default_factory=Security)
    kind: str = "document"  # or acknowledgment
    agreement: str = ""
    request_ta1: bool = False
    interchange_acks: tuple[tuple[str, ...], ...] = ()
    answers: int | None = None  # the exchange that this acknowledges
    reply_to: str = ""  # Message-ID of the mail that this answers
    expect_functional_within: int | None = None  # ms; None: no functional acknowledgment is awaited
    expect_ta1_within: int | None = None
    idempotency_key: str | None = None
    document: str = ""  # SHA-256 of what the business handed in
    business_keys: tuple[tuple[tuple[int, int], str, str], ...] = ()  # ((group, set), name, value)
    guidelines: tuple[tuple[tuple[int, int], str], ...] = ()


class Numbered(Struct, frozen=True):
    """An interchange with its numbers, fixed for ever."""

    data: bytes
    control_number: str
    groups: tuple[DraftGroup, ...]
    header: Header


def queue(context: Context, recorder: Recorder, outbound: Outbound) -> int:
    """Numbers, writes and records an interchange and its mail; returns the id of its exchange (state ready)."""
    numbered = number(recorder, outbound)
    sha256 = recorder.keep(numbered.data, owner=outbound.partner.key)
    mail = _mail(context, recorder.now, outbound, numbered, sha256)
    sealed = seal(context.keys, outbound.partner, outbound.security, mail, recorder.now)
    message = _record_message(context, recorder, outbound, mail, sealed.raw)
    payload = _record_payload(recorder, mail, sha256, message)
    exchange = _record_exchange(context, recorder, outbound, numbered, mail, sealed, sha256, message, payload)
    _record_sets(recorder, outbound, numbered, exchange)
    for kind, within in (
        ("functional", outbound.expect_functional_within),
        ("TA1", outbound.expect_ta1_within),
        ("receipt", _receipt_within(outbound.security)),
    ):
        if within is not None:
            recorder.put(tables.expectation, exchange=exchange, kind=kind, partner=outbound.partner.key, within=within)
    recorder.put(
        tables.outgoing,
        exchange=exchange,
        message=message,
        partner=outbound.partner.key,
        state="ready",
        next_at=recorder.now,
        envelope_sender=mail.sender,
        recipients=listed((*mail.to, *mail.cc)),
    )
    recorder.wake("dispatch")
    return exchange


def _receipt_within(security: Security) -> int | None:
    """How long the receipt is waited for, in ms; None where none is asked for, or nobody minds when it comes."""
    within = security.receipt_within if security.receipt != "none" else None
    return None if within is None else int(within.total_seconds() * 1000)


def queue_again(recorder: Recorder, exchange: int, *, reason: str, partner: str = "") -> None:
    """Queues the stored mail of an exchange once more: the same bytes, numbers, Message-ID and recipients.

    ``partner`` is whom it goes to where that is another one by now, because identities have another owner.

    Raises:
        ContentPutAway, ContentErased: its bytes are not kept any more.
    """
    x, m, o = tables.exchange, tables.message, tables.outgoing
    recorder.flush()
    row = recorder.connection.execute(
        select(x.c.partner, x.c.state, x.c.message, x.c.to_addresses, m.c.from_address, m.c.sha256)
        .join(m, m.c.id == x.c.message)
        .where(x.c.id == exchange)
    ).one()
    archive.refuse_gone(recorder.connection, row.sha256)
    recorder.connection.execute(delete(o).where(o.c.exchange == exchange))
    recorder.put(
        o,
        exchange=exchange,
        message=row.message,
        partner=partner or row.partner,
        state="ready",
        next_at=recorder.now,
        envelope_sender=row.from_address,
        recipients=row.to_addresses,
    )
    recorder.wake("dispatch")
    recorder.change(x, exchange, state=ExchangeState.READY, updated_at=recorder.now, settled_at=None)
    recorder.event("resent", exchange=exchange, partner=row.partner, reason=reason, was=row.state)


def number(recorder: Recorder, outbound: Outbound) -> Numbered:
    """Takes ISA13 and GS06 from the counters of the identity pair and writes the interchange."""
    pair = (outbound.partner.key, str(outbound.ours), str(outbound.theirs))
    control_number = recorder.take_number(*pair, "interchange", next_number)
    groups = tuple(
        replace(group, control_number=recorder.take_number(*pair, "group", next_number)) for group in outbound.groups
    )
    return render(outbound, control_number, groups, recorder.now)


def render(outbound: Outbound, control_number: int, groups: tuple[DraftGroup, ...], now: int) -> Numbered:
    """Writes the interchange with given numbers. Pure, so that a document can be tried before a number is used.

    Raises:
        SeparatorInData: the data contains a separator of the agreement.
    """
    moment = datetime.fromtimestamp(now / 1000, UTC)
    header = Header(
        sender=outbound.ours,
        receiver=outbound.theirs,
        date=f"{moment:%y%m%d}",
        time=f"{moment:%H%M}",
        version=outbound.version,
        control_number=format_number(control_number),
        acknowledgment_requested=outbound.request_ta1,
        usage=outbound.usage,
    )
    draft = DraftInterchange(header=header, groups=groups, interchange_acks=outbound.interchange_acks, moment=moment)
    data = x12.write_interchange(draft, outbound.separators)
    return Numbered(data, header.control_number, groups, header)


def _types(groups: tuple[DraftGroup, ...]) -> list[str]:
    return list(dict.fromkeys(each.set_id for group in groups for each in group.sets))


def _mail(context: Context, now: int, outbound: Outbound, numbered: Numbered, sha256: str) -> Draft:
    """The letter that carries the interchange; its Message-ID follows from what it carries."""
    smtp = context.settings.smtp
    if smtp is None:
        raise ConfigurationFault(reason="gateway.toml has no [smtp] section, so nothing can be sent")
    names = _names(context, outbound, numbered)
    mail = outbound.mail
    return Draft(
        sender=smtp.sender,
        sender_name=smtp.sender_name,
        to=mail.to or outbound.partner.addresses[:1],
        cc=mail.cc,
        subject=_fill(mail.subject, names),
        message_id=message_id(context.settings.domain, f"{outbound.partner.key} {numbered.control_number} {sha256}"),
        body=_fill(mail.body, names),
        attachments=(Attachment(_fill(mail.file_name, names), mail.content_type, numbered.data),),
        reply_to=mail.reply_to,
        headers=tuple((name, _fill(template, names)) for name, template in mail.headers),
        in_reply_to=outbound.reply_to,
        references=(outbound.reply_to,) if outbound.reply_to else (),
        date=now / 1000,
        place=mail.place,
        compress=mail.compress,
        transfer_encoding=mail.transfer_encoding,
    )


def _names(context: Context, outbound: Outbound, numbered: Numbered) -> dict[str, str]:
    """What templates may name; docs/reference/templates.md lists them."""
    first = numbered.groups[0] if numbered.groups else None
    return {
        "sets": "-".join(_types(numbered.groups)) or "TA1",
        "control_number": numbered.control_number,
        "group_control_number": str(first.control_number) if first else "",
        "our_name": context.settings.name,
        "partner_name": outbound.partner.name,
        "partner": outbound.partner.key,
        "date": numbered.header.date,
        "time": numbered.header.time,
        "usage": numbered.header.usage,
    }


def _fill(template: str, names: dict[str, str]) -> str:
    try:
        return template.format_map(names)
    except (KeyError, ValueError, IndexError, AttributeError) as problem:
        raise ConfigurationFault(reason=f"the template {template!r} names what there is not: {problem}") from problem


def _record_message(context: Context, recorder: Recorder, outbound: Outbound, mail: Draft, raw: bytes) -> int:
    assert context.settings.smtp is not None
    return recorder.add(
        tables.message,
        at=recorder.now,
        direction="out",
        state=MessageState.QUEUED,
        kind="letter",
        host=context.settings.smtp.host,
        user=context.settings.smtp.user,
        sha256=recorder.keep(raw, owner=outbound.partner.key),
        size=len(raw),
        message_id=mail.message_id,
        in_reply_to=mail.in_reply_to,
        subject=mail.subject,
        from_address=mail.sender,
        to_addresses=listed(mail.to),
        cc_addresses=listed(mail.cc),
        dated=written_date(mail),
        partner=outbound.partner.key,
    )


def _record_payload(recorder: Recorder, mail: Draft, sha256: str, message: int) -> int:
    """The part of the mail that carries the interchange; its bytes are the interchange's."""
    part = mail.attachments[0]
    return recorder.add(
        tables.payload,
        message=message,
        ordinal=1,
        file_name=part.file_name,
        content_type=part.content_type,
        sha256=sha256,
        size=len(part.data),
    )


def _record_exchange(
    context: Context,
    recorder: Recorder,
    outbound: Outbound,
    numbered: Numbered,
    mail: Draft,
    sealed: Sealed,
    sha256: str,
    message: int,
    payload: int,
) -> int:
    assert context.settings.smtp is not None
    header = numbered.header
    exchange = recorder.add(
        tables.exchange,
        at=recorder.now,
        updated_at=recorder.now,
        direction="out",
        kind=outbound.kind,
        state=ExchangeState.READY,
        partner=outbound.partner.key,
        agreement=outbound.agreement,
        message=message,
        payload=payload,
        file_name=mail.attachments[0].file_name,
        from_address=mail.sender,
        host=context.settings.smtp.host,
        message_id=mail.message_id,
        subject=mail.subject,
        to_addresses=listed((*mail.to, *mail.cc)),
        user=context.settings.smtp.user,
        sender_qualifier=header.sender.qualifier,
        sender_id=header.sender.id,
        receiver_qualifier=header.receiver.qualifier,
        receiver_id=header.receiver.id,
        interchange_date=header.date,
        interchange_time=header.time,
        interchange_version=header.version,
        control_number=header.control_number,
        usage=header.usage,
        types=" ".join(_types(numbered.groups)) or "TA1",
        versions=" ".join(dict.fromkeys(group.version for group in numbered.groups)),
        sha256=sha256,
        size=len(numbered.data),
        segments=numbered.data.count(outbound.separators.segment.encode("latin-1")),
        answers=outbound.answers,
        idempotency_key=outbound.idempotency_key,
        security=sealed.words,
        mic=sealed.mic,
    )
    recorder.event(
        "submitted" if outbound.kind == "document" else "answered",
        exchange=exchange,
        message=message,
        partner=outbound.partner.key,
        control_number=header.control_number,
        answers=outbound.answers,
        sha256=sha256,
        document=outbound.document,
    )
    if sealed.words:
        inner = recorder.keep(sealed.inner, owner=outbound.partner.key) if sealed.inner else ""
        recorder.event(
            "secured",
            exchange=exchange,
            message=message,
            partner=outbound.partner.key,
            words=sealed.words,
            mic=sealed.mic,
            inner=inner,
        )
    return exchange


def _record_sets(recorder: Recorder, outbound: Outbound, numbered: Numbered, exchange: int) -> None:
    guidelines = dict(outbound.guidelines)
    ids: dict[tuple[int, int], int] = {}
    for g, group in enumerate(numbered.groups):
        row = recorder.add(
            tables.functional_group,
            exchange=exchange,
            ordinal=g + 1,
            functional_id=group.functional_id,
            application_sender=group.sender,
            application_receiver=group.receiver,
            control_number=str(group.control_number),
            version=group.version,
            sets=len(group.sets),
        )
        for s, each in enumerate(group.sets):
            ids[g, s] = recorder.add(
                tables.transaction_set,
                functional_group=row,
                exchange=exchange,
                ordinal=s + 1,
                set_id=each.set_id,
                control_number=f"{s + 1:04}",  # as the writer numbers them
                implementation=each.implementation,
                guideline=guidelines.get((g, s), ""),
                agreement=outbound.agreement,
                segments=each.segments + 2,
            )
    for place, name, value in outbound.business_keys:
        recorder.put(tables.business_key, value=value, name=name, transaction_set=ids[place], exchange=exchange)
