"""Keys: the business numbers in a transaction set by which people find it and follow it. Pure."""

from __future__ import annotations

from functools import lru_cache

from gateway.ledger.key_value import key_value
from gateway.x12.extract import ElementPath, Paths, default_keys, extract
from gateway.x12.model import Separators
from partners.model import Agreement

_path = lru_cache(maxsize=1024)(ElementPath.parse)


def business_keys(
    text: str, separators: Separators, set_id: str, version: str, agreement: Agreement | None
) -> dict[str, list[str]]:
    """The values by name: what the agreement names, and the usual ones of well-known sets. None is left out.

    Args:
        text: the set, ST to SE.
        separators: those of the interchange.
        set_id: ST01.
        version: ST03, or GS08 where that is empty.
        agreement: the one that the set belongs to; its names go before the usual ones.
    """
    paths: dict[str, Paths] = dict(default_keys(set_id, version))
    if agreement is not None:
        paths |= {name: _path(path) for name, path in agreement.business_keys}
    found = extract(text, separators, paths) if paths else {}
    return {name: [key_value(each) for each in values] for name, values in found.items()}
