"""Importing partners: from a table and from Bots; what is wrong is told by place, and nothing of a file is run."""

import json
import zipfile
from pathlib import Path

import pytest
from builders.stage import Stage

from gateway.errors import UsageFault
from gateway.flow.partner_import import import_bots, import_table, read_bots
from gateway.flow.start_numbers import read_csv
from partners.learning_table import COLUMNS
from partners.model import Direction, Evidence, FunctionalAck, Separators, Status
from partners.store import PartnerStore

SAMPLES = Path(__file__).parents[3] / "samples" / "import"
HEAD = "key,identities,addresses,types\n"


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, [])


@pytest.fixture
def store(stage):
    return PartnerStore(stage.engine)


def table(stage, store, text, **options):
    stage.profiles = [store.text(each.key) for each in store.heads()]
    return import_table(stage.context(), store, text, "partners.csv", actor="anna", **options)


def bots(stage, store, path, **options):
    stage.profiles = [store.text(each.key) for each in store.heads()]
    return import_bots(stage.context(), store, path, actor="anna", **options)


def problems(found):
    return {each.place: each.problems for each in found.rows if each.problems}


# ---------------------------------------------------------------- a table


def test_each_row_of_the_sample_becomes_a_draft_once(stage, store):
    text = (SAMPLES / "partners.csv").read_text()
    found = table(stage, store, text)
    assert [(each.key, each.change) for each in found.rows] == [
        ("birch", "added"),
        ("maple", "added"),
        ("willow-freight", "added"),
    ]
    birch = store.get("birch")
    assert (birch.status, birch.contact) == (Status.DRAFT, "Jo Bloggs, +1 555 555 0101")
    assert [(each.direction, each.sets) for each in birch.agreements] == [
        (Direction.IN, ("850", "820")),
        (Direction.OUT, ("855", "856", "810")),
    ]
    assert {each.acknowledgment.functional for each in birch.agreements} == {FunctionalAck.F997}
    assert [str(each) for each in store.get("maple").identities] == ["ZZ:MAPLECLINIC", "01:123456789"]
    assert [each.change for each in table(stage, store, text).rows] == ["unchanged"] * 3
    assert sum(kind == "profile-applied" for kind in stage.kinds()) == 3


def test_bad_rows_are_told_by_line_and_column_and_do_not_stop_the_others(stage, store):
    stage_rows = (
        "acme,ZZ:A,nowhere,850:in\n"
        ",ZZ:B,b@b.example,850:up\n"
        "c,ZZ:EXAMPLECO,c@c.example,850:in\n"
        "d,ZZ:D,d@d.example,850:in\n"
        "e,ZZ:E,e@e.example,850:in,more\n"
        "f,ZZ:D,D@d.example,850:in\n"
        "d,ZZ:G,g@g.example,850:in\n"
    )
    found = table(stage, store, HEAD + stage_rows)
    told = problems(found)
    assert told["line 2"][0].startswith("column addresses: 'nowhere' is not a mail address")
    assert [each.partition(":")[0] for each in told["line 3"]] == ["column key", "column types"]
    assert told["line 4"] == ("column identities: ZZ:EXAMPLECO is ours (gateway.toml) already",)
    assert told["line 6"] == ("it has 5 cells, the first line 4",)
    assert told["line 7"] == (
        "column identities: ZZ:D is that of d (line 5) already",
        "column addresses: D@d.example is that of d (line 5) already",
    )
    assert told["line 8"] == ("column key: d stands in line 5 already",)
    assert [each.key for each in store.heads()] == ["d"]
    assert len(found.wrong) == 6


def test_a_partner_that_is_there_is_never_changed(stage, store):
    table(stage, store, HEAD + "d,ZZ:D,d@d.example,850:in\n")
    found = table(stage, store, HEAD + "d,ZZ:D,d@d.example,810:out\ne,ZZ:D,e@e.example,850:in\n")
    assert "is there already" in problems(found)["line 2"][0]
    assert problems(found)["line 3"] == ("column identities: ZZ:D is that of d already",)
    assert len(store.revisions("d")) == 1


def test_a_dry_run_stores_nothing(stage, store):
    assert table(stage, store, HEAD + "d,ZZ:D,d@d.example,850:in\n", dry_run=True).rows[0].change == "added"
    assert store.heads() == []


def test_any_usual_separator_and_every_column_is_read(stage, store):
    head = ";".join(COLUMNS)
    row = "acme;ACME Retail;ZZ:A ZZ:B;a@a.example b@a.example;850:both;004010;Jo;notes;dkim;999;always;4h"
    (found,) = table(stage, store, f"\ufeff{head}\n{row}\n".removeprefix("\ufeff")).rows
    assert found.problems == ()
    partner = store.get("acme")
    assert (partner.evidence, len(partner.identities), len(partner.agreements)) == (Evidence.DKIM, 2, 2)
    assert partner.agreements[1].acknowledgment.within.total_seconds() == 4 * 3600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing: identities"),
        ("name,identities,addresses,types,colour\n", "unknown: colour"),
        (HEAD, "has no rows"),
        (HEAD + '"open\n' + "x" * 200_000, "is no CSV"),
    ],
)
def test_what_is_no_table_of_partners_is_refused(stage, store, text, said):
    with pytest.raises(UsageFault, match=said):
        table(stage, store, text)


def test_many_rows_take_no_time_that_grows_with_their_square(stage, store):
    rows = "".join(f"p{n},ZZ:P{n},p{n}@p.example,850:in\n" for n in range(1_500))
    found = table(stage, store, HEAD + rows, dry_run=True)
    assert sum(each.change == "added" for each in found.rows) == 1_500


# ---------------------------------------------------------------- Bots


def test_partners_channels_and_counters_of_bots_are_taken_over(stage, store):
    found = bots(stage, store, SAMPLES / "botsindex.py")
    assert [(each.key, each.change) for each in found.rows] == [
        ("birch-retail", "added"),
        ("willow-freight", "added"),
        ("example-co", "left out"),
        ("retailers", "left out"),
    ]
    birch = store.get("birch-retail")
    assert birch.addresses == ("edi@birchretail.example",)
    assert [(each.direction.value, each.sets, each.versions) for each in birch.agreements] == [
        ("in", ("850",), ("004010",)),
        ("out", ("810",), ("004010",)),
    ]
    willow = store.get("willow-freight")
    assert (willow.addresses, willow.agreements[0].mail.cc) == (
        ("dispatch@willow.example",),
        ("copies@willow.example",),
    )
    assert any("qualifier" in each for each in found.rows[0].checks)
    assert "[mailbox.mail-in]" in found.channels
    assert {each.partner: each.interchange for each in read_csv(found.starts, last_used=True)} == {
        "birch-retail": 4712,
        "willow-freight": 4712,
    }
    assert [each.change for each in bots(stage, store, SAMPLES / "botsindex.py").rows][:2] == ["unchanged"] * 2


def test_the_channels_are_tables_that_gateway_toml_takes(stage, store, tmp_path):
    from gateway.settings import parse_settings

    found = bots(stage, store, SAMPLES / "botsindex.py")
    text = '[gateway]\nname = "Us"\ndomain = "us.example"\nidentities = ["ZZ:US"]\n' + found.channels.replace(
        'security = "none"', 'security = "tls"'
    )
    settings = parse_settings(text.encode(), home=tmp_path)
    assert [(each.name, each.host) for each in settings.mailboxes] == [("mail-in", "pop.example.com")]
    assert settings.smtp.security == "starttls"


def test_a_plugin_with_syntax_files_gives_qualifiers_and_separators(stage, store, tmp_path):
    with zipfile.ZipFile(tmp_path / "plugin.zip", "w") as archive:
        archive.writestr("botsindex.py", (SAMPLES / "botsindex.py").read_text())
        archive.writestr(
            "usersys/partners/x12/BIRCHRETAIL.py",
            "syntax = {'ISA07': '14', 'field_sep': '|', 'sfield_sep': '>', 'record_sep': '~', "
            "'add_crlfafterrecord_sep': '\\r\\n'}\n",
        )
    bots(stage, store, tmp_path / "plugin.zip")
    birch = store.get("birch-retail")
    assert str(birch.identities[0]) == "14:BIRCHRETAIL"
    assert birch.agreements[1].envelope.separators == Separators("|", ">", "~", "^", "\r\n")


def test_nothing_of_an_index_is_run(stage, store, tmp_path):
    trap = tmp_path / "trap"
    (tmp_path / "index.py").write_text(
        f"import os\nopen({str(trap)!r}, 'w')\nplugins = [\n"
        f"{{'plugintype': 'partner', 'idpartner': 'ACME', 'name': os.system('touch {trap}'), 'mail': 'a@acme.example', "
        f"'x': [open({str(trap)!r}, 'w')], 'active': True}},\n]\n"
    )
    (found,) = bots(stage, store, tmp_path / "index.py").rows
    assert (found.key, found.change) == ("acme", "added")
    assert not trap.exists()


def test_whole_numbers_of_python_2_json_fixtures_tables_and_directories_are_read(tmp_path):
    (tmp_path / "old.py").write_text("plugins = [{'plugintype': 'uniek', 'domein': u'isacounter_X', 'nummer': 17L}]")
    assert read_bots(tmp_path / "old.py").entries[0]["nummer"] == 17
    fixture = [{"model": "bots.partner", "pk": "ACME", "fields": {"name": "ACME", "mail": "a@b.example"}}]
    (tmp_path / "index.json").write_text(json.dumps(fixture))
    assert read_bots(tmp_path / "index.json").entries[0]["idpartner"] == "ACME"
    fourth = {
        "bots_version": "4.0",
        "plugins": {"partner": [{"plugintype": "partner", "idpartner": "C"}], "uniek": [{}]},
    }
    (tmp_path / "index.json").write_text(json.dumps(fourth))
    assert [each["plugintype"] for each in read_bots(tmp_path / "index.json").entries] == ["partner", "uniek"]
    (tmp_path / "index.json").write_text(json.dumps({"plugins": [{"plugintype": "partner", "idpartner": "B"}]}))
    assert read_bots(tmp_path).of("partner")[0]["idpartner"] == "B"
    (tmp_path / "partner.csv").write_text("idpartner;active;name;mail\nACME;True;ACME;a@b.example\n")
    assert read_bots(tmp_path / "partner.csv").of("partner")[0]["active"] is True
    (tmp_path / "channel.csv").write_text("idchannel,type,host\nin,pop3s,pop.example.com\n")
    assert read_bots(tmp_path / "channel.csv").of("channel")[0]["type"] == "pop3s"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("index.py", b"plugins = ["),
        ("index.py", b"print('hello')"),
        ("index.py", b"plugins = " + b"[" * 5_000 + b"]" * 5_000),
        ("index.json", b"{]"),
        ("index.json", b"[" * 100_000),
        ("x.csv", b"colour\nred\n"),
        ("x.zip", b"PK\x05\x06" + bytes(18)),
        ("x.bin", bytes(range(256))),
    ],
)
def test_what_is_no_export_is_refused_in_words(stage, store, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageFault):
        bots(stage, store, tmp_path / name)


def test_an_id_that_no_interchange_can_carry_is_left_out(stage, store, tmp_path):
    entry = {"plugintype": "partner", "idpartner": "A" * 16, "name": "Too long", "active": True}
    (tmp_path / "index.json").write_text(json.dumps([entry]))
    (found,) = bots(stage, store, tmp_path / "index.json").rows
    assert (found.change, store.heads()) == ("left out", [])


def test_a_partner_without_anything_is_a_draft_to_be_completed(stage, store, tmp_path):
    (tmp_path / "index.json").write_text(json.dumps([{"plugintype": "partner", "idpartner": "ACME", "active": False}]))
    (found,) = bots(stage, store, tmp_path / "index.json").rows
    assert found.change == "added"
    assert {"it is not active in Bots", "addresses: Bots knows no mail address of it"} <= set(found.checks)
