"""The mail edge measured: collecting from Dovecot, sending, and opening mails, each beside the bare library, same run.

Collecting: mails of 20 KB through a proxy that adds nothing or 20 ms to each round trip; bare poplib RETR in a loop
against our POP3 and IMAP collection into a new SQLite ledger, synced to disk as in production. Rounds are interleaved
and medians given, because the machine is never quiet. Opening: our letters against the email package, content decoded
in both. A big mail on its whole way, with the memory that each step adds. Needs Dovecot.

    python benchmarks/mail.py [--mails 5000] [--rounds 3] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import base64
import json
import poplib
import random
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from servers import dovecot, need  # noqa: E402

from gateway.flow.collect import collect_from  # noqa: E402
from gateway.flow.deliver import deliver  # noqa: E402
from gateway.flow.inbound import process  # noqa: E402
from gateway.mail.imap import ImapMailbox  # noqa: E402
from gateway.mail.letters import open_letter  # noqa: E402
from gateway.mail.model import Credentials, Mailbox  # noqa: E402
from gateway.mail.pop3 import Pop3Mailbox  # noqa: E402
from gateway.settings.model import Limits  # noqa: E402

poplib._MAXLINE = 1 << 20  # noqa: SLF001 - the bare loop shall not die on a long line
ROUND_TRIP = 0.020
Figures = dict[str, object]

# ---------------------------------------------------------------- material


def edi(size: int) -> bytes:
    """850s of about ``size`` bytes together, of at most 1,000 lines each, with all their numbers right."""
    from builders.stage import OURS, WHEN

    from gateway.demo.documents import interchange, order

    rest = max(1, size // 52)
    sets = []
    while rest > 0:
        lines = min(rest, 1_000)
        rest -= lines + 10
        head = list(order(f"PO-{len(sets)}", WHEN))[:7]
        body = [f"PO1*{k}*{k % 90 + 1}*EA*{k % 900}.95**BP*AC-{k:07}*VP*EX-{k:07}" for k in range(1, lines + 1)]
        sets.append([*head, *body, f"CTT*{lines}"])
    return interchange("ZZ:ACMERETAIL", OURS, 1, WHEN, [("PO", "004010", sets)])


def mail(number: int, content: bytes) -> bytes:
    """A mail with ``content`` as its base64 attachment, as mail clients write it."""
    head = (
        f"From: edi@acme.example\r\nTo: edi@us.example\r\nSubject: Order {number}\r\n"
        f"Message-ID: <{number}@acme.example>\r\nDate: Mon, 02 Nov 2026 22:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="=_cut"\r\n\r\n'
        "--=_cut\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nsee attachment\r\n"
        f'--=_cut\r\nContent-Type: application/EDI-X12; name="{number}.edi"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{number}.edi"\r\n\r\n'
    )
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"\r\n--=_cut--\r\n"


def mails(count: int) -> Iterator[bytes]:
    """Mails of 20 KB, each different."""
    chance = random.Random(11)
    content = edi(15_000)[:14_400]
    return (mail(n, content + chance.randbytes(100)) for n in range(1, count + 1))


# ---------------------------------------------------------------- a line with a delay


@contextmanager
def delayed(port: int, delay: float) -> Iterator[int]:
    """A port that leads to ``port``, each byte later by half of ``delay`` each way; a process of its own."""
    front = need.free_port()
    command = [sys.executable, __file__, "--proxy", str(front), str(port), str(delay / 2)]
    process_ = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", front)) == 0:
                    break
            time.sleep(0.02)
        yield front
    finally:
        process_.terminate()
        process_.wait()


def proxy(front: int, back: int, delay: float) -> None:
    """Serves one connection after another for ever; the bytes wait in a queue, so that bandwidth is not cut."""
    with socket.create_server(("127.0.0.1", front)) as listener:
        while True:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", back)) as server:
                try:
                    _carry(client, server, delay)
                except OSError:
                    continue


def _carry(client: socket.socket, server: socket.socket, delay: float) -> None:
    ways = {client: (server, deque()), server: (client, deque())}
    for side in ways:
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    open_sides = set(ways)
    while True:
        due = [queue[0][0] for _, queue in ways.values() if queue]
        wait = max(0.0, min(due) - time.perf_counter()) if due else 60.0
        # A queue of 64 MB is more than a line of 20 ms ever holds.
        ready, _, _ = select.select([side for side in open_sides if len(ways[side][1]) < 1_000], [], [], wait)
        now = time.perf_counter()
        for side in ready:
            data = side.recv(65_536)
            ways[side][1].append((now + delay, data))
            if not data:
                open_sides.remove(side)
        now = time.perf_counter()
        for other, queue in ways.values():
            while queue and queue[0][0] <= now:
                data = queue.popleft()[1]
                if not data:  # the other side has said all it had to say
                    return
                other.sendall(data)


# ---------------------------------------------------------------- collecting


@dataclass(frozen=True)
class Taken:
    """What one round took."""

    messages: int
    seconds: float
    cpu: float
    memory: int = 0  # bytes above what the process had before

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def bare(port: int, account: dovecot.Account, count: int) -> Taken:
    """poplib as everybody writes it: RETR, one after the other; nothing is written anywhere."""
    cpu, start = time.process_time(), time.perf_counter()
    box = poplib.POP3("127.0.0.1", port, timeout=60)
    box.user(account.name)
    box.pass_(account.password)
    for n in range(1, count + 1):
        b"\r\n".join(box.retr(n)[1])
    taken = Taken(count, time.perf_counter() - start, time.process_time() - cpu)
    box.close()
    return taken


def ours(mailbox: Mailbox, count: int, *, keep: bool = True) -> Taken:
    """Our collection into a new ledger; the mails stay on the server for the next round, or go."""
    from builders.stage import Stage

    home = Path(tempfile.mkdtemp(prefix="mailbench"))
    try:
        stage = Stage(home)
        context = stage.context()
        memory = Memory()
        cpu, start = time.process_time(), time.perf_counter()
        stored = collect_from(context, mailbox, keep_on_server=keep)
        taken = Taken(count, time.perf_counter() - start, time.process_time() - cpu, memory.added())
        stage.engine.dispose()
        assert stored == count, f"{stored} of {count} were stored"
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return taken


def pop3(port: int, account: dovecot.Account) -> Mailbox:
    """Our POP3 mailbox."""
    return Pop3Mailbox(
        name="box", host="127.0.0.1", port=port, security="none", plaintext_password=True, timeout=60.0,
        credentials=Credentials(account.name, lambda: account.password),
    )  # fmt: skip


def imap(port: int, account: dovecot.Account) -> Mailbox:
    """Our IMAP mailbox."""
    return ImapMailbox(
        name="box", host="127.0.0.1", port=port, security="none", plaintext_password=True, timeout=60.0,
        credentials=Credentials(account.name, lambda: account.password),
    )  # fmt: skip


def bare_emptying(port: int, account: dovecot.Account, count: int) -> Taken:
    """poplib that deletes what it has read; QUIT, with which the server deletes, included."""
    start = time.perf_counter()
    box = poplib.POP3("127.0.0.1", port, timeout=600)
    box.user(account.name)
    box.pass_(account.password)
    for n in range(1, count + 1):
        b"\r\n".join(box.retr(n)[1])
        box.dele(n)
    box.quit()
    return Taken(count, time.perf_counter() - start, 0)


def emptying(server: dovecot.Dovecot, count: int) -> Figures:
    """As production does it by default: what was made durable is deleted. Once, for the mails are gone then."""
    accounts = [server.account(), server.account()]
    for raw in mails(count):
        for account in accounts:
            account.put(raw)
    theirs = bare_emptying(server.pop3_port, accounts[0], count)
    mine = ours(pop3(server.pop3_port, accounts[1]), count, keep=False)
    assert not accounts[1].waiting()
    return {
        "poplib_emptying_per_second": round(theirs.rate, 1),
        "pop3_emptying_per_second": round(mine.rate, 1),
        "pop3_emptying_ratio": round(mine.rate / theirs.rate, 2),
    }


def collecting(server: dovecot.Dovecot, count: int, few: int, rounds: int) -> Figures:
    """Rates without and with delay; over the slow line the bare loop gets only a ``few`` mails, or it never ends."""
    account, small = server.account(), server.account()
    for number, raw in enumerate(mails(count)):
        account.put(raw)
        if number < few:
            small.put(raw)
    bare(server.pop3_port, account, min(count, 200))  # Dovecot makes its index
    with (
        delayed(server.pop3_port, 0) as direct,
        delayed(server.pop3_port, ROUND_TRIP) as slow,
        delayed(server.imap_port, ROUND_TRIP) as slow_imap,
    ):
        ways: dict[str, Callable[[], Taken]] = {
            "poplib": lambda: bare(server.pop3_port, account, count),
            "pop3": lambda: ours(pop3(server.pop3_port, account), count),
            "imap": lambda: ours(imap(server.imap_port, account), count),
            "pop3_through_proxy": lambda: ours(pop3(direct, account), count),
            "poplib_20ms": lambda: bare(slow, small, few),
            "pop3_20ms": lambda: ours(pop3(slow, account), count),
            "imap_20ms": lambda: ours(imap(slow_imap, account), count),
        }
        found: dict[str, list[Taken]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                found[name].append(way())
    return _collected(found, count)


def _collected(found: dict[str, list[Taken]], count: int) -> Figures:
    rates = {name: statistics.median(each.rate for each in taken) for name, taken in found.items()}
    cpu = {name: statistics.median(each.cpu / each.messages for each in taken) for name, taken in found.items()}
    figures: Figures = {"mails": count}
    figures |= {f"{name}_per_second": round(rate, 1) for name, rate in rates.items()}
    figures |= {f"{name}_cpu_us": round(each * 1e6) for name, each in cpu.items()}
    figures |= {f"{name}_added_mb": _mb(max(each.memory for each in found[name])) for name in ("pop3", "imap")}
    for name in ("pop3", "imap"):
        figures[f"{name}_ratio"] = round(rates[name] / rates["poplib"], 2)
        figures[f"{name}_ratio_20ms"] = round(rates[f"{name}_20ms"] / rates["poplib_20ms"], 1)
    return figures


# ---------------------------------------------------------------- opening


def opening(quick: bool) -> Figures:
    """Our letters against the email package: mails a second of CPU, and memory for the biggest."""
    figures: Figures = {}
    for name, size, times in (("20kb", 14_500, 400), ("1mb", 730_000, 10), ("50mb", 36_500_000, 1)):
        raw = mail(1, edi(size))
        pairs = [(_cpu(open_ours, raw, times), _cpu(open_theirs, raw, times)) for _ in range(1 if quick else 3)]
        mine, theirs = (statistics.median(each[n][0] for each in pairs) for n in (0, 1))
        figures |= {
            f"open_{name}_per_second": round(1 / mine, 1),
            f"email_{name}_per_second": round(1 / theirs, 1),
            f"open_{name}_ratio": round(theirs / mine, 1),
        }
        if name == "50mb":
            figures["open_50mb_added_mb"] = _mb(max(each[0][1] for each in pairs))
            figures["email_50mb_added_mb"] = _mb(max(each[1][1] for each in pairs))
    return figures


def open_ours(raw: bytes) -> int:
    """Bytes of the decoded attachment."""
    return len(open_letter(raw, Limits()).parts[1].data)


def open_theirs(raw: bytes) -> int:
    """The same by the email package, as it is used everywhere."""
    content = list(message_from_bytes(raw).walk())[2].get_payload(decode=True)
    assert isinstance(content, bytes)
    return len(content)


def _cpu(work: Callable[[bytes], int], raw: bytes, times: int) -> tuple[float, int]:
    memory = Memory()
    start = time.process_time()
    for _ in range(times):
        assert work(raw) > len(raw) // 2
    return (time.process_time() - start) / times, memory.added()


# ---------------------------------------------------------------- one big mail


def big_way(server: dovecot.Dovecot, size: int) -> Figures:
    """A big mail collected, processed and delivered by a process of its own: what each step adds to its memory."""
    account = server.account()
    account.put(mail(1, edi(size * 73 // 100)))
    command = [sys.executable, __file__, "--big", str(server.pop3_port), account.name, account.password]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(found.stdout)


def big(port: str, name: str, password: str) -> None:
    """The work of ``big_way``, in its process."""
    from builders.stage import Stage

    home = Path(tempfile.mkdtemp(prefix="mailbench"))
    figures: Figures = {}
    try:
        stage = Stage(home)
        context = stage.context()
        box = pop3(int(port), dovecot.Account(name, password, 0, home))
        open_letter(mail(1, edi(1_000)), Limits())  # everything is imported now
        baseline = Memory()
        collect_from(context, box)
        figures["big_collect_added_mb"] = _mb(baseline.added())
        figures["big_bytes"] = int(str(stage.rows("message")[0]["size"]))
        for step, work in (("process", process), ("deliver", deliver)):
            start = time.perf_counter()
            work(context)
            figures[f"big_{step}_seconds"] = round(time.perf_counter() - start, 2)
            figures[f"big_{step}_added_mb"] = _mb(baseline.added())
        assert stage.states("in") == ["delivered"], (stage.states("in"), stage.rows("message")[0])
        stage.engine.dispose()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures))


class Memory:
    """The peak of the process's memory from here on, above what it has now (Linux: VmHWM, set back)."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    def added(self) -> int:
        """Bytes."""
        return max(0, self._read("VmHWM") - self._before)

    def _read(self, name: str) -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) * 1024


def _mb(count: int) -> float:
    return round(count / 1_000_000, 1)


# ---------------------------------------------------------------- all of it


def sending(*, quick: bool) -> Figures:
    """Our SMTP sending against smtplib, measured by the benchmark beside this one."""
    import sending as beside  # it takes its words from here

    figures = beside.measure(quick=quick)
    return {f"sending_{name}": value for name, value in figures.items()}


def measure(words: argparse.Namespace) -> Figures:
    """Everything, or the quick part of it."""
    count, few, rounds = (800, 20, 1) if words.quick else (words.mails, 100, words.rounds)
    with dovecot.running() as server:
        figures = collecting(server, count, few, rounds)
        figures |= emptying(server, min(count, 2_000))
        figures |= big_way(server, 50_000_000)
    figures |= opening(words.quick)
    return figures | sending(quick=words.quick)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="800 mails, one round: under 50 seconds")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--proxy", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--big", nargs=3, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.proxy:
        proxy(int(words.proxy[0]), int(words.proxy[1]), float(words.proxy[2]))
    if words.big:
        big(*words.big)
        return
    found = measure(words)
    if words.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>32}  {value}")


if __name__ == "__main__":
    main()
