"""Threads of those who wait, acts for a batch to end and sign-ins for a provider: not those that show pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

_P = ParamSpec("_P")
_Given = TypeVar("_Given")
_AT_ONCE = 40  # that are worked on, or wait for the home or a provider; further ones wait without a thread


async def in_turn(request: Request, function: Callable[_P, _Given], *given: _P.args, **named: _P.kwargs) -> _Given:
    """What the function gives, in a thread that no page needs."""
    state = request.app.state
    if not hasattr(state, "acts"):
        state.acts = CapacityLimiter(_AT_ONCE)
    return await to_thread.run_sync(partial(function, *given, **named), limiter=state.acts)
