"""What rules the gateway is not digested: a verification holds it against what the events tell, on both databases."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
from builders.by_hand import by_hand
from builders.stage import ACME, GLOBEX, HOUR, Stage, invoice, orders
from sqlalchemy import delete, insert, select, update

from gateway.errors import ProfileInvalid
from gateway.flow import configuration
from gateway.flow.checkpoint import put_numbers
from gateway.flow.start_numbers import Start, start_numbers
from gateway.flow.submit import submit
from gateway.flow.verify import Verdict, verify
from gateway.flow.verify_numbers import numbers
from gateway.flow.verify_told import people, profiles
from gateway.ledger import api_tokens, tables, users
from partners.certificate_store import CertificateStore
from partners.model import CertificateState, Status
from partners.profile import read_profile
from partners.store import PartnerStore
from partners.tables import partner_certificate, profile_revision

pytestmark = pytest.mark.integration
DER = b"not parsed here"
FINGERPRINT = hashlib.sha256(DER).hexdigest()
OTHER = ACME.replace("edi@acme.example", "thief@evil.example")


@pytest.fixture
def stage(tmp_path, ledger_engine):
    return Stage(tmp_path, engine=ledger_engine)


def told(stage, look, **how):
    with stage.ledger.reading() as connection:
        return [each.sentence for each in look(connection, **how)]


def whole(stage):
    return [each.sentence for each in verify(stage.engine, Verdict(), None, full=True)]


def applied(stage, *texts):
    found = [(read_profile(text), text, f"{number}.toml") for number, text in enumerate(texts)]
    return configuration.apply_profiles(stage.ledger, PartnerStore(stage.engine), found, actor="anna")


# ---------------------------------------------------------------- profiles


@pytest.fixture
def ruled(stage):
    """Three revisions of one profile, two of them a status; one of another."""
    applied(stage, ACME, GLOBEX)
    store = PartnerStore(stage.engine)
    stage.now += HOUR
    configuration.set_status(stage.ledger, store, "acme", Status.SUSPENDED, actor="bert")
    configuration.set_status(stage.ledger, store, "acme", Status.LIVE, actor="anna", reason="all is well")
    return stage


def test_profiles_as_they_were_applied_and_noticed_are_no_difference(ruled):
    assert whole(ruled) == []
    PartnerStore(ruled.engine).apply([(read_profile(OTHER), OTHER, "")], by="root", at=5)
    said = "Revision 4 of the profile of acme was put in past the gateway: no event tells of it."
    assert whole(ruled) == [said]
    configuration.note(ruled.ledger, ruled.settings)
    assert whole(ruled) == [], "now it stands in the ledger as one that nobody told of"


def test_a_forged_revision_that_would_be_in_force_is_named(ruled):
    p = profile_revision
    with ruled.ledger.reading() as connection:
        row = dict(connection.execute(select(p).where(p.c.partner == "acme", p.c.revision == 3)).mappings().one())
    by_hand(ruled.engine, insert(p).values(row | {"revision": 4, "profile": OTHER}))
    assert told(ruled, profiles) == [
        "Revision 4 of the profile of acme was put in past the gateway: no event tells of it."
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [("status", "retired"), ("by", "nobody"), ("at", 1), ("file", "other.toml"), ("sha256", "ab" * 32)],
)
@pytest.mark.parametrize("revision", [1, 2])
def test_a_column_of_a_revision_that_is_not_what_was_told_is_named(ruled, column, value, revision):
    p = profile_revision.c
    mine = update(profile_revision).where(p.partner == "acme", p.revision == revision)
    by_hand(ruled.engine, mine.values({column: value}))
    assert told(ruled, profiles) == [
        f"Revision {revision} of the profile of acme is not what was told of it ({column})."
    ]


def test_a_status_that_is_none_is_a_fault_with_a_code(ruled):
    by_hand(ruled.engine, update(profile_revision).values(status="retired"))
    store = PartnerStore(ruled.engine)
    for look in (store.heads, lambda: store.revisions("acme")):
        with pytest.raises(ProfileInvalid, match="'retired' is no status"):
            look()


# ---------------------------------------------------------------- people, tokens, certificates


@pytest.fixture
def peopled(stage):
    """Users, tokens and certificates that went through all that can happen to them."""
    with stage.ledger.transaction("anna") as recorder:
        for name, role in (("bert", "viewer"), ("carl", "operator"), ("dora", "auditor")):
            users.add(recorder, name, role, password="a hash")
        users.add(recorder, "eric", "viewer", issuer="https://id.example", subject="4711")
        api_tokens.add(recorder, "erp", ["submit", "search"], partner="acme", lasts=HOUR)
        api_tokens.add(recorder, "old", ["search"])
    stage.now += HOUR
    with stage.ledger.transaction("bert") as recorder:
        users.set_role(recorder, "bert", "administrator")
        users.set_password(recorder, "bert", "another hash")
        users.disable(recorder, "carl")
        users.remove(recorder, "dora")
        users.signed_in(recorder, "eric")
        api_tokens.revoke(recorder, "old", "not needed")
    store = CertificateStore(stage.engine)
    found = SimpleNamespace(der=DER, fingerprint=FINGERPRINT, not_before=1, not_after=2)
    for partner in ("acme", "globex"):
        configuration.add_certificate(stage.ledger, store, partner, found, source="a file", actor="anna")
    trust = (stage.ledger, store, "acme", FINGERPRINT, CertificateState.TRUSTED)
    configuration.decide_certificate(*trust, actor="anna", reason="by telephone")
    return stage


def test_what_was_done_through_the_gateway_is_no_difference(peopled):
    assert whole(peopled) == []
    with peopled.ledger.transaction("bert") as recorder:
        users.enable(recorder, "carl")
        users.add(recorder, "dora", "viewer", password="again")
    assert whole(peopled) == []


def test_what_was_put_in_or_taken_away_is_named(peopled):
    user = {"name": "eve", "role": "administrator", "password": "x", "created_at": 1, "created_by": "anna"}
    token = {"name": "mine", "sha256": "ab" * 32, "scopes": "act", "created_at": 1, "created_by": "anna"}
    row = {"partner": "acme", "fingerprint": "ab" * 32, "certificate": b"x", "state": "trusted"}
    row |= {"not_before": 1, "not_after": 2**50, "added_at": 1, "added_by": "anna"}
    by_hand(
        peopled.engine,
        insert(tables.console_user).values(user),
        insert(tables.api_token).values(token),
        insert(partner_certificate).values(row),
        delete(tables.console_user).where(tables.console_user.c.name == "carl"),
        delete(tables.api_token).where(tables.api_token.c.name == "old"),
        delete(partner_certificate).where(partner_certificate.c.partner == "globex"),
    )
    gone, new = "was taken away past the gateway: no event tells of that", "was put in past the gateway: no event"
    assert told(peopled, people) == [
        f"User eve {new} tells of it.",
        f"User carl {gone}.",
        f"API token mine {new} tells of it.",
        f"API token old {gone}.",
        f"Certificate {'ab' * 32} of acme {new} tells of it.",
        f"Certificate {FINGERPRINT} of globex {gone}.",
    ]


USER, TOKEN, CERTIFICATE = tables.console_user, tables.api_token, partner_certificate


@pytest.mark.parametrize(
    ("table", "key", "column", "value"),
    [
        *((USER, "bert", "role", "viewer"), (USER, "carl", "disabled_at", None), (USER, "eric", "issuer", "")),
        (USER, "eric", "subject", "4712"),
        *((USER, "bert", "created_by", "x"), (USER, "bert", "password_at", 1), (USER, "eric", "created_at", 1)),
        *((TOKEN, "erp", "scopes", "act"), (TOKEN, "erp", "partner", ""), (TOKEN, "erp", "expires_at", None)),
        *((TOKEN, "old", "revoked_at", None), (TOKEN, "old", "revoked_by", "x"), (TOKEN, "old", "created_at", 1)),
        *((CERTIFICATE, "globex", "state", "trusted"), (CERTIFICATE, "acme", "source", "x")),
        *((CERTIFICATE, "acme", "decided_by", "x"), (CERTIFICATE, "acme", "added_at", 1)),
    ],
)
def test_what_was_changed_is_named(peopled, table, key, column, value):
    name = table.c.partner if table is CERTIFICATE else table.c.name
    by_hand(peopled.engine, update(table).where(name == key).values({column: value}))
    (said,) = told(peopled, people)
    assert said.endswith(f"is not what was told of it ({column}).")
    assert key in said


def test_another_certificate_under_a_known_fingerprint_is_named(peopled):
    by_hand(peopled.engine, update(CERTIFICATE).where(CERTIFICATE.c.partner == "acme").values(certificate=b"other"))
    assert told(peopled, people) == [f"Certificate {FINGERPRINT} of acme is not the one of that fingerprint."]


# ---------------------------------------------------------------- control numbers

COUNT = tables.control_number


@pytest.fixture
def counted(stage):
    """Three invoices that went to one partner, and an order that was answered."""
    for number in range(3):
        submit(stage.context(), "acme", invoice(f"INV-{number}"))
    stage.mail(orders(1))
    stage.run()
    assert {row["next"] for row in stage.rows("control_number")} == {5}
    return stage


@pytest.mark.parametrize("full", [True, False])
def test_counts_that_are_past_all_that_was_used_are_no_difference(counted, full):
    assert told(counted, numbers, full=full) == []
    by_hand(counted.engine, update(COUNT).values(next=1_000))  # numbers left out harm nobody
    assert told(counted, numbers, full=full) == []


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("statement", [update(COUNT).values(next=4), update(COUNT).values(next=0), delete(COUNT)])
def test_a_count_that_was_put_back_past_the_gateway_is_named(counted, statement, full):
    by_hand(counted.engine, statement)
    found = told(counted, numbers, full=full)
    assert len(found) == 2
    assert found[0].startswith("The next group number to acme (ZZ:EXAMPLECO to ZZ:ACMERETAIL) would be ")
    assert found[1].startswith("The next interchange number to acme")
    assert all("and 4 was used" in each for each in found)


def test_a_count_that_a_person_put_back_is_no_difference_until_it_is_put_back_past_the_gateway(counted):
    start_numbers(counted.context(), [Start("acme", 2, 2)], actor="anna", reason="a test", force=True)
    assert whole(counted) == []
    counted.now -= 2 * HOUR  # whatever the clock says
    submit(counted.context(), "acme", invoice("INV-9"))
    assert whole(counted) == []
    by_hand(counted.engine, update(COUNT).values(next=2))
    assert [each[:28] for each in whole(counted)] == ["The next group number to acm", "The next interchange number "]


def test_a_count_may_wrap_and_jump(counted):
    start_numbers(counted.context(), [Start("acme", 999_999_998, 999_999_999)], actor="anna")
    for number in range(3):
        submit(counted.context(), "acme", invoice(f"INV-{10 + number}"))
    assert sorted(row["next"] for row in counted.rows("control_number")) == [2, 3]
    assert whole(counted) == []
    with counted.ledger.transaction("anna") as recorder:
        after = {'["acme", "ZZ:EXAMPLECO", "ZZ:ACMERETAIL", "group"]': 1_002}
        put_numbers(recorder, after, reason="restored")
    assert whole(counted) == []
    by_hand(counted.engine, update(COUNT).where(COUNT.c.level == "group").values(next=3))
    assert len(whole(counted)) == 1
