"""Raw bytes and evidence of exchanges and mails, as files for auditors and operators.

What is shown unmasked is recorded in the ledger with who asked for it, before the first byte goes out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable

from starlette.responses import Response

from gateway.console.pages.downloads import download, spooled
from gateway.console.pages.exchange import number_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.visit import Visit
from gateway.errors import NotAllowedNow
from gateway.flow import showing
from gateway.flow.dossier import dossier
from gateway.flow.evidence import evidence
from gateway.ledger.recording import Ledger


def masked(visit: Visit) -> Response:
    """The interchange, the passwords in its ISA masked."""
    number = number_of(visit)
    return _raw(visit, showing.interchange_bytes(visit.app.ledger, number), f"exchange-{number}.edi")


def unmasked(visit: Visit) -> Response:
    """The interchange as it is."""
    number = number_of(visit)
    return _raw(visit, showing.interchange_bytes(_ledger(visit), number, unmasked=True), f"exchange-{number}.edi")


def answer(visit: Visit) -> Response:
    """The acknowledgments of an exchange, one interchange after the other, masked."""
    number = number_of(visit)
    return _raw(visit, showing.answer_bytes(visit.app.ledger, number), f"exchange-{number}-answers.edi")


def mail(visit: Visit) -> Response:
    """A mail as it came or went; one with a password in an ISA is refused: see ``mail_unmasked``."""
    number = number_of(visit, "message")
    pieces = showing.mail_bytes(visit.app.ledger, number, visit.app.settings.limits)
    return _raw(visit, pieces, f"mail-{number}.eml")


def mail_unmasked(visit: Visit) -> Response:
    """A mail as it came or went, whatever it holds."""
    number = number_of(visit, "message")
    pieces = showing.mail_bytes(_ledger(visit), number, visit.app.settings.limits, unmasked=True)
    return _raw(visit, pieces, f"mail-{number}.eml")


def inclusion(visit: Visit) -> Response:
    """What proves to somebody else that the exchange was recorded as it is, before the seal that covers it."""
    number = number_of(visit)
    key = visit.app.seal_key_known()
    if key is None:
        reason = "the ledger has no seal yet; make one with `gateway ledger seal`"
        raise NotAllowedNow(what="exchange", key=number, state="not sealed", reason=reason)
    with visit.app.ledger.reading() as connection:
        made = evidence(connection, number, key)
    data = json.dumps(made, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
    return download([data], f"exchange-{number}-proof.json", "application/json")


def proof(visit: Visit) -> Response:
    """What proves that the partner was given it: our signed original, its signed receipt, the certificates."""
    number = number_of(visit)
    with visit.site.acting(visit.user.name, alone=False) as app:
        files = dossier(app.context(), number)
        app.record("proof-exported", number=number)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return download([packed.getvalue()], f"exchange-{number}-dossier.zip", "application/zip")


def _raw(visit: Visit, pieces: Iterable[bytes], name: str) -> Response:
    return download(spooled(pieces, visit.app.home), name)


def _ledger(visit: Visit) -> Ledger:
    """The ledger, in the name of who asks."""
    app = visit.app
    return Ledger(app.engine, app.clock, visit.user.name, app.ledger.waker)


_ONE = "/exchanges/{number:int}"
PAGES = (
    view(f"{_ONE}/raw.edi", masked, Role.AUDITOR),
    view(f"{_ONE}/answers.edi", answer, Role.AUDITOR),
    view(f"{_ONE}/proof.json", inclusion, Role.AUDITOR),
    act(f"{_ONE}/raw/unmasked", unmasked, Role.AUDITOR),
    act(f"{_ONE}/dossier", proof, Role.AUDITOR),
    view("/mails/{number:int}/raw.eml", mail, Role.AUDITOR),
    act("/mails/{number:int}/unmasked", mail_unmasked, Role.AUDITOR),
)
