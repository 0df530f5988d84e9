"""Original: what a mail of ours said before it was encrypted, as it is kept, and its integrity check in any digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from gateway.ledger import archive, tables
from gateway.mail.receipts import Mic, digest_name
from gateway.mail.smime.layers import Opened, mic, open_layers
from gateway.settings.model import Limits


class Original(Struct, frozen=True):
    """The mail as it went, and the entity inside where it was encrypted (else empty)."""

    mail: bytes
    inner: bytes

    def opened(self, ours: Sequence[bytes], limits: Limits, at: float) -> Opened:
        """What is in it.

        Args:
            ours: our certificates (DER), one of which may have signed it.
            limits: bounds of what is opened.
            at: when it was made, seconds since 1970 UTC.

        Raises:
            MessageFault: it cannot be opened, or the signature is none of ours.
        """
        return open_layers(self.inner or self.mail, limits=limits, trusted=ours, at=at)

    def mic(self, opened: Opened, algorithm: str) -> Mic:
        """The integrity check over what a receipt is about (RFC 3335 section 2.3).

        Raises:
            AlgorithmRefused: for a digest that the gateway does not know.
        """
        # Encrypted and nothing else: then it is over the entity itself, headers included.
        covered = self.inner if self.inner and not opened.layers else opened.covered
        return Mic(mic(covered, digest_name(algorithm)), algorithm)


def original(connection: Connection, exchange: Row[*tuple[Any, ...]]) -> Original:
    """The kept original of an exchange that we sent."""
    m, e = tables.message, tables.event
    mail = connection.execute(select(m.c.sha256).where(m.c.id == exchange.message)).scalar_one()
    wanted = select(e.c.body).where(e.c.exchange == exchange.id, e.c.kind == "secured").limit(1)
    secured = connection.execute(wanted).scalar()
    inner = str(json.loads(secured).get("inner", "")) if secured else ""
    kept = archive.read(connection, [mail, *([inner] if inner else [])])
    return Original(kept[mail], kept.get(inner, b""))
