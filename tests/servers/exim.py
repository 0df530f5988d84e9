"""The exim fixture: a second real SMTP server, which refuses what it is asked to, and hands over to Dovecot by LMTP."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import scratch

from servers import certificates, need

USER = "Debian-exim"  # the user that Debian's Exim was compiled for; it runs as no other
BESIDE = "/usr/local/lib/exim4-beside/exim4"  # where tools/debian_packages.sh unpacks it beside another mail server

# Senders say what happens to their mails: mail-grey@, data-reject@, dot-grey@ …; recipients too: reject…@ and grey…@;
# mail for bounce…@ is taken and returned.
_CONFIG = """
exim_path = {program}
spool_directory = {home}/spool
log_file_path = {home}/log/%s
pid_file_path = {home}/exim.pid
primary_hostname = mail.exim.test
host_lookup =
keep_environment =
add_environment =
no_local_from_check
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
smtp_accept_max = 100
smtp_accept_max_per_host = {most}
smtp_accept_queue_per_connection = 0
message_size_limit = 60M
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {home}/tls/server.pem
tls_privatekey = {home}/tls/server.key
domainlist ours = example.test
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_predata = predata
acl_smtp_data = data
begin acl
mail:
  deny message = 550 5.7.1 sender refused
       senders = ^mail-reject@
  defer message = 450 4.7.1 sender greylisted
       senders = ^mail-grey@
  accept
rcpt:
  deny message = 550 5.1.1 no such user
       local_parts = ^reject
  defer message = 451 4.7.1 greylisted
       local_parts = ^grey
  accept domains = +ours
  deny message = 550 5.7.1 relaying denied
predata:
  deny message = 554 5.7.1 no data from you
       senders = ^data-reject@
  defer message = 451 4.3.0 no data now
       senders = ^data-grey@
  accept
data:
  deny message = 554 5.6.0 content refused
       senders = ^dot-reject@
  defer message = 451 4.3.0 content put off
       senders = ^dot-grey@
  accept senders = ^dot-slow@
         delay = 2s
  accept
begin routers
late:
  driver = redirect
  local_parts = ^bounce
  data = :fail: no such user, found out late
  allow_fail
ours:
  driver = manualroute
  domains = +ours
  transport = lmtp
  route_list = * 127.0.0.1 byname
  self = send
begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = {lmtp_port}
  allow_localhost
  hosts_try_fastopen =
begin retry
* * F,2h,1s
"""


@dataclass(frozen=True)
class Exim:
    """A running server. It takes mail for @example.test and no more than ``most`` connections at once."""

    host: str
    port: int
    most: int
    ca_file: Path
    home: Path

    def log(self) -> str:
        """What Exim logged of mails."""
        path = self.home / "log" / "main"
        return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture(scope="session")
def exim(dovecot):
    """Exim in front of Dovecot, for the whole test run."""
    program = BESIDE if Path(BESIDE).exists() else need.program("exim4")
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        need.absent(f"there is no user {USER}")
    if os.geteuid() not in {0, user.pw_uid}:
        need.absent(f"Exim starts only as root or {USER}")
    home = Path(tempfile.mkdtemp(prefix="ex", dir=scratch.short()))
    try:
        server = _configure(home, dovecot.lmtp_port, program)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{USER}:", str(home)], check=True)
        command = need.as_user(USER, [program, "-C", str(home / "exim.conf"), "-bdf"])
        with (home / "log" / "output").open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        try:
            _wait_until_up(process, server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _configure(home: Path, lmtp_port: int, program: str) -> Exim:
    home.chmod(0o755)
    for folder in ("spool", "log"):
        (home / folder).mkdir()
    tls = certificates.make(home / "tls")
    server = Exim("127.0.0.1", need.free_port(), 3, tls.ca_file, home)
    values = {"home": home, "lmtp_port": lmtp_port, "program": program, "port": server.port, "most": server.most}
    (home / "exim.conf").write_text(_CONFIG.format(**values))
    (home / "exim.conf").chmod(0o644)
    return server


def _wait_until_up(process, server: Exim) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((server.host, server.port), 2) as connection:
                if connection.recv(100).startswith(b"220"):
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            output = (server.home / "log" / "output").read_text(errors="replace")
            raise RuntimeError(f"Exim did not start:\n{output}\n{server.log()}")
        time.sleep(0.1)
