"""A download goes on only while who asked for it may still have it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from gateway.errors import DatabaseUnavailable

EVERY = 2.0  # seconds between two looks
T = TypeVar("T")


class DownloadEndedError(Exception):
    """Whoever downloads may not any more. The server closes the connection before the end, as the client sees."""


def watched(response: Response, may: Callable[[], bool]) -> Response:
    """The answer; where it is a stream, one that breaks off soon after ``may`` says no."""
    if isinstance(response, StreamingResponse):
        response.body_iterator = _while_allowed(response.body_iterator, may)
    return response


async def _while_allowed(pieces: AsyncIterable[T], may: Callable[[], bool]) -> AsyncIterator[T]:
    looked = time.monotonic()
    async for piece in pieces:
        if time.monotonic() - looked >= EVERY:
            with suppress(DatabaseUnavailable):  # who cannot be asked about is asked about again
                if not await run_in_threadpool(may):
                    raise DownloadEndedError
            looked = time.monotonic()
        yield piece
