"""The value of a business key as it is kept: whole, or where it is longer than any number, its beginning and a hash.

Keys are found by an index, and no database has one for values of any length.
"""

from __future__ import annotations

import hashlib

WHOLE = 500  # characters that are kept as they are; no identifier of X12 has more than 80
_BEGINNING = 400


def key_value(value: str) -> str:
    """What stands in the ledger for ``value``: to be used where a key is kept, and where it is looked for."""
    if len(value) <= WHOLE:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{value[:_BEGINNING]}…{digest}"
