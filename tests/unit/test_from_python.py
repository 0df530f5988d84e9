"""What docs/from-python.md shows runs as it stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gateway.app import KEY_FILE, open_app
from gateway.ledger.database import open_engine, upgrade
from gateway.ledger.secrets import make_key
from gateway.mail.host import MailHost
from partners.profile import read_profile

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
[gateway]
name = "Example Co"
domain = "example.com"
identities = ["ZZ:EXAMPLECO"]
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "edi@example.com"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in the current directory, a partner, a mail host, and an invoice without its envelope."""
    monkeypatch.chdir(tmp_path)
    Path("edi").mkdir()
    make_key(Path("edi") / KEY_FILE)
    engine = open_engine(f"sqlite:///{tmp_path}/edi/ledger.db")
    upgrade(engine)
    engine.dispose()
    shutil.copy(ROOT / "samples" / "interchanges" / "810_invoice.edi", "invoice.edi")
    with MailHost({"edi@birchretail.example": "x"}) as host:
        Path("edi/gateway.toml").write_text(SETTINGS.format(port=host.smtp_port))
        text = (ROOT / "samples" / "home" / "partners" / "birch.toml").read_text()
        with open_app(Path("edi")) as app:
            app.partners.apply([(read_profile(text), text, "birch.toml")], by="test", at=app.now())
        yield host


def test_the_examples_run(home, capsys):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "from-python.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "from-python.md", "exec"), {})
    said = capsys.readouterr().out
    assert "('000000001',)" in said
    assert "000000001 sent" in said
    assert "810 0001 accepted" in said
    assert len(home.waiting("edi@birchretail.example")) == 1
