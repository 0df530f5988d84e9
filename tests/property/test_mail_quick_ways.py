"""What is plain in a mail's headers is read at one glance, and comes to what the careful look gives."""

from __future__ import annotations

import re
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail import addresses, headers, labels
from gateway.mail.addresses import address_list, single_sender
from gateway.mail.headers import content_type
from gateway.mail.labels import label

NEVER = re.compile("(?!)")
PIECES = st.sampled_from([
    "a", "Z", "9", "_", "-", ".", "..", " ", "  ", "/", "\\", ":", "C:", "3.edi", "=?utf-8?b?QQ==?=", "\x00", "\n",
    "\t", "\x7f", "\u202e", "é", "a" * 300, "\ud800",
])  # fmt: skip
NAMES = st.lists(PIECES, max_size=6).map("".join)
ADDRESSES = st.lists(
    st.sampled_from(
        ["edi@acme.example", "A", "<", ">", "@", ",", " ", '"', "(", ")", ";", "x" * 290, "\n", "ß.example"]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(NAMES)
def test_a_file_name_is_the_same_label_at_a_glance_and_with_care(name):
    told = label(name)
    with patch.object(labels, "_PLAIN", NEVER):
        assert label(name) == told


def test_a_plain_file_name_is_taken_at_a_glance():
    with patch.object(labels, "decoded", None):  # whoever looks closely fails
        assert label("PO-4711_2.edi") == "PO-4711_2.edi"


@settings(max_examples=500, deadline=None)
@given(ADDRESSES)
def test_addresses_that_are_known_are_read_as_they_were_the_first_time(header):
    for _ in range(2):
        assert single_sender([header]) == addresses._sender(header)
        assert address_list(header) == addresses._addresses(header)


def test_no_long_header_is_kept_in_mind():
    before = addresses._known_sender.cache_info().currsize, addresses._known_addresses.cache_info().currsize
    single_sender(["x" * 301])
    address_list("x" * 301)
    assert (addresses._known_sender.cache_info().currsize, addresses._known_addresses.cache_info().currsize) == before


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["text", "/", "plain", " ", ";", "a=1", "(", "x", "\n"]), max_size=6).map("".join))
def test_a_content_type_has_the_parameters_that_a_search_for_them_finds(value):
    kind, found = content_type(value)
    assert found == ({} if headers._TYPE.match(value) is None else headers.parameters(value))
    assert "/" in kind
