"""One POST or GET to a provider: verified TLS, no redirect, a bounded answer."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.mail.wire import readable, tls_context

_LARGEST = 200_000  # bytes of an answer; tokens have a few thousand
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class EndpointError(Exception):
    """The endpoint cannot be reached, or answers in a way that is no answer. Says so without any secret."""


class Said(Struct, frozen=True):
    """What the endpoint said: HTTP status and the JSON object of its answer."""

    status: int
    fields: Mapping[str, Any]


Post = Callable[[str, Mapping[str, str], str], Said]
"""Sends headers and a form to an address. Raises ``EndpointError``, ``AuthoritiesUnusable``."""
Get = Callable[[str], Said]
"""Asks an address for JSON. Raises ``EndpointError``, ``AuthoritiesUnusable``."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the client's secret to wherever it points."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        """Follows none."""
        return


def poster(ca_file: str, timeout: float, table: str = "") -> Post:
    """A ``Post`` that trusts ``ca_file`` (or the system's authorities) and waits ``timeout`` seconds at most.

    ``table`` of the settings says so. A proxy is taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``), as other
    programs do; TLS goes through it.
    """

    def post(url: str, headers: Mapping[str, str], form: str) -> Said:
        return _asked(urllib.request.Request(url, form.encode(), dict(headers), method="POST"), ca_file, timeout, table)  # noqa: S310 - checked

    return post


def getter(ca_file: str, timeout: float, table: str = "") -> Get:
    """A ``Get``, as careful as ``poster``."""

    def get(url: str) -> Said:
        return _asked(urllib.request.Request(url, headers={"Accept": "application/json"}), ca_file, timeout, table)  # noqa: S310 - checked

    return get


def _asked(request: urllib.request.Request, ca_file: str, timeout: float, table: str) -> Said:
    _check(request.full_url)
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if request.type == "https":
        handlers.append(urllib.request.HTTPSHandler(context=tls_context(ca_file, table=table)))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return _said(answer.status, answer.read(_LARGEST + 1))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _said(refusal.code, _body(refusal))
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise EndpointError(_reason(problem)) from None


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise EndpointError("its address is not https")


def _body(refusal: urllib.error.HTTPError) -> bytes:
    try:
        return refusal.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException):
        return b""


def _said(status: int, body: bytes) -> Said:
    if 300 <= status < 400:
        raise EndpointError(f"HTTP {status}: it points elsewhere, and secrets are not carried there")
    if len(body) > _LARGEST:
        raise EndpointError(f"HTTP {status} with more than {_LARGEST} bytes")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise EndpointError(f"HTTP {status} without a JSON object")
    return Said(status, fields)


def _reason(problem: Exception) -> str:
    cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {readable(str(cause).encode())}"
    return readable(str(cause).encode()) or type(problem).__name__
