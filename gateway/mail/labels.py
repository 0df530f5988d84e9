"""File names from mails are labels for people and ledgers, never paths."""

from __future__ import annotations

import re
import unicodedata

from gateway.mail.headers import decoded

LABEL = 1_000  # characters; no file system has names as long
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}(?<!\.)")
_DRIVE = re.compile(r"^[A-Za-z]:")


def label(name: str) -> str:
    """What is left of a file name once it can do no harm: no directory, no control or direction character, bounded.

    Where it is too long, its beginning and its extension are kept. May be empty.
    """
    if _PLAIN.fullmatch(name):
        return name
    text = decoded(name, limit=100_000)
    text = re.split(r"[/\\]", text)[-1]
    text = _DRIVE.sub("", text)
    if not (text.isascii() and text.isprintable()):
        # Cc, Cf, Cs, Co, Cn: controls, invisible and direction-changing characters, surrogates, private use.
        text = "".join(each for each in text if not unicodedata.category(each).startswith("C"))
    text = " ".join(text.split()).strip(". ")
    if len(text) <= LABEL:
        return text
    stem, dot, extension = text.rpartition(".")
    if dot and len(extension) <= 20:
        return f"{stem[: LABEL - 1 - len(extension)]}.{extension}"
    return text[:LABEL]
