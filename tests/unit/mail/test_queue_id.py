"""The name of a mail in the host's queue, out of replies as real servers write them."""

import pytest

from gateway.mail.queue_id import queue_id


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("250 2.0.0 Ok: queued as 4XyZ12abcDz1", "4XyZ12abcDz1"),
        ("250 2.0.0 Ok: queued as 164B82162E4", "164B82162E4"),
        ("250 OK id=1xVGOo-0007uD-2q", "1xVGOo-0007uD-2q"),
        ("250 2.6.0 <1@example.com> [InternalId=4269442539, Hostname=MX.example.com] Queued mail", "4269442539"),
        ("250 2.0.0 OK  1700000000 d2e1a72fcca58-6c4abcdef12si3b3a.12 - gsmtp", "d2e1a72fcca58-6c4abcdef12si3b3a.12"),
        ("250 2.0.0 3B1KxQ9f012345 Message accepted for delivery", "3B1KxQ9f012345"),
        ("250 2.0.0 7f1b2c3d Message accepted for delivery", "7f1b2c3d"),
        ("250 ok 1700000000 qp 12345", "12345"),
        ("250 Ok 0102018b1c2d3e4f-1a2b3c4d-5e6f-7a8b-000000", "0102018b1c2d3e4f-1a2b3c4d-5e6f-7a8b-000000"),
        ("250 2.0.0 delivered as 12", "12"),
        ("250 OK", ""),
        ("250 2.0.0 Message received, thank you", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_name_is_found_or_none_is_claimed(reply, wanted):
    assert queue_id(reply) == wanted
