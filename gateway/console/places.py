"""Places that somebody may be sent to: pages of ours alone, whatever an address says."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
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
    if parts.scheme or parts.netloc or parts.path.startswith((SIGN_IN, SIGN_OUT)):
        return "/"
    return wanted


def came_from(request: Request) -> str:
    """The page of ours on which a form stood; the first page where the browser does not say."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    ours = parts.netloc == request.headers.get("host")
    return local(f"{parts.path}?{parts.query}" if parts.query else parts.path) if ours else "/"


def sign_in_to(wanted: str, *, undone: bool = False) -> str:
    """The sign-in page, which leads on to ``wanted``; ``undone``: it says that what was sent was not done."""
    place = local(wanted)
    query = urlencode(({"to": place} if place != "/" else {}) | ({"undone": "1"} if undone else {}))
    return f"{SIGN_IN}?{query}" if query else SIGN_IN
