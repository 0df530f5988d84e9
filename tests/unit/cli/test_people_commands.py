"""gateway user and gateway token, as a person or a script calls them."""

import json
import os
import sys

import pytest

from gateway.app import open_app
from gateway.cli.main import main
from gateway.errors import PasswordRefused
from gateway.ledger import api_tokens, passwords, sessions, users
from gateway.ledger.sessions import Limits

INIT = ("init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")
PASSWORD = "correct horse battery"
FOREVER = Limits(10**12, 10**12)


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Runs a command with ``typed`` on its standard input, which is no terminal."""

    def call(*words, wanted=0, typed=""):
        (tmp_path / "typed").write_bytes(typed if isinstance(typed, bytes) else typed.encode())
        with (tmp_path / "typed").open(encoding="utf-8", errors="surrogateescape") as file:
            monkeypatch.setattr(sys, "stdin", file)
            with pytest.raises(SystemExit) as caught:
                main(["--home", str(tmp_path / "home"), *words])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    for name in [each for each in os.environ if each.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    call(*INIT)
    return call


@pytest.fixture
def home(run, tmp_path):
    return tmp_path / "home"


def known(home, name):
    with open_app(home) as app, app.ledger.reading() as connection:
        return users.find(connection, name)


def changes(run):
    """What the ledger tells of the configuration, newest first."""
    return [json.loads(line)["sentence"] for line in run("ledger", "changes", "--json")[0].splitlines()]


def test_a_password_that_is_not_utf_8_is_refused_with_a_sentence(run, home):
    """Python reads such bytes as surrogates, which nothing can encode."""
    _, err = run("user", "add", "olga", "--role", "viewer", wanted=2, typed=b"p\xe4sswort lang genug\n")
    assert "is not UTF-8" in err
    assert known(home, "olga") is None
    with pytest.raises(PasswordRefused, match="not UTF-8"):
        passwords.encoded("p\udce4sswort lang genug")


def test_a_user_is_added_with_the_password_of_the_first_line(run, home):
    """The name is kept in small letters; the password is neither printed nor kept."""
    out, err = run("user", "add", "Olga", "--role", "operator", typed=f"{PASSWORD}\nanother line\n")
    assert out == "Added olga as operator.\n"
    assert passwords.matches(known(home, "olga").password, PASSWORD)
    assert PASSWORD not in out + err
    assert PASSWORD.encode() not in (home / "ledger.db").read_bytes()
    assert changes(run)[0] == "user olga added as operator"


@pytest.mark.parametrize(
    ("words", "typed", "code", "said"),
    [
        (("add", "olga", "--role", "operator"), "", 2, "on standard input"),
        (("add", "olga", "--role", "operator"), "short\n", 2, "at least 12 characters"),
        (("add", "olga", "--role", "operator"), "aaaaaaaaaaaaaaaa\n", 2, "repeats a few characters"),
        (("add", "olga", "--role", "operator"), "Password1234\n", 2, "tried first"),
        (("add", "olga", "--role", "operator"), "P@ssw0rd2026!\n", 2, "tried first"),
        (("add", "olga", "--role", "operator"), "passwordPassword\n", 2, "tried first"),
        (("add", "olga", "--role", "operator"), "9182736450918\n", 2, "tried first"),
        (("add", "olga", "--role", "operator"), "olga-2026-olga!!\n", 2, "it is the user's name"),
        (("add", "olga", "--role", "operator"), "x" * 600 + "yzab\n", 2, "at most 500 characters"),
        (("add", "olga", "--role", "king"), f"{PASSWORD}\n", 2, "king"),
        (("add", "olga"), f"{PASSWORD}\n", 2, "--role"),
        (("add", "two words", "--role", "viewer"), f"{PASSWORD}\n", 2, "letters, digits"),
        (("add", "Worker", "--role", "viewer"), f"{PASSWORD}\n", 2, "choose another name"),
        (("role", "nobody", "viewer"), "", 2, "There is no user nobody"),
        (("password", "nobody"), f"{PASSWORD}\n", 2, "There is no user nobody"),
        (("disable", "nobody"), "", 2, "There is no user nobody"),
        (("remove", "nobody"), "", 2, "There is no user nobody"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(run, home, words, typed, code, said):
    out, err = run("user", *words, wanted=code, typed=typed)
    assert said in out + err
    assert known(home, "olga") is None


def test_a_user_of_that_name_is_not_replaced(run, home):
    run("user", "add", "olga", "--role", "viewer", typed=f"{PASSWORD}\n")
    _, err = run("user", "add", "OLGA", "--role", "administrator", typed="another fine password\n", wanted=2)
    assert "user.taken" in err
    assert known(home, "olga").role == "viewer"


def test_a_user_is_changed_and_every_change_is_told_with_who_made_it(run, home):
    """The sessions of a user end with their password, and when they are disabled or removed."""
    run("user", "add", "olga", "--role", "viewer", typed=f"{PASSWORD}\n")

    def session():
        with open_app(home) as app:
            return app.ledger.write(lambda recorder: sessions.begin(recorder.connection, "olga", recorder.now))

    def counts(number):
        with open_app(home) as app, app.ledger.reading() as connection:
            return sessions.find(connection, number, app.now(), FOREVER) is not None

    assert run("user", "role", "olga", "operator", "--by", "maria")[0] == "olga is operator now.\n"
    assert run("user", "role", "olga", "operator")[0] == "olga is operator already.\n"
    first = session()
    assert "1 session ended" in run("user", "password", "olga", typed="another fine password\n")[0]
    assert not counts(first)
    second = session()
    assert counts(second)
    assert run("user", "disable", "olga")[0] == "olga is let in no more.\n"
    assert not counts(second)
    assert run("user", "disable", "olga")[0] == "olga was disabled before.\n"
    assert run("user", "enable", "olga")[0] == "olga is let in again.\n"
    assert not counts(second), "what has ended does not begin again"
    assert run("user", "remove", "olga")[0] == "Removed olga.\n"
    told = changes(run)
    assert [each.split(";")[0] for each in told[:6]] == [
        "user olga removed, who was operator",
        "user olga is let in again",
        "user olga is let in no more",
        "user olga got another password",
        "user olga is now operator, before viewer",
        "user olga added as viewer",
    ]
    events = [json.loads(line) for line in run("ledger", "changes", "--json")[0].splitlines()]
    assert next(each["actor"] for each in events if each["kind"] == "user-role") == "maria"


def test_users_are_listed_without_their_hashes(run):
    assert "There are no users yet" in run("user", "list")[1]
    run("user", "add", "olga", "--role", "viewer", typed=f"{PASSWORD}\n")
    run("user", "disable", "olga")
    out, _ = run("user", "list")
    assert "disabled" in out
    [row] = [json.loads(line) for line in run("user", "list", "--json")[0].splitlines()]
    assert (row["name"], row["role"], row["disabled"], row["comes_in_by"]) == ("olga", "viewer", True, "password")
    assert "argon2" not in out + json.dumps(row)


# ---------------------------------------------------------------- tokens


def test_a_token_is_printed_once_and_alone_on_stdout(run, home):
    """So that a script can keep it; only its hash lies in the ledger."""
    out, err = run("token", "add", "erp", "--scope", "submit", "--scope", "search", "--expires", "90d")
    token = out.strip()
    assert token.startswith("edigw_")
    assert "not shown again" in err
    with open_app(home) as app, app.ledger.reading() as connection:
        found = api_tokens.find(connection, token)
        assert (found.name, found.scopes) == ("erp", ("search", "submit"))
        assert found.expires_at - found.created_at == 90 * 86_400_000
        assert api_tokens.find(connection, token[:-1]) is None
    assert token.encode() not in (home / "ledger.db").read_bytes()
    assert token not in run("token", "list", "--json")[0]
    assert changes(run)[0].startswith("token erp made for search submit, good until 20")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("erp",), "--scope"),
        (("erp", "--scope", "everything"), "a token needs scopes, of search"),
        (("ERP!", "--scope", "search"), "the name of a token has"),
        (("erp", "--scope", "search", "--expires", "soon"), "--expires is a time span"),
        (("erp", "--scope", "search", "--expires", "0s"), "would have expired already"),
        (("erp", "--scope", "search", "--partner", "nobody"), "no trading partner named nobody"),
    ],
)
def test_a_token_that_cannot_be_is_not_made(run, words, said):
    _, err = run("token", "add", *words, wanted=2)
    assert said in err
    assert run("token", "list", "--json")[0] == ""


def test_a_revoked_token_is_gone_for_good(run):
    run("token", "add", "erp", "--scope", "search")
    assert run("token", "revoke", "erp", "--why", "lost")[0] == "Revoked erp.\n"
    assert run("token", "revoke", "erp")[0] == "erp was revoked before.\n"
    assert "revoked" in run("token", "list")[0]
    assert "token.taken" in run("token", "add", "erp", "--scope", "search", wanted=2)[1]
    assert "token.unknown" in run("token", "revoke", "other", wanted=2)[1]
    assert changes(run)[0] == "token erp revoked: lost"
