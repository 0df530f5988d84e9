"""Sending measured: our SMTP transport against bare smtplib on one reused connection, same mails, same run.

Mails of 20 KB go to smtp-sink (of the package postfix, which offers PIPELINING) and to aiosmtpd (which does not), on a
line without delay and on one whose round trip takes 20 ms. Ours sends over 1, 4 (the default) and 16 connections, a
thread each, as dispatch does. Rounds are interleaved and medians given, because the machine is never quiet. What the
ledger costs on top is measured by night.py.

    python benchmarks/sending.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import smtplib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT), str(ROOT / "tests")]

from mail import ROUND_TRIP, Figures  # noqa: E402
from servers import need  # noqa: E402

from gateway.mail.compose import compose, message_id  # noqa: E402
from gateway.mail.model import Attachment, Draft, OutgoingMail, TransportSession  # noqa: E402
from gateway.mail.smtp import SmtpTransport  # noqa: E402

US, THEM = "edi@bench.example", "edi@acme.example"
CONNECTIONS = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class Sent:
    """One round: mails a second, and our CPU time a mail in microseconds."""

    rate: float
    cpu: float


def mails(count: int) -> list[OutgoingMail]:
    """Mails of 20 KB with an interchange as attachment."""
    found = []
    for number in range(count):
        edi = f"ISA*00*{number:09}*".encode() + b"PO1*1*10*EA*9.95**BP*AC-00001~" * 490
        draft = Draft(
            US, (THEM,), f"Order {number}", message_id("bench.example", str(number)), "see attachment",
            (Attachment(f"{number}.edi", "application/EDI-X12", edi),),
        )  # fmt: skip
        found.append(OutgoingMail(US, (THEM,), compose(draft)))
    return found


# ---------------------------------------------------------------- who takes them


@contextmanager
def sink(kind: str) -> Iterator[int]:
    """A port that takes any mail and forgets it, in a process of its own."""
    port = need.free_port()
    command = [sys.executable, __file__, "--sink", str(port)]
    if kind == "smtp_sink":
        command = [need.program("smtp-sink"), "-c", f"127.0.0.1:{port}", "1000"]
        if os.geteuid() == 0:
            command[1:1] = ["-u", "nobody"]
    with _running(command, port):
        yield port


@contextmanager
def delayed(port: int, round_trip: float) -> Iterator[int]:
    """A port that leads to ``port`` with every byte late, for any number of connections; a process of its own."""
    front = need.free_port()
    with _running([sys.executable, __file__, "--line", str(front), str(port), str(round_trip / 2)], front):
        yield front


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def serve(port: int) -> None:
    """aiosmtpd, which forgets every mail."""
    from aiosmtpd.smtp import SMTP, Envelope, Session

    class Forget:
        async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
            return "250 2.0.0 Ok: queued as nothing"

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(Forget(), data_size_limit=0), "127.0.0.1", port
        )
        await server.serve_forever()

    asyncio.run(run())


def line(front: int, back: int, delay: float) -> None:
    """Carries connections from ``front`` to ``back``, each way ``delay`` seconds late, as fast as it comes."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(262_144):
            loop.call_later(delay, writer.write, data)
        loop.call_later(delay, writer.close)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_connection("127.0.0.1", back)
        await asyncio.gather(carry(reader, away), carry(there, writer), return_exceptions=True)

    async def run() -> None:
        await (await asyncio.start_server(connected, "127.0.0.1", front)).serve_forever()

    asyncio.run(run())


# ---------------------------------------------------------------- who sends them


def bare(port: int, batch: Sequence[OutgoingMail]) -> Sent:
    """smtplib's sendmail in a loop on one connection."""
    began, cpu = time.perf_counter(), time.process_time()
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
        for each in batch:
            smtp.sendmail(each.envelope_sender, each.recipients, each.raw)
    return _sent(len(batch), began, cpu)


def ours(port: int, batch: Sequence[OutgoingMail], connections: int) -> Sent:
    """Our transport: each session has a share of the mails and a thread."""
    transport = SmtpTransport(host="127.0.0.1", port=port, security="none", timeout=60.0)
    began, cpu = time.perf_counter(), time.process_time()
    with transport.sessions(connections) as sessions, ThreadPoolExecutor(connections) as threads:
        shares = [batch[start::connections] for start in range(connections)]
        list(threads.map(_hand_over, sessions, shares))
    return _sent(len(batch), began, cpu)


def _hand_over(session: TransportSession, share: Sequence[OutgoingMail]) -> None:
    for each in share:
        session.send(each)


def _sent(count: int, began: float, cpu: float) -> Sent:
    return Sent(count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1_000_000)


# ---------------------------------------------------------------- all of it


def measure(*, quick: bool) -> Figures:
    """Rates, CPU and how many times bare smtplib: one figure each, by sink and line."""
    many, few, rounds = (250, 10, 1) if quick else (2_000, 60, 3)
    batch = mails(many)
    kinds = ["aiosmtpd", *(["smtp_sink"] if shutil.which("smtp-sink", path=":".join(need.PLACES)) else [])]
    figures: Figures = {"mails": many, "bytes_a_mail": len(batch[0].raw)}
    for kind in kinds:
        with sink(kind) as port, delayed(port, ROUND_TRIP) as slow:
            figures |= _line(f"{kind}_direct", port, batch, many, rounds)
            figures |= _line(f"{kind}_20ms", slow, batch, few, rounds)
    return figures


def _line(name: str, port: int, batch: Sequence[OutgoingMail], few: int, rounds: int) -> Figures:
    """One sink on one line. One connection gets a ``few`` mails, sixteen get sixteen times as many, if there are."""
    found: dict[str, list[Sent]] = {}
    for _ in range(rounds):
        found.setdefault("bare", []).append(bare(port, batch[:few]))
        for connections in CONNECTIONS:
            found.setdefault(f"ours_{connections}", []).append(ours(port, batch[: few * connections], connections))
    figures: Figures = {}
    floor = statistics.median(each.rate for each in found["bare"])
    for way, sent in found.items():
        rate = statistics.median(each.rate for each in sent)
        figures[f"{name}_{way}_a_second"] = round(rate, 1)
        figures[f"{name}_{way}_cpu_us"] = round(statistics.median(each.cpu for each in sent))
        if way != "bare":
            figures[f"{name}_{way}_times_bare"] = round(rate / floor, 2)
    return figures


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="250 mails, one round")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--line", nargs=3, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.sink:
        serve(words.sink)
    if words.line:
        line(int(words.line[0]), int(words.line[1]), float(words.line[2]))
    found = measure(quick=words.quick)
    if words.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>40}  {value}")


if __name__ == "__main__":
    main()
