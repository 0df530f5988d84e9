"""Access tokens that are there when they are needed: kept, renewed before they end, asked for once at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gateway.errors import GatewayError, NotAuthorized, TokenRefused, TokenUnavailable
from gateway.mail.oauth.client import Permission, TokenClient

SKEW = 300.0  # seconds before its end at which a token is no longer used
_QUIET = 60.0  # seconds during which a failed request is not repeated


class Vault(Protocol):
    """Where the tokens of one [oauth.NAME] are kept, encrypted."""

    def load(self) -> str | None:
        """What ``save`` was given last; None where nothing was."""
        ...

    def save(self, text: str) -> None:
        """Keeps ``text``, durably, before it returns."""
        ...

    def alone(self) -> AbstractContextManager[object]:
        """Keeps other processes from renewing meanwhile: a refresh token may be good once only."""
        ...


class TokenSource:
    """Gives access tokens of one [oauth.NAME]; several threads may ask, and one request is made for all.

    ``__call__`` and ``renew`` are what ``Credentials.token`` and ``Credentials.renew`` want. A refresh token that
    the provider replaces is kept before the access token is used: the old one may be dead already.
    """

    def __init__(self, client: TokenClient, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._vault = vault
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Permission | None = None
        self._failed: tuple[float, GatewayError] | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self.name!r})"

    @property
    def name(self) -> str:
        """The table's name in gateway.toml."""
        return self._client.client.name

    def __call__(self) -> str:
        """A token that is good for five minutes at least.

        Raises:
            NotAuthorized: nobody has allowed us to use the account.
            TokenRefused, TokenUnavailable: the provider's word, or its silence while no usable token is left.
        """
        with self._lock:
            held = self._held = self._held or self._kept()
            if held is not None and held.access and held.expires_at - self._clock() > SKEW:
                return held.access
            try:
                return self._renewed("").access
            except TokenUnavailable:
                if held is not None and held.access and held.expires_at > self._clock():
                    return held.access  # good for a little while still
                raise

    def renew(self, refused: str) -> str:
        """Another token in place of one that a mail host has refused."""
        with self._lock:
            if self._held is not None and self._held.access not in {"", refused}:
                return self._held.access  # somebody was faster
            return self._renewed(refused).access

    def keep(self, given: Permission) -> None:
        """Takes what a person's permission gave."""
        with self._lock:
            self._failed = None
            self._keep(given)

    def trouble(self) -> tuple[float, str] | None:
        """When (seconds since 1970 UTC) and why tokens were refused last, where none has been given since."""
        found = self._read()
        if "refused" not in found:
            return None
        try:
            return float(found["refused_at"]), str(found["refused"])
        except (KeyError, TypeError, ValueError):
            return None

    # ------------------------------------------------------------ inside

    def _renewed(self, refused: str) -> Permission:
        if self._failed is not None and self._clock() - self._failed[0] < _QUIET:
            raise self._failed[1]
        try:
            with self._vault.alone():
                given = self._asked_for(refused)
        except (TokenRefused, TokenUnavailable, NotAuthorized) as fault:
            self._failed = (self._clock(), fault)
            if fault.permanent:
                self._note(fault)
            raise
        self._failed = None
        self._held = given
        return given

    def _asked_for(self, refused: str) -> Permission:
        """A new token, kept; unless another process has renewed it meanwhile."""
        kept = self._kept()
        if kept is not None and kept.access not in {"", refused} and kept.expires_at - self._clock() > SKEW:
            return kept
        if self._client.client.grant != "refresh-token":
            given = self._client.by_itself()
        elif kept is None or not kept.refresh:
            raise NotAuthorized(name=self.name)
        else:
            given = self._client.refreshed(kept.refresh)
        self._keep(given)
        return given

    def _keep(self, given: Permission) -> None:
        kept = {"access": given.access, "expires_at": given.expires_at, "refresh": given.refresh}
        self._vault.save(json.dumps(kept | self._asker))
        self._held = given

    def _note(self, fault: GatewayError) -> None:
        """Keeps the refusal beside what is kept, until a token is given again."""
        self._vault.save(json.dumps({**self._read(), "refused": str(fault), "refused_at": self._clock()}))

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._vault.load() or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _kept(self) -> Permission | None:
        found = self._read()
        try:
            kept = Permission(str(found["access"]), float(found["expires_at"]), str(found["refresh"]))
            asker = {key: found[key] for key in self._asker}
        except (ValueError, TypeError, KeyError):
            return None
        if asker == self._asker:
            return kept
        # A person's permission outlives a change of scope; what another application was given is not ours.
        return Permission("", 0.0, kept.refresh) if asker["client"] == self._asker["client"] else None

    @property
    def _asker(self) -> dict[str, str]:
        """For whom and what a token was given; where the settings have changed it is not used."""
        client = self._client.client
        return {"client": client.client_id, "grant": client.grant, "scope": client.scope, "subject": client.subject}
