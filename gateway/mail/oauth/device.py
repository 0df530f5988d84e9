"""The device flow (RFC 8628): a person allows the gateway to use an account, in a browser on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from gateway.errors import TokenRefused, TokenUnavailable
from gateway.mail.oauth.client import DEVICE_GRANT, Permission, TokenClient
from gateway.mail.oauth.http import Said

_SLOWER = 5.0  # seconds more between questions, when the endpoint says slow_down (section 3.5)
_LONGEST = 1_800.0  # seconds that we wait for a person


class DeviceCode(Struct, frozen=True):
    """What the person is told: open ``address`` and type ``user_code``. ``expires_in`` and ``interval``: seconds."""

    address: str
    user_code: str
    expires_in: float
    interval: float
    device_code: str
    complete_address: str = ""  # with the code in it, where the provider has one

    def __repr__(self) -> str:
        return f"DeviceCode(address={self.address!r})"


class DeviceFlow:
    """One permission being asked for. ``pause`` waits so many seconds.

    Raises (all): ``TokenRefused`` when the person or provider says no or nobody answers, ``TokenUnavailable``.
    """

    def __init__(
        self,
        client: TokenClient,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._pause = pause

    def begin(self) -> DeviceCode:
        """Asks for a code."""
        client = self._client.client
        if not client.device_url:
            raise TokenRefused(host=client.host, name=client.name, reason="no device_url is set")
        # Section 3.1 wants the client's id; a secret is proved only when the token is asked for.
        fields = {"client_id": client.client_id, "scope": client.scope}
        told, _ = self._client.tell(client.device_url, fields, prove=False)
        code = _code(told)
        if code is None:
            self._client.permission(told)  # says what was wrong, or finds no token
            raise TokenUnavailable(host=client.host, name=client.name, reason="its answer holds no device code")
        return code

    def wait(self, code: DeviceCode) -> Permission:
        """Asks again and again until the person has decided."""
        client = self._client.client
        interval, end = code.interval, self._clock() + min(code.expires_in, _LONGEST)
        while self._clock() < end:
            self._pause(interval)
            try:
                fields = {"grant_type": DEVICE_GRANT, "device_code": code.device_code}
                told, _ = self._client.tell(client.token_url, fields)
            except TokenUnavailable:
                interval *= 2  # section 3.5: back off when the connection fails
                continue
            error = told.fields.get("error")
            if error == "slow_down":
                interval += _SLOWER
            elif error != "authorization_pending":
                return self._given(told)
        raise TokenRefused(host=client.host, name=client.name, reason="nobody typed the code in time")

    def _given(self, told: Said) -> Permission:
        client = self._client.client
        found = self._client.permission(told)
        if not found.refresh:
            reason = "it gave no refresh token; the scope must allow offline access"
            raise TokenRefused(host=client.host, name=client.name, reason=reason)
        return found


def _code(told: Said) -> DeviceCode | None:
    """The answer's fields (section 3.2); Google says verification_url."""
    fields = told.fields
    address = fields.get("verification_uri", fields.get("verification_url"))
    device, user = fields.get("device_code"), fields.get("user_code")
    if told.status != 200 or not all(isinstance(each, str) and each for each in (address, device, user)):
        return None
    return DeviceCode(
        address=str(address),
        user_code=str(user),
        expires_in=_seconds(fields.get("expires_in"), 900.0),
        interval=_seconds(fields.get("interval"), 5.0),
        device_code=str(device),
        complete_address=str(fields.get("verification_uri_complete", "")),
    )


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 100_000 else default
