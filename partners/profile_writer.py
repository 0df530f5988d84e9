"""A Partner as profile text: what differs from the defaults, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import time, timedelta
from enum import Enum
from typing import Any

import tomli_w

from gateway.settings.model import Kept
from gateway.settings.retention import say_kept
from gateway.values import defaults
from partners.calendar import Calendar, Holiday
from partners.model import (
    AcknowledgmentPolicy,
    Agreement,
    Delivery,
    EnvelopeSettings,
    Expected,
    Identity,
    MailSettings,
    Partner,
    Security,
    Separators,
    Storage,
)
from partners.profile_times import WORKING, clock_text, holiday_text
from partners.profile_values import duration_text, line_ending_text, separator_text

Section = EnvelopeSettings | AcknowledgmentPolicy | Delivery | MailSettings | Security | Separators | Calendar | Storage

_AS_TEXT: Mapping[type, Callable[[Any], str]] = {
    timedelta: duration_text,
    time: clock_text,
    Holiday: holiday_text,
    Identity: str,
}


def write_profile(partner: Partner) -> str:
    """The profile text that ``read_profile`` reads as the same partner.

    Durations are written in whole seconds. Partner-wide tables are not made up, but for what is the partner's own
    (calendar, retention, storage): each agreement stands alone.
    """
    document: dict[str, Any] = {"key": partner.key, "name": partner.name, "status": partner.status.value}
    document["addresses"] = list(partner.addresses)
    document["identities"] = [str(each) for each in partner.identities]
    usual = defaults(Partner)
    for key in ("evidence", "contact", "notes", "numbers", "group_numbers", "gap_grace", "on_test", "on_production"):
        value = getattr(partner, key)
        if value != usual[key]:
            document[key] = plain(value)
    tables = {
        "calendar": _changed(partner.calendar, Calendar()),
        "retention": _kept(partner.retention, Kept()),
        "storage": _changed(partner.storage, Storage()),
    }
    document |= {name: table for name, table in tables.items() if table}
    document["agreement"] = [_agreement(each, partner.retention) for each in partner.agreements]
    if partner.expected:
        document["expected"] = [_expected(each) for each in partner.expected]
    if partner.guidelines:
        document["guidelines"] = dict(partner.guidelines)
    return _table(document)


def guidelines_table(texts: Mapping[str, str]) -> str:
    """The table that keeps guideline files inside a profile, as the end of its text."""
    return _table({"guidelines": dict(texts)})


def plain(value: object) -> object:
    """A value as TOML writes it: words, texts, lists, true and false."""
    if value is None:
        return "none"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    as_text = _AS_TEXT.get(type(value))
    return as_text(value) if as_text else value


def _kept(kept: Kept, default: Kept) -> dict[str, Any]:
    spans = {"ledger": (kept.ledger, default.ledger), "payload": (kept.payload, default.payload)}
    return {name: say_kept(span) for name, (span, usual) in spans.items() if span is not None and span != usual}


def _agreement(agreement: Agreement, retention: Kept) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": agreement.name,
        "direction": agreement.direction.value,
        "sets": list(agreement.sets),
    }
    usual = defaults(Agreement)
    for key in ("versions", "reject_from", "on_doubt", "ordered", "on_repeat", "guideline"):
        if getattr(agreement, key) != usual[key]:
            found[key] = plain(getattr(agreement, key))
    sections = {
        "business_keys": dict(agreement.business_keys),
        "envelope": _changed(agreement.envelope, EnvelopeSettings(), leave=("separators",)),
        "acknowledgment": _changed(agreement.acknowledgment, AcknowledgmentPolicy()),
        "delivery": _changed(agreement.delivery, Delivery()),
        "test_delivery": _changed(agreement.test_delivery, Delivery()),
        "mail": _changed(agreement.mail, MailSettings(), leave=("headers",)),
        "security": _changed(agreement.security, Security()),
        "retention": _kept(agreement.retention, retention),
    }
    if separators := _separators(agreement.envelope.separators):
        sections["envelope"]["separators"] = separators
    if agreement.mail.headers:
        sections["mail"]["headers"] = dict(agreement.mail.headers)
    return found | {name: table for name, table in sections.items() if table}


def _expected(expected: Expected) -> dict[str, Any]:
    found: dict[str, Any] = {"sets": list(expected.sets), "by": clock_text(expected.by)}
    found["days"] = list(expected.days) or WORKING
    if expected.opens is not None:
        found["opens"] = clock_text(expected.opens)
    return found | ({"agreement": expected.agreement} if expected.agreement else {})


def _separators(separators: Separators) -> dict[str, Any]:
    found = _changed(separators, Separators())
    return {
        key: line_ending_text(value) if key == "line_ending" else separator_text(value) for key, value in found.items()
    }


def _changed(value: Section, default: Section, leave: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of a value that are not as they are by default."""
    names = [name for name in value.__struct_fields__ if name not in leave]
    return {name: plain(getattr(value, name)) for name in names if getattr(value, name) != getattr(default, name)}


def _table(table: dict[str, Any], path: str = "") -> str:
    """A table with its lists on one line (tomli_w gives every item its own), its subtables after its keys."""
    rows = [_pair(key, value) for key, value in table.items() if not isinstance(value, dict) and not _is_tables(value)]
    for key, value in table.items():
        if _is_tables(value):
            rows += [f"\n[[{path}{key}]]\n{_table(each, f'{path}{key}.')}" for each in value]
        elif isinstance(value, dict):
            header = "" if all(isinstance(each, dict) for each in value.values()) else f"\n[{path}{key}]\n"
            rows.append(header + _table(value, f"{path}{key}."))
    return "".join(rows)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _pair(key: str, value: object) -> str:
    if isinstance(value, list):
        items = ", ".join(tomli_w.dumps({"x": each}).removeprefix("x = ").rstrip("\n") for each in value)
        return f"{key} = [{items}]\n"
    # TOML readers turn CR LF inside a multi-line string into LF; escaped on one line it survives.
    return tomli_w.dumps({key: value}, multiline_strings="\r" not in str(value))
