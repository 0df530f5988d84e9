"""The figures for Prometheus: read by its own parser, true to the ledger, and cheap on an old one."""

from datetime import timedelta

import pytest
from builders.certificates import make
from builders.stage import HOUR, WHEN, Stage, acknowledgment, invoice, orders
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event

from gateway.demo import documents
from gateway.errors import MailboxUnavailable, SettingsInvalid
from gateway.flow.exposition import Family, Sample, label, text
from gateway.flow.keyring import Keyring
from gateway.flow.metric_names import METRICS
from gateway.flow.metrics import OTHERS, metrics, write_metrics
from gateway.flow.standing import standing
from gateway.flow.submit import submit
from gateway.ledger import tables
from gateway.ledger.figures import most
from gateway.settings import AlertSettings, BackupSettings
from partners.certificates import describe
from partners.model import Certificate, CertificateState


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def read(said):
    """The families of a text by name, each as values by labels; Prometheus' own parser is the judge."""
    assert said.endswith("\n")
    found = {}
    for family in text_string_to_metric_families(said):
        assert family.name not in found, f"{family.name} is there twice"
        assert family.documentation
        assert family.type == "gauge"
        samples = {tuple(sorted(each.labels.items())): each.value for each in family.samples}
        assert len(samples) == len(family.samples), f"{family.name} has a sample twice"
        found[family.name] = samples
    return found


def figures(stage):
    return read(metrics(stage.context()))


def one(found, name, **labels):
    return found[name][tuple(sorted(labels.items()))]


def test_before_the_first_batch_there_is_none(stage):
    """No batch ended, nothing waits, nobody was told."""
    found = figures(stage)
    assert "gateway_batch_end_timestamp_seconds" not in found
    assert one(found, "gateway_batch_running") == 0
    assert one(found, "gateway_exchanges", state="quarantined") == 0
    assert found["gateway_oldest_waiting_timestamp_seconds"] == {}
    assert one(found, "gateway_ledger_bytes") > 100_000
    assert one(found, "gateway_disk_free_bytes", place="home") > 0


def test_the_last_batch_is_told_from_the_ledger(stage):
    """When it ran, how long, step by step, what it did and how it ended."""
    stage.mail(orders(1))
    summary = stage.run()
    found = figures(stage)
    assert one(found, "gateway_batch_end_timestamp_seconds") == summary.ended_at / 1000
    assert one(found, "gateway_batch_exit_code") == summary.exit_code == 0
    assert one(found, "gateway_batch_troubles") == 0
    steps = {dict(labels)["step"] for labels in found["gateway_batch_step_duration_seconds"]}
    assert {"collect", "process", "deliver", "dispatch", "seal"} <= steps
    assert found["gateway_batch_count"] == {(("what", label(what)),): number for what, number in summary.counts.items()}


def test_a_batch_that_did_not_end_is_told_beside_the_one_that_did(stage):
    """It runs, or was interrupted; its figures are those of the one before."""
    stage.run()
    with stage.ledger.transaction() as recorder:
        recorder.connection.execute(tables.batch.insert().values(id=9, started_at=stage.now))
    found = figures(stage)
    assert one(found, "gateway_batch_running") == 1
    assert one(found, "gateway_batch_end_timestamp_seconds") == WHEN.timestamp()


def test_traffic_of_today_is_counted_by_partner_and_direction(stage):
    """Interchanges, sets and bytes since midnight UTC, and nothing of yesterday."""
    raw = orders(1)
    stage.mail(raw)
    submit(stage.context(), "acme", invoice())
    stage.run()
    found = figures(stage)
    came = {"partner": "acme", "direction": "in", "kind": "document"}
    assert one(found, "gateway_day_interchanges", **came) == 1
    assert one(found, "gateway_day_transaction_sets", **came) == 1
    assert one(found, "gateway_day_bytes", **came) == len(raw.rstrip())
    assert one(found, "gateway_day_interchanges", partner="acme", direction="out", kind="document") == 1
    assert one(found, "gateway_day_interchanges", partner="acme", direction="out", kind="acknowledgment") == 1
    stage.now += 24 * HOUR
    assert figures(stage)["gateway_day_interchanges"] == {}


def test_what_is_awaited_and_overdue_is_counted_by_partner(stage):
    """Until the acknowledgment comes."""
    submit(stage.context(), "acme", invoice())
    stage.run()
    found = figures(stage)
    assert found["gateway_acknowledgments_awaited"] == {(("partner", "acme"),): 1}
    assert found["gateway_acknowledgments_overdue"] == {}
    due = one(found, "gateway_oldest_waiting_timestamp_seconds", what="acknowledgment")
    assert due == WHEN.timestamp() + 86_400
    stage.now += 25 * HOUR
    stage.run()
    found = figures(stage)
    assert found["gateway_acknowledgments_overdue"] == {(("partner", "acme"),): 1}
    assert one(found, "gateway_exchanges", state="overdue") == 1
    assert found["gateway_needs_attention"] == {(("partner", "acme"), ("what", "exchange")): 1}
    stage.mail(acknowledgment(7, 1))
    stage.run()
    found = figures(stage)
    assert found["gateway_acknowledgments_awaited"] == {}
    assert found["gateway_needs_attention"] == {}


def test_what_needs_a_person_is_as_much_as_the_status_counts(stage, monkeypatch):
    """It counted states alone: a document that was partly refused, or a mailbox that is away, was nothing to it."""
    stage.mail(orders(1, documents.order("PO-1", WHEN), ["ST*850*0002", "BEG*00", "SE*3*0002"]))
    stage.mail(orders(3), sender="stranger@x.example")
    stage.mail(b"no interchange at all", sender="stranger@x.example")
    box = stage.settings.outbox / "acme"
    box.mkdir(parents=True)
    (box / "odd.edi").write_bytes(b"neither set nor interchange")

    def away(_):
        raise MailboxUnavailable(mailbox="orders", host="h", reason="down")

    stage.run()
    monkeypatch.setattr(type(stage.mailbox), "session", away)
    stage.run()
    context = stage.context()
    with stage.ledger.reading() as connection:
        found = standing(connection, stage.settings, list(context.directory), [], {}, stage.now)
    told = figures(stage)["gateway_needs_attention"]
    assert sum(told.values()) == len(found.needs) + len(found.met) + len(found.refused)
    assert {dict(labels)["what"] for labels in told} == {"exchange", "mail", "document refused", "mailbox"}
    assert told[(("partner", "acme"), ("what", "exchange"))] == 1


def test_what_waits_says_since_when(stage):
    """A mail that cannot go out, and what stands in quarantine."""
    submit(stage.context(), "acme", invoice())
    found = figures(stage)
    assert one(found, "gateway_mails_waiting", state="ready") == 1
    assert one(found, "gateway_oldest_waiting_timestamp_seconds", what="send") == WHEN.timestamp()
    stage.mail(orders(3), sender="stranger@x.example")
    stage.run()
    assert one(figures(stage), "gateway_messages", state="quarantined") >= 1


def test_a_mailbox_that_cannot_be_read_is_counted_until_it_can(stage, monkeypatch):
    """Batches in a row, and when it was last well."""
    stage.run()
    well = one(figures(stage), "gateway_mailbox_success_timestamp_seconds", mailbox="orders")
    assert well == WHEN.timestamp()

    def away(_):
        raise MailboxUnavailable(mailbox="orders", host="h", reason="down")

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.mailbox), "session", away)
        for _ in range(3):
            stage.now += HOUR
            stage.run()
    found = figures(stage)
    assert one(found, "gateway_mailbox_failures", mailbox="orders") == 3
    assert one(found, "gateway_mailbox_success_timestamp_seconds", mailbox="orders") == well
    assert one(found, "gateway_alerts", kind="mailbox", state="open") == 1
    stage.now += HOUR
    stage.run()
    found = figures(stage)
    assert one(found, "gateway_mailbox_failures", mailbox="orders") == 0
    assert one(found, "gateway_mailbox_success_timestamp_seconds", mailbox="orders") == well + 4 * 3_600


def test_alerts_seals_and_backups_are_told(stage, tmp_path):
    """How many of which kind, and when the last were made."""
    stage.settings = replace(
        stage.settings,
        alerts=(AlertSettings("ops", command="./absent"),),
        backup=BackupSettings(tmp_path / "backups"),
    )
    stage.seal_key = lambda: b"k" * 32
    stage.mail(orders(1), sender="stranger@x.example")
    stage.run()
    found = figures(stage)
    assert one(found, "gateway_alerts", kind="quarantined", state="open") == 1
    assert one(found, "gateway_alert_rules_failing") == 1
    assert one(found, "gateway_backup_timestamp_seconds") == WHEN.timestamp()
    assert one(found, "gateway_seal_timestamp_seconds") == WHEN.timestamp()


def test_certificates_have_days_left(stage):
    """Those of partners that we trade with, and our own."""
    made = describe(make(start=WHEN - timedelta(days=10), days=40).der)
    kept = Certificate(made.fingerprint, made.der, CertificateState.TRUSTED, made.not_before, made.not_after)
    context = stage.context()
    partners = [replace(each, certificates=(kept,) if each.key == "acme" else ()) for each in context.directory]
    context = replace(context, directory=type(context.directory)(partners, ()), keys=Keyring())
    found = read(metrics(context))["gateway_certificate_days_left"]
    assert {labels: round(days) for labels, days in found.items()} == {
        (("use", "encrypt"), ("whose", "acme")): 30,
        (("use", "sign"), ("whose", "acme")): 30,
    }


def test_every_figure_that_is_told_is_in_the_table_with_its_labels(stage, tmp_path):
    """And every figure of the table is told by a gateway that did something."""
    stage.settings = replace(stage.settings, backup=BackupSettings(tmp_path / "backups"))
    stage.seal_key = lambda: b"k" * 32
    stage.mail(orders(1), sender="stranger@x.example")
    submit(stage.context(), "acme", invoice())
    stage.run()
    found = figures(stage)
    assert set(found) == set(METRICS)
    for name, samples in found.items():
        for labels in samples:
            assert sorted(METRICS[name].labels) == [each for each, _ in labels], name


# ---------------------------------------------------------------- the text


def test_hostile_names_stay_within_their_quotes():
    """Whatever a mailbox is called, the text can be read."""
    name = 'a"b\\c\nd{}=,é'
    said = text([Family("gateway_x", 'Says "x"\\y.', (Sample(1.5, {"mailbox": name}), Sample(2, {"mailbox": "b"})))])
    assert read(said)["gateway_x"] == {(("mailbox", name),): 1.5, (("mailbox", "b"),): 2.0}
    assert read(text([Family("gateway_y", "One.", (Sample(10**15),))]))["gateway_y"] == {(): 10**15}


def test_many_partners_do_not_make_many_series():
    """The busiest are named; the others are summed."""
    counts = {f"p{number:03}": number for number in range(300)}
    kept = most(counts, 100, OTHERS)
    assert len(kept) == 101
    assert kept["p299"] == 299
    assert kept[OTHERS] == sum(range(200))
    assert most({"a": 1}, 100, OTHERS) == {"a": 1}


def test_the_file_is_written_whole_or_not_at_all(stage, tmp_path):
    """It appears under its name by a rename; where it cannot be written the setting is named."""
    file = tmp_path / "textfile" / "gateway.prom"
    write_metrics(file, stage.context())
    assert read(file.read_text("utf-8")).keys() == figures(stage).keys()
    assert [each.name for each in file.parent.iterdir()] == ["gateway.prom"]
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match="metrics_file"):
        write_metrics(tmp_path / "file" / "gateway.prom", stage.context())


# ---------------------------------------------------------------- what it costs


def test_no_figure_reads_the_exchanges_one_by_one(stage):
    """Every question has its index: an old ledger answers as quickly as a young one."""
    stage.mail(orders(1))
    submit(stage.context(), "acme", invoice())
    stage.run()
    asked = []

    def note(connection, cursor, statement, parameters, context, many):
        asked.append((statement, parameters))

    context = stage.context()
    event.listen(Engine, "before_cursor_execute", note)
    try:
        metrics(context)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    questions = [each for each in asked if each[0].startswith("SELECT")]
    assert len(questions) > 12
    with stage.ledger.reading() as connection:
        for statement, parameters in questions:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for line in plan:
                scanned = line.startswith("SCAN") and any(
                    f"SCAN {big}" in line for big in ("exchange", "message", "transaction_set", "event", "finding")
                )
                partial = any(
                    f"INDEX ix_{name}" in line
                    for name in ("exchange_attention", "exchange_state_at", "transaction_set_due")
                )
                assert not scanned or partial, (statement, line)
