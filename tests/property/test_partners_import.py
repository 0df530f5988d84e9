"""Whatever a file holds, reading it for an import or a proposal ends with values or with a sentence."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UsageFault
from gateway.flow.learn_sources import Seen, is_mail, read_bytes
from gateway.settings.model import Limits
from partners.learning_bots import BotsExport, bots_channels, bots_partners
from partners.learning_bots_index import read_index, read_syntax
from partners.learning_table import COLUMNS, read_table
from partners.model import Identity
from partners.profile import read_profile

FEW = settings(max_examples=60, deadline=None)
values = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2)
kinds = st.sampled_from(["partner", "channel", "chanpar", "translate", "confirmrule", "uniek", "other"])
names = st.sampled_from(
    [
        *(
            "idpartner",
            "name",
            "mail",
            "cc",
            "isgroup",
            "active",
            "desc",
            "phone1",
            "idchannel",
            "type",
            "host",
            "port",
        ),
        *(
            "username",
            "path",
            "fromeditype",
            "frommessagetype",
            "frompartner",
            "toeditype",
            "tomessagetype",
            "topartner",
        ),
        *("confirmtype", "ruletype", "negativerule", "domein", "nummer"),
    ]
)
entries = st.builds(
    lambda kind, fields: {**fields, "plugintype": kind}, kinds, st.dictionaries(names, values, max_size=8)
)


@FEW
@given(
    st.lists(entries, max_size=8), st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=8), values))
)
def test_entries_of_bots_become_profiles_or_reasons(found, syntaxes):
    export = BotsExport(tuple(found), syntaxes)
    for partner in bots_partners(export, [Identity("ZZ", "US")]):
        assert partner.problem or read_profile(partner.text).key == partner.key
    bots_channels(export)


@FEW
@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: f"plugins = [{text}]"))
def test_an_index_is_read_or_refused(text):
    read_syntax(text)
    with suppress(UsageFault):
        assert read_index(text, "index.py")


@FEW
@given(st.lists(st.lists(st.text(max_size=12), max_size=len(COLUMNS)), min_size=1, max_size=5))
def test_a_table_is_read_or_refused(rows):
    head = ",".join(COLUMNS)
    body = "\n".join(",".join(cell.replace(",", "").replace("\n", "") for cell in row) for row in rows)
    with suppress(UsageFault):
        for row in read_table(f"{head}\n{body}\n"):
            assert row.problems or read_profile(row.text).key == row.key


@FEW
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda data: b"From: a@b.example\r\n\r\n" + data))
def test_any_bytes_are_learned_from_or_noted(data):
    seen = Seen()
    read_bytes(seen, data, "file", Limits())
    assert seen.interchanges or seen.skipped


def test_header_like_lines_without_an_end_take_no_time():
    assert not is_mail(b"X-Header: value\r\n" * 100_000)
    assert not is_mail(b"X-Header: value\r\n continued\r\n" * 50_000 + b"!")
