"""The kinds of events and the sentence that each one tells.

A sentence is filled from the event's body and, where the body is silent, from the facts that the reader knows of the
exchange or mail. A part in square brackets is left out when something that it names is missing or empty;
``{sets|set}`` counts: ``1 set``, ``2 sets``, ``no sets``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from msgspec import Struct

from gateway.ledger.moments import duration, iso, spoken

EVENT_KINDS: Mapping[str, str] = {
    # a mail that came
    "received": "received[ from {from_address}][ in mailbox {mailbox}][ as {message_id}][ ({size} bytes)]",
    "resighted": "seen again[ in mailbox {mailbox}][ under uid {uid}]: already recorded, not processed twice",
    "repaired": "{part}: {repair}",
    "not-taken": "message {uid} of mailbox {mailbox} was not taken and stays there[: {reason}]",
    "mailbox-gone": "gateway.toml names mailbox {mailbox} no more: {mails|message} that it did not give put to rest",
    "self-test": "a self-test: it was judged, and nothing of it taken[; {outcome}]",
    "self-test-answered": "report on a self-test made",
    "noted": "read and recorded as {kind}; such a mail is never answered",
    "quarantined": "put into quarantine[: {reason}]",
    "taken-as-test": "taken as a test, although it is marked for production (ISA15 P)",
    "released": "released from quarantine to be processed again[: {reason}]",
    "discarded": "put aside; the bytes are kept[: {reason}]",
    "replaced": "replaced by exchange {by}, made from the same mail",
    "same-message-id": "has the Message-ID of message m{earlier}, but other bytes",
    "replayed": "taken the whole way again, as if it had come now[: {reason}]",
    # an interchange that came
    "examined": "examined: {verdict}[, {sets|set}][, {findings|finding}][, TA1 {ta1}]",
    "accepted": "accepted[: {reason}]",
    "rejected": "rejected[: {reason}]",
    "duplicate": "recognised as a duplicate: not delivered again[: {reason}]",
    "not-answered-again": "its answer, exchange {answer}, was cancelled by a person and is not sent again",
    "answer-put-away": "its answer, exchange {answer}, is not kept any more and cannot be sent again",
    "conflict": "a used control number with other content: not delivered[: {reason}]",
    "reconciled": "matched to what it acknowledges",
    "unmatched": "acknowledges nothing that we sent to this partner[: {reason}]",
    "accepted-by-hand": "accepted by a person under its number[: {reason}]",
    "repeats-document": "{set} {value} came before, in exchange {earlier}: the same document under another number",
    "redelivered": "to be handed to the business again, under the same key[: {reason}]",
    "delivered": "delivered[ {set}][ {control_number}][ to {target}]",
    "delivery-failed": "could not be delivered to the business[: {reason}]",
    # an interchange that goes
    "submitted": "submitted by the business[, numbered {control_number}]",
    "document-repeated": "{name} was submitted before, as exchange {exchanges}",
    "document-refused": "refused to send {name}[: {reason}]",
    "numbered": "numbered {control_number}",
    "answered": "made to answer exchange {answers}[, numbered {control_number}]",
    "acknowledged-out": "acknowledged to the partner[, numbered {control_number}]",
    "sending": "being handed to the SMTP host[ for {recipients}][ (attempt {attempt})]",
    "sent": "taken by {host}[ for {recipients}][: {reply}]",
    "deferred": "not taken for now[: {reason}][; next attempt at {next_at}]",
    "refused": "refused by {host}[: {reply}][: {reason}]",
    "recipient-refused": "refused for {recipient}[: {reply}]",
    "recipient-deferred": "not taken for {recipient} for now[: {reply}][; next attempt at {next_at}]",
    "failed": "given up[: {reason}]",
    "in-doubt": "in doubt: the SMTP host may or may not have taken it[: {reason}][ (policy: {policy})]",
    "resolved": "no longer in doubt[: {reason}]",
    "resent": "queued again, the same bytes and numbers[: {reason}]",
    "awaited-anew": "goes again after it was {verdict}: what the partner says is awaited anew",
    "resend-cancelled": "not sent again after all; it is {was} as before[: {reason}]",
    "cancelled": "cancelled; its number stays used[: {reason}]",
    "settled": "put to rest by a person[: {reason}]",
    "superseded": "sent again under new numbers, as exchange {by}[: {reason}]",
    "supersedes": "made from exchange {earlier}, numbered {number}, to be sent in its place[: {reason}]",
    "acknowledged-by-hand": "taken as {verdict} on a person's word[: {reason}]",
    # what comes back
    "acknowledgment": "{kind} {status}[ note {note}][ for group {group}][: {accepted} of {received|set} accepted]"
    "[, in exchange {carrier}][ ({relation})]",
    "overdue": "{kind} overdue[: it was due at {due_at}]",
    "escalated": "{kind} is urgent: it is still missing[; it was due at {due_at}]",
    "late": "{kind} came late[ by {by_ms}]",
    "bounced": "returned by the mail system[ of {recipient}][ with status {status}][: {reason}]",
    "bounce-notice": "the mail system reports[ on {recipient}][ status {status}][: {reason}]",
    "bounce-unmatched": "a bounce[ of {names}] that matches nothing that we sent[: {reason}]",
    "bounce-unproven": "a bounce[ of {recipient}] that does not carry our token, so nothing was changed[: {reason}]",
    # what should have come
    "number-missing": "{what}",
    "number-arrived": "{level} number {number}, which was missing, came after all",
    "number-explained": "{what}; explained by a person[: {reason}]",
    "numbers-reset": "the {level} numbers of {theirs} begin anew at {first}[: {reason}]",
    "expected-missed": "{rule} did not come; it was due at {due_at}",
    "expected-late": "{rule} came late; it was due at {due_at}",
    "expected-settled": "{rule}, due at {due_at}, was put to rest by a person[: {reason}]",
    # S/MIME and receipts
    "secured": "{words}[; its receipt is to state {mic}]",
    "receipt": "receipt of the partner: {disposition}[/{modifier}][, signed by {signed_by}]"
    "[, content confirmed: {mic_matches}][ ({relation})][: {reason}]",
    "receipt-unproven": "a receipt that is not proved, and counts for nothing[: {reason}]",
    "receipt-unmatched": "a receipt for[ {names},] which we never sent",
    "proof-exported": "proof of exchange {number} written out",
    "receipt-given": "[{signed} ]receipt given to {to}: {disposition}[/{modifier}]",
    "receipt-not-given": "asked for a receipt, but none was given[: {reason}]",
    # alerts
    "alert-raised": "alert {alert} raised: {subject}",
    "alert-reopened": "alert {alert} raised again: {subject}",
    "alert-closed": "alert {alert} closed[: {reason}]",
    "alert-muted": "alert {alert} muted[: {reason}]",
    "alert-telling": "rule {rule} begins to tell {target} of {alerts|alert}",
    "alert-told": "rule {rule} told {target}[ of {alerts|alert}][: {reply}]",
    "alert-not-told": "rule {rule} could not tell {target}[: {reason}][; next attempt at {next_at}]",
    "alert-doubt": "whether rule {rule} told {target} is not known, because the process ended meanwhile: told again",
    "alert-returned": "the mail of rule {rule} to {target} came back[: {reason}]",
    "alert-told-without-ledger": "rule {rule} told that the database could not be used, at {told_at}",
    "alert-tested": "rule {rule} told {target} as a test",
    # the mail after a night
    "report-mailed": "the report of the night mailed to {to}[: {reply}]",
    "report-not-mailed": "the report of the night was not taken[: {reason}]",
    "report-in-doubt": "whether the report of the night was taken is not known: it is not sent again",
    # the ledger itself
    "recorded": "digests of the rows that this transaction wrote",
    "backup-made": "backup {backup} made[ and checked ({verified})]",
    "ledger-restored": "restored from the backup {backup}, which ends at event {newest}[, in the place of a ledger that"
    " ended at event {found}]: {outcome}[; the one that was there is kept as {kept}][: {reason}]",
    "recounted": "the daily counts of {months|month} written anew[, which had {differences|difference}]",
    "sealed": "the ledger sealed over {size} events[, up to event {newest}][, in {file}]",
    "seal-mailed": "the seal over {size} events mailed to {to}[: {reply}]",
    # what is held, and what was put away
    "held": "legal hold {hold} on {words}[: {reason}]",
    "hold-released": "legal hold {hold} released[: {reason}]",
    "purged": "put away by policy[: {what}][ ({policy})]",
    "moved": "{exchanges|exchange} and {messages|mail} written into the archive {file}, SHA-256 {sha256}",
    "archive-lost": "the archive {archive}, {file}, is known to be lost[: {reason}]",
    "archive-found": "the archive {archive}, {file}, was found and counts again[: {reason}]",
    "recalled": "brought back from the archive {file}[: {reason}]",
    "payload-key-forgotten": "the key of {partner} for {period} was forgotten: {contents|content} erased[: {reason}]",
    "encrypted": "what was kept of {partner} in clear lies encrypted now: {contents|content}",
    # everything else
    "shown-unmasked": "{what} shown with the passwords of its ISA",
    "batch-asked": "a batch was asked for[: {reason}]",
    "settings-seen": "gateway.toml of {place} seen for the first time, SHA-256 {sha256}",
    "settings-changed": "gateway.toml of {place} changed[: {changes}], SHA-256 {sha256}",
    "profile-applied": "profile of {partner} {change}[ as revision {revision}][ from {file}][: {reason}]",
    "profile-noticed": "revision {revision} of the profile of {partner}, which nobody told of, found as of {by}",
    "partner-status": "{partner} is now {status}[, before {before}][, although missing is: {missing}][: {reason}]",
    "certificate-added": "certificate {fingerprint} of {partner} kept as pending[, from {source}]",
    "certificate-trusted": "certificate {fingerprint} of {partner} trusted[: {reason}]",
    "certificate-retired": "certificate {fingerprint} of {partner} retired[: {reason}]",
    "key-added": "key {name} of ours added[: {how}][, certificate {fingerprint}]",
    "key-exported": "certificate of key {name} written out[ as {form}]",
    "key-retired": "key {name} of ours retired[, certificate {fingerprint}]",
    "numbers-started": "our next {level} number from {ours} to {theirs} is {next}[, before {before}][: {reason}]",
    "authorized": "the gateway was allowed to use [oauth.{name}][: {how}]",
    "numbers-left": "our control numbers for {partner} knowingly left as they are[: {reason}]",
    "secret-set": "secret {name} set",
    "secret-removed": "secret {name} removed",
    "query-saved": "query {name} saved: {words}[, in the place of: {before}]",
    "query-deleted": "saved query {name} deleted: {words}",
    # people and programs at the door
    "user-added": "user {name} added as {role}[, for whom {by_provider} vouches]",
    "user-role": "user {name} is now {role}[, before {before}]",
    "user-password": "user {name} got another password[; {sessions|session} ended]",
    "user-disabled": "user {name} is let in no more[; {sessions|session} ended]",
    "user-enabled": "user {name} is let in again",
    "user-removed": "user {name} removed[, who was {role}]",
    "signed-in": "{name} signed in[ from {address}][ by {how}]",
    "signed-out": "{name} signed out",
    "sessions-ended": "{sessions|session} of {name} ended",
    "sign-in-failed": "a sign-in[ of {name}] failed[, from {address}][: {reason}]",
    "token-added": "token {name} made for {scopes}[, for {partner} alone][, good until {until}]",
    "token-revoked": "token {name} revoked[: {reason}]",
    "restore-accepted": "a ledger of {found} events was accepted, where {known} had been seen[: {reason}]",
    "numbers-jumped": "the {level} numbers of {ours} to {theirs} go on at {after} instead of {before}[: {reason}]",
}

_ENUMERATED = ("verdict", "status", "relation")  # accepted_with_errors is for machines
_MOMENTS = ("due_at", "next_at", "told_at")  # fields of bodies that are ledger times
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
# What people do; of all other steps it does not matter under whose login the batch ran.
_ACTS = frozenset(
    {
        *("released", "discarded", "submitted", "resent", "resolved", "cancelled", "settled", "replayed"),
        "resend-cancelled",
        *("accepted-by-hand", "redelivered", "superseded", "supersedes", "acknowledged-by-hand", "numbers-started"),
        "numbers-left",
        *(
            "recounted",
            "shown-unmasked",
            "batch-asked",
            "settings-seen",
            "settings-changed",
            "profile-applied",
            "partner-status",
            "secret-set",
            "secret-removed",
            "authorized",
        ),
        *("restore-accepted", "numbers-jumped", "ledger-restored", "backup-made"),
        *("query-saved", "query-deleted"),
        *("proof-exported", "certificate-added", "certificate-trusted", "certificate-retired"),
        *("key-added", "key-exported", "key-retired"),
        *("user-added", "user-role", "user-password", "user-disabled", "user-enabled", "user-removed"),
        *("sessions-ended", "token-added", "token-revoked"),
        *("held", "hold-released", "recalled", "payload-key-forgotten", "encrypted"),
        *("archive-lost", "archive-found"),
        *("alert-muted", "alert-tested", "number-explained", "numbers-reset", "expected-settled"),
    }
)


class Event(Struct, frozen=True):
    """One step in a life. ``body`` holds what its kind tells; ``exchange`` and ``message`` are ids or None."""

    seq: int
    at: int
    kind: str
    exchange: int | None
    message: int | None
    partner: str
    actor: str
    body: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the time in ISO 8601 and the sentence."""
        return {
            "seq": self.seq,
            "at": iso(self.at),
            "kind": self.kind,
            "exchange": self.exchange,
            "message": self.message,
            "partner": self.partner,
            "actor": self.actor,
            "body": dict(self.body),
            "sentence": sentence(self),
        }


def event_of(row: Mapping[str, Any]) -> Event:
    """An event from its database row."""
    try:
        body = json.loads(row["body"])
    except ValueError:
        body = {"reason": row["body"]}
    known = {name: row[name] for name in ("seq", "at", "kind", "exchange", "message", "partner", "actor")}
    return Event(**known, body=body if isinstance(body, dict) else {"reason": body})


def sentence(event: Event, facts: Mapping[str, Any] | None = None, zone: tzinfo | None = None) -> str:
    """What an event says in plain words.

    Args:
        event: any event; a kind that nobody knows tells its body.
        facts: what else is known (``from_address``, ``message_id``, …), used where the body is silent.
        zone: the zone of times within the sentence; None means the local one.
    """
    template = EVENT_KINDS.get(event.kind)
    if template is None:
        told = ", ".join(f"{name} {_said(name, value, zone)}" for name, value in event.body.items() if _is_said(value))
        return f"{event.kind}: {told}" if told else event.kind
    known = {**(facts or {}), **({"partner": event.partner} if event.partner else {}), **event.body}
    if known.get("relation") == "matched":  # goes without saying
        del known["relation"]

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(_is_said(known.get(name)) for name, _ in _FIELD.findall(part[1])) else ""

    def filled(field: re.Match[str]) -> str:
        value = known.get(field[1])
        return _counted(value, field[2]) if field[2] and isinstance(value, int) else _said(field[1], value, zone)

    # Only the template is searched for brackets and fields, never what partners wrote.
    return _FIELD.sub(filled, _OPTIONAL.sub(optional, template))


def told(event: Event, facts: Mapping[str, Any] | None = None, zone: tzinfo | None = None) -> str:
    """One line of a timeline: when, what, and of the acts of people who."""
    who = by_whom(event)
    by = f" (by {who})" if who else ""
    return f"{spoken(event.at, zone)}  {one_line(sentence(event, facts, zone))}{by}"


def by_whom(event: Event) -> str:
    """Who did it, of the acts of people; "" of what the gateway does by itself."""
    return event.actor if event.kind in _ACTS else ""


def one_line(text: str) -> str:
    """The text on one line, without control characters: a terminal must not obey what a partner wrote."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _is_said(value: object) -> bool:
    return value is not None and value not in ("", [], {})


def awaited_name(kind: str) -> str:
    """The kind of an awaited acknowledgment for people."""
    return "997 or 999" if kind == "functional" else kind


def _was(value: object) -> str:
    return "(none)" if value is None else str(value)


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _said(name: str, value: object, zone: tzinfo | None) -> str:
    if not _is_said(value):
        return "(unknown)"
    if isinstance(value, int) and (name in _MOMENTS or name.endswith("_ms")):
        return spoken(value, zone).strip() if name in _MOMENTS else duration(value)
    if name == "changes" and isinstance(value, dict):
        return "; ".join(f"{key}: {_was(was)} → {_was(now)}" for key, (was, now) in value.items())
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if name == "kind":
        return awaited_name(str(value))
    return str(value).replace("_", " ") if name in _ENUMERATED else str(value)
