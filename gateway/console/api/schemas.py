"""The shapes of what the API takes and gives, as JSON Schema (2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from msgspec import Struct

from gateway.console.api.declared import Schema
from gateway.flow.acts import Act
from gateway.flow.documents import Document
from gateway.ledger.rows import ExchangeRow, MessageRow

MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
_PAIRS: Schema = {"type": "array", "items": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}}
_MOMENTS = {"at", "updated_at", "handed_over_at", "settled_at", "due_at", "acknowledged_at", "delivered_at"}


def reference(name: str) -> Schema:
    """Where a schema of ``SCHEMAS`` stands in the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def document(properties: Mapping[str, Schema], *, required: tuple[str, ...] | None = None, **more: Any) -> Schema:
    """An object; all of its fields are there unless ``required`` says less."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
    } | more


def _of(kind: type[Struct], **instead: Schema) -> dict[str, Schema]:
    """The fields of a frozen value, as its ``as_dict`` gives them."""
    hints = get_type_hints(kind)
    return {name: instead.get(name) or _field(name, hints[name]) for name in kind.__struct_fields__}


def _field(name: str, hint: Any) -> Schema:
    if name in _MOMENTS:
        return MOMENT
    inside = get_args(hint)
    if type(None) in inside:
        (only,) = (each for each in inside if each is not type(None))
        return {"type": [_name(only), "null"]}
    return listed(TEXT) if inside else {"type": _name(hint)}


def _name(kind: type) -> str:
    return {int: "integer", bool: "boolean", str: "string"}[kind]


_EXCHANGE = {"record": {"const": "exchange"}} | _of(
    ExchangeRow, keys=_PAIRS, proof_detail={"type": "object", "additionalProperties": TEXT}
)
_MAIL = {"record": {"const": "message"}} | _of(
    MessageRow,
    proof_detail={"type": "object", "additionalProperties": TEXT},
    layers=listed({"type": "object"}),
)
_EVENT = {
    "seq": NUMBER,
    "at": MOMENT,
    "kind": TEXT,
    "exchange": {"type": ["integer", "null"]},
    "message": {"type": ["integer", "null"]},
    "partner": TEXT,
    "actor": TEXT,
    "body": {"type": "object"},
    "sentence": TEXT,
}
_STORY = {
    "groups": listed({"type": "object"}),
    "findings": listed({"type": "object"}),
    "answered": listed({"type": "object"}),
    "answering": listed({"type": "object"}),
    "awaited": listed({"type": "object"}),
    "receipts": listed({"type": "object"}),
    "related": listed({"type": "object"}),
    "mail": {"type": ["object", "null"]},
    "payload": {"type": ["object", "null"]},
    "sets": NUMBER,
    "cut": listed(TEXT),
    "events": listed(reference("Event")),
}
_DOCUMENT = {name: MOMENT if name == "delivered_at" else TEXT for name in ("set", *Document.__struct_fields__[2:])} | {
    "number": NUMBER
}
_NEXT: Schema = {"type": ["string", "null"], "description": "the cursor of the next page; null: there is none"}

SCHEMAS: Mapping[str, Schema] = {
    "Exchange": document(_EXCHANGE),
    "Mail": document(_MAIL),
    "Event": document(_EVENT),
    "Story": document(_EXCHANGE | _STORY),  # of findings it tells those of the envelope, where a row counts all
    "MailStory": document(
        _MAIL
        | {
            "payloads": listed({"type": "object"}),
            "exchanges": listed({"type": "object"}),
            "events": listed(reference("Event")),
            "cut": listed(TEXT),
        }
    ),
    "ExchangePage": document({"exchanges": listed(reference("Exchange")), "next": _NEXT}),
    "MailPage": document({"mails": listed(reference("Mail")), "next": _NEXT}),
    "Timeline": document({"events": listed(reference("Event")), "cut": FLAG}),
    "Count": document({"count": NUMBER, "more": {"type": "boolean", "description": "there are more than counted"}}),
    "Document": document(_DOCUMENT),
    "DocumentPage": document({"documents": listed(reference("Document")), "next": {"type": ["integer", "null"]}}),
    "SegmentPage": {"type": "object"},
    "Submission": document(
        {
            "name": TEXT,
            "exchanges": listed(NUMBER),
            "control_numbers": listed(TEXT),
            "states": listed(TEXT),
            "repeated": {"type": "boolean", "description": "it was submitted before: these are its exchanges"},
            "dry_run": FLAG,
        }
    ),
    "Act": document(_of(Act) | {"dry_run": FLAG}),
    "Why": document({"why": {"type": "string", "minLength": 1, "maxLength": 500}, "dry_run": FLAG}, required=("why",)),
    "Resend": document(
        {"why": {"type": "string", "minLength": 1, "maxLength": 500}, "new_number": FLAG, "dry_run": FLAG},
        required=("why",),
    ),
    "Resolve": document(
        {"why": {"type": "string", "minLength": 1, "maxLength": 500}, "sent": FLAG, "dry_run": FLAG},
        required=("why", "sent"),
    ),
    "Partner": document(
        {
            "key": TEXT,
            "name": TEXT,
            "status": TEXT,
            "addresses": listed(TEXT),
            "identities": listed(TEXT),
            "revision": NUMBER,
            "at": MOMENT,
            "by": TEXT,
        }
    ),
    "PartnerList": document({"partners": listed(reference("Partner"))}),
    "Applied": document({"key": TEXT, "change": TEXT, "revision": NUMBER, "status": TEXT, "dry_run": FLAG}),
    "Standing": document(
        {
            "attention": listed({"type": "object"}),
            "alerts": listed({"type": "object"}),
            "refused_documents": listed(TEXT),
            "left_out": NUMBER,
            "counts": {"type": "object", "additionalProperties": NUMBER},
            "last_batch": {"type": ["object", "null"]},
        },
        required=("attention",),
    ),
    "Volumes": {"type": "object"},
    "Statement": {"type": "object"},
    "Problem": document(
        {
            "type": TEXT,
            "title": TEXT,
            "status": NUMBER,
            "detail": TEXT,
            "code": {"type": "string", "description": "the fault's stable code; docs/reference/faults.md"},
            "advice": {"type": "string", "description": "what to do next"},
            "permanent": FLAG,
            "side": TEXT,
            "details": {"type": "object", "additionalProperties": TEXT},
        },
        required=("type", "title", "status", "detail", "code", "advice"),
    ),
}
