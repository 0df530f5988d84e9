"""Where a header block ends: the first empty line, whatever line ends are mixed, found near its beginning."""

import pytest

from gateway.mail.headers import split_entity
from gateway.settings.model import Limits

LIMITS = Limits()


class Looked(bytes):
    """Bytes that remember how far somebody searched in them."""

    furthest = 0

    def find(self, wanted, start=0, end=None):
        """As of bytes."""
        self.furthest = max(self.furthest, len(self) if end is None else end)
        return super().find(wanted, start, end)


@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_the_body_is_not_searched_for_the_end_of_the_headers(line):
    """In a mail with bare LF it was, as far as a header block may reach, and of each part anew."""
    raw = Looked(line.join([b"Subject: x", b"", *[b"~" * 70] * 3_000]))
    headers, body = split_entity(raw, 0, len(raw), LIMITS)
    assert headers.first("subject") == "x"
    assert raw[body : body + 1] == b"~"
    assert raw.furthest < 10_000


@pytest.mark.parametrize("length", [10, *range(8_170, 8_200), 20_000])
@pytest.mark.parametrize("blank", [b"\n\n", b"\n\r\n", b"\r\n\n", b"\r\n\r\n"])
def test_the_first_empty_line_ends_the_headers_however_long_they_are(blank, length):
    head = b"Subject: " + b"x" * length
    for after in (b"body\n\nmore", b"body\r\n\r\nmore"):
        raw = head + blank + after
        headers, body = split_entity(raw, 0, len(raw), LIMITS)
        assert raw[body:] == after
        assert headers.first("subject") == "x" * length
