"""DKIM verified by ourselves: only a whole, current, aligned signature proves a sender."""

import base64
import hashlib
import time
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dns.exception import Timeout
from dns.message import make_query
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers

from gateway.errors import DnsUnavailable
from gateway.mail.dkim_body import body_hash
from gateway.mail.dkim_proof import dkim_proof
from gateway.mail.txt_records import DnsTxtRecords, no_dns
from gateway.settings.model import Limits

NOW = int(time.time())
SENDER = "edi@acme.example"
PLAIN = (
    b"From: ACME <edi@acme.example>\r\nTo: edi@us.example\r\nSubject: an\r\n order\r\nMIME-Version: 1.0\r\n\r\n"
    b"ISA*00*  one  two\t\r\n\r\nthree \r\n\r\n\r\n"
)


@cache
def key(bits=2048):
    return rsa.generate_private_key(65537, bits)


def public(bits=2048):
    return base64.b64encode(key(bits).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def record(bits=2048, tags=b"v=DKIM1; k=rsa; "):
    return tags + b"p=" + public(bits)


def sign(raw=PLAIN, domain="acme.example", bits=2048, selector="s1", **options):
    pem = key(bits).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return dkim.sign(raw, selector.encode(), domain.encode(), pem, **options) + raw


def retagged(change, **options):
    """A mail whose signature says something else, signed anew over what it says."""
    made = dkim.DKIM.gen_header

    def generate(self, fields, *rest, **named):
        return made(self, change(list(fields)), *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim.DKIM, "gen_header", generate)
        return sign(**options)


def tagged(**tags):
    """``tagged(x="1")`` sets or adds tags; None takes one out."""

    def change(fields):
        names = {name.decode(): value for name, value in fields} | {k: v and v.encode() for k, v in tags.items()}
        return [(name.encode(), value) for name, value in names.items() if value is not None]

    return change


def verify(raw, txt=None, address=SENDER, at=NOW):
    return dkim_proof(raw, address, txt or (lambda _: record()), at, Limits())


# ---------------------------------------------------------------- what is proof

FORMS = [(a, b) for a in (b"relaxed", b"simple") for b in (b"relaxed", b"simple")]


@pytest.mark.parametrize("form", FORMS)
def test_a_signature_of_the_senders_domain_is_proof_and_says_which_key(form):
    asked = []
    proof, _ = verify(sign(canonicalize=form), lambda name: asked.append(name) or record())
    assert proof.kind == "dkim"
    assert dict(proof.detail) == {
        "domain": "acme.example",
        "selector": "s1",
        "algorithm": "rsa-sha256",
        "key": hashlib.sha256(base64.b64decode(public())).hexdigest(),
    }
    assert asked == ["s1._domainkey.acme.example"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"three", b"tree"),
        (b"Subject: an", b"Subject: no"),
        (b"edi@us.example", b"x@us.example"),
        (b"\r\n\r\nISA", b"\r\n\r\n ISA"),
        (b"From: ACME", b"From: EMCA"),
        (b"three \r\n", b"three \r\n.\r\n"),
        (b"b=", b"b=A"),
        (b"s=s1;", b"s=s2;"),
    ],
)
def test_a_changed_mail_is_not_proven(form, before, after):
    raw = sign(canonicalize=form)
    head, _, tail = raw.partition(b"DKIM-Signature:") if before not in {b"b=", b"s=s1;"} else (b"", b"", raw)
    changed = head + (b"DKIM-Signature:" if head or tail is not raw else b"") + tail.replace(before, after, 1)
    assert changed != raw
    assert verify(changed)[0] is None


def test_what_hosts_change_on_the_way_does_not_matter():
    raw = b"Received: by mx.us.example; now\r\n" + sign(canonicalize=(b"relaxed", b"relaxed"))
    assert verify(raw)[0] is not None
    assert verify(raw.replace(b"\r\n", b"\n"))[0] is not None  # as a Maildir keeps it
    assert verify(raw + b"\r\n\r\n")[0] is not None


def test_a_second_from_header_is_not_covered():
    raw = sign()
    assert verify(b"From: edi@evil.example\r\n" + raw)[0] is None
    assert verify(raw.replace(b"\r\nTo:", b"\r\nFrom: edi@evil.example\r\nTo:"))[0] is None


@pytest.mark.parametrize(
    ("domain", "address", "good"),
    [
        ("acme.example", "edi@mail.acme.example", True),
        ("acme.example", "edi@evil.example", False),
        ("evil.example", SENDER, False),
        ("mail.acme.example", SENDER, False),
        ("example", SENDER, False),
        ("cme.example", SENDER, False),
    ],
)
def test_the_signer_must_speak_for_the_senders_domain(domain, address, good):
    asked = []
    proof, instead = verify(sign(domain=domain), lambda name: asked.append(name) or record(), address)
    assert (proof is not None) is good
    assert bool(asked) is good  # nobody makes us ask for keys of a domain that is not the sender's
    assert good or "no DKIM signature" in instead


def test_of_several_signatures_one_good_one_is_enough():
    raw = sign()
    bad = raw.replace(b"bh=", b"bh=A", 1)[: raw.index(PLAIN[:20]) + 1]
    other = sign(domain="list.example")[: raw.index(PLAIN[:20])]
    assert verify(bad + other + raw)[0] is not None


def test_no_more_than_five_signatures_are_verified():
    bad = sign().replace(b"s=s1;", b"s=bad;")
    one = bad[: bad.index(PLAIN[:20])]
    asked = []
    assert verify(one * 20 + PLAIN, asked.append)[0] is None
    assert len(asked) == 5


# ---------------------------------------------------------------- what is refused though it fits


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"l": "5"}, "l="),
        ({"x": str(NOW - 1), "t": str(NOW - 50)}, "expired"),
        ({"x": str(NOW - 1), "t": None}, "expired"),
        ({"x": str(NOW + 3_600), "t": str(NOW + 3_700)}, "expired"),
        ({"x": "soon"}, "no time"),
        ({"t": str(NOW + 200_000)}, "future"),
        ({"h": "to:subject"}, "From"),
        ({"i": "edi@evil.example"}, "somebody else"),
        ({"i": "@notacme.example"}, "somebody else"),
        ({"q": "http"}, "DNS"),
        ({"v": "2"}, "version"),
        ({"c": "nofws"}, "forms"),
        ({"a": "rsa-sha1"}, "rsa-sha1"),
        ({"a": "ed25519-sha256"}, "ed25519"),
        ({"s": None}, "no s="),
        ({"bh": None}, "no bh="),
        ({"s": "a b;"}, ""),
        ({"s": "../x"}, "no place"),
    ],
)
def test_a_signature_that_says_too_little_is_refused(tags, reason):
    asked = []
    proof, instead = verify(retagged(tagged(**tags)), lambda name: asked.append(name) or record())
    assert proof is None
    assert reason in instead
    assert not asked  # decided without the DNS


def test_an_expiry_that_is_still_to_come_is_fine():
    assert verify(retagged(tagged(x=str(NOW + 36_000))))[0] is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no key"),
        (b"", "no readable key"),
        (b"what", "no readable key"),
        (b"v=DKIM1; p=", "revoked"),
        (b"v=DKIM1; k=rsa", "revoked"),
        (b"v=DKIM2; p=AAAA", "no readable key"),
        (b"v=DKIM1; p=!!!!", "no readable key"),
        (b"v=DKIM1; p=AAAA", "cannot be verified|does not fit"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "another kind"),
        (b"v=DKIM1; h=sha1; p=AAAA", "SHA-256"),
        (b"v=DKIM1; s=tlsrpt; p=AAAA", "not for mail"),
        (b"v=DKIM1; t=y; p=AAAA", "tested"),
        (b"v=DKIM1; " + b"x" * 5_000 + b"=; p=AAAA", "no readable key"),
    ],
)
def test_a_key_that_may_not_be_used_proves_nothing(answer, reason):
    proof, instead = verify(sign(), lambda _: answer)
    assert proof is None
    assert any(each in instead for each in reason.split("|"))


def test_another_key_proves_nothing():
    assert verify(sign(), lambda _: record(1024))[0] is None


def test_a_key_for_exactly_its_domain_does_not_sign_for_hosts_below():
    strict = record(tags=b"v=DKIM1; t=s; ")
    below = retagged(tagged(i="edi@mail.acme.example"))
    assert verify(below, lambda _: strict)[0] is None
    assert verify(below)[0] is not None
    assert verify(retagged(tagged(i="edi@acme.example")), lambda _: strict)[0] is not None


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_short_key_proves_nothing():
    weak = rsa_of_768_bits()
    if weak is None:
        pytest.skip("this OpenSSL makes no short keys")
    assert verify(sign(bits=1024), lambda _: record(1024))[0] is not None
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    raw = dkim.sign(PLAIN, b"s1", b"acme.example", pem) + PLAIN
    short = base64.b64encode(weak.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert "too small" in verify(raw, lambda _: b"p=" + short)[1]


def rsa_of_768_bits():
    """A key that ``cryptography`` would not generate, made from two primes of 384 bits."""
    p = 2**383 + 1  # the search begins at an odd number; a fixed key is good enough to be refused
    primes = []
    while len(primes) < 2:
        p += 2
        if pow(2, p - 1, p) == 1 and (p - 1) % 65537:
            primes.append(p)
    p, q = primes
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)
    )
    try:
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)
    except ValueError:
        return None


# ---------------------------------------------------------------- hostile mails


@pytest.mark.parametrize(
    "header",
    [
        b"DKIM-Signature: \r\n", b"DKIM-Signature: ;;;;\r\n", b"DKIM-Signature: v\r\n", b"DKIM-Signature: v=1; v=1\r\n",
        b"DKIM-Signature: d=acme.example\r\n", b"DKIM-Signature: =\r\n", b"DKIM-Signature: \xff\xfe\r\n",
        b"DKIM-Signature: d=acme.example; b=" + b"A" * 60_000 + b"\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=s1; h=from; bh=AAAA; b=" + b"\r\n " * 5_000 + b"\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=s1; h=" + b":" * 7_000 + b"; bh=AAAA; b=AAAA\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=" + b"a." * 200 + b"; h=from; bh=AAAA; b=AAAA\r\n",
        b"DKIM-Signature : v=1\r\n", b"DKIM-Signature: d=acme.example\r\n" * 900,
    ],
)  # fmt: skip
def test_hostile_signatures_prove_nothing_and_take_no_time(header):
    begun = time.perf_counter()
    assert verify(header + PLAIN)[0] is None
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("body", [b" " * 2_000_000, b"\r\n" * 1_000_000, b"\r" * 1_000_000, b" \r\n" * 500_000])
@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_a_hostile_body_takes_linear_time(body, form):
    begun = time.perf_counter()
    body_hash(b"x: y\r\n\r\n" + body, 8, form)
    assert time.perf_counter() - begun < 3


@pytest.mark.parametrize("form", ["simple", "relaxed"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"\r\n", b"\r\n\r\n", b"\n", b"a", b"a\r\n", b"a\r\n\r\n\r\n", b"a\n\nb\n", b" a  b\t \r\n \t\r\n\r\n",
        b"a\rb\r\r\n\r\n", b"a\r\n\r\r\n", b"\r\r\n", b"\ra", b" \r\n", b" \r\na", b"\t", b"a\r\n \r\nb\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 20])
def test_the_body_is_hashed_as_dkimpy_does_in_pieces_of_any_size(body, form, piece, monkeypatch):
    monkeypatch.setattr("gateway.mail.dkim_body._PIECE", piece)
    policy = dkim.canonicalization.CanonicalizationPolicy.from_c_value(f"{form}/{form}".encode())
    _, theirs = dkim.rfc822_parse(b"x: y\r\n\r\n" + body)
    wanted = policy.canonicalize_body(theirs)
    if form == "relaxed" and body and not body.endswith(b"\n"):
        wanted = wanted.replace(b" \r\n", b"\r\n") if wanted.strip() else b""  # every line ends before it is judged
    assert body_hash(b"x: y\r\n\r\n" + body, 8, form) == hashlib.sha256(wanted).digest()


# ---------------------------------------------------------------- the DNS


def test_a_dns_that_does_not_answer_decides_nothing():
    with pytest.raises(DnsUnavailable):
        verify(sign(), no_dns)


def test_what_is_bad_without_a_key_needs_no_dns():
    assert verify(sign().replace(b"three", b"tree"), no_dns)[0] is None
    assert verify(PLAIN, no_dns)[0] is None


def test_a_good_signature_is_proof_though_the_key_of_another_cannot_be_had():
    raw = sign()
    first = raw[: raw.index(PLAIN[:20])].replace(b"s=s1;", b"s=s2;")

    def txt(name):
        return record() if name.startswith("s1.") else no_dns(name)

    assert verify(first + raw, txt)[0] is not None


class Resolver:
    """Answers, or fails, as a name server would; counts the questions."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def resolve(self, name, kind, *, lifetime, search):
        assert (kind, lifetime, search) == ("TXT", 5, False)
        self.asked.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return [type("Record", (), {"strings": each})() for each in self.answer]


NAME = "s1._domainkey.acme.example"


def test_the_strings_of_a_record_are_joined_and_it_is_asked_for_once():
    resolver = Resolver([(b"v=DKIM1; p=AA", b"BB")])
    txt = DnsTxtRecords(5, resolver)
    assert txt(NAME) == txt(NAME.upper() + ".") == b"v=DKIM1; p=AABB"
    assert resolver.asked == [NAME]


@pytest.mark.parametrize("answer", [NXDOMAIN(), NoAnswer(response=make_query(NAME, "TXT")), [(b"a",), (b"b",)], []])
def test_no_record_and_several_are_none(answer):
    resolver = Resolver(answer)
    txt = DnsTxtRecords(5, resolver)
    assert txt(NAME) is None
    assert txt(NAME) is None
    assert len(resolver.asked) == 1


@pytest.mark.parametrize("answer", [Timeout(), NoNameservers(), OSError("no network")])
def test_a_failure_is_not_none_and_the_domain_is_left_alone_after_two(answer):
    resolver = Resolver(answer)
    txt = DnsTxtRecords(5, resolver)
    for number in range(10):
        with pytest.raises(DnsUnavailable):
            txt(f"s{number}._domainkey.acme.example")
    assert len(resolver.asked) == 2
    with pytest.raises(DnsUnavailable):
        txt("s1._domainkey.globex.example")
    assert len(resolver.asked) == 3


def test_a_stranger_cannot_make_us_ask_for_ever():
    resolver = Resolver(NXDOMAIN())
    txt = DnsTxtRecords(5, resolver)
    for number in range(500):
        assert txt(f"s{number}._domainkey.acme.example") is None
    with pytest.raises(DnsUnavailable):
        txt("more._domainkey.acme.example")
    assert txt("s1._domainkey.acme.example") is None
    assert len(resolver.asked) == 500
