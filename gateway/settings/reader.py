"""gateway.toml → ``Settings``, with errors that name file, line, key and what is allowed."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from gateway.errors import ConfigurationFault, HomeMissing, SettingsInvalid
from gateway.settings import values
from gateway.settings.alerts import AlertTableError
from gateway.settings.alerts import complete as complete_alert
from gateway.settings.console import ConsoleTableError, absolute
from gateway.settings.console import complete as complete_console
from gateway.settings.database import DEFAULT_URL, database_url
from gateway.settings.keys import TABLES
from gateway.settings.lines import KeyPath, key_lines, line_of
from gateway.settings.model import (
    AlertSettings,
    BackupSettings,
    ConsoleSettings,
    Limits,
    LogSettings,
    MailboxSettings,
    OAuthSettings,
    ProofSettings,
    ReportSettings,
    RetentionSettings,
    SealSettings,
    SelftestSettings,
    Settings,
    SmtpSettings,
    TariffSettings,
    WorkerSettings,
)
from gateway.settings.oauth import OAuthTableError, complete
from gateway.settings.written import as_written

FILE_NAME = "gateway.toml"

_PASSWORDS = {"password", "passwd", "passphrase", "pass", "pwd", "pw", "token", "api_key", "apikey", "client_secret"}
_DIRECTORIES = {"inbox": "inbox", "outbox": "outbox", "partners_directory": "partners"}
_BEARER = ("xoauth2", "oauthbearer")
_SECRET_KEEPING = {"scram-sha-256", "scram-sha-1", "cram-md5", "apop"}
_FOLDERS = ("folder", "done_folder", "failed_folder", "idle")
_AT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


def read_settings(home: Path) -> Settings:
    """The settings of the home at ``home``, checked as a whole.

    Raises:
        HomeMissing: without a gateway.toml there.
        SettingsInvalid: for the first thing wrong in it.
        ConfigurationFault: when the file cannot be read at all.
    """
    file = home / FILE_NAME
    try:
        raw = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise HomeMissing(path=home) from None
    except OSError as problem:
        raise ConfigurationFault(reason=f"{file} cannot be read: {problem.strerror}.") from problem
    return parse_settings(raw, home=home)


def parse_settings(raw: bytes, *, home: Path) -> Settings:
    """The settings that the bytes of a gateway.toml say; paths are taken from ``home``.

    Raises:
        SettingsInvalid: for the first thing wrong.
    """
    return _Reader(raw, Path(os.path.abspath(home))).settings()  # noqa: PTH100 - resolve() would follow links


def invalid(home: Path, path: KeyPath, reason: str) -> SettingsInvalid:
    """What turned out to be wrong at a key only when it was used, with the line on which it stands now."""
    file = home / FILE_NAME
    try:
        line = line_of(key_lines(file.read_text("utf-8-sig")), path)
    except (OSError, ValueError, RecursionError):  # it was read a moment ago
        line = 1
    return SettingsInvalid(file=file, line=line, key=".".join(map(str, path)), reason=reason)


class _Reader:
    """One file being read. ``fail`` is the one way out for everything that is wrong."""

    def __init__(self, raw: bytes, home: Path) -> None:
        self.home = home
        self.file = home / FILE_NAME
        self.raw = raw
        self.lines: Mapping[KeyPath, int] = {}
        self.text = self._decoded(raw)
        self.document = self._parsed()
        self.lines = key_lines(self.text)

    def settings(self) -> Settings:
        self._refuse_passwords(self.document, ())
        self._refuse_unknown(self.document, tuple(name for name in TABLES if "." not in name), ())
        gateway = self._table("gateway")
        for key in ("name", "domain", "identities"):
            self._require(gateway, ("gateway", key), "every gateway needs it")
        for key, default in _DIRECTORIES.items():
            gateway[key] = Path(self._absolute(gateway.get(key, default)))
        if "metrics_file" in gateway:
            gateway["metrics_file"] = Path(self._absolute(gateway["metrics_file"]))
        return Settings(
            home=self.home,
            database_url=self._database(),
            mailboxes=self._mailboxes(),
            smtp=self._smtp(gateway["name"]),
            oauth=tuple(self._oauth(name) for name in self._oauth_names()),
            limits=Limits(**self._table("limits")),
            proof=ProofSettings(**self._table("proof")),
            worker=WorkerSettings(**self._table("worker")),
            retention=self._retention(gateway.get("duplicate_window", timedelta(days=365))),
            backup=self._backup(),
            tariff=self._tariff(),
            seal=self._seal(),
            selftest=self._selftest(),
            log=self._log(),
            report=self._report(),
            console=self._console(),
            alerts=self._alerts(),
            sha256=hashlib.sha256(self.raw).hexdigest(),
            written=as_written(self.document),
            **gateway,
        )

    def _database(self) -> str:
        try:
            return database_url(self._table("database").get("url", DEFAULT_URL), self.home)
        except ValueError as problem:
            self.fail(("database", "url"), str(problem))

    def _mailboxes(self) -> tuple[MailboxSettings, ...]:
        tables = self.document.get("mailbox", {})
        if not isinstance(tables, dict) or any(not isinstance(each, dict) for each in tables.values()):
            self.fail(("mailbox",), "each mailbox is a table of its own, such as [mailbox.orders]")
        return tuple(self._mailbox(name) for name in tables)

    def _mailbox(self, name: str) -> MailboxSettings:
        where = ("mailbox", name)
        self._read(where, values.name, name)
        found = self._table(*where)
        if found.setdefault("protocol", "pop3") == "maildir":
            self._require(found, (*where, "path"), "a Maildir is a directory")
            self._refuse(
                found, where, ("host", "port", "security", "user", "secret", "oauth", "auth", "ca_file"), "pop3 or imap"
            )
            self._refuse(found, where, _FOLDERS, "imap")
            found["path"] = self._absolute(found["path"])
        else:
            self._require(found, (*where, "host"), "it names the server")
            self._require(found, (*where, "user"), "it names the account")
            self._refuse(found, where, ("path",), "maildir")
            self._folders(found, where)
            found.setdefault("secret", f"mailbox.{name}")
            self._connection(found, where)
        if "keep_for" in found and not found.setdefault("keep_on_server", True):
            self.fail((*where, "keep_for"), "it says how long mail stays there; keep_on_server says that none does")
        return MailboxSettings(name=name, **found)

    def _folders(self, found: dict[str, Any], where: KeyPath) -> None:
        """The folders of an IMAP account: three different ones, and none that mail would never be moved to."""
        if found["protocol"] != "imap":
            self._refuse(found, where, _FOLDERS, "imap")
            return
        names = [found.get("folder", "INBOX"), *(found[key] for key in _FOLDERS[1:3] if key in found)]
        folded = ["INBOX" if each.upper() == "INBOX" else each for each in names]
        if len(set(folded)) < len(folded):
            self.fail(
                (*where, "done_folder" if "done_folder" in found else "failed_folder"), "another folder is wanted"
            )
        if "done_folder" in found and found.get("keep_on_server") and "keep_for" not in found:
            self.fail((*where, "done_folder"), "nothing is moved there while keep_on_server leaves everything in place")

    def _smtp(self, our_name: str) -> SmtpSettings | None:
        if "smtp" not in self.document:
            return None
        found = self._table("smtp")
        self._require(found, ("smtp", "host"), "it names the server that we send through")
        if "@" in found.get("user", ""):
            found.setdefault("sender", found["user"])
        self._require(found, ("smtp", "sender"), "partners must see who wrote to them")
        found.setdefault("sender_name", our_name)
        found.setdefault("secret", "smtp")
        self._connection(found, ("smtp",), security="starttls")
        return SmtpSettings(**found)

    def _oauth_names(self) -> tuple[str, ...]:
        tables = self.document.get("oauth", {})
        if not isinstance(tables, dict) or any(not isinstance(each, dict) for each in tables.values()):
            self.fail(("oauth",), "each is a table of its own, such as [oauth.microsoft]")
        return tuple(tables)

    def _oauth(self, name: str) -> OAuthSettings:
        where = ("oauth", name)
        self._read(where, values.name, name)
        found = self._table(*where)
        if "ca_file" in found:
            found["ca_file"] = self._absolute(found["ca_file"])
        try:
            return complete(name, found)
        except OAuthTableError as problem:
            self.fail((*where, problem.key), str(problem))

    def _alerts(self) -> tuple[AlertSettings, ...]:
        tables = self.document.get("alert", [])
        if not isinstance(tables, list) or any(not isinstance(each, dict) for each in tables):
            self.fail(("alert",), "each rule is a table of its own, under a line [[alert]]")
        found = [self._alert(index, each) for index, each in enumerate(tables)]
        names = [each.name for each in found]
        for index, name in enumerate(names):
            if name in names[:index]:
                self.fail(("alert", index, "name"), f"there are two rules with the name {name}")
        return tuple(found)

    def _alert(self, index: int, table: Mapping[str, object]) -> AlertSettings:
        where: KeyPath = ("alert", index)
        try:
            return complete_alert(self._values(table, where), has_smtp="smtp" in self.document)
        except AlertTableError as problem:
            self.fail((*where, problem.key), str(problem))

    def _retention(self, window: timedelta) -> RetentionSettings:
        """What was forgotten before the duplicate window is over would be taken for new."""
        found = self._table("retention")
        if "move_to" in found:
            found["move_to"] = Path(self._absolute(found["move_to"]))
        for name, each in found.get("types", ()):
            if each.ledger is not None and each.ledger < window:
                self.fail(("retention", "types", name, "ledger"), "it is shorter than gateway.duplicate_window")
        if found.get("ledger", window) < window:
            self.fail(("retention", "ledger"), "it is shorter than gateway.duplicate_window")
        return RetentionSettings(**found)

    def _seal(self) -> SealSettings:
        found = self._table("seal")
        if found.get("to") and "smtp" not in self.document:
            self.fail(("seal", "to"), "a mail needs the host of [smtp]")
        if "file" in found:
            found["file"] = Path(self._absolute(found["file"]))
        return SealSettings(**found)

    def _selftest(self) -> SelftestSettings:
        found = self._table("selftest")
        if found.get("address") and "smtp" not in self.document:
            self.fail(("selftest", "address"), "the reports need the host of [smtp]")
        address = found.get("address", "").lower()  # capitals make no difference to a mail
        if address and address == str(self._table("smtp").get("sender", "")).lower():
            self.fail(
                ("selftest", "address"), "this is the sender of our mails: answers to them would be taken for tests"
            )
        if address and self._accounts() == {address}:
            self.fail(("selftest", "address"), "all our mail comes into this account, and would only be judged")
        return SelftestSettings(**found)

    def _accounts(self) -> set[str]:
        """The users of the mailboxes as they are written, without their capitals."""
        boxes = self.document.get("mailbox", {})
        return {str(each.get("user", "")).lower() for each in boxes.values() if isinstance(each, dict)}

    def _console(self) -> ConsoleSettings | None:
        if "console" not in self.document:
            return None
        table = self._raw_table("console")
        oidc = self._values(self._raw_table("console", "oidc"), ("console", "oidc")) if "oidc" in table else None
        found = self._values({key: value for key, value in table.items() if key != "oidc"}, ("console",))
        for each in (found, oidc or {}):
            absolute(each, self.home)
        try:
            return complete_console(found, oidc)
        except ConsoleTableError as problem:
            self.fail(("console", *(("oidc",) if problem.oidc else ()), problem.key), str(problem))

    def _log(self) -> LogSettings | None:
        if "log" not in self.document:
            return None
        found = self._table("log")
        if "file" in found:
            found["file"] = Path(self._absolute(found["file"]))
        return LogSettings(**found)

    def _report(self) -> ReportSettings:
        found = self._table("report")
        if found.get("to") and "smtp" not in self.document:
            self.fail(("report", "to"), "a mail needs the host of [smtp]")
        return ReportSettings(**found)

    def _tariff(self) -> TariffSettings | None:
        if "tariff" not in self.document:
            return None
        found = self._table("tariff")
        self._require(found, ("tariff", "currency"), "amounts mean nothing without it")
        return TariffSettings(**found)

    def _backup(self) -> BackupSettings:
        if "backup" not in self.document:
            return BackupSettings()
        found = self._table("backup")
        self._require(found, ("backup", "directory"), "it says where backups are kept")
        found["directory"] = Path(self._absolute(found["directory"]))
        return BackupSettings(**found)

    def _login(self, found: Mapping[str, Any], where: KeyPath) -> None:
        """The way to log in fits what we log in with."""
        oauth, auth = found.get("oauth", ""), found.get("auth", "auto")
        if auth in {"user", "apop"} and found.get("protocol") != "pop3":
            self.fail((*where, "auth"), "this is a way of POP3; others have plain or login")
        if oauth and oauth not in self._oauth_names():
            self.fail((*where, "oauth"), f"there is no table [oauth.{oauth}]")
        if oauth and "user" not in found:
            self.fail((*where, "user"), "the key is missing; a token opens an account that is named")
        if oauth and auth not in {"auto", *_BEARER}:
            self.fail((*where, "auth"), f"with oauth it is auto, {' or '.join(_BEARER)}")
        if auth in _BEARER and not oauth:
            self.fail((*where, "auth"), "this needs a token: name an [oauth.NAME] table with the key oauth")

    def _connection(self, found: dict[str, Any], where: KeyPath, security: str = "tls") -> None:
        """What mailboxes and SMTP share: the certificates, and no password in the clear by accident."""
        if "ca_file" in found:
            found["ca_file"] = self._absolute(found["ca_file"])
        self._login(found, where)
        if found.get("auth") in _SECRET_KEEPING:
            return
        in_clear = found.get("security", security) == "none" and bool(found.get("user"))
        if in_clear and not found.get("plaintext_password", False):
            self.fail(
                (*where, "security"),
                "this would send the password over the network unencrypted; use tls or starttls, "
                "or allow it with plaintext_password = true (loopback, laboratories)",
            )

    # -------------------------------------------------------------- tables and keys

    def _table(self, *where: str) -> dict[str, Any]:
        """The table at ``where``, every value read; a key that is absent is left out, so that defaults hold."""
        return self._values(self._raw_table(*where), where)

    def _raw_table(self, *where: str) -> dict[str, Any]:
        table = self.document
        for name in where:
            table = table.get(name, {})
            if not isinstance(table, dict):
                self.fail(where, f"a table is wanted, [{'.'.join(where)}]")
        return table

    def _values(self, table: Mapping[str, object], where: KeyPath) -> dict[str, Any]:
        keys = TABLES.get(".".join(map(str, where)), TABLES[str(where[0])])
        self._refuse_unknown(table, tuple(key.name for key in keys), where)
        return {
            key.field or key.name: self._read((*where, key.name), key.read, table[key.name])
            for key in keys
            if key.name in table
        }

    def _read(self, path: KeyPath, read: values.Reader, value: object) -> Any:
        try:
            return read(value)
        except ValueError as problem:
            self.fail(path, str(problem))

    def _absolute(self, written: str) -> str:
        return os.path.abspath(self.home / Path(written).expanduser())  # noqa: PTH100

    def _require(self, found: Mapping[str, object], path: KeyPath, why: str) -> None:
        if path[-1] not in found:
            self.fail(path, f"the key is missing; {why}")

    def _refuse(self, found: Mapping[str, object], where: KeyPath, keys: tuple[str, ...], protocol: str) -> None:
        for key in keys:
            if key in found:
                self.fail((*where, key), f"this key is for mailboxes with protocol = {protocol}")

    def _refuse_unknown(self, table: Mapping[str, object], allowed: tuple[str, ...], where: KeyPath) -> None:
        for key in table:
            if key not in allowed:
                self.fail((*where, key), f"unknown {'key' if where else 'table'}; {_hint(key, allowed, where)}")

    def _refuse_passwords(self, value: object, path: KeyPath) -> None:
        """Walks everything, known or not: a password must be refused by name before anything quotes it."""
        if isinstance(value, dict):
            for key, inner in value.items():
                if key.lower().replace("-", "_") in _PASSWORDS and not isinstance(inner, dict):
                    self.fail((*path, key), _no_password(path))
                self._refuse_passwords(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._refuse_passwords(inner, (*path, index))

    # -------------------------------------------------------------- the file

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as problem:
            line = raw.count(b"\n", 0, problem.start) + 1
            raise SettingsInvalid(file=self.file, line=line, key="-", reason="the file is not UTF-8") from None

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as problem:
            where = _AT.search(str(problem))
            last = self.text.rstrip("\n").count("\n") + 1
            line = int(where[1]) if where and where[1] else last
            reason = f"this is not TOML: {_AT.sub('', str(problem))}"
            raise SettingsInvalid(file=self.file, line=line, key="-", reason=reason) from None
        except RecursionError:
            raise SettingsInvalid(file=self.file, line=1, key="-", reason="it is nested too deep") from None

    def fail(self, path: KeyPath, reason: str) -> NoReturn:
        """Ends the reading with what is wrong at ``path``."""
        line = line_of(self.lines, path)
        key = ".".join(str(each) for each in path)
        raise SettingsInvalid(file=self.file, line=line, key=key, reason=reason) from None


def _hint(key: str, allowed: tuple[str, ...], where: KeyPath) -> str:
    """What may have been meant by a key that is not known."""
    close = get_close_matches(key.lower().replace("-", "_"), allowed, n=1)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = [name for name, keys in TABLES.items() if any(each.name == key for each in keys)]
    if elsewhere and (not where or elsewhere[0] != where[0]):
        return f"it belongs in [{elsewhere[0]}{'.NAME' if elsewhere[0] in {'mailbox', 'oauth'} else ''}]"
    return f"allowed are {', '.join(allowed)}"


def _no_password(where: KeyPath) -> str:
    """The sentence that leads a password to where it belongs."""
    name = "NAME"
    if len(where) > 1 and where[0] in {"mailbox", "oauth"}:
        name = f"{where[0]}.{where[1]}"
    elif where and where[0] in {"smtp", "database"}:
        name = str(where[0])
    return f"passwords never stand in this file: take the line out and store it with `gateway secret set {name}`"
