"""Certificates of partners: read in every form, described, chosen by state and time, kept for ever."""

from datetime import timedelta

import pytest
from builders.certificates import WHEN, make
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from msgspec.structs import replace
from sqlalchemy import create_engine, event

from gateway.errors import CertificateUnreadable, DatabaseUnavailable, NotFound, UsageFault
from partners.certificate_store import CertificateStore
from partners.certificates import (
    DAY,
    days_left,
    describe,
    for_encryption,
    grouped,
    plain_fingerprint,
    read_certificates,
    trusted,
)
from partners.model import Certificate, CertificateState, Partner, Status
from partners.profile import read_profile
from partners.store import PartnerStore
from partners.tables import metadata

NOW = int((WHEN + timedelta(days=10)).timestamp() * 1000)
TEXT = 'key = "acme"\naddresses = ["edi@acme.example"]\nidentities = ["ZZ:ACME"]\n'
TEXT += '[[agreement]]\ndirection = "in"\nsets = ["850"]\n'


def kept(made, state=CertificateState.TRUSTED):
    found = describe(made.der)
    return Certificate(found.fingerprint, made.der, state, found.not_before, found.not_after)


def partner(*certificates):
    return Partner("acme", "ACME", Status.LIVE, ("edi@acme.example",), (), (), certificates=certificates)


@pytest.mark.parametrize("form", ["pem", "der", "p7c", "p7b", "p12"])
def test_a_certificate_is_read_in_every_form_that_partners_send(form):
    made = make(address="edi@acme.example")
    data = {
        "pem": b"subject=/CN=acme\n" + made.pem,
        "der": made.der,
        "p7c": pkcs7.serialize_certificates([made.certificate], Encoding.DER),
        "p7b": pkcs7.serialize_certificates([made.certificate], Encoding.PEM),
        "p12": made.p12(b"secret"),
    }[form]
    (found,) = read_certificates(data, "file", b"secret")
    assert (found.fingerprint, found.subject, found.key) == (made.fingerprint, "CN=acme", "RSA 2048")
    assert found.addresses == ("edi@acme.example",)
    assert found.self_signed


def test_the_authority_that_issued_the_certificate_is_left_out():
    root = make("root", number=1, authority=True)
    leaf = make("leaf", issuer=root)
    assert [each.subject for each in read_certificates(root.pem + leaf.pem, "chain.pem")] == ["CN=leaf"]
    assert [each.subject for each in read_certificates(leaf.p12(b"x", root), "chain.p12", b"x")] == ["CN=leaf"]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", b"0" * 9]
)
def test_what_holds_no_certificate_is_said_to(data):
    with pytest.raises(CertificateUnreadable, match=r"junk\.cer"):
        read_certificates(data, "junk.cer")


def test_a_pkcs12_file_with_the_wrong_password_is_unreadable():
    with pytest.raises(CertificateUnreadable):
        read_certificates(make().p12(b"right"), "x.p12", b"wrong")


def test_a_file_past_its_bound_is_not_looked_at():
    with pytest.raises(CertificateUnreadable, match="more than 1000000 bytes"):
        read_certificates(make().pem + b" " * 1_000_000, "x.pem")


@pytest.mark.parametrize(
    ("made", "signs", "encrypts", "problem"),
    [
        (make(), True, True, ""),
        (make(kind="ec"), True, False, ""),
        (make(usage=("digital_signature",)), True, False, ""),
        (make(usage=("key_encipherment",)), False, True, ""),
        (make(usage=("key_cert_sign",)), False, False, ""),
        (make(kind="1024"), True, True, "its RSA key has only 1024 bits"),
    ],
    ids=["plain", "ec", "signing", "encrypting", "authority", "short"],
)
def test_what_a_certificate_is_fit_for_follows_from_its_key_and_usage(made, signs, encrypts, problem):
    found = describe(made.der)
    assert (found.signs, found.encrypts, found.problem) == (signs, encrypts, problem)


def test_what_a_stranger_wrote_into_a_certificate_cannot_command_a_terminal():
    found = describe(make("\x1b[2Jacme\nfingerprint: good").der)
    assert found.subject.isprintable()
    assert "acme" in found.subject


def test_only_trusted_valid_and_fitting_certificates_are_encrypted_for():
    good, second = make("good"), make("second", number=1)
    others = [
        kept(make("pending"), CertificateState.PENDING),
        kept(make("retired"), CertificateState.RETIRED),
        kept(make("over", days=5)),
        kept(make("later", start=WHEN + timedelta(days=20))),
        kept(make("signer", usage=("digital_signature",))),
        kept(make("curve", kind="ec")),
    ]
    chosen = for_encryption(partner(kept(good), kept(second), *others), NOW)
    assert {each.fingerprint for each in chosen} == {good.fingerprint, second.fingerprint}


def test_of_the_trusted_certificates_the_newest_comes_first():
    old, new = make("old"), make("new", start=WHEN + timedelta(days=1))
    assert [each.fingerprint for each in trusted(partner(kept(old), kept(new)))] == [new.fingerprint, old.fingerprint]


def test_a_fingerprint_is_the_same_in_groups_with_colons_and_in_capitals():
    fingerprint = make().fingerprint
    assert plain_fingerprint(grouped(fingerprint)) == fingerprint
    assert plain_fingerprint(":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()) == fingerprint
    assert grouped("00aabbcc") == "00AA BBCC"
    for wrong in ("", "xyz", fingerprint + "00"):
        with pytest.raises(ValueError, match="is not a SHA-256 fingerprint"):
            plain_fingerprint(wrong)


def test_days_are_counted_down_to_the_end():
    assert [days_left(NOW + each, NOW) for each in (7 * DAY, 7 * DAY - 1, 0, -1)] == [7, 6, 0, -1]


# ---------------------------------------------------------------- at rest


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'profiles.db'}")
    metadata.create_all(engine)
    PartnerStore(engine).apply([(read_profile(TEXT), TEXT, "acme.toml")], by="ann", at=1)
    yield engine
    engine.dispose()


def test_a_certificate_is_pending_until_a_person_trusts_it_and_can_be_retired(engine):
    store, made = CertificateStore(engine), make()
    assert store.add("acme", describe(made.der), source="acme.pem", by="ann", at=5)
    assert not store.add("acme", describe(made.der), source="again.pem", by="bob", at=6)
    for state, by, at in ((CertificateState.TRUSTED, "bob", 7), (CertificateState.RETIRED, "cat", 8)):
        store.decide("acme", made.fingerprint, state, by=by, at=at)
        (found,) = store.list("acme")
        assert found.certificate == replace(kept(made, state), source="acme.pem")
        assert (found.added_by, found.added_at, found.decided_by, found.decided_at) == ("ann", 5, by, at)


def test_a_certificate_is_found_by_the_beginning_of_its_fingerprint(engine):
    store, one, two = CertificateStore(engine), make("one"), make("two")
    for each in (one, two):
        store.add("acme", describe(each.der), source="", by="ann", at=5)
    assert store.find("acme", one.fingerprint[:20]).certificate.der == one.der
    with pytest.raises(UsageFault, match="write more of it"):
        store.find("acme", "")
    with pytest.raises(NotFound):
        store.find("bolt", one.fingerprint)
    with pytest.raises(NotFound):
        store.decide("bolt", one.fingerprint, CertificateState.TRUSTED, by="ann", at=6)


def test_partners_come_with_their_certificates_for_one_query_more(engine):
    partners, made = PartnerStore(engine), make()
    CertificateStore(engine).add("acme", describe(made.der), source="x", by="ann", at=5)
    partners.current()
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *each: asked.append(each[2]))
    (found,) = partners.current()
    assert len(asked) == 2
    assert [each.der for each in found.certificates] == [made.der]
    assert partners.get("acme") == found


def test_a_profile_that_says_the_same_makes_no_revision_because_of_certificates(engine):
    CertificateStore(engine).add("acme", describe(make().der), source="x", by="ann", at=5)
    partners = PartnerStore(engine)
    assert partners.apply([(read_profile(TEXT), TEXT, "acme.toml")], by="ann", at=9)[0].change == "unchanged"
    assert partners.set_status("acme", Status.LIVE, by="ann", at=10).change == "changed"


def test_a_database_without_the_table_is_a_fault_not_an_accident(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    store = CertificateStore(engine)
    for act in (
        store.list,
        lambda: store.add("acme", describe(make().der), source="", by="", at=1),
        lambda: store.decide("acme", "00", CertificateState.TRUSTED, by="", at=1),
    ):
        with pytest.raises(DatabaseUnavailable):
            act()
    engine.dispose()
