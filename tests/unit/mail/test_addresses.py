"""Addresses: strict where they identify, lenient where they inform."""

from __future__ import annotations

import time

import pytest

from gateway.mail.addresses import address_list, normalise, single_sender


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Edi@Example.COM", "Edi@example.com"),
        (" edi@example.com ", "edi@example.com"),
        ("edi@example.com.", "edi@example.com"),
        ("edi@bücher.example", "edi@xn--bcher-kva.example"),
        ("edi+b42=x@example.com", "edi+b42=x@example.com"),
        ("edi@localhost", "edi@localhost"),
    ],
)
def test_an_address_has_one_normal_form(written, normal):
    assert normalise(written) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", "edi", "@example.com", "edi@", "edi@@example.com", "edi@example..com", "edi@.example", "edi@-x.example",
        "edi@example.com\r\nX: y", "edi@example.com\n", "e di@example.com", '"e"@example.com', "edi@[127.0.0.1]",
        "<edi@example.com>", "edi@exa mple.com", "edi@example.com,b@c.example", "ü@example.com",
        "edi@" + "x" * 64 + ".example",
        "x" * 65 + "@example.com", "edi@" + "x." * 130 + "example", "a\0@example.com", "edi@ex\u200bample.com\u2028",
        "edi@\u2488.example",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_address_is_refused(text):
    with pytest.raises(ValueError, match="not a"):
        normalise(text)


def test_one_plain_sender_is_returned_in_normal_form():
    assert single_sender(['"A, \\"B\\"" <a@B.example>']) == ("a@b.example", "")


def test_a_problem_says_what_is_wrong():
    assert single_sender([])[1] == "no From header"
    assert single_sender(["a@b.example", "a@b.example"])[1] == "2 From headers"
    assert "one plain address" in single_sender(["a@b.example, c@d.example"])[1]
    assert "domain" in single_sender(["a@b_c"])[1]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("a@b.example, a@B.example, c@d.example", ("a@b.example", "c@d.example")),
        ('"x@y.example" <a@b.example>', ("a@b.example",)),
        ("grp: a@b.example, c@d.example;", ("a@b.example", "c@d.example")),
        ("undisclosed-recipients:;", ()),
        ("broken <<a@b.example>, @@, c@d.example", ("a@b.example", "c@d.example")),
    ],
)
def test_recipients_are_read_leniently(header, expected):
    assert address_list(header) == expected


def test_every_recipient_is_kept_however_many_there_are():
    """The ledger tells all To and Cc addresses; the header block bounds how many there can be."""
    assert len(address_list(", ".join(f"a{number}@b.example" for number in range(12_000)))) == 12_000


@pytest.mark.parametrize("piece", ["@", "a", '"', "(", "<", '"\\', "<a@b>,", "a@(b", "é@"])
def test_recipients_of_any_shape_are_read_in_linear_time(piece):
    started = time.process_time()
    address_list(piece * (256_000 // len(piece)))
    assert time.process_time() - started < 2
