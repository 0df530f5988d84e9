"""Downloads: whole, from the first byte on, whatever their size."""

from __future__ import annotations

import pytest
from builders import loops
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.console import watching
from gateway.console.pages import downloads
from gateway.console.pages.downloads import download, encoded, spooled
from gateway.console.watching import DownloadEndedError, watched
from gateway.errors import DatabaseUnavailable


def _got(make):
    app = Starlette(routes=[Route("/", lambda _request: make())])
    return TestClient(app).get("/")


def test_bytes_arrive_as_an_attachment_that_no_browser_guesses_at():
    """Name, type and order of the pieces."""
    answer = _got(lambda: download(iter([b"one", b"two"]), "a.edi"))
    assert answer.content == b"onetwo"
    assert answer.headers["content-disposition"] == 'attachment; filename="a.edi"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert _got(lambda: download([], "empty.edi")).content == b""


def test_what_cannot_be_read_is_a_fault_before_the_first_byte():
    """Not a file that ends in the middle."""

    def broken():
        yield b"first"
        raise KeyError

    with pytest.raises(KeyError):
        download(spooled(broken(), "/tmp"), "a.edi")


def test_pieces_are_read_to_their_end_before_any_is_given(tmp_path, monkeypatch):
    """So that nothing of the ledger stays open; what is big lies in a nameless file, in order."""
    monkeypatch.setattr(downloads, "_IN_MEMORY", 1_000)
    monkeypatch.setattr(downloads, "PIECE", 700)
    ended = []

    def pieces():
        yield from (bytes([number]) * 999 for number in range(5))
        ended.append(True)

    given = spooled(pieces(), tmp_path)
    first = next(given)
    assert ended == [True]
    assert first + b"".join(given) == b"".join(bytes([number]) * 999 for number in range(5))
    assert list(tmp_path.iterdir()) == []


def test_lines_are_gathered_and_broken_characters_replaced():
    """A lone surrogate must not end an export."""
    assert list(encoded(["a\n", "b\n", "\ud800\n"], at_once=2)) == [b"a\nb\n", b"?\n"]


class Flow:
    """A download of two pieces, sent as a server sends it; ``may`` is asked before each of them."""

    def __init__(self, may):
        self.sent = []
        self.ended = False
        answer = watched(download(iter([b"one", b"two"]), "a.edi"), may)
        scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "headers": []}
        try:
            loops.run(answer(scope, self._receive, self._send))
        except DownloadEndedError:
            self.ended = True

    async def _receive(self):
        raise AssertionError("a download is only sent: nothing is asked for")

    async def _send(self, message):
        self.sent.append((message.get("body"), message.get("more_body")))


def test_a_download_breaks_off_when_whoever_asked_may_not_any_more(monkeypatch):
    """Its last piece is never followed by an end: the client sees that it is not whole."""
    monkeypatch.setattr(watching, "EVERY", 0.0)
    answers = iter([True, False])
    cut = Flow(lambda: next(answers))
    assert (cut.sent[1:], cut.ended) == ([(b"one", True)], True)


def test_whoever_cannot_be_asked_about_and_whoever_may_get_the_whole(monkeypatch):
    """A database that is away for a moment ends no download; nobody is asked about all the time."""
    whole = [(b"one", True), (b"two", True), (b"", False)]

    def away():
        raise DatabaseUnavailable(reason="it is away")

    assert Flow(lambda: False).sent[1:] == whole  # too quick to be asked
    monkeypatch.setattr(watching, "EVERY", 0.0)
    assert Flow(lambda: True).sent[1:] == whole
    assert Flow(away).sent[1:] == whole
