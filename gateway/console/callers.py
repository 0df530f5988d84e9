"""Programs that call: which token they show, what it may do, and how often it asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.requests import Request

from gateway.console.site import Site
from gateway.errors import ApiTokenRefused, DatabaseUnavailable, ScopeMissing, TooManyRequests
from gateway.ledger import api_tokens
from gateway.ledger.api_tokens import ApiToken
from gateway.ledger.database import reading, writing
from gateway.ledger.moments import duration
from gateway.settings import ConsoleSettings

_SCHEME = "bearer"
_LONGEST = 200  # characters of a token


class Callers:
    """Knows the tokens in the database of the site's home."""

    def __init__(self, site: Site, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._site = site
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._buckets: dict[int, _Bucket] = {}
        self._later = ThreadPoolExecutor(1, "token-used")

    def close(self) -> None:
        """Writes what is still to be written."""
        self._later.shutdown()

    def caller(self, request: Request, scope: str) -> ApiToken:
        """The token of a request that asks for what needs ``scope``.

        Raises:
            ApiTokenRefused: it has none, or one that is not good.
            ScopeMissing: it may do other things only.
            TooManyRequests: it asks more often than gateway.toml allows.
        """
        shown = _shown(request)
        now = self._site.clock()
        with reading(self._site.app.home_engine) as connection:
            found = api_tokens.find(connection, shown)
        if found is None:
            raise ApiTokenRefused(reason="nobody made the token that it shows")
        if trouble := found.trouble(now):
            raise ApiTokenRefused(reason=trouble)
        self._count(found)
        if found.used_at is None or now - found.used_at >= api_tokens.USED_EVERY:
            self._later.submit(self._touch, found.id, now)
        if scope not in found.scopes:
            raise ScopeMissing(token=found.name, scope=scope)
        return found

    def may_still(self, request: Request, scope: str) -> bool:
        """Whether the token of a request that was let in is still good for ``scope``."""
        with reading(self._site.app.home_engine) as connection:
            found = api_tokens.find(connection, _shown(request))
        return found is not None and not found.trouble(self._site.clock()) and scope in found.scopes

    def _count(self, token: ApiToken) -> None:
        """Takes one of the requests that a token may make; a second's worth may be saved up to ten."""
        rate = (self._site.app.settings.console or ConsoleSettings()).api_rate / 60
        with self._guard:
            bucket = self._buckets.setdefault(token.id, _Bucket(self._monotonic()))
            wait = bucket.take(self._monotonic(), rate, max(10.0, 10 * rate))
        if wait:
            raise TooManyRequests(token=token.name, wait=duration(int(wait * 1000) + 999), seconds=int(wait) + 1)

    def _touch(self, number: int, now: int) -> None:
        with suppress(DatabaseUnavailable), writing(self._site.app.home_engine) as connection:
            api_tokens.touch(connection, number, now)


@dataclass
class _Bucket:
    """Requests that may be made at once; they come back with time."""

    at: float
    spent: float = field(default=0.0)

    def take(self, now: float, rate: float, most: float) -> float:
        """Takes one, or says how many seconds to wait for it."""
        self.spent = max(0.0, self.spent - (now - self.at) * rate)
        self.at = now
        if self.spent + 1 > most:
            return (self.spent + 1 - most) / rate
        self.spent += 1
        return 0.0


def _shown(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if not token:
        raise ApiTokenRefused(reason="it shows none")
    if scheme.lower() != _SCHEME or len(token) > _LONGEST:
        raise ApiTokenRefused(reason="what it shows is no bearer token")
    return token
