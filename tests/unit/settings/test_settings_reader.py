"""gateway.toml is read whole, or refused with file, line, key and what is allowed."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import ConfigurationFault, HomeMissing, SettingsInvalid
from gateway.settings import parse_settings, read_settings, template_settings
from gateway.settings.database import with_password

HEAD = '[gateway]\nname = "Our Company"\ndomain = "edi.example.com"\nidentities = ["ZZ:OURCO", "1:123456789"]\n'
MAILBOX = '[mailbox.orders]\nhost = "pop.example.com"\nuser = "edi"\n'
IMAP = MAILBOX + 'protocol = "imap"\n'


def parsed(text, home="/srv/edi"):
    return parse_settings(text.encode(), home=Path(home))


def refused(text):
    with pytest.raises(SettingsInvalid) as caught:
        parsed(text)
    details = caught.value.details
    return details["line"], details["key"], str(details["reason"])


def test_a_short_file_gets_the_defaults_and_paths_in_the_home():
    found = parsed(HEAD)
    assert found.identities == (("ZZ", "OURCO"), ("01", "123456789"))
    assert found.database_url == "sqlite:////srv/edi/ledger.db"
    assert (found.inbox, found.outbox) == (Path("/srv/edi/inbox"), Path("/srv/edi/outbox"))
    assert found.partners_directory == Path("/srv/edi/partners")
    assert found.metrics_file is None
    assert found.mailboxes == ()
    assert found.smtp is None


def test_an_imap_mailbox_has_its_folders_and_its_port():
    text = HEAD + IMAP
    (plain,) = parsed(text).mailboxes
    assert (plain.folder, plain.done_folder, plain.failed_folder, plain.idle) == ("INBOX", "", "", False)
    assert (plain.real_port, parsed(HEAD + MAILBOX).mailboxes[0].real_port) == (993, 995)
    more = 'security = "starttls"\nfolder = "EDI/In"\ndone_folder = "EDI/Erledigt für heute"\nidle = true\n'
    (full,) = parsed(text + more).mailboxes
    assert (full.folder, full.done_folder, full.idle, full.real_port) == (
        "EDI/In", "EDI/Erledigt für heute", True, 143,
    )  # fmt: skip
    assert parsed(text + "port = 1143\n").mailboxes[0].real_port == 1143


def test_mail_that_is_kept_for_a_while_may_go_to_a_done_folder_after_it():
    (box,) = parsed(HEAD + IMAP + 'keep_for = "7d"\ndone_folder = "Done"\n').mailboxes
    assert box.keep_on_server


def test_everything_written_is_kept():
    found = parsed(
        HEAD + 'interval = "1m30s"\nduplicate_window = "30d"\nbatch_size = 7\nattempts = 3\ninbox = "/data/in"\n'
        'outbox = "../out"\npartners = "who"\nmetrics_file = "m.prom"\n'
        '[mailbox.orders]\nhost = "POP.example.com"\nport = 1110\nsecurity = "starttls"\nuser = "edi"\n'
        'secret = "shared"\nca_file = "ca.pem"\nkeep_on_server = true\ntimeout = "5s"\n'
        '[mailbox.drop]\nprotocol = "maildir"\npath = "Maildir"\n'
        '[smtp]\nhost = "127.0.0.1"\nport = 2525\nsecurity = "none"\nuser = "edi@Example.com"\n'
        'plaintext_password = true\nhelo = "gw.example.com"\nsender_name = "EDI"\n[limits]\nparts = 9\n'
    )
    assert (found.interval, found.duplicate_window) == (timedelta(seconds=90), timedelta(days=30))
    assert (found.batch_size, found.attempts, found.inbox) == (7, 3, Path("/data/in"))
    assert (found.outbox, found.partners_directory) == (Path("/srv/out"), Path("/srv/edi/who"))
    assert found.metrics_file == Path("/srv/edi/m.prom")
    orders, drop = found.mailboxes
    assert (orders.name, orders.host, orders.port, orders.security) == ("orders", "pop.example.com", 1110, "starttls")
    assert (orders.secret, orders.ca_file, orders.keep_on_server) == ("shared", "/srv/edi/ca.pem", True)
    assert orders.timeout == timedelta(seconds=5)
    assert (drop.protocol, drop.path) == ("maildir", "/srv/edi/Maildir")
    assert found.smtp is not None
    assert (found.smtp.sender, found.smtp.sender_name, found.smtp.secret) == ("edi@Example.com", "EDI", "smtp")
    assert found.limits.parts == 9


def test_secrets_get_their_usual_names():
    found = parsed(HEAD + MAILBOX + '[smtp]\nhost = "smtp.example.com"\nsender = "edi@example.com"\n')
    assert found.mailboxes[0].secret == "mailbox.orders"
    assert found.smtp is not None
    assert (found.smtp.secret, found.smtp.sender_name) == ("smtp", "Our Company")


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("[gateway]\nname = 'x'\n", 1, "gateway.domain", "missing"),
        ("", 1, "gateway.name", "missing"),
        (HEAD + 'intervall = "5m"\n', 5, "gateway.intervall", "did you mean interval?"),
        (HEAD + 'host = "x"\n', 5, "gateway.host", "belongs in [mailbox.NAME]"),
        (HEAD + "zzz = 1\n", 5, "gateway.zzz", "allowed are name, domain"),
        (HEAD + "[smpt]\n", 5, "smpt", "did you mean smtp?"),
        (HEAD + 'interval = "5 minutes"\n', 5, "gateway.interval", '"5m"'),
        (HEAD + 'interval = "0s"\n', 5, "gateway.interval", "at least 1s and at most 24h"),
        (HEAD + "interval = 5\n", 5, "gateway.interval", "not 5"),
        (HEAD + "batch_size = 0\n", 5, "gateway.batch_size", "from 1 to 10000 is wanted, not 0"),
        (HEAD + "batch_size = true\n", 5, "gateway.batch_size", "not true or false"),
        (HEAD.replace('"1:123456789"', '"OURCO"'), 4, "gateway.identities", "QUALIFIER:ID"),
        (HEAD.replace('"1:123456789"', '"ZZ:OURCO"'), 4, "gateway.identities", "twice"),
        (HEAD.replace('"1:123456789"', '"zz:OURCO"'), 4, "gateway.identities", "twice"),
        (HEAD.replace('"1:123456789"', '"XY:OURCO"'), 4, "gateway.identities", "not in the list of X12"),
        (HEAD.replace('"1:123456789"', '"ZZ:exa*mple"'), 4, "gateway.identities", "an ISA segment cannot carry"),
        (HEAD.replace('"1:123456789"', '"ZZ:ÜRCO"'), 4, "gateway.identities", "an ISA segment cannot carry"),
        (
            HEAD.replace('"1:123456789"', '"ZZ:AN-IDENTITY-OF-OUR-OWN-TOO-LONG"'),
            4,
            "gateway.identities",
            "'ZZ:AN-IDENTITY-OF",
        ),
        (HEAD.replace("edi.example.com", "edi example"), 3, "gateway.domain", "domain name"),
        (HEAD + MAILBOX + 'security = "ssl"\n', 8, "mailbox.orders.security", "tls or starttls or none"),
        (HEAD + MAILBOX + 'security = "none"\n', 8, "mailbox.orders.security", "unencrypted"),
        (HEAD + MAILBOX + 'path = "x"\n', 8, "mailbox.orders.path", "maildir"),
        (HEAD + '[mailbox.orders]\nuser = "x"\n', 5, "mailbox.orders.host", "missing"),
        (HEAD + '[mailbox.d]\nprotocol = "maildir"\npath = "x"\nhost = "y"\n', 8, "mailbox.d.host", "pop3"),
        (HEAD + '[mailbox.d]\nprotocol = "jmap"\n', 6, "mailbox.d.protocol", "pop3 or imap or maildir"),
        (HEAD + '[mailbox.d]\nprotocol = "imap"\n', 5, "mailbox.d.host", "missing"),
        (HEAD + MAILBOX + 'done_folder = "Done"\n', 8, "mailbox.orders.done_folder", "imap"),
        (HEAD + MAILBOX + "idle = true\n", 8, "mailbox.orders.idle", "imap"),
        (HEAD + '[mailbox.d]\nprotocol = "maildir"\npath = "x"\nfolder = "y"\n', 8, "mailbox.d.folder", "imap"),
        (HEAD + IMAP + 'done_folder = "inbox"\n', 9, "mailbox.orders.done_folder", "another folder"),
        (HEAD + IMAP + 'failed_folder = "INBOX"\n', 9, "mailbox.orders.failed_folder", "another folder"),
        (HEAD + IMAP + 'done_folder = "a\\r\\nb"\n', 9, "mailbox.orders.done_folder", "one line"),
        (
            HEAD + IMAP + 'keep_on_server = true\ndone_folder = "Done"\n',
            10,
            "mailbox.orders.done_folder",
            "keep_on_server",
        ),
        (HEAD + '[mailbox."a b"]\nhost = "x"\n', 5, "mailbox.a b", "small letters"),
        (HEAD + '[mailbox]\nhost = "x"\n', 5, "mailbox", "[mailbox.orders]"),
        (HEAD + MAILBOX.replace('"pop.example.com"', '"http://127.0.0.1"'), 6, "mailbox.orders.host", "no URL"),
        (HEAD + MAILBOX.replace("example.com", "example.com:995"), 6, "mailbox.orders.host", "key port"),
        (HEAD + '[smtp]\nhost = "x"\nuser = "edi"\n', 5, "smtp.sender", "missing"),
        (HEAD + '[smtp]\nhost = "x"\nsender = "Edi <edi@x>"\n', 7, "smtp.sender", "email address"),
        (HEAD + "[limits]\nparts = 0\n", 6, "limits.parts", "1 to 10000"),
        (HEAD + '[database]\nurl = "mysql://x"\n', 6, "database.url", "postgresql://"),
        (HEAD + '[database]\nurl = "sqlite://"\n', 6, "database.url", "in memory"),
        ("database = 1\n" + HEAD, 1, "database", "a table is wanted"),
        (HEAD + "name = 'again'\n", 5, "-", "not TOML"),
        (HEAD + "x = \n", 5, "-", "not TOML"),
        (HEAD + 'x = "', 5, "-", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_line_key_and_what_is_allowed(text, line, key, words):
    found = refused(text)
    assert found[:2] == (line, key)
    assert words in found[2]


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        (HEAD + MAILBOX + 'password = "canary-1"\n', 8, "mailbox.orders"),
        (HEAD + '[smtp]\nPassword = "canary-1"\n', 6, "smtp"),
        (HEAD + '[database]\nurl = "postgresql://gw:canary-1@db/x"\n', 6, "{password}"),
        (HEAD + '[database]\nurl = "postgresql://gw@db/x?password=canary-1"\n', 6, "{password}"),
        (HEAD + '[other]\n[[other.list]]\npass = "canary-1"\n', 7, "gateway secret set NAME"),
    ],
)
def test_a_password_is_refused_with_the_way_to_store_it_and_never_repeated(text, line, name):
    with pytest.raises(SettingsInvalid) as caught:
        parsed(text)
    assert caught.value.details["line"] == line
    assert name in str(caught.value)
    assert "canary-1" not in repr(caught.value.as_dict())


def test_a_file_that_is_not_utf8_names_the_line():
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(b"[gateway]\nname = 'caf\xe9'\n", home=Path("/x"))
    assert caught.value.details["line"] == 2


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    raw = b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode()
    assert parse_settings(raw, home=Path("/x")).name == "Our Company"


def test_nesting_without_end_is_refused_and_not_a_traceback():
    refused("x = " + "[" * 50_000)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("sqlite:///ledger.db", "sqlite:////srv/edi/ledger.db"),
        ("sqlite:///sub/l.db", "sqlite:////srv/edi/sub/l.db"),
        ("sqlite:////var/l.db", "sqlite:////var/l.db"),
        ("postgresql://gw:{password}@db/x", "postgresql+psycopg://gw:{password}@db/x"),
        ("postgres:///x?host=/run/postgresql", "postgresql+psycopg:///x?host=/run/postgresql"),
        ("postgresql+psycopg://gw@db:5432/x", "postgresql+psycopg://gw@db:5432/x"),
    ],
)
def test_database_urls_become_what_sqlalchemy_wants(written, wanted):
    assert parsed(f'{HEAD}[database]\nurl = "{written}"\n').database_url == wanted


def test_any_password_fits_into_the_database_url():
    from sqlalchemy import make_url

    url = with_password("postgresql+psycopg://gw:{password}@db:5432/x", "a/b@c:d%e #?ü")
    assert (make_url(url).password, make_url(url).host) == ("a/b@c:d%e #?ü", "db")


def test_a_directory_without_the_file_is_no_home(tmp_path):
    with pytest.raises(HomeMissing):
        read_settings(tmp_path)
    with pytest.raises(HomeMissing):
        read_settings(tmp_path / "absent")


def test_a_file_that_cannot_be_read_is_a_fault_and_not_a_traceback(tmp_path):
    (tmp_path / "gateway.toml").mkdir()
    with pytest.raises(ConfigurationFault, match="cannot be read"):
        read_settings(tmp_path)


def test_the_template_is_read_as_it_is_and_with_every_example_uncommented(tmp_path):
    text = template_settings('The "Best" \\ Company', "edi.example.com", "ZZ:OURCO")
    (tmp_path / "gateway.toml").write_text(text, encoding="utf-8")
    assert read_settings(tmp_path).name == 'The "Best" \\ Company'
    examples = [
        line[2:] if line.startswith(("# [",)) or (" = " in line and line[:2] == "# ") else line
        for line in text.splitlines()
    ]
    found = parsed("\n".join(examples))
    assert found.mailboxes[0].user == "edi@example.com"
    assert found.smtp is not None
    assert found.database_url.startswith("postgresql+psycopg://gateway:{password}@")
    assert found.metrics_file is not None
