"""What ``gateway doctor`` checks: each check looks at one thing and says in a sentence how it is, and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine, func, select

from gateway.errors import GatewayError, unexpected
from gateway.flow.check_accounts import check_accounts, check_hooks, check_own_domain
from gateway.flow.check_alerts import check_alerts
from gateway.flow.check_backup import check_backup
from gateway.flow.check_home import (
    check_clock,
    check_directories,
    check_disk,
    check_files,
    check_home,
    check_key,
    check_owners,
    check_settings,
    check_settings_file,
)
from gateway.flow.check_host import check_host, target_of
from gateway.flow.check_ledger import check_newest, check_whole
from gateway.flow.check_machine import (
    check_database_clock,
    check_encoding,
    check_filesystem,
    check_held,
    check_trigrams,
    check_zone,
)
from gateway.flow.check_mail import check_mailbox, check_smtp
from gateway.flow.check_partners import check_deliveries, check_outbox, check_overlaps, check_partners
from gateway.flow.check_proof import check_dns, check_proof
from gateway.flow.check_result import CONFIGURATION, Check, failed
from gateway.flow.check_running import (
    check_company,
    check_former_outboxes,
    check_nights,
    check_seal,
    check_stopped,
    check_told,
)
from gateway.flow.check_security import check_endings, check_keys, check_needs
from gateway.flow.check_terms import check_terms
from gateway.flow.keyring import Keyring
from gateway.flow.logins import check_client_secrets, check_tls, check_tokens
from gateway.flow.stops import stops_of
from gateway.ledger import database, tables
from gateway.ledger.keys import Keys
from gateway.ledger.mailboxes import left_on_server
from gateway.ledger.recording import Ledger
from gateway.ledger.secrets import LEDGER, Secrets
from gateway.mail.domain_records import DomainRecords
from gateway.mail.model import Mailbox, Transport
from gateway.settings import MailboxSettings, Settings, SmtpSettings
from gateway.words import count
from partners.model import Partner, Status
from partners.store import PartnerStore

MINUTE = 60_000  # ms


class Opened(Protocol):
    """What the checks look at; ``gateway.app.App`` is one."""

    @property
    def settings(self) -> Settings:
        """What gateway.toml says."""
        ...

    @property
    def engine(self) -> Engine:
        """The database."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What happened."""
        ...

    @property
    def secrets(self) -> Secrets:
        """Passwords by name."""
        ...

    @property
    def keys(self) -> Keys:
        """Our own keys for S/MIME."""
        ...

    @property
    def partners(self) -> PartnerStore:
        """The profiles."""
        ...

    @property
    def access_tokens(self) -> Mapping[str, Callable[[], str]]:
        """Where access tokens come from, by the name of their [oauth.NAME]."""
        ...

    @property
    def txt(self) -> Callable[[str], bytes | None]:
        """Asks the DNS for a TXT record."""
        ...

    @property
    def mailboxes(self) -> list[Mailbox]:
        """In the order of the settings."""
        ...

    @property
    def transport(self) -> Transport | None:
        """None where gateway.toml names no host."""
        ...


def examine(app: Opened, key_file: Path, *, online: bool, whole: bool = False) -> Iterator[Check]:
    """All checks of an opened home, each as soon as it is known.

    Without a usable database, what is kept in it is not looked at. ``online=False`` leaves hosts alone;
    ``whole=True`` reads the whole ledger.
    """
    yield from _check_machine(app.settings, key_file)
    yield from _guarded("database", lambda: check_filesystem(app.engine))
    found = list(_guarded("database", lambda: check_database(app.engine)))
    yield from found
    if any(each.ok is False for each in found):
        yield Check(
            "the rest",
            None,
            "Secrets, partners and hosts were not checked: they need the database.",
            "Repair the database, then run `gateway doctor` again.",
            code="database.rest",
        )
        return
    now = time.time_ns() // 1_000_000
    yield from _guarded("database", lambda: check_encoding(app.engine))
    yield from _guarded("database", lambda: check_trigrams(app.engine))
    yield from _guarded("clock", lambda: check_database_clock(app.engine, time.time()))
    yield from _guarded("ledger", lambda: check_newest_event(app.engine, now))
    yield from _guarded("checkpoint", lambda: check_newest(app.settings.home, app.ledger))
    yield from _guarded("backup", lambda: check_backup(app.settings, now))
    if whole:
        yield from _guarded("whole", lambda: check_whole(app.engine))
    yield from _guarded("secrets", lambda: check_secrets(app.settings, app.secrets))
    yield from _guarded("oauth", lambda: check_client_secrets(app.settings.oauth, datetime.now(UTC).date()))
    yield from _guarded("tls", lambda: check_tls(app.settings))
    yield from _check_partners(app, now, online=online)
    if online:
        yield from _check_hosts(app)


def _check_machine(settings: Settings, key_file: Path) -> Iterator[Check]:
    yield from _guarded("home", partial(check_home, settings.home))
    yield from _guarded("owner", partial(check_owners, settings))
    yield from _guarded("settings", partial(check_settings, settings))
    yield from _guarded("settings", partial(check_settings_file, settings))
    yield from _guarded("clock", lambda: check_clock(time.time()))
    yield from _guarded("clock", check_zone)
    yield from _guarded("lock", lambda: check_held(settings.home, time.time_ns() // 1_000_000))
    yield from _guarded("disk", partial(check_disk, settings))
    yield from _guarded("directories", partial(check_directories, settings))
    yield from _guarded("files", partial(check_files, settings))
    yield from _guarded("key", partial(check_key, key_file))
    yield from _guarded("accounts", partial(check_accounts, settings))


def exit_code(checks: Sequence[Check]) -> int:
    """78 when a check failed for the configuration, 69 when something is not available, else 0."""
    codes = {each.exit_code for each in checks if each.ok is False}
    return CONFIGURATION if CONFIGURATION in codes else max(codes, default=0)


# ---------------------------------------------------------------- the database and what is in it


def check_database(engine: Engine) -> Iterator[Check]:
    """The database answers, and is at the revision that this gateway needs."""
    found = database.revision(engine)
    if found is not None and found not in database.revisions():
        said = f"The database is at revision {found}, which this gateway does not know: a newer gateway wrote it."
        yield Check("database", False, said, "Install that gateway again, or restore a backup.", code="database.newer")
        return
    database.check(engine)
    yield Check("database", True, f"{database.shown(engine.url)} is at revision {database.newest()}.")
    file = Path(engine.url.database or "")
    if engine.dialect.name == "sqlite" and file.stat().st_mode & 0o007:
        yield Check(
            "database",
            None,
            f"Everybody may read {file}, and so all mail.",
            f"Run `chmod o= {file}`.",
            code="database.readable",
        )


def check_newest_event(engine: Engine, now: int) -> Iterator[Check]:
    """Nothing in the ledger is from the future. ``now``: ms since 1970 UTC."""
    with database.reading(engine) as connection:
        newest = connection.execute(select(func.max(tables.event.c.at))).scalar()
    if newest is not None and newest > now + MINUTE:
        ahead = (newest - now) // MINUTE
        advice = "Correct the clock. The ledger's order does not depend on it, but deadlines do."
        yield Check(
            "ledger",
            None,
            f"The newest event is {count(ahead, 'minute')} in the future: the clock went back.",
            advice,
            code="clock.went-back",
        )


def check_secrets(settings: Settings, secrets: Secrets) -> Iterator[Check]:
    """Every secret that the settings name is there and can be read; of others that are kept, what cannot is told."""
    wanted = _wanted_secrets(settings)
    for name in wanted:
        yield from _guarded(f"secret {name}", partial(_check_secret, name, secrets))
    # Our own are among them: with another key file nothing can be sealed or verified.
    for each in secrets.list():
        if each.where == LEDGER and each.name not in wanted:
            yield from _guarded(f"secret {each.name}", partial(_check_kept, each.name, secrets))


def _check_secret(name: str, secrets: Secrets) -> Iterator[Check]:
    secrets.get(name)  # the value is not kept
    yield Check(f"secret {name}", True, f"It is readable ({secrets.where(name)}).")


def _check_kept(name: str, secrets: Secrets) -> Iterator[Check]:
    secrets.kept(name)
    yield from ()


def _wanted_secrets(settings: Settings) -> list[str]:
    boxes = [box for box in settings.mailboxes if box.protocol != "maildir" and not box.oauth]
    names = [box.secret or f"mailbox.{box.name}" for box in boxes]
    if settings.smtp is not None and settings.smtp.user and not settings.smtp.oauth:
        names.append(settings.smtp.secret or "smtp")
    names += [each.secret for each in settings.oauth if each.secret]
    names += [each.secret for each in settings.alerts if each.secret]
    return sorted(set(names))


def _check_partners(app: Opened, now: int, *, online: bool) -> Iterator[Check]:
    try:
        partners = app.partners.current()
    except GatewayError as fault:
        yield failed("partners", fault)
        return
    settings = app.settings
    yield from _guarded("partners", lambda: check_partners(partners))
    yield from _guarded("partners", lambda: check_overlaps(partners, settings.identities))
    yield from _guarded("proof", lambda: check_proof(partners, settings.proof))
    yield from _guarded("partners", lambda: check_terms(partners, settings))
    yield from _guarded("outbox", lambda: check_outbox(partners, settings.outbox))
    yield from _guarded("alerts", lambda: check_alerts(settings, partners))
    yield from _guarded("deliveries", lambda: check_deliveries(partners, settings.home, app.secrets))
    yield from _guarded("certificates", lambda: _check_security(app.keys, partners))
    yield from _guarded("running", lambda: _check_running(app, partners, now))
    if online:
        yield from _guarded("hooks", lambda: check_hooks(partners, settings))


def _check_running(app: Opened, partners: Sequence[Partner], now: int) -> Iterator[Check]:
    trading = any(each.status in {Status.TESTING, Status.LIVE} for each in partners)
    with database.reading(app.engine) as connection:
        yield from check_nights(connection, app.settings, now, partners=trading)
        yield from check_seal(connection, app.settings, now)
        yield from check_told(connection, app.settings)
        yield from check_company(connection, app.settings)
        yield from check_former_outboxes(connection, app.settings)
        yield from check_stopped(connection, stops_of(partners), app.settings)


def _check_security(keys: Keys, partners: Sequence[Partner]) -> Iterator[Check]:
    ring, now = Keyring.of(keys), time.time_ns() // 1_000_000
    yield from check_keys(ring)
    yield from check_needs(partners, ring, now)
    yield from check_endings(partners, ring, now)


# ---------------------------------------------------------------- the hosts


def _check_hosts(app: Opened) -> Iterator[Check]:
    for each in app.settings.oauth:
        yield from _guarded(f"oauth {each.name}", partial(check_tokens, app.access_tokens, each.name))
    if not app.settings.mailboxes:
        advice = "Add a [mailbox.NAME] to gateway.toml."
        yield Check("mailboxes", None, "There is no mailbox to collect from.", advice, code="mailbox.none")
    for box, mailbox in zip(app.settings.mailboxes, app.mailboxes, strict=True):
        check = partial(_check_mailbox, app, box, mailbox)
        yield from _reached(f"mailbox {box.name}", box if box.host else None, check)
    smtp = app.settings.smtp
    yield from _reached("smtp", smtp, lambda: check_smtp(smtp, app.transport))
    records = DomainRecords(app.settings.proof.timeout.total_seconds())
    yield from _guarded("dns", lambda: check_own_domain(smtp, records))
    yield from _guarded("dns", lambda: check_dns(app.partners.current(), app.txt))


def _check_mailbox(app: Opened, box: MailboxSettings, mailbox: Mailbox) -> Iterator[Check]:
    yield from check_mailbox(box, mailbox, app.settings.limits, _left_there(app, box))


def _left_there(app: Opened, box: MailboxSettings) -> Collection[str]:
    """The UIDs of mails that we took and left on the server."""
    if not box.keep_on_server:
        return ()
    with database.reading(app.engine) as connection:
        return left_on_server(connection, box.name)


def _reached(
    name: str, account: MailboxSettings | SmtpSettings | None, check: Callable[[], Iterator[Check]]
) -> Iterator[Check]:
    """The host is looked at first, so that what is wrong there is said in words; then we log in."""
    seen = list(_guarded(name, partial(check_host, name, target_of(account)))) if account is not None else []
    yield from seen
    if all(each.ok is not False for each in seen):
        yield from _guarded(name, check)


def _guarded(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The check's results; a fault on the way is a result too, so that the others are still made."""
    try:
        yield from check()
    except GatewayError as fault:
        yield failed(name, fault)
    except OSError as problem:
        yield Check(
            name,
            False,
            f"It cannot be checked: {problem.strerror or problem}.",
            "Look at the file or host.",
            code="not-checked",
        )
    except Exception as problem:  # noqa: BLE001 - the other checks are still made
        yield failed(name, unexpected(f"the check of {name}", problem))
