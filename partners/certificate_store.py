"""Certificates of partners in the database. None is ever deleted: a retired one still explains old signatures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import DBAPIError

from gateway.errors import DatabaseUnavailable, NotFound, UsageFault
from partners.certificates import Description
from partners.model import Certificate, CertificateState
from partners.tables import partner_certificate as table
from partners.tables import reads


class Kept(Struct, frozen=True):
    """A certificate as kept, with its history. Times are ms since 1970 UTC; ``decided_at`` None: nobody decided."""

    partner: str
    certificate: Certificate
    added_at: int
    added_by: str
    decided_at: int | None
    decided_by: str


class CertificateStore:
    """The certificates of one database's partners. Safe to share between threads as far as its engine is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        partner: str,
        found: Description,
        *,
        source: str,
        by: str,
        at: int,
        within: Connection | None = None,
    ) -> bool:
        """Keeps a certificate as pending; false when it is there already, in whatever state.

        Args:
            partner: the partner's key.
            found: from ``partners.certificates``.
            source: where it came from: a file's name, or the mail (``m17``).
            by: who added it.
            at: now, ms since 1970 UTC.
            within: the transaction to do it in; by default one of its own.

        Raises:
            DatabaseUnavailable: nothing was stored.
        """
        values = {
            "partner": partner,
            "fingerprint": found.fingerprint,
            "certificate": found.der,
            "state": CertificateState.PENDING.value,
            "not_before": found.not_before,
            "not_after": found.not_after,
            "source": source,
            "added_at": at,
            "added_by": by,
        }
        try:
            with self._writing(within) as connection:
                if self._find(connection, partner, found.fingerprint):
                    return False
                connection.execute(insert(table).values(values))
        except DBAPIError as problem:
            raise DatabaseUnavailable(reason=str(problem.orig)) from problem
        return True

    def decide(
        self,
        partner: str,
        fingerprint: str,
        state: CertificateState,
        *,
        by: str,
        at: int,
        within: Connection | None = None,
    ) -> None:
        """Records that a person trusted or retired a certificate.

        Args:
            partner: the partner's key.
            fingerprint: the whole one.
            state: TRUSTED or RETIRED.
            by: who decided.
            at: now, ms since 1970 UTC.
            within: the transaction to do it in; by default one of its own.

        Raises:
            NotFound: the partner has no such certificate.
            DatabaseUnavailable: nothing was changed.
        """
        mine = (table.c.partner == partner, table.c.fingerprint == fingerprint)
        try:
            with self._writing(within) as connection:
                values = {"state": state.value, "decided_at": at, "decided_by": by}
                if not connection.execute(update(table).where(*mine).values(values)).rowcount:
                    raise NotFound(what=f"certificate of {partner} with the fingerprint", key=fingerprint)
        except DBAPIError as problem:
            raise DatabaseUnavailable(reason=str(problem.orig)) from problem

    def list(self, partner: str | None = None) -> list[Kept]:
        """All certificates, or those of one partner: by partner, the newest first."""
        wanted = select(table).order_by(table.c.partner, table.c.not_before.desc(), table.c.fingerprint)
        if partner is not None:
            wanted = wanted.where(table.c.partner == partner)
        try:
            with self._engine.connect().execution_options(**reads(self._engine)) as connection:
                return [_kept(row) for row in connection.execute(wanted)]
        except DBAPIError as problem:
            raise DatabaseUnavailable(reason=str(problem.orig)) from problem

    def find(self, partner: str, beginning: str) -> Kept:
        """The partner's certificate whose fingerprint begins so.

        Raises:
            NotFound: there is none.
            UsageFault: several begin so.
        """
        found = [each for each in self.list(partner) if each.certificate.fingerprint.startswith(beginning)]
        if not found:
            raise NotFound(what=f"certificate of {partner} with the fingerprint", key=beginning)
        if len(found) > 1:
            raise UsageFault(reason=f"{len(found)} certificates of {partner} begin with {beginning}: write more of it.")
        return found[0]

    def _writing(self, within: Connection | None) -> AbstractContextManager[Connection]:
        return self._engine.begin() if within is None else nullcontext(within)

    def _find(self, connection: Connection, partner: str, fingerprint: str) -> bool:
        wanted = select(table.c.state).where(table.c.partner == partner, table.c.fingerprint == fingerprint)
        return connection.execute(wanted).first() is not None


def certificates_by_partner(
    connection: Connection, keys: Iterable[str] | None = None
) -> dict[str, tuple[Certificate, ...]]:
    """What each partner's certificates are, in one query; partners without any are absent."""
    wanted = select(table).order_by(table.c.partner, table.c.not_before.desc(), table.c.fingerprint)
    if keys is not None:
        wanted = wanted.where(table.c.partner.in_(list(keys)))
    found: dict[str, tuple[Certificate, ...]] = {}
    for row in connection.execute(wanted):
        found[row.partner] = (*found.get(row.partner, ()), _certificate(row))
    return found


def _kept(row: Row[Any]) -> Kept:
    return Kept(row.partner, _certificate(row), row.added_at, row.added_by, row.decided_at, row.decided_by)


def _certificate(row: Row[Any]) -> Certificate:
    return Certificate(
        row.fingerprint,
        bytes(row.certificate),
        _state(row.state),
        row.not_before,
        row.not_after,
        row.source,
    )


def _state(kept: str) -> CertificateState:
    """One that somebody wrote past us must not stop whatever reads partners."""
    try:
        return CertificateState(kept)
    except ValueError:
        return CertificateState.UNKNOWN
