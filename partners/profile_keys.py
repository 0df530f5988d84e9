"""The keys of a profile file, table by table, and how each is read. docs/reference/profile.md explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from gateway.settings.retention import kept
from partners import profile_times as times
from partners import profile_values as values
from partners.model import AckDetail, Counted, Direction, Evidence, FunctionalAck, Numbering, Status, TA1Policy

Reader = Callable[[object], object]

E = TypeVar("E", bound=StrEnum)


def _member(kind: type[E]) -> Callable[[object], E]:
    read_word = values.one_of(*(each.value for each in kind))

    def read(value: object) -> E:
        return kind(read_word(value))

    return read


def _sets(value: object) -> tuple[str, ...]:
    found = values.some(values.list_of(values.read_set))(value)
    if "*" in found and len(found) > 1:
        raise values.WrongItemError(found.index("*"), '"*" covers every transaction set; let it stand alone')
    return found


SEPARATORS: Mapping[str, Reader] = {
    "element": values.read_separator,
    "component": values.read_separator,
    "segment": values.read_separator,
    "repetition": values.read_separator,
    "line_ending": values.read_line_ending,
}
ENVELOPE: Mapping[str, Reader] = {
    "our_identity": values.read_identity,
    "partner_identity": values.read_identity,
    "application_sender": values.read_application_id,
    "application_receiver": values.read_application_id,
    "interchange_version": values.read_interchange_version,
    "usage": values.one_of("P", "T", "I"),
    "request_ta1": values.read_flag,
}
ACKNOWLEDGMENT: Mapping[str, Reader] = {
    "ta1": _member(TA1Policy),
    "functional": _member(FunctionalAck),
    "detail": _member(AckDetail),
    "within": values.read_deadline,
    "counted": _member(Counted),
    "escalate_after": values.read_duration,
    "explain": values.read_flag,
}
DELIVERY: Mapping[str, Reader] = {
    "kind": values.one_of("directory", "command", "http"),
    "target": values.read_line,
    "unit": values.one_of("set", "interchange"),
    "timeout": values.read_duration,
    "secret": values.read_secret,
}
MAIL: Mapping[str, Reader] = {
    "to": values.list_of(values.read_address),
    "cc": values.list_of(values.read_address),
    "subject": values.read_line_template,
    "file_name": values.read_file_name,
    "body": values.read_template,
    "content_type": values.read_content_type,
    "reply_to": values.read_address,
    "headers": values.read_headers,
    "place": values.one_of("attachment", "body"),
    "compress": values.one_of("none", "gzip", "zip"),
    "transfer_encoding": values.one_of("auto", "base64", "7bit"),
}
SECURITY: Mapping[str, Reader] = {
    "sign": values.read_flag,
    "encrypt": values.read_flag,
    "compress": values.read_flag,
    "digest": values.one_of("sha-256", "sha-384", "sha-512"),
    "cipher": values.one_of("aes-128-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"),
    "key_transport": values.one_of("rsa-pkcs1", "rsa-oaep"),
    "receipt": values.one_of("none", "unsigned", "signed"),
    "receipt_within": values.read_deadline,
    "weak": values.read_flag,
    "key": values.read_own_key,
    "receipt_counted": _member(Counted),
}
RETENTION: Mapping[str, Reader] = {
    "ledger": kept,
    "payload": kept,
}
STORAGE: Mapping[str, Reader] = {
    "encrypt": values.read_flag,
}
AGREEMENT: Mapping[str, Reader] = {
    "name": values.read_line,
    "direction": _member(Direction),
    "sets": _sets,
    "versions": values.list_of(values.read_version),
    "reject_from": values.one_of("error", "warning"),
    "on_doubt": values.one_of("hold", "resend"),
    "ordered": values.read_flag,
    "on_repeat": values.one_of("flag", "hold"),
    "guideline": values.read_guideline_path,
    "business_keys": values.read_business_keys,
}
PARTNER: Mapping[str, Reader] = {
    "key": values.read_key,
    "name": values.read_line,
    "status": _member(Status),
    "addresses": values.some(values.list_of(values.read_address)),
    "identities": values.some(values.list_of(values.read_identity)),
    "contact": values.read_text,
    "notes": values.read_text,
    "evidence": _member(Evidence),
    "numbers": _member(Numbering),
    "group_numbers": _member(Numbering),
    "gap_grace": values.read_duration,
    "on_test": values.one_of("quarantine", "accept", "reject"),
    "on_production": values.one_of("quarantine", "accept", "reject"),
    "guidelines": values.read_guidelines,
}

CALENDAR: Mapping[str, Reader] = {
    "time_zone": times.read_time_zone,
    "days": times.read_days,
    "opens": times.read_clock,
    "closes": times.read_closing,
    "holidays": values.list_of(times.read_holiday),
}
EXPECTED: Mapping[str, Reader] = {
    "sets": _sets,
    "by": times.read_clock,
    "days": times.read_expected_days,
    "opens": times.read_clock,
    "agreement": values.read_line,
}

# What a partner settles for all its agreements, and an agreement overrides key by key.
SECTIONS: Mapping[str, Mapping[str, Reader]] = {
    "envelope": ENVELOPE,
    "acknowledgment": ACKNOWLEDGMENT,
    "delivery": DELIVERY,
    "test_delivery": DELIVERY,
    "mail": MAIL,
    "security": SECURITY,
    "retention": RETENTION,
}

# What cannot be left out, each with an example.
REQUIRED: Mapping[str, Mapping[str, str]] = {
    "partner": {
        "key": 'key = "acme"',
        "addresses": 'addresses = ["edi@acme.example"]',
        "identities": 'identities = ["ZZ:ACMECO"]',
    },
    "agreement": {
        "direction": 'direction = "in" (the partner sends us) or "out" (we send)',
        "sets": 'sets = ["850"]',
    },
    "expected": {
        "sets": 'sets = ["850"]',
        "by": 'by = "02:00"',
    },
}


def all_keys() -> list[str]:
    """Every key as the reference writes it, for example ``agreement.sets`` or ``envelope.separators.element``."""
    found = [*PARTNER, *(f"agreement.{key}" for key in AGREEMENT)]
    for section, keys in SECTIONS.items():
        found += [f"{section}.{key}" for key in keys]
    found += [f"storage.{key}" for key in STORAGE]
    found += [f"calendar.{key}" for key in CALENDAR] + [f"expected.{key}" for key in EXPECTED]
    return [*found, *(f"envelope.separators.{key}" for key in SEPARATORS)]
