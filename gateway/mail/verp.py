"""Bounce tokens: a name for each mail in its envelope that only we can make, so that what comes back finds home.

A token is the number of an exchange and an HMAC of it (RFC 2104, SHA-256, 80 bits). It stands in the envelope sender
(``edi+b12-…@example.com``: a variable envelope return path) and in the envelope id of RFC 3461. Whoever forges a
bounce has to have seen the mail. Letters are small and without 0, 1, 8 and 9 in the HMAC: hosts change the case of a
local part, and people read it out on the telephone.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable

from msgspec import Struct

_LOCAL = 64  # characters of a local part (RFC 5321 section 4.5.3.1.1)
_TOKEN = re.compile(r"([1-9][0-9]{0,17})-([a-z2-7]{16})")
_TAGGED = re.compile(r"[^\s@]{1,64}?\+b([^\s@+]{18,40})@[^\s@]{1,255}", re.IGNORECASE)


class Tokens(Struct, frozen=True):
    """Makes and checks tokens. ``key`` gives the secret bytes when they are first needed."""

    key: Callable[[], bytes]

    def token(self, exchange: int) -> str:
        """The token of an exchange: the same at every call."""
        return f"{exchange}-{self._mac(exchange)}"

    def exchange(self, text: str) -> int | None:
        """The exchange whose token ``text`` is, in whatever case; None where we did not make it."""
        found = _TOKEN.fullmatch(text.strip().lower())
        if found is None or not hmac.compare_digest(found[2], self._mac(int(found[1]))):
            return None
        return int(found[1])

    def exchange_of(self, addresses: Iterable[str]) -> int | None:
        """The exchange whose token one of the addresses carries; None where none does."""
        for address in addresses:
            tagged = _TAGGED.fullmatch(address)
            found = self.exchange(tagged[1]) if tagged else None
            if found is not None:
                return found
        return None

    def _mac(self, exchange: int) -> str:
        digest = hmac.digest(self.key(), b"bounce token " + str(exchange).encode(), "sha256")
        return base64.b32encode(digest[:10]).decode().lower()


def with_token(address: str, token: str) -> str:
    """The address with the token in its local part; as it was where that would be too long for RFC 5321."""
    local, _, domain = address.rpartition("@")
    tagged = f"{local}+b{token}"
    return f"{tagged}@{domain}" if len(tagged) <= _LOCAL else address
