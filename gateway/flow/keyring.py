"""Our keys as the flow uses them: the newest active one signs, every one opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.errors import GatewayError, OwnKeyMissing
from gateway.ledger.keys import ACTIVE, Keys, OwnKey
from gateway.mail.smime.certificates import KeyPair


def _nothing(key: OwnKey) -> bytes:
    raise OwnKeyMissing(which=f"named {key.name}")


class Keyring:
    """The keys of one home at one moment. A private half is decrypted when it is first needed, and then kept.

    Args:
        keys: all of them, the newest first.
        private: gives the private half of one (PKCS #8, DER).
    """

    def __init__(self, keys: Sequence[OwnKey] = (), private: Callable[[OwnKey], bytes] = _nothing) -> None:
        self.keys = tuple(keys)
        self._private = private
        self._pairs: dict[str, KeyPair] = {}

    @classmethod
    def of(cls, keys: Keys) -> Keyring:
        """The keys that the ledger has now."""
        return cls(keys.list(), keys.private)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(each.name for each in self.keys)})"

    def signing(self, now: int, name: str = "") -> OwnKey:
        """The key that signs: the newest active one that is valid, or the one of that name.

        Args:
            now: ms since 1970 UTC.
            name: a key that an agreement names; empty for any.

        Raises:
            OwnKeyMissing: there is none, or the one named is retired or not valid now.
        """
        for each in self.keys:
            if each.state == ACTIVE and each.not_before <= now <= each.not_after and name in {"", each.name}:
                return each
        raise OwnKeyMissing(which=f"named {name} that is active and valid" if name else "that is active and valid")

    def pair(self, key: OwnKey) -> KeyPair:
        """A key with its private half.

        Raises:
            OwnKeyMissing, OwnKeyUnusable, ConfigurationFault: see ``gateway.ledger.keys``.
        """
        if key.name not in self._pairs:
            self._pairs[key.name] = KeyPair(key.certificate, self._private(key))
        return self._pairs[key.name]

    def opening(self) -> tuple[KeyPair, ...]:
        """Every key that can be read, retired ones too: what was encrypted for one of them can be opened.

        Raises:
            OwnKeyUnusable, ConfigurationFault: there are keys, and not one of them can be read.
        """
        found: list[KeyPair] = []
        problem: GatewayError | None = None
        for each in self.keys:
            try:
                found.append(self.pair(each))
            except GatewayError as fault:
                problem = fault
        if problem is not None and not found:
            raise problem
        return tuple(found)
