"""The specification for a partner: the mail around the documents, and how it is secured."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from gateway.flow.context import Context
from gateway.ledger.keys import ACTIVE, OwnKey
from gateway.ledger.reports.page import Section, Table
from partners.certificates import describe, grouped
from partners.model import Agreement, Direction, Evidence, Partner, Security
from partners.onboarding import unknown_addresses
from partners.profile_values import TEMPLATE_NAMES, duration_text

_MB = 1_000_000
_PROOF = {
    Evidence.ADDRESS: "We know your mails by the address in From. Where your domain has SPF, DKIM and DMARC, tell us.",
    Evidence.MX: "Our mail exchanger must find that DKIM or DMARC of your domain passed.",
    Evidence.DKIM: "Your mail host must sign your mails with DKIM for the domain of the address in From.",
    Evidence.SIGNED: "You sign your mails with S/MIME; we trust the certificate whose fingerprint you confirmed to us.",
}


_FILES = (
    "A document is an attachment of any name and content type (best application/EDI-X12), the text of the mail, or "
    "all of it; zip and gzip are opened. What else stands in the mail is not read."
)


def our_addresses(context: Context) -> list[str]:
    """Where mail reaches us: the accounts that are addresses, else the sender of our mails."""
    smtp = context.settings.smtp
    accounts = [each.user for each in context.settings.mailboxes if "@" in each.user]
    sender = [smtp.sender] if smtp is not None and smtp.sender else []
    return list(dict.fromkeys(accounts or sender))


def mail_section(context: Context, partner: Partner) -> Section:
    """Addresses, files and how big they may be."""
    smtp, limits = context.settings.smtp, context.settings.limits
    unknown = unknown_addresses(partner)
    theirs = [each for each in partner.addresses if each not in unknown]
    rows = [("you send to", ", ".join(our_addresses(context)) or "we tell you")]
    rows.append(("you send from", ", ".join(theirs) or "tell us the address, please"))
    rows.append(("we send from", smtp.sender if smtp is not None else "we tell you"))
    rows.append(("we send to", _to(partner, theirs)))
    sentences = [
        "Mail from any other address is put aside by us until a person has looked at it.",
        _PROOF[partner.evidence],
        _FILES,
        f"A mail may have up to {limits.message_size // _MB} MB.",
        *_our_files(context, partner),
    ]
    table = Table("Mail", ("way", "address"), tuple(rows), tight=frozenset({0}))
    return Section("Mail and files", tuple(sentences), tables=(table,))


def _to(partner: Partner, theirs: list[str]) -> str:
    chosen = [address for each in partner.agreements if each.direction is Direction.OUT for address in each.mail.to]
    return ", ".join(dict.fromkeys(chosen or theirs[:1])) or "tell us the address, please"


def _our_files(context: Context, partner: Partner) -> Iterator[str]:
    for each in partner.agreements:
        if each.direction is Direction.OUT:
            mail = each.mail
            name, subject = (_example(context, partner, each, text) for text in (mail.file_name, mail.subject))
            place = "is all of the mail" if mail.place == "body" else f"is attached, for example as {name}"
            packed = f", packed with {mail.compress}" if mail.compress != "none" else ""
            yield f"Ours ({each.name}) {place}, {mail.content_type}{packed}; the subject is like “{subject}”."


def _example(context: Context, partner: Partner, agreement: Agreement, template: str) -> str:
    """A template as a mail may have it."""
    names = dict.fromkeys(TEMPLATE_NAMES, "…") | {
        "sets": "810" if agreement.sets == ("*",) else agreement.sets[0],
        "control_number": "000000123",
        "group_control_number": "123",
        "our_name": context.settings.name,
        "partner": partner.key,
        "partner_name": partner.name,
        "usage": agreement.envelope.usage,
        "date": "261102",
        "time": "1045",
    }
    return template.format_map(names)


def security_section(context: Context, partner: Partner) -> Iterator[Section]:
    """S/MIME and receipts, with our certificates; nothing where none was agreed on."""
    secured = [each for each in partner.agreements if _is_secured(each.security)]
    asked = partner.evidence is Evidence.SIGNED
    keys = _our_keys(context, partner)
    if not secured and not asked:
        return
    rows = [(each.name, _words(each.security, out=each.direction is Direction.OUT)) for each in secured]
    tables = [
        Table("What was agreed on", ("agreement", "S/MIME (RFC 8551) and receipts"), tuple(rows), wide=frozenset({1}))
    ]
    tables = tables if rows else []
    sentences = ["Compare fingerprints with us by telephone before you trust a certificate; we do the same with yours."]
    for key in keys:
        tables += _certificate(key)
    if not keys:
        sentences.append("Our certificate follows: we have none yet.")
    yield Section("S/MIME, receipts and our certificate", tuple(sentences), tables=tuple(tables))


def _is_secured(security: Security) -> bool:
    return security.sign or security.encrypt or security.compress or security.receipt != "none"


def _our_keys(context: Context, partner: Partner) -> list[OwnKey]:
    """The keys of ours that the partner meets: those that agreements name, else all that are active and valid."""
    now = context.clock()
    valid = [each for each in context.keys.keys if each.state == ACTIVE and each.not_before <= now <= each.not_after]
    named = {each.security.key for each in partner.agreements if each.security.key}
    return [each for each in valid if each.name in named] or valid


def _certificate(key: OwnKey) -> list[Table]:
    found = describe(key.certificate)
    facts = (
        ("subject", found.subject),
        ("key", found.key),
        ("serves to", " and ".join(_uses(signs=found.signs, encrypts=found.encrypts))),
        ("SHA-256 fingerprint", grouped(found.fingerprint)),
    )
    text = base64.b64encode(key.certificate).decode()
    lines = ["-----BEGIN CERTIFICATE-----", *(text[at : at + 64] for at in range(0, len(text), 64))]
    pem = tuple((each,) for each in (*lines, "-----END CERTIFICATE-----"))
    return [
        Table(f"Our certificate {key.name}", ("what", "value"), facts, tight=frozenset({0})),
        Table(f"Our certificate {key.name} as PEM", ("to be saved as a .pem file",), pem, tight=frozenset({0})),
    ]


def _uses(*, signs: bool, encrypts: bool) -> list[str]:
    uses = ["verify our signatures"] if signs else []
    return uses + (["encrypt for us"] if encrypts else [])


def _words(security: Security, *, out: bool) -> str:
    who = "we" if out else "you"
    words = [f"{who} compress"] if security.compress and out else []
    words += [f"{who} sign ({security.digest})" if out else "you sign"] if security.sign else []
    words += (
        [f"{who} encrypt ({security.cipher})" if out else "you encrypt for our certificate"] if security.encrypt else []
    )
    if security.receipt != "none" and out:
        kind = "a signed receipt" if security.receipt == "signed" else "a receipt"
        within = f" within {duration_text(security.receipt_within)}" if security.receipt_within else ""
        words.append(f"we ask for {kind} (MDN){within}")
    elif security.receipt != "none":
        words.append("we give the receipts (MDN) that you ask for")
    return "; ".join(words)
