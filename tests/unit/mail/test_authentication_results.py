"""Authentication-Results: only our own mail exchanger's word counts, and only where nobody else can have written it."""

import time

import pytest

from gateway.mail.authentication_results import mx_proof, own_statement, parse, trace
from gateway.mail.model import Proof
from gateway.settings.model import Limits, ProofSettings

MX = "mx.us.example"
SETTINGS = ProofSettings(authserv_ids=(MX,))
UNNAMED = ProofSettings(unnamed=True, received_above=3)
RECEIVED = "Received: from mail.acme.example by mx.us.example with ESMTPS; Mon, 2 Nov 2026 22:00:00 +0000"
PASS = f"Authentication-Results: {MX}; dkim=pass header.d=acme.example header.s=s1"
FAIL = f"Authentication-Results: {MX}; dkim=fail header.d=acme.example"


def mail(*headers, sender="edi@acme.example"):
    return "\r\n".join([*headers, f"From: {sender}", "Subject: x", "", "body", ""]).encode()


def proof(*headers, settings=SETTINGS, address="edi@acme.example"):
    return mx_proof(mail(*headers), address, settings, Limits())[0]


def said(value, address="edi@acme.example"):
    return proof(f"Authentication-Results: {value}", address=address)


# ---------------------------------------------------------------- whose word, and where it stands


def test_the_word_of_our_mail_exchanger_above_every_received_is_proof():
    assert proof(PASS, RECEIVED) == Proof(
        "mx", (("authserv_id", MX), ("method", "dkim"), ("domain", "acme.example"), ("selector", "s1"))
    )


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [RECEIVED],
        [RECEIVED, PASS],  # below: the sender can have written it
        [RECEIVED, RECEIVED, PASS],
        [FAIL, PASS],  # ours is the topmost
        [FAIL, RECEIVED, PASS],
        [f"Authentication-Results: {MX}; none", PASS],
        [f"Authentication-Results: {MX}", PASS],
        [f"Authentication-Results: {MX}; dkim=((((", PASS],  # ours, though it cannot be read
        [f"Authentication-Results: {MX} 2; dkim=pass header.d=acme.example"],  # a version that nobody knows
        [PASS.replace(MX, "mx.evil.example")],
        [PASS.replace(MX, f"x.{MX}")],
        [PASS.replace(MX, f"{MX}.evil.example")],
        [PASS.replace(MX, f"evil.example {MX}")],
        [PASS.replace(MX, f"({MX})")],
        [PASS.replace(MX, f"({MX}) evil.example")],
        [PASS.replace(MX, "")],
        [PASS.replace(MX, "*")],
        [PASS.replace(MX, "?")],
        [PASS.replace(f"{MX};", "")],  # names nobody
        [f"ARC-{PASS}"],
        [f"X-{PASS}"],
        [PASS.replace("Results:", "Results-Original:")],
        [f"Subject: a\r\n {PASS}"],  # a folded line of another header
        [f"X-Note: {PASS}"],
    ],
)
def test_what_is_not_the_topmost_word_of_our_mail_exchanger_proves_nothing(headers):
    assert proof(*headers) is None


@pytest.mark.parametrize(
    "header",
    [
        PASS.replace(MX, "MX.US.Example"),
        PASS.replace(MX, f'"{MX}"'),
        PASS.replace(MX, f"(our mx) {MX} (x) 1 (y)"),
        PASS.replace("Authentication-Results:", "AUTHENTICATION-results :"),
        PASS.replace("; ", ";\r\n\t"),
    ],
)
def test_the_name_of_our_mail_exchanger_is_known_in_every_form_of_the_standard(header):
    assert proof(header) is not None


def test_statements_of_others_above_ours_are_passed_over():
    assert proof(PASS.replace(MX, "spam.us.example").replace("pass", "fail"), PASS) is not None


def test_of_two_names_of_ours_the_topmost_statement_counts():
    settings = ProofSettings(authserv_ids=(MX, "mx2.us.example"))
    assert proof(FAIL.replace(MX, "mx2.us.example"), PASS, settings=settings) is None


def test_without_a_named_mail_exchanger_nothing_counts():
    assert proof(PASS, settings=ProofSettings()) is None


@pytest.mark.parametrize(("above", "counts"), [(0, False), (1, False), (2, True), (3, True)])
def test_as_many_received_may_stand_above_as_our_servers_add(above, counts):
    settings = ProofSettings(authserv_ids=(MX,), received_above=above)
    assert (proof(RECEIVED, RECEIVED, PASS, settings=settings) is not None) is counts


def test_a_header_in_the_body_is_none():
    raw = mail().replace(b"body", PASS.encode())
    assert mx_proof(raw, "edi@acme.example", SETTINGS, Limits())[0] is None
    assert trace(b"\r\n" + raw, Limits()) == []


# ---------------------------------------------------------------- what it must say


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("dkim=pass header.d=acme.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example", "edi@mail.acme.example"),
        ("dkim=pass header.d=ACME.Example.", "edi@acme.example"),
        ("dkim=pass header.i=@acme.example header.s=x header.b=abc=", "edi@acme.example"),
        ("dkim=pass header.i=edi@acme.example", "edi@acme.example"),
        ("dkim/1 = pass header . d = acme.example", "edi@acme.example"),
        ("dkim=pass (good; really) header.d=(x)acme.example", "edi@acme.example"),
        ('dkim=pass reason="good; key" header.d=acme.example', "edi@acme.example"),
        ("dkim=fail header.d=list.example; dkim=pass header.d=acme.example", "edi@acme.example"),
        ("dmarc=pass header.from=acme.example", "edi@acme.example"),
        ("spf=fail; dmarc=pass (p=reject) header.from=ACME.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example; dmarc=fail header.from=list.example", "edi@acme.example"),
        (";dkim=pass header.d=acme.example;", "edi@acme.example"),
    ],
)  # fmt: skip
def test_a_pass_for_the_senders_domain_is_proof(value, address):
    assert said(f"{MX};{value}", address) is not None


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("dkim=fail header.d=acme.example", "edi@acme.example"),
        ("dkim=passed header.d=acme.example", "edi@acme.example"),
        ("dkim=none", "edi@acme.example"),
        ("dkim=pass", "edi@acme.example"),
        ("dkim=pass header.d=", "edi@acme.example"),
        ("dkim=pass header.d=evil.example", "edi@acme.example"),
        ("dkim=pass header.d=mail.acme.example", "edi@acme.example"),  # a host below speaks for itself only
        ("dkim=pass header.d=notacme.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example", "edi@notacme.example"),
        ("dkim=pass header.d=example", "edi@acme.example"),  # one label is nobody's
        ("dkim=pass header.d=.", "edi@acme.example"),
        ("dkim=pass header.d=acme.example.evil.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example header.d=evil.example", "edi@acme.example"),
        ("dkim=pass header.d=evil.example header.i=@acme.example", "edi@acme.example"),
        ("dkim=pass header.from=acme.example", "edi@acme.example"),
        ("dkim=pass (header.d=acme.example)", "edi@acme.example"),
        ("dkim=fail (dkim=pass header.d=acme.example)", "edi@acme.example"),
        ('dkim=fail reason="; dkim=pass header.d=acme.example"', "edi@acme.example"),
        ("spf=pass smtp.mailfrom=edi@acme.example", "edi@acme.example"),  # the envelope is not From
        ("dmarc=pass header.from=evil.example", "edi@acme.example"),
        ("dmarc=pass header.from=acme.example", "edi@mail.acme.example"),
        ("dmarc=pass", "edi@acme.example"),
        ("dmarc=bestguesspass action=none header.from=acme.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example; dmarc=fail header.from=acme.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example; dmarc=fail", "edi@acme.example"),
        ("arc=pass header.d=acme.example", "edi@acme.example"),
        ("x-google-dkim=pass header.d=acme.example", "edi@acme.example"),
        ("compauth=pass reason=100", "edi@acme.example"),
        ("dkim=pass header.d=acme.example; (", "edi@acme.example"),  # one fault voids all of it
        ('dkim=pass header.d=acme.example; "', "edi@acme.example"),
        ("dkim=pass header.d=acme.example; what is this", "edi@acme.example"),
        ("dkim=pass header.d=acme.example, dmarc=pass", "edi@acme.example"),
        ("dkim=pass header.d==acme.example", "edi@acme.example"),
        ("dkim/2=pass header.d=acme.example", "edi@acme.example"),
        ("dkim=pass header.d=acme.example \x00", "edi@acme.example"),
        ("ⅾkim=pass header.d=acme.example", "edi@acme.example"),
        ("dkim=pass header.d=аcme.example", "edi@acme.example"),  # a Cyrillic а
    ],
)  # fmt: skip
def test_anything_else_is_none(value, address):
    assert said(f"{MX}; {value}", address) is None


# ---------------------------------------------------------------- as the providers write it

MICROSOFT = (
    "spf=pass (sender IP is 192.0.2.7) smtp.mailfrom=acme.example; us.example; dkim=pass (signature was verified)\r\n"
    " header.d=acme.example;us.example; dmarc=pass action=none header.from=acme.example;compauth=pass reason=100"
)
PROVIDERS = {
    "gmail": (
        "mx.google.com",
        ('mx.google.com;\r\n       dkim=pass header.i=@acme.example header.s=s1 header.b="AbC+/x";\r\n'
        "       spf=pass (google.com: domain of edi@acme.example designates 192.0.2.7 as permitted sender) "
        "smtp.mailfrom=edi@acme.example;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=acme.example"),
    ),
    "fastmail": (
        "mx3.messagingengine.com",
        ("mx3.messagingengine.com; arc=none (no signatures found); bimi=skipped (DMARC did not pass);\r\n"
        " dkim=pass (2048-bit rsa key sha256) header.d=acme.example header.i=@acme.example header.b=a1b2c3 "
        "header.a=rsa-sha256 header.s=s1 x-bits=2048;\r\n dmarc=pass policy.published-domain-policy=reject "
        "policy.applied-disposition=none (p=reject,d=none) header.from=acme.example;\r\n"
        " iprev=pass smtp.remote-ip=192.0.2.7 (mail.acme.example); x-ptr=pass smtp.helo=mail.acme.example "
        "policy.ptr=mail.acme.example; x-return-mx=pass header.domain=acme.example policy.is_org=yes "
        "(MX Records found: a,b);\r\n"
        " x-tls=pass smtp.version=TLSv1.3 smtp.cipher=TLS_AES_256_GCM_SHA384 smtp.bits=256/256"),
    ),
    "opendkim": (
        "mail.us.example",
        ("mail.us.example;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=acme.example header.i=@acme.example "
        'header.b="Q2/+=";\r\n\tdkim-atps=neutral'),
    ),
    "opendmarc": ("mail.us.example", "mail.us.example; dmarc=pass (p=none dis=none) header.from=acme.example"),
    "rspamd": (
        "mail.us.example",
        ("mail.us.example;\r\n\tdkim=pass header.d=acme.example header.s=s1 header.b=Xy12;\r\n\tspf=pass "
        "(mail.us.example: "
        "domain of edi@acme.example designates 192.0.2.7 as permitted sender) smtp.mailfrom=edi@acme.example;\r\n"
        "\tdmarc=pass (policy=reject) header.from=acme.example"),
    ),
    "yahoo": (
        "atlas.mail.example",
        ("atlas.mail.example; dkim=pass header.i=@acme.example header.s=s1; spf=pass smtp.mailfrom=acme.example; "
        "dmarc=pass(p=REJECT) header.from=acme.example;"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_headers_of_well_known_servers_are_read(provider):
    name, value = PROVIDERS[provider]
    settings = ProofSettings(authserv_ids=(name,), received_above=1)
    assert proof(RECEIVED, f"Authentication-Results: {value}", settings=settings).kind == "mx"
    assert proof(RECEIVED, f"Authentication-Results: {value}", settings=settings, address="edi@evil.example") is None


def test_microsoft_365_names_nobody_and_is_read_where_the_settings_allow_it():
    header = f"Authentication-Results: {MICROSOFT}"
    found = proof(RECEIVED, RECEIVED, header, RECEIVED, settings=UNNAMED)
    assert dict(found.detail) == {"authserv_id": "(unnamed)", "method": "dkim", "domain": "acme.example"}
    assert proof(header) is None
    assert proof(header.replace("dkim=pass", "dkim=fail").replace("dmarc=pass", "dmarc=fail"), settings=UNNAMED) is None


def test_a_forged_one_below_microsofts_own_does_not_count_even_if_that_cannot_be_read():
    broken = "Authentication-Results: spf=none (no domain"
    assert proof(broken, f"Authentication-Results: {MICROSOFT}", settings=UNNAMED) is None


def test_a_named_statement_is_not_an_unnamed_one():
    assert proof(PASS, settings=UNNAMED) is None


# ---------------------------------------------------------------- it is only read, and in time


@pytest.mark.parametrize(
    "value",
    [
        "", ";", ";;;;", "(", "(" * 50_000, "()" * 30_000, '"' * 50_001, "a" * 60_000, "\\" * 50_000, "(\\" * 20_000,
        "a;" * 30_000, "a=b " * 15_000, "a; b=c" + " d.e=f" * 8_000, "a; b=c" + " d." * 20_000,
        "a" + " " * 60_000 + "=",
        '"\\' + "\\a" * 20_000, "a; b=c (" + ")(" * 20_000, "=" * 50_000, "/" * 50_000, "é" * 30_000, "\x00\x01\x02",
    ],
)  # fmt: skip
def test_garbage_is_no_result_no_error_and_takes_no_time(value):
    begun = time.perf_counter()
    assert not any(each.result == "pass" for each in parse(value).results)
    assert time.perf_counter() - begun < 1


def test_a_header_block_full_of_traces_takes_no_time():
    raw = mail(*[f"Authentication-Results: x{n}; a=b" for n in range(5_000)])
    begun = time.perf_counter()
    assert len(trace(raw, Limits())) == 200
    assert own_statement(trace(raw, Limits()), SETTINGS) is None
    assert time.perf_counter() - begun < 1


def test_what_was_found_instead_is_told():
    assert mx_proof(mail(FAIL), "edi@acme.example", SETTINGS, Limits())[1] == f"{MX} says dkim=fail"
    assert "no statement" in mx_proof(mail(), "edi@acme.example", SETTINGS, Limits())[1]
    assert "authserv_ids" in mx_proof(mail(PASS), "edi@acme.example", ProofSettings(), Limits())[1]
