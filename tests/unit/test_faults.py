"""The catalogue of faults: complete, in plain words, the same on the page, on the screen and in the ledger."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main, root
from gateway.errors import GatewayError, Side, all_faults
from gateway.errors.causes import CAUSES, cause_of, own_cause
from gateway.flow.check_catalog import CATALOG

FAULTS = {each.code: each for each in all_faults()}
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md").read_text("utf-8")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.code)
def test_every_fault_has_sentence_cause_side_and_next_step(fault):
    """Each of them is a sentence, and none of them repeats another."""
    assert isinstance(fault.side, Side)
    cause = cause_of(fault)
    assert own_cause(fault), f"{fault.code} has no cause of its own in gateway/errors/causes.py"
    assert cause[0].isupper()
    assert cause.endswith(".")
    assert "{" not in cause
    assert fault.advice.strip()
    assert cause not in (fault.sentence, fault.advice)


def test_no_cause_is_of_a_fault_that_is_gone():
    """A code that was renamed leaves nothing behind."""
    assert set(CAUSES) - set(FAULTS) == set()


def test_a_fault_without_a_cause_has_that_of_its_branch():
    """Somebody may add one before its cause is written."""

    class Newer(FAULTS["mailbox.unavailable"]):
        code = "mailbox.newer"

    try:
        assert cause_of(Newer) == CAUSES["mailbox.unavailable"]
        assert not own_cause(Newer)
    finally:
        del Newer
        import gc

        gc.collect()  # the tree of faults is asked by every test


def test_the_page_the_screen_and_the_json_say_the_same():
    """Of every code."""
    for code, fault in FAULTS.items():
        done = CliRunner().invoke(root, ["fault", code, "--json"])
        assert done.exit_code == 0, code
        found = json.loads(done.stdout)
        assert (found["sentence"], found["advice"]) == (fault.sentence, fault.advice)
        said = CliRunner().invoke(root, ["fault", code]).stdout
        for part in (found["sentence"], found["cause"], found["advice"], found["side"]):
            assert part in said


def test_all_faults_are_listed():
    """As a table, and as one JSON document a line."""
    lines = CliRunner().invoke(root, ["fault", "--json"]).stdout.splitlines()
    assert [json.loads(line)["code"] for line in lines] == list(FAULTS)
    table = CliRunner().invoke(root, ["fault"]).stdout
    assert [code for code in FAULTS if not re.search(rf"^ *{re.escape(code)} ", table, re.MULTILINE)] == []


def test_codes_of_the_doctor_are_explained_too():
    """Whoever reads a code need not know who found it."""
    said = CliRunner().invoke(root, ["fault", "host.tls-port"]).stdout
    assert CATALOG["host.tls-port"].finds in said
    assert CATALOG["host.tls-port"].advice in said


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("sender.unkown", "sender.unknown"),
        ("host.tlsport", "host.tls-port"),
        ("duplicate", "interchange.duplicate-number"),
        ("zzz", "`gateway fault` lists all."),
    ],
)
def test_a_misspelt_code_is_understood(code, hint, capsys):
    """The exit code is that of a usage error."""
    with pytest.raises(SystemExit) as ended:
        main(["fault", code])
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err


def test_every_code_stands_on_the_page_with_its_cause():
    """The page is generated, and this says that it was."""
    for code, fault in FAULTS.items():
        if issubclass(fault, GatewayError) and f"### `{code}`" in PAGE:
            entry = PAGE.partition(f"### `{code}`")[2].partition("\n### ")[0]
            assert f"Cause: {cause_of(fault)}" in entry
