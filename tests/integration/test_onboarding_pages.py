"""The pages on onboarding and on leaving a VAN: every command in them runs, in their order, as somebody types them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.mail.host import MailHost

TOP = Path(__file__).resolve().parents[2]
US, BIRCH = "edi@example.com", "edi@birchretail.example"
# 65 and 75 say that something is missing, or not decided yet: as the pages tell.
SHELL = """
set -u -o pipefail
failed() { code=$?; case $code in 65|75) ;; *) echo "exit $code: $BASH_COMMAND" >&2; exit 1;; esac; }
trap failed ERR
gateway() { "$PYTHON" -m gateway "$@"; }
"""


def blocks(page):
    """The shell blocks of a page, those within lists too."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", (TOP / "docs" / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


@pytest.fixture
def typed(tmp_path):
    with MailHost({US: "right", BIRCH: "right"}) as host:
        environment = {each: value for each, value in os.environ.items() if not each.startswith("GATEWAY_")}
        environment |= {"HOME": str(tmp_path), "PYTHON": sys.executable, "GATEWAY_SECRET_MAILBOX_ORDERS": "right"}

        def run(script):
            done = subprocess.run(
                ["bash", "-c", SHELL + script],
                cwd=TOP,
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            return done.stdout + done.stderr

        run(
            "gateway --home ~/edi init --name 'Example Co' --domain example.com "
            "--identity ZZ:EXAMPLECO --identity ZZ:EXAMPLEHEALTH"
        )
        with (tmp_path / "edi" / "gateway.toml").open("a", encoding="utf-8") as file:
            file.write(
                f'[mailbox.orders]\nprotocol = "pop3"\nhost = "{host.host}"\nport = {host.pop3_port}\n'
                f'security = "none"\nplaintext_password = true\nuser = "{US}"\n'
                f'[smtp]\nhost = "{host.host}"\nport = {host.smtp_port}\nsecurity = "none"\nsender = "{US}"\n'
            )
        yield run


def test_onboarding_goes_as_its_page_says(typed, tmp_path):
    said = typed("\n".join(blocks("onboard-a-partner.md")))
    for words in (
        "cedar is a draft now",
        "3 would be added, 0 wrong, 3 rows.",
        "2 would be added, 0 wrong, 4 rows.",
        "EDI specification for BIRCHRETAIL",
        "✗ test received: No test of theirs was accepted yet",
        "birch is now testing (it was draft)",
        "✓ handed over",
        "birch is now live (it was testing)",
        "birch is now ended",
    ):
        assert words in said
    assert (tmp_path / "birch-spec.pdf").read_bytes().startswith(b"%PDF")
    assert "# from ISA05 and ISA06" in (tmp_path / "edi" / "partners" / "birch.toml").read_text()


def test_leaving_a_van_goes_as_its_page_says(typed, tmp_path):
    said = typed("\n".join(blocks("moving-off-a-van.md")))
    assert re.search(r"birchretail +ZZ:EXAMPLECO +ZZ:BIRCHRETAIL +interchange +1 +204", said)
    assert re.search(r"mapleclinic .*402", said)
    assert (tmp_path / "learned" / "start.csv").read_text().splitlines()[0] == "partner,interchange,group,ours,theirs"
    assert "Nothing was changed (--dry-run)." in said


def test_a_business_hands_documents_in_as_its_page_says(typed, tmp_path):
    said = typed(
        "export GATEWAY_HOME=~/edi\ngateway partner apply samples/home/partners/birch.toml\n"
        + "\n".join(blocks("your-business.md"))
    )
    assert "documents submitted" in said
    assert "mails sent" in said
    assert "855_purchase_order_acknowledgment.edi: can be sent" in said
    assert (tmp_path / "edi" / "outbox" / "birch" / ".submitted" / "invoice-1.edi").exists()


def test_the_columns_of_the_table_stand_in_the_page():
    from partners.learning_table import COLUMNS

    page = (TOP / "docs" / "onboard-a-partner.md").read_text()
    rows = re.findall(r"^\| (`[a-z_1]+`(?:, `[a-z_1]+`)*) \|", page, flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_1]+)`", row)}
    assert set(COLUMNS) <= named
