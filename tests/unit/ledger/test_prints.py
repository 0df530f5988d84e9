"""Digests of rows stay what they are when a later version adds a column."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

import gateway
from gateway.ledger import tables
from gateway.ledger.prints import AUDITED, GONE, LENGTH, agrees, mentions, read

# The columns that digests are made of, in their order. New ones come at the end of their table: never edit a line
# otherwise, or ledgers that are in use do not verify any more.
COLUMNS = {
    "message": "id at direction state kind mailbox host user sha256 size message_id in_reply_to subject from_address"
    " to_addresses cc_addresses dated partner fault_code fault proof proof_detail layers",
    "payload": "id message ordinal path file_name content_type sha256 size repairs",
    "exchange": "id at updated_at direction kind state verdict partner agreement message payload file_name from_address"
    " host message_id subject to_addresses user sender_qualifier sender_id receiver_qualifier receiver_id"
    " interchange_date interchange_time interchange_version control_number usage types versions sha256 size segments"
    " findings ta1 fault_code fault duplicate_of answers idempotency_key handed_over_at smtp_reply settled_at security"
    " mic due_at acknowledged_at repeats",
    "interchange_key": "key exchange",
    "functional_group": "id exchange ordinal functional_id application_sender application_receiver control_number"
    " version sets start status acknowledged acknowledged_at",
    "transaction_set": "id functional_group exchange ordinal set_id control_number implementation guideline agreement"
    " status start end segments acknowledged acknowledged_at delivery delivered_to delivered_at",
    "business_key": "value name transaction_set exchange",
    "finding": "id exchange functional_group transaction_set level code x12 scope segment position loop element"
    " component repetition offset value message",
    "acknowledgment": "id at carrier exchange functional_group transaction_set kind status codes errors names relation",
    "receipt": "id at direction message exchange original original_message_id disposition modifier mic mic_matches"
    " signed_by relation",
    "received_number": "id at partner theirs ours level epoch number exchange",
}

# The columns that no code changes once a row is there, in the order of their digest: new ones come at the end.
# One that is to change from now on makes every row of it that was recorded another one: it may never leave this list.
CORES = {
    "message": "id at direction kind mailbox host user sha256 size message_id in_reply_to subject"
    " from_address to_addresses cc_addresses dated partner proof proof_detail layers",
    "exchange": "id at direction kind verdict partner agreement message payload file_name from_address host"
    " message_id subject to_addresses user sender_qualifier sender_id receiver_qualifier"
    " receiver_id interchange_date interchange_time interchange_version control_number usage types"
    " versions sha256 size segments findings ta1 answers idempotency_key security mic"
    " repeats",
    "functional_group": "id exchange ordinal functional_id application_sender application_receiver"
    " control_number version sets start status",
    "transaction_set": "id functional_group exchange ordinal set_id control_number implementation guideline"
    " agreement status start end segments",
    "finding": "id exchange functional_group transaction_set level code x12 scope segment position loop"
    " element component repetition offset",
    "acknowledgment": "id at carrier exchange functional_group transaction_set kind status codes names relation",
    "hold": "id at actor reason words query",
    "payload_key": "id scope partner period created_at",
    "moved_archive": "id at actor file sha256 size exchanges messages events first_at last_at",
}


def test_columns_keep_their_places():
    for name, columns in COLUMNS.items():
        assert " ".join(AUDITED[name].columns).startswith(columns), name
    for name, audited in AUDITED.items():
        columns = " ".join(audited.core.columns) if audited.core is not None else ""
        assert columns.startswith(CORES.get(name, "")), name
        assert bool(columns) == (name in CORES), name


def test_no_code_changes_what_never_changes():
    """Every call that changes a row names columns outside of its table's core."""
    seen = 0
    for file in Path(gateway.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr not in {"change", "change_where"} or not call.args:
                continue
            name = ast.unparse(call.args[0]).removeprefix("tables.")
            core = AUDITED[name].core if name in AUDITED else None
            if core is None:
                assert name not in AUDITED, f"{file}:{call.lineno} changes {name}, whose rows never change"
                continue
            seen += 1
            changed = {each.arg for each in call.keywords}
            sometimes = {"verdict", "repeats"}  # of ours; and in the transaction that inserts it
            assert not changed & (set(core.columns) - sometimes), f"{file}:{call.lineno}"
    assert seen > 40


@pytest.mark.parametrize("name", sorted(CORES))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_sqlite_takes_for_the_core_is_what_we_take(name, data):
    """Of a row in the database the same two digests come out, whoever encodes it."""
    audited = AUDITED[name]
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    some = st.one_of(
        text,
        st.integers(-(2**63), 2**63 - 1),
        st.none(),
        st.sampled_from(["in", "out", "[]", "{}", ',{"":0}', '"{"":0}']),
    )
    blanks = zip(audited.columns, audited.blank, strict=True)
    row = {each: data.draw(st.one_of(st.just(blank), some)) for each, blank in blanks}
    row |= {"id": 1, audited.owner: 1} | ({"attempts": 0} if name == "message" else {})
    if "direction" in row:
        row["direction"] = data.draw(st.sampled_from(["in", "out", "", None]))
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        columns = ", ".join(f'"{each}"' for each in row)
        connection.exec_driver_sql(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" * len(row))
        connection.exec_driver_sql(f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values()))
        quick, slow = read(connection, audited, [1], quick=True), read(connection, audited, [1])
    engine.dispose()
    assert quick == slow == {1: b"".join(audited.both([tuple(row[each] for each in audited.columns)]))}


def test_defaults_at_the_end_leave_no_trace_so_a_new_column_changes_no_digest():
    audited = AUDITED["payload"]
    text = audited.encoded((7, 1, 1, "", "po.edi", "", "ab", 0, ""))
    assert text == b'[7,1,1,"","po.edi","","ab"]'
    assert audited.digest((text,)) == hashlib.sha256(b"payload\0" + text).digest()[:LENGTH]


def test_the_order_of_an_owners_rows_does_not_matter_and_none_are_gone():
    audited = AUDITED["finding"]
    assert audited.digest((b"[1]", b"[2]")) == audited.digest((b"[2]", b"[1]"))
    assert audited.digest(()) == GONE


def test_a_body_that_speaks_of_more_or_fewer_rows_than_it_has_digests_of_is_refused():
    import pytest

    good = {"rows": {"exchange": [[3, 2]]}}
    assert list(mentions(good, bytes(2 * LENGTH))) == [("exchange", 3, bytes(2 * LENGTH))]
    for body, digests in ((good, bytes(LENGTH)), ({}, b""), ({"rows": {"exchange": 7}}, b"")):
        with pytest.raises(ValueError, match="row"):
            list(mentions(body, digests))


def test_what_is_work_is_not_digested():
    assert "attempts" not in AUDITED["message"].columns
    assert {"outgoing", "expectation", "lease"}.isdisjoint(AUDITED)
    assert tables.content.name not in AUDITED


def test_this_sqlite_writes_every_character_as_we_do_so_rows_that_changed_are_encoded_by_it():
    assert agrees()
