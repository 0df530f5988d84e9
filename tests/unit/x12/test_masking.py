"""Passwords in an ISA are out of sight in every view, and nothing else of it changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.x12 import examine
from gateway.x12.masking import holds_secret, masked, masked_text

ISA = b"ISA*03*CANARY1977*01*SECRET    *ZZ*ACMERETAIL     *ZZ*EXAMPLECO      *261102*2200*U*00401*000000001*0*P*>~"
HIDDEN = b"ISA*03*XXXXXXXXXX*01*XXXXXXXXXX*ZZ*ACMERETAIL     *ZZ*EXAMPLECO      *261102*2200*U*00401*000000001*0*P*>~"
PLAIN = b"ISA*00*          *00*          *ZZ*ACMERETAIL     *ZZ*EXAMPLECO      *261102*2200*U*00401*000000001*0*P*>~"


def test_both_elements_are_masked_in_place():
    assert masked(ISA + b"GS*PO~") == HIDDEN + b"GS*PO~"


def test_blank_ones_are_left_as_they_are():
    assert masked(PLAIN) == PLAIN
    assert not holds_secret(PLAIN)


@pytest.mark.parametrize("place", [6, 17, 20, 31])
def test_a_damaged_isa_gives_nothing_away(place):
    damaged = ISA[:place] + b"?" + ISA[place + 1 :]
    assert b"CANARY" not in masked(damaged)
    assert b"SECRET" not in masked(damaged)


def test_an_isa_that_lost_its_padding_gives_nothing_away():
    short = b"ISA*03*CANARY*01*SECRET*ZZ*ACME*ZZ*US*261102*2200*U*00401*000000001*0*P*>~"
    assert masked(short) == b"ISA*03*XXXXXX*01*XXXXXX*ZZ*ACME*ZZ*US*261102*2200*U*00401*000000001*0*P*>~"


def test_every_isa_of_several_is_masked():
    assert masked(ISA + ISA) == HIDDEN + HIDDEN


def test_a_word_that_begins_like_an_isa_is_no_isa():
    for data in (b"VISA card", b"ISA", b"ISA*", b"ISAAC*1*2*3*4*5", b""):
        assert masked(data) == data


@pytest.mark.parametrize(
    "segment", [b"N1*PR*VISA*92*4111~ITD*01*3~", b"REF*ZZ*ISA*PAID*X~PO1*1*2~", b"MSG*VISA|1|2|3|4|5~"]
)
def test_documents_that_speak_of_an_isa_stay_as_they_are(segment):
    """A card's name is no header: what is downloaded must be what came."""
    assert masked(PLAIN + segment) == PLAIN + segment
    assert not holds_secret(segment)
    assert masked(ISA + segment) == HIDDEN + segment


def test_an_isa_right_behind_a_segment_without_its_end_is_masked():
    assert masked(b"IEA*1*000000001" + ISA) == b"IEA*1*000000001" + HIDDEN


def test_text_that_quotes_an_isa_is_masked_too():
    assert masked_text(f"it begins with {ISA.decode()}") == f"it begins with {HIDDEN.decode()}"


def test_findings_about_the_two_elements_do_not_quote_them():
    """A finding is told to people and partners; the password that it speaks of is not."""
    bad = ISA.replace(b"CANARY1977", b"CANARY\x0177").replace(b"SECRET    ", b"SECRET") + b"IEA*0*000000001~"
    for report in examine(bad):
        for finding in report.findings:
            assert "CANARY" not in finding.value + finding.message
            assert "SECRET" not in finding.value + finding.message


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=10), st.binary(max_size=300))
def test_masking_keeps_the_length_and_masks_only_once(before, secret, after):
    data = before + ISA.replace(b"SECRET    ", secret.ljust(10)[:10]) + after
    shown = masked(data)
    assert len(shown) == len(data)
    assert masked(shown) == shown
