"""The tables of keys, the settings' values and the reference page say the same."""

import re
from pathlib import Path

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields

from gateway.settings import (
    AlertSettings,
    BackupSettings,
    ConsoleSettings,
    Limits,
    LogSettings,
    MailboxSettings,
    OAuthSettings,
    OidcSettings,
    ProofSettings,
    ReportSettings,
    RetentionSettings,
    SealSettings,
    SelftestSettings,
    Settings,
    SmtpSettings,
    TariffSettings,
    WorkerSettings,
    parse_settings,
)
from gateway.settings.keys import TABLES
from gateway.settings.values import parse_duration, say_duration

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/settings.md").read_text(encoding="utf-8")
VALUES = {
    "gateway": Settings,
    "mailbox": MailboxSettings,
    "smtp": SmtpSettings,
    "oauth": OAuthSettings,
    "limits": Limits,
    "proof": ProofSettings,
    "worker": WorkerSettings,
    "alert": AlertSettings,
    "retention": RetentionSettings,
    "backup": BackupSettings,
    "seal": SealSettings,
    "selftest": SelftestSettings,
    "log": LogSettings,
    "report": ReportSettings,
    "tariff": TariffSettings,
    "console": ConsoleSettings,
    "console.oidc": OidcSettings,
}
ELSEWHERE = {
    "gateway": {
        "home",
        "database_url",
        "mailboxes",
        "smtp",
        "oauth",
        "limits",
        "proof",
        "worker",
        "alerts",
        "retention",
        "backup",
        "seal",
        "selftest",
        "log",
        "report",
        "tariff",
        "console",
        "sha256",
        "written",
    },
    "mailbox": {"name"},
    "oauth": {"name"},
    "console": {"oidc"},
}


@pytest.mark.parametrize("table", TABLES)
def test_the_reference_lists_exactly_the_keys_that_are_read(table):
    section = next(each for each in PAGE.split("\n## ") if each.startswith((f"`[{table}", f"`[[{table}")))
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{key.name}` | {key.kind} | {key.default} | {key.meaning} |" for key in TABLES[table]]


@pytest.mark.parametrize("table", VALUES)
def test_every_field_of_the_settings_can_be_written(table):
    wanted = {each.name for each in fields(VALUES[table])} - ELSEWHERE.get(table, set())
    assert {key.field or key.name for key in TABLES[table]} == wanted


@pytest.mark.parametrize(("table", "key"), [(table, key) for table in VALUES for key in TABLES[table]])
def test_a_documented_value_is_the_real_default(table, key):
    """Where the page shows a default in code type that is one value, the settings begin with it."""
    shown = re.fullmatch(r"`([^`]+)`", key.default)
    field = next(each for each in fields(VALUES[table]) if each.name == (key.field or key.name))
    if shown is None or "NAME" in key.default or key.name in {"secret", "tenant"}:
        return
    if field.default is NODEFAULT:
        assert (table, key.name, shown[1]) in {("mailbox", "protocol", "pop3"), ("oauth", "grant", "refresh-token")}
        return
    written = int(shown[1]) if shown[1].isdigit() else {"true": True, "false": False}.get(shown[1], shown[1])
    if key.kind == "path":
        assert str(field.default) == written
    else:
        assert key.read(written) == field.default


def test_the_example_of_the_page_is_right():
    example = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[0]
    assert parse_settings(example.encode(), home=Path("/srv/edi")).mailboxes[0].secret == "mailbox.orders"


@pytest.mark.parametrize("written", ["30s", "5m", "24h", "365d", "1h30m", "2d1h", "1m30s"])
def test_time_spans_are_said_as_they_are_written(written):
    found = parse_duration(written)
    assert found is not None
    assert say_duration(found) == written


@pytest.mark.parametrize("written", ["", "5", "m", "5 m", "-5m", "1.5h", "5M", "99999999999999999999d", "1m1h"])
def test_anything_else_is_no_time_span(written):
    assert parse_duration(written) is None
