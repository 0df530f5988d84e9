"""docs/api.md is true: its commands run, one after the other, against a home with two nights of traffic."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner
from servers import need

from gateway.cli.main import root
from gateway.console.build import build
from gateway.console.people import Role, Somebody, User
from gateway.console.site import Site

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
INVOICE = "ST*810*0001~BIG*20261128*INV-4711**PO-1~TDS*100~CTT*1~SE*5*0001~"


@pytest.fixture
def home(tmp_path):
    outcome = CliRunner().invoke(root, ["demo", "--keep", str(tmp_path / "kept")], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return tmp_path / "kept" / "home"


@pytest.fixture
def address(home):
    """Where the API of the home is served."""
    site = Site(home)
    config = uvicorn.Config(
        build(site, Somebody(User("nobody", Role.VIEWER)), ()), port=0, lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    site.close()


@pytest.fixture
def desk(tmp_path):
    """A directory to work in, with `gateway` on the way and the invoice at hand."""
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "invoice-4711.edi").write_text(INVOICE)
    gateway = desk / "gateway"
    gateway.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway "$@"\n')
    gateway.chmod(0o755)
    return desk


def test_every_command_of_the_page_does_what_it_says(home, address, desk):
    need.program("curl")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    script = "\n".join(f"{block}\necho '--- next ---'" for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=desk,
        env={"PATH": f"{desk}:/usr/bin:/bin", "GATEWAY_HOME": str(home), "GATEWAY": address, "HOME": str(desk)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.split("--- next ---")
    shown = json.loads(re.search(r"```json\n(\{\"name\".*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1])
    assert json.loads(said[1]) == shown, "the answer that the page shows is the answer"
    assert json.loads(said[2])["state"] == "ready"
    delivered = [each for each in desk.iterdir() if each.suffix == ".edi" and each.name.startswith("850_")]
    assert len(delivered) == 1
    assert delivered[0].read_bytes() == (home / "inbox" / "acme" / delivered[0].name).read_bytes()
    assert '"done":true' in said[5].replace(" ", "")
    assert (desk / "acme.toml").read_text().startswith(("#", "key", "["))
    assert '"change":"unchanged"' in said[6].replace(" ", "")


def test_the_scopes_of_the_page_are_those_that_there_are():
    from gateway.ledger.api_tokens import SCOPES

    table = PAGE.read_text(encoding="utf-8").partition("| scope | it may |")[2].partition("\n\n")[0]
    named = {each for row in table.splitlines()[2:] for each in re.findall(r"`([a-z]+)`", row.split("|")[1])}
    assert named == set(SCOPES)
