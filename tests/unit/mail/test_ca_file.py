"""A ca_file that is missing or holds no certificate is a fault of the configuration, and names setting and file."""

from __future__ import annotations

import socket
import threading

import pytest

from gateway.errors import AuthoritiesUnusable
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials
from gateway.mail.oauth.http import getter, poster
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport

GREETINGS = {
    "pop3": (b"+OK ready\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"+OK begin\r\n"),
    "imap": (b"* OK ready\r\n", b"G1 OK\r\n"),
    "smtp": (b"220 ready\r\n", b"250-host\r\n250 STARTTLS\r\n", b"220 begin\r\n"),
}


@pytest.fixture
def host(request):
    """Greets as a host of the protocol does, and speaks as far as TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(lines):
            connection, _ = server.accept()
            with connection:
                for line in lines:
                    connection.sendall(line)
                    if not connection.recv(1000):
                        return

        threads = []

        def start(lines):
            threads.append(threading.Thread(target=serve, args=(lines,), daemon=True))
            threads[-1].start()
            return server.getsockname()[1]

        yield start
        for each in threads:
            each.join(5)


@pytest.fixture(params=["missing", "empty"])
def ca_file(request, tmp_path):
    path = tmp_path / "authorities.pem"
    if request.param == "empty":
        path.write_text("no certificate\n")
    return str(path), "No such file or directory" if request.param == "missing" else "it holds none in PEM"


def mailbox(protocol, port, security, ca_file):
    kind = Pop3Mailbox if protocol == "pop3" else ImapMailbox
    where = {"name": "orders", "host": "127.0.0.1", "port": port, "security": security}
    return kind(**where, credentials=Credentials("us", lambda: "x"), ca_file=ca_file, timeout=5.0)


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_a_mailbox_says_so(host, ca_file, protocol, security):
    file, reason = ca_file
    port = host(GREETINGS[protocol] if security == "starttls" else ())
    with pytest.raises(AuthoritiesUnusable) as met, mailbox(protocol, port, security, file).session():
        pass
    said = "and no certificate of an authority can be read from it"
    assert str(met.value) == f"mailbox.orders.ca_file names {file}, {said}: {reason}."
    assert (met.value.code, met.value.exit_code) == ("settings.ca-file", 78)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_smtp_host_is_not_asked(host, ca_file, security):
    file, reason = ca_file
    port = host(GREETINGS["smtp"] if security == "starttls" else ())
    transport = SmtpTransport(
        host="127.0.0.1", port=port, security=security, ca_file=file, timeout=5.0, credentials=Credentials("us", str)
    )
    with pytest.raises(AuthoritiesUnusable, match=f"^smtp.ca_file names .*{reason}"):
        transport.connect()


def test_where_tokens_and_people_come_from_is_not_asked(ca_file):
    file, _ = ca_file
    with pytest.raises(AuthoritiesUnusable, match=r"^oauth\.google\.ca_file names"):
        poster(file, 5.0, "oauth.google")("https://127.0.0.1:9/token", {}, "")
    with pytest.raises(AuthoritiesUnusable, match=r"^console\.oidc\.ca_file names"):
        getter(file, 5.0, "console.oidc")("https://127.0.0.1:9/keys")
