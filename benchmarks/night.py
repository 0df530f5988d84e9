"""A night under load: N mails with an 850 each, from a Dovecot mailbox to delivered files and mailed 997s.

Beside it, in the same run, the floor: bare poplib RETR of the same mails with one fsync each, and bare
smtplib sending of the same 997s over one connection. Needs Dovecot; the SMTP sink is postfix's smtp-sink
where it is installed, else the embedded host in a process of its own.

    python benchmarks/night.py [--mails 1000] [--quick] [--json] [--database URL]
    python benchmarks/night.py --processes 1  # all in one: its CPU, slowed down by no other process on the same core
    python benchmarks/night.py --workers 2    # the same by workers on PostgreSQL, which is started for it
    python benchmarks/night.py --ledger FILE  # on a copy of a ledger (SQLite) of benchmarks/ledger.py --keep
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import poplib
import random
import resource
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from servers import dovecot, need, postgres  # noqa: E402

from gateway.app import KEY_FILE, open_app  # noqa: E402
from gateway.demo.documents import interchange, order  # noqa: E402
from gateway.flow.night import STEPS, night  # noqa: E402
from gateway.flow.reporter import Tally  # noqa: E402
from gateway.jobs.queue import install  # noqa: E402
from gateway.ledger.database import open_engine, upgrade  # noqa: E402
from gateway.ledger.secrets import make_key  # noqa: E402
from partners.profile import read_profile  # noqa: E402

poplib._MAXLINE = 1 << 20  # noqa: SLF001 - the floor shall not die on a long line
WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)
PROFILE = """
key = "acme"
name = "ACME"
status = "live"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACMERETAIL"]
[[agreement]]
name = "orders"
direction = "in"
sets = ["850"]
versions = ["004010"]
"""
SETTINGS = """
[gateway]
name = "Bench"
domain = "bench.example"
identities = ["ZZ:EXAMPLECO"]
processes = {processes}
[database]
url = "{url}"
[mailbox.orders]
protocol = "pop3"
host = "127.0.0.1"
port = {pop3}
security = "none"
plaintext_password = true
user = "{user}"
[smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"
sender = "edi@bench.example"
"""


def mails(number: int) -> list[bytes]:
    """Mails with one 850 each of 5 to 18 KB, as base64 attachments."""
    chance = random.Random(7)
    found = []
    for n in range(1, number + 1):
        segments = list(order(f"PO-{n}", WHEN))
        lines = chance.randint(90, 330)
        body = [f"PO1*{k}*{k % 90 + 1}*EA*{k}.95**BP*AC-{k:05}*VP*EX-{k:05}" for k in range(1, lines + 1)]
        segments = [*segments[:7], *body, f"CTT*{lines}"]
        data = interchange("ZZ:ACMERETAIL", "ZZ:EXAMPLECO", n, WHEN, [("PO", "004010", [segments])])
        message = EmailMessage()
        message["From"], message["To"] = "edi@acme.example", "edi@bench.example"
        message["Subject"], message["Message-ID"] = f"Order {n}", f"<{n}@acme.example>"
        message.set_content("see attachment")
        message.add_attachment(data, maintype="application", subtype="EDI-X12", filename=f"{n}.edi")
        found.append(message.as_bytes(policy=SMTP))
    return found


@contextlib.contextmanager
def smtp_sink():
    """A port that takes any mail and forgets it."""
    port = need.free_port()
    sink = shutil.which("smtp-sink", path=":".join(need.PLACES))
    command = [sink, "-c", f"127.0.0.1:{port}", "1000"] if sink else [sys.executable, __file__, "--sink", str(port)]
    if sink and os.geteuid() == 0:
        command[1:1] = ["-u", "nobody"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def floor(host: str, port: int, user: str, password: str, sink: int, number: int, directory: Path) -> float:
    """Seconds for bare poplib RETR with an fsync a mail, and bare smtplib sending of as many 997-sized mails."""
    start = time.perf_counter()
    box = poplib.POP3(host, port, timeout=60)
    box.user(user)
    box.pass_(password)
    for n in range(1, number + 1):
        data = b"\r\n".join(box.retr(n)[1])
        with (directory / f"{n}.eml").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    box.close()  # nothing is deleted: the gateway wants them too
    answer = ("From: edi@bench.example\r\nTo: edi@acme.example\r\nSubject: 997\r\n\r\n" + "x" * 1100 + "\r\n").encode()
    smtp = smtplib.SMTP("127.0.0.1", sink, timeout=60)
    for _ in range(number):
        smtp.sendmail("edi@bench.example", ["edi@acme.example"], answer)
    smtp.quit()
    return time.perf_counter() - start


class Steps(Tally):
    """Remembers when each step of the night began."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[tuple[str, float]] = []

    def step(self, name: str, total: int = 0) -> None:
        """Notes the time."""
        self.began.append((name, time.perf_counter()))


def measure(
    number: int, database: str, workers: int = 0, ledger: str = "", server: int = 0, processes: int = 3
) -> dict[str, object]:
    """One run: the floor and the night over the same mails. ``server``: PostgreSQL's first process, if it is ours."""
    if workers and not database:
        # As a server is set up that shall lose nothing; more memory than the smallest.
        with postgres.running(("listen_addresses=127.0.0.1", "shared_buffers=128MB", "max_wal_size=2GB")) as started:
            os.environ["GATEWAY_SECRET_DATABASE"] = started.password
            url = started.fresh_database().replace(started.password.replace(" ", "%20"), "{password}")
            assert started.process is not None
            return measure(number, url, workers, server=started.process.pid)
    home = Path(tempfile.mkdtemp(prefix="night"))
    try:
        with dovecot.running() as mail_host, smtp_sink() as sink:
            account = mail_host.account()
            written = mails(number)
            for raw in written:
                account.put(raw)
            (home / "floor").mkdir()
            place = home / "floor"
            bare = floor(mail_host.host, mail_host.pop3_port, account.name, account.password, sink, number, place)
            if ledger:
                shutil.copyfile(ledger, home / "ledger.db")
            url = database or f"sqlite:///{home / 'ledger.db'}"
            prepare(home, url, mail_host.pop3_port, account, sink, processes)
            size = sum(map(len, written))
            return run_workers(home, number, size, bare, workers, server) if workers else run(home, number, size, bare)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def apart():
    """Temporary files of this run stand apart from what earlier runs deleted.

    Before ext4 takes an inode it looks at all beside it that were freed in the last minutes: in a directory where
    thousands of files were deleted just now, making one takes twenty times as long. In a top directory (FS_TOPDIR_FL)
    each new directory gets a place of its own.
    """
    before = tempfile.gettempdir()
    top = tempfile.mkdtemp(prefix="nights")
    if chattr := shutil.which("chattr"):
        subprocess.run([chattr, "+T", top], stderr=subprocess.DEVNULL, check=False)
    tempfile.tempdir = top
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(top, ignore_errors=True)


def prepare(home: Path, url: str, pop3: int, account: dovecot.Account, sink: int, processes: int = 3) -> None:
    """A home for the run."""
    words = {"url": url, "pop3": pop3, "user": account.name, "smtp": sink, "processes": processes}
    (home / "gateway.toml").write_text(SETTINGS.format(**words))
    make_key(home / KEY_FILE)
    engine = open_engine(url.replace("{password}", os.environ.get("GATEWAY_SECRET_DATABASE", "").replace(" ", "%20")))
    upgrade(engine)
    install(engine)
    engine.dispose()
    with open_app(home) as app:
        app.secrets.set("mailbox.orders", account.password, by="bench", at=app.now())
        app.partners.apply([(read_profile(PROFILE), PROFILE, "acme.toml")], by="bench", at=app.now())


def run(home: Path, number: int, size: int, bare: float) -> dict[str, object]:
    """The night itself in a process of its own, which holds nothing of what was made for it."""
    command = [sys.executable, __file__, "--inside", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        together = 0
        while process.poll() is None:
            together = max(together, _together_kb(process.pid))
            time.sleep(0.2)
        assert process.stdout is not None
        found = json.loads(process.stdout.read())
    counts, wall = found["counts"], found["wall"]
    assert counts["documents delivered"] == number, counts
    assert counts["mails sent"] >= number, counts  # a filled ledger may owe one more
    return {
        "mails": number,
        "mean_size": size // number,
        "messages_per_second": round(number / wall, 1),
        "cpu_ms_per_message": round(found["cpu"] * 1000 / number, 2),
        "floor_messages_per_second": round(number / bare, 1),
        "ratio_to_floor": round(bare / wall, 2),
        "peak_rss_mb": found["peak"] // 1024,
        "peak_rss_mb_other_processes": found["peak_others"] // 1024,
        "peak_pss_mb_together": together // 1024,  # what is shared counts once
        "steps_seconds": found["steps"],
    }


def inside(home: Path) -> None:
    """The night of a home, with what each step took; prints it as JSON."""
    steps = Steps()
    cpu, start = _cpu(), time.perf_counter()
    with open_app(home, lock=True) as app:
        summary = night(app.context, steps)
    wall, cpu = time.perf_counter() - start, _cpu() - cpu
    ends = [began for _, began in steps.began[1:]] + [start + wall]
    found = {
        "counts": summary.counts,
        "wall": wall,
        "cpu": cpu,
        "peak": _peak_kb(),
        "peak_others": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        "steps": {name: round(end - began, 2) for (name, began), end in zip(steps.began, ends, strict=True)},
    }
    print(json.dumps(found))


def run_workers(home: Path, number: int, size: int, bare: float, workers: int, server: int) -> dict[str, object]:
    """The same by workers, from the first one's readiness until the last mail is sent and recorded."""
    command = [sys.executable, "-m", "gateway", "--home", str(home), "worker", "--json"]
    with open_app(home) as app, (home / "workers.log").open("wb") as log:
        processes = [subprocess.Popen(command, stdout=log, stderr=log) for _ in range(workers)]
        try:
            while b'"started"' not in (home / "workers.log").read_bytes():
                time.sleep(0.005)
            start, database_cpu = time.perf_counter(), _server_cpu(server)
            while (done := _done(app)) < number:
                assert all(each.poll() is None for each in processes), (home / "workers.log").read_text()
                time.sleep(0.1)
            wall, database_cpu = time.perf_counter() - start, _server_cpu(server) - database_cpu
            peak = max(_peak_kb(each.pid) for each in processes)
        finally:
            for each in processes:
                each.terminate()
            for each in processes:
                each.wait()
    assert done == number
    return {
        "mails": number,
        "workers": workers,
        "mean_size": size // number,
        "messages_per_second": round(number / wall, 1),
        "cpu_ms_per_message": round(_worker_cpu(home) * 1000 / number, 2),
        "database_cpu_ms_per_message": round(database_cpu * 1000 / number, 2),
        "floor_messages_per_second": round(number / bare, 1),
        "ratio_to_floor": round(bare / wall, 2),
        "peak_rss_mb": peak // 1024,
    }


def _done(app: object) -> int:
    """How many acknowledgments are sent of orders that are delivered."""
    from sqlalchemy import func, select

    from gateway.ledger.tables import exchange
    from gateway.ledger.waiting import mails_waiting, messages_waiting

    states = ("delivered", "complete")
    with app.ledger.reading() as connection:  # type: ignore[attr-defined]
        if messages_waiting(connection) or mails_waiting(connection, app.now()):  # type: ignore[attr-defined]
            return 0  # to count all exchanges again and again would be a part of what is measured
        counted = select(exchange.c.state, func.count()).where(exchange.c.state.in_(states)).group_by(exchange.c.state)
        found = dict(connection.execute(counted).all())
    return min(found.get(each, 0) for each in states)


def _server_cpu(server: int) -> float:
    """CPU seconds that PostgreSQL has taken so far, in all its processes: its first one counts those that ended."""
    if not server:
        return 0.0
    ticks = 0
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            values = each.read_text().rpartition(")")[2].split()  # from the state on: the third of proc(5)
            if each.parent.name == str(server):
                ticks += sum(map(int, values[11:15]))
            elif values[1] == str(server):
                ticks += sum(map(int, values[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _worker_cpu(home: Path) -> float:
    """CPU seconds that the workers say they took once they had started; the database's own are not in it."""
    lines = [json.loads(line) for line in (home / "workers.log").read_text().splitlines() if line.startswith("{")]
    sign = {"started": -1, "ended": 1}
    return sum(sign[line["event"]] * line["cpu_seconds"] for line in lines if line["event"] in sign)


def _peak_kb(process: int | str = "self") -> int:
    """The most memory that a process held (Linux counts it from its beginning, elsewhere from its parent's)."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _together_kb(process: int) -> int:
    """The memory of a process and its children together, what they share counted once (Linux; else 0)."""
    found = 0
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
        for each in (process, *children):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text("ascii").splitlines()
            found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found


def _cpu() -> float:
    """CPU seconds so far, those of the second process included once it has ended."""
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="300 mails: under 50 seconds")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--database", default="", help="a PostgreSQL url (default: SQLite)")
    parser.add_argument("--ledger", default="", help="begin with a copy of this filled SQLite ledger")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help="so many workers on PostgreSQL instead of one process")
    parser.add_argument("--processes", type=int, default=3, help="of the gateway: 1 does everything in one")
    words = parser.parse_args()
    if words.sink:
        sink(words.sink)
        return
    if words.inside:
        inside(words.inside)
        return
    with apart():
        number = 300 if words.quick else words.mails
        found = measure(number, words.database, words.workers, words.ledger, processes=words.processes)
    if words.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>28}  {value}")
    print(f"{'steps':>28}  {', '.join(name for name, _ in STEPS)}")


def sink(port: int) -> None:
    """The embedded host's SMTP on a fixed port, when smtp-sink is not installed."""
    from aiosmtpd.controller import Controller

    class Forget:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
            return "250 forgotten"

    Controller(Forget(), hostname="127.0.0.1", port=port).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
