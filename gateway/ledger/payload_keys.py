"""The keys under which raw bytes lie encrypted, so that forgetting a key erases what it opens.

Each content has a key of its own (AES-256-GCM), which is kept encrypted with a payload key: the partner's of the month
in which it was recorded. A mail comes before its partner is known; until then the key of its bytes lies under a key of
the day, *in transit*, and is moved to the partner's when the mail is processed. So bytes are encrypted once, when they
come, and never lie in clear. What belongs to nobody who wants this lies under the home's own key.

Payload keys themselves are encrypted with the home's key (see ``secrets``). A key that was forgotten leaves its row,
which says when, by whom and why: what it opened is erased in order, and not damaged.

The vault of an engine is found by everybody who reads or writes through it (``vault_of``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import UTC
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, insert, select

from gateway.errors import ContentErased, PayloadKeyUnreadable
from gateway.ledger.database import reading
from gateway.ledger.moments import at_zone, spoken
from gateway.ledger.secrets import read_key
from gateway.ledger.tables import content_key, payload_key

PARTNER, HOME, TRANSIT = "partner", "home", "transit"
CIPHER = "aes-256-gcm"
_OPTION = "payload_vault"  # of the engine, and so of its connections
_PERIODS = {PARTNER: "%Y-%m", TRANSIT: "%Y-%m-%d"}
_LENGTH = 32  # bytes of a key
_NONCE = 12


def nobody() -> Collection[str]:
    """Where no partner wants its bytes encrypted."""
    return ()


class PayloadKey(Struct, frozen=True):
    """A key that is at hand."""

    id: int
    secret: bytes

    def __repr__(self) -> str:
        return f"PayloadKey({self.id})"

    def wrap(self, name: str, secret: bytes) -> bytes:
        """The key of a content, encrypted; bound to the content and to this key."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.secret).encrypt(nonce, secret, self._bound(name))

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """The key of a content.

        Raises:
            PayloadKeyUnreadable: it was not encrypted with this key.
        """
        try:
            return AESGCM(self.secret).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], self._bound(name))
        except InvalidTag:
            raise PayloadKeyUnreadable(key=self.id, reason=f"the key of {name} was not encrypted with it") from None

    def _bound(self, name: str) -> bytes:
        return f"{name}\0{self.id}".encode()


class Vault:
    """Opens the payload keys of one home.

    Args:
        key_file: the home's key.
        encrypting: gives the keys of the partners whose bytes are to be encrypted.
        source: where the table of payload keys is, if not in the database at hand: an archive has none of its own.
    """

    def __init__(
        self, key_file: Path, encrypting: Callable[[], Collection[str]] = nobody, source: Engine | None = None
    ) -> None:
        self._key_file = key_file
        self._source = source
        self._opened: dict[tuple[int, str], PayloadKey] = {}
        self.encrypting = encrypting

    def __repr__(self) -> str:
        return f"Vault(key_file={str(self._key_file)!r})"

    def attach(self, engine: Engine) -> None:
        """From now on all connections of the engine find this vault."""
        engine.update_execution_options(**{_OPTION: self})

    def elsewhere(self, source: Engine) -> Vault:
        """The same for another database, whose payload keys are in ``source``."""
        return Vault(self._key_file, source=source)

    def made(self) -> tuple[bytes, str]:
        """A new key, and as it is stored.

        Raises:
            PayloadKeyUnreadable: the home has no key.
        """
        secret = os.urandom(_LENGTH)
        return secret, self._cipher("that is being made").encrypt(secret).decode("ascii")

    def opened(self, row: Row[Any]) -> PayloadKey:
        """A key from its row, whose token is there.

        Raises:
            PayloadKeyUnreadable: it cannot be decrypted with the home's key.
        """
        known = (row.id, row.token)
        if known not in self._opened:
            try:
                secret = self._cipher(row.id).decrypt(row.token.encode())
            except InvalidToken:
                reason = f"it was not encrypted with the key in {self._key_file}"
                raise PayloadKeyUnreadable(key=row.id, reason=reason) from None
            self._opened[known] = PayloadKey(row.id, secret)
        return self._opened[known]

    def opens_any(self, connection: Connection) -> bool:
        """Whether the home's key opens any of the payload keys, so that it is the one of this ledger."""
        wanted = select(payload_key.c.id).where(payload_key.c.token.is_not(None))
        for row in self.rows(connection, connection.execute(wanted).scalars().all()):
            try:
                self.opened(row)
            except (PayloadKeyUnreadable, AttributeError):  # of another home, or no text
                continue
            return True
        return False

    def secret_of(self, connection: Connection, name: str) -> bytes:
        """The key of a content, by any of the payload keys that it lies under.

        Raises:
            ContentErased: they were all forgotten.
            PayloadKeyUnreadable: the home's key is gone, or the content has no key at all.
        """
        wrapped = {
            row.key: bytes(row.wrapped)
            for row in connection.execute(
                select(content_key.c.key, content_key.c.wrapped).where(content_key.c.sha256 == name)
            )
        }
        rows = self.rows(connection, wrapped)
        for row in rows:
            if row.token is not None:
                return self.opened(row).unwrap(name, wrapped[row.id])
        if not rows:
            raise PayloadKeyUnreadable(key="", reason=f"{name} is encrypted and no key is known of it")
        raise erased(name, rows[0])

    def rows(self, connection: Connection, keys: Collection[int]) -> list[Row[Any]]:
        """The rows of payload keys, in the order of their numbers."""
        wanted = select(payload_key).where(payload_key.c.id.in_(list(keys))).order_by(payload_key.c.id)
        if self._source is None:
            return list(connection.execute(wanted).all())
        with reading(self._source) as elsewhere:
            return list(elsewhere.execute(wanted).all())

    def _cipher(self, key: object) -> Fernet:
        try:
            return Fernet(read_key(self._key_file))
        except FileNotFoundError:
            raise PayloadKeyUnreadable(key=key, reason=f"the home's key {self._key_file} is gone") from None


def archive_vault(home: Engine) -> Vault | None:
    """What opens archives of a ledger: their payload keys stayed in it."""
    with reading(home) as connection:
        vault = vault_of(connection)
    return None if vault is None else vault.elsewhere(home)


def vault_of(connection: Connection) -> Vault | None:
    """The vault of the connection's engine."""
    found: Vault | None = connection.get_execution_options().get(_OPTION)
    return found


def secret_of(connection: Connection, name: str) -> bytes:
    """The key of an encrypted content.

    Raises:
        ContentErased: its keys were forgotten.
        PayloadKeyUnreadable: it cannot be had otherwise.
    """
    vault = vault_of(connection)
    if vault is None:
        raise PayloadKeyUnreadable(key="", reason=f"{name} is encrypted, and this command knows no home's key")
    return vault.secret_of(connection, name)


def erased(name: str, row: Row[Any]) -> ContentErased:
    """What became of a content whose key was forgotten."""
    whose = row.partner or "the home"
    at = spoken(row.forgotten_at).strip() if row.forgotten_at else "an unknown day"
    return ContentErased(key=name, at=at, partner=whose, period=row.period or "all time", reason=row.reason)


def live(connection: Connection, scope: str, partner: str = "", period: str | None = None) -> Row[Any] | None:
    """The newest key of a scope that was not forgotten, of any period or of one."""
    c = payload_key.c
    wanted = select(payload_key).where(c.scope == scope, c.partner == partner, c.token.is_not(None))
    if period is not None:
        wanted = wanted.where(c.period == period)
    return connection.execute(wanted.order_by(c.id.desc()).limit(1)).one_or_none()


def period_of(scope: str, at: int) -> str:
    """The period whose key is used at a moment (ms since 1970 UTC)."""
    return f"{at_zone(at, UTC):{_PERIODS[scope]}}" if scope in _PERIODS else ""


def make(connection: Connection, vault: Vault, scope: str, partner: str, at: int) -> PayloadKey:
    """Makes a key for the period of a moment and writes its row, which the caller has to ``touch``.

    Raises:
        PayloadKeyUnreadable: the home has no key to encrypt it with.
    """
    secret, token = vault.made()
    row = {"scope": scope, "partner": partner, "period": period_of(scope, at), "token": token, "created_at": at}
    key = connection.execute(insert(payload_key).values(row)).inserted_primary_key
    assert key is not None
    return PayloadKey(int(key[0]), secret)
