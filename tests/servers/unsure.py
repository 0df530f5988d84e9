"""A proxy before PostgreSQL that now and then cuts a connection between a COMMIT and its answer."""

from __future__ import annotations

import random
import socket
import threading

from servers.proxy import Proxy


class UnsureProxy(Proxy):
    """Passes everything on; of the commits that go through it, one in ``one_in`` loses its answer. ``lost`` counts."""

    def __init__(self, target: int, *, one_in: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self.one_in = one_in  # 0: none any more
        self.lost = 0
        super().__init__(target)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # it is being started anew
                client.close()
                continue
            self._open += [client, server]
            deaf = threading.Event()
            for run, ends in ((self._up, (client, server, deaf)), (self._down, (server, client, deaf))):
                self._threads.append(threading.Thread(target=run, args=ends, daemon=True))
                self._threads[-1].start()

    def _up(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        class Ear:
            """The client, heard with one ear."""

            def recv(_, size: int) -> bytes:  # noqa: N805 - self is the proxy
                data = client.recv(size)
                if self.one_in and b"COMMIT\0" in data and self._chance.randrange(self.one_in) == 0:
                    self.lost += 1
                    deaf.set()
                return data

        super()._up(Ear(), server, deaf)  # type: ignore[arg-type]
