"""Faults of what was put away: raw bytes, payload keys, legal holds, archives that were moved out."""

from __future__ import annotations

from gateway.errors.base import Side
from gateway.errors.hosts import TryAgainLater, Unavailable
from gateway.errors.requests import NotAllowedNow, NotFound
from gateway.errors.setup import ConfigurationFault


class ContentPutAway(NotFound):
    code = "content.put-away"
    sentence = "The bytes {key} were put away on {at} by policy ({policy})."
    advice = (
        "What was recorded of them is there still (`gateway ledger show`); `gateway ledger archive list` names the "
        "archives that were written before."
    )


class ContentErased(NotFound):
    code = "content.erased"
    sentence = "The bytes {key} were erased on {at}: the key of {partner} for {period} was forgotten ({reason})."
    advice = "Nobody can read them any more. What was recorded of them is there still: `gateway ledger show`."


class PayloadKeyUnreadable(ConfigurationFault):
    code = "payload-key.unreadable"
    sentence = "The key {key} of what is kept encrypted cannot be read: {reason}"
    advice = "Restore the key file that belongs to this ledger; without it nothing that was encrypted can be read."


class HeldBack(NotAllowedNow):
    code = "hold.held-back"
    sentence = "{what} {key} is held: {reason}"
    advice = "`gateway ledger hold list` shows who holds what, and why; release the hold first."


class StillInFiles(TryAgainLater):
    code = "content.still-in-files"
    sentence = (
        "{what} can be read by nobody any more through the ledger, and may lie in the files of its database still: "
        "somebody reads an older state of it."
    )
    advice = "All else is done. End what reads for long (an export, a report, a backup), and give the command again."


class MovedArchiveUnreadable(NotFound):
    code = "moved-archive.unreadable"
    sentence = "{path} is no archive of a ledger that can be read: {reason}"
    advice = (
        "`gateway ledger archive list` names the archives that were written, with the SHA-256 of each. "
        "If one is lost for good, say so: `gateway ledger archive lost NUMBER`."
    )


class MovedArchiveLost(MovedArchiveUnreadable):
    code = "moved-archive.lost"
    sentence = "The archive {archive}, {path}, is lost: {by} said so on {at} ({reason})."
    advice = (
        "Nothing can be read from it. If it is found, put it back to its place: "
        "`gateway ledger archive found {archive}` lets it count again."
    )


class MovedArchiveAltered(NotAllowedNow):
    code = "moved-archive.altered"
    sentence = "The archive {path} is not what was written: {reason}"
    advice = (
        "Nothing was taken from it: take a copy that is whole. `gateway ledger archive verify` tells more. "
        "If there is none any more, say so: `gateway ledger archive lost NUMBER`."
    )
    exit_code = 65


class MovedArchiveUnwritable(Unavailable):
    code = "moved-archive.unwritable"
    sentence = "The archive {path} cannot be written: {reason}"
    advice = "Nothing was put away. Make room, or name another directory with --move-to or [retention] move_to."
    side = Side.OURS
