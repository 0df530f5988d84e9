"""The tables [console] and [console.oidc]: where the pages are served, who vouches for people, what does not fit."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.settings.model import ConsoleSettings, OidcSettings
from gateway.settings.values import host, kind_of, quoted, text, web_address

ROLES = ("viewer", "auditor", "operator", "administrator")
DEFAULT_PORT = 8025
SESSION_LEAST, SESSION_MOST = timedelta(minutes=1), timedelta(days=7)
_LOOPBACK_NAMES = frozenset({"localhost"})


class ConsoleTableError(ValueError):
    """What is wrong with the table; ``key`` says where."""

    def __init__(self, key: str, reason: str, *, oidc: bool = False) -> None:
        super().__init__(reason)
        self.key = key
        self.oidc = oidc


def listen(value: object) -> tuple[str, int]:
    """``127.0.0.1:8025``, ``[::1]:8025`` or a host name with a port."""
    written = text(value)
    name, colon, port = written.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ValueError(f'an address and a port such as "127.0.0.1:{DEFAULT_PORT}" are wanted, not {quoted(value)}')
    if ":" in name and not (name.startswith("[") and name.endswith("]")):
        raise ValueError('an IPv6 address stands in brackets, such as "[::1]:8025"')
    return host(name), int(port)


def is_loopback(name: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK_NAMES


def base_url(value: object) -> str:
    """The address that people type: https, without a path; http only on this machine."""
    written = web_address(value)
    parts = urlsplit(written)
    if parts.path.strip("/") or parts.query:
        raise ValueError(
            "the console stands at the top of its host: no path is wanted, only https://host or with a port"
        )
    return f"{parts.scheme}://{parts.netloc}"


def proxies(value: object) -> tuple[str, ...]:
    """A list of addresses or networks."""
    if not isinstance(value, list):
        raise ValueError(f'a list such as ["127.0.0.1"] is wanted, not {kind_of(value)}')  # noqa: TRY004
    return tuple(_network(each) for each in value)


def _network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(text(value)))
    except ValueError:
        raise ValueError('addresses and networks such as "127.0.0.1" or "10.0.0.0/24" are wanted') from None


def roles(value: object) -> tuple[tuple[str, str], ...]:
    """``"edi operators" = "operator"``: what the provider says, and the role that it stands for."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError('a table such as { "edi operators" = "operator" } is wanted')
    for said, role in value.items():
        if role not in ROLES:
            raise ValueError(f"{quoted(said)} stands for one of {', '.join(ROLES)}, not {quoted(role)}")
    return tuple((str(said), str(role)) for said, role in value.items())


def complete(found: dict[str, Any], oidc: dict[str, Any] | None) -> ConsoleSettings:
    """The settings that the tables say, checked as a whole.

    Raises:
        ConsoleTableError: for the first thing that is missing or does not fit.
    """
    if ("certificate" in found) != ("key" in found):
        missing = "key" if "certificate" in found else "certificate"
        raise ConsoleTableError(missing, "the key is missing; a certificate and its private key belong together")
    settings = ConsoleSettings(**found, oidc=None if oidc is None else _complete_oidc(oidc))
    _check_reach(settings)
    if settings.session > settings.session_longest:
        raise ConsoleTableError("session", "it is longer than session_longest")
    if settings.oidc is not None and not settings.public_url:
        raise ConsoleTableError("public_url", "the key is missing; the sign-in provider sends people back there")
    return settings


def _check_reach(settings: ConsoleSettings) -> None:
    """Passwords never go over a network in the clear: off this machine there is TLS, ours or a proxy's."""
    own_tls = settings.certificate is not None
    if not is_loopback(settings.listen[0]) and not own_tls and not settings.public_url.startswith("https:"):
        raise ConsoleTableError(
            "listen",
            "others than this machine could reach it, and passwords would go over the network in the clear: "
            "name a certificate and key, or the https public_url of the proxy in front",
        )
    if not is_loopback(settings.listen[0]) and not settings.public_url:
        raise ConsoleTableError(
            "public_url", "the key is missing; it says by which name people come: no other is answered"
        )
    if own_tls and settings.public_url.startswith("http:"):
        raise ConsoleTableError("public_url", "there is a certificate, so the address begins with https")


def _complete_oidc(found: dict[str, Any]) -> OidcSettings:
    for key, why in (
        ("issuer", "it says who vouches for people"),
        ("client_id", "it names the gateway at the provider"),
        ("roles", "without it the provider's users would have no role here"),
    ):
        if key not in found:
            raise ConsoleTableError(key, f"the key is missing; {why}", oidc=True)
    return OidcSettings(**found)


def own_url(settings: ConsoleSettings) -> str:
    """The address that people open."""
    if settings.public_url:
        return settings.public_url
    name, port = settings.listen
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if settings.certificate else 'http'}://{shown}:{port}"


def absolute(found: dict[str, Any], home: Path) -> None:
    """Paths are taken from the home."""
    for key in ("certificate", "key", "ca_file"):
        if key in found:
            found[key] = home / Path(found[key]).expanduser()
