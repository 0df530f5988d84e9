"""Seals: how far the ledger's tree had come and its root, signed, to be kept where the ledger cannot be rewritten.

A seal is a signed note with a checkpoint in it, as transparency logs write them: the origin, the number of leaves and
the root hash in base64, each on a line; then lines of ours (``event`` and ``time``), an empty line, and a line with
the signature (Ed25519, RFC 8032). A key is named by its owner, and by the first four bytes of
SHA-256(name ‖ LF ‖ 0x01 ‖ public key). Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from gateway.errors import SealInvalid

_ED25519 = b"\1"  # the algorithm's number in signed notes
_DASH = "\N{EM DASH} "
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
_SEAL = re.compile(
    r"([^\n]{1,300})\n([0-9]{1,18})\n([A-Za-z0-9+/]{43}=)\nevent ([0-9]{1,18})\ntime ([0-9TZ:-]{20})", re.ASCII
)


class Seal(Struct, frozen=True):
    """A checkpoint: ``seq`` is the last event of its ``size`` leaves, ``time`` when it was made (ISO 8601, UTC)."""

    origin: str
    size: int
    root: bytes
    seq: int
    time: str

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\nevent {self.seq}\ntime {self.time}\n"


class SealKey(Struct, frozen=True):
    """The public half of the key that signs: what an auditor keeps."""

    name: str
    public: bytes  # 32 bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> SealKey:
        """A key as ``str`` wrote it: ``name+id+key``.

        Raises:
            SealInvalid: it is none.
        """
        name, _, rest = text.strip().partition("+")
        _, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.fullmatch(name):
            raise SealInvalid(what=f"the key {text.strip()[:60]!r}", reason="it is not of the form name+id+key")
        key = cls(name, raw[1:])
        if str(key) != text.strip():
            raise SealInvalid(what=f"the key {name}", reason="its id does not belong to it")
        return key


def make_seal(origin: str, size: int, root: bytes, seq: int, at: int) -> Seal:
    """A seal for the tree as it stands; ``at`` is ms since 1970 UTC."""
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Seal(origin, size, root, seq, time)


def new_key() -> bytes:
    """The private half of a new key, 32 bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def private_key(written: str) -> bytes:
    """The private half as it is kept: 64 hexadecimal digits.

    Raises:
        SealInvalid: it is none.
    """
    try:
        found = bytes.fromhex(written)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise SealInvalid(what="the secret seal", reason="it is not a private key of 64 hexadecimal digits")
    return found


def public_key(name: str, private: bytes) -> SealKey:
    """The public half of a key."""
    return SealKey(name, Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def sign(seal: Seal, name: str, private: bytes) -> str:
    """The signed note."""
    key = public_key(name, private)
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(seal.text.encode())
    return f"{seal.text}\n{_DASH}{name} {_base64(key.id + signature)}\n"


def opened(note: str, key: SealKey) -> Seal:
    """The seal in a signed note, once the signature of ``key`` has been checked.

    The name beside it is that of the ledger when it was made: the same key may have had another one since.

    Raises:
        SealInvalid: it is not signed by that key, or is no seal.
    """
    seal = read(note)
    text = note.partition("\n\n")[0] + "\n"
    if text != seal.text:
        raise SealInvalid(what=f"the seal over {seal.size} leaves", reason="it has lines that do not belong there")
    for name, raw in _signatures(note):
        if raw[:4] != SealKey(name, key.public).id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
        except InvalidSignature:
            break
        return seal
    raise SealInvalid(what=f"the seal over {seal.size} leaves", reason=f"the signature of {key.name} does not fit")


def read(note: str) -> Seal:
    """What a note says, whoever signed it.

    Raises:
        SealInvalid: it is no seal.
    """
    text = note.partition("\n\n")[0]
    matched = _SEAL.fullmatch(text)
    if matched is None:
        raise SealInvalid(what=f"the note {text[:60]!r}", reason="it is not a seal of a ledger")
    origin, size, root, event, time = matched.groups()
    return Seal(origin, int(size), base64.b64decode(root), int(event), time)


def notes(text: str) -> Iterator[str]:
    """The signed notes of a file to which one was appended after the other."""
    body: list[str] = []
    signed = False
    for line in text.splitlines():
        if line.startswith(_DASH):
            signed = True
        elif signed and line:
            yield _note(body)
            body, signed = [], False
        if body or line:
            body.append(line)
    if body:
        yield _note(body)


def _note(lines: list[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _signatures(note: str) -> Iterator[tuple[str, bytes]]:
    for line in note.partition("\n\n")[2].split("\n"):
        who, _, encoded = line.removeprefix(_DASH).rpartition(" ")
        if line.startswith(_DASH) and _NAME.fullmatch(who):
            try:
                yield who, base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
