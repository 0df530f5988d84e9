"""Dossier: everything that proves what a partner was given, as files for an auditor or a court (RFC 3335 section 2.3).

Our signed original, the partner's signed receipt whose integrity check names exactly that original, and the
certificates behind both signatures; checked once more while it is written, so that a gap is said and not found later.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from gateway.errors import GatewayError, NotAllowedNow
from gateway.flow.context import Context
from gateway.flow.original import Original, original
from gateway.ledger import archive, tables
from gateway.ledger.events import one_line
from gateway.ledger.moments import iso
from gateway.ledger.story import story
from gateway.mail.receipt_reader import receipt_in
from gateway.mail.receipts import Mic
from gateway.mail.smime.layers import open_layers
from partners.certificates import describe

_ABOUT = {
    "interchange.edi": "the EDI interchange, as the business gave it and we numbered it",
    "mail.eml": "the mail as the SMTP host took it",
    "original.mime": "the same, with our signature, before it was encrypted for the partner",
    "history.json": "what happened, from the ledger",
}


class _Facts(Struct, frozen=True):
    """What the ledger holds of an exchange and its receipts."""

    exchange: Row[*tuple[Any, ...]]
    original: Original
    interchange: bytes
    receipts: tuple[tuple[Row[*tuple[Any, ...]], bytes], ...]


def dossier(context: Context, number: int) -> dict[str, bytes]:
    """The files, by name; README.txt says what each is and what was found when they were checked.

    Raises:
        NotFound: there is no such exchange.
        NotAllowedNow: it came from the partner: its receipts prove nothing of ours.
        DatabaseUnavailable: with the reason.
    """
    history = story(context.ledger.engine, number)
    if history.exchange.direction != "out" or history.exchange.message is None:
        state, reason = history.exchange.state, "only what we sent has a receipt of the partner's"
        raise NotAllowedNow(what="exchange", key=number, state=state, reason=reason)
    with context.ledger.reading() as connection:
        facts = _facts(connection, number)
    files = {"interchange.edi": facts.interchange, "mail.eml": facts.original.mail}
    if facts.original.inner:
        files["original.mime"] = facts.original.inner
    for n, (_, raw) in enumerate(facts.receipts, 1):
        files[f"receipt-{n}.eml"] = raw
    files |= dict(_certificates(context, facts))
    document = json.dumps(history.as_dict(), ensure_ascii=False, indent=2, default=str)
    files["history.json"] = document.encode("utf-8", "replace")
    findings = [_original(context, facts), *_checked(context, facts)]
    files["README.txt"] = _readme(facts, files, findings).encode("utf-8", "replace")
    return files


def _facts(connection: Connection, number: int) -> _Facts:
    x, m, r = tables.exchange, tables.message, tables.receipt
    exchange = connection.execute(select(x).where(x.c.id == number)).one()
    rows = connection.execute(
        select(r, m.c.sha256)
        .join(m, m.c.id == r.c.message)
        .where(r.c.exchange == number, r.c.direction == "in")
        .order_by(r.c.id)
    ).all()
    kept = archive.read(connection, [exchange.sha256, *(row.sha256 for row in rows)])
    return _Facts(
        exchange,
        original(connection, exchange),
        kept[exchange.sha256],
        tuple((row, kept[row.sha256]) for row in rows),
    )


# ---------------------------------------------------------------- certificates


def _certificates(context: Context, facts: _Facts) -> Iterator[tuple[str, bytes]]:
    """The certificates of both sides: those of ours that can have signed, and those that proved a receipt."""
    for key in context.keys.keys:
        if key.created_at <= facts.exchange.at:
            yield f"our-{key.name}.pem", _pem(key.certificate)
    for der in _provers(context, facts).values():
        yield f"partner-{describe(der).fingerprint[:16]}.pem", _pem(der)


def _provers(context: Context, facts: _Facts) -> dict[str, bytes]:
    """The partner's certificates that signed a receipt, retired ones too, by fingerprint."""
    signed_by = {row.signed_by for row, _ in facts.receipts if row.signed_by}
    if facts.exchange.partner not in context.directory:
        return {}
    partner = context.directory.get(facts.exchange.partner)
    return {each.fingerprint: each.der for each in partner.certificates if each.fingerprint in signed_by}


def _pem(der: bytes) -> bytes:
    lines = base64.encodebytes(der).replace(b"\n", b"")
    body = b"\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"


# ---------------------------------------------------------------- checked once more


def _original(context: Context, facts: _Facts) -> str:
    """Whether our original still carries our signature, and gives the integrity check that was recorded."""
    recorded = Mic.parse(facts.exchange.mic)
    ours = [key.certificate for key in context.keys.keys]
    try:
        opened = facts.original.opened(ours, context.limits, facts.exchange.at / 1000)
        found = facts.original.mic(opened, recorded.algorithm) if recorded is not None else None
    except GatewayError as fault:
        return f"our original: cannot be checked ({fault})"
    said = "signed by us" if opened.signed else "NOT signed: it does not prove that we sent it"
    if recorded is None or found is None:
        return f"our original: {said}; no receipt was asked for"
    return f"our original: {said}; its integrity check is {_the('recorded one', found.matches(recorded))}"


def _the(what: str, same: bool) -> str:
    return f"the {what}" if same else f"NOT the {what}"


def _checked(context: Context, facts: _Facts) -> Iterator[str]:
    provers = tuple(_provers(context, facts).values())
    for n, (row, raw) in enumerate(facts.receipts, 1):
        yield f"receipt-{n}.eml: {_receipt(context, facts, row, raw, provers)}"
    if not facts.receipts:
        yield "the partner's receipt: THERE IS NONE"


def _receipt(context: Context, facts: _Facts, row: Row[*tuple[Any, ...]], raw: bytes, provers: Sequence[bytes]) -> str:
    if row.relation == "forged":
        return "it was not proved to be the partner's, and counts for nothing"
    try:
        # Weak algorithms were judged when it came; here it is only looked at again.
        opened = open_layers(
            raw, limits=context.limits, keys=context.keys.opening(), trusted=provers, weak=True, at=row.at / 1000
        )
        receipt = receipt_in(opened.entity, context.limits)
        if receipt is None:
            return "cannot be read"
        same = receipt.mic is not None and receipt.mic.matches(_mic(context, facts, receipt.mic.algorithm))
    except GatewayError as fault:
        return f"cannot be checked ({fault})"
    signed = f"signed by {describe(opened.signer).fingerprint}" if opened.signer else "NOT signed"
    said = receipt.disposition + "".join(f"/{each}" for each in receipt.problems)
    return f"{said}, {signed}; its integrity check is {_the('one of our original', same)}"


def _mic(context: Context, facts: _Facts, algorithm: str) -> Mic:
    ours = [key.certificate for key in context.keys.keys]
    return facts.original.mic(facts.original.opened(ours, context.limits, facts.exchange.at / 1000), algorithm)


def _readme(facts: _Facts, files: dict[str, bytes], findings: Sequence[str]) -> str:
    x = facts.exchange
    lines = [
        f"Proof of exchange {x.id}: {x.types} {x.control_number} to {x.partner}",
        "",
        f"Message-ID:       {x.message_id}",
        f"handed over:      {iso(x.handed_over_at) if x.handed_over_at else 'not yet'}",
        f"secured:          {x.security or 'not at all'}",
        f"integrity check:  {x.mic or 'none was asked for'}",
        "",
        "What was found when this was written:",
        *(f"  - {one_line(each)}" for each in findings),
        "",
        "Files, with the SHA-256 of each:",
    ]
    for name, data in files.items():
        about = _ABOUT.get(name, "a receipt (MDN) of the partner" if name.startswith("receipt") else "a certificate")
        lines.append(f"  {hashlib.sha256(data).hexdigest()}  {name}: {about}")
    signed = "original.mime" if facts.original.inner else "mail.eml"
    lines += [
        "",
        "To check the signatures with OpenSSL, for example:",
        f"  openssl cms -verify -in {signed} -CAfile our-NAME.pem -purpose any -no_check_time -out original",
        "  openssl cms -verify -in receipt-1.eml -CAfile partner-FINGERPRINT.pem -purpose any -no_check_time",
        "The integrity check is the digest of the original (base64), as the receipt states it in Received-Content-MIC:",
        "  openssl dgst -sha256 -binary original | base64",
        "",
    ]
    return "\n".join(lines)
