"""Our keys: unreadable without the home's key, bound to their name and certificate, never deleted."""

import pytest
from builders.certificates import make
from sqlalchemy import update

from gateway.errors import ConfigurationFault, NotAllowedNow, OwnKeyMissing, OwnKeyUnusable
from gateway.flow.keyring import Keyring
from gateway.ledger.database import open_engine, writing
from gateway.ledger.keys import Keys
from gateway.ledger.secrets import make_key
from gateway.ledger.tables import own_key as table


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    table.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def keys(engine, tmp_path):
    make_key(tmp_path / "secret.key")
    return Keys(lambda: engine, tmp_path / "secret.key")


def add(keys, name, made, at=5):
    times = {
        "not_before": int(made.certificate.not_valid_before_utc.timestamp() * 1000),
        "not_after": int(made.certificate.not_valid_after_utc.timestamp() * 1000),
    }
    return keys.add(name, made.der, made.private, **times, by="ann", at=at)


def test_a_key_comes_back_and_the_database_does_not_hold_it(keys, engine, tmp_path):
    made = make()
    added = add(keys, "one", made)
    assert keys.list() == (added,)
    assert keys.private(added) == made.private
    engine.dispose()
    for file in tmp_path.glob("ledger.db*"):
        assert made.private[-60:] not in file.read_bytes()


def test_nothing_that_shows_a_key_shows_its_private_half(keys):
    made = make()
    ring = Keyring.of(keys)
    added = add(keys, "one", made)
    pair = Keyring.of(keys).pair(added)
    for text in (repr(keys), repr(added), repr(ring), repr(pair)):
        assert repr(made.private)[5:30] not in text


def test_a_name_is_used_once(keys):
    add(keys, "one", make())
    with pytest.raises(NotAllowedNow):
        add(keys, "one", make("other"))
    with pytest.raises(ConfigurationFault):
        add(keys, "Not a name", make())


def test_a_key_that_was_moved_to_another_name_or_certificate_is_not_used(keys, engine):
    one, two = add(keys, "one", make("one")), add(keys, "two", make("two", number=1))
    with writing(engine) as connection:
        token = connection.execute(table.select().where(table.c.name == "two")).one().token
        connection.execute(update(table).where(table.c.name == "one").values(token=token))
    with pytest.raises(OwnKeyUnusable, match="tampered"):
        keys.private(one)
    assert keys.private(two)


def test_another_home_key_opens_nothing_and_says_so(keys, engine, tmp_path):
    added = add(keys, "one", make())
    make_key(tmp_path / "other.key")
    for file in ("other.key", "gone.key"):
        with pytest.raises(OwnKeyUnusable):
            Keys(engine, tmp_path / file).private(added)


def test_the_newest_active_valid_key_signs_and_all_open(keys):
    old, new = make("old"), make("new", number=1)
    add(keys, "old", old, at=5)
    add(keys, "new", new, at=6)
    now = int(old.certificate.not_valid_before_utc.timestamp() * 1000) + 1
    ring = Keyring.of(keys)
    assert ring.signing(now).name == "new"
    assert ring.signing(now, "old").name == "old"
    assert [each.certificate for each in ring.opening()] == [new.der, old.der]
    keys.retire("new")
    ring = Keyring.of(keys)
    assert ring.signing(now).name == "old"
    assert [each.certificate for each in ring.opening()] == [new.der, old.der]
    for when, name in ((now, "new"), (now - 10, ""), (now, "unknown")):
        with pytest.raises(OwnKeyMissing):
            ring.signing(when, name)


def test_one_unreadable_key_does_not_keep_the_others_from_opening(keys, engine):
    add(keys, "one", make("one"))
    add(keys, "two", make("two", number=1))
    with writing(engine) as connection:
        connection.execute(update(table).where(table.c.name == "one").values(token=b"junk"))
    assert len(Keyring.of(keys).opening()) == 1
    with writing(engine) as connection:
        connection.execute(update(table).values(token=b"junk"))
    with pytest.raises(OwnKeyUnusable):
        Keyring.of(keys).opening()


def test_a_key_that_is_not_there_cannot_be_retired_or_read(keys):
    for act in (lambda: keys.retire("one"), lambda: keys.get("one")):
        with pytest.raises(OwnKeyMissing, match="named one"):
            act()
