"""Faults of what proves that the ledger is what was recorded: seals, and digests of rows."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side
from gateway.errors.hosts import Unavailable
from gateway.errors.requests import NotAllowedNow


class SealInvalid(GatewayError):
    """What should be a seal, or the key of one, is none, or is not signed by that key."""

    code = "seal.invalid"
    sentence = "{what} cannot be relied on: {reason}."
    advice = "Use the copy of the seals that was kept outside, and the key as it was given to the auditor."
    side = Side.OURS
    exit_code = 65


class NotAsRecorded(NotAllowedNow):
    """Something in the ledger was changed past the gateway, and what was asked for depends on it."""

    code = "ledger.not-as-recorded"
    sentence = "{what} {key} is not as recorded: {reason}."
    advice = "Somebody changed the database by hand: `gateway ledger verify --full` names all that differs."
    side = Side.OURS
    exit_code = 65


class SealUnwritable(Unavailable):
    code = "seal.unwritable"
    sentence = "The seal cannot be written to {path}: {reason}"
    advice = "Make room or correct the setting seal.file; the next batch seals again."
    side = Side.OURS
