"""Places that somebody may be sent to: pages of ours alone, whatever an address says."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

SIGN_IN = "/sign-in"
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_LONGEST = 2_000  # characters of where somebody wanted to go


def local(wanted: str) -> str:
    """Where to go after signing in: a page of ours, or the first page where something else was asked for.

    Browsers take two slashes, a slash with a backslash, and control characters for other hosts: such are refused whole.
    """
    if not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > _LONGEST or _ODD.search(wanted):
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path.startswith((SIGN_IN, "/sign-out")):
        return "/"
    return wanted


def sign_in_to(wanted: str) -> str:
    """The sign-in page, which leads on to ``wanted``."""
    place = local(wanted)
    return SIGN_IN if place == "/" else f"{SIGN_IN}?{urlencode({'to': place})}"
