"""Serving the console: one process, one socket, until it is told to end."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from gateway.console.build import build
from gateway.console.connections import Connection
from gateway.console.door import Entrance
from gateway.console.keeper import Keeper
from gateway.console.pages import PAGES
from gateway.console.site import Site
from gateway.console.warm import warm
from gateway.errors import ConfigurationFault, ConsoleUnavailable
from gateway.flow.log import Log
from gateway.settings import ConsoleSettings, read_settings
from gateway.settings.console import own_url

_AT_ONCE = 200  # requests and connections that are kept; more are told to come later
_IDLE = 15  # seconds that an open connection is kept until a whole head of a request has come
_GRACE = 10  # seconds that a request has to end when we are to stop


def serve(home: Path, log: Log, say: Callable[[str], None] = print) -> None:
    """Serves the pages of a home until SIGTERM or SIGINT; requests that run are finished.

    Args:
        home: the directory with gateway.toml. Without [console] the defaults hold: this machine alone.
        log: hears what people and programs do, and of defects.
        say: is told the address.

    Raises:
        ConsoleUnavailable: the address cannot be had.
        GatewayError: as ``read_settings``; or the certificate or key cannot be used.
    """
    settings = read_settings(home)
    console = settings.console or ConsoleSettings()
    site = Site(home)
    site.listener = log.heard
    keeper = Keeper(site)
    try:
        _ = site.app  # what is wrong with the database is said here, not on every page
        app = build(site, keeper, PAGES, Entrance.of(console, settings.limits.message_size))
        warm(site)
        with listening(console) as listener:
            server = uvicorn.Server(_config(app, console))
            say(f"console: {own_url(console)}/")
            with _signals_end_in_order(), _defects_told(log):
                server.run(sockets=[listener])
    finally:
        keeper.close()
        site.close()


def _config(app: object, console: ConsoleSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        log_config=None,  # its logger speaks as ours does, see below
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=False,  # the door reads them, of those that gateway.toml trusts
        http=Connection,
        ws="none",
        lifespan="off",
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=console.certificate,
        ssl_keyfile=console.key,
    )
    try:
        config.load()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigurationFault(reason=f"the certificate or key of [console] cannot be used: {reason}") from problem
    return config


@contextmanager
def _signals_end_in_order() -> Iterator[None]:
    """The server stops at a signal and then raises it again, so that it would kill us before we have cleaned up."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Defects(logging.Handler):
    """What the server has to say, as a line of our log: of an exception its name, for its words may quote anything."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        self._log.say("console", record.levelno, kind=kind, said="" if kind else record.getMessage())


@contextmanager
def _defects_told(log: Log) -> Iterator[None]:
    """Where there is a log, a defect is a line of it; where there is none, its traceback is on standard error."""
    server = logging.getLogger("uvicorn.error")
    handler = _Defects(log) if log.is_on else logging.StreamHandler()
    server.addHandler(handler)
    server.propagate = False
    try:
        yield
    finally:
        server.removeHandler(handler)
        server.propagate = True


@contextmanager
def listening(console: ConsoleSettings) -> Iterator[socket.socket]:
    """A socket that listens where gateway.toml says.

    Raises:
        ConsoleUnavailable: with the reason.
    """
    name, port = console.listen
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise ConsoleUnavailable(address=f"{name}:{port}", reason=problem.strerror or problem) from problem
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as problem:
            raise ConsoleUnavailable(address=f"{name}:{port}", reason=problem.strerror or problem) from problem
        yield listener
