"""Connections that ask nothing, or never come to an end, take the place of nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from builders import loops
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from gateway.console import door
from gateway.console.connections import Connection
from gateway.console.door import Door, Entrance

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SENDING = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome"


class Line(asyncio.Transport):
    """The other side of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False
        self.got = b""

    def write(self, data: Any) -> None:
        self.got += bytes(data)

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    abort = close


@pytest.fixture
def opened(monkeypatch):
    """Opens connections to a server that keeps four; time passes by itself only there."""
    moment = iter(range(10_000))
    monkeypatch.setattr("gateway.console.connections.time.monotonic", lambda: float(next(moment)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)

    config, state = Config(app, limit_concurrency=5, timeout_keep_alive=15, ws="none", lifespan="off"), ServerState()

    def one() -> tuple[Connection, Line]:
        line = Line()
        made = Connection(config, state, {})
        made.connection_made(line)
        return made, line

    return one


def run(opened: Any, work: Any) -> None:
    async def within() -> None:
        await work(opened)

    loops.run(within())


async def _answered() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_asks_nothing_makes_room_for_who_comes(opened):
    async def work(opened: Any) -> None:
        lines = [opened()[1] for _ in range(12)]
        assert [each.ended for each in lines] == [True] * 8 + [False] * 4
        asking, line = opened()
        asking.data_received(ASKED)
        await _answered()
        assert line.got.startswith(b"HTTP/1.1 200")

    run(opened, work)


def test_half_a_head_asks_nothing_and_who_is_served_keeps_the_place(opened):
    async def work(opened: Any) -> None:
        served, kept = opened()
        served.data_received(ASKED)  # it is not answered yet
        lines = []
        for _ in range(9):
            half, line = opened()
            half.data_received(ASKED[:9])
            lines.append(line)
        assert not kept.ended
        assert [each.ended for each in lines] == [True] * 6 + [False] * 3
        await _answered()
        assert kept.got.startswith(b"HTTP/1.1 200")

    run(opened, work)


def test_what_is_still_being_sent_makes_room_last_the_oldest_first(opened):
    async def work(opened: Any) -> None:
        sending = []
        for _ in range(4):
            one, line = opened()
            one.data_received(SENDING)
            sending.append((one, line))
        _, idle = opened()
        assert [line.ended for _, line in sending] == [True, False, False, False]
        opened()
        assert idle.ended
        await _answered()
        last, line = sending[-1]
        last.data_received(b"bytes")
        await _answered()
        assert line.got.endswith(b"9 bytes")

    run(opened, work)


@pytest.mark.parametrize("sent", [[], [ASKED[:9], ASKED[9:12]]])
def test_a_connection_ends_where_no_whole_request_comes_in_time(opened, sent):
    """Each further byte does not begin the time anew."""

    async def work(opened: Any) -> None:
        loop = asyncio.get_running_loop()
        connection, line = opened()
        timer = connection._asking
        assert timer.when() == pytest.approx(loop.time() + 15, abs=5)
        for each in sent:
            connection.data_received(each)
        assert connection._asking is timer
        timer._run()
        assert line.ended
        assert connection.connections == set()

    run(opened, work)


def test_after_an_answer_half_a_request_has_its_time_too(opened):
    async def work(opened: Any) -> None:
        connection, line = opened()
        connection.data_received(ASKED)
        assert connection._asking is None, "it is being answered, however long that takes"
        await _answered()
        assert connection.timeout_keep_alive_task is not None
        connection.data_received(ASKED[:9])
        timer = connection._asking
        connection.data_received(ASKED[9:])
        await _answered()
        assert timer.cancelled()
        assert line.got.count(b"HTTP/1.1 200") == 2
        connection.connection_lost(None)

    run(opened, work)


# ---------------------------------------------------------------- what is sent

SCOPE = {"type": "http", "path": "/sign-in", "method": "POST", "headers": [(b"host", b"x")], "query_string": b""}


def through_the_door(receive: Any) -> list[dict[str, Any]]:
    """What the door answers to a form that comes by ``receive``."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)

    async def send(message: Any) -> None:
        sent.append(message)

    loops.run(Door(app, Entrance())(dict(SCOPE), receive, send))
    return sent


def test_what_never_comes_to_its_end_is_waited_for_no_longer_than_slow_lines_need(monkeypatch):
    monkeypatch.setattr(door, "_PATIENCE", 0.01)
    begun: list[bytes] = []

    async def receive() -> Any:
        if begun:
            await asyncio.Event().wait()
        begun.append(b"name=")
        return {"type": "http.request", "body": begun[0], "more_body": True}

    sent = through_the_door(receive)
    assert sent[0]["status"] == 408
    assert b"did not come to its end in time" in sent[1]["body"]


def test_every_byte_that_came_gives_more_time(monkeypatch):
    monkeypatch.setattr(door, "_PATIENCE", 0.01)
    monkeypatch.setattr(door, "_SLOWEST", 1)
    pieces = iter([b"a" * 900, b"b"])

    async def receive() -> Any:
        piece = next(pieces)
        if piece == b"b":
            await asyncio.sleep(0.02)
        return {"type": "http.request", "body": piece, "more_body": piece != b"b"}

    assert through_the_door(receive)[0]["status"] == 200


def test_who_goes_away_while_sending_is_no_defect():
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    assert through_the_door(receive) == []


@pytest.mark.parametrize("origin", [b"http://[evil", b"null", b"", b"javascript:alert(1)", b"\xff"])
def test_an_origin_that_is_no_address_is_anothers(origin):
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = SCOPE | {"headers": [(b"host", b"x"), (b"origin", origin)]}
    loops.run(Door(PlainTextResponse("taken"), Entrance(origin="https://x.example"))(scope, None, send))
    assert sent[0]["status"] == 403
