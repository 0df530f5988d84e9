"""A row that was altered stays named, whoever records it again: a forged event, or an ordinary act of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders.by_hand import by_hand
from builders.recorded import fill, ledger_of
from sqlalchemy import Engine, Text, delete, insert, select, text, update

from gateway.ledger import database, prints, retold, tables, tree
from gateway.ledger.audited import AUDITED, Audited
from gateway.ledger.seals import make_seal
from gateway.ledger.verify import Verification

pytestmark = pytest.mark.integration
COUNT = 40  # exchanges of each direction: more than any table has columns
ACTS: dict[str, dict[str, Any]] = {  # what ordinary acts change
    "message": {"state": "discarded"},
    "exchange": {"settled_at": 7},
    "functional_group": {"acknowledged": "accepted"},
    "transaction_set": {"delivery": "withheld"},
    "hold": {"released_at": 7},
    "moved_archive": {"moved_at": 7},
}


def some(engine: Engine) -> None:
    """Some of everything that is audited, with mails and exchanges of both directions."""
    fill(engine, COUNT)
    with ledger_of(engine).transaction("anna") as recorder:
        for number in range(COUNT):
            mail = recorder.add(
                tables.message, at=1, direction="out", state="ready", kind="letter", sha256="ab", subject=str(number)
            )
            recorder.add(
                tables.exchange,
                at=1,
                updated_at=1,
                direction="out",
                kind="document",
                state="ready",
                sha256="ab",
                message=mail,
            )
            recorder.add(tables.hold, at=1, actor="anna", reason="a dispute")
            recorder.add(tables.moved_archive, at=1, file="x", sha256="ab", first_at=1, last_at=2)
        recorder.event("held", hold=1)
    assert named(engine) == {}


@pytest.fixture
def filled(ledger_with, monkeypatch):
    monkeypatch.setattr(retold, "SAY_AT_MOST", 1_000)
    return ledger_with(some)


def keyed(engine: Engine) -> None:
    """Keys of payloads, which are none: nothing more can be kept encrypted in this ledger."""
    rows = [
        {"id": each, "scope": "partner", "partner": "acme", "period": "2026-11", "created_at": 1}
        for each in range(1, COUNT + 1)
    ]
    with ledger_of(engine).transaction("anna") as recorder:
        recorder.connection.execute(insert(tables.payload_key), rows)
        recorder.touch(tables.payload_key, range(1, COUNT + 1))


def named(engine: Engine, seal: Any = None) -> dict[str, str]:
    """What a verification names, by reference."""
    with database.reading(engine) as connection:
        look = Verification(connection)
        return {each.reference: each.sentence for each in (look.since(seal) if seal else look.full())}


def forged(engine: Engine, name: str, owners: Sequence[int]) -> None:
    """An event ``recorded`` that holds the digests of rows as they are: what anybody can append who can write."""
    with ledger_of(engine).transaction() as recorder:
        recorder.touch(tables.metadata.tables[name], owners)


def acted(engine: Engine, name: str, owners: Sequence[int]) -> None:
    """An ordinary act, which changes another column of the same rows."""
    with ledger_of(engine).transaction("anna") as recorder:
        for owner in owners:
            recorder.change(tables.metadata.tables[name], owner, **ACTS[name])
            recorder.event("settled", exchange=owner if name == "exchange" else None)


def protected(audited: Audited, direction: str) -> list[str]:
    """The columns that no row of a table may ever have otherwise than at first, but its key."""
    columns = audited.columns
    if audited.core is not None:
        values = tuple(direction if each == "direction" else each for each in audited.columns)
        columns = tuple(each for each in audited.core.of(values) if each is not None)
        columns = tuple("direction" if each == direction else each for each in columns)
    return [each for each in columns if each not in {"id", audited.owner}]


def owners_of(engine: Engine, name: str, direction: str = "") -> list[int]:
    """Whose rows there are; PostgreSQL leaves numbers out."""
    table = AUDITED[name].table
    owner = table.c[AUDITED[name].owner]
    wanted = select(owner).distinct().order_by(owner)
    if direction and "direction" in table.c and name != "receipt":
        wanted = wanted.where(table.c.direction == direction)
    with database.reading(engine) as connection:
        return list(connection.execute(wanted).scalars())


def alter(engine: Engine, audited: Audited, owners: Sequence[int], columns: Sequence[str]) -> list[int]:
    """Each of some columns is altered in the row of an owner of its own."""
    table = audited.table
    owner = table.c[audited.owner]
    values = [
        (each, column, f"altered {each}" if isinstance(table.c[column].type, Text) else 900_000 + each)
        for each, column in zip(owners, columns, strict=False)
    ]
    by_hand(engine, *(update(table).where(owner == each).values({column: value}) for each, column, value in values))
    return [each for each, _, _ in values]


def reference(name: str, owner: int) -> str:
    return retold.words(name, owner)


CASES = [(name, "in") for name in AUDITED] + [("message", "out"), ("exchange", "out")]


@pytest.mark.parametrize(
    ("name", "direction", "act"),
    [(*case, forged) for case in CASES] + [(*case, acted) for case in CASES if case[0] in ACTS],
)
def test_what_never_changes_cannot_be_altered_by_recording_the_row_again(filled, name, direction, act):
    audited = AUDITED[name]
    if name == "payload_key":
        keyed(filled)
    columns = protected(audited, direction)
    seal = seal_of(filled)
    owners = alter(filled, audited, owners_of(filled, name, direction), columns)
    with database.reading(filled) as connection:
        plain = {each.reference for each in Verification(connection).full()}
    assert len(owners) == len(columns) > 0
    assert len(plain) == min(len(owners), 21)  # twenty are said one by one
    act(filled, name, owners)
    found = named(filled)
    assert sorted(found) == sorted(reference(name, each) for each in owners)
    assert all("anew as another one" in each for each in found.values())
    since = named(filled, seal)  # what was told before the seal is not read
    assert list(since) == ([] if name != "exchange" or act is acted else list(found))


def test_what_is_told_of_every_audited_row_protects_something_that_counts():
    assert {
        "sha256",
        "from_address",
        "subject",
        "message_id",
        "control_number",
        "verdict",
        "message",
        "payload",
    } <= set(protected(AUDITED["exchange"], "in"))
    assert "verdict" not in protected(AUDITED["exchange"], "out")
    assert {"sha256", "mailbox", "size"} <= set(protected(AUDITED["message"], "in"))
    assert {"subject", "to_addresses", "message_id"} <= set(protected(AUDITED["message"], "out"))
    assert "subject" not in protected(AUDITED["message"], "in")


def test_what_does_change_is_taken_as_it_was_recorded_last(filled):
    for name in ACTS:
        acted(filled, name, owners_of(filled, name)[2:4])
    with ledger_of(filled).transaction() as recorder:
        recorder.change_where(tables.exchange, tables.exchange.c.id == 3, state="delivered", acknowledged_at=4)
        recorder.event("delivered", exchange=3)
    assert named(filled) == {}


def test_a_row_that_gets_its_old_digest_of_what_never_changes_by_a_forged_event_is_named(filled):
    """Whoever forges the digest of the core too, has a row that does not fit it."""
    x = tables.exchange
    by_hand(filled, update(x).where(x.c.id == 5).values(subject="altered"))
    with database.reading(filled) as connection:
        now = prints.read(connection, AUDITED["exchange"], [5])[5]
        bodies = select(tables.event.c.body, tables.event.c.rows).where(tables.event.c.kind == "recorded")
        told = next(
            (whole, cores[(5 - first) * prints.CORE :][: prints.CORE])
            for body, data in connection.execute(bodies.order_by(tables.event.c.seq))
            for name, first, whole, cores in prints.runs(_json(body), bytes(data))
            if name == "exchange" and first <= 5 < first + len(whole) // prints.LENGTH
        )
    event = tree.recorded(1, "{}", b"") | {"kind": "settled", "exchange": 5, "rows": None}
    body = '{"rows":{"exchange":[[5,1,8]]}}'
    with database.writing(filled) as connection:
        tree.append(connection, [dict(event), tree.recorded(1, body, now[: prints.LENGTH] + told[1])])
    assert named(filled) == {
        "exchange 5": "Exchange 5 is another one than what was recorded first, and was recorded anew."
    }
    with database.writing(filled) as connection:  # or leaves it out, as an earlier version did
        old = tree.recorded(1, '{"rows":{"exchange":[[5,1]]}}', now[: prints.LENGTH])
        tree.append(connection, [dict(event), old])
    assert set(named(filled)) == {"exchange 5"}


def _json(body: str) -> Any:
    import json

    return json.loads(body)


def test_an_alteration_after_two_recordings_since_a_seal_is_named_since_that_seal(filled):
    seal = seal_of(filled)
    fill(filled, 3, first=COUNT + 1)
    assert named(filled, seal) == {}
    with database.reading(filled) as connection:
        newest = (
            connection.execute(select(tables.exchange.c.id).order_by(tables.exchange.c.id.desc())).scalars().first()
        )
    by_hand(filled, update(tables.exchange).where(tables.exchange.c.id == newest).values(subject="altered"))
    acted(filled, "exchange", [newest])
    assert set(named(filled, seal)) == {f"exchange {newest}"}


def test_an_exchange_that_is_recorded_anew_without_an_event_that_says_why_is_named(filled):
    """A state, a verdict on ours and a moment do change; then an event of the same transaction tells it."""
    seal = seal_of(filled)
    x = tables.exchange
    by_hand(filled, update(x).where(x.c.id == 5).values(state="rejected", acknowledged_at=3))
    with ledger_of(filled).transaction() as recorder:
        recorder.event("settled", exchange=6)
        recorder.touch(x, [5])
    said = {"exchange 5": f"Event {seal.seq + 2} records exchange 5 anew, and no event tells what became of it."}
    assert named(filled) == said
    assert named(filled, seal) == said


def test_what_becomes_of_an_exchange_may_be_told_of_its_mail(filled):
    with ledger_of(filled).transaction("anna") as recorder:
        recorder.change(tables.exchange, 5, state="discarded")
        recorder.event("discarded", message=5, reason="x")
    assert named(filled) == {}


# ---------------------------------------------------------------- removal


@pytest.mark.parametrize("name", [each for each in AUDITED if each != "interchange_key"])
def test_a_row_that_is_recorded_as_removed_without_a_removal_in_order_is_named(filled, name):
    """The key of an interchange alone goes by itself: to the exchange that takes the number of one that was refused."""
    if name == "payload_key":
        keyed(filled)
    seal = seal_of(filled)
    audited = AUDITED[name]
    owner = audited.table.c[audited.owner]
    some, *_, last = owners_of(filled, name)
    by_hand(filled, delete(audited.table).where(owner.in_([some, last])))
    forged(filled, name, [some, last])
    for found in (named(filled), named(filled, seal)):
        assert set(found) == {reference(name, some), reference(name, last)}
        assert all("as removed, and no removal in order is told with it" in each for each in found.values())


def test_a_removal_in_order_names_the_exchanges_and_mails_that_went(filled):
    with ledger_of(filled).transaction() as recorder:
        recorder.remove(tables.finding, [3, 4])
        recorder.event("purged", what="1 exchange", policy="p", exchanges=[[3, 3]], messages=[])
    assert set(named(filled)) == {"finding of exchange 4"}


def test_a_number_that_was_given_up_in_order_may_be_anothers(filled):
    last = {table: owners_of(filled, table.name)[-1] for table in (tables.acknowledgment, tables.hold)}
    with ledger_of(filled).transaction() as recorder:
        for table, number in last.items():
            recorder.remove(table, [number])
        recorder.event("purged", what="1 exchange", policy="p", exchanges=[[COUNT, COUNT]], messages=[])
    with ledger_of(filled).transaction() as recorder:
        recorder.put(tables.hold, id=last[tables.hold], at=77)
        recorder.put(
            tables.acknowledgment,
            id=last[tables.acknowledgment],
            at=77,
            carrier=2,
            kind="TA1",
            status="R",
            relation="matched",
        )
    assert named(filled) == {}


# ---------------------------------------------------------------- what an earlier version recorded


def test_what_was_recorded_without_cores_stays_valid_and_the_first_that_has_one_counts(filled, monkeypatch):
    def old(audited: Audited, first: int, digests: Sequence[bytes]) -> tuple[list[int], bytes]:
        return [first, len(digests)], b"".join(each[: prints.LENGTH] for each in digests)

    with monkeypatch.context() as earlier:
        earlier.setattr(prints, "as_run", old)
        fill(filled, 8, first=COUNT + 1)
        one, two, three, *_ = owners_of(filled, "exchange")[-8:]
        acted(filled, "exchange", [one])
    assert named(filled) == {}
    acted(filled, "exchange", [one, two])
    assert named(filled) == {}
    x = tables.exchange
    by_hand(filled, update(x).where(x.c.id.in_([one, two, three])).values(subject="altered"))
    acted(filled, "exchange", [one, three])
    found = named(filled)
    assert "anew as another one" in found[f"exchange {one}"]
    assert "is not what was recorded" in found[f"exchange {two}"]
    assert f"exchange {three}" not in found  # nothing was told of its core before


def seal_of(engine: Engine) -> Any:
    with database.reading(engine) as connection:
        head = tree.head_of(connection)
    return make_seal("us.example/ledger", head.size, head.root, head.seq, 1_795_312_800_000)


def test_an_entry_whose_numbers_are_none_is_named_and_stops_nothing(filled):
    with database.writing(filled) as connection:
        for body in ('{"rows":{"exchange":[["a",1]]}}', '{"rows":{"exchange":[[1.5,1,8]]}}', '{"rows":[]}', "7"):
            tree.append(connection, [tree.recorded(1, body, bytes(16))])
        connection.execute(text("SELECT 1"))
    assert all("cannot be read" in each for each in named(filled).values())
    assert len(named(filled)) == 4
