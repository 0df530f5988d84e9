"""A host that greets, begins TLS, and says nothing more: for looking at ports and certificates, without a mailbox."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

_STARTTLS: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "": (b"", []),  # closes at once
    "pop3": (b"+OK ready\r\n", [(b"STLS", b"+OK go\r\n")]),
    "imap": (b"* OK ready\r\n", [(b"a STARTTLS", b"* OK soon\r\na OK go\r\n")]),
    "smtp": (b"220-two\r\n220 lines\r\n", [(b"EHLO", b"250-x\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"220 go\r\n")]),
}


@contextlib.contextmanager
def greeting(
    protocol: str, context: ssl.SSLContext | None = None, *, security: str = "none", refuse: bytes = b""
) -> Iterator[int]:
    """The port of the host. ``security`` is tls, starttls or none; ``refuse`` is what it says to a wish for TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    _talk(connection, protocol, context, security, refuse)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _talk(
    connection: socket.socket, protocol: str, context: ssl.SSLContext | None, security: str, refuse: bytes
) -> None:
    greeted, steps = _STARTTLS[protocol]
    if security == "tls":
        assert context is not None
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(greeted)
            wrapped.recv(100)
        return
    connection.sendall(greeted)
    for wanted, answer in steps:
        if not connection.recv(200).startswith(wanted):
            return
        connection.sendall(refuse if refuse and wanted.endswith((b"STLS", b"STARTTLS")) else answer)
    if security == "starttls" and not refuse:
        assert context is not None
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(100)
