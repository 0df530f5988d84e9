"""The mail table of a profile: headers that may be added, and those that may not."""

from __future__ import annotations

import pytest

from gateway.errors import ProfileInvalid
from partners.profile import read_profile

PROFILE = """
key = "acme"
addresses = ["edi@acme.example"]
identities = ["ZZ:ACME"]
[[agreement]]
direction = "out"
sets = ["810"]
[agreement.mail]
reply_to = "Sales@ACME.example"
place = "body"
headers = {headers}
"""


def headers(text):
    return read_profile(PROFILE.replace("{headers}", text)).agreements[0].mail


def test_headers_are_kept_in_order_with_their_templates():
    mail = headers('{ X-Route = "810", X-Number = "{control_number}" }')
    assert mail.headers == (("X-Route", "810"), ("X-Number", "{control_number}"))
    assert (mail.reply_to, mail.place) == ("Sales@acme.example", "body")


@pytest.mark.parametrize(
    "text",
    [
        '{ Subject = "x" }',
        '{ FROM = "x" }',
        '{ Content-Type = "x" }',
        '{ Disposition-Notification-To = "x" }',
        '{ "X Y" = "x" }',
        '{ "X:" = "x" }',
        '{ X-A = "a", x-a = "b" }',
        '{ X-A = "two\\nlines" }',
        '{ X-A = "{nothing}" }',
        "{ X-A = 1 }",
        '"X-A: b"',
    ],
)
def test_a_header_that_is_the_gateways_own_or_none_is_refused(text):
    with pytest.raises(ProfileInvalid, match="headers"):
        headers(text)
