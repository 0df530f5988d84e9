"""Which TLS versions are spoken, and that a certificate is verified whatever the version."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings

import pytest
from servers import certificates

from gateway.errors import InsecureConnection
from gateway.mail.wire import ConnectionLostError, Endpoint, Wire, tls_context

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class Server:
    """Greets over one TLS version, once a connection."""

    def __init__(self, tls, version):
        self._context = tls.context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if version in {"1.0", "1.1"}:
                self._context.set_ciphers("ALL:@SECLEVEL=0")
            self._context.minimum_version = self._context.maximum_version = VERSIONS[version]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(5)
                with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as talk:
                    talk.sendall(b"+OK ready\r\n")
                    talk.recv(1)
                connection.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def serve(tls):
    servers = []

    def start(version):
        servers.append(Server(tls, version))
        return servers[-1].port

    yield start
    for each in servers:
        each.close()


def greeting(port, ca_file, minimum):
    wire = Wire(Endpoint("127.0.0.1", port, "tls", ca_file, 5.0, minimum))
    try:
        return wire.line()
    finally:
        wire.close()


@pytest.mark.parametrize(
    ("minimum", "spoken"),
    [("1.0", "1.0"), ("1.0", "1.1"), ("1.1", "1.1"), ("1.0", "1.3"), ("1.2", "1.2"), ("1.2", "1.3"), ("1.3", "1.3")],
)
def test_what_the_minimum_allows_is_spoken(serve, tls, minimum, spoken):
    port = serve(spoken)
    try:
        assert greeting(port, str(tls.ca_file), minimum) == b"+OK ready"
    except (InsecureConnection, ConnectionLostError) as problem:
        if spoken in {"1.0", "1.1"} and not getattr(ssl, f"HAS_TLSv1{'_1' if spoken == '1.1' else ''}"):
            pytest.skip(f"this OpenSSL has no TLS {spoken}")
        raise AssertionError(problem) from problem


@pytest.mark.parametrize(("minimum", "spoken"), [("1.2", "1.0"), ("1.2", "1.1"), ("1.1", "1.0"), ("1.3", "1.2")])
def test_what_is_older_than_the_minimum_is_not(serve, tls, minimum, spoken):
    with pytest.raises((InsecureConnection, ConnectionLostError)):
        greeting(serve(spoken), str(tls.ca_file), minimum)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_strangers_certificate_is_refused_in_every_version(serve, tmp_path, version):
    stranger = certificates.make(tmp_path)
    with pytest.raises((InsecureConnection, ConnectionLostError)):
        greeting(serve(version), str(stranger.ca_file), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_names_and_certificates_are_always_verified(version):
    context = tls_context("", version)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is VERSIONS[version]


def test_without_a_setting_nothing_older_than_1_2_is_spoken():
    assert tls_context("").minimum_version is ssl.TLSVersion.TLSv1_2
