"""Every sample is listed in samples/README.md, and is what its row says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.mail.letters import open_letter
from gateway.settings.model import Limits
from gateway.x12.examine import examine
from gateway.x12.sniff import sniff

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def rows(folder: str) -> dict[str, list[str]]:
    """The rows of the tables in samples/README.md whose first cell links into ``folder``: path → the other cells."""
    found = {}
    for line in (SAMPLES / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        link = re.fullmatch(rf"\[.+\]\(({folder}/.+)\)", cells[0]) if cells else None
        if link:
            found[link[1]] = cells[1:]
    return found


INTERCHANGES = rows("interchanges")
MAILS = rows("mails")


def test_every_interchange_is_listed():
    there = {path.relative_to(SAMPLES).as_posix() for path in (SAMPLES / "interchanges").rglob("*.edi")}
    assert there == set(INTERCHANGES)


def test_every_mail_is_listed():
    assert {path.relative_to(SAMPLES).as_posix() for path in (SAMPLES / "mails").iterdir()} == set(MAILS)


def test_the_sample_home_is_a_valid_home():
    """Its settings are read, its profiles fit them: every identity a profile claims for us is ours."""
    from gateway.settings import parse_settings
    from partners.profile import check_profile

    home = SAMPLES / "home"
    settings = parse_settings((home / "gateway.toml").read_bytes(), home=home)
    ours = {":".join(identity) for identity in settings.identities}
    profiles = sorted((home / "partners").glob("*.toml"))
    assert [path.stem for path in profiles] == ["birch", "maple"]
    for path in profiles:
        partner, problems = check_profile(path.read_text(encoding="utf-8"))
        assert not problems
        assert partner.key == path.stem
        assert {str(a.envelope.our_identity) for a in partner.agreements if a.envelope.our_identity} <= ours


@pytest.mark.parametrize("path", INTERCHANGES)
def test_an_interchange_is_judged_as_listed(path):
    _, verdicts, sets, notes = INTERCHANGES[path]
    reports = list(examine((SAMPLES / path).read_bytes()))
    found = [finding for report in reports for finding in everything(report)]
    assert ", ".join(report.status.value for report in reports) == verdicts, found
    assert ", ".join(" ".join(each.id for each in report.sets) for report in reports) == sets
    assert ", ".join(" ".join(report.ta1) for report in reports) == notes, found


@pytest.mark.parametrize("path", [path for path in INTERCHANGES if "/broken/" not in path])
def test_a_good_interchange_has_no_finding_at_all(path):
    reports = list(examine((SAMPLES / path).read_bytes()))
    assert [finding for report in reports for finding in everything(report)] == []


def everything(report):
    groups = [finding for group in report.groups for finding in group.findings]
    return [*report.findings, *groups, *(finding for each in report.sets for finding in each.findings)]


def test_the_order_without_a_number_is_the_only_one_rejected():
    """The second order lacks BEG03: element 3 of the second segment, X12 code 1 (mandatory element missing)."""
    (report,) = examine((SAMPLES / "interchanges/broken/850_one_set_rejected.edi").read_bytes())
    good, bad = report.sets
    assert good.status.value == "accepted"
    assert good.findings == ()
    assert bad.status.value == "rejected"
    assert [(f.segment, f.position, f.element, f.x12) for f in bad.findings if f.scope == "element"] == [
        ("BEG", 2, 3, "1")
    ]


def test_the_bad_claim_names_the_date_and_the_missing_amount():
    (report,) = examine((SAMPLES / "interchanges/broken/837P_bad_claim.edi").read_bytes())
    places = {(f.segment, f.element, f.x12) for f in report.sets[0].findings if f.scope == "element"}
    assert places == {("DMG", 2, "8"), ("CLM", 2, "1")}


def test_what_acknowledgments_say_is_read():
    (accepts,) = examine((SAMPLES / "interchanges/997_accepts_855.edi").read_bytes())
    (rejects,) = examine((SAMPLES / "interchanges/997_rejects_810.edi").read_bytes())
    (implementation,) = examine((SAMPLES / "interchanges/999_accepts_835.edi").read_bytes())
    (technical,) = examine((SAMPLES / "interchanges/TA1_accepts_855.edi").read_bytes())
    said = [
        (ack.kind, ack.functional_id, ack.control_number, ack.status.value)
        for report in (accepts, rejects, implementation)
        for ack in report.group_acks
    ]
    assert said == [
        ("997", "PR", "201", "accepted"),
        ("997", "IN", "203", "rejected"),
        ("999", "HP", "401", "accepted"),
    ]
    assert [(ack.control_number, ack.status.value) for ack in technical.interchange_acks] == [("000000201", "accepted")]


def test_a_table_is_no_interchange():
    (report,) = examine((SAMPLES / "interchanges/broken/orders.csv").read_bytes())
    assert report.header is None
    assert report.status.value == "rejected"


# ---------------------------------------------------------------- mails


def opened(name: str):
    return open_letter((SAMPLES / "mails" / name).read_bytes(), Limits())


@pytest.mark.parametrize("path", MAILS)
def test_a_mail_carries_as_many_payloads_as_listed(path):
    letter = opened(Path(path).name)
    carried = [part for part in letter.parts if sniff(part.data) >= 0]
    assert str(len(carried)) == MAILS[path][1]
    assert letter.sender_problem == ""
    assert letter.message_id.startswith("<")


def test_attachments_are_the_sample_interchanges_byte_for_byte():
    known = {path.read_bytes() for path in (SAMPLES / "interchanges").iterdir() if path.is_file()}
    names = ("attachment.eml", "octet_stream.eml", "whole_body_edi.eml", "two_payloads.eml", "unknown_sender.eml")
    carried = [part.data for name in names for part in opened(name).parts if sniff(part.data) >= 0]
    assert len(carried) == 6
    assert all(data in known for data in carried)


def test_the_order_in_the_body_is_accepted_like_the_attached_one():
    (part,) = opened("inline_body.eml").parts
    (report,) = examine(part.data)
    assert report.status.value == "accepted"


def test_the_bounce_names_the_mail_that_came_back():
    letter = opened("bounce.eml")
    (bounce,) = letter.bounces
    assert letter.kind == "bounce"
    assert (bounce.original_message_id, bounce.recipient) == ("<201.855@example.com>", "edi@birchretail.example")
    assert (bounce.action, bounce.status) == ("failed", "5.1.1")


def test_the_automatic_reply_is_known_as_one():
    assert opened("out_of_office.eml").kind == "auto-reply"
