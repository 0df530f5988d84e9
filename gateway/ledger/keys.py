"""Our own keys for S/MIME, at rest: the certificate in clear, the private half encrypted with the home's key.

As with passwords (``gateway.ledger.secrets``), neither a copy of the database nor a copy of the key file alone
gives a private key away, and each token seals the name and the certificate it belongs to. A key is never
deleted: a retired one signs nothing any more, but still opens what was encrypted for it.

No private key ever appears in a repr, a message, or a fault.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, insert, select, update

from gateway.errors import ConfigurationFault, NotAllowedNow, OwnKeyMissing, OwnKeyUnusable
from gateway.ledger.database import reading, writing
from gateway.ledger.secrets import read_key
from gateway.ledger.tables import own_key as table

ACTIVE, RETIRED = "active", "retired"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class OwnKey(Struct, frozen=True):
    """A key of ours without its private half. ``certificate`` is DER; times are ms since 1970 UTC."""

    name: str
    fingerprint: str  # SHA-256 of the certificate, hex in lower case
    certificate: bytes
    state: str  # active, retired
    not_before: int
    not_after: int
    created_at: int
    created_by: str


class Keys:
    """Our keys by name.

    Args:
        engine: the ledger's database, or a function that gives it when a key is first asked for.
        key_file: the home's key, see ``gateway.ledger.secrets.make_key``.
    """

    def __init__(self, engine: Engine | Callable[[], Engine], key_file: Path) -> None:
        self._engine = engine
        self._key_file = key_file

    def __repr__(self) -> str:
        return f"Keys(key_file={str(self._key_file)!r})"

    def add(
        self,
        name: str,
        certificate: bytes,
        private: bytes,
        *,
        not_before: int,
        not_after: int,
        by: str,
        at: int,
        within: Connection | None = None,
    ) -> OwnKey:
        """Encrypts and keeps a key. It is active at once.

        Args:
            name: what it is called from now on.
            certificate: DER.
            private: the private key, PKCS #8 DER, unencrypted.
            not_before: when the certificate begins, ms since 1970 UTC.
            not_after: when it ends.
            by: who added it.
            at: now, ms since 1970 UTC.
            within: the transaction to do it in; by default one of its own.

        Raises:
            ConfigurationFault: the name cannot be used, or the home's key cannot be read.
            NotAllowedNow: there is a key of that name.
            DatabaseUnavailable: nothing was stored.
        """
        check_key_name(name)
        fingerprint = _fingerprint(certificate)
        row = {
            "name": name,
            "fingerprint": fingerprint,
            "certificate": certificate,
            "token": self._cipher(name).encrypt(_seal(name, fingerprint) + private),
            "state": ACTIVE,
            "not_before": not_before,
            "not_after": not_after,
            "created_at": at,
            "created_by": by,
        }
        with self._writing(within) as connection:
            state = connection.execute(select(table.c.state).where(table.c.name == name)).scalar()
            if state is not None:
                raise NotAllowedNow(what="key", key=name, state=state, reason="choose another name for a new one")
            connection.execute(insert(table).values(row))
        return OwnKey(name, fingerprint, certificate, ACTIVE, not_before, not_after, at, by)

    def list(self) -> tuple[OwnKey, ...]:
        """All keys, the newest first.

        Raises:
            DatabaseUnavailable: with the reason.
        """
        wanted = select(table).order_by(table.c.created_at.desc(), table.c.name)
        with reading(self._database()) as connection:
            return tuple(_own_key(row) for row in connection.execute(wanted))

    def get(self, name: str) -> OwnKey:
        """The key of that name.

        Raises:
            OwnKeyMissing: there is none.
        """
        found = next((each for each in self.list() if each.name == name), None)
        if found is None:
            raise OwnKeyMissing(which=f"named {name}")
        return found

    def private(self, key: OwnKey) -> bytes:
        """The private half of a key, PKCS #8 DER.

        Raises:
            OwnKeyMissing: there is no such key.
            OwnKeyUnusable: it cannot be decrypted with the home's key, or belongs to another certificate.
            ConfigurationFault: the home's key cannot be read.
        """
        with reading(self._database()) as connection:
            token = connection.execute(select(table.c.token).where(table.c.name == key.name)).scalar()
        if token is None:
            raise OwnKeyMissing(which=f"named {key.name}")
        seal = _seal(key.name, _fingerprint(key.certificate))
        try:
            plain = self._cipher(key.name).decrypt(token)
        except InvalidToken:
            plain = b""
        if not plain.startswith(seal):
            reason = f"it was not encrypted with the key in {self._key_file}, or was tampered with"
            raise OwnKeyUnusable(name=key.name, reason=reason)
        return plain[len(seal) :]

    def retire(self, name: str, within: Connection | None = None) -> None:
        """Ends the active life of a key: it signs nothing any more, and still decrypts.

        ``within`` is the transaction to do it in; by default one of its own.

        Raises:
            OwnKeyMissing: there is no such key.
        """
        with self._writing(within) as connection:
            if not connection.execute(update(table).where(table.c.name == name).values(state=RETIRED)).rowcount:
                raise OwnKeyMissing(which=f"named {name}")

    def _writing(self, within: Connection | None) -> AbstractContextManager[Connection]:
        return writing(self._database()) if within is None else nullcontext(within)

    def _database(self) -> Engine:
        return self._engine if isinstance(self._engine, Engine) else self._engine()

    def _cipher(self, name: str) -> Fernet:
        try:
            return Fernet(read_key(self._key_file))
        except FileNotFoundError:
            raise OwnKeyUnusable(name=name, reason=f"the home's key {self._key_file} is gone") from None


def check_key_name(name: str) -> None:
    """The name of a key stands in profiles and in file names.

    Raises:
        ConfigurationFault: it has other characters than small letters, digits, hyphens and underscores.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigurationFault(
            reason="the name of a key has small letters, digits, hyphens and underscores only (at most 64)."
        )


def _fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def _seal(name: str, fingerprint: str) -> bytes:
    return f"{name}\0{fingerprint}\0".encode()


def _own_key(row: Row[Any]) -> OwnKey:
    return OwnKey(
        row.name,
        row.fingerprint,
        bytes(row.certificate),
        row.state,
        row.not_before,
        row.not_after,
        row.created_at,
        row.created_by,
    )
