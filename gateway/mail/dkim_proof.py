"""DKIM signatures verified by ourselves (RFC 6376), only those that speak for the sender's own domain.

dkimpy does the canonical form and the signature of the headers; what it lets pass is refused here first: bodies signed
in part (l=), an unsigned From, SHA-1, short or revoked keys, keys for testing, signatures that have expired. The body
is hashed here too, because dkimpy holds it several times and can be made to take quadratic time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value
from msgspec import Struct

from gateway.errors import DnsUnavailable
from gateway.mail.authentication_results import aligned
from gateway.mail.decode import Raw
from gateway.mail.dkim_body import body_hash
from gateway.mail.headers import split_entity
from gateway.mail.model import Proof
from gateway.settings.model import Limits

TxtRecords = Callable[[str], bytes | None]
"""The TXT record of a name; None where there is none. Raises DnsUnavailable where that cannot be known now."""

_SIGNATURES = 5  # aligned ones that are verified
_LOOKED_AT = 50  # signatures of any domain
_SIGNATURE_SIZE = 8_000
_LONG_BLANK = re.compile(rb"\s{60}")  # more would make dkimpy's expressions slow
_SHORTEST_KEY = 1024  # bits
_RECORD_SIZE = 4_000
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_FORMS = frozenset({"simple", "relaxed"})
_NUMBER = re.compile(r"[0-9]{1,12}")
_MANDATORY = ("v", "a", "b", "bh", "d", "h", "s")
_NEWEST = 86_400  # seconds that a signature may be ahead of us


class _Signature(Struct, frozen=True):
    """One DKIM-Signature header: its tags as text, and the field as dkimpy wants it."""

    tags: Mapping[str, str]
    raw_tags: dict[bytes, bytes]
    field: tuple[bytes, bytes]

    @property
    def name(self) -> str:
        """Where its key is published (RFC 6376 section 3.6.2.1)."""
        return f"{self.tags['s']}._domainkey.{self.domain}".lower()

    @property
    def domain(self) -> str:
        """d=, in lower case."""
        return self.tags.get("d", "").lower()

    @property
    def signed_headers(self) -> list[bytes]:
        """h=, in lower case."""
        return [each.strip().lower().encode("utf-8", "replace") for each in self.tags["h"].split(":")]

    @property
    def forms(self) -> tuple[str, str]:
        """The canonical forms of headers and body (c=)."""
        headers, _, body = self.tags.get("c", "simple").partition("/")
        return headers, body or "simple"


class _Refused(Exception):  # noqa: N818 - an outcome, not an error
    """A signature proves nothing, for the reason given."""


def dkim_proof(raw: Raw, address: str, txt: TxtRecords, at: float, limits: Limits) -> tuple[Proof | None, str]:
    """Whether a signature of the domain of ``address`` is valid: (the proof, or None; what was found instead).

    Args:
        raw: the mail as it came.
        address: the one address of the only From header, normalised.
        txt: asks the DNS.
        at: when the mail came, in seconds since 1970 UTC: what had expired by then counts for nothing.
        limits: the bounds on what is read.

    Raises:
        DnsUnavailable: no signature is valid, and the key of one could not be asked for.
        MessageFault: the headers cannot be read.
    """
    _, body = split_entity(raw, 0, len(raw), limits)
    try:
        mail = dkim.DKIM(bytes(raw[:body]), minkey=_SHORTEST_KEY)
    except Exception:  # noqa: BLE001 - whatever dkimpy makes of hostile headers
        return None, "the headers are in no form that a signature could cover"
    signatures = _signatures(mail, address.rpartition("@")[2].lower())
    if not signatures:
        return None, f"no DKIM signature of {address.rpartition('@')[2]}"
    reasons: list[str] = []
    unknown: DnsUnavailable | None = None
    for each in signatures:
        try:
            return _verified(mail, each, raw, body, txt, at), ""
        except _Refused as refused:
            reasons.append(f"the DKIM signature of {each.domain} ({each.tags.get('s', '')[:60]}) {refused}")
        except DnsUnavailable as fault:
            unknown = unknown or fault
    if unknown is not None:
        raise unknown
    return None, "; ".join(reasons[:3])


def _signatures(mail: dkim.DKIM, domain: str) -> list[_Signature]:
    """The signatures that speak for the domain, in the order of the headers; unreadable ones do not."""
    found: list[_Signature] = []
    fields = [(name, value) for name, value in mail.headers if name.lower() == b"dkim-signature"]
    for name, value in fields[:_LOOKED_AT]:
        if len(value) > _SIGNATURE_SIZE or _LONG_BLANK.search(value):
            continue
        tags = _tags(value)
        signature = _Signature({k.decode("latin-1"): _text(v) for k, v in tags.items()}, tags, (name, value))
        if aligned(signature.domain, domain):
            found.append(signature)
    return found[:_SIGNATURES]


def _tags(value: bytes) -> dict[bytes, bytes]:
    """The tags of a signature or a key; none where they are no list of tags (a tag twice is none)."""
    try:
        return dict(parse_tag_value(value))
    except (InvalidTagValueList, ValueError, IndexError):
        return {}


def _text(value: bytes) -> str:
    return "".join(value.decode("utf-8", "replace").split())


# ---------------------------------------------------------------- one signature


def _verified(mail: dkim.DKIM, signature: _Signature, raw: Raw, body: int, txt: TxtRecords, at: float) -> Proof:
    """The proof that a valid signature is.

    Raises:
        _Refused: with the reason.
        DnsUnavailable: its key cannot be asked for.
    """
    _check_tags(signature, at)
    if body_hash(raw, body, signature.forms[1]) != _base64(signature.tags["bh"]):
        raise _Refused("covers another body")
    record = txt(signature.name)
    key = _check_key(signature, record)
    if not _headers_match(mail, signature, record):
        raise _Refused("does not fit the headers")
    detail = (
        ("domain", signature.domain),
        ("selector", signature.tags["s"]),
        ("algorithm", signature.tags["a"].lower()),
        ("key", hashlib.sha256(key).hexdigest()),
    )
    return Proof("dkim", detail)


def _headers_match(mail: dkim.DKIM, signature: _Signature, record: bytes | None) -> bool:
    """Whether the signature fits the headers; dkimpy looks for a second From by itself."""
    tags = {name: value for name, value in signature.raw_tags.items() if name != b"bh"}  # the body is checked already
    try:
        return bool(mail.verify_sig(tags, signature.signed_headers, signature.field, lambda *_, **__: record))
    except Exception as problem:
        raise _Refused(f"cannot be verified ({str(problem)[:80] or type(problem).__name__})") from problem


def _check_tags(signature: _Signature, at: float) -> None:
    """What RFC 6376 section 6.1.1 and we refuse before any key is asked for."""
    tags = signature.tags
    missing = [name for name in _MANDATORY if not tags.get(name)]
    headers, body = signature.forms
    checks = (
        (missing, f"has no {'= and no '.join(missing)}="),
        (tags.get("v") != "1", "is of another version"),
        (tags.get("a", "").lower() != "rsa-sha256", f"uses {tags.get('a', '')[:20]}, where only rsa-sha256 counts"),
        ("l" in tags, "covers only the beginning of the body (l=)"),
        (not {headers, body} <= _FORMS, "has unknown canonical forms"),
        (tags.get("q", "dns/txt") != "dns/txt", "has its key elsewhere than in the DNS"),
        ("from" not in tags.get("h", "").lower().split(":"), "does not cover From"),
        (not missing and _NAME.fullmatch(signature.name) is None, "names no place for its key"),
        (not _speaks_for(tags.get("i", ""), signature.domain), "signs for somebody else (i=)"),
    )
    for wrong, reason in checks:
        if wrong:
            raise _Refused(reason)
    _check_times(tags, at)


def _check_times(tags: Mapping[str, str], at: float) -> None:
    for name in ("t", "x"):
        if name in tags and _NUMBER.fullmatch(tags[name]) is None:
            raise _Refused(f"has no time in {name}=")
    if "x" in tags and int(tags["x"]) <= max(at, int(tags.get("t", "0"))):
        raise _Refused("had expired when the mail came")
    if "t" in tags and int(tags["t"]) > at + _NEWEST:
        raise _Refused("was made in the future")


def _speaks_for(agent: str, domain: str) -> bool:
    """i= is of d= or below it (RFC 6376 section 3.5)."""
    host = agent.rpartition("@")[2].lower()
    return not agent or host == domain or host.endswith(f".{domain}")


def _check_key(signature: _Signature, record: bytes | None) -> bytes:
    """The public key in a record, once it may be used for this signature (RFC 6376 section 3.6.1)."""
    if record is None:
        raise _Refused("has no key in the DNS")
    tags = {name.decode("latin-1"): _text(value) for name, value in _tags(record[:_RECORD_SIZE]).items()}
    flags = tags.get("t", "").lower().split(":")
    checks = (
        (not tags or len(record) > _RECORD_SIZE or tags.get("v", "DKIM1") != "DKIM1", "has no readable key in the DNS"),
        (not tags.get("p"), "has a key that was revoked"),
        (tags.get("k", "rsa").lower() != "rsa", "has a key of another kind"),
        ("h" in tags and "sha256" not in tags["h"].lower().split(":"), "has a key that is not for SHA-256"),
        (not {"*", "email"} & set(tags.get("s", "*").lower().split(":")), "has a key that is not for mail"),
        ("y" in flags, "has a key that is only being tested (t=y)"),
        ("s" in flags and not _exactly(signature), "has a key that is not for subdomains (t=s)"),
    )
    for wrong, reason in checks:
        if wrong:
            raise _Refused(reason)
    key = _base64(tags["p"])
    if key is None:
        raise _Refused("has no readable key in the DNS")
    return key


def _exactly(signature: _Signature) -> bool:
    agent = signature.tags.get("i", "")
    return not agent or agent.rpartition("@")[2].lower() == signature.domain


def _base64(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
