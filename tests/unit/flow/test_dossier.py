"""The proof of an exchange: complete, checked while it is written, and verifiable with OpenSSL alone."""

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile

import pytest
from builders.pair import Gateway, order, until_silent
from click.testing import CliRunner
from servers.need import program

from gateway.errors import NotAllowedNow, NotFound
from gateway.flow.dossier import dossier
from gateway.ledger.story import message_story, story
from gateway.ledger.telling import tell, tell_message

OUT = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n[agreement.security]\n'
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n[agreement.security]\nreceipt = "signed"\n'


@pytest.fixture
def traded(tmp_path):
    """A night of two gateways with a given [security]; gives both."""
    opened = []

    def trade(security):
        buyer, seller = (Gateway(tmp_path, each, f"edi@{each}.example") for each in ("buyer", "seller"))
        opened.extend([buyer, seller])
        buyer.knows(seller, OUT + security)
        seller.knows(buyer, IN)
        buyer.trusts(seller)
        seller.trusts(buyer)
        buyer.submit("seller", "one.edi", order())
        until_silent(buyer, seller)
        return buyer, seller

    yield trade
    for each in opened:
        each.app.close()


BOTH = 'sign = true\nencrypt = true\nreceipt = "signed"\n'


def test_a_signed_original_and_a_signed_receipt_prove_each_other(traded):
    buyer, seller = traded(BOTH)
    files = dossier(buyer.app.context(), 1)
    assert set(files) == {
        *("README.txt", "interchange.edi", "mail.eml", "original.mime", "receipt-1.eml", "our-first.pem"),
        *(f"partner-{seller.made.fingerprint[:16]}.pem", "history.json"),
    }
    said = files["README.txt"].decode()
    assert "our original: signed by us; its integrity check is the recorded one" in said
    assert f"receipt-1.eml: processed, signed by {seller.made.fingerprint}; its integrity check is the one of" in said
    for name, data in files.items():
        assert name == "README.txt" or f"{hashlib.sha256(data).hexdigest()}  {name}" in said
    history = json.loads(files["history.json"])
    assert [each["mic_matches"] for each in history["receipts"]] == ["yes"]


def test_openssl_alone_can_check_what_was_written(traded, tmp_path):
    if not shutil.which("openssl"):
        program("openssl")
    buyer, seller = traded(BOTH)
    for name, data in dossier(buyer.app.context(), 1).items():
        (tmp_path / name).write_bytes(data)

    def verified(name, certificate):
        words = ["openssl", "cms", "-verify", "-in", name, "-CAfile", certificate, "-purpose", "any", "-no_check_time"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=30).stdout

    original = verified("original.mime", "our-first.pem")
    receipt = verified("receipt-1.eml", f"partner-{seller.made.fingerprint[:16]}.pem")
    assert base64.b64encode(hashlib.sha256(original).digest()) in receipt


def test_what_is_missing_is_said(traded):
    buyer, _ = traded("")
    said = dossier(buyer.app.context(), 1)["README.txt"].decode()
    assert "our original: NOT signed" in said
    assert "the partner's receipt: THERE IS NONE" in said


def test_only_what_we_sent_has_a_proof(traded):
    _, seller = traded(BOTH)
    with pytest.raises(NotAllowedNow):
        dossier(seller.app.context(), 1)
    with pytest.raises(NotFound):
        dossier(seller.app.context(), 99)


@pytest.mark.parametrize("name", ["proof", "proof.zip"])
def test_the_command_writes_a_directory_or_a_zip_file_once(traded, tmp_path, name):
    from gateway.cli.exchange import command

    buyer, _ = traded(BOTH)
    (buyer.home / "gateway.toml").write_text(
        '[gateway]\nname = "buyer"\ndomain = "buyer.example"\nidentities = ["ZZ:BUYERCO"]\n'
        '[smtp]\nhost = "memory"\nsender = "edi@buyer.example"\n'
    )
    words = ["proof", "1", "--to", str(tmp_path / name)]
    done = CliRunner().invoke(command, words, obj={"home": buyer.home})
    assert done.exit_code == 0, done.output
    place = tmp_path / name
    names = zipfile.ZipFile(place).namelist() if name.endswith(".zip") else [each.name for each in place.iterdir()]
    assert "README.txt" in names
    again = CliRunner().invoke(command, words, obj={"home": buyer.home})
    assert isinstance(again.exception, NotAllowedNow)
    assert "proof-exported" in [row["kind"] for row in buyer.rows("event")]


# ---------------------------------------------------------------- told


def test_the_story_of_an_exchange_tells_of_its_security_and_receipt(traded):
    buyer, seller = traded(BOTH)
    told = "\n".join(tell(story(buyer.app.engine, 1)))
    assert "signed sha-256, encrypted aes-256-cbc, signed receipt asked for" in told
    assert f"the partner's: processed, signed by {seller.made.fingerprint}, the content is confirmed" in told
    told = "\n".join(tell(story(seller.app.engine, 1)))
    assert f"we gave one: processed, signed by {seller.made.fingerprint}" in told
    told = "\n".join(tell_message(message_story(seller.app.engine, 1)))
    assert "encrypted (aes-256-cbc), signed (sha-256)" in told
