"""Passwords: looked up in the environment, in the credentials directory, then in the encrypted table.

The table holds Fernet tokens (AES-128-CBC and HMAC-SHA256 with a random IV, package ``cryptography``). The key
lies in a file outside the database, readable by its owner only: neither a copy of the database nor a copy of the
key alone gives a password away. Each token also seals the name it was stored under, so that somebody who can
write to the database cannot pass one account's password off as another's.

No value ever appears in a repr, a message, or a fault.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects import sqlite

from gateway.errors import ConfigurationFault, GatewayError, SecretMissing, SecretNotOutside, SecretUnreadable
from gateway.ledger import on_postgres
from gateway.ledger.database import reading, writing
from gateway.ledger.tables import secret as table

ENVIRONMENT, CREDENTIALS, LEDGER = "environment", "credentials directory", "ledger"
PREFIX = "GATEWAY_SECRET_"
LARGEST = 65_536  # bytes of one value; an OAuth token or a key in PEM has room

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class SecretPlace(NamedTuple):
    """Where a secret is kept, never what it is. ``updated_at`` is known for the ledger only (ms since 1970 UTC)."""

    name: str
    where: str
    updated_at: int | None


def _insert(connection: Connection) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else on_postgres).insert(table)


class Secrets:
    """Passwords by name.

    Args:
        engine: the ledger's database, or a function that gives it when a secret is first looked for there.
        key_file: the key of the encrypted table, see ``make_key``.
        environment: ``GATEWAY_SECRET_SMTP`` is the secret ``smtp``, ``GATEWAY_SECRET_MAILBOX_ORDERS``
            ``mailbox.orders``.
        credentials_directory: one file a secret, named like it (systemd's ``LoadCredential=``), or None.
    """

    def __init__(
        self,
        engine: Engine | Callable[[], Engine],
        key_file: Path,
        environment: Mapping[str, str],
        credentials_directory: Path | None = None,
    ) -> None:
        self._engine = engine
        self._key_file = key_file
        self._environment = environment
        self._credentials = credentials_directory

    def __repr__(self) -> str:
        return f"Secrets(key_file={str(self._key_file)!r})"

    def get(self, name: str) -> str:
        """The secret of that name.

        Raises:
            SecretMissing: it is nowhere.
            SecretUnreadable: it was encrypted with another key, or the key is gone.
            ConfigurationFault: the key or credential file cannot be read, or others can read the key.
            DatabaseUnavailable: with the reason.
        """
        found = self._outside(name)
        if found is not None:
            return found
        kept = self.kept(name)
        if kept is None:
            raise SecretMissing(name=name)
        return kept

    def kept(self, name: str) -> str | None:
        """What the encrypted table holds under that name, whatever the environment says: for what we write ourselves.

        Raises:
            SecretUnreadable, ConfigurationFault, DatabaseUnavailable: as ``get``.
        """
        check_name(name)
        with reading(self._database()) as connection:
            token = connection.execute(select(table.c.token).where(table.c.name == name)).scalar()
        return None if token is None else self._decrypted(name, token)

    def outside(self, name: str) -> str:
        """The secret from the environment or the credentials directory only: the database's own password.

        Raises:
            SecretNotOutside: it is in neither.
            ConfigurationFault: the credential file cannot be read.
        """
        found = self._outside(name)
        if found is None:
            raise SecretNotOutside(name=name, variable=variable(name))
        return found

    def where(self, name: str) -> str | None:
        """Where ``get`` would find the secret: environment, credentials directory or ledger; None for nowhere."""
        check_name(name)
        if outside := self._where_outside(name):
            return outside
        with reading(self._database()) as connection:
            found = connection.execute(select(table.c.name).where(table.c.name == name)).scalar()
        return LEDGER if found is not None else None

    def advice(self, name: str) -> str:
        """What to do where a host refuses this password: it is kept in one of three places."""
        try:
            where = self.where(name)
        except GatewayError:
            where = None
        first = "it goes before what `gateway secret set` stores."
        if where == ENVIRONMENT:
            return f"Check the user name, and the password in the environment variable {variable(name)}: {first}"
        if where == CREDENTIALS:
            return f"Check the user name, and the password in the file {name} of the credentials directory: {first}"
        return f"Check the user name and set the password again with `gateway secret set {name}`."

    def set(self, name: str, value: str, by: str, at: int, within: Connection | None = None) -> None:
        """Encrypts and stores a secret in place of an earlier one of that name. ``at``: ms since 1970 UTC.

        ``within`` is the transaction to do it in; by default one of its own.

        Raises:
            ConfigurationFault: the name or value cannot be used, or the key file cannot.
            DatabaseUnavailable: with the reason.
        """
        row = self._row(name, value, by, at)
        with self._writing(within) as connection:
            wanted = _insert(connection).values(row)
            connection.execute(wanted.on_conflict_do_update(index_elements=[table.c.name], set_=row))

    def begin(self, name: str, value: str, by: str, at: int) -> bool:
        """Encrypts and stores a secret where there is none of that name; whether it did. Of several, one is first.

        Raises:
            ConfigurationFault, DatabaseUnavailable: as ``set``.
        """
        row = self._row(name, value, by, at)
        with self._writing(None) as connection:
            wanted = _insert(connection).values(row).on_conflict_do_nothing()
            return connection.execute(wanted).rowcount == 1

    def _row(self, name: str, value: str, by: str, at: int) -> dict[str, Any]:
        check_name(name)
        if not value or len(_utf8(value, f"the secret {name}")) > LARGEST or "\0" in value:
            raise ConfigurationFault(reason=f"the secret {name} must have 1 to {LARGEST} bytes and no NUL.")
        token = self._cipher(name).encrypt(_sealed(name, value))
        return {"name": name, "token": token, "updated_at": at, "updated_by": by}

    def remove(self, name: str, within: Connection | None = None) -> None:
        """Removes a stored secret; the environment and the credentials directory are not ours to change.

        Raises:
            SecretMissing: none of that name is stored.
            DatabaseUnavailable: with the reason.
        """
        with self._writing(within) as connection:
            gone = connection.execute(delete(table).where(table.c.name == name)).rowcount
        if not gone:
            raise SecretMissing(name=name)

    def list(self) -> tuple[SecretPlace, ...]:
        """All secrets that are stored or lie in the credentials directory, by name, each where ``get`` finds it.

        A secret that is in the environment only cannot be told by name; ask ``where``.
        """
        with reading(self._database()) as connection:
            rows = connection.execute(select(table.c.name, table.c.updated_at)).all()
        stored: dict[str, int | None] = {row.name: row.updated_at for row in rows}
        names = sorted({*stored, *self._credential_names()})
        return tuple(self._place(name, stored) for name in names)

    # -------------------------------------------------------------- inside

    def _place(self, name: str, stored: Mapping[str, int | None]) -> SecretPlace:
        if outside := self._where_outside(name):
            return SecretPlace(name, outside, None)
        return SecretPlace(name, LEDGER, stored[name])

    def _where_outside(self, name: str) -> str:
        """What is empty there is not there: so is a variable that somebody meant to take back."""
        if self._environment.get(variable(name)):
            return ENVIRONMENT
        return CREDENTIALS if self._credentials is not None and _holds(self._credentials / name) else ""

    def _credential_names(self) -> tuple[str, ...]:
        if self._credentials is None or not self._credentials.is_dir():
            return ()
        return tuple(each.name for each in self._credentials.iterdir() if _NAME.fullmatch(each.name) and _holds(each))

    def _writing(self, within: Connection | None) -> AbstractContextManager[Connection]:
        return writing(self._database()) if within is None else nullcontext(within)

    def _database(self) -> Engine:
        return self._engine if isinstance(self._engine, Engine) else self._engine()

    def _outside(self, name: str) -> str | None:
        check_name(name)
        if found := self._environment.get(variable(name)):
            _utf8(found, f"the environment variable {variable(name)}")
            return found
        if self._credentials is None:
            return None
        try:
            return (self._credentials / name).read_bytes().decode().removesuffix("\n").removesuffix("\r") or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
            raise ConfigurationFault(reason=f"the credential {self._credentials / name}: {why}.") from None

    def _decrypted(self, name: str, token: bytes) -> str:
        try:
            plain = self._cipher(name).decrypt(token)
        except InvalidToken:
            raise SecretUnreadable(name=name, path=self._key_file) from None
        try:
            sealed_name, _, value = plain.decode().partition("\0")
        except UnicodeDecodeError:  # stored before this was looked at
            raise ConfigurationFault(reason=f"the secret {name} is not UTF-8: set it again.") from None
        if sealed_name != name:
            raise SecretUnreadable(name=name, path=self._key_file) from None
        return value

    def _cipher(self, name: str) -> Fernet:
        try:
            return Fernet(read_key(self._key_file))
        except FileNotFoundError:
            raise SecretUnreadable(name=name, path=self._key_file) from None


def variable(name: str) -> str:
    """The environment variable of a secret: ``mailbox.orders`` → ``GATEWAY_SECRET_MAILBOX_ORDERS``."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def check_name(name: str) -> None:
    """A secret's name is also a file's name in the credentials directory: no slashes, no surprises.

    Raises:
        ConfigurationFault: it has other characters than small letters, digits, dots, hyphens and underscores.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigurationFault(
            reason="the name of a secret has small letters, digits, dots, hyphens and underscores only (at most 64)."
        )


def make_key(path: Path) -> None:
    """Writes a new random key, durable and readable by its owner only. An existing file is never touched.

    Raises:
        ConfigurationFault: there is a file already, or none can be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)
    except FileExistsError:
        raise ConfigurationFault(reason=f"there is a key at {path} already; it was not touched.") from None
    except OSError as problem:
        raise ConfigurationFault(reason=f"the key {path} cannot be written: {problem.strerror}.") from problem


def read_key(path: Path) -> bytes:
    """The key in the file ``path``.

    Raises:
        FileNotFoundError: there is none.
        ConfigurationFault: others can read it, we cannot, or it is no key.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigurationFault(
                    reason=f"others can read the key {path} (mode {mode:04o}): run `chmod 600 {path}`."
                )
            key = file.read(1_000).strip()
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise ConfigurationFault(reason=f"the key {path} cannot be read: {problem.strerror}.") from None
    try:
        Fernet(key)
    except ValueError:
        raise ConfigurationFault(reason=f"{path} holds no key of this gateway: restore it from a backup.") from None
    return key


def derived_key(path: Path, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from the key in the file ``path`` (HMAC-SHA256): it tells nothing of it.

    Raises:
        FileNotFoundError, ConfigurationFault: as ``read_key``.
    """
    return hmac.digest(read_key(path), f"edi gateway: {purpose}".encode(), "sha256")


def _sealed(name: str, value: str) -> bytes:
    return f"{name}\0{value}".encode()


def _holds(file: Path) -> bool:
    """Whether a credential's file is there and not empty; of one that cannot be read ``get`` says why."""
    try:
        return file.is_file() and file.read_bytes().strip(b"\r\n") != b""
    except OSError:
        return True


def _utf8(value: str, what: str) -> bytes:
    """The value's bytes; Python reads what is not UTF-8 as surrogates, which no host could ever be sent."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ConfigurationFault(reason=f"{what} is not UTF-8.") from None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
