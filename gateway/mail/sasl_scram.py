"""SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, 7677), and the preparation of passwords they ask for (RFC 4013)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata

from gateway.mail.sasl_mechanisms import SaslError

# Fewer make guessing cheap for whoever listens (RFC 7677 section 4); more would only keep our processor busy.
_FEWEST, _MOST = 4_096, 1_000_000
_LONGEST = 4_000  # bytes of one message from the host

_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
_FORBIDDEN = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9, stringprep.in_table_a1,
)  # fmt: skip


class Scram:
    """One SCRAM exchange: the password never travels, and the host must prove that it knows it too.

    Without channel binding: the certificate is verified by TLS itself. ``nonce`` is random unless a test fixes it.
    """

    explanation = ""

    def __init__(self, name: str, user: str, password: str, nonce: str = "") -> None:
        self.name = name
        self.complete = False
        self._hash = _HASHES[name]
        self._password = saslprep(password).encode()
        self._nonce = nonce or secrets.token_urlsafe(24)
        escaped = saslprep(user).replace("=", "=3D").replace(",", "=2C")
        self._first = f"n={escaped},r={self._nonce}"
        self._signature = b""  # what the host must show at the end

    def initial(self) -> bytes:
        """client-first-message."""
        return f"n,,{self._first}".encode()

    def respond(self, challenge: bytes) -> bytes:
        """client-final-message, then nothing once the host's signature was checked."""
        if self.complete or len(challenge) > _LONGEST:
            raise SaslError(f"{self.name} is out of step")
        try:
            text = challenge.decode()
        except UnicodeDecodeError:
            raise SaslError(f"{self.name}: the host's message is not UTF-8") from None
        if self._signature:
            self._check_host(text)
            return b""
        return self._final(text)

    def _final(self, server_first: str) -> bytes:
        fields = _fields(server_first)
        if list(fields)[:3] != ["r", "s", "i"]:  # "m" first would be an extension that we must know
            raise SaslError(f"{self.name}: not a message of a SCRAM server")
        nonce = fields["r"]
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise SaslError(f"{self.name}: the host's nonce does not go on from ours")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, _decoded(fields["s"]), _iterations(fields["i"]))
        client_key = self._hmac(salted, b"Client Key")
        without_proof = f"c=biws,r={nonce}"  # "n,," in base64: no channel binding
        message = f"{self._first},{server_first},{without_proof}".encode()
        client_signature = self._hmac(hashlib.new(self._hash, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, client_signature, strict=True))
        self._signature = self._hmac(self._hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def _check_host(self, server_final: str) -> None:
        fields = _fields(server_final)
        if "e" in fields:
            self.explanation = fields["e"][:100]
            raise SaslError(f"{self.name}: {self.explanation!a}")
        if not hmac.compare_digest(_decoded(fields.get("v", "")), self._signature):
            raise SaslError("the host did not prove that it knows the password", impostor=True)
        self.complete = True

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._hash).digest()


def saslprep(text: str) -> str:
    """``text`` as RFC 4013 prepares user names and passwords, so that the same one typed elsewhere is the same.

    Raises:
        SaslError: it has characters that are not allowed there.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(test(each) for each in prepared for test in _FORBIDDEN):
        raise SaslError("the user name or password has characters that SASL does not allow (RFC 4013)")
    if any(map(stringprep.in_table_d1, prepared)):  # right-to-left: RFC 3454 section 6
        ends = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends or any(map(stringprep.in_table_d2, prepared)):
            raise SaslError("the user name or password mixes directions of writing (RFC 4013)")
    return prepared


def _fields(message: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in message.split(","):
        key, equals, value = each.partition("=")
        if not equals or len(key) != 1 or key in found:
            raise SaslError("not a SCRAM message")
        found[key] = value
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("not base64 within a SCRAM message") from None


def _iterations(text: str) -> int:
    count = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not _FEWEST <= count <= _MOST:
        raise SaslError(f"SCRAM with {text[:12]!a} iterations; {_FEWEST} to {_MOST} are taken")
    return count
