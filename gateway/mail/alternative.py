"""One message in two forms, text and HTML (multipart/alternative, RFC 2046 section 5.1.4): pure, and the same bytes."""

from __future__ import annotations

import base64
import hashlib


def alternative(text: str, html: str, seed: str) -> bytes:
    """The MIME entity, Content headers and content: the plain form first, the one to be preferred last.

    Args:
        text: what a reader without HTML sees.
        html: a whole HTML document.
        seed: decides the boundary, so that the same mail has the same bytes.
    """
    boundary = f"=_{hashlib.sha256(seed.encode()).hexdigest()[:40]}"
    parts = (("plain", text), ("html", html))
    said = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    for kind, content in parts:
        said += f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        said += base64.encodebytes(content.encode("utf-8", "replace")).decode("ascii").replace("\n", "\r\n")
    return f"{said}--{boundary}--\r\n".encode("ascii")
