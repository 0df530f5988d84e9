"""Mail addresses, read strictly where they say who sent something, leniently where they only inform.

A From header is a claim, and mail clients disagree on what odd ones mean (``<a@good>b@evil`` is a@good to some).
So exactly one plain address is read, and everything else is a problem to be told, never guessed away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_HEADER = 64_000  # characters of a From header
_SHORT = 300  # characters of a header that is kept in mind
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
_ADDRESS = re.compile(rf"({_ATEXT}{{1,64}}+)@([^\s@<>()\[\],;:\"\\]{{1,255}}+)")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_FROM = re.compile(
    r"""\s*+(?:
        (?P<plain>[^\s<>()\[\],;:"\\]++)
      | (?P<name>(?:"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x20-\x7e])*+"|[^<>()\[\],;:@"\\\x00-\x08\x0a-\x1f\x7f])*+)
        <(?P<angle>[^\s<>()\[\],;:"\\]++)>
    )\s*+""",
    re.VERBOSE,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # to the end where it is not closed: stays linear
_COMMENT = re.compile(r"\([^()]*+\)")
_ROUGHLY = re.compile(r"(?<![^\s<>()\[\],;:\"])[^\s<>()\[\],;:@\"\\]{1,64}+@[^\s<>()\[\],;:@\"\\]{1,255}+")


def normalise(address: str) -> str:
    """The address as it is compared and stored: domain in lower case and ASCII (IDNA), no dot at its end.

    The local part is kept as written: RFC 5321 section 2.4 leaves its meaning to its host.

    Raises:
        ValueError: when it is not one plain addr-spec (no quotes, comments, routes or address literals).
    """
    found = _ADDRESS.fullmatch(address.strip(" \t"))
    if found is None:
        raise ValueError(f"not a plain mail address: {address[:300]!a}")
    local, domain = found[1], _domain(found[2])
    if domain is None:
        raise ValueError(f"not a domain name: {found[2][:300]!a}")
    return f"{local}@{domain}"


def single_sender(from_headers: Sequence[str]) -> tuple[str, str]:
    """Who the From headers say sent it: (address, "") or ("", why it cannot be told).

    Accepted is exactly one header with exactly one address, alone or in angle brackets after a display name.
    Groups, comments, routes, two addresses, control characters and anything after the bracket are problems.
    """
    if len(from_headers) != 1:
        return "", "no From header" if not from_headers else f"{len(from_headers)} From headers"
    header = from_headers[0]
    if len(header) > _HEADER:
        return "", "a From header past its bounds"
    return _known_sender(header) if len(header) <= _SHORT else _sender(header)


def _sender(header: str) -> tuple[str, str]:
    found = _FROM.fullmatch(header)
    if found is None:
        return "", f"From is not one plain address: {header[:200]!a}"
    try:
        return normalise(found["plain"] or found["angle"]), ""
    except ValueError as problem:
        return "", f"From is {problem}"


def address_list(header: str) -> tuple[str, ...]:
    """The addresses of a To or Cc header, normalised, each once, in order; what is no address is left out."""
    return _known_addresses(header) if len(header) <= _SHORT else _addresses(header)


def _addresses(header: str) -> tuple[str, ...]:
    text = _COMMENT.sub(" ", _QUOTED.sub(" ", header))
    found: dict[str, None] = {}
    for match in _ROUGHLY.finditer(text):
        try:
            found[normalise(match[0])] = None
        except ValueError:
            continue
    return tuple(found)


# Partners and we write our addresses in the same way in every mail.
_known_sender = lru_cache(maxsize=1024)(_sender)
_known_addresses = lru_cache(maxsize=1024)(_addresses)


def _domain(text: str) -> str | None:
    text = text.removesuffix(".").lower()
    if not text.isascii():
        try:
            ascii_form = text.encode("idna").decode("ascii").lower()
            # What does not come back as it was written would be another domain for other software: full-width
            # letters, a sharp s, invisible joiners (IDNA 2003 and 2008 differ there).
            if ascii_form.encode("ascii").decode("idna") != text:
                return None
        except UnicodeError:
            return None
        text = ascii_form
    return text if _DOMAIN.fullmatch(text) else None
