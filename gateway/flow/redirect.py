"""Redirect: the envelope of a mail whose partner, or we, have another address by now.

A mail is written once and its bytes never change; it may wait, or go again, long after that. By then an address may be
the partner's no more: it was wrong from the beginning, or is somebody else's now. And the host that we send through by
now may take nothing from the sender that we had then, nor would bounces come to where we look.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from gateway.flow.terms import terms_of
from gateway.ledger.work import DueMail
from partners.directory import Directory
from partners.model import Partner


def redirected(directory: Directory, sender: str, mail: DueMail) -> DueMail:
    """The mail with the envelope of today: in the place of recipients that the profile names no more, its current ones.

    Args:
        directory: the profiles as they are now.
        sender: our address, as gateway.toml says it now.
        mail: what is due.
    """
    if mail.envelope_sender != sender:
        mail = replace(mail, envelope_sender=sender)
    if mail.partner not in directory or mail.rest:
        return mail  # of ``rest``, the partner has it; the others were written to it by name
    partner = directory.get(mail.partner)
    first = {each.lower() for each in _first(partner)}
    copies = {each.lower() for agreement in partner.agreements for each in agreement.mail.cc}
    kept = tuple(each for each in mail.recipients if each.lower() in first | copies)
    if len(kept) == len(mail.recipients):
        return mail
    if not any(each.lower() in first for each in kept):
        kept = tuple(dict.fromkeys((*_current(directory, partner, mail), *kept)))
    return replace(mail, recipients=kept, redirected=True)


def _first(partner: Partner) -> Iterator[str]:
    """Every address that a mail may be meant for; others get copies."""
    yield from partner.addresses
    for agreement in partner.agreements:
        yield from agreement.mail.to


def _current(directory: Directory, partner: Partner, mail: DueMail) -> tuple[str, ...]:
    """Where a mail under its agreement would be sent now."""
    terms = terms_of(directory, mail.partner, mail.agreement, mail.types, mail.versions)
    return (terms.mail.to if terms is not None else ()) or partner.addresses[:1]
