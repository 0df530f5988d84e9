"""The X12 engine. Pure: bytes in, values out.

``examine`` reads interchanges and judges them, ``interchange_acknowledgment`` and ``functional_acknowledgment``
answer them, ``read_document`` and ``write_interchange`` send documents, ``extract`` finds business keys.
"""

from __future__ import annotations

from gateway.x12.acknowledgments import (
    acknowledgment_separators,
    acknowledgment_version,
    functional_acknowledgment,
    interchange_acknowledgment,
    wants_acknowledgment,
)
from gateway.x12.document import Document, DocumentGroup, read_document
from gateway.x12.drafts import DraftGroup, DraftInterchange, DraftSet, draft_set
from gateway.x12.examine import examine, no_interchange
from gateway.x12.extract import DEFAULT_KEYS, ElementPath, default_keys, extract
from gateway.x12.leftovers import leftovers
from gateway.x12.model import (
    ExaminePolicy,
    Finding,
    GroupAck,
    GroupReport,
    Header,
    InterchangeAck,
    InterchangeReport,
    Level,
    Party,
    Separators,
    SetAck,
    SetReport,
    Status,
)
from gateway.x12.sniff import looks_like, sniff
from gateway.x12.writer import functional_id_for, write_interchange, write_set

__all__ = [
    "DEFAULT_KEYS",
    "Document",
    "DocumentGroup",
    "DraftGroup",
    "DraftInterchange",
    "DraftSet",
    "ElementPath",
    "ExaminePolicy",
    "Finding",
    "GroupAck",
    "GroupReport",
    "Header",
    "InterchangeAck",
    "InterchangeReport",
    "Level",
    "Party",
    "Separators",
    "SetAck",
    "SetReport",
    "Status",
    "acknowledgment_separators",
    "acknowledgment_version",
    "default_keys",
    "draft_set",
    "examine",
    "extract",
    "functional_acknowledgment",
    "functional_id_for",
    "interchange_acknowledgment",
    "leftovers",
    "looks_like",
    "no_interchange",
    "read_document",
    "sniff",
    "wants_acknowledgment",
    "write_interchange",
    "write_set",
]
