"""Onboarding on SQLite and on PostgreSQL: tests, checklist, verdict, check and self-test ask both the same way."""

from __future__ import annotations

import pytest
from builders.stage import ACME, GLOBEX, HOUR, Stage, acknowledgment, orders
from msgspec.structs import replace

from gateway.flow.onboarding import leave_numbers, partner_checklist
from gateway.flow.partner_check import check_partner
from gateway.flow.partner_trial import last_test, send_test, verdict
from gateway.settings import SelftestSettings

pytestmark = pytest.mark.integration

TESTING = ACME.replace('status = "live"', 'status = "testing"\non_production = "accept"')


def test_a_partner_is_taken_on_the_same_way(ledger_engine, tmp_path):
    stage = Stage(tmp_path, [TESTING, GLOBEX], engine=ledger_engine)
    stage.settings = replace(stage.settings, selftest=SelftestSettings("test@us.example", 2))
    stage.mail(orders(1))  # in earnest, and taken as a test
    stage.mail(orders(2).replace(b"*0*P*:", b"*0*T*:"))
    stage.mail(orders(3, sender="01:ACMERETAIL"))
    stage.mail(orders(4), sender="orders@acme.example")
    for number in range(3):
        raw = stage.mail(orders(10 + number), subject=f"try {number}")
        stage.mailbox.deliver(raw.replace(b"To: edi@us.example", b"To: test@us.example").replace(b"<", b"<t"))
    number = send_test(stage.context(), "acme")
    stage.run()
    assert {name.rpartition("/")[0] for name in stage.delivered} == {"acme/test"}
    assert len([each for each in stage.sent if each["Subject"].startswith("Report")]) == 2

    found = check_partner(stage.context(), "acme")
    said = " ".join(each.sentence for each in found.observations)
    assert "orders@acme.example is no address in the profile" in said
    assert "only the qualifier differs: 01 instead of ZZ" in said
    assert last_test(stage.context(), "acme") == number
    assert verdict(stage.context(), number).result == "waiting"

    ours = next(row for row in stage.rows("exchange") if row["id"] == number)
    group = next(row for row in stage.rows("functional_group") if row["exchange"] == number)
    answer = acknowledgment(20, int(str(group["control_number"]))).replace(b"*0*P*:", b"*0*T*:")
    stage.mail(answer.replace(b"AK2*810", f"AK2*{ours['types']}".encode()))
    stage.now += HOUR
    stage.run()
    assert verdict(stage.context(), number).result == "accepted"
    assert [each.name for each in partner_checklist(stage.context(), "acme").missing] == ["numbers"]
    leave_numbers(stage.context(), "acme", actor="anna", reason="new")
    assert partner_checklist(stage.context(), "acme").missing == ()
