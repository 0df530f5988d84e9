"""`gateway partner`: what operators type and read. The home is a stand-in, its profiles are at rest in SQLite."""

import hashlib
import json
import os
import shutil
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders.stage import empty_ledger
from click.testing import CliRunner
from sqlalchemy import select

from gateway.cli.partner import command
from gateway.errors import NotAllowedNow, PartnerNotReady, ProfileInvalid, ProfileOverlap, UnknownPartner, UsageFault
from gateway.ledger.database import open_engine
from gateway.ledger.recording import Ledger
from gateway.ledger.tables import event as ledger_event
from partners.directory import Directory
from partners.model import Identity
from partners.store import PartnerStore

SAMPLES = Path(__file__).parents[3] / "samples" / "partners"
ACME = str(SAMPLES / "acme.toml")
FABLE = str(SAMPLES / "minimal.toml")
ANYWAY = ("--anyway", "--why", "we know them")


class Home:
    """A stand-in for an opened home."""

    def __init__(self, engine, directory):
        self.partners = PartnerStore(engine)
        self.settings = types.SimpleNamespace(identities=(("ZZ", "OURCO"),), partners_directory=directory)
        self.actor = "ann"
        self.ledger = Ledger(engine, self.now, "ann")

    @property
    def recorded(self):
        """What the ledger tells: kind, partner, actor, body."""
        with self.ledger.reading() as connection:
            rows = connection.execute(select(ledger_event).where(ledger_event.c.kind.like("p%")).order_by("seq")).all()
        return [(row.kind, row.partner, row.actor, json.loads(row.body)) for row in rows]

    def directory(self):
        return Directory(self.partners.current(), [Identity.parse("ZZ:OURCO")])

    def now(self):
        return 1_700_000_000_000

    def context(self):
        return types.SimpleNamespace(ledger=self.ledger, directory=self.directory(), clock=self.now)

    def record(self, kind, *, partner="", **body):
        self.ledger.record(kind, partner=partner, actor=self.actor, **body)


@pytest.fixture
def home(tmp_path, monkeypatch):
    shutil.copy(empty_ledger(), tmp_path / "ledger.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    home = Home(engine, SAMPLES)

    @contextmanager
    def open_app(path, *, actor=None):
        home.actor = actor or "ann"
        yield home

    stand_in = types.ModuleType("gateway.app")
    stand_in.open_app = open_app
    monkeypatch.setitem(sys.modules, "gateway.app", stand_in)
    yield home
    engine.dispose()


@pytest.fixture
def run(home, tmp_path):
    def run(*words):
        result = CliRunner().invoke(command, list(words), obj={"home": tmp_path})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_apply_adds_the_partners_of_a_directory_and_records_each(run, home):
    found = rows(run("apply", str(SAMPLES), "--json", "--by", "bob"))
    assert found[0] == {"key": "acme", "change": "added", "revision": 1, "status": "live"}
    assert {"acme", "mercy", "fable"} <= {each["key"] for each in found}
    sha256 = hashlib.sha256(Path(ACME).read_bytes()).hexdigest()
    body = {"revision": 1, "change": "added", "file": "acme.toml", "sha256": sha256, "status": "live"}
    assert home.recorded[0] == ("profile-applied", "acme", "bob", body)
    assert len(home.recorded) == len(found) == len(list(SAMPLES.glob("*.toml")))


def test_apply_without_a_name_takes_the_home_s_own_directory(run):
    assert len(rows(run("apply", "--json"))) == len(list(SAMPLES.glob("*.toml")))


def test_applying_again_changes_and_records_nothing(run, home):
    run("apply", ACME)
    assert rows(run("apply", ACME, "--json"))[0]["change"] == "unchanged"
    assert len(home.recorded) == 1


def test_a_dry_run_tells_and_changes_nothing(run, home):
    result = run("apply", ACME, "--dry-run")
    assert "added" in result.stdout
    assert "Nothing was changed" in result.stderr
    assert home.partners.current() == []
    assert home.recorded == []


@pytest.mark.parametrize("dry_run", [["--dry-run"], []])
def test_a_file_without_a_status_is_told_with_the_status_that_stays(run, home, tmp_path, dry_run):
    run("apply", FABLE)
    run("suspend", "fable")
    path = tmp_path / "fable.toml"
    path.write_text('name = "Fable Foods"\n' + Path(FABLE).read_text())
    (row,) = rows(run("apply", str(path), "--json", *dry_run))
    assert row == {"key": "fable", "change": "changed", "revision": 3, "status": "suspended"}
    assert home.partners.get("fable").status == "suspended"


def test_a_draft_is_told_how_to_start(run):
    assert "`gateway partner checklist fable` tells what is missing" in run("apply", FABLE).stderr


def test_errors_of_all_files_are_told_together(run, tmp_path):
    (tmp_path / "a.toml").write_text('key = "A"\n')
    (tmp_path / "b.toml").write_bytes(b'key = "b"\nname = "\xff"\n')
    (tmp_path / "c.toml").mkdir()
    with pytest.raises(ProfileInvalid) as caught:
        run("apply", str(tmp_path))
    said = str(caught.value)
    assert said.startswith("a.toml, line 1, key ")
    assert "\nb.toml, line 2, key (file): this is not UTF-8 text" in said
    assert "\nc.toml, line 1, key (file): cannot be read" in said


def test_a_file_may_have_any_name(run, home, tmp_path):
    path = tmp_path / os.fsdecode(b"f\xffble.toml")
    path.write_text(Path(FABLE).read_text())
    run("apply", str(path))
    assert home.partners.revisions("fable")[0].file == "f\ufffdble.toml"


def test_a_partner_that_claims_our_identity_is_refused(run, tmp_path):
    path = tmp_path / "thief.toml"
    path.write_text(Path(FABLE).read_text().replace("ZZ:FABLEFOODS", "ZZ:OURCO"))
    with pytest.raises(ProfileOverlap, match="our own settings"):
        run("apply", str(path))


def test_a_directory_without_profiles_is_a_usage_fault(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageFault, match="There is no profile"):
        run("apply", str(tmp_path / "empty"))


def test_list_shows_who_there_is(run):
    assert "There are no partners yet" in run("list").stderr
    run("apply", str(SAMPLES))
    acme = rows(run("list", "--json"))[0]
    assert acme["in"] == ["850", "860"]
    assert acme["out"] == ["855", "856", "810"]
    assert acme["identities"] == ["ZZ:ACMERETAIL", "01:123456789"]
    assert acme["by"] == "ann"
    assert "Mercy General Hospital" in run("list").stdout


def test_show_tells_in_words_what_was_settled(run):
    run("apply", str(SAMPLES))
    said = run("show", "acme").stdout
    for words in (
        "ACME Retail (acme) is live",
        "Revision 1 of 1",
        "by ann from acme.toml",
        "edi@acme.example, edi-backup@acme.example",
        "orders: ACME Retail sends us 850, 860 in 004010",
        "a 997, naming every transaction set; a TA1 when ISA14 asks for it or the interchange is refused",
        "each transaction set as a file in inbox/acme",
        "po (BEG03), changed_po (BCH03)",
        "invoices: we send ACME Retail 810 in 004010",
        "a 997 within 2d of the hand-over",
        "copies to invoices@acme.example",
        "separators * : ~ ^ and lf",
    ):
        assert words in said
    said = run("show", "mercy").stdout
    assert "a 999, naming every transaction set; always a TA1" in said
    assert "a 999 and a TA1 within 1d of the hand-over" in said


def test_show_tells_of_an_earlier_revision(run):
    run("apply", FABLE)
    run("activate", "fable", *ANYWAY)
    assert "is a draft" in run("show", "fable", "--revision", "1").stdout
    document = json.loads(run("show", "fable", "--json").stdout)
    assert {(each["theirs"], each["next"]) for each in document["control_numbers"]} == {("ZZ:FABLEFOODS", 1)}
    assert (document["status"], document["revision"]["revision"]) == ("live", 2)
    assert document["identities"] == ["ZZ:FABLEFOODS"]
    assert document["agreements"][0]["acknowledgment"]["within"] == 86400
    assert document["agreements"][0]["envelope"]["our_identity"] is None


def test_show_of_nobody_says_so(run):
    with pytest.raises(UnknownPartner):
        run("show", "nobody")


def test_export_gives_back_what_was_applied(run, tmp_path):
    run("apply", str(SAMPLES))
    assert run("export", "acme").stdout == Path(ACME).read_text()
    with pytest.raises(UsageFault, match="--to"):
        run("export")
    run("export", "--to", str(tmp_path / "out"))
    assert {"acme.toml", "fable.toml", "mercy.toml"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out" / "acme.toml").read_text() == Path(ACME).read_text()


def test_export_replaces_a_different_file_only_when_told(run, tmp_path):
    run("apply", ACME)
    (tmp_path / "acme.toml").write_text("mine")
    with pytest.raises(NotAllowedNow, match=r"acme\.toml is there already"):
        run("export", "--to", str(tmp_path))
    run("export", "--to", str(tmp_path), "--force")
    assert (tmp_path / "acme.toml").read_text() == Path(ACME).read_text()


def test_activate_and_suspend_make_revisions_and_are_recorded(run, home):
    run("apply", FABLE)
    assert run("activate", "fable", "--testing").stdout == "fable is now testing (it was draft); revision 2.\n"
    with pytest.raises(PartnerNotReady, match="control numbers, identity proven, test received"):
        run("activate", "fable")
    with pytest.raises(UsageFault, match="--why"):
        run("activate", "fable", "--anyway")
    said = run("activate", "fable", "--dry-run", *ANYWAY).stdout
    assert said == "fable would be live (it was testing); revision 3.\n"
    run("activate", "fable", "--by", "bob", *ANYWAY)
    missing = "control numbers, identity proven, test received, delivery tried, acknowledgment sent"
    assert home.recorded[-1][3] | {"reason": "we know them", "missing": missing} == home.recorded[-1][3]
    assert "live already" in run("activate", "fable").stdout
    run("suspend", "fable")
    assert home.partners.get("fable").status == "suspended"
    assert [each[:3] for each in home.recorded[1:]] == [
        ("partner-status", "fable", "ann"),
        ("partner-status", "fable", "bob"),
        ("partner-status", "fable", "ann"),
    ]
    listed = rows(run("revisions", "fable", "--json"))
    assert [(each["revision"], each["status"], each["by"]) for each in listed] == [
        (4, "suspended", "ann"),
        (3, "live", "bob"),
        (2, "testing", "ann"),
        (1, "draft", "ann"),
    ]
    assert "minimal.toml" in run("revisions", "fable").stdout
