"""init, secret, mailbox, doctor and completion, as a person or a script calls them."""

import json
import os
import subprocess
import sys

import pytest

from gateway.cli.main import main
from gateway.jobs.lock import SERVICE, HomeLock
from gateway.ledger.database import newest
from gateway.mail.host import MailHost
from gateway.settings import read_settings

US = "edi@ours.example"
INIT = ("init", "--name", "Ours", "--domain", "edi.ours.example", "--identity", "ZZ:OURCO")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    """Standard input is no terminal and empty, wherever the tests run; no secret comes from outside."""
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115, PTH123 - closed below
    for name in [each for each in os.environ if each.startswith(("GATEWAY_", "CREDENTIALS_DIRECTORY"))]:
        monkeypatch.delenv(name)
    yield
    sys.stdin.close()


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, wanted=0, home=tmp_path / "home"):
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(home), *words])
        out, err = capsys.readouterr()
        assert caught.value.code == wanted, out + err
        return out, err

    return call


@pytest.fixture
def home(tmp_path, run):
    run(*INIT)
    return tmp_path / "home"


def typed(monkeypatch, tmp_path, text, errors="surrogateescape"):
    (tmp_path / "typed").write_bytes(text if isinstance(text, bytes) else text.encode())
    sys.stdin.close()
    monkeypatch.setattr(sys, "stdin", (tmp_path / "typed").open(encoding="utf-8", errors=errors))


# ---------------------------------------------------------------- init


def test_init_makes_a_home_that_the_doctor_likes(home, run):
    assert {each.name for each in home.iterdir()} == {
        "gateway.toml",
        "secret.key",
        "ledger.db",
        "inbox",
        "outbox",
        "partners",
    }
    assert read_settings(home).identities == (("ZZ", "OURCO"),)
    assert (home / "ledger.db").stat().st_mode & 0o077 == 0
    out, _ = run("doctor", "--offline")
    assert "✗" not in out


def test_init_says_which_values_are_placeholders(run, monkeypatch):
    monkeypatch.setattr("socket.getfqdn", lambda: "localhost")
    out, _ = run("init")
    assert "placeholders (My Company, gateway.example.com, ZZ:MYCOMPANY)" in out
    out, _ = run("doctor", "--offline")
    assert "! identities: ZZ:MYCOMPANY is a placeholder" in out


def test_init_takes_this_machines_domain(run, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.getfqdn", lambda: "edi7.ours.example")
    run("init")
    assert read_settings(tmp_path / "home").domain == "edi7.ours.example"


def test_a_second_init_changes_nothing(home, run):
    before = {each.name: each.stat().st_mtime_ns for each in home.iterdir()}
    _, err = run(*INIT, wanted=78)
    assert "nothing was changed" in err
    assert {each.name: each.stat().st_mtime_ns for each in home.iterdir()} == before


def test_init_refuses_what_cannot_be_before_it_makes_anything(run, tmp_path):
    _, err = run("init", "--identity", "OURCO", wanted=2)
    assert "--identity: 'OURCO' is not QUALIFIER:ID" in err
    assert "gateway.toml" not in err  # there is none, and none was made
    assert not (tmp_path / "home").exists()


def test_an_init_that_was_cut_short_can_be_repeated_and_keeps_its_key(home, run):
    key = (home / "secret.key").read_bytes()
    (home / "gateway.toml").unlink()
    run(*INIT)
    assert (home / "secret.key").read_bytes() == key


def test_init_takes_the_home_after_the_command_too(run, tmp_path):
    out, _ = run(*INIT, "--home", str(tmp_path / "elsewhere"), "--json")
    assert json.loads(out) == {"home": str(tmp_path / "elsewhere"), "revision": newest(), "placeholders": []}


def test_a_place_where_nothing_can_be_made_is_a_fault(run, tmp_path):
    (tmp_path / "file").write_text("")
    _, err = run(*INIT, wanted=78, home=tmp_path / "file" / "home")
    assert "cannot be made" in err


def test_upgrade_migrates_an_empty_database_and_then_has_nothing_to_do(home, run):
    for file in home.glob("ledger.db*"):
        file.unlink()
    out, _ = run("init", "--upgrade")
    assert f"from revision nothing to {newest()}" in out
    out, _ = run("init", "--upgrade", "--json")
    assert json.loads(out)["before"] == newest()


def test_upgrade_needs_a_home_that_nobody_uses_and_changes_no_settings(home, run):
    run("init", "--upgrade", "--name", "X", wanted=2)
    with HomeLock(home, "gateway night"):
        _, err = run("init", "--upgrade", wanted=75)
    assert "gateway night" in err
    run("init", "--upgrade", wanted=78, home=home / "absent")


# ---------------------------------------------------------------- secret


def test_a_secret_is_set_from_the_first_line_listed_without_its_value_and_removed(home, run, monkeypatch, tmp_path):
    typed(monkeypatch, tmp_path, "canary-secret \nsecond line\n")
    out, err = run("secret", "set", "smtp")
    assert out == "Stored smtp.\n"
    out, err = run("secret", "list", "--json")
    assert [(each["name"], each["where"]) for each in map(json.loads, out.splitlines())] == [("smtp", "ledger")]
    assert "canary" not in out + err
    out, _ = run("secret", "remove", "smtp")
    assert out == "Removed smtp.\n"
    _, err = run("secret", "remove", "smtp", wanted=78)
    assert "no secret named smtp" in err


def test_behind_sudo_the_ledger_names_who_called_it(run, home, monkeypatch, tmp_path):
    monkeypatch.setenv("SUDO_USER", "olga")
    typed(monkeypatch, tmp_path, "right\n")
    run("secret", "set", "smtp")
    out, _ = run("ledger", "changes", "--json")
    assert json.loads(out.splitlines()[0])["actor"] == "olga"


def test_no_value_is_a_usage_error(home, run):
    _, err = run("secret", "set", "smtp", wanted=2)
    assert "standard input" in err


def test_a_name_that_cannot_be_is_refused_before_the_value_is_asked_for(home, run):
    run("secret", "set", "../smtp", wanted=78)


def test_the_databases_own_password_is_not_stored_in_the_database(home, run):
    _, err = run("secret", "set", "database", wanted=2)
    assert "GATEWAY_SECRET_DATABASE" in err


@pytest.mark.parametrize("errors", ["surrogateescape", "strict"])
def test_a_secret_that_is_not_utf_8_is_refused_at_once(home, run, monkeypatch, tmp_path, errors):
    """Stored, it would end every batch; how Python reads such bytes depends on the locale."""
    typed(monkeypatch, tmp_path, b"p\xe4ss\n", errors)
    _, err = run("secret", "set", "smtp", wanted=2)
    assert "is not UTF-8" in err
    assert run("secret", "list", "--json")[0] == ""


def test_a_secret_for_a_mailbox_that_is_not_there_is_stored_with_a_note(connected, run, monkeypatch, tmp_path):
    """The mailbox may come later; a misspelt one never would."""
    typed(monkeypatch, tmp_path, "x\n")
    _, err = run("secret", "set", "mailbox.order")
    assert "no mailbox in gateway.toml wants the secret mailbox.order; those there want mailbox.orders." in err
    typed(monkeypatch, tmp_path, "x\n")
    assert "no mailbox" not in run("secret", "set", "mailbox.orders")[1]


def test_a_secret_in_the_environment_goes_first_and_that_is_said(home, run, monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWAY_SECRET_SMTP", "canary-env")
    typed(monkeypatch, tmp_path, "canary-typed\n")
    _, err = run("secret", "set", "smtp")
    assert "the environment holds smtp too" in err
    assert "canary" not in err


def test_no_canary_reaches_the_database_or_any_output(home, run, monkeypatch, tmp_path):
    typed(monkeypatch, tmp_path, "canary-everywhere\n")
    said = "".join(run("secret", "set", "smtp"))
    for words in (("secret", "list"), ("doctor", "--offline", "--json"), ("mailbox", "list")):
        said += "".join(run(*words))
    assert "canary-everywhere" not in said
    for file in home.iterdir():
        if file.is_file():
            assert b"canary-everywhere" not in file.read_bytes(), file.name


# ---------------------------------------------------------------- mailbox and doctor with hosts


@pytest.fixture
def host():
    with MailHost({US: "right"}) as host:
        yield host


@pytest.fixture
def connected(home, host, monkeypatch):
    """A home with a mailbox and an SMTP host on this machine."""
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[mailbox.orders]\nprotocol = "pop3"\nhost = "{host.host}"\nport = {host.pop3_port}\n'
            f'security = "none"\nplaintext_password = true\nuser = "{US}"\n'
            f'[smtp]\nhost = "{host.host}"\nport = {host.smtp_port}\nsecurity = "none"\nsender = "{US}"\n'
        )
    monkeypatch.setenv("GATEWAY_SECRET_MAILBOX_ORDERS", "right")
    return home


def test_the_list_says_where_the_password_is_found(connected, run, monkeypatch):
    out, _ = run("mailbox", "list", "--json")
    row = json.loads(out)
    assert (row["name"], row["user"], row["found"]) == ("orders", US, "environment")
    monkeypatch.delenv("GATEWAY_SECRET_MAILBOX_ORDERS")
    out, _ = run("mailbox", "list", "--json")
    assert json.loads(out)["found"] == "missing"


def test_a_mailbox_test_counts_and_takes_nothing(connected, run, host):
    host.deliver(US, b"Subject: one\r\n\r\nhello\r\n")
    for _ in range(2):
        out, _ = run("mailbox", "test", "orders", "--json")
        assert json.loads(out)["messages"] == 1


def test_a_mailbox_test_that_fails_ends_with_the_faults_code(connected, run, monkeypatch):
    monkeypatch.setenv("GATEWAY_SECRET_MAILBOX_ORDERS", "canary-wrong")
    out, err = run("mailbox", "test", "--json", wanted=69)
    assert json.loads(out)["code"] == "mail.login-refused"
    assert "canary-wrong" not in out + err
    message = json.loads(out)["message"]
    assert (
        ". Check the user name, and the password in the environment variable GATEWAY_SECRET_MAILBOX_ORDERS" in message
    )
    run("mailbox", "test", "nobody", wanted=2)


def test_the_doctor_looks_at_the_hosts_unless_told_not_to(connected, run, host):
    out, _ = run("doctor")
    assert "✓ mailbox orders" in out
    assert "✓ smtp" in out
    out, _ = run("doctor", "--offline")
    assert "mailbox orders: " not in out


def test_the_doctor_says_what_is_away_and_ends_with_69(connected, run, host, monkeypatch):
    text = (connected / "gateway.toml").read_text()
    (connected / "gateway.toml").write_text(text.replace(f"port = {host.pop3_port}", "port = 1"))
    out, _ = run("doctor", "--json", wanted=69)
    found = json.loads(out)
    assert found["ok"] is False
    assert [each["name"] for each in found["checks"] if each["result"] == "failed"] == ["mailbox orders"]


def test_the_doctor_reads_broken_settings_and_missing_homes_without_a_traceback(home, run, tmp_path):
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write("[smpt]\n")
    out, _ = run("doctor", wanted=78)
    assert "did you mean smtp?" in out
    assert "1 check: 1 failed" in out
    out, _ = run("doctor", wanted=78, home=tmp_path / "absent")
    assert "gateway init" in out


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_that_shell(run, shell):
    out, _ = run("completion", shell)
    assert f"_GATEWAY_COMPLETE={shell}_complete" in out


def test_a_shell_is_given_our_options(tmp_path):
    words = {"COMP_WORDS": "gateway init --dom", "COMP_CWORD": "2", "_GATEWAY_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()"],
        env={**os.environ, **words},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,--domain"]


def test_a_second_service_on_one_home_is_refused_and_told_of_the_first(home, run):
    """Between the batches of the first, too, when the home is free."""
    with HomeLock(home, "gateway serve", file_name=SERVICE):
        _, err = run("serve", wanted=75)
        assert f"is in use by gateway serve (pid {os.getpid()} on " in err
        run("serve", "--once")
        run("night")


@pytest.mark.parametrize(
    "words",
    ["status", "doctor --offline", "night", "ledger search", "ledger verify", "partner list", "ledger backup x"],
)
def test_a_ledger_that_is_not_there_is_said_and_none_is_made_by_looking(home, run, words):
    """An empty file in its place would look as if there were one: where a disk is not mounted, say."""
    (home / "ledger.db").unlink()
    out, err = run(*words.split(), wanted=78)
    assert "There is no ledger" in out + err or "there is no ledger" in out + err
    assert not (home / "ledger.db").exists()


def test_serve_once_ends_with_the_code_of_its_batch(home, run):
    run("serve", "--once")
    (home / "ledger.db").unlink()
    _, err = run("serve", "--once", wanted=78)
    assert "There is no ledger in the database" in err
