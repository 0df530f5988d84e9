"""A partner is taken on by commands alone: from a stranger's first mail to the first document in earnest.

Both sides are gateways of their own, with a practice mail host between them.
"""

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.mail.host import MailHost

US, THEM = "edi@us.example", "edi@acme.example"
THEIR_PROFILE = f"""
key = "us"
status = "testing"
addresses = ["{US}"]
identities = ["ZZ:EXAMPLECO"]
[[agreement]]
direction = "out"
sets = ["850"]
versions = ["004010"]
[[agreement]]
direction = "in"
sets = ["810", "855"]
"""
OUT = """
[[agreement]]
direction = "out"
sets = ["810"]
versions = ["004010"]
"""


class Side:
    """One home, used by its commands."""

    def __init__(self, home, capsys):
        self.home, self._capsys = home, capsys

    def __call__(self, *words, wanted=0):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(self.home), *map(str, words)])
        out, err = self._capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out + err

    def json(self, *words, wanted=0):
        return json.loads(self(*words, "--json", wanted=wanted))


@pytest.fixture
def sides(tmp_path, capsys, monkeypatch):
    with MailHost({US: "right", THEM: "right"}) as host:
        monkeypatch.setenv("GATEWAY_SECRET_MAILBOX_EDI", "right")
        made = []
        for name, address, identity in (("us", US, "ZZ:EXAMPLECO"), ("them", THEM, "ZZ:ACMERETAIL")):
            side = Side(tmp_path / name, capsys)
            side("init", "--name", name, "--domain", address.partition("@")[2], "--identity", identity)
            with (side.home / "gateway.toml").open("a", encoding="utf-8") as file:
                file.write(
                    f'[mailbox.edi]\nprotocol = "pop3"\nhost = "{host.host}"\nport = {host.pop3_port}\n'
                    f'security = "none"\nplaintext_password = true\nuser = "{address}"\n'
                    f'[smtp]\nhost = "{host.host}"\nport = {host.smtp_port}\nsecurity = "none"\nsender = "{address}"\n'
                )
            made.append(side)
        yield made


def test_from_a_strangers_first_mail_to_the_first_document_in_earnest(sides, tmp_path):
    us, them = sides
    (tmp_path / "us.toml").write_text(THEIR_PROFILE)
    them("partner", "apply", tmp_path / "us.toml")
    them("partner", "test", "us", "--wait", "1s", wanted=75)  # they try us before we know them

    us("night", wanted=65)  # a stranger's mail waits
    us("partner", "learn", "m1", "--output", us.home / "partners" / "acme.toml")
    profile = us.home / "partners" / "acme.toml"
    profile.write_text(profile.read_text() + OUT)
    us("partner", "apply", profile)
    assert "✗ test received" in us("partner", "checklist", "acme", wanted=65)
    assert "not ready" in us("partner", "activate", "acme", wanted=2)
    us("partner", "activate", "acme", "--testing")

    us("quarantine", "release", "m1", "--why", "they are our partner now")
    us("night")
    (delivered,) = [each for each in (us.home / "inbox").rglob("*") if each.is_file()]
    assert delivered.parent == us.home / "inbox" / "acme" / "test"

    them("night")
    assert "accepted" in them("partner", "test", "us", "--result")

    assert "gateway partner test acme --result" in us(
        "partner", "test", "acme", "--type", "810", "--wait", "1s", wanted=75
    )
    them("night")
    us("night")
    found = us.json("partner", "test", "acme", "--result")
    assert (found["result"], found["final"]) == ("accepted", True)

    missing = [
        each["name"]
        for each in us.json("partner", "checklist", "acme", wanted=65)["items"]
        if each["state"] == "missing"
    ]
    assert missing == ["numbers"]
    us("partner", "start", "acme", "--leave", "--why", "nothing was ever sent to them in earnest")
    us("partner", "checklist", "acme")
    assert "is now live" in us("partner", "activate", "acme")
    assert us.json("partner", "show", "acme")["checklist"]["ready"] is True


def test_a_test_from_a_document_and_the_verdict_of_nothing(sides, tmp_path):
    us, _ = sides
    (tmp_path / "acme.toml").write_text(
        f'key = "acme"\nstatus = "testing"\naddresses = ["{THEM}"]\nidentities = ["ZZ:ACMERETAIL"]\n{OUT}'
    )
    us("partner", "apply", tmp_path / "acme.toml")
    assert "There is no test" in us("partner", "test", "acme", "--result", wanted=2)
    sample = Path(__file__).parents[2] / "samples" / "interchanges" / "810_invoice.edi"
    assert "nothing was" in us("partner", "test", "acme", "--file", sample, "--dry-run")
    (tmp_path / "bad.edi").write_text("ST*810*0001~BIG*x~SE*3*0001~")
    us("partner", "test", "acme", "--file", tmp_path / "bad.edi", wanted=65)
    us("partner", "test", "acme", "--type", "856", wanted=78)
    us("partner", "test", "acme", "--wait", "soon", wanted=2)
    us("partner", "test", "acme", "--exchange", "1", wanted=2)
    assert us.json("partner", "test", "acme", wanted=75)["result"] == "waiting"
    us("partner", "suspend", "acme", "--why", "enough")
    us("partner", "end", "acme", "--why", "for good")
    assert "ended" in us("partner", "show", "acme")
