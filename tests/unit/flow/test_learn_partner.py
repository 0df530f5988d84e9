"""Learning from files, mails and the ledger: what is read, what is left out, and what is applied."""

from pathlib import Path

import pytest
from builders.pair import Gateway, order
from builders.stage import ACME, Stage, orders

from gateway.errors import NotAllowedNow, NotFound, UsageFault
from gateway.flow.learn_partner import apply_draft, learn_from, start_csv
from gateway.flow.start_numbers import read_csv
from partners.certificate_store import CertificateStore
from partners.model import Identity, Status
from partners.profile import read_profile
from partners.store import PartnerStore

SAMPLES = Path(__file__).parents[3] / "samples"


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [])


def test_a_directory_of_old_interchanges_gives_a_profile_each_and_the_last_numbers(stage):
    learned = learn_from(stage.context(), [str(SAMPLES)], ours=[Identity("ZZ", "EXAMPLEHEALTH")])
    found = {each.key: each for each in learned.proposals}
    assert set(found) == {"birchretail", "mapleclinic"}
    assert learned.odd == ()
    birch = read_profile(found["birchretail"].text)
    assert {(each.direction.value, each.sets) for each in birch.agreements} == {
        ("in", ("850", "820")),
        ("out", ("855", "856", "810")),
    }
    starts = {each.partner: (each.interchange, each.group) for each in read_csv(start_csv(learned.proposals))}
    assert starts == {"birchretail": (203, 203), "mapleclinic": (401, 401)}
    assert "interchanges/broken/orders.csv" in dict(learned.skipped)
    assert learned.as_dict()["files"] == learned.files > 30


def test_a_strangers_mail_in_quarantine_is_learned_from_and_then_accepted(stage):
    stage.mail(orders(1), sender="edi@acme.example")
    stage.run()
    assert stage.states("in") == ["quarantined"]
    store, certificates = PartnerStore(stage.engine), CertificateStore(stage.engine)
    learned = learn_from(stage.context(), ["m1"])
    assert apply_draft(stage.context(), store, certificates, learned, actor="anna") == ["acme"]
    partner = store.get("acme")
    assert (partner.status, partner.addresses) == (Status.DRAFT, ("edi@acme.example",))
    assert "# from From in mail m1" in store.text("acme")


def test_what_is_in_quarantine_is_learned_from_by_the_number_that_its_list_shows(stage):
    stage.mail(b"to be discarded", sender="edi@other.example")
    stage.mail(orders(1), sender="edi@acme.example")
    stage.run()
    learned = learn_from(stage.context(), ["1"])  # the exchange 1, which came in the mail m2
    assert learned.proposals[0].key == "acme"
    assert "# from From in mail m2" in learned.proposals[0].text


def test_a_dry_run_stores_nothing_and_a_known_partner_is_never_changed(stage):
    store, certificates = PartnerStore(stage.engine), CertificateStore(stage.engine)
    (stage.directory / "one.edi").write_bytes(orders(1))
    learned = learn_from(stage.context(), [str(stage.directory / "one.edi")], key="acme")
    apply_draft(stage.context(), store, certificates, learned, actor="anna", dry_run=True)
    assert store.heads() == []
    stage.profiles = [ACME]
    again = learn_from(stage.context(), [str(stage.directory / "one.edi")])
    with pytest.raises(NotAllowedNow, match="there already"):
        apply_draft(stage.context(), store, certificates, again, actor="anna")


def test_of_several_the_new_ones_are_applied_and_a_key_that_is_taken_is_never_changed(stage):
    store, certificates = PartnerStore(stage.engine), CertificateStore(stage.engine)
    stage.profiles = [ACME.replace("ZZ:ACMERETAIL", "ZZ:BIRCHRETAIL")]
    learned = learn_from(stage.context(), [str(SAMPLES / "interchanges")], ours=[Identity("ZZ", "EXAMPLEHEALTH")])
    assert apply_draft(stage.context(), store, certificates, learned, actor="anna") == ["mapleclinic"]
    (stage.directory / "one.edi").write_bytes(orders(1))
    named = learn_from(stage.context(), [str(stage.directory / "one.edi")], key="acme")
    with pytest.raises(NotAllowedNow, match="acme is there already"):
        apply_draft(stage.context(), store, certificates, named, actor="anna")


def test_what_tells_of_no_partner_is_refused_with_the_reasons(stage):
    with pytest.raises(UsageFault, match="carries no X12"):
        learn_from(stage.context(), [str(SAMPLES / "mails" / "no_payload.eml")])
    for name in ("m7", "7", "nowhere.edi"):
        with pytest.raises(NotFound):
            learn_from(stage.context(), [name])
    with pytest.raises(UsageFault, match="--key names one"):
        learn_from(stage.context(), [str(SAMPLES)], key="all", ours=[Identity("ZZ", "EXAMPLEHEALTH")])


def test_one_identity_that_no_profile_can_have_does_not_stop_the_others(stage):
    (stage.directory / "good.edi").write_bytes(orders(1))
    (stage.directory / "odd.edi").write_bytes(orders(2).replace(b"ACMERETAIL     ", b"ACM\x01RETAIL     "))
    (stage.directory / "none.edi").write_bytes(orders(3).replace(b"*ACMERETAIL     *", b"*               *"))
    learned = learn_from(stage.context(), [str(stage.directory)])
    assert [each.key for each in learned.proposals] == ["acmeretail"]
    assert "characters that an ISA segment cannot carry" in dict(learned.skipped)["odd.edi"]
    assert "is not an EDI identity" in dict(learned.skipped)["none.edi"]


def test_an_encrypted_and_signed_mail_is_opened_with_our_key_and_its_certificate_kept_as_pending(tmp_path):
    """The signer is a claim: the certificate waits for a person."""
    buyer, seller = Gateway(tmp_path, "buyer", "edi@buyer.example"), Gateway(tmp_path, "seller", "edi@seller.example")
    try:
        secured = "[agreement.security]\nsign = true\nencrypt = true\n"
        out = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n'
        buyer.knows(seller, out + secured)
        buyer.trusts(seller)
        buyer.submit("seller", "one.edi", order())
        buyer.run()
        seller.mailbox.deliver(buyer.transport.sent[0].raw)
        seller.run()
        learned = learn_from(seller.app.context(), ["m1"])
        (proposal,) = learned.proposals
        assert (proposal.key, proposal.addresses) == ("buyer", ("edi@buyer.example",))
        assert len(proposal.certificates) == 1
        apply_draft(seller.app.context(), seller.app.partners, seller.app.certificates, learned, actor="anna")
        (kept,) = seller.app.certificates.list("buyer")
        assert (kept.certificate.fingerprint, kept.certificate.state.value) == (proposal.certificates[0], "pending")
    finally:
        buyer.app.close()
        seller.app.close()
