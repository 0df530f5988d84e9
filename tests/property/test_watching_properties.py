"""Whatever names and values there are: figures can be read by Prometheus, and a line of the log stays one line."""

import io
import json
import logging

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.flow.explain import explanation
from gateway.flow.exposition import Family, Sample, label, text
from gateway.flow.log import logging_to
from gateway.settings import LogSettings
from gateway.x12 import examine

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
# Prometheus' own parser splits its input at every line end that Python knows; the format knows LF alone.
LABELS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
NUMBERS = st.one_of(st.integers(-(10**15), 10**15), st.floats(-1e9, 1e9).map(lambda each: round(each, 3)))


@given(st.dictionaries(LABELS, NUMBERS, max_size=5))
def test_any_labels_are_read_back(values):
    """Quotes, backslashes, line ends and braces stay within their quotes."""
    said = text(
        [Family("gateway_x", "Anything.", tuple(Sample(value, {"mailbox": key}) for key, value in values.items()))]
    )
    (family,) = text_string_to_metric_families(said)
    assert {each.labels["mailbox"]: each.value for each in family.samples} == values


@given(WORDS)
def test_a_count_becomes_a_label_that_can_be_typed(name):
    """Lower case, digits and underscores, whatever a count is called."""
    found = label(name)
    assert all(each in "abcdefghijklmnopqrstuvwxyz0123456789_" for each in found)


@given(st.sampled_from(["text", "json"]), WORDS, st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), WORDS))
def test_a_line_of_the_log_is_one_line(form, what, fields):
    """And in JSON an object with all that is known, in a form that no terminal obeys."""
    out = io.StringIO()
    with logging_to(LogSettings(form), out) as log:
        log.say(what, logging.INFO, **fields)
    written = out.getvalue()
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert written[:-1].isprintable()
    if form == "json":
        found = json.loads(written)
        assert set(fields) - {name for name, value in fields.items() if not value} <= set(found)


@given(st.binary(max_size=400))
def test_an_explanation_never_fails_and_never_breaks_a_line(data):
    """Whatever a partner sends after a good beginning."""
    raw = (
        b"ISA*00*          *00*          *ZZ*ACMERETAIL     *ZZ*EXAMPLECO      *261102*2200*U*00401*000000007*0*P*:~"
        b"GS*PO*ACMERETAIL*EXAMPLECO*20261102*2200*7*X*004010~ST*850*0001~"
        + data
        + b"~SE*3*0001~GE*1*7~IEA*1*000000007~"
    )
    for report in examine(raw):
        if report.header is not None:
            said = explanation(report, "Example Co")
            assert all(line.isprintable() for line in said.split("\n"))
            assert all(len(line) <= 72 or " " not in line.strip() for line in said.split("\n"))
