"""Posting: one HTTP request whose answer must be there within a time, however slowly the other side speaks.

The timeout of a socket begins again with each byte that comes: a host that trickles would hold a batch for hours.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock, Timer
from typing import IO, Any

_KEPT = 600.0  # seconds after which the system's authorities are read again
_AFTER = 0.5  # seconds by which the timeout of the socket comes later: there is one sentence for both


@contextmanager
def answered(request: urllib.request.Request, seconds: float) -> Iterator[None]:
    """Sends a request; the block is entered once its answer, any 2xx, is there. Redirects are not followed.

    Raises:
        TimeoutError: the answer was not there in time, as a whole.
        OSError, http.client.HTTPException: the host cannot be reached, breaks off, or answers something else
            (``urllib.error.HTTPError``).
    """
    limit = _Limit(seconds)
    try:
        with limit, _OPENER.open(_Within.of(request, limit), timeout=seconds + _AFTER):
            limit.check()
            yield
    except (OSError, http.client.HTTPException):
        limit.check()  # what was cut off in the middle can look like anything
        raise


class _Limit:
    """Cuts a connection off when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, connection: socket.socket) -> None:
        """From now on this is what is cut off."""
        with self._lock:
            self._socket = connection
        self.check()

    def check(self) -> None:
        """Says nothing while there is time.

        Raises:
            TimeoutError
        """
        if self._over:
            raise TimeoutError(f"it did not answer within {self._seconds:g} seconds")

    def _end(self) -> None:
        with self._lock:
            self._over = True
            if self._socket is not None:
                with suppress(OSError):
                    # Not that of an SSL socket, which would take away what another thread is reading with.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Within(urllib.request.Request):
    """A request that has a limit."""

    limit: _Limit

    @classmethod
    def of(cls, request: urllib.request.Request, limit: _Limit) -> _Within:
        """The same request with a limit."""
        made = cls(request.full_url, request.data, dict(request.header_items()), method=request.get_method())
        made.limit = limit
        return made


class _Connection(http.client.HTTPConnection):
    """A connection that ends when the time is over."""

    def __init__(self, *args: Any, limit: _Limit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limit = limit

    def connect(self) -> None:
        """Connects; from then on the limit can cut it off."""
        super().connect()
        self._limit.watch(self.sock)


class _SafeConnection(_Connection, http.client.HTTPSConnection):
    """The same with TLS."""


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, limit=_limit_of(req)), req)


class _Https(urllib.request.HTTPSHandler):
    """Reads the system's authorities when they are needed, not once a request: that takes longer than all the rest."""

    def __init__(self) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # its own makes a context before anybody asks for one
        self._context: ssl.SSLContext | None = None
        self._until = 0.0

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_SafeConnection, limit=_limit_of(req), context=self.context()), req)

    def context(self) -> ssl.SSLContext:
        """What a connection is verified by; threads that ask at the same moment may make two, which are equal."""
        context, now = self._context, time.monotonic()
        if context is None or now >= self._until:
            context = ssl.create_default_context()
            self._context, self._until = context, now + _KEPT
        return context


def _limit_of(request: urllib.request.Request) -> _Limit:
    assert isinstance(request, _Within)
    return request.limit


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves every 3xx an error: urllib would turn the POST into a GET without the document."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """No request follows."""


_OPENER = urllib.request.build_opener(_NoRedirects, _Http, _Https)
