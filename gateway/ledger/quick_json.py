"""The JSON of ``plain_json`` in a fraction of the time, of what rows and the bodies of events are made of.

Recording encodes some forty small values for each exchange, and whoever verifies a ledger on PostgreSQL all of its
rows. Digests are made of this text: so what msgspec might write in another way than ``json`` does (a fraction, bytes,
half a character) is left to ``plain_json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

from msgspec.json import Encoder

from gateway.ledger import plain_json

_alike = frozenset({str, int, bool, NoneType}).issuperset  # kinds of values that both write in the same way
_texts = frozenset({str}).issuperset
_encode = Encoder().encode
_encode_sorted = Encoder(order="sorted").encode


def compact(values: Sequence[Any]) -> bytes:
    """A list or tuple of values as ``plain_json.compact`` gives it, in UTF-8.

    Raises:
        TypeError: JSON cannot hold one of them.
        ValueError: the same of a number, or of half a character.
    """
    return _encode(values) if _alike(map(type, values)) else plain_json.compact(values).encode()


def compact_any(values: Sequence[Any]) -> bytes:
    """The same, whatever the values are (see ``plain_json.compact_any``). Half a character becomes no UTF-8."""
    if _alike(map(type, values)):
        try:
            return _encode(values)
        except UnicodeEncodeError:
            pass
    return plain_json.compact_any(values).encode(errors="surrogatepass")


def sorting(default: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], str]:
    """A function that gives an object as JSON in the order of its keys; ``default`` as in ``plain_json.encoding``."""
    usual = plain_json.encoding(sort_keys=True, default=default)

    def encode(value: Mapping[str, Any]) -> str:
        if _alike(map(type, value.values())) and _texts(map(type, value)):
            try:
                return _encode_sorted(value).decode()
            except UnicodeEncodeError:  # half a character: whoever takes it puts it right
                pass
        return usual(value)

    return encode
