"""The door: what holds for every request and answer, whoever asks for what.

By which names we are called (else a page elsewhere could make a browser speak to us under its own name, DNS
rebinding), who really asks where a proxy stands in front, whose forms are taken, how much is taken in, and what a
browser may do with an answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.console.answers import refusal
from gateway.settings import ConsoleSettings
from gateway.settings.console import is_loopback, own_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers would then send forms with "Origin: null", which looks like somebody else's.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_YEAR = "max-age=31536000"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FORM = 2_000_000  # bytes of a form without a file
_SIGN_IN = 20_000
_PATIENCE = 30.0  # seconds for what is sent to come
_SLOWEST = 1_000  # bytes for each of which it may take a second longer
_PATH = 2_000  # characters of a path: all of ours are short, and numbers of thousands of digits are no numbers
_TOO_SLOW = "What was sent did not come to its end in time."
NO_TEXT = "That holds a NUL character, which is no text."
_PROBES = ("/healthz", "/readyz")  # what watches over us calls us by whatever name it likes


class Entrance(Struct, frozen=True):
    """Where the door stands. ``hosts`` None: any name will do (tests)."""

    hosts: frozenset[str] | None = None  # names in small letters, without a port; addresses always count
    origin: str = ""  # the public address, scheme and all
    is_public: bool = False  # reached through a proxy, or over a network
    proxies: tuple[Network, ...] = ()
    largest: int = 100_000_000  # bytes of one request

    @classmethod
    def of(cls, settings: ConsoleSettings, largest: int) -> Entrance:
        """As gateway.toml says. ``largest``: bytes of a request."""
        origin = own_url(settings)
        name = urlsplit(origin).hostname or ""
        listens = settings.listen[0]
        return cls(
            hosts=frozenset({name, listens.lower(), "localhost"}),
            origin=origin,
            is_public=not (is_loopback(name) and is_loopback(listens)),
            proxies=tuple(ipaddress.ip_network(each) for each in settings.trusted_proxies),
            largest=largest,
        )


class Door:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._who(scope, headers)
        sending = _Dressed(send, scope)
        status, sentence = self._objection(scope, headers)
        if sentence:
            await refusal(scope["path"], status, sentence)(scope, receive, sending)
            return
        bounded = _Bounded(receive, self._room(scope, headers))
        try:
            await self._app(scope, bounded, sending)
        except (_TooLargeError, _TooSlowError) as problem:
            if sending.began:
                raise
            answer = (413, _too_large(bounded.room)) if isinstance(problem, _TooLargeError) else (408, _TOO_SLOW)
            await refusal(scope["path"], *answer)(scope, receive, sending)
        except ClientDisconnect:  # nobody is there to be answered, and nothing was done
            return

    # ------------------------------------------------------------ who asks

    def _who(self, scope: Scope, headers: Headers) -> None:
        """The address and scheme of who really asks, and whether that is this machine."""
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = any(name in headers for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
        if self._trusts(peer):
            scope["client"] = (self._furthest(headers.getlist("x-forwarded-for"), peer), 0)
            proto = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
            if proto in {"http", "https"}:
                scope["scheme"] = proto
        if self._entrance.origin.startswith("https:"):
            scope["scheme"] = "https"
        local = _is_loopback(peer) and not forwarded and not self._entrance.is_public
        scope.setdefault("state", {})["is_local"] = local

    def _furthest(self, written: list[str], peer: str) -> str:
        """The nearest address that no proxy of ours has: what stands before it, anybody may have written."""
        found = peer
        for each in reversed([part.strip() for line in written for part in line.split(",")]):
            try:
                ipaddress.ip_address(each)
            except ValueError:
                break
            found = each
            if not self._trusts(each):
                break
        return found

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._entrance.proxies)

    # ------------------------------------------------------------ what is not taken

    def _objection(self, scope: Scope, headers: Headers) -> tuple[int, str]:
        if len(scope["path"]) > _PATH:
            return 414, "There is no page with so long an address."
        if not scope["path"].startswith("/api/") and _holds_nul(scope):  # the API says which parameter it is
            return 400, NO_TEXT
        if not self._is_ours(headers.get("host", "")) and scope["path"] not in _PROBES:
            return 421, "This is not the address of this console: gateway.toml, [console] public_url, says which is."
        if (
            scope["method"] not in _SAFE
            and not scope["path"].startswith("/api/")
            and _is_foreign(headers, self._entrance.origin)
        ):
            return 403, "This form comes from another place. Open the page here, and try once more."
        room = self._room(scope, headers)
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > room:
            return 413, _too_large(room)
        return 0, ""

    def _is_ours(self, written: str) -> bool:
        if self._entrance.hosts is None:
            return True
        name = _without_port(written)
        # An address cannot be bent to lead elsewhere, a name can.
        return name in self._entrance.hosts or _is_address(name)

    def _room(self, scope: Scope, headers: Headers) -> int:
        path: str = scope["path"]
        if path.startswith("/sign-in"):
            return _SIGN_IN
        with_file = headers.get("content-type", "").startswith("multipart/") or path.startswith("/api/")
        return self._entrance.largest if with_file else _FORM


class _TooLargeError(Exception):
    """More came than there is room for."""


class _TooSlowError(Exception):
    """What is sent does not come to its end."""


class _Bounded:
    """Takes no more than there is room for, whatever the request said of its length.

    It is waited for as long as slow lines need: who never comes to an end takes the place of others.
    """

    def __init__(self, receive: Receive, room: int) -> None:
        self._receive = receive
        self.room = room
        self._taken = 0
        self._began = time.monotonic()
        self._is_whole = False

    async def __call__(self) -> Message:
        message = await (self._receive() if self._is_whole else self._in_time())
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
            if self._taken > self.room:
                raise _TooLargeError
            self._is_whole = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        left = self._began + _PATIENCE + self._taken / _SLOWEST - time.monotonic()
        try:
            return await asyncio.wait_for(self._receive(), max(left, 0.0))
        except TimeoutError as problem:
            raise _TooSlowError from problem


class _Dressed:
    """Puts our headers on an answer; what the answer itself says goes first."""

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            dress(MutableHeaders(scope=message), self._scope)
        await self._send(message)


def dress(headers: Any, scope: Scope) -> None:
    """Our headers, where the answer has none of its own."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
    if scope.get("scheme") == "https":
        headers.setdefault("strict-transport-security", _YEAR)


def _is_foreign(headers: Headers, origin: str) -> bool:
    """Whether a browser says that another site sent this."""
    came_from = headers.get("origin")
    if came_from is not None:
        return came_from != origin and _host_of(came_from) != headers.get("host", "").lower()
    return headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}


def _host_of(origin: str) -> str:
    """Host and port of an Origin; "" where it has none, or is no address at all."""
    try:
        return urlsplit(origin).netloc.lower() if origin != "null" else ""
    except ValueError:
        return ""


def _holds_nul(scope: Scope) -> bool:
    """Whether something of the address is no text: PostgreSQL takes no NUL, and says so as if it were out of order."""
    return "\0" in scope["path"] or b"%00" in scope.get("query_string", b"")


def _without_port(written: str) -> str:
    name = written.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if ":" in name else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


def _too_large(room: int) -> str:
    return f"That is more than the {room:,} bytes that are taken here."
