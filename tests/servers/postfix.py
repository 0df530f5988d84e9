"""The postfix fixture: a real SMTP server that hands everything to Dovecot by LMTP. It needs root."""

from __future__ import annotations

import os
import shutil
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

# Nothing leaves the machine: what is not for example.test is an error, and there is no relay.
_MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {commands}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log/mail.log
maillog_file_prefixes = {home}
myhostname = mail.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = regexp:{home}/recipients
virtual_alias_maps = regexp:{home}/aliases
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
local_transport = error:no local mail
default_transport = error:no outside mail
relay_transport = error:no outside mail
relayhost =
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_recipient_restrictions = check_recipient_access regexp:{home}/access, reject_unauth_destination
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {home}/tls/server.pem
smtpd_tls_key_file = {home}/tls/server.key
smtpd_tls_session_cache_database =
tls_random_source = dev:/dev/urandom
biff = no
message_size_limit = 60000000
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running server. It takes mail for @example.test; ``reject…@`` gets a 550 and ``grey…@`` a 451.

    Mail for ``bounce…@`` is taken and returned.
    """

    host: str
    port: int
    ca_file: Path
    home: Path

    def log(self) -> str:
        """What Postfix logged."""
        path = self.home / "log" / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture(scope="session")
def postfix(dovecot):
    """Postfix in front of Dovecot, for the whole test run."""
    with running(dovecot.lmtp_port) as server:
        yield server


@contextmanager
def running(lmtp_port: int, more: str = ""):
    """Postfix while the block runs; ``more`` goes into its main.cf."""
    program = need.program("postfix")
    if os.geteuid() != 0:
        need.absent("Postfix starts only as root")
    home = Path(tempfile.mkdtemp(prefix="pf", dir=scratch.short()))
    try:
        server = _configure(home, lmtp_port, Path(program).parent, more)
        with (home / "log" / "output.log").open("wb") as output:
            process = subprocess.Popen(
                [program, "-c", str(home / "etc"), "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait_until_up(process, server)
            yield server
        finally:
            subprocess.run([program, "-c", str(home / "etc"), "abort"], capture_output=True, check=False, timeout=20)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _configure(home: Path, lmtp_port: int, commands: Path, more: str) -> Postfix:
    home.chmod(0o755)
    for folder in ("etc", "queue", "data", "log"):
        (home / folder).mkdir()
    shutil.chown(home / "data", "postfix", "postfix")
    tls = certificates.make(home / "tls")
    server = Postfix("127.0.0.1", need.free_port(), tls.ca_file, home)
    daemons = next((each for each in ("/usr/lib/postfix/sbin", "/usr/libexec/postfix") if Path(each).is_dir()), "")
    values = {"home": home, "lmtp_port": lmtp_port, "commands": commands, "daemons": daemons, "port": server.port}
    (home / "etc" / "main.cf").write_text(_MAIN.format(**values) + more)
    (home / "etc" / "master.cf").write_text(_MASTER.format(**values))
    (home / "recipients").write_text("/@example\\.test$/ OK\n")
    (home / "aliases").write_text("/^bounce/ nobody@outside.example\n")
    (home / "access").write_text("/^reject/ REJECT no such user\n/^grey/ 451 4.7.1 greylisted\n")
    return server


def _wait_until_up(process, server: Postfix) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((server.host, server.port), 2) as connection:
                if connection.recv(100).startswith(b"220"):
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            output = (server.home / "log" / "output.log").read_text(errors="replace")
            raise RuntimeError(f"Postfix did not start:\n{output}\n{server.log()}")
        time.sleep(0.1)
