"""The figures for Prometheus are the same on SQLite and on PostgreSQL, and a batch writes its file."""

import json
import subprocess
import sys

import pytest
from builders.stage import HOUR, Stage, invoice, orders
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from gateway.flow.metrics import metrics
from gateway.flow.night_report import night_report, report
from gateway.flow.submit import submit
from gateway.settings import ReportSettings

pytestmark = pytest.mark.integration


def test_both_databases_give_the_same_figures(ledger_engine, tmp_path):
    """Counts, times and labels: only the ledger's size is its own."""
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.mail(orders(1))
    stage.mail(orders(2), sender="stranger@x.example")
    submit(stage.context(), "acme", invoice())
    stage.run()
    stage.now += 25 * HOUR
    stage.run()
    found = {
        each.name: {tuple(sorted(sample.labels.items())): sample.value for sample in each.samples}
        for each in text_string_to_metric_families(metrics(stage.context()))
    }
    assert found["gateway_ledger_bytes"][()] > 100_000
    assert found["gateway_acknowledgments_overdue"] == {(("partner", "acme"),): 1}
    assert found["gateway_exchanges"][(("state", "overdue"),)] == 1
    assert found["gateway_exchanges"][(("state", "quarantined"),)] == 1
    assert found["gateway_needs_attention"][(("partner", "acme"), ("what", "exchange"))] == 1
    assert found["gateway_messages"][(("state", "stored"),)] == 0
    assert found["gateway_alerts"][(("kind", "overdue"), ("state", "open"))] == 1
    assert found["gateway_mailbox_failures"] == {(("mailbox", "orders"),): 0}


def test_a_batch_writes_the_file_that_the_setting_names(tmp_path):
    """The file of the night is whole, and tells of that very night."""

    def gateway(*words):
        call = [sys.executable, "-c", "from gateway.cli import main; main()", "--home", str(tmp_path / "home"), *words]
        return subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)

    made = gateway("init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")
    assert made.returncode == 0, made.stderr
    settings = tmp_path / "home" / "gateway.toml"
    settings.write_text(settings.read_text().replace("# metrics_file", "metrics_file"))
    text = settings.read_text().splitlines()
    settings.write_text("\n".join('metrics_file = "m/gw.prom"' if "metrics_file" in line else line for line in text))
    done = gateway("night", "--json")
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "home" / "m" / "gw.prom").read_text()
    ended = next(line for line in said.splitlines() if line.startswith("gateway_batch_end_timestamp_seconds "))
    assert float(ended.split()[1]) == json.loads(done.stdout)["ended_at"] / 1000


def test_the_mail_after_a_night_is_made_of_either_database(ledger_engine, tmp_path):
    """What came and went by partner, what is owed, and the mail in the ledger."""
    stage = Stage(tmp_path, engine=ledger_engine)
    stage.settings = replace(stage.settings, report=ReportSettings(("ops@us.example",), "always"))
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    summary = stage.run()
    made = night_report(stage.context(), summary)
    assert [(each.partner, each.came, each.went, each.awaited, each.overdue) for each in made.partners] == [
        ("acme", 1, 1, 1, 0)
    ]
    assert report(stage.context(), summary) == ()
    assert [each["state"] for each in stage.rows("message") if each["kind"] == "report"] == ["sent"]
