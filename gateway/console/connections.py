"""Connections: how long one may stay open without asking anything, and which one ends where there is room for no more.

The server keeps as many as it is told and refuses the next, so that some hundred connections that never ask anything,
opened by anybody who reaches the port, would take the console from everybody else.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """A connection that ends when no request comes in time, or when others need its place."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._asking: asyncio.TimerHandle | None = None  # the time for a request to come
        self.since = 0.0  # when it last began to wait: for a request, or for what is sent with one

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is at work: none came yet, half a one, or all are answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_unfinished(self) -> bool:
        """Whether a request of it has come in part only."""
        return not self.is_idle and self.cycle.more_body and not self.cycle.response_started

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more; where there is no room for it, the one that has been waiting longest makes some."""
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency - 1:
            self._make_room()
        super().connection_made(transport)
        self.since = time.monotonic()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A request, or a part of one: its first byte begins the time for the rest, later ones do not lengthen it."""
        super().data_received(data)
        if not self.is_idle:
            if self._asking is not None:
                self.since = time.monotonic()
            self._wait_no_more()
        elif self._asking is None and self.timeout_keep_alive_task is None:
            self._wait()

    def on_response_complete(self) -> None:
        """An answer went out; the server's own time runs until the next request begins."""
        self.since = time.monotonic()
        self._wait_no_more()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._wait_no_more()
        super().connection_lost(exc)

    def end(self) -> None:
        """Closes it and gives its place away at once."""
        self.connections.discard(self)
        self._wait_no_more()
        self.transport.abort()

    def _make_room(self) -> None:
        """Ends one that asks nothing, or else one whose request does not come to its end."""
        others = [each for each in self.connections if isinstance(each, Connection)]
        waiting = [each for each in others if each.is_idle] or [each for each in others if each.is_unfinished]
        if waiting:
            min(waiting, key=lambda each: each.since).end()

    def _wait(self) -> None:
        self._asking = self.loop.call_later(self.timeout_keep_alive, self.end)

    def _wait_no_more(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
