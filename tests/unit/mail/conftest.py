"""A server that says what a test tells it to, and notes what it hears."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

import pytest


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, connection, heard):
        self._connection = connection
        self._heard = heard
        self._buffer = b""

    def say(self, *lines):
        """Sends lines in one write; bytes go as they are."""
        self._connection.sendall(
            b"".join(each if isinstance(each, bytes) else f"{each}\r\n".encode() for each in lines)
        )

    def hear(self, expected=None):
        """Reads one line, and checks how it begins."""
        while b"\n" not in self._buffer:
            data = self._connection.recv(65_536)
            if not data:
                raise EOFError(f"the client left while the server waited for {expected}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        text = line.rstrip(b"\r").decode()
        self._heard.append(text)
        assert expected is None or text.startswith(expected), f"heard {text!r}, expected {expected!r}"
        return text

    def hear_until_dot(self):
        """Reads a mail up to its final dot and returns it, stuffed as it is."""
        while b"\r\n.\r\n" not in self._buffer:
            data = self._connection.recv(65_536)
            assert data, "the client left in the middle of a mail"
            self._buffer += data
        content, _, self._buffer = self._buffer.partition(b"\r\n.\r\n")
        return content + b"\r\n"

    def hear_slowly(self, pause):
        """Reads a mail up to its final dot, with a pause after each half megabyte."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        seen, tail = 0, b""
        while not tail.endswith(b"\r\n.\r\n"):
            data = self._connection.recv(65_536)
            assert data, "the client left in the middle of a mail"
            tail = (tail + data)[-5:]
            seen += len(data)
            if seen > 500_000:
                seen = 0
                time.sleep(pause)

    def silence(self, seconds):
        """Checks that nothing comes for a while."""
        self._connection.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self._buffer += self._connection.recv(65_536)
        self._connection.settimeout(10)
        return self._buffer

    def reset(self):
        """Ends the connection as a crash does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


class Scripted:
    """Each script serves one connection, in order. ``heard`` holds every line that clients sent."""

    def __init__(self, *scripts):
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self.heard = []
        self.connections = 0
        self._problems = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(10)
            with connection:
                try:
                    script(Conversation(connection, self.heard))
                except (OSError, EOFError):
                    pass  # the client went away: the test looks at what it saw
                except AssertionError as problem:
                    self._problems.append(problem)

    def finish(self):
        # close() alone would leave a thread waiting in accept() with the socket still listening.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for problem in self._problems:
            raise problem


@pytest.fixture
def scripted():
    """Makes scripted servers: ``scripted(script, …)`` with one function of a ``Conversation`` a connection."""
    servers = []

    def start(*scripts):
        servers.append(Scripted(*scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()
