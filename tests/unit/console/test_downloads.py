"""Downloads: whole, from the first byte on, whatever their size."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.console.pages import downloads
from gateway.console.pages.downloads import download, encoded, spooled


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
