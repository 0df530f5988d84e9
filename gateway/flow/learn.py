"""Learn: the certificates that came with a received mail, for a person to confirm."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select

from gateway.errors import CertificateUnreadable, ConfigurationFault, NotFound
from gateway.flow.context import Context
from gateway.flow.operate import Reference
from gateway.ledger import tables
from gateway.mail.smime.certificates import KeyPair
from gateway.mail.smime.layers import claimed_signers


def signing_certificates(context: Context, message: str) -> tuple[bytes, ...]:
    """The certificates (DER) whose signatures hold over a received mail. They prove nothing until they are confirmed.

    Args:
        context: with the keys that open the mail, if it is encrypted too.
        message: what a person names: ``m17``.

    Raises:
        NotFound: there is no such mail.
        CertificateUnreadable: nobody signed it, or the certificate did not come along.
        MessageFault: it cannot be opened.
    """
    number = Reference.parse(message).message
    table = tables.message
    with context.ledger.reading() as connection:
        wanted = select(table.c.sha256).where(table.c.id == number, table.c.direction == "in")
        sha256 = connection.execute(wanted).scalar()
    if number is None or sha256 is None:
        raise NotFound(what="received mail", key=message)
    keys: tuple[KeyPair, ...] = ()
    with suppress(ConfigurationFault):
        keys = context.keys.opening()
    found = claimed_signers(context.ledger.content(sha256), limits=context.limits, keys=keys)
    if not found:
        raise CertificateUnreadable(name=f"mail {message}", reason="no signature with its certificate is in it")
    return found
