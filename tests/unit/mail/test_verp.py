"""Bounce tokens: they come home through hosts that change the case, and nobody else can make one."""

from __future__ import annotations

import pytest

from gateway.mail.verp import Tokens, with_token

TOKENS = Tokens(lambda: b"k" * 32)
US = "edi@example.com"


@pytest.mark.parametrize("exchange", [1, 12, 10**17])
@pytest.mark.parametrize("change", [str, str.upper, lambda text: f" {text} "])
def test_a_token_names_its_exchange_also_in_capitals(exchange, change):
    assert TOKENS.exchange(change(TOKENS.token(exchange))) == exchange
    assert TOKENS.token(exchange) == TOKENS.token(exchange)


def test_an_address_with_a_token_is_found_among_others():
    tagged = with_token(US, TOKENS.token(7))
    assert tagged.startswith("edi+b7-")
    assert tagged.endswith("@example.com")
    assert TOKENS.exchange_of(["x@example.com", "edi+bill@example.com", tagged.upper()]) == 7
    assert TOKENS.exchange_of([US]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7-",
        "07-aaaaaaaaaaaaaaaa",
        "7-aaaaaaaaaaaaaaaa",
        "-7-aaaaaaaaaaaaaaaa",
        "7-aaaaaaaaaaaaaaa",
        "x" * 9_999,
    ],
)
def test_what_we_did_not_make_is_no_token(text):
    assert TOKENS.exchange(text) is None
    assert TOKENS.exchange_of([f"edi+b{text}@example.com"]) is None


def test_a_token_of_another_exchange_or_key_or_with_one_letter_changed_is_none():
    number, _, mac = TOKENS.token(7).partition("-")
    assert TOKENS.exchange(f"8-{mac}") is None
    assert TOKENS.exchange(Tokens(lambda: b"other").token(7)) is None
    for place, letter in enumerate(mac):
        changed = "a" if letter != "a" else "b"
        assert TOKENS.exchange(f"{number}-{mac[:place]}{changed}{mac[place + 1 :]}") is None


def test_an_address_with_no_room_for_a_token_stays_as_it_is():
    long = "x" * 50 + "@example.com"
    assert with_token(long, TOKENS.token(7)) == long
    assert len(with_token(US, TOKENS.token(10**17)).partition("@")[0]) <= 64
