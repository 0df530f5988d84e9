"""Content-Transfer-Encodings, undone strictly: what would have to be guessed is damage (RFC 2045 section 6).

Mail readers repair broken base64 differently; an order read one way here and another way there is worse than none.
"""

from __future__ import annotations

import binascii
import re

_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_BROKEN_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)")
# Only from the first blank of a run: else a long run of blanks is looked at once per blank.
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,40}")


def encoding_name(value: str) -> str:
    """The Content-Transfer-Encoding in lower case; an empty text where none is given."""
    found = _TOKEN.search(value)
    return found[0].lower() if found else value[:40].strip().lower()


def decode(body: bytes, encoding: str) -> tuple[bytes, str]:
    """Returns (content, damage). ``damage`` is empty where the content is certain.

    Of damaged content only what precedes the damage is given: enough to see what it was, nothing to work with.
    """
    if encoding in _IDENTITY:
        return body, ""
    if encoding == "base64":
        return _base64(body)
    if encoding == "quoted-printable":
        return _quoted_printable(body)
    return body, f"the transfer encoding {encoding!r} is unknown"


def _base64(body: bytes) -> tuple[bytes, str]:
    packed = body.translate(None, b" \t\r\n")
    try:
        return binascii.a2b_base64(packed, strict_mode=True), ""
    except binascii.Error:
        junk = _NOT_BASE64.search(packed)
        clean = packed[: junk.start()] if junk else packed
        content = binascii.a2b_base64(clean[: len(clean) // 4 * 4])
        return content, f"the base64 is broken after {len(content)} bytes"


def _quoted_printable(body: bytes) -> tuple[bytes, str]:
    body = _TRAILING_BLANKS.sub(b"", body)
    broken = _BROKEN_ESCAPE.search(body)
    if broken is None:
        return binascii.a2b_qp(body), ""
    content = binascii.a2b_qp(body[: broken.start()])
    return content, f"the quoted-printable is broken after {len(content)} bytes"
