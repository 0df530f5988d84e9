"""A proxy on loopback that cuts a connection where a test wants it, or loses a reply."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Self


class Proxy:
    """Passes connections on to ``target``, a port on loopback.

    After ``cut_after`` bytes from the server the connection is reset. Once the client has sent ``loses``, nothing
    that the server says reaches it any more; when the server has answered, the connection is reset.
    ``passed`` counts the bytes from the server.
    """

    def __init__(self, target: int, *, cut_after: int | None = None, loses: bytes = b"") -> None:
        self._target = target
        self._cut_after = cut_after
        self._loses = loses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self.port = self._listener.getsockname()[1]
        self.passed = 0
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            deaf = threading.Event()
            for run, ends in ((self._up, (client, server, deaf)), (self._down, (server, client, deaf))):
                self._threads.append(threading.Thread(target=run, args=ends, daemon=True))
                self._threads[-1].start()

    def _up(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        heard = b""
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                heard = (heard + data)[-1_000:]
                if self._loses and self._loses in heard:
                    deaf.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _down(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if deaf.is_set():
                    time.sleep(0.1)  # the server has begun to answer: let it come to its end
                    break
                if self._cut_after is not None:
                    data = data[: max(self._cut_after - self.passed, 0)]
                client.sendall(data)
                self.passed += len(data)
                if self._cut_after is not None and self.passed >= self._cut_after:
                    break
            else:
                client.shutdown(socket.SHUT_RDWR)
                return
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # close() alone would wait for the thread that reads from it.
            client.shutdown(socket.SHUT_RDWR)
            client.close()
