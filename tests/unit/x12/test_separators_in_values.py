"""A damaged ISA may make a sign of its values a separator: what is told does not depend on what came before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.demo.documents import interchange, order
from gateway.x12 import examine

WHEN = datetime(2026, 11, 2, 22, 0, tzinfo=UTC)


def orders(component: str) -> bytes:
    """An interchange with many like segments whose ISA16 is that character."""
    head = list(order("PO-1", WHEN))[:7]
    lines = [f"PO1*{k}*{k % 30 + 1}*EA*{k}.95**BP*AC-{k:05}*VP*EX-{k:05}" for k in range(1, 12)]
    raw = interchange("ZZ:ACMERETAIL", "ZZ:EXAMPLECO", 1, WHEN, [("PO", "004010", [[*head, *lines, "CTT*11"]])])
    return raw[:104] + component.encode() + raw[105:]


@pytest.mark.parametrize("component", ["2", "9", "A", "E", "-", "."])
def test_the_same_bytes_again_come_to_the_same_findings(component):
    raw = orders(component)
    first, *others = [
        [each.findings for report in examine(raw) for group in report.groups for each in group.sets] for _ in range(4)
    ]
    assert others == [first] * 3
