"""The dovecot fixture: POP3 (STLS), POP3S, IMAP (STARTTLS), IMAPS and LMTP, unprivileged on free loopback ports."""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import scratch

from servers import certificates, need

_PASSWORD = "correct-horse"
_COUNT = itertools.count(1)

_CONFIG = """
base_dir = {home}/run
instance_name = edi-test
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
log_path = {home}/log/dovecot.log
protocols = pop3 imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{home}/tls/server.pem
ssl_key = <{home}/tls/server.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:{home}/mail/%u
mail_fsync = optimized
mail_max_userip_connections = 50
{more}
# Any name at all is an account, so that each test has one of its own.
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u allow_all_users=yes
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0600
  }}
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
protocol pop3 {{
  pop3_no_flag_updates = yes
  pop3_lock_session = yes
}}
"""


@dataclass(frozen=True)
class Account:
    """One mailbox on the Dovecot server."""

    name: str
    password: str
    lmtp_port: int
    maildir: Path

    def deliver(self, raw: bytes) -> None:
        """Delivers one mail by LMTP, as a mail system would."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port) as lmtp:
            lmtp.sendmail("sender@example.com", [self.name], raw)

    def put(self, raw: bytes) -> None:
        """Puts one mail straight into the Maildir: no Return-Path, no Received, and fast."""
        new = self.maildir / "new"
        owner = self.maildir.parent.stat()
        for folder in (self.maildir, self.maildir / "cur", new, self.maildir / "tmp"):
            if not folder.is_dir():
                folder.mkdir(parents=True)
                os.chown(folder, owner.st_uid, owner.st_gid)
        name = f"{time.time():.6f}.{next(_COUNT):08d}.test"
        written = self.maildir / "tmp" / name
        written.write_bytes(raw)
        os.chown(written, owner.st_uid, owner.st_gid)
        written.rename(new / name)

    def waiting(self, folder: str = "") -> list[bytes]:
        """The raw mails in new/ and cur/ of the inbox, or of a folder as it is called on the disk (".Done")."""
        folders = [self.maildir / folder / "new", self.maildir / folder / "cur"]
        return [path.read_bytes() for each in folders if each.is_dir() for path in sorted(each.iterdir())]


@dataclass(frozen=True)
class Dovecot:
    """A running server. Every user name is an account with the password ``password``."""

    host: str
    pop3_port: int
    pop3s_port: int
    imap_port: int
    imaps_port: int
    lmtp_port: int
    ca_file: Path
    home: Path
    password: str = _PASSWORD

    def account(self, name: str = "") -> Account:
        """A mailbox; without a name a new, empty one."""
        name = name or f"box{next(_COUNT)}@example.test"
        return Account(name, self.password, self.lmtp_port, self.home / "mail" / name)

    def log(self) -> str:
        """What Dovecot logged."""
        path = self.home / "log" / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture(scope="session")
def dovecot():
    """Dovecot, for the whole test run."""
    with running() as server:
        yield server


@contextmanager
def running(mechanisms="plain login", more=""):
    """Dovecot while the block runs; benchmarks use it without pytest. ``more`` goes into its configuration."""
    program = need.program("dovecot")
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    # UNIX socket paths are limited to about 100 bytes: pytest's own directories are too deep.
    home = Path(tempfile.mkdtemp(prefix="dc", dir=scratch.short()))
    try:
        server = _configure(home, user, mechanisms, more)
        process = subprocess.Popen(
            need.as_user(user, [program, "-F", "-c", str(home / "dovecot.conf")]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_until_up(process, server)
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _configure(home: Path, user: str, mechanisms: str, more: str) -> Dovecot:
    tls = certificates.make(home / "tls")
    for folder in ("run", "log", "mail"):
        (home / folder).mkdir()
    server = Dovecot(
        host="127.0.0.1",
        pop3_port=need.free_port(),
        pop3s_port=need.free_port(),
        imap_port=need.free_port(),
        imaps_port=need.free_port(),
        lmtp_port=need.free_port(),
        ca_file=tls.ca_file,
        home=home,
    )
    group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    values = {
        "home": home, "user": user, "group": group, "password": _PASSWORD, "pop3_port": server.pop3_port,
        "pop3s_port": server.pop3s_port, "imap_port": server.imap_port, "imaps_port": server.imaps_port,
        "lmtp_port": server.lmtp_port, "mechanisms": mechanisms, "more": more,
    }  # fmt: skip
    (home / "dovecot.conf").write_text(_CONFIG.format(**values))
    if os.geteuid() == 0:
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, user, group)
    home.chmod(0o755)
    return server


def _wait_until_up(process, server: Dovecot) -> None:
    deadline = time.monotonic() + 20
    for port in (server.pop3_port, server.pop3s_port, server.imap_port, server.imaps_port, server.lmtp_port):
        while True:
            try:
                socket.create_connection((server.host, port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Dovecot did not start:\n{server.log()}") from None
                time.sleep(0.05)


def _stop(process) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
