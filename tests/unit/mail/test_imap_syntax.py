"""IMAP's syntax: what servers say, and what we may put into a command."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from gateway.mail import imap_syntax
from gateway.mail.imap_syntax import Oversized, folder_name, number, pairs, quoted, sets, values
from gateway.mail.wire import ConnectionLostError


@pytest.mark.parametrize(
    ("pieces", "wanted"),
    [
        ((b"(UID 7 FLAGS (\\Seen $Junk))",), {b"UID": b"7", b"FLAGS": [b"\\Seen", b"$Junk"]}),
        ((b"(body[] {3}", b"a)b", b" uid 7)"), {b"BODY[]": b"a)b", b"UID": b"7"}),
        ((b'(BODY[] "a\\"b\\\\c" UID 7)',), {b"BODY[]": b'a"b\\c', b"UID": b"7"}),
        ((b"(BODY[] NIL UID 7)",), {b"BODY[]": None, b"UID": b"7"}),
        ((b'(BODY[] "NIL" UID 7)',), {b"BODY[]": b"NIL", b"UID": b"7"}),
        ((b"(BODY[] ~{1}", b"x", b")"), {b"BODY[]": b"x"}),
        ((b"(BODY[] {9}", Oversized(9), b")"), {b"BODY[]": Oversized(9)}),
        ((b"(BODY[HEADER.FIELDS (A)]<0> {1}", b"", b"  UID 1) "), {b"BODY[HEADER.FIELDS (A)]<0>": b"", b"UID": b"1"}),
        ((b"()",), {}),
    ],
)  # fmt: skip
def test_a_fetch_answer_is_read_whatever_form_its_strings_have(pieces, wanted):
    assert pairs(pieces) == wanted


@pytest.mark.parametrize(
    "text",
    [b"(UID 7", b"UID 7)", b"(UID)", b"((UID) 7)", b'(UID "7)', b"(UID 7) (UID 8)", b"", b"(" * 60, b"(\x01 7)"],
)
def test_what_is_no_fetch_answer_ends_the_connection(text):
    with pytest.raises(ConnectionLostError):
        pairs((text,))


def test_the_quick_way_and_the_thorough_way_read_the_same():
    chance = random.Random(4)
    words = [
        b"UID",
        b"7",
        b"FLAGS",
        b"(\\Seen x)",
        b"()",
        b"( )",
        b"BODY[]",
        b"NIL",
        b'"q"',
        b"(",
        b")",
        b"{3}",
        b" ",
        b"a.b",
        b"((1))",
    ]
    quick = 0
    for _ in range(5_000):
        text = b"(" + b" ".join(chance.choices(words, k=chance.randrange(7))) + b")"
        pieces = (text,) if chance.random() < 0.8 else (b"(UID 7 BODY[] {3}", b"abc", b")")
        found = imap_syntax._plain(pieces)
        if found:
            quick += 1
            assert found == imap_syntax._named(values(pieces)), text
    assert quick > 100


@pytest.mark.parametrize("unit", [b"\\", b"a", b"a (", b"a (b", b"(a", b"a  ", b'"', b"["])
def test_a_long_answer_that_is_none_costs_no_more_than_its_length(unit):
    """A megabyte; a reader that began again at each character would need hours."""
    text = (b"(" + unit * 1_000_000)[:1_000_000] + b")"
    before = time.process_time()
    with contextlib.suppress(ConnectionLostError):
        pairs([text])
    assert time.process_time() - before < 10


def test_random_bytes_are_values_or_an_end_and_nothing_else():
    chance = random.Random(1)
    for _ in range(3_000):
        text = bytes(chance.choices(b'()"\\{}[] \x00\xffAB1~+', k=chance.randrange(40)))
        try:
            values((text,))
        except ConnectionLostError:
            continue


@pytest.mark.parametrize("value", [b"", b"-1", b"4x", None, [b"1"], b"9" * 30, "\u0663".encode()])
def test_what_is_no_number_is_none(value):
    assert number(value) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("INBOX", '"INBOX"'),
        ("Done & gone", '"Done &- gone"'),
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),  # the example of RFC 3501 section 5.1.3
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("x\r\nG9 DELETE INBOX", '"x&AA0ACg-G9 DELETE INBOX"'),
        ("\U0001f4e6", '"&2D3c5g-"'),
        ("u\u0308", '"&APw-"'),  # composed, as servers want it
    ],
)
def test_a_folder_name_is_modified_utf_7_and_cannot_leave_its_command(name, wanted):
    assert folder_name(name) == wanted


@pytest.mark.parametrize("text", ["a\r\nb", "a\0b", "ü", "\x7f", "\t"])
def test_what_a_quoted_string_cannot_carry_is_refused(text):
    with pytest.raises(ValueError, match="printable"):
        quoted(text)


@pytest.mark.parametrize(
    ("uids", "wanted"),
    [([], []), ([5], ["5"]), ([1, 2, 3], ["1:3"]), ([7, 1, 2, 4, 5, 5], ["1:2,4:5,7"]), ([9, 11], ["9,11"])],
)
def test_a_set_names_what_was_asked_for_in_few_characters(uids, wanted):
    assert list(sets(uids)) == wanted


def test_many_scattered_uids_are_several_short_sets_with_each_uid_once():
    uids = set(random.Random(2).sample(range(1, 2**32), 5_000))
    lines = list(sets(uids))
    assert max(map(len, lines)) < 2_100
    named = [int(each) for line in lines for part in line.split(",") for each in set(part.split(":"))]
    assert sorted(named) == sorted(uids)


def test_a_dense_set_expands_to_exactly_its_uids():
    uids = random.Random(3).sample(range(1, 300), 200)
    (line,) = sets(uids)
    runs = [part.partition(":") for part in line.split(",")]
    assert [uid for first, _, last in runs for uid in range(int(first), int(last or first) + 1)] == sorted(uids)
