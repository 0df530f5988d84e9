"""A mail of our own that carries no interchange (an alert, a report, a seal), as a row of the ledger."""

from __future__ import annotations

import json

from gateway.ledger import tables
from gateway.ledger.recording import Recorder
from gateway.ledger.states import MessageState
from gateway.mail.compose import written_date
from gateway.mail.model import Draft
from gateway.settings import SmtpSettings


def record_own_mail(recorder: Recorder, smtp: SmtpSettings, draft: Draft, raw: bytes, kind: str) -> int:
    """Records it with its bytes before it is sent; gives its number."""
    return recorder.add(
        tables.message,
        at=recorder.now,
        direction="out",
        state=MessageState.QUEUED,
        kind=kind,
        host=smtp.host,
        user=smtp.user,
        sha256=recorder.keep(raw, owner=""),
        size=len(raw),
        message_id=draft.message_id,
        subject=draft.subject,
        from_address=draft.sender,
        to_addresses=json.dumps(draft.to),
        dated=written_date(draft),
    )
