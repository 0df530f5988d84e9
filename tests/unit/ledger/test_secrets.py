"""Secrets are found where they should be, unreadable without the key, and never said aloud."""

import os
import traceback

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from gateway.errors import ConfigurationFault, GatewayError, SecretMissing, SecretUnreadable
from gateway.ledger.database import open_engine, reading, writing
from gateway.ledger.secrets import Secrets, make_key, variable
from gateway.ledger.tables import secret as table

CANARY = "canary-5f1e-Pässwörd"


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    table.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def key(tmp_path):
    make_key(tmp_path / "secret.key")
    return tmp_path / "secret.key"


@pytest.fixture
def secrets(engine, key):
    return Secrets(engine, key, {})


def test_what_is_stored_comes_back_and_the_database_does_not_hold_it(secrets, engine, tmp_path):
    secrets.set("smtp", CANARY, "ann", 5)
    assert secrets.get("smtp") == CANARY
    engine.dispose()
    for file in tmp_path.glob("ledger.db*"):
        assert CANARY.encode() not in file.read_bytes()


def test_setting_again_replaces(secrets):
    secrets.set("smtp", "one", "ann", 5)
    secrets.set("smtp", "two", "bob", 6)
    assert secrets.get("smtp") == "two"
    assert secrets.list() == (("smtp", "ledger", 6),)


def test_environment_goes_before_credentials_before_the_ledger(engine, key, tmp_path):
    (tmp_path / "creds").mkdir()
    environment: dict[str, str] = {}
    secrets = Secrets(lambda: engine, key, environment, tmp_path / "creds")
    secrets.set("mailbox.a-b", "from the ledger", "ann", 5)
    assert (secrets.get("mailbox.a-b"), secrets.where("mailbox.a-b")) == ("from the ledger", "ledger")
    (tmp_path / "creds/mailbox.a-b").write_text("from the directory\n")
    assert (secrets.get("mailbox.a-b"), secrets.where("mailbox.a-b")) == (
        "from the directory",
        "credentials directory",
    )
    environment["GATEWAY_SECRET_MAILBOX_A_B"] = "from the environment"
    assert (secrets.get("mailbox.a-b"), secrets.where("mailbox.a-b")) == ("from the environment", "environment")
    assert secrets.list() == (("mailbox.a-b", "environment", None),)


def test_what_is_empty_is_not_there(engine, key, tmp_path):
    """A variable or file that was emptied holds no password: what is stored counts, and nothing is called readable."""
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds/smtp").write_text("\n")
    secrets = Secrets(engine, key, {"GATEWAY_SECRET_SMTP": ""}, tmp_path / "creds")
    assert (secrets.where("smtp"), secrets.list()) == (None, ())
    with pytest.raises(SecretMissing):
        secrets.get("smtp")
    with pytest.raises(SecretMissing):
        secrets.outside("smtp")
    secrets.set("smtp", "stored", "ann", 5)
    assert (secrets.where("smtp"), secrets.get("smtp")) == ("ledger", "stored")


def test_the_advice_names_the_place_that_a_refused_password_came_from(engine, key, tmp_path):
    environment: dict[str, str] = {}
    secrets = Secrets(engine, key, environment, tmp_path)
    assert "`gateway secret set mailbox.orders`" in secrets.advice("mailbox.orders")
    (tmp_path / "mailbox.orders").write_text("wrong")
    assert "the file mailbox.orders of the credentials directory" in secrets.advice("mailbox.orders")
    environment["GATEWAY_SECRET_MAILBOX_ORDERS"] = "wrong"
    assert "GATEWAY_SECRET_MAILBOX_ORDERS: it goes before" in secrets.advice("mailbox.orders")


def test_the_databases_own_password_is_only_looked_for_outside(key, tmp_path):
    def never():
        raise AssertionError("the database was asked")

    assert Secrets(never, key, {"GATEWAY_SECRET_DATABASE": CANARY}).outside("database") == CANARY
    with pytest.raises(SecretMissing) as caught:
        Secrets(never, key, {}).outside("database")
    assert "as GATEWAY_SECRET_DATABASE" in caught.value.next_step
    assert "secret set" not in caught.value.next_step


def test_the_list_knows_credentials_and_no_values(engine, key, tmp_path):
    (tmp_path / "smtp").write_text(CANARY)
    secrets = Secrets(engine, key, {}, tmp_path)
    secrets.set("mailbox.orders", CANARY, "ann", 7)
    found = [each for each in secrets.list() if each.name in {"smtp", "mailbox.orders"}]
    assert found == [("mailbox.orders", "ledger", 7), ("smtp", "credentials directory", None)]
    assert CANARY not in repr(secrets.list())


def test_what_is_nowhere_is_missing(secrets):
    assert secrets.where("smtp") is None
    with pytest.raises(SecretMissing, match="smtp"):
        secrets.get("smtp")
    with pytest.raises(SecretMissing):
        secrets.remove("smtp")


def test_what_is_removed_is_gone(secrets, engine):
    secrets.set("smtp", CANARY, "ann", 5)
    secrets.remove("smtp")
    with pytest.raises(SecretMissing):
        secrets.get("smtp")


def test_another_key_cannot_read_it(secrets, engine, tmp_path):
    secrets.set("smtp", CANARY, "ann", 5)
    make_key(tmp_path / "other.key")
    with pytest.raises(SecretUnreadable):
        Secrets(engine, tmp_path / "other.key", {}).get("smtp")


def test_a_lost_key_is_told_as_such(secrets, key):
    secrets.set("smtp", CANARY, "ann", 5)
    key.unlink()
    with pytest.raises(SecretUnreadable, match=r"secret\.key"):
        secrets.get("smtp")
    with pytest.raises(SecretUnreadable):
        secrets.set("smtp", CANARY, "ann", 5)


def test_a_token_moved_to_another_name_is_refused(secrets, engine):
    secrets.set("mailbox.orders", CANARY, "ann", 5)
    with writing(engine) as connection:
        connection.execute(table.update().values(name="smtp"))
    with pytest.raises(SecretUnreadable):
        secrets.get("smtp")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_can_reach_is_refused(secrets, key, mode):
    key.chmod(mode)
    with pytest.raises(ConfigurationFault, match="chmod 600"):
        secrets.set("smtp", CANARY, "ann", 5)


def test_a_damaged_key_is_refused(secrets, key):
    key.write_bytes(b"not a key")
    with pytest.raises(ConfigurationFault, match="no key"):
        secrets.set("smtp", CANARY, "ann", 5)


def test_a_new_key_is_for_its_owner_only_and_never_overwrites(tmp_path):
    old = os.umask(0)
    try:
        make_key(tmp_path / "k")
    finally:
        os.umask(old)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(ConfigurationFault, match="already"):
        make_key(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == before


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a/b", "A", ".hidden", "a\0b", "x" * 65])
def test_a_name_that_could_leave_the_directory_is_refused(engine, key, tmp_path, name):
    secrets = Secrets(engine, key, {}, tmp_path)
    for use in (lambda: secrets.get(name), lambda: secrets.set(name, "v", "ann", 5), lambda: secrets.where(name)):
        with pytest.raises(ConfigurationFault, match="name of a secret"):
            use()


@pytest.mark.parametrize("value", ["", CANARY + "\0", CANARY * 10_000, CANARY + "\udce4"])
def test_an_impossible_value_is_refused_and_not_repeated(secrets, value):
    with pytest.raises(ConfigurationFault) as caught:
        secrets.set("smtp", value, "ann", 5)
    assert CANARY not in str(caught.value.as_dict())


def test_a_credential_that_is_not_text_is_refused(engine, key, tmp_path):
    (tmp_path / "smtp").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationFault, match="not UTF-8"):
        Secrets(engine, key, {}, tmp_path).get("smtp")


def test_what_is_not_utf_8_is_refused_wherever_it_lies(secrets, engine, key):
    """No host could be sent it: an environment variable, and what an earlier gateway stored."""
    with pytest.raises(ConfigurationFault, match="GATEWAY_SECRET_SMTP is not UTF-8"):
        Secrets(engine, key, {"GATEWAY_SECRET_SMTP": "p\udce4ss"}).get("smtp")
    secrets.set("smtp", "p", "ann", 5)
    with writing(engine) as connection:
        connection.execute(table.update().values(token=Fernet(key.read_bytes().strip()).encrypt(b"smtp\0p\xe4ss")))
    with pytest.raises(ConfigurationFault, match="set it again"):
        secrets.get("smtp")


def test_no_value_is_in_a_repr_or_a_traceback(secrets, engine, key):
    environment = {"GATEWAY_SECRET_SMTP": CANARY}
    assert CANARY not in repr(Secrets(engine, key, environment))
    secrets.set("smtp", CANARY, "ann", 5)
    with reading(engine) as connection:
        row = connection.execute(select(table)).one()
    assert CANARY not in repr(row)
    with writing(engine) as connection:
        connection.execute(table.update().values(token=b"damaged"))
    key_text = key.read_text().strip()
    try:
        secrets.get("smtp")
    except GatewayError as fault:
        said = "".join(traceback.format_exception(fault))
        assert CANARY not in said
        assert key_text not in said
    else:
        pytest.fail("a damaged token was read")


def test_the_variable_of_a_name():
    assert variable("mailbox.orders-2") == "GATEWAY_SECRET_MAILBOX_ORDERS_2"
