"""The dashboard and the rules that come with the gateway name figures that there are, and commands that there are."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gateway.flow.metric_names import METRICS
from gateway.ledger.states import EXCHANGE_MEANING, MESSAGE_MEANING

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture
def labels():
    """The labels of every figure."""
    return {name: set(each.labels) for name, each in METRICS.items()}


def dashboard():
    return json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))


def rules():
    (group,) = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text("utf-8"))["groups"]
    return group["rules"]


def expressions():
    panels = [each for each in dashboard()["panels"] if each["type"] != "row"]
    found = [
        (panel["title"], target["expr"], target["legendFormat"]) for panel in panels for target in panel["targets"]
    ]
    return found + [(rule["alert"], rule["expr"], json.dumps(rule["annotations"])) for rule in rules()]


def test_every_figure_that_is_watched_exists_with_its_labels(labels):
    """A name or label that the gateway does not tell would show an empty panel, or never wake anybody."""
    used = set()
    for title, expression, _ in expressions():
        names = re.findall(r"gateway_\w+", expression)
        assert names, title
        for name, inside in re.findall(r"(gateway_\w+)(?:\{([^}]*)\})?", expression):
            assert name in labels, f"{title}: {name}"
            used.add(name)
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside):
                assert label == "instance" or label in labels[name], f"{title}: {name} has no {label}"
    assert labels.keys() - used == {"gateway_batch_start_timestamp_seconds"}  # told, and in no panel


def test_legends_and_words_name_labels_that_their_figures_have(labels):
    """``{{partner}}`` of a figure without partners would stay empty."""
    for title, expression, words in expressions():
        names = set(re.findall(r"gateway_\w+", expression))
        for label in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", words):
            if label != "value":
                assert any(label in labels[name] for name in names), f"{title}: {label}"


def test_the_states_that_are_asked_for_are_states():
    """A misspelt state is never reached."""
    known = {str(each) for each in (*EXCHANGE_MEANING, *MESSAGE_MEANING)}
    asked = [value for _, expression, _ in expressions() for value in re.findall(r'state!?[=~]+"([^"]+)"', expression)]
    assert asked
    for value in asked:
        assert set(value.split("|")) <= known


def test_expressions_are_balanced_and_panels_do_not_overlap():
    """The dashboard is laid out on a grid of 24 columns, each place once."""
    for title, expression, _ in expressions():
        for opening, closing in ("()", "{}", "[]"):
            assert expression.count(opening) == expression.count(closing), title
    taken = set()
    panels = dashboard()["panels"]
    assert len({each["id"] for each in panels}) == len(panels) > 20
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_rules_say_what_to_do_with_commands_that_exist():
    """Each rule has a severity, a sentence and a next step."""
    from test_docs import check_mention, mentions

    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")
        for mention in mentions(rule["annotations"]["action"].replace("{{ $labels.mailbox }}", "NAME")):
            check_mention(mention, rule["alert"])


def test_no_address_of_a_data_source_is_in_the_dashboard():
    """Whoever imports it chooses the data source."""
    text = (DEPLOY / "grafana-dashboard.json").read_text("utf-8")
    assert "http" not in text
    assert dashboard()["templating"]["list"][0]["type"] == "datasource"
