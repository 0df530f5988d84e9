"""Beside the composition root: from an [oauth.NAME] table to a source of access tokens."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from gateway.errors import ConfigurationFault
from gateway.ledger.secrets import Secrets
from gateway.mail.oauth import Client, TokenClient, TokenSource
from gateway.mail.oauth.http import poster
from gateway.settings import OAuthSettings

LOCK_FILE = "tokens.lock"


def token_source(
    settings: OAuthSettings, secrets: Secrets, home: Path, actor: str, clock: Callable[[], int]
) -> TokenSource:
    """The source of one table. Its tokens are kept in ``secrets``; ``clock`` gives milliseconds since 1970 UTC."""

    def seconds() -> float:
        return clock() / 1000

    vault = SecretVault(secrets, f"token.{settings.name}", home / LOCK_FILE, actor, clock)
    return TokenSource(token_client(settings, secrets, seconds), vault, seconds)


def token_client(settings: OAuthSettings, secrets: Secrets, clock: Callable[[], float]) -> TokenClient:
    """What speaks to the provider. ``clock`` gives seconds since 1970 UTC."""
    client = Client(
        name=settings.name,
        grant=settings.grant,
        client_id=settings.client_id,
        authentication=settings.client_authentication,
        token_url=settings.token_url,
        scope=settings.scope,
        device_url=settings.device_url,
        authorize_url=settings.authorize_url,
        subject=settings.subject,
        secret=partial(secrets.get, settings.secret) if settings.secret else None,
    )
    return TokenClient(
        client, poster(settings.ca_file, settings.timeout.total_seconds(), f"oauth.{settings.name}"), clock
    )


class SecretVault(Struct, frozen=True):
    """Keeps one table's tokens among the secrets of the ledger, encrypted, under ``name``."""

    secrets: Secrets
    name: str
    lock_file: Path
    actor: str
    clock: Callable[[], int]

    def load(self) -> str | None:
        """What was kept last."""
        return self.secrets.kept(self.name)

    def save(self, text: str) -> None:
        """Keeps ``text`` in place of it."""
        self.secrets.set(self.name, text, self.actor, self.clock())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process of this home at a time; the lock ends with the process that holds it.

        Raises:
            ConfigurationFault: the lock cannot be made.
        """
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise ConfigurationFault(reason=f"the lock {self.lock_file} cannot be made: {problem.strerror}.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
