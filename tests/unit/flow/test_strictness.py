"""Agreements name guidelines and their strictness: both hold for their own sets, on the way in and out."""

import pytest
from builders.stage import ACME, Stage, invoice, orders

from gateway.errors import DocumentInvalid, GuidelineInvalid
from gateway.flow.strictness import inbound_policy
from gateway.flow.submit import submit
from gateway.x12.model import Level
from partners.profile import read_profile, with_guidelines

PATH = "guidelines/acme.toml"
NO_DATE = 'name = "ACME"\nbase = "004010 {}"\n[segments."{}"]\nrequirement = "not-used"\n'


def profile(set_id, segment, before):
    text = ACME.replace(before, f'{before}\nguideline = "{PATH}"')
    return with_guidelines(text, {PATH: NO_DATE.format(set_id, segment)})


def test_what_comes_in_is_judged_by_the_guideline_of_its_agreement(tmp_path):
    text = profile("850", "CTT", 'sets = ["850"]').replace("segments.", "loops.")
    stage = Stage(tmp_path, [text])
    stage.mail(orders(7))
    stage.run()
    (edi,) = stage.sent_edi
    assert ["AK9", "R", "1", "1", "0"] in edi
    assert [row["guideline"] for row in stage.rows("transaction_set")][:1] == ["ACME"]


def test_what_breaks_the_agreed_guideline_is_not_sent(tmp_path):
    stage = Stage(tmp_path, [profile("810", "TDS", 'sets = ["810", "855"]')])
    with pytest.raises(DocumentInvalid, match=r"breaks the guideline ACME: .*TDS.* must not be sent"):
        submit(stage.context(), "acme", invoice("INV-1"))


def test_strictness_is_that_of_the_agreement_for_the_set():
    text = ACME + '\n[[agreement]]\ndirection = "in"\nsets = ["810"]\nreject_from = "warning"\n'
    policy = inbound_policy(read_profile(text))
    assert policy.reject_from is Level.ERROR
    assert policy.for_set("810", "", "004010").reject_from is Level.WARNING
    assert policy.for_set("850", "", "004010").reject_from is Level.ERROR
    assert policy.for_set("850", "", "005010").reject_from is Level.ERROR


def test_a_guideline_that_was_never_stored_is_named():
    text = ACME.replace('sets = ["850"]', f'sets = ["850"]\nguideline = "{PATH}"')
    with pytest.raises(GuidelineInvalid, match=r"guidelines/acme\.toml, line 1.*not stored with the profile of acme"):
        inbound_policy(read_profile(text))


def test_a_profile_that_changed_is_judged_by_as_it_is_now():
    before = read_profile(ACME)
    assert inbound_policy(before) == inbound_policy(before)
    strict = read_profile(ACME.replace('sets = ["850"]', 'sets = ["850"]\nreject_from = "warning"'))
    assert inbound_policy(strict).reject_from is Level.WARNING
    assert inbound_policy(before).reject_from is Level.ERROR
    for number in range(100, 400):  # only the last ones are kept in mind
        other = read_profile(ACME.replace('sets = ["850"]', f'sets = ["{number}"]'))
        assert inbound_policy(other).agreed[0].sets == (str(number),)
