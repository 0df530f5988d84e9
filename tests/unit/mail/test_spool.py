"""Messages too big for memory: what comes over the wire, in whatever pieces, is what lies in the file."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import wire as wire_module
from gateway.mail.spool import Spool, Spooled
from gateway.mail.wire import ConnectionLostError, Endpoint, Wire

LIMIT = 1_000_000


class Drip:
    """A socket that gives what it was told, in the pieces it was told."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)

    def recv(self, _count):
        return next(self._pieces, b"")

    def gettimeout(self):
        return 5.0


def wire_on(pieces):
    made = Wire.__new__(Wire)
    for name, value in (
        ("_buffer", bytearray()), ("_start", 0), ("_endpoint", Endpoint("h", 1, "none", "", 5.0)),
        ("_socket", Drip(pieces)), ("encrypted", False),
    ):  # fmt: skip
        setattr(made, name, value)
    return made


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def stuffed(raw):
    raw = b"." + raw if raw.startswith(b".") else raw
    return raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def content(found):
    return found.read() if isinstance(found, Spooled) else found


LINES = st.lists(st.sampled_from([b"", b".", b"..", b"x", b"\r", b"\n.", b"x" * 90, b".\r"]), max_size=30)


@given(LINES, LINES, st.integers(1, 60), st.integers(4, 200))
def test_any_message_in_any_pieces_is_the_same_bytes_and_the_next_is_in_step(first, second, size, threshold):
    raws = [b"".join(line + b"\r\n" for line in lines) for lines in (first, second)]
    before = wire_module.SPOOL_OVER
    wire_module.SPOOL_OVER = threshold
    try:
        wire = wire_on(cut(stuffed(raws[0]) + stuffed(raws[1]), size))
        assert [content(wire.message(LIMIT)) for _ in raws] == raws
    finally:
        wire_module.SPOOL_OVER = before


@given(LINES, st.integers(1, 60), st.integers(0, 300))
def test_a_message_past_the_limit_is_read_away_wherever_the_limit_falls(lines, size, limit):
    raw = b"".join(line + b"\r\n" for line in lines)
    before = wire_module.SPOOL_OVER
    wire_module.SPOOL_OVER = 20
    try:
        wire = wire_on(cut(stuffed(raw) + stuffed(b"next\r\n"), size))
        found = wire.message(limit)
        assert (found is None) == (len(raw) > limit)
        assert found is None or content(found) == raw
        assert content(wire.message(LIMIT)) == b"next\r\n"
    finally:
        wire_module.SPOOL_OVER = before


def test_a_big_message_is_hashed_on_its_way_and_never_in_memory():
    piece = b"x" * 98 + b"\r\n"
    pieces = [piece * 1_000 for _ in range(300)]
    tracemalloc.start()
    try:
        found = wire_on([*pieces, b".\r\n"]).message(100_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found, Spooled)
    assert (found.size, found.sha256) == (30_000_000, hashlib.sha256(piece * 300_000).hexdigest())
    assert peak < 12_000_000, "30 MB came"
    assert b"".join(found.pieces()) == piece * 300_000


def test_a_connection_lost_in_a_big_message_gives_no_message():
    with pytest.raises(ConnectionLostError):
        wire_on([b"x" * 5_000_000]).message(100_000_000)


def test_a_spool_leaves_no_file_behind_at_any_time(tmp_path):
    spool = Spool(tmp_path)
    spool.write(b"one")
    assert list(tmp_path.iterdir()) == []
    found = spool.done()
    assert found.read() == b"one"
    del spool, found
    assert list(tmp_path.iterdir()) == []


def test_a_spool_gives_its_file_back_to_the_system(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        spool = Spool(tmp_path)
        spool.write(b"x")
        spool.done()
        Spool(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
