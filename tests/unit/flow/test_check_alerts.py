"""gateway doctor looks at the rules of alerts: programs, partners, and whether a mail host that is away is told."""

from pathlib import Path

import pytest
from builders.stage import ACME

from gateway.flow.check_alerts import check_alerts
from gateway.settings import AlertSettings, Settings
from partners.profile import read_profile

PARTNER = read_profile(ACME)


def results(tmp_path, *rules):
    settings = Settings(
        home=tmp_path, name="x", domain="x.example", identities=(("ZZ", "X"),), database_url="", alerts=rules
    )
    return [(each.name, each.ok) for each in check_alerts(settings, [PARTNER])]


def test_without_rules_there_is_nothing_to_say(tmp_path):
    assert results(tmp_path) == []


def test_rules_by_mail_alone_are_warned_of(tmp_path):
    assert results(tmp_path, AlertSettings("ops", to=("o@x.example",))) == [("alert ops", True), ("alerts", None)]


@pytest.mark.parametrize(("kinds", "partners", "enough"), [
    (("*",), ("*",), True), (("smtp",), ("*",), True), (("overdue",), ("*",), False), (("*",), ("acme",), False),
])  # fmt: skip
def test_a_webhook_is_enough_if_it_is_told_of_the_host(tmp_path, kinds, partners, enough):
    rule = AlertSettings("pager", webhook="https://a.example/", kinds=kinds, partners=partners)
    assert (("alerts", None) not in results(tmp_path, rule)) == enough


def test_a_partner_that_is_not_there_is_warned_of(tmp_path):
    rule = AlertSettings("pager", webhook="https://a.example/", partners=("acme", "acmee"))
    assert ("alert pager", None) in results(tmp_path, rule)


def test_a_program_is_looked_for_where_it_would_be_run(tmp_path):
    (tmp_path / "bin").mkdir()
    script: Path = tmp_path / "bin" / "tell"
    script.write_text("#!/bin/sh\n")
    assert ("alert t", False) in results(tmp_path, AlertSettings("t", command="bin/tell --now"))
    script.chmod(0o755)
    assert results(tmp_path, AlertSettings("t", command="bin/tell --now")) == [("alert t", True)]
    assert results(tmp_path, AlertSettings("t", command="cat")) == [("alert t", True)]
