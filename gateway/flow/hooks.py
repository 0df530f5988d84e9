"""Hooks of the business: a command that gets a document on its standard input, and an HTTP POST."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import shlex
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote, urlsplit

from msgspec import Struct

from gateway.errors import DeliveryFailed
from gateway.flow.handover import Deliverable
from gateway.flow.posting import answered

CONTENT_TYPE = "application/EDI-X12"  # RFC 1767
ALREADY_TAKEN = 409  # the hook knows the key: an earlier attempt arrived, its answer did not
GRACE = 2.0  # seconds between SIGTERM and SIGKILL

_WORD = re.compile(r"[^A-Za-z0-9]+")
_PRIVATE = ("GATEWAY_SECRET_", "CREDENTIALS_DIRECTORY")  # what a hook has no business to see
_VISIBLE = "".join(chr(code) for code in range(32, 127) if chr(code) != "%")


class CommandHandover(Struct, frozen=True):
    """A program that reads the document on standard input and says with exit code 0 that it has it for good.

    It finds ``GATEWAY_KEY``, ``GATEWAY_FILE_NAME`` and every fact (``GATEWAY_PARTNER``, …) in its environment,
    but no secrets. No shell is involved. It runs in a process group of its own, which ends with the time limit.
    """

    command: str
    timeout: float  # seconds
    directory: Path

    def settle(self) -> None:
        """Nothing: the receiver answered for each document."""

    def deliver(self, item: Deliverable) -> str:
        """Runs the command and returns its name."""
        words = self._words(item)
        with tempfile.TemporaryFile() as complaints:
            try:
                # The program is what the operator wrote in the profile; its arguments hold nothing from outside.
                process = subprocess.Popen(  # noqa: S603
                    words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    cwd=self.directory,
                    env=_environment(item),
                    start_new_session=True,
                )
            except (OSError, ValueError) as problem:
                self._fail(item, f"it cannot be started: {getattr(problem, 'strerror', None) or problem}")
            with process:
                self._feed(process, item)
            if process.returncode:
                self._fail(item, _ending(process.returncode, complaints))
        return f"command {words[0]}"

    def _feed(self, process: subprocess.Popen[bytes], item: Deliverable) -> None:
        try:
            process.communicate(item.data, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            _end_group(process)
            self._fail(item, f"it did not end within {self.timeout:g} seconds and was stopped")
        except BaseException:
            _end_group(process)
            raise

    def _words(self, item: Deliverable) -> list[str]:
        try:
            words = shlex.split(self.command)
        except ValueError as problem:
            self._fail(item, f"the command line cannot be read: {problem}")
        return words or self._fail(item, "the command line is empty")

    def _fail(self, item: Deliverable, reason: str) -> NoReturn:
        # The program only: arguments may hold what nobody should read in a ledger.
        program = (self.command.split() or ["?"])[0]
        raise DeliveryFailed(what=item.name, target=f"command {program}", reason=reason) from None


@dataclass(frozen=True, slots=True)
class HttpHandover:
    """A POST of the document; any 2xx says that the business has it for good, 409 that it had it already.

    The headers are ``Idempotency-Key``, ``X-Gateway-File-Name`` and one for every fact (``X-Gateway-Partner``),
    with characters beyond printable ASCII percent-encoded. Redirects are not followed: the document and the
    token are for the host that the profile names.
    """

    url: str
    timeout: float  # seconds, for the whole of it
    token: str = field(default="", repr=False)
    content_type: str = CONTENT_TYPE

    def settle(self) -> None:
        """Nothing: the receiver answered for each document."""

    def deliver(self, item: Deliverable) -> str:
        """Posts the document and returns the URL."""
        self._check(item)
        try:
            request = urllib.request.Request(self.url, data=item.data, headers=self._headers(item), method="POST")  # noqa: S310 - _check allows http and https only
            with answered(request, self.timeout):
                return self.url
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code == ALREADY_TAKEN:
                    return self.url
                self._fail(item, _refusal(answer))
        except urllib.error.URLError as problem:
            self._fail(item, str(problem.reason))
        except (OSError, http.client.HTTPException, ValueError) as problem:
            self._fail(item, str(problem) or type(problem).__name__)

    def _headers(self, item: Deliverable) -> dict[str, str]:
        facts = {"File-Name": item.name, **item.facts}
        headers = {f"X-Gateway-{_title(name)}": quote(value, safe=_VISIBLE) for name, value in facts.items()}
        headers |= {"Content-Type": self.content_type, "Idempotency-Key": quote(item.key, safe=_VISIBLE)}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def _check(self, item: Deliverable) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            self._fail(item, "this is no URL")
        if parts.scheme not in {"http", "https"} or not host:
            self._fail(item, "a URL with http:// or https:// is wanted")
        if "@" in parts.netloc:
            self._fail(item, "passwords do not belong in the URL: name a secret in the delivery")
        if self.token and parts.scheme == "http" and not _is_loopback(host):
            self._fail(item, "the token would cross the network unencrypted: use https")
        if not self.token.isascii() or not self.token.isprintable():
            self._fail(item, "the token has characters that a header cannot hold")

    def _fail(self, item: Deliverable, reason: str) -> NoReturn:
        target = re.sub(r"//[^/@]*@", "//", self.url)
        raise DeliveryFailed(what=item.name, target=target, reason=reason) from None


def _refusal(answer: urllib.error.HTTPError) -> str:
    if 300 <= answer.code < 400:
        where = urlsplit(answer.headers.get("Location", "")).hostname or "another path"
        return f"it redirects to {where} ({answer.code}), which is not followed: correct the URL"
    return f"it answered {answer.code} {answer.reason}"


def _environment(item: Deliverable) -> dict[str, str]:
    """Our own environment without secrets, and the facts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return kept | _variables({**item.facts, "file_name": item.name, "key": item.key})


def _variables(facts: Mapping[str, str]) -> dict[str, str]:
    return {f"GATEWAY_{_WORD.sub('_', name).upper()}": value.replace("\0", "") for name, value in facts.items()}


def _title(name: str) -> str:
    """``control_number`` → ``Control-Number``."""
    return "-".join(word.capitalize() for word in _WORD.split(name) if word)


def _ending(code: int, complaints: IO[bytes]) -> str:
    """How the command ended: the last line on its standard error, and its exit code or signal."""
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, size - 4_096))
    lines = complaints.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    how = f"exit code {code}" if code > 0 else f"ended by {_signal_name(-code)}"
    return f"{said[-1][:300]} ({how})" if said else how


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the command and everything it started; first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
