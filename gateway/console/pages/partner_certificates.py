"""The certificates of a partner: what proves its mails and what ours are encrypted for; kept, confirmed, retired."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import Response

from gateway.console.pages.partner import path_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.saying import fault_in_words, reason
from gateway.console.visit import LARGEST_FILE, Visit
from gateway.errors import CertificateUnreadable, GatewayError, UsageFault
from gateway.flow.configuration import add_certificate, decide_certificate
from gateway.flow.expiry import endings
from partners.certificate_store import Kept
from partners.certificates import (
    Description,
    days_left,
    describe,
    grouped,
    plain_fingerprint,
    read_certificates,
    refuse_unusable,
)
from partners.model import CertificateState

_WHOLE = 64  # hexadecimal digits of a fingerprint
_MANY = 20  # certificates in one file


class Row(Struct, frozen=True):
    """A certificate as it is shown. ``days`` are left until its end; negative: it is over."""

    kept: Kept
    said: Description
    days: int
    grouped: str

    @property
    def state(self) -> str:
        """Its state, or that it has expired."""
        return "expired" if self.days < 0 else self.kept.certificate.state.value


def certificates(visit: Visit) -> Response:
    """All of a partner's certificates, the newest first."""
    app, key = visit.app, visit.part("key")
    one = app.partners.get(key)
    now = app.now()
    rows = [_row(each, now) for each in app.certificates.list(key)]
    return visit.page(
        "partner_certificates.html",
        tab="certificates",
        partner=one,
        rows=rows,
        ending=endings([one], (), now),
        largest=LARGEST_FILE,
    )


def add(visit: Visit) -> Response:
    """Keeps what a file or a text holds, as pending."""
    key = visit.part("key")
    page = path_of(key, "/certificates")
    upload, pasted = visit.files.get("file"), visit.form.get("pem", "").strip()
    if upload is not None and upload.is_too_large:
        return visit.to(page, f"{upload.name} is larger than {LARGEST_FILE:,} bytes: that is no certificate.")
    if upload is None and not pasted:
        return visit.to(page, "Choose a file, or paste the certificate as text.")
    data, name = (upload.data, upload.name) if upload is not None else (pasted.encode(), "pasted text")
    password = visit.form.get("password", "").encode() or None
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.partners.get(key)
        try:
            found = _readable(data, name, password)
        except CertificateUnreadable as fault:
            return visit.to(page, fault_in_words(fault))
        new = [
            each.fingerprint[:16]
            for each in found
            if add_certificate(app.ledger, app.certificates, key, each, source=name, actor=app.actor)
        ]
    if not new:
        return visit.to(page, "It was there already; nothing was changed.")
    said = f"Kept as pending: {', '.join(new)}…"
    return visit.to(page, f"{said} Let {key} read the fingerprint to you, then confirm it.")


def _readable(data: bytes, name: str, password: bytes | None) -> list[Description]:
    """What the file holds.

    Raises:
        CertificateUnreadable: nothing, or something that should not be trusted at all.
    """
    found = list(read_certificates(data, name, password))[:_MANY]
    for each in found:
        if each.problem:
            raise CertificateUnreadable(name=name, reason=each.problem)
    return found


def confirm(visit: Visit) -> Response:
    """Trusts a certificate whose whole fingerprint somebody typed as the partner read it."""
    return _decide(visit, CertificateState.TRUSTED)


def retire(visit: Visit) -> Response:
    """Ends the trust in a certificate."""
    return _decide(visit, CertificateState.RETIRED)


def _decide(visit: Visit, state: CertificateState) -> Response:
    key, fingerprint = visit.part("key"), visit.part("fingerprint")
    page = path_of(key, "/certificates")
    why = reason(visit.form)
    if not why:
        return visit.to(page, "Say why, or who confirmed it and how: it is kept in the ledger with your name.")
    with visit.site.acting(visit.user.name, alone=False) as app:
        app.partners.get(key)
        chosen = app.certificates.find(key, fingerprint)
        try:
            if state is CertificateState.TRUSTED:
                _compare(visit.form.get("typed", ""), chosen)
                refuse_unusable(chosen.certificate, app.now())
        except GatewayError as fault:
            return visit.to(page, fault_in_words(fault))
        if chosen.certificate.state is state:
            return visit.to(page, f"It is {state.value} already; nothing was changed.")
        known = chosen.certificate.fingerprint
        decide_certificate(app.ledger, app.certificates, key, known, state, actor=app.actor, reason=why)
    return visit.to(page, f"The certificate {known[:16]}… of {key} is {state.value} now.")


def _compare(typed: str, chosen: Kept) -> None:
    """What somebody typed must be the whole fingerprint, or nobody compared it.

    Raises:
        UsageFault: it is not.
    """
    try:
        plain = plain_fingerprint(typed)
    except ValueError as problem:
        raise UsageFault(reason=str(problem)) from None
    if len(plain) != _WHOLE:
        raise UsageFault(reason="That is only a part of the fingerprint: all 64 digits must be confirmed.")
    if plain != chosen.certificate.fingerprint:
        raise UsageFault(reason="That is not the fingerprint of this certificate: do not trust it, ask the partner.")


def _row(kept: Kept, now: int) -> Row:
    said = describe(kept.certificate.der)
    return Row(kept, said, days_left(said.not_after, now), grouped(said.fingerprint))


PAGES = (
    view("/partners/{key}/certificates", certificates),
    act("/partners/{key}/certificates", add, Role.ADMINISTRATOR),
    act("/partners/{key}/certificates/{fingerprint}/confirm", confirm, Role.ADMINISTRATOR),
    act("/partners/{key}/certificates/{fingerprint}/retire", retire, Role.ADMINISTRATOR),
)
