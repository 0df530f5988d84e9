"""What a search gives back: exchanges and mails as frozen values with all tracked properties and keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from msgspec import Struct

from gateway.ledger.moments import iso

_SHORT = 500  # characters of a list of addresses that is worth remembering
_MOMENTS = ("at", "updated_at", "handed_over_at", "settled_at", "due_at", "acknowledged_at")


class ExchangeRow(Struct, frozen=True):
    """One exchange. Times are ms since 1970 UTC; ``keys`` are its business keys as (name, value)."""

    id: int
    at: int
    updated_at: int
    direction: str
    kind: str
    state: str
    verdict: str
    partner: str
    agreement: str
    # the tracked properties
    file_name: str
    from_address: str
    host: str
    message_id: str
    subject: str
    to_addresses: tuple[str, ...]
    cc_addresses: tuple[str, ...]
    user: str
    mailbox: str
    # the EDI keys
    sender: str  # qualifier:id
    receiver: str
    interchange_date: str
    interchange_time: str
    interchange_version: str
    control_number: str
    usage: str
    types: tuple[str, ...]
    versions: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    # what became of it
    size: int
    segments: int
    findings: int
    ta1: str
    fault_code: str
    fault: str  # the fault's sentence
    message: int | None
    duplicate_of: int | None
    answers: int | None
    idempotency_key: str | None
    handed_over_at: int | None
    settled_at: int | None
    smtp_reply: str
    sha256: str
    # how sure and how secured
    proof: str  # what proved the sender of its mail: signed, dkim, mx, address, or ""
    proof_detail: tuple[tuple[str, str], ...]
    security: str
    mic: str
    due_at: int | None  # when its acknowledgment was last expected
    acknowledged_at: int | None  # when the partner had spoken on all of it
    repeats: int | None  # an earlier exchange with the same business document

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the next page begins: ``Query.before``."""
        return self.at, self.id

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, lists as lists, business keys as (name, value) lists."""
        return _as_dict("exchange", self)


class MessageRow(Struct, frozen=True):
    """One mail that no exchange speaks for: quarantined, a bounce, a receipt, an auto-reply, or not processed yet."""

    id: int
    at: int
    direction: str
    kind: str
    state: str
    partner: str
    file_names: tuple[str, ...]
    from_address: str
    host: str
    message_id: str
    in_reply_to: str
    subject: str
    to_addresses: tuple[str, ...]
    cc_addresses: tuple[str, ...]
    user: str
    mailbox: str
    dated: str
    size: int
    fault_code: str
    fault: str  # the fault's sentence
    sha256: str
    proof: str  # what proved its sender: signed, dkim, mx, address, or ""
    proof_detail: tuple[tuple[str, str], ...]
    layers: tuple[Mapping[str, Any], ...]  # S/MIME, outermost first

    @property
    def cursor(self) -> tuple[int, int]:
        """Where the next page begins: ``Query.before``."""
        return self.at, self.id

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, lists as lists."""
        return _as_dict("message", self)


# By position: by name each of the fifty is compared with all before it.
_of_exchange = itemgetter(*ExchangeRow.__struct_fields__)
_of_message = itemgetter(*MessageRow.__struct_fields__)


def exchange_row(row: Mapping[str, Any], keys: tuple[tuple[str, str], ...]) -> ExchangeRow:
    """An exchange from its database row, which holds its mail's Cc, mailbox and proof of sender too."""
    values = dict(row)
    for name in ("sender", "receiver"):
        values[name] = f"{values.pop(name + '_qualifier')}:{values.pop(name + '_id')}".strip(":")
    for name in ("types", "versions"):
        values[name] = tuple(values[name].split())
    values["keys"] = keys
    return ExchangeRow(*_of_exchange(_opened(values)))


def message_row(row: Mapping[str, Any], file_names: tuple[str, ...]) -> MessageRow:
    """A mail from its database row."""
    values = _opened(dict(row)) | {"file_names": file_names}
    return MessageRow(*_of_message(values))


def fault_sentence(stored: str) -> str:
    """The sentence of a fault that was stored as JSON (``GatewayError.as_dict``)."""
    try:
        fault = json.loads(stored) if stored else {}
    except ValueError:
        return stored
    return str(fault.get("message", "")) if isinstance(fault, dict) else stored


def address_list(stored: str | None) -> tuple[str, ...]:
    """The addresses of a JSON list."""
    return _addresses(stored or "[]") if len(stored or "") <= _SHORT else _addresses.__wrapped__(stored or "[]")


@lru_cache(maxsize=4_096)
def _addresses(stored: str) -> tuple[str, ...]:
    return tuple(str(each) for each in json.loads(stored))


def _opened(values: dict[str, Any]) -> dict[str, Any]:
    for name in ("to_addresses", "cc_addresses"):
        values[name] = address_list(values[name])
    values["fault"] = fault_sentence(values["fault"])
    values["mailbox"] = values["mailbox"] or ""
    values["proof"] = values["proof"] or ""  # None where an exchange has no mail
    values["proof_detail"] = _pairs(values["proof_detail"])
    if "layers" in values:
        values["layers"] = tuple(json.loads(values["layers"] or "[]"))
    return values


def _pairs(stored: str | None) -> tuple[tuple[str, str], ...]:
    if not stored or stored == "{}":
        return ()
    return tuple((str(name), str(value)) for name, value in json.loads(stored).items())


def _as_dict(record: str, row: ExchangeRow | MessageRow) -> dict[str, Any]:
    values: dict[str, Any] = {"record": record}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name == "proof_detail":
            value = dict(value)
        values[name] = iso(value) if name in _MOMENTS else value
    return values
