"""What ``gateway doctor`` checks: each check looks at one thing and says in a sentence how it is, and what to do."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine, func, select

from gateway.errors import GatewayError
from gateway.flow.check_alerts import check_alerts
from gateway.flow.check_backup import check_backup
from gateway.flow.check_ledger import check_newest, check_whole
from gateway.flow.check_mail import check_mailbox, check_smtp
from gateway.flow.check_partners import check_deliveries, check_outbox, check_overlaps, check_partners
from gateway.flow.check_proof import check_dns, check_proof
from gateway.flow.check_result import CONFIGURATION, UNAVAILABLE, Check, failed
from gateway.flow.check_security import check_endings, check_keys, check_needs
from gateway.flow.keyring import Keyring
from gateway.flow.logins import check_client_secrets, check_tls, check_tokens
from gateway.ledger import database, tables
from gateway.ledger.keys import Keys
from gateway.ledger.recording import Ledger
from gateway.ledger.secrets import Secrets, read_key
from gateway.mail.model import Mailbox, Transport
from gateway.settings import Settings
from gateway.settings.template import PLACEHOLDER_DOMAIN, PLACEHOLDER_IDENTITY
from partners.model import Partner
from partners.store import PartnerStore

LITTLE_SPACE, TOO_LITTLE_SPACE = 1_000_000_000, 100_000_000  # bytes
MINUTE = 60_000  # ms
EPOCH_OF_THIS_PROGRAM = 1_735_689_600  # 2025-01-01, seconds: no honest clock is behind it


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
    home = app.settings.home
    yield from _guarded("home", partial(check_home, home))
    yield from _guarded("settings", partial(check_settings, app.settings))
    yield from _guarded("clock", lambda: check_clock(time.time()))
    yield from _guarded("disk", partial(check_disk, app.settings))
    yield from _guarded("directories", partial(check_directories, app.settings))
    yield from _guarded("key", partial(check_key, key_file))
    found = list(_guarded("database", lambda: check_database(app.engine)))
    yield from found
    if any(each.ok is False for each in found):
        yield Check("the rest", None, "Secrets, partners and hosts were not checked: they need the database.")
        return
    yield from _guarded("ledger", lambda: check_newest_event(app.engine, time.time_ns() // 1_000_000))
    yield from _guarded("checkpoint", lambda: check_newest(home, app.ledger))
    yield from _guarded("backup", lambda: check_backup(app.settings, time.time_ns() // 1_000_000))
    if whole:
        yield from _guarded("whole", lambda: check_whole(app.engine))
    yield from _guarded("secrets", lambda: check_secrets(app.settings, app.secrets))
    yield from _guarded("oauth", lambda: check_client_secrets(app.settings.oauth, datetime.now(UTC).date()))
    yield from _guarded("tls", lambda: check_tls(app.settings))
    yield from _check_partners(app)
    if online:
        yield from _check_hosts(app)


def exit_code(checks: Sequence[Check]) -> int:
    """78 when a check failed for the configuration, 69 when something is not available, else 0."""
    codes = {each.exit_code for each in checks if each.ok is False}
    return CONFIGURATION if CONFIGURATION in codes else max(codes, default=0)


# ---------------------------------------------------------------- the machine


def check_home(home: Path) -> Iterator[Check]:
    """The home is ours: writable for us, and for nobody else."""
    mode = home.stat().st_mode
    if mode & 0o002:
        advice = f"Run `chmod o-w {home}`: who may write here decides what this gateway does."
        yield Check("home", False, f"Everybody may write to {home}.", advice)
    elif not os.access(home, os.W_OK | os.X_OK):
        yield Check("home", False, f"{home} is not writable for this user.", "Run as the gateway's own user.")
    else:
        yield Check("home", True, f"{home} is in order.")


def check_key(path: Path) -> Iterator[Check]:
    """The key of the secrets is there, a key, and nobody else's to read."""
    try:
        read_key(path)
    except FileNotFoundError:
        yield Check(
            "key", False, f"There is no key at {path}.", "Restore it from a backup; else set all secrets again."
        )
    else:
        yield Check("key", True, f"{path} is a key, and its owner's only.")


def check_settings(settings: Settings) -> Iterator[Check]:
    """Who we are is ours, and not what a new home begins with."""
    ours = ", ".join(":".join(each) for each in settings.identities)
    if PLACEHOLDER_IDENTITY in {":".join(each) for each in settings.identities}:
        advice = "Put your own in gateway.toml (identities) before you trade."
        yield Check("identities", None, f"{PLACEHOLDER_IDENTITY} is a placeholder, not your EDI identity.", advice)
    else:
        yield Check("identities", True, f"We are {settings.name} ({ours}).")
    if settings.domain == PLACEHOLDER_DOMAIN:
        advice = "Put your own in gateway.toml (domain): Message-IDs must be unique in the world."
        yield Check("domain", None, f"{PLACEHOLDER_DOMAIN} is a placeholder, not your domain.", advice)


def check_clock(now: float) -> Iterator[Check]:
    """The clock is not before this program was written. ``now``: seconds since 1970 UTC."""
    said = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(now))
    if now < EPOCH_OF_THIS_PROGRAM:
        advice = "Set the clock and run a time service: every record carries the time."
        yield Check("clock", False, f"The clock says {said}, which cannot be.", advice)
    else:
        yield Check("clock", True, f"The clock says {said}.")


def check_disk(settings: Settings) -> Iterator[Check]:
    """There is room for what comes in, where it is written to."""
    for place in _places(settings):
        free = shutil.disk_usage(place).free
        room = f"{place} has {free / 1e9:.1f} GB left."
        advice = "Make room: without it nothing is collected, and mails stay on their servers."
        if free < TOO_LITTLE_SPACE:
            yield Check("disk", False, room, advice, UNAVAILABLE)
        else:
            yield Check("disk", True if free >= LITTLE_SPACE else None, room, "" if free >= LITTLE_SPACE else advice)


def _places(settings: Settings) -> list[Path]:
    """The home, and the inbox where it is on another file system."""
    there = [each for each in (settings.home, settings.inbox) if each.is_dir()]
    by_device = {each.stat().st_dev: each for each in reversed(there)}
    return sorted(by_device.values())


def check_directories(settings: Settings) -> Iterator[Check]:
    """Inbox and outbox are there and writable."""
    for name, place in (("inbox", settings.inbox), ("outbox", settings.outbox)):
        if not place.is_dir():
            yield Check(name, False, f"{place} is not there.", f"Make it with `mkdir -p {place}`.")
        elif not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            yield Check(name, False, f"{place} is not writable for this user.", "Correct its owner or mode.")
        else:
            yield Check(name, True, f"{place} is writable.")


# ---------------------------------------------------------------- the database and what is in it


def check_database(engine: Engine) -> Iterator[Check]:
    """The database answers, and is at the revision that this gateway needs."""
    database.check(engine)
    yield Check("database", True, f"{database.shown(engine.url)} is at revision {database.newest()}.")
    file = Path(engine.url.database or "")
    if engine.dialect.name == "sqlite" and file.stat().st_mode & 0o007:
        yield Check("database", None, f"Everybody may read {file}, and so all mail.", f"Run `chmod o= {file}`.")


def check_newest_event(engine: Engine, now: int) -> Iterator[Check]:
    """Nothing in the ledger is from the future. ``now``: ms since 1970 UTC."""
    with database.reading(engine) as connection:
        newest = connection.execute(select(func.max(tables.event.c.at))).scalar()
    if newest is not None and newest > now + MINUTE:
        ahead = (newest - now) // MINUTE
        advice = "Correct the clock. The ledger's order does not depend on it, but deadlines do."
        yield Check("ledger", None, f"The newest event is {ahead} minutes in the future: the clock went back.", advice)


def check_secrets(settings: Settings, secrets: Secrets) -> Iterator[Check]:
    """Every secret that the settings name is there and can be read."""
    for name in _wanted_secrets(settings):
        yield from _guarded(f"secret {name}", partial(_check_secret, name, secrets))


def _check_secret(name: str, secrets: Secrets) -> Iterator[Check]:
    secrets.get(name)  # the value is not kept
    yield Check(f"secret {name}", True, f"It is readable ({secrets.where(name)}).")


def _wanted_secrets(settings: Settings) -> list[str]:
    boxes = [box for box in settings.mailboxes if box.protocol != "maildir" and not box.oauth]
    names = [box.secret or f"mailbox.{box.name}" for box in boxes]
    if settings.smtp is not None and settings.smtp.user and not settings.smtp.oauth:
        names.append(settings.smtp.secret or "smtp")
    names += [each.secret for each in settings.oauth if each.secret]
    names += [each.secret for each in settings.alerts if each.secret]
    return sorted(set(names))


def _check_partners(app: Opened) -> Iterator[Check]:
    try:
        partners = app.partners.current()
    except GatewayError as fault:
        yield failed("partners", fault)
        return
    settings = app.settings
    yield from check_partners(partners)
    yield from check_overlaps(partners, settings.identities)
    yield from check_proof(partners, settings.proof)
    yield from check_outbox(partners, settings.outbox)
    yield from check_alerts(settings, partners)
    yield from _guarded("deliveries", lambda: check_deliveries(partners, settings.home, app.secrets))
    yield from _guarded("certificates", lambda: _check_security(app.keys, partners))


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
        yield Check("mailboxes", None, "There is no mailbox to collect from.", advice)
    for box, mailbox in zip(app.settings.mailboxes, app.mailboxes, strict=True):
        yield from _guarded(f"mailbox {box.name}", partial(check_mailbox, box, mailbox, app.settings.limits))
    yield from _guarded("smtp", lambda: check_smtp(app.settings.smtp, app.transport))
    yield from _guarded("dns", lambda: check_dns(app.partners.current(), app.txt))


def _guarded(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The check's results; a fault on the way is a result too, so that the others are still made."""
    try:
        yield from check()
    except GatewayError as fault:
        yield failed(name, fault)
    except OSError as problem:
        yield Check(name, False, f"It cannot be checked: {problem.strerror or problem}.", "Look at the file or host.")
