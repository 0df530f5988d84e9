"""The outbox: a file is claimed before it is read; nothing of it is lost or doubled, whatever happens meanwhile."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders.stage import ACME, Stage, invoice
from msgspec.structs import force_setattr

from gateway.errors import DatabaseUnavailable
from gateway.flow import operate, outbox, outbox_files
from gateway.flow.needs import met_by_unit
from gateway.flow.night_report import night_report
from gateway.flow.night_report_words import as_text
from gateway.flow.outbox import submit_outbox
from gateway.flow.reporter import Tally
from gateway.flow.standing import standing
from gateway.flow.submit import submit

TESTING = ACME.replace('status = "live"', 'status = "testing"')
NO_810 = ACME.replace('"810", "855"', '"855"')
BY = {"actor": "anna", "reason": "because"}


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def box(stage):
    place = stage.settings.outbox / "acme"
    place.mkdir(parents=True)
    return place


def put(box, number="INV-1", name="inv.edi"):
    """As the business does: under a hidden name, then renamed, over whatever lies there."""
    (box / ".new").write_bytes(invoice(number))
    (box / ".new").rename(box / name)


def lying(box):
    """Every file of the partner's directory, with the number of its invoice."""
    files = (each for each in sorted(box.rglob("*")) if each.is_file())
    found = {str(each.relative_to(box)): re.search(rb"BIG\*\d+\*([^*]+)", each.read_bytes()) for each in files}
    return {name: number[1].decode() if number else "" for name, number in found.items()}


def numbers(stage):
    """The numbers of the invoices that were mailed, in order."""
    return [next(each[2] for each in edi if each[0] == "BIG") for edi in stage.sent_edi]


def taken(stage):
    """What the step alone tells."""
    tally = Tally()
    submit_outbox(stage.context(tally))
    return tally


def told(summary):
    return [(where, fault.code) for where, fault in summary.troubles]


# ---------------------------------------------------------------- other files meanwhile


def test_a_file_that_is_renamed_over_the_one_that_is_being_submitted_goes_with_the_next_batch(stage, box, monkeypatch):
    put(box, "INV-1")

    def slow(*arguments, **options):
        done = submit(*arguments, **options)
        if not lying(box).get("inv.edi"):
            put(box, "INV-2")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", slow)
        stage.run()
    assert lying(box) == {".submitted/inv.edi": "INV-1", "inv.edi": "INV-2"}
    assert stage.run().counts == {"documents submitted": 1, "mails sent": 1}
    assert lying(box) == {".submitted/inv.edi": "INV-1", ".submitted/inv.2.edi": "INV-2"}
    assert numbers(stage) == ["INV-1", "INV-2"]


def test_a_file_that_is_taken_away_before_it_is_claimed_is_left_alone(stage, box, monkeypatch):
    put(box, "INV-1", "a.edi")
    put(box, "INV-2", "b.edi")
    real = outbox.claim

    def late(place, files, mark):
        (box / "a.edi").unlink()
        return real(place, files, mark)

    monkeypatch.setattr(outbox, "claim", late)
    summary = stage.run()
    assert (told(summary), numbers(stage)) == ([], ["INV-2"])


# ---------------------------------------------------------------- killed


class Killed(BaseException):
    """In place of a signal that nothing can catch."""


CALLS = ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir")


@contextmanager
def killed_at(monkeypatch, at, counted):
    """The process dies before the call of that number, of those that change the outbox or the ledger."""

    def counting(name, real):
        def call(*arguments, **options):
            counted.append(name)
            if len(counted) == at:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counting(name, getattr(os, name)))
        patch.setattr(outbox, "submit", counting("submit", outbox.submit))
        patch.setattr(Path, "write_text", counting("write_text", Path.write_text))
        yield


def points(tmp_path_factory, monkeypatch):
    """How many calls there are when nobody dies."""
    stage = Stage(tmp_path_factory.mktemp("calls"))
    fill(stage)
    counted = []
    with killed_at(monkeypatch, 0, counted):
        submit_outbox(stage.context())
    return len(counted)


def fill(stage):
    box = stage.settings.outbox / "acme"
    box.mkdir(parents=True, exist_ok=True)
    put(box, "INV-1")
    put(box, "INV-2", "second.edi")
    (box / "bad.edi").write_bytes(b"ST*810*0001~BIG*x~SE*3*0001~")
    return box


@pytest.mark.parametrize("meanwhile", ["", "INV-3", "INV-1"], ids=["nothing", "another", "the same"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_goes_twice(tmp_path_factory, monkeypatch, meanwhile):
    """And what was put meanwhile where a file had been taken goes too, unless it is the same."""
    total = points(tmp_path_factory, monkeypatch)
    assert total > 15
    for at in range(1, total + 1):
        stage = Stage(tmp_path_factory.mktemp("killed"))
        box = fill(stage)
        with killed_at(monkeypatch, at, []), pytest.raises(Killed):
            submit_outbox(stage.context())
        wanted = {"INV-1", "INV-2"}
        if meanwhile and not (box / "inv.edi").exists():
            put(box, meanwhile)
            wanted.add(meanwhile)
        stage.run()
        assert sorted(numbers(stage)) == sorted(wanted), at
        left = [each for each in lying(box) if not each.startswith(".submitted/")]
        assert left == [".refused/bad.edi", ".refused/bad.edi.why.txt"], at
        assert not list(box.glob(".submitting/*")), at


def test_what_is_claimed_at_the_same_event_lies_apart(box):
    """Nothing that is in work is ever covered by another file of its name."""
    claims = []
    for number in ("INV-1", "INV-2", "INV-3"):
        put(box, number)
        group, refused = outbox_files.claim(box, [box / "inv.edi"], 7)
        claims += group.claims
        assert refused == []
    assert sorted(lying(box).values()) == ["INV-1", "INV-2", "INV-3"]
    assert [each.claims for each in outbox_files.interrupted(box)] == [(each,) for each in claims]


@pytest.mark.parametrize("where", ["before", "after"])
def test_what_became_of_a_submission_between_two_batches_decides_nothing_about_its_file(stage, box, monkeypatch, where):
    """A batch is killed beside the submission, and the exchange is cancelled: the file of before is not sent again."""

    def dying(*arguments, **options):
        if where == "after":
            submit(*arguments, **options)
        raise Killed

    put(box)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", dying)
        with pytest.raises(Killed):
            submit_outbox(stage.context())
    if where == "after":
        operate.cancel(stage.context(), 1, **BY)
    summary = stage.run()
    assert told(summary) == []
    assert numbers(stage) == ([] if where == "after" else ["INV-1"])
    assert lying(box) == {".submitted/inv.edi": "INV-1"}
    assert "document-repeated" not in stage.kinds()


def test_a_file_that_was_put_there_again_goes_although_the_batch_that_took_it_was_killed(stage, box, monkeypatch):
    """What went as a test long before is not this submission."""
    stage.profiles = [TESTING]
    put(box)
    stage.run()
    stage.profiles = [ACME]
    put(box)

    def dying(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", dying)
        with pytest.raises(Killed):
            submit_outbox(stage.context())
    stage.run()
    assert [edi[0][15] for edi in stage.sent_edi] == ["T", "P"]


def test_a_database_that_goes_away_leaves_files_in_work_for_the_next_batch(stage, box, monkeypatch):
    put(box, "INV-1", "a.edi")
    put(box, "INV-2", "b.edi")

    def away(*_, **__):
        raise DatabaseUnavailable(url="memory", reason="gone")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", away)
        assert stage.run().exit_code == 69
    assert outbox_files.claimed(box) == 2
    assert stage.run().counts == {"documents submitted": 2, "mails sent": 2}
    assert numbers(stage) == ["INV-1", "INV-2"]


def test_asked_to_stop_it_leaves_the_rest_to_the_next_batch(stage, box, monkeypatch):
    for number in (1, 2, 3):
        put(box, f"INV-{number}", f"{number}.edi")
    context, asked = stage.context(), []

    def once(*arguments, **options):
        asked.append(1)
        return submit(*arguments, **options)

    monkeypatch.setattr(outbox, "submit", once)
    force_setattr(context, "stopping", lambda: bool(asked))
    submit_outbox(context)
    assert (asked, outbox_files.claimed(box)) == ([1], 2)
    stage.run()
    assert numbers(stage) == ["INV-1", "INV-2", "INV-3"]


def test_a_defect_met_by_one_document_keeps_no_other_from_going(stage, box, monkeypatch):
    put(box, "INV-1", "a.edi")
    put(box, "INV-2", "b.edi")

    def breaks(context, partner, data, **options):
        if b"INV-1" in data:
            raise ZeroDivisionError
        return submit(context, partner, data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", breaks)
        summary = stage.run()
    assert (told(summary), summary.exit_code) == ([("outbox/acme/a.edi", "unexpected")], 1)
    assert numbers(stage) == ["INV-2"]
    stage.run()
    assert numbers(stage) == ["INV-2", "INV-1"]


# ---------------------------------------------------------------- what waits


def test_a_document_that_the_configuration_holds_up_waits_in_its_place(stage, box):
    stage.profiles = [NO_810]
    put(box)
    assert told(stage.run()) == [("outbox/acme/inv.edi", "agreement.missing")]
    assert lying(box) == {"inv.edi": "INV-1"}
    stage.profiles = [ACME]
    stage.run()
    assert numbers(stage) == ["INV-1"]


def test_it_waits_in_work_where_another_file_has_its_place_and_neither_is_lost(stage, box, monkeypatch):
    stage.profiles = [NO_810]
    put(box, "INV-1")

    def slow(*arguments, **options):
        put(box, "INV-2")
        return submit(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "submit", slow)
        stage.run()
    assert sorted(lying(box).values()) == ["INV-1", "INV-2"]
    stage.run()
    assert sorted(lying(box).values()) == ["INV-1", "INV-2"]
    stage.profiles = [ACME]
    stage.run()
    assert numbers(stage) == ["INV-1", "INV-2"]


def test_it_waits_in_work_where_it_cannot_be_put_back(stage, box, monkeypatch):
    """A link to a file of another user is forbidden where the kernel protects them."""

    def forbidden(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", forbidden)
    stage.profiles = [NO_810]
    put(box)
    for _ in range(2):
        assert told(stage.run()) == [("outbox/acme/inv.edi", "agreement.missing")]
    assert outbox_files.claimed(box) == 1
    stage.profiles = [ACME]
    stage.run()
    assert numbers(stage) == ["INV-1"]
    assert lying(box) == {".submitted/inv.edi": "INV-1"}


# ---------------------------------------------------------------- directories that are not ours


@pytest.mark.parametrize("problem", [errno.EACCES, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_an_outbox_that_cannot_be_written_to_is_told_and_nothing_goes(stage, box, monkeypatch, call, problem):
    put(box)

    def refused(path, *_, **__):
        raise OSError(problem, os.strerror(problem), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        tally = taken(stage)
    assert told(tally) == [("outbox/acme/inv.edi", "document.not-taken")]
    (fault,) = (fault for _, fault in tally.troubles)
    assert os.strerror(problem) in str(fault)
    assert "outbox/acme" in str(fault)
    assert (numbers(stage), lying(box)) == ([], {"inv.edi": "INV-1"})
    stage.run()
    assert numbers(stage) == ["INV-1"]


def test_a_file_that_may_not_be_read_stays_in_its_place_and_is_told(stage, box, monkeypatch):
    put(box, "INV-1", "a.edi")
    put(box, "INV-2", "b.edi")
    real = Path.open

    def refused(self, *arguments, **options):
        if self.name == "a.edi":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        assert told(stage.run()) == [("outbox/acme/a.edi", "document.not-taken")]
    assert (numbers(stage), lying(box)) == (["INV-2"], {".submitted/b.edi": "INV-2", "a.edi": "INV-1"})


def test_a_share_that_syncs_no_directories_is_no_reason_not_to_send(stage, box, monkeypatch):
    put(box)

    def unsupported(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(outbox_files.os, "fsync", unsupported)
    assert told(taken(stage)) == []
    assert lying(box) == {".submitted/inv.edi": "INV-1"}


def test_a_disk_that_fails_is_told_and_what_it_had_taken_goes_with_the_next_batch(stage, box, monkeypatch):
    put(box)

    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(outbox_files.os, "fsync", broken)
        assert {code for _, code in told(taken(stage))} == {"document.not-taken"}
    stage.run()
    assert (numbers(stage), lying(box)) == (["INV-1"], {".submitted/inv.edi": "INV-1"})


# ---------------------------------------------------------------- the same once more


def test_what_is_left_out_as_a_repetition_is_said_with_what_it_repeats(stage, box):
    """In the batch's report and the mail after it; nobody has to do anything, so it is no alert and no bad night."""
    put(box)
    stage.run()
    put(box)
    summary = stage.run()
    assert (summary.exit_code, summary.counts) == (0, {"documents submitted before": 1})
    ((where, fault),) = summary.troubles
    assert (where, fault.code) == ("outbox/acme/inv.edi", "document.submitted-again")
    assert str(fault) == "inv.edi was submitted before, as exchange 1 (sent); it is not sent once more."
    assert "gateway send acme FILE --again" in fault.next_step
    assert "exchange 1 (sent)" in " ".join(as_text(night_report(stage.context(), summary)).split())
    assert met_by_unit(stage.context(), "submit", summary.troubles) == []
    (event,) = [row for row in stage.rows("event") if row["kind"] == "document-repeated"]
    assert json.loads(str(event["body"]))["exchanges"] == "1"
    assert lying(box) == {".submitted/inv.edi": "INV-1", ".submitted/inv.2.edi": "INV-1"}
    assert numbers(stage) == ["INV-1"]


def test_after_going_live_the_file_that_went_as_a_test_goes_in_earnest_and_once(stage, box):
    stage.profiles = [TESTING]
    put(box)
    stage.run()
    stage.profiles = [ACME]
    for _ in range(2):
        put(box)
        stage.run()
    assert [(edi[0][13], edi[0][15]) for edi in stage.sent_edi] == [("000000001", "T"), ("000000002", "P")]


def test_a_file_whose_exchange_was_cancelled_goes_when_it_is_put_there_again(stage, box):
    put(box)
    submit_outbox(stage.context())
    operate.cancel(stage.context(), 1, **BY)
    put(box)
    assert told(stage.run()) == []
    assert stage.states("out") == ["cancelled", "sent"]
    put(box)
    assert "exchange 2 (sent)" in str(stage.run().troubles[0][1])


def test_the_key_of_a_file_is_its_partner_name_and_content(stage, box):
    """As in every version before: what they submitted is known."""
    put(box)
    stage.run()
    key = f"outbox/acme/inv.edi/{hashlib.sha256(invoice()).hexdigest()}"
    assert [row["idempotency_key"] for row in stage.rows("exchange")] == [key]


def test_the_same_content_under_another_name_goes(stage, box):
    put(box)
    put(box, name="other.edi")
    stage.run()
    assert numbers(stage) == ["INV-1", "INV-1"]


# ---------------------------------------------------------------- names and links


def test_a_name_that_is_no_utf_8_stops_nobody_and_is_known_again(stage, box):
    name = os.fsdecode(b"inv\xff.edi")
    for _ in range(2):
        put(box, "INV-1", name)
        put(box, "INV-2", "z.edi")
        summary = stage.run()
    assert numbers(stage) == ["INV-1", "INV-2"]
    assert [where for where, _ in told(summary)] == ["outbox/acme/inv\\xff.edi", "outbox/acme/z.edi"]


def test_a_name_as_long_as_a_file_system_allows_is_taken(stage, box):
    put(box, "INV-1", "n" * 251 + ".edi")
    stage.run()
    assert numbers(stage) == ["INV-1"]


def test_a_link_is_followed_from_where_it_was_put(stage, box, tmp_path):
    (tmp_path / "erp").mkdir()
    (tmp_path / "erp" / "inv.edi").write_bytes(invoice())
    (box / "inv.edi").symlink_to("../../erp/inv.edi")
    assert told(stage.run()) == []
    assert numbers(stage) == ["INV-1"]


def test_many_files_go_in_the_order_of_their_names(stage, box, monkeypatch):
    monkeypatch.setattr(outbox, "_AT_ONCE", 2)
    for number in range(1, 6):
        put(box, f"INV-{number}", f"{number}.edi")
    stage.run()
    assert numbers(stage) == [f"INV-{number}" for number in range(1, 6)]
    assert not list(box.glob(".submitting/*"))


def test_what_is_never_looked_at_is_told(stage, box):
    """A directory in a directory, what is no file; what is still being written is nobody's business."""
    (box / "more").mkdir()
    (box / "more" / "inv.edi").write_bytes(invoice("INV-9"))
    (box / "empty").mkdir()
    os.mkfifo(box / "pipe.edi")
    (box / "inv.EDI.TMP").write_bytes(invoice("INV-8"))
    put(box)
    summary = stage.run()
    told = {where: fault.code for where, fault in summary.troubles}
    assert told == {"outbox/acme/more": "document.misplaced", "outbox/acme/pipe.edi": "document.not-taken"}
    assert numbers(stage) == ["INV-1"]
    with stage.ledger.reading() as connection:
        found = standing(connection, stage.settings, [], [], {}, stage.now)
    assert {each.reference: each.next_command for each in found.met} == {
        where: f"ls {where}" for where in ("outbox/acme/more", "outbox/acme/pipe.edi")
    }


def test_a_document_that_waits_for_an_agreement_is_named_with_what_tries_it(stage, box):
    stage.profiles[0] = NO_810
    put(box)
    stage.run()
    with stage.ledger.reading() as connection:
        found = standing(connection, stage.settings, [], [], {}, stage.now)
    assert [each.next_command for each in found.met] == ["gateway send acme outbox/acme/inv.edi --dry-run"]


@pytest.mark.parametrize(
    "name", ["x" * 251 + ".edi", "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 125 + ".edi", "y" * 255]
)
def test_a_refused_document_with_the_longest_of_names_has_its_reason_beside_it(stage, box, name):
    for _ in range(2):
        (box / name).write_bytes(b"no document")
        stage.run()
    refused = sorted((box / ".refused").iterdir())
    assert len(refused) == 4
    assert sum(each.name.endswith(".why.txt") for each in refused) == 2
    assert stage.kinds().count("document-refused") == 2
