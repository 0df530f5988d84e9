"""JSON of small values, as ``json`` writes it, without what ``json`` does anew at every call.

Making the encoder once makes each value two to three times as quick. Where Python has no encoder in C the usual one
does it. ``quick_json`` is quicker still, for what is encoded again and again; this one needs nothing but Python's own
library, and says how everything is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from json import encoder as _encoder
from typing import Any

_FEW = 4  # texts of a list that is worth remembering


def encoding(*, sort_keys: bool = False, default: Callable[[Any], Any] | None = None) -> Callable[[Any], str]:
    """A function that gives a value as JSON: no blanks, characters as they are.

    Args:
        sort_keys: objects in the order of their keys.
        default: gives something that can be encoded for what cannot; None: that is a TypeError.
    """
    usual = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys, default=default)
    make: Any = getattr(_encoder, "c_make_encoder", None)
    quote: Any = getattr(_encoder, "c_encode_basestring", None)
    if make is None or quote is None:
        return usual.encode
    made = make(None, usual.default, quote, None, ":", ",", sort_keys, False, False)
    join = "".join

    def encode(value: Any) -> str:
        return join(made(value, 0))

    return encode


compact = encoding()


def listed(texts: tuple[str, ...]) -> str:
    """A list of texts as ``json.dumps`` writes it, for what comes again and again: addresses."""
    return _listed(texts) if len(texts) <= _FEW else json.dumps(texts)


@lru_cache(maxsize=8_192)
def _listed(texts: tuple[str, ...]) -> str:
    return json.dumps(texts)


def compact_any(values: Sequence[Any]) -> str:
    """A list or tuple of values as ``compact`` gives it, whatever they are.

    What JSON cannot hold, and nothing of ours is, stands in it as a text that nothing of ours has.
    """
    try:
        return compact(values)
    except (TypeError, ValueError):
        return compact([each if each is None or isinstance(each, str | int) else f"\0{each!r}" for each in values])
