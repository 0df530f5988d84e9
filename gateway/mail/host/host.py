"""The embedded mail host as one object: both servers on loopback ports, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.mail.host.faults import Hook, no_fault
from gateway.mail.host.pop3 import Pop3Server
from gateway.mail.host.smtp import Delivery, smtp_protocol
from gateway.mail.host.store import Store

_LOOPBACK = "127.0.0.1"


class MailHost:
    """POP3 and SMTP for some accounts (address → password) on 127.0.0.1.

    With ``keep`` every delivered mail is also written to ``keep/<address>/<uid>.eml``. With ``tls`` both servers
    offer STARTTLS. The hooks spoil single commands; see ``gateway.mail.host.faults``.
    """

    host = _LOOPBACK

    def __init__(
        self,
        accounts: Mapping[str, str],
        *,
        keep: Path | None = None,
        tls: ssl.SSLContext | None = None,
        require_login: bool = False,
        pipelining: bool = True,
        pop3_hook: Hook = no_fault,
        smtp_hook: Hook = no_fault,
        after_delivery: Callable[[bytes], None] | None = None,
    ) -> None:
        self.store = Store(accounts, keep)
        self.pop3_port = 0
        self.smtp_port = 0
        self._tls = tls
        self._pop3 = Pop3Server(self.store, tls=tls, hook=pop3_hook, pipelining=pipelining)
        self._delivery = Delivery(self.store, smtp_hook, after_delivery, require_login=require_login)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mail-host", daemon=True)

    def __enter__(self) -> Self:
        # aiosmtpd logs at each login that one of its own attributes is deprecated.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._thread.start()
        self._ready.wait()
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def deliver(self, address: str, raw: bytes) -> str:
        """Puts a mail straight into a box; returns its uid."""
        return self.store.deliver(address, raw)

    def waiting(self, address: str) -> tuple[bytes, ...]:
        """The mails in a box, oldest first."""
        return self.store.waiting(address)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as problem:
            self._problem = problem
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        pop3 = await asyncio.start_server(self._pop3.serve, _LOOPBACK, 0)
        smtp = await self._loop.create_server(
            lambda: smtp_protocol(self._delivery, self.store, self._loop, tls=self._tls),
            _LOOPBACK,
            0,
        )
        self.pop3_port = pop3.sockets[0].getsockname()[1]
        self.smtp_port = smtp.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        pop3.close()
        smtp.close()
        await self._end_conversations()

    async def _end_conversations(self) -> None:
        """Conversations still open are ended: a host that goes away does not wait for its clients."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # lets transports close their sockets
