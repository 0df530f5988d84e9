"""Onboarding: what the ledger shows of a partner, for its checklist, and what people decide on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.errors import PartnerNotReady, UsageFault
from gateway.flow.acts import Act, acting, before
from gateway.flow.context import Context
from gateway.flow.prove import enough
from gateway.ledger import tables
from gateway.ledger.changes import changes
from gateway.ledger.recording import insisting
from gateway.ledger.states import ExchangeState
from gateway.mail.model import Proof
from gateway.x12.guideline.catalog import choose, known_sets
from gateway.x12.model import ExaminePolicy
from partners.model import Agreement, Partner, Status
from partners.onboarding import Checklist, Fact, Facts, checklist

_LOOKED_AT = 1_000  # exchanges of the partner, the newest and as many of the oldest
_NUMBERS = ("numbers-started", "numbers-left")
_TAKEN = (ExchangeState.ACCEPTED, ExchangeState.DELIVERED)
_GOOD = ("accepted", "accepted_with_errors", "partially_accepted")
_FAILED_IN = {
    ExchangeState.REJECTED: "was rejected",
    ExchangeState.QUARANTINED: "is in quarantine",
    ExchangeState.CONFLICT: "used a number again",
}
_FAILED_OUT = {
    ExchangeState.REFUSED: "was rejected by the partner",
    ExchangeState.BOUNCED: "came back",
    ExchangeState.FAILED: "could not be sent",
    ExchangeState.OVERDUE: "was not acknowledged in time",
}
_Rows = Sequence[Row[*tuple[Any, ...]]]


def partner_checklist(context: Context, key: str) -> Checklist:
    """Where a partner stands.

    Raises:
        UnknownPartner, DatabaseUnavailable
    """
    partner = context.directory.get(key)
    return checklist(partner, facts_of(context, partner))


def facts_of(context: Context, partner: Partner) -> Facts:
    """What the ledger shows; tests go before documents in earnest, and of each kind the newest counts."""
    with context.ledger.reading() as connection:
        rows = _rows(connection, partner.key)
        proofs = _proofs(connection, rows)
    came = [row for row in rows if row.direction == "in"]
    went = [row for row in rows if row.direction == "out"]
    received = _newest(row for row in came if row.kind == "document" and row.state in _TAKEN)
    delivered = _newest(row for row in came if row.kind == "document" and row.state == ExchangeState.DELIVERED)
    sent = _newest(row for row in went if row.kind == "document" and row.handed_over_at is not None)
    accepted = _newest(row for row in went if row.kind == "document" and _accepted(row))
    proven = _newest(row for row in came if row.partner_speaks and enough(_proof(proofs, row), partner.evidence))
    answered = _newest(row for row in went if row.kind == "acknowledgment" and row.handed_over_at is not None)
    return Facts(
        now=context.clock(),
        proven=_fact(proven, f"{_proof_words(proofs, proven)} proved who sent it"),
        received=_fact(received, "came and was accepted"),
        delivered=_fact(delivered, "was handed to the business"),
        acknowledged_them=_fact(answered, "acknowledged theirs"),
        sent=_fact(sent, "was handed over"),
        acknowledged_us=_fact(accepted, "was accepted by them"),
        numbers=_numbers(context, partner, accepted),
        refused=dict(_refused(came, went)),
        unguided=tuple(dict.fromkeys(_unguided(partner))),
    )


def _rows(connection: Connection, key: str) -> _Rows:
    """The partner's oldest and newest exchanges, oldest first; what lies between shows nothing new."""
    x = tables.exchange.c
    columns = (
        *(x.id, x.at, x.direction, x.kind, x.state, x.usage, x.verdict, x.message, x.control_number, x.types),
        *(x.handed_over_at, x.acknowledged_at, x.fault_code),
        (x.state.not_in([ExchangeState.QUARANTINED, ExchangeState.DISCARDED])).label("partner_speaks"),
    )
    wanted = select(*columns).where(x.partner == key).limit(_LOOKED_AT)
    newest = connection.execute(wanted.order_by(x.at.desc(), x.id.desc())).all()
    oldest = connection.execute(wanted.order_by(x.at, x.id)).all() if len(newest) == _LOOKED_AT else []
    return [row for _, row in sorted({row.id: row for row in (*oldest, *newest)}.items())]


def _proofs(connection: Connection, rows: _Rows) -> dict[int, str]:
    """How the sender of each mail was proven."""
    m = tables.message.c
    ids = sorted({row.message for row in rows if row.direction == "in" and row.message is not None})
    found: dict[int, str] = {}
    for at in range(0, len(ids), 500):
        asked = select(m.id, m.proof).where(m.id.in_(ids[at : at + 500]))
        found |= {row.id: row.proof for row in connection.execute(asked)}
    return found


def _proof(proofs: dict[int, str], row: Row[*tuple[Any, ...]]) -> Proof:
    return Proof(proofs.get(row.message, ""))


def _proof_words(proofs: dict[int, str], row: Row[*tuple[Any, ...]] | None) -> str:
    kind = proofs.get(row.message, "") if row is not None else ""
    return {"signed": "a trusted signature", "dkim": "a DKIM signature", "mx": "our mail exchanger"}.get(
        kind, "its address alone"
    )


def _newest(rows: Iterator[Row[*tuple[Any, ...]]]) -> Row[*tuple[Any, ...]] | None:
    """The newest test, or the newest in earnest where there is none."""
    return max(rows, key=lambda row: (row.usage == "T", row.id), default=None)


def _accepted(row: Row[*tuple[Any, ...]]) -> bool:
    return row.state == ExchangeState.ACKNOWLEDGED and (not row.verdict or row.verdict in _GOOD)


def _fact(row: Row[*tuple[Any, ...]] | None, what: str) -> Fact | None:
    if row is None:
        return None
    return Fact(row.at, row.id, f"{_name(row)}: {what}." if "proved" in what else f"{_name(row)} {what}.")


def _name(row: Row[*tuple[Any, ...]]) -> str:
    kind = {"T": "Test", "P": "Production"}.get(row.usage, "Interchange")
    return f"{kind} {row.control_number} ({row.types})"


def _numbers(context: Context, partner: Partner, accepted: Row[*tuple[Any, ...]] | None) -> Fact | None:
    told = changes(context.ledger.engine, partner=partner.key, kinds=_NUMBERS, limit=1)
    if told:
        event = told[0]
        if event.kind == "numbers-left":
            reason = f": {event.body['reason']}" if event.body.get("reason") else ""
            return Fact(event.at, None, f"{event.actor} left them as they are{reason}.")
        return Fact(
            event.at,
            None,
            f"{event.actor} set them; the {event.body.get('level')} count began at {event.body.get('next')}.",
        )
    if accepted is not None and accepted.usage == "P":
        return Fact(accepted.at, accepted.id, f"They took ours: {_name(accepted)} was accepted.")
    return None


def _refused(came: _Rows, went: _Rows) -> Iterator[tuple[str, Fact]]:
    """What was tried last and failed, by the item that it speaks of."""
    bad = [row for row in came if row.kind == "document" and row.state in _FAILED_IN]
    if bad:
        words = f"{_name(bad[-1])} {_FAILED_IN[ExchangeState(bad[-1].state)]}."
        yield "test-received", Fact(bad[-1].at, bad[-1].id, words)
    lost = [row for row in went if row.kind == "document" and row.state in _FAILED_OUT]
    if lost:
        fact = Fact(lost[-1].at, lost[-1].id, f"{_name(lost[-1])} {_FAILED_OUT[ExchangeState(lost[-1].state)]}.")
        if lost[-1].handed_over_at is None:
            yield "test-sent", fact
        yield "acknowledged", fact
    stuck = [row for row in came if row.state == ExchangeState.ACCEPTED and row.fault_code]
    if stuck:
        yield "delivery", Fact(stuck[-1].at, stuck[-1].id, f"{_name(stuck[-1])} could not be delivered yet.")


def _unguided(partner: Partner) -> Iterator[str]:
    for agreement in partner.agreements:
        if agreement.guideline and agreement.guideline not in dict(partner.guidelines):
            yield f"{agreement.name}: the guideline {agreement.guideline} is not stored with the profile"
        if not agreement.guideline:
            yield from _unknown_sets(agreement)


def _unknown_sets(agreement: Agreement) -> Iterator[str]:
    for name in agreement.sets:
        if name == "*":
            continue
        if not agreement.versions and name not in _ever_known():
            yield f"{name} in any version"
        for version in agreement.versions:
            if choose(name, version, "", ExaminePolicy()) is None:
                yield f"{name} in {version}"


@cache
def _ever_known() -> frozenset[str]:
    return frozenset(each.set_id for each in known_sets())


# ---------------------------------------------------------------- what people decide


@insisting
def leave_numbers(context: Context, key: str, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Somebody says that our control numbers for a partner stay as they are, knowingly.

    Raises:
        UnknownPartner, UsageFault: without a reason.
    """
    partner = context.directory.get(key)
    if not reason:
        raise UsageFault(reason="Leaving the numbers as they are needs a reason (--why).")
    told = changes(context.ledger.engine, partner=partner.key, kinds=_NUMBERS, limit=1)
    if told and told[0].kind == "numbers-left" and told[0].body.get("reason") == reason:
        return before(key, "the numbers were left as they are")
    with acting(context, actor, dry_run=dry_run) as recorder:
        recorder.event("numbers-left", partner=partner.key, reason=reason)
    return Act(key, "our control numbers stay as they are")


def refuse_unready(context: Context, key: str, status: Status, *, was_live: bool = False) -> Checklist:
    """The checklist, where nothing of it speaks against another status of the partner.

    Args:
        context: the ledger and the profiles.
        key: the partner.
        status: live needs all items, testing an address that mail can come from.
        was_live: it was live before, and only goes on: what is missing is told, and stops nobody.

    Raises:
        PartnerNotReady: naming what is missing.
        UnknownPartner
    """
    found = partner_checklist(context, key)
    missing = [each for each in found.missing if status is Status.LIVE or each.name == "addresses"]
    if missing and not was_live:
        raise PartnerNotReady(partner=key, status=status.value, missing=", ".join(each.title for each in missing))
    return found
